//! What kind of call a call is.

/// `MSG_PEEK`, `include/linux/socket.h`.
pub(crate) const MSG_PEEK: u64 = 2;
/// `fcntl` commands that duplicate, `include/uapi/linux/fcntl.h`.
pub(crate) const F_DUPFD: u64 = 0;
/// As above.
pub(crate) const F_DUPFD_CLOEXEC: u64 = 1030;

/// `fcntl` command that sets flags of the open file, as above.
pub(crate) const F_SETFL: u64 = 4;

/// A call with its [`tracer_common::call::traits`].
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) call: u16,
    pub(crate) traits: u16,
}

impl Kind {
    /// Whether it has any of these bits.
    #[inline(always)]
    pub(crate) fn has(self, traits: u16) -> bool {
        self.traits & traits != 0
    }
}

macro_rules! is {
    ($kind:expr, $($variant:ident)|+) => {{
        let call = $kind.call;
        $(call == tracer_common::call::Call::$variant as u16)||+
    }};
}
pub(crate) use is;
