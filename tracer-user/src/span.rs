//! From commands and message operations to spans: names, kinds, ids and attributes, one file per family.
//!
//! What is known of a thing comes in here, together with its place in a trace ([`Frame`], found by causality);
//! a finished [`Span`](crate::model::span::Span) comes out. `error.type`, the evidence of edges and the payload
//! attributes are the exporter's to add: it knows the payload policy.
#![forbid(unsafe_code)]

pub mod command;
pub mod encrypted;
pub mod event;
pub mod id;
pub mod message;

use crate::model::ids::{SpanId, TraceId};
use crate::model::span::Edge;

/// A span's place in its trace.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Trace id.
    pub trace: TraceId,
    /// Span id.
    pub id: SpanId,
    /// The cause.
    pub parent: Option<Edge>,
    /// A cause outside of what iotrail sees.
    pub remote_parent: Option<SpanId>,
    /// Further causes.
    pub links: Vec<Edge>,
}

/// Nanoseconds as `iotrail.latency_ms` has them.
#[expect(clippy::cast_precision_loss, reason = "2^53 ns are 104 days")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
