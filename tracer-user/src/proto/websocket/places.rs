//! Where in the connection the bytes lie that a WebSocket's frames carry.

use std::collections::VecDeque;

use crate::model::op::Place;
use crate::track::stream::Piece;

/// Stretches remembered: more than the stream of payloads holds segments, and the one in which a message that is longer
/// began. Of such a one those in between are forgotten.
const STRETCHES: usize = 256;

/// Payload bytes that lie together in the connection too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Position in the stream of payloads.
    pub(super) inner: u64,
    pub(super) size: u64,
    /// Bytes of the connection before it, counted.
    pub(super) passed: u64,
    /// Position in the connection.
    pub(super) start: u64,
    /// Whether that is TCP's number.
    pub(super) exact: bool,
    /// Of a compressed message: bytes of the connection from its first to its last. None of its bytes lies at a place of its own.
    pub(super) packed: Option<u64>,
}

impl Stretch {
    /// How many bytes of the connection behind its first one the payload's byte `at` begins, and which part of those bytes it is.
    fn begin(&self, at: u64) -> (u64, u32) {
        let behind = at.saturating_sub(self.inner);
        match self.packed {
            None => (behind, 0),
            Some(_) => (0, u32::try_from(behind).unwrap_or(u32::MAX)),
        }
    }

    /// How many bytes of the connection behind its first one the payload's byte `at` ends.
    fn end(&self, at: u64) -> u64 {
        self.packed.map_or(at.saturating_sub(self.inner), |length| length.saturating_sub(1))
    }
}

/// From positions of payload bytes to those in the connection.
#[derive(Debug, Default)]
pub(super) struct Places {
    stretches: VecDeque<Stretch>,
}

impl Places {
    pub(super) fn push(&mut self, stretch: Stretch) {
        if self.stretches.len() >= STRETCHES {
            self.stretches.remove(1);
        }
        self.stretches.push_back(stretch);
    }

    /// Nothing before `inner` is asked for any more.
    pub(super) fn forget(&mut self, inner: u64) {
        while self.stretches.front().is_some_and(|front| front.inner.saturating_add(front.size) <= inner) {
            self.stretches.pop_front();
        }
    }

    /// `place`, but where in the connection `piece` of the stream of payloads lies: from its first byte to its last, with
    /// the heads of frames in between. What lies in a compressed message lies in all of it, and is a part of it by its distance from
    /// the message's inflated beginning.
    pub(super) fn of(&self, piece: &Piece, place: Place) -> Place {
        let end = piece.start.saturating_add(piece.len).saturating_sub(1);
        let (Some(first), Some(last)) = (self.find(piece.start), self.find(end)) else {
            return Place { exact: false, ..place };
        };
        let (from, part) = first.begin(piece.start);
        let upto = last.end(end).saturating_add(last.passed);
        let start = first.start.saturating_add(from);
        Place {
            // TCP's positions are modulo 2^32.
            start: if first.exact { start & u64::from(u32::MAX) } else { start },
            length: upto.saturating_sub(first.passed.saturating_add(from)).saturating_add(1),
            exact: first.exact && last.exact,
            part,
            ..place
        }
    }

    fn find(&self, inner: u64) -> Option<&Stretch> {
        let behind = self.stretches.partition_point(|stretch| stretch.inner <= inner);
        let found = self.stretches.get(behind.checked_sub(1)?)?;
        (inner < found.inner.saturating_add(found.size)).then_some(found)
    }
}
