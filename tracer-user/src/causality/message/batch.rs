//! Several messages at once: a receive that brought many, and a commit that settles all up to a position.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::super::Causality;
use super::super::hop::Print;
use super::super::node::{Detail, Handle, Receive, View, What};
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
    fn consumer(&self, slot: u32) -> Option<Consumer> {
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

    /// A delivery belongs to what its connection is receiving.
    pub(super) fn add_to_batch(&mut self, op: &Op, slot: u32, handle: Handle) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let [client, broker] = &mut conn.batches;
        let batch = if op.viewpoint == Role::Client { client } else { broker };
        if op.place.part == 0 || batch.0 != op.place.start {
            *batch = (op.place.start, Vec::new());
        }
        batch.1.push(handle);
    }

    /// The deliveries of these bytes were one receive.
    pub(super) fn received(&mut self, op: &Op, slot: u32, view: View, count: u32) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let is_client = op.viewpoint == Role::Client;
        let [client, broker] = &mut conn.batches;
        let (start, handles) = std::mem::take(if is_client { client } else { broker });
        let seen = conn.received.filter(|(known, _)| *known == op.place.start).map(|(_, handle)| handle);
        if let Some(seen) = seen {
            // The client's view is the better one.
            if is_client && let Some(receive) = self.nodes.receive_mut(seen) {
                receive.view = view;
                receive.from_broker = false;
            }
            return;
        }
        if start != op.place.start {
            self.counts.control += 1;
            return;
        }
        let (line, client_id) = (conn.line.clone(), conn.client_id.clone());
        let mut links = Vec::new();
        let mut message = Message::default();
        for &handle in &handles {
            let Some(detail) = self.nodes.detail_mut(handle) else { continue };
            let What::Delivery(delivery) = &detail.what else { continue };
            if message.destination.is_empty() {
                message.destination = delivery.message.destination.clone();
                message.group = delivery.message.group.clone();
            }
            message.body =
                Payload { size: message.body.size + delivery.message.body.size, ..Payload::default() };
            links.extend(detail.parent.filter(|_| links.len() < MAX_LINKS));
        }
        if message.destination.is_empty() {
            self.counts.forgotten_causes += 1;
            return;
        }
        let facts = self.facts("receive", op, slot);
        let receive = Receive {
            count,
            system: op.system,
            message: Box::new(message),
            line,
            client_id,
            view,
            from_broker: !is_client,
        };
        let detail =
            Detail { parent: None, remote_parent: None, links, due: None, what: What::Receive(receive) };
        let handle = self.nodes.add(&facts, op.at.start, Print::default(), detail);
        self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.received = Some((op.place.start, handle));
        }
    }
}
