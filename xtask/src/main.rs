//! `cargo xtask`: everything a developer or CI does with iotrail, from a fresh machine to a benchmark.
//!
//! The subcommands are listed here and live in one module each.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod arch;
mod bench;
mod build;
mod check;
mod cmd;
mod codegen;
mod counts;
mod demo;
mod fuzz;
mod setup;
mod test;
mod toolchain;
mod vm;
mod workspace;

use workspace::Workspace;

/// Builds, checks, tests and shows iotrail.
///
/// Every command first installs what it needs and the machine lacks, and says so before it does.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Setup(setup::Options),
    Build(build::Options),
    Check(check::Options),
    Test(test::Options),
    Demo(demo::Options),
    Bench(bench::Options),
    Vm(vm::Options),
    Codegen(codegen::Options),
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Workspace::find().and_then(|workspace| match cli.command {
        Task::Setup(options) => setup::run(&workspace, options),
        Task::Build(options) => build::run(&workspace, options),
        Task::Check(options) => check::run(&workspace, options),
        Task::Test(options) => test::run(&workspace, options),
        Task::Bench(options) => bench::run(&workspace, options),
        Task::Vm(options) => vm::run(&workspace, options),
        Task::Codegen(options) => codegen::run(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, options),
        Task::Demo(options) => demo::run(&workspace, options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}
