//! What each thread was doing when: the deliveries it handled, the device input it took.
//!
//! A command may run long, and is known only when it is over: its cause is what the thread handled when the command
//! *began*. So each thread keeps a short history of the deliveries it handled rather than the present one alone.

use std::collections::VecDeque;

use super::node::Handle;
use crate::model::time::Timestamp;

/// Most deliveries in a thread's history. One read can bring in hundreds; with more than one open at a time the
/// thread says nothing anyway.
const MAX_STAYS: usize = 64;

#[derive(Clone, Copy)]
struct Stay {
    from: Timestamp,
    to: Timestamp,
    node: Handle,
    connection: u32,
}

/// What a thread was handling at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Nothing,
    One(Handle, Timestamp),
    /// Several messages of one read: which of them is not known.
    Many(Vec<Handle>),
}

/// Device input that a thread took and has not published since.
#[derive(Clone, Copy)]
pub(super) struct Input {
    pub(super) node: Handle,
    pub(super) at: Timestamp,
}

/// One thread.
#[derive(Default)]
pub(super) struct Thread {
    stays: VecDeque<Stay>,
    pub(super) input: Option<Input>,
    pub(super) last: Timestamp,
}

impl Thread {
    /// The thread took in the delivery `node` of `connection`. What it had taken from devices is no cause of what
    /// it publishes next any more.
    pub(super) fn enter(&mut self, node: Handle, connection: u32, from: Timestamp, until: Timestamp) {
        self.input = None;
        self.push(Stay { from, to: until, node, connection });
    }

    fn push(&mut self, stay: Stay) {
        if self.stays.len() >= MAX_STAYS {
            self.stays.pop_front();
        }
        self.stays.push_back(stay);
        self.last = stay.from;
    }

    /// The thread came back to read `connection`: it handles none of its deliveries any more.
    pub(super) fn leave(&mut self, connection: u32, at: Timestamp) {
        for stay in &mut self.stays {
            if stay.connection == connection && stay.from <= at {
                stay.to = stay.to.min(at);
            }
        }
    }

    /// The delivery `node` is over.
    pub(super) fn finish(&mut self, node: Handle, at: Timestamp) {
        for stay in &mut self.stays {
            if stay.node == node {
                stay.to = stay.to.min(at);
            }
        }
    }

    /// An answer to the thread's own request came in: it goes on with what it was doing when it asked.
    pub(super) fn resume(&mut self, context: &Held, connection: u32, from: Timestamp, until: Timestamp) {
        self.leave(connection, from);
        match context {
            Held::Nothing => {}
            Held::One(node, _) => self.push(Stay { from, to: until, node: *node, connection }),
            Held::Many(nodes) => {
                nodes.iter().for_each(|&node| self.push(Stay { from, to: until, node, connection }));
            }
        }
    }

    /// What the thread was handling at `at`.
    pub(super) fn at(&self, at: Timestamp) -> Held {
        let mut held = self.stays.iter().filter(|stay| stay.from <= at && at < stay.to);
        let Some(first) = held.next() else { return Held::Nothing };
        match held.next() {
            None => Held::One(first.node, first.from),
            Some(second) => {
                Held::Many([first, second].into_iter().chain(held).map(|stay| stay.node).collect())
            }
        }
    }
}
