//! Consumers of whom is known how their messages are acknowledged, and what waits for that where one acknowledgement is
//! meant for many.

use std::collections::BTreeMap;

use hashbrown::HashMap;

/// Most consumers without acknowledgement, or with one for all before it, that are remembered.
pub(super) const MAX_CONSUMERS: usize = 1024;

/// Most deliveries of a consumer that wait for an acknowledgement: the server lets 1000 wait by default (`max_ack_pending`).
pub(super) const MAX_WAITING: usize = 4096;

/// Most of all consumers of a connection, 40 bytes each.
const MAX_WAITING_ALL: usize = 65_536;

/// How a consumer's messages are acknowledged (its `ack_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Not at all.
    None,
    /// Each for itself; so also where it is not known.
    Explicit,
    /// Each with all before it.
    All,
}

#[derive(Debug)]
enum Known {
    Silent,
    /// Settle ids by number in the stream.
    Waiting(BTreeMap<u64, u64>),
}

/// The consumers of a connection whose messages are not acknowledged each for itself.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    consumers: HashMap<u64, Known>,
    waiting: usize,
}

impl Unsettled {
    /// The server told of a consumer.
    pub(super) fn learn(&mut self, consumer: u64, policy: Policy) {
        let fits = matches!(
            (policy, self.consumers.get(&consumer)),
            (Policy::None, Some(Known::Silent)) | (Policy::All, Some(Known::Waiting(_)))
        );
        if fits {
            return;
        }
        if let Some(Known::Waiting(waiting)) = self.consumers.remove(&consumer) {
            self.waiting = self.waiting.saturating_sub(waiting.len());
        }
        let known = match policy {
            Policy::None => Known::Silent,
            Policy::All => Known::Waiting(BTreeMap::new()),
            Policy::Explicit => return,
        };
        if self.consumers.len() >= MAX_CONSUMERS {
            self.consumers.clear();
            self.waiting = 0;
        }
        self.consumers.insert(consumer, known);
    }

    /// The message of that number comes; whether it is to be acknowledged.
    pub(super) fn delivered(&mut self, consumer: u64, sequence: u64, id: u64) -> bool {
        let waiting = match self.consumers.get_mut(&consumer) {
            Some(Known::Waiting(waiting)) => waiting,
            Some(Known::Silent) => return false,
            None => return true,
        };
        if waiting.len() >= MAX_WAITING || self.waiting >= MAX_WAITING_ALL {
            self.waiting = self.waiting.saturating_sub(usize::from(waiting.pop_first().is_some()));
        }
        if self.waiting < MAX_WAITING_ALL {
            // One that comes again has another id, and the old one means nothing any more.
            self.waiting += usize::from(waiting.insert(sequence, id).is_none());
        }
        true
    }

    /// The message of that number is settled as `id`, `with_earlier` if it is acknowledged: what is thereby settled, the
    /// one that is named last.
    pub(super) fn settled(&mut self, consumer: u64, sequence: u64, id: u64, with_earlier: bool) -> Vec<u64> {
        let mut ids = Vec::new();
        if let Some(Known::Waiting(waiting)) = self.consumers.get_mut(&consumer) {
            let before = waiting.len();
            waiting.remove(&sequence);
            while with_earlier
                && let Some(first) = waiting.first_entry().filter(|first| *first.key() < sequence)
            {
                ids.push(first.remove());
            }
            self.waiting = self.waiting.saturating_sub(before - waiting.len());
        }
        ids.push(id);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_acknowledgement_for_all_before() {
        let mut unsettled = Unsettled::default();
        unsettled.learn(1, Policy::All);
        unsettled.learn(2, Policy::Explicit);
        unsettled.learn(3, Policy::None);
        let mut deliver = |consumer, sequence, id| unsettled.delivered(consumer, sequence, id);
        assert!((1..=6).all(|sequence| deliver(1, sequence, 10 + sequence)));
        assert!((1..=3).all(|sequence| deliver(2, sequence, 20 + sequence)));
        assert!(!deliver(3, 1, 31));
        // The second comes again.
        assert!(deliver(1, 2, 18));
        unsettled.learn(1, Policy::All);
        assert_eq!(unsettled.settled(1, 3, 13, true), [11, 18, 13]);
        assert_eq!(unsettled.settled(1, 3, 13, true), [13]);
        // A refusal is for itself.
        assert_eq!(unsettled.settled(1, 5, 15, false), [15]);
        assert_eq!(unsettled.settled(1, 6, 16, true), [14, 16]);
        assert_eq!(unsettled.settled(2, 3, 23, true), [23]);
        assert_eq!(unsettled.settled(9, 3, 93, true), [93]);
        assert_eq!(unsettled.waiting, 0);
    }

    #[test]
    fn what_waits_is_bounded_and_counted() {
        let mut unsettled = Unsettled::default();
        for consumer in 0..40 {
            unsettled.learn(consumer, Policy::All);
            for sequence in 0..2 * MAX_WAITING as u64 {
                unsettled.delivered(consumer, sequence, sequence);
            }
        }
        assert_eq!(unsettled.waiting, MAX_WAITING_ALL);
        let held = |known: &Known| matches!(known, Known::Waiting(waiting) if waiting.len() <= MAX_WAITING);
        assert!(unsettled.consumers.values().all(held));
        for consumer in 0..40 {
            unsettled.learn(consumer, if consumer % 2 == 0 { Policy::None } else { Policy::Explicit });
        }
        assert_eq!(unsettled.waiting, 0);
        for consumer in 0..2 * MAX_CONSUMERS as u64 {
            unsettled.learn(consumer, Policy::None);
        }
        assert!(unsettled.consumers.len() <= MAX_CONSUMERS);
    }
}
