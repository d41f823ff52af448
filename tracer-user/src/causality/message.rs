//! Message operations: the views of both ends are joined, deliveries and publishes begin and end.

mod batch;
mod end;
mod request;
mod settle;
mod transaction;
mod view;

pub(super) use self::batch::{Batches, Together, Uncommitted};
pub(super) use self::settle::{Owner, SettleKey};
pub(super) use self::transaction::Transactions;
use super::Causality;
use super::confidence::Proof;
use super::conn::Conn;
use super::hop::{Print, Reader, Wanted};
use super::node::{Delivery, Detail, Handle, Publish, View, What};
use crate::model::command::Status;
use crate::model::net::Role;
use crate::model::op::{Feed, Message, Op, OpKind, System};
use crate::model::span::Evidence;
use crate::model::time::Timestamp;
use crate::span::event;

fn refusal(error: Option<std::borrow::Cow<'static, str>>) -> Option<Status> {
    error.map(|kind| Status::Error { kind, message: String::new() })
}

impl Causality {
    pub(super) fn handle_op(&mut self, mut op: Op) {
        let Some(proc) = self.processes.get_mut(op.process) else {
            self.counts.dropped_process += 1;
            return;
        };
        let process = proc.process.clone();
        let slot = self.conns.enter(&op, &mut self.counts.evicted);
        if op.viewpoint == Role::Client {
            proc.connected(slot);
        }
        let view = View { process, tid: op.tid, at: op.at };
        let kind = std::mem::replace(&mut op.kind, OpKind::Disconnect { clean: true });
        match kind {
            OpKind::Publish(message) => self.publish(&op, slot, view, message),
            OpKind::Deliver(message) => self.deliver(&op, slot, view, message),
            OpKind::PublishSettled { id, error, given } => {
                self.answered(&op, slot, id, given, refusal(error))
            }
            OpKind::Settle { name, ids, scope, error } => {
                self.settled(&op, slot, &view, (name, scope), &ids, refusal(error));
            }
            OpKind::Received { count, batch } => self.received(&op, slot, view, count, batch),
            OpKind::Request { name, message, error } => {
                self.requested(&op, slot, view, name, message, error);
            }
            OpKind::Commit { group: _, upto, error: None, transaction: Some(name) } => {
                self.committed_within(op, slot, view, upto, name);
            }
            OpKind::Commit { group: _, upto, error, transaction: _ } => {
                self.committed(&op, slot, view, &upto, refusal(error));
            }
            OpKind::TransactionEnded { name, committed } => {
                self.transaction_ended(&op, slot, &name, committed);
            }
            OpKind::Connect { will } => {
                self.counts.control += 1;
                if let (Some(will), Some(conn)) = (will, self.conns.get_mut(slot)) {
                    conn.will = Some((will, op));
                }
            }
            OpKind::Connected { error } => {
                self.counts.control += 1;
                self.counts.connection_errors += u64::from(error.is_some());
            }
            OpKind::Subscribe { filters, feed } => {
                self.counts.control += 1;
                let at = if op.viewpoint == Role::Server { op.at.end } else { op.last_enter };
                self.conns.subscribed(slot, op.system, (&filters, feed), at, &mut self.counts.evicted);
            }
            OpKind::Disconnect { clean } => {
                self.counts.control += 1;
                self.disconnected(slot, clean, op.at.end);
            }
            OpKind::Unseen => self.unseen(op, slot, view),
            OpKind::Error { .. } => self.counts.protocol_errors += 1,
        }
    }

