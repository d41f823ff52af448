//! From frames to ops.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::channel::{Consumer, Request};
use super::content::{Open, What};
use super::ledger;
use super::method::{Delivery, Method};
use super::properties::Properties;
use super::wire::{END, Frame, HEADER, Kind, OVERHEAD, Opening};
use super::{Amqp, Phase, method, reply};
use crate::model::op::{Feed, Op, OpKind, Scope};
use crate::proto::{FrameView, Unusable};

/// What a publish is called by that names neither an exchange nor a key, as OpenTelemetry's conventions have it.
const DEFAULT_EXCHANGE: &str = "amq.default";

impl Amqp {
    pub(super) fn fold_frame(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let seam = self.seams.get_mut(usize::from(view.to_server));
        if seam.is_some_and(|seam| !seam.join(view)) {
            self.contents.torn(view.to_server);
            self.channels.torn(view.to_server);
            self.ledger.torn();
            if !view.to_server {
                self.topology.torn();
            }
        }
        if !view.to_server {
            self.heard = self.heard.max(view.at.end);
        }
        if Opening::read(&view.bytes) == Ok(Opening::Mine) {
            if !view.to_server {
                self.phase = Phase::Gone;
                let error = Some(Cow::Borrowed("unsupported_protocol_version"));
                out.push(view.op(self.client_id.as_ref(), OpKind::Connected { error }));
            }
            return Ok(());
        }
        if self.phase == Phase::New {
            self.phase = Phase::Open;
        }
        let frame = match Frame::read(&view.bytes) {
            Ok(frame) => frame,
            // Its header was not captured: what came before told it.
            Err(Unusable::Cut) => {
                let channel = self.presumed_body(view.to_server).map(|open| open.channel);
                let size = view.len.saturating_sub(OVERHEAD);
                return self.body(view, channel.ok_or(Unusable::Cut)?, Bytes::new(), size, out);
            }
            Err(Unusable::Malformed) => return Err(Unusable::Malformed),
        };
        if view.is_whole() && view.bytes.last() != Some(&END) {
            return Err(Unusable::Malformed);
        }
        let payload = frame.payload(&view.bytes);
        match frame.kind {
            Kind::Method => self.method(view, &frame, payload, out),
            Kind::Header => {
                let properties = Properties::read(payload, frame.size);
                let mut open = self.contents.take(frame.channel, view.to_server).ok_or(Unusable::Cut)?;
                if !open.add_header(view, properties?) {
                    return Err(Unusable::Malformed);
                }
                self.go_on(view, open, out);
                Ok(())
            }
            Kind::Body => {
                let captured = view.bytes.slice(HEADER..HEADER.saturating_add(payload.len()));
                self.body(view, frame.channel, captured, frame.size.into(), out)
            }
            Kind::Heartbeat => Ok(()),
        }
    }

    fn method(
        &mut self,
        view: &FrameView<'_>,
        frame: &Frame,
        payload: &[u8],
        out: &mut Vec<Op>,
    ) -> Result<(), Unusable> {
        let channel = frame.channel;
        self.topology(view, channel, payload, frame.size, out);
        // A message that was not completed is no more.
        drop(self.contents.take(channel, view.to_server));
        let method = match Method::read(payload, frame.size) {
            Ok(method) => method,
            Err(error) => {
                if method::is_publish(payload) {
                    // It counts all the same.
                    self.channels.get(channel).publish();
                }
                return Err(error);
            }
        };
        match method {
            Method::StartOk { .. }
            | Method::TuneOk { .. }
            | Method::OpenOk
            | Method::Close { .. }
            | Method::ChannelClose { .. } => {
                self.connection(view, channel, &method, out);
                if !view.to_server && matches!(method, Method::Close { .. } | Method::ChannelClose { .. }) {
                    self.refuses(view, channel, payload, out);
                }
            }
            Method::Publish { .. } | Method::Deliver(_) | Method::GetOk(_) | Method::Return { .. } => {
                if let Some(what) = self.content(view, channel, method) {
                    self.contents.put(Open::new(view, channel, what));
                }
            }
            Method::Ack { tag, multiple } => self.settle(view, channel, "ack", (tag, multiple), None, out),
            Method::Nack { tag, multiple, requeue } => {
                let error = if view.to_server { refused(requeue) } else { "nack" };
                self.settle(view, channel, "nack", (tag, multiple), Some(error), out);
            }
            Method::Reject { tag, requeue } => {
                self.settle(view, channel, "reject", (tag, false), Some(refused(requeue)), out);
            }
            Method::Recover => self.ledger.forget_deliveries(channel),
            Method::ChannelOpen | Method::ChannelCloseOk => {
                self.contents.forget(channel);
                self.channels.forget(channel);
                self.topology.forget(channel, view.at.start);
                self.ledger.close(channel, |_| ());
            }
            Method::ConfirmSelect | Method::TxSelect => self.channels.get(channel).count(),
            Method::TxCommit | Method::TxRollback => {
                self.channels.get(channel).end_transaction(method == Method::TxCommit);
            }
            Method::TxCommitOk => {
                if let Some(last) = self.channels.get(channel).committed() {
                    self.settle(view, channel, "commit", (last, true), None, out);
                }
            }
            Method::TxRollbackOk => self.rolled_back(view, channel, out),
            Method::QueueDeclare { .. }
            | Method::QueueDeclareOk { .. }
            | Method::Consume { .. }
            | Method::ConsumeOk { .. }
            | Method::Cancel { .. }
            | Method::Get { .. }
            | Method::GetEmpty => self.consumers(view, channel, method, out),
            Method::Other => {}
        }
        Ok(())
    }

