//! Reads of `/sys`, `/dev` and `/proc` that come to an end whatever lies there: bounded, no device or pipe is opened,
//! bytes that are no text become replacement characters.

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::capture::{DeviceKind, DeviceNumber};

/// Bytes that are read of an attribute: the kernel gives out no more than a page of most.
const ATTRIBUTE_BYTES: usize = 4096;

/// Bytes that are read of a table such as `/proc/devices`; hosts with hundreds of drivers have a tenth of this.
const TABLE_BYTES: usize = 256 * 1024;

/// Characters that are kept of a name, model or serial number: the hardware's own limits are 126 (USB) and below.
const TEXT_CHARS: usize = 160;

/// Entries that are read of a folder: hosts with thousands of disks have so many.
const ENTRIES: usize = 16 * 1024;

/// Devices between a node and the root of the tree: ten or so behind a chain of hubs.
const DEPTH: usize = 64;

/// Where the kernel's trees are. Other roots than the real ones are for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysfs {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into(), proc: "/proc".into() }
    }
}

/// One device on the way from a node's up to the root of the tree.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// Its folder.
    pub(super) path: PathBuf,
    /// The folder's name.
    pub(super) name: String,
    /// Bus or class that it belongs to.
    pub(super) subsystem: String,
}

impl Level {
    /// An attribute's text.
    pub(super) fn text(&self, attribute: &str) -> Option<String> {
        text(&self.path.join(attribute))
    }

    /// Whether it has this attribute.
    pub(super) fn has(&self, attribute: &str) -> bool {
        fs::symlink_metadata(self.path.join(attribute)).is_ok()
    }

    /// A value of its `uevent` file.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        uevent(&self.path, key)
    }
}

impl Sysfs {
    /// The folder of a device; `None` if the kernel has no such device.
    pub(super) fn folder(&self, number: DeviceNumber) -> Option<PathBuf> {
        let root = fs::canonicalize(&self.sys).ok()?;
        // Loops of links are an error, so this ends.
        let folder = fs::canonicalize(self.entry(number)).ok()?;
        folder.starts_with(root).then_some(folder)
    }

    /// Changes when the number is given to another device, 0 if it is nobody's. One system call.
    pub(super) fn stamp(&self, number: DeviceNumber) -> u64 {
        fs::metadata(self.entry(number)).map_or(0, |metadata| metadata.ino())
    }

    fn entry(&self, number: DeviceNumber) -> PathBuf {
        self.sys.join("dev").join(folder_of(number.kind)).join(format!("{}:{}", number.major, number.minor))
    }

    /// Every device that has a number, in no order.
    #[must_use]
    pub fn numbers(&self) -> Vec<DeviceNumber> {
        let kinds = [DeviceKind::Char, DeviceKind::Block];
        let of_kind = |kind| {
            entries(&self.sys.join("dev").join(folder_of(kind))).into_iter().filter_map(move |name| {
                let (major, minor) = name.split_once(':')?;
                Some(DeviceNumber { kind, major: major.parse().ok()?, minor: minor.parse().ok()? })
            })
        };
        kinds.into_iter().flat_map(of_kind).collect()
    }

    /// The devices from `folder` upwards, itself first; folders that are no device are left out.
    pub(super) fn chain(&self, folder: &Path) -> Vec<Level> {
        let root = fs::canonicalize(self.sys.join("devices")).unwrap_or_else(|_| self.sys.join("devices"));
        let inside = folder.ancestors().take_while(|path| *path != root && path.starts_with(&root));
        let level = |path: &Path| {
            let subsystem = link_name(&path.join("subsystem"))?;
            Some(Level { path: path.to_owned(), name: lossy(path), subsystem })
        };
        inside.take(DEPTH).filter_map(level).collect()
    }

    /// Text of a file below `/proc`.
    pub(super) fn table(&self, name: &str) -> String {
        let bytes = read(&self.proc.join(name), TABLE_BYTES).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn folder_of(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Char => "char",
        DeviceKind::Block => "block",
    }
}

/// Last part of what a link points to.
pub(super) fn link_name(link: &Path) -> Option<String> {
    fs::read_link(link).ok().map(|target| lossy(&target)).filter(|name| !name.is_empty())
}

/// Last part of a path.
pub(super) fn lossy(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Names in a folder, sorted.
pub(super) fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(ENTRIES).flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// What an attribute says; `None` if it says nothing.
pub(super) fn text(path: &Path) -> Option<String> {
    clean(&read(path, ATTRIBUTE_BYTES)?)
}

/// The first bytes of a regular file, and of nothing else.
pub(super) fn read(path: &Path, most: usize) -> Option<Vec<u8>> {
    // To open a pipe would wait, to open a device might do something.
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A value of the `uevent` file in a device's folder.
pub(super) fn uevent(folder: &Path, key: &str) -> Option<String> {
    property(&read(&folder.join("uevent"), ATTRIBUTE_BYTES)?, key)
}

/// `KEY=value` in the text of a `uevent`.
fn property(uevent: &[u8], key: &str) -> Option<String> {
    let value = |line: &[u8]| clean(line.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?);
    uevent.split(|byte| *byte == b'\n').find_map(value)
}

/// A value as text: trimmed, of bounded length, without control characters.
pub(super) fn clean(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS)
        .collect();
    (!text.is_empty()).then_some(text)
}
