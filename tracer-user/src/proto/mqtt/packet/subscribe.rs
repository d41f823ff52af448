//! SUBSCRIBE (section 3.8).

use super::properties;
use super::reader::Reader;
use crate::proto::Unusable;

/// What a client wants to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proto::mqtt) struct Subscribe<'a> {
    /// Packet identifier.
    pub(in crate::proto::mqtt) id: u16,
    /// By which deliveries say that they come from this subscription (MQTT 5, section 3.8.2.1.2).
    pub(in crate::proto::mqtt) subscription: Option<u32>,
    /// Filters with their options.
    pub(in crate::proto::mqtt) filters: Vec<(&'a str, Options)>,
}

/// Subscription options (MQTT 5, section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proto::mqtt) struct Options {
    /// The client's own messages do not come back.
    pub(in crate::proto::mqtt) no_local: bool,
    /// Deliveries keep the RETAIN flag that they were published with, so that it does not tell whether the message was
    /// kept from earlier.
    pub(in crate::proto::mqtt) retain_as_published: bool,
    /// When kept messages are sent: 0 always, 1 if the subscription is new, 2 never.
    pub(in crate::proto::mqtt) retain_handling: u8,
}

impl<'a> Subscribe<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, five: bool) -> Result<Self, Unusable> {
        let id = reader.id()?;
        let subscription = reader.properties(five, properties::OF_SUBSCRIBE)?.subscription_ids().next();
        let mut filters = Vec::new();
        // At least one [MQTT-3.8.3-3]; those behind the captured bytes are not missed.
        while filters.is_empty() || !reader.is_at_end() {
            let filter = match Self::filter(reader, five) {
                Err(Unusable::Cut) if !filters.is_empty() => break,
                other => other?,
            };
            filters.push(filter);
        }
        Ok(Self { id, subscription, filters })
    }

    fn filter(reader: &mut Reader<'a>, five: bool) -> Result<(&'a str, Options), Unusable> {
        let filter = reader.topic()?;
        let bits = reader.u8()?;
        // The upper bits are reserved [MQTT-3.8.3-4], of MQTT 5's only two; retain handling 3 is an error.
        let reserved = if five { 0xc0 } else { 0xfc };
        if bits & reserved != 0 || bits & 3 == 3 || bits & 0x30 == 0x30 {
            return Err(Unusable::Malformed);
        }
        let options = Options {
            no_local: bits & 4 != 0,
            retain_as_published: bits & 8 != 0,
            retain_handling: bits >> 4,
        };
        Ok((filter, options))
    }
}
