//! A call returns: say what came of it.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_probe_read_user_str};
use tracer_common::call::traits;
use tracer_common::counter::Counter;
use tracer_common::limits::{ADDRESS_BYTES, PATH_BYTES};
use tracer_common::record::{Kind, Target, flag};

use crate::calls::{self, is};
use crate::copy::Moved;
use crate::maps::{self, IDLE, INTERRUPTED, InFlight, RUNNING, Stage, config, count};
use crate::select::{self, Who};
use crate::walk::{self, Node};
use crate::{copy, egress, emit, follow, nested};

/// `-EINTR`.
const EINTR: i64 = -4;
/// `-EAGAIN`.
const EAGAIN: i64 = -11;
/// `-ERESTARTSYS` to `-ERESTART_RESTARTBLOCK`, `include/linux/errno.h`: the kernel will start the call again, or tell
/// the program `EINTR`.
const RESTART: core::ops::RangeInclusive<i64> = -516..=-512;

/// A call of the current thread returns.
#[inline(always)]
pub(crate) fn call(result: i64) -> Option<()> {
    let both = bpf_get_current_pid_tgid();
    let who = Who { tgid: (both >> 32) as u32, tid: both as u32 };
    let slot = maps::slot(who.tid)?;
    // SAFETY: a map value that this thread alone writes; helper without memory arguments.
    let now = unsafe {
        if (*slot).state == INTERRUPTED {
            // The signal's handler returned, which shows as this result of `sigreturn`: the program is told so. A call
            // that is started again shows no such result.
            if result == EINTR {
                (*slot).state = IDLE;
                interrupted(slot, who);
            }
            return None;
        }
        if (*slot).state != RUNNING {
            return None;
        }
        let now = bpf_ktime_get_ns();
        if RESTART.contains(&result) {
            (*slot).state = INTERRUPTED;
            (*slot).exit_ns = now;
            return None;
        }
        (*slot).state = IDLE;
        now
    };
    complete(slot, who, result, now)
}

/// A call that was interrupted and not started again.
#[inline(never)]
pub(crate) fn interrupted(slot: *mut InFlight, who: Who) {
    // SAFETY: a map value that this thread alone writes.
    let (exit_ns, kind) = unsafe { ((*slot).exit_ns, (*slot).kind) };
    let record = if kind.has(traits::IOCTL) {
        Kind::Ioctl
    } else if kind.has(traits::INWARD | traits::OUTWARD) {
        Kind::Data
    } else {
        return;
    };
    if let Some(stage) = emit::record(slot, who, record, EINTR, exit_ns) {
        emit::send(stage, 0, true);
    }
}

#[inline(always)]
fn complete(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    // SAFETY: a map value that this thread alone writes.
    let kind = unsafe { (*slot).kind };
    if kind.has(traits::INWARD | traits::OUTWARD) {
        return data(slot, who, result, now);
    }
    if kind.has(traits::IOCTL) {
        return ioctl(slot, who, result, now);
    }
    if kind.has(traits::UNSEEN) {
        return unseen(slot, who, result, now);
    }
    lifecycle(slot, who, result, now)
}

#[inline(always)]
fn data(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    // SAFETY: a map value that this thread alone writes.
    let (kind, fd, flags, args) = unsafe { ((*slot).kind, (*slot).fd, (*slot).flags, (*slot).args) };
    if result == EAGAIN && found_nothing(slot, fd) {
        return None;
    }
    // What moved; of a call that failed, what was offered. `recvmmsg` and `sendmmsg` return a number of messages.
    let outward = flags & flag::OUTWARD != 0;
    let many = kind.has(traits::MESSAGES);
    let limit = match result {
        error if error < 0 && outward => u64::MAX,
        error if error < 0 => 0,
        _ if many => u64::MAX,
        moved => moved as u64,
    };
    let stage = emit::record(slot, who, Kind::Data, result, now)?;
    let messages = if many && result > 0 { result as u64 } else { 0 };
    let peek = (kind.has(traits::FLAGS_IN_FOURTH) && args[3] & calls::MSG_PEEK != 0)
        || (kind.has(traits::FLAGS_IN_THIRD) && args[2] & calls::MSG_PEEK != 0);
    // SAFETY: the stage is this CPU's own while the program runs; the slot is this thread's own.
    let socket = unsafe {
        (*stage).result = result;
        let header = &raw mut (*stage).header;
        if peek && result > 0 {
            (*header).flags |= flag::PEEK;
        }
        // `preadv2` and `pwritev2` with minus one: where the file stands.
        if kind.has(traits::OFFSET) && args[3] != u64::MAX {
            (*header).flags |= flag::OFFSET;
        }
        (*slot).target == Target::Socket as u8
    };
    let wanted = if socket { copy::wanted_of_socket(limit) } else { u64::from(config!(capture_bytes)) };
    let in_parts = socket && !peek && result > 0;
    let copied = copy::call(stage, slot, Moved { limit, messages, wanted, in_parts });
    // Read again: what the verifier still knows of them from before would make it walk the copying once for each case.
    // SAFETY: as above.
    let (result, kind, outward) = unsafe {
        let kind = (&raw const (*slot).kind).read_volatile();
        let flags = (&raw const (*slot).flags).read_volatile();
        ((&raw const (*stage).result).read_volatile(), kind, flags & flag::OUTWARD != 0)
    };
    let many = kind.has(traits::MESSAGES);
    let whole = match result > 0 {
        true if many => copied.offered,
        true => result as u64,
        false => copied.captured,
    };
    // SAFETY: as above.
    unsafe {
        copy::describe(stage, &copied, whole, many);
        if result > 0 {
            let peeked = (*stage).header.flags & flag::PEEK != 0;
            let rest = if whole > copied.sent { whole - copied.sent } else { 0 };
            contest(stage, if peeked { 0 } else { rest as u32 });
            (*slot).dry_fd = -1;
            moved(slot, (*slot).fd, outward, now);
        }
    }
    account(copied.sent + copied.captured, whole, copied.fault);
    emit::send(stage, copied.captured, result < 0 && result != EAGAIN);
    Some(())
}

