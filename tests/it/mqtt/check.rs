//! Compares spans with what the clients logged: every message once, every parent the right one.

use std::collections::{BTreeMap, HashMap, HashSet};

use tracer_tests::otlp::Span;

use super::site::{Client, Line};

/// Whose span it has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A process's own.
    Process(u32),
    /// Only the broker saw this client: by its id.
    Remote(String),
}

/// What happened.
#[derive(Default)]
pub(crate) struct Truth {
    sent: Vec<(Owner, Line)>,
    received: Vec<(Owner, Line)>,
    /// How many deliveries were acknowledged.
    pub(crate) acknowledged: usize,
    /// The processes of the broker, if it is traced as well as the clients: then every delivery shows the time in it.
    pub(crate) brokers: Vec<u32>,
    /// Whether a delivery may have no publish (it was published before the tracer came).
    pub(crate) orphans: bool,
    /// How often at most the broker sent a message that the client went without reading.
    pub(crate) unread: usize,
}

impl Truth {
    /// With the clients' side and the broker's traced.
    pub(crate) fn whole(broker: u32) -> Self {
        Self::with(vec![broker])
    }

    /// As [`Self::whole`], with a broker that was started several times.
    pub(crate) fn with(brokers: Vec<u32>) -> Self {
        Self { brokers, ..Self::default() }
    }

    pub(crate) fn sent(mut self, owner: Owner, lines: &[Line]) -> Self {
        self.sent.extend(lines.iter().map(|line| (owner.clone(), line.clone())));
        self
    }

    pub(crate) fn received(mut self, owner: Owner, lines: &[Line], acknowledged: bool) -> Self {
        self.acknowledged += if acknowledged { lines.len() } else { 0 };
        self.received.extend(lines.iter().map(|line| (owner.clone(), line.clone())));
        self
    }

    /// A publisher with its own process traced; it published all that it was given.
    pub(crate) fn publisher(self, client: &Client) -> Self {
        self.sent(Owner::Process(client.pid()), client.given())
    }

    /// A subscriber with its own process traced.
    pub(crate) fn subscriber(self, client: &Client, qos: u8) -> Self {
        self.received(Owner::Process(client.pid()), &client.log(), qos > 0)
    }

    /// Checks everything that can be known of the spans of messages.
    pub(crate) fn check(&self, spans: &[Span]) {
        self.check_messages(spans);
        self.check_settlements(spans);
    }

    /// As [`Self::check`], without the acknowledgements.
    pub(crate) fn check_messages(&self, spans: &[Span]) {
        check_ids(spans);
        let publishes = of_kind(spans, "publish ");
        let processes = of_kind(spans, "process ");
        same("published", &self.sent, &publishes);
        same("processed", &self.received, &processes);
        let by_id: HashMap<&str, &Span> = publishes.iter().map(|span| (span.id.as_str(), *span)).collect();
        let mut residences: HashMap<&str, usize> = HashMap::new();
        for span in of_kind(spans, "broker ") {
            assert!(span.pid().is_some_and(|pid| self.brokers.contains(&pid)), "{span:#?}");
            assert_eq!(span.service, "mosquitto");
            let parent = span.parent.as_deref().and_then(|id| by_id.get(id)).expect("it has its publish");
            assert_eq!((&parent.trace, destination(parent)), (&span.trace, destination(span)));
            assert!(span.start >= parent.start && span.end >= span.start, "{parent:#?} {span:#?}");
            *residences.entry(parent.id.as_str()).or_default() += 1;
        }
        for span in &processes {
            let parent = span.parent.as_deref().and_then(|id| by_id.get(id));
            let Some(parent) = parent else {
                assert!(self.orphans, "no publish for {span:#?}");
                continue;
            };
            assert_eq!(parent.trace, span.trace);
            assert_eq!(line(parent), line(span), "the wrong publish: {parent:#?} {span:#?}");
            assert!(span.start >= parent.start, "{parent:#?} {span:#?}");
            let evidence = span.attribute("iotrail.link.evidence").expect("a link says what it rests on");
            assert!(evidence.contains("fingerprint"), "{evidence}");
            if !self.brokers.is_empty() && span.attribute("iotrail.mqtt.retain") != Some("true") {
                let left = residences.get_mut(parent.id.as_str()).expect("its time in the broker");
                assert!(*left > 0, "more deliveries than times in the broker: {parent:#?}");
                *left -= 1;
            }
        }
        residences.retain(|_, left| *left > self.unread);
        assert!(residences.is_empty(), "times in the broker without delivery: {residences:?}");
    }

