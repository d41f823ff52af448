//! `ioctl` commands: how their numbers are built, and tables that name them.

use std::borrow::Cow;

use crate::model::command::Value;

/// Attributes of a command: key without prefix, value.
pub(crate) type Args = Vec<(&'static str, Value)>;

/// `_IOC_WRITE`: the kernel reads the argument.
const WRITE: u32 = 1;
/// `_IOC_READ`: the kernel writes the argument.
const READ: u32 = 2;

/// The parts of a command's number, `include/uapi/asm-generic/ioctl.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// 0 none, 1 the kernel reads the argument, 2 it writes it, 3 both.
    direction: u32,
    /// The driver's letter.
    kind: u8,
    /// Number within the driver.
    number: u8,
    /// Size of the argument in bytes.
    pub(crate) size: u32,
}

impl Number {
    /// Takes a command apart.
    pub(crate) fn of(command: u32) -> Self {
        Self {
            direction: command >> 30,
            kind: (command >> 8) as u8,
            number: command as u8,
            size: command >> 16 & 0x3fff,
        }
    }

    /// Whether the kernel reads the argument.
    pub(crate) fn reads(self) -> bool {
        self.direction & WRITE != 0
    }

    /// Whether the kernel writes the argument.
    pub(crate) fn writes(self) -> bool {
        self.direction & READ != 0
    }

    /// The direction as the program sees it.
    pub(crate) fn direction_name(self) -> &'static str {
        match (self.reads(), self.writes()) {
            (false, false) => "none",
            (true, false) => "write",
            (false, true) => "read",
            (true, true) => "read+write",
        }
    }

    /// A name for a command that no table knows. Without the size, which may vary with the argument's length.
    pub(crate) fn name(self) -> Cow<'static, str> {
        let Self { kind, number, .. } = self;
        Cow::Owned(if kind.is_ascii_alphanumeric() {
            format!("ioctl {}:0x{number:02x}", char::from(kind))
        } else {
            format!("ioctl 0x{kind:02x}:0x{number:02x}")
        })
    }
}

/// `_IOC`: builds a command's number.
const fn ioc(direction: u32, kind: u8, number: u8, size: u32) -> u32 {
    direction << 30 | size << 16 | (kind as u32) << 8 | number as u32
}

/// `_IO`.
pub(crate) const fn io(kind: u8, number: u8) -> u32 {
    ioc(0, kind, number, 0)
}

/// `_IOR`: the program reads, the kernel writes.
pub(crate) const fn ior(kind: u8, number: u8, size: u32) -> u32 {
    ioc(READ, kind, number, size)
}

/// `_IOW`: the program writes, the kernel reads.
pub(crate) const fn iow(kind: u8, number: u8, size: u32) -> u32 {
    ioc(WRITE, kind, number, size)
}

/// `_IOWR`: both.
pub(crate) const fn iowr(kind: u8, number: u8, size: u32) -> u32 {
    ioc(READ | WRITE, kind, number, size)
}

/// The argument of one call, for tables to decode.
pub(crate) struct Argument<'a> {
    /// The number or pointer that the program gave.
    pub(crate) value: u64,
    /// What the kernel was given to read; empty if nothing was captured.
    pub(crate) given: &'a [u8],
    /// What the kernel wrote; empty if nothing was captured or the call failed.
    pub(crate) answered: &'a [u8],
}

/// The 32-bit number at `offset`, in the byte order of every architecture that iotrail runs on.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}

/// The 16-bit number at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*field))
}

/// A C `int` at `offset`, as an attribute's value.
pub(crate) fn int_at(bytes: &[u8], offset: usize) -> Option<Value> {
    u32_at(bytes, offset).map(|number| Value::Int(i64::from(number.cast_signed())))
}

/// One command that a class knows.
pub(crate) struct Row {
    command: u32,
    /// Name in the kernel's header.
    pub(crate) name: &'static str,
    reads: u16,
    writes: u16,
    /// Adds the argument's attributes.
    pub(crate) args: fn(&Argument<'_>, &mut Args),
}

impl Row {
    /// A command whose number holds direction and size.
    pub(crate) const fn new(command: u32, name: &'static str, args: fn(&Argument<'_>, &mut Args)) -> Self {
        Self { command, name, reads: 0, writes: 0, args }
    }

    /// A command whose number tells neither: the kernel reads and writes this many bytes of its argument.
    pub(crate) const fn legacy(
        command: u32,
        name: &'static str,
        (reads, writes): (u16, u16),
        args: fn(&Argument<'_>, &mut Args),
    ) -> Self {
        Self { command, name, reads, writes, args }
    }

    /// Whether this row is about `command`.
    pub(crate) fn matches(&self, command: u32) -> bool {
        command == self.command
    }

    /// What the loader has to know of a command whose number tells no size.
    pub(crate) fn legacy_size(&self) -> Option<(u32, u16, u16)> {
        (self.reads != 0 || self.writes != 0).then_some((self.command, self.reads, self.writes))
    }
}

/// For commands without arguments, or with arguments that nobody needs to see.
pub(crate) fn no_args(_: &Argument<'_>, _: &mut Args) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_apart() {
        for (command, name, direction, size) in [
            (ior(b'T', 0x30, 4), "ioctl T:0x30", "read", 4),
            (iow(b'k', 1, 1), "ioctl k:0x01", "write", 1),
            (iowr(0, 0xff, 0x3fff), "ioctl 0x00:0xff", "read+write", 0x3fff),
            (io(0x12, 0x7c), "ioctl 0x12:0x7c", "none", 0),
        ] {
            let number = Number::of(command);
            assert_eq!(
                (number.name().as_ref(), number.direction_name(), number.size),
                (name, direction, size)
            );
        }
        assert_eq!(ior(b'T', 0x30, 4), 0x8004_5430, "TIOCGPTN");
    }

    #[test]
    fn fields_beyond_the_end_are_absent() {
        assert_eq!(u32_at(&[1, 2, 3], 0), None);
        assert_eq!(u32_at(&[1, 0, 0, 0], 1), None);
        assert_eq!(u16_at(&[1, 0, 2, 0], usize::MAX), None);
        assert_eq!(int_at(&[0xff; 4], 0), Some(Value::Int(-1)));
    }
}
