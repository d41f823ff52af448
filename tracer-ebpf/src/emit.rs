//! Puts a record together and sends it: the only place that writes to a ring.

use core::mem::offset_of;

use aya_ebpf::helpers::generated::{bpf_get_current_comm, bpf_get_current_task_btf};
use tracer_common::counter::Counter;
use tracer_common::limits::CAPTURE_MAX;
use tracer_common::record::{HEADER_BYTES, Header, Kind, SOCK_COMMON_BYTES};

use crate::maps::{DATA, InFlight, LIFECYCLE, SockCommon, Stage, config, count};
use crate::read;
use crate::select::Who;
use crate::stage;

/// `TASK_COMM_LEN`, `include/linux/sched.h`.
const COMM_BYTES: usize = 16;
/// `BPF_RB_NO_WAKEUP`.
const NO_WAKEUP: u64 = 1;
/// `BPF_RB_FORCE_WAKEUP`.
const FORCE_WAKEUP: u64 = 2;
/// `BPF_RB_AVAIL_DATA`.
const AVAILABLE: u64 = 0;

/// This CPU's staging buffer with the header of a record of `kind` about a call.
#[inline(always)]
pub(crate) fn record(
    slot: *mut InFlight,
    who: Who,
    kind: Kind,
    result: i64,
    exit_ns: u64,
) -> Option<*mut Stage> {
    let stage = blank(who, kind, exit_ns)?;
    // SAFETY: the stage is this CPU's own while the program runs; the slot is this thread's own.
    unsafe {
        let header = &raw mut (*stage).header;
        (*header).flags = (*slot).flags;
        (*header).call = (*slot).kind.call;
        (*header).target = (*slot).target;
        (*header).abi = (*slot).abi;
        (*header).enter_ns = (*slot).enter_ns;
        (*header).result = result;
        (*header).fd = (*slot).fd;
        (*header).position = (*slot).position;
        (*header).args = [(*slot).args[1], (*slot).args[2], (*slot).args[3]];
        (*header).rdev = (*slot).rdev;
        (*header).inode = (*slot).inode;
        (*header).sock = (*slot).sock;
        (*header).peer = (*slot).peer;
        if (*slot).sock != 0 {
            let words = sock_common(stage);
            let mut index = 0;
            while index < SOCK_COMMON_BYTES / 8 {
                (*words)[index] = (*slot).sock_common[index];
                index += 1;
            }
        }
    }
    Some(stage)
}

/// As [`record`], for something that is no call.
#[inline(always)]
pub(crate) fn blank(who: Who, kind: Kind, now: u64) -> Option<*mut Stage> {
    let Some(stage) = stage::own() else {
        count(Counter::NoStage, 1);
        return None;
    };
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe { fill(stage, who, kind, now) };
    Some(stage)
}

/// Fills in the header of a record that says nothing yet.
///
/// # Safety
/// The stage has to be the program's own.
#[inline(always)]
pub(crate) unsafe fn fill(stage: *mut Stage, who: Who, kind: Kind, now: u64) {
    // SAFETY: the caller says so.
    unsafe {
        let header = &raw mut (*stage).header;
        // First: what is stored before a call of the kernel has to be stored, even if it is overwritten behind it.
        comm(&raw mut (*header).comm);
        (*header).kind = kind as u16;
        (*header).flags = 0;
        (*header).call = 0;
        (*header).target = 0;
        (*header).abi = 0;
        (*header).tgid = who.tgid;
        (*header).tid = who.tid;
        (*header).enter_ns = now;
        (*header).exit_ns = now;
        (*header).result = 0;
        (*header).fd = -1;
        (*header).captured = 0;
        (*header).requested = 0;
        (*header).position = 0;
        (*header).args[0] = 0;
        (*header).args[1] = 0;
        (*header).args[2] = 0;
        (*header).rdev = 0;
        (*header).fault = 0;
        (*header).segments = 0;
        (*header).inode = 0;
        (*header).sock = 0;
        (*header).peer = 0;
        let words = sock_common(stage);
        let mut index = 0;
        while index < SOCK_COMMON_BYTES / 8 {
            (*words)[index] = 0;
            index += 1;
        }
    }
}

