//! The entry of a stream: its fields become headers and a body.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::payload::Payload;

/// Fields of an entry that are read; the sizes of more are added up.
const FIELDS: usize = 1024;

/// Captured bytes kept of one entry's fields.
const KEPT: usize = 256 * 1024;

/// Longest header.
const HEADER: usize = 1024;

/// Name and value.
type Header = (Arc<str>, Arc<str>);

/// An argument or value of which perhaps only the beginning was captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arg {
    pub(super) bytes: Bytes,
    pub(super) size: u64,
}

impl Arg {
    pub(super) fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }

    pub(super) fn payload(self) -> Payload {
        Payload { captured: self.bytes, size: self.size }
    }
}

/// Fields and values, as they come.
#[derive(Debug, Default)]
pub(super) struct Fields {
    name: Option<Arg>,
    pairs: Vec<(Arg, Arg)>,
    headers: Vec<Header>,
    size: u64,
    kept: usize,
}

impl Fields {
    /// The next field or value.
    pub(super) fn push(&mut self, arg: Arg) {
        let Some(name) = self.name.take() else {
            self.name = Some(arg);
            return;
        };
        if let Some(header) = header(&name, &arg) {
            if self.headers.len() < FIELDS {
                self.headers.push(header);
            }
            return;
        }
        self.size = self.size.saturating_add(arg.size);
        let kept = name.bytes.len().saturating_add(arg.bytes.len()).saturating_add(self.kept);
        if self.pairs.len() < FIELDS && kept <= KEPT {
            self.kept = kept;
            self.pairs.push((name, arg));
        }
    }

    /// The body: the value of the only field, else an object of JSON. Its size is that of the values.
    pub(super) fn take(&mut self) -> (Payload, Vec<Header>) {
        let headers = std::mem::take(&mut self.headers);
        let size = std::mem::take(&mut self.size);
        self.name = None;
        self.kept = 0;
        let captured = match self.pairs.as_mut_slice() {
            [(_, value)] => std::mem::take(&mut value.bytes),
            [] => Bytes::new(),
            pairs => Bytes::from(json(pairs)),
        };
        self.pairs.clear();
        (Payload { captured, size }, headers)
    }

    /// Forgets what came.
    pub(super) fn clear(&mut self) {
        *self = Self { pairs: std::mem::take(&mut self.pairs), ..Self::default() };
        self.pairs.clear();
    }
}

/// A field that is a header.
fn header(name: &Arg, value: &Arg) -> Option<Header> {
    let short = value.bytes.len() <= HEADER && name.bytes.len() <= HEADER;
    if !is_header(&name.bytes) || !name.is_whole() || !value.is_whole() || !short {
        return None;
    }
    Some((str::from_utf8(&name.bytes).ok()?.into(), str::from_utf8(&value.bytes).ok()?.into()))
}

/// Whether a field of this name carries context: W3C trace context and baggage, a correlation id, an attribute of a
/// CloudEvent.
fn is_header(name: &[u8]) -> bool {
    matches!(name, b"traceparent" | b"tracestate" | b"baggage" | b"correlation_id")
        || name.starts_with(b"ce_")
}

fn json(pairs: &[(Arg, Arg)]) -> String {
    let bytes: usize = pairs.iter().map(|(name, value)| name.bytes.len() + value.bytes.len() + 6).sum();
    let mut text = String::with_capacity(bytes + 2);
    for (index, (name, value)) in pairs.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        quote(&name.bytes, &mut text);
        text.push(':');
        quote(&value.bytes, &mut text);
    }
    text.push('}');
    text
}

/// Adds a string of JSON (RFC 8259, section 7); what is not UTF-8 becomes U+FFFD.
fn quote(bytes: &[u8], out: &mut String) {
    out.push('"');
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let code = u32::from(control);
                out.push_str("\\u00");
                out.extend([code >> 4, code & 15].iter().filter_map(|digit| char::from_digit(*digit, 16)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
