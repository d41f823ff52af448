//! What is exported: spans with their attributes, links and evidence.

use std::borrow::Cow;
use std::sync::Arc;

use super::command::{Device, Status, Value};
use super::ids::{SpanId, TraceId};
use super::payload::Payload;
use super::process::Process;
use super::time::Interval;

/// The kind of a span as OTLP has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "OpenTelemetry's words")]
pub enum SpanKind {
    Internal,
    Client,
    Producer,
    Consumer,
}

/// What an edge between two spans rests on, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A W3C header in the message.
    Traceparent,
    /// An identity that the broker gave the message.
    BrokerId,
    /// The same bytes of the same TCP connection.
    TcpPosition,
    /// Same destination and same content, in order.
    Fingerprint,
    /// A hook in the program.
    Sdk,
    /// The same thread, while it handled the cause.
    Thread,
    /// The content of one is in the other.
    Containment,
}

impl Evidence {
    /// The word in `iotrail.link.evidence`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traceparent => "traceparent",
            Self::BrokerId => "broker-id",
            Self::TcpPosition => "tcp-position",
            Self::Fingerprint => "fingerprint",
            Self::Sdk => "sdk",
            Self::Thread => "thread",
            Self::Containment => "containment",
        }
    }
}

impl Evidence {
    /// All kinds, strongest first.
    pub const ALL: [Self; 7] = [
        Self::Traceparent,
        Self::BrokerId,
        Self::TcpPosition,
        Self::Fingerprint,
        Self::Sdk,
        Self::Thread,
        Self::Containment,
    ];
}

/// Kinds of evidence together.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Evidences(u8);

impl Evidences {
    /// Number of different sets: [`Self::index`] is less.
    pub const COUNT: usize = 1 << Evidence::ALL.len();

    /// The same and `kind`.
    #[must_use]
    pub const fn with(self, kind: Evidence) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is one of them.
    #[must_use]
    pub const fn has(self, kind: Evidence) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Which of all sets it is.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) % Self::COUNT
    }

    /// The set with that [`Self::index`].
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self(u8::try_from(index % Self::COUNT).unwrap_or(0))
    }

    /// Its members, strongest first.
    pub fn iter(self) -> impl Iterator<Item = Evidence> {
        Evidence::ALL.into_iter().filter(move |&kind| self.has(kind))
    }
}

impl FromIterator<Evidence> for Evidences {
    fn from_iter<I: IntoIterator<Item = Evidence>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

impl std::fmt::Debug for Evidences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A causal edge: to which span, resting on what, how sure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Trace of the cause.
    pub trace: TraceId,
    /// The cause.
    pub span: SpanId,
    /// What it rests on.
    pub evidence: Evidences,
    /// Measured precision of edges with this evidence, 0 to 1.
    pub confidence: f64,
}

/// Whose span it is: becomes the OTLP resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Owner {
    /// A process on this host.
    Process(Arc<Process>),
    /// A peer that was seen only from the broker.
    Remote {
        /// Its client id or name, else address and port.
        name: Arc<str>,
        /// Its address.
        address: Arc<str>,
    },
}

/// What a span is about; the metrics are made from this, not from names.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A device command, or with `unsolicited` an event of a device.
    Device {
        /// Which device.
        device: Arc<Device>,
        /// Its name.
        command: Cow<'static, str>,
        /// Whether nobody asked for it.
        unsolicited: bool,
    },
    /// A publish.
    Publish(MessageSubject),
    /// The broker's own time.
    Broker(MessageSubject),
    /// A delivery and its handling; `dispatch` is the time from publish to delivery in ns, if the publish was seen.
    Process(MessageSubject, Option<u64>),
    /// A batch receive.
    Receive(MessageSubject),
    /// A settlement.
    Settle(MessageSubject),
    /// A request that is about no message, but about destinations.
    Request(MessageSubject),
    /// A connection that is encrypted and of which no plaintext was had.
    Encrypted {
        /// `messaging.system`, by its port.
        system: &'static str,
        /// `host:port` of the broker.
        server: Arc<str>,
    },
}

/// The message behind a span.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageSubject {
    /// `messaging.system`.
    pub system: &'static str,
    /// `messaging.destination.name`.
    pub destination: Arc<str>,
    /// `host:port` of the broker.
    pub server: Arc<str>,
    /// Type of the event (CloudEvents `type`), else the destination.
    pub event_type: Arc<str>,
    /// Source of the event (CloudEvents `source`), else the publisher's service, else empty.
    pub source: Arc<str>,
    /// Size of the body in bytes.
    pub body_size: u64,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace id.
    pub trace: TraceId,
    /// Span id.
    pub id: SpanId,
    /// The parent edge; `None` for a root.
    pub parent: Option<Edge>,
    /// A parent outside of what iotrail sees (a `traceparent` in the message).
    pub remote_parent: Option<SpanId>,
    /// Further causes.
    pub links: Vec<Edge>,
    /// As design names them.
    pub name: String,
    /// As OTLP has it.
    pub kind: SpanKind,
    /// Whose.
    pub owner: Owner,
    /// Thread it ran on.
    pub tid: u32,
    /// When.
    pub at: Interval,
    /// How it ended.
    pub status: Status,
    /// What it is about.
    pub subject: Subject,
    /// Attributes beyond those that the exporter derives (keys from `names`): it adds `error.type` from
    /// [`Self::status`], the evidence of edges, and what the payload policy allows of the two payloads.
    pub attributes: Vec<(&'static str, Value)>,
    /// What was sent: a device command's request or event, or a message's body. For the payload policy.
    pub payload: Option<Payload>,
    /// What a device answered. For the payload policy.
    pub reply: Option<Payload>,
}
