//! The system calls that iotrail follows, numbered once for every architecture.

/// What a traced system call is to iotrail. Discriminants are part of the wire and of recordings: never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[allow(missing_docs, reason = "the variants are the names of the system calls, section 2 of the manual")]
pub enum Call {
    Read = 1,
    Readv = 2,
    Pread64 = 3,
    Preadv = 4,
    Preadv2 = 5,
    Write = 6,
    Writev = 7,
    Pwrite64 = 8,
    Pwritev = 9,
    Pwritev2 = 10,
    Ioctl = 16,
    Open = 20,
    Openat = 21,
    Openat2 = 22,
    Creat = 23,
    Close = 24,
    CloseRange = 25,
    Dup = 26,
    Dup2 = 27,
    Dup3 = 28,
    Fcntl = 29,
    Socket = 40,
    Socketpair = 41,
    Bind = 42,
    Connect = 43,
    Accept = 44,
    Accept4 = 45,
    Sendto = 46,
    Sendmsg = 47,
    Sendmmsg = 48,
    Recvfrom = 49,
    Recvmsg = 50,
    Recvmmsg = 51,
    Shutdown = 52,
    Send = 53,
    Recv = 54,
    /// i386 only: one system call for all of the above, with a number and a pointer to the arguments.
    Socketcall = 55,
    Sendfile = 60,
    Splice = 61,
    Poll = 62,
    Ppoll = 63,
    Select = 64,
    Pselect6 = 65,
    EpollWait = 66,
    EpollPwait = 67,
    EpollPwait2 = 68,
    Fork = 70,
    Exec = 71,
    Exit = 72,
    Clone = 73,
    Clone3 = 74,
    Vfork = 75,
    Forks = 76,
    Execve = 77,
    Execveat = 78,
}

/// Every call with its name, in discriminant order.
pub const CALLS: &[(Call, &str)] = &[
    (Call::Read, "read"),
    (Call::Readv, "readv"),
    (Call::Pread64, "pread64"),
    (Call::Preadv, "preadv"),
    (Call::Preadv2, "preadv2"),
    (Call::Write, "write"),
    (Call::Writev, "writev"),
    (Call::Pwrite64, "pwrite64"),
    (Call::Pwritev, "pwritev"),
    (Call::Pwritev2, "pwritev2"),
    (Call::Ioctl, "ioctl"),
    (Call::Open, "open"),
    (Call::Openat, "openat"),
    (Call::Openat2, "openat2"),
    (Call::Creat, "creat"),
    (Call::Close, "close"),
    (Call::CloseRange, "close_range"),
    (Call::Dup, "dup"),
    (Call::Dup2, "dup2"),
    (Call::Dup3, "dup3"),
    (Call::Fcntl, "fcntl"),
    (Call::Socket, "socket"),
    (Call::Socketpair, "socketpair"),
    (Call::Bind, "bind"),
    (Call::Connect, "connect"),
    (Call::Accept, "accept"),
    (Call::Accept4, "accept4"),
    (Call::Sendto, "sendto"),
    (Call::Sendmsg, "sendmsg"),
    (Call::Sendmmsg, "sendmmsg"),
    (Call::Recvfrom, "recvfrom"),
    (Call::Recvmsg, "recvmsg"),
    (Call::Recvmmsg, "recvmmsg"),
    (Call::Shutdown, "shutdown"),
    (Call::Send, "send"),
    (Call::Recv, "recv"),
    (Call::Socketcall, "socketcall"),
    (Call::Sendfile, "sendfile"),
    (Call::Splice, "splice"),
    (Call::Poll, "poll"),
    (Call::Ppoll, "ppoll"),
    (Call::Select, "select"),
    (Call::Pselect6, "pselect6"),
    (Call::EpollWait, "epoll_wait"),
    (Call::EpollPwait, "epoll_pwait"),
    (Call::EpollPwait2, "epoll_pwait2"),
    (Call::Fork, "fork"),
    (Call::Exec, "execve"),
    (Call::Exit, "exit"),
    (Call::Clone, "clone"),
    (Call::Clone3, "clone3"),
    (Call::Vfork, "vfork"),
    (Call::Forks, "fork"),
    (Call::Execve, "execve"),
    (Call::Execveat, "execveat"),
];

