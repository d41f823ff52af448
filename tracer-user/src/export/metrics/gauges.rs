//! Metric families that go up and down, with as many label sets as others.

use std::sync::atomic::AtomicU64;

use hashbrown::HashMap;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::series::{Bound, Families, Labels};

/// A value that goes up and down. Clones share it.
pub(super) type Level = Gauge<f64, AtomicU64>;

/// A bounded family of gauges.
pub(super) struct Gauges {
    family: Family<Labels, Level>,
    bound: Bound,
}

impl Gauges {
    pub(super) fn new(make: &mut Families<'_>, name: &'static str, help: &str) -> Self {
        let family = Family::<Labels, Level>::default();
        make.registry.register(name, help, family.clone());
        Self { family, bound: make.bound(name) }
    }

    /// The gauge of these labels.
    pub(super) fn of(&mut self, labels: Labels) -> Level {
        self.family.get_or_create_owned(&self.bound.admit(labels))
    }
}

/// Gauges that are all set at once.
pub(super) struct Levels {
    gauges: Gauges,
    /// Those that are not zero.
    raised: Vec<Level>,
}

impl Levels {
    pub(super) fn new(gauges: Gauges) -> Self {
        Self { gauges, raised: Vec::new() }
    }

    /// Sets each to its sum, and those that are not named to zero. A scrape meanwhile sees each before or after.
    pub(super) fn set(&mut self, levels: impl Iterator<Item = (Labels, u64)>) {
        let mut sums: HashMap<Labels, u64> = HashMap::new();
        for (labels, level) in levels {
            // What overflows shares one gauge.
            *sums.entry(self.gauges.bound.admit(labels)).or_default() += level;
        }
        let mut raised = Vec::new();
        let mut lowered = std::mem::take(&mut self.raised);
        for (labels, level) in sums {
            let gauge = self.gauges.family.get_or_create_owned(&labels);
            lowered.retain(|other| !std::ptr::eq(other.inner(), gauge.inner()));
            gauge.set(level as f64);
            if level > 0 {
                raised.push(gauge);
            }
        }
        for gauge in lowered {
            gauge.set(0.0);
        }
        self.raised = raised;
    }
}
