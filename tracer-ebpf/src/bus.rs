//! What a driver does on its bus on behalf of a call: when the transaction began and ended.
//!
//! A transaction belongs to the call that its thread was in when it began. On some buses it ends in that thread too; on
//! others in an interrupt or a worker, where it is known again by its request.
//!
//! Interrupts come while another program is putting a record together, so nothing here touches the staging buffer.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::bus::Bus;
use tracer_common::counter::Counter;
use tracer_common::record::{Header, Kind, Target};

use crate::maps::{self, BUFFERS, BUS_REQUESTS, BusRequest, DATA, InFlight, RUNNING, count};

/// `BPF_RB_NO_WAKEUP`.
const NO_WAKEUP: u64 = 1;
/// `-EIO`: some buses do not say more than that it failed.
const EIO: i64 = -5;

/// The call on a device that the current thread is in.
#[inline(always)]
fn current() -> Option<*mut InFlight> {
    let tid = bpf_get_current_pid_tgid() as u32;
    let slot = maps::slot(tid)?;
    // SAFETY: a map value that this thread alone writes.
    let (state, target) = unsafe { ((*slot).state, (*slot).target) };
    let device = target == Target::Char as u8 || target == Target::Block as u8;
    if state == RUNNING && device { Some(slot) } else { None }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// A transaction of the current thread begins; `which` of its two places remembers it (SMBus may be made of I2C).
#[inline(always)]
fn thread_begins(which: usize) -> Option<()> {
    let slot = current()?;
    // SAFETY: a map value that this thread alone writes. Each message of a transfer is told; the first is its begin.
    unsafe {
        if (*slot).bus_ns[which] == 0 {
            (*slot).bus_ns[which] = now();
        }
    }
    Some(())
}

/// It ends.
#[inline(always)]
fn thread_ends(which: usize, bus: Bus, amount: u64, result: i64) -> Option<()> {
    let slot = current()?;
    // SAFETY: a map value that this thread alone writes.
    let request = unsafe {
        let begin_ns = (*slot).bus_ns[which];
        (*slot).bus_ns[which] = 0;
        if begin_ns == 0 {
            return None;
        }
        request(slot, begin_ns)
    };
    record(&request, bus, amount, result);
    Some(())
}

/// # Safety
/// The slot has to be this thread's own.
#[inline(always)]
unsafe fn request(slot: *mut InFlight, begin_ns: u64) -> BusRequest {
    // SAFETY: the caller says so.
    unsafe {
        BusRequest {
            ids: bpf_get_current_pid_tgid(),
            call_ns: (*slot).enter_ns,
            begin_ns,
            inode: (*slot).inode,
            fd: (*slot).fd,
            rdev: (*slot).rdev,
            target: u32::from((*slot).target),
            call: u32::from((*slot).kind.call),
        }
    }
}

/// A request of the current thread begins; it is known again by its address.
#[inline(always)]
fn request_begins(address: u64) -> Option<()> {
    let slot = current()?;
    // SAFETY: the slot is this thread's own.
    let request = unsafe { request(slot, now()) };
    if BUS_REQUESTS.insert(address, request, 0).is_err() {
        count(Counter::BusRequestsFull, 1);
    }
    Some(())
}

/// It ends, wherever.
#[inline(always)]
fn request_ends(address: u64, bus: Bus, amount: u64, result: i64) -> Option<()> {
    // SAFETY: the value is copied at once.
    let request = unsafe { BUS_REQUESTS.get(address) }.copied()?;
    let _ = BUS_REQUESTS.remove(address);
    // One that was queued and never issued ends without having begun.
    if request.ids != 0 && request.begin_ns != 0 {
        record(&request, bus, amount, result);
    }
    Some(())
}

#[inline(always)]
fn record(request: &BusRequest, bus: Bus, amount: u64, result: i64) {
    let Some(mut entry) = DATA.reserve::<Header>(0) else {
        count(Counter::BusRingFull, 1);
        return;
    };
    let header = Header {
        kind: Kind::Bus as u16,
        call: request.call as u16,
        target: request.target as u8,
        tgid: (request.ids >> 32) as u32,
        tid: request.ids as u32,
        enter_ns: request.begin_ns,
        exit_ns: now(),
        result,
        fd: request.fd,
        args: [bus as u64, amount, request.call_ns],
        rdev: request.rdev,
        inode: request.inode,
        ..Header::ZERO
    };
    entry.write(header);
    entry.submit(NO_WAKEUP);
    count(Counter::Bus, 1);
}

/// A C `int`.
#[inline(always)]
fn int(word: u64) -> i64 {
    i64::from(word as i32)
}

/// `i2c_write(adapter, message, number)` and `i2c_read`, `include/trace/events/i2c.h`: before each message.
#[raw_tracepoint(tracepoint = "i2c_write")]
pub fn i2c_begin(_ctx: RawTracePointContext) -> i32 {
    thread_begins(0);
    0
}

/// `i2c_result(adapter, messages, result)`.
#[raw_tracepoint(tracepoint = "i2c_result")]
pub fn i2c_end(ctx: RawTracePointContext) -> i32 {
    thread_ends(0, Bus::I2c, u64::from(ctx.arg::<u64>(1) as u32), int(ctx.arg(2)));
    0
}

/// `smbus_write(adapter, address, flags, …)` and `smbus_read`, `include/trace/events/smbus.h`.
#[raw_tracepoint(tracepoint = "smbus_write")]
pub fn smbus_begin(_ctx: RawTracePointContext) -> i32 {
    thread_begins(1);
    0
}

/// `smbus_result(adapter, address, flags, direction, command, protocol, result)`.
#[raw_tracepoint(tracepoint = "smbus_result")]
pub fn smbus_end(ctx: RawTracePointContext) -> i32 {
    thread_ends(1, Bus::Smbus, 1, int(ctx.arg(6)));
    0
}

/// `spi_message_submit(message)`, `include/trace/events/spi.h`.
#[raw_tracepoint(tracepoint = "spi_message_submit")]
pub fn spi_begin(ctx: RawTracePointContext) -> i32 {
    request_begins(ctx.arg(0));
    0
}

/// `spi_message_done(message)`.
#[raw_tracepoint(tracepoint = "spi_message_done")]
pub fn spi_end(ctx: RawTracePointContext) -> i32 {
    request_ends(ctx.arg(0), Bus::Spi, 1, 0);
    0
}

/// `scsi_dispatch_cmd_start(command)`, `include/trace/events/scsi.h`.
#[raw_tracepoint(tracepoint = "scsi_dispatch_cmd_start")]
pub fn scsi_begin(ctx: RawTracePointContext) -> i32 {
    request_begins(ctx.arg(0));
    0
}

/// `scsi_dispatch_cmd_done(command)`.
#[raw_tracepoint(tracepoint = "scsi_dispatch_cmd_done")]
pub fn scsi_end(ctx: RawTracePointContext) -> i32 {
    request_ends(ctx.arg(0), Bus::Scsi, 1, 0);
    0
}

/// `nvme_setup_cmd(request, command)`, `drivers/nvme/host/trace.h`.
#[raw_tracepoint(tracepoint = "nvme_setup_cmd")]
pub fn nvme_begin(ctx: RawTracePointContext) -> i32 {
    request_begins(ctx.arg(0));
    0
}

/// `nvme_complete_rq(request)`.
#[raw_tracepoint(tracepoint = "nvme_complete_rq")]
pub fn nvme_end(ctx: RawTracePointContext) -> i32 {
    request_ends(ctx.arg(0), Bus::Nvme, 1, 0);
    0
}

/// The block layer and the driver below it know a request by the same address, so it is turned into another one.
#[inline(always)]
fn block_request(ctx: &RawTracePointContext) -> u64 {
    !ctx.arg::<u64>(0)
}

/// `block_rq_insert(request)` since 5.11, `include/trace/events/block.h`: it waits for a scheduler or a worker, which may hand
/// it to the driver in any thread. Whose it is has to be known also of those that are nobody's: else the thread that hands
/// it over would be taken for its owner.
#[raw_tracepoint(tracepoint = "block_rq_insert")]
pub fn block_queued(ctx: RawTracePointContext) -> i32 {
    let request = match current() {
        // SAFETY: the slot is this thread's own.
        Some(slot) => unsafe { request(slot, 0) },
        None => BusRequest::NOBODYS,
    };
    if BUS_REQUESTS.insert(block_request(&ctx), request, 0).is_err() && request.ids != 0 {
        count(Counter::BusRequestsFull, 1);
    }
    0
}

/// `block_rq_merge(request)` since 5.11: it became a part of another one.
#[raw_tracepoint(tracepoint = "block_rq_merge")]
pub fn block_merged(ctx: RawTracePointContext) -> i32 {
    let _ = BUS_REQUESTS.remove(block_request(&ctx));
    0
}

/// `block_rq_issue(request)` since 5.11: the driver has it.
#[raw_tracepoint(tracepoint = "block_rq_issue")]
pub fn block_begin(ctx: RawTracePointContext) -> i32 {
    let address = block_request(&ctx);
    if let Some(queued) = BUS_REQUESTS.get_ptr_mut(address) {
        // SAFETY: a map value; a request is in one place at a time.
        unsafe {
            if (*queued).begin_ns == 0 {
                (*queued).begin_ns = now();
                return 0;
            }
        }
    }
    request_begins(address);
    0
}

/// `block_rq_complete(request, error, bytes)`; an error is a `blk_status_t`, whose numbers are the kernel's own.
#[raw_tracepoint(tracepoint = "block_rq_complete")]
pub fn block_end(ctx: RawTracePointContext) -> i32 {
    let result = if ctx.arg::<u64>(1) as u8 == 0 { 0 } else { EIO };
    request_ends(block_request(&ctx), Bus::Block, u64::from(ctx.arg::<u64>(2) as u32), result);
    0
}

/// `vb2_qbuf(queue, buffer)`, `include/trace/events/vb2.h`: the program has given a buffer. The driver may get it much later
/// and in another call, when the stream starts.
#[raw_tracepoint(tracepoint = "vb2_qbuf")]
pub fn v4l2_given(ctx: RawTracePointContext) -> i32 {
    let buffer: u64 = ctx.arg(1);
    match current() {
        Some(slot) => {
            // SAFETY: the slot is this thread's own.
            let request = unsafe { request(slot, 0) };
            if BUFFERS.insert(buffer, request, 0).is_err() {
                count(Counter::BusRequestsFull, 1);
            }
        }
        // Of nobody's who is selected; what was at that address before is gone.
        None => drop(BUFFERS.remove(buffer)),
    }
    0
}

/// `vb2_buf_queue(queue, buffer)`: the driver has it.
#[raw_tracepoint(tracepoint = "vb2_buf_queue")]
pub fn v4l2_begin(ctx: RawTracePointContext) -> i32 {
    if let Some(request) = BUFFERS.get_ptr_mut(ctx.arg::<u64>(1)) {
        // SAFETY: a map value; a buffer is in one place at a time.
        unsafe { (*request).begin_ns = now() };
    }
    0
}

/// `vb2_buf_done(queue, buffer)`: the driver has filled it.
#[raw_tracepoint(tracepoint = "vb2_buf_done")]
pub fn v4l2_end(ctx: RawTracePointContext) -> i32 {
    let buffer: u64 = ctx.arg(1);
    // SAFETY: the value is copied at once.
    let Some(request) = unsafe { BUFFERS.get(buffer) }.copied() else { return 0 };
    let _ = BUFFERS.remove(buffer);
    if request.begin_ns != 0 {
        record(&request, Bus::V4l2, 1, 0);
    }
    0
}

/// `xhci_urb_enqueue(urb)`, `drivers/usb/host/xhci-trace.h`: the host controller's driver has it.
#[raw_tracepoint(tracepoint = "xhci_urb_enqueue")]
pub fn usb_begin(ctx: RawTracePointContext) -> i32 {
    request_begins(ctx.arg(0));
    0
}

/// `xhci_urb_giveback(urb)`. How it ended is not in it yet: the command's own status says that.
#[raw_tracepoint(tracepoint = "xhci_urb_giveback")]
pub fn usb_end(ctx: RawTracePointContext) -> i32 {
    request_ends(ctx.arg(0), Bus::Usb, 1, 0);
    0
}
