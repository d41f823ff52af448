//! Transactions (Kafka): what they publish and what they commit counts once they are committed.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;

use super::super::Causality;
use super::super::node::{Handle, View};
use super::batch::Consumer;
use super::refusal;
use crate::model::op::{Committed, Op};
use crate::model::time::Timestamp;

/// How long a publish waits for the end of its transaction. Kafka's own stream processing commits every 100 ms, other programs
/// after a batch. What lasts longer goes out as the broker acknowledged it.
const OPEN_NS: u64 = 5_000_000_000;

/// Most publishes and commits that wait for the end of their transactions.
const MAX_WITHIN: usize = 65_536;

/// What an aborted transaction's publishes and commits failed of.
const ABORTED: &str = "TRANSACTION_ABORTED";

/// Offsets that a consumer commits in its producer's transaction.
struct Offsets {
    op: Op,
    slot: u32,
    view: View,
    upto: Vec<Committed>,
}

/// What is part of a transaction so far.
#[derive(Default)]
struct Within {
    publishes: Vec<Handle>,
    commits: Vec<Offsets>,
}

/// Transactions that have not ended, by producer and name: a producer has one at a time, on whatever connections.
#[derive(Default)]
pub(in crate::causality) struct Transactions {
    open: HashMap<(Consumer, Arc<str>), Within>,
    held: usize,
}

impl Transactions {
    /// The transaction, with room for one thing more; and how many others had to go for it.
    fn enter(&mut self, producer: Consumer, name: Arc<str>) -> (&mut Within, u64) {
        let mut gone = 0;
        if self.held >= MAX_WITHIN {
            gone = self.held as u64;
            self.open.clear();
            self.held = 0;
        }
        self.held += 1;
        (self.open.entry((producer, name)).or_default(), gone)
    }

    fn take(&mut self, producer: &Consumer, name: &Arc<str>) -> Option<Within> {
        let within = self.open.remove(&(producer.clone(), Arc::clone(name)))?;
        self.held = self.held.saturating_sub(within.publishes.len() + within.commits.len());
        Some(within)
    }
}

impl Causality {
    /// The publish `handle` is part of a transaction.
    pub(super) fn published_within(&mut self, slot: u32, handle: Handle, at: Timestamp, name: Arc<str>) {
        let Some(producer) = self.consumer(slot) else { return };
        let (within, gone) = self.transactions.enter(producer, name);
        within.publishes.push(handle);
        self.counts.evicted += gone;
        if let Some(publish) = self.nodes.publish_mut(handle) {
            publish.open_until = Some(at.plus(OPEN_NS));
        }
    }

    /// A group will be up to there, if the transaction is committed.
    pub(super) fn committed_within(
        &mut self,
        op: Op,
        slot: u32,
        view: View,
        upto: Vec<Committed>,
        name: Arc<str>,
    ) {
        let Some(producer) = self.consumer(slot) else { return };
        let (within, gone) = self.transactions.enter(producer, name);
        within.commits.push(Offsets { op, slot, view, upto });
        self.counts.evicted += gone;
    }

    /// What is part of the transaction counts, or never will. The other end's view of the same finds nothing any more.
    pub(super) fn transaction_ended(&mut self, op: &Op, slot: u32, name: &Arc<str>, committed: bool) {
        let Some(conn) = self.conns.get(slot) else { return };
        // It may have begun before its process was seen.
        let named = Consumer::Named(conn.broker, self.remote_name(slot));
        let error = || refusal((!committed).then_some(Cow::Borrowed(ABORTED)));
        self.counts.control += 1;
        for producer in [self.consumer(slot), Some(named)].into_iter().flatten() {
            let Some(Within { publishes, commits }) = self.transactions.take(&producer, name) else {
                continue;
            };
            for handle in publishes {
                let Some(publish) = self.nodes.publish_mut(handle) else { continue };
                publish.open_until = None;
                publish.error = publish.error.take().or_else(error);
                self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
            }
            for Offsets { op, slot, view, upto } in commits {
                self.committed(&op, slot, view, &upto, error());
            }
        }
    }

    /// Whether `handle` is a publish whose transaction may still end; then it is looked at again later.
    pub(in crate::causality) fn still_open(&mut self, handle: Handle, watermark: Timestamp) -> bool {
        let open_until = self.nodes.publish_mut(handle).and_then(|publish| publish.open_until);
        let Some(until) = open_until.filter(|until| *until > watermark) else { return false };
        self.schedule(handle, until);
        true
    }
}
