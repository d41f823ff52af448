//! What a message says of itself beyond its protocol: CloudEvents, correlation, trace context.
//!
//! CloudEvents 1.0.2 section 3.1; in headers by the protocol bindings (`ce-type`, `ce_type`, `cloudEvents:type`),
//! in the body by the JSON event format section 3. Trace context: W3C Trace Context section 3.2.

use std::sync::Arc;

use serde::Deserialize;

use crate::model::ids::{SpanId, TraceId};
use crate::model::op::Message;

/// How far into a body `specversion` is looked for: envelopes name it among their first members.
const ENVELOPE_BYTES: usize = 512;

/// The context attributes of a CloudEvent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudEvent {
    /// `id`.
    pub id: Option<Arc<str>>,
    /// `type`.
    pub kind: Option<Arc<str>>,
    /// `source`.
    pub source: Option<Arc<str>>,
    /// `subject`.
    pub subject: Option<Arc<str>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    subject: Option<std::borrow::Cow<'a, str>>,
}

impl CloudEvent {
    /// The event that `message` is, if it is one.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        Self::in_headers(message).or_else(|| Self::in_body(message))
    }

    fn in_headers(message: &Message) -> Option<Self> {
        let mut event = Self::default();
        let mut is_event = false;
        for (name, value) in &message.headers {
            let Some(name) = ["ce-", "ce_", "cloudEvents:", "cloudEvents_"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
            else {
                continue;
            };
            match name {
                "specversion" => is_event = true,
                "id" => event.id = Some(value.clone()),
                "type" => event.kind = Some(value.clone()),
                "source" => event.source = Some(value.clone()),
                "subject" => event.subject = Some(value.clone()),
                _ => {}
            }
        }
        is_event.then_some(event)
    }

    fn in_body(message: &Message) -> Option<Self> {
        let body = &message.body.captured;
        if body.first() != Some(&b'{') || !message.body.is_whole() {
            return None;
        }
        let key = b"\"specversion\"";
        let head = body.get(..ENVELOPE_BYTES).unwrap_or(body);
        memchr::memmem::find(head, key)?;
        let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
        let shared = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| Arc::from(&*text));
        Some(Self {
            id: shared(envelope.id),
            kind: shared(envelope.kind),
            source: shared(envelope.source),
            subject: shared(envelope.subject),
        })
    }
}

/// What the program or protocol correlates this message by.
#[must_use]
pub fn correlation(message: &Message) -> Option<&Arc<str>> {
    message.headers.iter().find_map(|(name, value)| {
        matches!(&**name, "correlation-id" | "correlation_id" | "correlationId").then_some(value)
    })
}

/// Where the answer to this message is to go (MQTT 5's response topic and the like), a header of the decoders.
#[must_use]
pub fn reply_to(message: &Message) -> Option<&Arc<str>> {
    message.headers.iter().find_map(|(name, value)| (&**name == "reply-to").then_some(value))
}

/// The span that the message's `traceparent` names, and its trace.
#[must_use]
pub fn traceparent(message: &Message) -> Option<(TraceId, SpanId)> {
    let (_, value) = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("traceparent"))?;
    let mut parts = value.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may append fields, version 00 may not; ff is forbidden.
    let well_formed = version.len() == 2 && version != "ff" && flags.len() == 2;
    if !well_formed || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let (trace, span) = (hex::<16>(trace)?, hex::<8>(span)?);
    (trace != [0; 16] && span != [0; 8]).then_some((TraceId(trace), SpanId(span)))
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::payload::Payload;

    fn with(name: &str, value: &str) -> Message {
        Message { headers: vec![(name.into(), value.into())], ..Message::default() }
    }

    #[test]
    fn reads_traceparent_as_w3c_says() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let (trace, span) = traceparent(&with("Traceparent", good)).unwrap();
        assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.to_string(), "b7ad6b7169203331");
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-é0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
        ] {
            assert_eq!(traceparent(&with("traceparent", bad)), None, "{bad}");
        }
    }

    #[test]
    fn reads_a_structured_cloud_event() {
        let body = br#"{"specversion":"1.0","type":"io.valve.set","source":"/plant/1","id":"a-1","data":{}}"#;
        let message = Message { body: Payload::whole(&body[..]), ..Message::default() };
        let event = CloudEvent::of(&message).unwrap();
        assert_eq!(event.kind.as_deref(), Some("io.valve.set"));
        assert_eq!(event.source.as_deref(), Some("/plant/1"));
        assert_eq!(event.id.as_deref(), Some("a-1"));
        let plain = Message { body: Payload::whole(&br#"{"type":"x"}"#[..]), ..Message::default() };
        assert_eq!(CloudEvent::of(&plain), None);
    }
}
