//! What topics hold: record batches (message format 2, since Kafka 0.11); older message sets are in `legacy`.

use bytes::Bytes;

use super::inflate::{Codec, inflate};
use super::legacy;
use super::wire::{Reader, Span};
use crate::model::payload::Payload;
use crate::proto::Unusable;

/// Messages of one frame that ops are made of. Batches of Kafka's clients have some thousands; of more, a hostile count included,
/// the rest is counted only.
pub(super) const RECORDS_A_FRAME: u32 = 32_768;

/// Bytes that the compressed batches of one frame may grow to together: those of the bytes kept of a frame at the ratios
/// that text has. The rest of a bomb stays in it, and is counted.
pub(super) const INFLATED_A_FRAME: usize = 8 * 1024 * 1024;

/// Offset, length, epoch and magic: what tells the format.
const PREFIX: usize = 17;

/// Bytes of a batch behind its length field and before its records.
const BATCH_HEAD: usize = 49;

/// Smallest record: six fields of a byte each and its own length.
const RECORD_MIN: usize = 7;

/// Headers that are kept of a message: those of trace context and CloudEvents are some ten.
const HEADERS: usize = 32;

/// Longest value of such a header; `baggage` may have 8,192 bytes.
const HEADER_BYTES: usize = 8192;

/// Bits of a batch's attributes.
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// One message.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Its offset as it stands there: in a produce request counted from 0. `None` if it was not captured and the batch has gaps.
    pub(super) offset: Option<i64>,
    /// The producer, where the batch belongs to a transaction.
    pub(super) producer: Option<i64>,
    /// Key, if there is one and all of it was captured.
    pub(super) key: Option<Bytes>,
    /// Value. Of a record that was not captured at all (behind the capture limit, or in a compressed block that is cut) both the
    /// bytes and the size are missing: 0.
    pub(super) value: Payload,
    /// The value is null: the key is to be deleted.
    pub(super) tombstone: bool,
    /// Names and values, as far as they were captured.
    pub(super) headers: Vec<(Bytes, Bytes)>,
}

/// What a batch holds.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Record(Record),
    /// End of a producer's transaction.
    Marker {
        producer: i64,
        abort: bool,
    },
}

/// What one frame may still be made to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Messages.
    pub(super) records: u32,
    /// Bytes out of compressed batches.
    pub(super) inflated: usize,
    /// Messages over it.
    pub(super) over: u64,
    /// Messages without their bodies because their batch grew too great.
    pub(super) cut: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { records: RECORDS_A_FRAME, inflated: INFLATED_A_FRAME, over: 0, cut: 0 }
    }
}

impl Budget {
    /// Whether another message may be made; else it is counted.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.records.checked_sub(1);
        match left {
            Some(left) => self.records = left,
            None => self.over += 1,
        }
        left.is_some()
    }

    /// Undoes a compression.
    pub(super) fn inflate(&mut self, codec: Codec, input: &[u8]) -> (Bytes, bool) {
        let inflated = inflate(codec, input, self.inflated);
        self.inflated = self.inflated.saturating_sub(inflated.bytes.len());
        (inflated.bytes, inflated.over)
    }
}

/// Reads the batches of a partition, which lie at `span` of `frame`, and shows what is in them. A batch that does not end in the
/// partition's bytes is none: brokers cut the last one off anywhere.
///
/// # Errors
/// [`Unusable::Cut`] if there may be more batches than were captured. What was captured has been shown.
pub(super) fn read(
    frame: &Bytes,
    span: Span,
    budget: &mut Budget,
    each: &mut dyn FnMut(Item),
) -> Result<(), Unusable> {
    let mut at = span.at;
    while span.end.saturating_sub(at) >= PREFIX {
        let mut reader = Reader::new(frame, at, span.end, false);
        let (base, length) = (reader.i64()?, reader.i32()?);
        let length = usize::try_from(length).map_err(|_| Unusable::Malformed)?;
        if length < PREFIX - 12 {
            return Err(Unusable::Malformed);
        }
        if length > reader.left() {
            return Ok(());
        }
        let end = reader.at().saturating_add(length);
        reader.skip(4)?;
        match reader.i8()? {
            2 => batch(frame, base, Span { at: reader.at(), end }, budget, each)?,
            0 | 1 => legacy::message(frame, base, Span { at: at.saturating_add(12), end }, budget, each)?,
            _ => return Err(Unusable::Malformed),
        }
        at = end;
    }
    Ok(())
}

/// The head of a batch.
#[derive(Clone, Copy, Debug)]
struct Batch {
    base: i64,
    codec: Codec,
    transactional: bool,
    control: bool,
    last: i64,
    producer: i64,
    count: u32,
}

impl Batch {
    /// Reads what follows the magic.
    fn read(base: i64, reader: &mut Reader<'_>) -> Result<Self, Unusable> {
        reader.skip(4)?;
        let attributes = reader.i16()?;
        let last = i64::from(reader.i32()?);
        reader.skip(16)?;
        let producer = reader.i64()?;
        reader.skip(6)?;
        let count = u32::try_from(reader.i32()?).map_err(|_| Unusable::Malformed)?;
        let codec = Codec::of(attributes).ok_or(Unusable::Malformed)?;
        let (transactional, control) = (attributes & TRANSACTIONAL != 0, attributes & CONTROL != 0);
        if last < 0 || i64::from(count) > last + 1 || base.checked_add(last).is_none() {
            return Err(Unusable::Malformed);
        }
        Ok(Self { base, codec, transactional, control, last, producer, count })
    }

