//! A byte stream of which calls are lost, late, repeated and cut. Where positions are the kernel's, every byte that comes
//! out is the one that belongs to its position.

use bytes::Bytes;
use iotrail::model::capture::Position;
use iotrail::model::payload::Payload;
use iotrail::model::time::{Interval, Timestamp};
use iotrail::track::stream::{Chunk, Piece, Stream};

use crate::input::Input;

/// The byte at a position of the stream.
fn byte_at(position: u32) -> u8 {
    (position.wrapping_mul(0x9e37_79b1) >> 24) as u8
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let exact = input.flag();
    let mut stream = Stream::default();
    // Near the number's end, so that it wraps.
    let mut at = u32::MAX - u32::from(input.byte());
    let (mut now, mut moved) = (0, 0);
    let mut scratch = Vec::new();
    while !input.is_empty() {
        now += input.pause();
        match input.byte() & 15 {
            0..7 => {
                let captured = input.byte();
                let missing = if captured & 0x80 != 0 { u64::from(input.byte()) * 300 } else { 0 };
                let bytes: Bytes =
                    (0..u32::from(captured & 0x7f)).map(|offset| byte_at(at.wrapping_add(offset))).collect();
                let size = bytes.len() as u64 + missing;
                let position = if exact { Position::Sequence(at) } else { Position::Unknown };
                let time = Interval { start: Timestamp(now), end: Timestamp(now + 1) };
                stream.push(Chunk { position, at: time, tid: 1, payload: Payload { captured: bytes, size } });
                at = at.wrapping_add(size as u32);
                moved += size;
            }
            7 => at = at.wrapping_add(input.byte().into()),
            8 => at = at.wrapping_sub(input.byte().into()),
            9 => stream.gap(),
            10 => stream.expire(Timestamp(now)),
            11 => stream.skip(input.number()),
            12 => {
                let piece = stream.resume();
                check(piece.as_ref(), exact);
            }
            _ => {
                let (offset, want) = (input.number(), input.byte().into());
                let peek = stream.peek(offset, want, &mut scratch);
                assert!(peek.bytes.len() <= want, "more than was wanted");
                if !stream.is_partial() {
                    let piece = stream.take(input.byte().into());
                    check(piece.as_ref(), exact);
                }
            }
        }
        let counts = stream.counts();
        assert!(counts.bytes == moved, "bytes were lost: {} of {moved}", counts.bytes);
        // Holes count as well: there is at most what has moved and what was jumped over.
        assert!(stream.available() <= moved + counts.gap_bytes, "more is there than has come");
    }
    stream.flush();
    assert!(!stream.is_waiting(), "something waits after the end");
}

fn check(piece: Option<&Piece>, exact: bool) {
    let Some(piece) = piece else { return };
    assert!(piece.bytes.len() as u64 <= piece.len, "more captured than there was");
    assert!(piece.at.start <= piece.at.end && piece.at.start <= piece.last_enter, "out of time");
    if exact && piece.exact {
        for (position, byte) in (piece.start as u32..).zip(&piece.bytes) {
            assert_eq!(*byte, byte_at(position), "a byte is not where it was");
        }
    }
}
