//! Messages: `publish`, `broker`, `process` and the settlements.

use std::borrow::Cow;
use std::sync::Arc;

use super::event::{CloudEvent, correlation};
use super::{Frame, millis};
use crate::model::command::{Status, Value};
use crate::model::op::{Message, System};
use crate::model::span::{MessageSubject, Owner, Span, SpanKind, Subject};
use crate::model::time::Interval;
use crate::names::attribute;

/// The two ends of a connection, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `host:port` of the broker.
    pub server: Arc<str>,
    /// `host:port` of the client.
    pub client: Arc<str>,
}

/// What is known of one thing that happened to a message.
pub struct Seen<'a> {
    /// Protocol.
    pub system: System,
    /// The message.
    pub message: &'a Message,
    /// Connection.
    pub line: &'a Line,
    /// The connection's client as the protocol names it.
    pub client_id: Option<&'a Arc<str>>,
    /// Whose span it becomes.
    pub owner: Owner,
    /// Whether only the broker's end was seen.
    pub from_broker: bool,
    /// Thread.
    pub tid: u32,
    /// When.
    pub at: Interval,
    /// How it ended.
    pub status: Status,
    /// The publisher's service, if known.
    pub source: Option<Arc<str>>,
}

/// What the spans of one kind have in common.
struct Family {
    /// First word of the name.
    verb: &'static str,
    kind: SpanKind,
}

const PUBLISH: Family = Family { verb: "publish", kind: SpanKind::Producer };
const BROKER: Family = Family { verb: "broker", kind: SpanKind::Internal };
const PROCESS: Family = Family { verb: "process", kind: SpanKind::Consumer };

/// `publish {destination}`.
#[must_use]
pub fn publish(seen: Seen<'_>, frame: Frame) -> Span {
    base(seen, frame, &PUBLISH, None, Subject::Publish)
}

/// `broker {destination}`: the time from the broker's last read of the publish to its first write of the delivery.
#[must_use]
pub fn broker(seen: Seen<'_>, frame: Frame) -> Span {
    let mut span = base(seen, frame, &BROKER, None, Subject::Broker);
    // The bytes are on the publish span and on the process span already.
    span.payload = None;
    span
}

/// `process {destination}`; `since_publish`: ns from the publish to the delivery; `dispatch`: the same, unless the
/// broker kept the message from earlier, so that it says nothing of how fast events are dispatched.
#[must_use]
pub fn process(seen: Seen<'_>, frame: Frame, since_publish: Option<u64>, dispatch: Option<u64>) -> Span {
    base(seen, frame, &PROCESS, since_publish, |subject| Subject::Process(subject, dispatch))
}

/// `ack {destination}` and its relatives; `count`: how many messages it settles.
#[must_use]
pub fn settle(seen: Seen<'_>, frame: Frame, name: &'static str, count: usize) -> Span {
    let family = Family { verb: name, kind: SpanKind::Client };
    let size = i64::try_from(seen.message.body.size).unwrap_or(i64::MAX);
    let mut span = base(seen, frame, &family, None, Subject::Settle);
    span.attributes.push((attribute::MESSAGING_MESSAGE_BODY_SIZE, Value::Int(size)));
    if count > 1 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        span.attributes.push((attribute::MESSAGING_BATCH_MESSAGE_COUNT, Value::Int(count)));
    }
    span.payload = None;
    span
}

/// `receive {destination}`: one request of the client that brought `count` messages.
#[must_use]
pub fn receive(seen: Seen<'_>, frame: Frame, count: u32) -> Span {
    let family = Family { verb: "receive", kind: SpanKind::Client };
    let mut span = base(seen, frame, &family, None, Subject::Receive);
    span.attributes.push((attribute::MESSAGING_BATCH_MESSAGE_COUNT, Value::Int(count.into())));
    span.payload = None;
    span
}

/// `queue.declare {queue}` and its relatives.
#[must_use]
pub fn request(seen: Seen<'_>, frame: Frame, name: &'static str) -> Span {
    let family = Family { verb: name, kind: SpanKind::Client };
    let mut span = base(seen, frame, &family, None, Subject::Request);
    // One that is about nothing in particular.
    span.name.truncate(span.name.trim_end().len());
    span.payload = None;
    span
}

/// Attributes that most messages' spans have beside those of their protocol.
const SOME: usize = 3;

