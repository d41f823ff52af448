//! A thread waits: it is done with the message that it got, or wants the answer to the command that it gave.
//!
//! An event loop does not come back to *read* before the next message is there, which may be much later; it comes back
//! to *wait* at once. Only threads that got or gave something since they last waited are looked at.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tracer_common::call::traits;
use tracer_common::config::FdKey;
use tracer_common::record::{Kind as Record, Target};

use crate::calls::Kind;
use crate::emit;
use crate::maps::{self, FDS, InFlight, config};
use crate::read::user;
use crate::select::Who;
use crate::walk::{self, File, Node};

/// Entries of a `struct pollfd` array that are looked at. Programs that wait for one thing put it first.
const POLLED: u32 = 8;

/// Reads that follow bytes of the same connection faster than this belong to the same message, as far as anybody can
/// tell here: not worth a record of their own.
const SAME_MESSAGE_NS: u64 = 50_000;

/// A call that waits for descriptors begins.
#[inline(always)]
pub(crate) fn begins(kind: Kind, who: Who, args: &[u64; 6]) -> Option<()> {
    let slot = maps::slot(who.tid)?;
    // SAFETY: a map value that this thread alone writes.
    let (message, command, rdev) = unsafe { ((*slot).message_fd, (*slot).command_fd, (*slot).command_rdev) };
    if message < 0 && command < 0 {
        return None;
    }
    let (for_message, for_command) = if kind.traits & traits::WAITS == traits::WAITS {
        // What an epoll instance watches is not known: the answer, if one is awaited, else the next message.
        (command < 0, true)
    } else if kind.has(traits::POLLS) {
        (
            polled(args[0], args[1], message) != 0,
            polled_device(args[0], args[1], command, rdev, who.tgid) != 0,
        )
    } else {
        (in_set(args[1], message), in_set(args[1], command))
    };
    if command >= 0 && for_command {
        notice(slot, who, true);
    }
    if message >= 0 && for_message {
        notice(slot, who, false);
    }
    Some(())
}

/// A read begins on a descriptor from which this thread got a message before, or to which it gave a command.
#[inline(always)]
pub(crate) fn reads(slot: *mut InFlight, who: Who, fd: i32, now: u64) {
    // SAFETY: a map value that this thread alone writes.
    let (message, command, moved_ns) = unsafe { ((*slot).message_fd, (*slot).command_fd, (*slot).moved_ns) };
    if command == fd {
        notice(slot, who, true);
    } else if message == fd && now.saturating_sub(moved_ns) > SAME_MESSAGE_NS {
        notice(slot, who, false);
    }
}

/// Sends the record, once.
#[inline(never)]
fn notice(slot: *mut InFlight, who: Who, command: bool) -> u64 {
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let Some(stage) = emit::blank(who, Record::Waiting, now) else { return 0 };
    // SAFETY: the stage is this CPU's own while the program runs; the slot is this thread's own.
    unsafe {
        let header = &raw mut (*stage).header;
        (*header).call = tracer_common::call::Call::Read as u16;
        if command {
            (*header).target = Target::Char as u8;
            (*header).fd = (*slot).command_fd;
            (*header).rdev = (*slot).command_rdev;
            (*slot).command_fd = -1;
        } else {
            (*header).target = Target::Socket as u8;
            (*header).fd = (*slot).message_fd;
            (*header).sock = (*slot).message_sock;
            (*slot).message_fd = -1;
        }
    }
    emit::send(stage, 0, false);
    1
}

/// 1 if `fd` is among the first entries of an array of `struct pollfd { int fd; short events, revents; }`.
#[inline(never)]
fn polled(array: u64, count: u64, fd: i32) -> u64 {
    if fd < 0 {
        return 0;
    }
    let mut index: u32 = 0;
    while index < POLLED {
        if u64::from(index) >= count {
            return 0;
        }
        if user::<i32>(array + 8 * u64::from(index)) == Some(fd) {
            return 1;
        }
        index += 1;
    }
    0
}

/// As [`polled`], or 1 if another descriptor of the device `rdev` is among them: many libraries write on one and wait
/// on a duplicate of it.
#[inline(never)]
fn polled_device(array: u64, count: u64, fd: i32, rdev: u32, tgid: u32) -> u64 {
    if fd < 0 {
        return 0;
    }
    let mut index: u32 = 0;
    while index < POLLED {
        if u64::from(index) >= count {
            return 0;
        }
        if let Some(other) = user::<i32>(array + 8 * u64::from(index))
            && (other == fd || device(other, tgid) == u64::from(rdev))
        {
            return 1;
        }
        index += 1;
    }
    0
}

/// The number of the character device that a descriptor is open on; [`u64::MAX`] if it is none.
#[inline(never)]
fn device(fd: i32, tgid: u32) -> u64 {
    if config!(btf) == 0 {
        // SAFETY: the value is copied at once.
        let info = unsafe { FDS.get(FdKey { tgid, fd }) }.copied();
        return info
            .filter(|info| info.target == Target::Char as u8)
            .map_or(u64::MAX, |info| u64::from(info.rdev));
    }
    match walk::descriptor(fd) {
        Some(File { node: Node::Char(rdev), .. }) => u64::from(rdev),
        _ => u64::MAX,
    }
}

/// Whether `fd` is in an `fd_set`, which is an array of bits.
#[inline(always)]
fn in_set(set: u64, fd: i32) -> bool {
    if fd < 0 || set == 0 {
        return false;
    }
    user::<u8>(set + (fd as u64 >> 3)).is_some_and(|bits| bits >> (fd & 7) & 1 != 0)
}
