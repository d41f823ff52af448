//! Message operations: the views of both ends are joined, deliveries and publishes begin and end.

mod view;

use std::sync::Arc;

use super::Causality;
use super::confidence::Proof;
use super::conn::Conn;
use super::hop::{Print, Wanted};
use super::node::{Delivery, Detail, Handle, Publish, Settle, View, What};
use crate::model::command::Status;
use crate::model::net::{ConnectionKey, Role};
use crate::model::op::{Message, Op, OpKind};
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::span::Evidence;
use crate::model::time::Timestamp;
use crate::span::event;

/// Most publishes, and most deliveries, that are followed until they are settled: a client has at most 65,535.
const MAX_SETTLES: usize = 65_536;

/// How long the will of a vanished client may be delivered.
const WILL_NS: u64 = 60_000_000_000;

/// A delivery that is to be settled; its span may have gone out before.
pub(super) struct SettleKey {
    delivery: Handle,
    destination: Arc<str>,
    id: Option<Arc<str>>,
    size: u64,
}

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
            OpKind::PublishSettled { id, error } => self.answered(&op, slot, id, refusal(error)),
            OpKind::Settle { name, ids, error } => self.settled(&op, slot, view, name, &ids, refusal(error)),
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
            OpKind::Subscribe { filters } => {
                self.counts.control += 1;
                let at = if op.viewpoint == Role::Server { op.at.end } else { op.last_enter };
                self.conns.subscribed(slot, &filters, at, &mut self.counts.evicted);
            }
            OpKind::Disconnect { clean } => {
                self.counts.control += 1;
                self.disconnected(slot, clean, op.at.end);
            }
            OpKind::Error { .. } => self.counts.protocol_errors += 1,
        }
    }

    fn publish(&mut self, op: &Op, slot: u32, view: View, message: Box<Message>) {
        if let Some(handle) = self.join(op, slot, &message) {
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
        let source = if is_client { view.process.service_name.clone() } else { self.remote_name(slot) };
        let (start, end) = if is_client { (op.at.start, op.at.end) } else { (op.at.end, op.at.end) };
        let wait = if message.needs_settle { self.settings.hold_ns } else { 0 };
        let settle_id = message.settle_id.filter(|_| message.needs_settle);
        let (client, broker) = if is_client { (Some(view), None) } else { (None, Some(view)) };
        let publish = Publish {
            system: op.system,
            message,
            line,
            client_id,
            client,
            broker,
            answered: None,
            error: None,
            will: None,
        };
        let detail = Detail {
            parent: causes.parent,
            remote_parent: traceparent.map(|(_, span)| span),
            links: causes.links,
            due: None,
            what: What::Publish(Box::new(publish)),
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
        if is_client {
            self.client_published(op, handle);
            self.send(slot, handle, op.last_enter);
        } else {
            self.broker_read(slot, handle, op.at.end);
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
            return self.delivery_seen_again(op, slot, view, handle);
        }
        let print = Print::of(&message);
        let is_client = op.viewpoint == Role::Client;
        let at = if is_client { op.at.end } else { op.last_enter };
        let found = self.publish_of(slot, &message, print, at);
        let facts = self.facts("deliver", op, slot);
        let Some(conn) = self.conns.get(slot) else { return };
        let (line, client_id, serial, reader) =
            (conn.line.clone(), conn.client_id.clone(), conn.serial, conn.client);
        let subscriber = conn.subscriber;
        let traceparent = event::traceparent(&message);
        let mut delivery = Delivery {
            system: op.system,
            message,
            line,
            client_id,
            client: None,
            broker: None,
            reader,
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
        let (destination, id) = (delivery.message.destination.clone(), delivery.message.id.clone());
        let size = delivery.message.body.size;
        let detail = Detail {
            parent,
            remote_parent: outside.map(|(_, span)| span),
            links: Vec::new(),
            due: None,
            what: What::Delivery(Box::new(delivery)),
        };
        let handle = self.nodes.add(&facts, at, print, detail);
        if let Some((trace, _)) = outside {
            self.nodes.adopt(handle, trace);
        }
        self.await_other_end(op, slot, handle);
        if let Some(settle_id) = settle_id {
            self.make_room();
            self.settles.insert((serial, settle_id), SettleKey { delivery: handle, destination, id, size });
            if let Some((publish, _)) = found {
                self.counts.evicted +=
                    u64::from(!self.unsettled.insert(subscriber, settle_id, publish, print));
            }
        }
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
        message: &Message,
        print: Print,
        at: Timestamp,
    ) -> Option<(Handle, Proof)> {
        let conn = self.conns.get(slot)?;
        let proof = Proof::of(&[Evidence::Fingerprint]);
        if message.redelivered
            && let Some(id) = message.settle_id
            && let Some(publish) = self.unsettled.find(conn.subscriber, id, print)
        {
            return Some((publish, proof));
        }
        let subscription = self.conns.subscription(conn, &message.destination);
        let wanted = Wanted {
            subscriber: conn.subscriber,
            print,
            at,
            since: subscription.map(|(since, _)| since),
            overlapping: subscription.map(|(_, overlapping)| overlapping),
            retained: message.retained,
            redelivered: message.redelivered,
        };
        let found = self.topics.find(conn.broker, &message.destination, &wanted, &self.nodes)?;
        if let Some(publish) = self.nodes.publish_mut(found.publish)
            && publish.will == Some(false)
        {
            publish.will = Some(true);
            self.schedule(found.publish, at.plus(self.settings.settle_ns));
        }
        Some((found.publish, proof.ambiguous(found.ambiguous)))
    }

    /// The broker answered a publish.
    fn answered(&mut self, op: &Op, slot: u32, id: u64, error: Option<Status>) {
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
        if let Some(publish) = self.nodes.publish_mut(handle) {
            publish.answered = Some(op.at.end);
            if error.is_some() {
                publish.error = error;
            }
            if is_last {
                self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
            }
        }
    }

    /// A client settled deliveries.
    fn settled(
        &mut self,
        op: &Op,
        slot: u32,
        view: View,
        name: &'static str,
        ids: &[u64],
        error: Option<Status>,
    ) {
        let Some(conn) = self.conns.get(slot) else { return };
        let (serial, subscriber) = (conn.serial, conn.subscriber);
        let both_seen = conn.broker_seen && conn.client.is_some();
        let (line, client_id) = (conn.line.clone(), conn.client_id.clone());
        let is_client = op.viewpoint == Role::Client;
        let mut settled = Vec::with_capacity(ids.len());
        for &id in ids {
            self.unsettled.remove(subscriber, id);
            match self.settles.remove(&(serial, id)) {
                Some(key) => settled.push(key),
                None => self.counts.unmatched_settles += u64::from(!both_seen),
            }
        }
        for key in &settled {
            self.finish_delivery(
                key.delivery,
                &view,
                error.as_ref(),
                if is_client { op.at.start } else { op.at.end },
            );
        }
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
            count: ids.len(),
            system: op.system,
            message: Box::new(message),
            line,
            client_id,
            view,
            from_broker: !is_client,
            error,
        };
        let detail =
            Detail { parent, remote_parent: None, links, due: None, what: What::Settle(Box::new(settle)) };
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
        let reader = delivery.client.as_ref().map(|client| client.process.key);
        if delivery.client.is_some() || delivery.reader.is_none() {
            self.schedule(handle, view.at.end.plus(settle_ns));
        }
        if let Some(proc) = reader.and_then(|reader| self.processes.get_mut(reader)) {
            proc.threads_mut().for_each(|thread| thread.finish(handle, left));
        }
    }

    /// A thread came back to read a connection.
    pub(super) fn handle_returned(
        &mut self,
        process: ProcessKey,
        tid: u32,
        key: &ConnectionKey,
        at: Timestamp,
    ) {
        let Some(slot) = self.conns.find(key) else { return };
        let settle_ns = self.settings.settle_ns;
        let Some(conn) = self.conns.get_mut(slot).filter(|conn| conn.client == Some(process)) else { return };
        let serial = conn.serial;
        let mut open = std::mem::take(&mut conn.open);
        if let Some(proc) = self.processes.get_mut(process) {
            proc.thread(tid, at).leave(serial, at);
        }
        for &handle in &open {
            let Some(delivery) = self.nodes.delivery_mut(handle) else { continue };
            delivery.returned.get_or_insert(at);
            // One that is to be settled goes on until then.
            if !delivery.message.needs_settle && delivery.settled.is_none() {
                self.schedule(handle, at.plus(settle_ns));
            }
        }
        open.clear();
        if let Some(conn) = self.conns.get_mut(slot) {
            conn.open = open;
        }
    }

    /// A process ended.
    pub(super) fn handle_gone(&mut self, process: ProcessKey, at: Timestamp) {
        let (hold_ns, settle_ns) = (self.settings.hold_ns, self.settings.settle_ns);
        self.conns.broker_gone(process);
        let Some(proc) = self.processes.get_mut(process) else { return };
        let slots = std::mem::take(&mut proc.connections);
        proc.end();
        for slot in slots {
            let Some(conn) = self.conns.get_mut(slot).filter(|conn| conn.client == Some(process)) else {
                continue;
            };
            let (open, unread) = (std::mem::take(&mut conn.open), std::mem::take(&mut conn.unread));
            for handle in open {
                let Some(delivery) = self.nodes.delivery_mut(handle) else { continue };
                let began = delivery.client.as_ref().map_or(at, |client| client.at.end);
                if delivery.settled.is_none() && delivery.returned.is_none() && at.since(began) <= hold_ns {
                    delivery.killed = Some(at);
                    self.schedule(handle, at.plus(settle_ns));
                }
            }
            self.give_up_unread(unread, at);
        }
    }

    /// A connection ended.
    fn disconnected(&mut self, slot: u32, clean: bool, at: Timestamp) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let will = conn.will.take().filter(|_| !clean);
        let unread = std::mem::take(&mut conn.unread);
        let (line, client_id, client, broker) =
            (conn.line.clone(), conn.client_id.clone(), conn.client, conn.broker);
        self.give_up_unread(unread, at);
        let Some((message, op)) = will else { return };

        // The broker now publishes the will; it is known to have when somebody receives it.
        let facts = self.facts("will", &op, slot);
        let print = Print::of(&message);
        let source = self.remote_name(slot);
        let process =
            client.and_then(|client| self.processes.get_mut(client)).map(|proc| proc.process.clone());
        let source = process.as_ref().map_or(source, |process| process.service_name.clone());
        let moment = crate::model::time::Interval { start: at, end: at };
        let view = process.map(|process| View { process, tid: 0, at: moment });
        let publish = Publish {
            system: op.system,
            message,
            line,
            client_id,
            client: view,
            broker: None,
            answered: None,
            error: None,
            will: Some(false),
        };
        let what = What::Publish(Box::new(publish));
        let detail = Detail { parent: None, remote_parent: None, links: Vec::new(), due: None, what };
        let handle = self.nodes.add(&facts, at, print, detail);
        if let Some(node) = self.nodes.get_mut(handle) {
            node.joined = true;
            node.source = Some(source);
        }
        self.schedule(handle, at.plus(WILL_NS));
        let Some(publish) = self.nodes.publish_mut(handle) else { return };
        let message = publish.message.clone();
        let topic = self.topics.routed(broker, &message, handle, at, &self.nodes, &mut self.counts.evicted);
        if let Some(node) = self.nodes.get_mut(handle) {
            node.topic = Some(topic);
        }
    }

    /// Keeps the tables of what is to be settled within their bounds.
    fn make_room(&mut self) {
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