    fn publish(&mut self, op: &Op, slot: u32, view: View, mut message: Box<Message>) {
        if let Some(handle) = self.join(op, slot, &message) {
            self.answer_told(slot, handle, message.settle_id);
            return self.publish_seen_again(op, slot, view, handle);
        }
        let print = Print::of(&message);
        if message.redelivered
            && let Some(handle) = self.known_publish(slot, &message, print)
        {
            // Sent again: the broker may also deliver it again.
            self.counts.resent += 1;
            if op.viewpoint == Role::Server {
                self.route(slot, &message, handle, op.at.end);
            }
            return;
        }
        let is_client = op.viewpoint == Role::Client;
        let traceparent = event::traceparent(&message);
        let mut causes = match is_client {
            true => self.causes_of_publish(op.process, op.tid, op.at.start, &message.body),
            false => super::cause::Causes::default(),
        };
        if traceparent.is_some() {
            // The header says what it came from; what we found is a further cause.
            causes.links.extend(causes.parent.take());
        }
        let facts = self.facts("publish", op, slot);
        let Some(conn) = self.conns.get(slot) else { return };
        let (line, client_id, subscriber) = (conn.line.clone(), conn.client_id.clone(), conn.subscriber);
        let sender = conn.client.filter(|_| !is_client);
        // An answer may come that nobody can tell beforehand (NATS: a publish to a stream looks like a request to a program).
        // It is taken if it comes soon, and waited for where others came.
        let settle_id = message.settle_id;
        let transaction = message.transaction.clone();
        message.needs_settle |=
            settle_id.is_some() && self.topics.acknowledges(conn.broker, &message.destination);
        let sender = sender.and_then(|key| self.processes.get_mut(key)).map(|proc| proc.process.clone());
        let source = match &sender {
            Some(process) => process.service_name.clone(),
            None if is_client => view.process.service_name.clone(),
            None => self.remote_name(slot),
        };
        let (start, end) = if is_client { (op.at.start, op.at.end) } else { (op.at.end, op.at.end) };
        let wait = if message.needs_settle { self.settings.hold_ns } else { 0 };
        let (client, broker) = if is_client { (Some(view), None) } else { (None, Some(view)) };
        let publish = Publish {
            system: op.system,
            message,
            line,
            client_id,
            client,
            broker,
            sender,
            answered: None,
            error: None,
            will: None,
            open_until: None,
        };
        let detail = Detail {
            parent: causes.parent,
            remote_parent: traceparent.map(|(_, span)| span),
            links: causes.links,
            due: None,
            what: What::Publish(publish),
        };
        let handle = self.nodes.add(&facts, start, print, detail);
        if let Some((trace, _)) = traceparent {
            self.nodes.adopt(handle, trace);
        }
        if let Some(node) = self.nodes.get_mut(handle) {
            node.source = Some(source);
        }
        self.await_other_end(op, slot, handle);
        if let Some(id) = settle_id {
            self.make_room();
            self.publishes.insert((subscriber, id), handle);
        }
        self.schedule(handle, end.plus(wait).plus(self.settings.settle_ns));
        if let Some(name) = transaction {
            self.published_within(slot, handle, end, name);
        }
        if is_client {
            self.client_published(op, handle);
            self.send(slot, handle, op.last_enter);
        } else {
            self.broker_read(slot, handle, op.at.end);
            self.client_sent_unseen(op, slot, handle);
        }
    }

    /// What the publishing thread had taken in is used up; what it asked for may be answered.
    fn client_published(&mut self, op: &Op, handle: Handle) {
        let message = self.nodes.publish_mut(handle).map(|publish| &*publish.message);
        let (Some(message), Some(proc)) = (message, self.processes.get_mut(op.process)) else { return };
        let thread = proc.thread(op.tid, op.last_enter);
        thread.input = None;
        let context = thread.at(op.at.start);
        proc.asked(message, &context);
    }

