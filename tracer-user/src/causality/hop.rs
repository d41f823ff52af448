//! Through the broker: which publish a delivery came from, where the protocol carries no identity.
//!
//! Evidence is the *fingerprint*: same destination, same body, in the order that the broker took the messages.
//! Each copy that the broker makes ([`Feed`]: a subscriber's, a subscription's, a queue's) has its own cursor in each
//! destination's queue, so that the k-th of several identical messages matches the k-th delivery; a delivery whose content only fits a later publish skips the earlier ones (the broker
//! dropped them for this subscriber).

pub(super) mod filter;
pub(super) mod lane;

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use siphasher::sip::SipHasher13;

use self::lane::Lane;
use super::node::{Handle, Node, Nodes};
use super::table::Table;
use crate::model::op::{Feed, Message};
use crate::model::time::Timestamp;
use std::hash::Hasher as _;

/// Most destinations that are followed at once: a large plant's topics, 10 MB.
const MAX_TOPICS: usize = 32_768;

/// Bytes of a body that are hashed at most: telling messages apart needs no more.
const HASHED: usize = 4096;

/// Bytes of a body that are compared where one of the two was not captured whole. Small, because the ends may have
/// captured different lengths.
const HEAD: usize = 64;

/// A message's content in brief.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Print {
    size: u32,
    /// Hash of the first [`HEAD`] bytes, 0 if fewer were captured of a longer body.
    head: u32,
    /// Hash of the whole body, 0 if it was not captured whole.
    whole: u64,
}

/// How well two prints agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Different,
    /// Nothing differs, but too little was captured to be sure.
    Alike,
    Same,
}

impl Print {
    /// The fingerprint of `message`, without its destination.
    pub(super) fn of(message: &Message) -> Self {
        let body = &message.body;
        let size = u32::try_from(body.size).unwrap_or(u32::MAX);
        let hash = |bytes: &[u8]| {
            let mut hasher = SipHasher13::new();
            hasher.write(bytes);
            // A context header goes through the broker unchanged and differs per message.
            if let Some((_, context)) = message.headers.iter().find(|(name, _)| &**name == "traceparent") {
                hasher.write(context.as_bytes());
            }
            hasher.finish().max(1)
        };
        let captured = body.captured.get(..HASHED).unwrap_or(&body.captured);
        let whole = if body.is_whole() { hash(captured) } else { 0 };
        // The first bytes matter only where a body is longer than them, and then only if it may have been cut:
        // a long body captured whole may have to be compared with one that was cut.
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        let head = match body.captured.get(..HEAD) {
            Some(head) if body.size > HEAD as u64 => (hash(head) as u32).max(1),
            _ => 0,
        };
        Self { size, head, whole }
    }

    /// Whether the body has `size` bytes.
    pub(super) fn has_size(self, size: u64) -> bool {
        self.size == u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Compares with another.
    pub(super) fn compare(self, other: Self) -> Likeness {
        if self.size != other.size {
            Likeness::Different
        } else if self.whole != 0 && other.whole != 0 {
            if self.whole == other.whole { Likeness::Same } else { Likeness::Different }
        } else if self.head != 0 && other.head != 0 {
            if self.head == other.head { Likeness::Same } else { Likeness::Different }
        } else {
            Likeness::Alike
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    broker: u32,
    destination: Arc<str>,
}

#[derive(Hash)]
struct Name<'a> {
    broker: u32,
    destination: &'a str,
}

impl Equivalent<Key> for Name<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.broker == key.broker && *self.destination == *key.destination
    }
}

/// The message that a broker keeps for a destination.
struct Retained {
    node: Handle,
    print: Print,
}

/// One destination of one broker.
#[derive(Default)]
struct Topic {
    /// What the broker was seen to read, in its order.
    routed: Lane,
    /// What clients were seen to send and the broker was not seen to read (yet), in the order of sending.
    sent: Option<Box<Lane>>,
    retained: Option<Retained>,
    /// The broker was seen to acknowledge what is published there.
    acknowledged: bool,
}

/// A publish that a delivery came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) publish: Handle,
    pub(super) ambiguous: bool,
}

/// Whose cursor: who gets each message once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    /// A subscriber, or one of its subscriptions.
    One(u32, Option<u64>),
    /// A queue or group of the broker, whoever takes from it.
    All(u64),
}

