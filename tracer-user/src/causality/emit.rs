//! When nothing can change any more, a span goes out.

use std::sync::Arc;

use super::Causality;
use super::node::{Cause, Delivery, Detail, Handle, Publish, Receive, Request, Settle, View, What};
use crate::model::command::Status;
use crate::model::ids::{SpanId, TraceId};
use crate::model::process::Process;
use crate::model::span::{Edge, Evidence, Owner, Span};
use crate::model::time::{Interval, Timestamp};
use crate::span::Frame;
use crate::span::message::{self, Line, Seen};
use crate::span::{command, id};

/// How long a delivery waits for its client, known to be alive, to read it. Busy programs leave messages in the
/// socket for seconds; should one take longer, its delivery goes out as the broker saw it.
const UNREAD_NS: u64 = 10_000_000_000;

impl Causality {
    pub(super) fn emit_due(&mut self, watermark: Timestamp, out: &mut Vec<Span>) {
        while let Some(((at, _), handle)) = self.due.pop_if(|&(at, _)| at <= watermark) {
            // An entry that was scheduled anew since is void.
            let is_due = self.nodes.detail_mut(handle).is_some_and(|detail| detail.due == Some(at));
            if is_due && !self.still_unread(handle, at, watermark) && !self.still_open(handle, watermark) {
                self.emit(handle, out);
            }
        }
        let now = watermark.min(self.frontier.plus(self.settings.reorder_ns));
        while let Some(forgotten) = self.nodes.forget(now) {
            if let Some(key) = forgotten.awaited
                && self.joins.get(&key) == Some(&forgotten.node)
            {
                self.joins.remove(&key);
            }
            if let Some(topic) = forgotten.topic {
                self.topics.trim(topic, &self.nodes);
            }
        }
        self.counts.held = self.nodes.held() as u64;
    }

    /// Too much is held: the one that is due first goes out now.
    pub(super) fn emit_one_early(&mut self, out: &mut Vec<Span>) {
        while let Some(((at, _), handle)) = self.due.pop_if(|_| true) {
            if self.nodes.detail_mut(handle).is_some_and(|detail| detail.due == Some(at)) {
                self.counts.forced += 1;
                self.emit(handle, out);
                return;
            }
        }
    }

    /// Whether `handle` is a delivery that its client may still read; then it is looked at again later.
    fn still_unread(&mut self, handle: Handle, at: Timestamp, watermark: Timestamp) -> bool {
        let settle_ns = self.settings.settle_ns;
        let Some(delivery) = self.nodes.delivery_mut(handle) else { return false };
        if delivery.client.is_some() || delivery.reader.is_none() {
            return false;
        }
        let written = delivery.broker.as_ref().map_or(at, |view| view.at.end);
        let until = written.plus(UNREAD_NS).plus(settle_ns);
        if until <= watermark {
            return false;
        }
        self.schedule(handle, until);
        true
    }

    fn emit(&mut self, handle: Handle, out: &mut Vec<Span>) {
        let Some(trace) = self.nodes.trace(handle) else { return };
        let Some(node) = self.nodes.get(handle) else { return };
        let (span, joined_exactly, source) = (node.span, node.joined_exactly, node.source.clone());
        let now = self.frontier;
        let Some(detail) = self.nodes.finish(handle, now) else { return };
        let Detail { parent, remote_parent, links, what, .. } = *detail;
        match what {
            What::Command(command, process) => {
                let frame = self.frame(trace, span, parent, remote_parent, links);
                for (index, transaction) in command.bus.iter().enumerate() {
                    out.push(command::bus(transaction, index, &command, &process, trace, span));
                    self.counts.spans += 1;
                }
                out.push(command::span(*command, process, frame, &mut self.keys));
                self.counts.spans += 1;
            }
            What::Publish(publish) => {
                if publish.will == Some(false) {
                    self.counts.unmatched_wills += 1;
                    return;
                }
                let frame = self.frame(trace, span, parent, remote_parent, links);
                let over = (self.settings.hold_ns, self.frontier);
                out.push(publish_span(&publish, source, over, frame));
                self.counts.spans += 1;
            }
            What::Delivery(delivery) => {
                let parent = parent.map(|parent| self.through_broker(parent, &delivery, joined_exactly));
                self.emit_residence(&delivery, trace, span, parent, out);
                // At the end of a run, nobody has read yet what was not seen to be read.
                let unread = self.closing.is_some() && delivery.client.is_none() && delivery.reader.is_some();
                if delivery.abandoned || unread {
                    self.counts.abandoned += 1;
                    return;
                }
                let frame = self.frame(trace, span, parent, remote_parent, links);
                let published = self.publish_start(&delivery);
                let limit = (self.settings.hold_ns, self.closing, self.frontier);
                out.push(process_span(&delivery, published, limit, frame));
                self.counts.spans += 1;
            }
            What::Settle(settle) => {
                let frame = self.frame(trace, span, parent, remote_parent, links);
                out.push(settle_span(&settle, frame));
                self.counts.spans += 1;
            }
            What::Receive(receive) => {
                let frame = self.frame(trace, span, parent, remote_parent, links);
                out.push(receive_span(&receive, frame));
                self.counts.spans += 1;
            }
            What::Request(request) => {
                let frame = self.frame(trace, span, parent, remote_parent, links);
                out.push(request_span(&request, frame));
                self.counts.spans += 1;
            }
        }
    }

