//! Topic aliases (MQTT 5, section 3.3.2.3.4): numbers that stand for topics named before, in one direction of one connection.

use std::sync::Arc;

use hashbrown::HashMap;

/// What the topics of one direction may take together, with [`ENTRY`] for each. There may be 65,535 aliases with topics of 64
/// KiB each; programs use tens, brokers allow 10 (Mosquitto) to 65,535.
const BYTES: usize = 256 * 1024;

/// What an alias costs beside its topic: its place in the table and the topic's counters.
const ENTRY: usize = 64;

/// The aliases of one direction.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    topics: HashMap<u16, Arc<str>>,
    bytes: usize,
}

impl Aliases {
    /// From now on `alias` stands for `topic`. If there is no room it stands for nothing: what it stood for before is
    /// no longer true.
    pub(super) fn define(&mut self, alias: u16, topic: &Arc<str>) {
        if let Some(old) = self.topics.remove(&alias) {
            self.bytes = self.bytes.saturating_sub(old.len() + ENTRY);
        }
        if self.bytes + topic.len() + ENTRY <= BYTES {
            self.bytes += topic.len() + ENTRY;
            self.topics.insert(alias, Arc::clone(topic));
        }
    }

    /// What `alias` stands for, if its definition was seen.
    pub(super) fn topic(&self, alias: u16) -> Option<Arc<str>> {
        self.topics.get(&alias).cloned()
    }

    /// Something was not seen that may have given aliases another meaning.
    pub(super) fn forget(&mut self) {
        self.topics.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_and_never_answers_with_what_is_no_longer_true() {
        let mut aliases = Aliases::default();
        let long: Arc<str> = "x".repeat(60_000).into();
        for alias in 1..=u16::MAX {
            aliases.define(alias, &long);
        }
        assert!(aliases.bytes <= BYTES && aliases.topics.len() == 4);
        // Defined anew, but without room.
        aliases.define(1, &"y".repeat(65_000).into());
        assert!(aliases.topic(1).is_none_or(|topic| topic.starts_with('y')));
        aliases.forget();
        for alias in 1..=u16::MAX {
            aliases.define(alias, &"t".into());
        }
        assert!(aliases.bytes <= BYTES);
        assert_eq!(aliases.topic(1).as_deref(), Some("t"));
        assert_eq!(aliases.topic(u16::MAX), None);
    }
}
