//! `cargo xtask fuzz`: hostile input for the decoders, guided by coverage.
//!
//! The fuzzer is libFuzzer, compiled from the source that its crate brings. What it needs of the compiler is stable:
//! the counters are a pass of LLVM's (`tests/fuzz/instrument.sh`). Only the workspace's own crates are compiled with it;
//! all others are those of every other build. What the compiler's sanitizers would find (they need a nightly) does not
//! occur in code without `unsafe`; arithmetic overflow is checked.

use crate::{
    cmd,
    setup::{self, Level},
    workspace::Workspace,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The wrapper around the compiler that makes it count.
const WRAPPER: &str = "tests/fuzz/instrument.sh";
/// Names the target.
const TARGET_VARIABLE: &str = "IOTRAIL_FUZZ_TARGET";
/// Where words are that mean something to a target, in files `TARGET.dict`: checksums and such are not found by trying.
const WORDS: &str = "tests/fuzz";
/// Where inputs are kept that reached something new, from run to run.
const CORPUS: &str = "fuzz-corpus";
/// Where inputs go that broke something.
const FOUND: &str = "fuzz-found";
/// Longest input. Longer ones are slower and find the same.
const LONGEST: u32 = 2048;
/// Inputs for each target within `cargo xtask test`: about a second each.
const BRIEF: u32 = 20_000;
/// Those that get more there, because anybody who reaches a broker can send them: seconds each.
const PARSERS: [&str; 5] = ["mqtt", "rabbitmq", "kafka", "nats", "redis"];
const PARSER_SECONDS: u32 = 60;

/// Feed the decoders hostile input
///
/// One target per device class and per broker's protocol, and `stream`, `records`. Inputs that reached something new are kept in the target
/// folder and are where the next run starts. An input that breaks something is kept too, and named.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this target; `list` shows them all.
    target: Option<String>,
    /// How long, for each target.
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u32,
    /// Repeat an input that was found, of the target.
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
}

/// Fuzzes for as long as was asked for.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let Options { target, seconds, input } = options;
    setup::prepare(workspace, Level::Fuzz)?;
    let program = build(workspace)?;
    let targets = targets(&program)?;
    if target.as_deref() == Some("list") {
        println!("{}", targets.join("\n"));
        return Ok(());
    }
    let chosen: Vec<&String> =
        targets.iter().filter(|name| target.as_ref().is_none_or(|target| target == *name)).collect();
    ensure!(
        !chosen.is_empty(),
        "there is no target {}; there are {}",
        target.unwrap_or_default(),
        targets.join(", ")
    );
    let limit = match &input {
        Some(file) => file.display().to_string(),
        None => format!("-max_total_time={seconds}"),
    };
    for name in chosen {
        fuzz(workspace, &program, name, &limit)?;
    }
    Ok(())
}

/// Fuzzes each target with the same few inputs every time, unless the code has changed, and brokers' protocols for a minute.
pub(crate) fn briefly(workspace: &Workspace) -> Result<()> {
    setup::prepare(workspace, Level::Fuzz)?;
    let program = build(workspace)?;
    let targets = targets(&program)?;
    for parser in PARSERS {
        ensure!(targets.iter().any(|name| name == parser), "there is no target {parser}");
    }
    for name in targets {
        let limit = match PARSERS.contains(&name.as_str()) {
            true => format!("-max_total_time={PARSER_SECONDS}"),
            false => format!("-runs={BRIEF}"),
        };
        fuzz(workspace, &program, &name, &limit)?;
    }
    Ok(())
}

/// Builds the fuzzer and what it fuzzes. The iotrail that is in it is optimised, with its checks left in.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--workspace", "--bin", "fuzz", "--features", "tracer-fuzz/guided"]);
    for package in ["iotrail", "tracer-common", "tracer-fuzz"] {
        cargo.args(["--config", &format!("profile.dev.package.{package}.opt-level=2")]);
    }
    cargo.env("RUSTC_WORKSPACE_WRAPPER", workspace.root.join(WRAPPER));
    cmd::quiet(workspace, "building the fuzzer", "build-fuzz", &mut cargo)?;
    Ok(workspace.target.join("debug/fuzz"))
}

fn targets(program: &Path) -> Result<Vec<String>> {
    let names = cmd::answer(Command::new(program).env_remove(TARGET_VARIABLE));
    let names = names.context("the fuzzer does not say what its targets are")?;
    Ok(names.split_whitespace().map(str::to_owned).collect())
}

/// One target, until `limit` or the first input that breaks it.
fn fuzz(workspace: &Workspace, program: &Path, name: &str, limit: &str) -> Result<()> {
    let (corpus, found) = (workspace.own(CORPUS).join(name), workspace.own(FOUND).join(name));
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let is_option = limit.starts_with('-');
    let log = workspace.own(&format!("fuzz-{name}.log"));
    let said = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut fuzzer = Command::new(program);
    fuzzer.env(TARGET_VARIABLE, name).arg(limit);
    if is_option {
        // A brief run is the same each time: it keeps nothing.
        if limit.starts_with("-max_total_time") {
            fuzzer.arg(&corpus);
        }
        let words = workspace.root.join(WORDS).join(format!("{name}.dict"));
        if words.is_file() {
            fuzzer.arg(format!("-dict={}", words.display()));
        }
        fuzzer.args(["-seed=1", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]);
        fuzzer.arg(format!("-max_len={LONGEST}")).arg(format!("-artifact_prefix={}/", found.display()));
    }
    let status = fuzzer
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .status()
        .context("cannot start the fuzzer")?;
    let text = fs::read_to_string(&log).unwrap_or_default();
    if status.success() {
        eprintln!("fuzz: {name:<10} {}", summary(&text));
        return Ok(());
    }
    let said = text.lines().skip_while(|line| !line.contains("panicked at")).take(4);
    let said = said.collect::<Vec<_>>().join("\n");
    let input = text.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
    bail!(
        "{name}: {} ({status}); repeat with `cargo xtask fuzz {name} --input {}`; all that was said is in {}",
        if said.is_empty() { "the fuzzer ended" } else { &said },
        input.unwrap_or("FILE"),
        workspace.short(&log)
    );
}

/// How much was tried, and how much it reached.
fn summary(log: &str) -> String {
    let number = |key: &str| log.lines().find_map(|line| line.strip_prefix(key)).map_or("?", str::trim);
    let reached = log.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "cov:");
        words.nth(1)
    });
    format!(
        "{} inputs, {} a second, {} branches reached",
        number("stat::number_of_executed_units:"),
        number("stat::average_exec_per_sec:"),
        reached.unwrap_or("?")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_summed_up() {
        let log = "#2\tINITED cov: 6 ft: 7 corp: 1/1b\n#9\tDONE   cov: 83 ft: 8 corp: 1/1b\n\
                   stat::number_of_executed_units: 9\nstat::average_exec_per_sec:     4\n";
        assert_eq!(summary(log), "9 inputs, 4 a second, 83 branches reached");
    }
}
