//! Control packets as they are on the wire. Nothing is kept, nothing is copied but filter lists.

use crate::proto::{Header, Unusable};

mod connect;
mod properties;
mod publish;
mod reader;
mod subscribe;

pub(super) use connect::{Connect, Will};
pub(super) use properties::{Properties, Property};
pub(super) use publish::Publish;
use reader::Reader;
pub(super) use subscribe::{Options, Subscribe};

// Section 2.2.1, table 2.1.
pub(super) const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;
/// MQTT 5 only.
const AUTH: u8 = 15;

/// Remaining length that only packets with lists or bodies exceed: CONNECT's five fields of 64 KiB, an MQTT 5
/// acknowledgement's properties. Keeps a wrong byte from swallowing what follows.
const CONTROL_MAX: u32 = 1 << 20;

/// Remaining length that no packet without a body has in practice: some filters, reasons, a few short properties.
const TIDY_MAX: u32 = 4096;

/// Protocol level (section 3.1.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Level {
    /// CONNECT was not seen, nor anything that only one of them has.
    #[default]
    Unknown,
    /// CONNECT was not seen; something that MQTT 5 cannot be was.
    MaybeThree,
    /// CONNECT was not seen; something that only MQTT 5 can be was.
    MaybeFive,
    /// 3.1 or 3.1.1, the same but for CONNECT.
    Three,
    /// MQTT 5.
    Five,
}

impl Level {
    /// The level, if CONNECT told it: what else tells it may be garbage.
    pub(super) fn sure(self) -> Self {
        match self {
            Self::MaybeThree | Self::MaybeFive => Self::Unknown,
            known => known,
        }
    }
}

/// The fixed header (section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// Packet type.
    pub(super) kind: u8,
    /// The four flag bits.
    flags: u8,
    /// Bytes of the fixed header itself.
    pub(super) size: usize,
    /// Remaining Length: bytes behind the fixed header.
    pub(super) remaining: u32,
}

