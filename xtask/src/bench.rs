//! `cargo xtask bench`: builds iotrail and the loads, and hands over to the benchmarks.

use crate::{
    build, cmd, demo,
    setup::{self, Level},
    vm,
    workspace::Workspace,
};
use anyhow::{Result, bail};
use std::{os::unix::process::CommandExt as _, process::Command};

/// Measure what tracing costs
///
/// `bench syscalls`: ns per system call with nothing, iotrail, a bpftrace histogram and strace attached, in turn.
/// `bench devices`: the same for calls on devices with nothing, bpftrace and iotrail; 100,000 commands a second without
/// loss and beyond; I2C and SPI in a virtual machine, unless `--no-vm` (`--only-vm`: that alone).
/// `bench mosquitto`: a broker's rate and latency with and without iotrail, and what iotrail itself takes.
/// `bench brokers [mosquitto|rabbitmq|kafka|nats|redis …]`: each at 10,000 messages a second (CPU, memory, losses, latency) and
/// at full speed with its own load, with and without iotrail; `--rate`, `--seconds`, `--size`, `--capture-bytes`.
/// `bench tls`: calls of a TLS library with nothing and iotrail attached, which selects the program's port or another.
/// `bench packets`: the same for writes and `sendfile` on connections.
/// `bench saturation`: the highest rate of messages at which nothing is lost, and what is counted beyond it.
/// `bench pipeline`: CPU time and allocations of the user side for one message, without kernel and broker.
/// `bench protocols`: messages and bytes a second that each protocol's decoder takes, from recorded conversations.
/// Prints medians and ratios as a Markdown table. `bench -- --help` and `bench syscalls --help` have more.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Times that every condition is measured.
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// What to measure, and its own options.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "syscalls|devices|mosquitto|brokers|tls|packets|saturation|pipeline|protocols"
    )]
    what: Vec<String>,
}

/// Builds, then becomes the benchmark.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let Options { rounds, mut what } = options;
    if let Some((name @ ("pipeline" | "protocols"), own)) =
        what.split_first().map(|(first, own)| (first.as_str(), own))
    {
        return user_side(workspace, name, rounds, own);
    }
    setup::must_be_root("measuring", "bench …")?;
    let brokers = what.first().is_some_and(|first| first == "brokers");
    let toolchain = setup::ensure(workspace, if brokers { Level::BenchBrokers } else { Level::Bench })?;
    let building = build::Options { release: true, quiet: true, ..build::Options::default() };
    let iotrail = build::all(workspace, &toolchain, &building)?;
    let programs = demo::programs(workspace, true)?;
    if brokers {
        demo::build_programs(workspace, true, &["--package", "tracer-clients", "--bin", "load_brokers"])?;
    }
    let bench = || {
        let mut bench = Command::new(programs.join("bench"));
        bench.arg("--iotrail").arg(&iotrail).arg("--folder").arg(workspace.own("bench"));
        bench.args(["--rounds", &rounds.to_string()]);
        setup::brokers::say_kafka(workspace, &mut bench);
        bench
    };
    let mut asked = |option: &str| {
        let before = what.len();
        what.retain(|word| word != option);
        what.len() < before
    };
    let (no_vm, only_vm) = (asked("--no-vm"), asked("--only-vm"));
    let vm = what.first().is_some_and(|first| first == "devices") && !no_vm;
    if vm {
        if !only_vm {
            cmd::loud(bench().args(&what))?;
        }
        let figures = vm::measure(workspace, "buses", rounds)?;
        return cmd::loud(bench().arg("figures").arg(figures));
    }
    let err = bench().args(&what).exec();
    bail!("cannot start the benchmark: {err}")
}

/// Needs neither root nor the kernel programs. Of all packages at once: with the same features as the program.
fn user_side(workspace: &Workspace, name: &str, rounds: usize, own: &[String]) -> Result<()> {
    let mut bench = workspace.cargo();
    bench.args(["bench", "--workspace", "--bench", name, "--", "--rounds", &rounds.to_string()]).args(own);
    cmd::loud(&mut bench)
}
