//! A bounded map: when it is full, an entry that was not used for a while makes room.
//!
//! Second chance (clock): each use marks an entry, the hand unmarks as it passes and takes the first unmarked one.
//! Unlike a sweep this costs the same for every insertion.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

struct Slot<K, V> {
    key: K,
    value: V,
    used: bool,
}

/// The map. Slot numbers stay valid until their entry makes room.
pub(super) struct Table<K, V> {
    index: HashMap<K, u32>,
    slots: Vec<Slot<K, V>>,
    hand: usize,
    bound: usize,
}

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    /// An empty map for at most `bound` entries.
    pub(super) fn new(bound: usize) -> Self {
        Self { index: HashMap::new(), slots: Vec::new(), hand: 0, bound }
    }

    /// The slot of `key`, marked as used.
    pub(super) fn find<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q) -> Option<u32> {
        let slot = *self.index.get(key)?;
        self.slots.get_mut(slot as usize)?.used = true;
        Some(slot)
    }

    /// Adds an entry that is not there yet; returns its slot and what made room for it.
    pub(super) fn insert(&mut self, key: K, value: V) -> (u32, Option<V>) {
        if self.slots.len() < self.bound.min(u32::MAX as usize) {
            let slot = u32::try_from(self.slots.len()).expect("bounded above");
            self.index.insert(key.clone(), slot);
            self.slots.push(Slot { key, value, used: true });
            return (slot, None);
        }
        // Two rounds: the first may only unmark.
        for _ in 0..self.slots.len().saturating_mul(2) {
            self.hand = if self.hand + 1 >= self.slots.len() { 0 } else { self.hand + 1 };
            if self.slots.get_mut(self.hand).is_some_and(|slot| !std::mem::take(&mut slot.used)) {
                break;
            }
        }
        let slot = u32::try_from(self.hand).expect("bounded above");
        let place = self.slots.get_mut(self.hand).expect("the hand stays inside of a table that is full");
        self.index.remove(&place.key);
        self.index.insert(key.clone(), slot);
        let old = std::mem::replace(place, Slot { key, value, used: true });
        (slot, Some(old.value))
    }

    pub(super) fn get(&self, slot: u32) -> Option<&V> {
        self.slots.get(slot as usize).map(|slot| &slot.value)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut V> {
        self.slots.get_mut(slot as usize).map(|slot| &mut slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_room_by_dropping_what_was_not_used() {
        let mut table = Table::new(3);
        for key in ["a", "b", "c"] {
            table.insert(key, key);
        }
        // All are marked as fresh: the first round unmarks them, then the first goes.
        let (_, gone) = table.insert("d", "d");
        let gone = gone.unwrap();
        let kept: Vec<_> = ["a", "b", "c"].into_iter().filter(|key| *key != gone).collect();
        table.find(kept[0]).unwrap();
        let (_, second) = table.insert("e", "e");
        assert_eq!(second, Some(kept[1]), "the used entry stays");
        assert!(table.find(gone).is_none());
        assert!(table.find("e").is_some());
    }
}
