//! One destination's publishes in order, and how far each subscriber is.

use std::collections::VecDeque;
use std::ops::Range;

use hashbrown::HashMap;

use super::{Likeness, Match, Print, Reader, Wanted};
use crate::causality::node::Handle;
use crate::model::time::Timestamp;

/// Most publishes of one destination that are kept: over a second of a broker's full speed on one topic.
const MAX_ENTRIES: usize = 16_384;

/// How many entries are looked at from a subscriber's cursor on, and from the end back: bounds the cost of a delivery
/// that matches nothing.
const SCAN: usize = 1024;

/// Most readers of one destination that have a cursor. Further ones are matched by recency, as ambiguous.
const MAX_CURSORS: usize = 4096;

/// Most skipped publishes that a subscriber may still receive out of order (QoS 2 is overtaken by QoS 0).
const MAX_SKIPPED: usize = 32;

/// The same of a queue that several consumers take from: what one of them was sent in one go (RabbitMQ's clients are advised to
/// prefetch some hundred) the others' cursor passes over.
const MAX_SKIPPED_SHARED: usize = 1024;

/// How long after a delivery to another consumer it is reckoned with that several take from a queue.
const SHARED_NS: u64 = 10_000_000_000;

/// Without a cursor, equal publishes this shortly before the delivery are a burst that arrives in order; older ones
/// have been delivered already.
const BURST_NS: u64 = 20_000_000;

/// An equal publish that waited longer than this while a newer one is ten times fresher was more likely lost
/// for this subscriber than delayed.
const STALE_NS: u64 = 200_000_000;

/// That many equal publishes in waiting are a backlog, in which order decides, rather than a few losses.
const BACKLOG: usize = 8;

/// How long after a delivery the same message may come again through another subscription of the same client.
const REPEAT_NS: u64 = 1_000_000_000;

struct Entry {
    node: Handle,
    print: Print,
    at: Timestamp,
}

#[derive(Default)]
struct Cursor {
    /// First publish that was not yet delivered.
    next: u64,
    /// The last one that was, and when.
    last: Option<(u64, Timestamp)>,
    /// Publishes before [`Self::next`] that were not delivered, oldest first.
    skipped: VecDeque<u64>,
    /// The subscriber that got the last one, and when another one than that got one.
    taker: u32,
    others: Option<Timestamp>,
}

impl Cursor {
    /// Whether several consumers take from what `wanted` came from.
    fn is_contested(&self, wanted: &Wanted<'_>) -> bool {
        let lately = self.others.is_some_and(|at| wanted.at.since(at) <= SHARED_NS);
        self.last.is_some() && (lately || self.taker != wanted.subscriber)
    }
}

/// The queue.
#[derive(Default)]
pub(in crate::causality) struct Lane {
    /// Number of the first entry.
    base: u64,
    entries: VecDeque<Entry>,
    cursors: HashMap<Reader, Cursor>,
}