fn base(
    seen: Seen<'_>,
    frame: Frame,
    family: &Family,
    latency: Option<u64>,
    subject: impl FnOnce(MessageSubject) -> Subject,
) -> Span {
    let message = seen.message;
    // System, operation, destination, server and thread are in the span's subject and fields, whence the exporter has them.
    let mut attributes = Vec::with_capacity(SOME + message.attributes.len());
    if let Some(id) = &message.id {
        attributes.push((attribute::MESSAGING_MESSAGE_ID, Value::Shared(id.clone())));
    }
    if let Some(id) = seen.client_id
        && family.kind != SpanKind::Internal
    {
        attributes.push((attribute::MESSAGING_CLIENT_ID, Value::Shared(id.clone())));
    }
    if let Some(group) = &message.group
        && family.kind != SpanKind::Internal
    {
        attributes.push((attribute::MESSAGING_CONSUMER_GROUP_NAME, Value::Shared(group.clone())));
    }
    if seen.from_broker {
        attributes.push((attribute::VIEWPOINT, Value::Text(Cow::Borrowed("broker"))));
    }
    if let Some(latency) = latency {
        attributes.push((attribute::LATENCY_MS, Value::Float(millis(latency))));
    }
    if let Some(id) = correlation(message) {
        attributes.push((attribute::CORRELATION_ID, Value::Shared(id.clone())));
    }
    attributes.extend(message.attributes.iter().cloned());

    let destination = message.template.as_ref().unwrap_or(&message.destination);
    let event = CloudEvent::of(message).unwrap_or_default();
    for (key, value) in [
        (attribute::EVENT_TYPE, &event.kind),
        (attribute::EVENT_SOURCE, &event.source),
        (attribute::EVENT_ID, &event.id),
        (attribute::EVENT_SUBJECT, &event.subject),
    ] {
        if let Some(value) = value {
            attributes.push((key, Value::Shared(value.clone())));
        }
    }
    let about = MessageSubject {
        system: seen.system.name(),
        destination: destination.clone(),
        server: seen.line.server.clone(),
        event_type: event.kind.unwrap_or_else(|| destination.clone()),
        source: event.source.or(seen.source).unwrap_or_default(),
        body_size: message.body.size,
    };
    Span {
        trace: frame.trace,
        id: frame.id,
        parent: frame.parent,
        remote_parent: frame.remote_parent,
        links: frame.links,
        name: [family.verb, " ", destination].concat(),
        kind: family.kind,
        owner: seen.owner,
        // The broker's thread is not the client's.
        tid: if seen.from_broker { 0 } else { seen.tid },
        at: seen.at,
        status: seen.status,
        subject: subject(about),
        attributes,
        payload: Some(message.body.clone()),
        reply: None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::ids::IdBuilder;
    use crate::model::payload::Payload;
    use crate::model::time::Timestamp;

    fn seen(message: &Message, from_broker: bool) -> Span {
        let line = Line { server: "10.0.0.1:1883".into(), client: "10.0.0.2:40000".into() };
        let id = IdBuilder::new("test");
        let frame =
            Frame { trace: id.trace(), id: id.span(), parent: None, remote_parent: None, links: Vec::new() };
        let seen = Seen {
            system: System::Mqtt,
            message,
            line: &line,
            client_id: Some(&"pump".into()),
            owner: Owner::Remote { name: "pump".into(), address: line.client.clone() },
            from_broker,
            tid: 7,
            at: Interval { start: Timestamp(1_000_000), end: Timestamp(3_500_000) },
            status: Status::Ok,
            source: Some("pump-service".into()),
        };
        process(seen, frame, Some(1_500_000), None)
    }

    #[test]
    fn attributes_say_what_the_subject_does_not() {
        let message = Message {
            destination: "plant/pump".into(),
            body: Payload::whole(&br#"{"specversion":"1.0","type":"pump.on","id":"4","source":"/plc"}"#[..]),
            headers: vec![("correlation-id".into(), "c-1".into())],
            attributes: vec![(attribute::MQTT_QOS, Value::Int(1))].into(),
            ..Message::default()
        };
        let span = seen(&message, true);
        let lines: Vec<_> =
            span.attributes.iter().map(|(key, value)| format!("{key} = {value:?}\n")).collect();
        expect![[r#"
            messaging.client.id = Shared("pump")
            iotrail.viewpoint = Text("broker")
            iotrail.latency_ms = Float(1.5)
            iotrail.correlation_id = Shared("c-1")
            iotrail.mqtt.qos = Int(1)
            event.type = Shared("pump.on")
            event.source = Shared("/plc")
            event.id = Shared("4")
        "#]]
        .assert_eq(&lines.concat());
        expect![[r#"
            (
                "process plant/pump",
                Consumer,
                Process(
                    MessageSubject {
                        system: "mqtt",
                        destination: "plant/pump",
                        server: "10.0.0.1:1883",
                        event_type: "pump.on",
                        source: "/plc",
                        body_size: 63,
                    },
                    None,
                ),
            )
        "#]]
        .assert_debug_eq(&(&span.name, span.kind, &span.subject));
    }

    #[test]
    fn without_a_cloud_event_the_destination_is_the_type_and_the_publisher_the_source() {
        let message = Message { destination: "a/b".into(), ..Message::default() };
        let Subject::Process(subject, _) = seen(&message, false).subject else { panic!("a process span") };
        assert_eq!((&*subject.event_type, &*subject.source), ("a/b", "pump-service"));
    }
}