/// Says so if another thread used the stream since it was at the header's position, from which the call moved `moved` bytes.
///
/// # Safety
/// The stage has to be this CPU's own, with a header.
#[inline(always)]
pub(crate) unsafe fn contest(stage: *mut Stage, moved: u32) {
    // SAFETY: the caller says so.
    unsafe {
        let header = &raw mut (*stage).header;
        let (flags, end) = ((*header).flags, ((*header).position as u32).wrapping_add(moved));
        let outward = flags & flag::OUTWARD != 0;
        if flags & flag::POSITION != 0 && walk::sequence((*header).sock, outward) != Some(end) {
            (*header).flags |= flag::CONTESTED;
        }
    }
}

/// Remembers what this thread will be done with, or wants the answer of, when it waits next.
#[inline(always)]
unsafe fn moved(slot: *mut InFlight, fd: i32, outward: bool, now: u64) {
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        (*slot).moved_ns = now;
        if (*slot).target == Target::Socket as u8 {
            if !outward && (*slot).server == 0 {
                (*slot).message_fd = fd;
                (*slot).message_sock = (*slot).sock;
            }
        } else if outward {
            (*slot).command_fd = fd;
            (*slot).command_rdev = (*slot).rdev;
        } else if (*slot).command_fd == fd {
            (*slot).command_fd = -1;
        }
    }
}

/// Whether a call that found nothing is only counted: at a server, whose next step nobody waits for, and when the
/// same thread found nothing on the same descriptor before (a program that polls in a circle).
#[inline(always)]
fn found_nothing(slot: *mut InFlight, fd: i32) -> bool {
    // SAFETY: a map value that this thread alone writes.
    let again = unsafe {
        let again = (*slot).dry_fd == fd || ((*slot).server != 0 && (*slot).target == Target::Socket as u8);
        (*slot).dry_fd = fd;
        again
    };
    count(Counter::WouldBlock, 1);
    again
}

#[inline(always)]
pub(crate) fn account(captured: u64, whole: u64, fault: u16) {
    if captured < whole {
        count(Counter::BytesCut, whole - captured);
        match fault {
            0 => count(Counter::CaptureCut, 1),
            2 => count(Counter::SegmentsCut, 1),
            _ => count(Counter::Unreadable, 1),
        }
    }
}

#[inline(always)]
fn ioctl(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    // SAFETY: a map value that this thread alone writes.
    let command = unsafe { (*slot).args[1] };
    if config!(btf) == 0 {
        follow::ioctl(who, command & 0xffff_ffff, result);
    }
    let stage = emit::record(slot, who, Kind::Ioctl, result, now)?;
    let captured = nested::at_exit(stage, slot, who, result);
    emit::send(stage, captured, result < 0);
    Some(())
}

#[inline(always)]
fn unseen(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    // SAFETY: the slot is this thread's own.
    unsafe { egress::ends(slot, result) };
    if result == EAGAIN {
        count(Counter::WouldBlock, 1);
        return None;
    }
    let stage = emit::record(slot, who, Kind::Data, result, now)?;
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe { (*stage).header.flags |= flag::UNSEEN };
    emit::send(stage, 0, result < 0);
    Some(())
}

