//! Pull requests (ADR-13) and the messages that answer them.
//!
//! A message does not say which request it answers, only to which subscription it goes and from which consumer it comes. So a
//! batch is what comes of one consumer to one subscription from the request until it is complete, the server ends it with a
//! status, it has expired, the next request comes or the subscription ends. What was left of an earlier request is still to
//! come when the next one is made: programs ask for more before they have all.

use hashbrown::HashMap;

use super::jetstream::{Pull, hash};
use crate::model::time::{Interval, Timestamp};
use crate::proto::FrameView;

/// Most batches that are under way on a connection: a program has one for each consumer or thread.
pub(super) const MAX_OPEN: usize = 64;

/// Most subscriptions that are remembered, 16 bytes each, to know where a request's answers go.
pub(super) const MAX_SUBSCRIPTIONS: usize = 1024;

/// Most consumers that are remembered for sending what nobody asks for.
const MAX_UNASKED: usize = 64;

/// How long before its request a batch may be seen to begin: the call that sent it ends after the server has answered.
const EARLY_NS: u64 = 100_000_000;

/// How long after a request has expired the server's messages may be on their way.
const LATE_NS: u64 = 1_000_000_000;

/// A batch under way.
#[derive(Debug)]
struct Open {
    consumer: u64,
    /// Hash of the subscription's id, if it is known.
    sid: Option<u64>,
    /// How many messages were asked for; `None` if the request was not seen (yet).
    wanted: Option<u64>,
    until: Option<Timestamp>,
    /// When the last request began.
    asked: Timestamp,
    came: Batch,
}

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// What it is called: the settle id of its first message, the same at both ends.
    pub(super) number: u64,
    pub(super) count: u32,
    /// From the first to the last message.
    pub(super) at: Interval,
    /// Who saw the last one.
    pub(super) tid: u32,
}

impl Batch {
    fn empty(at: Timestamp) -> Self {
        Self { number: 0, count: 0, at: Interval { start: at, end: at }, tid: 0 }
    }

    fn add(&mut self, view: &FrameView<'_>, id: u64) {
        if self.count == 0 {
            (self.number, self.at) = (id, view.at);
        }
        self.count = self.count.saturating_add(1);
        self.at.end = self.at.end.max(view.at.end);
        self.tid = view.tid;
    }
}

impl Open {
    fn left(&self) -> Option<u64> {
        self.wanted.map(|wanted| wanted.saturating_sub(self.came.count.into()))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        match self.wanted {
            Some(_) => self.until.is_some_and(|until| now > until),
            None => now.since(self.came.at.end) > EARLY_NS,
        }
    }

    fn is_of(&self, consumer: u64, sid: Option<u64>) -> bool {
        self.consumer == consumer && (self.sid == sid || self.sid.is_none() || sid.is_none())
    }
}

/// The pull requests of a connection.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// The oldest first.
    open: Vec<Open>,
    /// Hash of the subject by hash of the subscription's id.
    subscriptions: HashMap<u64, u64>,
    /// Consumers that were seen to push, oldest first.
    unasked: Vec<u64>,
    /// What is complete and was not told yet.
    ended: Vec<Batch>,
}

