//! Brings a program's bytes into the staging buffer, never more than `--capture-bytes`.

mod segments;
mod strings;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tracer_common::call::traits;
use tracer_common::counter::Counter;
use tracer_common::limits::{CAPTURE_MAX, MESSAGES};
use tracer_common::record::Fault;

use crate::emit;
use crate::maps::{InFlight, Stage, config, count};

pub(crate) use segments::{Following, gather, run};
use segments::{begin, message_segments, next_segment, segments};
pub(crate) use strings::{string, strings};

/// Payload of one record.
const ROOM: u64 = CAPTURE_MAX as u64;

/// The smallest page there is: where a range that cannot be read whole is tried again up to.
const PAGE: u64 = 4096;

/// What became of a copy.
#[derive(Clone, Copy)]
pub(crate) struct Copied {
    /// Bytes now in the staging buffer.
    pub(crate) captured: u64,
    /// Bytes that went into records before.
    pub(crate) sent: u64,
    /// Bytes that the segments had room for, as far as they were followed.
    pub(crate) offered: u64,
    pub(crate) segments: u16,
    pub(crate) fault: u16,
}

impl Copied {
    const NOTHING: Self = Self { captured: 0, sent: 0, offered: 0, segments: 0, fault: 0 };
}

/// What a call moved, or offered.
#[derive(Clone, Copy)]
pub(crate) struct Moved {
    /// No more than this many bytes belong to it.
    pub(crate) limit: u64,
    /// How many messages moved of a call that moves several, 0 if it failed.
    pub(crate) messages: u64,
    /// Bytes of it that are wanted.
    pub(crate) wanted: u64,
    /// What does not fit into this record goes into records of its own: see [`next_part`].
    pub(crate) in_parts: bool,
}

/// Bytes of a call on a socket that are wanted, if it has so many. While the ring fills faster than it is read, what matters
/// most is that each call gets a record at all.
#[inline(always)]
pub(crate) fn wanted_of_socket(offered: u64) -> u64 {
    let (most, short) = (u64::from(config!(capture_socket)), u64::from(config!(capture_busy)));
    if offered > short && most > short && emit::is_filling() {
        count(Counter::CaptureShort, 1);
        return short;
    }
    most
}

/// Copies what a call moved.
#[inline(always)]
pub(crate) fn call(stage: *mut Stage, slot: *mut InFlight, moved: Moved) -> Copied {
    // SAFETY: a map value that this thread alone writes.
    let (kind, args, compat) = unsafe { ((*slot).kind, (*slot).args, (*slot).abi != 0) };
    let Moved { limit, messages, wanted, in_parts } = moved;
    let in_parts = in_parts && wanted > ROOM && config!(loops) != 0;
    let wanted = if in_parts || wanted < ROOM { wanted } else { ROOM };
    let limit = if limit < wanted { limit } else { wanted };
    let many = kind.has(traits::MESSAGES);
    let several = kind.has(traits::MESSAGE | traits::SEGMENTS);
    if many || several || (in_parts && limit > ROOM) {
        let (array, count) = if kind.has(traits::SEGMENTS) {
            (args[1], args[2])
        } else if several {
            match message_segments(args[1], compat) {
                Some(array) => array,
                None => return Copied { fault: Fault::Descriptor as u16, ..Copied::NOTHING },
            }
        } else {
            (0, 0)
        };
        let messages_left = if !many {
            0
        } else if messages != 0 {
            messages
        } else {
            args[2]
        };
        // SAFETY: the stage is this CPU's own while the program runs.
        unsafe {
            let following = begin(stage, limit, compat);
            (*following).in_parts = u32::from(in_parts);
            (*following).array = array;
            (*following).count = count;
            (*following).left = u64::MAX;
            if many {
                (*following).messages = args[1];
                (*following).messages_left =
                    if messages_left < u64::from(MESSAGES) { messages_left } else { u64::from(MESSAGES) };
                (*following).known = u32::from(messages != 0);
                (*following).beyond = u32::from(messages_left > u64::from(MESSAGES));
            } else if !several {
                next_segment(following, args[1], args[2]);
            }
            return segments(stage);
        }
    }
    let mut copied = Copied { offered: args[2], segments: 1, ..Copied::NOTHING };
    let wanted = if args[2] < limit { args[2] } else { limit };
    copied.captured = bytes(stage, 0, args[1], wanted);
    if copied.captured < wanted {
        copied.fault = Fault::Unreadable as u16;
    }
    copied
}

/// Says in the header what was copied of a call that moved, or offered, `whole` bytes. `many`: its result is a number of
/// messages.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
pub(crate) unsafe fn describe(stage: *mut Stage, copied: &Copied, whole: u64, many: bool) {
    // SAFETY: the caller says so.
    unsafe {
        let header = &raw mut (*stage).header;
        (*header).requested = copied.offered;
        (*header).segments = copied.segments;
        (*header).fault = copied.fault;
        if copied.sent > 0 {
            // The last of several parts.
            let rest = if whole > copied.sent { whole - copied.sent } else { 0 };
            (*header).requested = rest;
            if !many {
                (*header).result = rest as i64;
            }
        }
    }
}

/// Copies `length` bytes from `pointer` to `offset` in the stage; returns how many could be read.
#[inline(never)]
pub(crate) fn bytes(stage: *mut Stage, offset: u64, pointer: u64, length: u64) -> u64 {
    // Each bound is compared by itself: folded into one, older verifiers (6.1) lose track of it. A length of 0 is fine.
    if offset > CAPTURE_MAX as u64 {
        return 0;
    }
    if length > CAPTURE_MAX as u64 {
        return 0;
    }
    // SAFETY: `offset + length` is at most twice `CAPTURE_MAX`, the size of the payload; the helper checks `pointer`.
    unsafe {
        let to = (&raw mut (*stage).payload).cast::<u8>().add(offset as usize);
        if bpf_probe_read_user(to.cast(), length as u32, pointer as *const _) == 0 {
            return length;
        }
        // A page further on is not resident: what lies on the first page is better than nothing.
        let first = PAGE - (pointer & (PAGE - 1));
        if first < length && bpf_probe_read_user(to.cast(), first as u32, pointer as *const _) == 0 {
            return first;
        }
    }
    0
}
