//! Frames of Modbus: RTU (Modbus over Serial Line V1.02, 2.5.1) and ASCII (2.5.2). A body is the unit's address and
//! the PDU, without start, check and end.
//!
//! RTU separates frames by silence, of which a reader in user space sees little. So they are found by the length that
//! their first bytes tell and by their CRC: both have to fit.

use std::borrow::Cow;
use std::ops::Range;

use super::check::{crc, lrc};
use super::pdu::{self, Length};
use crate::device::tty::protocol::is_text;

/// Shortest and longest RTU frame, 2.5.1.
const SHORTEST: usize = 4;
pub(super) const LONGEST: usize = 256;
/// Longest ASCII frame, 2.5.2.
const LONGEST_ASCII: usize = 513;
/// Highest unit's address; 0 is for all (2.2).
const UNITS: u8 = 247;

/// A frame's body, and whether its check is right.
pub(super) type Body<'a> = (Cow<'a, [u8]>, bool);

/// One of the two ways to send a PDU.
pub(super) struct Framing {
    /// Argument `framing`.
    pub(super) name: &'static str,
    /// Its kind of check.
    pub(super) check: &'static str,
    /// The body of a whole frame, and whether its check is right; `None` if it is no frame.
    pub(super) body: fn(&[u8]) -> Option<Body<'_>>,
    /// What of an answer to the request with this body begins here. The second is the request's frame.
    pub(super) candidate: for<'a> fn(&[u8], &[u8], &'a [u8]) -> Candidate<'a>,
}

/// What bytes are as the answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Candidate<'a> {
    /// The answer: its length as a frame, its body.
    Whole(usize, Cow<'a, [u8]>),
    /// A frame of the right unit and function, but its check is wrong.
    Damaged,
    /// A frame of the right unit and function, but not the answer to this request.
    Other,
    /// The beginning of an answer whose length its bytes do not tell.
    Open,
    /// The beginning of an answer.
    Partial,
    /// No answer.
    Not,
}

/// RTU.
pub(super) static RTU: Framing =
    Framing { name: "rtu", check: "crc", body: rtu_body, candidate: rtu_candidate };

/// ASCII.
pub(super) static ASCII: Framing =
    Framing { name: "ascii", check: "lrc", body: ascii_body, candidate: ascii_candidate };

/// RTU is known by its CRC alone: with a wrong one it is no frame.
fn rtu_body(frame: &[u8]) -> Option<Body<'_>> {
    let right = (SHORTEST..=LONGEST).contains(&frame.len())
        && frame.first().is_some_and(|unit| *unit <= UNITS)
        && !is_text(frame)
        && crc(frame) == 0;
    let body = frame.get(..frame.len().checked_sub(2)?)?;
    right.then_some((Cow::Borrowed(body), true))
}

fn rtu_candidate<'a>(asked: &[u8], request: &[u8], bytes: &'a [u8]) -> Candidate<'a> {
    let (Some(unit), Some(function)) = (asked.first(), asked.get(1)) else { return Candidate::Not };
    let length = match bytes {
        [] => return Candidate::Partial,
        [first, ..] if first != unit => return Candidate::Not,
        [_] => return Candidate::Partial,
        [_, second, ..] if second & 0x7f != *function => return Candidate::Not,
        [_, pdu @ ..] => match pdu::response_length(pdu) {
            Length::Is(length) => length + 3,
            Length::Later => return Candidate::Partial,
            Length::Not => return Candidate::Not,
            // What was asked to be returned is as long as it was.
            Length::Open if *function == 8 => request.len(),
            Length::Open => return Candidate::Open,
        },
    };
    let Some(frame) = bytes.get(..length) else { return Candidate::Partial };
    let body = frame.get(..length.saturating_sub(2)).unwrap_or_default();
    if crc(frame) != 0 {
        Candidate::Damaged
    } else if pdu::answers(asked.get(1..).unwrap_or_default(), body.get(1..).unwrap_or_default()) {
        Candidate::Whole(length, Cow::Borrowed(body))
    } else {
        Candidate::Other
    }
}

fn ascii_body(frame: &[u8]) -> Option<Body<'_>> {
    let digits = frame.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if !(3..=LONGEST_ASCII / 2).contains(&pairs.len()) {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    let mut bytes = bytes.filter(|bytes| bytes.first().is_some_and(|unit| *unit <= UNITS))?;
    let right = lrc(&bytes) == 0;
    bytes.pop();
    Some((Cow::Owned(bytes), right))
}

fn ascii_candidate<'a>(asked: &[u8], _request: &[u8], bytes: &'a [u8]) -> Candidate<'a> {
    match bytes {
        [] => return Candidate::Partial,
        [b':', ..] => {}
        _ => return Candidate::Not,
    }
    let Some(end) = bytes.iter().take(LONGEST_ASCII).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST_ASCII { Candidate::Partial } else { Candidate::Not };
    };
    let Some((body, right)) = bytes.get(..=end).and_then(ascii_body) else { return Candidate::Not };
    match (&*body, asked) {
        ([unit, pdu @ ..], [asked_unit, asked @ ..])
            if unit == asked_unit && pdu.first().map(|code| code & 0x7f) == asked.first().copied() =>
        {
            match (right, pdu::is_response(pdu) && pdu::answers(asked, pdu)) {
                (false, _) => Candidate::Damaged,
                (true, false) => Candidate::Other,
                (true, true) => Candidate::Whole(end + 1, body),
            }
        }
        _ => Candidate::Not,
    }
}

/// Whether all of `bytes` is one RTU frame whose length its first bytes tell.
pub(super) fn is_rtu(bytes: &[u8]) -> bool {
    (SHORTEST..=LONGEST).contains(&bytes.len()) && rtu_at(bytes) == Some(bytes.len())
}

/// The next RTU frame in `bytes`. Unless Modbus is known to be `spoken` only at the beginning: in megabytes of
/// anything else some stretch has a right CRC.
pub(super) fn find_rtu(bytes: &[u8], spoken: bool) -> Option<Range<usize>> {
    if is_open(bytes) {
        return Some(0..bytes.len());
    }
    let starts = if spoken { bytes.len() } else { 1 };
    (0..starts).find_map(|start| Some(start..start + rtu_at(bytes.get(start..)?)?))
}

/// The length of the RTU frame that `bytes` begin with.
fn rtu_at(bytes: &[u8]) -> Option<usize> {
    let (unit, pdu) = bytes.split_first()?;
    if *unit > UNITS {
        return None;
    }
    let fits = |length: Length, valid: fn(&[u8]) -> bool| {
        let Length::Is(length) = length else { return None };
        let right = valid(pdu.get(..length)?) && crc(bytes.get(..length + 3)?) == 0;
        right.then_some(length + 3)
    };
    let request = fits(pdu::request_length(pdu), pdu::is_request);
    let response = fits(pdu::response_length(pdu), pdu::is_response);
    request.into_iter().chain(response).min()
}

/// Whether all of `bytes` is an RTU frame whose length its first bytes do not tell.
fn is_open(bytes: &[u8]) -> bool {
    let pdu = bytes.get(1..).unwrap_or_default();
    pdu::request_length(pdu) == Length::Open && rtu_body(bytes).is_some()
}
