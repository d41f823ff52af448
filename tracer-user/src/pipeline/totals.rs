//! What went into the analysis and what came out of it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::{causality, device, proto};

/// Counts since the start of the run.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Records taken from the rings.
    pub records: u64,
    /// Records that made no sense.
    pub undecoded: u64,
    /// Records that turned out not to be selected (only without BTF).
    pub not_selected: u64,
    /// Records about processes and descriptors.
    pub lifecycle: u64,
    /// Records about devices.
    pub device_records: u64,
    /// Records about sockets.
    pub socket_records: u64,
    /// Devices in use that were taken away.
    pub unplugged: u64,
    /// Transactions of drivers on their buses.
    pub transactions: u64,
    /// Those of them that were given up, because the call they were for did not end or made too many.
    pub transactions_unplaced: u64,
    /// Without BTF: descriptors that were too many to follow.
    pub unfollowed: u64,
    /// Without BTF: calls on descriptors of which nobody could say any more what they were.
    pub unknown: u64,
    /// Device commands and events found.
    pub commands: u64,
    /// Publishes seen, from either end.
    pub publishes: u64,
    /// Deliveries seen, from either end.
    pub deliveries: u64,
    /// Other operations seen.
    pub other_ops: u64,
    /// Spans given out.
    pub spans: u64,
    /// Connections now.
    pub connections: u64,
    /// Connections forgotten because there were too many.
    pub evicted_connections: u64,
    /// Processes now.
    pub processes: u64,
    /// Connections to brokers that were refused.
    pub refused: u64,
    /// The last few of them: protocol and address.
    pub last_refused: VecDeque<(&'static str, Option<SocketAddr>)>,
    /// Encrypted connections and their plaintext.
    pub tls: super::engine::TlsCounts,
    /// Counts of the device stage.
    pub device: device::Counts,
    /// Counts of the protocol stage.
    pub proto: proto::Counts,
    /// Counts of the causality stage.
    pub causality: causality::Counts,
}

/// Refused connections that are remembered until the metrics have taken them; all are counted.
const REFUSED: usize = 64;

impl Totals {
    /// One more connection was refused.
    pub fn refuse(&mut self, system: &'static str, server: Option<SocketAddr>) {
        self.refused += 1;
        self.last_refused.push_back((system, server));
        if self.last_refused.len() > REFUSED {
            self.last_refused.pop_front();
        }
    }

    /// Those that were refused after the first `known`, as far as they are remembered: protocol and `host:port`.
    pub fn refused_since(&self, known: u64) -> impl Iterator<Item = (&'static str, String)> {
        let fresh = usize::try_from(self.refused.saturating_sub(known)).unwrap_or(usize::MAX);
        let skip = self.last_refused.len().saturating_sub(fresh);
        self.last_refused.iter().skip(skip).map(|(system, server)| {
            (*system, server.map_or_else(|| "unknown".to_owned(), |server| server.to_string()))
        })
    }

    /// The plain counts by name.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("records", self.records),
            ("undecoded", self.undecoded),
            ("not_selected", self.not_selected),
            ("lifecycle", self.lifecycle),
            ("transactions", self.transactions),
            ("transactions_unplaced", self.transactions_unplaced),
            ("device_records", self.device_records),
            ("socket_records", self.socket_records),
            ("unplugged", self.unplugged),
            ("descriptors_unfollowed", self.unfollowed),
            ("descriptors_unknown", self.unknown),
            ("commands", self.commands),
            ("publishes", self.publishes),
            ("deliveries", self.deliveries),
            ("other_ops", self.other_ops),
            ("spans", self.spans),
            ("connections", self.connections),
            ("evicted_connections", self.evicted_connections),
            ("processes", self.processes),
            ("refused", self.refused),
            ("tls.connections", self.tls.connections),
            ("tls.readable", self.tls.readable),
            ("tls.calls", self.tls.calls),
            ("tls.bytes", self.tls.bytes),
            ("tls.plain_calls", self.tls.plain_calls),
            ("tls.plain_bytes", self.tls.plain_bytes),
            ("tls.unplaced", self.tls.unplaced),
            ("device.would_block", self.device.would_block),
            ("device.descriptor_calls", self.device.descriptor_calls),
            ("device.crowded", self.device.crowded),
            ("device.evicted", self.device.evicted),
            ("proto.frames", self.proto.frames),
            ("proto.invalid", self.proto.invalid),
            ("proto.resyncs", self.proto.resyncs),
            ("proto.undefined", self.proto.undefined),
            ("proto.skipped_bytes", self.proto.skipped_bytes),
            ("proto.compressed_bytes", self.proto.compressed_bytes),
            ("proto.cut_bytes", self.proto.stream.cut_bytes),
            ("proto.over_messages", self.proto.over_messages),
            ("proto.over_bodies", self.proto.over_bodies),
            ("proto.gave_up", self.proto.gave_up),
            ("unfilled_bytes", self.proto.stream.unfilled_bytes),
            ("causality.joined", self.causality.joined),
            ("causality.late", self.causality.late),
            ("causality.late_views", self.causality.late_views),
            ("causality.unmatched_deliveries", self.causality.unmatched_deliveries),
            ("causality.abandoned", self.causality.abandoned),
            ("causality.undecided", self.causality.undecided),
            ("causality.forced", self.causality.forced),
            ("causality.evicted", self.causality.evicted),
            ("causality.dropped_process", self.causality.dropped_process),
        ]
    }
}
