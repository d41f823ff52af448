//! The two views of one message: joined by the position of its bytes, else by order and content.
//!
//! Where both ends have the kernel's positions, the bytes' connection, direction and start say which two views are
//! one. Else (unix sockets, contested or unknown positions) each view is joined with the first message of that
//! connection and direction that was seen only at the other end and has the same destination and content: bytes keep
//! their order in a stream, so the k-th of several equal messages meets the k-th.

use std::sync::Arc;

use super::super::Causality;
use super::super::conn::Conn;
use super::super::hop::{Likeness, Print};
use super::super::node::{Handle, View, What};
use crate::model::ids::IdBuilder;
use crate::model::net::Role;
use crate::model::op::{Message, Op};
use crate::model::process::Process;
use crate::model::time::Timestamp;
use crate::span::id::{Counted, carried};

impl Causality {
    /// The facts that make the id of what `op` carries.
    pub(super) fn facts(&mut self, kind: &str, op: &Op, slot: u32) -> IdBuilder {
        let mut counted = None;
        if !op.place.exact
            && let Some(conn) = self.conns.get_mut(slot)
        {
            let opened = conn.opened;
            let [to_client, to_server] = &mut conn.ordinals;
            let ordinal = if op.place.to_server { to_server } else { to_client };
            *ordinal += 1;
            counted = Some(Counted { opened, ordinal: *ordinal });
        }
        carried(kind, op.system, &op.place, &self.settings.host_id, counted)
    }

    /// The same message as the other end saw it, if it did already.
    pub(super) fn join(&mut self, op: &Op, slot: u32, message: &Message) -> Option<Handle> {
        let conn = self.conns.get(slot)?;
        let key = conn.place(op);
        if op.place.exact
            && let Some(&handle) = self.joins.get(&key)
        {
            self.joins.remove(&key);
            let node = self.nodes.get_mut(handle)?;
            node.awaited = None;
            // Positions come again after 4 GiB: whoever waited so long is another message.
            if node.first_view != Some(op.viewpoint) && node.print.has_size(message.body.size) {
                node.joined = true;
                node.joined_exactly = true;
                self.counts.joined += 1;
                return Some(handle);
            }
            return None;
        }
        if !(conn.broker_seen && conn.client.is_some()) {
            return None;
        }
        let [to_client, to_server] = &conn.waiting;
        let queue = if op.place.to_server { to_server } else { to_client };
        if queue.is_empty() {
            return None;
        }
        let mut print = None;
        let mut found = None;
        for (index, &handle) in queue.iter().enumerate() {
            let Some(node) = self.nodes.get(handle) else { continue };
            // Two exact positions that differ are two messages.
            let comparable = !(op.place.exact && node.awaited.is_some());
            if node.joined || node.first_view == Some(op.viewpoint) || !comparable {
                continue;
            }
            let print = *print.get_or_insert_with(|| Print::of(message));
            let same_destination =
                self.destination(handle).is_none_or(|known| **known == *message.destination);
            if same_destination && node.print.compare(print) != Likeness::Different {
                found = Some((index, handle));
                break;
            }
        }
        let (index, handle) = found?;
        let conn = self.conns.get_mut(slot)?;
        let [to_client, to_server] = &mut conn.waiting;
        let queue = if op.place.to_server { to_server } else { to_client };
        queue.drain(..=index);
        let node = self.nodes.get_mut(handle)?;
        node.joined = true;
        if let Some(key) = node.awaited.take() {
            self.joins.remove(&key);
        }
        self.counts.joined += 1;
        Some(handle)
    }

    fn destination(&self, handle: Handle) -> Option<&Arc<str>> {
        match &self.nodes.get(handle)?.detail.as_ref()?.what {
            What::Publish(publish) => Some(&publish.message.destination),
            What::Delivery(delivery) => Some(&delivery.message.destination),
            What::Command(..) | What::Settle(_) | What::Receive(_) | What::Request(_) => None,
        }
    }

