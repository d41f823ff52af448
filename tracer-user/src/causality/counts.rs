//! What causality did with what it was given: in = out + dropped + held.

use super::confidence::{COMBINATIONS, Proof};
use crate::model::span::Evidence;

/// Counters since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Device commands and events that came in.
    pub commands: u64,
    /// Message operations that came in.
    pub operations: u64,
    /// Returns to a connection that came in.
    pub returns: u64,
    /// Spans that went out.
    pub spans: u64,
    /// Things that will become a span and wait for their end, their other end or their cause.
    pub held: u64,
    /// Events that wait to be put in order.
    pub queued: u64,
    /// Events that came later than the reorder time allows for.
    pub late: u64,
    /// Events taken before their time because too many waited.
    pub hurried: u64,
    /// Dropped: of a process that was not announced, or past the number of processes.
    pub dropped_process: u64,
    /// Things that became a span before their time because too many were held.
    pub forced: u64,
    /// Operations joined with the same operation as the other end saw it.
    pub joined: u64,
    /// Views that came after the span they belong to was finished.
    pub late_views: u64,
    /// Sent again: belongs to a publish that is known.
    pub resent: u64,
    /// Deliveries for which no publish was found.
    pub unmatched_deliveries: u64,
    /// Deliveries that their client went without reading: they make no `process` span.
    pub abandoned: u64,
    /// Settlements of messages whose delivery was not seen, or that were settled already.
    pub unmatched_settles: u64,
    /// Broker answers to publishes that were not seen, or that were answered already.
    pub unmatched_answers: u64,
    /// Last wills that nobody received.
    pub unmatched_wills: u64,
    /// Effects with several possible causes, none better than the others: left without an edge.
    pub undecided: u64,
    /// Links that were given up because the cause had been forgotten.
    pub forgotten_causes: u64,
    /// Entries thrown out of bounded tables while possibly still of use.
    pub evicted: u64,
    /// Operations that make no span: connects, subscriptions, disconnects.
    pub control: u64,
    /// Connections that the broker refused.
    pub connection_errors: u64,
    /// Errors that a broker or client reported.
    pub protocol_errors: u64,
    edges: [u64; COMBINATIONS],
    ambiguous: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            commands: 0,
            operations: 0,
            returns: 0,
            spans: 0,
            held: 0,
            queued: 0,
            late: 0,
            hurried: 0,
            dropped_process: 0,
            forced: 0,
            joined: 0,
            late_views: 0,
            resent: 0,
            unmatched_deliveries: 0,
            abandoned: 0,
            unmatched_settles: 0,
            unmatched_answers: 0,
            unmatched_wills: 0,
            undecided: 0,
            forgotten_causes: 0,
            evicted: 0,
            control: 0,
            connection_errors: 0,
            protocol_errors: 0,
            edges: [0; COMBINATIONS],
            ambiguous: 0,
        }
    }
}

impl Counts {
    /// Edges and links that went out, by what they rest on.
    pub fn edges(&self) -> impl Iterator<Item = (Vec<Evidence>, u64)> + '_ {
        let used = self.edges.iter().enumerate().filter(|(_, count)| **count > 0);
        used.map(|(index, &count)| (Proof::from_index(index).evidence().iter().collect(), count))
    }

    /// How many of them were ambiguous.
    #[must_use]
    pub fn ambiguous_edges(&self) -> u64 {
        self.ambiguous
    }

    pub(super) fn edge(&mut self, proof: Proof) {
        if let Some(count) = self.edges.get_mut(proof.index()) {
            *count += 1;
        }
        self.ambiguous += u64::from(proof.ambiguous);
    }
}