impl Call {
    /// The call with this number on the wire, if there is one.
    #[must_use]
    pub fn from_wire(number: u16) -> Option<Self> {
        CALLS.iter().map(|(call, _)| *call).find(|call| *call as u16 == number)
    }

    /// The name in section 2 of the manual.
    #[must_use]
    pub fn name(self) -> &'static str {
        CALLS.iter().find(|(call, _)| *call == self).map_or("?", |(_, name)| *name)
    }
}

/// What kind of call a call is, as bits that the kernel side tests instead of comparing names.
pub mod traits {
    use super::Call;

    /// Opens a file: there is no descriptor before it returns.
    pub const OPENS: u16 = 1 << 0;
    /// Moves bytes from the file to the program.
    pub const INWARD: u16 = 1 << 1;
    /// Moves bytes from the program to the file.
    pub const OUTWARD: u16 = 1 << 2;
    /// Gives its bytes as an array of segments.
    pub const SEGMENTS: u16 = 1 << 3;
    /// Gives its bytes by a message header.
    pub const MESSAGE: u16 = 1 << 4;
    /// Gives its bytes by an array of message headers.
    pub const MESSAGES: u16 = 1 << 5;
    /// Names a file offset.
    pub const OFFSET: u16 = 1 << 6;
    /// Moves bytes that no system call shows.
    pub const UNSEEN: u16 = 1 << 7;
    /// Has message flags in its fourth argument.
    pub const FLAGS_IN_FOURTH: u16 = 1 << 8;
    /// Has message flags in its third argument.
    pub const FLAGS_IN_THIRD: u16 = 1 << 9;
    /// Is about an address, which the socket may not know before it returns.
    pub const ADDRESS: u16 = 1 << 10;
    /// Has no descriptor to begin with.
    pub const NO_DESCRIPTOR: u16 = 1 << 11;
    /// Only matters where descriptors are followed.
    pub const FOLLOWING: u16 = 1 << 12;
    /// An `ioctl`.
    pub const IOCTL: u16 = 1 << 13;
    /// Waits for descriptors in an array of `struct pollfd`.
    pub const POLLS: u16 = 1 << 14;
    /// Waits for descriptors in bit sets.
    pub const SELECTS: u16 = 1 << 15;
    /// Waits for descriptors; both bits: those of an epoll instance.
    pub const WAITS: u16 = POLLS | SELECTS;

    /// The bits of a call.
    #[must_use]
    pub const fn of(call: Call) -> u16 {
        match call {
            Call::Open | Call::Openat | Call::Openat2 | Call::Creat => OPENS | NO_DESCRIPTOR,
            Call::Read => INWARD,
            Call::Recv | Call::Recvfrom => INWARD | FLAGS_IN_FOURTH,
            Call::Pread64 => INWARD | OFFSET,
            Call::Readv => INWARD | SEGMENTS,
            Call::Preadv | Call::Preadv2 => INWARD | SEGMENTS | OFFSET,
            Call::Recvmsg => INWARD | MESSAGE | FLAGS_IN_THIRD,
            Call::Recvmmsg => INWARD | MESSAGES,
            Call::Write | Call::Send | Call::Sendto => OUTWARD,
            Call::Pwrite64 => OUTWARD | OFFSET,
            Call::Writev => OUTWARD | SEGMENTS,
            Call::Pwritev | Call::Pwritev2 => OUTWARD | SEGMENTS | OFFSET,
            Call::Sendmsg => OUTWARD | MESSAGE,
            Call::Sendmmsg => OUTWARD | MESSAGES,
            Call::Sendfile | Call::Splice => UNSEEN,
            Call::Bind | Call::Connect => ADDRESS,
            Call::CloseRange => NO_DESCRIPTOR,
            Call::Socket
            | Call::Socketpair
            | Call::Clone
            | Call::Clone3
            | Call::Vfork
            | Call::Forks
            | Call::Execve
            | Call::Execveat => NO_DESCRIPTOR | FOLLOWING,
            Call::Ioctl => IOCTL,
            Call::Poll | Call::Ppoll => POLLS,
            Call::Select | Call::Pselect6 => SELECTS,
            Call::EpollWait | Call::EpollPwait | Call::EpollPwait2 => WAITS,
            _ => 0,
        }
    }
}

