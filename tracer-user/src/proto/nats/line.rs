//! Control lines: a verb, arguments, and for messages how many bytes follow.

use crate::proto::{Header, Unusable};

/// Bytes of a payload at most (`max_payload`): the server takes no more than fits its pending bytes, 64 MiB by default.
const TIDY_SIZE: u64 = 64 * 1024 * 1024;

/// The server counts payloads in 31 bits.
const MAX_SIZE: u64 = i32::MAX as u64;

/// Most arguments that a line of a client or to a client has.
const MAX_ARGUMENTS: usize = 5;

/// What a line does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Info,
    Connect,
    Pub,
    Hpub,
    Sub,
    Unsub,
    Msg,
    Hmsg,
    Ping,
    Pong,
    Ok,
    Err,
    /// A message between servers.
    Routed,
    /// Interest that servers tell each other.
    Interest,
}

const VERBS: [(&str, Verb); 20] = [
    ("PUB", Verb::Pub),
    ("MSG", Verb::Msg),
    ("HPUB", Verb::Hpub),
    ("HMSG", Verb::Hmsg),
    ("PING", Verb::Ping),
    ("PONG", Verb::Pong),
    ("+OK", Verb::Ok),
    ("-ERR", Verb::Err),
    ("SUB", Verb::Sub),
    ("UNSUB", Verb::Unsub),
    ("INFO", Verb::Info),
    ("CONNECT", Verb::Connect),
    ("RMSG", Verb::Routed),
    ("LMSG", Verb::Routed),
    ("RS+", Verb::Interest),
    ("RS-", Verb::Interest),
    ("LS+", Verb::Interest),
    ("LS-", Verb::Interest),
    ("A+", Verb::Interest),
    ("A-", Verb::Interest),
];

/// The longest verb.
const VERB_BYTES: usize = 7;

impl Verb {
    /// Whether it goes to the server, if only one way is possible between a client and its server.
    pub(super) fn direction(self) -> Option<bool> {
        match self {
            Self::Connect | Self::Pub | Self::Hpub | Self::Sub | Self::Unsub => Some(true),
            Self::Info | Self::Msg | Self::Hmsg | Self::Ok | Self::Err => Some(false),
            Self::Ping | Self::Pong | Self::Routed | Self::Interest => None,
        }
    }

    /// Whether a payload follows, of a client's message.
    pub(super) fn is_message(self) -> bool {
        matches!(self, Self::Pub | Self::Hpub | Self::Msg | Self::Hmsg)
    }

    /// Verb that `head` begins with, whether it is in capitals, and how long it is.
    fn read(head: &[u8]) -> Result<(Self, bool, usize), Unusable> {
        let window = head.get(..=VERB_BYTES).unwrap_or(head);
        let Some(end) = window.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) else {
            let begun = |name: &str| {
                name.as_bytes().get(..window.len()).is_some_and(|part| part.eq_ignore_ascii_case(window))
            };
            let cut = VERBS.iter().any(|(name, _)| begun(name));
            return Err(if cut { Unusable::Cut } else { Unusable::Malformed });
        };
        let word = window.get(..end).unwrap_or(&[]);
        let known = VERBS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
        let (name, verb) = known.ok_or(Unusable::Malformed)?;
        Ok((*verb, name.as_bytes() == word, end))
    }
}

/// How the server introduces itself: every version names its id first.
const SERVER: &[u8] = b"INFO {\"server_id\"";

/// What a line is that begins with a JSON object: `INFO {`, `CONNECT {`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Introduction {
    pub(super) verb: Verb,
    /// It is certain that no other protocol begins so.
    pub(super) is_certain: bool,
}

impl Introduction {
    /// The introduction that `head` begins, [`Unusable::Cut`] if more bytes have to tell.
    pub(super) fn read(head: &[u8]) -> Result<Self, Unusable> {
        let (verb, capitals, end) = Verb::read(head)?;
        if !matches!(verb, Verb::Info | Verb::Connect) || !capitals {
            return Err(Unusable::Malformed);
        }
        match head.get(end..) {
            Some([b' ', b'{', ..]) => {}
            Some([b' ']) | Some([]) | None => return Err(Unusable::Cut),
            Some(_) => return Err(Unusable::Malformed),
        }
        let compared = head.get(..SERVER.len()).unwrap_or(head);
        let is_certain = SERVER.starts_with(compared);
        if is_certain && compared.len() < SERVER.len() {
            return Err(Unusable::Cut);
        }
        Ok(Self { verb, is_certain })
    }

    /// As [`crate::proto::Header::weight`].
    pub(super) fn weight(self) -> u32 {
        if self.is_certain { Header::SIGNATURE } else { 3 }
    }
}

/// A whole control line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) verb: Verb,
    /// Everything between verb and line end.
    pub(super) rest: &'a [u8],
    arguments: [&'a [u8]; MAX_ARGUMENTS],
    count: usize,
    last: &'a [u8],
    /// With its line end.
    pub(super) len: usize,
    /// Written as programs write it.
    pub(super) is_tidy: bool,
}

/// What a message's line says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced<'a> {
    pub(super) subject: &'a [u8],
    /// Subscription, of deliveries.
    pub(super) sid: &'a [u8],
    pub(super) reply: Option<&'a [u8]>,
    /// Bytes of headers.
    pub(super) headers: u64,
    /// Bytes of headers and body.
    pub(super) size: u64,
}

