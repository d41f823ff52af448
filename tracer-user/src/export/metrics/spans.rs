//! Which metrics a span feeds.
//!
//! Spans that differ in nothing that is a label share a [`Series`]: one look-up per span finds all of its
//! metrics.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::peripherals::{Fed, Peripherals};
use super::series::{Distributions, Durations, Exemplar, Families, Labels, Total, Totals};
use super::series::{SERIES_LIMIT, broker_histogram, device_histogram};
use crate::export::otlp::attributes::{operation, server};
use crate::model::command::Status;
use crate::model::span::{MessageSubject, Owner, Span, SpanKind, Subject};
use crate::names::metric;

/// Most [`Series`] that are remembered. A series past it is looked up label by label each time.
const CACHE_LIMIT: usize = 4 * SERIES_LIMIT;

/// Everything that a label can depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'a> {
    subject: u8,
    kind: SpanKind,
    error: Option<&'a str>,
    service: &'a str,
    name: &'a str,
    /// Device: path, class, command. Message: system, destination, server, event type, source.
    parts: [&'a str; 5],
}

impl<'a> Key<'a> {
    fn of(span: &'a Span) -> Self {
        let (subject, parts) = match &span.subject {
            Subject::Device { device, command, unsolicited } => {
                (u8::from(*unsolicited), [&*device.path, device.class, command.as_ref(), "", ""])
            }
            Subject::Publish(message) => (2, Self::message(message)),
            Subject::Broker(message) => (3, Self::message(message)),
            // Whether the publish was seen decides whether the dispatch is measured.
            Subject::Process(message, dispatch) => (4 + u8::from(dispatch.is_some()), Self::message(message)),
            Subject::Receive(message) => (6, Self::message(message)),
            Subject::Settle(message) => (7, Self::message(message)),
            Subject::Request(message) => (9, Self::message(message)),
            Subject::Encrypted { system, server } => (8, [*system, &**server, "", "", ""]),
        };
        let error = match &span.status {
            Status::Ok => None,
            Status::Error { kind, message: _ } => Some(kind.as_ref()),
        };
        Self { subject, kind: span.kind, error, service: service(&span.owner), name: &span.name, parts }
    }

    fn message(message: &'a MessageSubject) -> [&'a str; 5] {
        [message.system, &message.destination, &message.server, &message.event_type, &message.source]
    }
}

/// A [`Key`] of its own.
#[derive(PartialEq, Eq)]
struct OwnedKey {
    subject: u8,
    kind: SpanKind,
    error: Option<Box<str>>,
    service: Box<str>,
    name: Box<str>,
    parts: [Box<str>; 5],
}

impl OwnedKey {
    fn new(key: Key<'_>) -> Self {
        let Key { subject, kind, error, service, name, parts } = key;
        Self {
            subject,
            kind,
            error: error.map(Into::into),
            service: service.into(),
            name: name.into(),
            parts: parts.map(Into::into),
        }
    }

    fn borrow(&self) -> Key<'_> {
        let Self { subject, kind, error, service, name, parts } = self;
        let parts = parts.each_ref().map(AsRef::as_ref);
        Key { subject: *subject, kind: *kind, error: error.as_deref(), service, name, parts }
    }
}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrow().hash(state);
    }
}

impl Equivalent<OwnedKey> for Key<'_> {
    fn equivalent(&self, key: &OwnedKey) -> bool {
        *self == key.borrow()
    }
}

/// The metrics of spans with the same labels.
#[derive(Default)]
struct Series {
    totals: Vec<Total>,
    /// Fed with the span's duration.
    durations: Vec<Durations>,
    /// Fed with the time from publish to delivery.
    dispatch: Option<Durations>,
    /// Of a device.
    device: Option<Fed>,
}