    fn frame(
        &mut self,
        trace: TraceId,
        id: SpanId,
        parent: Option<Cause>,
        remote_parent: Option<SpanId>,
        links: Vec<Cause>,
    ) -> Frame {
        let parent = parent.and_then(|parent| self.edge(&parent));
        let links = links.iter().filter_map(|link| self.edge(link)).collect();
        Frame { trace, id, parent, remote_parent, links }
    }

    fn edge(&mut self, cause: &Cause) -> Option<Edge> {
        let edge = self.nodes.edge(cause);
        match edge {
            Some(_) => self.counts.edge(cause.proof),
            None => self.counts.forgotten_causes += 1,
        }
        edge
    }

    /// The edge of a delivery: exact positions at either end are part of what it rests on.
    fn through_broker(&self, parent: Cause, delivery: &Delivery, joined_exactly: bool) -> Cause {
        let publish = delivery.publish.and_then(|publish| self.nodes.get(publish));
        let exact = joined_exactly || publish.is_some_and(|publish| publish.joined_exactly);
        Cause { proof: parent.proof.with_if(exact, Evidence::TcpPosition), ..parent }
    }

    fn publish_start(&self, delivery: &Delivery) -> Option<Timestamp> {
        let publish = delivery.publish?;
        self.nodes.get(publish).map(|node| node.start).or(delivery.published)
    }

    /// The broker's own time for this delivery, if both its ends were seen. What was kept (retained) or published by
    /// the broker itself (a will) was not under way in between.
    fn emit_residence(
        &mut self,
        delivery: &Delivery,
        trace: TraceId,
        span: SpanId,
        parent: Option<Cause>,
        out: &mut Vec<Span>,
    ) {
        let (Some(parent), Some(view)) = (parent, &delivery.broker) else { return };
        let routed = delivery.publish.and_then(|publish| self.nodes.get(publish)?.routed).or(delivery.routed);
        let Some(start) = routed.filter(|_| !delivery.message.retained) else { return };
        let at = Interval { start, end: start.max(view.at.start) };
        let frame = self.frame(trace, id::residence(span), Some(parent), None, Vec::new());
        out.push(message::broker(
            Seen {
                system: delivery.system,
                message: &delivery.message,
                line: &delivery.line,
                client_id: None,
                owner: Owner::Process(view.process.clone()),
                from_broker: false,
                tid: view.tid,
                at,
                status: Status::Ok,
                source: delivery.source.clone(),
            },
            frame,
        ));
        self.counts.spans += 1;
    }
}

/// Whose span it is: the client's process if it is known, also where only the broker saw this message, else the
/// peer that the broker saw.
fn owner(
    client: Option<&View>,
    unseen: Option<&Arc<Process>>,
    client_id: Option<&Arc<str>>,
    line: &Line,
) -> Owner {
    match client.map(|view| &view.process).or(unseen) {
        Some(process) => Owner::Process(process.clone()),
        None => {
            Owner::Remote { name: client_id.unwrap_or(&line.client).clone(), address: line.client.clone() }
        }
    }
}

/// An error of what was not answered or settled in its time.
fn overdue(kind: &'static str, what: &str, hold_ns: u64) -> Status {
    let message = format!("{what} within {} ms", hold_ns / 1_000_000);
    Status::Error { kind: kind.into(), message }
}

