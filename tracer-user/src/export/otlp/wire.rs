//! OTLP as protobuf (`opentelemetry/proto/trace/v1/trace.proto` and its kin, version 1).
//!
//! Field numbers stand beside each write. Messages whose length is not known beforehand are written to a
//! buffer of their own first.

use std::sync::Arc;

use super::{
    Attributes, Encoder, Group, SCOPE, SCOPE_VERSION, STATUS_ERROR, attributes, flags, kind, links, owners,
    parent_id,
};
use crate::model::command::Status;
use crate::model::span::{Edge, Span};

/// `ExportTraceServiceRequest`.
pub(super) fn request(encoder: &Encoder, spans: &[Arc<Span>]) -> Vec<u8> {
    let mut scratch = Vec::new();
    let mut groups = Vec::new();
    for Group { owner, spans } in owners(spans) {
        let mut out = Vec::new();
        for one in spans {
            scratch.clear();
            span(encoder, one, &mut scratch);
            message(&mut out, 2, &scratch); // ScopeSpans.spans
        }
        groups.push((owner, out));
    }

    let mut scope = Vec::new();
    text(&mut scope, 1, SCOPE); // InstrumentationScope.name
    text(&mut scope, 2, SCOPE_VERSION); // InstrumentationScope.version

    let size: usize = groups.iter().map(|(_, spans)| spans.len() + RESOURCE_GUESS).sum();
    let mut request = Vec::with_capacity(size);
    for (owner, spans) in groups {
        let mut resource = KeyValues { out: Vec::new(), field: 1 }; // Resource.attributes
        attributes::resource(encoder, owner, &mut resource);

        // ScopeSpans: its scope and the spans, of which the field headers are already there.
        let scope_spans = field_size(1, scope.len()) + spans.len();
        let resource_spans = field_size(1, resource.out.len()) + field_size(2, scope_spans);
        header(&mut request, 1, resource_spans); // ExportTraceServiceRequest.resource_spans
        message(&mut request, 1, &resource.out); // ResourceSpans.resource
        header(&mut request, 2, scope_spans); // ResourceSpans.scope_spans
        message(&mut request, 1, &scope); // ScopeSpans.scope
        request.extend_from_slice(&spans);
    }
    request
}

/// Roughly what a resource takes.
const RESOURCE_GUESS: usize = 512;

fn span(encoder: &Encoder, span: &Span, out: &mut Vec<u8>) {
    message(out, 1, &span.trace.0);
    message(out, 2, &span.id.0);
    if let Some(parent) = parent_id(span) {
        message(out, 4, &parent.0);
    }
    text(out, 5, &span.name);
    tag(out, 6, VARINT);
    out.push(kind(span.kind));
    fixed64(out, 7, span.at.start.0);
    fixed64(out, 8, span.at.end.0);
    let mut values = KeyValues { out: std::mem::take(out), field: 9 };
    attributes::span(encoder, span, &mut values);
    *out = values.out;
    for edge in links(span) {
        let mut body = Vec::new();
        link(edge, &mut body);
        message(out, 13, &body);
    }
    if let Status::Error { kind: _, message: description } = &span.status {
        let mut body = Vec::new();
        if !description.is_empty() {
            text(&mut body, 2, description); // Status.message
        }
        tag(&mut body, 3, VARINT); // Status.code
        body.push(STATUS_ERROR);
        message(out, 15, &body);
    }
    fixed32(out, 16, flags(span));
}

fn link(edge: &Edge, out: &mut Vec<u8>) {
    message(out, 1, &edge.trace.0);
    message(out, 2, &edge.span.0);
    let mut values = KeyValues { out: std::mem::take(out), field: 4 };
    attributes::link(edge, &mut values);
    *out = values.out;
}

/// Writes `KeyValue`s as field `field` of the message in `out`.
struct KeyValues {
    out: Vec<u8>,
    field: u8,
}

impl KeyValues {
    /// The header, the key, and the header of an `AnyValue` of `size` bytes.
    fn begin(&mut self, key: &str, size: usize) {
        header(&mut self.out, self.field, field_size(1, key.len()) + field_size(2, size));
        text(&mut self.out, 1, key); // KeyValue.key
        header(&mut self.out, 2, size); // KeyValue.value
    }
}

impl Attributes for KeyValues {
    fn text(&mut self, key: &str, value: &str) {
        self.begin(key, field_size(1, value.len()));
        text(&mut self.out, 1, value); // AnyValue.string_value
    }

    fn int(&mut self, key: &str, value: i64) {
        let value = value.cast_unsigned();
        self.begin(key, 1 + varint_size(value));
        tag(&mut self.out, 3, VARINT); // AnyValue.int_value
        varint(&mut self.out, value);
    }

    fn float(&mut self, key: &str, value: f64) {
        self.begin(key, 9);
        fixed64(&mut self.out, 4, value.to_bits()); // AnyValue.double_value
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.begin(key, 2);
        tag(&mut self.out, 2, VARINT); // AnyValue.bool_value
        self.out.push(u8::from(value));
    }

    fn texts(&mut self, key: &str, values: &[Arc<str>]) {
        let element = |value: &Arc<str>| field_size(1, value.len());
        let array = values.iter().map(|value| field_size(1, element(value))).sum();
        self.begin(key, field_size(5, array));
        header(&mut self.out, 5, array); // AnyValue.array_value
        for value in values {
            header(&mut self.out, 1, element(value)); // ArrayValue.values
            text(&mut self.out, 1, value); // AnyValue.string_value
        }
    }
}

// Protobuf's encoding (protobuf.dev, "Encoding"): wire types.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED32: u8 = 5;

fn tag(out: &mut Vec<u8>, field: u8, wire_type: u8) {
    varint(out, u64::from(field) << 3 | u64::from(wire_type));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_size(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Size of a length-delimited field with its header.
fn field_size(field: u8, size: usize) -> usize {
    varint_size(u64::from(field) << 3) + varint_size(size as u64) + size
}

fn header(out: &mut Vec<u8>, field: u8, size: usize) {
    tag(out, field, LENGTH);
    varint(out, size as u64);
}

fn message(out: &mut Vec<u8>, field: u8, body: &[u8]) {
    header(out, field, body.len());
    out.extend_from_slice(body);
}

fn text(out: &mut Vec<u8>, field: u8, value: &str) {
    message(out, field, value.as_bytes());
}

fn fixed64(out: &mut Vec<u8>, field: u8, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u8, value: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}
