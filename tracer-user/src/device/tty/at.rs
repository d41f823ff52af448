//! AT commands of modems (ITU-T V.250, 3GPP TS 27.007 and 27.005).
//!
//! A command line starts with `AT`; its answer is any number of lines, the last of which is a final result code. After
//! the prompt `> ` (TS 27.005, 3.5.1) the text that the program writes belongs to the command, up to Ctrl-Z or Escape.
//! Unsolicited result codes (`RING`, `+CMTI: …`) are events; those that are never an answer of the command are, amid
//! its answer too.

use std::borrow::Cow;

mod codes;

use super::protocol::{
    Answers, Asked, Event, Extent, Failure, Known, Order, Past, Protocol, Verdict, ends_line, is_text_line,
    lines, token,
};

/// The AT command set.
pub(crate) struct At;

/// [`Past::spoken`].
const SPOKEN: &str = "at";

/// How many times longer than others a command may take that has to do with the network: V.250 allows a call 60 s, TS
/// 27.005 names no time for sending a message, makers of modules allow up to 180 s for the list of networks.
const SLOW: u32 = 180;

/// What ends the text behind a prompt: Ctrl-Z, Escape.
const TEXT_ENDS: [u8; 2] = [0x1a, 0x1b];

/// Longest command name: V.250 allows 16 characters behind the sign.
const NAME: usize = 24;

impl Protocol for At {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        let line = lines(asked.request).next()?;
        let name = name(line)?;
        let name = name.to_ascii_uppercase();
        let patience = if is_slow(&name) { SLOW } else { 1 };
        Some(Known { name: Cow::Owned(name), answers: Answers::Always, patience, order: Order::Pipelined })
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], seen: usize) -> Extent {
        // A `\r` that was last before may have got its `\n` now.
        let judged = reply.get(..seen).unwrap_or(reply);
        let from = judged.len() - usize::from(judged.ends_with(b"\r"));
        let mut start = line_start(reply, from);
        for end in from..reply.len() {
            if !reply.get(end).copied().is_some_and(ends_line) {
                continue;
            }
            let line = reply.get(start..end).unwrap_or_default().trim_ascii();
            let begun = std::mem::replace(&mut start, end + 1);
            // Whole once its `\n` is there: what is before the next line begins.
            if is_unasked(line, asked.request) && reply.get(end) == Some(&b'\r') {
                match reply.get(end + 1) {
                    None => return Extent::More,
                    Some(b'\n') => return Extent::Foreign(blank_before(reply, begun)..end + 2),
                    Some(_) => {}
                }
            }
            if is_final(line) {
                return match reply.get(end..) {
                    Some([b'\r', b'\n', ..]) => Extent::Done(end + 2),
                    Some([b'\r']) => Extent::Pause,
                    _ => Extent::Done(end + 1),
                };
            }
        }
        // The prompt for a message's text, TS 27.005 3.5.1.
        let prompts = reply.ends_with(b"\n> ") || reply.ends_with(b"\r> ") || reply.ends_with(b"\n>");
        let over = asked.request.last().is_some_and(|last| TEXT_ENDS.contains(last));
        if prompts && !over { Extent::Prompt } else { Extent::More }
    }

    fn verdict(&self, _asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let Some(last) = reply.and_then(|reply| lines(reply).next_back()) else { return Verdict::default() };
        Verdict { spoken: is_final(last).then_some(SPOKEN), error: refusal(last), ..Verdict::default() }
    }

    fn event(&self, sentence: &[u8], past: &Past) -> Option<Event> {
        if !is_text_line(sentence) {
            return None;
        }
        let line = lines(sentence).next()?;
        let spoken = past.spoken == Some(SPOKEN);
        let name = codes::unsolicited(line).or_else(|| spoken.then(|| codes::word(line)).flatten())?;
        Some(Event { name: name.to_owned().into(), ..Event::default() })
    }
}

/// Whether a line amid an answer has nothing to do with the request.
fn is_unasked(line: &[u8], request: &[u8]) -> bool {
    let Some(name) = codes::unsolicited(line) else { return false };
    let asked = request.to_ascii_uppercase();
    codes::is_never_an_answer(name) && !asked.windows(name.len()).any(|part| part == name.as_bytes())
}

/// Where the line end begins that a modem sends before a result code.
fn blank_before(reply: &[u8], start: usize) -> usize {
    let before = reply.get(..start).unwrap_or_default();
    match before {
        // The end of the line before belongs to that line.
        [rest @ .., b'\r', b'\n'] if rest.is_empty() || rest.ends_with(b"\n") => start - 2,
        _ => start,
    }
}

/// Whether a command takes as long as the network does.
fn is_slow(name: &str) -> bool {
    matches!(
        name,
        "ATD"
            | "ATA"
            | "ATO"
            | "AT+COPS"
            | "AT+CMGS"
            | "AT+CMSS"
            | "AT+CMGW"
            | "AT+CMGC"
            | "AT+CGATT"
            | "AT+CGACT"
            | "AT+CUSD"
            | "AT+CFUN"
            | "AT+CLCK"
            | "AT+CCFC"
            | "AT+CIICR"
            | "AT+CIPSTART"
            | "AT+CIPSEND"
            | "AT+CIPSHUT"
            | "AT+SAPBR"
            | "AT+HTTPACTION"
            | "AT+CWJAP"
            | "AT+CWLAP"
    )
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

/// What a final result code says that is none of success.
fn refusal(line: &[u8]) -> Option<Failure> {
    let plain = ["ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE", "ABORTED"];
    if let Some(code) = plain.iter().find(|code| line == code.as_bytes()) {
        return Some((Cow::Owned(code.replace(' ', "_")), "the device refused".into()));
    }
    for (prefix, name, table) in
        [(&b"+CME ERROR:"[..], "CME", codes::EQUIPMENT), (b"+CMS ERROR:", "CMS", codes::MESSAGE)]
    {
        let Some(code) = line.strip_prefix(prefix).map(<[u8]>::trim_ascii) else { continue };
        let number = !code.is_empty() && code.iter().all(u8::is_ascii_digit) && code.len() <= 5;
        let found = table.iter().find(|(value, text)| {
            if number {
                value.to_string().as_bytes() == code
            } else {
                code.eq_ignore_ascii_case(text.as_bytes())
            }
        });
        return Some(match found {
            Some((value, text)) => (Cow::Owned(format!("{name}_{value}")), Cow::Borrowed(*text)),
            None if number => (Cow::Owned(format!("{name}_{}", token(code))), "the device refused".into()),
            // Other texts differ from maker to maker.
            None => (Cow::Owned(format!("{name}_ERROR")), "the device refused".into()),
        });
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
            ("\r\n> ", Extent::Prompt),
            ("\r\n+CMTI: \"SM\",3\r\n\r\nOK\r\n", Extent::Foreign(0..17)),
            ("x\r\n\r\nRING\r\n", Extent::Foreign(3..11)),
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
            ("\r\n+CME ERROR: SIM not inserted\r\n", Some("CME_10")),
            ("\r\n+CME ERROR: something else\r\n", Some("CME_ERROR")),
            ("\r\n+CMS ERROR: 42\r\n", Some("CMS_42")),
            ("\r\nNO CARRIER\r\n", Some("NO_CARRIER")),
            ("\r\n+CSQ: 20,99\r\n\r\nOK\r\n", None),
        ] {
            let verdict = At.verdict(asked(b"AT\r"), Some(reply.as_bytes()));
            assert_eq!(verdict.error.as_ref().map(|(kind, _)| kind.as_ref()), expected, "{reply:?}");
        }
    }
}
