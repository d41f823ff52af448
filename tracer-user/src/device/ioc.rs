//! `ioctl` commands: how their numbers are built, and tables that name them.

use std::borrow::Cow;

use crate::model::capture::Piece;
use crate::model::command::{Command, Value};
use crate::model::payload::Payload;
use tracer_common::recipe::{Recipe, RecipeKey, without_size};

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
    /// The command itself, for those that come in several lengths.
    pub(crate) command: u32,
    /// Whether a 32-bit program made it: where that matters, its structures are laid out otherwise.
    pub(crate) compat: bool,
    /// What the call returned.
    pub(crate) result: i64,
    /// The number or pointer that the program gave.
    pub(crate) value: u64,
    /// What the kernel was given to read; empty if nothing was captured.
    pub(crate) given: &'a [u8],
    /// What the kernel wrote; empty if nothing was captured or the call failed.
    pub(crate) answered: &'a [u8],
    /// What the argument pointed to when the call began.
    pub(crate) before: &'a [Piece],
    /// What it pointed to when the call returned.
    pub(crate) after: &'a [Piece],
}

impl<'a> Argument<'a> {
    /// An element of the array that the argument points to, as the program gave it.
    pub(crate) fn given_element(&self, element: usize) -> Option<&'a [u8]> {
        let found = piece(self.before, element, None).or_else(|| piece(self.after, element, None));
        found.map(|payload| &payload.captured[..])
    }

    /// An element of the array that the argument points to, as the driver left it.
    pub(crate) fn answered_element(&self, element: usize) -> Option<&'a [u8]> {
        piece(self.after, element, None).map(|payload| &payload.captured[..])
    }

    /// What a buffer of an element held when the call began.
    ///
    /// Memory that was not resident then was copied when the call returned.
    pub(crate) fn given_buffer(&self, element: usize, buffer: u8) -> Option<&'a Payload> {
        let early = piece(self.before, element, Some(buffer));
        let late = piece(self.after, element, Some(buffer));
        match (early, late) {
            (Some(early), Some(late)) if early.captured.len() < late.captured.len() => Some(late),
            (early, late) => early.or(late),
        }
    }

    /// What a buffer of an element held when the call returned.
    pub(crate) fn answered_buffer(&self, element: usize, buffer: u8) -> Option<&'a Payload> {
        piece(self.after, element, Some(buffer))
    }
}

/// Bytes that lie in several places, in order, as far as they were captured without a gap. Of each place: what was
/// captured there, and how many bytes there are.
pub(crate) fn join<'a>(places: impl IntoIterator<Item = (Option<&'a Payload>, u64)>) -> Payload {
    let mut bytes = Vec::new();
    let (mut size, mut gap) = (0_u64, false);
    for (place, length) in places {
        size = size.saturating_add(length);
        let captured = place.map_or(&[][..], |place| &place.captured[..]);
        let captured = captured.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or(captured);
        if !gap {
            bytes.extend_from_slice(captured);
        }
        gap |= (captured.len() as u64) < length;
    }
    Payload { captured: bytes.into(), size }
}

