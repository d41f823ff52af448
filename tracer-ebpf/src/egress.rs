//! Bytes that no system call shows: what `sendfile` and `splice` hand to a connection is copied when it leaves as
//! packets. Only sockets on which such a call was seen are looked at, and of these only the bytes of such calls.
//!
//! Packets are neither held nor changed, and the same bytes leave once more when they are sent again: `next` tells.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_ktime_get_ns, bpf_ringbuf_discard, bpf_ringbuf_submit, bpf_skb_load_bytes,
};
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use tracer_common::counter::Counter;
use tracer_common::record::{Header, Kind, SOCK_COMMON_BYTES, Target, flag};

use crate::maps::{
    DATA, EGRESS, EGRESS_NEW, EGRESS_STATE, InFlight, SockCommon, config, count_at_once as count,
};
use crate::select::Who;

/// Index in `EGRESS_STATE`: the user side has attached the program.
const ATTACHED: u32 = 0;
/// Index in `EGRESS_STATE`: some socket is looked at.
const ARMED: u32 = 1;

/// Bytes of a packet that go into one record. Room in a ring is given out in constant sizes.
const LARGE: usize = 4096;
/// The same of small packets.
const SMALL: usize = 512;
/// Records of one packet: 64 KiB, which is what the kernel hands to a driver in one piece, and a rest on either side.
const RECORDS: u32 = 18;

/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// `BPF_RB_NO_WAKEUP`.
const NO_WAKEUP: u64 = 1;
/// `BPF_RB_FORCE_WAKEUP`.
const FORCE_WAKEUP: u64 = 2;
/// `BPF_RB_AVAIL_DATA`.
const AVAILABLE: u64 = 0;

/// A socket whose packets are looked at. Written by the thread in the call and read by whoever sends the packets; a
/// socket's packets are sent one after the other.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Egress {
    /// Entry of the last call.
    pub(crate) enter_ns: u64,
    /// Inode of the socket: another one, if its address was given away again.
    pub(crate) inode: u64,
    /// Process and thread of the last call.
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
    pub(crate) fd: i32,
    pub(crate) call: u32,
    /// Position of the first byte that is copied.
    pub(crate) from: u32,
    /// Position behind the last, unless a call is running.
    pub(crate) until: u32,
    /// Position behind the last byte that has left.
    pub(crate) next: u32,
    /// 1: a call is running.
    pub(crate) open: u32,
    /// Of the packet that is leaving: position of the next byte to copy, position behind the last, what has to be added to a
    /// position to know where it is in the packet, bytes of the next record less one.
    at: u32,
    end: u32,
    base: u32,
    piece: u32,
    pub(crate) comm: [u8; 16],
    pub(crate) sock_common: SockCommon,
}

/// A call begins whose bytes will not be seen: its socket's packets are looked at from now on.
///
/// # Safety
/// The slot has to be this thread's own.
#[inline(always)]
pub(crate) unsafe fn begins(slot: *mut InFlight, who: Who) {
    if EGRESS_STATE.get(ATTACHED).is_none_or(|attached| *attached == 0) {
        return;
    }
    // SAFETY: the caller says so; map values.
    unsafe {
        let sock = (*slot).sock;
        let position = (*slot).position as u32;
        let known = EGRESS.get_ptr_mut(sock).filter(|egress| (**egress).inode == (*slot).inode);
        if let Some(egress) = known {
            // What was handed over before and has not left yet is still wanted.
            if behind((*egress).next, (*egress).until) {
                (*egress).from = position;
            }
            call(egress, slot, who);
        } else {
            // Not on the stack: there is no room for it on older kernels.
            let Some(egress) = EGRESS_NEW.get_ptr_mut(0) else { return };
            call(egress, slot, who);
            (*egress).inode = (*slot).inode;
            (*egress).from = position;
            (*egress).until = position;
            (*egress).next = position;
            let mut index = 0;
            while index < SOCK_COMMON_BYTES / 8 {
                (*egress).sock_common[index] = (*slot).sock_common[index];
                index += 1;
            }
            if EGRESS.insert(sock, &*egress, 0).is_err() {
                count(Counter::EgressFull, 1);
                return;
            }
            if let Some(armed) = EGRESS_STATE.get_ptr_mut(ARMED) {
                *armed = 1;
            }
        }
        (*slot).flags |= flag::FOLLOWS;
    }
}

