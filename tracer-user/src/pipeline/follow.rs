//! Without BTF: finds out what descriptors are, from the calls that make them and from `/proc`, and tells the kernel
//! side which of them to record.

mod pairs;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use self::pairs::Pairs;
use super::select::choose;
use tracer_common::call::Abi;
use tracer_common::config::{FdInfo, FdKey};
use tracer_common::record::Target as WireTarget;

use crate::decode::socket_address;
use crate::device;
use crate::host::devices::{self, Rows};
use crate::host::sockets;
use crate::kernel::selection::{Live, Selection};
use crate::model::capture::{Body, Capture, DeviceKind, DeviceNumber, Target};
use crate::model::net::{SocketEnd, Transport};
use crate::model::time::Timestamp;

/// Descriptors that are known at once; as many as the kernel side can follow.
const DESCRIPTORS: usize = tracer_common::limits::FDS as usize;

/// Value of [`FdInfo::selected`]: recorded.
const RECORDED: u8 = 1;
/// Value of [`FdInfo::selected`]: a listener, whose connections are recorded.
const LISTENER: u8 = 2;
/// `O_CLOEXEC` and its like need no bookkeeping: after an exec the process is read anew.
const TIOCGPTPEER: u32 = 0x5441;

/// What descriptors are, where the kernel does not say.
pub struct Follower {
    live: Live,
    selection: Selection,
    known: HashMap<(u32, i32), Target>,
    next_socket: u64,
    pairs: Pairs,
    /// Descriptors that could not be followed because there were too many.
    pub overflow: u64,
}

impl Follower {
    /// Reads what every process in scope has open now.
    #[must_use]
    pub fn new(live: Live, selection: Selection) -> Self {
        let mut follower = Self {
            live,
            selection,
            known: HashMap::new(),
            next_socket: 1,
            pairs: Pairs::default(),
            overflow: 0,
        };
        follower.read_everybody();
        follower
    }

    /// Reads what every process in scope has open now.
    fn read_everybody(&mut self) {
        let pids: Vec<u32> = match &self.selection.processes {
            Some(pids) => pids.iter().copied().collect(),
            None => numbers(Path::new("/proc")).collect(),
        };
        for pid in pids.into_iter().filter(|pid| *pid != std::process::id()) {
            self.read_process(pid);
        }
    }

    /// Completes a capture with what its descriptor is. `false`: it is nothing that was selected.
    pub fn resolve(&mut self, capture: &mut Capture) -> bool {
        let key = (capture.pid, capture.fd);
        match &capture.body {
            Body::Fork { child } => self.forked(capture.pid, *child),
            Body::Exec => {
                // The new program may have made descriptors since, so the kernel side keeps what it has: what it
                // has wrongly is looked up, and withdrawn, at its first call.
                self.known.retain(|(of, _), _| *of != capture.pid);
                self.read_process(capture.pid);
            }
            Body::Open { path, .. } if capture.result >= 0 => {
                let path = String::from_utf8_lossy(path).into_owned();
                return self.opened(capture, key, &path);
            }
            Body::Connect { address }
                if capture.result >= 0 || capture.result == -i64::from(libc::EINPROGRESS) =>
            {
                let remote = socket_address(address);
                let end = self.connected(capture, remote);
                capture.target = Target::Socket(end);
                self.learn(key, capture.target);
            }
            Body::Connect { .. } => {
                capture.target = Target::Socket(SocketEnd::unknown());
            }
            Body::Accept { new_fd } if capture.result >= 0 => {
                let Some(end) = self.accepted(key, *new_fd, capture.at.end) else {
                    let key = (capture.pid, *new_fd);
                    self.withdraw(key, |info| info.target == WireTarget::Socket as u8);
                    return false;
                };
                capture.target = Target::Socket(end);
                self.learn((capture.pid, *new_fd), capture.target);
            }
            Body::Dup { new_fd, .. } if capture.result >= 0 => {
                let (from, to) = (key, (capture.pid, *new_fd));
                if let Some(target) = self.known.get(&from).copied() {
                    capture.target = target;
                    self.learn(to, target);
                } else {
                    self.known.remove(&to);
                }
            }
            Body::Close { first, last } if *last > *first => {
                let (pid, range) = (capture.pid, *first as i32..=i32::try_from(*last).unwrap_or(i32::MAX));
                let gone: Vec<_> =
                    self.known.keys().filter(|(of, fd)| *of == pid && range.contains(fd)).copied().collect();
                for key in gone {
                    self.withdraw(key, |_| true);
                }
            }
            Body::Close { .. } => {
                if let Some(target) = self.known.remove(&key) {
                    capture.target = target;
                }
                return !matches!(capture.target, Target::None);
            }
            Body::Data { .. }
            | Body::Unseen { .. }
            | Body::Ioctl { .. }
            | Body::Waiting
            | Body::Aborted { .. }
            | Body::Shutdown { .. } => {
                if let Body::Ioctl { command: TIOCGPTPEER, .. } = capture.body
                    && let Ok(peer) = i32::try_from(capture.result)
                    && peer >= 0
                {
                    self.look_up((capture.pid, peer));
                }
                let complete = self.complete(capture, key);
                if complete && let Some(made) = self.made(capture) {
                    // `/proc` does not say of which device it is.
                    self.learn((capture.pid, made), capture.target);
                }
                return complete;
            }
            _ => {}
        }
        true
    }