impl Pulls {
    /// A subscription begins.
    pub(super) fn subscribed(&mut self, sid: u64, subject: &[u8]) {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            self.subscriptions.clear();
        }
        self.subscriptions.insert(sid, hash(subject));
    }

    /// A subscription ends, now or after so many messages.
    pub(super) fn unsubscribed(&mut self, sid: u64, is_now: bool) {
        self.subscriptions.remove(&sid);
        if is_now {
            self.end_of(sid);
        }
    }

    /// The server sends a status to a subscription that no message of the batch follows.
    pub(super) fn end_of(&mut self, sid: u64) {
        if let Some(index) = self.open.iter().position(|open| open.sid == Some(sid)) {
            self.end(index);
        }
    }

    /// The client asks for messages of a consumer, to be sent to `reply`.
    pub(super) fn asked(&mut self, view: &FrameView<'_>, consumer: u64, reply: &[u8], pull: Pull) {
        let sid = self.subscription(reply);
        let mut wanted = pull.batch;
        let until = pull.expires.map(|ns| view.at.end.plus(ns).plus(LATE_NS));
        if let Some(index) = self.open.iter().position(|open| open.is_of(consumer, sid)) {
            if let Some(open) = self.open.get_mut(index)
                && open.wanted.is_none()
                && view.at.start <= open.came.at.end
                && !open.is_over(view.at.start)
            {
                // Where more came, it was not this that asked for it.
                if wanted >= open.came.count.into() {
                    (open.wanted, open.until, open.asked) = (Some(wanted), until, view.at.start);
                }
                if open.left().is_none_or(|left| left == 0) {
                    self.end(index);
                }
                return;
            }
            let earlier = self.end(index);
            let left = earlier.filter(|open| !open.is_over(view.at.end)).and_then(|open| open.left());
            wanted = wanted.saturating_add(left.unwrap_or(0));
        }
        self.unasked.retain(|known| *known != consumer);
        let (asked, came) = (view.at.start, Batch::empty(view.at.start));
        self.begin(Open { consumer, sid, wanted: Some(wanted), until, asked, came });
    }

    /// A message of a consumer comes to a subscription: the number of its batch, unless it is alone.
    pub(super) fn delivered(
        &mut self,
        view: &FrameView<'_>,
        consumer: u64,
        sid: u64,
        id: u64,
    ) -> Option<u64> {
        let mut found = self.open.iter().position(|open| open.is_of(consumer, Some(sid)));
        if let Some(index) = found
            && self.open.get(index).is_some_and(|open| open.is_over(view.at.end))
        {
            self.end(index);
            found = None;
        }
        if found.is_none() && self.unasked.contains(&consumer) {
            return None;
        }
        let index = found.unwrap_or_else(|| {
            let came = Batch::empty(view.at.start);
            let asked = Timestamp(0);
            self.begin(Open { consumer, sid: Some(sid), wanted: None, until: None, asked, came })
        });
        let open = self.open.get_mut(index)?;
        open.sid = Some(sid);
        if view.at.end < open.asked {
            // Bytes before it were missed, and it had to wait: it answers an earlier request.
            open.wanted = open.wanted.map(|wanted| wanted.saturating_sub(1).max(1));
            return None;
        }
        open.came.add(view, id);
        let (number, is_alone) = (open.came.number, open.wanted == Some(1));
        if open.left() == Some(0) {
            self.end(index);
        }
        (!is_alone).then_some(number)
    }

    /// The batches that are complete.
    pub(super) fn ended(&mut self) -> impl Iterator<Item = Batch> {
        self.ended.drain(..)
    }

    fn begin(&mut self, open: Open) -> usize {
        if self.open.len() >= MAX_OPEN {
            self.end(0);
        }
        self.open.push(open);
        self.open.len().saturating_sub(1)
    }

    fn end(&mut self, index: usize) -> Option<Open> {
        if index >= self.open.len() {
            return None;
        }
        let open = self.open.remove(index);
        // One message alone is no batch, and what nobody asked for was pushed.
        if open.wanted.is_some() && open.came.count > 1 {
            self.ended.push(open.came);
        }
        if open.wanted.is_none() {
            if self.unasked.len() >= MAX_UNASKED {
                self.unasked.remove(0);
            }
            self.unasked.push(open.consumer);
        }
        Some(open)
    }

    /// The subscription that what is sent to `reply` comes to, by its whole subject or with a wildcard at the end.
    fn subscription(&self, reply: &[u8]) -> Option<u64> {
        let find = |wanted: u64| self.subscriptions.iter().find(|(_, known)| **known == wanted);
        let found = find(hash(reply)).or_else(|| {
            let end = memchr::memrchr(b'.', reply)?;
            let stem = reply.get(..=end)?;
            let with = |last: &[u8]| find(hash(&[stem, last].concat()));
            with(b"*").or_else(|| with(b">"))
        });
        found.map(|(sid, _)| *sid)
    }
}
