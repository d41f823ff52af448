//! What machines answer: RepRap's and Marlin's replies, Grbl's responses and push messages.

use std::borrow::Cow;

use super::{After, Code, Extent, Failure, GRBL, Integrity, SPOKEN, STATUS, decimal};
use crate::device::tty::protocol::{checksum, lines};

/// One line of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `ok`, perhaps with more behind it.
    Ok,
    /// Grbl's `error:9`: takes the place of `ok`.
    Refused(&'a [u8]),
    /// Marlin's `Error:…`: `ok` still follows, but for those that halt it.
    Trouble(&'a [u8]),
    /// `Error:Printer halted`, `!!`: nothing follows.
    Halted,
    /// `Resend: 10`, `rs 10`.
    Resend,
    /// `echo:busy: processing`.
    Busy,
    /// `echo:Unknown command: "G99"`.
    Unknown,
    /// A report of temperatures without `ok`.
    Temperature,
    /// Grbl's `<Idle|MPos:…>`.
    Status,
    /// Grbl's `ALARM:1`.
    Alarm(&'a [u8]),
    /// The greeting after a reset: `Grbl 1.1h ['$' for help]` (`true`), Marlin's `start`.
    Greeting(bool),
    /// `[MSG:…]`, `//action:…` and the like.
    Message(&'static str),
    /// `echo:…`, `[…]`, `$100=…`, `FIRMWARE_NAME:`: answers of several lines.
    Detail,
    /// Anything else.
    Other,
}

impl<'a> Line<'a> {
    /// What a line is.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let behind = |prefix: &str| line.strip_prefix(prefix.as_bytes());
        let line = line.trim_ascii();
        if line == b"ok" || behind("ok ").is_some() {
            Self::Ok
        } else if let Some(code) = behind("error:") {
            Self::Refused(code.trim_ascii())
        } else if behind("!!").is_some() || behind("Error:Printer halted").is_some() {
            Self::Halted
        } else if let Some(text) = behind("Error:") {
            Self::Trouble(text.trim_ascii())
        } else if let Some(number) = behind("Resend:").or_else(|| behind("rs ")) {
            let number = number.trim_ascii();
            let digits = number.strip_prefix(b"N").unwrap_or(number);
            if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
                Self::Resend
            } else {
                Self::Other
            }
        } else if behind("echo:busy:").or_else(|| behind("busy:")).is_some() {
            Self::Busy
        } else if behind("echo:Unknown command").is_some() {
            Self::Unknown
        } else if is_temperature(line) {
            Self::Temperature
        } else if is_status(line) {
            Self::Status
        } else if let Some(code) = behind("ALARM:") {
            Self::Alarm(code.trim_ascii())
        } else if behind("Grbl ").is_some_and(|rest| rest.contains(&b'[')) {
            Self::Greeting(true)
        } else if line == b"start" {
            Self::Greeting(false)
        } else if behind("[MSG:").is_some() {
            Self::Message("MSG")
        } else if behind("//action:").or_else(|| behind("// action:")).is_some() {
            Self::Message("action")
        } else if behind("echo:").or_else(|| behind("[")).or_else(|| behind("FIRMWARE_NAME:")).is_some()
            || line.first() == Some(&b'$') && line.contains(&b'=')
        {
            Self::Detail
        } else {
            Self::Other
        }
    }

    /// Whether only a machine that takes G-code says so.
    pub(super) fn is_sign(self) -> bool {
        !matches!(self, Self::Other | Self::Detail | Self::Trouble(_) | Self::Halted)
    }

    /// Whether a machine says so without being asked, beyond any doubt or where G-code is `spoken`: the event's name,
    /// and what is wrong.
    pub(super) fn event(self, spoken: bool) -> Option<(Cow<'static, str>, Option<Failure>)> {
        let name = match self {
            Self::Temperature => "temperature",
            Self::Status => "status",
            Self::Alarm(code) if spoken || !code.is_empty() && code.iter().all(u8::is_ascii_digit) => "ALARM",
            Self::Busy => "busy",
            Self::Message(name) => name,
            Self::Greeting(certain) if certain || spoken => "reset",
            Self::Ok if spoken => "ok",
            Self::Refused(_) if spoken => "error",
            Self::Trouble(_) | Self::Halted if spoken => "Error",
            Self::Resend if spoken => "resend",
            _ => return None,
        };
        let failed = matches!(self, Self::Alarm(_) | Self::Refused(_) | Self::Trouble(_) | Self::Halted);
        Some((name.into(), self.failure().filter(|_| failed)))
    }

    /// What it says went wrong.
    fn failure(self) -> Option<Failure> {
        let said = |kind: Cow<'static, str>, message: &'static str| Some((kind, message.into()));
        let numbered = |word: &str, code: &[u8]| {
            let plain = (1..=3).contains(&code.len()) && code.iter().all(u8::is_ascii_digit);
            let number = if plain { String::from_utf8_lossy(code) } else { Cow::Borrowed("") };
            Cow::Owned(if plain { format!("{word}:{number}") } else { word.to_owned() })
        };
        match self {
            Self::Refused(code) => said(numbered("error", code), "the machine refused"),
            Self::Alarm(code) => said(numbered("ALARM", code), "the machine raised an alarm"),
            Self::Halted => said("halted".into(), "the machine halted"),
            Self::Trouble(text) if text.starts_with(b"checksum mismatch") => Some(checksum()),
            Self::Trouble(text) if text.starts_with(b"Line Number") => {
                said("line_number".into(), "the machine expected another line number")
            }
            Self::Trouble(text) if text.starts_with(b"No Checksum") => {
                said("no_checksum".into(), "the machine expected a checksum")
            }
            Self::Trouble(_) => said("Error".into(), "the machine reported an error"),
            Self::Unknown => said("unknown_command".into(), "the machine does not know the command"),
            Self::Greeting(_) => said("reset".into(), "the machine started anew"),
            Self::Resend => said("resend".into(), "the machine wants the line again"),
            _ => None,
        }
    }
}

/// `T:21.4 /0.0 B:22.1 /0.0 @:0 B@:0`.
fn is_temperature(line: &[u8]) -> bool {
    let rest = match line {
        [b'T' | b'B' | b'C', b':', rest @ ..] | [b'T', b'0'..=b'9', b':', rest @ ..] => {
            rest.trim_ascii_start()
        }
        _ => return false,
    };
    let number = rest.iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')).count();
    let behind = rest.get(number..).unwrap_or_default().trim_ascii_start();
    number > 0 && (behind.starts_with(b"/") || behind.starts_with(b"E:"))
}

/// `<Idle|MPos:0.000,…>`, of Grbl 0.9 `<Idle,MPos:0.000,…>`.
fn is_status(line: &[u8]) -> bool {
    let inner = line.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    inner.is_some_and(|inner| {
        inner.windows(5).any(|word| word == b"MPos:" || word == b"WPos:")
            && inner.first().is_some_and(u8::is_ascii_uppercase)
    })
}

/// What a whole answer says went wrong: the most particular word first.
pub(super) fn refusal<'a>(lines: impl Iterator<Item = Line<'a>>) -> Option<Failure> {
    let rank = |line: &Line<'_>| match line {
        Line::Alarm(_) => 0,
        Line::Halted => 1,
        Line::Refused(_) | Line::Trouble(_) => 2,
        Line::Unknown => 3,
        Line::Resend => 4,
        _ => 5,
    };
    lines.filter(|line| line.failure().is_some()).min_by_key(rank).and_then(Line::failure)
}

