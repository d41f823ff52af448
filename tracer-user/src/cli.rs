//! The command line.

mod config;
mod devices;
mod doctor;
mod exit;
mod logging;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Follows work from a device through a message broker to the device it moved
///
/// iotrail watches what programs do to devices and message brokers, without any change to them, and shows a serial
/// read, the publish that carried it, the broker's own time, the consumer and the command that it then gave as one
/// trace, each link with its evidence.
#[derive(Parser)]
#[command(version, max_term_width = 110, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How iotrail speaks of itself, on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// How log lines and errors look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How lists look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Options>),
    Doctor(doctor::Options),
    Devices(devices::Options),
}

pub(crate) fn main() -> ExitCode {
    let arguments = match config::expand(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(failure) => return exit::code(Err(failure), LogFormat::Text),
    };
    let Cli { command, log_format } = Cli::parse_from(arguments);
    logging::start(log_format);
    let outcome = match command {
        Command::Run(options) => run::run(*options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Devices(options) => devices::run(&options),
    };
    exit::code(outcome, log_format)
}
