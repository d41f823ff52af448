//! A priority queue for what comes nearly in order, as events and due times do.
//!
//! A heap moves entries up and down its whole height for each one that passes; what comes in order needs none of that.
//! So entries are laid out in a few *lanes* that are each in order: a new one goes behind the lane whose last entry is the
//! nearest before it. What fits behind none goes to a heap, which bounds the cost of any order of arrival.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

/// Number of lanes: events of programs, brokers and clients, and due times of each kind, run beside each other. Each is
/// looked at for each entry.
const LANES: usize = 4;

/// Entries for which a lane keeps its room.
const SPARE: usize = 4096;

/// What fits behind no lane.
struct Stray<K, T> {
    key: K,
    value: Box<T>,
}

impl<K: Ord, T> PartialEq for Stray<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Ord, T> Eq for Stray<K, T> {}

impl<K: Ord, T> PartialOrd for Stray<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, T> Ord for Stray<K, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// The queue: the least key first. Keys are unique, so the order of what comes out does not depend on the lanes.
pub(super) struct Nearly<K, T> {
    lanes: [VecDeque<(K, T)>; LANES],
    strays: BinaryHeap<Reverse<Stray<K, T>>>,
    len: usize,
}

impl<K, T> Default for Nearly<K, T>
where
    K: Ord,
{
    fn default() -> Self {
        Self { lanes: std::array::from_fn(|_| VecDeque::new()), strays: BinaryHeap::new(), len: 0 }
    }
}

impl<K: Ord + Copy, T> Nearly<K, T> {
    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, key: K, value: T) {
        self.len += 1;
        let mut place: Option<(usize, Option<K>)> = None;
        for (index, lane) in self.lanes.iter().enumerate() {
            let last = lane.back().map(|(last, _)| *last);
            // An empty lane is the last choice: it is kept for what fits nowhere else.
            if last.is_none_or(|last| last <= key) && place.is_none_or(|(_, best)| last > best) {
                place = Some((index, last));
            }
        }
        match place.and_then(|(index, _)| self.lanes.get_mut(index)) {
            Some(lane) => lane.push_back((key, value)),
            None => self.strays.push(Reverse(Stray { key, value: Box::new(value) })),
        }
    }

    /// The lane whose front is the least, `None` if there is nothing or the least is a stray; and its key.
    fn first(&self) -> Option<(Option<usize>, K)> {
        let mut first = self.strays.peek().map(|Reverse(stray)| (None, stray.key));
        for (index, lane) in self.lanes.iter().enumerate() {
            if let Some((key, _)) = lane.front()
                && first.is_none_or(|(_, least)| *key < least)
            {
                first = Some((Some(index), *key));
            }
        }
        first
    }

    /// Takes the entry with the least key, if `wanted` says so of that.
    pub(super) fn pop_if(&mut self, wanted: impl FnOnce(&K) -> bool) -> Option<(K, T)> {
        let (lane, key) = self.first()?;
        if !wanted(&key) {
            return None;
        }
        self.len -= 1;
        match lane.and_then(|index| self.lanes.get_mut(index)) {
            Some(lane) => {
                let entry = lane.pop_front();
                // After a flood. Rarely: it has to fall to an eighth first.
                if lane.capacity() > SPARE && lane.len() < lane.capacity() / 8 {
                    lane.shrink_to(lane.capacity() / 4);
                }
                entry
            }
            None => self.strays.pop().map(|Reverse(stray)| (stray.key, *stray.value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(queue: &mut Nearly<u64, u64>) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop_if(|_| true)).map(|(key, _)| key).collect()
    }

    #[test]
    fn whatever_goes_in_comes_out_in_order() {
        proptest::proptest!(|(keys in proptest::collection::hash_set(0u64..10_000, 0..300), taken in 0usize..20)| {
            let mut queue = Nearly::default();
            let mut expected: std::collections::BTreeSet<u64> = std::collections::BTreeSet::new();
            for (index, &key) in keys.iter().enumerate() {
                queue.push(key, key + 1);
                expected.insert(key);
                // Now and then some are taken in between.
                if index % 20 < taken {
                    let popped = queue.pop_if(|_| true);
                    proptest::prop_assert_eq!(popped.map(|(key, _)| key), expected.pop_first());
                    proptest::prop_assert_eq!(popped.map(|(key, value)| value - key), Some(1));
                }
                proptest::prop_assert_eq!(queue.len(), expected.len());
            }
            proptest::prop_assert_eq!(drained(&mut queue), expected.into_iter().collect::<Vec<_>>());
        });
    }

    #[test]
    fn what_is_not_wanted_stays() {
        let mut queue = Nearly::default();
        for key in [5, 4, 3, 2, 1, 0] {
            queue.push(key, key);
        }
        // More runs than lanes: the last ones are strays.
        assert_eq!(queue.strays.len(), 2);
        assert_eq!(queue.pop_if(|key| *key > 0), None);
        assert_eq!(drained(&mut queue), [0, 1, 2, 3, 4, 5]);
    }
}
