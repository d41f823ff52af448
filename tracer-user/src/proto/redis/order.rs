//! Which answer belongs to which request: Redis answers in the order of the requests, without saying to which.
//!
//! The order is *known* if every request that is not answered yet is in the queue. Where bytes were missed on either side it
//! is lost. It is known again when a request comes after a silence in which everything else must have been answered, when
//! what came was asked for by name, or when all that came fitted for long enough ([`super::calm`]). Until then an answer is only
//! used where it tells itself what it is, or where all that was asked is the same. A queue that turns out wrong is given up.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::op::Op;
use crate::model::time::{Interval, Timestamp};

use super::calm::Calm;
use super::resp::Kind;

/// Requests that may wait for their answers: clients send pipelines of some thousands. Each takes 40 bytes.
const WAITING: usize = 16_384;

/// Answers that came before their request was seen: with several threads on one connection the call that reads an answer
/// may end before the call that wrote the request does.
const EARLY: usize = 64;

/// After so long without a byte on either side every request is answered, but for one that blocks. A server answers others
/// at once; what takes it longer (a script, another continent) is no longer than a client's patience with it, and such a
/// client does not ask on meanwhile.
pub(super) const SILENCE_NS: u64 = 100_000_000;

/// Where this server was seen to be quick, so many times its slowest answer is silence enough,
const SLOWEST_TIMES: u64 = 16;

/// but no less than this: that long a program may be off its processor.
const SHORTEST_NS: u64 = 10_000_000;

/// So often one after the other, and what is asked for is what this connection is for.
const USUAL: u32 = 2;

/// So many answers are waited for that belong to requests which were sent before the first that was seen.
const STRANGERS: u32 = 64;

/// What an XREADGROUP or XREAD asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The group's name; none of XREAD.
    pub(super) group: Option<Arc<str>>,
    /// Whether the group's deliveries count as acknowledged.
    pub(super) noack: bool,
    /// All streams; none if not all names were captured.
    pub(super) streams: Vec<Arc<str>>,
    /// Streams of which what was delivered before is read again.
    pub(super) history: Vec<Arc<str>>,
}

/// What an XCLAIM or XAUTOCLAIM asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) stream: Arc<str>,
    pub(super) group: Arc<str>,
}

/// What the answer to a request will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Anything, of no interest.
    Any,
    /// `+OK` or the like, of no interest.
    Status,
    /// Anything; an error is one of messaging.
    Told,
    /// Whether the client may use the server. `hello`: `ERR` only says that the server does not know the command.
    Login { hello: bool },
    /// The number of receivers, or the length of the list: settles so many publishes. `must`: 0 means that nothing was published.
    Publish { id: u64, count: u32, must: bool },
    /// The id of the entry.
    Add { id: u64, stream: Arc<str> },
    /// Streams with their entries.
    Read(Arc<Reading>),
    /// Entries.
    Claim(Arc<Claim>),
    /// A position, entries, and what was deleted.
    AutoClaim(Arc<Claim>),
    /// A value of this list, or several.
    Pop(Arc<str>),
    /// One of these lists and its value.
    PopAny(Arc<[Arc<str>]>),
    /// One of these lists and its values.
    PopSeveral(Arc<[Arc<str>]>),
    /// Confirmations, which are recognised by themselves, or an error.
    Subscription,
    /// `+QUEUED`.
    Queued,
    /// The answers to what was queued.
    Exec(Vec<Expect>),
}

impl Expect {
    /// Whether an answer can begin so.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        let error = kind == Kind::Error;
        let number = kind == Kind::Line(b':');
        let bulk = matches!(kind, Kind::Bulk(b'$'));
        let several = matches!(kind, Kind::Aggregate(b'*' | b'~' | b'%', _));
        let null = kind == Kind::Null;
        error
            || match self {
                Self::Any | Self::Told => true,
                Self::Status | Self::Queued => kind == Kind::Line(b'+'),
                Self::Login { .. } => kind == Kind::Line(b'+') || several,
                Self::Publish { .. } => number,
                Self::Add { .. } => bulk || null,
                Self::Pop(_) => bulk || several || null,
                Self::Read(_) | Self::PopAny(_) | Self::PopSeveral(_) | Self::Exec(_) => several || null,
                Self::Claim(_) | Self::AutoClaim(_) => several,
                // Its confirmations are not taken for answers.
                Self::Subscription => false,
            }
    }
}

