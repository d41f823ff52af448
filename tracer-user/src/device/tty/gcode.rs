//! G-code as printers and mills take it over serial lines: RS274 words, the `N…*…` framing and answers of RepRap and
//! Marlin (reprap.org "G-code", sections "Checking" and "Replies"; marlinfw.org "Host communication"), and Grbl 1.1
//! (its wiki, "Interface").
//!
//! Span rule. Each line is answered by `ok` or, by Grbl, `error:…`; what comes before belongs to the answer. A device
//! that says `busy:` is waited for. `?` is answered by `<…>`, other real-time characters by nothing. Reports of
//! temperature or status that nobody asked for are events, also amid an answer.
//!
//! What the bytes leave open. `M1` or `T1 5` may be commands of anything. Without line number and check, on a line
//! that has not shown G-code yet, a line counts as G-code if all of its words do; if no answer of G-code comes, the
//! guess is withdrawn. Lower case, lines without `G`, `M` or `T` and real-time characters are taken for G-code only
//! where it is spoken already.

mod reply;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::protocol::{
    Answers, Asked, Event, Extent, Failure, Integrity, Known, Past, Protocol, Verdict, checksum, is_text,
    lines,
};
use crate::device::ioc::Args;
use crate::model::command::Value;
use reply::Line;

/// G-code.
pub(crate) struct Gcode;

/// [`Past::spoken`].
const SPOKEN: &str = "gcode";

/// Grbl's status query.
const STATUS: &[u8] = b"?";

/// How many times longer movements and heating may take than other commands until the first sign of life.
const SLOW: u32 = 10;

/// One line of G-code.
#[derive(Debug, PartialEq, Eq)]
struct Code {
    /// `G1`, `M105`, `$H`.
    name: String,
    /// `N…`
    number: Option<i64>,
    integrity: Integrity,
}

impl Code {
    /// Takes one line apart; with `spoken` also what is G-code only where it is spoken.
    fn of(line: &[u8], spoken: bool) -> Option<Self> {
        let line = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if let Some(setting) = line.strip_prefix(b"$") {
            let name = setting_name(setting)?;
            return Some(Self { name, number: None, integrity: Integrity::Absent });
        }
        let star = line.iter().rposition(|byte| *byte == b'*');
        let check = star.and_then(|star| decimal(line.get(star + 1..)?.trim_ascii()));
        let (content, integrity) = match (star, check) {
            (Some(star), Some(check)) => {
                let content = line.get(..star).unwrap_or_default();
                let right = i64::from(content.iter().fold(0_u8, |sum, byte| sum ^ byte)) == check;
                (content, if right { Integrity::Ok } else { Integrity::Bad })
            }
            _ => (line, Integrity::Absent),
        };
        let (number, words) = match content.strip_prefix(b"N") {
            Some(rest) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (Some(decimal(rest.get(..digits)?)?), rest.get(digits..)?.trim_ascii_start())
            }
            None => (None, content),
        };
        let certain = spoken || number.is_some() && integrity != Integrity::Absent;
        let (letter, rest) = words.split_first()?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let point = match rest.get(digits..) {
            Some([b'.', minor, ..]) if minor.is_ascii_digit() => 2,
            _ => 0,
        };
        let parameters = rest.get(digits + point..)?;
        let upper = letter.to_ascii_uppercase();
        let known = if certain { upper } else { *letter };
        let code = matches!(known, b'G' | b'M' | b'T') && (1..=4).contains(&digits);
        let texts = known == b'M' && takes_text(rest.get(..digits)?);
        if code && (certain || texts || are_words(parameters)) {
            let digits = String::from_utf8_lossy(rest.get(..digits + point)?);
            return Some(Self { name: format!("{}{digits}", char::from(upper)), number, integrity });
        }
        // Modal: the word alone, after an earlier `G1`.
        let modal = spoken && upper.is_ascii_alphabetic() && digits + point > 0 && are_words(words);
        modal.then(|| Self { name: char::from(upper).to_string(), number, integrity })
    }
}

