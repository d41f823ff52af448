//! Every map, and the constants of the run.

use core::arch::asm;
use core::mem::offset_of;

use crate::calls::Kind;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, Queue, RingBuf};
use tracer_common::call::NUMBERS as NUMBERS_PER_ABI;
use tracer_common::config::{Config, DeviceKey, FdInfo, FdKey, Offsets, Uring, running};
use tracer_common::counter::{COUNTERS as COUNTERS_LEN, Counter};
use tracer_common::limits;
use tracer_common::recipe::{Recipe, RecipeKey};
use tracer_common::record::{Header, SOCK_COMMON_BYTES};

/// Set before loading and frozen: the verifier sees the values and drops the branches that they close.
#[unsafe(no_mangle)]
static CONFIG: Config = Config {
    own_tgid: 0,
    btf: 0,
    only_processes: 0,
    capture_bytes: 0,
    capture_socket: 0,
    capture_busy: 0,
    busy_bytes: 0,
    arch: 0,
    wake_bytes: 0,
    lifecycle_wake_bytes: 0,
    unix_paths: 0,
    loops: 0,
    own_children: 0,
    fork_child: 0,
    words_type: 0,
    tls: 0,
    offsets: Offsets {
        task_files: 0,
        files_fdt: 0,
        fdt_max_fds: 0,
        fdt_fd: 0,
        file_inode: 0,
        file_private: 0,
        inode_mode: 0,
        inode_rdev: 0,
        inode_ino: 0,
        socket_sk: 0,
        skc_family: 0,
        skc_dport: 0,
        skc_num: 0,
        sk_protocol: 0,
        tcp_write_seq: 0,
        tcp_copied_seq: 0,
        unix_peer: 0,
        unix_addr: 0,
        unix_address_name: 0,
        task_tgid: 0,
        task_pid: 0,
        task_status: 0,
        task_flags: 0,
        file_flags: 0,
        task_comm: 0,
        task_start: 0,
        task_mm: 0,
        mm_arg_start: 0,
        mm_arg_end: 0,
        mm_env_end: 0,
        mm_exe_file: 0,
        file_dentry: 0,
        dentry_name: 0,
        task_signal: 0,
        signal_live: 0,
    },
    uring: Uring {
        opcode: 0,
        flags: 0,
        fd: 0,
        user_data: 0,
        context: 0,
        command: 0,
        rw_address: 0,
        rw_length: 0,
        rw_position: 0,
        message_address: 0,
        message_length: 0,
        message_flags: 0,
        files: 0,
        file_in_node: 0,
        node_file: 0,
        parts: 0,
    },
};

/// A field of [`CONFIG`], read so that the compiler cannot fold the value of build time.
macro_rules! config {
    ($($field:ident).+) => {
        // SAFETY: a valid, aligned reference to a frozen static.
        {
            #[allow(unused_unsafe)]
            unsafe { core::ptr::read_volatile(&raw const (*$crate::maps::constants()).$($field).+) }
        }
    };
}
pub(crate) use config;

/// Where the constants are.
#[inline(always)]
pub(crate) fn constants() -> *const Config {
    &raw const CONFIG
}

/// A thread's call between entry and exit. A thread keeps its slot while it lives, so that a call costs neither an
/// insertion nor a removal. What every exit asks comes first: it lies in one cache line.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct InFlight {
    /// The thread whose slot it is, 0 if nobody's.
    pub(crate) owner: u32,
    pub(crate) state: u8,
    pub(crate) target: u8,
    pub(crate) abi: u8,
    /// 1: this end has the selected port itself, so it is the server.
    pub(crate) server: u8,
    pub(crate) kind: Kind,
    pub(crate) fd: i32,
    pub(crate) enter_ns: u64,
    /// Process of the thread.
    pub(crate) tgid: u32,
    pub(crate) rdev: u32,
    /// Exit of a call that the kernel may restart.
    pub(crate) exit_ns: u64,
    pub(crate) args: [u64; 6],
    pub(crate) inode: u64,
    pub(crate) sock: u64,
    pub(crate) peer: u64,
    pub(crate) position: u64,
    pub(crate) flags: u16,
    /// Family of the device's `ioctl` commands.
    pub(crate) family: u8,
    /// Of an `ioctl`: bits of [`crate::nested`].
    pub(crate) nested: u8,
    /// The descriptor on which this thread found nothing last, -1 if it found something since.
    pub(crate) dry_fd: i32,
    /// The descriptor from which this thread last got bytes of a connection as a client, -1 once it waits for more.
    pub(crate) message_fd: i32,
    /// Its socket.
    pub(crate) message_sock: u64,
    /// The descriptor to which this thread last wrote a device command, -1 once it waits for the answer or has it.
    pub(crate) command_fd: i32,
    /// Its device number.
    pub(crate) command_rdev: u32,
    /// Exit of the last call that moved bytes.
    pub(crate) moved_ns: u64,
    /// The last `ioctl` command of which nothing has to be followed, with family and layout (0: none), and the sizes of
    /// its argument: programs repeat themselves.
    pub(crate) plain_command: u64,
    /// As above: bytes that the kernel reads, and writes.
    pub(crate) plain_sizes: [u32; 2],
    /// Begin of the transaction that the driver does on its bus: I2C, SMBus; 0 if it does none.
    pub(crate) bus_ns: [u64; 2],
    pub(crate) sock_common: SockCommon,
    /// The call of a TLS library that the thread is in.
    pub(crate) tls: TlsCall,
}