/// A text or number that answers a request that was not seen yet.
#[derive(Clone, Debug)]
pub(super) struct Early {
    /// With the place of the answer.
    pub(super) op: Op,
    pub(super) kind: Kind,
    pub(super) text: Arc<[u8]>,
}

/// Whose an answer is.
#[derive(Debug)]
pub(super) enum Whose {
    /// This request's.
    Of(Expect),
    /// This request's, if the order is right. `usual`: nothing else was asked of late.
    Perhaps { expect: Expect, usual: bool },
    /// That of a request that was not seen yet.
    Early,
    /// Nobody knows.
    Unknown,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// With the time at which it was sent. While the order is lost: those that were seen since.
    waiting: VecDeque<(Expect, Timestamp)>,
    /// The longest that an answer took.
    slowest_ns: Option<u64>,
    early: VecDeque<Early>,
    /// Whether the order is known.
    known: bool,
    /// Whether a request was seen.
    pub(super) asked: bool,
    /// When something last moved on either side.
    last: Option<Timestamp>,
    /// The last request, if it is one that waits for a message and nothing was answered since, while the order is lost.
    blocking: Option<(Expect, Timestamp)>,
    /// A request that waits for a message may be unanswered, though it is not the last.
    doubt: bool,
    /// While the order is lost: when a request was sent that nothing has answered and no other one followed.
    single: Option<Timestamp>,
    /// What speaks for the queue, while the order is lost.
    calm: Calm,
    /// While the order is lost: what was last asked for, and how often one after the other.
    usual: Option<(Expect, u32)>,
    /// The answer that is being read is perhaps that of a request that waited, and no other was in the queue.
    alone: bool,
    /// While the order is lost: answers, one after the other, that are not the first request's.
    strangers: u32,
    /// When the last answer came.
    came: Option<Timestamp>,
}

impl Order {
    /// The connection's first byte will be seen.
    pub(super) fn begin(&mut self) {
        self.known = true;
    }

    /// Whether the order is known.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Requests were missed, or answers match none.
    pub(super) fn lose(&mut self) {
        self.known = false;
        self.doubt |= self.blocking.is_some() || self.waiting.iter().any(|(expect, _)| expect.waits());
        self.blocking = None;
        self.waiting = VecDeque::new();
        self.early = VecDeque::new();
        self.usual = None;
        self.alone = false;
        self.calm.refute();
    }

    /// The queue is right.
    fn find(&mut self) {
        self.known = true;
        self.blocking = None;
        self.single = None;
        self.doubt = false;
        self.usual = None;
        self.calm.refute();
    }

    /// Answers were missed, and no request: the last one is still the last.
    pub(super) fn lose_answers(&mut self) {
        // Of what was seen since the order was lost nobody knows whether it was answered.
        let last = self.waiting.pop_back().filter(|(expect, _)| self.known && expect.waits());
        self.lose();
        self.blocking = last;
    }

    /// Something moved.
    pub(super) fn moved(&mut self, at: Interval) {
        self.last = self.last.max(Some(at.end));
    }

    fn is_silent(&self, until: Timestamp) -> bool {
        let silence = self.slowest_ns.map_or(SILENCE_NS, |slowest| {
            slowest.saturating_mul(SLOWEST_TIMES).clamp(SHORTEST_NS, SILENCE_NS)
        });
        self.last.is_some_and(|last| until.0 >= last.0.saturating_add(silence))
    }

    /// Before a request that was sent at that time: whether what came before it tells the order. `whole`: no answer is half
    /// here. `at_server`: it is the server's end that is seen.
    pub(super) fn listen(&mut self, sent: Timestamp, whole: bool, at_server: bool) {
        if self.known || !whole || self.doubt {
            return;
        }
        if self.is_silent(sent) {
            self.waiting.clear();
            self.waiting.extend(self.blocking.take());
            return self.find();
        }
        let Some(pause) = self.calm.pause(self.last.unwrap_or_default(), sent) else { return };
        if pause > 0 && !self.waiting.is_empty() {
            self.waiting.clear();
            self.calm.refute();
        }
        if self.waiting.is_empty() && self.calm.is_enough(pause, at_server) {
            self.find();
        }
    }

    /// What is perhaps the answer to the last request names what that asked for.
    pub(super) fn named(&mut self) {
        if !self.known && self.alone {
            self.find();
        }
    }

    /// It does not.
    pub(super) fn misnamed(&mut self) {
        self.calm.refute();
    }