impl Lane {
    /// Adds a publish. An older one may have to make room; who still needed it is counted when it is missed.
    pub(super) fn push(&mut self, node: Handle, print: Print, at: Timestamp) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
            self.base += 1;
        }
        self.entries.push_back(Entry { node, print, at });
    }

    /// Whether publishes were forgotten that `reader` had not received.
    pub(super) fn is_behind(&self, reader: Reader) -> bool {
        self.cursors.get(&reader).is_some_and(|cursor| cursor.next < self.base)
    }

    /// Drops the oldest publishes that are `done`.
    pub(super) fn trim(&mut self, done: impl Fn(Handle) -> bool) {
        while self.entries.front().is_some_and(|entry| done(entry.node)) {
            self.entries.pop_front();
            self.base += 1;
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries.shrink_to_fit();
        }
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The publish that a delivery came from; moves the subscriber's cursor past it.
    pub(super) fn find(&mut self, wanted: &Wanted<'_>, alive: impl Fn(Handle) -> bool) -> Option<Match> {
        let likeness = |number: u64| match self.entry(number) {
            Some(entry) => match entry.print.compare(wanted.print) {
                likeness if likeness == Likeness::Different || alive(entry.node) => likeness,
                _ => Likeness::Different,
            },
            None => Likeness::Different,
        };
        let fits = |number: u64| likeness(number) != Likeness::Different;
        let cursor = self.cursors.get(&wanted.reader);
        if wanted.redelivered {
            // Repeats something from before the cursor, or is its first delivery on a new connection.
            let end = cursor.map_or(self.end(), |cursor| cursor.next);
            let from = end.saturating_sub(SCAN as u64).max(self.base);
            if let Some(number) = (from..end).rev().find(|&number| fits(number)) {
                return Some(Match { publish: self.entry(number)?.node, ambiguous: true });
            }
        }
        let (from, in_order) = match (cursor, wanted.since) {
            // Where the next one is younger than the subscription, so are all behind it.
            (Some(cursor), Some(since)) if self.entry(cursor.next).is_some_and(|next| next.at >= since) => {
                (cursor.next, true)
            }
            (Some(cursor), Some(since)) => (cursor.next.max(self.first_since(since)), true),
            (Some(cursor), None) => (cursor.next.max(self.base), true),
            (None, Some(since)) => (self.first_since(since), true),
            (None, None) => (self.end().saturating_sub(SCAN as u64).max(self.base), false),
        };
        let until = self.end().min(from.saturating_add(SCAN as u64));
        // Consumers that take from one queue are sent theirs side by side: what one was passed over with, another one gets.
        let contested = cursor.filter(|cursor| cursor.is_contested(wanted));
        let passed = contested.into_iter().flat_map(|cursor| cursor.skipped.iter().copied());
        let oldest = contested.and(wanted.since).map_or(self.base, |since| self.first_since(since));
        let passed = passed.skip_while(|&number| number < oldest);
        let mut fitting = passed.chain(from..until).filter(|&number| fits(number)).peekable();
        let (number, mut ambiguous) = match fitting.peek().copied() {
            Some(first) => {
                let in_step = in_order && first == from && contested.is_none();
                self.choose(first, fitting, wanted.at, in_order, in_step)
            }
            None => (self.elsewhere(wanted, from..until, cursor, &fits)?, true),
        };
        ambiguous |= likeness(number) == Likeness::Alike;
        let publish = self.entry(number)?.node;
        self.advance(wanted, number, from);
        Some(Match { publish, ambiguous })
    }

    /// Which of the publishes that fit, oldest first, it is, and whether that is ambiguous.
    fn choose(
        &self,
        first: u64,
        fitting: impl Iterator<Item = u64>,
        at: Timestamp,
        in_order: bool,
        in_step: bool,
    ) -> (u64, bool) {
        let age = |number: u64| self.entry(number).map_or(0, |entry| at.since(entry.at));
        if in_step && age(first) <= STALE_NS {
            return (first, false);
        }
        let all: Vec<u64> = fitting.take(if in_order { BACKLOG + 1 } else { SCAN }).collect();
        let last = all.last().copied().unwrap_or(first);
        if !in_order {
            // Nothing is known of what this subscriber has received: the oldest of the burst at the end.
            let burst = all.iter().copied().find(|&number| age(number) <= BURST_NS);
            return (burst.unwrap_or(last), all.len() > 1);
        }
        if last != first && all.len() <= BACKLOG && age(first) > STALE_NS && age(last) < age(first) / 10 {
            return (last, true);
        }
        // In step with the broker's order nothing is ambiguous; having skipped something, the next equal one may be it.
        (first, !in_step && last != first)
    }

    /// A publish that fits but is not ahead of where the subscriber should be, `ahead` having been searched.
    fn elsewhere(
        &self,
        wanted: &Wanted<'_>,
        ahead: Range<u64>,
        cursor: Option<&Cursor>,
        fits: &impl Fn(u64) -> bool,
    ) -> Option<u64> {
        if let Some(cursor) = cursor {
            let skipped = cursor.skipped.iter().copied();
            // What a session kept for a client that was away comes although it is older than the subscription.
            let kept = cursor.next.max(self.base)..ahead.start;
            if let Some(number) = skipped.chain(kept.take(SCAN)).find(|&number| fits(number)) {
                return Some(number);
            }
            if let Some((last, at)) = cursor.last
                && wanted.overlapping != Some(false)
                && wanted.at.since(at) <= REPEAT_NS
                && fits(last)
            {
                return Some(last);
            }
        }
        // The cursor is far behind: catch up from the end.
        let from = self.end().saturating_sub(SCAN as u64).max(ahead.end);
        (from..self.end()).rev().find(|&number| fits(number))
    }

    fn first_since(&self, since: Timestamp) -> u64 {
        let older = self.entries.partition_point(|entry| entry.at < since);
        self.base + older as u64
    }

    fn advance(&mut self, wanted: &Wanted<'_>, number: u64, from: u64) {
        if self.cursors.len() >= MAX_CURSORS && !self.cursors.contains_key(&wanted.reader) {
            return;
        }
        let base = self.base;
        let cursor = self.cursors.entry(wanted.reader).or_default();
        let is_shared = matches!(wanted.reader, Reader::All(_));
        let (mut from, mut most) = (from, MAX_SKIPPED);
        if is_shared {
            if cursor.last.is_some() && cursor.taker != wanted.subscriber {
                cursor.others = Some(wanted.at);
            }
            // What was published before this consumer came may be on its way to another one.
            from = cursor.next.max(base);
            most = MAX_SKIPPED_SHARED;
        }
        cursor.taker = wanted.subscriber;
        while cursor.skipped.front().is_some_and(|&oldest| oldest < base) {
            cursor.skipped.pop_front();
        }
        cursor.last = Some((number, wanted.at));
        if number < cursor.next {
            if let Ok(index) = cursor.skipped.binary_search(&number) {
                cursor.skipped.remove(index);
            }
            return;
        }
        let first = from.max(number.saturating_sub(most as u64));
        for skipped in first..number {
            if cursor.skipped.len() >= most {
                cursor.skipped.pop_front();
            }
            cursor.skipped.push_back(skipped);
        }
        cursor.next = number + 1;
    }
}
