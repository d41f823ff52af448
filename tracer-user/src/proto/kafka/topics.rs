//! Topics by name, or since Fetch v13, Produce v13 and OffsetCommit v10 by id (KIP-516); and how far a connection has fetched.

use std::sync::Arc;

use hashbrown::HashMap;

use super::wire::Reader;
use crate::proto::Unusable;
use crate::proto::memory::{Memory, TopicId};
use crate::proto::shared_names::SharedNames;

/// Partitions of a fetch session that are remembered; a consumer has tens. Of more, messages before the position that was asked for
/// are taken for delivered.
const PARTITIONS: usize = 8192;

/// What a request calls a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    Name(Arc<str>),
    Id(TopicId),
}

impl Topic {
    /// Reads a name or an id.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        by_id: bool,
        names: &mut SharedNames,
    ) -> Result<Self, Unusable> {
        if by_id { Ok(Self::Id(reader.uuid()?)) } else { Ok(Self::Name(names.share(reader.string()?))) }
    }

    /// Its name; where only the id is known, that as Kafka writes it.
    pub(super) fn name(&self, memory: &Memory) -> Arc<str> {
        match self {
            Self::Name(name) => Arc::clone(name),
            Self::Id(id) => memory.topic(id).unwrap_or_else(|| text(id).into()),
        }
    }
}

/// An id as Kafka's tools show it: base64 for URLs, without padding.
fn text(id: &TopicId) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(*id);
    let digit = |index: u32| {
        // 21 digits of 6 bits and one of 2.
        let value = if index < 21 { bits >> (122 - 6 * index) } else { bits << 4 } & 63;
        DIGITS.get(usize::try_from(value).unwrap_or(0)).copied().map_or('?', char::from)
    };
    (0..22).map(digit).collect()
}

/// Partitions of which it is remembered that the last answer may have been let go. Brokers give such an answer now and then.
const DOUBTED: usize = 256;

/// What a consumer asked for last, partition by partition: a session's requests name only what has changed (KIP-227).
#[derive(Debug, Default)]
pub(super) struct Positions {
    known: HashMap<(Topic, i32), i64>,
    doubted: HashMap<(Topic, i32), Doubt>,
}

/// An answer with records although it says that there are none yet from the position on that was asked for.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// Position that was asked for.
    asked: i64,
    /// The one behind its last record.
    next: i64,
}

impl Positions {
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    pub(super) fn set(&mut self, topic: &Topic, partition: i32, offset: i64) {
        if self.known.len() >= PARTITIONS {
            self.known.clear();
        }
        let key = (topic.clone(), partition);
        // Who goes on has taken what there was.
        if self.doubted.get(&key).is_some_and(|doubt| doubt.asked != offset) {
            self.doubted.remove(&key);
        }
        self.known.insert(key, offset);
    }

    pub(super) fn forget(&mut self, topic: &Topic, partition: i32) {
        self.known.remove(&(topic.clone(), partition));
    }

    /// Offset from which on the consumer wants messages, if it is known.
    pub(super) fn get(&self, topic: &Topic, partition: i32) -> Option<i64> {
        self.known.get(&(topic.clone(), partition)).copied()
    }

    /// The consumer may not have taken the records that it was sent, up to `next`, because the answer says that the log ends
    /// where it asked from. If it asks for the same again, they are the same delivery.
    pub(super) fn doubt(&mut self, topic: &Topic, partition: i32, next: i64) {
        let Some(asked) = self.get(topic, partition) else { return };
        if self.doubted.len() >= DOUBTED {
            self.doubted.clear();
        }
        self.doubted.insert((topic.clone(), partition), Doubt { asked, next });
    }

    /// Offset before which records that come now were delivered before, if the last answer was in doubt and was asked for again.
    pub(super) fn delivered(&mut self, topic: &Topic, partition: i32) -> Option<i64> {
        if self.doubted.is_empty() {
            return None;
        }
        self.doubted.remove(&(topic.clone(), partition)).map(|doubt| doubt.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_kafka_shows_them() {
        assert_eq!(text(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(text(&[0xff; 16]), "_____________________w");
        let id = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
        assert_eq!(text(&id), "ASNFZ4mrze8BI0VniavN7w");
    }

    #[test]
    fn positions_stay_bounded() {
        let mut positions = Positions::default();
        let topic = Topic::Name("t".into());
        for partition in 0..20_000 {
            positions.set(&topic, partition, 7);
        }
        assert!(positions.known.len() <= PARTITIONS);
        assert_eq!(positions.get(&topic, 19_999), Some(7));
        for partition in 0..1000 {
            positions.set(&topic, partition, 7);
            positions.doubt(&topic, partition, 8);
        }
        assert!(positions.doubted.len() <= DOUBTED);
        positions.forget(&topic, 19_999);
        assert_eq!(positions.get(&topic, 19_999), None);
    }
}