    /// A request, sent at that time, that will be answered. Returns the answer if it has come already.
    pub(super) fn ask(&mut self, expect: Expect, sent: Timestamp) -> Option<(Expect, Early)> {
        self.asked = true;
        if !self.known {
            // What is sent behind a request that waits for a message shows that it was answered only if something was.
            self.doubt |= self.blocking.is_some();
            self.single = (self.single.is_none() && !expect.waits()).then_some(sent);
            self.blocking = expect.waits().then(|| (expect.clone(), sent));
            let before =
                self.usual.take().filter(|(usual, _)| *usual == expect).map_or(0, |(_, times)| times);
            self.usual = Some((expect.clone(), before.saturating_add(1)));
            self.calm.ask(sent, expect.waits());
            // What was sent before the last answer came may have been answered by it.
            let late = self.came.is_some_and(|came| came > sent);
            if late || self.waiting.len() >= WAITING {
                self.waiting.clear();
                self.calm.refute();
            }
            if !late {
                self.waiting.push_back((expect, sent));
            }
            return None;
        }
        if let Some(early) = self.early.pop_front() {
            if early.op.at.end >= sent {
                return Some((expect, early));
            }
            // Nothing is answered before it was asked: the order was another one.
            self.lose();
            self.waiting.push_back((expect, sent));
            return None;
        }
        if self.waiting.len() >= WAITING {
            self.lose();
            return None;
        }
        self.waiting.push_back((expect, sent));
        None
    }

    /// What is answered next, without taking it.
    pub(super) fn next(&self) -> Option<&Expect> {
        self.waiting.front().map(|(expect, _)| expect)
    }

    /// An answer that came at that time and begins with an element of this kind.
    pub(super) fn answered(&mut self, kind: Kind, came: Timestamp) -> Whose {
        self.came = self.came.max(Some(came));
        if !self.known {
            // Whoever asks one by one shows how quick the server is, whichever request this answers.
            if let Some(sent) = self.single.take() {
                self.slowest_ns = self.slowest_ns.max(Some(came.0.saturating_sub(sent.0)));
            }
            let blocking = self.blocking.take();
            // Everything before the request that waited was answered before the silence.
            let blocking = blocking.filter(|_| !self.doubt && self.is_silent(came));
            self.doubt = false;
            if blocking.is_none() {
                self.calm.answer(came);
                return self.suppose(kind);
            }
            self.waiting.clear();
            self.waiting.extend(blocking);
            self.find();
        }
        match self.waiting.pop_front() {
            Some((expect, sent)) if expect.fits(kind) => {
                if !expect.waits() {
                    self.slowest_ns = self.slowest_ns.max(Some(came.0.saturating_sub(sent.0)));
                }
                Whose::Of(expect)
            }
            Some(_) => {
                self.lose();
                Whose::Unknown
            }
            None if self.asked && self.early.len() < EARLY => Whose::Early,
            None => {
                self.lose();
                Whose::Unknown
            }
        }
    }

    /// Whose an answer is while the order is lost.
    fn suppose(&mut self, kind: Kind) -> Whose {
        let only = self.waiting.len() == 1;
        let fits = self.next().is_some_and(|next| next.fits(kind));
        let Some((expect, _)) = fits.then(|| self.waiting.pop_front()).flatten() else {
            // It answers one that was not seen; or the first one's answer was not.
            self.strangers += 1;
            if self.strangers > STRANGERS {
                self.strangers = 0;
                self.waiting.clear();
            }
            self.alone = false;
            self.calm.refute();
            return Whose::Unknown;
        };
        self.strangers = 0;
        self.alone = only && expect.waits();
        let usual = self.usual.as_ref().is_some_and(|(usual, times)| *usual == expect && *times >= USUAL);
        Whose::Perhaps { expect, usual }
    }

    /// Keeps an answer whose request is still to be seen.
    pub(super) fn keep(&mut self, early: Early) {
        self.early.push_back(early);
    }

    /// A confirmation came: the SUBSCRIBE was no error.
    pub(super) fn confirmed(&mut self) {
        if self.next() == Some(&Expect::Subscription) {
            self.waiting.pop_front();
        }
    }
}

impl Expect {
    /// The publishes that the answer settles: identity of the first, number.
    pub(super) fn publishes(&self) -> Option<(u64, u32)> {
        match self {
            Self::Publish { id, count, .. } => Some((*id, *count)),
            Self::Add { id, .. } => Some((*id, 1)),
            _ => None,
        }
    }

    /// Whether the request may wait for a message, however long.
    fn waits(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Pop(_) | Self::PopAny(_) | Self::PopSeveral(_))
    }
}
