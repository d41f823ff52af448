//! The things that become spans, and the trace each of them is part of.
//!
//! A node is heavy ([`Detail`]) until its span went out, then it is a few dozen bytes that later effects can still be
//! linked to. A node's trace is that of its cause; it is fixed when it is first asked for, and from then on the node's
//! parent cannot change. So no child ever shows a trace that its parent does not end up in.

use std::collections::VecDeque;
use std::sync::Arc;

use super::confidence::Proof;
use super::hop::Print;
use crate::model::command::{Command, Status};
use crate::model::ids::{IdBuilder, SpanId, TraceId};
use crate::model::net::Role;
use crate::model::op::{Message, System};
use crate::model::process::{Process, ProcessKey};
use crate::model::span::Edge;
use crate::model::time::{Interval, Timestamp};
use crate::span::message::Line;

/// Most nodes that are kept after their span went out: two seconds of 10,000 messages a second, publish and delivery, 5 MB.
/// What the kernel and the broker keep of such a flood for a slow subscriber is less.
const MAX_FINISHED: usize = 40_000;

/// Nodes for which there is room at first.
const FIRST: usize = 256;

/// How long a finished node is kept for effects that come late (a subscriber that was away, a slow acknowledgement).
const KEEP_NS: u64 = 60_000_000_000;

/// Names a node; void once the node is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Handle {
    index: u32,
    generation: u32,
}

/// Where a cause's trace is to be found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ancestor {
    Known(TraceId),
    /// Not fixed yet. Such a node has not gone out, so it cannot be forgotten.
    Pending(Handle),
}

/// A cause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) span: SpanId,
    pub(super) at: Ancestor,
    pub(super) proof: Proof,
}

/// What was seen of a message at one end.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) process: Arc<Process>,
    pub(super) tid: u32,
    pub(super) at: Interval,
}

/// A publish.
pub(super) struct Publish {
    pub(super) system: System,
    pub(super) message: Box<Message>,
    pub(super) line: Arc<Line>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) client: Option<View>,
    pub(super) broker: Option<View>,
    /// The client's process, if it is known although it was not seen to write this: more was written in one call than
    /// is captured.
    pub(super) sender: Option<Arc<Process>>,
    /// When the broker's answer was seen, best view so far.
    pub(super) answered: Option<Timestamp>,
    /// Its refusal.
    pub(super) error: Option<Status>,
    /// Whether it is a last will, and if so whether anybody received it.
    pub(super) will: Option<bool>,
    /// Until when the end of its transaction is waited for.
    pub(super) open_until: Option<Timestamp>,
}

/// A delivery and its handling.
pub(super) struct Delivery {
    pub(super) system: System,
    pub(super) message: Box<Message>,
    pub(super) line: Arc<Line>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) client: Option<View>,
    pub(super) broker: Option<View>,
    /// The client's process, if it is known although it was not seen to read this.
    pub(super) reader: Option<ProcessKey>,
    /// The same, once it is certain that it has read this, and that this will not be seen.
    pub(super) unseen: Option<Arc<Process>>,
    /// Its client, whose calls are seen, went without reading it: nobody handled it.
    pub(super) abandoned: bool,
    /// The publish it came from.
    pub(super) publish: Option<Handle>,
    /// Start of that publish.
    pub(super) published: Option<Timestamp>,
    /// When the broker had read it.
    pub(super) routed: Option<Timestamp>,
    /// Service that published it.
    pub(super) source: Option<Arc<str>>,
    /// Settled by the client.
    pub(super) settled: Option<Timestamp>,
    /// The program came back to read the connection.
    pub(super) returned: Option<Timestamp>,
    /// The process died while it handled this.
    pub(super) killed: Option<Timestamp>,
    /// Refused by the client.
    pub(super) error: Option<Status>,
}

/// A settlement.
pub(super) struct Settle {
    pub(super) name: &'static str,
    pub(super) count: usize,
    pub(super) system: System,
    pub(super) message: Box<Message>,
    pub(super) line: Arc<Line>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) view: View,
    pub(super) from_broker: bool,
    pub(super) error: Option<Status>,
}

/// A receive of several messages at once.
pub(super) struct Receive {
    pub(super) count: u32,
    pub(super) system: System,
    pub(super) message: Box<Message>,
    pub(super) line: Arc<Line>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) view: View,
    pub(super) from_broker: bool,
}