    /// `handle` was seen at one end by `op`: the other end's view of it may come.
    pub(super) fn await_other_end(&mut self, op: &Op, slot: u32, handle: Handle) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        let key = op.place.exact.then(|| conn.place(op));
        let nodes = &self.nodes;
        conn.wait(op.place.to_server, handle, |handle| nodes.get(handle).is_none_or(|node| node.joined));
        if let Some(key) = key {
            self.joins.insert(key, handle);
        }
        if let Some(node) = self.nodes.get_mut(handle) {
            node.first_view = Some(op.viewpoint);
            node.awaited = key;
        }
    }

    /// The unanswered publish that `message` repeats.
    pub(super) fn known_publish(&mut self, slot: u32, message: &Message, print: Print) -> Option<Handle> {
        let conn = self.conns.get(slot)?;
        let &handle = self.publishes.get(&(conn.subscriber, message.settle_id?))?;
        let node = self.nodes.get(handle)?;
        (node.print.compare(print) != Likeness::Different).then_some(handle)
    }

    /// The other end's view of a publish.
    pub(super) fn publish_seen_again(&mut self, op: &Op, slot: u32, view: View, handle: Handle) {
        if op.viewpoint == Role::Server {
            match self.nodes.publish_mut(handle) {
                Some(publish) => publish.broker = Some(view),
                None => self.counts.late_views += 1,
            }
            self.broker_read(slot, handle, op.at.end);
            return;
        }
        // The client's write came back very late. Its cause may still be set unless a descendant went out.
        let body = self.nodes.publish_mut(handle).map(|publish| publish.message.body.clone());
        let Some(body) = body else {
            self.counts.late_views += 1;
            return;
        };
        let (start, source) = (op.at.start, view.process.service_name.clone());
        if let Some(publish) = self.nodes.publish_mut(handle) {
            publish.client = Some(view);
        }
        if let Some(node) = self.nodes.get_mut(handle) {
            node.start = start;
            node.source = Some(source);
        }
        if self.nodes.is_fixed(handle) {
            self.counts.late_views += 1;
        } else {
            let causes = self.causes_of_publish(op.process, op.tid, start, &body);
            let pending = causes.parent.and_then(|parent| match parent.at {
                super::super::node::Ancestor::Pending(parent) => Some(parent),
                super::super::node::Ancestor::Known(_) => None,
            });
            let is_loop = pending.is_some_and(|parent| self.nodes.descends(parent, handle));
            if let Some(detail) = self.nodes.detail_mut(handle) {
                detail.parent = causes.parent.filter(|_| !is_loop);
                detail.links = causes.links;
            }
        }
        self.client_published(op, handle);
    }

    /// A client was seen to send `handle`; the broker may not be seen to read it.
    pub(super) fn send(&mut self, slot: u32, handle: Handle, at: Timestamp) {
        self.enqueue(slot, handle, at, false);
    }

    /// The broker has read `handle`.
    pub(super) fn broker_read(&mut self, slot: u32, handle: Handle, at: Timestamp) {
        if let Some(node) = self.nodes.get_mut(handle) {
            node.routed = Some(at);
        }
        self.enqueue(slot, handle, at, true);
    }

    fn enqueue(&mut self, slot: u32, handle: Handle, at: Timestamp, routed: bool) {
        let (Some(conn), Some(node)) = (self.conns.get(slot), self.nodes.get(handle)) else { return };
        let Some(What::Publish(publish)) = node.detail.as_ref().map(|detail| &detail.what) else { return };
        let (broker, message, evicted) = (conn.broker, &publish.message, &mut self.counts.evicted);
        let topic = match routed {
            true => self.topics.routed(broker, message, handle, at, &self.nodes, evicted),
            false => self.topics.sent(broker, message, handle, at, &self.nodes, evicted),
        };
        if let Some(node) = self.nodes.get_mut(handle) {
            node.topic = Some(topic);
        }
    }

    /// The broker has read `message`, which repeats the publish `handle`.
    pub(super) fn route(&mut self, slot: u32, message: &Message, handle: Handle, at: Timestamp) {
        let Some(conn) = self.conns.get(slot) else { return };
        self.topics.routed(conn.broker, message, handle, at, &self.nodes, &mut self.counts.evicted);
    }

    /// The other end's view of a delivery.
    pub(super) fn delivery_seen_again(&mut self, op: &Op, slot: u32, view: View, handle: Handle) {
        if op.viewpoint == Role::Client {
            self.client_received(op, slot, view, handle);
            return;
        }
        match self.nodes.delivery_mut(handle) {
            Some(delivery) => delivery.broker = Some(view),
            None => self.counts.late_views += 1,
        }
    }

    /// A client has read a delivery: it now handles it.
    pub(super) fn client_received(&mut self, op: &Op, slot: u32, view: View, handle: Handle) {
        let at = op.at.end;
        let until = at.plus(self.settings.hold_ns);
        let settle_ns = self.settings.settle_ns;
        if let Some(conn) = self.conns.get_mut(slot) {
            // Bytes are read in order: what was to be read before this was read unseen.
            let mut lost = Vec::new();
            if conn.unread.contains(&handle) {
                while let Some(unread) = conn.unread.pop_front().filter(|&unread| unread != handle) {
                    lost.push(unread);
                }
            }
            if let Some(old) = Conn::queue(&mut conn.open, handle) {
                // Crowded out: it ends with its hold time.
                let _ = old;
                self.counts.evicted += 1;
            }
            self.give_up_unread(lost.into(), at, Some(&view.process));
        }
        let serial = self.conns.get(slot).map_or(0, |conn| conn.serial);
        let mut settled = None;
        let mut body = None;
        let mut answer = None;
        match self.nodes.delivery_mut(handle) {
            Some(delivery) => {
                delivery.client = Some(view);
                settled = delivery.settled;
                body = Some(delivery.message.body.clone());
                answer = self.processes.get_mut(op.process).and_then(|proc| proc.answered(&delivery.message));
            }
            None => self.counts.late_views += 1,
        }
        self.schedule(handle, settled.unwrap_or(until).max(at).plus(settle_ns));
        let Some(proc) = self.processes.get_mut(op.process) else { return };
        if let Some(body) = body {
            proc.deliveries.push(handle, at, &body);
        }
        let thread = proc.thread(op.tid, at);
        match answer {
            // An answer to its own request is a return, not a cause.
            Some(context) => thread.resume(&context, serial, at, until),
            None => thread.enter(handle, serial, at, until),
        }
    }

    /// A call of which some bytes were not captured. Where the client made it, it is the client's view of the messages in
    /// those bytes.
    pub(super) fn unseen(&mut self, op: Op, slot: u32, view: View) {
        if op.viewpoint == Role::Server {
            return;
        }
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if op.place.to_server {
            return conn.send_unseen(op, view);
        }
        let start = op.place.start as u32;
        let nodes = &self.nodes;
        let read = |handle: &Handle| {
            let key = nodes.get(*handle).and_then(|node| node.awaited);
            key.is_some_and(|key| u64::from(key.start.wrapping_sub(start)) < op.place.length)
        };
        let read: Vec<Handle> = conn.unread.iter().copied().filter(read).collect();
        for handle in read {
            self.meet(handle);
            self.client_received(&op, slot, view.clone(), handle);
        }
    }

    /// The broker has read the publish `handle`: the client's call that sent it may be known.
    pub(super) fn client_sent_unseen(&mut self, op: &Op, slot: u32, handle: Handle) {
        let Some((call, view)) = self.conns.get(slot).and_then(|conn| conn.sent_unseen(op)) else { return };
        let (call, view) = (call.clone(), view.clone());
        self.meet(handle);
        self.publish_seen_again(&call, slot, view, handle);
    }

    /// Both ends of `handle` are known.
    fn meet(&mut self, handle: Handle) {
        let Some(node) = self.nodes.get_mut(handle) else { return };
        node.joined = true;
        node.joined_exactly = true;
        if let Some(key) = node.awaited.take() {
            self.joins.remove(&key);
        }
        self.counts.joined += 1;
    }

    /// Deliveries that their client will not be seen to read go out as the broker saw them. `reader`: who has read
    /// them all the same; nobody: they were sent to somebody who went.
    pub(super) fn give_up_unread(
        &mut self,
        unread: std::collections::VecDeque<Handle>,
        at: Timestamp,
        reader: Option<&Arc<Process>>,
    ) {
        let settle_ns = self.settings.settle_ns;
        for handle in unread {
            if let Some(delivery) = self.nodes.delivery_mut(handle)
                && delivery.client.is_none()
            {
                delivery.reader = None;
                delivery.unseen = reader.cloned();
                delivery.abandoned = reader.is_none();
                self.schedule(handle, at.plus(settle_ns));
            }
        }
    }

    /// What the client of a connection is called that was seen only from the broker.
    pub(super) fn remote_name(&self, slot: u32) -> Arc<str> {
        let name = |conn: &Conn| conn.client_id.clone().unwrap_or_else(|| conn.line.client.clone());
        self.conns.get(slot).map(name).unwrap_or_default()
    }
}
