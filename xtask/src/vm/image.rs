//! What a guest starts from: an archive of Debian packages, and on top of it its modules and its init.

use super::kernel::Kernel;
use crate::{setup::archive::Archive, workspace::Workspace};
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

/// In every guest: its shell and tools, and the libraries that iotrail is linked with.
const PACKAGES: [&str; 3] = ["busybox-static", "libc6", "libgcc-s1"];
/// In every guest: what the folder shared with the host needs.
const MODULES: [&str; 3] = ["virtio_pci", "9pnet_virtio", "9p"];
/// Parts of packages that no guest looks at, and that would only take time to load.
const IDLE: [&str; 8] = ["doc", "man", "locale", "info", "lintian", "bug", "icons", "perl"];
/// Alignment of archives that are put one after another (Documentation/driver-api/early-userspace/buffer-format.rst).
const ALIGN: usize = 4;

/// Makes the archive that the kernel unpacks as its first file system: packages, modules, `init`. Returns its path.
///
/// `loaded` modules are inserted before the guest's script starts, `packed` ones are there for it to insert.
///
/// # Errors
/// When packages or modules cannot be had, or files not be written.
pub(super) fn build(
    workspace: &Workspace,
    archive: &Archive<'_>,
    kernel: &Kernel,
    wanted: &Wanted<'_>,
    folder: &Path,
) -> Result<PathBuf> {
    let base = base(workspace, archive, wanted.packages)?;
    let top = folder.join("image");
    if top.exists() {
        fs::remove_dir_all(&top).context("cannot remove the last image")?;
    }
    fs::create_dir_all(&top).context("cannot create the image's folder")?;
    let mut names: Vec<String> = MODULES.iter().map(|name| (*name).to_owned()).collect();
    names.extend_from_slice(wanted.loaded);
    let list = names.join("\n") + "\n";
    names.extend_from_slice(wanted.packed);
    let missing = kernel.copy_modules(&names, &top)?;
    ensure!(missing.is_empty(), "kernel {} has no module {}", kernel.release, missing.join(", "));
    fs::write(top.join("modules"), list).context("cannot write the list of modules")?;
    let init = top.join("init");
    fs::copy(workspace.root.join("tests/vm/init.sh"), &init).context("cannot copy tests/vm/init.sh")?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).context("cannot make init a program")?;
    let mut whole = fs::read(&base).with_context(|| format!("cannot read {}", base.display()))?;
    whole.resize(whole.len().next_multiple_of(ALIGN), 0);
    whole.append(&mut pack(&top)?);
    let image = folder.join("initrd");
    fs::write(&image, whole).with_context(|| format!("cannot write {}", image.display()))?;
    fs::remove_dir_all(&top).context("cannot remove the image's folder")?;
    Ok(image)
}

/// What is wanted in a guest.
pub(super) struct Wanted<'a> {
    /// Debian packages.
    pub(super) packages: &'a [String],
    /// Modules to be inserted.
    pub(super) loaded: &'a [String],
    /// Modules only to be there.
    pub(super) packed: &'a [String],
}

/// The archive of a set of packages, made once.
fn base(workspace: &Workspace, archive: &Archive<'_>, packages: &[String]) -> Result<PathBuf> {
    let names: BTreeSet<String> =
        PACKAGES.iter().map(|name| (*name).to_owned()).chain(packages.iter().cloned()).collect();
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    let folder = workspace.target.join("vm/bases");
    let name = format!("{}-{:016x}", archive.arch(), hasher.finish());
    let file = folder.join(format!("{name}.cpio"));
    if file.is_file() {
        return Ok(file);
    }
    let tree = folder.join(&name);
    if tree.exists() {
        fs::remove_dir_all(&tree).context("cannot remove half a base")?;
    }
    // As an installed Debian has them; packages still name the old places.
    for merged in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(tree.join("usr").join(merged)).context("cannot create the base")?;
        symlink(format!("usr/{merged}"), tree.join(merged)).context("cannot create the base")?;
    }
    let names: Vec<String> = names.into_iter().collect();
    archive.unpack(&names, true, &tree)?;
    for idle in IDLE {
        let idle = tree.join("usr/share").join(idle);
        if idle.is_dir() {
            fs::remove_dir_all(idle).context("cannot remove a package's documents")?;
        }
    }
    for mount in ["proc", "sys", "dev", "run", "tmp", "root", "etc", "var/lib", "t", "host", "busybox"] {
        fs::create_dir_all(tree.join(mount)).context("cannot create the base's folders")?;
    }
    // Unpacked packages have not run the scripts that make these.
    let write = |name: &str, text: &str| {
        fs::write(tree.join("etc").join(name), text)
            .with_context(|| format!("cannot write the guest's {name}"))
    };
    write("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
    write("group", "root:x:0:\naudio:x:29:root\nnogroup:x:65534:\n")?;
    write("hosts", "127.0.0.1 localhost vm\n::1 localhost\n")?;
    if !tree.join("usr/bin/sh").exists() {
        symlink("busybox", tree.join("usr/bin/sh")).context("cannot link the guest's shell")?;
    }
    let half = file.with_extension("half");
    fs::write(&half, pack(&tree)?)
        .and_then(|()| fs::rename(&half, &file))
        .with_context(|| format!("cannot write {}", file.display()))?;
    fs::remove_dir_all(&tree).context("cannot remove the unpacked base")?;
    Ok(file)
}

/// The folder as an archive that the kernel understands, all of it root's.
fn pack(folder: &Path) -> Result<Vec<u8>> {
    let script = "find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --create --format=newc --owner=0:0";
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output();
    let output = output.context("cannot start sh")?;
    if !output.status.success() {
        std::io::stderr().write_all(&output.stderr).context("cannot show what cpio says")?;
    }
    ensure!(output.status.success() && !output.stdout.is_empty(), "cpio failed ({})", output.status);
    Ok(output.stdout)
}
