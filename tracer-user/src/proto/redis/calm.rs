//! What speaks for the order of answers where it is not known, and no pause is long enough to tell it.
//!
//! Requests are queued from the first that is seen on, as if none before them were unanswered. Had there been one, answers
//! would come one too early: the queue would seem empty while the server still owes an answer. A server that is quick
//! does not owe one for long. So each pause that is much longer than it took from the last request to the last answer speaks for
//! an empty queue. An answer that none of the queue can have asked for shows that it was wrong; so does such a pause while
//! something is in it: of that the answers were missed.

use crate::model::time::Timestamp;

/// A pause says something from so many times what the last answer took on.
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
    /// When the last request was sent, if it does not wait for a message.
    asked: Option<Timestamp>,
    /// When the last answer came, if nothing was asked since, and how long after the last request.
    answered: Option<(Timestamp, Option<u64>)>,
    bits: u32,
}

impl Calm {
    /// A request was sent, which `waits` for a message or is answered at once.
    pub(super) fn ask(&mut self, sent: Timestamp, waits: bool) {
        self.asked = (!waits).then_some(sent);
        self.answered = None;
    }

    /// An answer came.
    pub(super) fn answer(&mut self, came: Timestamp) {
        self.answered = Some((came, self.asked.map(|asked| came.since(asked))));
    }

    /// Before a request that was sent at that time: what the pause before it, since something `moved` last, says in bits, 0 if
    /// it was too short; `None` if nothing was answered since the last request.
    pub(super) fn pause(&mut self, moved: Timestamp, sent: Timestamp) -> Option<u32> {
        let (came, took) = self.answered.take()?;
        // Of an answer in pieces the first came then.
        let pause = sent.since(came.max(moved));
        let times = took.map_or(0, |took| pause / took.max(1));
        Some(if times >= LONGER { times.ilog2().min(MOST) } else { 0 })
    }

    /// So much speaks for the queue, which is empty: whether that is enough. `at_server`: it is the server that reads the request.
    pub(super) fn is_enough(&mut self, pause: u32, at_server: bool) -> bool {
        self.bits += if pause == 0 && at_server { TURN } else { pause };
        self.bits >= ENOUGH
    }

    /// The queue was wrong.
    pub(super) fn refute(&mut self) {
        self.bits = 0;
    }
}
