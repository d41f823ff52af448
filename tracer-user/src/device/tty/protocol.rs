//! What is spoken over serial lines: one file per protocol, and the table of them.

use std::borrow::Cow;

use super::{at, gcode, modbus, nmea, plain, scpi};
use crate::device::ioc::Args;
use crate::model::command::Value;

/// What a protocol makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The command without its arguments.
    pub(crate) name: Cow<'static, str>,
    /// Whether the protocol has an answer to it.
    pub(crate) answers: Answers,
    /// How many reply timeouts the device may take for it: 1 unless the protocol has commands that last.
    pub(crate) patience: u32,
    /// What a later request says of it.
    pub(crate) order: Order,
}

impl Known {
    /// A command that takes no longer than others, and that the next one ends.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, answers: Answers) -> Self {
        Self { name: name.into(), answers, patience: 1, order: Order::Alone }
    }
}

/// What becomes of a request without an answer when the next one is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is over.
    Alone,
    /// It stays open: programs write ahead, and the n-th answer is the n-th request's.
    Ahead,
    /// As above, if the guess is right ([`Protocol::confirms`]).
    AheadIfSo,
    /// It stays open if the program did not wait for an answer before it went on, or if another thread reads; answers
    /// come in order.
    Pipelined,
    /// As above, but answers tell whose they are.
    Matched,
    /// It is answered beside the others, whatever their order.
    Aside,
}

/// What an answer does to the requests that were written ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// The device started anew: none of them is answered.
    Reset,
    /// The device wants a request again, and those behind it.
    Resend,
}

/// Whether a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Whatever happens: silence is a failure unless nobody reads the line at all.
    Always,
    /// If the program waits for it.
    IfAwaited,
    /// Perhaps, on a line that the program reads all the time: silence is no failure.
    Perhaps,
    /// Never. What is read next is something else.
    Never,
}

/// How far an answer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// More must come.
    More,
    /// The device says that it is at work: more must come, and it may take long.
    Busy,
    /// It may be over; silence tells.
    Pause,
    /// The device waits for the program to go on with its request.
    Prompt,
    /// It is over after so many bytes; what follows is no part of it. After 0 bytes: nothing of this is.
    Done(usize),
    /// These bytes were not asked for. Not empty; ends within what is there.
    Foreign(std::ops::Range<usize>),
    /// This is no answer in this protocol: the guess was wrong.
    Wrong,
}

/// A request, and what the line has shown before it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The request's unbroken beginning.
    pub(crate) request: &'a [u8],
    /// Before.
    pub(crate) past: &'a Past,
    /// Whether bytes of the answer are missing.
    pub(crate) cut: bool,
}

/// What a line has shown so far. It settles what the bytes of one request alone leave open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// The protocol that an answer or a checked sentence confirmed last.
    pub(crate) spoken: Option<&'static str>,
    /// The last frame that came unasked, if nothing was written since: what is written next may answer it. At most
    /// a frame of Modbus.
    pub(crate) heard: Option<Vec<u8>>,
    /// Whether the line reads back what is written to it (RS-485 with its receiver left on), once that was seen.
    pub(crate) echoes: Option<bool>,
    /// The device started anew, and nothing was written since.
    pub(crate) reset: bool,
}

/// What a request and its answer say, once both are over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// The protocol, if the answer is one of it for sure ([`Past::spoken`]).
    pub(crate) spoken: Option<&'static str>,
    /// The answer, though over, is none of this protocol: the guess was wrong.
    pub(crate) wrong: bool,
    /// The command failed: `error.type` in the protocol's terms, and a sentence without payload.
    pub(crate) error: Option<Failure>,
    /// Arguments.
    pub(crate) args: Args,
    /// Whether the line reads back what is written, if this shows it.
    pub(crate) echoes: Option<bool>,
    /// What becomes of the requests behind.
    pub(crate) after: After,
}

/// `error.type` and a sentence for people.
pub(crate) type Failure = (Cow<'static, str>, Cow<'static, str>);

/// A device's refusal that says no more than its kind.
pub(crate) fn refused(kind: impl Into<Cow<'static, str>>) -> Failure {
    (kind.into(), Cow::Borrowed("the device refused"))
}

/// What became of the check that a frame or sentence carries: argument `integrity`, the same words in every protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integrity {
    /// It is right.
    Ok,
    /// It is wrong.
    Bad,
    /// There is none where the protocol allows one.
    Absent,
}

impl Integrity {
    /// The argument `integrity`: the kind of check (`crc`, `lrc`, `checksum`), and `ok`, `bad` or `absent`.
    pub(crate) fn arg(self, check: &str) -> (&'static str, Value) {
        let word = match self {
            Self::Ok => "ok",
            Self::Bad => "bad",
            Self::Absent => "absent",
        };
        ("integrity", Value::Text(format!("{check} {word}").into()))
    }
}

/// The failure of a wrong check.
pub(crate) fn checksum() -> Failure {
    (Cow::Borrowed("checksum"), Cow::Borrowed("the bytes do not match their check"))
}

