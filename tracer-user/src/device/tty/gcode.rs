//! G-code as printers and mills take it over serial lines: RS274 words, the `N…*…` framing and answers of RepRap and
//! Marlin (reprap.org "G-code", sections "Checking" and "Replies"; marlinfw.org "Host communication"), and Grbl 1.1
//! (its wiki, "Interface").
//!
//! Span rule. Each line is answered by `ok` or, by Grbl, `error:…`; what comes before belongs to the answer. Programs
//! write ahead of the answers: the n-th answer is the n-th line's, `ok N…` that line's. A device that says `busy:` is waited for. `?` is answered by `<…>`, other real-time characters by nothing. Reports of
//! temperature or status that nobody asked for are events, also amid an answer.
//!
//! What the bytes leave open. `M1` or `T1 5` may be commands of anything. Without line number and check, on a line
//! that has not shown G-code yet, a line counts as G-code if all of its words do; if no answer of G-code comes, the
//! guess is withdrawn. Lower case, lines without `G`, `M` or `T` and real-time characters are taken for G-code only
//! where it is spoken already.

mod code;
mod reply;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::protocol::{
    After, Answers, Asked, Event, Extent, Failure, Integrity, Known, Order, Past, Protocol, Verdict,
    checksum, ends_line, is_text, lines,
};
use crate::device::ioc::Args;
use crate::model::command::Value;
use code::{Code, decimal};
use reply::Line;

/// G-code.
pub(crate) struct Gcode;

/// [`Past::spoken`].
const SPOKEN: &str = "gcode";

/// [`Past::spoken`] of Grbl, which also answers lines without a command.
const GRBL: &str = "gcode of grbl";

/// A line of a machine is no longer than this.
const LONGEST: usize = 256;

/// Grbl's status query.
const STATUS: &[u8] = b"?";

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

/// What a request is.
enum Request {
    /// Lines, the first of which gives the name; so many answers.
    Lines(Code, usize),
    /// Lines without a command, which Grbl answers all the same.
    Blank(usize),
    /// `?`
    Status,
    /// Real-time characters, named after the first.
    RealTime(&'static str),
}

impl Request {
    fn of(asked: Asked<'_>) -> Option<Self> {
        let (request, dialect) = (asked.request, dialect(asked.past));
        match request {
            _ if request.trim_ascii() == STATUS => return Some(Self::Status),
            [byte]
                if dialect.is_some()
                    && let Some(name) = real_time(*byte) =>
            {
                return Some(Self::RealTime(name));
            }
            _ if !is_text(request) || !request.iter().copied().any(ends_line) => return None,
            _ => {}
        }
        let grbl = dialect == Some(GRBL);
        let codes = || lines(request).filter(|line| !is_comment(line));
        let answers = if grbl { ends(request) } else { codes().count() };
        let Some(first) = codes().next() else { return grbl.then_some(Self::Blank(answers)) };
        let first = Code::of(first, dialect)?;
        codes().all(|line| Code::of(line, dialect).is_some()).then_some(Self::Lines(first, answers))
    }
}

/// Whether a line says nothing to a machine.
fn is_comment(line: &[u8]) -> bool {
    line.starts_with(b";") || line.starts_with(b"(") && line.ends_with(b")") && !line.contains(&b'\n')
}

/// How many lines end in `text`.
fn ends(text: &[u8]) -> usize {
    let returns =
        text.iter().enumerate().filter(|(at, byte)| **byte == b'\r' && text.get(at + 1) != Some(&b'\n'));
    text.iter().filter(|byte| **byte == b'\n').count() + returns.count()
}

/// The kind of G-code that is spoken, if it is.
fn dialect(past: &Past) -> Option<&'static str> {
    past.spoken.filter(|spoken| matches!(*spoken, SPOKEN | GRBL))
}

fn is_spoken(past: &Past) -> bool {
    dialect(past).is_some()
}

/// Where the first of several requests ends that were written at once.
pub(crate) fn first_of_many(written: &[u8], past: &Past) -> Option<usize> {
    let grbl = dialect(past)? == GRBL;
    let blank = |rest: &[u8]| lines(rest).all(is_comment);
    if let [first, rest @ ..] = written
        && (real_time(*first).is_some() || *first == b'?')
    {
        return (!rest.iter().copied().all(ends_line)).then_some(1);
    }
    let mut end = 0;
    for line in written.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if grbl || !blank(line) {
            break;
        }
    }
    let rest = written.get(end..).unwrap_or_default();
    (if grbl { !rest.is_empty() } else { !blank(rest) }).then_some(end)
}

/// Whether a request is G-code whatever the answer.
fn is_certain(code: &Code, past: &Past) -> bool {
    is_spoken(past) || code.number.is_some() && code.integrity != Integrity::Absent
}

