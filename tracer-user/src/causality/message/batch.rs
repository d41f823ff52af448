//! Several messages at once: a receive that brought many, and a commit that settles all up to a position.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::super::Causality;
use super::super::hop::Print;
use super::super::node::{Cause, Detail, Handle, Receive, View, What};
use super::settle::SettleKey;
use crate::model::command::Status;
use crate::model::net::Role;
use crate::model::op::{Committed, Message, Op, Position};
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;

/// Most links of one span: a fetch may bring thousands of messages, and backends take no more than this by default
/// (OpenTelemetry's `SpanLinkCountLimit`).
const MAX_LINKS: usize = 128;

/// Most deliveries of a log that are kept until they are committed.
const MAX_UNCOMMITTED: usize = 65_536;

/// Most batches of a connection that are under way at once, and that are remembered for the other end's view.
const MAX_BATCHES: usize = 16;

/// What makes deliveries one receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::causality) enum Together {
    /// Where their bytes begin.
    Bytes(u64),
    /// The number of their batch.
    Batch(u64),
}

/// Deliveries that came together so far.
struct Came {
    key: Together,
    destination: Option<Arc<str>>,
    group: Option<Arc<str>>,
    size: u64,
    /// The publishes. Not the deliveries: a batch may last longer than they do.
    causes: Vec<Cause>,
}

/// What one end of a connection sees coming.
#[derive(Default)]
pub(in crate::causality) struct Batches {
    /// The newest last; one of them is of bytes, for these come one behind the other.
    under_way: VecDeque<Came>,
}

impl Batches {
    /// What came of `key`. `anew`: it begins with this.
    fn enter(&mut self, key: Together, anew: bool) -> &mut Came {
        let is_bytes = |key| matches!(key, Together::Bytes(_));
        let same = |came: &Came| came.key == key || (is_bytes(came.key) && is_bytes(key));
        let index = self.under_way.iter().position(same).unwrap_or_else(|| {
            if self.under_way.len() >= MAX_BATCHES {
                self.under_way.pop_front();
            }
            let causes = Vec::new();
            self.under_way.push_back(Came { key, destination: None, group: None, size: 0, causes });
            self.under_way.len() - 1
        });
        let came = &mut self.under_way[index];
        if anew || came.key != key {
            came.key = key;
            (came.destination, came.group, came.size) = (None, None, 0);
            came.causes.clear();
        }
        came
    }

    fn take(&mut self, key: Together) -> Option<Came> {
        let index = self.under_way.iter().position(|came| came.key == key)?;
        self.under_way.remove(index)
    }
}

/// Whose position in a log: the consumer's process, or what the broker knows it by where its process is not seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::causality) enum Consumer {
    Process(ProcessKey),
    Named(u32, Arc<str>),
}

/// Deliveries of one partition that are not committed, oldest first.
type Waiting = VecDeque<(i64, SettleKey)>;

/// Deliveries that wait for a commit.
#[derive(Default)]
pub(in crate::causality) struct Uncommitted {
    waiting: HashMap<(Consumer, Arc<str>, i32), Waiting>,
    held: usize,
}

impl Uncommitted {
    /// Adds a delivery; returns how many others had to go for it.
    fn add(&mut self, consumer: Consumer, at: Position, key: SettleKey) -> u64 {
        let mut gone = 0;
        if self.held >= MAX_UNCOMMITTED {
            gone = self.held as u64;
            self.waiting.clear();
            self.held = 0;
        }
        let place = (consumer, key.destination.clone(), at.partition);
        self.waiting.entry(place).or_default().push_back((at.offset, key));
        self.held += 1;
        gone
    }

    /// Takes those that `committed` settles.
    fn take(&mut self, consumer: &Consumer, committed: &Committed) -> Vec<SettleKey> {
        let place = (consumer.clone(), committed.destination.clone(), committed.next.partition);
        let Some(waiting) = self.waiting.get_mut(&place) else { return Vec::new() };
        let all = std::mem::take(waiting);
        let (done, left) = all.into_iter().partition::<Waiting, _>(|(at, _)| *at < committed.next.offset);
        if left.is_empty() {
            self.waiting.remove(&place);
        } else if let Some(waiting) = self.waiting.get_mut(&place) {
            *waiting = left;
        }
        self.held = self.held.saturating_sub(done.len());
        done.into_iter().map(|(_, key)| key).collect()
    }
}