impl Reader {
    pub(super) fn of(subscriber: u32, feed: Feed) -> Self {
        match feed {
            Feed::Client => Self::One(subscriber, None),
            Feed::Subscription(number) => Self::One(subscriber, Some(number)),
            Feed::Shared(number) => Self::All(number),
        }
    }
}

/// What is known of a delivery whose publish is sought.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Subscriber.
    pub(super) subscriber: u32,
    pub(super) reader: Reader,
    pub(super) print: Print,
    pub(super) at: Timestamp,
    /// When it subscribed to this destination, if that was seen.
    pub(super) since: Option<Timestamp>,
    /// Whether several of its subscriptions cover the destination: `None` if its subscriptions are not known.
    pub(super) overlapping: Option<bool>,
    pub(super) retained: bool,
    /// Whether it may be one that the broker kept, although nothing says so (MQTT 5's "retain as published").
    pub(super) may_be_retained: bool,
    pub(super) redelivered: bool,
    /// What the broker or the publisher calls it.
    pub(super) id: Option<&'a Arc<str>>,
}

/// All destinations.
pub(super) struct Topics {
    table: Table<Key, Topic>,
}

impl Default for Topics {
    fn default() -> Self {
        Self { table: Table::new(MAX_TOPICS) }
    }
}

impl Topics {
    fn enter(&mut self, broker: u32, destination: &Arc<str>, evicted: &mut u64) -> u32 {
        if let Some(slot) = self.table.find(&Name { broker, destination }) {
            return slot;
        }
        let (slot, old) =
            self.table.insert(Key { broker, destination: destination.clone() }, Topic::default());
        *evicted += u64::from(old.is_some());
        slot
    }

    /// A client was seen to send `node`. Returns the topic's slot.
    pub(super) fn sent(
        &mut self,
        broker: u32,
        message: &Message,
        node: Handle,
        at: Timestamp,
        nodes: &Nodes,
        evicted: &mut u64,
    ) -> u32 {
        let slot = self.enter(broker, &message.destination, evicted);
        let print = nodes.get(node).map(|node| node.print).unwrap_or_default();
        if let Some(topic) = self.table.get_mut(slot) {
            let lane = topic.sent.get_or_insert_default();
            // What the broker was seen to read in the meantime is in the other lane.
            lane.trim(|entry| nodes.get(entry).is_none_or(|node| node.routed.is_some()));
            lane.push(node, print, at);
            topic.keep(message, node, print);
        }
        slot
    }

    /// The broker was seen to have read `node`, or to publish it itself (a last will). Returns the topic's slot.
    pub(super) fn routed(
        &mut self,
        broker: u32,
        message: &Message,
        node: Handle,
        at: Timestamp,
        nodes: &Nodes,
        evicted: &mut u64,
    ) -> u32 {
        let slot = self.enter(broker, &message.destination, evicted);
        let print = nodes.get(node).map(|node| node.print).unwrap_or_default();
        if let Some(topic) = self.table.get_mut(slot) {
            if let Some(lane) = &mut topic.sent {
                lane.trim(|entry| nodes.get(entry).is_none_or(|node| node.routed.is_some()));
            }
            topic.routed.trim(|entry| nodes.get(entry).is_none());
            topic.routed.push(node, print, at);
            topic.keep(message, node, print);
        }
        slot
    }

    /// The broker acknowledged a publish of the topic in `slot`.
    pub(super) fn acknowledge(&mut self, slot: u32) {
        if let Some(topic) = self.table.get_mut(slot) {
            topic.acknowledged = true;
        }
    }

    /// Whether the broker acknowledges what is published to `destination`, as far as it was seen.
    pub(super) fn acknowledges(&mut self, broker: u32, destination: &str) -> bool {
        let slot = self.table.find(&Name { broker, destination });
        slot.and_then(|slot| self.table.get_mut(slot)).is_some_and(|topic| topic.acknowledged)
    }

    /// A publish of the topic in `slot` was forgotten.
    pub(super) fn trim(&mut self, slot: u32, nodes: &Nodes) {
        if let Some(topic) = self.table.get_mut(slot) {
            topic.routed.trim(|entry| nodes.get(entry).is_none());
            if let Some(lane) = &mut topic.sent {
                lane.trim(|entry| nodes.get(entry).is_none());
            }
        }
    }

