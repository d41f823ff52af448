//! AT commands of modems (ITU-T V.250, 3GPP TS 27.007 and 27.005).
//!
//! A command line starts with `AT`; its answer is any number of lines, the last of which is a final result code.

use std::borrow::Cow;

use super::protocol::{Answers, Asked, Extent, Known, Protocol, Verdict, ends_line, lines, refused, token};

/// The AT command set.
pub(crate) struct At;

/// Longest command name: V.250 allows 16 characters behind the sign.
const NAME: usize = 24;

impl Protocol for At {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        let line = lines(asked.request).next()?;
        let name = name(line)?;
        Some(Known::new(name.to_ascii_uppercase(), Answers::Always))
    }

    fn extent(&self, _asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        // A `\r` that was last before may have got its `\n` now.
        let judged = reply.get(..seen).unwrap_or(reply);
        let from = judged.len() - usize::from(judged.ends_with(b"\r"));
        let mut start = line_start(reply, from);
        for end in from..reply.len() {
            if !reply.get(end).copied().is_some_and(ends_line) {
                continue;
            }
            let line = reply.get(start..end).unwrap_or_default().trim_ascii();
            start = end + 1;
            if is_final(line) {
                return match reply.get(end..) {
                    Some([b'\r', b'\n', ..]) => Extent::Done(end + 2),
                    Some([b'\r']) => Extent::Pause,
                    _ => Extent::Done(end + 1),
                };
            }
        }
        // The prompt for a message's text, TS 27.005 3.5.1.
        let prompts = reply.ends_with(b"> ") || reply.ends_with(b"\n>");
        if prompts { Extent::Pause } else { Extent::More }
    }

    fn verdict(&self, _asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let error = reply.and_then(|reply| refusal(lines(reply).next_back()?)).map(refused);
        Verdict { error, ..Verdict::default() }
    }
}

/// Where the line begins that byte `at` is on.
fn line_start(bytes: &[u8], at: usize) -> usize {
    let before = bytes.get(..at).unwrap_or(bytes);
    before.iter().rposition(|byte| ends_line(*byte)).map_or(0, |end| end + 1)
}

/// The first command of a command line, as it was written: `AT+CREG` of `AT+CREG=1`, `ATD` of any number dialled.
fn name(line: &[u8]) -> Option<&str> {
    let body = line.strip_prefix(b"AT").or_else(|| line.strip_prefix(b"at"))?;
    let length = match *body {
        [] => 0,
        [b'+' | b'*' | b'^' | b'$' | b'#' | b'!' | b'%' | b'&' | b'\\', ..] => {
            let word =
                body.iter().skip(1).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            let extended = body.first() == Some(&b'+');
            let basic = matches!(body.first(), Some(b'&' | b'%' | b'\\'));
            let follows = body.get(1 + word);
            let ends = matches!(follows, None | Some(b'=' | b'?' | b';' | b' ' | b':'));
            match word {
                0 => return None,
                // `AT&F0&C1`
                _ if basic && !ends => 2,
                _ if basic && body.get(2).is_none_or(u8::is_ascii_digit) => 2,
                _ if ends || !extended => 1 + word,
                _ => return None,
            }
        }
        // Registers are few and each means something of its own.
        [b'S' | b's', b'0'..=b'9', ..] => {
            1 + body.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count()
        }
        [b'D' | b'd', next, ..] => {
            let dials = matches!(next, b'0'..=b'9' | b'T' | b't' | b'P' | b'p' | b'+' | b'*' | b'#' | b'>');
            if dials { 1 } else { return None }
        }
        [letter, ..] if letter.is_ascii_alphabetic() && is_basic(body) => 1,
        _ => return None,
    };
    let name = line.get(..2 + length).filter(|name| name.len() <= NAME)?;
    std::str::from_utf8(name).ok()
}

/// Whether a body is basic commands, each but the last with its number: `E0V1`, `Z`.
fn is_basic(body: &[u8]) -> bool {
    let mut number = true;
    body.iter().all(|byte| {
        let fits =
            byte.is_ascii_digit() || byte.is_ascii_alphabetic() && number || matches!(byte, b'&' | b' ');
        number = !byte.is_ascii_alphabetic();
        fits
    })
}

/// Whether a line is a final result code, V.250 5.7.1 and TS 27.007 9.1.
fn is_final(line: &[u8]) -> bool {
    line == b"OK" || line.starts_with(b"CONNECT") || refusal(line).is_some()
}

