//! A compressed message while its frames come, and how it is handed on.

use bytes::Bytes;

use super::frame::unmask;
use super::inflate::{Inflated, Inflater};
use super::places::Stretch;
use super::{Step, Tunnel};
use crate::model::capture::Position;
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};
use crate::track::stream::{Chunk, Piece, Stream};

/// Bytes that are unmasked at once, a multiple of the mask's length.
const AT_ONCE: usize = 1024;

/// The compressed messages of one direction, one after the other.
#[derive(Debug, Default)]
pub(super) struct Packed {
    inflater: Inflater,
    message: Option<Message>,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// Where its payload begins; `size` says nothing yet.
    pub(super) place: Stretch,
    /// Compressed bytes, without heads of frames.
    pub(super) size: u64,
    /// From the entry of the call that moved its first byte to the exit of the call that moved its last.
    pub(super) at: Interval,
    /// Entry of the call that moved its last byte.
    pub(super) last_enter: Timestamp,
    /// The thread that moved its last byte.
    pub(super) tid: u32,
}

/// What was inflated ends here, and more should have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    at: Interval,
    tid: u32,
    place: Stretch,
}

impl Packed {
    /// A message begins; if another is under way, it does not go on: how much there was of it.
    pub(super) fn begin(&mut self) -> u64 {
        let unread = if self.message.is_some() { self.lose() } else { 0 };
        self.inflater.begin();
        unread
    }

    /// A stretch of payload, `passed` bytes into the connection and `phase` bytes into its frame's.
    pub(super) fn take(&mut self, piece: &Piece, mask: Option<[u8; 4]>, phase: u8, passed: u64) {
        let &Piece { len, start, exact, at, last_enter, tid, .. } = piece;
        let place = Stretch { inner: 0, size: 0, passed, start, exact, packed: Some(0) };
        let message = self.message.get_or_insert(Message { place, size: 0, at, last_enter, tid });
        message.place.exact &= exact;
        message.place.packed = Some(passed.saturating_sub(message.place.passed).saturating_add(len));
        message.size = message.size.saturating_add(len);
        message.at.end = message.at.end.max(at.end);
        (message.last_enter, message.tid) = (last_enter, tid);
        for bytes in piece.bytes.chunks(AT_ONCE) {
            let mut scratch = [0; AT_ONCE];
            let Some(plain) = scratch.get_mut(..bytes.len()) else { return };
            plain.copy_from_slice(bytes);
            if let Some(mask) = mask {
                unmask(plain, mask, phase);
            }
            self.inflater.take(plain);
        }
        if (piece.bytes.len() as u64) < len {
            self.inflater.lose();
        }
    }

    /// Nobody knows how much is missing here, nor of how many messages: how much there was of the one under way.
    pub(super) fn lose(&mut self) -> u64 {
        self.inflater.forget();
        self.message.take().map_or(0, |message| message.size)
    }

    /// Whether a message is half here.
    pub(super) fn is_half(&self) -> bool {
        self.message.is_some()
    }

    /// The message ends: what is known of it and what it carried; `None` if that is nothing.
    pub(super) fn finish(&mut self) -> Option<(Message, Inflated)> {
        let inflated = self.inflater.finish();
        self.message.take().map(|message| (message, inflated))
    }
}

impl Tunnel {
    /// A message ends: if it was compressed, what it carried comes now. Not before, so that the places of what it carried do not
    /// depend on how its bytes came.
    pub(super) fn end_message(&mut self, to: &mut Stream) -> Step {
        let packed = self.packed.as_mut().filter(|_| std::mem::take(&mut self.compressed));
        let Some((message, inflated)) = packed.and_then(|packed| packed.finish()) else { return Step::On };
        let lost = inflated.size.saturating_sub(inflated.bytes.len() as u64);
        self.counts.cut_bytes = self.counts.cut_bytes.saturating_add(lost);
        let last = Interval { start: message.last_enter, end: message.at.end };
        if !inflated.whole {
            self.counts.unread(message.size);
            self.cut = Some(Cut { at: last, tid: message.tid, place: message.place });
        }
        if inflated.size == 0 {
            return Step::On;
        }
        self.forget(to);
        let mut chunk = Chunk {
            position: Position::Unknown,
            at: message.at,
            tid: message.tid,
            payload: Payload { captured: inflated.bytes, size: inflated.size },
        };
        // Its last byte came with the last of its calls.
        if message.last_enter > message.at.start && inflated.size > 1 {
            let payload = &mut chunk.payload;
            payload.size -= 1;
            let known = usize::try_from(payload.size).unwrap_or(usize::MAX).min(payload.captured.len());
            let captured = payload.captured.split_off(known);
            let tail = Chunk { at: last, payload: Payload { captured, size: 1 }, ..chunk.clone() };
            to.push(chunk);
            to.push(tail);
        } else {
            to.push(chunk);
        }
        self.places.push(Stretch {
            inner: to.end().0.saturating_sub(inflated.size),
            size: inflated.size,
            ..message.place
        });
        Step::Moved
    }

    /// Behind a message that could not be read to its end. A packet that was begun ends with it, as far as can be told: what is
    /// missing of it is a hole. Where the next one begins is to be found out. `false` if there was none.
    pub(super) fn end_cut(&mut self, cut: &Cut, to: &mut Stream) -> bool {
        let missing = to.missing();
        if missing == 0 {
            to.gap();
            return false;
        }
        let payload = Payload { captured: Bytes::new(), size: missing };
        to.push(Chunk { position: Position::Unknown, at: cut.at, tid: cut.tid, payload });
        self.places.push(Stretch { inner: to.end().0.saturating_sub(missing), size: missing, ..cut.place });
        // What is missing now is nothing: the gap comes next.
        self.cut = Some(*cut);
        true
    }
}
