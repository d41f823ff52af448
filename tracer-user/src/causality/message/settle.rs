//! Settlements: the broker's answers to publishes, the clients' to deliveries.

use std::sync::Arc;

use super::super::Causality;
use super::super::confidence::Proof;
use super::super::conn::Conn;
use super::super::hop::Print;
use super::super::node::{Detail, Handle, Settle, View, What};
use crate::model::command::Status;
use crate::model::net::Role;
use crate::model::op::{Message, Op, Scope, System};
use crate::model::payload::Payload;
use crate::model::span::Evidence;
use crate::model::time::Timestamp;

/// Most publishes, and most deliveries, that are followed until they are settled: a client has at most 65,535.
const MAX_SETTLES: usize = 65_536;

/// A delivery that is to be settled; its span may have gone out before.
pub(in crate::causality) struct SettleKey {
    pub(super) delivery: Handle,
    pub(super) destination: Arc<str>,
    pub(super) id: Option<Arc<str>>,
    pub(super) size: u64,
}

/// Whose settle ids: a connection's, a subscriber's, or a broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::causality) enum Owner {
    Connection(u32),
    Session(u32),
    Broker(u32),
}

impl Owner {
    pub(super) fn of(conn: &Conn, scope: Scope) -> Self {
        match scope {
            Scope::Connection => Self::Connection(conn.serial),
            Scope::Session => Self::Session(conn.subscriber),
            Scope::Broker => Self::Broker(conn.broker),
        }
    }
}

impl Causality {
    /// What is needed to settle a delivery whose span has not gone out.
    pub(super) fn settle_key(&mut self, delivery: Handle) -> Option<SettleKey> {
        let message = &self.nodes.delivery_mut(delivery)?.message;
        let (destination, id) = (message.destination.clone(), message.id.clone());
        Some(SettleKey { delivery, destination, id, size: message.body.size })
    }

    /// The other end's view of the publish `handle` says which answer will be its, and the first view did not: it is taken if it
    /// comes soon.
    pub(super) fn answer_told(&mut self, slot: u32, handle: Handle, told: Option<u64>) {
        let (Some(conn), Some(publish), Some(id)) =
            (self.conns.get(slot), self.nodes.publish_mut(handle), told)
        else {
            return;
        };
        if publish.message.settle_id.is_some() || publish.answered.is_some() {
            return;
        }
        let key = (conn.subscriber, id);
        publish.message.settle_id = told;
        self.make_room();
        self.publishes.insert(key, handle);
    }

    /// The broker answered a publish.
    pub(super) fn answered(
        &mut self,
        op: &Op,
        slot: u32,
        id: u64,
        given: Option<Arc<str>>,
        error: Option<Status>,
    ) {
        let Some(conn) = self.conns.get(slot) else { return };
        let key = (conn.subscriber, id);
        let Some(&handle) = self.publishes.get(&key) else {
            // The second view of an answer finds it settled.
            self.counts.unmatched_answers += u64::from(!(conn.broker_seen && conn.client.is_some()));
            return;
        };
        // The client's view is the better one: the broker's only counts where there will be none.
        let is_last = op.viewpoint == Role::Client || conn.client.is_none();
        if is_last {
            self.publishes.remove(&key);
        }
        if error.is_none()
            && let Some(topic) = self.nodes.get(handle).and_then(|node| node.topic)
        {
            self.topics.acknowledge(topic);
        }
        if let Some(given) = &given {
            self.counts.evicted += u64::from(self.given.insert(conn.broker, given.clone(), handle));
        }
        if let Some(node) = self.nodes.get_mut(handle) {
            node.given.clone_from(&given);
        }
        if let Some(publish) = self.nodes.publish_mut(handle) {
            publish.answered = Some(op.at.end);
            if publish.message.id.is_none() {
                publish.message.id = given;
            }
            if error.is_some() {
                publish.error = error;
            }
            if is_last {
                self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
            }
        }
    }

