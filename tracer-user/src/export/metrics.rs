//! Prometheus metrics, made from spans, and of iotrail itself.

mod gauges;
mod graph;
mod peripherals;
mod series;
mod spans;
mod telemetry;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use self::gauges::{Gauges, Levels};
use self::graph::ServiceGraph;
use self::series::{Families, SERIES_LIMIT, Totals};
use self::spans::SpanMetrics;
pub use self::telemetry::{Stage, StageNumbers, Telemetry};
use crate::model::span::Span;
use crate::names::metric;

/// The two text formats that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/openmetrics-text; version=1.0.0`: with exemplars.
    OpenMetrics,
    /// `text/plain; version=0.0.4`.
    Classic,
}

/// All metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Shared>);

struct Shared {
    registry: Registry,
    spans: Mutex<Fed>,
}

struct Fed {
    spans: SpanMetrics,
    graph: ServiceGraph,
    connection_errors: Totals,
    in_flight: Levels,
}

impl Metrics {
    /// Metrics without a value, and those of `telemetry`.
    #[must_use]
    pub fn new(telemetry: &Telemetry) -> Self {
        Self::bounded(telemetry, SERIES_LIMIT)
    }

    /// As [`Self::new`] with another bound on the label sets of each metric.
    fn bounded(telemetry: &Telemetry, limit: usize) -> Self {
        let mut registry = Registry::default();
        let overflows = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let mut make = Families { registry: &mut registry, overflows: &overflows, limit };
        let fed = Fed {
            spans: SpanMetrics::new(&mut make),
            graph: ServiceGraph::new(&mut make, telemetry.stage("service_graph")),
            connection_errors: make
                .totals(metric::BROKER_CONNECTION_ERRORS, "Connections to brokers that failed"),
            in_flight: Levels::new(Gauges::new(
                &mut make,
                metric::PERIPHERAL_COMMANDS_IN_FLIGHT,
                "Device commands that have begun and not ended",
            )),
        };
        registry.register(
            metric::IOTRAIL_LABEL_OVERFLOW,
            "Label sets past the limit, which are folded into __overflow__",
            overflows,
        );
        registry.register_collector(Box::new(telemetry::Exposition(telemetry.clone())));
        Self(Arc::new(Shared { registry, spans: Mutex::new(fed) }))
    }

    /// Counts a span in all metrics that it feeds.
    pub fn observe(&self, span: &Span) {
        self.observe_all(std::iter::once(span));
    }

    /// As [`Self::observe`] for many, which is cheaper than one by one.
    pub fn observe_all<'a>(&self, spans: impl IntoIterator<Item = &'a Span>) {
        let mut fed = self.0.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for span in spans {
            fed.spans.observe(span);
            fed.graph.observe(span);
        }
    }

    /// Counts a connection to a broker that failed: its system, its `host:port`.
    pub fn connection_error(&self, system: &'static str, server: &str) {
        let mut fed = self.0.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = vec![("system", system.into()), ("server", server.into())];
        // No span stands for it, so there is no exemplar.
        fed.connection_errors.of(labels).inc_by(1, None, None);
    }

    /// Sets how many commands are under way: path and class of a device, and of its commands. A device may come several
    /// times; one that is not named has none.
    pub fn in_flight<'a>(&self, devices: impl IntoIterator<Item = (&'a Arc<str>, &'static str, usize)>) {
        let mut fed = self.0.spans.lock().unwrap_or_else(PoisonError::into_inner);
        fed.in_flight.set(devices.into_iter().map(|(path, class, count)| {
            (vec![("device", Arc::clone(path)), ("class", class.into())], count as u64)
        }));
    }

    /// All metrics as text.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing to memory does not fail");
        match format {
            Format::OpenMetrics => text,
            Format::Classic => text::classic(&text),
        }
    }
}

#[cfg(test)]
mod tests;
