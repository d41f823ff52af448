//! What the stages lost, held and passed on: for the metrics, for health and for the last words of a run.

use super::totals::Totals;
use crate::export::metrics::{Metrics, Stage, Telemetry};
use crate::kernel::rings::{Counters, Reader};

/// Publishes the counts of the stages.
pub struct Report {
    telemetry: Telemetry,
    kernel: Stage,
    analysis: Stage,
    totals: Totals,
    kernel_counts: Vec<(&'static str, u64)>,
    lost: u64,
    refused: u64,
    /// The counters could not be read.
    blind: bool,
}

/// Counters of the kernel side that mean lost records.
const LOSSES: &[&str] = &[
    "data_ring_full",
    "lifecycle_ring_full",
    "threads_full",
    "no_stage",
    "fds_full",
    "foreign_abi",
    "bus_requests_full",
    "bus_ring_full",
    "egress_ring_full",
    "egress_unreadable",
    "uring_full",
    "tls_busy",
];

impl Report {
    /// Nothing yet.
    #[must_use]
    pub fn new(telemetry: &Telemetry) -> Self {
        Self {
            kernel: telemetry.stage("kernel"),
            analysis: telemetry.stage("analysis"),
            telemetry: telemetry.clone(),
            totals: Totals::default(),
            kernel_counts: Vec::new(),
            lost: 0,
            refused: 0,
            blind: false,
        }
    }

    /// The analysis is so far behind the kernel, in ns.
    pub fn lag(&self, nanos: u64) {
        self.telemetry.set_lag(nanos);
    }

    /// Reads and publishes all counters. Returns whether records were lost in the kernel since the last time.
    pub fn update(
        &mut self,
        counters: &Counters,
        totals: &Totals,
        reader: &Reader,
        metrics: &Metrics,
    ) -> bool {
        match counters.read() {
            Ok(counts) => self.kernel_counts = counts,
            // Once: it will not get better. The library finds the number of CPUs in `/sys`.
            Err(error) if !std::mem::replace(&mut self.blind, true) => tracing::error!(
                "cannot read the kernel's counters, so nobody knows what is lost in the kernel: {error}; is /sys mounted?"
            ),
            Err(_) => {}
        }
        self.totals = totals.clone();
        let count = |name: &str| {
            self.kernel_counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
        };
        let mut lost = 0;
        for name in LOSSES {
            lost += count(name);
            if count(name) > 0 {
                self.kernel.set_dropped(name, count(name));
            }
        }
        let passed = count("data") + count("lifecycle") + count("bus") + count("egress");
        self.kernel.set_in(passed + lost);
        self.kernel.set_out(passed);
        self.analysis.set_in(totals.records + reader.malformed());
        // What turned out not to be selected (without BTF) was rightly left out: no loss.
        self.analysis.set_out(totals.records - totals.undecoded);
        self.analysis.set_held(reader.waiting() as u64);
        for (reason, dropped) in [("malformed", reader.malformed()), ("undecoded", totals.undecoded)] {
            if dropped > 0 {
                self.analysis.set_dropped(reason, dropped);
            }
        }
        for (system, server) in totals.refused_since(self.refused) {
            metrics.connection_error(system, &server);
        }
        self.refused = totals.refused;
        let more = lost > self.lost;
        if more {
            tracing::warn!(
                lost = lost - self.lost,
                "records were lost in the kernel: {}",
                LOSSES.iter().filter(|name| count(name) > 0).copied().collect::<Vec<_>>().join(", ")
            );
        }
        self.lost = lost;
        more
    }

    /// The last words of a run, one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Totals { records, commands, publishes, deliveries, spans, .. } = self.totals;
        let lost = match self.lost {
            0 => "nothing lost".to_owned(),
            lost => format!("{lost} records lost in the kernel"),
        };
        format!(
            "{records} records, {commands} device commands, {publishes} publishes and {deliveries} deliveries seen, \
             {spans} spans, {lost}"
        )
    }

    /// Everything there is to count, by name: for tests and for `--log-format json`.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> =
            self.kernel_counts.iter().map(|(name, count)| (format!("kernel.{name}"), *count)).collect();
        counts.extend(self.totals.named().into_iter().map(|(name, count)| (name.to_owned(), count)));
        counts
    }
}
