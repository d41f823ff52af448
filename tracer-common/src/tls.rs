//! Functions of TLS libraries that take or give plaintext: what the user side tells the kernel side of each, and what
//! a [`crate::record::Kind::Tls`] record says of the call.

/// Whose functions they are. Discriminants are part of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Library {
    /// OpenSSL, BoringSSL, LibreSSL: `SSL_read`, `SSL_write` and their relatives.
    Openssl = 1,
    /// GnuTLS: `gnutls_record_recv`, `gnutls_record_send` and their relatives.
    Gnutls = 2,
    /// rustls: the plaintext's `Reader` and `Writer`.
    Rustls = 3,
    /// Go's `crypto/tls`.
    Go = 4,
}

/// Every library.
pub const LIBRARIES: [Library; 4] = [Library::Openssl, Library::Gnutls, Library::Rustls, Library::Go];

impl Library {
    /// The library with this number on the wire, if there is one.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        LIBRARIES.into_iter().find(|library| *library as u64 == number)
    }

    /// What it is called in attributes and counts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openssl => "openssl",
            Self::Gnutls => "gnutls",
            Self::Rustls => "rustls",
            Self::Go => "go",
        }
    }
}

/// Bits of a hook's cookie: how the function takes its arguments and gives its result. Unless said otherwise: session,
/// buffer and length are the first three arguments, the result is an `int`, the number of bytes.
pub mod cookie {
    /// Plaintext goes out.
    pub const OUTWARD: u64 = 1 << 0;
    /// The result is 1; the number of bytes is stored where the fourth argument points to.
    pub const COUNT_BEHIND: u64 = 1 << 1;
    /// The result is a `ssize_t`.
    pub const WIDE: u64 = 1 << 2;
    /// The result is 0 and, in the second register, the number of bytes: Rust's `io::Result<usize>`.
    pub const PAIR: u64 = 1 << 3;
    /// The first argument points to the session.
    pub const INDIRECT: u64 = 1 << 4;
    /// The bytes come from a file: no plaintext is there, only its length (`SSL_sendfile`).
    pub const UNSEEN: u64 = 1 << 5;
    /// The buffer is an array of segments (`struct iovec`), the length their number.
    pub const SEGMENTS: u64 = 1 << 6;
    /// A [`super::Library`] from this bit on.
    pub const LIBRARY_SHIFT: u32 = 8;
}

/// Which of the kernel programs a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// A function begins.
    Begin,
    /// It returns: a hook at the function's beginning that changes the return address.
    End,
    /// A function begins that takes, as its second argument, the address of an owned or borrowed `Vec<u8>` of Rust.
    Given,
    /// A Go function begins.
    GoBegin,
    /// A Go function is about to return: a hook at one of its return instructions.
    GoEnd,
}

/// Every program.
pub const PROGRAMS: [Program; 5] =
    [Program::Begin, Program::End, Program::Given, Program::GoBegin, Program::GoEnd];

impl Program {
    /// The kernel program's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin => "tls_begin",
            Self::End => "tls_end",
            Self::Given => "tls_given",
            Self::GoBegin => "tls_go_begin",
            Self::GoEnd => "tls_go_end",
        }
    }
}

/// A place in a program's file where a kernel program is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hook {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Which kernel program.
    pub program: Program,
    /// Bits of [`cookie`].
    pub cookie: u64,
}

/// How a call of a TLS library was tied to a socket; in `args[1]` of its record, from bit [`TIE_SHIFT`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tie {
    /// No socket was used during the call: bytes waited in the library, or go by way of memory.
    None = 0,
    /// Calls on one selected socket and on no other were made during it by the same thread.
    Nested = 1,
    /// Calls on several selected sockets were made during it: it may be any of them.
    Several = 2,
}

impl Tie {
    /// The tie with this number on the wire, if there is one.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        [Self::None, Self::Nested, Self::Several].into_iter().find(|tie| *tie as u64 == number)
    }
}

/// Where the [`Tie`] lies in `args[1]`, above the library.
pub const TIE_SHIFT: u32 = 8;
