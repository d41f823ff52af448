//! What the HTTP interface tells: plain data, set by the pipeline.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

/// Something that iotrail can do if the kernel and the rights allow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub available: bool,
    /// Why it is not, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What its absence costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
    /// How to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// One stage's numbers: `in = out + dropped + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// What came in.
    #[serde(rename = "in")]
    pub came: u64,
    /// What went out.
    #[serde(rename = "out")]
    pub passed: u64,
    /// What waits.
    pub held: u64,
    /// What was lost, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// How one destination is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exporter {
    /// Its name.
    pub name: String,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// The last failure, also if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The words of `/health/detailed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// All is well.
    Ok,
    /// It works, but not all of it.
    Degraded,
    /// Not attached yet.
    Starting,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    status: Verdict,
    version: &'static str,
    ready: bool,
    features: Vec<Feature>,
    stages: Vec<Stage>,
    exporters: Vec<Exporter>,
}

type Render = Box<dyn Fn(bool) -> String + Send + Sync>;

/// The shared state. Clones share it.
#[derive(Clone, Default)]
pub struct State(Arc<RwLock<Inner>>);

#[derive(Default)]
struct Inner {
    ready: bool,
    features: Vec<Feature>,
    stages: Vec<Stage>,
    exporters: Vec<Exporter>,
    metrics: Option<Render>,
}

impl State {
    /// Whether tracing is attached.
    pub fn set_ready(&self, ready: bool) {
        self.write(|inner| inner.ready = ready);
    }

    /// What was probed.
    pub fn set_features(&self, features: Vec<Feature>) {
        self.write(|inner| inner.features = features);
    }

    /// The numbers of all stages.
    pub fn set_stages(&self, stages: Vec<Stage>) {
        self.write(|inner| inner.stages = stages);
    }

    /// How the destinations are doing.
    pub fn set_exporters(&self, exporters: Vec<Exporter>) {
        self.write(|inner| inner.exporters = exporters);
    }

    /// What writes the metrics: as OpenMetrics if its argument is true, else in the classic format.
    pub fn set_metrics(&self, render: impl Fn(bool) -> String + Send + Sync + 'static) {
        self.write(|inner| inner.metrics = Some(Box::new(render)));
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ready
    }

    pub(super) fn metrics(&self, open: bool) -> Option<String> {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        inner.metrics.as_ref().map(|render| render(open))
    }

    pub(super) fn report(&self) -> Report {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let whole = inner.features.iter().all(|feature| feature.available)
            && !inner.exporters.iter().any(|exporter| exporter.failing);
        let status = match (inner.ready, whole) {
            (false, _) => Verdict::Starting,
            (true, true) => Verdict::Ok,
            (true, false) => Verdict::Degraded,
        };
        Report {
            status,
            version: env!("CARGO_PKG_VERSION"),
            ready: inner.ready,
            features: inner.features.clone(),
            stages: inner.stages.clone(),
            exporters: inner.exporters.clone(),
        }
    }

    fn write(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}
