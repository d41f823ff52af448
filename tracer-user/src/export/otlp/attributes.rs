//! Which attributes a span, a link and a resource have.

use std::borrow::Cow;

use super::{Attributes, Encoder, evidence};
use crate::export::payload::{PAYLOAD, REPLY, describe};
use crate::model::command::{Status, Value};
use crate::model::device::Identity;
use crate::model::span::{Edge, MessageSubject, Owner, Span, Subject};
use crate::names::{attribute, resource};

/// Attributes of the process or peer that a span belongs to.
pub(crate) fn resource(encoder: &Encoder, owner: &Owner, out: &mut impl Attributes) {
    match owner {
        Owner::Process(process) => {
            out.text(resource::SERVICE_NAME, &process.service_name);
            out.text(resource::SERVICE_INSTANCE_ID, &process.service_instance);
            out.int(resource::PROCESS_PID, i64::from(process.key.pid));
            if !process.executable.is_empty() {
                out.text(resource::PROCESS_EXECUTABLE_NAME, &process.executable);
            }
            if !process.args.is_empty() {
                let args = encoder.masks.texts(&process.args);
                out.texts(resource::PROCESS_COMMAND_ARGS, &args);
            }
            if let Some(container) = &process.container {
                out.text(resource::CONTAINER_ID, container);
            }
            if !encoder.host.name.is_empty() {
                out.text(resource::HOST_NAME, &encoder.host.name);
            }
            if !encoder.host.id.is_empty() {
                out.text(resource::HOST_ID, &encoder.host.id);
            }
        }
        // Nothing is known of the host that the peer runs on.
        Owner::Remote { name, address } => {
            out.text(resource::SERVICE_NAME, name);
            out.text(resource::SERVICE_INSTANCE_ID, address);
            out.text(attribute::VIEWPOINT, VIEWPOINT_BROKER);
        }
    }
    for (key, value) in &encoder.resource {
        if !OWN_RESOURCE_KEYS.contains(&key.as_str()) {
            out.text(key, value);
        }
    }
}

/// Keys that `OTEL_RESOURCE_ATTRIBUTES` cannot set: they differ from process to process.
const OWN_RESOURCE_KEYS: [&str; 9] = [
    resource::SERVICE_NAME,
    resource::SERVICE_INSTANCE_ID,
    resource::PROCESS_PID,
    resource::PROCESS_EXECUTABLE_NAME,
    resource::PROCESS_COMMAND_ARGS,
    resource::CONTAINER_ID,
    resource::HOST_NAME,
    resource::HOST_ID,
    attribute::VIEWPOINT,
];

/// The value of `iotrail.viewpoint` where only the broker's end was seen.
const VIEWPOINT_BROKER: &str = "broker";

/// Attributes of a span: those it brings, then those that follow from its other fields. A key that it brings
/// is not derived again.
pub(crate) fn span(encoder: &Encoder, span: &Span, out: &mut impl Attributes) {
    for (key, value) in &span.attributes {
        match value {
            Value::Text(text) => out.text(key, text),
            Value::Shared(text) => out.text(key, text),
            Value::Int(number) => out.int(key, *number),
            Value::Float(number) => out.float(key, *number),
            Value::Bool(yes) => out.bool(key, *yes),
            Value::Texts(texts) => out.texts(key, texts),
        }
    }
    let mut out = Derived { span, out };
    subject(&span.subject, span, &mut out);
    out.float(attribute::LATENCY_MS, latency_ms(span));
    if span.tid != 0 {
        out.int(attribute::THREAD_ID, i64::from(span.tid));
    }
    if matches!(span.owner, Owner::Remote { .. }) {
        out.text(attribute::VIEWPOINT, VIEWPOINT_BROKER);
    }
    if let Status::Error { kind, .. } = &span.status {
        out.text(attribute::ERROR_TYPE, kind);
    }
    if let Some(edge) = super::parent_edge(span) {
        link(edge, &mut out);
    }
    if let Some(payload) = &span.payload {
        describe(payload, &PAYLOAD, encoder.payload, &encoder.key, &encoder.masks, &mut out);
    }
    if let Some(reply) = &span.reply {
        describe(reply, &REPLY, encoder.payload, &encoder.key, &encoder.masks, &mut out);
    }
}

/// Attributes of a link, and of a span for its parent.
pub(crate) fn link(edge: &Edge, out: &mut impl Attributes) {
    out.text(attribute::LINK_EVIDENCE, evidence(edge));
    out.float(attribute::LINK_CONFIDENCE, edge.confidence);
}

fn subject(subject: &Subject, span: &Span, out: &mut impl Attributes) {
    match subject {
        Subject::Device { device, command, unsolicited: _ } => {
            out.text(attribute::DEVICE_ID, &device.id);
            out.text(attribute::DEVICE_CLASS, device.class);
            out.text(attribute::DEVICE_PATH, &device.path);
            out.text(attribute::DEVICE_COMMAND, command);
            identity(&device.identity, out);
        }
        Subject::Publish(subject)
        | Subject::Broker(subject)
        | Subject::Process(subject, _)
        | Subject::Receive(subject)
        | Subject::Settle(subject)
        | Subject::Request(subject) => message(subject, span, out),
        Subject::Encrypted { system, server } => {
            out.text(attribute::MESSAGING_SYSTEM, system);
            broker(server, out);
        }
    }
}

