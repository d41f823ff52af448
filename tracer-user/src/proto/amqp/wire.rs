//! Frames and data types as they are on the wire (section 4.2). Nothing is kept, nothing is copied.

use std::borrow::Cow;

use crate::proto::Unusable;

/// Ends every frame (section 4.2.3).
pub(super) const END: u8 = 0xce;

/// Bytes of a frame beside its payload: type, channel, size and end (section 4.2.3).
pub(super) const OVERHEAD: u64 = 8;

/// Bytes before the payload.
pub(super) const HEADER: usize = 7;

/// Longest payload of a method or a content header, which are never split: eight times what RabbitMQ offers unless told
/// otherwise. Keeps a wrong byte from swallowing what follows.
const CONTROL_MAX: u32 = 1 << 20;

/// Longest body frame: the longest message that RabbitMQ can be told to accept, without a limit to frames.
const BODY_MAX: u32 = 1 << 29;

/// Longest payload that is believed of bytes that may begin anywhere.
const TIDY_MAX: u32 = 1 << 20;

/// The protocol header (section 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// 0-9-1, or 0-9 and 0-8, which have the same frames.
    Mine,
    /// AMQP 1.0.
    Foreign,
}

impl Opening {
    /// Its length.
    pub(super) const LEN: u64 = 8;

    /// The protocol header at the front of `head`.
    ///
    /// # Errors
    /// [`Unusable::Malformed`] if there is none, [`Unusable::Cut`] if `head` is too short to tell.
    pub(super) fn read(head: &[u8]) -> Result<Self, Unusable> {
        let name = b"AMQP";
        let known = head.get(..name.len()).unwrap_or(head);
        if head.is_empty() || !name.starts_with(known) {
            return Err(Unusable::Malformed);
        }
        match head.get(name.len()..HEADER + 1).ok_or(Unusable::Cut)? {
            // 0-9-1, and what its forerunners had: RabbitMQ takes them all.
            [0, 0, 9, 1] | [1, 1, 0, 9] | [1, 1, 8, 0] | [1, 1, 9, 1] => Ok(Self::Mine),
            [_, 1, 0, 0] => Ok(Self::Foreign),
            _ => Err(Unusable::Malformed),
        }
    }
}

/// Frame types (section 4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Method,
    Header,
    Body,
    Heartbeat,
}

/// A frame's own header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) channel: u16,
    /// Bytes of the payload.
    pub(super) size: u32,
}

impl Frame {
    /// The frame at the front of `head`, checked: type, channel, and whether such a frame can be as long as that; of a
    /// method its class, of a content header its class and weight, as far as they are there.
    ///
    /// # Errors
    /// [`Unusable::Cut`] if `head` is shorter than [`HEADER`].
    pub(super) fn read(head: &[u8]) -> Result<Self, Unusable> {
        let kind = match head.first().ok_or(Unusable::Cut)? {
            1 => Kind::Method,
            2 => Kind::Header,
            3 => Kind::Body,
            8 => Kind::Heartbeat,
            _ => return Err(Unusable::Malformed),
        };
        let &[_, c0, c1, s0, s1, s2, s3] = head.first_chunk::<HEADER>().ok_or(Unusable::Cut)?;
        let (channel, size) = (u16::from_be_bytes([c0, c1]), u32::from_be_bytes([s0, s1, s2, s3]));
        let next = |index: usize| head.get(HEADER + index).copied();
        let valid = match kind {
            // Section 4.2.7: only the class `connection` is without a channel.
            Kind::Method => {
                let class = next(0).zip(next(1)).map(|(high, low)| u16::from_be_bytes([high, low]));
                let known = matches!(class, None | Some(10 | 20 | 30 | 40 | 50 | 60 | 85 | 90));
                let fits = class.is_none_or(|class| (class == 10) == (channel == 0));
                (4..=CONTROL_MAX).contains(&size) && known && fits
            }
            // Section 4.2.6.1: class `basic`, weight 0, body size and property flags.
            Kind::Header => {
                let begins = [0, 60, 0, 0].iter().enumerate();
                let basic = begins.map(|(index, &byte)| next(index).is_none_or(|there| there == byte));
                channel > 0 && (14..=CONTROL_MAX).contains(&size) && basic.fold(true, |all, fits| all & fits)
            }
            Kind::Body => channel > 0 && size <= BODY_MAX,
            // Section 4.2.7; it has no payload.
            Kind::Heartbeat => channel == 0 && size == 0 && next(0).is_none_or(|end| end == END),
        };
        if valid { Ok(Self { kind, channel, size }) } else { Err(Unusable::Malformed) }
    }

    /// Length of the whole frame.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.size) + OVERHEAD
    }

    /// What is there of the payload in `bytes`, which the frame begins.
    pub(super) fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let rest = bytes.get(HEADER..).unwrap_or(&[]);
        usize::try_from(self.size).ok().and_then(|size| rest.get(..size)).unwrap_or(rest)
    }

    /// Whether a careful program would write it so: nothing over-long, no empty body.
    pub(super) fn is_tidy(&self) -> bool {
        self.size <= TIDY_MAX && (self.kind != Kind::Body || self.size > 0)
    }
}

/// Reads a payload of `end` bytes of which `bytes` are known.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], end: u32) -> Self {
        Self { bytes, at: 0, end: end.into() }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Unusable> {
        let next = self.at.saturating_add(count);
        if next as u64 > self.end {
            return Err(Unusable::Malformed);
        }
        let bytes = self.bytes.get(self.at..next).ok_or(Unusable::Cut)?;
        self.at = next;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unusable> {
        self.take(N)?.try_into().map_err(|_| Unusable::Cut)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Unusable> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unusable> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Unusable> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Unusable> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Unusable> {
        self.take(count)
    }

    /// A short string (section 4.2.5.3): at most 255 bytes, UTF-8 by the rules; what is not is replaced.
    pub(super) fn short(&mut self) -> Result<Cow<'a, str>, Unusable> {
        let length = self.u8()?;
        Ok(String::from_utf8_lossy(self.take(length.into())?))
    }

    /// A long string (section 4.2.5.3), of any bytes.
    pub(super) fn long(&mut self) -> Result<&'a [u8], Unusable> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| Unusable::Malformed)?)
    }

    /// A field table or array (sections 4.2.5.5, 4.2.5.7): a reader of what is known of it. If its end is not known, what
    /// follows it is [`Unusable::Cut`].
    pub(super) fn nested(&mut self) -> Result<Self, Unusable> {
        let length = self.u32()?;
        let next = self.at.saturating_add(usize::try_from(length).map_err(|_| Unusable::Malformed)?);
        if next as u64 > self.end {
            return Err(Unusable::Malformed);
        }
        let bytes = self.bytes.get(self.at..next).or_else(|| self.bytes.get(self.at..)).unwrap_or(&[]);
        self.at = next;
        Ok(Self { bytes, at: 0, end: length.into() })
    }

    /// Steps over `count` bytes.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), Unusable> {
        self.take(count).map(|_| ())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at as u64 >= self.end
    }

    pub(super) fn finish(&self) -> Result<(), Unusable> {
        if self.is_at_end() { Ok(()) } else { Err(Unusable::Malformed) }
    }
}
