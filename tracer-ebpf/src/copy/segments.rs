//! Arrays of segments and of messages, followed one by one into the staging buffer, and from there into as many records as
//! it takes.

use aya_ebpf::helpers::generated::bpf_loop;
use tracer_common::limits::{CAPTURE_CALL, CAPTURE_MAX, SEGMENTS};
use tracer_common::record::{Fault, flag};

use super::{Copied, ROOM, bytes};
use crate::maps::{Stage, config};
use crate::read::user;
use crate::{emit, finish, stage};

/// Records of a call behind the first, at most.
const PARTS: u32 = (CAPTURE_CALL / CAPTURE_MAX) as u32 - 1;

/// Elements that are followed on a kernel without `bpf_loop`.
const FEW: u32 = 4;

/// An array that is being followed, element by element. It lies in the stage, not on the stack: what comes out of a map
/// is a new number to the verifier, so that it need not follow each through every turn of the loop.
#[repr(C)]
pub(crate) struct Following {
    /// Address of the array of segments.
    pub(super) array: u64,
    /// Segments that are left of the current message.
    pub(super) count: u64,
    /// Address of the next message header, if there are several messages.
    pub(super) messages: u64,
    /// Message headers that are left.
    pub(super) messages_left: u64,
    /// Bytes that are left of the current message.
    pub(super) left: u64,
    /// What is left to copy of the current segment: address, bytes.
    base: u64,
    length: u64,
    /// Bytes that are copied at most, those of records before included.
    limit: u64,
    /// Bytes that went into records before.
    sent: u64,
    /// Bytes in the stage.
    pub(super) captured: u64,
    offered: u64,
    segments: u32,
    fault: u32,
    pub(super) compat: u32,
    /// 1: the message headers say how much moved.
    pub(super) known: u32,
    /// 1: there are more messages than are followed.
    pub(super) beyond: u32,
    /// 1: what does not fit goes into a record of its own.
    pub(super) in_parts: u32,
}

/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
pub(super) unsafe fn begin(stage: *mut Stage, limit: u64, compat: bool) -> *mut Following {
    let compat = u32::from(compat);
    // SAFETY: the caller says so.
    unsafe {
        let following = &raw mut (*stage).following;
        (*following).array = 0;
        (*following).count = 0;
        (*following).messages = 0;
        (*following).messages_left = 0;
        (*following).left = 0;
        (*following).base = 0;
        (*following).length = 0;
        (*following).limit = limit;
        (*following).sent = 0;
        (*following).captured = 0;
        (*following).offered = 0;
        (*following).segments = 0;
        (*following).fault = 0;
        (*following).compat = compat;
        (*following).known = 0;
        (*following).beyond = 0;
        (*following).in_parts = 0;
        following
    }
}

pub(crate) type Step = unsafe extern "C" fn(u64, *mut u64) -> i64;

/// Takes up to so many steps with the stage's [`Following`].
///
/// `bpf_loop` lets the verifier look at a step once instead of once for every element. Kernels before 5.17 lack it and
/// get the first few elements.
/// # Safety
/// The stage has to be the program's own.
#[inline(always)]
pub(crate) unsafe fn run(stage: *mut Stage, step: Step, steps: u32) {
    // SAFETY: the caller says so.
    let mut index = unsafe { (*stage).index };
    if config!(loops) != 0 {
        // SAFETY: the callback has the signature that the helper calls, and the context outlives the call.
        unsafe { bpf_loop(steps, step as *mut _, (&raw mut index).cast(), 0) };
        return;
    }
    let mut number: u32 = 0;
    while number < FEW && number < steps {
        // SAFETY: the context is valid.
        if unsafe { step(u64::from(number), &raw mut index) } != 0 {
            break;
        }
        number += 1;
    }
}

/// Copies what was begun.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
pub(super) unsafe fn segments(stage: *mut Stage) -> Copied {
    // SAFETY: the caller says so.
    unsafe {
        run(stage, segment_step, SEGMENTS + PARTS);
        // What was not reached: of the messages themselves, or of the segments of the last one.
        let following = &raw mut (*stage).following;
        let left = (*following).beyond != 0
            || (*following).messages_left != 0
            || ((*following).count != 0 && (*following).left != 0);
        copied(following, left)
    }
}

/// Copies what an array of so many segments points to, to `offset` in the stage: `most` bytes at most belong together, `room`
/// of them at most are copied.
#[inline(always)]
pub(crate) fn gather(
    stage: *mut Stage,
    (array, count): (u64, u64),
    compat: bool,
    most: u64,
    offset: u64,
    room: u64,
) -> Copied {
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        let following = begin(stage, offset + room, compat);
        (*following).array = array;
        (*following).count = if count < u64::from(SEGMENTS) { count } else { u64::from(SEGMENTS) };
        (*following).left = most;
        (*following).captured = offset;
        // One step more: the last finds that nothing is left.
        run(stage, segment_step, SEGMENTS + 1);
        let left = (*following).left != 0 && (count > u64::from(SEGMENTS) || (*following).count != 0);
        let mut copied = copied(following, left);
        copied.captured = if copied.captured > offset { copied.captured - offset } else { 0 };
        copied
    }
}

