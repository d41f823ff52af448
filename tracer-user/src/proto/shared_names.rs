//! Names that one connection uses (topics, exchanges, queues, …), each held once.

use std::sync::Arc;

use hashbrown::HashSet;

/// Names remembered. Most programs use a handful; one that names its messages by time must not fill the memory.
const NAMES: usize = 256;

/// Names longer than this are not remembered: together at most 64 KiB a connection.
const NAME_BYTES: usize = 256;

/// A cache of shared names.
#[derive(Debug, Default)]
pub(super) struct SharedNames {
    last: Option<Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl SharedNames {
    /// `name`, shared.
    pub(super) fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(last) = &self.last
            && &**last == name
        {
            return Arc::clone(last);
        }
        if name.len() > NAME_BYTES {
            return Arc::from(name);
        }
        let shared = match self.known.get(name) {
            Some(known) => Arc::clone(known),
            None => {
                if self.known.len() >= NAMES {
                    self.known.clear();
                }
                let new: Arc<str> = Arc::from(name);
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
        let mut names = SharedNames::default();
        let first = names.share("a/b");
        names.share("c");
        assert!(Arc::ptr_eq(&first, &names.share("a/b")));
        for number in 0..10_000 {
            names.share(&format!("t/{number}"));
        }
        assert!(names.known.len() <= NAMES);
        names.share(&"x".repeat(NAME_BYTES + 1));
        assert!(names.known.iter().all(|name| name.len() <= NAME_BYTES));
    }
}
