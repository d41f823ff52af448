//! Topics of one connection, each held once.

use std::sync::Arc;

use hashbrown::HashSet;

/// Topics remembered. Most programs use a handful; one that names its messages by time must not fill the memory.
const TOPICS: usize = 256;

/// Topics longer than this are not remembered: together at most 64 KiB a connection.
const TOPIC_BYTES: usize = 256;

/// A cache of shared topic names.
#[derive(Debug, Default)]
pub(super) struct Topics {
    last: Option<Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Topics {
    /// `topic`, shared.
    pub(super) fn share(&mut self, topic: &str) -> Arc<str> {
        if let Some(last) = &self.last
            && &**last == topic
        {
            return Arc::clone(last);
        }
        if topic.len() > TOPIC_BYTES {
            return Arc::from(topic);
        }
        let shared = match self.known.get(topic) {
            Some(known) => Arc::clone(known),
            None => {
                if self.known.len() >= TOPICS {
                    self.known.clear();
                }
                let new: Arc<str> = Arc::from(topic);
                self.known.insert(Arc::clone(&new));
                new
            }
        };
        self.last = Some(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_stays_bounded() {
        let mut topics = Topics::default();
        let first = topics.share("a/b");
        topics.share("c");
        assert!(Arc::ptr_eq(&first, &topics.share("a/b")));
        for number in 0..10_000 {
            topics.share(&format!("t/{number}"));
        }
        assert!(topics.known.len() <= TOPICS);
        topics.share(&"x".repeat(TOPIC_BYTES + 1));
        assert!(topics.known.iter().all(|topic| topic.len() <= TOPIC_BYTES));
    }
}