/// What becomes of the lines that were written ahead.
pub(super) fn after<'a>(mut lines: impl Iterator<Item = Line<'a>>) -> After {
    let of = |line| match line {
        Line::Greeting(_) => Some(After::Reset),
        Line::Resend => Some(After::Resend),
        _ => None,
    };
    lines.find_map(of).unwrap_or_default()
}

/// Who answers so: what `known` says, unless a line is the way of one or the other.
pub(super) fn dialect<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    known: Option<&'static str>,
) -> &'static str {
    let of = |line: &'a [u8]| match Line::of(line) {
        Line::Status | Line::Message("MSG") => Some(GRBL),
        Line::Refused([b'0'..=b'9', ..]) | Line::Alarm([b'0'..=b'9', ..]) => Some(GRBL),
        Line::Greeting(true) => Some(GRBL),
        Line::Trouble(_) | Line::Resend | Line::Busy | Line::Unknown | Line::Temperature => Some(SPOKEN),
        _ => None,
    };
    lines.filter_map(of).last().or(known).unwrap_or(SPOKEN)
}

/// The line that an `ok N10 P15 B3` is about (Marlin's `ADVANCED_OK`).
fn number_of(ok: &[u8]) -> Option<i64> {
    let rest = ok.strip_prefix(b"ok ")?.trim_ascii_start().strip_prefix(b"N")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    decimal(rest.get(..digits)?)
}

