//! Metric families whose number of label sets is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hashbrown::HashSet;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::{CounterWithExemplar, HistogramWithExemplars};
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::model::ids::{SpanId, TraceId};

/// Most label sets of one metric. A histogram's series takes about 1 KB here and 25 series in Prometheus; a
/// dozen such metrics stay within the tracer's budget of 50 MB.
pub(crate) const SERIES_LIMIT: usize = 1000;

/// What a label's value becomes past that.
pub(crate) const OVERFLOW: &str = "__overflow__";

/// Labels whose values come from a fixed, short list: they survive the overflow.
const CLOSED: [&str; 10] = [
    "class",
    "status",
    "system",
    "messaging_system",
    "messaging_operation_name",
    "messaging_operation_type",
    "span_kind",
    "status_code",
    "connection_type",
    "bus",
];

/// The labels of one series.
pub(crate) type Labels = Vec<(&'static str, Arc<str>)>;

/// The span that an exemplar points to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

impl EncodeLabelSet for Exemplar {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("trace_id", self.trace.to_string()), ("span_id", self.span.to_string())].encode(encoder)
    }
}

/// A counter with exemplars.
pub(crate) type Total = CounterWithExemplar<Exemplar>;

/// A histogram with exemplars. Clones share it.
#[derive(Clone)]
pub(crate) struct Durations {
    histogram: HistogramWithExemplars<Exemplar>,
    seen: Arc<AtomicU64>,
}

impl Durations {
    /// The first observations of a series all leave an exemplar, later ones now and then: storing it costs as
    /// much as the observation.
    const EXEMPLARS_AT_FIRST: u64 = 64;
    const EXEMPLAR_EVERY: u64 = 16;

    /// Observes `nanos`; `remarkable` ones (errors) always leave an exemplar.
    pub(crate) fn observe(&self, nanos: u64, exemplar: Exemplar, remarkable: bool) {
        let seen = self.seen.fetch_add(1, Relaxed);
        let keep = remarkable || seen < Self::EXEMPLARS_AT_FIRST || seen.is_multiple_of(Self::EXEMPLAR_EVERY);
        self.histogram.observe(nanos as f64 / 1e9, keep.then_some(exemplar), None);
    }
}

/// 1, 2.5 and 5 of each decade from `10^from` to `10^to` seconds.
fn decades(from: i32, to: i32) -> impl Iterator<Item = f64> {
    let steps = (from..to).flat_map(|decade| [(10, decade), (25, decade), (50, decade)]);
    // Through text: 2.5e-6 as a product would be 0.0000024999999999999998.
    steps.chain([(10, to)]).map(|(tenths, decade)| {
        format!("{tenths}e{}", decade - 1).parse().expect("digits and an exponent are a number")
    })
}

/// Buckets for devices: 1 µs to 10 s.
pub(crate) fn device_histogram() -> HistogramWithExemplars<Exemplar> {
    HistogramWithExemplars::new(decades(-6, 1))
}

/// Buckets for brokers: 10 µs to 10 s.
pub(crate) fn broker_histogram() -> HistogramWithExemplars<Exemplar> {
    HistogramWithExemplars::new(decades(-5, 1))
}

type Histograms = Family<Labels, HistogramWithExemplars<Exemplar>, fn() -> HistogramWithExemplars<Exemplar>>;

/// Which label sets a metric has, and what happens to more.
pub(super) struct Bound {
    known: HashSet<Labels>,
    limit: usize,
    overflows: Counter,
}

impl Bound {
    /// The labels if they are known or there is room, else what they become.
    pub(super) fn admit(&mut self, labels: Labels) -> Labels {
        if self.known.contains(&labels) {
            return labels;
        }
        if self.known.len() < self.limit {
            self.known.insert(labels.clone());
            return labels;
        }
        self.overflows.inc();
        labels
            .into_iter()
            .map(|(key, value)| if CLOSED.contains(&key) { (key, value) } else { (key, OVERFLOW.into()) })
            .collect()
    }
}

/// A bounded family of counters.
pub(crate) struct Totals {
    family: Family<Labels, Total>,
    bound: Bound,
}

impl Totals {
    /// The counter of these labels.
    pub(crate) fn of(&mut self, labels: Labels) -> Total {
        self.family.get_or_create_owned(&self.bound.admit(labels))
    }
}

/// A bounded family of histograms.
pub(crate) struct Distributions {
    family: Histograms,
    bound: Bound,
}

impl Distributions {
    /// The histogram of these labels.
    pub(crate) fn of(&mut self, labels: Labels) -> Durations {
        let histogram = self.family.get_or_create_owned(&self.bound.admit(labels));
        Durations { histogram, seen: Arc::default() }
    }
}

/// Makes families, registers them and counts what overflows.
pub(crate) struct Families<'a> {
    pub(crate) registry: &'a mut Registry,
    pub(crate) overflows: &'a Family<[(&'static str, &'static str); 1], Counter>,
    pub(crate) limit: usize,
}

impl Families<'_> {
    pub(crate) fn totals(&mut self, name: &'static str, help: &str) -> Totals {
        let family = Family::default();
        self.registry.register(name, help, family.clone());
        Totals { family, bound: self.bound(name) }
    }

    pub(crate) fn durations(
        &mut self,
        name: &'static str,
        help: &str,
        histogram: fn() -> HistogramWithExemplars<Exemplar>,
    ) -> Distributions {
        let family = Histograms::new_with_constructor(histogram);
        self.registry.register(name, help, family.clone());
        Distributions { family, bound: self.bound(name) }
    }

    pub(super) fn bound(&self, name: &'static str) -> Bound {
        Bound {
            known: HashSet::new(),
            limit: self.limit,
            overflows: self.overflows.get_or_create_owned(&[("metric", name)]),
        }
    }
}
