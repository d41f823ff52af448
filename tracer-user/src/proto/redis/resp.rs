//! RESP, the bytes of it: elements, and how far a value reaches.
//!
//! By the Redis serialization protocol specification (redis.io, `develop/reference/protocol-spec`), versions 2 and 3, and
//! the RESP3 draft for what is streamed (`$?`, `;4`, `*?`, `.`). An *element* is what one type byte begins: a scalar
//! with its content, or the head of an aggregate without its children.

use crate::proto::Outcome;

/// Bytes of a frame that are looked at. Where the heads of all its elements lie within them a command or answer is one frame,
/// else each element is. Less than [`HELD_SEGMENTS`](crate::track::stream::HELD_SEGMENTS): a program that reads byte by byte must not
/// be waited for in vain.
pub(super) const HEAD: usize = 120;

/// Digits and sign of the longest length or count.
const NUMBER: usize = 20;

/// Longest bulk string: `proto-max-bulk-len` is 512 MB unless configured otherwise.
const LONGEST: u64 = 4 << 30;

/// Most children of an aggregate: Redis itself refuses requests of more than 2^31.
const MOST: u64 = 1 << 31;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `+`, `:`, `,`, `(`, `#`: a text, a number, a truth.
    Line(u8),
    /// `-` or `!`.
    Error,
    /// `$`, `=` (its content begins with three letters and a colon), or a piece `;` of a streamed string.
    Bulk(u8),
    /// `$-1`, `*-1`, `_`.
    Null,
    /// `*`, `~`, `%`, `>` or `|` with the number of its children (twice that of a map's pairs), `None` if an `.` ends it. A
    /// streamed string (`$?`) is an aggregate of pieces.
    Aggregate(u8, Option<u64>),
    /// `.` or `;0`: the end of something streamed.
    End,
}

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) kind: Kind,
    /// Where its content begins.
    pub(super) from: usize,
    /// Length of its content.
    pub(super) size: u64,
    /// Its whole length.
    pub(super) len: u64,
}

/// Why there is no element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// It goes on behind these bytes.
    More,
    /// This is none.
    Invalid,
}

impl Element {
    /// The element that `bytes` begin with. Of a bulk string only the line with its length has to be there.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Without> {
        let (&tag, rest) = bytes.split_first().ok_or(Without::More)?;
        match tag {
            b'+' | b':' | b',' | b'(' | b'#' | b'-' | b'_' => {
                let size = line(rest, usize::MAX)?;
                let content = rest.get(..size).unwrap_or(&[]);
                let fits = match tag {
                    b':' | b'(' => is_number(content),
                    b'#' => matches!(content, b"t" | b"f"),
                    b'_' => content.is_empty(),
                    b',' => {
                        !content.is_empty()
                            && content.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                    }
                    _ => true,
                };
                let kind = match tag {
                    _ if !fits => return Err(Without::Invalid),
                    b'-' => Kind::Error,
                    b'_' => Kind::Null,
                    tag => Kind::Line(tag),
                };
                Ok(Self { kind, from: 1, size: size as u64, len: size as u64 + 3 })
            }
            b'$' | b'=' | b'!' | b';' => {
                let size = line(rest, NUMBER)?;
                let (head, digits) = (size as u64 + 3, rest.get(..size).unwrap_or(&[]));
                let bulk = |kind, size| Self { kind, from: digits.len() + 3, size, len: head + size + 2 };
                match (digits, tag) {
                    (b"-1", b'$') => Ok(Self { kind: Kind::Null, from: 1, size: 0, len: head }),
                    (b"?", b'$') => {
                        Ok(Self { kind: Kind::Aggregate(b'$', None), from: 1, size: 0, len: head })
                    }
                    (b"0", b';') => Ok(Self { kind: Kind::End, from: 1, size: 0, len: head }),
                    (_, b'!') => Ok(bulk(Kind::Error, number(digits, LONGEST)?)),
                    _ => Ok(bulk(Kind::Bulk(tag), number(digits, LONGEST)?)),
                }
            }
            b'*' | b'~' | b'%' | b'>' | b'|' => {
                let size = line(rest, NUMBER)?;
                let len = size as u64 + 3;
                let kind = match (rest.get(..size).unwrap_or(&[]), tag) {
                    (b"-1", b'*') => Kind::Null,
                    (b"?", b'*' | b'~' | b'%') => Kind::Aggregate(tag, None),
                    (digits, b'%' | b'|') => Kind::Aggregate(tag, Some(number(digits, MOST)? * 2)),
                    (digits, _) => Kind::Aggregate(tag, Some(number(digits, MOST)?)),
                };
                Ok(Self { kind, from: 1, size: 0, len })
            }
            b'.' => {
                let size = line(rest, 0)?;
                Ok(Self { kind: Kind::End, from: 1, size: 0, len: size as u64 + 3 })
            }
            _ => Err(Without::Invalid),
        }
    }

    /// What is there of its content in `bytes`, which it begins.
    pub(super) fn range(&self, there: usize) -> std::ops::Range<usize> {
        let end = usize::try_from(self.size).map_or(usize::MAX, |size| self.from.saturating_add(size));
        self.from.min(there)..end.min(there)
    }
}

