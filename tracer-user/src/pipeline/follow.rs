//! Without BTF: finds out what descriptors are, from the calls that make them and from `/proc`, and tells the kernel
//! side which of them to record.

mod pairs;
mod proc;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use self::pairs::Pairs;
use self::proc::{addresses, descriptor_path, is_direct, numbers};
use super::select::choose;
use tracer_common::call::Abi;
use tracer_common::config::{DIRECT_UNKNOWN, FdInfo, FdKey};
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

/// What a descriptor is.
#[derive(Clone, Copy)]
struct Known {
    target: Target,
    /// [`FdInfo::stamp`].
    stamp: u64,
}

/// What descriptors are, where the kernel does not say.
///
/// The kernel side gives each opening a stamp, which all records of its descriptors carry, so a number that is used again
/// within microseconds is not taken for what it was before. What `/proc` says of a number counts only if the kernel
/// side still has the same stamp for it.
pub struct Follower {
    live: Live,
    selection: Selection,
    known: HashMap<(u32, i32), Known>,
    opened: HashMap<(u32, u64), Target>,
    next_socket: u64,
    pairs: Pairs,
    /// Descriptors that could not be followed because there were too many.
    pub overflow: u64,
    /// Calls on descriptors of which nobody could say any more what they were.
    pub unknown: u64,
}

