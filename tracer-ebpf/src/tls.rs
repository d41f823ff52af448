//! Plaintext from TLS libraries: functions of programs are hooked where they take or give it.
//!
//! Which connection it belongs to is told by the socket that the same thread uses during the call. A session (the
//! library's object of a connection) that used a selected socket is *ours* from then on, also in calls that move no
//! bytes of the socket; one that used another socket is *foreign*, and nothing of it is copied. One that never uses a
//! socket gets its bytes by way of memory: it is told of if its thread has used a selected socket, and the user side
//! decides.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::{bpf_get_attach_cookie, bpf_ktime_get_ns};
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use tracer_common::call::Call;
use tracer_common::counter::Counter;
use tracer_common::limits::CAPTURE_MAX;
use tracer_common::record::{Fault, Kind, Target, flag};
use tracer_common::tls::{Library, TIE_SHIFT, Tie, cookie};

use crate::maps::{
    self, GoCall, InFlight, TLS_GO_CALLS, TLS_SESSIONS, TlsCall, TlsKey, config, count, slot_or_new,
};
use crate::probes::AMD64;
use crate::read::{self, user};
use crate::select::{self, Who};
use crate::{copy, emit, stage};

/// [`TlsCall::used`]: a selected socket was used.
const OURS: u16 = 1;
/// [`TlsCall::used`]: a socket that is not selected was used.
const STRANGE: u16 = 2;
/// [`TlsCall::used`]: several selected sockets were used.
const SEVERAL: u16 = 4;

/// Value of the map of sessions: the connection is selected.
const SESSION_OURS: u32 = 1;
/// Value of the map of sessions: it is not.
const SESSION_FOREIGN: u32 = 2;

/// Registers of a hooked program by their place in what the kernel saves of it.
struct Registers(u64);

impl Registers {
    /// The `INDEX`th word: amd64 `struct pt_regs`, arm64 `struct user_pt_regs`. Not by a direct access: the compiler would
    /// choose among the architectures' places and then load, which the verifier does not let through.
    #[inline(always)]
    fn word<const INDEX: u64>(&self) -> u64 {
        read::kernel(self.0 + 8 * INDEX).unwrap_or(0)
    }

    /// The first four arguments, by the C calling convention: amd64 di, si, dx, cx.
    #[inline(always)]
    fn arguments(&self) -> [u64; 4] {
        if config!(arch) == AMD64 {
            [self.word::<14>(), self.word::<13>(), self.word::<12>(), self.word::<11>()]
        } else {
            [self.word::<0>(), self.word::<1>(), self.word::<2>(), self.word::<3>()]
        }
    }

    /// The first two registers of a result: amd64 ax, dx.
    #[inline(always)]
    fn result(&self) -> [u64; 2] {
        if config!(arch) == AMD64 {
            [self.word::<10>(), self.word::<12>()]
        } else {
            [self.word::<0>(), self.word::<1>()]
        }
    }

    /// At entry: the stack pointer as it will be at the return.
    #[inline(always)]
    fn stack_at_entry(&self) -> u64 {
        // amd64: the return takes its address off the stack.
        if config!(arch) == AMD64 { self.word::<19>() + 8 } else { self.word::<31>() }
    }

    #[inline(always)]
    fn stack(&self) -> u64 {
        if config!(arch) == AMD64 { self.word::<19>() } else { self.word::<31>() }
    }

    /// Arguments of a Go function, `ABIInternal`: receiver, and pointer and length of a slice. amd64 ax, bx, cx.
    #[inline(always)]
    fn go_arguments(&self) -> [u64; 3] {
        if config!(arch) == AMD64 {
            [self.word::<10>(), self.word::<5>(), self.word::<11>()]
        } else {
            [self.word::<0>(), self.word::<1>(), self.word::<2>()]
        }
    }

    /// The goroutine: amd64 r14, arm64 r28.
    #[inline(always)]
    fn goroutine(&self) -> u64 {
        if config!(arch) == AMD64 { self.word::<1>() } else { self.word::<28>() }
    }
}

/// What a hook's function is like.
#[inline(always)]
fn cookie_of(ctx: *mut core::ffi::c_void) -> u64 {
    // SAFETY: the program's own context.
    unsafe { bpf_get_attach_cookie(ctx) }
}