/// `now`: up to where it is known what happened.
fn publish_span(
    publish: &Publish,
    source: Option<Arc<str>>,
    (hold_ns, now): (u64, Timestamp),
    frame: Frame,
) -> Span {
    let view = publish.client.as_ref().or(publish.broker.as_ref());
    let (tid, at) = view.map_or((0, Interval::default()), |view| (view.tid, view.at));
    // From the broker it can only be seen when it had arrived.
    let start = if publish.client.is_some() { at.start } else { at.end };
    let is_unanswered = publish.message.needs_settle
        && publish.will.is_none()
        && publish.answered.is_none()
        && now >= at.end.plus(hold_ns);
    let at = Interval { start, end: at.end.max(publish.answered.unwrap_or_default()) };
    let seen = Seen {
        system: publish.system,
        message: &publish.message,
        line: &publish.line,
        client_id: publish.client_id.as_ref(),
        owner: owner(
            publish.client.as_ref(),
            publish.sender.as_ref(),
            publish.client_id.as_ref(),
            &publish.line,
        ),
        from_broker: publish.client.is_none(),
        tid,
        at,
        status: match &publish.error {
            Some(error) => error.clone(),
            None if is_unanswered => overdue("timeout", "the broker did not acknowledge it", hold_ns),
            None => Status::Ok,
        },
        source,
    };
    message::publish(seen, frame)
}

fn process_span(
    delivery: &Delivery,
    published: Option<Timestamp>,
    (hold_ns, closing, now): (u64, Option<Timestamp>, Timestamp),
    frame: Frame,
) -> Span {
    let view = delivery.client.as_ref().or(delivery.broker.as_ref());
    let start = view.map(|view| view.at.end).unwrap_or_default();
    let limit = start.plus(hold_ns).min(closing.unwrap_or(Timestamp(u64::MAX)));
    let settled = delivery.settled.filter(|&at| at <= limit);
    let killed = delivery.killed.filter(|_| settled.is_none());
    let end = match (killed, settled, &delivery.client) {
        (Some(at), ..) | (None, Some(at), _) => at,
        (None, None, Some(_)) => delivery.returned.unwrap_or(limit).min(limit),
        // What the remote program did with it, and for how long, cannot be seen.
        (None, None, None) => start,
    };
    let is_unsettled =
        delivery.message.must_be_settled() && delivery.settled.is_none() && now >= start.plus(hold_ns);
    let status = match (&delivery.error, killed) {
        (Some(error), _) => error.clone(),
        (None, Some(_)) => Status::Error {
            kind: "killed".into(),
            message: "the process died while it handled the message".into(),
        },
        (None, None) if is_unsettled => overdue("unsettled", "nobody settled it", hold_ns),
        (None, None) => Status::Ok,
    };
    let since_publish = published.map(|published| start.since(published));
    let dispatch = since_publish.filter(|_| !delivery.message.retained);
    let seen = Seen {
        system: delivery.system,
        message: &delivery.message,
        line: &delivery.line,
        client_id: delivery.client_id.as_ref(),
        owner: owner(
            delivery.client.as_ref(),
            delivery.unseen.as_ref(),
            delivery.client_id.as_ref(),
            &delivery.line,
        ),
        from_broker: delivery.client.is_none(),
        tid: view.map_or(0, |view| view.tid),
        at: Interval { start, end: end.max(start) },
        status,
        source: delivery.source.clone(),
    };
    message::process(seen, frame, since_publish, dispatch)
}

fn settle_span(settle: &Settle, frame: Frame) -> Span {
    let from_client = (!settle.from_broker).then_some(&settle.view);
    let at = settle.view.at;
    let seen = Seen {
        system: settle.system,
        message: &settle.message,
        line: &settle.line,
        client_id: settle.client_id.as_ref(),
        owner: owner(from_client, None, settle.client_id.as_ref(), &settle.line),
        from_broker: settle.from_broker,
        tid: settle.view.tid,
        at: Interval { start: if settle.from_broker { at.end } else { at.start }, end: at.end },
        status: settle.error.clone().unwrap_or(Status::Ok),
        source: None,
    };
    message::settle(seen, frame, settle.name, settle.count)
}

fn receive_span(receive: &Receive, frame: Frame) -> Span {
    let from_client = (!receive.from_broker).then_some(&receive.view);
    let seen = Seen {
        system: receive.system,
        message: &receive.message,
        line: &receive.line,
        client_id: receive.client_id.as_ref(),
        owner: owner(from_client, None, receive.client_id.as_ref(), &receive.line),
        from_broker: receive.from_broker,
        tid: receive.view.tid,
        at: receive.view.at,
        status: Status::Ok,
        source: None,
    };
    message::receive(seen, frame, receive.count)
}

fn request_span(request: &Request, frame: Frame) -> Span {
    let from_client = (!request.from_broker).then_some(&request.view);
    let seen = Seen {
        system: request.system,
        message: &request.message,
        line: &request.line,
        client_id: request.client_id.as_ref(),
        owner: owner(from_client, None, request.client_id.as_ref(), &request.line),
        from_broker: request.from_broker,
        tid: request.view.tid,
        at: request.view.at,
        status: request.error.clone().unwrap_or(Status::Ok),
        source: None,
    };
    message::request(seen, frame, request.name)
}
