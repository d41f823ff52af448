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
    /// the heads of frames in between.
    pub(super) fn of(&self, piece: &Piece, place: Place) -> Place {
        let end = piece.start.saturating_add(piece.len).saturating_sub(1);
        let (Some(first), Some(last)) = (self.find(piece.start), self.find(end)) else {
            return Place { exact: false, ..place };
        };
        let from = piece.start.saturating_sub(first.inner);
        let upto = end.saturating_sub(last.inner).saturating_add(last.passed);
        let start = first.start.saturating_add(from);
        Place {
            // TCP's positions are modulo 2^32.
            start: if first.exact { start & u64::from(u32::MAX) } else { start },
            length: upto.saturating_sub(first.passed.saturating_add(from)).saturating_add(1),
            exact: first.exact && last.exact,
            ..place
        }
    }

    fn find(&self, inner: u64) -> Option<&Stretch> {
        let behind = self.stretches.partition_point(|stretch| stretch.inner <= inner);
        let found = self.stretches.get(behind.checked_sub(1)?)?;
        (inner < found.inner.saturating_add(found.size)).then_some(found)
    }
}