    /// Beginning and end of connections, and the ends of channels.
    fn connection(&mut self, view: &FrameView<'_>, channel: u16, method: &Method<'_>, out: &mut Vec<Op>) {
        let code = match method {
            Method::StartOk { name } => {
                self.phase = Phase::Opening;
                self.client_id = name.as_deref().map(Arc::from);
                return out.push(view.op(self.client_id.as_ref(), OpKind::Connect { will: None }));
            }
            Method::TuneOk { frame_max } => {
                self.frame_max = (*frame_max > 0).then_some(u64::from(*frame_max));
                return;
            }
            Method::OpenOk => {
                self.phase = Phase::Open;
                return out.push(view.op(self.client_id.as_ref(), OpKind::Connected { error: None }));
            }
            Method::Close { code } | Method::ChannelClose { code } => *code,
            _ => return,
        };
        let error = (code != reply::SUCCESS).then(|| reply::name(code));
        let mut part = 0;
        let mut push = |kind| {
            out.push(view.op_of_part(part, self.client_id.as_ref(), kind));
            part += 1;
        };
        let closes = matches!(method, Method::Close { .. });
        if closes && self.phase == Phase::Opening && !view.to_server {
            self.phase = Phase::Gone;
            return push(OpKind::Connected { error: error.map(Cow::Borrowed) });
        }
        if let Some(kind) = error {
            push(OpKind::Error { kind: Cow::Borrowed(kind) });
        }
        if closes && view.to_server {
            self.phase = Phase::Gone;
            return push(OpKind::Disconnect { clean: true });
        }
        // Nobody will say what became of the publishes that were not answered.
        if let (Some(error), false) = (error, view.to_server) {
            let lost =
                |id| push(OpKind::PublishSettled { id, error: Some(Cow::Borrowed(error)), given: None });
            if closes {
                self.ledger.close_all(lost);
            } else {
                self.ledger.close(channel, lost);
            }
        }
    }

    /// What a method says that a message follows.
    fn content(&mut self, view: &FrameView<'_>, channel: u16, method: Method<'_>) -> Option<What> {
        Some(match method {
            Method::Publish { exchange, key, mandatory } => {
                let id = self.channels.get(channel).publish().map(|number| ledger::id(channel, number));
                if let Some(id) = id {
                    self.ledger.sent(id, view.at.end < self.heard);
                }
                let destination = self.destination(&exchange, &key, "");
                What::Publish { destination, key: self.names.share(&key), id, mandatory }
            }
            Method::Return { code, exchange, key } => {
                What::Return { destination: self.destination(&exchange, &key, ""), error: reply::name(code) }
            }
            Method::GetOk(delivery) => {
                let consumer = self.channels.answer(channel, Request::Get);
                self.delivery(channel, &delivery, consumer)
            }
            Method::Deliver(delivery) => {
                let consumer = self.channels.consumer(channel, &delivery.consumer).cloned();
                self.delivery(channel, &delivery, consumer)
            }
            _ => return None,
        })
    }

    fn delivery(&mut self, channel: u16, delivery: &Delivery<'_>, consumer: Option<Consumer>) -> What {
        let &Delivery { consumer: _, tag, redelivered, ref exchange, ref key } = delivery;
        let (needs_settle, settle_is_presumed) = match &consumer {
            Some(consumer) => (!consumer.no_ack, false),
            None => {
                let known = self.channels.get(channel);
                (known.will_settle(), !known.settles())
            }
        };
        if needs_settle {
            self.ledger.delivered(ledger::id(channel, tag));
        }
        let queue = consumer.and_then(|consumer| consumer.queue);
        let feed = queue.as_ref().map_or(Feed::Client, |queue| Feed::shared(queue.as_bytes()));
        let destination = self.destination(exchange, key, queue.as_deref().unwrap_or(""));
        let published = self.destination(exchange, key, "");
        let published_as = (published != destination).then_some(published);
        What::Deliver {
            destination,
            published_as,
            exchange: self.names.share(exchange),
            queue,
            feed,
            key: self.names.share(key),
            tag,
            redelivered,
            needs_settle,
            settle_is_presumed,
        }
    }

