//! SCPI (SCPI-99, IEEE 488.2) and the many devices that speak like it: `MEAS:VOLT?`, `*IDN?`, `SET:VALVE 1`.
//!
//! Each line that asks (a header in it ends in `?`) is answered by one response message (IEEE 488.2, 8.3): elements
//! joined by `;` and `,`, among them blocks of counted bytes, up to a newline. Other commands are not answered,
//! though simple devices do it all the same. What `SYST:ERR?` answers is no refusal but what was asked for: the number
//! is the argument `reported_error`.

use std::borrow::Cow;

use super::plain::{error_line, text_extent};
use super::protocol::{
    Answers, Asked, Extent, Failure, Known, Order, Protocol, Verdict, ends_line, is_text, lines, refused,
};
use crate::model::command::Value;

/// Commands that look like SCPI.
pub(crate) struct Scpi;

/// Longest header that is taken for a command's name.
const HEADER: usize = 40;

impl Protocol for Scpi {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        let request = asked.request;
        if !is_text(request) {
            return None;
        }
        let line = lines(request).next()?;
        let header = header(line);
        let answers = if queries(request) > 0 { Answers::Always } else { Answers::IfAwaited };
        let order = if answers == Answers::Always { Order::Pipelined } else { Order::Alone };
        let name = || String::from_utf8_lossy(header).to_ascii_uppercase();
        is_header(header).then(|| Known { order, ..Known::new(name(), answers) })
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        let request = asked.request;
        let queries = queries(request);
        if queries == 0 {
            return text_extent(reply, seen);
        }
        let fresh = reply.get(seen..).unwrap_or_default();
        if seen > 0 && !fresh.iter().copied().any(ends_line) && !reply.contains(&b'#') {
            return Extent::More;
        }
        let (mut open, mut start) = (queries, 0);
        loop {
            let rest = reply.get(start..).unwrap_or_default();
            match message(rest) {
                Message::Whole(length) => {
                    let text = rest.get(..length).unwrap_or_default().trim_ascii();
                    let echo = lines(request).any(|sent| sent == text);
                    start += length;
                    open -= usize::from(!text.is_empty() && !echo);
                    if open == 0 {
                        return Extent::Done(start);
                    }
                }
                // Some devices end their lines with `\r` alone, some their blocks with nothing.
                Message::Perhaps if open == 1 => return Extent::Pause,
                Message::Perhaps | Message::More => return Extent::More,
            }
        }
    }

    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let reply = reply.unwrap_or_default();
        let mut verdict = Verdict::default();
        if asks_for_errors(asked.request) {
            let number = lines(reply).filter_map(error_number).next_back();
            verdict.args.extend(number.map(|number| ("reported_error", Value::Int(number))));
        } else if !reply.iter().take(64).copied().any(|byte| byte == b'#') {
            let refusal = |line| standard_error(line).or_else(|| error_line(line).map(refused));
            verdict.error = lines(reply).find_map(refusal);
        }
        verdict
    }
}

/// A line's first header.
fn header(line: &[u8]) -> &[u8] {
    line.split(|byte| matches!(byte, b' ' | b'\t' | b';' | b',' | b'=')).next().unwrap_or_default()
}

/// Whether a word can be a header. Lower case is allowed in SCPI, but a plain word in it is no sign of SCPI.
fn is_header(word: &[u8]) -> bool {
    let (question, mnemonic) = match word.split_last() {
        Some((b'?', mnemonic)) => (true, mnemonic),
        _ => (false, word),
    };
    let starts = matches!(mnemonic, [b'*' | b':', letter, ..] | [letter, ..] if letter.is_ascii_alphabetic());
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'*' | b'_');
    let marked = question || mnemonic.contains(&b':') || mnemonic.starts_with(b"*");
    let shouted = !mnemonic.iter().any(u8::is_ascii_lowercase);
    word.len() <= HEADER && starts && mnemonic.iter().all(allowed) && (marked || shouted)
}

/// How many lines of the request ask for an answer.
fn queries(request: &[u8]) -> usize {
    let asks =
        |line: &&[u8]| line.split(|byte| *byte == b';').any(|part| header(part.trim_ascii()).ends_with(b"?"));
    lines(request).filter(asks).count()
}

/// How far a response message has come.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    /// It is so long, with its line end. It may be blank.
    Whole(usize),
    /// It may be over.
    Perhaps,
    /// It goes on.
    More,
}

