//! What a message says of itself.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::Mqtt;
use super::packet::{Properties, Property, Publish, Will};
use crate::model::command::Value;
use crate::model::op::Message;
use crate::model::payload::Payload;
use crate::names::attribute::{
    MQTT_CONTENT_TYPE, MQTT_DUP, MQTT_MESSAGE_EXPIRY, MQTT_PAYLOAD_FORMAT, MQTT_QOS, MQTT_RESPONSE_TOPIC,
    MQTT_RETAIN, MQTT_SUBSCRIPTION_IDS, MQTT_TOPIC_ALIAS, MQTT_WILL_DELAY,
};
use crate::proto::FrameView;
use crate::proto::shared_names::SharedNames;

/// Headers kept of a message: what carries context and identity are about ten.
const HEADERS: usize = 16;

/// Bytes of the values of headers that are kept: a `baggage` may have 8192 (W3C Baggage, section 3.3.2).
const HEADER_BYTES: usize = 10 * 1024;

/// Bytes of correlation data that are kept: programs write a number or an identifier.
const CORRELATION_BYTES: usize = 256;

/// Subscription identifiers named of a delivery: one is usual.
const IDS: usize = 8;

/// Attributes of a CloudEvent, which are user properties without a prefix (CloudEvents 1.0.2, MQTT binding, section 3.1.3).
const EVENT_ATTRIBUTES: [(&str, &str); 7] = [
    ("specversion", "ce-specversion"),
    ("id", "ce-id"),
    ("type", "ce-type"),
    ("source", "ce-source"),
    ("subject", "ce-subject"),
    ("time", "ce-time"),
    ("dataschema", "ce-dataschema"),
];

/// User properties that carry context or identity, in small letters.
const CONTEXT: [&str; 6] =
    ["traceparent", "tracestate", "baggage", "correlation-id", "correlation_id", "correlationid"];

impl Mqtt {
    /// The message of a PUBLISH; defines and resolves topic aliases. `None` if an alias stands for the topic whose definition was not seen.
    pub(super) fn message(&mut self, view: &FrameView<'_>, publish: &Publish<'_>) -> Option<Message> {
        let &Publish { dup, qos, retain, topic, id, properties, body } = publish;
        let aliases = if view.to_server { &mut self.aliases_up } else { &mut self.aliases_down };
        let destination = match (topic, properties.topic_alias()) {
            ("", Some(alias)) => aliases.topic(alias)?,
            ("", None) => return None,
            (topic, Some(alias)) => {
                let topic = self.topics.share(topic);
                aliases.define(alias, &topic);
                topic
            }
            (topic, None) => self.topics.share(topic),
        };
        // An alias may have been defined where it was not captured.
        if properties.cut {
            aliases.forget();
        }
        let through = match view.to_server {
            true => super::subscriptions::Through::default(),
            false => self.subscriptions.through(&destination, properties.subscription_ids()),
        };
        let captured = if body < view.bytes.len() { view.bytes.slice(body..) } else { Bytes::new() };
        let mut message = Message {
            destination,
            group: through.group,
            feed: through.feed,
            settle_id: (qos > 0).then_some(u64::from(id)),
            scope: self.scope,
            body: Payload { captured, size: view.len.saturating_sub(body as u64) },
            retained: retain && !view.to_server && !through.as_published,
            retain: retain && (view.to_server || through.as_published),
            redelivered: dup,
            needs_settle: qos > 0,
            attributes: attributes(qos, retain, Some(dup)),
            ..Message::default()
        };
        describe(&mut message, &properties, &mut self.names);
        Some(message)
    }

    /// The message of a last will.
    pub(super) fn will(&mut self, view: &FrameView<'_>, will: &Will<'_>) -> Message {
        let end = will.at.saturating_add(will.body.len());
        let captured = if will.body.is_empty() { Bytes::new() } else { view.bytes.slice(will.at..end) };
        let mut message = Message {
            destination: self.topics.share(will.topic),
            body: Payload { captured, size: will.size },
            retain: will.retain,
            attributes: attributes(will.qos, will.retain, None),
            ..Message::default()
        };
        describe(&mut message, &will.properties, &mut self.names);
        message
    }
}

