//! Debian packages of any architecture, unpacked into a folder of ours: nothing of the system is touched.
//!
//! apt-get is given its own lists, cache and (empty) idea of what is installed; where the archive is, it is told as the system
//! has it.

use crate::{arch::Arch, cmd, workspace::Workspace};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The release that the packages are of.
const RELEASE: &str = "bookworm";
/// Who signs it.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's packages of one architecture.
pub(crate) struct Archive<'a> {
    workspace: &'a Workspace,
    arch: Arch,
    folder: PathBuf,
}

impl<'a> Archive<'a> {
    /// Opens it; fetches the lists of packages if there are none yet.
    ///
    /// # Errors
    /// Without apt-get, without Debian 12 among its sources, or when the lists cannot be had.
    pub(crate) fn open(workspace: &'a Workspace, arch: Arch) -> Result<Self> {
        ensure!(
            cmd::which("apt-get").is_some(),
            "no apt-get: packages for {arch} come from Debian's archive, so this works on Debian only"
        );
        let archive = Self { workspace, arch, folder: workspace.target.join("vm/apt").join(arch.debian()) };
        let folder = &archive.folder;
        for inside in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(inside))
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(folder.join("status"), "").context("cannot write apt-get's status")?;
        fs::write(folder.join("sources.list"), sources()?).context("cannot write apt-get's sources")?;
        if !folder.join("fetched").is_file() {
            archive.update()?;
        }
        Ok(archive)
    }

    /// Which architecture.
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    fn update(&self) -> Result<()> {
        let mut get = self.apt("apt-get");
        get.args(["update", "-oAPT::Update::Error-Mode=any"]);
        let doing = format!("updating the list of Debian packages for {}", self.arch);
        cmd::quiet(self.workspace, &doing, "archive-update", &mut get)?;
        fs::write(self.folder.join("fetched"), "").context("cannot note that the lists are there")
    }

    /// apt-get or apt-cache on this archive.
    fn apt(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.env("LC_ALL", "C").arg("--quiet");
        let arch = self.arch;
        let path = |inside: &str| self.folder.join(inside).display().to_string();
        for option in [
            format!("APT::Architecture={arch}"),
            format!("APT::Architectures::={arch}"),
            "APT::Install-Recommends=false".to_owned(),
            // Runs as whoever runs this, in folders that the system's own user for it cannot write.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Debug::NoLocking=true".to_owned(),
            format!("Dir::Etc::sourcelist={}", path("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferences=-".to_owned(),
            "Dir::Etc::preferencesparts=-".to_owned(),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::State::status={}", path("status")),
            format!("Dir::Cache={}", path("cache")),
        ] {
            apt.arg(format!("-o{option}"));
        }
        apt
    }

    /// The names of all packages that start so.
    pub(crate) fn names(&self, start: &str) -> Vec<String> {
        let names = cmd::answer(self.apt("apt-cache").args(["pkgnames", start]));
        names.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Downloads packages, alone or with all that they depend on, and unpacks them below `to`.
    ///
    /// # Errors
    /// When one is not there or cannot be downloaded, also from fresh lists.
    pub(crate) fn unpack(&self, names: &[String], dependencies: bool, to: &Path) -> Result<()> {
        let downloads = self.folder.join("downloads");
        let what = match names {
            [one] => one.clone(),
            _ => format!("{} packages", names.len()),
        };
        let doing = format!("downloading {what} for {}", self.arch);
        let get = || -> Result<Command> {
            if downloads.exists() {
                fs::remove_dir_all(&downloads).context("cannot clear the folder for downloads")?;
            }
            fs::create_dir_all(downloads.join("partial"))
                .context("cannot create the folder for downloads")?;
            let mut get = self.apt("apt-get");
            get.current_dir(&downloads);
            if dependencies {
                get.arg(format!("-oDir::Cache::archives={}", downloads.display()));
                get.args(["install", "--yes", "--download-only"]);
            } else {
                get.arg("download");
            }
            get.args(names);
            Ok(get)
        };
        if !cmd::logged(self.workspace, &doing, "archive-download", &mut get()?)?.success() {
            // The archive forgets old versions; the lists may be older.
            self.update()?;
            cmd::quiet(self.workspace, &doing, "archive-download", &mut get()?)?;
        }
        let mut unpacked = 0;
        for file in fs::read_dir(&downloads).context("cannot read the folder for downloads")? {
            let file = file.context("cannot read the folder for downloads")?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                one(&file, to)?;
                unpacked += 1;
            }
        }
        ensure!(unpacked > 0, "apt-get downloaded nothing for {what}");
        fs::remove_dir_all(&downloads).context("cannot remove the downloads")
    }
}

/// Unpacks one package; where its folders are links in `to`, they stay links.
fn one(package: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let script = "set -e; dpkg-deb --fsys-tarfile \"$1\" | tar -x --keep-directory-symlink -C \"$2\"";
    let status = Command::new("sh").args(["-c", script, "sh"]).arg(package).arg(to).status();
    if !status.context("cannot start sh")?.success() {
        bail!("cannot unpack {}", package.display());
    }
    Ok(())
}

/// The system's own sources of this Debian, for apt-get.
fn sources() -> Result<String> {
    let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";
    let list = cmd::answer(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]));
    let mut sources: Vec<String> = list.unwrap_or_default().lines().filter_map(source).collect();
    sources.sort();
    sources.dedup();
    ensure!(
        !sources.is_empty(),
        "no Debian 12 ({RELEASE}) among apt-get's sources: packages for virtual machines and other \
         architectures come from there"
    );
    Ok(sources.concat())
}

/// A line of a sources.list for one of apt-get's index files, if it is one of Debian's own of this release.
fn source(target: &str) -> Option<String> {
    let mut parts = target.split('|');
    let (uri, release, component, origin) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let suites = [String::new(), "-updates".to_owned(), "-security".to_owned()];
    let suite = suites.iter().any(|suffix| release == format!("{RELEASE}{suffix}"));
    // Unknown before the system's own lists were fetched.
    let debian = origin == "Debian" || origin.is_empty() || origin.starts_with('$');
    (suite && component == "main" && debian)
        .then(|| format!("deb [signed-by={KEYRING}] {uri} {release} {component}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debians_own_sources_of_the_release_are_taken() {
        let taken = source("mirror://m/debian/|bookworm-security|main|Debian").unwrap();
        assert_eq!(taken, format!("deb [signed-by={KEYRING}] mirror://m/debian/ bookworm-security main\n"));
        assert!(source("mirror://m/debian/|bookworm|main|$(ORIGIN)").is_some());
        for other in [
            "mirror://m/|bookworm|main|Somebody",
            "mirror://m/|bookworm|contrib|Debian",
            "mirror://m/|trixie|main|Debian",
            "mirror://m/|bookworm-backports|main|Debian",
            "",
        ] {
            assert_eq!(source(other), None, "{other}");
        }
    }
}
