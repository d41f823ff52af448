//! CONNECT (section 3.1).

use super::properties::{self, Properties};
use super::{Level, Reader};
use crate::proto::Unusable;

/// What a client says of itself. User name and password are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proto::mqtt) struct Connect<'a> {
    pub(in crate::proto::mqtt) level: Level,
    /// `None`: the server gives it one, or it was not captured.
    pub(in crate::proto::mqtt) client_id: Option<&'a str>,
    pub(in crate::proto::mqtt) will: Option<Will<'a>>,
    /// Whether the session may outlive the connection, or is older: what was not settled is sent again, and
    /// acknowledgements may be of what came before.
    pub(in crate::proto::mqtt) resumes: bool,
}

/// The last will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proto::mqtt) struct Will<'a> {
    pub(in crate::proto::mqtt) topic: &'a str,
    /// What is known of its body.
    pub(in crate::proto::mqtt) body: &'a [u8],
    /// Length of its body.
    pub(in crate::proto::mqtt) size: u64,
    /// Where the body begins in the packet.
    pub(in crate::proto::mqtt) at: usize,
    pub(in crate::proto::mqtt) qos: u8,
    pub(in crate::proto::mqtt) retain: bool,
    pub(in crate::proto::mqtt) properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    /// The protocol's name: `MQTT` (section 3.1.2.1), or `MQIsdp` in MQTT 3.1.
    pub(super) fn name(reader: &mut Reader<'a>) -> Result<&'a [u8], Unusable> {
        match reader.u16()? {
            length @ (4 | 6) => match reader.take(usize::from(length))? {
                name @ (b"MQTT" | b"MQIsdp") => Ok(name),
                _ => Err(Unusable::Malformed),
            },
            _ => Err(Unusable::Malformed),
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Unusable> {
        let name = Self::name(reader)?;
        // Mosquitto's bridges set the highest bit.
        let level = match (name, reader.u8()? & 0x7f) {
            (b"MQIsdp", 3) | (b"MQTT", 4) => Level::Three,
            (b"MQTT", 5) => Level::Five,
            _ => return Err(Unusable::Malformed),
        };
        let flags = reader.u8()?;
        let (will, qos, retain) = (flags & 4 != 0, (flags >> 3) & 3, flags & 0x20 != 0);
        let (user, password) = (flags & 0x80 != 0, flags & 0x40 != 0);
        // [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-13] to -15, [MQTT-3.1.2-22]
        let five = level == Level::Five;
        if flags & 1 != 0 || qos == 3 || (!will && (qos != 0 || retain)) || (password && !user && !five) {
            return Err(Unusable::Malformed);
        }
        let _keep_alive = reader.u16()?;
        let properties = reader.properties(five, properties::OF_CONNECT)?;
        // Without clean session; in MQTT 5 a session is also kept that has a time to live (section 3.1.2.11.2).
        let resumes = flags & 2 == 0 || properties.session_expiry() > 0;
        let client_id = match reader.text() {
            Ok("") => None,
            Ok(id) => Some(id),
            Err(Unusable::Cut) => return Ok(Self { level, client_id: None, will: None, resumes }),
            Err(other) => return Err(other),
        };
        let will = if will { Self::will(reader, five, qos, retain)? } else { None };
        Ok(Self { level, client_id, will, resumes })
    }

    /// The will; `None` if it was not captured.
    fn will(
        reader: &mut Reader<'a>,
        five: bool,
        qos: u8,
        retain: bool,
    ) -> Result<Option<Will<'a>>, Unusable> {
        let mut read = || {
            let properties = reader.properties(five, properties::OF_WILL)?;
            let topic = reader.topic()?;
            if topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
                return Err(Unusable::Malformed);
            }
            let at = reader.at.saturating_add(2);
            let (body, size) = reader.binary()?;
            Ok(Will { topic, body, size, at, qos, retain, properties })
        };
        match read() {
            Ok(will) => Ok(Some(will)),
            Err(Unusable::Cut) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
