//! MQTT 5's properties (MQTT 5, section 2.2.2).

use super::Reader;
use crate::proto::Unusable;

// Table 2-4.
const PAYLOAD_FORMAT: u8 = 0x01;
const MESSAGE_EXPIRY: u8 = 0x02;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;
const SUBSCRIPTION_ID: u8 = 0x0b;
const SESSION_EXPIRY: u8 = 0x11;
const ASSIGNED_CLIENT_ID: u8 = 0x12;
const SERVER_KEEP_ALIVE: u8 = 0x13;
const AUTH_METHOD: u8 = 0x15;
const AUTH_DATA: u8 = 0x16;
const REQUEST_PROBLEM: u8 = 0x17;
const WILL_DELAY: u8 = 0x18;
const REQUEST_RESPONSE: u8 = 0x19;
const RESPONSE_INFORMATION: u8 = 0x1a;
const SERVER_REFERENCE: u8 = 0x1c;
const REASON_STRING: u8 = 0x1f;
const RECEIVE_MAXIMUM: u8 = 0x21;
const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
const TOPIC_ALIAS: u8 = 0x23;
const MAXIMUM_QOS: u8 = 0x24;
const RETAIN_AVAILABLE: u8 = 0x25;
const USER_PROPERTY: u8 = 0x26;
const MAXIMUM_PACKET: u8 = 0x27;
const WILDCARD_AVAILABLE: u8 = 0x28;
const IDS_AVAILABLE: u8 = 0x29;
const SHARED_AVAILABLE: u8 = 0x2a;

/// The properties that one kind of packet may have, a bit each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed(u64);

const fn allowed(ids: &[u8]) -> Allowed {
    let mut bits = 1 << USER_PROPERTY;
    let mut index = 0;
    while index < ids.len() {
        bits |= 1 << ids[index];
        index += 1;
    }
    Allowed(bits)
}

pub(super) const OF_CONNECT: Allowed = allowed(&[
    SESSION_EXPIRY,
    AUTH_METHOD,
    AUTH_DATA,
    REQUEST_PROBLEM,
    REQUEST_RESPONSE,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    MAXIMUM_PACKET,
]);
pub(super) const OF_CONNACK: Allowed = allowed(&[
    SESSION_EXPIRY,
    ASSIGNED_CLIENT_ID,
    SERVER_KEEP_ALIVE,
    AUTH_METHOD,
    AUTH_DATA,
    RESPONSE_INFORMATION,
    SERVER_REFERENCE,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    MAXIMUM_QOS,
    RETAIN_AVAILABLE,
    MAXIMUM_PACKET,
    WILDCARD_AVAILABLE,
    IDS_AVAILABLE,
    SHARED_AVAILABLE,
]);
pub(super) const OF_WILL: Allowed =
    allowed(&[PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, WILL_DELAY]);
pub(super) const OF_PUBLISH: Allowed = allowed(&[
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    SUBSCRIPTION_ID,
    TOPIC_ALIAS,
]);
pub(super) const OF_SUBSCRIBE: Allowed = allowed(&[SUBSCRIPTION_ID]);
pub(super) const OF_UNSUBSCRIBE: Allowed = allowed(&[]);
/// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
pub(super) const OF_ANSWER: Allowed = allowed(&[REASON_STRING]);
pub(super) const OF_DISCONNECT: Allowed = allowed(&[SESSION_EXPIRY, SERVER_REFERENCE, REASON_STRING]);
pub(super) const OF_AUTH: Allowed = allowed(&[AUTH_METHOD, AUTH_DATA, REASON_STRING]);

/// A property of which something is made; what concerns only the two ends of the connection is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto::mqtt) enum Property<'a> {
    /// Whether the body says of itself that it is UTF-8.
    PayloadFormat(bool),
    /// Seconds.
    MessageExpiry(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionId(u32),
    AssignedClientId(&'a str),
    /// Seconds.
    SessionExpiry(u32),
    /// Seconds.
    WillDelay(u32),
    TopicAlias(u16),
    User(&'a str, &'a str),
    Other,
}

/// A packet's properties, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proto::mqtt) struct Properties<'a> {
    /// Those that were captured, whole ones only.
    bytes: &'a [u8],
    /// Whether more were not.
    pub(in crate::proto::mqtt) cut: bool,
}

