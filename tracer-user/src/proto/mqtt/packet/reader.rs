//! Reads the fields of a packet.

use super::properties::{Allowed, Properties};
use crate::proto::Unusable;

/// Reads a packet of `end` bytes of which `bytes` are known.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) end: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Unusable> {
        let next = self.at.saturating_add(count);
        if next as u64 > self.end {
            return Err(Unusable::Malformed);
        }
        let bytes = self.bytes.get(self.at..next).ok_or(Unusable::Cut)?;
        self.at = next;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Unusable> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unusable> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A packet identifier: never 0 [MQTT-2.3.1-1].
    pub(super) fn id(&mut self) -> Result<u16, Unusable> {
        match self.u16()? {
            0 => Err(Unusable::Malformed),
            id => Ok(id),
        }
    }

    /// Section 1.5.3; without NUL [MQTT-1.5.3-2].
    pub(super) fn text(&mut self) -> Result<&'a str, Unusable> {
        let length = self.u16()?;
        let text = std::str::from_utf8(self.take(usize::from(length))?).map_err(|_| Unusable::Malformed)?;
        if text.as_bytes().contains(&0) { Err(Unusable::Malformed) } else { Ok(text) }
    }

    /// A topic or filter: a character at least [MQTT-4.7.3-1].
    pub(super) fn topic(&mut self) -> Result<&'a str, Unusable> {
        match self.text()? {
            "" => Err(Unusable::Malformed),
            topic => Ok(topic),
        }
    }

    /// Binary data with its length before it: what is known of it, and how long it is.
    pub(super) fn binary(&mut self) -> Result<(&'a [u8], u64), Unusable> {
        let length = usize::from(self.u16()?);
        let next = self.at.saturating_add(length);
        if next as u64 > self.end {
            return Err(Unusable::Malformed);
        }
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = next;
        Ok((rest.get(..length).unwrap_or(rest), length as u64))
    }

    /// MQTT 5's properties; none in version 3.1.1.
    pub(super) fn properties(&mut self, five: bool, allowed: Allowed) -> Result<Properties<'a>, Unusable> {
        if five { Properties::read(self, allowed) } else { Ok(Properties::default()) }
    }

    /// What ends a packet that has a reason in MQTT 5, and nothing before: 0 if there is none.
    pub(super) fn reason(&mut self, five: bool, allowed: Allowed) -> Result<u8, Unusable> {
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
            self.properties(true, allowed)?;
        }
        self.finish()?;
        Ok(code)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at as u64 >= self.end
    }

    pub(super) fn finish(&self) -> Result<(), Unusable> {
        if self.is_at_end() { Ok(()) } else { Err(Unusable::Malformed) }
    }

    /// What is known of the rest.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = self.bytes.len();
        rest
    }
}
