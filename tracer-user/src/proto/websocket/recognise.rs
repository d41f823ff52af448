//! Finds out that a connection's bytes are a WebSocket's.

use bytes::BytesMut;

use super::frame::{Frame, HEAD, Head, Kind, unmask};
use super::inflate::{Inflated, alone};
use super::upgrade::{Begins, begins};
use crate::track::stream::Stream;

/// Bytes of an HTTP request's first line that are looked at.
const LINE: usize = 256;

/// Bytes of a payload that tell whether it is a protocol's.
const PAYLOAD: usize = 64;

/// Longest compressed payload that is looked into to find out: longer ones are not waited for.
const PACKED: u64 = 16 * 1024;

/// Frames of such a message: programs write one, or two of which the second is nearly empty.
const FRAMES: usize = 4;

/// Whether a stream is a WebSocket's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto) enum Recognised {
    No,
    /// Too little of it is here to tell.
    Perhaps,
    /// Its HTTP exchange begins at the read point.
    Upgrade {
        to_server: bool,
    },
    /// A frame begins `offset` bytes behind the read point.
    Frame {
        offset: u64,
        to_server: bool,
    },
}

/// Whether the bytes of `stream` are a WebSocket's. `to_server`: which way they go, if known. `in_middle`: whether its
/// beginning may have been missed. `carried`: whether it is a protocol that WebSockets carry, if the port
/// tells one. `is_frame(head, length, to_server)`: whether a payload of that length and beginning is a
/// broker's protocol's, or, if `to_server` is `None`, what lies in the connection itself.
pub(in crate::proto) fn recognise(
    stream: &Stream,
    to_server: Option<bool>,
    in_middle: bool,
    carried: Option<bool>,
    is_frame: impl Fn(&[u8], u64, bool) -> bool,
) -> Recognised {
    let mut scratch = Vec::new();
    if !stream.at_chunk_start() {
        return Recognised::No;
    }
    let peek = stream.peek(0, LINE, &mut scratch);
    match begins(peek.bytes) {
        Begins::Yes { to_server } => return Recognised::Upgrade { to_server },
        Begins::Perhaps if !peek.cut => return Recognised::Perhaps,
        Begins::Perhaps | Begins::No if !in_middle => return Recognised::No,
        Begins::Perhaps | Begins::No => {}
    }
    let first = frame_at(stream, 0, to_server, carried, &is_frame);
    if !matches!(first, Recognised::No) {
        return first;
    }
    // If what is here waits for more, the newest call may still tell.
    match stream.recent_chunk(0).map(|offset| frame_at(stream, offset, to_server, carried, &is_frame)) {
        Some(found @ Recognised::Frame { .. }) => found,
        _ => Recognised::No,
    }
}

fn frame_at(
    stream: &Stream,
    offset: u64,
    to_server: Option<bool>,
    carried: Option<bool>,
    is_frame: &impl Fn(&[u8], u64, bool) -> bool,
) -> Recognised {
    let mut scratch = Vec::new();
    let peek = stream.peek(offset, HEAD + PAYLOAD, &mut scratch);
    let frame = match Frame::read(peek.bytes, to_server) {
        Head::Frame(frame @ Frame { kind: Kind::Message { compressed: false }, len: 1.., .. }) => frame,
        // What others write may begin so too.
        _ if carried == Some(false) && matches!(peek.bytes, [0x41 | 0x42 | 0xc1 | 0xc2, ..]) => {
            return Recognised::No;
        }
        Head::Frame(frame @ Frame { kind: Kind::Message { compressed: true }, .. }) => {
            return packed_at(stream, offset, &frame, carried, is_frame);
        }
        Head::NeedMore
            if !peek.cut
                && matches!(peek.bytes, [0x01 | 0x02 | 0x41 | 0x42 | 0x81 | 0x82 | 0xc1 | 0xc2, ..]) =>
        {
            return Recognised::Perhaps;
        }
        _ => return Recognised::No,
    };
    let size = usize::try_from(frame.size).unwrap_or(HEAD);
    let whole = usize::try_from(frame.len).unwrap_or(PAYLOAD).min(PAYLOAD);
    let payload = peek.bytes.get(size..).unwrap_or(&[]);
    if payload.len() < whole && !peek.cut {
        return Recognised::Perhaps;
    }
    let mut payload = BytesMut::from(payload.get(..whole).unwrap_or(payload));
    if let Some(mask) = frame.mask {
        unmask(&mut payload, mask, 0);
    }
    let to_server = frame.mask.is_some();
    if is_frame(&payload, frame.len, to_server) {
        Recognised::Frame { offset, to_server }
    } else {
        Recognised::No
    }
}

/// The same of a compressed message, which may have several frames: what it carries tells, if it can be read, else that it fills the
/// calls that moved it, where a protocol is expected that never begins so.
fn packed_at(
    stream: &Stream,
    offset: u64,
    first: &Frame,
    carried: Option<bool>,
    is_frame: &impl Fn(&[u8], u64, bool) -> bool,
) -> Recognised {
    let to_server = first.mask.is_some();
    let mut scratch = Vec::new();
    let mut payload = BytesMut::new();
    let mut at = offset;
    for number in 0..FRAMES {
        let peek = stream.peek(at, HEAD, &mut scratch);
        let frame = match Frame::read(peek.bytes, Some(to_server)) {
            Head::Frame(frame) => frame,
            Head::NeedMore if !peek.cut => return Recognised::Perhaps,
            Head::NeedMore | Head::Invalid => return Recognised::No,
        };
        let is_part = (frame.kind == Kind::Continuation) == (number > 0);
        if frame.len > PACKED || (!is_part && frame.kind != Kind::Control) {
            return Recognised::No;
        }
        let (size, total) = (usize::try_from(frame.size), usize::try_from(frame.total()));
        let (Ok(size), Ok(total)) = (size, total) else { return Recognised::No };
        let peek = stream.peek(at, total, &mut scratch);
        if peek.bytes.len() < total {
            return if peek.cut { Recognised::No } else { Recognised::Perhaps };
        }
        at = at.saturating_add(frame.total());
        if !is_part {
            continue;
        }
        let known = payload.len();
        payload.extend_from_slice(peek.bytes.get(size..).unwrap_or(&[]));
        if let (Some(mask), Some(part)) = (frame.mask, payload.get_mut(known..)) {
            unmask(part, mask, 0);
        }
        if frame.fin {
            let Inflated { bytes, size, whole } = alone(&payload);
            let is_mine = match whole {
                true => is_frame(bytes.get(..PAYLOAD).unwrap_or(&bytes), size, to_server),
                false => carried == Some(true) && stream.fills_calls(offset, at, HEAD as u64),
            };
            return if is_mine { Recognised::Frame { offset, to_server } } else { Recognised::No };
        }
    }
    Recognised::No
}