impl<'a> Line<'a> {
    /// The line that `head` begins with. [`Unusable::Cut`] if its end is not in the first `limit` bytes but could still
    /// come, or if it is an INFO or CONNECT.
    pub(super) fn read(head: &'a [u8], limit: usize) -> Result<Self, Unusable> {
        let (verb, capitals, start) = Verb::read(head)?;
        let introduces = matches!(verb, Verb::Info | Verb::Connect);
        if introduces {
            let first = head.get(start..).unwrap_or(&[]).iter().find(|byte| !is_blank(**byte));
            if first.is_some_and(|first| *first != b'{') {
                return Err(Unusable::Malformed);
            }
        }
        let window = head.get(..limit).unwrap_or(head);
        let Some(end) = memchr::memchr(b'\n', window) else {
            let may_come = window.len() < limit || introduces;
            return Err(if may_come { Unusable::Cut } else { Unusable::Malformed });
        };
        let rest = window.get(start..end).unwrap_or(&[]);
        let (rest, returns) = rest.strip_suffix(b"\r").map_or((rest, false), |rest| (rest, true));
        let mut line = Self {
            verb,
            rest: rest.trim_ascii(),
            arguments: [&[]; MAX_ARGUMENTS],
            count: 0,
            last: &[],
            len: end + 1,
            is_tidy: capitals && returns,
        };
        if !introduces && verb != Verb::Err {
            for argument in line.rest.split(|byte| is_blank(*byte)).filter(|part| !part.is_empty()) {
                line.is_tidy &= argument.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
                if let Some(place) = line.arguments.get_mut(line.count) {
                    *place = argument;
                }
                line.last = argument;
                line.count += 1;
            }
        }
        Ok(line)
    }

    /// Argument by its number.
    pub(super) fn argument(&self, index: usize) -> Option<&'a [u8]> {
        if index < self.count { self.arguments.get(index).copied() } else { None }
    }

    /// What a message's line announces; `None` for other lines and for what breaks the rules.
    pub(super) fn announced(&self) -> Option<Announced<'a>> {
        let delivered = matches!(self.verb, Verb::Msg | Verb::Hmsg);
        let with_headers = matches!(self.verb, Verb::Hpub | Verb::Hmsg);
        if !self.verb.is_message() {
            return None;
        }
        let least = 2 + usize::from(delivered) + usize::from(with_headers);
        let replies = match self.count.checked_sub(least)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let reply_at = 1 + usize::from(delivered);
        let size = number(self.last)?;
        let headers = if with_headers { number(self.argument(self.count.checked_sub(2)?)?)? } else { 0 };
        let subject = self.argument(0)?;
        let sid = if delivered { self.argument(1)? } else { &[] };
        let reply = if replies { self.argument(reply_at) } else { None };
        (headers <= size).then_some(Announced { subject, sid, reply, headers, size })
    }

    /// Bytes of the payload, if one follows.
    fn size(&self) -> Option<u64> {
        match self.verb {
            Verb::Routed => number(self.last).filter(|_| self.count >= 2),
            // Between servers it names more.
            Verb::Hmsg if self.count > MAX_ARGUMENTS => number(self.last),
            _ => self.announced().map(|announced| announced.size),
        }
    }

    /// Whether it has what its verb needs.
    pub(super) fn fits(&self) -> bool {
        match self.verb {
            Verb::Info | Verb::Connect => self.rest.first() == Some(&b'{'),
            Verb::Pub | Verb::Hpub | Verb::Msg | Verb::Hmsg | Verb::Routed => {
                let limit = if self.is_tidy { TIDY_SIZE } else { MAX_SIZE };
                self.size().is_some_and(|size| size <= limit)
            }
            Verb::Sub => matches!(self.count, 2 | 3),
            Verb::Unsub => {
                matches!(self.count, 1 | 2) && self.argument(1).is_none_or(|max| number(max).is_some())
            }
            Verb::Ping | Verb::Pong | Verb::Ok => !self.is_tidy || self.rest.is_empty(),
            Verb::Err => !self.is_tidy || self.rest.first() == Some(&b'\''),
            Verb::Interest => self.count > 0,
        }
    }

    /// Whether only servers send such a line to each other.
    pub(super) fn is_between_servers(&self) -> bool {
        match self.verb {
            Verb::Routed | Verb::Interest => true,
            Verb::Hmsg => self.count > MAX_ARGUMENTS,
            _ => false,
        }
    }

    /// Bytes of the frame: the line, and the payload with its line end.
    pub(super) fn frame_len(&self) -> u64 {
        let line = self.len as u64;
        self.size().map_or(line, |size| line.saturating_add(size).saturating_add(2))
    }

    /// Whether the payload has a line end behind it; `None` if that is not in `head`.
    pub(super) fn ends_in(&self, head: &[u8]) -> Option<bool> {
        let end = usize::try_from(self.frame_len()).ok()?;
        if end == self.len {
            return Some(true);
        }
        head.get(end.checked_sub(2)?..end).map(|last| last == b"\r\n")
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A decimal number that a payload can have bytes.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    })?;
    (value <= MAX_SIZE).then_some(value)
}
