//! NMEA 0183 sentences (version 4.x, section 5.3; IEC 61162-1, 7.2): `$GPGGA,…*hh`, encapsulated `!AIVDM,…*hh`.
//!
//! Span rule. A talker sends unasked: each sentence is an event, called after its formatter (`GGA`), with the talker
//! as an argument; a proprietary one after its whole address (`PMTK705`). What a program writes is a plain command,
//! unless it is a query: `$CCGPQ,GGA` (5.3.2.3), and of proprietary ones those whose makers say so (`$PMTK…`,
//! `$PUBX,00`). Its answer is one sentence amid the stream of others, which stay events.
//!
//! The check is the exclusive or of what is between `$` or `!` and `*`. It is optional for many sentences and may be
//! absent; a wrong one is an error `checksum`.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::protocol::{
    Answers, Asked, Event, Extent, Failure, Integrity, Known, Past, Protocol, Verdict, checksum, is_text,
};
use crate::device::ioc::Args;
use crate::model::command::Value;

/// NMEA 0183.
pub(crate) struct Nmea;

/// [`Past::spoken`].
const SPOKEN: &str = "nmea";

/// Longest sentence that is taken for one. The standard's 82 characters are kept by few makers.
const LONGEST: usize = 256;

/// Longest address: five characters for a standard sentence, the makers' own go further.
const ADDRESS: usize = 12;

/// One sentence.
#[derive(Debug, PartialEq, Eq)]
struct Sentence<'a> {
    /// Between the start and the first comma.
    address: &'a [u8],
    /// Behind it, without the check.
    fields: &'a [u8],
    integrity: Integrity,
}

impl<'a> Sentence<'a> {
    /// Takes one line apart, with or without its end.
    fn of(line: &'a [u8]) -> Option<Self> {
        let line = behind_tags(line.trim_ascii());
        let body = line.strip_prefix(b"$").or_else(|| line.strip_prefix(b"!"))?;
        if line.len() > LONGEST || !is_text(line) || body.iter().any(|byte| matches!(byte, b'$' | b'!')) {
            return None;
        }
        let (content, integrity) = match body.iter().position(|byte| *byte == b'*') {
            None => (body, Integrity::Absent),
            Some(star) => {
                let (content, check) = body.split_at(star);
                let right = hex(check.get(1..)?)? == exclusive_or(content);
                (content, if right { Integrity::Ok } else { Integrity::Bad })
            }
        };
        let end = content.iter().position(|byte| *byte == b',').unwrap_or(content.len());
        let (address, fields) = content.split_at(end);
        let plain = address.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let proprietary = address.first() == Some(&b'P') && address.len() >= 4;
        // Without a check only the form tells a sentence from other lines that begin with `$`.
        let formed = (integrity != Integrity::Absent || end < content.len()) && address.len() <= ADDRESS;
        let standard = address.len() == 5 && address.iter().take(2).all(u8::is_ascii_alphanumeric);
        (plain && formed && (proprietary || standard)).then(|| Self {
            address,
            fields: fields.get(1..).unwrap_or_default(),
            integrity,
        })
    }

    fn is_proprietary(&self) -> bool {
        self.address.first() == Some(&b'P')
    }

    /// Of a query (5.3.2.3), `GPQ` in `$CCGPQ,GGA`: the sentence that is asked for.
    fn queried(&self) -> Option<&'a [u8]> {
        let query = self.address.len() == 5 && !self.is_proprietary() && self.address.ends_with(b"Q");
        query.then(|| self.field(0)).filter(|field| field.len() == 3)
    }

    fn field(&self, index: usize) -> &'a [u8] {
        self.fields.split(|byte| *byte == b',').nth(index).unwrap_or_default()
    }

    /// `GGA`, or the whole address of a proprietary one; of u-blox the message's number too.
    fn name(&self) -> Cow<'static, str> {
        let address = String::from_utf8_lossy(self.address);
        let number = self.field(0);
        Cow::Owned(match self.is_proprietary() {
            true if address == "PUBX" && number.len() == 2 && number.iter().all(u8::is_ascii_digit) => {
                format!("PUBX,{}", String::from_utf8_lossy(number))
            }
            true => address.into_owned(),
            false => address.get(2..).unwrap_or_default().to_owned(),
        })
    }

    fn args(&self) -> Args {
        let mut args = Args::new();
        if !self.is_proprietary() {
            let talker = self.address.get(..2).unwrap_or_default();
            args.push(("talker", Value::Text(String::from_utf8_lossy(talker).into_owned().into())));
        }
        if let Some(asked) = self.queried() {
            let word: String = asked
                .iter()
                .filter(|byte| byte.is_ascii_alphanumeric())
                .map(|byte| char::from(*byte))
                .collect();
            args.push(("query", Value::Text(word.into())));
        }
        args.push(self.integrity.arg("checksum"));
        args
    }

    fn failure(&self) -> Option<Failure> {
        (self.integrity == Integrity::Bad).then(checksum)
    }

    /// Whether a program that sends this gets an answer.
    fn answers(&self) -> Answers {
        match self.address {
            // Every command of MediaTek's is acknowledged; 0 to 9 are acknowledgements and test packets themselves.
            [b'P', b'M', b'T', b'K', number @ ..] if number.len() == 3 && !number.starts_with(b"00") => {
                Answers::Always
            }
            // u-blox M8 protocol, 31.3: the polls have the number only.
            b"PUBX" if matches!(self.fields, b"00" | b"03" | b"04") => Answers::Always,
            b"PUBX" => Answers::Never,
            _ if self.queried().is_some() => Answers::Always,
            _ if self.is_proprietary() => Answers::Perhaps,
            _ => Answers::Never,
        }
    }

    /// Whether `answer` answers this.
    fn is_answered_by(&self, answer: &Sentence<'_>) -> bool {
        if let Some(asked) = self.queried() {
            return !answer.is_proprietary() && answer.address.ends_with(asked);
        }
        let maker = self.address.get(..4);
        if !self.is_proprietary() || answer.address.get(..4) != maker {
            return false;
        }
        match (self.address, answer.address) {
            ([b'P', b'M', b'T', b'K', sent @ ..], [b'P', b'M', b'T', b'K', number @ ..]) => {
                let acknowledged = number == b"001" && decimal(answer.field(0)) == decimal(sent);
                // A query's answer has its number plus 100.
                acknowledged || decimal(number).zip(decimal(sent)).is_some_and(|(new, old)| new == old + 100)
            }
            (b"PUBX", b"PUBX") => self.field(0) == answer.field(0),
            _ => true,
        }
    }

    /// What an acknowledgement says that is none of success: `$PMTK001,command,flag`.
    fn refusal(&self) -> Option<Failure> {
        let (b"PMTK001", flag) = (self.address, self.field(1)) else { return None };
        let (kind, message) = match flag {
            b"0" => ("invalid_command", "the command is invalid"),
            b"1" => ("unsupported_command", "the command is not supported"),
            b"2" => ("action_failed", "the command is valid, but the action failed"),
            _ => return None,
        };
        Some((kind.into(), message.into()))
    }
}

