//! Messages of formats 0 and 1, before Kafka 0.11: a message set is a row of them, and a compressed one is a message whose value
//! is another set.

use bytes::Bytes;

use super::inflate::Codec;
use super::records::{Budget, Item, RECORDS_A_FRAME, Record, payload, whole};
use super::wire::{Reader, Span};
use crate::proto::Unusable;

/// Offset and length in front of a message.
const PREFIX: usize = 12;

/// One message, which lies at `span` behind its offset and length, or those in it.
pub(super) fn message(
    frame: &Bytes,
    offset: i64,
    span: Span,
    budget: &mut Budget,
    each: &mut dyn FnMut(Item),
) -> Result<(), Unusable> {
    let (codec, magic, record) = one(frame, offset, span)?;
    if codec == Codec::None {
        if budget.spend() {
            each(Item::Record(record));
        }
        return Ok(());
    }
    let (source, over) = budget.inflate(codec, &record.value.captured);
    let inner = set(&source);
    budget.cut += u64::from(over);
    // Format 1 counts the offsets in it from 0, and its own is that of its last message (KIP-31).
    let last = inner.last().and_then(|record| record.offset).unwrap_or(0);
    let first = if magic == 1 { offset.saturating_sub(last) } else { 0 };
    let whole = record.value.is_whole() && !over;
    for mut record in inner {
        record.offset =
            record.offset.filter(|_| magic == 0 || whole).map(|inner| inner.saturating_add(first));
        if budget.spend() {
            each(Item::Record(record));
        }
    }
    Ok(())
}

/// The messages of a set, as far as they are known and whole.
fn set(source: &Bytes) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = 0usize;
    while source.len().saturating_sub(at) > PREFIX && records.len() <= RECORDS_A_FRAME as usize {
        let mut reader = Reader::new(source, at, source.len(), false);
        let (Ok(offset), Ok(length)) = (reader.i64(), reader.i32()) else { break };
        let Ok(span) = usize::try_from(length).map_err(|_| Unusable::Malformed).and_then(|l| reader.skip(l))
        else {
            break;
        };
        // One within one within one is nothing that anybody sends.
        match one(source, offset, span) {
            Ok((Codec::None, _, record)) => records.push(record),
            _ => break,
        }
        at = span.end;
    }
    records
}

fn one(source: &Bytes, offset: i64, span: Span) -> Result<(Codec, i8, Record), Unusable> {
    let mut reader = Reader::new(source, span.at, span.end, false);
    reader.skip(4)?;
    let magic = reader.i8()?;
    let codec = Codec::of(reader.i8()?.into()).ok_or(Unusable::Malformed)?;
    match magic {
        0 => {}
        1 => {
            reader.skip(8)?;
        }
        _ => return Err(Unusable::Malformed),
    }
    let key = reader.span()?.and_then(|span| whole(source, span));
    let value = reader.span()?;
    let tombstone = value.is_none();
    let value = value.map_or_else(Default::default, |span| payload(source, span));
    Ok((
        codec,
        magic,
        Record { offset: Some(offset), producer: None, key, value, tombstone, headers: Vec::new() },
    ))
}
