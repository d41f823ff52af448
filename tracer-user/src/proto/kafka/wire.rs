//! Primitive types of the protocol: the fixed ones and the compact ones of flexible versions (KIP-482).

use crate::proto::Unusable;
use crate::proto::memory::TopicId;

/// Longest string, 2^15 - 1 bytes.
const STRING_MAX: usize = 0x7fff;

/// Reads a structure of `end` bytes of which `bytes` are known.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    /// Whether strings and arrays are compact and structures end in tagged fields.
    flexible: bool,
}

/// Where a stretch of bytes lies in its frame; perhaps not all of it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from `at` on as the beginning of something that ends at `end`.
    pub(super) fn new(bytes: &'a [u8], at: usize, end: usize, flexible: bool) -> Self {
        Self { bytes: bytes.get(..end).unwrap_or(bytes), at, end, flexible }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    pub(super) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Unusable> {
        let next = self.at.checked_add(count).filter(|next| *next <= self.end).ok_or(Unusable::Malformed)?;
        let bytes = self.bytes.get(self.at..next).ok_or(Unusable::Cut)?;
        self.at = next;
        Ok(bytes)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Unusable> {
        self.take(N)?.try_into().map_err(|_| Unusable::Malformed)
    }

    /// Steps over `count` bytes, captured or not.
    pub(super) fn skip(&mut self, count: usize) -> Result<Span, Unusable> {
        let end = self.at.checked_add(count).filter(|next| *next <= self.end).ok_or(Unusable::Malformed)?;
        let span = Span { at: self.at, end };
        self.at = end;
        Ok(span)
    }

    pub(super) fn i8(&mut self) -> Result<i8, Unusable> {
        Ok(i8::from_be_bytes(self.array_of()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, Unusable> {
        Ok(i16::from_be_bytes(self.array_of()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Unusable> {
        Ok(i32::from_be_bytes(self.array_of()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Unusable> {
        Ok(i64::from_be_bytes(self.array_of()?))
    }

    pub(super) fn uuid(&mut self) -> Result<TopicId, Unusable> {
        self.array_of()
    }

    /// `UNSIGNED_VARINT`: 7 bits a byte, least significant first, at most 5 bytes.
    pub(super) fn uvarint(&mut self) -> Result<u32, Unusable> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array_of::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unusable::Malformed)
    }

    /// `VARINT` and `VARLONG`: the same with zig-zag, at most 10 bytes.
    pub(super) fn varlong(&mut self) -> Result<i64, Unusable> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array_of::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(Unusable::Malformed)
    }

    /// A length of type `VARINT` as records have it; `None` for null.
    pub(super) fn varlength(&mut self) -> Result<Option<usize>, Unusable> {
        match self.varlong()? {
            -1 => Ok(None),
            // The type has 32 bits.
            length => {
                let length = u32::try_from(length).ok().filter(|length| *length <= i32::MAX.cast_unsigned());
                length.and_then(|length| usize::try_from(length).ok()).map(Some).ok_or(Unusable::Malformed)
            }
        }
    }

    /// The length of a string or the bytes of an array; `None` for null. `wide`: the fixed form has 32 bits, not 16.
    fn length(&mut self, wide: bool) -> Result<Option<usize>, Unusable> {
        if self.flexible {
            let length = self.uvarint()?.checked_sub(1);
            return length.map(|length| usize::try_from(length).map_err(|_| Unusable::Malformed)).transpose();
        }
        let length = if wide { self.i32()? } else { self.i16()?.into() };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Unusable::Malformed),
        }
    }

    /// (`COMPACT`) `NULLABLE_STRING`.
    pub(super) fn text(&mut self) -> Result<Option<&'a str>, Unusable> {
        let Some(length) = self.length(false)? else { return Ok(None) };
        // Compact ones may have no more either, although their length could say so.
        if length > STRING_MAX {
            return Err(Unusable::Malformed);
        }
        std::str::from_utf8(self.take(length)?).map(Some).map_err(|_| Unusable::Malformed)
    }

    /// (`COMPACT`) `STRING`.
    pub(super) fn string(&mut self) -> Result<&'a str, Unusable> {
        self.text()?.ok_or(Unusable::Malformed)
    }

    /// (`COMPACT`) `NULLABLE_BYTES` or `RECORDS`: where they lie.
    pub(super) fn span(&mut self) -> Result<Option<Span>, Unusable> {
        self.length(true)?.map(|length| self.skip(length)).transpose()
    }

    /// (`COMPACT`) `ARRAY`: how many elements follow, 0 for null. Every element has a byte at least.
    pub(super) fn count(&mut self) -> Result<usize, Unusable> {
        let count = self.length(true)?.unwrap_or(0);
        if count > self.left() { Err(Unusable::Malformed) } else { Ok(count) }
    }

    /// Steps over an array of elements of `size` bytes.
    pub(super) fn skip_array(&mut self, size: usize) -> Result<(), Unusable> {
        let count = self.count()?;
        self.skip(count.saturating_mul(size)).map(|_| ())
    }

    /// What ends a structure in flexible versions: steps over tagged fields.
    pub(super) fn tags(&mut self) -> Result<(), Unusable> {
        self.tagged(|_, _| Ok(()))
    }

    /// The same, and shows each field's tag and content.
    pub(super) fn tagged(
        &mut self,
        mut each: impl FnMut(u32, &mut Reader<'a>) -> Result<(), Unusable>,
    ) -> Result<(), Unusable> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.uvarint()?;
        // A tag and a length at least.
        if u64::from(count) * 2 > self.left() as u64 {
            return Err(Unusable::Malformed);
        }
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = usize::try_from(self.uvarint()?).map_err(|_| Unusable::Malformed)?;
            let span = self.skip(size)?;
            let mut field = Reader { at: span.at, end: span.end, ..self.clone() };
            field.bytes = field.bytes.get(..span.end).unwrap_or(field.bytes);
            each(tag, &mut field)?;
        }
        Ok(())
    }
}
