//! Bytes as a source of choices. When they run out every choice is zero, so any bytes mean something.

use bytes::Bytes;

/// What is left of the input.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// A number below `limit`, 0 if there is none.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let number = if limit > 256 {
            usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
        } else {
            self.byte().into()
        };
        number.checked_rem(limit).unwrap_or(0)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    /// A number of any size, mostly small.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => self.u64(),
            0xfe => u64::MAX,
            0xfd => u64::from(self.u64() as u32),
            small => small.into(),
        }
    }

    /// Bytes with their length in front.
    pub(crate) fn bytes(&mut self) -> Bytes {
        let length = match self.byte() {
            0xff => usize::from(u16::from_le_bytes([self.byte(), self.byte()])),
            small => small.into(),
        };
        self.take(length)
    }

    /// So many bytes, or what is left.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }

    /// Nanoseconds that pass: none, or steps around the decoders' time limits.
    pub(crate) fn pause(&mut self) -> u64 {
        const STEPS: [u64; 8] =
            [0, 1, 1_000, 1_000_000, 60_000_000, 400_000_000, 1_100_000_000, 20_000_000_000];
        STEPS[self.below(STEPS.len())]
    }
}
