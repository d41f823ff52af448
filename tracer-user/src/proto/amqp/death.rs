//! What a dead-lettered message says of its deaths: RabbitMQ's header `x-death`, an array of tables, the last death first. A queue and
//! reason that come again are counted and come to the front.

use std::sync::Arc;

use super::properties::{Value, fields, value, value as value_of};
use super::wire::Reader;
use crate::proto::Unusable;

/// Deaths that are looked at: queues that a message went through.
const DEATHS: usize = 32;

/// Bytes of names that are kept: what the protocol allows (section 4.2.5.3).
const NAME: usize = 255;

/// Where, why and how often a message died.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Death {
    pub(super) queue: Option<Arc<str>>,
    pub(super) reason: Option<Arc<str>>,
    pub(super) exchange: Option<Arc<str>>,
    /// The first of its routing keys: the one that it was published with.
    pub(super) key: Option<Arc<str>>,
    pub(super) count: Option<i64>,
}

/// The deaths of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Deaths {
    /// The last.
    pub(super) last: Death,
    /// Its first, if that is known.
    first: Option<Death>,
    /// How many different ones.
    different: usize,
    /// `x-first-death-queue` and `x-first-death-reason`.
    pub(super) first_queue: Option<Arc<str>>,
    pub(super) first_reason: Option<Arc<str>>,
}

fn text(bytes: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(bytes).ok().filter(|text| text.len() <= NAME).map(Arc::from)
}

/// The text of a field's value.
pub(super) fn text_of(value: &Value<'_>) -> Option<Arc<str>> {
    if let Value::Text(bytes) = value { text(bytes) } else { None }
}

impl Deaths {
    /// Reads `x-death`. Of what was cut, what was captured is there.
    pub(super) fn read(&mut self, mut list: Reader<'_>) -> Result<(), Unusable> {
        for _ in 0..DEATHS {
            if list.is_at_end() {
                break;
            }
            let Value::Table(table) = value(&mut list)? else { continue };
            let death = Death::read(table);
            if self.different == 0 {
                self.last = death.clone();
            }
            self.different += 1;
            // The oldest that is there, unless the message names it.
            if !self.first.as_ref().is_some_and(|known| self.is_named(known)) {
                self.first = Some(death);
            }
        }
        Ok(())
    }

    /// Exchange and key with which it was published before it ever died, as far as that can be told.
    pub(super) fn published(&self) -> Option<(&str, &str)> {
        let first = self.first.as_ref()?;
        // The order of several does not tell which was the first.
        if self.different > 1 && !self.is_named(first) {
            return None;
        }
        Some((first.exchange.as_deref()?, first.key.as_deref()?))
    }

    /// Whether the message says that this was its first.
    fn is_named(&self, death: &Death) -> bool {
        let same_reason = self.first_reason.is_none() || death.reason == self.first_reason;
        self.first_queue.is_some() && death.queue == self.first_queue && same_reason
    }
}

impl Death {
    fn read(table: Reader<'_>) -> Self {
        let mut death = Self::default();
        // What is cut is left out.
        let _ = fields(table, |name, value| match (name, value) {
            (b"queue", value) => death.queue = text_of(&value),
            (b"reason", value) => death.reason = text_of(&value),
            (b"exchange", value) => death.exchange = text_of(&value),
            (b"count", Value::Int(count)) => death.count = Some(count),
            (b"routing-keys", Value::List(mut keys)) => {
                death.key = value_of(&mut keys).ok().and_then(|key| text_of(&key));
            }
            _ => {}
        });
        death
    }
}
