//! PUBLISH (section 3.3).

use super::properties::{self, Properties};
use super::reader::Reader;
use crate::proto::Unusable;

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto::mqtt) struct Publish<'a> {
    pub(in crate::proto::mqtt) dup: bool,
    pub(in crate::proto::mqtt) qos: u8,
    pub(in crate::proto::mqtt) retain: bool,
    /// Empty where MQTT 5 puts an alias for it.
    pub(in crate::proto::mqtt) topic: &'a str,
    /// Packet identifier, 0 with QoS 0.
    pub(in crate::proto::mqtt) id: u16,
    pub(in crate::proto::mqtt) properties: Properties<'a>,
    /// Where the body begins in the packet.
    pub(in crate::proto::mqtt) body: usize,
}

impl<'a> Publish<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, flags: u8, five: bool) -> Result<Self, Unusable> {
        let qos = (flags >> 1) & 3;
        let topic = if five { reader.text()? } else { reader.topic()? };
        // [MQTT-3.3.2-2]
        if topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
            return Err(Unusable::Malformed);
        }
        let id = if qos == 0 { 0 } else { reader.id()? };
        let properties = reader.properties(five, properties::OF_PUBLISH)?;
        // MQTT 5, section 3.3.2.1: one of the two has to be there.
        if topic.is_empty() && properties.topic_alias().is_none() {
            return Err(if properties.cut { Unusable::Cut } else { Unusable::Malformed });
        }
        Ok(Self { dup: flags & 8 != 0, qos, retain: flags & 1 != 0, topic, id, properties, body: reader.at })
    }
}
