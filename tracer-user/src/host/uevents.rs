//! Devices that come and go: what the kernel says of it (`NETLINK_KOBJECT_UEVENT`), and where it does not reach this
//! process, what has changed in `/sys`.
//!
//! Format of a message: `lib/kobject_uevent.c`: `add@/devices/…` and then `KEY=value`, each ended by NUL.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with, sockopt};

use super::devices::Sysfs;
use crate::model::capture::{DeviceKind, DeviceNumber};

/// The kernel's own group; group 2 is that of udev.
const KERNEL_GROUP: u32 = 1;

/// Room for messages: a hub full of devices sends hundreds, of half a KiB each.
const ROOM: usize = 1 << 20;

/// `UEVENT_BUFFER_SIZE` and the line in front of it, `include/linux/kobject.h`.
const MESSAGE_BYTES: usize = 8192;

/// Messages that are taken in one go, so that a storm of them cannot hold the reader for ever.
const BATCH: usize = 4096;

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It came, or is another one now.
    Came(DeviceNumber),
    /// It went.
    Went(DeviceNumber),
    /// Something else came, such as a driver; or messages were lost.
    Other,
}

/// The kernel's messages.
pub struct Uevents {
    socket: OwnedFd,
}

impl Uevents {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel has no such socket, or does not give it to this process.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
        // Less is better than nothing: what does not fit is noticed.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, ROOM);
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP))?;
        Ok(Self { socket })
    }

    /// Takes what has come. Returns whether messages were lost.
    pub fn read(&self, out: &mut Vec<Change>) -> bool {
        let mut buffer = [MaybeUninit::<u8>::uninit(); MESSAGE_BYTES];
        let mut lost = false;
        for _ in 0..BATCH {
            match recvfrom(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok(((message, _), _, from)) => {
                    let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                    // Whoever may send to the group could pretend; the kernel is 0.
                    if from.is_some_and(|from| from.pid() == 0)
                        && let Some(change) = parse(message)
                    {
                        out.push(change);
                    }
                }
                Err(rustix::io::Errno::NOBUFS) => lost = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        lost
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Uevents {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// What a message says; `None` if it is no such message or of no interest.
fn parse(message: &[u8]) -> Option<Change> {
    let mut fields = message.split(|byte| *byte == 0);
    // `add@/devices/…`; udev's own messages begin with another word.
    let head = fields.next()?;
    if !head.contains(&b'@') {
        return None;
    }
    let (mut action, mut subsystem, mut major, mut minor) = (None, None, None, None);
    for field in fields {
        let Some(equals) = field.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (field.get(..equals)?, std::str::from_utf8(field.get(equals + 1..)?).ok());
        match key {
            b"ACTION" => action = value,
            b"SUBSYSTEM" => subsystem = value,
            b"MAJOR" => major = value.and_then(|text| text.parse().ok()),
            b"MINOR" => minor = value.and_then(|text| text.parse().ok()),
            _ => {}
        }
    }
    let kind = if subsystem == Some("block") { DeviceKind::Block } else { DeviceKind::Char };
    let number = major.zip(minor).map(|(major, minor)| DeviceNumber { kind, major, minor });
    match (action?, number) {
        ("add" | "move" | "online", Some(number)) => Some(Change::Came(number)),
        ("remove" | "offline", Some(number)) => Some(Change::Went(number)),
        // A driver that was bound or loaded may have brought a number for a whole class.
        ("add" | "bind", None) => Some(Change::Other),
        _ => None,
    }
}

/// What has a number, to be compared with what had one.
#[derive(Debug, Default)]
pub struct Census(BTreeSet<DeviceNumber>);

impl Census {
    /// As it is now.
    #[must_use]
    pub fn new(sysfs: &Sysfs) -> Self {
        Self(sysfs.numbers().into_iter().collect())
    }

    /// What has come and gone since the last time.
    pub fn changes(&mut self, sysfs: &Sysfs, out: &mut Vec<Change>) {
        let now = Self::new(sysfs).0;
        out.extend(self.0.difference(&now).map(|number| Change::Went(*number)));
        out.extend(now.difference(&self.0).map(|number| Change::Came(*number)));
        self.0 = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[&str]) -> Vec<u8> {
        fields.iter().flat_map(|field| [field.as_bytes(), b"\0"].concat()).collect()
    }

    #[test]
    fn messages_of_devices_with_numbers_are_understood() {
        let tty = DeviceNumber { kind: DeviceKind::Char, major: 188, minor: 0 };
        let disk = DeviceNumber { kind: DeviceKind::Block, major: 8, minor: 16 };
        for (fields, change) in [
            (
                &["add@/devices/x/ttyUSB0", "ACTION=add", "SUBSYSTEM=tty", "MAJOR=188", "MINOR=0"][..],
                Some(Change::Came(tty)),
            ),
            (
                &["remove@/devices/x/sdb", "ACTION=remove", "MAJOR=8", "MINOR=16", "SUBSYSTEM=block"],
                Some(Change::Went(disk)),
            ),
            (&["change@/devices/x/sdb", "ACTION=change", "MAJOR=8", "MINOR=16", "SUBSYSTEM=block"], None),
            (&["add@/module/i2c_dev", "ACTION=add", "SUBSYSTEM=module"], Some(Change::Other)),
            (&["libudev", "ACTION=add", "MAJOR=188", "MINOR=0"], None),
            (&["add@/x", "ACTION=add", "MAJOR=188", "MINOR=x"], Some(Change::Other)),
            (&["add@/x"], None),
            (&[], None),
        ] {
            assert_eq!(parse(&message(fields)), change, "{fields:?}");
        }
        assert_eq!(parse(b"add@\xff\0ACTION=\xff\0=\0MAJOR"), None);
    }

    #[test]
    fn a_census_tells_who_came_and_went() {
        let root = tempfile::tempdir().expect("a folder");
        let sysfs = Sysfs { sys: root.path().to_owned(), ..Sysfs::default() };
        let place = root.path().join("dev/char");
        std::fs::create_dir_all(place.join("89:1")).expect("it can be made");
        let mut census = Census::new(&sysfs);
        std::fs::remove_dir(place.join("89:1")).expect("it can be removed");
        std::fs::create_dir_all(place.join("89:2")).expect("it can be made");
        let number = |minor| DeviceNumber { kind: DeviceKind::Char, major: 89, minor };
        let mut changes = Vec::new();
        census.changes(&sysfs, &mut changes);
        assert_eq!(changes, [Change::Went(number(1)), Change::Came(number(2))]);
        changes.clear();
        census.changes(&sysfs, &mut changes);
        assert_eq!(changes, []);
    }
}