    /// Other devices are selected from now on: what is open of them is looked up.
    pub fn select(&mut self, devices: Rows) {
        let came = devices.keys().any(|row| !self.selection.devices.contains(row));
        choose(&mut self.selection, devices);
        if came {
            self.read_everybody();
        }
    }

    /// A process is gone, or its program is.
    pub fn gone(&mut self, pid: u32) {
        self.known.retain(|(of, _), _| *of != pid);
        self.live.remove_process(pid);
    }

    fn complete(&mut self, capture: &mut Capture, key: (u32, i32)) -> bool {
        if capture.fd < 0 {
            return true;
        }
        let Some(target) = self.known.get(&key).copied().or_else(|| self.look_up(key)) else { return false };
        capture.target = target;
        // Before it was known that this is a disk the kernel side recorded what goes through the page cache.
        let moves = matches!(capture.body, Body::Data { .. } | Body::Unseen { .. });
        !(moves && !capture.direct && is_block(target))
    }

    /// The descriptor that a device's driver made by this call.
    fn made(&self, capture: &Capture) -> Option<i32> {
        let (Body::Ioctl { command, after, .. }, Target::Device(number)) = (&capture.body, capture.target)
        else {
            return None;
        };
        let compat = capture.abi == Abi::Compat;
        // What has just begun has made nothing yet.
        let begun = capture.at.start == capture.at.end;
        let made = device::descriptor_made(self.family(number), compat, *command, after, capture.result);
        made.filter(|fd| !begun && *fd >= 0)
    }

    fn opened(&mut self, capture: &mut Capture, key: (u32, i32), path: &str) -> bool {
        // The descriptor may be closed again by now, the path is still there.
        let number = devices::node_number(&descriptor_path(key))
            .or_else(|| devices::node_number(&PathBuf::from(format!("/proc/{}/root{path}", key.0))))
            .or_else(|| devices::node_number(Path::new(path)));
        match number.filter(|number| self.is_selected_device(*number)) {
            Some(number) => {
                capture.target = Target::Device(number);
                if self.is_pending(key) {
                    self.remember(key, capture.target, RECORDED);
                } else {
                    self.learn(key, capture.target);
                }
                true
            }
            None => {
                self.withdraw(key, |info| info.target == WireTarget::Pending as u8);
                false
            }
        }
    }

    /// What a descriptor is, from `/proc`; if it is nothing selected the kernel side is told so.
    fn look_up(&mut self, key: (u32, i32)) -> Option<Target> {
        let path = descriptor_path(key);
        if let Some(number) = devices::node_number(&path) {
            if self.is_selected_device(number) {
                self.remember(key, Target::Device(number), RECORDED);
                return Some(Target::Device(number));
            }
        } else if let Some(addresses) = addresses(key) {
            let listener = addresses.remote.port() == 0;
            if self.is_selected(addresses.local.port()) || self.is_selected(addresses.remote.port()) {
                let end = self.end(addresses);
                self.remember(key, Target::Socket(end), if listener { LISTENER } else { RECORDED });
                return Some(Target::Socket(end));
            }
            self.withdraw(key, |info| info.target != WireTarget::Socket as u8 || info.selected != 0);
            return None;
        }
        // A socket without addresses may be about to connect.
        self.withdraw(key, |info| info.target != WireTarget::Socket as u8);
        None
    }

    fn read_process(&mut self, pid: u32) {
        for fd in numbers(&PathBuf::from(format!("/proc/{pid}/fd"))) {
            if let Ok(fd) = i32::try_from(fd) {
                let path = descriptor_path((pid, fd));
                let interesting = fs::metadata(&path).is_ok_and(|metadata| {
                    let kind = metadata.file_type();
                    kind.is_char_device() || kind.is_block_device() || kind.is_socket()
                });
                if interesting {
                    self.look_up((pid, fd));
                }
            }
        }
    }