/// The instruction set that a system call was made from. It decides numbers, structure layouts and pointer size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Abi {
    /// The kernel's own: amd64 or arm64.
    Native = 0,
    /// A 32-bit program on a 64-bit kernel: i386 or armhf.
    Compat = 1,
}

/// How many numbers of one ABI the kernel side looks at. The highest that iotrail follows is 450.
pub const NUMBERS: u32 = 512;

/// A row of a number table: the number in that ABI and the call behind it.
pub type Row = (u16, Call);

/// amd64: `arch/x86/entry/syscalls/syscall_64.tbl`.
pub const AMD64: &[Row] = &[
    (0, Call::Read),
    (1, Call::Write),
    (2, Call::Open),
    (3, Call::Close),
    (16, Call::Ioctl),
    (17, Call::Pread64),
    (18, Call::Pwrite64),
    (19, Call::Readv),
    (20, Call::Writev),
    (32, Call::Dup),
    (33, Call::Dup2),
    (40, Call::Sendfile),
    (41, Call::Socket),
    (42, Call::Connect),
    (43, Call::Accept),
    (44, Call::Sendto),
    (45, Call::Recvfrom),
    (46, Call::Sendmsg),
    (47, Call::Recvmsg),
    (48, Call::Shutdown),
    (49, Call::Bind),
    (53, Call::Socketpair),
    (72, Call::Fcntl),
    (85, Call::Creat),
    (257, Call::Openat),
    (275, Call::Splice),
    (288, Call::Accept4),
    (292, Call::Dup3),
    (295, Call::Preadv),
    (296, Call::Pwritev),
    (299, Call::Recvmmsg),
    (307, Call::Sendmmsg),
    (327, Call::Preadv2),
    (328, Call::Pwritev2),
    (436, Call::CloseRange),
    (437, Call::Openat2),
    (7, Call::Poll),
    (271, Call::Ppoll),
    (23, Call::Select),
    (270, Call::Pselect6),
    (232, Call::EpollWait),
    (281, Call::EpollPwait),
    (441, Call::EpollPwait2),
    (56, Call::Clone),
    (57, Call::Forks),
    (58, Call::Vfork),
    (59, Call::Execve),
    (322, Call::Execveat),
    (435, Call::Clone3),
];

/// arm64: `include/uapi/asm-generic/unistd.h`.
pub const ARM64: &[Row] = &[
    (23, Call::Dup),
    (24, Call::Dup3),
    (25, Call::Fcntl),
    (29, Call::Ioctl),
    (56, Call::Openat),
    (57, Call::Close),
    (63, Call::Read),
    (64, Call::Write),
    (65, Call::Readv),
    (66, Call::Writev),
    (67, Call::Pread64),
    (68, Call::Pwrite64),
    (69, Call::Preadv),
    (70, Call::Pwritev),
    (71, Call::Sendfile),
    (76, Call::Splice),
    (198, Call::Socket),
    (199, Call::Socketpair),
    (200, Call::Bind),
    (202, Call::Accept),
    (203, Call::Connect),
    (206, Call::Sendto),
    (207, Call::Recvfrom),
    (210, Call::Shutdown),
    (211, Call::Sendmsg),
    (212, Call::Recvmsg),
    (242, Call::Accept4),
    (243, Call::Recvmmsg),
    (269, Call::Sendmmsg),
    (286, Call::Preadv2),
    (287, Call::Pwritev2),
    (436, Call::CloseRange),
    (437, Call::Openat2),
    (73, Call::Ppoll),
    (72, Call::Pselect6),
    (22, Call::EpollPwait),
    (441, Call::EpollPwait2),
    (220, Call::Clone),
    (221, Call::Execve),
    (281, Call::Execveat),
    (435, Call::Clone3),
];

