//! Without BTF: which descriptors matter is followed through the calls that make them, and through what the user
//! side reads in `/proc`.
//!
//! A device that was just opened is *pending*: its calls are recorded, and the user side, which sees the path, either
//! confirms or withdraws it. `selected` of a socket: 1 a connection, 2 a listener whose connections are selected.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tracer_common::call::{Abi, traits};
use tracer_common::config::{DIRECT_UNKNOWN, FdInfo, FdKey};
use tracer_common::counter::Counter;
use tracer_common::record::{Target, flag};

use crate::begin;
use crate::calls::{self, Kind, is};
use crate::finish::below_dev;
use crate::maps::{FDS, InFlight, config, count, slot_or_new};
use crate::select::{self, Who};
use crate::walk;

/// `SOCK_STREAM`, `include/linux/net.h`; arm and x86 agree on it.
const SOCK_STREAM: u64 = 1;
const CONNECTION: u8 = 1;
const LISTENER: u8 = 2;

/// A call on a descriptor begins.
#[inline(always)]
pub(crate) fn descriptor(
    kind: Kind,
    abi: Abi,
    who: Who,
    fd: i32,
    first: bool,
    args: &[u64; 6],
) -> Option<()> {
    let key = FdKey { tgid: who.tgid, fd };
    // SAFETY: the value is copied at once.
    let mut info = unsafe { FDS.get(key) }.copied();
    // Onto a descriptor that is followed: what it was ends, whatever it becomes.
    if info.is_none() && is!(kind, Dup2 | Dup3) {
        // SAFETY: as above.
        if unsafe { FDS.get(FdKey { tgid: who.tgid, fd: args[1] as i32 }) }.is_some() {
            info = Some(FdInfo {
                target: Target::None as u8,
                selected: 0,
                family: 0,
                direct: 0,
                rdev: 0,
                stamp: 0,
            });
        }
    }
    // Inherited, received, or opened by a path that does not tell: the user side looks it up.
    if info.is_none() && kind.has(traits::IOCTL) && !is_common(args[1]) {
        // SAFETY: no arguments.
        let stamp = unsafe { bpf_ktime_get_ns() };
        let found = FdInfo {
            target: Target::Pending as u8,
            selected: CONNECTION,
            family: 0,
            direct: DIRECT_UNKNOWN,
            rdev: 0,
            stamp,
        };
        insert(key, found);
        info = Some(found);
    }
    let info = info?;
    let socket = info.target == Target::Socket as u8;
    let block = info.target == Target::Block as u8;
    // Through the page cache: that is the file system's business, not a command to the device.
    if block && info.direct == 0 && kind.has(traits::INWARD | traits::OUTWARD | traits::UNSEEN) {
        return None;
    }
    if is!(kind, Fcntl) && args[1] == calls::F_SETFL && !block && info.target != Target::Pending as u8 {
        return None;
    }
    if socket && kind.has(traits::IOCTL) {
        return None;
    }
    let by_address = socket && kind.has(traits::ADDRESS) && begin::address_selected(args).is_some();
    let followed = is!(kind, Close | Dup | Dup2 | Dup3 | Fcntl);
    if info.selected == 0 && !by_address && !followed {
        if socket {
            crate::tls::strange(who.tid);
        }
        return None;
    }
    let slot = slot_or_new(who.tid)?;
    // Not when it returns: by then another thread may have the number for something new.
    if is!(kind, Close) {
        let _ = FDS.remove(key);
    }
    begin::start(slot, who, kind, abi, fd, info.target, args);
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        (*slot).rdev = info.rdev;
        (*slot).family = info.family;
        // What is pending may turn out to be a disk: the user side wants to know then.
        if info.direct == 1 {
            (*slot).flags |= flag::DIRECT;
        }
        (*slot).inode = info.stamp;
        // Nothing says which end this is: what was found empty is told for both.
        (*slot).server = 0;
        if socket {
            crate::tls::used(slot, fd, 0);
        }
        if kind.has(traits::OUTWARD) || (kind.has(traits::UNSEEN) && first) {
            (*slot).flags |= flag::OUTWARD;
        }
    }
    if kind.has(traits::IOCTL) {
        crate::nested::at_entry(slot, who);
    }
    Some(())
}

/// Commands that programs give to descriptors of every kind, which say nothing of a device: `TCGETS` and `TIOCGWINSZ` (is it
/// a terminal?), `FIONREAD`, `FIONBIO`, `FIONCLEX`, `FIOCLEX`, `FIOASYNC`. `include/uapi/asm-generic/ioctls.h`.
#[inline(always)]
fn is_common(command: u64) -> bool {
    matches!(command as u32, 0x5401 | 0x5413 | 0x541b | 0x5421 | 0x5450 | 0x5451 | 0x5452)
}

