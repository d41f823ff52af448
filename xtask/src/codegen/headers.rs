//! Which headers are read: those of the packages that the set-up installs.

use crate::cmd;
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::PathBuf, process::Command};

/// The packages, and in which of their folders their headers are.
///
/// `libc6-dev` has the kernel's `scsi/` headers, which `linux-libc-dev` leaves to it; `libdrm-dev` the `drm/` ones.
pub(crate) const PACKAGES: [(&str, &str, &str); 3] = [
    ("linux-libc-dev", "the kernel's headers, which the tables of ioctl names are checked against", ""),
    ("libc6-dev", "the headers of SCSI for the same tables", "/usr/include/scsi/"),
    ("libdrm-dev", "the headers of graphics drivers for the same tables", "/usr/include/libdrm/"),
];

/// A package and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Version {
    pub(super) package: &'static str,
    pub(super) version: String,
}

/// A header.
pub(super) struct File {
    /// As programs include it: `linux/loop.h`; those of libdrm as the kernel has them: `drm/drm.h`.
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

/// The name by which programs know the header; `None` for those of libdrm's own library.
fn name(path: &str) -> Option<String> {
    let inside = path.strip_prefix("/usr/include/")?;
    if let Some(drm) = inside.strip_prefix("libdrm/") {
        return drm.ends_with("drm.h").then(|| format!("drm/{drm}"));
    }
    // `x86_64-linux-gnu/asm/kvm.h` is `asm/kvm.h`.
    let name = inside.split_once('/').map_or(
        inside,
        |(top, rest)| {
            if top.contains("-linux-") { rest } else { inside }
        },
    );
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_by_the_name_that_programs_include() {
        for (path, expected) in [
            ("/usr/include/linux/spi/spidev.h", Some("linux/spi/spidev.h")),
            ("/usr/include/x86_64-linux-gnu/asm/kvm.h", Some("asm/kvm.h")),
            ("/usr/include/libdrm/i915_drm.h", Some("drm/i915_drm.h")),
            ("/usr/include/libdrm/radeon_cs.h", None),
            ("/usr/share/doc/x.h", None),
        ] {
            assert_eq!(name(path).as_deref(), expected, "{path}");
        }
    }
}