/// Length of the line that `bytes` begin with, without its end; at most `most`.
fn line(bytes: &[u8], most: usize) -> Result<usize, Without> {
    match bytes.iter().position(|byte| *byte == b'\r') {
        Some(size) if size > most => Err(Without::Invalid),
        Some(size) => match bytes.get(size + 1) {
            Some(b'\n') => Ok(size),
            Some(_) => Err(Without::Invalid),
            None => Err(Without::More),
        },
        None if bytes.len() > most || bytes.contains(&b'\n') => Err(Without::Invalid),
        None => Err(Without::More),
    }
}

/// Digits, at most `most`.
fn number(digits: &[u8], most: u64) -> Result<u64, Without> {
    if digits.is_empty() {
        return Err(Without::Invalid);
    }
    let mut number = 0u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Without::Invalid);
        }
        number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    if number > most { Err(Without::Invalid) } else { Ok(number) }
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// How many values an element and what came before leave to come, of a value that lacked `left`.
pub(super) fn left_after(left: u64, kind: Kind) -> Option<u64> {
    let left = left.checked_sub(1)?;
    match kind {
        // An attribute stands before a value and is none.
        Kind::Aggregate(b'|', Some(children)) => left.checked_add(children)?.checked_add(1),
        Kind::Aggregate(_, Some(children)) => left.checked_add(children),
        // How many pieces there are does not show.
        Kind::Aggregate(_, None) | Kind::End => None,
        _ => Some(left),
    }
}

/// How far the frame goes that begins with `head`, of which no more than [`HEAD`] bytes count: a whole value if the heads
/// of all its elements lie within these, else its first element.
///
/// `Err`: [`Outcome::NeedMore`] or [`Outcome::Invalid`], or the piece of a line that is longer.
pub(super) fn reach(head: &[u8]) -> Result<u64, Outcome> {
    let head = head.get(..HEAD).unwrap_or(head);
    let first = match Element::read(head) {
        Ok(first) => first,
        Err(Without::Invalid) => return Err(Outcome::Invalid),
        Err(Without::More) if head.len() < HEAD => return Err(Outcome::NeedMore),
        // A line without an end: a text or an error, in pieces.
        Err(Without::More) => return Ok(HEAD as u64),
    };
    let Some(mut left) = left_after(1, first.kind) else { return Ok(first.len) };
    let mut at = first.len;
    while left > 0 {
        let Some(rest) =
            usize::try_from(at).ok().filter(|at| *at < HEAD).map(|at| head.get(at..).unwrap_or(&[]))
        else {
            return Ok(first.len);
        };
        match Element::read(rest) {
            Ok(next) => {
                let Some(after) = left_after(left, next.kind) else { return Ok(first.len) };
                left = after;
                at = at.saturating_add(next.len);
            }
            Err(Without::More) if head.len() < HEAD => return Err(Outcome::NeedMore),
            // What is no element is told of when the bytes are reached.
            Err(_) => return Ok(first.len),
        }
    }
    Ok(at)
}
