//! Debian's kernels: the newest image of a series, and its modules.

use crate::{cmd, setup::archive::Archive, workspace::Workspace};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A kernel image with all its modules, unpacked.
pub(super) struct Kernel {
    folder: PathBuf,
    /// What `uname -r` says in it.
    pub(super) release: String,
}

impl Kernel {
    /// The kernel of a series such as `6.1`; downloaded if there is none yet.
    ///
    /// # Errors
    /// When Debian has none, or it cannot be downloaded.
    pub(super) fn get(workspace: &Workspace, archive: &Archive<'_>, series: &str) -> Result<Self> {
        let folder = workspace.target.join(format!("vm/kernels/{}-{series}", archive.arch()));
        let stamp = folder.join("release");
        if let Ok(release) = fs::read_to_string(&stamp) {
            return Ok(Self { folder, release });
        }
        let arch = archive.arch();
        let names = archive.names(&format!("linux-image-{series}."));
        let newest = names
            .into_iter()
            .filter_map(|name| Some((version(&name, series, arch.debian())?, name)))
            .max()
            .with_context(|| format!("Debian has no kernel {series} for {arch} (see `--kernel`)"))?
            .1;
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot remove half a kernel")?;
        }
        archive.unpack(&[newest], false, &folder)?;
        // Where Debian has merged /lib into /usr, the tools for modules still look in /lib.
        if !folder.join("lib/modules").is_dir() {
            std::os::unix::fs::symlink("usr/lib", folder.join("lib")).context("cannot link the modules")?;
        }
        let image = fs::read_dir(folder.join("boot"))
            .context("the kernel's package has no /boot")?
            .filter_map(|file| file.ok()?.file_name().into_string().ok())
            .find_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned));
        let release = image.context("the kernel's package has no image")?;
        depmod(&folder, &release)?;
        fs::write(&stamp, &release).context("cannot note the kernel's release")?;
        Ok(Self { folder, release })
    }

    /// The image to boot.
    pub(super) fn image(&self) -> PathBuf {
        self.folder.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Copies modules and what they depend on below `root`, with what modprobe has to know; the names that this kernel does not have.
    ///
    /// # Errors
    /// When copying or unpacking fails.
    pub(super) fn copy_modules(&self, names: &[String], root: &Path) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        let mut files = Vec::new();
        for name in names {
            let mut modprobe = Command::new(program("modprobe")?);
            modprobe.args(["--show-depends", "--ignore-install", "--set-version", &self.release]);
            let answer = cmd::answer(modprobe.arg("--dirname").arg(&self.folder).arg(name));
            match answer {
                Some(lines) => files.extend(lines.lines().filter_map(insmod).map(PathBuf::from)),
                None => missing.push(name.clone()),
            }
        }
        files.sort();
        files.dedup();
        let modules = Path::new("lib/modules").join(&self.release);
        let to = root.join("usr").join(&modules);
        fs::create_dir_all(&to).context("cannot create the folder for modules")?;
        for file in &files {
            let inside = file.strip_prefix(self.folder.join(&modules)).context("a module elsewhere")?;
            let copy = to.join(inside);
            fs::create_dir_all(copy.parent().context("a module without a folder")?)
                .and_then(|()| fs::copy(file, &copy).map(drop))
                .with_context(|| format!("cannot copy {}", file.display()))?;
            if copy.extension().is_some_and(|extension| extension == "xz") {
                cmd::loud(Command::new(program("xz")?).arg("--decompress").arg(&copy))?;
            }
        }
        for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            let from = self.folder.join(&modules).join(list);
            if from.is_file() {
                fs::copy(&from, to.join(list)).with_context(|| format!("cannot copy {list}"))?;
            }
        }
        // depmod looks in /lib, which in the guest is a link that the archive must not replace.
        let link = root.join("lib");
        std::os::unix::fs::symlink("usr/lib", &link).context("cannot link the modules")?;
        depmod(root, &self.release)?;
        fs::remove_file(&link).context("cannot remove the link again")?;
        Ok(missing)
    }
}

/// The file in a line of `modprobe --show-depends`; none for `builtin NAME`.
fn insmod(line: &str) -> Option<&str> {
    line.strip_prefix("insmod ")?.split_whitespace().next()
}

fn program(name: &str) -> Result<PathBuf> {
    cmd::which(name).with_context(|| format!("no program {name}"))
}

fn depmod(root: &Path, release: &str) -> Result<()> {
    let mut depmod = Command::new(program("depmod")?);
    let status = depmod.arg("--basedir").arg(root).arg(release).status().context("cannot start depmod")?;
    ensure!(status.success(), "depmod failed ({status})");
    if !root.join("lib/modules").join(release).join("modules.dep").is_file() {
        bail!("depmod found no modules in {}", root.display());
    }
    Ok(())
}

/// The numbers of a plain kernel's version in its package's name: not those of its cloud, real-time and unsigned variants.
fn version(name: &str, series: &str, arch: &str) -> Option<Vec<u64>> {
    let middle = name
        .strip_prefix("linux-image-")?
        .strip_prefix(series)?
        .strip_prefix('.')?
        .strip_suffix(arch)?
        .strip_suffix('-')?;
    middle
        .split(['.', '-', '+'])
        .map(|part| part.strip_prefix("deb").or(part.strip_prefix("bpo")).unwrap_or(part).parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_newest_plain_kernel_of_a_series() {
        let of = |name| version(name, "6.12", "arm64");
        assert_eq!(of("linux-image-6.12.117+deb12-arm64"), Some(vec![117, 12]));
        assert!(of("linux-image-6.12.95+deb12-arm64") < of("linux-image-6.12.117+deb12-arm64"));
        assert_eq!(version("linux-image-6.1.0-49-amd64", "6.1", "amd64"), Some(vec![0, 49]));
        for other in [
            "linux-image-6.12.117+deb12-rt-arm64",
            "linux-image-6.12.117+deb12-arm64-unsigned",
            "linux-image-6.12.117+deb12-amd64",
            "linux-image-6.1.0-49-arm64",
            "linux-image-arm64",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn reads_what_modprobe_would_insert() {
        assert_eq!(insmod("insmod /k/a.ko.xz opt=1"), Some("/k/a.ko.xz"));
        assert_eq!(insmod("builtin configfs"), None);
    }
}