/// What is known of the hardware. Links are other names of the node: `iotrail devices` has them.
fn identity(identity: &Identity, out: &mut impl Attributes) {
    let Identity { driver, bus, address, vendor_id, product_id, vendor, model, serial, name, links: _ } =
        identity;
    for (key, value) in [
        (attribute::DEVICE_DRIVER, driver),
        (attribute::DEVICE_BUS, bus),
        (attribute::DEVICE_ADDRESS, address),
        (attribute::DEVICE_VENDOR_ID, vendor_id),
        (attribute::DEVICE_PRODUCT_ID, product_id),
        (attribute::DEVICE_VENDOR, vendor),
        (attribute::DEVICE_MODEL, model),
        (attribute::DEVICE_SERIAL, serial),
        (attribute::DEVICE_NAME, name),
    ] {
        if let Some(value) = value {
            out.text(key, value);
        }
    }
}

fn message(subject: &MessageSubject, span: &Span, out: &mut impl Attributes) {
    out.text(attribute::MESSAGING_SYSTEM, subject.system);
    if let Some((name, kind)) = operation(span) {
        out.text(attribute::MESSAGING_OPERATION_NAME, &name);
        if !kind.is_empty() {
            out.text(attribute::MESSAGING_OPERATION_TYPE, kind);
        }
    }
    if !subject.destination.is_empty() {
        out.text(attribute::MESSAGING_DESTINATION_NAME, &subject.destination);
    }
    if !matches!(span.subject, Subject::Receive(_) | Subject::Settle(_) | Subject::Request(_)) {
        out.int(attribute::MESSAGING_MESSAGE_BODY_SIZE, i64::try_from(subject.body_size).unwrap_or(i64::MAX));
    }
    broker(&subject.server, out);
}

/// Where a broker is, from its `host:port`.
fn broker(place: &str, out: &mut impl Attributes) {
    let (address, port) = server(place);
    if !address.is_empty() {
        out.text(attribute::SERVER_ADDRESS, address);
    }
    if let Some(port) = port {
        out.int(attribute::SERVER_PORT, i64::from(port));
    }
}

/// `messaging.operation.name` and `.type`, which may be empty; none for the broker's own time.
pub(crate) fn operation(span: &Span) -> Option<(Cow<'_, str>, &'static str)> {
    Some(match &span.subject {
        Subject::Publish(_) => ("publish".into(), "send"),
        Subject::Process(..) => ("process".into(), "process"),
        Subject::Receive(_) => ("receive".into(), "receive"),
        // `ack {destination}` and its like: the span is named after the command.
        Subject::Settle(_) => (span.name.split(' ').next().unwrap_or_default().into(), "settle"),
        // None of OpenTelemetry's types.
        Subject::Request(_) => (span.name.split(' ').next().unwrap_or_default().into(), ""),
        Subject::Broker(_) | Subject::Device { .. } | Subject::Encrypted { .. } => return None,
    })
}

/// `host:port` in its parts; brackets around an IPv6 address are removed.
pub(crate) fn server(server: &str) -> (&str, Option<u16>) {
    let Some((host, port)) = server.rsplit_once(':') else { return (server, None) };
    let Ok(port) = port.parse() else { return (server, None) };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), Some(port))
}

fn latency_ms(span: &Span) -> f64 {
    let nanos = match span.subject {
        Subject::Process(_, Some(dispatch)) => dispatch,
        _ => span.at.nanos(),
    };
    nanos as f64 / 1e6
}

/// Lets through what the span did not bring itself: OTLP wants each key once.
struct Derived<'a, A> {
    span: &'a Span,
    out: &'a mut A,
}

impl<A> Derived<'_, A> {
    fn is_new(&self, key: &str) -> bool {
        !self.span.attributes.iter().any(|(own, _)| *own == key)
    }
}

impl<A: Attributes> Attributes for Derived<'_, A> {
    fn text(&mut self, key: &str, value: &str) {
        if self.is_new(key) {
            self.out.text(key, value);
        }
    }

    fn int(&mut self, key: &str, value: i64) {
        if self.is_new(key) {
            self.out.int(key, value);
        }
    }

    fn float(&mut self, key: &str, value: f64) {
        if self.is_new(key) {
            self.out.float(key, value);
        }
    }

    fn bool(&mut self, key: &str, value: bool) {
        if self.is_new(key) {
            self.out.bool(key, value);
        }
    }

    fn texts(&mut self, key: &str, values: &[std::sync::Arc<str>]) {
        if self.is_new(key) {
            self.out.texts(key, values);
        }
    }
}
