//! Causality: device commands and message operations in, finished spans with their causes out.
//!
//! Time comes in as a parameter only, so a recording always gives the same spans with the same ids.
//!
//! 1. [`order`]: what arrives is put into causal order and then handled one by one.
//! 2. [`message`] and [`conn`]: the two ends' views of one message are joined into one [`node`].
//! 3. [`hop`]: a delivery is matched with the publish it came from, through the broker.
//! 4. [`cause`], from [`context`] (which thread was handling what) and [`containment`] (what is in what): a
//!    publish or a command is linked to what it came from; [`confidence`] says how sure that is.
//! 5. [`emit`]: when nothing can change any more, a span goes out.
//!
//! An edge is a claim: where several causes fit and none fits better, there is none.
#![forbid(unsafe_code)]

mod cause;
pub mod confidence;
mod conn;
mod containment;
mod context;
mod counts;
mod emit;
mod given;
mod hop;
mod message;
mod nearly;
mod node;
mod order;
mod process;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::HashMap;

pub use self::counts::Counts;

use self::conn::{Conns, PlaceKey};
use self::given::Given;
use self::hop::{Topics, Unsettled};
use self::message::{Owner, SettleKey, Transactions, Uncommitted};
use self::nearly::Nearly;
use self::node::{Handle, Nodes};
use self::order::{Event, Order};
use self::process::Processes;
use crate::model::command::Command;
use crate::model::net::ConnectionKey;
use crate::model::op::Op;
use crate::model::process::{Process, ProcessKey};
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::span::command::ArgumentKeys;

/// Most things that are held until their span can go out: 2 s of 10,000 messages a second with acknowledgements, at
/// some 600 bytes each. Past it the oldest go out before their time.
const MAX_HELD: usize = 60_000;

/// What the user can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A `process` span that is neither settled nor returned from ends this many ns after it began.
    pub hold_ns: u64,
    /// How many ns a span waits after its end for its other end and for its cause.
    pub settle_ns: u64,
    /// How many ns events wait to be put in order. Less than [`Self::settle_ns`].
    pub reorder_ns: u64,
    /// Identity of this host: a fact of the ids of what has meaning on this host only.
    pub host_id: Arc<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { hold_ns: 1_000_000_000, settle_ns: 400_000_000, reorder_ns: 50_000_000, host_id: "".into() }
    }
}

/// The engine. One thread calls it, in order of the ends of events; some disorder is allowed for.
pub struct Causality {
    settings: Settings,
    counts: Counts,
    order: Order,
    /// Up to where events were handled.
    frontier: Timestamp,
    processes: Processes,
    conns: Conns,
    nodes: Nodes,
    topics: Topics,
    unsettled: Unsettled,
    /// Messages seen at one end, by the position of their bytes.
    joins: HashMap<PlaceKey, Handle>,
    /// Publishes that the broker has not answered, by client and settle id.
    publishes: HashMap<(u32, u64), Handle>,
    /// Deliveries that the client has not settled.
    settles: HashMap<(Owner, u64), SettleKey>,
    /// Deliveries of logs that were not committed.
    uncommitted: Uncommitted,
    /// Transactions that have not ended.
    transactions: Transactions,
    /// Publishes by the identity that the broker gave them.
    given: Given,
    due: Nearly<(Timestamp, u64), Handle>,
    scheduled: u64,
    keys: ArgumentKeys,
    /// Set when the run is over: nothing lasts longer.
    closing: Option<Timestamp>,
}

impl Causality {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            counts: Counts::default(),
            order: Order::default(),
            frontier: Timestamp(0),
            processes: Processes::default(),
            conns: Conns::default(),
            nodes: Nodes::default(),
            topics: Topics::default(),
            unsettled: Unsettled::default(),
            joins: HashMap::new(),
            publishes: HashMap::new(),
            settles: HashMap::new(),
            uncommitted: Uncommitted::default(),
            transactions: Transactions::default(),
            given: Given::default(),
            due: Nearly::default(),
            scheduled: 0,
            keys: ArgumentKeys::default(),
            closing: None,
        }
    }

    /// Announces a process; before its first event. Again, if what is known of it has changed.
    pub fn learn(&mut self, process: Arc<Process>) {
        self.processes.learn(process, &mut self.counts.evicted);
    }

    /// Takes a finished device command or event.
    pub fn command(&mut self, command: Command) {
        self.counts.commands += 1;
        self.push(Event::Command(Box::new(command)));
    }

    /// Takes a message operation, from either end.
    pub fn op(&mut self, op: Op) {
        self.counts.operations += 1;
        self.push(Event::Op(op));
    }

    /// A thread came back to read a connection: the entry of a read that begins while no frame is half received, also
    /// one that found nothing.
    pub fn returned(&mut self, process: ProcessKey, tid: u32, connection: ConnectionKey, at: Timestamp) {
        self.counts.returns += 1;
        self.push(Event::Returned { process, tid, connection, at });
    }

    /// A process ended.
    pub fn process_gone(&mut self, process: ProcessKey, at: Timestamp) {
        self.push(Event::Gone { process, at });
    }

    /// Everything that ended before `watermark` has been given: what is due by then goes `out`.
    pub fn tick(&mut self, watermark: Timestamp, out: &mut Vec<Span>) {
        self.handle_until(Timestamp(watermark.0.saturating_sub(self.settings.reorder_ns)), out);
        self.emit_due(watermark, out);
    }

    /// The run is over: everything goes `out`.
    pub fn flush(&mut self, out: &mut Vec<Span>) {
        self.handle_until(Timestamp(u64::MAX), out);
        self.closing = Some(self.frontier);
        self.emit_due(Timestamp(u64::MAX), out);
    }

    /// What was done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn push(&mut self, event: Event) {
        self.counts.late += u64::from(event.at() < self.frontier);
        self.order.push(event);
        self.counts.queued = self.order.len() as u64;
    }

    fn handle_until(&mut self, until: Timestamp, out: &mut Vec<Span>) {
        loop {
            let full = self.order.is_full();
            let Some(event) = self.order.pop(until) else { break };
            self.counts.hurried += u64::from(full);
            self.frontier = self.frontier.max(event.at());
            match event {
                Event::Command(command) => self.handle_command(command),
                Event::Op(op) => self.handle_op(op),
                Event::Returned { process, tid, connection, at } => {
                    self.handle_returned(process, tid, &connection, at);
                }
                Event::Gone { process, at } => self.handle_gone(process, at),
            }
            if self.nodes.held() > MAX_HELD {
                self.emit_one_early(out);
            }
        }
        if until.0 != u64::MAX {
            self.frontier = self.frontier.max(until);
        }
        self.counts.queued = self.order.len() as u64;
        self.counts.held = self.nodes.held() as u64;
    }

    /// Has the span of `handle` looked at when `at` is reached, and not before.
    fn schedule(&mut self, handle: Handle, at: Timestamp) {
        let Some(detail) = self.nodes.detail_mut(handle) else { return };
        if detail.due == Some(at) {
            return;
        }
        detail.due = Some(at);
        self.scheduled += 1;
        self.due.push((at, self.scheduled), handle);
    }
}