/// i386: `arch/x86/entry/syscalls/syscall_32.tbl`.
pub const I386: &[Row] = &[
    (3, Call::Read),
    (4, Call::Write),
    (5, Call::Open),
    (6, Call::Close),
    (8, Call::Creat),
    (41, Call::Dup),
    (54, Call::Ioctl),
    (55, Call::Fcntl),
    (63, Call::Dup2),
    (102, Call::Socketcall),
    (145, Call::Readv),
    (146, Call::Writev),
    (180, Call::Pread64),
    (181, Call::Pwrite64),
    (187, Call::Sendfile),
    (221, Call::Fcntl),
    (239, Call::Sendfile),
    (295, Call::Openat),
    (313, Call::Splice),
    (330, Call::Dup3),
    (333, Call::Preadv),
    (334, Call::Pwritev),
    (337, Call::Recvmmsg),
    (345, Call::Sendmmsg),
    (359, Call::Socket),
    (360, Call::Socketpair),
    (361, Call::Bind),
    (362, Call::Connect),
    (364, Call::Accept4),
    (369, Call::Sendto),
    (370, Call::Sendmsg),
    (371, Call::Recvfrom),
    (372, Call::Recvmsg),
    (373, Call::Shutdown),
    (378, Call::Preadv2),
    (379, Call::Pwritev2),
    (417, Call::Recvmmsg),
    (436, Call::CloseRange),
    (437, Call::Openat2),
    (168, Call::Poll),
    (309, Call::Ppoll),
    (414, Call::Ppoll),
    (142, Call::Select),
    (308, Call::Pselect6),
    (413, Call::Pselect6),
    (256, Call::EpollWait),
    (319, Call::EpollPwait),
    (441, Call::EpollPwait2),
    (120, Call::Clone),
    (2, Call::Forks),
    (190, Call::Vfork),
    (11, Call::Execve),
    (358, Call::Execveat),
    (435, Call::Clone3),
];

/// armhf (EABI): `arch/arm/tools/syscall.tbl`.
pub const ARM32: &[Row] = &[
    (3, Call::Read),
    (4, Call::Write),
    (5, Call::Open),
    (6, Call::Close),
    (8, Call::Creat),
    (41, Call::Dup),
    (54, Call::Ioctl),
    (55, Call::Fcntl),
    (63, Call::Dup2),
    (145, Call::Readv),
    (146, Call::Writev),
    (180, Call::Pread64),
    (181, Call::Pwrite64),
    (187, Call::Sendfile),
    (221, Call::Fcntl),
    (239, Call::Sendfile),
    (281, Call::Socket),
    (282, Call::Bind),
    (283, Call::Connect),
    (285, Call::Accept),
    (288, Call::Socketpair),
    (289, Call::Send),
    (290, Call::Sendto),
    (291, Call::Recv),
    (292, Call::Recvfrom),
    (293, Call::Shutdown),
    (296, Call::Sendmsg),
    (297, Call::Recvmsg),
    (322, Call::Openat),
    (340, Call::Splice),
    (358, Call::Dup3),
    (361, Call::Preadv),
    (362, Call::Pwritev),
    (365, Call::Recvmmsg),
    (366, Call::Accept4),
    (374, Call::Sendmmsg),
    (392, Call::Preadv2),
    (393, Call::Pwritev2),
    (417, Call::Recvmmsg),
    (436, Call::CloseRange),
    (437, Call::Openat2),
    (168, Call::Poll),
    (336, Call::Ppoll),
    (414, Call::Ppoll),
    (142, Call::Select),
    (335, Call::Pselect6),
    (413, Call::Pselect6),
    (252, Call::EpollWait),
    (346, Call::EpollPwait),
    (441, Call::EpollPwait2),
    (120, Call::Clone),
    (2, Call::Forks),
    (190, Call::Vfork),
    (11, Call::Execve),
    (387, Call::Execveat),
    (435, Call::Clone3),
];