fn piece(pieces: &[Piece], element: usize, buffer: Option<u8>) -> Option<&Payload> {
    let found =
        pieces.iter().find(|piece| usize::from(piece.element) == element && piece.buffer == buffer)?;
    Some(&found.payload)
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

/// Adds the C string in a field as an attribute, if the field was captured whole.
pub(crate) fn text(name: &'static str, bytes: &[u8], field: std::ops::Range<usize>, args: &mut Args) {
    if let Some(bytes) = bytes.get(field) {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        args.push((name, Value::Text(String::from_utf8_lossy(&bytes[..end]).into_owned().into())));
    }
}

/// A C `int` at `offset`, as an attribute's value.
pub(crate) fn int_at(bytes: &[u8], offset: usize) -> Option<Value> {
    u32_at(bytes, offset).map(|number| Value::Int(i64::from(number.cast_signed())))
}

/// What a command's argument points to, [`tracer_common::recipe`]: for the kernel side.
pub(crate) struct Nested {
    /// For 64-bit programs.
    pub(crate) native: Recipe,
    /// For 32-bit programs on a 64-bit kernel.
    pub(crate) compat: Recipe,
    /// The same two for arguments of which the first do not hold ([`Recipe::only`]).
    pub(crate) alternative: Option<(Recipe, Recipe)>,
}

/// One command that a class knows.
pub(crate) struct Row {
    command: u32,
    /// Its number in 32-bit programs.
    compat: u32,
    /// How many commands from there on it stands for: those of an axis, of a set of codes.
    numbers: u32,
    /// Whether its argument is as long as the program likes.
    any_size: bool,
    /// Name in the kernel's header.
    pub(crate) name: &'static str,
    sizes: Option<(u16, u16)>,
    nested: Option<&'static Nested>,
    /// Adds the argument's attributes.
    pub(crate) args: fn(&Argument<'_>, &mut Args),
    /// Adds what attributes cannot say: bytes that moved, a refusal inside a call that succeeded.
    pub(crate) finish: Option<fn(&Argument<'_>, &mut Command)>,
}

impl Row {
    /// A command whose number holds direction and size.
    pub(crate) const fn new(command: u32, name: &'static str, args: fn(&Argument<'_>, &mut Args)) -> Self {
        Self {
            command,
            compat: command,
            numbers: 1,
            any_size: false,
            name,
            sizes: None,
            nested: None,
            args,
            finish: None,
        }
    }

    /// A command whose number does not tell the truth: the kernel reads and writes this many bytes of its argument;
    /// none if that is a number.
    pub(crate) const fn legacy(
        command: u32,
        name: &'static str,
        sizes: (u16, u16),
        args: fn(&Argument<'_>, &mut Args),
    ) -> Self {
        Self { sizes: Some(sizes), ..Self::new(command, name, args) }
    }

    /// A command whose argument is a number although its own number says that it is an address.
    pub(crate) const fn by_value(
        command: u32,
        name: &'static str,
        args: fn(&Argument<'_>, &mut Args),
    ) -> Self {
        Self::legacy(command, name, (0, 0), args)
    }

    /// Its number in 32-bit programs, if that is another one.
    pub(crate) const fn compat(mut self, command: u32) -> Self {
        self.compat = command;
        self
    }

    /// Its argument is as long as the program likes, so that its number varies.
    pub(crate) const fn any_size(mut self) -> Self {
        self.any_size = true;
        self
    }

    /// It stands for so many commands with consecutive numbers.
    pub(crate) const fn numbers(mut self, numbers: u32) -> Self {
        self.numbers = numbers;
        self
    }

    /// What its argument points to.
    pub(crate) const fn follow(mut self, nested: &'static Nested) -> Self {
        self.nested = Some(nested);
        self
    }

    /// What is to be done with the whole command.
    pub(crate) const fn finish(mut self, finish: fn(&Argument<'_>, &mut Command)) -> Self {
        self.finish = Some(finish);
        self
    }

    /// Its number; of consecutive ones the first.
    pub(crate) fn number(&self, compat: bool) -> u32 {
        if compat { self.compat } else { self.command }
    }

    /// Whether this row is about `command`.
    pub(crate) fn matches(&self, command: u32, compat: bool) -> bool {
        let own = if compat { self.compat } else { self.command };
        let (own, command) = match self.any_size {
            true => (without_size(own), without_size(command)),
            false => (own, command),
        };
        // The number is the low byte, so consecutive ones are.
        command.wrapping_sub(own) < self.numbers
    }

    /// What the kernel side has to know beyond the command's number: key without family, recipe.
    pub(crate) fn recipes(&self) -> Vec<(RecipeKey, Recipe)> {
        let sized = |recipe: Recipe| match self.sizes {
            Some((reads, writes)) if recipe.sized == 0 => recipe.sized(reads, writes),
            _ => recipe,
        };
        let mut found = Vec::new();
        for number in 0..self.numbers {
            let mut add = |compat: bool, alternative: u8, recipe: Recipe| {
                let command = if compat { self.compat } else { self.command } + number;
                let command = without_size(command);
                let key = RecipeKey { family: 0, compat: u8::from(compat), alternative, pad: 0, command };
                found.push((key, sized(recipe)));
            };
            match self.nested {
                Some(nested) => {
                    add(false, 0, nested.native);
                    add(true, 0, nested.compat);
                    if let Some((native, compat)) = nested.alternative {
                        add(false, 1, native);
                        add(true, 1, compat);
                    }
                }
                None if self.sizes.is_some() => {
                    add(false, 0, Recipe::PLAIN);
                    add(true, 0, Recipe::PLAIN);
                }
                None => {}
            }
        }
        found
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
