//! Brings a program's bytes into the staging buffer, never more than `--capture-bytes`.

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_loop, bpf_probe_read_user};
use tracer_common::call::traits;
use tracer_common::limits::{CAPTURE_MAX, MESSAGES, SEGMENTS};
use tracer_common::record::Fault;

use crate::maps::{InFlight, STAGES, Stage, config};
use crate::read::user;

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

/// Copies what a call moved. `limit`: no more than this many bytes belong to it.
#[inline(always)]
pub(crate) fn call(stage: *mut Stage, slot: *mut InFlight, limit: u64) -> Copied {
    // SAFETY: a map value that this thread alone writes.
    let (kind, args, compat) = unsafe { ((*slot).kind, (*slot).args, (*slot).abi != 0) };
    let capture = u64::from(config!(capture_bytes));
    let limit = if limit < capture { limit } else { capture };
    if kind.has(traits::MESSAGES) {
        return follow(message_step, args[1], args[2], MESSAGES, limit, compat);
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
        return follow(segment_step, array, count, SEGMENTS, limit, compat);
    }
    let mut copied = Copied { offered: args[2], segments: 1, ..Copied::NOTHING };
    let wanted = if args[2] < limit { args[2] } else { limit };
    copied.captured = bytes(stage, 0, args[1], wanted);
    if copied.captured < wanted {
        copied.fault = Fault::Unreadable as u16;
    }
    copied
}

/// Copies `length` bytes from `pointer` to `offset` in the stage; returns how many could be read.
#[inline(never)]
pub(crate) fn bytes(stage: *mut Stage, offset: u64, pointer: u64, length: u64) -> u64 {
    if offset > CAPTURE_MAX as u64 || length > CAPTURE_MAX as u64 || length == 0 {
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

/// An array that is being followed, element by element.
struct Following {
    /// Address of the next array: of segments, or of message headers.
    array: u64,
    limit: u64,
    captured: u64,
    offered: u64,
    cpu: u32,
    segments: u32,
    fault: u32,
    compat: u32,
}

/// Follows up to `count` elements of `array` with `step`.
///
/// `bpf_loop` lets the verifier look at a step once instead of once for every element. Kernels before 5.17 lack it and
/// get the first few elements.
#[inline(always)]
fn follow(
    step: unsafe extern "C" fn(u64, *mut Following) -> i64,
    array: u64,
    count: u64,
    bound: u32,
    limit: u64,
    compat: bool,
) -> Copied {
    // SAFETY: no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let mut following = Following {
        array,
        limit,
        captured: 0,
        offered: 0,
        cpu,
        segments: 0,
        fault: 0,
        compat: u32::from(compat),
    };
    let steps = if count < u64::from(bound) { count as u32 } else { bound };
    if config!(loops) != 0 {
        // SAFETY: the callback has the signature that the helper calls, and the context outlives the call.
        unsafe { bpf_loop(steps, step as *mut _, (&raw mut following).cast(), 0) };
    } else {
        let mut index: u32 = 0;
        while index < FEW && index < steps {
            // SAFETY: the context is valid.
            if unsafe { step(u64::from(index), &raw mut following) } != 0 {
                break;
            }
            index += 1;
        }
    }
    let mut copied = Copied {
        captured: following.captured,
        offered: following.offered,
        segments: following.segments as u16,
        fault: following.fault as u16,
    };
    if copied.fault == 0 && u64::from(following.segments) < count {
        copied.fault = Fault::Segments as u16;
    }
    copied
}

/// Appends one segment; returns 1 to stop.
#[inline(always)]
fn append(following: &mut Following, base: u64, length: u64) -> i64 {
    following.offered += length;
    following.segments += 1;
    if following.fault != 0 || following.captured >= following.limit {
        return 0;
    }
    let room = following.limit - following.captured;
    let wanted = if length < room { length } else { room };
    if wanted == 0 {
        return 0;
    }
    let Some(stage) = STAGES.get_ptr_mut(following.cpu) else { return 1 };
    let read = bytes(stage, following.captured, base, wanted);
    following.captured += read;
    if read < wanted {
        following.fault = Fault::Unreadable as u32;
    }
    0
}

/// One element of an array of segments.
unsafe extern "C" fn segment_step(index: u64, following: *mut Following) -> i64 {
    // SAFETY: the context of `follow`.
    let following = unsafe { &mut *following };
    let Some((base, length)) = segment(following.array, index, following.compat != 0) else {
        following.fault = Fault::Descriptor as u32;
        return 1;
    };
    append(following, base, length)
}

/// One element of an array of message headers: its first segment. On a stream, programs that use this give one
/// segment a message.
unsafe extern "C" fn message_step(index: u64, following: *mut Following) -> i64 {
    // SAFETY: the context of `follow`.
    let following = unsafe { &mut *following };
    let compat = following.compat != 0;
    let header = following.array + index * if compat { COMPAT_MESSAGE_BYTES } else { MESSAGE_BYTES };
    let Some((array, count)) = message_segments(header, compat) else {
        following.fault = Fault::Descriptor as u32;
        return 1;
    };
    let Some((base, length)) = segment(array, 0, compat) else {
        following.fault = Fault::Descriptor as u32;
        return 1;
    };
    let stop = append(following, base, length);
    if count > 1 {
        following.fault = Fault::Segments as u32;
    }
    stop
}

/// `struct msghdr`, native or compat: segment array and count. `include/linux/socket.h`, `include/net/compat.h`.
#[inline(always)]
fn message_segments(header: u64, compat: bool) -> Option<(u64, u64)> {
    if compat {
        let [array, count]: [u32; 2] = user(header + 8)?;
        return Some((u64::from(array), u64::from(count)));
    }
    let [array, count]: [u64; 2] = user(header + 16)?;
    Some((array, count))
}

/// `struct mmsghdr` is a `msghdr` and the length that was moved.
const MESSAGE_BYTES: u64 = 64;
const COMPAT_MESSAGE_BYTES: u64 = 32;
/// Elements that are followed on a kernel without `bpf_loop`.
const FEW: u32 = 4;