/// A call of a TLS library.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TlsCall {
    /// Stack pointer at entry, 0: no call. It says which return belongs to which entry.
    pub(crate) stack: u64,
    pub(crate) session: u64,
    pub(crate) buffer: u64,
    pub(crate) length: u64,
    /// Where the number of bytes will be stored, if it is.
    pub(crate) count: u64,
    pub(crate) enter_ns: u64,
    /// The selected socket that was used during the call.
    pub(crate) sock: u64,
    pub(crate) fd: i32,
    /// Bits of [`crate::tls`].
    pub(crate) used: u16,
    /// 1: the thread has used a selected socket, in this call or before.
    pub(crate) at_home: u16,
}

/// A session of a TLS library, or a goroutine.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TlsKey {
    pub(crate) tgid: u64,
    pub(crate) address: u64,
}

/// A call of Go's library: its goroutine may go on in another thread.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct GoCall {
    pub(crate) session: u64,
    pub(crate) buffer: u64,
    pub(crate) length: u64,
    pub(crate) enter_ns: u64,
    pub(crate) tid: u64,
}

const _: () = assert!(
    offset_of!(InFlight, state) == running::STATE
        && offset_of!(InFlight, target) == running::TARGET
        && offset_of!(InFlight, kind) == running::CALL
        && offset_of!(InFlight, tgid) == running::PROCESS
        && offset_of!(InFlight, rdev) == running::DEVICE
        && size_of::<InFlight>() == running::BYTES
        && RUNNING == running::RUNNING,
    "the user side reads these"
);

/// [`Header::sock_common`] in words: copied and cleared a word at a time.
pub(crate) type SockCommon = [u64; SOCK_COMMON_BYTES / 8];

/// A transaction on a bus that ends elsewhere than it began.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct BusRequest {
    /// Process and thread, as `bpf_get_current_pid_tgid` gives them.
    pub(crate) ids: u64,
    pub(crate) call_ns: u64,
    pub(crate) begin_ns: u64,
    pub(crate) inode: u64,
    pub(crate) fd: i32,
    pub(crate) rdev: u32,
    pub(crate) target: u32,
    pub(crate) call: u32,
}

impl BusRequest {
    /// No selected call's.
    pub(crate) const NOBODYS: Self =
        Self { ids: 0, call_ns: 0, begin_ns: 0, inode: 0, fd: -1, rdev: 0, target: 0, call: 0 };
}

/// A descriptor without a node that a device's driver made, by the address of its `struct file`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Anonymous {
    /// `file.private_data`: another one, if the address was given away again.
    pub(crate) private: u64,
    /// Number of the device that it came from.
    pub(crate) rdev: u32,
    /// Family of the device's commands.
    pub(crate) family: u32,
}

/// [`InFlight::state`]: no call.
pub(crate) const IDLE: u8 = 0;
/// [`InFlight::state`]: a call is running.
pub(crate) const RUNNING: u8 = 1;
/// [`InFlight::state`]: a call was interrupted by a signal; the kernel may start it again.
pub(crate) const INTERRUPTED: u8 = 2;

/// Where a record is put together before it goes to a ring in one piece.
#[repr(C)]
pub(crate) struct Stage {
    pub(crate) header: Header,
    pub(crate) payload: [u8; limits::STAGE_BYTES],
    /// Its own index, once it was used.
    pub(crate) index: u64,
    /// 1: a hook of a program is putting a record together.
    pub(crate) taken: u64,
    /// What the call that is looked at returned.
    pub(crate) result: i64,
    /// Where a copy of many segments is.
    pub(crate) following: crate::copy::Following,
    /// Where a copy of what an `ioctl`'s argument points to is.
    pub(crate) nested: crate::nested::Nested,
}

