//! One line of capture, as it lies in a ring: a fixed header, then `captured` bytes.

/// What kind of line this is. Discriminants are part of the wire: never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// Bytes moved between a program and a file descriptor; payload: the bytes.
    Data = 1,
    /// An `ioctl` that returned; payload: the argument as it is at exit.
    Ioctl = 2,
    /// The argument of an `ioctl` that is about to run and will overwrite it; payload: the argument at entry.
    /// Its [`Kind::Ioctl`] record follows with the same thread and entry time.
    IoctlEntry = 3,
    /// A file was opened, or failed to be; payload: the path as the program gave it.
    Open = 4,
    /// `close` or `close_range`.
    Close = 5,
    /// `dup`, `dup2`, `dup3` or `fcntl(F_DUPFD*)`; the result is the new descriptor.
    Dup = 6,
    /// `socket` or `socketpair` (only followed where the kernel has no BTF).
    Socket = 7,
    /// `bind`; payload: the address.
    Bind = 8,
    /// `connect`; payload: the address.
    Connect = 9,
    /// `accept`; the result is the new descriptor, the socket is the accepted one.
    Accept = 10,
    /// `shutdown`; `args[1]` is `how`.
    Shutdown = 11,
    /// A process was born: `args[0]` is its id, the record's own process is the parent.
    Fork = 12,
    /// A program was started in this process; `args[0]` is 1 if it is a 32-bit one on a 64-bit kernel. Payload, with BTF:
    /// the name of its file with its NUL, `args[1]` bytes; its arguments, each with its NUL, `args[2]` bytes; its
    /// environment. The last of them may be cut. `position`: when the process was born, in ns of `CLOCK_BOOTTIME`.
    Exec = 13,
    /// A thread ended; `args[0]` is 1 if its whole process did (without BTF: if it was the first of its process).
    Exit = 14,
    /// A thread died inside a call that therefore never returned.
    Aborted = 15,
    /// A thread is about to wait for something on a descriptor from which it got a message, or to which it wrote a
    /// device command, before: it is done with that, or waits for the answer.
    Waiting = 16,
    /// A driver's transaction on its bus on behalf of a call; entry and exit are its own. `args`: a [`crate::bus::Bus`],
    /// how much of it (messages, bytes), when the call began.
    Bus = 17,
    /// Without BTF, before [`Kind::Exec`]: a program is asked for, which may fail. Payload: its path with its NUL,
    /// `args[1]` bytes; its arguments, each with its NUL. Long ones are cut, and many.
    Program = 18,
    /// Bytes of a connection as they left in a packet, where the call that sent them did not show them
    /// ([`flag::FOLLOWS`]). Entry is that of the last such call, exit when the packet left.
    Packet = 19,
    /// A call of a TLS library that moved plaintext returned; payload: the plaintext; result: its length. `args`: address
    /// of the session, [`crate::tls::Library`] and [`crate::tls::Tie`], thread that began the call. If it is tied to a
    /// socket, `fd` and `sock` say which.
    Tls = 20,
}

/// The kinds in discriminant order.
pub const KINDS: &[Kind] = &[
    Kind::Data,
    Kind::Ioctl,
    Kind::IoctlEntry,
    Kind::Open,
    Kind::Close,
    Kind::Dup,
    Kind::Socket,
    Kind::Bind,
    Kind::Connect,
    Kind::Accept,
    Kind::Shutdown,
    Kind::Fork,
    Kind::Exec,
    Kind::Exit,
    Kind::Aborted,
    Kind::Waiting,
    Kind::Bus,
    Kind::Program,
    Kind::Packet,
    Kind::Tls,
];

impl Kind {
    /// The kind with this number on the wire, if there is one.
    #[must_use]
    pub fn from_wire(number: u16) -> Option<Self> {
        KINDS.iter().copied().find(|kind| *kind as u16 == number)
    }
}

