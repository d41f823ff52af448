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

/// Copies what a call moved. `limit`: no more than this many bytes belong to it. `messages`: how many messages moved
/// of a call that moves several, 0 if it failed.
#[inline(always)]
pub(crate) fn call(stage: *mut Stage, slot: *mut InFlight, limit: u64, messages: u64) -> Copied {
    // SAFETY: a map value that this thread alone writes.
    let (kind, args, compat) = unsafe { ((*slot).kind, (*slot).args, (*slot).abi != 0) };
    let capture = u64::from(config!(capture_bytes));
    let limit = if limit < capture { limit } else { capture };
    if kind.has(traits::MESSAGES) {
        let known = messages != 0;
        let count = if known { messages } else { args[2] };
        let mut following = Following::new(0, 0, limit, compat);
        following.messages = args[1];
        following.messages_left = if count < u64::from(MESSAGES) { count } else { u64::from(MESSAGES) };
        following.known = u32::from(known);
        following.run(message_step, SEGMENTS);
        // What was not reached: of the messages themselves, or of the segments of the last one.
        let left = count > u64::from(MESSAGES)
            || following.messages_left != 0
            || (following.count != 0 && following.left != 0);
        return following.copied(left);
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
        let mut following = Following::new(array, count, limit, compat);
        following.run(segment_step, if count < u64::from(SEGMENTS) { count as u32 } else { SEGMENTS });
        return following.copied(u64::from(following.segments) < count);
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
    /// Address of the next segment.
    array: u64,
    /// Segments that are left of this array.
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
    cpu: u32,
    segments: u32,
    fault: u32,
    compat: u32,
    /// 1: the message headers say how much moved.
    known: u32,
}

impl Following {
    #[inline(always)]
    fn new(array: u64, count: u64, limit: u64, compat: bool) -> Self {
        Self {
            array,
            count,
            messages: 0,
            messages_left: 0,
            left: 0,
            limit,
            captured: 0,
            offered: 0,
            // SAFETY: no arguments.
            cpu: unsafe { bpf_get_smp_processor_id() },
            segments: 0,
            fault: 0,
            compat: u32::from(compat),
            known: 0,
        }
    }

    /// Takes up to so many steps.
    ///
    /// `bpf_loop` lets the verifier look at a step once instead of once for every element. Kernels before 5.17 lack it
    /// and get the first few elements.
    #[inline(always)]
    fn run(&mut self, step: unsafe extern "C" fn(u64, *mut Following) -> i64, steps: u32) {
        if config!(loops) != 0 {
            // SAFETY: the callback has the signature that the helper calls, and the context outlives the call.
            unsafe { bpf_loop(steps, step as *mut _, (&raw mut *self).cast(), 0) };
            return;
        }
        let mut index: u32 = 0;
        while index < FEW && index < steps {
            // SAFETY: the context is valid.
            if unsafe { step(u64::from(index), &raw mut *self) } != 0 {
                break;
            }
            index += 1;
        }
    }

    /// What came of it. `left`: there was more than was followed.
    #[inline(always)]
    fn copied(&self, left: bool) -> Copied {
        let fault = if self.fault == 0 && left { Fault::Segments as u32 } else { self.fault };
        Copied {
            captured: self.captured,
            offered: self.offered,
            segments: self.segments as u16,
            fault: fault as u16,
        }
    }
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
    // SAFETY: the context of `run`.
    let following = unsafe { &mut *following };
    let Some((base, length)) = segment(following.array, index, following.compat != 0) else {
        following.fault = Fault::Descriptor as u32;
        return 1;
    };
    append(following, base, length)
}

/// The next of several messages, or the next segment of the current one.
unsafe extern "C" fn message_step(_index: u64, following: *mut Following) -> i64 {
    // SAFETY: the context of `run`.
    let following = unsafe { &mut *following };
    let compat = following.compat != 0;
    if following.count == 0 || following.left == 0 {
        if following.messages_left == 0 {
            return 1;
        }
        let header = following.messages;
        let (size, moved_at) = if compat { (32, 28) } else { (64, 56) };
        let (Some((array, count)), Some(moved)) =
            (message_segments(header, compat), user::<u32>(header + moved_at))
        else {
            following.fault = Fault::Descriptor as u32;
            return 1;
        };
        following.messages = header + size;
        following.messages_left -= 1;
        following.array = array;
        following.count = count;
        following.left = if following.known != 0 { u64::from(moved) } else { u64::MAX };
        return 0;
    }
    let Some((base, length)) = segment(following.array, 0, compat) else {
        following.fault = Fault::Descriptor as u32;
        return 1;
    };
    following.array += if compat { 8 } else { 16 };
    following.count -= 1;
    let length = if length < following.left { length } else { following.left };
    following.left -= length;
    append(following, base, length)
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