/// The name of a `$` command of Grbl 1.1: `$`, `$$`, `$H`, `$J`, `$100`.
fn setting_name(rest: &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == b'=').unwrap_or(rest.len());
    let word = rest.get(..end)?;
    let known = matches!(
        word,
        b"" | b"$"
            | b"#"
            | b"G"
            | b"I"
            | b"N"
            | b"C"
            | b"X"
            | b"H"
            | b"HX"
            | b"HY"
            | b"HZ"
            | b"SLP"
            | b"J"
            | b"RST"
            | b"N0"
            | b"N1"
    );
    let setting = end < rest.len() && (1..=3).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    let valued = matches!(word, b"J" | b"RST" | b"N0" | b"N1");
    (known && (valued == (end < rest.len())) || setting)
        .then(|| format!("${}", String::from_utf8_lossy(word)))
}

/// Whether all of `text` is words, a letter and a number each, and comments.
fn are_words(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii();
    while let Some((letter, behind)) = rest.split_first() {
        if *letter == b'(' {
            let Some(end) = behind.iter().position(|byte| *byte == b')') else { return false };
            rest = behind.get(end + 1..).unwrap_or_default().trim_ascii_start();
            continue;
        }
        let number = behind
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'))
            .count();
        if !letter.is_ascii_uppercase() || behind.get(number).is_some_and(u8::is_ascii_lowercase) {
            return false;
        }
        // `LED` is no row of words without numbers.
        if number == 0 && behind.first().is_some_and(u8::is_ascii_alphabetic) {
            return false;
        }
        rest = behind.get(number..).unwrap_or_default().trim_ascii_start();
    }
    true
}

/// The `M` codes that a text follows: messages and file names.
fn takes_text(number: &[u8]) -> bool {
    matches!(
        number,
        b"16" | b"23" | b"28" | b"29" | b"30" | b"32" | b"33" | b"117" | b"118" | b"486" | b"928"
    )
}

/// Whether a command may last: movements, homing, heating, waiting.
fn is_slow(name: &str) -> bool {
    matches!(
        name,
        "G0" | "G1"
            | "G2"
            | "G3"
            | "G4"
            | "G5"
            | "G28"
            | "G29"
            | "G30"
            | "G33"
            | "G34"
            | "G38.2"
            | "G38.3"
            | "G38.4"
            | "G38.5"
            | "G76"
            | "M0"
            | "M1"
            | "M109"
            | "M116"
            | "M190"
            | "M191"
            | "M226"
            | "M303"
            | "M400"
            | "M600"
            | "$H"
            | "$HX"
            | "$HY"
            | "$HZ"
            | "$J"
    ) || name.starts_with('T')
}

/// The name of a real-time character, Grbl's wiki, "Real-time commands".
fn real_time(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'!' => "feed_hold",
        b'~' => "cycle_start",
        0x18 => "soft_reset",
        0x84 => "safety_door",
        0x85 => "jog_cancel",
        0x90..=0x94 => "feed_override",
        0x95..=0x97 => "rapid_override",
        0x99..=0x9d => "spindle_override",
        0x9e => "spindle_stop",
        0xa0 => "flood_coolant",
        0xa1 => "mist_coolant",
        _ => return None,
    })
}

