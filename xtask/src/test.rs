//! `cargo xtask test`: the checks, the unit tests, a little fuzzing, the live tests on this kernel, and a short demo.

use crate::{
    build, check,
    counts::Counts,
    demo, fuzz,
    setup::{self, Level},
    vm,
    workspace::Workspace,
};
use anyhow::{Context as _, Result, bail};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Tells the live tests which iotrail to test.
const PROGRAM_VARIABLE: &str = "IOTRAIL_BIN";
/// The live tests, if this checkout has them.
const LIVE: &str = "tests/it/main.rs";
/// How long the demo runs as a test.
const DEMO_SECONDS: u64 = 8;

/// Run the checks, unit tests, a little fuzzing, live tests and a short demo
///
/// Sets up first. The live tests load programs into this machine's kernel, so they need root; `--unit-only` does not.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the live tests.
    #[arg(long, conflicts_with = "unit_only")]
    live_only: bool,
    /// Only the unit tests: no root, no BPF compiler.
    #[arg(long)]
    unit_only: bool,
    /// Leave out the checks (`cargo xtask check`).
    #[arg(long)]
    no_check: bool,
    /// Leave out the demo.
    #[arg(long)]
    no_demo: bool,
    /// Leave out the virtual machines (`cargo xtask vm test` runs more of them).
    #[arg(long)]
    no_vm: bool,
    /// Only tests whose name contains this; leaves out checks and demo.
    filter: Option<String>,
}

/// Runs the steps that are asked for, then sums up; the first step that fails ends it.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let Options { live_only, unit_only, no_check, no_demo, no_vm, filter } = options;
    let mut done: Vec<(&str, Duration)> = Vec::new();
    let mut counts = Counts::default();
    let all = !live_only && !unit_only && filter.is_none();
    if !unit_only {
        setup::must_be_root("testing on a live kernel (all but `--unit-only`)", "test")?;
    }
    let outcome = (|| {
        let mut step = |name: &'static str, run: &mut dyn FnMut() -> Result<()>| {
            eprintln!("\n== {name}");
            let start = Instant::now();
            let ended = run();
            done.push((name, start.elapsed()));
            ended.with_context(|| name.to_owned())
        };
        let mut toolchain = None;
        if !unit_only {
            step("set-up", &mut || {
                toolchain = Some(setup::ensure(workspace, Level::Test)?);
                if all && !no_vm { vm::prepare_briefly(workspace) } else { Ok(()) }
            })?;
        }
        let mut iotrail = None;
        if let Some(toolchain) = &toolchain {
            // Before the checks: the verifier's budgets are checked on what is built.
            step("build", &mut || {
                let building = build::Options { quiet: true, ..build::Options::default() };
                iotrail = Some(build::all(workspace, toolchain, &building)?);
                Ok(())
            })?;
        }
        if all && !no_check {
            step("checks", &mut || check::run(workspace, check::Options { sources_only: false }))?;
        }
        if !live_only {
            // Without `--doc` and the live tests: the former are few and slow to link, the latter come below.
            let arguments = ["test", "--workspace", "--lib", "--bins"];
            step("unit tests", &mut || {
                let mut cargo = workspace.cargo();
                cargo.args(arguments).arg("--").args(&filter);
                tests(&mut cargo, &mut counts)
            })?;
        }
        if all {
            step("fuzzing", &mut || fuzz::briefly(workspace))?;
        }
        let Some(iotrail) = iotrail else { return Ok(()) };
        if workspace.root.join(LIVE).is_file() {
            step("live tests", &mut || {
                let mut cargo = workspace.cargo();
                // Some of them load the kernel programs themselves.
                build::say_object(workspace, &mut cargo, &workspace.bpf_object(std::env::consts::ARCH));
                cargo.env(PROGRAM_VARIABLE, &iotrail).args(["test", "--workspace", "--test", "live", "--"]);
                // One at a time: each looks at the whole machine and counts what it sees there.
                cargo.arg("--test-threads=1").args(&filter);
                setup::brokers::build(workspace, &mut cargo)?;
                tests(&mut cargo, &mut counts)
            })?;
        } else {
            eprintln!("\n== live tests: none, there is no {LIVE}");
        }
        if all && !no_vm {
            step("machines", &mut || {
                let rigs = vm::briefly(workspace)?;
                counts.add(rigs);
                rigs.none_failed()
            })?;
        }
        if all && !no_demo {
            step("demo", &mut || {
                let mut demo = demo::prepare(workspace, &demo::Options::for_test(DEMO_SECONDS))?;
                crate::cmd::loud(&mut demo)
            })?;
        }
        Ok(())
    })();
    let outcome = outcome.and_then(|()| match &filter {
        Some(filter) if counts.passed == 0 => bail!("no test's name contains `{filter}`"),
        _ => Ok(()),
    });
    eprintln!();
    for (name, took) in &done {
        eprintln!("{name:<12}{:>8.1} s", took.as_secs_f64());
    }
    println!("{counts}");
    outcome
}

/// Runs `cargo test`, shows what it says and adds up what each of its programs closes with.
fn tests(cargo: &mut Command, counts: &mut Counts) -> Result<()> {
    let mut child =
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read what cargo test says")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts.add_line(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() {
        bail!("cargo test failed ({status})");
    }
    Ok(())
}