/// What came of it. `left`: there was more than was followed.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
unsafe fn copied(following: *mut Following, left: bool) -> Copied {
    // SAFETY: the caller says so.
    unsafe {
        let fault = if (*following).fault == 0 && left { Fault::Segments as u32 } else { (*following).fault };
        Copied {
            captured: (*following).captured,
            sent: (*following).sent,
            offered: (*following).offered,
            segments: (*following).segments as u16,
            fault: fault as u16,
        }
    }
}

/// Goes on to a segment; of what is beyond the limit, or behind something unreadable, nothing is copied.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
pub(super) unsafe fn next_segment(following: *mut Following, base: u64, length: u64) {
    // SAFETY: the caller says so.
    unsafe {
        (*following).offered += length;
        (*following).segments += 1;
        let had = (*following).sent + (*following).captured;
        let limit = (*following).limit;
        let room = if (*following).fault == 0 && limit > had { limit - had } else { 0 };
        (*following).base = base;
        (*following).length = if length < room { length } else { room };
    }
}

/// Goes on to the next segment or message, and copies of it what fits into the stage.
unsafe extern "C" fn segment_step(_number: u64, index: *mut u64) -> i64 {
    // SAFETY: the context of `run`, and this CPU's own stage.
    unsafe {
        let Some(stage) = stage::at(*index) else { return 1 };
        let following = &raw mut (*stage).following;
        if (*following).length == 0 {
            let compat = (*following).compat != 0;
            if (*following).count == 0 || (*following).left == 0 {
                return i64::from(!next_message(following, compat));
            }
            let Some((base, length)) = segment((*following).array, 0, compat) else {
                (*following).fault = Fault::Descriptor as u32;
                return 1;
            };
            (*following).array += if compat { 8 } else { 16 };
            (*following).count -= 1;
            let left = (*following).left;
            let length = if length < left { length } else { left };
            (*following).left = left - length;
            next_segment(following, base, length);
        }
        let (base, length) = ((*following).base, (*following).length);
        if length == 0 {
            return 0;
        }
        if (*following).captured >= ROOM && !next_part(stage) {
            (*following).limit = 0;
            (*following).length = 0;
            return 0;
        }
        let captured = (*following).captured;
        let room = ROOM - captured;
        let wanted = if length < room { length } else { room };
        let read = bytes(stage, captured, base, wanted);
        (*following).captured = captured + read;
        (*following).base = base + wanted;
        (*following).length = length - wanted;
        if read < wanted {
            (*following).fault = Fault::Unreadable as u32;
            (*following).length = 0;
        }
        0
    }
}

/// The stage is full: it goes as a record that says of its part what it would if a call had moved that alone, and is emptied
/// for the next. A broker's client may be given thousands of messages by one `recv`, and behind what was not copied nobody
/// knows where the next one begins. `false`: this one has to be the last.
///
/// # Safety
/// The stage has to be this CPU's own, with a header.
#[inline(always)]
unsafe fn next_part(stage: *mut Stage) -> bool {
    // SAFETY: the caller says so.
    unsafe {
        let following = &raw mut (*stage).following;
        if (*following).in_parts == 0 || emit::is_filling() {
            return false;
        }
        let header = &raw mut (*stage).header;
        if (*following).sent == 0 && (*following).messages == 0 {
            finish::contest(stage, (*header).result as u32);
        }
        (*header).requested = ROOM;
        // Of several messages the result is their number.
        if (*following).messages == 0 {
            (*header).result = ROOM as i64;
        }
        emit::send(stage, ROOM, false);
        (*header).flags |= flag::LATER;
        (*header).position += ROOM;
        (*following).sent += ROOM;
        (*following).captured = 0;
        true
    }
}

/// Goes on to the next message, if there is one.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
unsafe fn next_message(following: *mut Following, compat: bool) -> bool {
    // SAFETY: the caller says so.
    unsafe {
        if (*following).messages_left == 0 {
            return false;
        }
        let header = (*following).messages;
        let (size, moved_at) = if compat { (32, 28) } else { (64, 56) };
        let (Some((array, count)), Some(moved)) =
            (message_segments(header, compat), user::<u32>(header + moved_at))
        else {
            (*following).fault = Fault::Descriptor as u32;
            return false;
        };
        (*following).messages = header + size;
        (*following).messages_left -= 1;
        (*following).array = array;
        (*following).count = count;
        (*following).left = if (*following).known != 0 { u64::from(moved) } else { u64::MAX };
        true
    }
}

/// `struct iovec`, native or compat: base and length.
#[inline(always)]
fn segment(array: u64, index: u64, compat: bool) -> Option<(u64, u64)> {
    if compat {
        let [base, length]: [u32; 2] = user(array + index * 8)?;
        return Some((u64::from(base), u64::from(length)));
    }
    let [base, length]: [u64; 2] = user(array + index * 16)?;
    Some((base, length))
}

/// `struct msghdr`, native or compat: segment array and count. `include/linux/socket.h`, `include/net/compat.h`.
/// Behind it a `struct mmsghdr` has the length that was moved.
#[inline(always)]
pub(super) fn message_segments(header: u64, compat: bool) -> Option<(u64, u64)> {
    if compat {
        let [array, count]: [u32; 2] = user(header + 8)?;
        return Some((u64::from(array), u64::from(count)));
    }
    let [array, count]: [u64; 2] = user(header + 16)?;
    Some((array, count))
}