    fn deliver(&mut self, op: &Op, slot: u32, view: View, message: Box<Message>) {
        if let Some(handle) = self.join(op, slot, &message) {
            self.add_to_batch(op, slot, handle, message.batch);
            return self.delivery_seen_again(op, slot, view, handle);
        }
        let print = Print::of(&message);
        let is_client = op.viewpoint == Role::Client;
        let at = if is_client { op.at.end } else { op.last_enter };
        let found = self.publish_of(slot, op.system, &message, print, at);
        let facts = self.facts("deliver", op, slot);
        let Some(conn) = self.conns.get(slot) else { return };
        let (line, client_id, reader) = (conn.line.clone(), conn.client_id.clone(), conn.client);
        let (owner, subscriber) = (Owner::of(conn, message.scope), conn.subscriber);
        let (traceparent, batch) = (event::traceparent(&message), message.batch);
        let mut delivery = Delivery {
            system: op.system,
            message,
            line,
            client_id,
            client: None,
            broker: None,
            reader,
            unseen: None,
            abandoned: false,
            publish: None,
            published: None,
            routed: None,
            source: None,
            settled: None,
            returned: None,
            killed: None,
            error: None,
        };
        let mut parent = None;
        if let Some((publish, proof)) = found {
            let proof = proof.with_if(traceparent.is_some(), Evidence::Traceparent);
            parent = self.nodes.cause(publish, proof);
            delivery.publish = Some(publish);
            if let Some(node) = self.nodes.get(publish) {
                delivery.published = Some(node.start);
                delivery.routed = node.routed;
                delivery.source.clone_from(&node.source);
            }
        } else {
            self.counts.unmatched_deliveries += 1;
        }
        let outside = traceparent.filter(|_| parent.is_none());
        let settle_id = delivery.message.settle_id.filter(|_| delivery.message.needs_settle);
        let position = delivery.message.position;
        let detail = Detail {
            parent,
            remote_parent: outside.map(|(_, span)| span),
            links: Vec::new(),
            due: None,
            what: What::Delivery(delivery),
        };
        let handle = self.nodes.add(&facts, at, print, detail);
        if let Some((trace, _)) = outside {
            self.nodes.adopt(handle, trace);
        }
        self.await_other_end(op, slot, handle);
        if let Some(settle_id) = settle_id
            && let Some(key) = self.settle_key(handle)
        {
            self.make_room();
            self.settles.insert((owner, settle_id), key);
            if let Some((publish, _)) = found {
                self.counts.evicted +=
                    u64::from(!self.unsettled.insert(subscriber, settle_id, publish, print));
            }
        }
        if let Some(position) = position {
            self.await_commit(slot, position, handle);
        }
        self.add_to_batch(op, slot, handle, batch);
        if is_client {
            self.client_received(op, slot, view, handle);
        } else {
            if let Some(delivery) = self.nodes.delivery_mut(handle) {
                delivery.broker = Some(view);
            }
            let wait = if settle_id.is_some() { self.settings.hold_ns } else { 0 };
            self.schedule(handle, op.at.end.plus(wait).plus(self.settings.settle_ns));
            if let Some(conn) = self.conns.get_mut(slot)
                && conn.client.is_some()
            {
                Conn::queue(&mut conn.unread, handle);
            }
        }
    }

    /// The publish that a delivery came from, and what that rests on.
    fn publish_of(
        &mut self,
        slot: u32,
        system: System,
        message: &Message,
        print: Print,
        at: Timestamp,
    ) -> Option<(Handle, Proof)> {
        let conn = self.conns.get(slot)?;
        // Under its own name of old: the broker's word.
        if let Some(publish) = message.id.as_ref().and_then(|id| self.given.find(conn.broker, id)) {
            return Some((publish, Proof::of(&[Evidence::BrokerId])));
        }
        let proof = Proof::of(&[Evidence::Fingerprint]);
        if message.redelivered
            && let Some(id) = message.settle_id
            && let Some(publish) = self.unsettled.find(conn.subscriber, id, print)
        {
            return Some((publish, proof));
        }
        let subscription = match system {
            // A queue has what was sent before anybody asked for it.
            System::Rabbitmq => Some((Timestamp(0), false)),
            _ => self.conns.subscription(conn, system, &message.destination, message.feed),
        };
        let published_as = message.published_as.as_ref().unwrap_or(&message.destination);
        let wanted = Wanted {
            subscriber: conn.subscriber,
            reader: Reader::of(conn.subscriber, message.feed),
            print,
            at,
            since: subscription.map(|(since, _)| since),
            // What has a number of its own comes through it once.
            overlapping: match message.feed {
                Feed::Client => subscription.map(|(_, overlapping)| overlapping),
                Feed::Subscription(_) | Feed::Shared(_) => Some(false),
            },
            retained: message.retained,
            may_be_retained: message.retain,
            redelivered: message.redelivered,
            id: message.id.as_ref(),
        };
        let evicted = &mut self.counts.evicted;
        let nodes = &self.nodes;
        let mut found = self.topics.find(conn.broker, published_as, &wanted, nodes, evicted);
        // The broker moved it since, unless somebody published it there.
        if let (None, Some(first)) = (found, &message.published_first) {
            found = self.topics.find(conn.broker, first, &wanted, nodes, evicted);
        }
        let found = found?;
        if let Some(publish) = self.nodes.publish_mut(found.publish)
            && publish.will == Some(false)
        {
            publish.will = Some(true);
            self.schedule(found.publish, at.plus(self.settings.settle_ns));
        }
        Some((found.publish, proof.ambiguous(found.ambiguous)))
    }
}
