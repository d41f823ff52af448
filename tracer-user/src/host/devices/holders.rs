//! Which processes hold which device open, from `/proc/PID/fd`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags};

use super::sysfs::{Sysfs, entries, text};
use crate::model::capture::{DeviceKind, DeviceNumber};

/// File systems whose files may not answer: to ask them what they are would wait for another machine or program.
const REMOTE: &[&str] =
    &["nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "gfs2", "ocfs2", "autofs", "glusterfs", "lustre"];

/// Bytes that are read of a table of mounts: a host of containers has hundreds, of 200 bytes each.
const TABLE_BYTES: usize = 1 << 20;

/// A process that holds a device open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// By which descriptors.
    pub fds: Vec<u32>,
}

/// Who holds what, of the processes that may be looked at.
#[must_use]
pub fn holders(sysfs: &Sysfs) -> BTreeMap<DeviceNumber, Vec<Holder>> {
    let mut found: BTreeMap<DeviceNumber, Vec<Holder>> = BTreeMap::new();
    let mut mounts = Mounts::default();
    for pid in numbers(&sysfs.proc) {
        let process = sysfs.proc.join(pid.to_string());
        let mut comm = None;
        for fd in numbers(&process.join("fd")) {
            let Some(number) = device(sysfs, &process, fd, &mut mounts) else { continue };
            let list = found.entry(number).or_default();
            match list.last_mut().filter(|holder| holder.pid == pid) {
                Some(holder) => holder.fds.push(fd),
                None => {
                    let comm = comm.get_or_insert_with(|| text(&process.join("comm")).unwrap_or_default());
                    list.push(Holder { pid, comm: comm.clone(), fds: vec![fd] });
                }
            }
        }
    }
    found
}

/// The device that a descriptor is, without waiting for anybody.
fn device(sysfs: &Sysfs, process: &Path, fd: u32, mounts: &mut Mounts) -> Option<DeviceNumber> {
    let link = process.join("fd").join(fd.to_string());
    let target = fs::read_link(&link).ok()?;
    // Sockets, pipes and the like have no path.
    if !target.is_absolute() || (!target.starts_with(&sysfs.dev) && mounts.is_remote(process, &target)) {
        return None;
    }
    let wanted = StatxFlags::TYPE;
    let stat = rustix::fs::statx(CWD, &link, AtFlags::STATX_DONT_SYNC, wanted).ok()?;
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::CharacterDevice => DeviceKind::Char,
        FileType::BlockDevice => DeviceKind::Block,
        _ => return None,
    };
    Some(DeviceNumber { kind, major: stat.stx_rdev_major, minor: stat.stx_rdev_minor })
}

/// Where file systems are mounted that may not answer, by mount namespace.
#[derive(Default)]
struct Mounts(BTreeMap<String, Vec<String>>);

impl Mounts {
    fn is_remote(&mut self, process: &Path, path: &Path) -> bool {
        let namespace = super::sysfs::link_name(&process.join("ns/mnt")).unwrap_or_default();
        let read = || {
            let table = super::sysfs::read(&process.join("mountinfo"), TABLE_BYTES).unwrap_or_default();
            remote(&String::from_utf8_lossy(&table))
        };
        self.0.entry(namespace).or_insert_with(read).iter().any(|point| path.starts_with(point))
    }
}

/// Mount points of such file systems, from the text of `mountinfo`: proc(5).
fn remote(mountinfo: &str) -> Vec<String> {
    let point = |line: &str| {
        let (mount, kind) = line.split_once(" - ")?;
        let kind = kind.split(' ').next()?;
        let waits = REMOTE.contains(&kind) || kind.starts_with("fuse");
        waits.then(|| mount.split(' ').nth(4).map(|point| point.replace("\\040", " ")))?
    };
    mountinfo.lines().filter_map(point).collect()
}

/// Entries that are numbers, in order.
fn numbers(folder: &Path) -> Vec<u32> {
    let mut numbers: Vec<u32> = entries(folder).iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn this_process_holds_what_it_has_open() {
        let file = fs::File::open("/dev/null").expect("every host has it");
        let other = file.try_clone().expect("it can be had twice");
        let null = DeviceNumber { kind: DeviceKind::Char, major: 1, minor: 3 };
        let found = holders(&Sysfs::default());
        let own = found[&null].iter().find(|holder| holder.pid == std::process::id()).expect("it is held");
        for file in [&file, &other] {
            assert!(own.fds.contains(&u32::try_from(file.as_raw_fd()).expect("no negative number")));
        }
        assert!(!own.comm.is_empty());
    }

    #[test]
    fn mounts_that_may_not_answer_are_known() {
        let text = "22 1 0:1 / / rw - ext4 /dev/vda rw\n\
                    30 22 0:40 / /mnt/far\\040away rw shared:1 - nfs4 host:/x rw\n\
                    31 22 0:41 / /media/x rw - fuse.sshfs x rw\nshort\n - \n";
        assert_eq!(remote(text), ["/mnt/far away", "/media/x"]);
    }
}
