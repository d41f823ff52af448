//! `cargo xtask test`: the checks, the unit tests, a little fuzzing, the live tests on this kernel, and a short demo.

use crate::{
    build, check, demo, fuzz,
    setup::{self, Level},
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
    /// Only tests whose name contains this; leaves out checks and demo.
    filter: Option<String>,
}

/// How tests ended.
#[derive(Default, Debug, PartialEq, Eq, Clone, Copy)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Runs the steps that are asked for, then sums up; the first step that fails ends it.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let Options { live_only, unit_only, no_check, no_demo, filter } = options;
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
                Ok(())
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
                tests(&mut cargo, &mut counts)
            })?;
        } else {
            eprintln!("\n== live tests: none, there is no {LIVE}");
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
    let Counts { passed, failed, ignored } = counts;
    // In this form, alone on a line, it is understood by programs that watch test runs.
    println!("{passed} passed, {failed} failed, {ignored} skipped");
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
        counts.add(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() {
        bail!("cargo test failed ({status})");
    }
    Ok(())
}

impl Counts {
    /// Adds `test result: ok. 3 passed; 0 failed; 1 ignored; …`; any other line is nothing.
    fn add(&mut self, line: &str) {
        let Some((_, results)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in results.split("; ") {
            let Some((Ok(count), what)) =
                part.split_once(' ').map(|(count, what)| (count.parse::<u64>(), what))
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_test_programs_close_with() {
        let mut counts = Counts::default();
        for line in [
            "test a ... ok",
            "test result: ok. 17 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "9 passed; 9 failed",
        ] {
            counts.add(line);
        }
        assert_eq!(counts, Counts { passed: 18, failed: 4, ignored: 2 });
    }
}
