//! Ends: a program came back to read, a connection closed, a process died.

use super::super::Causality;
use super::super::hop::Print;
use super::super::node::{Detail, Publish, View, What};
use crate::model::net::ConnectionKey;
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};

/// How long the will of a vanished client may be delivered.
const WILL_NS: u64 = 60_000_000_000;

impl Causality {
    /// A thread came back to read a connection.
    pub(in crate::causality) fn handle_returned(
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
    pub(in crate::causality) fn handle_gone(&mut self, process: ProcessKey, at: Timestamp) {
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
            let left = conn.left;
            for handle in open {
                let Some(delivery) = self.nodes.delivery_mut(handle) else { continue };
                let began = delivery.client.as_ref().map_or(at, |client| client.at.end);
                if delivery.settled.is_none() && delivery.returned.is_none() && at.since(began) <= hold_ns {
                    // Who said good-bye and ends had no more to do with what it got.
                    if left && !delivery.message.must_be_settled() {
                        delivery.returned = Some(at);
                    } else {
                        delivery.killed = Some(at);
                    }
                    self.schedule(handle, at.plus(settle_ns));
                }
            }
            self.give_up_unread(unread, at, None);
        }
    }

    /// A connection ended.
    pub(super) fn disconnected(&mut self, slot: u32, clean: bool, at: Timestamp) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let will = conn.will.take().filter(|_| !clean);
        conn.left |= clean;
        let unread = std::mem::take(&mut conn.unread);
        let (line, client_id, client, broker) =
            (conn.line.clone(), conn.client_id.clone(), conn.client, conn.broker);
        self.give_up_unread(unread, at, None);
        let Some((message, op)) = will else { return };

        // The broker now publishes the will; it is known to have when somebody receives it.
        let facts = self.facts("will", &op, slot);
        let print = Print::of(&message);
        let source = self.remote_name(slot);
        let process =
            client.and_then(|client| self.processes.get_mut(client)).map(|proc| proc.process.clone());
        let source = process.as_ref().map_or(source, |process| process.service_name.clone());
        let moment = Interval { start: at, end: at };
        let view = process.map(|process| View { process, tid: 0, at: moment });
        let publish = Publish {
            system: op.system,
            message,
            line,
            client_id,
            client: view,
            broker: None,
            sender: None,
            answered: None,
            error: None,
            will: Some(false),
            open_until: None,
        };
        let what = What::Publish(publish);
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
}
