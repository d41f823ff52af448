//! Content headers, their properties and field tables.

use std::sync::Arc;

use super::death::{Deaths, text_of};
use super::wire::Reader;
use crate::proto::Unusable;

/// Fields of a table that are looked at, and headers of a message that are kept.
const FIELDS: usize = 1024;
const KEPT: usize = 32;

/// Bytes of a header that is kept: the W3C's limit for `baggage`, the longest of those that matter.
const VALUE_BYTES: usize = 8192;

/// Bytes of all headers of a message that are kept, names included.
const KEPT_BYTES: usize = 16 * 1024;

/// The properties of a message as far as they carry context or identity (section 4.2.6.1, `basic` of the machine-readable
/// specification).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Properties {
    /// Bytes of the body.
    pub(super) size: u64,
    /// `message-id`.
    pub(super) id: Option<Arc<str>>,
    /// `correlation-id`.
    pub(super) correlation: Option<Arc<str>>,
    /// Headers, `content-type` and `correlation-id` among them: name, value.
    pub(super) headers: Vec<(Arc<str>, Arc<str>)>,
    /// Bytes in them.
    kept: usize,
    /// If it was dead-lettered.
    pub(super) deaths: Option<Box<Deaths>>,
}

impl Properties {
    /// The content header of `size` bytes of which `payload` are known. Of properties that were cut, those before the cut
    /// are there.
    ///
    /// # Errors
    /// [`Unusable::Cut`] if not even the body's size is known.
    pub(super) fn read(payload: &[u8], size: u32) -> Result<Self, Unusable> {
        let mut reader = Reader::new(payload, size);
        // Class and weight.
        reader.skip(4)?;
        let mut properties = Self { size: reader.u64()?, ..Self::default() };
        match properties.read_list(&mut reader) {
            Err(Unusable::Malformed) => Err(Unusable::Malformed),
            Ok(()) | Err(Unusable::Cut) => Ok(properties),
        }
    }

    fn read_list(&mut self, reader: &mut Reader<'_>) -> Result<(), Unusable> {
        let flags = reader.u16()?;
        // The last bit says that further flags follow; `basic` has no more than 14 properties.
        if flags & 3 != 0 {
            return Err(Unusable::Malformed);
        }
        let has = |bit: u16| flags & (1 << bit) != 0;
        if has(15) {
            let kind = reader.short()?;
            self.keep("content-type", &kind);
        }
        if has(14) {
            // content-encoding
            reader.short()?;
        }
        if has(13) {
            let table = reader.nested()?;
            // What names the first death may come behind the deaths.
            let mut deaths = None;
            let read = fields(table, |name, value| match (name, value) {
                (b"x-death", Value::List(list)) => deaths = Some(list),
                (name, value) => self.header(name, value),
            });
            if let Some(list) = deaths {
                // Of what was cut, what was captured still counts.
                let _ = self.deaths.get_or_insert_default().read(list);
            }
            read?;
        }
        for bit in [12, 11] {
            if has(bit) {
                // delivery-mode, priority
                reader.u8()?;
            }
        }
        if has(10) {
            let id = reader.short()?;
            self.correlation = Some(Arc::from(&*id));
            self.keep("correlation-id", &id);
        }
        for bit in [9, 8] {
            if has(bit) {
                // reply-to, expiration
                reader.short()?;
            }
        }
        if has(7) {
            self.id = Some(Arc::from(&*reader.short()?));
        }
        if has(6) {
            // timestamp
            reader.u64()?;
        }
        for bit in [5, 4, 3, 2] {
            if has(bit) {
                // type, user-id, app-id, cluster-id
                reader.short()?;
            }
        }
        reader.finish()
    }