impl Series {
    fn observe(&self, span: &Span) {
        let exemplar = Exemplar { trace: span.trace, span: span.id };
        let error = span.status.is_error();
        for total in &self.totals {
            total.inc_by(1, Some(exemplar), None);
        }
        for durations in &self.durations {
            durations.observe(span.at.nanos(), exemplar, error);
        }
        if let (Some(durations), Subject::Process(_, Some(nanos))) = (&self.dispatch, &span.subject) {
            durations.observe(*nanos, exemplar, error);
        }
        if let Some(device) = &self.device {
            device.observe(span);
        }
    }
}

/// All metrics that single spans feed.
pub(super) struct SpanMetrics {
    cache: HashMap<OwnedKey, Series>,
    peripherals: Peripherals,
    commands: Totals,
    command_duration: Distributions,
    dispatch_latency: Distributions,
    residence: Distributions,
    published: Totals,
    processed: Totals,
    processing_duration: Distributions,
    errors: Totals,
    publish_duration: Distributions,
    consume_duration: Distributions,
    operation_duration: Distributions,
    process_duration: Distributions,
    sent: Totals,
    consumed: Totals,
    calls: Totals,
    latency: Distributions,
}

impl SpanMetrics {
    pub(super) fn new(make: &mut Families<'_>) -> Self {
        let broker = broker_histogram;
        Self {
            cache: HashMap::new(),
            peripherals: Peripherals::new(make),
            commands: make.totals(metric::PERIPHERAL_COMMAND, "Device commands"),
            command_duration: make.durations(
                metric::PERIPHERAL_COMMAND_DURATION,
                "Duration of device commands",
                device_histogram,
            ),
            dispatch_latency: make.durations(
                metric::EVENT_DISPATCH_LATENCY,
                "Time from publish to delivery",
                broker,
            ),
            residence: make.durations(
                metric::BROKER_RESIDENCE,
                "Time of a message inside the broker",
                broker,
            ),
            published: make.totals(metric::EVENTS_PUBLISHED, "Messages published"),
            processed: make.totals(metric::EVENTS_PROCESSED, "Messages processed"),
            processing_duration: make.durations(
                metric::EVENT_PROCESSING_DURATION,
                "Time from a message's delivery to the end of its handling",
                broker,
            ),
            errors: make.totals(metric::EVENT_ERRORS, "Messages whose processing failed"),
            publish_duration: make.durations(
                metric::BROKER_PUBLISH_DURATION,
                "Time to publish a message",
                broker,
            ),
            consume_duration: make.durations(
                metric::BROKER_CONSUME_DURATION,
                "Time to consume a message",
                broker,
            ),
            operation_duration: make.durations(
                metric::CLIENT_OPERATION_DURATION,
                "Duration of a messaging client's operation",
                broker,
            ),
            process_duration: make.durations(
                metric::PROCESS_DURATION,
                "Duration of the processing of messages",
                broker,
            ),
            sent: make.totals(metric::CLIENT_SENT_MESSAGES, "Messages that producers sent"),
            consumed: make.totals(metric::CLIENT_CONSUMED_MESSAGES, "Messages delivered to consumers"),
            calls: make.totals(metric::SPANMETRICS_CALLS, "Spans"),
            latency: make.durations(metric::SPANMETRICS_LATENCY, "Duration of spans", device_histogram),
        }
    }

    pub(super) fn observe(&mut self, span: &Span) {
        let key = Key::of(span);
        if let Some(series) = self.cache.get(&key) {
            return series.observe(span);
        }
        let series = self.series(span);
        series.observe(span);
        if self.cache.len() < CACHE_LIMIT {
            self.cache.insert(OwnedKey::new(key), series);
        }
    }