impl Protocol for Nmea {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        let sentence = asked_sentence(asked.request)?;
        Some(Known::new(sentence.name(), sentence.answers()))
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], _seen: usize) -> Extent {
        let Some(sent) = asked_sentence(asked.request) else { return Extent::Wrong };
        if sent.answers() == Answers::Never {
            return Extent::Done(0);
        }
        let Some(end) = reply.iter().position(|byte| *byte == b'\n') else { return Extent::More };
        let line = reply.get(..end + 1).unwrap_or_default();
        match Sentence::of(line) {
            Some(sentence) if sent.is_answered_by(&sentence) => Extent::Done(end + 1),
            _ => Extent::Foreign(0..end + 1),
        }
    }

    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let Some(sent) = asked_sentence(asked.request) else {
            return Verdict { wrong: true, ..Verdict::default() };
        };
        let mut verdict = Verdict { args: sent.args(), error: sent.failure(), ..Verdict::default() };
        if let Some(answer) = reply.and_then(Sentence::of) {
            // The verdict is about both.
            if answer.integrity == Integrity::Bad {
                verdict.args.retain(|(key, _)| *key != "integrity");
                verdict.args.push(Integrity::Bad.arg("checksum"));
            }
            verdict.error = answer.failure().or(verdict.error).or_else(|| answer.refusal());
            verdict.spoken = Some(SPOKEN);
        }
        verdict
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn event(&self, sentence: &[u8], _past: &Past) -> Option<Event> {
        let sentence = Sentence::of(sentence)?;
        Some(Event {
            name: sentence.name(),
            args: sentence.args(),
            error: sentence.failure(),
            spoken: (sentence.integrity == Integrity::Ok).then_some(SPOKEN),
            asks: false,
            resets: false,
        })
    }
}

/// The sentence that a request is, if it is only one.
fn asked_sentence(request: &[u8]) -> Option<Sentence<'_>> {
    let line = request.trim_ascii();
    if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) { None } else { Sentence::of(line) }
}

/// Whether `text` may be the beginning of a sentence.
pub(crate) fn begins(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    matches!(text, [b'$' | b'!', rest @ ..] if rest.len() < LONGEST
        && rest.iter().take(5).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
}

/// Where a sentence with a right check begins at the end of `bytes`, which are something else: receivers of u-blox
/// mix it with packets of their own.
pub(crate) fn at_end(bytes: &[u8]) -> Option<usize> {
    let from = bytes.len().saturating_sub(LONGEST);
    let start = from + bytes.get(from..)?.iter().rposition(|byte| matches!(byte, b'$' | b'!'))?;
    let sentence = Sentence::of(bytes.get(start..)?)?;
    (start > 0 && sentence.integrity == Integrity::Ok).then_some(start)
}

/// What follows a TAG block (`\g:1-2-73*55\!AIVDM…`, NMEA 0183 4.x, section 7).
fn behind_tags(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"\\") else { return line };
    let end = rest.iter().position(|byte| *byte == b'\\');
    end.and_then(|end| rest.get(end + 1..)).unwrap_or(line)
}

fn exclusive_or(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// Two hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u8> {
    let digits: &[u8; 2] = digits.try_into().ok()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits.map(digit);
    u8::try_from(high? << 4 | low?).ok()
}

fn decimal(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
