//! What is spoken over serial lines: one file per protocol, and the table of them.

use std::borrow::Cow;

use super::{at, plain, scpi};

/// What a protocol makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The command without its arguments.
    pub(crate) name: Cow<'static, str>,
    /// Whether the protocol has an answer to it, whatever happens.
    pub(crate) answers: bool,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// More must come.
    More,
    /// It may be over; silence tells.
    Pause,
    /// It is over after so many bytes; what follows is no part of it.
    Done(usize),
}

/// A language of requests and answers. All of it is pure; bytes may be cut off at any place.
pub(crate) trait Protocol: Sync {
    /// The command, if `request` is one of this protocol.
    fn command(&self, request: &[u8]) -> Option<Known>;

    /// How far the answer has come. Its first `seen` bytes were judged before, as [`Extent::More`] or
    /// [`Extent::Pause`].
    fn extent(&self, request: &[u8], reply: &[u8], seen: usize) -> Extent;

    /// `error.type`, if the answer says in the protocol's terms that the command failed.
    fn refusal(&self, reply: &[u8]) -> Option<Cow<'static, str>>;

    /// Whether an answer that breaks off half-way is a failure.
    fn is_strict(&self) -> bool {
        true
    }

    /// Name of the event, if an unsolicited sentence is one of this protocol.
    fn event(&self, _sentence: &[u8]) -> Option<Cow<'static, str>> {
        None
    }
}

/// Every protocol, the most particular first. The last takes everything.
pub(crate) static PROTOCOLS: &[&dyn Protocol] = &[&at::At, &scpi::Scpi, &plain::Text, &plain::Binary];

/// The protocol of a request and its command.
pub(crate) fn recognise(request: &[u8]) -> (&'static dyn Protocol, Known) {
    PROTOCOLS
        .iter()
        .find_map(|protocol| Some((*protocol, protocol.command(request)?)))
        .unwrap_or_else(|| (&plain::Binary, plain::unrecognised()))
}

/// Name of the event that an unsolicited sentence is.
pub(crate) fn event(sentence: &[u8]) -> Option<Cow<'static, str>> {
    PROTOCOLS.iter().find_map(|protocol| protocol.event(sentence))
}

/// Whether `byte` ends lines.
pub(crate) fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether `byte` has no place in a text.
pub(crate) fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f
}

/// Whether `bytes` are text: UTF-8 without control characters. A character cut off at the end does no harm.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !bytes.iter().copied().any(is_control)
}

/// Whether `bytes` are text up to the end of a line.
pub(crate) fn is_text_line(bytes: &[u8]) -> bool {
    bytes.last().copied().is_some_and(ends_line) && is_text(bytes)
}

/// The lines that are not blank, without their ends and surrounding blanks.
pub(crate) fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split(|byte| ends_line(*byte)).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// Makes a low-cardinality name of the beginning of `text`: upper case, digits, and `_` for each run of anything
/// else; at most 32 characters.
pub(crate) fn token(text: &[u8]) -> String {
    let mut name = String::new();
    for byte in text.iter().copied().take(32) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':') {
            name.push(char::from(byte.to_ascii_uppercase()));
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(name.trim_end_matches(['_', ':']).len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recognised() {
        for (request, expected, answers) in [
            ("MEAS:VOLT?\n", "MEAS:VOLT?", true),
            ("AT+CSQ\r", "AT+CSQ", true),
            ("ATT?\n", "ATT?", true),
            ("SET:VALVE 1\r\n", "SET:VALVE", false),
            ("hello world\n", "request", false),
            ("\x01\x03\x00\x00\x00\x02", "request", false),
            ("", "request", false),
        ] {
            let (_, known) = recognise(request.as_bytes());
            assert_eq!((known.name.as_ref(), known.answers), (expected, answers), "{request:?}");
        }
    }

    #[test]
    fn text_is_told_from_binary() {
        for (bytes, expected) in [
            (&b"21.5 \xc2\xb0C\r\n"[..], true),
            (b"half \xc2", true),
            (b"\x01\x03\n", false),
            (b"\xff\n", false),
            (b"", true),
        ] {
            assert_eq!(is_text(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn tokens_are_short_and_plain() {
        assert_eq!(token(b"not inserted!"), "NOT_INSERTED");
        assert_eq!(token(b"-113"), "-113");
        assert_eq!(token(&[b'x'; 100]).len(), 32);
    }
}
