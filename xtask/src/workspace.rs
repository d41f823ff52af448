//! Where things are.

use anyhow::{Context as _, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The repository, its target folder and the cargo that runs this program.
pub(crate) struct Workspace {
    /// The repository's top folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder; everything that `xtask` writes is in there.
    pub(crate) target: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// Finds the repository from cargo's environment.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().context("xtask has no parent folder")?.to_owned();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        fs::create_dir_all(target.join("xtask"))
            .with_context(|| format!("cannot create {}", target.join("xtask").display()))?;
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root, target, cargo })
    }

    /// A cargo command in the repository's top folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root);
        command
    }

    /// A file of `xtask`'s own below the target folder.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// The compiler beside that cargo.
    pub(crate) fn rustc(&self) -> Command {
        let beside = Path::new(&self.cargo).with_file_name("rustc");
        Command::new(if beside.is_file() { beside } else { "rustc".into() })
    }

    /// The kernel programs' object for an architecture, as the user crate's build embeds it.
    pub(crate) fn bpf_object(&self, arch: &str) -> PathBuf {
        let folder = self.target.join("bpf");
        let folder = if arch == env::consts::ARCH { folder } else { folder.join(arch) };
        folder.join("iotrail.bpf.o")
    }

    /// A path as people want to read it: relative to the repository where it is inside.
    pub(crate) fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