impl<'a> Properties<'a> {
    /// Reads the properties at `reader` and steps over them, also where they were not captured to the end.
    ///
    /// # Errors
    /// [`Unusable::Malformed`] if they break the rules, [`Unusable::Cut`] if not even their length was captured.
    pub(super) fn read(reader: &mut Reader<'a>, allowed: Allowed) -> Result<Self, Unusable> {
        let length = reader.varint()?;
        let end = (reader.at as u64).saturating_add(u64::from(length));
        if end > reader.end {
            return Err(Unusable::Malformed);
        }
        let behind = usize::try_from(end).map_err(|_| Unusable::Malformed)?;
        let from = reader.at;
        // Nothing of a property is behind the list.
        let known = reader.bytes.get(..behind).unwrap_or(reader.bytes);
        let mut list = Reader { bytes: known, at: from, end };
        let mut seen = 0u64;
        let (mut upto, mut cut) = (from, false);
        while !list.is_at_end() {
            let before = list.at;
            match list.property() {
                Ok((id, _)) => {
                    let bit = 1u64.checked_shl(u32::from(id)).unwrap_or(0);
                    // Only user properties, and the identifiers of a delivery's subscriptions, may come twice
                    // (sections 2.2.2.2 and 3.3.2.3.8). A SUBSCRIBE with two is refused by brokers.
                    let twice = seen & bit != 0 && !matches!(id, USER_PROPERTY | SUBSCRIPTION_ID);
                    if allowed.0 & bit == 0 || twice {
                        return Err(Unusable::Malformed);
                    }
                    seen |= bit;
                    upto = list.at;
                }
                Err(Unusable::Cut) => {
                    // Its identifier at least is known.
                    if let Some(&id) = known.get(before)
                        && (id >= 64 || allowed.0 & (1 << id) == 0)
                    {
                        return Err(Unusable::Malformed);
                    }
                    cut = true;
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        reader.at = behind;
        Ok(Self { bytes: known.get(from..upto).unwrap_or(&[]), cut })
    }

    pub(in crate::proto::mqtt) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.cut
    }

    pub(in crate::proto::mqtt) fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        let mut reader = Reader { bytes: self.bytes, at: 0, end: self.bytes.len() as u64 };
        std::iter::from_fn(move || if reader.is_at_end() { None } else { reader.property().ok() })
            .map(|(_, property)| property)
    }

    /// The name that the broker gave a client without one.
    pub(in crate::proto::mqtt) fn assigned_client_id(&self) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::AssignedClientId(id) if !id.is_empty() => Some(id),
            _ => None,
        })
    }

    /// How long the broker keeps the session when the connection has ended, in seconds.
    pub(super) fn session_expiry(&self) -> u32 {
        self.iter()
            .find_map(|property| match property {
                Property::SessionExpiry(seconds) => Some(seconds),
                _ => None,
            })
            .unwrap_or(0)
    }

    pub(in crate::proto::mqtt) fn topic_alias(&self) -> Option<u16> {
        self.iter().find_map(|property| match property {
            Property::TopicAlias(alias) => Some(alias),
            _ => None,
        })
    }

    pub(in crate::proto::mqtt) fn subscription_ids(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionId(id) => Some(id),
            _ => None,
        })
    }
}

impl<'a> Reader<'a> {
    /// One property and its identifier.
    fn property(&mut self) -> Result<(u8, Property<'a>), Unusable> {
        // A variable byte integer, but all that there are fit into one byte.
        let id = self.u8()?;
        let property = match id {
            PAYLOAD_FORMAT => Property::PayloadFormat(self.flag()?),
            MESSAGE_EXPIRY => Property::MessageExpiry(self.u32()?),
            CONTENT_TYPE => Property::ContentType(self.text()?),
            RESPONSE_TOPIC => match self.topic()? {
                // Section 3.3.2.3.5.
                topic if topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) => {
                    return Err(Unusable::Malformed);
                }
                topic => Property::ResponseTopic(topic),
            },
            CORRELATION_DATA => Property::CorrelationData(self.data()?),
            SUBSCRIPTION_ID => match self.varint()? {
                0 => return Err(Unusable::Malformed),
                id => Property::SubscriptionId(id),
            },
            ASSIGNED_CLIENT_ID => Property::AssignedClientId(self.text()?),
            WILL_DELAY => Property::WillDelay(self.u32()?),
            TOPIC_ALIAS => match self.u16()? {
                // Section 3.3.2.3.4.
                0 => return Err(Unusable::Malformed),
                alias => Property::TopicAlias(alias),
            },
            USER_PROPERTY => Property::User(self.text()?, self.text()?),
            AUTH_METHOD | RESPONSE_INFORMATION | SERVER_REFERENCE | REASON_STRING => {
                self.text()?;
                Property::Other
            }
            AUTH_DATA => {
                self.data()?;
                Property::Other
            }
            SERVER_KEEP_ALIVE | TOPIC_ALIAS_MAXIMUM => {
                self.u16()?;
                Property::Other
            }
            RECEIVE_MAXIMUM => match self.u16()? {
                0 => return Err(Unusable::Malformed),
                _ => Property::Other,
            },
            SESSION_EXPIRY => Property::SessionExpiry(self.u32()?),
            MAXIMUM_PACKET => match self.u32()? {
                0 => return Err(Unusable::Malformed),
                _ => Property::Other,
            },
            REQUEST_PROBLEM | REQUEST_RESPONSE | MAXIMUM_QOS | RETAIN_AVAILABLE | WILDCARD_AVAILABLE
            | IDS_AVAILABLE | SHARED_AVAILABLE => {
                self.flag()?;
                Property::Other
            }
            _ => return Err(Unusable::Malformed),
        };
        Ok((id, property))
    }

    fn flag(&mut self) -> Result<bool, Unusable> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unusable::Malformed),
        }
    }

    fn u32(&mut self) -> Result<u32, Unusable> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A variable byte integer (section 1.5.5).
    fn varint(&mut self) -> Result<u32, Unusable> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unusable::Malformed)
    }

    /// Binary data, all of it.
    fn data(&mut self) -> Result<&'a [u8], Unusable> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}
