//! Programs for the guests: iotrail without its debugging information, the small C programs, and clients of the live tests.

use crate::{arch::Arch, build, cmd, setup::brokers, workspace::Workspace};
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::Path, process::Command};

/// What the guests' programs are compiled with.
const FLAGS: [&str; 4] = ["-O1", "-Wall", "-Wextra", "-Werror"];
/// So that they need nothing of the guest's.
const ALONE: &str = "-static";

/// Compiles `tests/vm/c/NAME.c` to `to/NAME`; for `NAME32` the same source, for 32 bits. A `dynamic` one needs the guest's C
/// library.
///
/// # Errors
/// When there is no such source or it does not compile.
pub(super) fn compile(workspace: &Workspace, arch: Arch, name: &str, dynamic: bool, to: &Path) -> Result<()> {
    let (source, bits32) = match name.strip_suffix("32") {
        Some(source) => (source, true),
        None => (name, false),
    };
    let source = workspace.root.join(format!("tests/vm/c/{source}.c"));
    ensure!(source.is_file(), "{} is missing", workspace.short(&source));
    let mut compiler = compiler(arch, bits32);
    compiler.args(FLAGS);
    if !dynamic {
        compiler.arg(ALONE);
    }
    compiler.arg("-o").arg(to.join(name)).arg(&source);
    cmd::quiet(workspace, &format!("compiling {name} for {arch}"), "vm-programs", &mut compiler)
}

fn compiler(arch: Arch, bits32: bool) -> Command {
    match (arch, bits32) {
        (Arch::Amd64, true) if Arch::HOST == Arch::Amd64 => {
            let mut gcc = Command::new("gcc");
            // The kernel's headers are those of 64 bits: they do for both.
            gcc.args(["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]);
            gcc
        }
        (Arch::Amd64, true) => Command::new("i686-linux-gnu-gcc"),
        (Arch::Arm64, true) => Command::new("arm-linux-gnueabihf-gcc"),
        (_, false) => Command::new(tool(arch, "gcc")),
    }
}

/// A tool of gcc's or binutils' for an architecture: the machine's own has no prefix.
fn tool(arch: Arch, name: &str) -> String {
    if arch == Arch::HOST { name.to_owned() } else { format!("{}-{name}", arch.gnu()) }
}

/// Compiles `tests/it/tls/clients/NAME.go` to `to/NAME`.
///
/// # Errors
/// When there is no such source or it does not compile.
pub(super) fn compile_go(workspace: &Workspace, arch: Arch, name: &str, to: &Path) -> Result<()> {
    let source = workspace.root.join(format!("tests/it/tls/clients/{name}.go"));
    ensure!(source.is_file(), "{} is missing", workspace.short(&source));
    // Go's name of an architecture is Debian's.
    let mut go = brokers::go();
    go.env("CGO_ENABLED", "0").env("GOOS", "linux").env("GOARCH", arch.debian());
    go.args(["build", "-o"]).arg(to.join(name)).arg(&source);
    cmd::quiet(workspace, &format!("compiling {name}.go for {arch}"), "vm-programs", &mut go)
}

/// Builds Rust programs of the live tests to `to`: with their symbols, without their debugging information.
///
/// # Errors
/// When one does not compile.
pub(super) fn clients(workspace: &Workspace, arch: Arch, names: &[String], to: &Path) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let folder = build::clients(workspace, arch, names)?;
    names.iter().try_for_each(|name| strip(&folder.join(name), arch, &to.join(name)))
}

/// Copies a program without its debugging information, which a guest would only have to load.
///
/// # Errors
/// When that fails.
pub(super) fn strip(program: &Path, arch: Arch, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a program without a folder")?)
        .context("cannot create the folder for programs")?;
    cmd::loud(Command::new(tool(arch, "strip")).arg("--strip-debug").arg("-o").arg(to).arg(program))
}