    fn series(&mut self, span: &Span) -> Series {
        let mut series = Series::default();
        let labels = span_labels(span);
        series.totals.push(self.calls.of(labels.clone()));
        series.durations.push(self.latency.of(labels));

        series.device = self.peripherals.series(span, &mut series.totals, &mut series.durations);
        match &span.subject {
            // A bus transfer below a command is no command.
            Subject::Device { device, command, unsolicited: false } if span.kind == SpanKind::Client => {
                let labels: Labels = vec![
                    ("device", Arc::clone(&device.path)),
                    ("class", device.class.into()),
                    ("command", command.as_ref().into()),
                    ("status", if span.status.is_error() { "error" } else { "ok" }.into()),
                ];
                series.totals.push(self.commands.of(labels.clone()));
                series.durations.push(self.command_duration.of(labels));
            }
            Subject::Device { .. } | Subject::Encrypted { .. } => {}
            Subject::Publish(message) => {
                let operation = operation_labels(span, message);
                series.totals.push(self.published.of(vec![
                    ("event_type", Arc::clone(&message.event_type)),
                    ("destination", Arc::clone(&message.destination)),
                ]));
                series.durations.push(self.publish_duration.of(topic(message)));
                series.totals.push(self.sent.of(operation.clone()));
                series.durations.push(self.operation_duration.of(operation));
            }
            Subject::Broker(message) => series.durations.push(self.residence.of(route(message))),
            Subject::Process(message, dispatch) => {
                let operation = operation_labels(span, message);
                let mut labels: Labels = vec![
                    ("event_type", Arc::clone(&message.event_type)),
                    ("source", Arc::clone(&message.source)),
                ];
                if let Status::Error { kind, message: _ } = &span.status {
                    let mut labels = labels.clone();
                    labels.push(("error_type", kind.as_ref().into()));
                    series.totals.push(self.errors.of(labels));
                }
                labels.push(("status", if span.status.is_error() { "error" } else { "success" }.into()));
                series.totals.push(self.processed.of(labels.clone()));
                series.durations.push(self.processing_duration.of(labels));
                series.durations.push(self.consume_duration.of(topic(message)));
                series.totals.push(self.consumed.of(operation.clone()));
                series.durations.push(self.process_duration.of(operation));
                series.dispatch = dispatch.map(|_| self.dispatch_latency.of(route(message)));
            }
            Subject::Receive(message) | Subject::Settle(message) | Subject::Request(message) => {
                series.durations.push(self.operation_duration.of(operation_labels(span, message)));
            }
        }
        series
    }
}

/// The service of a span, as in its resource.
pub(super) fn service(owner: &Owner) -> &Arc<str> {
    match owner {
        Owner::Process(process) => &process.service_name,
        Owner::Remote { name, address: _ } => name,
    }
}

/// As Tempo's span metrics have them, with the names of OTLP's enums as values.
fn span_labels(span: &Span) -> Labels {
    let kind = match span.kind {
        SpanKind::Internal => "SPAN_KIND_INTERNAL",
        SpanKind::Client => "SPAN_KIND_CLIENT",
        SpanKind::Producer => "SPAN_KIND_PRODUCER",
        SpanKind::Consumer => "SPAN_KIND_CONSUMER",
    };
    let status = if span.status.is_error() { "STATUS_CODE_ERROR" } else { "STATUS_CODE_UNSET" };
    vec![
        ("service", Arc::clone(service(&span.owner))),
        ("span_name", span.name.as_str().into()),
        ("span_kind", kind.into()),
        ("status_code", status.into()),
    ]
}

fn topic(message: &MessageSubject) -> Labels {
    vec![("topic", Arc::clone(&message.destination))]
}

fn route(message: &MessageSubject) -> Labels {
    vec![("system", message.system.into()), ("destination", Arc::clone(&message.destination))]
}

/// The attributes of OpenTelemetry's messaging metrics, dots as underscores.
fn operation_labels(span: &Span, message: &MessageSubject) -> Labels {
    let (name, kind) = operation(span).unwrap_or((Cow::Borrowed(""), ""));
    let (address, port) = server(&message.server);
    let mut labels: Labels = vec![
        ("messaging_system", message.system.into()),
        ("messaging_operation_name", name.as_ref().into()),
        ("messaging_operation_type", kind.into()),
        ("messaging_destination_name", Arc::clone(&message.destination)),
        ("server_address", address.into()),
        ("server_port", port.map(|port| port.to_string()).unwrap_or_default().into()),
    ];
    if let Status::Error { kind, message: _ } = &span.status {
        labels.push(("error_type", kind.as_ref().into()));
    }
    labels
}