fn decimal(digits: &[u8]) -> Option<i64> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// What a request is.
enum Request {
    /// Lines, the first of which gives the name; so many answers.
    Lines(Code, usize),
    /// `?`
    Status,
    /// Real-time characters, named after the first.
    RealTime(&'static str),
}

impl Request {
    fn of(asked: Asked<'_>) -> Option<Self> {
        let (request, spoken) = (asked.request, is_spoken(asked.past));
        match request {
            _ if request.trim_ascii() == STATUS => return Some(Self::Status),
            [byte] if spoken && let Some(name) = real_time(*byte) => return Some(Self::RealTime(name)),
            _ if !is_text(request) => return None,
            _ => {}
        }
        let codes = || lines(request).filter(|line| !line.starts_with(b";") && !line.starts_with(b"("));
        let first = Code::of(codes().next()?, spoken)?;
        let all = codes().all(|line| Code::of(line, spoken).is_some());
        (all && request.iter().copied().any(super::protocol::ends_line))
            .then(|| Self::Lines(first, codes().count()))
    }
}

fn is_spoken(past: &Past) -> bool {
    past.spoken == Some(SPOKEN)
}

/// Whether a request is G-code whatever the answer.
fn is_certain(code: &Code, past: &Past) -> bool {
    is_spoken(past) || code.number.is_some() && code.integrity != Integrity::Absent
}

impl Protocol for Gcode {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        Some(match Request::of(asked)? {
            Request::Status if is_spoken(asked.past) => Known::new("?", Answers::Always),
            Request::Status => Known::new("?", Answers::IfAwaited),
            Request::RealTime(name) => Known::new(name, Answers::Never),
            Request::Lines(code, _) => {
                let certain = is_certain(&code, asked.past);
                let patience = if certain && is_slow(&code.name) { SLOW } else { 1 };
                let answers = if certain { Answers::Always } else { Answers::IfAwaited };
                Known { name: code.name.into(), answers, patience }
            }
        })
    }

    fn is_whole(&self, asked: Asked<'_>) -> bool {
        matches!(Request::of(asked), Some(Request::Status | Request::RealTime(_)))
    }

    fn extent(&self, asked: Asked<'_>, reply: &[u8], _seen: usize) -> Extent {
        match Request::of(asked) {
            None => Extent::Wrong,
            Some(Request::RealTime(_)) => Extent::Done(0),
            Some(Request::Status) => reply::status_extent(reply, is_spoken(asked.past)),
            Some(Request::Lines(code, open)) => {
                reply::extent(&code.name, asked.request, reply, open, is_certain(&code, asked.past))
            }
        }
    }

    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let wrong = Verdict { wrong: true, ..Verdict::default() };
        let signs = || lines(reply.unwrap_or_default()).map(Line::of);
        let confirmed = signs().any(|line| line.is_sign());
        match Request::of(asked) {
            None => wrong,
            Some(Request::RealTime(_)) => Verdict::default(),
            Some(Request::Status) if reply.is_some() && !confirmed => wrong,
            Some(Request::Status) => Verdict { spoken: confirmed.then_some(SPOKEN), ..Verdict::default() },
            Some(Request::Lines(code, _)) => {
                let certain = is_certain(&code, asked.past);
                if reply.is_some() && !confirmed && !certain {
                    return wrong;
                }
                let bad = (code.integrity == Integrity::Bad).then(checksum);
                Verdict {
                    spoken: confirmed.then_some(SPOKEN),
                    error: reply::refusal(signs()).or(bad),
                    args: if confirmed || certain { args(&code) } else { Args::new() },
                    ..Verdict::default()
                }
            }
        }
    }

    fn event(&self, sentence: &[u8], past: &Past) -> Option<Event> {
        let mut rest = lines(sentence);
        let (line, None) = (rest.next()?, rest.next()) else { return None };
        if let Some(code) = Code::of(line, false)
            && code.number.is_some()
            && code.integrity != Integrity::Absent
        {
            // The side of the machine.
            let bad = code.integrity == Integrity::Bad;
            return Some(Event {
                args: args(&code),
                name: code.name.into(),
                error: bad.then(checksum),
                spoken: (!bad).then_some(SPOKEN),
                asks: false,
            });
        }
        let (name, error): (Cow<'static, str>, Option<Failure>) = Line::of(line).event(is_spoken(past))?;
        Some(Event { name, error, ..Event::default() })
    }
}

fn args(code: &Code) -> Args {
    let mut args = Args::new();
    args.extend(code.number.map(|number| ("line", Value::Int(number))));
    args.push(code.integrity.arg("checksum"));
    args
}
