//! Where frames begin, and how much bytes speak for Redis.

use super::inline;
use super::names::is_command;
use super::resp::{self, Element, HEAD, Kind, Without};
use crate::proto::{Header, Outcome, Score};

/// Bytes that begin an element.
const TYPES: &[u8] = b"*$+-:%>~_,#(|=!";

/// Weight of a typed command: it takes two, so that the name in a request that comes in pieces is not taken for one.
const TYPED: u32 = 1;

/// Weight of an array or a map that is there whole.
const WHOLE: u32 = 3;

pub(super) fn detect(head: &[u8], hint: bool) -> Score {
    match search(head, None) {
        Outcome::Frame(header) if header.weight >= Header::SIGNATURE => Score::Sure,
        Outcome::Frame(_) | Outcome::NeedMore if hint => Score::Possible,
        // Lines are what other protocols have too (NATS, SMTP), and the beginnings of arrays occur in any text.
        Outcome::Frame(header) if header.weight >= WHOLE => Score::Possible,
        _ if hint => Score::Hinted,
        _ => Score::No,
    }
}

pub(super) fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|&index| {
        let rest = bytes.get(index..).unwrap_or(&[]);
        let lines = index == 0 || bytes.get(index - 1) == Some(&b'\n');
        lines
            && rest.first().is_some_and(|first| TYPES.contains(first))
            && search(rest, Some(false)) != Outcome::Invalid
    })
}

/// What follows the frame before.
pub(super) fn follow(head: &[u8], to_server: Option<bool>, line: bool) -> Outcome {
    let reach = match (to_server, head.first()) {
        (_, None) => return Outcome::NeedMore,
        (Some(true), Some(b'*' | b'$')) => resp::reach(head),
        (Some(true), _) => inline::reach(head),
        _ if line => rest_of_line(head),
        _ => resp::reach(head),
    };
    match reach {
        Ok(len) => Outcome::Frame(Header { len, weight: 0, to_server: None, opens: false }),
        Err(outcome) => outcome,
    }
}

/// How far a long line goes on.
fn rest_of_line(head: &[u8]) -> Result<u64, Outcome> {
    let head = head.get(..HEAD).unwrap_or(head);
    match head.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(end as u64 + 1),
        None if head.len() < HEAD => Err(Outcome::NeedMore),
        None => Ok(HEAD as u64),
    }
}

/// What may begin anywhere.
pub(super) fn search(head: &[u8], to_server: Option<bool>) -> Outcome {
    let Some(&first) = head.first() else { return Outcome::NeedMore };
    if !TYPES.contains(&first) {
        if to_server == Some(false) {
            return Outcome::Invalid;
        }
        return match inline::reach(head) {
            Ok(len) if len > 2 => {
                Outcome::Frame(Header { len, weight: TYPED, to_server: Some(true), opens: false })
            }
            Ok(_) => Outcome::Invalid,
            Err(outcome) => outcome,
        };
    }
    let len = match resp::reach(head) {
        Ok(len) => len,
        Err(outcome) => return outcome,
    };
    let head = head.get(..HEAD).unwrap_or(head);
    let looked = match look(head, len) {
        Ok(looked) => looked,
        Err(outcome) => return outcome,
    };
    // Of a string nobody knows whether it is a request's argument or an answer.
    let doubtful = to_server.is_none() && matches!(first, b'$' | b'=' | b'!');
    if doubtful || (to_server == Some(true) && !looked.request) {
        return Outcome::Invalid;
    }
    if looked.request && to_server != Some(false) {
        return Outcome::Frame(Header {
            len,
            weight: Header::SIGNATURE,
            to_server: Some(true),
            opens: false,
        });
    }
    let direction = looked.push.then_some(false);
    Outcome::Frame(Header { len, weight: looked.weight, to_server: direction, opens: false })
}

/// What the elements that can be seen say.
struct Looked {
    /// An array of strings that begins with a command's name.
    request: bool,
    /// A message that was pushed.
    push: bool,
    weight: u32,
}

fn look(head: &[u8], len: u64) -> Result<Looked, Outcome> {
    let Ok(first) = Element::read(head) else { return Ok(Looked { request: false, push: false, weight: 0 }) };
    let content = |element: &Element, bytes: &[u8]| {
        let range = element.range(bytes.len());
        bytes.get(range).map(<[u8]>::to_vec).unwrap_or_default()
    };
    let weight = match first.kind {
        Kind::Line(b'+') => {
            let text = content(&first, head);
            let printable = text.iter().all(|byte| (b' '..0x7f).contains(byte));
            match text.as_slice() {
                b"OK" | b"PONG" | b"QUEUED" => 2,
                _ if printable => 1,
                _ => return Err(Outcome::Invalid),
            }
        }
        Kind::Line(b':') | Kind::Null => 2,
        Kind::Line(_) => 1,
        Kind::Error => {
            let text = content(&first, head);
            let word = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
            if word >= 2 { 2 } else { return Err(Outcome::Invalid) }
        }
        Kind::Bulk(b'$') => match ends(head, 0, &first) {
            Some(true) => 2,
            Some(false) => return Err(Outcome::Invalid),
            None => 1,
        },
        Kind::Bulk(b'=') => 2,
        Kind::Bulk(_) | Kind::End => return Err(Outcome::Invalid),
        Kind::Aggregate(..) => return aggregate(head, &first, len),
    };
    Ok(Looked { request: false, push: false, weight })
}

/// Whether the element at `at` ends as it should; `None` if that is not to be seen.
fn ends(head: &[u8], at: usize, element: &Element) -> Option<bool> {
    let end = usize::try_from(element.len).ok()?.checked_add(at)?;
    Some(head.get(end.checked_sub(2)?..end)? == b"\r\n")
}

fn aggregate(head: &[u8], first: &Element, len: u64) -> Result<Looked, Outcome> {
    let Kind::Aggregate(tag, children) = first.kind else { return Err(Outcome::Invalid) };
    let mut left = children.unwrap_or(0);
    let mut at = usize::try_from(first.len).unwrap_or(usize::MAX);
    let mut request = tag == b'*' && left > 0;
    let mut push = false;
    let mut seen = 0u32;
    while left > 0 && at < head.len() {
        let rest = head.get(at..).unwrap_or(&[]);
        let element = match Element::read(rest) {
            Ok(element) => element,
            Err(Without::More) => break,
            Err(Without::Invalid) => return Err(Outcome::Invalid),
        };
        if ends(head, at, &element) == Some(false) {
            return Err(Outcome::Invalid);
        }
        request &= matches!(element.kind, Kind::Bulk(b'$'));
        if seen == 0 {
            let word = rest.get(element.range(rest.len())).unwrap_or(&[]);
            request &= is_command(word);
            push = matches!(word, b"message" | b"pmessage" | b"smessage");
        }
        seen += 1;
        left = resp::left_after(left, element.kind).unwrap_or(0);
        at = at.saturating_add(usize::try_from(element.len).unwrap_or(usize::MAX));
    }
    if seen == 0 && left > 0 && head.len() < HEAD {
        return Err(Outcome::NeedMore);
    }
    request &= seen > 0;
    let weight = match tag {
        _ if push => Header::SIGNATURE,
        _ if len > first.len => WHOLE,
        _ => 1,
    };
    Ok(Looked { request, push, weight })
}