/// A packet's content as far as ops are made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Connect(Connect<'a>),
    Connack { present: bool, code: u8, properties: Properties<'a> },
    Publish(Publish<'a>),
    Puback { id: u16, code: u8 },
    Pubrec { id: u16, code: u8 },
    Pubrel,
    Pubcomp { id: u16, code: u8 },
    Subscribe(Subscribe<'a>),
    Suback { id: u16, codes: &'a [u8] },
    Unsubscribe { filters: Vec<&'a str> },
    Unsuback { codes: &'a [u8] },
    Ping,
    Disconnect { code: u8 },
    Auth { code: u8 },
}

impl Fixed {
    /// The fixed header at the front of `head`, checked with `level`: type, flags, and whether such a packet can be
    /// as long as that.
    ///
    /// # Errors
    /// [`Unusable::Cut`] if `head` is too short.
    pub(super) fn read(head: &[u8], level: Level) -> Result<Self, Unusable> {
        let first = *head.first().ok_or(Unusable::Cut)?;
        let (kind, flags) = (first >> 4, first & 0x0f);
        // Table 2.2; other flags are malformed [MQTT-2.2.2-2], and so is QoS 3 [MQTT-3.3.1-4].
        let valid = match kind {
            0 => false,
            PUBLISH => flags & 0b0110 != 0b0110,
            PUBREL | SUBSCRIBE | UNSUBSCRIBE => flags == 0b0010,
            AUTH => flags == 0 && level != Level::Three,
            _ => flags == 0,
        };
        if !valid {
            return Err(Unusable::Malformed);
        }
        // Section 2.2.3: 7 bits a byte, least significant first, at most 4 bytes.
        let (mut remaining, mut size) = (0u32, 1usize);
        loop {
            let byte = *head.get(size).ok_or(Unusable::Cut)?;
            remaining |= u32::from(byte & 0x7f) << (7 * (size - 1));
            size += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if size == 5 {
                return Err(Unusable::Malformed);
            }
        }
        let five = level != Level::Three;
        let valid = match kind {
            // Variable header of 10, client identifier of 2 or more.
            CONNECT => remaining >= 12,
            CONNACK | PUBACK | PUBREC | PUBREL | PUBCOMP | UNSUBACK => {
                remaining == 2 || (five && remaining > 2)
            }
            // A topic of 1 (MQTT 5: an empty one and the properties' length), and the identifier.
            PUBLISH => remaining >= if flags & 0b0110 == 0 { 3 } else { 5 },
            // An identifier and a filter of 1 with its QoS.
            SUBSCRIBE => remaining >= 6,
            UNSUBSCRIBE => remaining >= 5,
            SUBACK => remaining >= 3,
            PINGREQ | PINGRESP => remaining == 0,
            DISCONNECT => remaining == 0 || five,
            _ => true,
        };
        let listed = matches!(kind, PUBLISH | SUBSCRIBE | SUBACK | UNSUBSCRIBE | UNSUBACK);
        if !valid || (!listed && remaining > CONTROL_MAX) {
            return Err(Unusable::Malformed);
        }
        Ok(Self { kind, flags, size, remaining })
    }

    /// Length of the packet.
    pub(super) fn len(&self) -> u64 {
        self.size as u64 + u64::from(self.remaining)
    }

    /// Whether such a packet goes to the server; `None` if it goes both ways (table 2.1).
    pub(super) fn direction(&self, level: Level) -> Option<bool> {
        match self.kind {
            CONNECT | SUBSCRIBE | UNSUBSCRIBE | PINGREQ => Some(true),
            CONNACK | SUBACK | UNSUBACK | PINGRESP => Some(false),
            DISCONNECT if level == Level::Three => Some(true),
            _ => None,
        }
    }

    /// Looks at the first bytes behind the fixed header, as far as there are any.
    ///
    /// # Errors
    /// [`Unusable::Malformed`] if a topic does not fit into its packet or CONNECT names another protocol,
    /// [`Unusable::Cut`] if `head` is too short to tell.
    pub(super) fn peek(&self, head: &[u8]) -> Result<(), Unusable> {
        let mut reader = Reader { bytes: head, at: self.size, end: self.len() };
        match self.kind {
            PUBLISH => {
                let topic = u32::from(reader.u16()?);
                let id = if self.flags & 0b0110 == 0 { 0 } else { 2 };
                if topic + 2 + id > self.remaining { Err(Unusable::Malformed) } else { Ok(()) }
            }
            CONNECT => Connect::name(&mut reader).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Whether a careful program would write it so: the shortest form of the length (MQTT 5 demands it), no DUP with
    /// QoS 0 [MQTT-3.3.1-2], nothing long but bodies.
    pub(super) fn is_tidy(&self) -> bool {
        let shortest = match self.remaining {
            0..=0x7f => 2,
            0x80..=0x3fff => 3,
            0x4000..=0x1f_ffff => 4,
            _ => 5,
        };
        if !matches!(self.kind, CONNECT | PUBLISH) && self.remaining > TIDY_MAX {
            return false;
        }
        self.size == shortest && (self.kind != PUBLISH || self.flags & 0b1110 != 0b1000)
    }
}

impl<'a> Packet<'a> {
    /// The packet whose fixed header `fixed` is at the front of `bytes`, and what is known of the level now. Where CONNECT
    /// was not seen, the packet is read as the level at which it makes sense. A PUBLISH of MQTT 5 without properties
    /// looks like one of 3.1.1 whose body begins with a zero byte, which programs seldom send: it is taken for the former.
    ///
    /// # Errors
    /// [`Unusable::Cut`] if `bytes` end before the packet does and what is missing is needed.
    pub(super) fn read(bytes: &'a [u8], fixed: &Fixed, level: Level) -> Result<(Self, Level), Unusable> {
        let publish = fixed.kind == PUBLISH;
        let (five, other) = match level {
            Level::Three => (false, false),
            Level::Five => (true, true),
            Level::MaybeThree => (false, true),
            Level::MaybeFive => (true, false),
            Level::Unknown => (publish, !publish),
        };
        match Self::read_as(bytes, fixed, five) {
            Err(Unusable::Malformed) if other != five => {
                let level = if other { Level::MaybeFive } else { Level::MaybeThree };
                Ok((Self::read_as(bytes, fixed, other)?, level))
            }
            Err(Unusable::Cut) if level == Level::Unknown && publish => {
                Ok((Self::read_as(bytes, fixed, false)?, level))
            }
            Ok(Self::Publish(publish)) if level == Level::Unknown && !publish.properties.is_empty() => {
                Ok((Self::Publish(publish), Level::MaybeFive))
            }
            other => Ok((other?, level)),
        }
    }

    fn read_as(bytes: &'a [u8], fixed: &Fixed, five: bool) -> Result<Self, Unusable> {
        let end = fixed.len();
        // Nothing behind the packet is its own.
        let limit = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        let mut reader = Reader { bytes: bytes.get(..limit).unwrap_or(bytes), at: fixed.size, end };
        let packet = match fixed.kind {
            CONNECT => Self::Connect(Connect::read(&mut reader)?),
            CONNACK => {
                // Section 3.2.2: only the lowest bit of the first byte may be set; codes from 6 on are reserved.
                let (flags, code) = (reader.u8()?, reader.u8()?);
                if flags > 1 || (!five && code > 5) || (flags == 1 && code != 0) {
                    return Err(Unusable::Malformed);
                }
                let properties = reader.properties(five, properties::OF_CONNACK)?;
                reader.finish()?;
                Self::Connack { present: flags == 1, code, properties }
            }
            PUBLISH => Self::Publish(Publish::read(&mut reader, fixed.flags, five)?),
            PUBACK | PUBREC | PUBREL | PUBCOMP => {
                let id = reader.id()?;
                let code = reader.reason(five, properties::OF_ANSWER)?;
                match fixed.kind {
                    PUBACK => Self::Puback { id, code },
                    PUBREC => Self::Pubrec { id, code },
                    PUBREL => Self::Pubrel,
                    _ => Self::Pubcomp { id, code },
                }
            }
            SUBSCRIBE => Self::Subscribe(Subscribe::read(&mut reader, five)?),
            SUBACK => {
                let id = reader.id()?;
                reader.properties(five, properties::OF_ANSWER)?;
                let codes = reader.rest();
                // Section 3.9.3: 0, 1, 2 or 0x80, and MQTT 5's reasons above.
                if codes
                    .iter()
                    .any(|&code| if five { (3..0x80).contains(&code) } else { !matches!(code, 0..=2 | 0x80) })
                {
                    return Err(Unusable::Malformed);
                }
                Self::Suback { id, codes }
            }
            UNSUBSCRIBE => {
                reader.id()?;
                reader.properties(five, properties::OF_UNSUBSCRIBE)?;
                // At least one [MQTT-3.10.3-2].
                let mut filters = vec![reader.topic()?];
                while !reader.is_at_end() {
                    match reader.topic() {
                        Err(Unusable::Cut) => break,
                        filter => filters.push(filter?),
                    }
                }
                Self::Unsubscribe { filters }
            }
            UNSUBACK => {
                reader.id()?;
                reader.properties(five, properties::OF_ANSWER)?;
                if !five {
                    reader.finish()?;
                }
                let codes = reader.rest();
                // MQTT 5, section 3.11.3: a reason for each filter.
                if codes.iter().any(|code| !matches!(code, 0 | 0x11 | 0x80..=0xa2)) {
                    return Err(Unusable::Malformed);
                }
                Self::Unsuback { codes }
            }
            PINGREQ | PINGRESP => Self::Ping,
            DISCONNECT => Self::Disconnect { code: reader.reason(five, properties::OF_DISCONNECT)? },
            _ => Self::Auth { code: reader.reason(true, properties::OF_AUTH)? },
        };
        Ok(packet)
    }

    /// See [`Header::weight`].
    pub(super) fn weight(&self) -> u32 {
        match self {
            Self::Connect(_) => Header::SIGNATURE,
            Self::Publish(publish) if publish.topic.is_empty() => 0,
            Self::Connack { .. } | Self::Publish(_) | Self::Subscribe(_) | Self::Unsubscribe { .. } => 2,
            Self::Puback { .. } | Self::Pubrec { .. } | Self::Pubrel | Self::Pubcomp { .. } => 2,
            Self::Disconnect { .. } | Self::Auth { .. } => 0,
            _ => 1,
        }
    }

    /// Whether its topics are such as people write: control characters "should not" be there (section 1.5.3).
    pub(super) fn is_tidy(&self) -> bool {
        let tidy = |topic: &str| !topic.bytes().any(|byte| byte < 0x20 || byte == 0x7f);
        match self {
            Self::Publish(publish) => tidy(publish.topic),
            Self::Subscribe(subscribe) => subscribe.filters.iter().all(|(filter, _)| tidy(filter)),
            _ => true,
        }
    }
}