/// # Safety
/// Both have to be valid, the slot this thread's own.
#[inline(always)]
unsafe fn call(egress: *mut Egress, slot: *mut InFlight, who: Who) {
    // SAFETY: the caller says so.
    unsafe {
        bpf_get_current_comm((&raw mut (*egress).comm).cast(), 16);
        (*egress).tgid = who.tgid;
        (*egress).tid = who.tid;
        (*egress).fd = (*slot).fd;
        (*egress).call = u32::from((*slot).kind.call);
        (*egress).enter_ns = (*slot).enter_ns;
        (*egress).open = 1;
    }
}

/// The call returns.
///
/// # Safety
/// The slot has to be this thread's own.
#[inline(always)]
pub(crate) unsafe fn ends(slot: *mut InFlight, result: i64) {
    // SAFETY: the caller says so; a map value.
    unsafe {
        if (*slot).flags & flag::FOLLOWS == 0 {
            return;
        }
        let Some(egress) = EGRESS.get_ptr_mut((*slot).sock) else { return };
        if result > 0 {
            (*egress).until = ((*slot).position as u32).wrapping_add(result as u32);
        }
        (*egress).open = 0;
    }
}

/// The program closed the socket: what leaves it from now on nobody can place any more.
///
/// # Safety
/// The slot has to be this thread's own.
#[inline(always)]
pub(crate) unsafe fn closes(slot: *mut InFlight, who: Who) {
    // SAFETY: the caller says so; a map value.
    unsafe {
        if (*slot).sock == 0 || EGRESS_STATE.get(ARMED).is_none_or(|armed| *armed == 0) {
            return;
        }
        if let Some(egress) = EGRESS.get_ptr_mut((*slot).sock)
            && (*egress).tgid == who.tgid
        {
            (*egress).until = (*egress).next;
            (*egress).open = 0;
        }
    }
}

/// Whether the position `a` is `b` or behind it.
#[inline(always)]
fn behind(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 >= 0
}

/// A packet leaves a socket of any process of the host. Always lets it go.
#[cgroup_skb(egress)]
pub fn packet_out(ctx: SkBuffContext) -> i32 {
    if EGRESS_STATE.get(ARMED).is_some_and(|armed| *armed != 0) {
        look(ctx.as_ptr().cast());
    }
    1
}

#[inline(always)]
fn look(skb: *mut __sk_buff) -> Option<()> {
    // SAFETY: a field of the context; the pointer itself is the key, and is not followed.
    let sock = unsafe { (*skb).__bindgen_anon_2.sk } as u64;
    if sock == 0 {
        return None;
    }
    let egress = EGRESS.get_ptr_mut(sock)?;
    // SAFETY: a map value.
    let wanted = unsafe { *egress };
    let (header, sequence, flags) = headers(skb)?;
    // SAFETY: a field of the context.
    let length = unsafe { (*skb).len };
    let size = length.wrapping_sub(header);
    // `SYN` takes a number and has no bytes.
    if length <= header || flags & 2 != 0 {
        return None;
    }
    let mut start = sequence;
    let mut end = sequence.wrapping_add(size);
    if behind(wanted.next, start) {
        start = wanted.next;
    }
    if !behind(end, start) || end == start {
        // It is sent again.
        return None;
    }
    // SAFETY: a map value.
    unsafe { (*egress).next = end };
    if behind(wanted.from, start) {
        start = wanted.from;
    }
    if wanted.open == 0 && behind(end, wanted.until) {
        end = wanted.until;
    }
    if !behind(end, start) || end == start {
        return None;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: a map value.
    unsafe {
        (*egress).at = start;
        (*egress).end = end;
        (*egress).base = header.wrapping_sub(sequence);
        if end.wrapping_sub(start) <= SMALL as u32 {
            return send::<SMALL>(skb, egress, sock, now);
        }
    }
    let mut index = 0;
    while index < RECORDS {
        // SAFETY: as above.
        if unsafe { (&raw const (*egress).at).read_volatile() } == end {
            return Some(());
        }
        send::<LARGE>(skb, egress, sock, now)?;
        index += 1;
    }
    // SAFETY: as above.
    start = unsafe { (*egress).at };
    count(Counter::EgressCut, u64::from(end.wrapping_sub(start)));
    Some(())
}

/// Length of the headers, sequence number and flags of a packet, if it is one of TCP.
#[inline(always)]
fn headers(skb: *mut __sk_buff) -> Option<(u32, u32, u8)> {
    let [first] = load::<1>(skb, 0)?;
    let (protocol, network) = match first >> 4 {
        4 => (load::<1>(skb, 9)?[0], u32::from(first & 15) * 4),
        // A header between, which nobody puts into a connection's packets, would hide it.
        6 => (load::<1>(skb, 6)?[0], 40),
        _ => return None,
    };
    if protocol != TCP {
        return None;
    }
    let sequence = u32::from_be_bytes(load::<4>(skb, network + 4)?);
    let [offset, flags] = load::<2>(skb, network + 12)?;
    Some((network + u32::from(offset >> 4) * 4, sequence, flags))
}

#[inline(always)]
fn load<const N: usize>(skb: *mut __sk_buff, offset: u32) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the helper writes exactly that many bytes, and checks the offset itself.
    let failed = unsafe { bpf_skb_load_bytes(skb as *const _, offset, bytes.as_mut_ptr().cast(), N as u32) };
    if failed == 0 { Some(bytes) } else { None }
}

