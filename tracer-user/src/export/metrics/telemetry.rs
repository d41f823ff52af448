//! What iotrail says of itself: per stage what came in, went out, was lost (by reason) and is held.
//!
//! Each stage keeps `in = out + dropped + held`. Some numbers are counted here ([`Stage::add_in`] and its
//! kin), some are absolute because the kernel side counts them ([`Stage::set_in`] and its kin).
//! `iotrail_events_total` is what went out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::names::metric;

/// The numbers of all stages. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stages: Mutex<Vec<Stage>>,
    lag_nanos: AtomicU64,
}

/// One stage. Clones share its numbers.
#[derive(Clone, Debug)]
pub struct Stage(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    name: String,
    came: AtomicU64,
    passed: AtomicU64,
    held: AtomicU64,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

/// A stage's numbers at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageNumbers {
    /// Its name.
    pub name: String,
    /// What came in.
    pub came: u64,
    /// What went out.
    pub passed: u64,
    /// What waits.
    pub held: u64,
    /// What was lost, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Telemetry {
    /// The stage of this name, which is new if nobody asked for it before.
    #[must_use]
    pub fn stage(&self, name: &str) -> Stage {
        let mut stages = self.0.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = stages.iter().find(|stage| stage.0.name == name) {
            return stage.clone();
        }
        let stage = Stage(Arc::new(Numbers {
            name: name.to_owned(),
            came: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            held: AtomicU64::new(0),
            dropped: Mutex::default(),
        }));
        stages.push(stage.clone());
        stage
    }

    /// Sets by how many nanoseconds the analysis is behind the kernel.
    pub fn set_lag(&self, nanos: u64) {
        self.0.lag_nanos.store(nanos, Relaxed);
    }

    /// All stages in the order in which they were first named.
    #[must_use]
    pub fn snapshot(&self) -> Vec<StageNumbers> {
        let stages = self.0.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.iter().map(Stage::numbers).collect()
    }
}

impl Stage {
    /// So many more came in.
    pub fn add_in(&self, count: u64) {
        self.0.came.fetch_add(count, Relaxed);
    }

    /// So many more went out.
    pub fn add_out(&self, count: u64) {
        self.0.passed.fetch_add(count, Relaxed);
    }

    /// So many more were lost for `reason`.
    pub fn add_dropped(&self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.losses().entry(reason).or_default() += count;
        }
    }

    /// So many came in since the start.
    pub fn set_in(&self, count: u64) {
        self.0.came.store(count, Relaxed);
    }

    /// So many went out since the start.
    pub fn set_out(&self, count: u64) {
        self.0.passed.store(count, Relaxed);
    }

    /// So many were lost for `reason` since the start.
    pub fn set_dropped(&self, reason: &'static str, count: u64) {
        self.losses().insert(reason, count);
    }

    /// So many wait now.
    pub fn set_held(&self, count: u64) {
        self.0.held.store(count, Relaxed);
    }

    /// The numbers now.
    #[must_use]
    pub fn numbers(&self) -> StageNumbers {
        StageNumbers {
            name: self.0.name.clone(),
            came: self.0.came.load(Relaxed),
            passed: self.0.passed.load(Relaxed),
            held: self.0.held.load(Relaxed),
            dropped: self.losses().clone(),
        }
    }

    fn losses(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StageNumbers {
    /// All losses together.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// Writes the numbers at each scrape.
#[derive(Debug)]
pub(super) struct Exposition(pub(super) Telemetry);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stages = self.0.snapshot();

        let mut family = encoder.encode_descriptor(
            metric::IOTRAIL_EVENTS,
            "What passed each stage",
            None,
            MetricType::Counter,
        )?;
        for stage in &stages {
            let labels = [("stage", stage.name.as_str())];
            ConstCounter::new(stage.passed).encode(family.encode_family(&labels)?)?;
        }

        let mut family = encoder.encode_descriptor(
            metric::IOTRAIL_EVENTS_DROPPED,
            "What was lost at each stage, by reason",
            None,
            MetricType::Counter,
        )?;
        for stage in &stages {
            for (reason, count) in &stage.dropped {
                let labels = [("stage", stage.name.as_str()), ("reason", reason)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }

        let mut family = encoder.encode_descriptor(
            metric::IOTRAIL_QUEUE_DEPTH,
            "What waits at each stage",
            None,
            MetricType::Gauge,
        )?;
        for stage in &stages {
            let labels = [("stage", stage.name.as_str())];
            ConstGauge::new(stage.held).encode(family.encode_family(&labels)?)?;
        }

        let lag = self.0.0.lag_nanos.load(Relaxed) as f64 / 1e9;
        let metric = encoder.encode_descriptor(
            metric::IOTRAIL_LAG,
            "By how much the analysis is behind the kernel",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(lag).encode(metric)?;
        own_process(&mut encoder)
    }
}

/// CPU time and memory of this process; left out where `/proc` cannot be read.
fn own_process(encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let Ok(stat) = procfs::process::Process::myself().and_then(|process| process.stat()) else {
        return Ok(());
    };
    let ticks = stat.utime.saturating_add(stat.stime);
    let seconds = ticks as f64 / procfs::ticks_per_second() as f64;
    let metric = encoder.encode_descriptor(
        metric::PROCESS_CPU,
        "User and system CPU time spent by iotrail",
        None,
        MetricType::Counter,
    )?;
    ConstCounter::new(seconds).encode(metric)?;
    let metric = encoder.encode_descriptor(
        metric::PROCESS_RESIDENT,
        "Resident memory of iotrail",
        None,
        MetricType::Gauge,
    )?;
    ConstGauge::new(stat.rss.saturating_mul(procfs::page_size())).encode(metric)
}
