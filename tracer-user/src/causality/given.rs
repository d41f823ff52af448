//! Through the broker by its own identity: the offset, entry id or sequence that it gives a publish and shows with each delivery.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::node::Handle;

/// Most identities that are remembered: as many publishes as are kept after their span went out, and those under way.
const MAX_GIVEN: usize = 65_536;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    broker: u32,
    id: Arc<str>,
}

#[derive(Hash)]
struct Name<'a> {
    broker: u32,
    id: &'a str,
}

impl Equivalent<Key> for Name<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.broker == key.broker && *self.id == *key.id
    }
}

/// Publishes by the identity that their broker gave them.
#[derive(Default)]
pub(super) struct Given {
    publishes: HashMap<Key, Handle>,
    /// In the order of coming.
    order: VecDeque<Key>,
}

impl Given {
    /// `broker` calls `publish` `id`; whether another one had to make room for that.
    pub(super) fn insert(&mut self, broker: u32, id: Arc<str>, publish: Handle) -> bool {
        let key = Key { broker, id };
        // The second view of an answer says what the first one said.
        if self.publishes.insert(key.clone(), publish).is_some() {
            return false;
        }
        self.order.push_back(key);
        let full = self.order.len() > MAX_GIVEN;
        if full && let Some(oldest) = self.order.pop_front() {
            self.publishes.remove(&oldest);
        }
        full
    }

    /// The publish that `broker` calls `id`.
    pub(super) fn find(&self, broker: u32, id: &str) -> Option<Handle> {
        self.publishes.get(&Name { broker, id }).copied()
    }
}