impl Protocol for Gcode {
    fn command(&self, asked: Asked<'_>) -> Option<Known> {
        Some(match Request::of(asked)? {
            Request::Status if is_spoken(asked.past) => {
                Known { order: Order::Aside, ..Known::new("?", Answers::Always) }
            }
            Request::Status => Known::new("?", Answers::IfAwaited),
            Request::RealTime(name) => Known { order: Order::Aside, ..Known::new(name, Answers::Never) },
            Request::Blank(_) => Known { order: Order::Ahead, ..Known::new("request", Answers::Always) },
            Request::Lines(code, _) => {
                let certain = is_certain(&code, asked.past);
                let (answers, order) = match certain {
                    true => (Answers::Always, Order::Ahead),
                    false => (Answers::IfAwaited, Order::AheadIfSo),
                };
                Known { name: code.name.into(), answers, patience: code.patience, order }
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
            Some(Request::Blank(open)) => reply::extent(None, asked.request, reply, open, true),
            Some(Request::Lines(code, open)) => {
                let certain = is_certain(&code, asked.past);
                reply::extent(Some(&code), asked.request, reply, open, certain)
            }
        }
    }

    fn confirms(&self, asked: Asked<'_>, reply: &[u8]) -> Option<bool> {
        let whole = reply.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let says = |line: &[u8]| !line.is_empty() && !lines(asked.request).any(|sent| sent == line);
        let mut whole = whole.map(<[u8]>::trim_ascii);
        let first = whole.find(|line| says(line));
        match first {
            Some(line) => Some(Line::of(line) != Line::Other),
            None => (reply.len() > LONGEST).then_some(false),
        }
    }

    fn is_repeated_by(&self, asked: Asked<'_>, later: Asked<'_>) -> bool {
        match (Request::of(asked), Request::of(later)) {
            (Some(Request::Lines(own, _)), Some(Request::Lines(later, _))) => {
                let counts = own.name != "M110" && later.name != "M110";
                counts
                    && own.number.is_some()
                    && later.number.is_some_and(|number| Some(number) <= own.number)
            }
            _ => false,
        }
    }

    fn verdict(&self, asked: Asked<'_>, reply: Option<&[u8]>) -> Verdict {
        let wrong = Verdict { wrong: true, ..Verdict::default() };
        let signs = || lines(reply.unwrap_or_default()).map(Line::of);
        let confirmed = signs().any(|line| line.is_sign());
        let spoken = confirmed.then(|| reply::dialect(lines(reply.unwrap_or_default()), dialect(asked.past)));
        match Request::of(asked) {
            None => wrong,
            Some(Request::RealTime(_)) => Verdict::default(),
            Some(Request::Status) if reply.is_some() && !confirmed => wrong,
            Some(Request::Status) => Verdict { spoken, ..Verdict::default() },
            Some(Request::Blank(_)) => {
                let (error, after) = (reply::refusal(signs()), reply::after(signs()));
                Verdict { spoken, error, after, ..Verdict::default() }
            }
            Some(Request::Lines(code, _)) => {
                let certain = is_certain(&code, asked.past);
                if reply.is_some() && !confirmed && !certain {
                    return wrong;
                }
                let bad = (code.integrity == Integrity::Bad).then(checksum);
                Verdict {
                    spoken,
                    error: reply::refusal(signs()).or(bad),
                    after: reply::after(signs()),
                    args: if confirmed || certain { args(&code) } else { Args::new() },
                    ..Verdict::default()
                }
            }
        }
    }

    fn event(&self, sentence: &[u8], past: &Past) -> Option<Event> {
        let mut rest = lines(sentence);
        let (line, None) = (rest.next()?, rest.next()) else { return None };
        if let Some(code) = Code::of(line, None)
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
                resets: false,
            });
        }
        let what = Line::of(line);
        let (name, error): (Cow<'static, str>, Option<Failure>) = what.event(is_spoken(past))?;
        let grbl = matches!(what, Line::Status | Line::Greeting(true));
        let resets = matches!(what, Line::Greeting(_));
        Some(Event { name, error, spoken: grbl.then_some(GRBL), resets, ..Event::default() })
    }
}

/// The kind of G-code that a machine speaks which greets so beyond doubt.
pub(crate) fn greeting(line: &[u8]) -> Option<&'static str> {
    (Line::of(line) == Line::Greeting(true)).then_some(GRBL)
}

fn args(code: &Code) -> Args {
    let mut args = Args::new();
    args.extend(code.number.map(|number| ("line", Value::Int(number))));
    args.push(code.integrity.arg("checksum"));
    args
}