    fn header(&mut self, name: &[u8], value: Value<'_>) {
        match name {
            b"x-first-death-queue" => self.deaths.get_or_insert_default().first_queue = text_of(&value),
            b"x-first-death-reason" => self.deaths.get_or_insert_default().first_reason = text_of(&value),
            _ => {}
        }
        let Ok(name) = std::str::from_utf8(name) else { return };
        if !carries_context(name) {
            return;
        }
        match value {
            Value::Text(text) => {
                if let Ok(text) = std::str::from_utf8(text) {
                    self.keep(name, text);
                }
            }
            Value::Int(number) => self.keep(name, &number.to_string()),
            Value::Bool(set) => self.keep(name, if set { "true" } else { "false" }),
            Value::List(_) | Value::Table(_) | Value::Other => {}
        }
    }

    fn keep(&mut self, name: &str, value: &str) {
        let bytes = name.len().saturating_add(value.len());
        let fits = self.kept.saturating_add(bytes) <= KEPT_BYTES;
        if fits && self.headers.len() < KEPT && value.len() <= VALUE_BYTES {
            self.kept += bytes;
            // Trace context is found by its name as it is written in lower case (W3C Trace Context section 3.2.1).
            let standard = ["traceparent", "tracestate", "baggage"];
            let name = standard.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name);
            self.headers.push((Arc::from(name), Arc::from(value)));
        }
    }
}

/// Whether a header is of the kind that says where a message comes from or belongs to.
fn carries_context(name: &str) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    is("traceparent")
        || is("tracestate")
        || is("baggage")
        || matches!(name, "correlation-id" | "correlation_id" | "correlationId")
        // The prefixes of CloudEvents' protocol bindings.
        || ["ce-", "ce_", "cloudEvents:", "cloudEvents_"].into_iter().any(begins)
}

/// A field's value.
#[derive(Clone)]
pub(super) enum Value<'a> {
    /// A long string, or bytes.
    Text(&'a [u8]),
    /// Any whole number, a timestamp.
    Int(i64),
    Bool(bool),
    List(Reader<'a>),
    Table(Reader<'a>),
    /// A fraction or nothing.
    Other,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Int(number) => f.debug_tuple("Int").field(number).finish(),
            Self::Bool(set) => f.debug_tuple("Bool").field(set).finish(),
            Self::List(_) => f.write_str("List"),
            Self::Table(_) => f.write_str("Table"),
            Self::Other => f.write_str("Other"),
        }
    }
}

/// Shows each field of a table to `each`. What lies in tables and arrays in it is not looked at.
///
/// # Errors
/// [`Unusable::Cut`] if not all of it is known; the fields before were shown.
pub(super) fn fields<'a>(
    mut table: Reader<'a>,
    mut each: impl FnMut(&'a [u8], Value<'a>),
) -> Result<(), Unusable> {
    for _ in 0..FIELDS {
        if table.is_at_end() {
            break;
        }
        let length = table.u8()?;
        let name = table.bytes(length.into())?;
        each(name, value(&mut table)?);
    }
    Ok(())
}

/// Types as RabbitMQ and its clients write them, which is not in all letters as section 4.2.1 has them.
pub(super) fn value<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Unusable> {
    Ok(match reader.u8()? {
        b't' => Value::Bool(reader.u8()? != 0),
        b'b' => Value::Int(i8::from_be_bytes([reader.u8()?]).into()),
        b'B' => Value::Int(reader.u8()?.into()),
        b's' | b'U' => Value::Int(reader.u16()?.cast_signed().into()),
        b'u' => Value::Int(reader.u16()?.into()),
        b'I' => Value::Int(reader.u32()?.cast_signed().into()),
        b'i' => Value::Int(reader.u32()?.into()),
        b'l' | b'L' => Value::Int(reader.u64()?.cast_signed()),
        b'T' => Value::Int(i64::try_from(reader.u64()?).unwrap_or(i64::MAX)),
        b'S' | b'x' => Value::Text(reader.long()?),
        b'f' => {
            reader.skip(4)?;
            Value::Other
        }
        b'd' => {
            reader.skip(8)?;
            Value::Other
        }
        b'D' => {
            reader.skip(5)?;
            Value::Other
        }
        b'V' => Value::Other,
        b'A' => Value::List(reader.nested()?),
        b'F' => Value::Table(reader.nested()?),
        _ => return Err(Unusable::Malformed),
    })
}