/// The response message that `bytes` begin with.
fn message(bytes: &[u8]) -> Message {
    let mut at = bytes.iter().take_while(|byte| ends_line(**byte)).count();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let block = block(rest);
        match block {
            Some(Block::Counted(length)) => {
                at += length;
                match bytes.get(at..) {
                    None => return Message::More,
                    Some([b'\r', b'\n', ..]) => return Message::Whole(at + 2),
                    Some([b'\n', ..]) => return Message::Whole(at + 1),
                    Some([] | [b'\r']) => return Message::Perhaps,
                    Some([b';' | b',', ..]) => at += 1,
                    // No newline behind it: a device that counts and does not end its messages.
                    Some(_) => return Message::Whole(at),
                }
            }
            Some(Block::Open) => return Message::Perhaps,
            Some(Block::Begun) => return Message::More,
            None => match rest.iter().position(|byte| matches!(byte, b'\n' | b';' | b',')) {
                Some(end) if rest.get(end) == Some(&b'\n') => return Message::Whole(at + end + 1),
                Some(end) => at += end + 1,
                None if rest.ends_with(b"\r") && !bytes.trim_ascii().is_empty() => return Message::Perhaps,
                None => return Message::More,
            },
        }
    }
}

/// A block of bytes, IEEE 488.2, 8.7.9 and 8.7.10.
enum Block {
    /// Definite: `#`, a digit that counts the digits of the length, the length, the bytes; so long in all.
    Counted(usize),
    /// Indefinite, `#0`: it ends with the message, but its bytes may be anything.
    Open,
    /// Not enough to tell.
    Begun,
}

/// The block that `bytes` begin with.
fn block(bytes: &[u8]) -> Option<Block> {
    let [b'#', rest @ ..] = bytes else { return None };
    let Some((digits, rest)) = rest.split_first() else { return Some(Block::Begun) };
    let digits = match digits {
        b'1'..=b'9' => usize::from(digits - b'0'),
        b'0' => return Some(Block::Open),
        // `#HFF` is a number, 8.7.4.
        _ => return None,
    };
    let known = rest.get(..digits.min(rest.len())).unwrap_or_default();
    if !known.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if known.len() < digits {
        return Some(Block::Begun);
    }
    let length: usize = std::str::from_utf8(known).ok()?.parse().ok()?;
    Some(Block::Counted(length.saturating_add(2 + digits)))
}

/// Whether a request asks for the device's list of errors, SCPI-99, 21.8.
fn asks_for_errors(request: &[u8]) -> bool {
    lines(request).flat_map(|line| line.split(|byte| *byte == b';')).any(|part| {
        let header = header(part.trim_ascii()).to_ascii_uppercase();
        let header = header.strip_prefix(b":").unwrap_or(&header);
        let system = header.strip_prefix(b"SYSTEM:").or_else(|| header.strip_prefix(b"SYST:"));
        system.is_some_and(|rest| rest.starts_with(b"ERR") && rest.ends_with(b"?"))
    })
}

/// The number of `-113,"Undefined header"`, `0,"No error"`, `+0,"No error"`.
fn error_number(line: &[u8]) -> Option<i64> {
    let end = line.iter().position(|byte| *byte == b',').unwrap_or(line.len());
    std::str::from_utf8(line.get(..end)?.trim_ascii()).ok()?.parse::<i32>().ok().map(i64::from)
}

/// What SCPI-99 21.8.3 says of a class of errors.
fn class_of(number: &[u8]) -> &'static str {
    match number {
        [b'-', b'1', _, _] => "command error",
        [b'-', b'2', _, _] => "execution error",
        [b'-', b'3', _, _] => "device-specific error",
        [b'-', b'4', _, _] => "query error",
        _ => "the device refused",
    }
}

/// The number of `-113,"Undefined header"`: SCPI-99, 21.8. Positive numbers are the device's own, 0 is no error.
fn standard_error(line: &[u8]) -> Option<Failure> {
    let comma = line.iter().position(|byte| *byte == b',')?;
    let (number, text) = line.split_at(comma);
    let digits = number.strip_prefix(b"-")?;
    let standard = matches!(digits.len(), 1..=4) && digits.iter().all(u8::is_ascii_digit);
    let quoted = text.get(1..)?.trim_ascii().starts_with(b"\"");
    (standard && quoted)
        .then(|| (Cow::Owned(String::from_utf8_lossy(number).into_owned()), Cow::Borrowed(class_of(number))))
}

#[cfg(test)]
mod tests {
    use super::super::protocol::asked;
    use super::*;

