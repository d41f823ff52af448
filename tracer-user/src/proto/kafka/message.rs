//! From records to messages.

use std::borrow::Cow;
use std::sync::Arc;

use super::records::Record;
use crate::model::command::Value;
use crate::model::op::Message;
use crate::names::attribute::{
    MESSAGING_DESTINATION_PARTITION_ID, MESSAGING_KAFKA_MESSAGE_KEY, MESSAGING_KAFKA_MESSAGE_TOMBSTONE,
};
use crate::proto::shared_names::SharedNames;

/// Longest key that is shown.
const KEY_BYTES: usize = 256;

/// A partition of a topic whose messages are told.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) index: i32,
    /// `index` as text.
    shown: Arc<str>,
}

impl Partition {
    pub(super) fn new(topic: Arc<str>, index: i32, names: &mut SharedNames) -> Self {
        Self { topic, index, shown: names.share(&index.to_string()) }
    }

    /// What the message at `offset` is called for good: the same text from a produce response and from a fetch.
    pub(super) fn id(&self, offset: i64) -> Arc<str> {
        format!("{} {}:{offset}", self.topic, self.index).into()
    }

    /// What both a publish and a delivery say of a record. A null value is an empty body with its attribute.
    pub(super) fn message(&self, record: Record, names: &mut SharedNames) -> Message {
        let mut attributes = Vec::with_capacity(4);
        attributes.push((MESSAGING_DESTINATION_PARTITION_ID, Value::Shared(Arc::clone(&self.shown))));
        // As the conventions say: only keys that are text.
        if let Some(key) = record.key.as_deref().filter(|key| key.len() <= KEY_BYTES)
            && let Ok(key) = std::str::from_utf8(key)
        {
            attributes.push((MESSAGING_KAFKA_MESSAGE_KEY, Value::Shared(names.share(key))));
        }
        if record.tombstone {
            attributes.push((MESSAGING_KAFKA_MESSAGE_TOMBSTONE, Value::Bool(true)));
        }
        let headers = record.headers.iter().filter_map(|(name, value)| {
            let (name, value) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
            Some((names.share(name), Arc::from(value)))
        });
        Message {
            destination: Arc::clone(&self.topic),
            headers: headers.collect(),
            body: record.value,
            attributes: Cow::Owned(attributes),
            ..Message::default()
        }
    }
}