    /// A client settled deliveries.
    pub(super) fn settled(
        &mut self,
        op: &Op,
        slot: u32,
        view: &View,
        (name, scope): (&'static str, Scope),
        ids: &[u64],
        error: Option<Status>,
    ) {
        let Some(conn) = self.conns.get(slot) else { return };
        // Kafka's are told by their answers, which the broker sees first; the client's view is the better one.
        if op.system == System::Kafka && op.viewpoint == Role::Server && conn.client.is_some() {
            self.counts.control += 1;
            return;
        }
        let (owner, subscriber, serial) = (Owner::of(conn, scope), conn.subscriber, conn.serial);
        let both_seen = conn.broker_seen && conn.client.is_some();
        let mut settled = Vec::with_capacity(ids.len());
        for &id in ids {
            self.unsettled.remove(subscriber, id);
            // Where the session outlives connections, it may have come when that was not known.
            let earlier = self.settles.remove(&(owner, id));
            match earlier.or_else(|| self.settles.remove(&(Owner::Connection(serial), id))) {
                Some(key) => settled.push(key),
                None => self.counts.unmatched_settles += u64::from(!both_seen),
            }
        }
        self.finish_settled(op, slot, view, name, settled, error);
    }

    /// These deliveries are settled by `op`.
    pub(super) fn finish_settled(
        &mut self,
        op: &Op,
        slot: u32,
        view: &View,
        name: &'static str,
        settled: Vec<SettleKey>,
        error: Option<Status>,
    ) {
        let Some(conn) = self.conns.get(slot) else { return };
        let (line, client_id) = (conn.line.clone(), conn.client_id.clone());
        let is_client = op.viewpoint == Role::Client;
        for key in &settled {
            self.finish_delivery(
                key.delivery,
                view,
                error.as_ref(),
                if is_client { op.at.start } else { op.at.end },
            );
        }
        let count = settled.len();
        let mut keys = settled.into_iter();
        let Some(first) = keys.next() else { return };
        // The settle id is the broker's name for the delivery.
        let proof = Proof::of(&[Evidence::BrokerId]);
        let parent = self.nodes.cause(first.delivery, proof);
        let links: Vec<_> = keys.filter_map(|key| self.nodes.cause(key.delivery, proof)).collect();
        self.counts.forgotten_causes += u64::from(parent.is_none());
        let message = Message {
            destination: first.destination,
            id: first.id,
            body: Payload { size: first.size, ..Payload::default() },
            ..Message::default()
        };
        let facts = self.facts(name, op, slot);
        let settle = Settle {
            name,
            count,
            system: op.system,
            message: Box::new(message),
            line,
            client_id,
            view: view.clone(),
            from_broker: !is_client,
            error,
        };
        let detail = Detail { parent, remote_parent: None, links, due: None, what: What::Settle(settle) };
        let handle = self.nodes.add(&facts, op.at.start, Print::default(), detail);
        self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
    }

    /// A delivery was settled: its handling is over.
    fn finish_delivery(&mut self, handle: Handle, view: &View, error: Option<&Status>, left: Timestamp) {
        let settle_ns = self.settings.settle_ns;
        let Some(delivery) = self.nodes.delivery_mut(handle) else { return };
        delivery.settled.get_or_insert(view.at.end);
        if delivery.error.is_none() {
            delivery.error = error.cloned();
        }
        let reader = delivery.client.as_ref().map(|client| (client.process.key, client.tid));
        if reader.is_none() {
            // What was settled was read, though it was not seen to be.
            if delivery.reader.take() == Some(view.process.key) {
                delivery.unseen = Some(view.process.clone());
            }
        }
        self.schedule(handle, view.at.end.plus(settle_ns));
        if let Some((process, tid)) = reader
            && let Some(thread) = self.processes.get_mut(process).and_then(|proc| proc.known_thread_mut(tid))
        {
            thread.finish(handle, left);
        }
    }

    /// Keeps the tables of what is to be settled within their bounds.
    pub(super) fn make_room(&mut self) {
        if self.publishes.len() >= MAX_SETTLES {
            let before = self.publishes.len();
            self.publishes.retain(|_, &mut handle| self.nodes.detail_mut(handle).is_some());
            if self.publishes.len() >= MAX_SETTLES {
                self.publishes.clear();
            }
            self.counts.evicted += (before - self.publishes.len()) as u64;
        }
        if self.settles.len() >= MAX_SETTLES {
            let before = self.settles.len();
            self.settles.retain(|_, key| self.nodes.get(key.delivery).is_some());
            if self.settles.len() >= MAX_SETTLES {
                self.settles.clear();
            }
            self.counts.evicted += (before - self.settles.len()) as u64;
            self.unsettled.retain(|publish| self.nodes.get(publish).is_some());
        }
    }
}
