//! Which headers are read: those of the packages that the set-up installs.

use crate::cmd;
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::PathBuf, process::Command};

/// Where the headers of the last of [`PACKAGES`] are.
pub(super) const ARM64: &str = "/usr/aarch64-linux-gnu/include";

/// The packages, and in which folder those of their headers are that are read.
///
/// `linux-libc-dev` leaves the kernel's `scsi/` headers to `libc6-dev` and its `drm/` ones to libdrm, which has only some
/// of them; the package for cross compilers has them all, and arm64's `asm/kvm.h`. It is for every architecture, and
/// small.
pub(crate) const PACKAGES: [(&str, &str, &str); 3] = [
    (
        "linux-libc-dev",
        "the kernel's headers, which the tables of ioctl names are checked against",
        "/usr/include/",
    ),
    ("libc6-dev", "the headers of SCSI for the same tables", "/usr/include/scsi/"),
    (
        "linux-libc-dev-arm64-cross",
        "the headers of graphics drivers for the same tables",
        "/usr/aarch64-linux-gnu/include/drm/",
    ),
];

/// A package and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Version {
    pub(super) package: &'static str,
    pub(super) version: String,
}

/// A header.
pub(super) struct File {
    /// As programs include it: `linux/loop.h`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What is installed.
pub(super) struct Installed {
    pub(super) versions: Vec<Version>,
    /// Sorted by name.
    pub(super) headers: Vec<File>,
}

impl Installed {
    /// Asks dpkg, and reads every header that may define commands.
    pub(super) fn find() -> Result<Self> {
        let mut versions = Vec::new();
        let mut headers = Vec::new();
        for (package, _, folder) in PACKAGES {
            let version = query(&["--show", "--showformat=${Version}", package])?;
            versions.push(Version { package, version });
            // Packages that exist for several architectures are listed once.
            let list = query(&["--listfiles", package])?;
            for path in list.lines().filter(|path| path.ends_with(".h") && path.starts_with(folder)) {
                let Some(name) = name(path) else { continue };
                let text = fs::read(path).with_context(|| format!("cannot read {path}"))?;
                let text = String::from_utf8_lossy(&text).into_owned();
                headers.push(File { name, path: path.into(), text });
            }
        }
        headers.sort_by(|a, b| a.name.cmp(&b.name));
        ensure!(!headers.is_empty(), "no kernel headers below /usr/include");
        Ok(Self { versions, headers })
    }
}

fn query(arguments: &[&str]) -> Result<String> {
    cmd::answer(Command::new("dpkg-query").args(arguments)).with_context(|| {
        format!(
            "`dpkg-query {}` failed: the tables are made from Debian's header packages",
            arguments.join(" ")
        )
    })
}

/// The name by which programs know the header.
fn name(path: &str) -> Option<String> {
    let inside =
        [ARM64, "/usr/include"].iter().find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'))?;
    // `x86_64-linux-gnu/asm/kvm.h` is `asm/kvm.h`.
    let (top, rest) = inside.split_once('/')?;
    Some(if top.contains("-linux-") { rest } else { inside }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_by_the_name_that_programs_include() {
        for (path, expected) in [
            ("/usr/include/linux/spi/spidev.h", Some("linux/spi/spidev.h")),
            ("/usr/include/x86_64-linux-gnu/asm/kvm.h", Some("asm/kvm.h")),
            ("/usr/aarch64-linux-gnu/include/drm/i915_drm.h", Some("drm/i915_drm.h")),
            ("/usr/share/doc/x.h", None),
        ] {
            assert_eq!(name(path).as_deref(), expected, "{path}");
        }
    }
}
