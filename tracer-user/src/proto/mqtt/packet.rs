//! Control packets as they are on the wire. Nothing is kept, nothing is copied but filter lists.

use crate::proto::{Header, Unusable};

mod connect;

pub(super) use connect::{Connect, Will};

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
    /// CONNECT was not seen: 3.1.1 is assumed where it fits.
    #[default]
    Unknown,
    /// 3.1 or 3.1.1, the same but for CONNECT.
    Three,
    /// MQTT 5.
    Five,
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
    Connack { code: u8 },
    Publish(Publish<'a>),
    Puback { id: u16, code: u8 },
    Pubrec { id: u16, code: u8 },
    Pubrel,
    Pubcomp { id: u16, code: u8 },
    Subscribe { filters: Vec<&'a str> },
    Suback { refused: Option<u8> },
    Unsubscribe,
    Unsuback,
    Ping,
    Disconnect { code: u8 },
    Auth,
}

/// PUBLISH (section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    pub(super) dup: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Empty where MQTT 5 stands an alias for it.
    pub(super) topic: &'a str,
    /// Packet identifier, 0 with QoS 0.
    pub(super) id: u16,
    /// Where the body begins in the packet.
    pub(super) body: usize,
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
    /// The packet whose fixed header `fixed` is at the front of `bytes`, and the level it was read with: where the
    /// level is unknown, what makes sense only in MQTT 5 is read so.
    ///
    /// # Errors
    /// [`Unusable::Cut`] if `bytes` end before the packet does and what is missing is needed.
    pub(super) fn read(bytes: &'a [u8], fixed: &Fixed, level: Level) -> Result<(Self, Level), Unusable> {
        if level != Level::Unknown {
            return Ok((Self::read_as(bytes, fixed, level == Level::Five)?, level));
        }
        match Self::read_as(bytes, fixed, false) {
            Err(Unusable::Malformed) => Ok((Self::read_as(bytes, fixed, true)?, Level::Five)),
            Ok(packet) => Ok((packet, Level::Unknown)),
            Err(Unusable::Cut) => Err(Unusable::Cut),
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
                reader.properties(five)?;
                reader.finish()?;
                Self::Connack { code }
            }
            PUBLISH => Self::Publish(Publish::read(&mut reader, fixed.flags, five)?),
            PUBACK | PUBREC | PUBREL | PUBCOMP => {
                let id = reader.id()?;
                let code = reader.reason(five)?;
                match fixed.kind {
                    PUBACK => Self::Puback { id, code },
                    PUBREC => Self::Pubrec { id, code },
                    PUBREL => Self::Pubrel,
                    _ => Self::Pubcomp { id, code },
                }
            }
            SUBSCRIBE => {
                reader.id()?;
                reader.properties(five)?;
                let mut filters = Vec::new();
                // At least one [MQTT-3.8.3-3]; those behind the captured bytes are not missed.
                while filters.is_empty() || !reader.is_at_end() {
                    let filter = match Self::filter(&mut reader, five) {
                        Err(Unusable::Cut) if !filters.is_empty() => break,
                        other => other?,
                    };
                    filters.push(filter);
                }
                Self::Subscribe { filters }
            }
            SUBACK => {
                reader.id()?;
                reader.properties(five)?;
                let codes = reader.rest();
                // Section 3.9.3: 0, 1, 2 or 0x80, and MQTT 5's reasons above.
                if codes
                    .iter()
                    .any(|&code| if five { (3..0x80).contains(&code) } else { !matches!(code, 0..=2 | 0x80) })
                {
                    return Err(Unusable::Malformed);
                }
                Self::Suback { refused: codes.iter().copied().find(|&code| code >= 0x80) }
            }
            UNSUBSCRIBE => {
                reader.id()?;
                reader.properties(five)?;
                // At least one [MQTT-3.10.3-2].
                reader.topic()?;
                while !reader.is_at_end() {
                    reader.topic()?;
                }
                Self::Unsubscribe
            }
            UNSUBACK => {
                reader.id()?;
                reader.properties(five)?;
                if !five {
                    reader.finish()?;
                }
                // MQTT 5, section 3.11.3: a reason for each filter.
                if reader.rest().iter().any(|code| !matches!(code, 0 | 0x11 | 0x80..=0xa2)) {
                    return Err(Unusable::Malformed);
                }
                Self::Unsuback
            }
            PINGREQ | PINGRESP => Self::Ping,
            DISCONNECT => Self::Disconnect { code: reader.reason(five)? },
            _ => {
                reader.reason(true)?;
                Self::Auth
            }
        };
        Ok(packet)
    }

    fn filter(reader: &mut Reader<'a>, five: bool) -> Result<&'a str, Unusable> {
        let filter = reader.topic()?;
        let options = reader.u8()?;
        // The upper bits are reserved [MQTT-3.8.3-4], of MQTT 5's only two.
        let reserved = if five { 0xc0 } else { 0xfc };
        if options & reserved != 0 || options & 3 == 3 {
            return Err(Unusable::Malformed);
        }
        Ok(filter)
    }

    /// See [`Header::weight`].
    pub(super) fn weight(&self) -> u32 {
        match self {
            Self::Connect(_) => Header::SIGNATURE,
            Self::Publish(publish) if publish.topic.is_empty() => 0,
            Self::Connack { .. } | Self::Publish(_) | Self::Subscribe { .. } | Self::Unsubscribe => 2,
            Self::Puback { .. } | Self::Pubrec { .. } | Self::Pubrel | Self::Pubcomp { .. } => 2,
            Self::Disconnect { .. } | Self::Auth => 0,
            _ => 1,
        }
    }

    /// Whether its topics are such as people write: control characters "should not" be there (section 1.5.3).
    pub(super) fn is_tidy(&self) -> bool {
        let tidy = |topic: &str| !topic.bytes().any(|byte| byte < 0x20 || byte == 0x7f);
        match self {
            Self::Publish(publish) => tidy(publish.topic),
            Self::Subscribe { filters } => filters.iter().all(|filter| tidy(filter)),
            _ => true,
        }
    }
}