/// Everything that makes, changes or ends a descriptor.
#[inline(always)]
fn lifecycle(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    // SAFETY: a map value that this thread alone writes.
    let (kind, args) = unsafe { ((*slot).kind, (*slot).args) };
    if config!(btf) == 0 {
        follow::finished(slot, who, kind, result);
        if is!(kind, Fcntl) && args[1] == calls::F_SETFL {
            return None;
        }
    }
    if kind.has(traits::OPENS) {
        return open(slot, who, result, now);
    }
    if is!(kind, Clone | Clone3 | Vfork | Forks) {
        // With neither BTF nor tracefs the birth of a process is seen by what the parent is told, which may be after the
        // child's first calls. In the child the result is 0.
        let told = result > 0 && config!(fork_child) == 0;
        return if told { crate::lifecycle::born(result as u32) } else { None };
    }
    if is!(kind, Accept | Accept4) {
        return accept(slot, who, result, now);
    }
    let record = if is!(kind, Close | CloseRange) {
        // SAFETY: the slot is this thread's own.
        unsafe { egress::closes(slot, who) };
        Kind::Close
    } else if is!(kind, Dup | Dup2 | Dup3 | Fcntl) {
        Kind::Dup
    } else if is!(kind, Connect) {
        // Only now does the socket know its own port.
        refresh(slot);
        Kind::Connect
    } else if is!(kind, Bind) {
        Kind::Bind
    } else if is!(kind, Shutdown) {
        Kind::Shutdown
    } else if is!(kind, Socket | Socketpair) {
        Kind::Socket
    } else {
        return None;
    };
    let stage = emit::record(slot, who, record, result, now)?;
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe { (*stage).header.args = [args[0], args[1], args[2]] };
    let mut captured = 0;
    if kind.has(traits::ADDRESS) {
        let length = if args[2] < ADDRESS_BYTES as u64 { args[2] } else { ADDRESS_BYTES as u64 };
        captured = copy::bytes(stage, 0, args[1], length);
    }
    emit::send(stage, captured, true);
    Some(())
}

#[inline(always)]
fn refresh(slot: *mut InFlight) {
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        walk::sock_common((*slot).sock, slot);
        let family = walk::field16(&raw const (*slot).sock_common, config!(offsets.skc_family));
        if (*slot).peer == 0 && family == select::AF_UNIX {
            (*slot).peer = walk::unix_peer((*slot).sock);
        }
    }
}

#[inline(always)]
fn open(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    // SAFETY: a map value that this thread alone writes.
    let (kind, args) = unsafe { ((*slot).kind, (*slot).args) };
    let (path, mode) = if is!(kind, Open) {
        (args[0], args[1])
    } else if is!(kind, Creat) {
        (args[0], 0)
    } else {
        (args[1], args[2])
    };
    if result >= 0 && config!(btf) != 0 {
        let file = walk::descriptor(result as i32)?;
        let (target, rdev) = match file.node {
            Node::Char(rdev) => (Target::Char, rdev),
            Node::Block(rdev) => (Target::Block, rdev),
            Node::Anonymous(..) | Node::Socket(_) => return None,
        };
        select::device(target as u32, rdev)?;
        // SAFETY: a map value that this thread alone writes.
        unsafe {
            (*slot).target = target as u8;
            (*slot).rdev = rdev;
            (*slot).inode = walk::inode_number(file.inode);
        }
    } else if !below_dev(path) {
        // A file that is no device, or one that could not be opened: only those below /dev are of interest.
        return None;
    }
    let stage = emit::record(slot, who, Kind::Open, result, now)?;
    // SAFETY: the stage is this CPU's own while the program runs.
    let captured = unsafe {
        (*stage).header.fd = result as i32;
        (*stage).header.args = [mode, 0, 0];
        path_bytes(stage, path)
    };
    emit::send(stage, captured, true);
    Some(())
}

/// Whether a path in the program's memory lies below `/dev/`.
#[inline(always)]
pub(crate) fn below_dev(path: u64) -> bool {
    crate::read::user::<[u8; 5]>(path) == Some(*b"/dev/")
}

/// Copies a path without its NUL; returns its length.
#[inline(always)]
fn path_bytes(stage: *mut Stage, path: u64) -> u64 {
    // SAFETY: the payload is longer than `PATH_BYTES`; the helper checks `path`.
    let copied = unsafe {
        bpf_probe_read_user_str((&raw mut (*stage).payload).cast(), PATH_BYTES as u32, path as *const _)
    };
    if copied > 0 && copied <= PATH_BYTES as i64 { copied as u64 - 1 } else { 0 }
}

#[inline(always)]
fn accept(slot: *mut InFlight, who: Who, result: i64, now: u64) -> Option<()> {
    if result == EAGAIN {
        count(Counter::WouldBlock, 1);
        return None;
    }
    if result >= 0 && config!(btf) != 0 {
        let file = walk::descriptor(result as i32)?;
        let Node::Socket(sock) = file.node else { return None };
        // SAFETY: a map value that this thread alone writes.
        unsafe {
            (*slot).sock = sock;
            (*slot).peer = 0;
            (*slot).inode = walk::inode_number(file.inode);
        }
        refresh(slot);
    }
    let stage = emit::record(slot, who, Kind::Accept, result, now)?;
    emit::send(stage, 0, true);
    Some(())
}
