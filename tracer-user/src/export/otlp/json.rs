//! OTLP as JSON (OTLP specification, "JSON Protobuf Encoding"): lowerCamelCase keys, ids in lower-case hex,
//! 64-bit integers as strings, enums as integers; fields at their default are left out.

use std::sync::Arc;

use super::{
    Attributes, Encoder, SCOPE, SCOPE_VERSION, STATUS_ERROR, attributes, flags, kind, links, owners,
    parent_id,
};
use crate::export::payload::encode_hex;
use crate::model::command::Status;
use crate::model::span::{Edge, Span};

/// `ExportTraceServiceRequest`, without a line's end.
pub(super) fn request(encoder: &Encoder, spans: &[Arc<Span>], out: &mut Vec<u8>) {
    let groups = owners(spans);
    out.extend_from_slice(b"{\"resourceSpans\":[");
    for (place, group) in groups.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"resource\":{\"attributes\":[");
        attributes::resource(encoder, group.owner, &mut KeyValues::new(out));
        out.extend_from_slice(b"]},\"scopeSpans\":[{\"scope\":{\"name\":");
        string(out, SCOPE);
        out.extend_from_slice(b",\"version\":");
        string(out, SCOPE_VERSION);
        out.extend_from_slice(b"},\"spans\":[");
        for (place, one) in group.spans.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            span(encoder, one, out);
        }
        out.extend_from_slice(b"]}]}");
    }
    out.extend_from_slice(b"]}");
}

fn span(encoder: &Encoder, span: &Span, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"traceId\":");
    hex(out, &span.trace.0);
    out.extend_from_slice(b",\"spanId\":");
    hex(out, &span.id.0);
    if let Some(parent) = parent_id(span) {
        out.extend_from_slice(b",\"parentSpanId\":");
        hex(out, &parent.0);
    }
    int(out, ",\"flags\":", flags(span));
    out.extend_from_slice(b",\"name\":");
    string(out, &span.name);
    int(out, ",\"kind\":", kind(span.kind));
    int(out, ",\"startTimeUnixNano\":\"", span.at.start.0);
    int(out, "\",\"endTimeUnixNano\":\"", span.at.end.0);
    out.extend_from_slice(b"\",\"attributes\":[");
    attributes::span(encoder, span, &mut KeyValues::new(out));
    out.push(b']');
    for (place, edge) in links(span).enumerate() {
        out.extend_from_slice(if place == 0 { b",\"links\":[" } else { b"," });
        link(edge, out);
    }
    if links(span).next().is_some() {
        out.push(b']');
    }
    if let Status::Error { kind: _, message } = &span.status {
        out.extend_from_slice(b",\"status\":{");
        if !message.is_empty() {
            out.extend_from_slice(b"\"message\":");
            string(out, message);
            out.push(b',');
        }
        int(out, "\"code\":", STATUS_ERROR);
        out.push(b'}');
    }
    out.push(b'}');
}

fn link(edge: &Edge, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"traceId\":");
    hex(out, &edge.trace.0);
    out.extend_from_slice(b",\"spanId\":");
    hex(out, &edge.span.0);
    out.extend_from_slice(b",\"attributes\":[");
    attributes::link(edge, &mut KeyValues::new(out));
    out.extend_from_slice(b"]}");
}

/// Writes `KeyValue`s as elements of an array.
struct KeyValues<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> KeyValues<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    fn pair(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"key\":");
        string(self.out, key);
        self.out.extend_from_slice(b",\"value\":{");
        value(self.out);
        self.out.extend_from_slice(b"}}");
    }
}

impl Attributes for KeyValues<'_> {
    fn text(&mut self, key: &str, value: &str) {
        self.pair(key, |out| {
            out.extend_from_slice(b"\"stringValue\":");
            string(out, value);
        });
    }

    fn int(&mut self, key: &str, value: i64) {
        self.pair(key, |out| {
            int(out, "\"intValue\":\"", value);
            out.push(b'"');
        });
    }

    fn float(&mut self, key: &str, value: f64) {
        self.pair(key, |out| {
            out.extend_from_slice(b"\"doubleValue\":");
            // Protobuf's JSON has words for what JSON's numbers cannot say.
            if value.is_nan() {
                string(out, "NaN");
            } else if value.is_infinite() {
                string(out, if value > 0.0 { "Infinity" } else { "-Infinity" });
            } else {
                let mut text = ryu::Buffer::new();
                let text = text.format_finite(value);
                out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
            }
        });
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.pair(key, |out| {
            out.extend_from_slice(if value {
                b"\"boolValue\":true".as_slice()
            } else {
                b"\"boolValue\":false"
            });
        });
    }

    fn texts(&mut self, key: &str, values: &[Arc<str>]) {
        self.pair(key, |out| {
            out.extend_from_slice(b"\"arrayValue\":{\"values\":[");
            for (place, value) in values.iter().enumerate() {
                out.extend_from_slice(if place == 0 {
                    b"{\"stringValue\":".as_slice()
                } else {
                    b",{\"stringValue\":"
                });
                string(out, value);
                out.push(b'}');
            }
            out.extend_from_slice(b"]}");
        });
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Nearly every text is as it stands. Without a way out of the loop it is done for many bytes at once.
    let special =
        text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'));
    if special {
        serde_json::to_writer(out, text).expect("a string can be written to memory as JSON");
        return;
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn int(out: &mut Vec<u8>, before: &str, value: impl itoa::Integer) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn hex(out: &mut Vec<u8>, id: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + id.len() * 2, 0);
    encode_hex(id, &mut out[start..]);
    out.push(b'"');
}