    #[test]
    fn headers_are_names() {
        for (request, expected) in [
            ("MEAS:VOLT?\n", Some(("MEAS:VOLT?", true))),
            ("meas:volt?\n", Some(("MEAS:VOLT?", true))),
            ("MEASure:VOLTage:DC? 10,0.001\r\n", Some(("MEASURE:VOLTAGE:DC?", true))),
            ("*IDN?", Some(("*IDN?", true))),
            ("*RST\n", Some(("*RST", false))),
            (":SYST:ERR?\n", Some((":SYST:ERR?", true))),
            ("OUTP1 ON\n", Some(("OUTP1", false))),
            ("VOLT 5;MEAS?\n", Some(("VOLT", true))),
            ("SET:VALVE 1\n", Some(("SET:VALVE", false))),
            ("led 1\n", None),
            ("5 volts\n", None),
            ("what is it?\n", None),
            ("?\n", None),
            ("{\"cmd\":1}\n", None),
            ("A\u{1}?\n", None),
            ("A:VERY:LONG:HEADER:THAT:GOES:ON:AND:ON:AND:ON\n", None),
        ] {
            let known = Scpi.command(asked(request.as_bytes()));
            let known = known.as_ref().map(|known| (known.name.as_ref(), known.answers == Answers::Always));
            assert_eq!(known, expected, "{request:?}");
        }
    }

    #[test]
    fn a_query_is_answered_by_a_line_or_a_block() {
        for (request, reply, expected) in [
            ("V?\n", "3.3\n", Extent::Done(4)),
            ("V?\n", "3.3\r\n", Extent::Done(5)),
            ("V?\n", "\r\n3.3\r\nrest", Extent::Done(7)),
            ("V?\n", "V?\r\n3.3\r\n", Extent::Done(9)),
            ("V?\n", "3.3\r", Extent::Pause),
            ("V?\n", "3.3", Extent::More),
            ("V?\nI?\n", "3.3\n", Extent::More),
            ("V?\nI?\n", "3.3\n1\n", Extent::Done(6)),
            ("V?;I?\n", "3.3;1\n", Extent::Done(6)),
            ("C?\n", "#15\n\n\n\n\n", Extent::Pause),
            ("C?\n", "#15\n\n\n\n\n\n", Extent::Done(9)),
            ("C?\n", "#15\n\n", Extent::More),
            ("C?\n", "#9", Extent::More),
            ("C?;D?\n", "#15\n\n\n\n\n;#13abc\n", Extent::Done(16)),
            ("V?;C?\n", "3.3;#13a\nb\n", Extent::Done(11)),
            ("C?\nV?\n", "#13abc\n3.3\n", Extent::Done(11)),
            ("C?\n", "C?\r\n#13abc\n", Extent::Done(11)),
            ("C?\n", "#3100\n", Extent::More),
            ("C?\n", "#0\n\n", Extent::Pause),
            ("H?\n", "#HFF\n", Extent::Done(5)),
            ("V 1\n", "OK\n", Extent::Pause),
        ] {
            assert_eq!(Scpi.extent(asked(request.as_bytes()), reply.as_bytes(), 0), expected, "{reply:?}");
        }
    }

    #[test]
    fn reported_errors_are_no_refusals() {
        for (request, reply, expected) in [
            ("SYST:ERR?\n", "-113,\"Undefined header\"\n", Some(-113)),
            (":system:error:next?\n", "+0,\"No error\"\n", Some(0)),
            ("*CLS;:SYST:ERR?\n", "ERROR\n", None),
        ] {
            let verdict = Scpi.verdict(asked(request.as_bytes()), Some(reply.as_bytes()));
            let args: Vec<_> =
                expected.map(|number| ("reported_error", Value::Int(number))).into_iter().collect();
            assert_eq!((verdict.error, verdict.args), (None, args), "{request}");
        }
    }

    #[test]
    fn refusals_have_names() {
        for (reply, expected) in [
            ("-113,\"Undefined header\"\n", Some("-113")),
            ("ERROR 3\n", Some("ERROR")),
            ("0,\"No error\"\n", None),
            ("-113,5\n", None),
            ("-1.5\n", None),
        ] {
            let verdict = Scpi.verdict(asked(b"V?\n"), Some(reply.as_bytes()));
            assert_eq!(verdict.error.as_ref().map(|(kind, _)| kind.as_ref()), expected, "{reply:?}");
        }
    }
}
