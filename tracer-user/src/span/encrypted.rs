//! Connections that are encrypted and of which no plaintext was had: all that can be told is that bytes moved.

use std::sync::Arc;

use crate::model::command::{Status, Value};
use crate::model::ids::IdBuilder;
use crate::model::net::Direction;
use crate::model::process::Process;
use crate::model::span::{Owner, Span, SpanKind, Subject};
use crate::model::time::Interval;
use crate::names::attribute;

/// What was seen of such a connection at one end.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whose end.
    pub process: Arc<Process>,
    /// `messaging.system` by the port, and `host:port` of the broker.
    pub system: &'static str,
    /// As above.
    pub server: Arc<str>,
    /// From the first byte to the last.
    pub at: Interval,
    /// Calls and their bytes, inwards and outwards.
    pub moved: [(Direction, u64, u64); 2],
}

/// `encrypted {system}`: one for each end of a connection.
#[must_use]
pub fn encrypted(seen: Seen) -> Span {
    let Seen { process, system, server, at, moved } = seen;
    let id = IdBuilder::new("encrypted").text(&process.service_instance).text(&server).number(at.start.0);
    let mut attributes = vec![(attribute::TLS_READABLE, Value::Bool(false))];
    let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    for (direction, calls, bytes) in moved {
        let (of_calls, of_bytes) = match direction {
            Direction::Inward => (attribute::TLS_READ_CALLS, attribute::TLS_READ_BYTES),
            Direction::Outward => (attribute::TLS_WRITE_CALLS, attribute::TLS_WRITE_BYTES),
        };
        attributes.extend([(of_calls, count(calls)), (of_bytes, count(bytes))]);
    }
    Span {
        trace: id.trace(),
        id: id.span(),
        parent: None,
        remote_parent: None,
        links: Vec::new(),
        name: ["encrypted ", system].concat(),
        kind: SpanKind::Internal,
        owner: Owner::Process(process),
        tid: 0,
        at,
        status: Status::Ok,
        subject: Subject::Encrypted { system, server },
        attributes,
        payload: None,
        reply: None,
    }
}