    /// Queues, and who consumes them.
    fn consumers(&mut self, view: &FrameView<'_>, channel: u16, method: Method<'_>, out: &mut Vec<Op>) {
        match method {
            // The broker names a queue that the client does not.
            Method::QueueDeclare { queue } if queue.is_empty() => {}
            Method::QueueDeclare { queue } | Method::QueueDeclareOk { queue } => {
                let queue = self.names.share(&queue);
                self.channels.get(channel).declared(queue);
            }
            Method::Consume { queue, tag, no_ack } => {
                let queue = self.queue(channel, &queue);
                let filters = queue.iter().cloned().collect();
                let consumer = Consumer { queue, no_ack };
                if tag.is_empty() {
                    self.channels.ask(channel, Request::Consume, consumer);
                } else {
                    self.channels.consume(channel, &tag, consumer);
                }
                out.push(view.op(self.client_id.as_ref(), OpKind::Subscribe { filters, feed: Feed::Client }));
            }
            Method::ConsumeOk { tag } => {
                // If the client named it itself, it is known.
                if self.channels.consumer(channel, &tag).is_none()
                    && let Some(consumer) = self.channels.answer(channel, Request::Consume)
                {
                    self.channels.consume(channel, &tag, consumer);
                }
            }
            // What is under way may still come to one that the client cancels; its tag is not used for another so soon.
            Method::Cancel { tag } if !view.to_server => {
                self.channels.cancel(channel, &tag);
                let kind = OpKind::Error { kind: Cow::Borrowed("consumer_cancelled") };
                out.push(view.op(self.client_id.as_ref(), kind));
            }
            Method::Get { queue, no_ack } => {
                let queue = self.queue(channel, &queue);
                self.channels.ask(channel, Request::Get, Consumer { queue, no_ack });
            }
            Method::GetEmpty => drop(self.channels.answer(channel, Request::Get)),
            _ => {}
        }
    }

    /// The queue of that name; an empty one means the last that was declared on the channel.
    fn queue(&mut self, channel: u16, name: &str) -> Option<Arc<str>> {
        if name.is_empty() {
            self.channels.get(channel).last_declared()
        } else {
            Some(self.names.share(name))
        }
    }

    /// A client settles deliveries, or the broker confirms publishes: a tag, and whether all up to it are meant.
    fn settle(
        &mut self,
        view: &FrameView<'_>,
        channel: u16,
        name: &'static str,
        (tag, multiple): (u64, bool),
        error: Option<&'static str>,
        out: &mut Vec<Op>,
    ) {
        let error = error.map(Cow::Borrowed);
        let client_id = self.client_id.as_ref();
        if view.to_server {
            self.channels.get(channel).settled();
            let ids = self.ledger.settled(channel, tag, multiple);
            if !ids.is_empty() {
                out.push(view.op(client_id, OpKind::Settle { name, ids, scope: Scope::Connection, error }));
            }
            return;
        }
        let mut part = 0;
        self.ledger.answered(channel, tag, multiple, |id| {
            let kind = OpKind::PublishSettled { id, error: error.clone(), given: None };
            out.push(view.op_of_part(part, client_id, kind));
            part += 1;
        });
    }

    fn rolled_back(&mut self, view: &FrameView<'_>, channel: u16, out: &mut Vec<Op>) {
        let Some((first, last)) = self.channels.get(channel).rolled_back() else { return };
        let mut part = 0;
        self.ledger.taken_back(channel, first, last, |id| {
            let error = Some(Cow::Borrowed("ROLLED_BACK"));
            let kind = OpKind::PublishSettled { id, error, given: None };
            out.push(view.op_of_part(part, self.client_id.as_ref(), kind));
            part += 1;
        });
    }

    fn body(
        &mut self,
        view: &FrameView<'_>,
        channel: u16,
        captured: Bytes,
        size: u64,
        out: &mut Vec<Op>,
    ) -> Result<(), Unusable> {
        let mut open = self.contents.take(channel, view.to_server).ok_or(Unusable::Cut)?;
        if !open.add_body(view, captured, size) {
            return Err(Unusable::Malformed);
        }
        self.go_on(view, open, out);
        Ok(())
    }

    /// `exchange:key:queue`, without what is empty and without a queue that is called like the key.
    pub(super) fn destination(&mut self, exchange: &str, key: &str, queue: &str) -> Arc<str> {
        let queue = if queue == key { "" } else { queue };
        let mut name = std::mem::take(&mut self.scratch);
        name.clear();
        for part in [exchange, key, queue].into_iter().filter(|part| !part.is_empty()) {
            if !name.is_empty() {
                name.push(':');
            }
            name.push_str(part);
        }
        let shared = self.names.share(if name.is_empty() { DEFAULT_EXCHANGE } else { &name });
        self.scratch = name;
        shared
    }
}

/// Why a delivery is settled otherwise than handled.
fn refused(requeue: bool) -> &'static str {
    if requeue { "requeued" } else { "rejected" }
}
