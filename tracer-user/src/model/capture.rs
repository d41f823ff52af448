//! One system call as the kernel side saw it, decoded and checked.

use bytes::Bytes;
use tracer_common::bus::Bus;
use tracer_common::call::{Abi, Call};
use tracer_common::tls::{Library, Tie};

use super::net::{Direction, SocketEnd};
use super::payload::Payload;
use super::time::{Interval, Timestamp};

/// Character or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A character device.
    Char,
    /// A block device.
    Block,
}

/// A device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceNumber {
    /// Character or block.
    pub kind: DeviceKind,
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

/// What a file descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// No descriptor, or not known what it is.
    None,
    /// A device node.
    Device(DeviceNumber),
    /// A socket.
    Socket(SocketEnd),
}

/// One record of the kernel side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Entry and exit of the call.
    pub at: Interval,
    /// Process (thread group) id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Name of the thread, padded with NUL.
    pub comm: [u8; 16],
    /// Which call it was.
    pub call: Call,
    /// Which instruction set it was made from.
    pub abi: Abi,
    /// The file descriptor that it was about, -1 if none.
    pub fd: i32,
    /// What that descriptor is.
    pub target: Target,
    /// Inode number of the descriptor's file, 0 if unknown.
    pub inode: u64,
    /// What the call returned: a count, a descriptor or a negative errno.
    pub result: i64,
    /// Whether the kernel restarted the call in between.
    pub restarted: bool,
    /// Without BTF: the descriptor goes around the page cache. With it the kernel side records no others of disks.
    pub direct: bool,
    /// What happened.
    pub body: Body,
}

impl Capture {
    /// Whether it goes on with what the thread's capture before it told of the same call.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        matches!(self.body, Body::Data { later: true, .. })
    }
}

/// Where in a stream bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Not known: bytes have to be counted.
    Unknown,
    /// A TCP sequence number, modulo 2^32.
    Sequence(u32),
    /// As [`Self::Sequence`], but another thread used the stream during the call: approximate.
    Contested(u32),
    /// An offset given by the program (`pread`, `pwrite`).
    Offset(u64),
}

/// Memory that the argument of an `ioctl` points to, [`tracer_common::recipe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which element of the argument's array; 0 if it has none.
    pub element: u16,
    /// Which of the element's buffers; `None`: the element itself.
    pub buffer: Option<u8>,
    /// What is there.
    pub payload: Payload,
}

/// A program as it was started. Everything may be cut at its end, and is empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Base name of its file: of a script's, its interpreter's.
    pub file: Bytes,
    /// Arguments, the program's name first, each with a NUL behind it.
    pub arguments: Bytes,
    /// The environment, each `NAME=VALUE` with a NUL behind it.
    pub environment: Bytes,
    /// Whether some of the arguments or the environment is missing.
    pub cut: bool,
    /// When its process was born, in ns of `CLOCK_BOOTTIME`; 0: not known.
    pub born: u64,
}

/// What a [`Capture`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "fields are the arguments of the call of the same name, section 2 of the manual"
)]
pub enum Body {
    /// Bytes moved, or failed to. `payload.size` is what moved (the result), or for a failed call what was offered. `later`:
    /// they belong to the same call as those of the thread's capture before it, and lie behind them.
    Data {
        direction: Direction,
        requested: u64,
        position: Position,
        peek: bool,
        later: bool,
        payload: Payload,
    },
    /// Bytes moved that no system call shows (`sendfile`, `splice`): `length` of them. `follows`: packets show them, those
    /// that left during the call before it.
    Unseen {
        direction: Direction,
        position: Position,
        length: u64,
        follows: bool,
    },
    /// Bytes of [`Self::Unseen`] as they left in a packet. Entry is that of the last such call, exit when it left.
    Packet {
        position: Position,
        payload: Payload,
    },
    /// An `ioctl`. `before`: the argument at entry, if it was captured apart; `after`: as it was at exit. `given` and
    /// `answered`: what it pointed to then.
    Ioctl {
        command: u32,
        argument: u64,
        before: Option<Bytes>,
        after: Bytes,
        given: Vec<Piece>,
        answered: Vec<Piece>,
    },
    Open {
        path: Bytes,
        flags: u64,
    },
    /// `first..=last` for `close_range`, else both are the descriptor.
    Close {
        first: u32,
        last: u32,
    },
    Dup {
        new_fd: i32,
    },
    Socket {
        domain: u32,
        kind: u32,
    },
    Bind {
        address: Bytes,
    },
    Connect {
        address: Bytes,
    },
    /// The capture's target is the accepted socket.
    Accept {
        new_fd: i32,
    },
    Shutdown {
        how: u32,
    },
    /// This process bore `child`.
    Fork {
        child: u32,
    },
    /// A program was started in this process.
    Exec {
        program: Program,
    },
    /// A program is asked for, which may fail; where [`Self::Exec`] does not tell what it is. `file` is its path.
    Program {
        program: Program,
    },
    /// A thread ended; `whole_process` if it was the last.
    Exit {
        whole_process: bool,
    },
    /// The thread died in this call, which never returned. Of an `ioctl`: its command.
    Aborted {
        command: u32,
    },
    /// The thread is about to wait for something on this descriptor, from which it got a message or to which it gave a
    /// command before. The socket's addresses are not known here, only its identity.
    Waiting,
    /// The driver did something on its bus on behalf of the call that began at `call`; the times are those of the bus.
    Bus {
        bus: Bus,
        /// Messages or bytes.
        amount: u64,
        call: Timestamp,
    },
    /// A TLS library took or gave plaintext. If it is tied to a socket, that is the capture's target, of which nothing
    /// but the identity is known here.
    Tls {
        direction: Direction,
        /// Identity of the library's object of the connection, within the process and, for some libraries, the direction.
        session: u64,
        library: Library,
        tie: Tie,
        payload: Payload,
    },
}
