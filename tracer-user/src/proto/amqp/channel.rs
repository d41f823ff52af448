//! Channels, and who consumes on them.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

/// Most channels that are remembered. RabbitMQ allows 2047 unless told otherwise.
const CHANNELS: usize = 2048;

/// Most consumers that are remembered on all channels: a program has one for each queue or thread. About 2 MB at most.
const CONSUMERS: usize = 4096;

/// Most requests whose answer is awaited on all channels: clients wait for one before they make the next.
const REQUESTS: usize = 256;

/// Deliveries of an unknown consumer in a row that were not settled, from which on it is taken for one that settles none
/// (`no-ack`). Those that settle many at once do it more often, and are believed from then on.
const PATIENCE: u32 = 16;

/// What is known of a channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The number of the next publish, if publishes are answered: confirmed one by one, or committed together.
    next: Option<u64>,
    /// The first publish since the client last asked for a commit or a rollback; 0 if it did not.
    since: u64,
    /// The last publish that the client asked to be committed.
    committing: Option<u64>,
    /// First and last of the publishes that it asked to be rolled back.
    rolling_back: Option<(u64, u64)>,
    /// The queue that was last declared: an empty name means it (sections 1.8.3.3 and 1.8.3.10).
    queue: Option<Arc<str>>,
    /// A delivery was settled.
    settles: bool,
    /// Deliveries of unknown consumers since none was.
    unsettled: u32,
}

impl Channel {
    /// Publishes are answered from here on, counted from 1.
    pub(super) fn count(&mut self) {
        self.next.get_or_insert(1);
    }

    /// A publish goes out: its number, if it is to be answered and none before it was missed.
    pub(super) fn publish(&mut self) -> Option<u64> {
        let number = self.next?;
        self.next = Some(number.saturating_add(1));
        Some(number)
    }

    /// The client asks for the publishes so far to be committed, or rolled back.
    pub(super) fn end_transaction(&mut self, commit: bool) {
        let Some(next) = self.next else { return };
        let (first, last) = (self.since.max(1), next.saturating_sub(1));
        self.since = next;
        if commit {
            self.committing = Some(last);
        } else {
            self.rolling_back = Some((first, last));
        }
    }

    /// The last publish that was committed, if there were any.
    pub(super) fn committed(&mut self) -> Option<u64> {
        self.committing.take().filter(|last| *last > 0)
    }

    /// First and last of the publishes that were rolled back, if there were any.
    pub(super) fn rolled_back(&mut self) -> Option<(u64, u64)> {
        self.rolling_back.take().filter(|(first, last)| first <= last)
    }

    /// A queue was declared.
    pub(super) fn declared(&mut self, queue: Arc<str>) {
        self.queue = Some(queue);
    }

    /// The queue that an empty name means.
    pub(super) fn last_declared(&self) -> Option<Arc<str>> {
        self.queue.clone()
    }

    /// A delivery was settled.
    pub(super) fn settled(&mut self) {
        self.settles = true;
    }

    /// An unknown consumer got a delivery: whether it will settle it.
    pub(super) fn will_settle(&mut self) -> bool {
        self.unsettled = self.unsettled.saturating_add(1);
        self.settles || self.unsettled <= PATIENCE
    }

    /// Whether one was settled.
    pub(super) fn settles(&self) -> bool {
        self.settles
    }
}

/// What is known of a consumer, or of a `basic.get`.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) queue: Option<Arc<str>>,
    /// Its deliveries are not settled.
    pub(super) no_ack: bool,
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// `basic.consume` without a tag: the answer has one.
    Consume,
    /// `basic.get`.
    Get,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tag {
    channel: u16,
    tag: Box<str>,
}

struct TagRef<'a>(u16, &'a str);

impl Hash for TagRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the derived one of `Tag`.
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Tag> for TagRef<'_> {
    fn equivalent(&self, key: &Tag) -> bool {
        self.0 == key.channel && *self.1 == *key.tag
    }
}

/// All channels of a connection.
#[derive(Debug, Default)]
pub(super) struct Channels {
    known: HashMap<u16, Channel>,
    consumers: HashMap<Tag, Consumer>,
    requests: VecDeque<(u16, Request, Consumer)>,
}

impl Channels {
    /// A channel, which may have been opened before anybody looked.
    pub(super) fn get(&mut self, channel: u16) -> &mut Channel {
        if self.known.len() >= CHANNELS && !self.known.contains_key(&channel) {
            self.known.clear();
        }
        self.known.entry(channel).or_default()
    }

    /// A channel begins or ends.
    pub(super) fn forget(&mut self, channel: u16) {
        self.known.remove(&channel);
        self.consumers.retain(|tag, _| tag.channel != channel);
        self.requests.retain(|(asked, ..)| *asked != channel);
    }

    /// Something was missed that the client may have sent (`to_server`) or received.
    pub(super) fn torn(&mut self, to_server: bool) {
        // Requests and answers no longer pair.
        self.requests.clear();
        if to_server {
            // Publishes may have been missed, so that the others' numbers are not known.
            for channel in self.known.values_mut() {
                channel.next = None;
                channel.committing = None;
                channel.rolling_back = None;
            }
        }
    }

    /// A consumer begins.
    pub(super) fn consume(&mut self, channel: u16, tag: &str, consumer: Consumer) {
        if self.consumers.len() >= CONSUMERS {
            self.consumers.clear();
        }
        self.consumers.insert(Tag { channel, tag: tag.into() }, consumer);
    }

    /// The consumer of a tag.
    pub(super) fn consumer(&self, channel: u16, tag: &str) -> Option<&Consumer> {
        self.consumers.get(&TagRef(channel, tag))
    }

    /// A consumer ends.
    pub(super) fn cancel(&mut self, channel: u16, tag: &str) {
        self.consumers.remove(&TagRef(channel, tag));
    }

    /// The client asks for something.
    pub(super) fn ask(&mut self, channel: u16, request: Request, consumer: Consumer) {
        if self.requests.len() >= REQUESTS {
            self.requests.clear();
        }
        self.requests.push_back((channel, request, consumer));
    }

    /// It is answered: answers of a channel come in the order of its requests.
    pub(super) fn answer(&mut self, channel: u16, request: Request) -> Option<Consumer> {
        let index =
            self.requests.iter().position(|(asked, what, _)| *asked == channel && *what == request)?;
        self.requests.remove(index).map(|(.., consumer)| consumer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize, usize) {
        (self.known.len(), self.consumers.len(), self.requests.len())
    }
}