impl Causality {
    pub(super) fn consumer(&self, slot: u32) -> Option<Consumer> {
        let conn = self.conns.get(slot)?;
        Some(match conn.client {
            Some(process) => Consumer::Process(process),
            None => Consumer::Named(conn.broker, self.remote_name(slot)),
        })
    }

    /// A delivery of a log can be committed.
    pub(super) fn await_commit(&mut self, slot: u32, at: Position, handle: Handle) {
        let (Some(consumer), Some(key)) = (self.consumer(slot), self.settle_key(handle)) else { return };
        self.counts.evicted += self.uncommitted.add(consumer, at, key);
    }

    /// A group is up to here: see [`crate::model::op::OpKind::Commit`].
    pub(super) fn committed(
        &mut self,
        op: &Op,
        slot: u32,
        view: View,
        upto: &[Committed],
        error: Option<Status>,
    ) {
        let Some(conn) = self.conns.get(slot) else { return };
        // One end's view is enough, and the client's the better one.
        if op.viewpoint == Role::Server && conn.client.is_some() {
            self.counts.control += 1;
            return;
        }
        // Its first deliveries may have been seen before its process was.
        let named = Consumer::Named(conn.broker, self.remote_name(slot));
        let consumers = [self.consumer(slot), Some(named)];
        let mut settled = Vec::new();
        for consumer in consumers.iter().flatten() {
            settled.extend(upto.iter().flat_map(|committed| self.uncommitted.take(consumer, committed)));
        }
        self.finish_settled(op, slot, &view, "commit", settled, error);
    }

    /// A delivery belongs to what its connection is receiving: to the others of its bytes, or of its batch.
    pub(super) fn add_to_batch(&mut self, op: &Op, slot: u32, handle: Handle, batch: Option<u64>) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let key = batch.map_or(Together::Bytes(op.place.start), Together::Batch);
        let [client, broker] = &mut conn.batches;
        let batches = if op.viewpoint == Role::Client { client } else { broker };
        let begins = batch.is_none() && op.place.part == 0;
        let came = batches.enter(key, begins);
        let Some(detail) = self.nodes.detail_mut(handle) else { return };
        let What::Delivery(delivery) = &detail.what else { return };
        if came.destination.is_none() {
            came.destination = Some(delivery.message.destination.clone());
            came.group.clone_from(&delivery.message.group);
        }
        came.size += delivery.message.body.size;
        came.causes.extend(detail.parent.filter(|_| came.causes.len() < MAX_LINKS));
    }

    /// The deliveries of these bytes, or of this batch, were one receive.
    pub(super) fn received(&mut self, op: &Op, slot: u32, view: View, count: u32, batch: Option<u64>) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let is_client = op.viewpoint == Role::Client;
        let key = batch.map_or(Together::Bytes(op.place.start), Together::Batch);
        let [client, broker] = &mut conn.batches;
        let came = if is_client { client } else { broker }.take(key);
        // Where a batch ends is the decoder's finding: one end's view is enough, and the client's the better one.
        if batch.is_some() && !is_client && conn.client.is_some() {
            self.counts.control += 1;
            return;
        }
        let seen = conn.received.iter().rev().find(|(known, _)| *known == key).map(|(_, handle)| *handle);
        if let Some(seen) = seen {
            // The client's view is the better one.
            if is_client && let Some(receive) = self.nodes.receive_mut(seen) {
                receive.view = view;
                receive.from_broker = false;
            }
            return;
        }
        let Some(came) = came else {
            self.counts.control += 1;
            return;
        };
        let Some(destination) = came.destination else {
            self.counts.forgotten_causes += 1;
            return;
        };
        let body = Payload { size: came.size, ..Payload::default() };
        let message = Message { destination, group: came.group, body, ..Message::default() };
        let receive = Receive {
            count,
            system: op.system,
            message: Box::new(message),
            line: conn.line.clone(),
            client_id: conn.client_id.clone(),
            view,
            from_broker: !is_client,
        };
        let facts = self.facts("receive", op, slot);
        let detail = Detail {
            parent: None,
            remote_parent: None,
            links: came.causes,
            due: None,
            what: What::Receive(receive),
        };
        let handle = self.nodes.add(&facts, op.at.start, Print::default(), detail);
        self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
        if let Some(conn) = self.conns.get_mut(slot) {
            if conn.received.len() >= MAX_BATCHES {
                conn.received.pop_front();
            }
            conn.received.push_back((key, handle));
        }
    }
}