/// A device's driver made a descriptor that has no node.
#[inline(always)]
pub(crate) fn made(who: Who, fd: i32, rdev: u32, inode: u64, family: u8) {
    let info =
        FdInfo { target: Target::Char as u8, selected: CONNECTION, family, direct: 0, rdev, stamp: inode };
    insert(FdKey { tgid: who.tgid, fd }, info);
}

/// `TIOCGPTPEER`, `include/uapi/asm-generic/ioctls.h`: opens the other end of a pseudo-terminal.
const TIOCGPTPEER: u64 = 0x5441;

/// An `ioctl` returned: one of them opens a device.
#[inline(always)]
pub(crate) fn ioctl(who: Who, command: u64, result: i64) {
    if command == TIOCGPTPEER && result >= 0 {
        set(who.tgid, result as i32, Target::Pending, CONNECTION);
    }
}

/// A call that makes, changes or ends a descriptor returned.
#[inline(always)]
pub(crate) fn finished(slot: *mut InFlight, who: Who, kind: Kind, result: i64) {
    // SAFETY: a map value that this thread alone writes.
    let (args, fd) = unsafe { ((*slot).args, (*slot).fd) };
    if is!(kind, Close) {
        return;
    }
    if result < 0 && !is!(kind, Connect) {
        return;
    }
    if kind.has(traits::OPENS) {
        let path = if is!(kind, Open | Creat) { args[0] } else { args[1] };
        if below_dev(path) {
            let flags = if is!(kind, Open) {
                args[1]
            } else if is!(kind, Creat) {
                0
            } else if is!(kind, Openat2) {
                // `struct open_how` begins with them.
                crate::read::user::<u64>(args[2]).unwrap_or(0)
            } else {
                args[2]
            };
            // SAFETY: a map value that this thread alone writes.
            let stamp = unsafe {
                (*slot).inode = (*slot).enter_ns;
                (*slot).inode
            };
            let info = FdInfo {
                target: Target::Pending as u8,
                selected: CONNECTION,
                family: 0,
                direct: direct(flags),
                rdev: 0,
                stamp,
            };
            insert(FdKey { tgid: who.tgid, fd: result as i32 }, info);
        }
        return;
    }
    if is!(kind, Socket) {
        let family = args[0] as u16;
        let stream = args[1] & 0xf == SOCK_STREAM;
        if stream
            && (family == select::AF_INET
                || family == select::AF_INET6
                || (family == select::AF_UNIX && config!(unix_paths) != 0))
        {
            set(who.tgid, result as i32, Target::Socket, 0);
        }
        return;
    }
    if is!(kind, Bind | Connect) {
        let selected = if is!(kind, Bind) { LISTENER } else { CONNECTION };
        set(who.tgid, fd, Target::Socket, selected);
        return;
    }
    if is!(kind, Accept | Accept4) {
        set(who.tgid, result as i32, Target::Socket, CONNECTION);
        return;
    }
    if is!(kind, Fcntl) && args[1] == calls::F_SETFL {
        // Another descriptor of the same open file is not told.
        if let Some(info) = FDS.get_ptr_mut(FdKey { tgid: who.tgid, fd }) {
            // SAFETY: one byte of a map value.
            unsafe { (*info).direct = direct(args[2]) };
        }
        return;
    }
    if is!(kind, Dup | Dup2 | Dup3 | Fcntl) {
        // SAFETY: the value is copied at once.
        if let Some(info) = unsafe { FDS.get(FdKey { tgid: who.tgid, fd }) }.copied() {
            insert(FdKey { tgid: who.tgid, fd: result as i32 }, info);
        } else {
            let _ = FDS.remove(FdKey { tgid: who.tgid, fd: result as i32 });
        }
    }
}

/// Whether flags of an open file say that it goes around the page cache: [`FdInfo::direct`].
#[inline(always)]
fn direct(flags: u64) -> u8 {
    u8::from(flags as u32 & walk::o_direct() != 0)
}

#[inline(always)]
fn set(tgid: u32, fd: i32, target: Target, selected: u8) {
    let info = FdInfo { target: target as u8, selected, family: 0, direct: 0, rdev: 0, stamp: 0 };
    insert(FdKey { tgid, fd }, info);
}

#[inline(always)]
fn insert(key: FdKey, info: FdInfo) {
    if FDS.insert(key, info, 0).is_err() {
        count(Counter::FdsFull, 1);
    }
}

/// The current process, for programs that have no other use of [`Who`].
#[inline(always)]
pub(crate) fn current() -> Who {
    let both = bpf_get_current_pid_tgid();
    Who { tgid: (both >> 32) as u32, tid: both as u32 }
}