/// `error.type` of a final result code that is none of success.
fn refusal(line: &[u8]) -> Option<Cow<'static, str>> {
    let plain = ["ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE", "ABORTED"];
    if let Some(code) = plain.iter().find(|code| line == code.as_bytes()) {
        return Some(Cow::Owned(code.replace(' ', "_")));
    }
    for (prefix, name) in [(&b"+CME ERROR:"[..], "CME"), (b"+CMS ERROR:", "CMS")] {
        let Some(code) = line.strip_prefix(prefix).map(<[u8]>::trim_ascii) else { continue };
        // Verbose texts differ from maker to maker.
        let number = !code.is_empty() && code.iter().all(u8::is_ascii_digit) && code.len() <= 5;
        return Some(Cow::Owned(if number {
            format!("{name}_{}", token(code))
        } else {
            format!("{name}_ERROR")
        }));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::protocol::asked;
    use super::*;

    #[test]
    fn commands_are_named_without_arguments() {
        for (request, expected) in [
            ("AT\r", Some("AT")),
            ("at+csq\r", Some("AT+CSQ")),
            ("AT+CREG?\r", Some("AT+CREG")),
            ("AT+CREG=1\r\n", Some("AT+CREG")),
            ("AT+CREG=?\r", Some("AT+CREG")),
            ("AT+CSQ;+CREG?\r", Some("AT+CSQ")),
            ("AT^SYSINFO\r", Some("AT^SYSINFO")),
            ("ATZ\r", Some("ATZ")),
            ("ATE0V1\r", Some("ATE")),
            ("AT&F0\r", Some("AT&F")),
            ("AT&F\r", Some("AT&F")),
            ("ATS0=1\r", Some("ATS0")),
            ("ATD+4912345;\r", Some("ATD")),
            ("ATDT5551234\r", Some("ATD")),
            ("ATT?\n", None),
            ("ATTACH 5\n", None),
            ("ATTENUATION:LEVEL 5\n", None),
            ("MEAS?\n", None),
            ("AT+\r", None),
            ("", None),
        ] {
            let known = At.command(asked(request.as_bytes()));
            assert_eq!(known.as_ref().map(|known| known.name.as_ref()), expected, "{request:?}");
        }
    }

    #[test]
    fn an_answer_ends_with_its_result_code() {
        for (reply, expected) in [
            ("\r\nOK\r\n", Extent::Done(6)),
            ("\r\n+CSQ: 20,99\r\n\r\nOK\r\n", Extent::Done(21)),
            ("\r\n+CSQ: 20,99\r\n", Extent::More),
            ("AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n\r\nRING\r\n", Extent::Done(28)),
            ("\r\n+CME ERROR: 10\r\n", Extent::Done(18)),
            ("\r\nOK\r", Extent::Pause),
            ("OK\n", Extent::Done(3)),
            ("\r\n> ", Extent::Pause),
            ("", Extent::More),
        ] {
            assert_eq!(At.extent(asked(b"AT\r"), reply.as_bytes(), 0), expected, "{reply:?}");
        }
    }

    #[test]
    fn the_newline_may_come_late() {
        assert_eq!(At.extent(asked(b"AT\r"), b"\r\nOK\r\n", 5), Extent::Done(6));
        assert_eq!(At.extent(asked(b"AT\r"), b"\r\nOK\r\n\r\nRING\r\n", 5), Extent::Done(6));
    }

    #[test]
    fn refusals_have_names() {
        for (reply, expected) in [
            ("\r\nERROR\r\n", Some("ERROR")),
            ("\r\n+CME ERROR: 10\r\n", Some("CME_10")),
            ("\r\n+CMS ERROR: 500\r\n", Some("CMS_500")),
            ("\r\n+CME ERROR: SIM not inserted\r\n", Some("CME_ERROR")),
            ("\r\nNO CARRIER\r\n", Some("NO_CARRIER")),
            ("\r\n+CSQ: 20,99\r\n\r\nOK\r\n", None),
        ] {
            let verdict = At.verdict(asked(b"AT\r"), Some(reply.as_bytes()));
            assert_eq!(verdict.error.as_ref().map(|(kind, _)| kind.as_ref()), expected, "{reply:?}");
        }
    }
}
