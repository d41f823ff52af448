//! The requests of one line that are open, in the order in which their answers come.
//!
//! A program that writes ahead (G-code streams, two SCPI queries in a row, two threads) has several open at once. What is
//! read goes to the first; when that is over, the rest goes to the next. A request whose time is up leaves a debt if
//! others were written before: its answer, should it still come, comes before theirs and is nobody's.

use std::collections::VecDeque;

use super::exchange::Exchange;
use crate::device::buffer::KEPT;
use crate::model::time::Timestamp;

/// Requests that are open at most, for each line. The kernel holds 4 KiB for a serial port, which is some 500 short
/// lines, and the machine that they go to rarely more than 128 bytes.
const AHEAD: usize = 512;

/// Bytes of them that are kept at most: as many as of one alone.
const AHEAD_BYTES: usize = KEPT;

/// The open requests.
#[derive(Default)]
pub(super) struct Queue {
    requests: VecDeque<Exchange>,
    /// Bytes of them that are kept.
    bytes: usize,
    /// Answers that are due to requests which were given up, before those of the ones that are open.
    owed: u32,
    /// A request had no answer in time. If it still comes, it looks like the answer to the next.
    late: bool,
    /// What was open when the line was first seen is not known, if its opening was not seen.
    opened: bool,
    /// When bytes moved last.
    used: Option<Timestamp>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// The one that is answered next.
    pub(super) fn first(&self) -> Option<&Exchange> {
        self.requests.front()
    }

    /// The one that was written last.
    pub(super) fn last(&self) -> Option<&Exchange> {
        self.requests.back()
    }

    /// Adds a write to the one that was written last, of which it is a part.
    pub(super) fn write(&mut self, call: &crate::device::class::Moved) {
        if let Some(last) = self.requests.back_mut() {
            let before = last.kept();
            last.write(call);
            self.bytes += last.kept() - before;
        }
    }

    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.requests.iter_mut()
    }

    /// Adds a request behind the others.
    pub(super) fn push(&mut self, request: Exchange) {
        self.bytes += request.kept();
        self.requests.push_back(request);
    }

    /// Puts the first back.
    pub(super) fn put_back(&mut self, request: Exchange) {
        self.bytes += request.kept();
        self.requests.push_front(request);
    }

    pub(super) fn take_first(&mut self) -> Option<Exchange> {
        let taken = self.requests.pop_front();
        self.left(taken)
    }

    pub(super) fn take_last(&mut self) -> Option<Exchange> {
        let taken = self.requests.pop_back();
        self.left(taken)
    }

    /// Takes the first one for which `chosen` holds.
    pub(super) fn take_where(&mut self, chosen: impl Fn(&Exchange) -> bool) -> Option<Exchange> {
        let taken = self.requests.iter().position(chosen).and_then(|at| self.requests.remove(at));
        self.left(taken)
    }

    /// The oldest, if there is no room for one more.
    pub(super) fn give_way(&mut self) -> Option<Exchange> {
        let full = self.requests.len() >= AHEAD || self.requests.len() > 1 && self.bytes > AHEAD_BYTES;
        if full { self.take_first() } else { None }
    }

    fn left(&mut self, taken: Option<Exchange>) -> Option<Exchange> {
        self.bytes = self.bytes.saturating_sub(taken.as_ref().map_or(0, Exchange::kept));
        taken
    }

    /// The first was given up at `at` without an answer, others are behind it or not.
    pub(super) fn owe(&mut self, at: Timestamp) {
        self.late = true;
        self.used = self.used.max(Some(at));
        self.owed = if self.requests.is_empty() { 0 } else { self.owed.saturating_add(1) };
    }

    /// Whether the answer that is whole now is that of a request which was given up.
    pub(super) fn pay(&mut self) -> bool {
        let owed = self.owed > 0;
        self.owed = self.owed.saturating_sub(1);
        self.late &= self.owed > 0 || !owed;
        owed
    }

    /// Something came that nobody waits for: the late answer, if one was due.
    pub(super) fn unasked(&mut self) {
        self.late = false;
    }

    /// What was on its way was thrown away.
    pub(super) fn flushed(&mut self) {
        (self.late, self.owed) = (false, 0);
    }

    /// The device started anew: nothing is due.
    pub(super) fn starts_anew(&mut self) {
        self.flushed();
        self.opened = true;
    }

    /// The line was opened. Before anything else happened on it, nothing is open.
    pub(super) fn opened(&mut self) {
        self.opened |= self.used.is_none();
    }

    /// Bytes move. After silence for `patience` ns with nothing open nothing is due any more.
    pub(super) fn used(&mut self, at: Timestamp, patience: u64) {
        if self.requests.is_empty() {
            self.owed = 0;
            if self.used.is_some_and(|used| at.since(used) >= patience) {
                (self.late, self.opened) = (false, true);
            }
        }
        self.used = Some(at);
    }

    /// Whether an answer whose order alone tells whose it is may be that of an earlier request. `ahead`: programs write
    /// such requests ahead.
    pub(super) fn is_uncertain(&self, ahead: bool) -> bool {
        self.late || ahead && !self.opened
    }
}