#[map]
pub(crate) static NUMBERS: Array<u32> = Array::with_max_entries(2 * NUMBERS_PER_ABI, 0);
#[map]
static PROCESSES: Array<Marks> = Array::with_max_entries(limits::PIDS / limits::MARKS as u32, 0);
/// Number of the slot, plus one, that a thread may have, by the low bits of its id: see [`slot`].
#[map]
static HINTS: Array<[u16; limits::MARKS]> = Array::with_max_entries(limits::HINTS / limits::MARKS as u32, 0);
#[map]
pub(crate) static COMMS: HashMap<[u8; 16], u8> = HashMap::with_max_entries(256, 0);
#[map]
pub(crate) static MAJORS: Array<u8> = Array::with_max_entries(3 * limits::MAJORS, 0);
#[map]
pub(crate) static DEVICES: HashMap<DeviceKey, u8> = HashMap::with_max_entries(limits::DEVICES, 0);
#[map]
pub(crate) static PORTS: Array<u8> = Array::with_max_entries(limits::PORTS, 0);
#[map]
pub(crate) static UNIX_PATHS: HashMap<[u8; 108], u8> = HashMap::with_max_entries(limits::UNIX_PATHS, 0);
#[map]
pub(crate) static FDS: HashMap<FdKey, FdInfo> = HashMap::with_max_entries(limits::FDS, 1);
#[map]
pub(crate) static IOCTLS: HashMap<RecipeKey, Recipe> = HashMap::with_max_entries(limits::IOCTLS, 0);
/// Bytes of a logical block of the devices whose commands count in them.
#[map]
pub(crate) static BLOCKS: HashMap<DeviceKey, u32> = HashMap::with_max_entries(limits::BLOCKS, 0);
#[map]
pub(crate) static ANONYMOUS: LruHashMap<u64, Anonymous> = LruHashMap::with_max_entries(limits::ANONYMOUS, 0);
/// The inode that all descriptors without a node share, once one of them was followed.
#[map]
pub(crate) static ANONYMOUS_INODE: Array<u64> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static BUS_REQUESTS: HashMap<u64, BusRequest> = HashMap::with_max_entries(limits::BUS_REQUESTS, 1);
/// Video buffers that a program has given, by address: some never reach the driver, and nothing tells of their end.
#[map]
pub(crate) static BUFFERS: LruHashMap<u64, BusRequest> = LruHashMap::with_max_entries(limits::BUFFERS, 0);
/// Sessions of TLS libraries: see [`crate::tls`].
#[map]
pub(crate) static TLS_SESSIONS: LruHashMap<TlsKey, u32> =
    LruHashMap::with_max_entries(limits::TLS_SESSIONS, 0);
/// Calls of Go's TLS library, by goroutine.
#[map]
pub(crate) static TLS_GO_CALLS: LruHashMap<TlsKey, GoCall> =
    LruHashMap::with_max_entries(limits::TLS_GO_CALLS, 0);
/// Number of the slot of each thread that has one.
#[map]
static CALLS: HashMap<u32, u32> = HashMap::with_max_entries(limits::THREADS, 0);
#[map]
static SLOTS: Array<InFlight> = Array::with_max_entries(limits::THREADS, 0);
/// Numbers of the slots that nobody has.
#[map]
static FREE: Queue<u32> = Queue::with_max_entries(limits::THREADS, 0);
#[map]
pub(crate) static STAGES: Array<Stage> = Array::with_max_entries(limits::STAGES_PER_CPU * limits::CPUS, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS_LEN, 0);
/// Requests of io_uring on what is selected, by address.
#[map]
pub(crate) static URING: HashMap<u64, InFlight> = HashMap::with_max_entries(limits::URING, 1);
/// Those that may complete several times, by ring and the program's name for them.
#[map]
pub(crate) static URING_SHOTS: LruHashMap<[u64; 2], u64> =
    LruHashMap::with_max_entries(limits::URING_SHOTS, 0);
/// Where a request is put together.
#[map]
pub(crate) static SCRATCH: PerCpuArray<InFlight> = PerCpuArray::with_max_entries(1, 0);
/// Sockets whose packets are looked at, by address.
#[map]
pub(crate) static EGRESS: LruHashMap<u64, crate::egress::Egress> =
    LruHashMap::with_max_entries(limits::EGRESS, 0);
/// Where one of them is put together.
#[map]
pub(crate) static EGRESS_NEW: PerCpuArray<crate::egress::Egress> = PerCpuArray::with_max_entries(1, 0);
/// Whether packets are looked at, and whether any socket's are: see [`crate::egress`].
#[map]
pub(crate) static EGRESS_STATE: Array<u32> = Array::with_max_entries(2, 0);
#[map]
pub(crate) static DATA: RingBuf = RingBuf::with_byte_size(8 << 20, 0);
#[map]
pub(crate) static LIFECYCLE: RingBuf = RingBuf::with_byte_size(2 << 20, 0);

/// Marks of processes with neighbouring numbers.
type Marks = [u8; limits::MARKS];

