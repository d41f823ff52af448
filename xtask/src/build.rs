//! `cargo xtask build`: the kernel programs, then the `iotrail` program that embeds them.

use crate::{
    arch::Arch,
    cmd,
    setup::{self, Level},
    toolchain::{self, Toolchain},
    workspace::Workspace,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

mod cross;
mod strip;

/// Tells the user crate's build where the object is when it is not in the repository's own target folder.
const OBJECT_VARIABLE: &str = "IOTRAIL_BPF_OBJECT";

/// Build the kernel programs and the iotrail program
///
/// The object of the kernel programs goes to `target/bpf/iotrail.bpf.o` and is embedded in the program.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Optimise (the kernel programs always are).
    #[arg(long)]
    pub(crate) release: bool,
    /// Build for another architecture, e.g. aarch64-unknown-linux-gnu.
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,
    /// Show only failures.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Sets up, builds, and says where the program is.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let other = options.target.as_deref().and_then(Arch::of_triple).is_some_and(|arch| arch != Arch::HOST);
    let toolchain = setup::ensure(workspace, if other { Level::Cross } else { Level::Build })?;
    let binary = all(workspace, &toolchain, &options)?;
    eprintln!("built {}", workspace.short(&binary));
    Ok(())
}

/// Builds all; returns the program's path.
pub(crate) fn all(workspace: &Workspace, toolchain: &Toolchain, options: &Options) -> Result<PathBuf> {
    let arch = match options.target.as_deref() {
        None => env::consts::ARCH,
        Some(triple) => triple.split('-').next().unwrap_or(triple),
    };
    let place = workspace.bpf_object(arch);
    object(workspace, toolchain, arch, &place, options.quiet)?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "iotrail"]);
    if options.release {
        cargo.arg("--release");
    }
    let mut folder = workspace.target.clone();
    if let Some(triple) = &options.target {
        cross::target(workspace, &mut cargo, triple)?;
        folder.push(triple);
    }
    say_object(workspace, &mut cargo, &place);
    if options.quiet {
        cmd::quiet(workspace, "building iotrail", "build-iotrail", &mut cargo)?;
    } else {
        cmd::loud(&mut cargo)?;
    }
    Ok(folder.join(if options.release { "release" } else { "debug" }).join("iotrail"))
}

/// Builds programs of the package of the tests for an architecture, not optimised; the folder that they are in.
pub(crate) fn clients(workspace: &Workspace, arch: Arch, names: &[String]) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "tracer-tests"]);
    cargo.args(names.iter().flat_map(|name| ["--bin", name]));
    let mut folder = workspace.target.clone();
    if arch != Arch::HOST {
        cross::target(workspace, &mut cargo, arch.triple())?;
        folder.push(arch.triple());
    }
    cmd::quiet(workspace, &format!("building clients for {arch}"), "build-clients", &mut cargo)?;
    Ok(folder.join("debug"))
}

/// Says where the object is to a cargo that builds the user crate, which looks in the repository's own target folder by
/// itself: only another place has to be said.
pub(crate) fn say_object(workspace: &Workspace, cargo: &mut Command, place: &Path) {
    if place != workspace.root.join("target/bpf/iotrail.bpf.o") {
        cargo.env(OBJECT_VARIABLE, place);
    }
}

/// Builds the kernel programs; the object's file changes only if its bytes do, so that cargo rebuilds no more than it must.
fn object(workspace: &Workspace, toolchain: &Toolchain, arch: &str, place: &Path, quiet: bool) -> Result<()> {
    let folder = workspace.root.join("tracer-ebpf");
    ensure!(
        folder.join("Cargo.toml").is_file(),
        "tracer-ebpf/Cargo.toml is missing: nothing to build for the kernel"
    );
    let mut cargo = toolchain.cargo_build(workspace, &folder, &workspace.target.join("bpf/cargo"), arch);
    cargo.arg("--message-format=json-render-diagnostics");
    if quiet {
        cargo.arg("--quiet");
    }
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo for the kernel programs")?;
    if !output.status.success() {
        bail!("building the kernel programs in tracer-ebpf failed ({})", output.status);
    }
    let built = executable(&String::from_utf8_lossy(&output.stdout))
        .context("cargo built no program in tracer-ebpf: it needs one binary")?;
    toolchain::check_object(&built)?;
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let bytes = strip::strip(&bytes)?;
    if fs::read(place).is_ok_and(|last| last == bytes) {
        return Ok(());
    }
    // Renamed into its place, so that a build going on beside this one never embeds half of it.
    let half = place.with_extension("half");
    fs::create_dir_all(place.parent().context("the object has no folder")?)
        .and_then(|()| fs::write(&half, bytes))
        .and_then(|()| fs::rename(&half, place))
        .with_context(|| format!("cannot write {}", place.display()))
}

/// The path of the program in cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_program_among_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\nnoise\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/probes\"}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/probes")));
        assert_eq!(executable("{\"executable\":null}\n"), None);
    }
}
