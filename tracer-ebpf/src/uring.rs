//! Requests of io_uring: what moves bytes without a system call of its own. A request is remembered when it is handed to
//! the kernel and looked at when its completion is posted, which is done by the program's own threads: then its buffer is
//! what a `read` or `write` of these bytes has, and the record is that of such a call.
//!
//! Where the bytes cannot be had for certain the record says how many there were: buffers that the kernel chooses, arrays
//! of segments that the program may have changed since, completions posted on behalf of a process that is gone.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::call::{Abi, Call, traits};
use tracer_common::counter::Counter;
use tracer_common::record::{Kind as Record, Target, flag};

use crate::calls::{self, Kind};
use crate::copy::Moved;
use crate::maps::{InFlight, SCRATCH, URING, URING_SHOTS, config, count};
use crate::read::kernel;
use crate::select::{self, Who};
use crate::walk::{self, Node};
use crate::{begin, copy, emit, finish};

/// `REQ_F_FIXED_FILE`, `REQ_F_BUFFER_SELECT`: the bits of `IOSQE_*`, `include/uapi/linux/io_uring.h`.
const FIXED_FILE: u32 = 1;
const BUFFER_SELECT: u32 = 1 << 5;
/// `IORING_CQE_F_MORE`: the request goes on.
const MORE: u32 = 2;
/// Low bits of a fixed file's address are flags.
const FILE_MASK: u64 = !7;

/// [`InFlight::nested`] of a request: it could not be done at once.
const LATER: u8 = 1;
/// The same: the kernel chooses the buffer.
const CHOSEN: u8 = 2;

/// How a request says where its bytes are.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `struct io_rw`.
    Rw,
    /// `struct io_sr_msg`.
    Message,
}

/// The call that an opcode stands for (`enum io_uring_op`, `include/uapi/linux/io_uring.h`).
#[inline(always)]
fn call_of(opcode: u8) -> Option<(Call, Form)> {
    Some(match opcode {
        1 => (Call::Readv, Form::Rw),
        2 => (Call::Writev, Form::Rw),
        // With registered buffers: addresses are the program's all the same.
        4 | 22 | 49 => (Call::Read, Form::Rw),
        5 | 23 => (Call::Write, Form::Rw),
        9 | 48 => (Call::Sendmsg, Form::Message),
        10 => (Call::Recvmsg, Form::Message),
        26 | 47 => (Call::Sendto, Form::Message),
        27 => (Call::Recvfrom, Form::Message),
        _ => return None,
    })
}

/// A request is handed to the kernel by the program's thread, or by the kernel's thread of the program that does so.
#[inline(always)]
fn submitted(request: u64) -> Option<()> {
    let opcode: u8 = kernel(request + u64::from(config!(uring.opcode)))?;
    let (mut call, form) = call_of(opcode)?;
    let who = select::who()?;
    let flags: u32 = kernel(request + u64::from(config!(uring.flags)))?;
    let fd: i32 = kernel(request + u64::from(config!(uring.fd)))?;
    let context: u64 = kernel(request + u64::from(config!(uring.context)))?;
    let file = if flags & FIXED_FILE != 0 { fixed(context, fd)? } else { walk::file(fd)? };
    let file = walk::behind(file)?;
    let command = request + u64::from(config!(uring.command));
    let mut args = [fd as u64, 0, 0, 0, 0, 0];
    if form == Form::Rw {
        args[1] = kernel(command + u64::from(config!(uring.rw_address)))?;
        args[2] = u64::from(kernel::<u32>(command + u64::from(config!(uring.rw_length)))?);
        if matches!(file.node, Node::Block(_)) {
            args[3] = kernel(command + u64::from(config!(uring.rw_position)))?;
            call = match call {
                Call::Readv => Call::Preadv,
                Call::Writev => Call::Pwritev,
                Call::Read => Call::Pread64,
                _ => Call::Pwrite64,
            };
        }
    } else {
        let message_flags = u64::from(kernel::<u32>(command + u64::from(config!(uring.message_flags)))?);
        args[1] = kernel(command + u64::from(config!(uring.message_address)))?;
        if matches!(call, Call::Sendmsg | Call::Recvmsg) {
            args[2] = message_flags;
        } else {
            args[2] = u64::from(kernel::<u32>(command + u64::from(config!(uring.message_length)))?);
            args[3] = message_flags;
        }
    }
    let kind = Kind { call: call as u16, traits: traits::of(call) };
    let named = if flags & FIXED_FILE != 0 { -1 } else { fd };
    let slot = begin::described::<true>(kind, Abi::Native, who, named, true, &args, file)?;
    // SAFETY: this CPU's own while the program runs.
    unsafe {
        (*slot).owner = who.tid;
        (*slot).nested = if flags & BUFFER_SELECT != 0 { CHOSEN } else { 0 };
        if URING.insert(request, &*slot, 0).is_err() {
            count(Counter::UringFull, 1);
            return None;
        }
    }
    if flags & BUFFER_SELECT != 0 {
        let name: u64 = kernel(request + u64::from(config!(uring.user_data)))?;
        let _ = URING_SHOTS.insert([context, name], request, 0);
    }
    Some(())
}

/// The file that was registered under a number.
#[inline(always)]
fn fixed(context: u64, index: i32) -> Option<u64> {
    if index < 0 {
        return None;
    }
    let files: u64 = kernel(context + u64::from(config!(uring.files)))?;
    let mut entry = files + 8 * index as u64;
    if config!(uring.file_in_node) != 0 {
        entry = kernel::<u64>(entry)? + u64::from(config!(uring.node_file));
    }
    let file = kernel::<u64>(entry)? & FILE_MASK;
    if files == 0 || file == 0 { None } else { Some(file) }
}