    /// The publish that a delivery came from.
    pub(super) fn find(
        &mut self,
        broker: u32,
        destination: &str,
        wanted: &Wanted<'_>,
        nodes: &Nodes,
        evicted: &mut u64,
    ) -> Option<Match> {
        let slot = self.table.find(&Name { broker, destination })?;
        let topic = self.table.get_mut(slot)?;
        if wanted.retained {
            let kept = topic.retained.as_ref()?;
            let likeness = kept.print.compare(wanted.print);
            return (likeness != Likeness::Different && nodes.get(kept.node).is_some())
                .then_some(Match { publish: kept.node, ambiguous: likeness == Likeness::Alike });
        }
        *evicted += u64::from(topic.routed.is_behind(wanted.reader));
        // One that the broker has given another name is another message. To those who do not read from the log (NATS's plain
        // subscribers) it names none.
        let own =
            |node: &Node| node.given.is_none() || wanted.id.is_none() || node.given.as_ref() == wanted.id;
        let alive = |node: Handle| nodes.get(node).is_some_and(own);
        if let Some(found) = topic.routed.find(wanted, alive) {
            return Some(found);
        }
        let waiting = |node: Handle| nodes.get(node).is_some_and(|node| node.routed.is_none() && own(node));
        if let Some(found) = topic.sent.as_mut().and_then(|lane| lane.find(wanted, waiting)) {
            return Some(found);
        }
        let kept = topic.retained.as_ref().filter(|_| wanted.may_be_retained)?;
        let is_same = kept.print.compare(wanted.print) == Likeness::Same && alive(kept.node);
        is_same.then_some(Match { publish: kept.node, ambiguous: false })
    }
}

impl Topic {
    fn keep(&mut self, message: &Message, node: Handle, print: Print) {
        if message.retain {
            // An empty retained message removes what was kept (MQTT 3.1.1 section 3.3.1.3).
            self.retained = (message.body.size > 0).then_some(Retained { node, print });
        }
    }
}

/// Deliveries that were not settled yet, by subscriber and settle id: what a redelivery repeats.
#[derive(Default)]
pub(super) struct Unsettled(HashMap<(u32, u64), (Handle, Print)>);

/// Most of them: an MQTT client has at most 65,535, most have 20.
const MAX_UNSETTLED: usize = 65_536;

impl Unsettled {
    pub(super) fn insert(&mut self, subscriber: u32, id: u64, publish: Handle, print: Print) -> bool {
        if self.0.len() >= MAX_UNSETTLED && !self.0.contains_key(&(subscriber, id)) {
            return false;
        }
        self.0.insert((subscriber, id), (publish, print));
        true
    }

    pub(super) fn find(&self, subscriber: u32, id: u64, print: Print) -> Option<Handle> {
        let &(publish, was) = self.0.get(&(subscriber, id))?;
        (was.compare(print) != Likeness::Different).then_some(publish)
    }

    pub(super) fn remove(&mut self, subscriber: u32, id: u64) {
        self.0.remove(&(subscriber, id));
    }

    pub(super) fn retain(&mut self, alive: impl Fn(Handle) -> bool) {
        self.0.retain(|_, (publish, _)| alive(*publish));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_compare_what_was_captured() {
        use crate::model::payload::Payload;
        let of = |bytes: Vec<u8>, size: u64| {
            Print::of(&Message { body: Payload { captured: bytes.into(), size }, ..Message::default() })
        };
        let long: Vec<u8> = (0..200).collect();
        let whole = of(long.clone(), 200);
        let cut = of(long[..150].to_vec(), 200);
        let tiny = of(long[..10].to_vec(), 200);
        let mut other = long.clone();
        other[0] = 77;
        assert_eq!(whole.compare(whole), Likeness::Same);
        assert_eq!(whole.compare(cut), Likeness::Same);
        assert_eq!(whole.compare(tiny), Likeness::Alike);
        assert_eq!(whole.compare(of(other.clone(), 200)), Likeness::Different);
        assert_eq!(cut.compare(of(other, 200)), Likeness::Different);
        assert_eq!(whole.compare(of(long[..199].to_vec(), 199)), Likeness::Different);
    }
}