/// A request that is about no message.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) system: System,
    pub(super) message: Box<Message>,
    pub(super) line: Arc<Line>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) view: View,
    pub(super) from_broker: bool,
    pub(super) error: Option<Status>,
}

/// What a node is.
pub(super) enum What {
    Command(Box<Command>, Arc<Process>),
    Publish(Publish),
    Delivery(Delivery),
    Settle(Settle),
    Receive(Receive),
    Request(Request),
}

/// What is needed until the span goes out.
pub(super) struct Detail {
    pub(super) parent: Option<Cause>,
    pub(super) remote_parent: Option<SpanId>,
    pub(super) links: Vec<Cause>,
    /// When the span goes out; `None`: not before something else happens.
    pub(super) due: Option<Timestamp>,
    pub(super) what: What,
}

/// A thing that becomes or became a span.
pub(super) struct Node {
    generation: u32,
    /// The trace it is the root of, until [`Self::fixed`].
    trace: TraceId,
    fixed: bool,
    pub(super) span: SpanId,
    /// Start of a publish.
    pub(super) start: Timestamp,
    /// What the broker calls a publish, if it said so.
    pub(super) given: Option<Arc<str>>,
    /// When the broker had read a publish.
    pub(super) routed: Option<Timestamp>,
    /// Service that published.
    pub(super) source: Option<Arc<str>>,
    /// Fingerprint of a message.
    pub(super) print: Print,
    /// Which end was seen first.
    pub(super) first_view: Option<Role>,
    /// Both ends were seen: nothing is to be joined any more.
    pub(super) joined: bool,
    /// Joined by absolute positions.
    pub(super) joined_exactly: bool,
    /// Key under which the other end is awaited.
    pub(super) awaited: Option<super::conn::PlaceKey>,
    /// Slot of the topic whose queues hold a publish.
    pub(super) topic: Option<u32>,
    pub(super) detail: Option<Box<Detail>>,
}

/// All nodes.
#[derive(Default)]
pub(super) struct Nodes {
    slots: Vec<Node>,
    free: Vec<u32>,
    finished: VecDeque<(Timestamp, Handle)>,
    held: usize,
}

/// A node that was forgotten: what else refers to it.
pub(super) struct Forgotten {
    pub(super) node: Handle,
    pub(super) awaited: Option<super::conn::PlaceKey>,
    pub(super) topic: Option<u32>,
}