/// A function that takes or gives plaintext begins.
#[uprobe]
pub fn tls_begin(ctx: ProbeContext) -> u32 {
    begin(&Registers(ctx.as_ptr() as u64), cookie_of(ctx.as_ptr()));
    0
}

/// It returns.
#[uretprobe]
pub fn tls_end(ctx: RetProbeContext) -> u32 {
    end(&Registers(ctx.as_ptr() as u64), cookie_of(ctx.as_ptr()));
    0
}

/// A function of a Rust program is given plaintext.
#[uprobe]
pub fn tls_given(ctx: ProbeContext) -> u32 {
    given(&Registers(ctx.as_ptr() as u64), cookie_of(ctx.as_ptr()));
    0
}

/// A method of Go's `tls.Conn` begins.
#[uprobe]
pub fn tls_go_begin(ctx: ProbeContext) -> u32 {
    go_begin(&Registers(ctx.as_ptr() as u64));
    0
}

/// It is about to return: hooked at each of its `ret` instructions, since a goroutine's stack moves.
#[uprobe]
pub fn tls_go_end(ctx: ProbeContext) -> u32 {
    go_end(&Registers(ctx.as_ptr() as u64), cookie_of(ctx.as_ptr()));
    0
}

#[inline(always)]
fn begin(registers: &Registers, cookie: u64) -> Option<()> {
    let who = select::who()?;
    let [first, buffer, length, count] = registers.arguments();
    let session = if cookie & cookie::INDIRECT != 0 { user(first)? } else { first };
    let stack = registers.stack_at_entry();
    let slot = slot_or_new(who.tid)?;
    // SAFETY: a map value that this thread alone writes; helper without memory arguments.
    unsafe {
        let call = &raw mut (*slot).tls;
        // A library's function that calls another one of them: the outer one counts. A call whose return was never seen
        // lies below, or at another place.
        if (*call).stack > stack && (*call).session == session {
            return None;
        }
        (*call).stack = stack;
        (*call).session = session;
        (*call).buffer = buffer;
        (*call).length = length;
        (*call).count = count;
        (*call).enter_ns = bpf_ktime_get_ns();
        (*call).sock = 0;
        (*call).fd = -1;
        (*call).used = 0;
    }
    Some(())
}

/// A thread uses a selected socket.
#[inline(always)]
pub(crate) unsafe fn used(slot: *mut InFlight, fd: i32, sock: u64) {
    if config!(tls) == 0 {
        return;
    }
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        let call = &raw mut (*slot).tls;
        (*call).at_home = 1;
        if (*call).stack == 0 {
            return;
        }
        if (*call).used & OURS != 0 && ((*call).fd != fd || (*call).sock != sock) {
            (*call).used |= SEVERAL;
        }
        (*call).used |= OURS;
        (*call).fd = fd;
        (*call).sock = sock;
    }
}

/// A thread uses a socket that is not selected.
#[inline(always)]
pub(crate) fn strange(tid: u32) {
    if config!(tls) == 0 {
        return;
    }
    let Some(slot) = maps::slot(tid) else { return };
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        if (*slot).tls.stack != 0 {
            (*slot).tls.used |= STRANGE;
        }
    }
}

