//! Building for the other architecture: its linker and its standard library.
//!
//! The standard library is rustup's where rustup can get it; else Debian's, beside Debian's own compiler, which then builds all.

use crate::{arch::Arch, cmd, setup::archive::Archive, workspace::Workspace};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// Debian's compiler, of the same packages as the one for the kernel programs.
const RUSTC: &str = "/usr/bin/rustc";
/// Debian's package of the standard library.
const LIBRARY: &str = "libstd-rust-web-dev";

/// Tells cargo to build for `triple`; for the other architecture also with which compiler, library and linker.
///
/// # Errors
/// When iotrail does not know the architecture, or there is no standard library for it to be had.
pub(super) fn target(workspace: &Workspace, cargo: &mut Command, triple: &str) -> Result<()> {
    let Some(arch) = Arch::of_triple(triple) else {
        bail!(
            "cannot build for {triple}: the kernel programs know {} and {}",
            Arch::HOST.triple(),
            Arch::HOST.other().triple()
        );
    };
    cargo.args(["--target", triple]);
    if arch == Arch::HOST {
        return Ok(());
    }
    let variable = |name: &str| format!("CARGO_TARGET_{}_{name}", triple.to_uppercase().replace('-', "_"));
    cargo.env(variable("LINKER"), format!("{}-gcc", arch.gnu()));
    if rustups(workspace, triple) {
        return Ok(());
    }
    let sysroot = debians(workspace, arch).with_context(|| {
        format!("no standard library for {triple}, neither by `rustup target add {triple}` nor from Debian")
    })?;
    // The flags are those of the target alone, because there is a `--target`.
    cargo.env("RUSTC", RUSTC).env(variable("RUSTFLAGS"), format!("--sysroot {}", sysroot.display()));
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(())
}

/// Whether the compiler of all else has a standard library for `triple`, or rustup could add it.
fn rustups(workspace: &Workspace, triple: &str) -> bool {
    let there = || {
        let folder = cmd::answer(workspace.rustc().args(["--print", "target-libdir", "--target", triple]));
        folder.is_some_and(|folder| Path::new(&folder).is_dir())
    };
    if there() {
        return true;
    }
    if cmd::which("rustup").is_none() {
        return false;
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", triple]);
    let doing = format!("adding the standard library for {triple}");
    let added = cmd::logged(workspace, &doing, "rustup-target", &mut rustup);
    added.is_ok_and(|status| status.success()) && there()
}

/// A folder in which Debian's compiler finds its own libraries and those for `arch`.
fn debians(workspace: &Workspace, arch: Arch) -> Result<PathBuf> {
    ensure!(Path::new(RUSTC).is_file(), "no {RUSTC}: install Debian's package rustc-web");
    let package = ["--show", "--showformat=${Version}", "rustc-web"];
    let version = cmd::answer(Command::new("dpkg-query").args(package))
        .filter(|version| !version.is_empty())
        .with_context(|| format!("{RUSTC} is not of Debian's package rustc-web"))?;
    let place = workspace.target.join("tools").join(format!("sysroot-{arch}"));
    let stamp = place.join("version");
    if fs::read_to_string(&stamp).is_ok_and(|last| last == version) {
        return Ok(place);
    }
    if place.exists() {
        fs::remove_dir_all(&place).context("cannot remove the last libraries")?;
    }
    let packages = place.join("packages");
    let archive = Archive::open(workspace, arch)?;
    // Compiler and library understand each other only if they are of one version.
    archive.unpack(&[format!("{LIBRARY}={version}")], false, &packages)?;
    let libraries = place.join("lib/rustlib");
    fs::create_dir_all(&libraries).context("cannot create the folder for libraries")?;
    for (triple, from) in [
        (arch.triple(), packages.join("usr/lib/rustlib").join(arch.triple())),
        (Arch::HOST.triple(), Path::new("/usr/lib/rustlib").join(Arch::HOST.triple())),
    ] {
        ensure!(from.is_dir(), "{} is missing in Debian's packages", from.display());
        symlink(&from, libraries.join(triple)).context("cannot link the libraries")?;
    }
    fs::write(&stamp, version).context("cannot note the libraries' version")?;
    Ok(place)
}