/// Adds what the properties say: context and identity as headers, the rest as attributes.
fn describe(message: &mut Message, properties: &Properties<'_>, names: &mut SharedNames) {
    if properties.is_empty() {
        return;
    }
    let is_event = properties.iter().any(|property| matches!(property, Property::User("specversion", _)));
    let attributes = message.attributes.to_mut();
    let headers = &mut message.headers;
    let mut room = HEADER_BYTES;
    let mut ids: Vec<Arc<str>> = Vec::new();
    for property in properties.iter() {
        match property {
            Property::User(name, value) => {
                let Some(name) = header(name, is_event) else { continue };
                if headers.len() < HEADERS && value.len() <= room {
                    room -= value.len();
                    headers.push((names.share(&name), value.into()));
                }
            }
            Property::CorrelationData(data) => {
                headers.push((names.share("correlation-id"), correlation(data)));
            }
            Property::ResponseTopic(topic) => {
                attributes.push((MQTT_RESPONSE_TOPIC, Value::Shared(names.share(topic))));
                headers.push((names.share("reply-to"), names.share(topic)));
            }
            Property::ContentType(kind) => {
                attributes.push((MQTT_CONTENT_TYPE, Value::Shared(names.share(kind))));
            }
            Property::MessageExpiry(seconds) => {
                attributes.push((MQTT_MESSAGE_EXPIRY, Value::Int(i64::from(seconds))));
            }
            Property::PayloadFormat(utf8) => {
                attributes.push((MQTT_PAYLOAD_FORMAT, Value::Int(i64::from(utf8))));
            }
            Property::TopicAlias(alias) => attributes.push((MQTT_TOPIC_ALIAS, Value::Int(i64::from(alias)))),
            Property::WillDelay(seconds) => {
                attributes.push((MQTT_WILL_DELAY, Value::Int(i64::from(seconds))));
            }
            Property::SubscriptionId(id) => {
                if ids.len() < IDS {
                    ids.push(names.share(&id.to_string()));
                }
            }
            Property::AssignedClientId(_) | Property::SessionExpiry(_) | Property::Other => {}
        }
    }
    if !ids.is_empty() {
        attributes.push((MQTT_SUBSCRIPTION_IDS, Value::Texts(ids)));
    }
}

/// Under which name a user property is a header; `None` if it carries neither context nor identity.
fn header(name: &str, is_event: bool) -> Option<Cow<'_, str>> {
    let event = EVENT_ATTRIBUTES.iter().find(|(plain, _)| is_event && *plain == name);
    if let Some((_, prefixed)) = event {
        return Some(Cow::Borrowed(prefixed));
    }
    let known = CONTEXT.iter().find(|known| known.eq_ignore_ascii_case(name));
    match known {
        // As it is looked for.
        Some(&"correlationid") => Some(Cow::Borrowed("correlation-id")),
        Some(known) => Some(Cow::Borrowed(known)),
        None => name.starts_with("ce-").then_some(Cow::Borrowed(name)),
    }
}

/// Correlation data as text: itself if it is one, else in hex.
fn correlation(data: &[u8]) -> Arc<str> {
    let data = data.get(..CORRELATION_BYTES).unwrap_or(data);
    match std::str::from_utf8(data) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        _ => data
            .iter()
            .fold(String::with_capacity(2 * data.len()), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
            .into(),
    }
}

/// The attributes of a PUBLISH with each combination of flags (section 3.3.1): there are few, and none has to be made for a
/// message.
static ATTRIBUTES: [[(&str, Value); 3]; 16] = [
    flags(0),
    flags(1),
    flags(2),
    flags(3),
    flags(4),
    flags(5),
    flags(6),
    flags(7),
    flags(8),
    flags(9),
    flags(10),
    flags(11),
    flags(12),
    flags(13),
    flags(14),
    flags(15),
];

const fn flags(flags: u8) -> [(&'static str, Value); 3] {
    [
        (MQTT_QOS, Value::Int((flags >> 1 & 3) as i64)),
        (MQTT_RETAIN, Value::Bool(flags & 1 != 0)),
        (MQTT_DUP, Value::Bool(flags & 8 != 0)),
    ]
}

/// `dup`: not of a will.
fn attributes(qos: u8, retain: bool, dup: Option<bool>) -> Cow<'static, [(&'static str, Value)]> {
    let flags = u8::from(retain) | (qos & 3) << 1 | u8::from(dup == Some(true)) << 3;
    let all = ATTRIBUTES.get(usize::from(flags)).map_or(&[][..], |all| all);
    Cow::Borrowed(if dup.is_some() { all } else { all.get(..2).unwrap_or(all) })
}
