//! What the connections of one host tell each other.
//!
//! A program of Kafka asks for the names of topics on one connection, joins its group on another, and fetches messages by the
//! numbers of their topics on a third. What was learnt on one serves the others; it is never needed to find frames.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::model::process::ProcessKey;

/// Topics remembered. Big clusters have thousands; some 100 bytes each.
const TOPICS: usize = 16_384;

/// Names longer than this are not remembered; Kafka's are at most 249 bytes.
const NAME_BYTES: usize = 256;

/// Members of groups remembered: clients of brokers that are traced on one host.
const MEMBERS: usize = 4096;

/// A topic's number for good: a UUID.
pub(super) type TopicId = [u8; 16];

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    /// The process that saw it.
    pub(super) process: ProcessKey,
    /// The client's address, where the process is the broker.
    pub(super) address: Option<IpAddr>,
    /// The client's name.
    pub(super) client_id: Arc<str>,
}

/// Shared by connections. Bounded; when it is full it begins anew.
#[derive(Debug, Default)]
pub struct Memory {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    topics: HashMap<TopicId, Arc<str>>,
    /// `None`: in several groups, so it is not known which.
    groups: HashMap<Member, Option<Arc<str>>>,
}

impl Memory {
    /// Topic `id` is called `name`.
    pub(super) fn name_topic(&self, id: TopicId, name: &Arc<str>) {
        if name.len() > NAME_BYTES {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.topics.len() >= TOPICS && !held.topics.contains_key(&id) {
            held.topics.clear();
        }
        held.topics.insert(id, Arc::clone(name));
    }

    /// The name of topic `id`, if it was told.
    pub(super) fn topic(&self, id: &TopicId) -> Option<Arc<str>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).topics.get(id).cloned()
    }

    /// `member` is in `group`.
    pub(super) fn join(&self, member: Member, group: &Arc<str>) {
        if member.client_id.len() > NAME_BYTES || group.len() > NAME_BYTES {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.groups.len() >= MEMBERS && !held.groups.contains_key(&member) {
            held.groups.clear();
        }
        let known = held.groups.entry(member).or_insert_with(|| Some(Arc::clone(group)));
        if known.as_ref().is_some_and(|known| known != group) {
            *known = None;
        }
    }

    /// The group that `member` is in, if it is in one only.
    pub(super) fn group(&self, member: &Member) -> Option<Arc<str>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).groups.get(member).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(client_id: &str) -> Member {
        Member {
            process: ProcessKey { pid: 1, generation: 1 },
            address: None,
            client_id: Arc::from(client_id),
        }
    }

    #[test]
    fn who_is_in_two_groups_is_in_neither() {
        let memory = Memory::default();
        let (plant, other): (Arc<str>, Arc<str>) = ("plant".into(), "other".into());
        memory.join(member("a"), &plant);
        memory.join(member("a"), &plant);
        memory.join(member("b"), &other);
        assert_eq!(memory.group(&member("a")), Some(plant));
        memory.join(member("a"), &other);
        assert_eq!(memory.group(&member("a")), None);
        assert_eq!(memory.group(&member("b")), Some(other));
    }

    #[test]
    fn stays_bounded() {
        let memory = Memory::default();
        let name: Arc<str> = "t".into();
        for number in 0..40_000_u128 {
            memory.name_topic(number.to_be_bytes(), &name);
            memory.join(member(&number.to_string()), &name);
        }
        let held = memory.held.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(held.topics.len() <= TOPICS && held.groups.len() <= MEMBERS);
    }
}
