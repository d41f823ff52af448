//! The service graph: who sends to whom through a messaging system, as Tempo's metrics generator has it.
//!
//! An edge is a publish span and a process span that has it as its parent. Either may end first. Unlike
//! Tempo's, a publish waits on after its first consumer: one message may have many.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::Stage;
use super::series::{Distributions, Durations, Exemplar, Families, Total, Totals, broker_histogram};
use super::spans::service;
use crate::model::ids::{SpanId, TraceId};
use crate::model::span::{Span, Subject};
use crate::model::time::Timestamp;
use crate::names::metric;

/// Most publishes (and deliveries whose publish was not seen yet) that wait for their other side. At 10,000
/// messages/s this is more than a second, far longer than a delivery takes; about 2.5 MB. Just below what the map holds
/// before it doubles.
const WAITING: usize = 14_000;
/// How long they wait, in the spans' own time.
const WAIT_NANOS: u64 = 10_000_000_000;
/// Most deliveries that wait for one publish.
const WAITING_SERVERS: usize = 64;

/// Why a delivery found no publish.
const UNPAIRED: &str = "unpaired";
/// Why a delivery was not even waited for.
const CROWDED: &str = "crowded";

/// One side of an edge.
struct Side {
    service: Arc<str>,
    nanos: u64,
    start: Timestamp,
    end: Timestamp,
    failed: bool,
    exemplar: Exemplar,
}

impl Side {
    fn new(span: &Span) -> Self {
        Self {
            service: Arc::clone(service(&span.owner)),
            nanos: span.at.nanos(),
            start: span.at.start,
            end: span.at.end,
            failed: span.status.is_error(),
            exemplar: Exemplar { trace: span.trace, span: span.id },
        }
    }
}

#[derive(Default)]
struct Pair {
    client: Option<Side>,
    servers: Vec<Side>,
}

/// The metrics of one edge.
#[derive(Clone)]
struct Edge {
    requests: Total,
    server: Durations,
    client: Durations,
    messaging: Durations,
}

/// The service graph's metrics.
pub(super) struct ServiceGraph {
    pairs: HashMap<(TraceId, SpanId), Pair>,
    /// Keys of `pairs` in the order in which they came, and when.
    order: VecDeque<(Timestamp, (TraceId, SpanId))>,
    now: Timestamp,
    edges: HashMap<(Arc<str>, Arc<str>), Edge>,
    requests: Totals,
    failed: Totals,
    server: Distributions,
    client: Distributions,
    messaging: Distributions,
    limit: usize,
    stage: Stage,
    /// Deliveries that wait for their publish.
    held: usize,
}

impl ServiceGraph {
    /// Counts in `stage` the deliveries that came, became an edge or found no publish.
    pub(super) fn new(make: &mut Families<'_>, stage: Stage) -> Self {
        let histogram = broker_histogram;
        Self {
            pairs: HashMap::new(),
            order: VecDeque::new(),
            now: Timestamp(0),
            edges: HashMap::new(),
            requests: make.totals(metric::SERVICE_GRAPH_REQUEST, "Requests between two services"),
            failed: make.totals(metric::SERVICE_GRAPH_REQUEST_FAILED, "Failed requests between two services"),
            server: make.durations(
                metric::SERVICE_GRAPH_REQUEST_SERVER,
                "Duration of requests as the server saw them",
                histogram,
            ),
            client: make.durations(
                metric::SERVICE_GRAPH_REQUEST_CLIENT,
                "Duration of requests as the client saw them",
                histogram,
            ),
            messaging: make.durations(
                metric::SERVICE_GRAPH_REQUEST_MESSAGING,
                "Time between publisher and consumer, spent in the messaging system",
                histogram,
            ),
            limit: make.limit,
            stage,
            held: 0,
        }
    }

    pub(super) fn observe(&mut self, span: &Span) {
        match &span.subject {
            Subject::Publish(_) => self.publish(span),
            Subject::Process(..) => self.delivery(span),
            Subject::Device { .. }
            | Subject::Broker(_)
            | Subject::Receive(_)
            | Subject::Settle(_)
            | Subject::Request(_)
            | Subject::Encrypted { .. } => return,
        }
        self.stage.set_held(self.held as u64);
    }

    fn publish(&mut self, span: &Span) {
        let client = Side::new(span);
        let key = (span.trace, span.id);
        let mut pair = self.take(key, client.end);
        self.held -= pair.servers.len();
        for server in pair.servers.drain(..) {
            self.complete(&client, &server);
        }
        pair.client = Some(client);
        self.pairs.insert(key, pair);
    }

    fn delivery(&mut self, span: &Span) {
        let Some(parent) = span.parent.as_ref().filter(|edge| edge.trace == span.trace) else { return };
        self.stage.add_in(1);
        let server = Side::new(span);
        let key = (span.trace, parent.span);
        let mut pair = self.take(key, server.end);
        if let Some(client) = &pair.client {
            self.complete(client, &server);
        } else if pair.servers.len() < WAITING_SERVERS {
            pair.servers.push(server);
            self.held += 1;
        } else {
            self.stage.add_dropped(CROWDED, 1);
        }
        self.pairs.insert(key, pair);
    }

    /// Takes out what is known of this publish, to be put back. Forgets the oldest if there are too many.
    fn take(&mut self, key: (TraceId, SpanId), now: Timestamp) -> Pair {
        self.now = self.now.max(now);
        if let Some(pair) = self.pairs.get_mut(&key) {
            return std::mem::take(pair);
        }
        while let Some((since, oldest)) = self.order.front().copied() {
            if self.order.len() < WAITING && self.now.since(since) < WAIT_NANOS {
                break;
            }
            self.order.pop_front();
            let alone = self.pairs.remove(&oldest).unwrap_or_default().servers.len();
            self.held -= alone;
            self.stage.add_dropped(UNPAIRED, alone as u64);
        }
        self.order.push_back((self.now, key));
        Pair::default()
    }

    fn complete(&mut self, client: &Side, server: &Side) {
        let failed = client.failed || server.failed;
        let labels = || {
            vec![
                ("client", Arc::clone(&client.service)),
                ("server", Arc::clone(&server.service)),
                ("connection_type", "messaging_system".into()),
            ]
        };
        let key = (Arc::clone(&client.service), Arc::clone(&server.service));
        let edge = match self.edges.get(&key) {
            Some(edge) => edge.clone(),
            None => {
                let edge = Edge {
                    requests: self.requests.of(labels()),
                    server: self.server.of(labels()),
                    client: self.client.of(labels()),
                    messaging: self.messaging.of(labels()),
                };
                if self.edges.len() < self.limit {
                    self.edges.insert(key, edge.clone());
                }
                edge
            }
        };
        edge.requests.inc_by(1, Some(server.exemplar), None);
        if failed {
            self.failed.of(labels()).inc_by(1, Some(server.exemplar), None);
        }
        edge.server.observe(server.nanos, server.exemplar, failed);
        edge.client.observe(client.nanos, client.exemplar, failed);
        // A consumer may start before the publisher's call returns.
        edge.messaging.observe(server.start.since(client.end), server.exemplar, failed);
        self.stage.add_out(1);
    }
}
