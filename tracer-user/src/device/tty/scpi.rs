//! SCPI (SCPI-99, IEEE 488.2) and the many devices that speak like it: `MEAS:VOLT?`, `*IDN?`, `SET:VALVE 1`.
//!
//! A query (its header ends in `?`) is answered by one line, or by a block of counted bytes; other commands are not
//! answered, though simple devices do it all the same.

use std::borrow::Cow;

use super::plain::{error_line, text_extent};
use super::protocol::{Answers, Asked, Extent, Known, Protocol, Verdict, ends_line, is_text, lines, refused};

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
        is_header(header).then(|| Known::new(String::from_utf8_lossy(header).to_ascii_uppercase(), answers))
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        let request = asked.request;
        let queries = queries(request);
        if queries == 0 {
            return text_extent(reply, seen);
        }
        if let Some(block) = block(reply) {
            return block;
        }
        if reply.get(seen..).unwrap_or_default().contains(&b'\n') {
            let mut open = queries;
            let mut end = 0;
            for line in reply.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                end += line.len();
                let text = line.trim_ascii();
                let echo = lines(request).any(|sent| sent == text);
                open -= usize::from(!text.is_empty() && !echo);
                if open == 0 {
                    return Extent::Done(end);
                }
            }
        }
        // Some devices end their lines with `\r` alone.
        let last = reply.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        if last.ends_with(b"\r") && !last.trim_ascii().is_empty() { Extent::Pause } else { Extent::More }
    }

    fn verdict(&self, _asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let refusal = |line| standard_error(line).or_else(|| error_line(line));
        let error = lines(reply.unwrap_or_default()).find_map(refusal).map(refused);
        Verdict { error, ..Verdict::default() }
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

/// An IEEE 488.2 definite length block: `#`, a digit that counts the digits of the length, the length, the bytes,
/// and a newline.
fn block(reply: &[u8]) -> Option<Extent> {
    let skipped = reply.iter().take_while(|byte| ends_line(**byte)).count();
    let body = reply.get(skipped..)?;
    let [b'#', rest @ ..] = body else { return None };
    let Some((digits, rest)) = rest.split_first() else { return Some(Extent::More) };
    let digits = match digits {
        b'1'..=b'9' => usize::from(digits - b'0'),
        // A block without a length ends with its newline, but its bytes may be anything.
        b'0' => return Some(Extent::Pause),
        _ => return None,
    };
    let Some(length) = rest.get(..digits) else { return Some(Extent::More) };
    let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    let total = skipped.checked_add(2 + digits)?.checked_add(length)?;
    Some(match reply.get(total..) {
        None => Extent::More,
        Some([b'\r', b'\n', ..]) => Extent::Done(total + 2),
        Some([b'\n', ..]) => Extent::Done(total + 1),
        Some([] | [b'\r']) => Extent::Pause,
        Some(_) => Extent::Done(total),
    })
}

/// The number of `-113,"Undefined header"`: SCPI-99, 21.8. Positive numbers are the device's own, 0 is no error.
fn standard_error(line: &[u8]) -> Option<Cow<'static, str>> {
    let comma = line.iter().position(|byte| *byte == b',')?;
    let (number, text) = line.split_at(comma);
    let digits = number.strip_prefix(b"-")?;
    let standard = matches!(digits.len(), 1..=4) && digits.iter().all(u8::is_ascii_digit);
    let quoted = text.get(1..)?.trim_ascii().starts_with(b"\"");
    (standard && quoted).then(|| Cow::Owned(String::from_utf8_lossy(number).into_owned()))
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
            ("V 1\n", "OK\n", Extent::Pause),
        ] {
            assert_eq!(Scpi.extent(asked(request.as_bytes()), reply.as_bytes(), 0), expected, "{reply:?}");
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
