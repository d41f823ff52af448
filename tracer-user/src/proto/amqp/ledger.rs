//! What is to be answered on a connection: publishes by the broker, deliveries by the client.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Publishes, and deliveries, that are remembered until they are answered, of all channels together: more than clients let
/// wait. About 4 MB at most.
pub(super) const OUTSTANDING: usize = 65_535;

/// Bits of a settle id that hold a delivery tag or a publish's number; the channel is above. Both count from 1 on each
/// channel (sections 1.8.3.13 and confirms), which no program carries so far.
const TAG_BITS: u32 = 48;

/// Greatest tag that a settle id can hold.
const TAG_MAX: u64 = (1 << TAG_BITS) - 1;

/// The settle id, unique on a connection, of a delivery tag or a publish's number on a channel.
pub(super) fn id(channel: u16, tag: u64) -> u64 {
    u64::from(channel) << TAG_BITS | tag.min(TAG_MAX)
}

/// A publish that the broker has not answered, as far as is known.
#[derive(Debug)]
struct Sent {
    kind: SentKind,
    /// How often bytes had been missed until then; `None` if its answer may have been seen before.
    epoch: Option<u32>,
}

#[derive(Debug)]
enum SentKind {
    /// If the broker cannot route it, it does not say so.
    Plain,
    /// The broker returns it if it cannot route it: destination and size of the body.
    Mandatory(Arc<str>, u64),
    /// The broker did; what it says next means nothing.
    Returned,
}

/// Both accounts, by settle id.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    publishes: BTreeMap<u64, Sent>,
    deliveries: BTreeSet<u64>,
    /// How often bytes were missed: any publish before may have been answered.
    epoch: u32,
}

impl Ledger {
    /// A publish goes out that is to be answered. `late`: it had to wait for bytes before it, and what the broker said
    /// meanwhile was seen first.
    pub(super) fn sent(&mut self, id: u64, late: bool) {
        if self.publishes.len() >= OUTSTANDING {
            self.publishes.pop_first();
        }
        self.publishes.insert(id, Sent { kind: SentKind::Plain, epoch: (!late).then_some(self.epoch) });
    }

    /// The same publish comes back if nobody wants it.
    pub(super) fn mandatory(&mut self, id: u64, destination: &Arc<str>, size: u64) {
        if let Some(sent) = self.publishes.get_mut(&id) {
            sent.kind = SentKind::Mandatory(Arc::clone(destination), size);
        }
    }

    /// A message came back: the oldest publish that it can be, if it was to be answered.
    pub(super) fn returned(&mut self, channel: u16, destination: &str, size: u64) -> Option<u64> {
        let mut sent = self.publishes.range_mut(id(channel, 0)..=id(channel, TAG_MAX));
        let (&id, sent) = sent.find(|(_, sent)| {
            matches!(&sent.kind, SentKind::Mandatory(known, bytes) if **known == *destination && *bytes == size)
        })?;
        sent.kind = SentKind::Returned;
        Some(id)
    }

    /// Bytes were missed, answers or what they answer perhaps among them.
    pub(super) fn torn(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// The broker answers a publish, or with `multiple` all up to it (all there are, if `tag` is 0).
    pub(super) fn answered(&mut self, channel: u16, tag: u64, multiple: bool, mut each: impl FnMut(u64)) {
        let last = if multiple && tag == 0 { id(channel, TAG_MAX) } else { id(channel, tag) };
        let first = if multiple { id(channel, 0) } else { last };
        let mut seen = false;
        self.end(first..=last, |id, sent| {
            seen |= id == last;
            if !matches!(sent.kind, SentKind::Returned) {
                each(id);
            }
        });
        // Nobody saw it go out: the other end may have.
        if !seen && tag != 0 {
            each(last);
        }
    }

    /// The publishes of a channel from one number to another are not to be: `each` is told of those that were not
    /// answered otherwise.
    pub(super) fn taken_back(&mut self, channel: u16, from: u64, to: u64, each: impl FnMut(u64)) {
        self.close_range(id(channel, from)..=id(channel, to), each);
    }

    /// The channel ends: `each` is told of the publishes to which no answer will come.
    pub(super) fn close(&mut self, channel: u16, each: impl FnMut(u64)) {
        self.close_range(id(channel, 0)..=id(channel, TAG_MAX), each);
        self.forget_deliveries(channel);
    }

    /// The connection ends: the same of all channels.
    pub(super) fn close_all(&mut self, each: impl FnMut(u64)) {
        self.close_range(0..=u64::MAX, each);
        self.deliveries.clear();
    }

    fn close_range(&mut self, range: RangeInclusive<u64>, mut each: impl FnMut(u64)) {
        let epoch = self.epoch;
        self.end(range, |id, sent| {
            if sent.epoch == Some(epoch) && !matches!(sent.kind, SentKind::Returned) {
                each(id);
            }
        });
    }

    fn end(&mut self, range: RangeInclusive<u64>, mut each: impl FnMut(u64, Sent)) {
        while let Some((&id, _)) = self.publishes.range(range.clone()).next() {
            if let Some(sent) = self.publishes.remove(&id) {
                each(id, sent);
            }
        }
    }

    /// A delivery comes that is to be settled.
    pub(super) fn delivered(&mut self, id: u64) {
        if self.deliveries.len() >= OUTSTANDING {
            self.deliveries.pop_first();
        }
        self.deliveries.insert(id);
    }

    /// The client settles a delivery, or with `multiple` all up to it (all there are, if `tag` is 0).
    pub(super) fn settled(&mut self, channel: u16, tag: u64, multiple: bool) -> Vec<u64> {
        let last = if multiple && tag == 0 { id(channel, TAG_MAX) } else { id(channel, tag) };
        let mut ids = Vec::new();
        if multiple {
            while let Some(&id) = self.deliveries.range(id(channel, 0)..=last).next() {
                self.deliveries.remove(&id);
                ids.push(id);
            }
        } else {
            self.deliveries.remove(&last);
        }
        // The one that is named was delivered, seen or not.
        if tag != 0 && ids.last() != Some(&last) {
            ids.push(last);
        }
        ids
    }

    /// The deliveries of a channel will not be settled: it ends, or they come again.
    pub(super) fn forget_deliveries(&mut self, channel: u16) {
        let all = id(channel, 0)..=id(channel, TAG_MAX);
        while let Some(&id) = self.deliveries.range(all.clone()).next() {
            self.deliveries.remove(&id);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.publishes.len(), self.deliveries.len())
    }
}