#[inline(always)]
fn end(registers: &Registers, cookie: u64) -> Option<()> {
    let both = bpf_get_current_pid_tgid();
    let who = Who { tgid: (both >> 32) as u32, tid: both as u32 };
    let slot = maps::slot(who.tid)?;
    // SAFETY: a map value that this thread alone writes.
    let call = unsafe {
        let call: TlsCall = (*slot).tls;
        if call.stack != registers.stack() {
            return None;
        }
        (*slot).tls.stack = 0;
        call
    };
    let [first, second] = registers.result();
    let moved = if cookie & cookie::COUNT_BEHIND != 0 {
        if first as i32 == 1 { user::<u64>(call.count)? } else { 0 }
    } else if cookie & cookie::PAIR != 0 {
        if first == 0 { second } else { 0 }
    } else if cookie & cookie::WIDE != 0 {
        if (first as i64) < 0 { 0 } else { first }
    } else if (first as i32) < 0 {
        0
    } else {
        u64::from(first as u32)
    };
    let key = TlsKey { tgid: u64::from(who.tgid), address: call.session };
    let tie = if call.used & SEVERAL != 0 {
        Tie::Several
    } else if call.used & OURS != 0 {
        Tie::Nested
    } else {
        Tie::None
    };
    // Also of calls that moved nothing: handshakes.
    if !is_wanted(key, tie, call.used & STRANGE != 0, call.at_home != 0) {
        return None;
    }
    if moved == 0 {
        return None;
    }
    let found = Found {
        session: call.session,
        buffer: call.buffer,
        moved,
        requested: call.length,
        enter_ns: call.enter_ns,
        tid: who.tid,
        fd: if matches!(tie, Tie::Nested) { call.fd } else { -1 },
        sock: if matches!(tie, Tie::Nested) { call.sock } else { 0 },
        tie,
    };
    emit(who, cookie, &found)
}

/// Whether plaintext of a session is copied; what the session was found to be is remembered.
#[inline(always)]
fn is_wanted(key: TlsKey, tie: Tie, strange: bool, at_home: bool) -> bool {
    // SAFETY: the value is copied at once.
    let known = unsafe { TLS_SESSIONS.get(key) }.copied().unwrap_or(0);
    let now = match (tie, strange) {
        (Tie::Nested, _) => SESSION_OURS,
        (Tie::None, true) => SESSION_FOREIGN,
        _ => known,
    };
    if now != known {
        let _ = TLS_SESSIONS.insert(key, now, 0);
    }
    let wanted = now == SESSION_OURS || (now != SESSION_FOREIGN && at_home);
    if !wanted {
        count(Counter::TlsForeign, 1);
    }
    wanted
}

/// Plaintext of one record at most, RFC 8446 section 5.1: more is no length.
const RECORD: u64 = 1 << 14;
/// No memory of a program lies below: `vm.mmap_min_addr`.
const LOWEST: u64 = 4096;

#[inline(always)]
fn given(registers: &Registers, cookie: u64) -> Option<()> {
    let who = select::who()?;
    let slot = maps::slot(who.tid)?;
    let [session, bytes, ..] = registers.arguments();
    // Capacity (or the mark of a borrowed slice), address, length.
    let [_, buffer, length]: [u64; 3] = user(bytes)?;
    if buffer < LOWEST || length == 0 || length > RECORD {
        return None;
    }
    let key = TlsKey { tgid: u64::from(who.tgid), address: session };
    // SAFETY: a map value that this thread alone writes.
    if !is_wanted(key, Tie::None, false, unsafe { (*slot).tls.at_home } != 0) {
        return None;
    }
    let found = Found {
        session,
        buffer,
        moved: length,
        requested: length,
        // SAFETY: no arguments.
        enter_ns: unsafe { bpf_ktime_get_ns() },
        tid: who.tid,
        fd: -1,
        sock: 0,
        tie: Tie::None,
    };
    emit(who, cookie, &found)
}

/// What a call of a TLS library was.
struct Found {
    session: u64,
    buffer: u64,
    moved: u64,
    requested: u64,
    enter_ns: u64,
    tid: u32,
    fd: i32,
    sock: u64,
    tie: Tie,
}