    /// The `index`th record, of which nothing is known but that it is there.
    fn unseen(&self, index: u32) -> Record {
        // Without gaps, as every producer sends them: only compaction makes some.
        let whole = i64::from(self.count) == self.last + 1;
        Record {
            offset: whole.then(|| self.base.saturating_add(index.into())),
            producer: self.transactional.then_some(self.producer),
            ..Record::default()
        }
    }
}

/// A batch; `span` begins behind the magic.
fn batch(
    frame: &Bytes,
    base: i64,
    span: Span,
    budget: &mut Budget,
    each: &mut dyn FnMut(Item),
) -> Result<(), Unusable> {
    if span.end.saturating_sub(span.at) < BATCH_HEAD - 5 {
        return Err(Unusable::Malformed);
    }
    let mut reader = Reader::new(frame, span.at, span.end, false);
    let head = Batch::read(base, &mut reader)?;
    let from = reader.at();
    let plain = head.codec == Codec::None;
    if plain && (span.end - from) / RECORD_MIN < head.count as usize {
        return Err(Unusable::Malformed);
    }
    let captured = frame.get(from..span.end).or_else(|| frame.get(from..)).unwrap_or(&[]);
    let (source, over) = if plain {
        (frame.clone(), false)
    } else if head.count == 0 || budget.records == 0 {
        (Bytes::new(), false)
    } else {
        budget.inflate(head.codec, captured)
    };
    // Where compressed records end is not known if something is missing: what is behind it is cut, not malformed.
    let mut reader = match plain {
        true => Reader::new(&source, from, span.end, false),
        false => Reader::new(&source, 0, usize::MAX, false),
    };
    let mut known = true;
    for index in 0..head.count {
        let record = if known { record(&source, &mut reader, &head) } else { Err(Unusable::Cut) };
        let record = match record {
            Ok(record) => {
                budget.cut += u64::from(over && !record.value.is_whole());
                record
            }
            Err(Unusable::Malformed) if plain => return Err(Unusable::Malformed),
            // A marker that was not captured marks nothing.
            Err(_) if head.control => break,
            Err(_) => {
                known = false;
                budget.cut += u64::from(over);
                head.unseen(index)
            }
        };
        if head.control {
            // ControlRecordType: version, then 0 to abort, 1 to commit.
            let kind = record.key.as_deref().and_then(|key| key.get(2..4));
            if let Some(kind @ ([0, 0] | [0, 1])) = kind {
                each(Item::Marker { producer: head.producer, abort: kind == [0, 0] });
            }
        } else if budget.spend() {
            each(Item::Record(record));
        } else {
            budget.over += u64::from(head.count - index - 1);
            break;
        }
    }
    Ok(())
}

/// A record of a batch, whose bytes are at the reader of `source`. Its value may be cut.
fn record(source: &Bytes, reader: &mut Reader<'_>, head: &Batch) -> Result<Record, Unusable> {
    let length = reader.varlength()?.ok_or(Unusable::Malformed)?;
    let span = reader.skip(length)?;
    let mut inner = Reader::new(source, span.at, span.end, false);
    inner.i8()?;
    inner.varlong()?;
    let delta = inner.varlong()?;
    if !(0..=head.last).contains(&delta) {
        return Err(Unusable::Malformed);
    }
    let mut record = Record {
        offset: head.base.checked_add(delta),
        producer: head.transactional.then_some(head.producer),
        ..Record::default()
    };
    let mut rest = || -> Result<(), Unusable> {
        if let Some(length) = inner.varlength()? {
            record.key = whole(source, inner.skip(length)?);
        }
        let length = inner.varlength()?;
        record.tombstone = length.is_none();
        let value = inner.skip(length.unwrap_or(0))?;
        record.value = payload(source, value);
        let count = inner.varlength()?.ok_or(Unusable::Malformed)?;
        // Two lengths of a byte at least.
        if count > inner.left() / 2 {
            return Err(Unusable::Malformed);
        }
        for _ in 0..count {
            let name = inner.varlength()?.ok_or(Unusable::Malformed)?;
            let name = inner.skip(name)?;
            let value = inner.varlength()?.unwrap_or(0);
            let value = inner.skip(value)?;
            let (Some(name), Some(value)) = (whole(source, name), whole(source, value)) else {
                return Err(Unusable::Cut);
            };
            if record.headers.len() < HEADERS && value.len() <= HEADER_BYTES && carries_context(&name) {
                record.headers.push((name, value));
            }
        }
        Ok(())
    };
    match rest() {
        // Where it lies is known, and so is where the next one would.
        Ok(()) | Err(Unusable::Cut) => Ok(record),
        Err(Unusable::Malformed) => Err(Unusable::Malformed),
    }
}

/// The bytes at `span`, if all of them are known.
pub(super) fn whole(source: &Bytes, span: Span) -> Option<Bytes> {
    (span.end <= source.len()).then(|| source.slice(span.at..span.end))
}

/// What is known of the bytes at `span`.
pub(super) fn payload(source: &Bytes, span: Span) -> Payload {
    let end = span.end.min(source.len());
    let captured = if span.at < end { source.slice(span.at..end) } else { Bytes::new() };
    Payload { captured, size: span.end.saturating_sub(span.at) as u64 }
}

/// Whether a header of that name tells where a message comes from or which event it is: W3C trace context and baggage, B3,
/// correlation ids, CloudEvents' Kafka binding.
fn carries_context(name: &[u8]) -> bool {
    const NAMES: [&str; 8] = [
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "correlation-id",
        "correlation_id",
        "kafka_correlationId",
        "content-type",
    ];
    let begins = |with: &[u8]| name.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    begins(b"ce_")
        || begins(b"x-b3-")
        || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
