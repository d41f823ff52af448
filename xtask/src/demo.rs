//! `cargo xtask demo`: builds iotrail and the demo's programs, and hands over to the demo.

use crate::{
    build, cmd,
    setup::{self, Level},
    workspace::Workspace,
};
use anyhow::{Result, bail};
use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

/// Run the demo: sensor → MQTT → actuator as one trace
///
/// Two pseudo-terminals play a thermometer and a valve, a private Mosquitto routes, two ordinary programs read and
/// command, and iotrail prints each trace as it completes. Ends with a summary; exit status 0 only if
/// whole traces were built.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// End after so many seconds.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) seconds: u64,
    /// Go on until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Export there too: a path for OTLP JSON lines, or any destination of `iotrail run`; repeatable.
    #[arg(long, value_name = "PATH|DEST")]
    pub(crate) export: Vec<String>,
    /// Use an iotrail that is not optimised: it builds sooner.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Run the programs without iotrail, to see that they work; needs no root.
    #[arg(long)]
    pub(crate) no_trace: bool,
    /// More arguments for `iotrail run`.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) more: Vec<String>,
}

impl Options {
    /// A short run of an optimised iotrail.
    pub(crate) fn for_test(seconds: u64) -> Self {
        Self { seconds, keep: false, export: Vec::new(), dev: false, no_trace: false, more: Vec::new() }
    }
}

/// Builds, then becomes the demo.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    // Replacing this process leaves nobody between the terminal and the demo, which then gets every signal itself.
    let err = prepare(workspace, &options)?.exec();
    bail!("cannot start the demo: {err}")
}

/// Sets up and builds; the command that then shows the demo.
pub(crate) fn prepare(workspace: &Workspace, options: &Options) -> Result<Command> {
    let Options { seconds, keep, export, dev, no_trace, more } = options;
    if !no_trace {
        setup::must_be_root("the demo", "demo")?;
    }
    let toolchain = setup::ensure(workspace, Level::Demo)?;
    // What is watched may be as slow as it likes, and builds sooner so.
    let programs = programs(workspace, false)?;
    let mut demo = Command::new(programs.join("demo"));
    demo.current_dir(&workspace.root).arg("--folder").arg(workspace.own("demo"));
    demo.args(["--seconds", &seconds.to_string()]);
    if !no_trace {
        let building = build::Options { release: !dev, quiet: true, ..build::Options::default() };
        demo.arg("--iotrail").arg(build::all(workspace, &toolchain, &building)?);
    }
    if *keep {
        demo.arg("--keep");
    }
    for destination in export {
        demo.arg("--export").arg(destination);
    }
    if !more.is_empty() {
        demo.arg("--").args(more);
    }
    Ok(demo)
}

/// Builds the programs of the tests, the demo and the benchmarks; their folder.
pub(crate) fn programs(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    build_programs(workspace, release, &["--package", "tracer-tests", "--bins"])
}

/// Builds what cargo is told with `which`; the folder of the programs.
pub(crate) fn build_programs(workspace: &Workspace, release: bool, which: &[&str]) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.arg("build").args(which);
    if release {
        cargo.arg("--release");
    }
    cmd::quiet(workspace, "building the programs that are traced", "build-programs", &mut cargo)?;
    Ok(workspace.target.join(if release { "release" } else { "debug" }))
}
