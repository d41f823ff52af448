//! Puts what arrives into causal order.
//!
//! Events arrive by the end of the call that they were seen in, slightly disordered. That is not the order of cause
//! and effect: on loopback a broker has often read a message before the write that sent it returns. So a write
//! counts from its entry (nothing that it causes can be earlier) and a read from its exit (nothing that
//! it causes can be earlier either), and events wait [`Settings::reorder_ns`](super::Settings) to be sorted by that.
//! Everything behind this queue is therefore independent of the order of arrival.

use super::nearly::Nearly;
use crate::model::command::Command;
use crate::model::net::{ConnectionKey, Role};
use crate::model::op::{Op, OpKind};
use crate::model::process::ProcessKey;
use crate::model::time::Timestamp;

/// Most events that wait: 50 ms of a million events a second. Past it the oldest are taken before their time.
const MAX_WAITING: usize = 50_000;

/// One thing that happened.
#[expect(
    clippy::large_enum_variant,
    reason = "operations are most of them, and lie in queues that are used again"
)]
pub(super) enum Event {
    Command(Box<Command>),
    Op(Op),
    Returned { process: ProcessKey, tid: u32, connection: ConnectionKey, at: Timestamp },
    Gone { process: ProcessKey, at: Timestamp },
}

impl Event {
    /// When it counts.
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Command(command) => command.at.end,
            Self::Op(op) if is_outward(op) => op.last_enter,
            Self::Op(op) => op.at.end,
            Self::Returned { at, .. } | Self::Gone { at, .. } => *at,
        }
    }

    /// At the same instant: what ended before what began, before what only says that something is over.
    fn rank(&self) -> u8 {
        match self {
            Self::Op(op) if is_outward(op) => 1,
            Self::Command(_) | Self::Op(_) => 0,
            Self::Returned { .. } => 2,
            Self::Gone { .. } => 3,
        }
    }

    fn thread(&self) -> (u32, u32) {
        match self {
            Self::Command(command) => (command.process.pid, command.tid),
            Self::Op(op) => (op.process.pid, op.tid),
            Self::Returned { process, tid, .. } => (process.pid, *tid),
            Self::Gone { process, .. } => (process.pid, 0),
        }
    }
}

/// Whether the process that saw `op` sent its bytes.
fn is_outward(op: &Op) -> bool {
    match op.kind {
        // A disconnect may have no bytes at all: it is known when the call that showed it is over.
        OpKind::Disconnect { .. } | OpKind::Error { .. } => false,
        _ => op.place.to_server == (op.viewpoint == Role::Client),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: Timestamp,
    rank: u8,
    thread: (u32, u32),
    // One call may hold many messages: those of one thread at one instant stay in the order of arrival.
    arrival: u64,
}

/// The queue.
#[derive(Default)]
pub(super) struct Order {
    queue: Nearly<Key, Event>,
    arrivals: u64,
}

impl Order {
    /// Number of events that wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: Event) {
        self.arrivals += 1;
        let (at, rank, thread) = (event.at(), event.rank(), event.thread());
        self.queue.push(Key { at, rank, thread, arrival: self.arrivals }, event);
    }

    /// The next event that counts at or before `until`, or that there is no room for.
    pub(super) fn pop(&mut self, until: Timestamp) -> Option<Event> {
        let full = self.is_full();
        self.queue.pop_if(|next| next.at <= until || full).map(|(_, event)| event)
    }

    /// Whether the queue is past its bound.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() > MAX_WAITING
    }
}