#[inline(always)]
fn emit(who: Who, cookie: u64, found: &Found) -> Option<()> {
    let Some(stage) = stage::take() else {
        count(Counter::TlsBusy, 1);
        return None;
    };
    // SAFETY: the stage was taken; helper without arguments.
    unsafe { emit::fill(stage, who, Kind::Tls, bpf_ktime_get_ns()) };
    let capture = copy::wanted_of_socket(found.moved);
    let capture = if capture < CAPTURE_MAX as u64 { capture } else { CAPTURE_MAX as u64 };
    let wanted = if found.moved < capture { found.moved } else { capture };
    let outward = cookie & cookie::OUTWARD != 0;
    // SAFETY: the stage was taken.
    let captured = unsafe {
        let header = &raw mut (*stage).header;
        (*header).call = if outward { Call::Write } else { Call::Read } as u16;
        (*header).flags = if outward { flag::OUTWARD } else { 0 };
        (*header).enter_ns = found.enter_ns;
        (*header).result = found.moved as i64;
        (*header).requested = found.requested;
        (*header).args[0] = found.session;
        (*header).args[1] =
            (cookie >> cookie::LIBRARY_SHIFT) & 0xff | u64::from(found.tie as u8) << TIE_SHIFT;
        (*header).args[2] = u64::from(found.tid);
        (*header).fd = found.fd;
        (*header).sock = found.sock;
        if matches!(found.tie, Tie::Nested) {
            (*header).target = Target::Socket as u8;
        }
        if cookie & cookie::UNSEEN != 0 {
            (*header).flags |= flag::UNSEEN;
            0
        } else {
            let captured = if cookie & cookie::SEGMENTS != 0 {
                let array = (found.buffer, found.requested);
                copy::gather(stage, array, false, found.moved, 0, wanted).captured
            } else {
                copy::bytes(stage, 0, found.buffer, wanted)
            };
            if captured < wanted {
                (*header).fault = Fault::Unreadable as u16;
            }
            captured
        }
    };
    if captured < wanted {
        count(Counter::Unreadable, 1);
    } else if captured < found.moved {
        count(Counter::CaptureCut, 1);
    }
    if captured < found.moved {
        count(Counter::BytesCut, found.moved - captured);
    }
    count(Counter::Tls, 1);
    emit::send(stage, captured, false);
    // SAFETY: it was taken above.
    unsafe { stage::give_back(stage) };
    Some(())
}

#[inline(always)]
fn go_begin(registers: &Registers) -> Option<()> {
    let who = select::who()?;
    let [session, buffer, length] = registers.go_arguments();
    let key = TlsKey { tgid: u64::from(who.tgid), address: registers.goroutine() };
    // SAFETY: no arguments.
    let enter_ns = unsafe { bpf_ktime_get_ns() };
    let call = GoCall { session, buffer, length, enter_ns, tid: u64::from(who.tid) };
    let _ = TLS_GO_CALLS.insert(key, call, 0);
    Some(())
}

#[inline(always)]
fn go_end(registers: &Registers, cookie: u64) -> Option<()> {
    let who = select::who()?;
    let key = TlsKey { tgid: u64::from(who.tgid), address: registers.goroutine() };
    // SAFETY: the value is copied at once.
    let call = unsafe { TLS_GO_CALLS.get(key) }.copied()?;
    let _ = TLS_GO_CALLS.remove(key);
    // Results: number of bytes, and an error in the next two registers.
    let moved = if config!(arch) == AMD64 { registers.word::<10>() } else { registers.word::<0>() };
    if moved as i64 <= 0 {
        return None;
    }
    let outward = cookie & cookie::OUTWARD != 0;
    let session = TlsKey { address: call.session, ..key };
    // SAFETY: as above.
    let known = unsafe { TLS_SESSIONS.get(session) }.copied().unwrap_or(0);
    let mut found = Found {
        session: call.session,
        buffer: call.buffer,
        moved,
        requested: call.length,
        enter_ns: call.enter_ns,
        tid: call.tid as u32,
        fd: -1,
        sock: 0,
        tie: Tie::None,
    };
    // The goroutine's last call on a socket before it returns is made by the thread in which it returns.
    if let Some(slot) = maps::slot(who.tid) {
        // SAFETY: a map value that this thread alone writes.
        unsafe {
            if (*slot).target == Target::Socket as u8
                && (*slot).enter_ns >= call.enter_ns
                && ((*slot).flags & flag::OUTWARD != 0) == outward
            {
                found.tie = Tie::Nested;
                found.fd = (*slot).fd;
                found.sock = (*slot).sock;
            }
        }
    }
    if matches!(found.tie, Tie::Nested) {
        if known != SESSION_OURS {
            let _ = TLS_SESSIONS.insert(session, SESSION_OURS, 0);
        }
    } else if known != SESSION_OURS {
        count(Counter::TlsForeign, 1);
        return None;
    }
    let go = cookie | (Library::Go as u64) << cookie::LIBRARY_SHIFT;
    emit(who, go, &found)
}