    fn check_settlements(&self, spans: &[Span]) {
        let processes = of_kind(spans, "process ");
        let by_id: HashMap<&str, &Span> = processes.iter().map(|span| (span.id.as_str(), *span)).collect();
        let acks = of_kind(spans, "ack ");
        assert_eq!(acks.len(), self.acknowledged, "acknowledgements");
        let mut acknowledged = HashSet::new();
        for span in acks {
            let parent = span.parent.as_deref().and_then(|id| by_id.get(id)).expect("it has its delivery");
            assert_eq!((&parent.trace, parent.pid()), (&span.trace, span.pid()));
            assert_eq!(destination(parent), destination(span));
            assert!(acknowledged.insert(&parent.id), "acknowledged twice: {parent:#?}");
        }
    }
}

/// No span is there twice, no id means two, and each process is one resource.
pub(crate) fn check_ids(spans: &[Span]) {
    let mut seen = HashMap::new();
    let mut instances: HashMap<u32, &str> = HashMap::new();
    for span in spans {
        if let Some(other) = seen.insert(span.id.as_str(), span) {
            panic!("two spans of one id: {other:#?} {span:#?}");
        }
        assert_eq!((span.trace.len(), span.id.len()), (32, 16));
        if let Some(pid) = span.pid() {
            let instance = span.resource.get("service.instance.id").expect("a resource has an instance");
            assert_eq!(
                *instances.entry(pid).or_insert(instance),
                instance.as_str(),
                "two resources of {pid}"
            );
        }
    }
}

/// The spans whose name begins so.
pub(crate) fn of_kind<'a>(spans: &'a [Span], prefix: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name.starts_with(prefix)).collect()
}

/// Where a message went.
pub(crate) fn destination(span: &Span) -> &str {
    span.attribute("messaging.destination.name").unwrap_or_default()
}

/// What a client would have logged of it.
pub(crate) fn line(span: &Span) -> Line {
    let size = span.attribute("messaging.message.body.size").and_then(|size| size.parse().ok());
    let text = span.attribute("iotrail.payload.text").unwrap_or_default();
    Line {
        topic: destination(span).to_owned(),
        size: size.expect("a message has a size"),
        head: tracer_tests::message::head(text.as_bytes()),
    }
}

/// Whose it is.
pub(crate) fn owner(span: &Span) -> Owner {
    let viewpoint = span.attribute("iotrail.viewpoint");
    match span.pid() {
        // Also where more was moved in one call than is captured, so that only the broker's calls show it.
        Some(pid) => Owner::Process(pid),
        None => {
            assert_eq!(viewpoint, Some("broker"), "{span:#?}");
            Owner::Remote(span.service.clone())
        }
    }
}

/// Both sides have the same messages equally often.
fn same(what: &str, truth: &[(Owner, Line)], spans: &[&Span]) {
    let mut difference: BTreeMap<(Owner, Line), i64> = BTreeMap::new();
    for key in truth {
        *difference.entry(key.clone()).or_default() += 1;
    }
    for span in spans {
        *difference.entry((owner(span), line(span))).or_default() -= 1;
    }
    difference.retain(|_, count| *count != 0);
    let shown: Vec<_> = difference.iter().take(8).map(|entry| format!("\n  {entry:?}")).collect();
    assert!(
        difference.is_empty(),
        "{what}: {} are true, {} were seen; {} differ (1: missing, -1: too many), e.g. {}",
        truth.len(),
        spans.len(),
        difference.len(),
        shown.concat()
    );
}
