//! Device trees: what QEMU describes of its machine, and more devices.

use crate::{cmd, workspace::Workspace};
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The tree that `qemu`, the command for the machine as it is (with the option that dumps it into `base`), has, with what
/// `more` says: text in the form of `dtc`, which may refer to nodes by path. In `folder`.
///
/// # Errors
/// When QEMU or `dtc` fails.
pub(super) fn extended(
    workspace: &Workspace,
    mut qemu: Command,
    base: &Path,
    more: &Path,
    folder: &Path,
) -> Result<PathBuf> {
    cmd::quiet(workspace, "asking QEMU for its device tree", "vm-tree", &mut qemu)?;
    let (text, tree) = (folder.join("tree.dts"), folder.join("tree.dtb"));
    let dtc = |from: &str, to: &str, output: &Path, input: &Path| {
        let mut dtc = Command::new("dtc");
        dtc.args(["-q", "-I", from, "-O", to, "-o"]).arg(output).arg(input);
        cmd::quiet(workspace, "compiling a device tree", "vm-tree", &mut dtc)
    };
    dtc("dtb", "dts", &text, base)?;
    let mut whole = fs::read_to_string(&text).context("cannot read the machine's device tree")?;
    whole += &fs::read_to_string(more).with_context(|| format!("cannot read {}", workspace.short(more)))?;
    fs::write(&text, whole).context("cannot write the device tree")?;
    dtc("dts", "dtb", &tree, &text)?;
    Ok(tree)
}