/// An unsolicited sentence or frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    /// Its name.
    pub(crate) name: Cow<'static, str>,
    /// Arguments.
    pub(crate) args: Args,
    /// What is wrong with it.
    pub(crate) error: Option<Failure>,
    /// The protocol that is spoken on this line beyond doubt.
    pub(crate) spoken: Option<&'static str>,
    /// Whether what the program writes next may answer it ([`Past::heard`]).
    pub(crate) asks: bool,
    /// The device starts anew: no earlier request will be answered.
    pub(crate) resets: bool,
}

/// A language of requests and answers. All of it is pure; bytes may be cut off at any place.
pub(crate) trait Protocol: Sync {
    /// The command, if the request is one of this protocol.
    fn command(&self, asked: Asked<'_>) -> Option<Known>;

    /// Whether a request of this protocol that does not end a line is whole all the same.
    fn is_whole(&self, _asked: Asked<'_>) -> bool {
        false
    }

    /// How far the answer has come. Its first `seen` bytes were judged before, as [`Extent::More`] or
    /// [`Extent::Pause`].
    ///
    /// Only the shortest beginning that decides may count: however the bytes are split over reads, the outcome is
    /// the same.
    fn extent(&self, asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent;

    /// What it all says. `None`: there was no answer.
    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict;

    /// Whether an answer to a request of [`Order::AheadIfSo`] shows that the guess was right; `None` while its first
    /// line is not whole.
    fn confirms(&self, _asked: Asked<'_>, _reply: &[u8]) -> Option<bool> {
        Some(true)
    }

    /// Whether a `later` request is this one, or one before it, again, after the device wanted that.
    fn is_repeated_by(&self, _asked: Asked<'_>, _later: Asked<'_>) -> bool {
        false
    }

    /// Whether an answer that breaks off half-way is a failure.
    fn is_strict(&self) -> bool {
        true
    }

    /// Whether answers come amid a stream of other things: what is no whole answer then was not asked for.
    fn is_stream(&self) -> bool {
        false
    }

    /// The event, if an unsolicited sentence or frame is one of this protocol.
    fn event(&self, _sentence: &[u8], _past: &Past) -> Option<Event> {
        None
    }
}

/// Every protocol, the most particular first. The last takes everything.
pub(crate) static PROTOCOLS: &[&dyn Protocol] = &[
    &modbus::Rtu,
    &modbus::Ascii,
    &nmea::Nmea,
    &gcode::Gcode,
    &at::At,
    &scpi::Scpi,
    &plain::Text,
    &plain::Binary,
];

/// The first protocol of a request from place `from` on in the table, its place and its command.
pub(crate) fn recognise(asked: Asked<'_>, from: usize) -> (usize, &'static dyn Protocol, Known) {
    PROTOCOLS
        .iter()
        .enumerate()
        .skip(from)
        .find_map(|(place, protocol)| Some((place, *protocol, protocol.command(asked)?)))
        .unwrap_or_else(|| (PROTOCOLS.len(), &plain::Binary, plain::unrecognised()))
}

/// Where the first of several requests ends that were written at once and are answered each for itself; `None` if
/// there is one.
pub(crate) fn first_of_many(written: &[u8], past: &Past) -> Option<usize> {
    gcode::first_of_many(written, past)
}

/// The event that an unsolicited sentence or frame is.
pub(crate) fn event(sentence: &[u8], past: &Past) -> Option<Event> {
    PROTOCOLS.iter().find_map(|protocol| protocol.event(sentence, past))
}

/// Whether all of `piece`, unsolicited input that is no text, is a frame whose end is known from its bytes.
pub(crate) fn is_frame(piece: &[u8]) -> bool {
    modbus::is_frame(piece)
}

/// Whether `text` is the beginning of a sentence of a stream that requests do not interrupt.
pub(crate) fn begins_sentence(text: &[u8]) -> bool {
    nmea::begins(text)
}

/// Where a checked sentence begins that ends where `piece`, unsolicited input that is no text, does.
pub(crate) fn sentence_at_end(piece: &[u8]) -> Option<usize> {
    nmea::at_end(piece)
}

/// Where the next frame lies in unsolicited input that silence ended.
pub(crate) fn find_frame(piece: &[u8], past: &Past) -> Option<std::ops::Range<usize>> {
    modbus::find_frame(piece, past)
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

/// A request on a line that has shown nothing yet.
#[cfg(test)]
pub(crate) fn asked(request: &[u8]) -> Asked<'_> {
    static NOTHING: Past = Past { spoken: None, heard: None, echoes: None, reset: false };
    Asked { request, past: &NOTHING, cut: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recognised() {
        for (request, expected, answers) in [
            ("MEAS:VOLT?\n", "MEAS:VOLT?", Answers::Always),
            ("AT+CSQ\r", "AT+CSQ", Answers::Always),
            ("ATT?\n", "ATT?", Answers::Always),
            ("SET:VALVE 1\r\n", "SET:VALVE", Answers::IfAwaited),
            ("hello world\n", "request", Answers::IfAwaited),
            ("\x01\x03\x00\x00\x00\x02", "request", Answers::IfAwaited),
            ("", "request", Answers::IfAwaited),
        ] {
            let (_, _, known) = recognise(asked(request.as_bytes()), 0);
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