/// The thread's name.
#[inline(always)]
unsafe fn comm(to: *mut [u8; COMM_BYTES]) {
    if config!(words_type) != 0 {
        // SAFETY: no arguments.
        let task = unsafe { bpf_get_current_task_btf() } as u64;
        let name = read::kernel::<[u64; COMM_BYTES / 8]>(task + u64::from(config!(offsets.task_comm)));
        // SAFETY: the caller says that the place is valid; in a map value it is aligned.
        unsafe {
            let to = to.cast::<u64>();
            let [first, second] = name.unwrap_or_default();
            to.write(first);
            to.add(1).write(second);
        }
        return;
    }
    // SAFETY: as above.
    unsafe { bpf_get_current_comm(to.cast(), COMM_BYTES as u32) };
}

/// The place of the socket in words: bytes would be cleared and copied one by one.
#[inline(always)]
fn sock_common(stage: *mut Stage) -> *mut SockCommon {
    const {
        assert!(
            offset_of!(Header, sock_common) % 8 == 0 && offset_of!(Header, comm) % 8 == 0,
            "the words lie where words can lie"
        )
    };
    // SAFETY: the stage is a map value, which is aligned.
    unsafe { (&raw mut (*stage).header.sock_common).cast() }
}

/// Whether the data ring fills faster than it is read.
#[inline(always)]
pub(crate) fn is_filling() -> bool {
    DATA.query(AVAILABLE) > u64::from(config!(busy_bytes))
}

/// Sends a record with `captured` bytes of payload.
#[inline(always)]
pub(crate) fn send(stage: *mut Stage, captured: u64, lifecycle: bool) {
    output(stage, captured, lifecycle, false);
}

/// Sends a lifecycle record of which the user side is to know at once.
#[inline(always)]
pub(crate) fn send_urgently(stage: *mut Stage, captured: u64) {
    output(stage, captured, true, true);
}

#[inline(never)]
fn output(stage: *mut Stage, captured: u64, lifecycle: bool, urgent: bool) {
    let captured = if captured > CAPTURE_MAX as u64 { CAPTURE_MAX as u64 } else { captured };
    // SAFETY: header and payload lie in one piece in the stage, which is longer than both.
    let bytes = unsafe {
        (*stage).header.captured = captured as u32;
        core::slice::from_raw_parts(stage.cast::<u8>(), HEADER_BYTES + captured as usize)
    };
    let half = 4 * u64::from(config!(lifecycle_wake_bytes));
    // Many opens and closes at once leave room for what fails: the reader merges both rings.
    // SAFETY: the header was filled in.
    let lifecycle =
        lifecycle && (urgent || unsafe { (*stage).header.result } < 0 || LIFECYCLE.query(AVAILABLE) <= half);
    let (ring, mark) = if lifecycle {
        (&LIFECYCLE, u64::from(config!(lifecycle_wake_bytes)))
    } else {
        (&DATA, u64::from(config!(wake_bytes)))
    };
    // The reader comes by itself every few milliseconds. Waking it costs the traced program an interrupt, so that is done
    // once, when the ring fills past the mark: a reader that was woken reads until the ring is empty.
    let waiting = ring.query(AVAILABLE);
    let passes = waiting < mark && waiting + bytes.len() as u64 >= mark;
    let wake = if urgent || passes { FORCE_WAKEUP } else { NO_WAKEUP };
    let sent = ring.output::<[u8]>(bytes, wake).is_ok();
    match (lifecycle, sent) {
        (false, true) => {
            count(Counter::Data, 1);
            count(Counter::DataBytes, (HEADER_BYTES + captured as usize) as u64);
        }
        (false, false) => count(Counter::DataRingFull, 1),
        (true, true) => count(Counter::Lifecycle, 1),
        (true, false) => count(Counter::LifecycleRingFull, 1),
    }
}