/// A completion is posted.
#[inline(always)]
fn completed(context: u64, mut request: u64, name: u64, result: i32, flags: u32) -> Option<()> {
    if request == 0 {
        // One of several of the same request.
        // SAFETY: the value is copied at once.
        request = *unsafe { URING_SHOTS.get([context, name]) }?;
    }
    let slot = URING.get_ptr_mut(request)?;
    posted(slot, i64::from(result));
    if flags & MORE == 0 {
        let _ = URING.remove(request);
    }
    Some(())
}

#[inline(always)]
fn posted(slot: *mut InFlight, result: i64) -> Option<()> {
    // SAFETY: helper without memory arguments; a map value: a request has one completion at a time.
    unsafe {
        let now = bpf_ktime_get_ns();
        let (kind, args, bits) = ((*slot).kind, (*slot).args, (*slot).nested);
        let who = Who { tgid: (*slot).tgid, tid: (*slot).owner };
        let outward = (*slot).flags & flag::OUTWARD != 0;
        let stage = emit::record(slot, who, Record::Data, result, now)?;
        let header = &raw mut (*stage).header;
        let peek = result > 0
            && ((kind.has(traits::FLAGS_IN_FOURTH) && args[3] & calls::MSG_PEEK != 0)
                || (kind.has(traits::FLAGS_IN_THIRD) && args[2] & calls::MSG_PEEK != 0));
        if peek {
            (*header).flags |= flag::PEEK;
        }
        if kind.has(traits::OFFSET) {
            (*header).flags |= flag::OFFSET;
        }
        let moved = if result > 0 && !peek { result as u32 } else { 0 };
        let end = ((*slot).position as u32).wrapping_add(moved);
        // What was done at once began where the socket was; completions may be posted much later.
        if (*slot).flags & flag::POSITION != 0
            && bits & LATER != 0
            && walk::sequence((*slot).sock, outward) != Some(end)
        {
            (*header).flags |= flag::CONTESTED;
        }
        (*slot).position = u64::from(end);
        let own = (bpf_get_current_pid_tgid() >> 32) as u32 == who.tgid;
        let changed = bits & LATER != 0 && kind.has(traits::SEGMENTS | traits::MESSAGE);
        if bits & CHOSEN != 0 || changed || !own {
            if result > 0 {
                (*header).flags |= flag::UNSEEN;
                count(Counter::UringUnseen, 1);
                count(Counter::UringUnseenBytes, result as u64);
            }
            emit::send(stage, 0, result < 0);
            return Some(());
        }
        let limit = match result {
            error if error < 0 && outward => u64::MAX,
            error if error < 0 => 0,
            moved => moved as u64,
        };
        let socket = (*slot).target == Target::Socket as u8;
        let wanted = if socket { copy::wanted_of_socket(limit) } else { u64::from(config!(capture_bytes)) };
        let in_parts = socket && !peek && result > 0;
        let copied = copy::call(stage, slot, Moved { limit, messages: 0, wanted, in_parts });
        let whole = if result > 0 { result as u64 } else { copied.captured };
        copy::describe(stage, &copied, whole, false);
        finish::account(copied.sent + copied.captured, whole, copied.fault);
        count(Counter::Uring, 1);
        emit::send(stage, copied.captured, result < 0);
    }
    Some(())
}

/// This CPU's place to put a request together.
#[inline(always)]
pub(crate) fn scratch() -> Option<*mut InFlight> {
    let slot = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's own while the program runs.
    unsafe {
        (*slot).state = crate::maps::IDLE;
        (*slot).message_fd = -1;
        (*slot).command_fd = -1;
    }
    Some(slot)
}

/// `io_uring_submit_req(request)`, `io_uring_submit_sqe(request, …)` before 6.4; `include/trace/events/io_uring.h`.
#[raw_tracepoint(tracepoint = "io_uring_submit_req")]
pub fn uring_submit(ctx: RawTracePointContext) -> i32 {
    submitted(ctx.arg(0));
    0
}

/// `io_uring_poll_arm(request, …)`, `io_uring_queue_async_work(request, …)`: it could not be done at once.
#[raw_tracepoint(tracepoint = "io_uring_poll_arm")]
pub fn uring_later(ctx: RawTracePointContext) -> i32 {
    if let Some(slot) = URING.get_ptr_mut(ctx.arg::<u64>(0)) {
        // SAFETY: a map value; a request is in one place at a time.
        unsafe { (*slot).nested |= LATER };
    }
    0
}

/// `io_uring_complete(context, request, completion)`, or its parts one by one (before 6.12).
#[raw_tracepoint(tracepoint = "io_uring_complete")]
pub fn uring_complete(ctx: RawTracePointContext) -> i32 {
    complete(&ctx);
    0
}

#[inline(always)]
fn complete(ctx: &RawTracePointContext) -> Option<()> {
    let (context, request) = (ctx.arg(0), ctx.arg(1));
    if config!(uring.parts) != 0 {
        // As many arguments as there are: others would be refused at attaching.
        let args = ctx.as_ptr() as u64;
        let [name, result, flags]: [u64; 3] = kernel(args + 16)?;
        return completed(context, request, name, result as i32, flags as u32);
    }
    // `struct io_uring_cqe`.
    let [name, rest]: [u64; 2] = kernel(ctx.arg::<u64>(2))?;
    completed(context, request, name, rest as i32, (rest >> 32) as u32)
}
