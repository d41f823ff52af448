//! Every bound of the kernel side, each with the reason for its size.

/// Payload of one record at most: a staging buffer must hold twice this, see [`STAGE_BYTES`].
pub const CAPTURE_MAX: usize = 64 * 1024;

/// `--capture-bytes` goes no higher: what is more than [`CAPTURE_MAX`] of a call on a socket comes in further records. More
/// than programs have in the buffers that they read into, and than a broker takes for one message unless told.
pub const CAPTURE_CALL: usize = 32 * CAPTURE_MAX;

/// Bytes of payload room in a staging buffer. The verifier has to see that an offset up to [`CAPTURE_MAX`] plus a
/// length up to [`CAPTURE_MAX`] stays inside, so the buffer is twice as long as what is ever filled.
pub const STAGE_BYTES: usize = 2 * CAPTURE_MAX;

/// Staging buffers, one a CPU. Kernels number their CPUs below this; a higher number is counted as a loss.
pub const CPUS: u32 = 256;

/// Segments of one `iovec` array that are followed. `UIO_MAXIOV` is 1024; what lies beyond is visible as cut.
pub const SEGMENTS: u32 = 1024;

/// Messages of one `sendmmsg`/`recvmmsg` that are followed.
pub const MESSAGES: u32 = 64;

/// Threads with a call in flight on a selected file descriptor, at once. Fits into 16 bits.
pub const THREADS: u32 = 16 * 1024;

/// Low bits of thread ids that tell which slot a thread may have: most machines have no higher ids, and two threads that
/// share them cost a look-up in a hash map.
pub const HINTS: u32 = 256 * 1024;

/// Numbers that processes and threads can have: `PID_MAX_LIMIT`, `include/linux/threads.h`.
pub const PIDS: u32 = 4 * 1024 * 1024;

/// Marks of processes or hints of threads that lie in one element of a map: an element is padded to 8 bytes, so a mark each
/// would waste seven.
pub const MARKS: usize = 64;

/// Majors that a device number can have, `include/linux/kdev_t.h`.
pub const MAJORS: u32 = 4096;

/// Device numbers and majors that can be selected.
pub const DEVICES: u32 = 4 * 1024;

/// Ports that can be selected: every one there is.
pub const PORTS: u32 = 64 * 1024;

/// Paths of unix sockets that can be selected.
pub const UNIX_PATHS: u32 = 256;

/// Followed file descriptors when the kernel has no BTF.
pub const FDS: u32 = 64 * 1024;

/// `ioctl` commands of which more has to be known than their number tells.
pub const IOCTLS: u32 = 4096;

/// Devices whose size of blocks the kernel side knows: NVMe namespaces, by two nodes each; hosts with some hundred drives
/// have that many.
pub const BLOCKS: u32 = 4096;

/// Descriptors without a node that belong to a device (lines of a gpiochip, virtual machines): the least recently used
/// give way.
pub const ANONYMOUS: u32 = 4096;

/// Transactions on buses that are under way for selected calls: one or a few for each thread in a call.
pub const BUS_REQUESTS: u32 = 4096;

/// Staging buffers of each CPU: one for what tracepoints run, one for hooks of programs, which may be preempted.
pub const STAGES_PER_CPU: u32 = 2;

/// Requests of io_uring under way on what is selected: one or two for each connection and device that a program waits for.
/// A slot takes 300 bytes, only while it is used.
pub const URING: u32 = 16 * 1024;

/// Of those, the ones that may complete several times: the least recently used give way.
pub const URING_SHOTS: u32 = 4096;

/// Connections whose packets are looked at because a call handed bytes to them that it did not show: those that were used
/// longest ago give way, and are looked at again from their next such call on.
pub const EGRESS: u32 = 4096;

/// Sessions of TLS libraries of which is known whether their connection is selected: as many as the user side keeps
/// connections. The least recently used give way.
pub const TLS_SESSIONS: u32 = 16 * 1024;

/// Calls of Go's `crypto/tls` under way at once: a goroutine waits in one for each connection. The oldest give way.
pub const TLS_GO_CALLS: u32 = 16 * 1024;

/// Video buffers that were given and not yet filled: a queue has up to 64, rarely more than 8. Those given first go first.
pub const BUFFERS: u32 = 512;

/// `PATH_MAX` is 4096; nobody keeps device nodes below longer paths than this.
pub const PATH_BYTES: usize = 512;

/// Size of the address that `bind` and `connect` hand over: `sizeof(struct sockaddr_un)` rounded up.
pub const ADDRESS_BYTES: usize = 112;

/// Bytes of a program's arguments and environment, together, that its start tells: a page, which holds nearly every
/// command line whole and, of most programs, the environment.
pub const PROGRAM_BYTES: usize = 4096;

/// Room for the name of a program's file: `NAME_MAX`, `include/uapi/linux/limits.h`, and a NUL.
pub const FILE_NAME_BYTES: usize = 256;