/// Whether a process is selected.
#[inline(always)]
pub(crate) fn is_selected(tgid: u32) -> bool {
    mark(&PROCESSES, tgid).is_some_and(|mark| unsafe { *mark } != 0)
}

/// Selects a process, or no longer.
#[inline(always)]
pub(crate) fn set_selected(tgid: u32, selected: bool) {
    if let Some(mark) = mark(&PROCESSES, tgid) {
        // SAFETY: one byte of a map value.
        unsafe { *mark = u8::from(selected) }
    }
}

/// A thread's slot, if it has one. Asked at every exit of a hooked call of every thread, so it is found without a
/// look-up in a hash map: by a hint, which may be wrong. Nobody ever clears a hint, and whoever gets a slot leaves its
/// own: none means that no thread with these low bits has a slot.
#[inline(always)]
pub(crate) fn slot(tid: u32) -> Option<*mut InFlight> {
    // SAFETY: an aligned word of a map value, and a valid map value.
    unsafe {
        let hint = *hint(tid)?;
        if hint == 0 {
            return None;
        }
        let slot = SLOTS.get_ptr_mut(u32::from(hint) - 1)?;
        if (*slot).owner == tid {
            return Some(slot);
        }
    }
    slow(tid)
}

#[inline(always)]
fn slow(tid: u32) -> Option<*mut InFlight> {
    // SAFETY: the value is copied at once.
    let index = *unsafe { CALLS.get(tid) }?;
    SLOTS.get_ptr_mut(index)
}

/// A thread's slot; it gets one if it has none. `None`: too many have.
#[inline(always)]
pub(crate) fn slot_or_new(tid: u32) -> Option<*mut InFlight> {
    if let Some(slot) = slot(tid) {
        return Some(slot);
    }
    if give_slot(tid) == 0 {
        count(Counter::ThreadsFull, 1);
        return None;
    }
    slow(tid)
}

#[inline(never)]
fn give_slot(tid: u32) -> u64 {
    let Ok(Some(index)) = FREE.pop() else { return 0 };
    let Some(slot) = SLOTS.get_ptr_mut(index) else { return 0 };
    // SAFETY: a map value that is nobody's, and an aligned word of a map value.
    unsafe {
        (*slot).state = IDLE;
        (*slot).fd = -1;
        (*slot).dry_fd = -1;
        (*slot).message_fd = -1;
        (*slot).command_fd = -1;
        (*slot).plain_command = 0;
        (*slot).tls.stack = 0;
        (*slot).tls.at_home = 0;
        (*slot).owner = tid;
        if CALLS.insert(tid, index, 0).is_err() {
            (*slot).owner = 0;
            let _ = FREE.push(index, 0);
            return 0;
        }
        if let Some(hint) = hint(tid) {
            *hint = index as u16 + 1;
        }
    }
    1
}

/// A thread ends: its slot is nobody's.
#[inline(always)]
pub(crate) fn take_slot(tid: u32) {
    // SAFETY: the value is copied at once.
    let Some(index) = (unsafe { CALLS.get(tid) }).copied() else { return };
    if let Some(slot) = SLOTS.get_ptr_mut(index) {
        // SAFETY: a map value that this thread alone writes.
        unsafe { (*slot).owner = 0 };
    }
    if CALLS.remove(tid).is_ok() {
        // There is room: it was taken from there.
        let _ = FREE.push(index, 0);
    }
}

#[inline(always)]
fn hint(tid: u32) -> Option<*mut u16> {
    let low = tid % limits::HINTS;
    let hints = HINTS.get_ptr_mut(low / limits::MARKS as u32)?;
    // SAFETY: the index is below the length of the value.
    Some(unsafe { hints.cast::<u16>().add(low as usize % limits::MARKS) })
}

#[inline(always)]
fn mark(marks: &Array<Marks>, id: u32) -> Option<*mut u8> {
    let marks = marks.get_ptr_mut(id / limits::MARKS as u32)?;
    // SAFETY: the index is below the length of the value.
    Some(unsafe { marks.cast::<u8>().add(id as usize % limits::MARKS) })
}

/// Counts.
#[inline(always)]
pub(crate) fn count(counter: Counter, by: u64) {
    // Hooks of programs may be preempted, and whoever preempts them counts too.
    if config!(tls) != 0 {
        return count_at_once(counter, by);
    }
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the slot is this CPU's own, and of the programs that add to the same counter none preempts another there:
        // what also runs in interrupts (`bus`) has counters of its own.
        unsafe { *slot += by }
    }
}

/// Counts in one step: for programs that run on top of each other.
#[inline(always)]
pub(crate) fn count_at_once(counter: Counter, by: u64) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: an aligned word of a map value. The library has no such operation for this architecture.
        unsafe { asm!("lock *(u64 *)({slot} + 0) += {by}", slot = in(reg) slot, by = in(reg) by) };
    }
}
