//! Fields of arguments as attributes: numbers, texts, flags and choices, each left out where it was not captured.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::ioc::{Args, Argument, int_at, u16_at, u32_at};
use crate::model::command::Value;

/// The 64-bit number at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let field = bytes.get(offset..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*field))
}

/// The byte at `offset`, as an attribute's value.
pub(crate) fn byte_at(bytes: &[u8], offset: usize) -> Option<Value> {
    bytes.get(offset).map(|byte| Value::Int(i64::from(*byte)))
}

/// The unsigned 32-bit number at `offset`, as an attribute's value.
pub(crate) fn number_at(bytes: &[u8], offset: usize) -> Option<Value> {
    u32_at(bytes, offset).map(|number| Value::Int(i64::from(number)))
}

/// The 64-bit number at `offset`, as an attribute's value; beyond what those hold, the greatest.
pub(crate) fn long_at(bytes: &[u8], offset: usize) -> Option<Value> {
    u64_at(bytes, offset).map(long)
}

/// A 64-bit number as an attribute's value; beyond what those hold, the greatest.
pub(crate) fn long(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A number that is an address or a set of bits.
pub(crate) fn hex(number: u64) -> Value {
    Value::Text(format!("0x{number:x}").into())
}

/// How a field is read.
#[derive(Clone, Copy)]
pub(crate) enum As {
    /// One byte.
    Byte,
    /// 16 bits.
    Short,
    /// 32 bits.
    Number,
    /// 32 bits with a sign.
    Int,
    /// 32 bits that are an address or a set.
    Hex,
    /// 64 bits.
    Long,
    /// 64 bits that are an address or a set.
    LongHex,
    /// A text of at most so many bytes.
    Text(usize),
}

/// Fields of a structure: key, offset, kind.
pub(crate) type Fields<'a> = &'a [(&'static str, usize, As)];

/// Adds the fields of a structure, as far as they were captured.
pub(crate) fn fields(bytes: &[u8], fields: Fields<'_>, args: &mut Args) {
    for (key, at, kind) in fields {
        let value = match *kind {
            As::Byte => byte_at(bytes, *at),
            As::Short => u16_at(bytes, *at).map(|number| Value::Int(number.into())),
            As::Number => number_at(bytes, *at),
            As::Int => int_at(bytes, *at),
            As::Hex => u32_at(bytes, *at).map(|number| hex(number.into())),
            As::Long => long_at(bytes, *at),
            As::LongHex => u64_at(bytes, *at).map(hex),
            As::Text(length) => text_at(bytes, *at, length).map(text),
        };
        args.extend(value.map(|value| (*key, value)));
    }
}

/// Adds the `int` that the program gives.
pub(crate) fn given(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.given, 0).map(|value| (key, value)));
}

/// Adds the `int` that the driver answers.
pub(crate) fn answered(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.answered, 0).map(|value| (key, value)));
}

/// Adds the argument itself, an `int` whatever the upper half of the register holds.
pub(crate) fn by_value(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.push((key, Value::Int(i64::from((argument.value as u32).cast_signed()))));
}

/// Adds what a call returned, unless it failed.
pub(crate) fn result(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    if argument.result >= 0 {
        args.push((key, Value::Int(argument.result)));
    }
}

/// A text that ends with a zero byte or after `length` bytes; `None` if it is empty or was not captured to its end.
pub(crate) fn text_at(bytes: &[u8], offset: usize, length: usize) -> Option<String> {
    let field = bytes.get(offset..)?;
    let field = field.get(..length).unwrap_or(field);
    let end = match field.iter().position(|byte| *byte == 0) {
        Some(end) => end,
        None if field.len() == length => length,
        None => return None,
    };
    let text = String::from_utf8_lossy(&field[..end]).into_owned();
    (!text.is_empty()).then_some(text)
}

/// A text as an attribute's value.
pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Value {
    Value::Text(text.into())
}

/// [`flag_names`] as an attribute's value.
pub(crate) fn flags(bits: u64, names: &[(u64, &str)]) -> Value {
    text(flag_names(bits, names))
}

/// The names of the bits that are set, joined by `|`, and what has no name as a number; `0` for none.
pub(crate) fn flag_names(bits: u64, names: &[(u64, &str)]) -> String {
    let (mut rest, mut text) = (bits, String::new());
    for (bit, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
        if !text.is_empty() {
            text.push('|');
        }
        text.push_str(name);
        rest &= !bit;
    }
    if rest != 0 {
        let separator = if text.is_empty() { "" } else { "|" };
        // Writing to memory does not fail.
        let _ = write!(text, "{separator}0x{rest:x}");
    }
    if text.is_empty() { "0".into() } else { text }
}

/// The name of a number, by its place in a list; a number without one as it is.
pub(crate) fn choice(number: u64, names: &[&'static str]) -> Value {
    let name = usize::try_from(number).ok().and_then(|index| names.get(index));
    name.filter(|name| !name.is_empty()).map_or_else(|| long(number), |name| text(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_were_cut_are_left_out() {
        assert_eq!(text_at(b"abc\0de", 0, 6).as_deref(), Some("abc"));
        assert_eq!(text_at(b"xabcd", 1, 4).as_deref(), Some("abcd"));
        assert_eq!(text_at(b"abc", 0, 4), None, "its end was not captured");
        assert_eq!(text_at(b"\0bc", 0, 3), None, "it is empty");
        assert_eq!(text_at(b"abc", 7, 3), None);
    }

    #[test]
    fn bits_and_choices_without_a_name_stay_numbers() {
        assert_eq!(flags(0b1101, &[(1, "A"), (2, "B"), (4, "C")]), text("A|C|0x8"));
        assert_eq!(flags(0, &[(1, "A")]), text("0"));
        assert_eq!(choice(1, &["none", "some"]), text("some"));
        assert_eq!(choice(0, &["", "some"]), Value::Int(0));
        assert_eq!(choice(u64::MAX, &["none"]), Value::Int(i64::MAX));
    }
}
