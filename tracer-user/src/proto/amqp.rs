//! AMQP 0-9-1, by its specification of 13 November 2008 (section numbers refer to it) with RabbitMQ's extensions and errata:
//! publisher confirms (class 85), `basic.nack`, exchange bindings, consumer cancellation, `connection.blocked`.
//!
//! A message is a method frame, a content header and body frames of one channel; frames of other channels may lie
//! between. Nothing on the wire says which queue a delivery comes from, which publish a confirm means, or what an
//! acknowledgement of `multiple` covers: a connection's state holds that for each channel, bounded.

mod channel;
mod content;
mod death;
mod fold;
mod ledger;
mod message;
mod method;
mod properties;
mod reply;
#[cfg(test)]
mod tests;
mod topology;
mod wire;

use std::sync::Arc;

use super::shared_names::SharedNames;
use super::{FrameView, Header, Outcome, Presumed, Protocol, Row, Score, Seam, Trust, Unusable};
use crate::model::op::{Op, System};
use crate::model::time::Timestamp;
use crate::track::stream::KEEP_BYTES;

use channel::Channels;
use content::{Contents, Open};
use ledger::Ledger;
use method::Method;
use properties::Properties;
use topology::Topology;
use wire::{END, Frame, Kind, Opening};

/// AMQP's row of the table.
pub const ROW: Row = Row {
    system: System::Rabbitmq,
    ports: &[5672, 5671],
    // Type, channel and size, read before the rest by programs without a buffer.
    apart: 7,
    detect,
    resync,
    keep: KEEP_BYTES,
    start: || Box::new(Amqp::default()),
};

/// Bytes of a frame that tell its length and that they are no garbage: type, channel and size (section 2.3.5), class and
/// method.
const HEAD: usize = 11;

/// Longest frame where the tuning was not seen (section 4.2.3 leaves it to the peers): RabbitMQ's default.
const FRAME_MAX: u64 = 131_072;

/// How far a connection is (section 2.2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing was exchanged.
    #[default]
    New,
    /// The client asked for it and was not answered.
    Opening,
    /// Frames come and go.
    Open,
    /// The client said good-bye, or was refused.
    Gone,
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub struct Amqp {
    phase: Phase,
    client_id: Option<Arc<str>>,
    /// The longest frame as the client tuned it, if that was seen and there is a limit.
    frame_max: Option<u64>,
    channels: Channels,
    ledger: Ledger,
    contents: Contents,
    topology: Topology,
    /// Whether frames follow each other: from the server, to it.
    seams: [Seam; 2],
    /// When the last frame came from the server.
    heard: Timestamp,
    names: SharedNames,
    scratch: String,
}

impl Protocol for Amqp {
    fn head(&self) -> usize {
        HEAD
    }

    fn frame(&self, head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
        frame(head, to_server, trust)
    }

    fn fold(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        self.fold_frame(&view, out)
    }

    fn presumed(&self, head: &[u8], to_server: bool) -> Option<Presumed> {
        self.presumed_body(to_server)
            .filter(|open| open.continues_with(head))
            .and_then(|open| open.presumed(self.frame_max.unwrap_or(FRAME_MAX)))
    }

    fn client_id(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref()
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Open)
    }
}

impl Amqp {
    /// The message that goes on where a frame's header was not captured, if there is no other whose frame it can be.
    fn presumed_body(&self, to_server: bool) -> Option<&Open> {
        self.contents.only(to_server).filter(|open| open.wants_body())
    }
}

fn detect(head: &[u8], hint: bool) -> Score {
    match frame(head, None, Trust::Search) {
        Outcome::Frame(header) if header.weight >= Header::SIGNATURE => Score::Sure,
        Outcome::Frame(_) | Outcome::NeedMore => Score::Possible,
        _ if hint => Score::Hinted,
        _ => Score::No,
    }
}

fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|&index| {
        let rest = bytes.get(index..).unwrap_or(&[]);
        frame(rest, None, Trust::Search) != Outcome::Invalid
    })
}

/// The frame that begins with `head`.
fn frame(head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
    match Opening::read(head) {
        Ok(Opening::Mine) => {
            // A server answers one that it does not like with its own and hangs up (section 2.2.4).
            let direction = if to_server == Some(false) { to_server } else { Some(true) };
            let (len, weight) = (Opening::LEN, Header::SIGNATURE);
            return Outcome::Frame(Header { len, weight, to_server: direction, opens: true });
        }
        Ok(Opening::Foreign) if trust == Trust::Follow => return Outcome::End,
        Err(Unusable::Cut) => return Outcome::NeedMore,
        Ok(Opening::Foreign) | Err(Unusable::Malformed) => {}
    }
    let frame = match Frame::read(head) {
        Ok(frame) => frame,
        Err(Unusable::Cut) => return Outcome::NeedMore,
        Err(Unusable::Malformed) => return Outcome::Invalid,
    };
    let direction = match frame.kind {
        Kind::Method => match method::direction(frame.payload(head)) {
            Some(way) => way,
            // What brokers add to the protocol next is stepped over; what may begin anywhere is not taken for it.
            None if trust == Trust::Follow => None,
            None => return Outcome::Invalid,
        },
        Kind::Header | Kind::Body | Kind::Heartbeat => None,
    };
    if direction.is_some() && to_server.is_some() && direction != to_server {
        return Outcome::Invalid;
    }
    let mut header = Header { len: frame.len(), weight: 0, to_server: direction, opens: false };
    if trust == Trust::Search {
        match weight(head, &frame) {
            Some(weight) => header.weight = weight,
            None => return Outcome::Invalid,
        }
    }
    Outcome::Frame(header)
}

/// How much the frame speaks for the protocol, see [`Header::weight`]; `None` if no careful program would write it so.
fn weight(head: &[u8], frame: &Frame) -> Option<u32> {
    if !frame.is_tidy() {
        return None;
    }
    let end = usize::try_from(frame.len()).ok().and_then(|len| head.get(len.checked_sub(1)?));
    if end.is_some_and(|&end| end != END) {
        return None;
    }
    let payload = frame.payload(head);
    let content = match frame.kind {
        Kind::Method => Method::read(payload, frame.size).map(|_| ()),
        Kind::Header => Properties::read(payload, frame.size).map(|_| ()),
        Kind::Body | Kind::Heartbeat => Ok(()),
    };
    if content == Err(Unusable::Malformed) {
        return None;
    }
    // Classes, methods and arguments that fit to the last byte are no garbage; a body says nothing but where it ends.
    Some(match (frame.kind, end.is_some()) {
        (Kind::Body, false) => 0,
        (Kind::Body, true) | (_, false) => 2,
        (_, true) => 4,
    })
}
