//! What the user side tells the kernel side before it loads: constants that the verifier can see.

/// Where things are in the kernel's structures, in bytes from their start; from BTF at load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Offsets {
    /// `task_struct.files`.
    pub task_files: u32,
    /// `files_struct.fdt`.
    pub files_fdt: u32,
    /// `fdtable.max_fds`.
    pub fdt_max_fds: u32,
    /// `fdtable.fd`.
    pub fdt_fd: u32,
    /// `file.f_inode`.
    pub file_inode: u32,
    /// `file.private_data`.
    pub file_private: u32,
    /// `inode.i_mode`.
    pub inode_mode: u32,
    /// `inode.i_rdev`.
    pub inode_rdev: u32,
    /// `inode.i_ino`.
    pub inode_ino: u32,
    /// `socket.sk`.
    pub socket_sk: u32,
    /// `sock_common.skc_family`.
    pub skc_family: u32,
    /// `sock_common.skc_dport` (network order).
    pub skc_dport: u32,
    /// `sock_common.skc_num` (host order).
    pub skc_num: u32,
    /// `sock.sk_protocol`.
    pub sk_protocol: u32,
    /// `tcp_sock.write_seq`.
    pub tcp_write_seq: u32,
    /// `tcp_sock.copied_seq`.
    pub tcp_copied_seq: u32,
    /// `unix_sock.peer`.
    pub unix_peer: u32,
    /// `unix_sock.addr`.
    pub unix_addr: u32,
    /// `unix_address.name`.
    pub unix_address_name: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.thread_info.status` (x86: `TS_COMPAT`).
    pub task_status: u32,
    /// `task_struct.thread_info.flags` (x86: `TIF_ADDR32`, arm64: `TIF_32BIT`).
    pub task_flags: u32,
    /// `file.f_flags`.
    pub file_flags: u32,
    /// `task_struct.comm`.
    pub task_comm: u32,
    /// `task_struct.start_boottime`.
    pub task_start: u32,
    /// `task_struct.mm`.
    pub task_mm: u32,
    /// `mm_struct.arg_start`.
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`.
    pub mm_arg_end: u32,
    /// `mm_struct.env_end`.
    pub mm_env_end: u32,
    /// `mm_struct.exe_file`.
    pub mm_exe_file: u32,
    /// `file.f_path.dentry`.
    pub file_dentry: u32,
    /// `dentry.d_name.name`.
    pub dentry_name: u32,
    /// `task_struct.signal`.
    pub task_signal: u32,
    /// `signal_struct.live`.
    pub signal_live: u32,
}

/// Where things are in io_uring's structures, in bytes from their start; from BTF at load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Uring {
    /// `io_kiocb.opcode`.
    pub opcode: u32,
    /// `io_kiocb.flags`.
    pub flags: u32,
    /// `io_kiocb.cqe.fd`.
    pub fd: u32,
    /// `io_kiocb.cqe.user_data`.
    pub user_data: u32,
    /// `io_kiocb.ctx`.
    pub context: u32,
    /// `io_kiocb.cmd`: where the next two lie.
    pub command: u32,
    /// `io_rw.addr`.
    pub rw_address: u32,
    /// `io_rw.len`.
    pub rw_length: u32,
    /// `io_rw.kiocb.ki_pos`.
    pub rw_position: u32,
    /// `io_sr_msg.buf`.
    pub message_address: u32,
    /// `io_sr_msg.len`.
    pub message_length: u32,
    /// `io_sr_msg.msg_flags`.
    pub message_flags: u32,
    /// `io_ring_ctx.file_table.data.nodes` (6.13), or `.files`.
    pub files: u32,
    /// 1: the former, an array of pointers to nodes.
    pub file_in_node: u32,
    /// `io_rsrc_node.file_ptr`.
    pub node_file: u32,
    /// 1: a completion is told by its parts, before 6.12; 0: by its address.
    pub parts: u32,
}

/// Where the addresses lie in a `struct sock_common`, in bytes: decode needs it, the kernel side
/// only copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockLayout {
    /// `skc_daddr`.
    pub daddr: u32,
    /// `skc_rcv_saddr`.
    pub rcv_saddr: u32,
    /// `skc_dport`, network order.
    pub dport: u32,
    /// `skc_num`, host order.
    pub num: u32,
    /// `skc_family`.
    pub family: u32,
    /// `skc_net`.
    pub net: u32,
    /// `skc_v6_daddr`.
    pub v6_daddr: u32,
    /// `skc_v6_rcv_saddr`.
    pub v6_rcv_saddr: u32,
}

/// The switches of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// iotrail's own process, always excluded.
    pub own_tgid: u32,
    /// 1: structures are walked with [`Offsets`]; 0: descriptors are followed through [`FdKey`].
    pub btf: u32,
    /// 1: only processes in the `PROCESSES` map; 0: every process.
    pub only_processes: u32,
    /// Payload bytes that a record about a device takes at most.
    pub capture_bytes: u32,
    /// Payload bytes that are copied of a call on a socket, in one record or several.
    pub capture_socket: u32,
    /// The same while the data ring holds more than `busy_bytes`.
    pub capture_busy: u32,
    /// See above.
    pub busy_bytes: u32,
    /// 1: amd64 kernel, 2: arm64 kernel.
    pub arch: u32,
    /// Wake the reader when the data ring comes to hold this many bytes; below, it comes by itself.
    pub wake_bytes: u32,
    /// The same of the error and lifecycle ring.
    pub lifecycle_wake_bytes: u32,
    /// 1: some path of a unix socket is selected.
    pub unix_paths: u32,
    /// 1: the kernel has `bpf_loop`.
    pub loops: u32,
    /// 1: the children of `own_tgid` are selected.
    pub own_children: u32,
    /// Without BTF: where `child_pid` lies in the record of the tracepoint `sched_process_fork`; 0: not known, births
    /// are seen by what the parent is told.
    pub fork_child: u32,
    /// Number, in the kernel's BTF, of a type that begins with words, for `bpf_rdonly_cast`; 0: the kernel has no such
    /// function, its memory is read by a helper.
    pub words_type: u32,
    /// 1: functions of TLS libraries are hooked.
    pub tls: u32,
    /// Where things are in the kernel's structures.
    pub offsets: Offsets,
    /// The same of io_uring's.
    pub uring: Uring,
}