/// Whether a complaint cannot be about the line `code`: it says which number is due, and `code` has that.
fn is_of_another(complaint: Line<'_>, code: Option<&Code>) -> bool {
    let (Line::Trouble(text), Some(code)) = (complaint, code) else { return false };
    let due = text
        .strip_prefix(b"Line Number")
        .and_then(|rest| rest.rsplit(|byte| *byte == b' ').next().and_then(decimal))
        .map(|last| last.saturating_add(1));
    due.is_some() && due == code.number && code.integrity == Integrity::Ok
}

/// Where the answer ends that begins at `start` with a complaint.
fn complaint_end(reply: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    for line in reply.get(start..)?.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line.ends_with(b"\n") && Line::of(line.trim_ascii()) == Line::Ok {
            return Some(end);
        }
    }
    None
}

/// How far the answer to `open` lines, the first of which is `code`, has come. `certain`: they are G-code.
pub(super) fn extent(
    code: Option<&Code>,
    request: &[u8],
    reply: &[u8],
    open: usize,
    certain: bool,
) -> Extent {
    let single = code.filter(|_| open == 1);
    let name = code.map_or("", |code| &code.name);
    let heats =
        matches!(name, "M104" | "M105" | "M109" | "M116" | "M140" | "M155" | "M190" | "M191" | "M303");
    let (mut start, mut open) = (0, open);
    let mut so_far = Extent::More;
    for line in reply.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        let text = line.trim_ascii();
        if !line.ends_with(b"\n") {
            // A line end that is `\r` alone, or half of one.
            let over =
                open <= 1 && line.ends_with(b"\r") && matches!(Line::of(text), Line::Ok | Line::Refused(_));
            return if over {
                Extent::Pause
            } else if text.is_empty() {
                so_far
            } else {
                Extent::More
            };
        }
        let what = Line::of(text);
        match what {
            _ if text.is_empty() || lines(request).any(|sent| sent == text) => {}
            Line::Ok
                if let Some(code) = single
                    && let (Some(own), Some(of)) = (code.number, number_of(text))
                    && of != own =>
            {
                // A late one, or the own one was lost.
                return if of < own { Extent::Foreign(start..end) } else { Extent::Done(start) };
            }
            Line::Trouble(_) if is_of_another(what, single) => {
                return complaint_end(reply, end).map_or(Extent::More, |end| Extent::Foreign(start..end));
            }
            Line::Ok | Line::Refused(_) => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return Extent::Done(end);
                }
                so_far = Extent::More;
            }
            Line::Halted | Line::Greeting(_) => return Extent::Done(end),
            Line::Status => return Extent::Foreign(start..end),
            Line::Temperature if !heats => return Extent::Foreign(start..end),
            // Heating takes minutes; as long as it reports it lasts.
            Line::Busy | Line::Temperature => so_far = Extent::Busy,
            Line::Resend => so_far = Extent::Pause,
            Line::Other if !certain => so_far = Extent::Pause,
            _ => so_far = Extent::More,
        }
        start = end;
    }
    so_far
}

/// How far the answer to `?` has come.
pub(super) fn status_extent(reply: &[u8], spoken: bool) -> Extent {
    let skipped = reply.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let text = reply.get(skipped..).unwrap_or_default();
    let echo = usize::from(text.starts_with(STATUS));
    match text.get(echo..).unwrap_or_default().trim_ascii_start() {
        [] => Extent::More,
        [b'<', ..] => match reply.iter().position(|byte| *byte == b'>') {
            None => Extent::More,
            Some(close) => match reply.get(close + 1..).unwrap_or_default() {
                [b'\r', b'\n', ..] => Extent::Done(close + 3),
                [b'\n', ..] => Extent::Done(close + 2),
                [] | [b'\r'] => Extent::Pause,
                _ => Extent::Done(close + 1),
            },
        },
        _ if !spoken => Extent::Wrong,
        _ => match reply.iter().skip(skipped).position(|byte| *byte == b'\n') {
            Some(end) => Extent::Foreign(0..skipped + end + 1),
            None => Extent::More,
        },
    }
}