impl Nodes {
    /// Adds a node with the ids that `facts` give.
    pub(super) fn add(
        &mut self,
        facts: &IdBuilder,
        start: Timestamp,
        print: Print,
        detail: Detail,
    ) -> Handle {
        self.held += 1;
        let node = Node {
            generation: 0,
            trace: facts.trace(),
            fixed: false,
            span: facts.span(),
            start,
            given: None,
            routed: None,
            source: None,
            print,
            first_view: None,
            joined: false,
            joined_exactly: false,
            awaited: None,
            topic: None,
            detail: Some(Box::new(detail)),
        };
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            let generation = slot.generation;
            *slot = Node { generation, ..node };
            return Handle { index, generation };
        }
        let index = u32::try_from(self.slots.len()).expect("far fewer nodes are kept");
        if self.slots.len() == self.slots.capacity() {
            // Not doubled: they are the greatest single thing in memory.
            self.slots.reserve_exact(self.slots.len() / 4 + FIRST);
        }
        self.slots.push(node);
        Handle { index, generation: 0 }
    }

    /// Number of nodes whose span has not gone out.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Node> {
        self.slots.get(handle.index as usize).filter(|node| node.generation == handle.generation)
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Node> {
        self.slots.get_mut(handle.index as usize).filter(|node| node.generation == handle.generation)
    }

    pub(super) fn detail_mut(&mut self, handle: Handle) -> Option<&mut Detail> {
        self.get_mut(handle)?.detail.as_deref_mut()
    }

    pub(super) fn publish_mut(&mut self, handle: Handle) -> Option<&mut Publish> {
        match &mut self.detail_mut(handle)?.what {
            What::Publish(publish) => Some(publish),
            _ => None,
        }
    }

    pub(super) fn request_mut(&mut self, handle: Handle) -> Option<&mut Request> {
        match &mut self.detail_mut(handle)?.what {
            What::Request(request) => Some(request),
            _ => None,
        }
    }

    pub(super) fn receive_mut(&mut self, handle: Handle) -> Option<&mut Receive> {
        match &mut self.detail_mut(handle)?.what {
            What::Receive(receive) => Some(receive),
            _ => None,
        }
    }

    pub(super) fn delivery_mut(&mut self, handle: Handle) -> Option<&mut Delivery> {
        match &mut self.detail_mut(handle)?.what {
            What::Delivery(delivery) => Some(delivery),
            _ => None,
        }
    }

    /// `handle` as a cause.
    pub(super) fn cause(&self, handle: Handle, proof: Proof) -> Option<Cause> {
        let node = self.get(handle)?;
        let at = if node.fixed { Ancestor::Known(node.trace) } else { Ancestor::Pending(handle) };
        Some(Cause { span: node.span, at, proof })
    }

    /// Whether the trace of `handle` is fixed, so that its parent may not change.
    pub(super) fn is_fixed(&self, handle: Handle) -> bool {
        self.get(handle).is_none_or(|node| node.fixed)
    }

    /// Puts `handle` into `trace`: a header in the message says so.
    pub(super) fn adopt(&mut self, handle: Handle, trace: TraceId) {
        if let Some(node) = self.get_mut(handle)
            && !node.fixed
        {
            node.trace = trace;
            node.fixed = true;
        }
    }

    /// Whether `handle` is `ancestor` or has it among its causes.
    pub(super) fn descends(&self, handle: Handle, ancestor: Handle) -> bool {
        let mut next = Some(handle);
        while let Some(handle) = next {
            if handle == ancestor {
                return true;
            }
            next = self.pending_parent(handle);
        }
        false
    }

    fn pending_parent(&self, handle: Handle) -> Option<Handle> {
        let node = self.get(handle).filter(|node| !node.fixed)?;
        match node.detail.as_ref()?.parent?.at {
            Ancestor::Pending(parent) => Some(parent),
            Ancestor::Known(_) => None,
        }
    }

    /// The trace of `handle`, from here on fixed. `None` if it was forgotten.
    pub(super) fn trace(&mut self, handle: Handle) -> Option<TraceId> {
        let mut top = handle;
        // A parent is only ever set to a node that does not descend from the child, so this ends.
        while let Some(parent) = self.pending_parent(top).filter(|&parent| self.get(parent).is_some()) {
            top = parent;
        }
        let node = self.get(top)?;
        let trace = match node.detail.as_ref().and_then(|detail| detail.parent) {
            Some(Cause { at: Ancestor::Known(trace), .. }) if !node.fixed => trace,
            _ => node.trace,
        };
        let mut next = Some(handle);
        while let Some(handle) = next {
            // Before it is fixed: then it has no pending parent any more.
            next = if handle == top { None } else { self.pending_parent(handle) };
            if let Some(node) = self.get_mut(handle) {
                node.trace = trace;
                node.fixed = true;
            }
        }
        Some(trace)
    }

    /// `cause` as an edge; `None` if it was forgotten.
    pub(super) fn edge(&mut self, cause: &Cause) -> Option<Edge> {
        let trace = match cause.at {
            Ancestor::Known(trace) => trace,
            Ancestor::Pending(handle) => self.trace(handle)?,
        };
        let (evidence, confidence) = (cause.proof.evidence(), cause.proof.confidence());
        Some(Edge { trace, span: cause.span, evidence, confidence })
    }

    /// Takes what the span of `handle` is made from: it goes out now.
    pub(super) fn finish(&mut self, handle: Handle, now: Timestamp) -> Option<Box<Detail>> {
        self.trace(handle)?;
        let detail = self.get_mut(handle)?.detail.take()?;
        self.held = self.held.saturating_sub(1);
        self.finished.push_back((now, handle));
        Some(detail)
    }

    /// Forgets one node whose span went out long ago, or that there is no room for.
    pub(super) fn forget(&mut self, now: Timestamp) -> Option<Forgotten> {
        let &(at, handle) = self.finished.front()?;
        if self.finished.len() <= MAX_FINISHED && now.since(at) < KEEP_NS {
            return None;
        }
        self.finished.pop_front();
        let node = self.get_mut(handle)?;
        node.generation = node.generation.wrapping_add(1);
        node.source = None;
        node.given = None;
        let forgotten = Forgotten { node: handle, awaited: node.awaited.take(), topic: node.topic.take() };
        self.free.push(handle.index);
        Some(forgotten)
    }
}