/// In the compiled programs: number of the helper that stands for the kernel's function `bpf_rdonly_cast`, until the user
/// side puts that function's number there. "cast" in ASCII: no kernel has that many helpers.
pub const RDONLY_CAST: u32 = 0x6361_7374;

/// Low bits of a value of the `MAJORS` map: every minor of the major is selected.
pub const WHOLE_MAJOR: u8 = 1;
/// Low bits of a value of the `MAJORS` map: some minors are, see the `DEVICES` map.
pub const SOME_MINORS: u8 = 2;
/// Bits of a value of the `MAJORS` map that say which minors are selected.
pub const MINORS_MASK: u8 = 3;
/// The other bits of a value of the `MAJORS` map are the family of its devices' `ioctl` commands: drivers that share
/// them. Values of the `DEVICES` map are such families as they are. Families are below 64.
pub const FAMILY_SHIFT: u8 = 2;

/// Key of the `DEVICES` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct DeviceKey {
    /// 1: character, 2: block ([`crate::record::Target`]).
    pub kind: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl DeviceKey {
    /// Index of a major in the `MAJORS` map.
    #[must_use]
    pub const fn major_index(kind: u32, major: u32) -> u32 {
        kind * crate::limits::MAJORS + major
    }
}

/// Key of the `FDS` map, used where the kernel has no BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FdKey {
    /// Process (thread group) id.
    pub tgid: u32,
    /// File descriptor.
    pub fd: i32,
}

/// [`FdInfo::direct`]: the opening was not seen.
pub const DIRECT_UNKNOWN: u8 = 2;

/// Value of the `FDS` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FdInfo {
    /// A [`crate::record::Target`].
    pub target: u8,
    /// 1: selected, its calls are recorded; 0: known and not selected.
    pub selected: u8,
    /// Family of a device's `ioctl` commands, see [`FAMILY_SHIFT`].
    pub family: u8,
    /// 1: what is read and written goes around the page cache (`O_DIRECT`); or [`DIRECT_UNKNOWN`].
    pub direct: u8,
    /// Device number.
    pub rdev: u32,
    /// When it was opened or first seen, which tells two with the same number apart; 0: not known. Records carry it in the
    /// place of the inode's number.
    pub stamp: u64,
}

/// Where things are in a value of the `SLOTS` map, a thread's call, in bytes: what the user side reads of it.
pub mod running {
    /// [`RUNNING`], if the call has not returned; a byte.
    pub const STATE: usize = 4;
    /// A [`crate::record::Target`]; a byte.
    pub const TARGET: usize = 5;
    /// A [`crate::call::Call`], 16 bits.
    pub const CALL: usize = 8;
    /// Process id, 32 bits.
    pub const PROCESS: usize = 24;
    /// Device number, 32 bits.
    pub const DEVICE: usize = 28;
    /// All of it.
    pub const BYTES: usize = 352;
    /// Value of [`STATE`].
    pub const RUNNING: u8 = 1;
}

/// Names of the maps that the user side fills or reads.
pub mod map {
    /// Call number → [`crate::call::Call`] in the low 16 bits, [`crate::call::traits`] in the high ones, by ABI: index = abi × [`crate::call::NUMBERS`] + number.
    pub const NUMBERS: &str = "NUMBERS";
    /// Selected processes.
    pub const PROCESSES: &str = "PROCESSES";
    /// Names of programs whose processes are selected when they start.
    pub const COMMS: &str = "COMMS";
    /// Majors with selected devices: index [`super::DeviceKey::major_index`].
    pub const MAJORS: &str = "MAJORS";
    /// Selected devices of the majors of which not all are.
    pub const DEVICES: &str = "DEVICES";
    /// Selected ports.
    pub const PORTS: &str = "PORTS";
    /// Selected unix socket paths.
    pub const UNIX_PATHS: &str = "UNIX_PATHS";
    /// Followed descriptors (no BTF).
    pub const FDS: &str = "FDS";
    /// What the arguments of `ioctl` commands hold and point to: [`crate::recipe::RecipeKey`] → [`crate::recipe::Recipe`].
    pub const IOCTLS: &str = "IOCTLS";
    /// Bytes of a logical block of devices whose commands count in them: [`super::DeviceKey`] → bytes.
    pub const BLOCKS: &str = "BLOCKS";
    /// `[0]`: 1 if packets are looked at ([`crate::record::Kind::Packet`]).
    pub const EGRESS_STATE: &str = "EGRESS_STATE";
    /// Counters, per CPU.
    pub const COUNTERS: &str = "COUNTERS";
    /// Ring of data records.
    pub const DATA: &str = "DATA";
    /// Ring of error and lifecycle records.
    pub const LIFECYCLE: &str = "LIFECYCLE";
    /// Threads that have a slot for their call in flight.
    pub const CALLS: &str = "CALLS";
    /// The slots, see [`super::running`].
    pub const SLOTS: &str = "SLOTS";
    /// Numbers of the slots that no thread has: all at first.
    pub const FREE: &str = "FREE";
    /// Staging buffers, by CPU.
    pub const STAGES: &str = "STAGES";
}