impl<'a> Publish<'a> {
    fn read(reader: &mut Reader<'a>, flags: u8, five: bool) -> Result<Self, Unusable> {
        let qos = (flags >> 1) & 3;
        let topic = if five { reader.text()? } else { reader.topic()? };
        // [MQTT-3.3.2-2]
        if topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
            return Err(Unusable::Malformed);
        }
        let id = if qos == 0 { 0 } else { reader.id()? };
        reader.properties(five)?;
        Ok(Self { dup: flags & 8 != 0, qos, retain: flags & 1 != 0, topic, id, body: reader.at })
    }
}

/// Reads a packet of `end` bytes of which `bytes` are known.
#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: u64,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unusable> {
        let next = self.at.saturating_add(count);
        if next as u64 > self.end {
            return Err(Unusable::Malformed);
        }
        let bytes = self.bytes.get(self.at..next).ok_or(Unusable::Cut)?;
        self.at = next;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Unusable> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Unusable> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A packet identifier: never 0 [MQTT-2.3.1-1].
    fn id(&mut self) -> Result<u16, Unusable> {
        match self.u16()? {
            0 => Err(Unusable::Malformed),
            id => Ok(id),
        }
    }

    /// Section 1.5.3; without NUL [MQTT-1.5.3-2].
    fn text(&mut self) -> Result<&'a str, Unusable> {
        let length = self.u16()?;
        let text = std::str::from_utf8(self.take(usize::from(length))?).map_err(|_| Unusable::Malformed)?;
        if text.as_bytes().contains(&0) { Err(Unusable::Malformed) } else { Ok(text) }
    }

    /// A topic or filter: a character at least [MQTT-4.7.3-1].
    fn topic(&mut self) -> Result<&'a str, Unusable> {
        match self.text()? {
            "" => Err(Unusable::Malformed),
            topic => Ok(topic),
        }
    }

    /// Binary data with its length before it: what is known of it, and how long it is.
    fn binary(&mut self) -> Result<(&'a [u8], u64), Unusable> {
        let length = usize::from(self.u16()?);
        let next = self.at.saturating_add(length);
        if next as u64 > self.end {
            return Err(Unusable::Malformed);
        }
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = next;
        Ok((rest.get(..length).unwrap_or(rest), length as u64))
    }

    /// Steps over MQTT 5's properties (MQTT 5, section 2.2.2).
    fn properties(&mut self, five: bool) -> Result<(), Unusable> {
        if !five {
            return Ok(());
        }
        let mut length = 0usize;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                self.take(length)?;
                return Ok(());
            }
        }
        Err(Unusable::Malformed)
    }

    /// What ends a packet that has a reason in MQTT 5, and nothing before: 0 if there is none.
    fn reason(&mut self, five: bool) -> Result<u8, Unusable> {
        if self.is_at_end() || !five {
            self.finish()?;
            return Ok(0);
        }
        let code = self.u8()?;
        // MQTT 5, section 2.4: the reasons that these packets can have.
        if !matches!(code, 0x00 | 0x04 | 0x10 | 0x18 | 0x19 | 0x80..=0xa2) {
            return Err(Unusable::Malformed);
        }
        if !self.is_at_end() {
            self.properties(true)?;
        }
        self.finish()?;
        Ok(code)
    }

    fn is_at_end(&self) -> bool {
        self.at as u64 >= self.end
    }

    fn finish(&self) -> Result<(), Unusable> {
        if self.is_at_end() { Ok(()) } else { Err(Unusable::Malformed) }
    }

    /// What is known of the rest.
    fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = self.bytes.len();
        rest
    }
}
