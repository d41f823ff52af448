//! What went into the analysis and what came out of it.

use std::net::SocketAddr;

use crate::{causality, device, proto};

/// Counts since the start of the run.
#[derive(Clone, Copy, Debug, Default)]
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
    pub refused: Refused,
    /// Counts of the device stage.
    pub device: device::Counts,
    /// Counts of the protocol stage.
    pub proto: proto::Counts,
    /// Counts of the causality stage.
    pub causality: causality::Counts,
}

/// The last few refused connections, until the metrics have taken them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refused {
    last: [Option<(&'static str, Option<SocketAddr>)>; 8],
    /// How many there were.
    pub count: u64,
}

impl Refused {
    /// One more. Between two takings eight are kept, and all are counted.
    pub fn push(&mut self, system: &'static str, server: Option<SocketAddr>) {
        self.count += 1;
        if let Some(slot) = self.last.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some((system, server));
        }
    }
}
