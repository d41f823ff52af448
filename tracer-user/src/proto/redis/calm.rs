//! What speaks for the order of answers where it is not known, and no pause is long enough to tell it.
//!
//! Requests are queued from the first that is seen on, as if none before them were unanswered. Had there been one, answers
//! would come one too early: the queue would seem empty while the server still owes an answer. A server that is quick
//! does not owe one for long. So each time that the queue seems empty for much longer than answers took speaks for it, and
//! an answer that none of the queue can have asked for shows that it was wrong.

use crate::model::time::Timestamp;

/// An empty queue says something from so many times what the slowest answer took on.
const LONGER: u64 = 4;

/// The most that one pause says, in bits: whoever answers may have been off its processor.
const MOST: u32 = 4;

/// What it says that the server, at its own end, answered all that it had before it read on.
const TURN: u32 = 2;

/// Bits that make it sure.
const ENOUGH: u32 = 8;

/// What speaks for the order.
#[derive(Debug, Default)]
pub(super) struct Calm {
    /// The slowest answer to a request that does not wait for a message.
    slowest_ns: Option<u64>,
    /// Since when the queue is empty.
    since: Option<Timestamp>,
    bits: u32,
}

impl Calm {
    /// The first of the queue was answered: after so long, if it did not wait for a message; at that time, if the queue is
    /// empty now.
    pub(super) fn answered(&mut self, took_ns: Option<u64>, empty: Option<Timestamp>) {
        self.slowest_ns = self.slowest_ns.max(took_ns);
        self.since = empty;
    }

    /// Before a request that was sent at that time, and the queue is empty: whether that is sure. `at_server`: it is the server
    /// that reads it.
    pub(super) fn is_enough(&mut self, sent: Timestamp, at_server: bool) -> bool {
        if let (Some(since), Some(slowest)) = (self.since.take(), self.slowest_ns) {
            let times = sent.since(since) / slowest.max(1);
            let turn = if at_server { TURN } else { 0 };
            self.bits += if times >= LONGER { times.ilog2().min(MOST) } else { turn };
        }
        self.bits >= ENOUGH
    }

    /// The queue was wrong.
    pub(super) fn refute(&mut self) {
        *self = Self::default();
    }
}