/// A record with room for so many bytes.
#[repr(C)]
struct Packet<const N: usize> {
    header: Header,
    payload: [u8; N],
}

/// Sends up to `N` bytes from where the socket's packet is.
#[inline(always)]
fn send<const N: usize>(skb: *mut __sk_buff, egress: *mut Egress, sock: u64, now: u64) -> Option<()> {
    const { assert!(N.is_power_of_two(), "a mask bounds the length") };
    // SAFETY: a map value. What is read from there is a new number to the verifier, however it came about, so that it looks
    // at each turn of the loop once.
    let (position, offset, length) = unsafe {
        let position = (&raw const (*egress).at).read_volatile();
        let left = (*egress).end.wrapping_sub(position);
        let capture = config!(capture_bytes);
        let piece = if left < capture { left } else { capture };
        let piece = if piece < N as u32 { piece } else { N as u32 };
        if piece == 0 {
            return None;
        }
        (&raw mut (*egress).piece).write_volatile(piece - 1);
        let length = ((&raw const (*egress).piece).read_volatile() & (N as u32 - 1)) + 1;
        (&raw mut (*egress).at).write_volatile(position.wrapping_add(length));
        (position, (*egress).base.wrapping_add(position), length)
    };
    let Some(mut entry) = DATA.reserve::<Packet<N>>(0) else {
        count(Counter::EgressRingFull, 1);
        return None;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: room for a record, every field of whose header is written; a map value; the helper checks the offset.
    unsafe {
        let payload = (&raw mut (*record).payload).cast();
        if bpf_skb_load_bytes(skb as *const _, offset, payload, length) != 0 {
            bpf_ringbuf_discard(record.cast(), NO_WAKEUP);
            count(Counter::EgressUnreadable, 1);
            core::mem::forget(entry);
            return None;
        }
        let header = &raw mut (*record).header;
        (*header).kind = Kind::Packet as u16;
        (*header).flags = flag::OUTWARD | flag::POSITION;
        (*header).call = (*egress).call as u16;
        (*header).target = Target::Socket as u8;
        (*header).abi = 0;
        (*header).tgid = (*egress).tgid;
        (*header).tid = (*egress).tid;
        (*header).enter_ns = (*egress).enter_ns;
        (*header).exit_ns = now;
        (*header).result = i64::from(length);
        (*header).fd = (*egress).fd;
        (*header).captured = length;
        (*header).requested = u64::from(length);
        (*header).position = u64::from(position);
        (*header).args[0] = 0;
        (*header).args[1] = 0;
        (*header).args[2] = 0;
        (*header).rdev = 0;
        (*header).fault = 0;
        (*header).segments = 1;
        (*header).inode = (*egress).inode;
        (*header).sock = sock;
        (*header).peer = 0;
        (*header).comm = (*egress).comm;
        let words: *mut SockCommon = (&raw mut (*header).sock_common).cast();
        let mut index = 0;
        while index < SOCK_COMMON_BYTES / 8 {
            (*words)[index] = (*egress).sock_common[index];
            index += 1;
        }
        let mark = u64::from(config!(wake_bytes));
        let waiting = DATA.query(AVAILABLE);
        let passes = waiting >= mark && waiting < mark + size_of::<Packet<N>>() as u64 + 8;
        bpf_ringbuf_submit(record.cast(), if passes { FORCE_WAKEUP } else { NO_WAKEUP });
        core::mem::forget(entry);
    }
    count(Counter::Egress, 1);
    Some(())
}
