//! Brings a program's bytes into the staging buffer, never more than `--capture-bytes`.

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_user, bpf_probe_read_user_str};
use tracer_common::call::traits;
use tracer_common::limits::{CAPTURE_MAX, MESSAGES, PROGRAM_BYTES, SEGMENTS};
use tracer_common::record::Fault;

use crate::maps::{InFlight, Stage, config};
use crate::read::user;
use crate::stage;

/// The smallest page there is: where a range that cannot be read whole is tried again up to.
const PAGE: u64 = 4096;

/// What became of a copy.
#[derive(Clone, Copy)]
pub(crate) struct Copied {
    /// Bytes now in the staging buffer.
    pub(crate) captured: u64,
    /// Bytes that the segments had room for, as far as they were followed.
    pub(crate) offered: u64,
    pub(crate) segments: u16,
    pub(crate) fault: u16,
}

impl Copied {
    const NOTHING: Self = Self { captured: 0, offered: 0, segments: 0, fault: 0 };
}

/// Copies what a call moved. `limit`: no more than this many bytes belong to it. `messages`: how many messages moved
/// of a call that moves several, 0 if it failed.
#[inline(always)]
pub(crate) fn call(stage: *mut Stage, slot: *mut InFlight, limit: u64, messages: u64) -> Copied {
    // SAFETY: a map value that this thread alone writes.
    let (kind, args, compat) = unsafe { ((*slot).kind, (*slot).args, (*slot).abi != 0) };
    let capture = u64::from(config!(capture_bytes));
    let limit = if limit < capture { limit } else { capture };
    if kind.has(traits::MESSAGES) {
        let count = if messages != 0 { messages } else { args[2] };
        let bounded = if count < u64::from(MESSAGES) { count } else { u64::from(MESSAGES) };
        // SAFETY: the stage is this CPU's own while the program runs.
        unsafe {
            let following = begin(stage, limit, compat);
            (*following).messages = args[1];
            (*following).messages_left = bounded;
            (*following).known = u32::from(messages != 0);
            run(stage, message_step, SEGMENTS);
            // What was not reached: of the messages themselves, or of the segments of the last one.
            let left = count > bounded
                || (*following).messages_left != 0
                || ((*following).count != 0 && (*following).left != 0);
            return copied(following, left);
        }
    }
    if kind.has(traits::MESSAGE | traits::SEGMENTS) {
        let array = if kind.has(traits::SEGMENTS) {
            Some((args[1], args[2]))
        } else {
            message_segments(args[1], compat)
        };
        let Some((array, count)) = array else {
            return Copied { fault: Fault::Descriptor as u16, ..Copied::NOTHING };
        };
        // SAFETY: as above.
        unsafe {
            let following = begin(stage, limit, compat);
            (*following).array = array;
            run(stage, segment_step, if count < u64::from(SEGMENTS) { count as u32 } else { SEGMENTS });
            let left = u64::from((*following).segments) < count;
            return copied(following, left);
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
        run(stage, message_step, SEGMENTS + 1);
        let left = (*following).left != 0 && (count > u64::from(SEGMENTS) || (*following).count != 0);
        let mut copied = copied(following, left);
        copied.captured = if copied.captured > offset { copied.captured - offset } else { 0 };
        copied
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

/// An array that is being followed, element by element. It lies in the stage, not on the stack: what comes out of a map
/// is a new number to the verifier, so that it need not follow each through every turn of the loop.
#[repr(C)]
pub(crate) struct Following {
    /// Address of the array of segments.
    array: u64,
    /// Segments that are left of the current message.
    count: u64,
    /// Address of the next message header, if there are several messages.
    messages: u64,
    /// Message headers that are left.
    messages_left: u64,
    /// Bytes that are left of the current message.
    left: u64,
    limit: u64,
    captured: u64,
    offered: u64,
    segments: u32,
    fault: u32,
    compat: u32,
    /// 1: the message headers say how much moved.
    known: u32,
}

/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
unsafe fn begin(stage: *mut Stage, limit: u64, compat: bool) -> *mut Following {
    let compat = u32::from(compat);
    // SAFETY: the caller says so.
    unsafe {
        let following = &raw mut (*stage).following;
        (*following).array = 0;
        (*following).count = 0;
        (*following).messages = 0;
        (*following).messages_left = 0;
        (*following).left = 0;
        (*following).limit = limit;
        (*following).captured = 0;
        (*following).offered = 0;
        (*following).segments = 0;
        (*following).fault = 0;
        (*following).compat = compat;
        (*following).known = 0;
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

/// Room for one of a program's arguments, with its NUL: few are longer.
const ARGUMENT_BYTES: u64 = 512;

/// Arguments that are followed.
const ARGUMENTS: u32 = 64;

/// Copies a string with its NUL to `offset`; returns its length, 0 if it cannot be read.
#[inline(never)]
pub(crate) fn string(stage: *mut Stage, offset: u64, pointer: u64) -> u64 {
    if offset > PROGRAM_BYTES as u64 - ARGUMENT_BYTES {
        return 0;
    }
    // SAFETY: offset and length are inside the payload; the helper checks `pointer`.
    let length = unsafe {
        let to = (&raw mut (*stage).payload).cast::<u8>().add(offset as usize);
        bpf_probe_read_user_str(to.cast(), ARGUMENT_BYTES as u32, pointer as *const _)
    };
    if length > 0 { length as u64 } else { 0 }
}

/// Copies the strings that an array of pointers points to, each with its NUL, behind what is there up to `offset`;
/// returns where they end.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
pub(crate) unsafe fn strings(stage: *mut Stage, offset: u64, array: u64, compat: bool) -> u64 {
    // SAFETY: the caller says so.
    unsafe {
        let following = begin(stage, 0, compat);
        (*following).array = array;
        (*following).captured = offset;
        run(stage, string_step, ARGUMENTS);
        (*following).captured
    }
}

/// One of an array of pointers to strings.
unsafe extern "C" fn string_step(element: u64, index: *mut u64) -> i64 {
    // SAFETY: the context of `run`, and this CPU's own stage.
    unsafe {
        let Some(stage) = stage::at(*index) else { return 1 };
        let following = &raw mut (*stage).following;
        let pointer = if (*following).compat != 0 {
            user::<u32>((*following).array + 4 * element).map(u64::from)
        } else {
            user::<u64>((*following).array + 8 * element)
        };
        let captured = (*following).captured;
        let length = match pointer {
            None | Some(0) => 0,
            Some(pointer) => string(stage, captured, pointer),
        };
        (*following).captured = captured + length;
        i64::from(length == 0)
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
            offered: (*following).offered,
            segments: (*following).segments as u16,
            fault: fault as u16,
        }
    }
}

/// Appends one segment; returns 1 to stop.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
unsafe fn append(stage: *mut Stage, base: u64, length: u64) -> i64 {
    // SAFETY: the caller says so.
    unsafe {
        let following = &raw mut (*stage).following;
        (*following).offered += length;
        (*following).segments += 1;
        let (captured, limit) = ((*following).captured, (*following).limit);
        if (*following).fault != 0 || captured >= limit {
            return 0;
        }
        let room = limit - captured;
        let wanted = if length < room { length } else { room };
        if wanted == 0 {
            return 0;
        }
        let read = bytes(stage, captured, base, wanted);
        (*following).captured = captured + read;
        if read < wanted {
            (*following).fault = Fault::Unreadable as u32;
        }
        0
    }
}

/// One element of an array of segments.
unsafe extern "C" fn segment_step(element: u64, index: *mut u64) -> i64 {
    // SAFETY: the context of `run`, and this CPU's own stage.
    unsafe {
        let Some(stage) = stage::at(*index) else { return 1 };
        let following = &raw mut (*stage).following;
        let Some((base, length)) = segment((*following).array, element, (*following).compat != 0) else {
            (*following).fault = Fault::Descriptor as u32;
            return 1;
        };
        append(stage, base, length)
    }
}

/// The next of several messages, or the next segment of the current one.
unsafe extern "C" fn message_step(_index: u64, index: *mut u64) -> i64 {
    // SAFETY: the context of `run`, and this CPU's own stage.
    unsafe {
        let Some(stage) = stage::at(*index) else { return 1 };
        let following = &raw mut (*stage).following;
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
        append(stage, base, length)
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

/// `struct msghdr`, native or compat: segment array and count. `include/linux/socket.h`, `include/net/compat.h`.
/// Behind it a `struct mmsghdr` has the length that was moved.
#[inline(always)]
fn message_segments(header: u64, compat: bool) -> Option<(u64, u64)> {
    if compat {
        let [array, count]: [u32; 2] = user(header + 8)?;
        return Some((u64::from(array), u64::from(count)));
    }
    let [array, count]: [u64; 2] = user(header + 16)?;
    Some((array, count))
}

/// Elements that are followed on a kernel without `bpf_loop`.
const FEW: u32 = 4;