impl Follower {
    /// Reads what every process in scope has open now.
    #[must_use]
    pub fn new(live: Live, selection: Selection) -> Self {
        let mut follower = Self {
            live,
            selection,
            known: HashMap::new(),
            opened: HashMap::new(),
            next_socket: 1,
            pairs: Pairs::default(),
            overflow: 0,
            unknown: 0,
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
            Body::Exec { .. } => {
                // The new program may have made descriptors since, so the kernel side keeps what it has: what it
                // has wrongly is looked up, and withdrawn, at its first call.
                self.forget(capture.pid);
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
                self.learn(key, capture.target, 0);
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
                self.learn((capture.pid, *new_fd), capture.target, 0);
            }
            Body::Dup { new_fd, .. } if capture.result >= 0 => {
                let (from, to) = (key, (capture.pid, *new_fd));
                if let Some(target) = self.find(from, capture.inode) {
                    capture.target = target;
                    self.learn(to, target, capture.inode);
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
                if let Some(target) = self.find(key, capture.inode) {
                    capture.target = target;
                    self.known.remove(&key);
                }
                return !matches!(capture.target, Target::None);
            }
            // The descriptor of a socket that was used inside, if there was one.
            Body::Tls { .. } => return self.complete(capture, key),
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
                    self.look_up((capture.pid, peer), 0);
                }
                let complete = self.complete(capture, key);
                if complete && let Some(made) = self.made(capture) {
                    // `/proc` does not say of which device it is.
                    self.learn((capture.pid, made), capture.target, capture.inode);
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
        self.forget(pid);
        self.live.remove_process(pid);
    }

    /// Records were lost, so what was known may be no more: `/proc` is asked again.
    pub fn lost(&mut self) {
        self.known.retain(|_, known| matches!(known.target, Target::Socket(_)));
    }

    fn forget(&mut self, pid: u32) {
        self.known.retain(|(of, _), _| *of != pid);
        self.opened.retain(|(of, _), _| *of != pid);
    }

    /// What a descriptor is, or was when it had this stamp.
    fn find(&self, (pid, fd): (u32, i32), stamp: u64) -> Option<Target> {
        let known = self.known.get(&(pid, fd)).filter(|known| known.stamp == stamp || stamp == 0);
        known.map(|known| known.target).or_else(|| self.opened.get(&(pid, stamp)).copied())
    }

    fn complete(&mut self, capture: &mut Capture, key: (u32, i32)) -> bool {
        if capture.fd < 0 {
            return true;
        }
        let found = self.find(key, capture.inode).or_else(|| self.look_up(key, capture.inode));
        let Some(target) = found else { return false };
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
        // The descriptor may be another one's by now, the path is still there; but links such as `/dev/stdin` lead to
        // what is the program's own.
        let own = path.starts_with("/dev/fd/") || path.starts_with("/dev/std") || path.contains("/proc/");
        let by_path = || {
            devices::node_number(&PathBuf::from(format!("/proc/{}/root{path}", key.0)))
                .or_else(|| devices::node_number(Path::new(path)))
        };
        let number = (!own).then(by_path).flatten().or_else(|| devices::node_number(&descriptor_path(key)));
        let stamp = capture.inode;
        match number.filter(|number| self.is_selected_device(*number)) {
            Some(number) => {
                capture.target = Target::Device(number);
                if self.opened.len() >= DESCRIPTORS {
                    // Those that are still open are known by their descriptors, or looked up.
                    self.opened.clear();
                }
                self.opened.insert((key.0, stamp), capture.target);
                if self.is_pending(key, stamp) {
                    self.remember(key, capture.target, RECORDED, stamp);
                } else {
                    self.learn(key, capture.target, stamp);
                }
                true
            }
            None => {
                let pending = |info: FdInfo| info.target == WireTarget::Pending as u8 && info.stamp == stamp;
                self.withdraw(key, pending);
                false
            }
        }
    }

    /// What a descriptor is, from `/proc`; if it is nothing selected the kernel side is told so. `stamp`: of the call that
    /// asks; 0: of none.
    fn look_up(&mut self, key: (u32, i32), stamp: u64) -> Option<Target> {
        let path = descriptor_path(key);
        let same = |info: &FdInfo| stamp == 0 || info.stamp == stamp;
        if let Some(number) = devices::node_number(&path) {
            if self.is_selected_device(number) {
                let live = self.live.fd(&FdKey { tgid: key.0, fd: key.1 });
                if stamp != 0 && !live.as_ref().is_some_and(same) {
                    // It is another one by now; what it was nobody can say.
                    self.unknown += 1;
                    return None;
                }
                self.remember(key, Target::Device(number), RECORDED, stamp);
                return Some(Target::Device(number));
            }
        } else if let Some(addresses) = addresses(key) {
            let listener = addresses.remote.port() == 0;
            if self.is_selected(addresses.local.port()) || self.is_selected(addresses.remote.port()) {
                let end = self.end(addresses);
                self.remember(key, Target::Socket(end), if listener { LISTENER } else { RECORDED }, 0);
                return Some(Target::Socket(end));
            }
            self.refuse(key, |info| {
                same(&info) && (info.target != WireTarget::Socket as u8 || info.selected != 0)
            });
            return None;
        }
        // A socket without addresses may be about to connect.
        self.refuse(key, |info| same(&info) && info.target != WireTarget::Socket as u8);
        None
    }

    /// As [`Self::withdraw`] of a descriptor that is nothing selected. One that the kernel side asked about is marked, so that
    /// it asks once.
    fn refuse(&mut self, key: (u32, i32), meant: impl Fn(FdInfo) -> bool) {
        self.known.remove(&key);
        let wire = FdKey { tgid: key.0, fd: key.1 };
        let Some(info) = self.live.fd(&wire).filter(|info| meant(*info)) else { return };
        if info.target == WireTarget::Pending as u8 && info.stamp != 0 {
            let nothing = FdInfo { target: WireTarget::None as u8, selected: 0, ..info };
            // The map has an entry for it already.
            let _ = self.live.set_fd(wire, nothing);
        } else {
            self.live.remove_fd(&wire);
        }
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
                    self.look_up((pid, fd), 0);
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
            .map(|((_, fd), known)| (*fd, *known))
            .collect();
        for (fd, Known { target, stamp }) in inherited {
            self.remember((child, fd), target, RECORDED, stamp);
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
            None => match self.find(listener, 0).or_else(|| self.look_up(listener, 0))? {
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

    fn remember(&mut self, key: (u32, i32), target: Target, selected: u8, stamp: u64) {
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
                Some(info) if info.target == WireTarget::Pending as u8 && info.direct != DIRECT_UNKNOWN => {
                    info.direct != 0
                }
                _ => is_direct(key),
            };
        let info = FdInfo { target: wire as u8, selected, family, direct: direct.into(), rdev, stamp };
        if self.live.set_fd(wire_key, info).is_err() {
            self.overflow += 1;
        }
        self.known.insert(key, Known { target, stamp });
    }

    /// The family of a selected device's `ioctl` commands.
    fn family(&self, number: DeviceNumber) -> u8 {
        let kind = if number.kind == DeviceKind::Char { 1 } else { 2 };
        let of = |minor| self.selection.families.get(&(kind, number.major, minor));
        of(Some(number.minor)).or_else(|| of(None)).copied().unwrap_or(0)
    }

    /// As [`Self::remember`], of what the kernel side follows by itself. By now the number may be another descriptor's.
    fn learn(&mut self, key: (u32, i32), target: Target, stamp: u64) {
        if self.known.len() >= DESCRIPTORS && !self.known.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        self.known.insert(key, Known { target, stamp });
    }

    fn is_pending(&self, key: (u32, i32), stamp: u64) -> bool {
        let info = self.live.fd(&FdKey { tgid: key.0, fd: key.1 });
        info.is_some_and(|info| info.target == WireTarget::Pending as u8 && info.stamp == stamp)
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
