//! Every map, and the constants of the run.

use crate::calls::Kind;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use tracer_common::call::NUMBERS as NUMBERS_PER_ABI;
use tracer_common::config::{Config, DeviceKey, FdInfo, FdKey, Offsets};
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
    arch: 0,
    wake_bytes: 0,
    lifecycle_wake_bytes: 0,
    unix_paths: 0,
    loops: 0,
    own_children: 0,
    fork_child: 0,
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

/// A call between entry and exit, by thread. Kept while the thread lives, so that a call costs two look-ups and
/// neither an insertion nor a removal.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct InFlight {
    pub(crate) enter_ns: u64,
    /// Exit of a call that the kernel may restart.
    pub(crate) exit_ns: u64,
    pub(crate) args: [u64; 6],
    pub(crate) inode: u64,
    pub(crate) sock: u64,
    pub(crate) peer: u64,
    pub(crate) position: u64,
    pub(crate) fd: i32,
    /// The descriptor on which this thread found nothing last, -1 if it found something since.
    pub(crate) dry_fd: i32,
    pub(crate) rdev: u32,
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    pub(crate) target: u8,
    pub(crate) abi: u8,
    pub(crate) state: u8,
    /// 1: this end has the selected port itself, so it is the server.
    pub(crate) server: u8,
    /// Family of the device's `ioctl` commands.
    pub(crate) family: u8,
    /// Of an `ioctl`: bits of [`crate::nested`].
    pub(crate) nested: u8,
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
    /// Begin of the transaction that the driver does on its bus: I2C, SMBus; 0 if it does none.
    pub(crate) bus_ns: [u64; 2],
    pub(crate) sock_common: [u8; SOCK_COMMON_BYTES],
}

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

/// What a new thread starts from.
pub(crate) static NEW_THREAD: InFlight = InFlight {
    enter_ns: 0,
    exit_ns: 0,
    args: [0; 6],
    inode: 0,
    sock: 0,
    peer: 0,
    position: 0,
    fd: -1,
    dry_fd: -1,
    rdev: 0,
    kind: Kind { call: 0, traits: 0 },
    flags: 0,
    target: 0,
    abi: 0,
    state: IDLE,
    server: 0,
    family: 0,
    nested: 0,
    message_fd: -1,
    message_sock: 0,
    command_fd: -1,
    command_rdev: 0,
    moved_ns: 0,
    bus_ns: [0; 2],
    sock_common: [0; SOCK_COMMON_BYTES],
};

/// Where a record is put together before it goes to a ring in one piece.
#[repr(C)]
pub(crate) struct Stage {
    pub(crate) header: Header,
    pub(crate) payload: [u8; limits::STAGE_BYTES],
    /// Where a copy of many segments is.
    pub(crate) following: crate::copy::Following,
    /// Where a copy of what an `ioctl`'s argument points to is.
    pub(crate) nested: crate::nested::Nested,
}

#[map]
pub(crate) static NUMBERS: Array<u32> = Array::with_max_entries(2 * NUMBERS_PER_ABI, 0);
#[map]
static PROCESSES: Array<Marks> = Array::with_max_entries(limits::PIDS / limits::MARKS as u32, 0);
/// Threads in a call: asked at every exit, so cheaper than a look-up in [`CALLS`].
#[map]
static ACTIVE: Array<Marks> = Array::with_max_entries(limits::PIDS / limits::MARKS as u32, 0);
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
#[map]
pub(crate) static ANONYMOUS: LruHashMap<u64, Anonymous> = LruHashMap::with_max_entries(limits::ANONYMOUS, 0);
/// The inode that all descriptors without a node share, once one of them was followed.
#[map]
pub(crate) static ANONYMOUS_INODE: Array<u64> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static BUS_REQUESTS: HashMap<u64, BusRequest> = HashMap::with_max_entries(limits::BUS_REQUESTS, 1);
#[map]
pub(crate) static CALLS: HashMap<u32, InFlight> = HashMap::with_max_entries(limits::THREADS, 0);
#[map]
pub(crate) static STAGES: Array<Stage> = Array::with_max_entries(limits::CPUS, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS_LEN, 0);
#[map]
pub(crate) static DATA: RingBuf = RingBuf::with_byte_size(8 << 20, 0);
#[map]
pub(crate) static LIFECYCLE: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Marks of processes or threads with neighbouring numbers.
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

/// Whether a thread is in a call that is remembered.
#[inline(always)]
pub(crate) fn is_active(tid: u32) -> bool {
    // SAFETY: one byte of a map value.
    mark(&ACTIVE, tid).is_some_and(|mark| unsafe { *mark } != 0)
}

/// A thread enters or leaves such a call.
#[inline(always)]
pub(crate) fn set_active(tid: u32, active: bool) {
    if let Some(mark) = mark(&ACTIVE, tid) {
        // SAFETY: one byte of a map value.
        unsafe { *mark = u8::from(active) }
    }
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
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the slot is this CPU's own, and programs are not preempted by programs on the same CPU.
        unsafe { *slot += by }
    }
}