    /// A child has what its parent has. Threads have it too, but under their process.
    fn forked(&mut self, parent: u32, child: u32) {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<u32>().ok());
        if leader.is_some_and(|leader| leader != child) {
            return;
        }
        let inherited: Vec<_> = self
            .known
            .iter()
            .filter(|((pid, _), _)| *pid == parent)
            .map(|((_, fd), target)| (*fd, *target))
            .collect();
        for (fd, target) in inherited {
            self.remember((child, fd), target, RECORDED);
        }
    }

    /// The connecting end of a new connection.
    fn connected(&mut self, capture: &Capture, server: Option<SocketAddr>) -> SocketEnd {
        let found = addresses((capture.pid, capture.fd));
        let Some(server) = server.or(found.map(|addresses| addresses.remote)) else {
            return SocketEnd::unknown();
        };
        // What cannot be told apart from other sockets is no connection to pair.
        if !self.is_selected(server.port()) {
            return self.end(
                found.unwrap_or(sockets::Addresses { local: SocketEnd::unknown().local, remote: server }),
            );
        }
        let own = found.map(|addresses| addresses.local);
        let local = self.pairs.connected(server, own, capture.at.start, capture.at.end);
        self.end(sockets::Addresses { local, remote: server })
    }

    /// The accepting end of a new connection, if its listener is selected.
    fn accepted(&mut self, listener: (u32, i32), fd: i32, at: Timestamp) -> Option<SocketEnd> {
        let found = addresses((listener.0, fd));
        let local = match found {
            Some(addresses) => addresses.local,
            // It is closed again: where it came in is still open.
            None => match self.known.get(&listener).copied().or_else(|| self.look_up(listener))? {
                Target::Socket(end) => end.local,
                _ => return None,
            },
        };
        if !self.is_selected(local.port()) {
            return None;
        }
        let remote = self.pairs.accepted(local, found.map(|addresses| addresses.remote), at);
        Some(self.end(sockets::Addresses { local, remote }))
    }

    /// An end with an identity of its own: descriptors are used again, identities are not.
    fn end(&mut self, addresses: sockets::Addresses) -> SocketEnd {
        let id = self.next_socket;
        self.next_socket += 1;
        SocketEnd {
            transport: Transport::Tcp,
            local: addresses.local,
            remote: addresses.remote,
            id,
            ..SocketEnd::unknown()
        }
    }

    fn remember(&mut self, key: (u32, i32), target: Target, selected: u8) {
        if self.known.len() >= DESCRIPTORS && !self.known.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let (wire, rdev) = match target {
            Target::Device(number) => {
                let wire = if number.kind == DeviceKind::Char { WireTarget::Char } else { WireTarget::Block };
                (wire, number.major << 20 | number.minor)
            }
            Target::Socket(_) => (WireTarget::Socket, 0),
            Target::None => (WireTarget::None, 0),
        };
        let family = match target {
            Target::Device(number) => self.family(number),
            Target::Socket(_) | Target::None => 0,
        };
        let wire_key = FdKey { tgid: key.0, fd: key.1 };
        let direct = is_block(target)
            && match self.live.fd(&wire_key) {
                // From the open; the descriptor may be closed again by now.
                Some(info) if info.target == WireTarget::Pending as u8 => info.direct != 0,
                _ => is_direct(key),
            };
        let info = FdInfo { target: wire as u8, selected, family, direct: direct.into(), rdev, inode: 0 };
        if self.live.set_fd(wire_key, info).is_err() {
            self.overflow += 1;
        }
        self.known.insert(key, target);
    }

    /// The family of a selected device's `ioctl` commands.
    fn family(&self, number: DeviceNumber) -> u8 {
        let kind = if number.kind == DeviceKind::Char { 1 } else { 2 };
        let of = |minor| self.selection.families.get(&(kind, number.major, minor));
        of(Some(number.minor)).or_else(|| of(None)).copied().unwrap_or(0)
    }

    /// As [`Self::remember`], of what the kernel side follows by itself. By now the number may be another descriptor's.
    fn learn(&mut self, key: (u32, i32), target: Target) {
        if self.known.len() >= DESCRIPTORS && !self.known.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        self.known.insert(key, target);
    }

    fn is_pending(&self, key: (u32, i32)) -> bool {
        let info = self.live.fd(&FdKey { tgid: key.0, fd: key.1 });
        info.is_some_and(|info| info.target == WireTarget::Pending as u8)
    }

    /// Forgets a descriptor; the kernel side does if what it has by now is still `meant`.
    fn withdraw(&mut self, key: (u32, i32), meant: impl Fn(FdInfo) -> bool) {
        self.known.remove(&key);
        let key = FdKey { tgid: key.0, fd: key.1 };
        if self.live.fd(&key).is_some_and(meant) {
            self.live.remove_fd(&key);
        }
    }

    fn is_selected(&self, port: u16) -> bool {
        self.selection.ports.contains(&port)
    }

    fn is_selected_device(&self, number: DeviceNumber) -> bool {
        let kind = if number.kind == DeviceKind::Char { 1 } else { 2 };
        let rows = &self.selection.devices;
        rows.contains(&(kind, number.major, None)) || rows.contains(&(kind, number.major, Some(number.minor)))
    }
}

fn is_block(target: Target) -> bool {
    matches!(target, Target::Device(number) if number.kind == DeviceKind::Block)
}

/// Whether a descriptor goes around the page cache: `Documentation/filesystems/proc.rst`, section 3.8, flags in octal.
fn is_direct((pid, fd): (u32, i32)) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
    let flags =
        text.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_DIRECT != 0)
}

fn descriptor_path((pid, fd): (u32, i32)) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/fd/{fd}"))
}

/// Addresses of a descriptor that is a TCP socket.
fn addresses(key: (u32, i32)) -> Option<sockets::Addresses> {
    inode(&descriptor_path(key)).and_then(|inode| sockets::by_inode(key.0, inode))
}

/// Inode of a socket's descriptor.
fn inode(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    metadata.file_type().is_socket().then(|| metadata.ino())
}

/// The entries of a folder that are numbers.
fn numbers(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