/// What the file descriptor of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Target {
    /// Not a descriptor, or not known.
    None = 0,
    /// A character device; [`Header::rdev`] says which.
    Char = 1,
    /// A block device; [`Header::rdev`] says which.
    Block = 2,
    /// A socket; [`Header::sock_common`] says which.
    Socket = 3,
    /// Without BTF: opened, and not yet looked up by the user side.
    Pending = 4,
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// [`super::Header::position`] is the stream's absolute position at entry.
    pub const POSITION: u16 = 1 << 0;
    /// The counter at exit is not the counter at entry plus the result: another thread used the stream meanwhile.
    pub const CONTESTED: u16 = 1 << 1;
    /// The call was interrupted and restarted by the kernel; entry is the first entry.
    pub const RESTARTED: u16 = 1 << 2;
    /// Bytes flow from the program outwards (write, send); unset: inwards.
    pub const OUTWARD: u16 = 1 << 3;
    /// Bytes moved that no system call shows (`sendfile`, `splice`): a gap of `result` bytes.
    pub const UNSEEN: u16 = 1 << 4;
    /// `MSG_PEEK`: the bytes stay in the stream.
    pub const PEEK: u16 = 1 << 5;
    /// `args[0]` of a [`super::Kind::Data`] record is an explicit file offset (`pread`, `pwrite`).
    pub const OFFSET: u16 = 1 << 6;
    /// Without BTF: the descriptor goes around the page cache (`O_DIRECT`).
    pub const DIRECT: u16 = 1 << 7;
    /// Of [`UNSEEN`] bytes: [`super::Kind::Packet`] records have them, those that left during the call before it.
    pub const FOLLOWS: u16 = 1 << 8;
    /// Of a [`super::Kind::Data`] record: bytes of the same call as the record of this thread before it, behind those. Each
    /// says as result and position (of several messages as requested length) what it would if a call had moved it alone.
    pub const LATER: u16 = 1 << 9;
}

/// Why fewer bytes were captured than were asked for. Discriminants are part of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Fault {
    /// Nothing is missing, or only what lies beyond `--capture-bytes`.
    None = 0,
    /// The memory was not resident, neither at entry nor at exit, or not the program's.
    Unreadable = 1,
    /// More segments or messages than are followed.
    Segments = 2,
    /// The segment array or message header itself could not be read.
    Descriptor = 3,
}

/// `struct sock_common` as far as it is copied, `include/net/sock.h`: addresses, ports, family, state, namespace.
pub const SOCK_COMMON_BYTES: usize = 96;

/// The fixed part of a record. All lengths in bytes, all times `CLOCK_MONOTONIC` in ns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// A [`Kind`].
    pub kind: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// A [`crate::call::Call`].
    pub call: u16,
    /// A [`Target`].
    pub target: u8,
    /// A [`crate::call::Abi`].
    pub abi: u8,
    /// Process (thread group) id in the initial namespace.
    pub tgid: u32,
    /// Thread id in the initial namespace.
    pub tid: u32,
    /// When the call began.
    pub enter_ns: u64,
    /// When the call returned.
    pub exit_ns: u64,
    /// What the call returned: bytes, a descriptor, or a negative errno.
    pub result: i64,
    /// The file descriptor that the call was about.
    pub fd: i32,
    /// Bytes of payload behind this header.
    pub captured: u32,
    /// Bytes that the program offered or had room for.
    pub requested: u64,
    /// The stream's position at entry: for TCP the sequence number (32 bits), see [`flag::POSITION`].
    pub position: u64,
    /// For `ioctl`: command, argument, and how many of the captured bytes are the argument itself (what it points to
    /// follows, see [`crate::recipe`]); else the call's arguments after the descriptor.
    pub args: [u64; 3],
    /// The kernel's device number (`dev_t`: major in bits 20.., minor below).
    pub rdev: u32,
    /// A [`Fault`].
    pub fault: u16,
    /// Segments that the bytes were spread over, 1 for a plain buffer.
    pub segments: u16,
    /// Inode number of the file.
    pub inode: u64,
    /// Address of the `struct sock`: the identity of a socket while it lives.
    pub sock: u64,
    /// Address of the peer's `struct sock` (unix sockets).
    pub peer: u64,
    /// Name of the thread, as `PR_GET_NAME` gives it, padded with NUL.
    pub comm: [u8; 16],
    /// The beginning of the `struct sock`, all zero if the target is not a socket.
    pub sock_common: [u8; SOCK_COMMON_BYTES],
}

/// Size of a [`Header`].
pub const HEADER_BYTES: usize = size_of::<Header>();

const _: () = assert!(HEADER_BYTES == 232 && align_of::<Header>() == 8, "the layout is part of the wire");

impl Header {
    /// A record of nothing: what the kernel side starts from.
    pub const ZERO: Self = Self {
        kind: 0,
        flags: 0,
        call: 0,
        target: 0,
        abi: 0,
        tgid: 0,
        tid: 0,
        enter_ns: 0,
        exit_ns: 0,
        result: 0,
        fd: -1,
        captured: 0,
        requested: 0,
        position: 0,
        args: [0; 3],
        rdev: 0,
        fault: 0,
        segments: 0,
        inode: 0,
        sock: 0,
        peer: 0,
        comm: [0; 16],
        sock_common: [0; SOCK_COMMON_BYTES],
    };

    /// Reads a header from the front of a ring's record.
    ///
    /// Returns `None` if the bytes are too few. Fields are taken as they are: their meaning is checked by decode.
    #[must_use]
    #[allow(unsafe_code, reason = "the one place where bytes become a header")]
    pub fn read_from(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        // SAFETY: the slice is long enough, the read is unaligned, and every bit pattern is a valid `Header`.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}
