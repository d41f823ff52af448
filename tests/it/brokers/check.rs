//! Compares spans with what the clients logged: every message once, every id, every parent the right one.

use std::collections::{BTreeMap, HashMap};

use tracer_tests::otlp::Span;

use super::site::Entry;
use crate::mqtt::check::{Owner, check_ids, destination, of_kind, owner};
use crate::support::Outcome;

/// Bytes that are captured of a call, unless told otherwise.
const CAPTURED: usize = tracer_common::limits::CAPTURE_CALL;

/// What happened.
pub(crate) struct Truth {
    system: &'static str,
    sent: Vec<Known>,
    received: Vec<Known>,
    /// How many deliveries were settled.
    settled: usize,
    /// The broker's process and `service.name`, if it is traced: then every delivery shows the time in it.
    broker: Option<(u32, &'static str)>,
    /// Whether the broker is seen to send what it delivers.
    sees_sent: bool,
    /// Whether the clients' names were told before the tracer came, and only there.
    pub(crate) nameless: bool,
    /// Names of messages of which the tracer may have missed a delivery.
    excused: Vec<String>,
}

/// A message that somebody sent or received, and where its id has to be.
struct Known {
    owner: Owner,
    entry: Entry,
    id: Option<&'static str>,
}

impl Truth {
    pub(crate) fn new(system: &'static str, broker: Option<(u32, &'static str)>, sees_sent: bool) -> Self {
        let (sent, received, excused) = (Vec::new(), Vec::new(), Vec::new());
        Self { system, sent, received, settled: 0, broker, sees_sent, nameless: false, excused }
    }

    /// Messages that were published to what a span calls `destination`; `id`: the attribute that has the id.
    pub(crate) fn sent(
        &mut self,
        owner: &Owner,
        entries: &[Entry],
        destination: &str,
        id: Option<&'static str>,
    ) {
        self.sent.extend(entries.iter().map(|entry| Known {
            owner: owner.clone(),
            entry: Entry { destination: destination.to_owned(), ..entry.clone() },
            id,
        }));
    }

    /// Messages that were delivered.
    pub(crate) fn received(
        &mut self,
        owner: &Owner,
        entries: &[Entry],
        settled: bool,
        id: Option<&'static str>,
    ) {
        self.settled += if settled { entries.len() } else { 0 };
        self.received.extend(entries.iter().map(|entry| Known {
            owner: owner.clone(),
            entry: entry.clone(),
            id,
        }));
    }

    /// The deliveries of these may be missing.
    pub(crate) fn excuse(&mut self, entries: &[Entry]) {
        self.excused.extend(entries.iter().map(|entry| entry.head.clone()));
    }

    /// Checks that every message is there once for each who sent or got it, with its destination, size and id and of the
    /// right process, and did not fail; that every delivery's parent is its publish, with evidence and confidence; that each shows its time in
    /// the broker where that is traced; that everything that was settled is; and that nothing was lost or not understood.
    pub(crate) fn check(&self, outcome: &Outcome) {
        for name in ["kernel.data_ring_full", "undecoded", "proto.invalid", "proto.gave_up"] {
            assert_eq!(outcome.count(name), 0, "{name}");
        }
        self.check_spans(&outcome.spans);
        self.check_receives(&outcome.spans);
        self.check_settlements(&outcome.spans);
    }

    /// As [`Self::check`], without the counts and the settlements.
    pub(crate) fn check_spans(&self, spans: &[Span]) {
        check_ids(spans);
        let publishes = of_kind(spans, "publish ");
        let processes = of_kind(spans, "process ");
        for span in publishes.iter().chain(&processes) {
            assert_eq!(span.attribute("messaging.system"), Some(self.system), "{span:#?}");
            // Whether a program that ends with its last message in hand wanted to end is not known.
            let ended = span.error.as_deref() == Some("killed") && span.name.starts_with("process ");
            assert!(span.error.is_none() || ended, "nothing failed: {span:#?}");
        }
        self.same("published", &self.sent, &publishes);
        self.same("processed", &self.received, &processes);
        let by_id: HashMap<&str, &Span> = publishes.iter().map(|span| (span.id.as_str(), *span)).collect();
        let mut residences = self.residences(spans, &by_id);
        let mut hidden = Vec::new();
        for span in &processes {
            let head = head(span);
            let Some(parent) = span.parent.as_deref().and_then(|id| by_id.get(id)) else {
                assert!(self.excused.contains(&head), "no publish for {span:#?}");
                continue;
            };
            assert_eq!(parent.trace, span.trace);
            assert_eq!(
                (self::head(parent), size(parent)),
                (head, size(span)),
                "the wrong publish: {parent:#?} {span:#?}"
            );
            assert!(span.start >= parent.start, "{parent:#?} {span:#?}");
            let evidence = span.attribute("iotrail.link.evidence").expect("a link says what it rests on");
            assert!(!evidence.is_empty());
            let confidence =
                span.attribute("iotrail.link.confidence").and_then(|text| text.parse::<f64>().ok());
            assert!(confidence.is_some_and(|sure| sure > 0.5 && sure <= 1.0), "{span:#?}");
            if self.broker.is_some() && self.sees_sent {
                match residences.get_mut(parent.id.as_str()) {
                    Some(left) if *left > 0 => *left -= 1,
                    // Of these the tracer that came in the middle may have seen one end alone.
                    _ if self.excused.contains(&self::head(span)) => {}
                    _ => hidden.push((parent, span)),
                }
            }
        }
        // What the broker writes in one call behind a body that is longer than what is captured is seen at the client alone.
        let long = self.received.iter().filter(|known| known.entry.size > CAPTURED).count();
        assert!(hidden.len() <= long, "no time in the broker: {hidden:#?}");
        residences.retain(|_, left| *left > 0);
        if self.excused.is_empty() {
            assert!(residences.is_empty(), "times in the broker without delivery: {residences:?}");
        }
    }

    /// How often each publish was seen to go through the broker.
    fn residences<'a>(
        &self,
        spans: &'a [Span],
        publishes: &HashMap<&str, &'a Span>,
    ) -> HashMap<&'a str, usize> {
        let mut residences: HashMap<&str, usize> = HashMap::new();
        for span in of_kind(spans, "broker ") {
            assert_eq!(
                self.broker,
                span.pid().map(|pid| (pid, self.broker.map_or("", |(_, service)| service)))
            );
            assert_eq!(Some(span.service.as_str()), self.broker.map(|(_, service)| service));
            let parent = span.parent.as_deref().and_then(|id| publishes.get(id)).expect("it has its publish");
            assert_eq!(parent.trace, span.trace);
            assert!(span.start >= parent.start && span.end >= span.start, "{parent:#?} {span:#?}");
            *residences.entry(parent.id.as_str()).or_default() += 1;
        }
        residences
    }

    /// Everything that was settled is settled once, by the process that had it.
    fn check_settlements(&self, spans: &[Span]) {
        let processes = of_kind(spans, "process ");
        let by_id: HashMap<&str, &Span> = processes.iter().map(|span| (span.id.as_str(), *span)).collect();
        let mut settled = 0;
        let is_settle = |span: &&Span| span.attribute("messaging.operation.type") == Some("settle");
        for span in spans.iter().filter(is_settle) {
            let count = span
                .attribute("messaging.batch.message_count")
                .map_or(1, |text| text.parse().expect("a count"));
            settled += count;
            let Some(parent) = span.parent.as_deref().and_then(|id| by_id.get(id)) else {
                assert!(!self.excused.is_empty(), "a settlement without its delivery: {span:#?}");
                continue;
            };
            assert_eq!(parent.trace, span.trace, "{parent:#?} {span:#?}");
            // Of what was under way when the tracer came perhaps only the broker's end is understood.
            if !self.excused.contains(&head(parent)) {
                assert_eq!(owner(parent), owner(span), "{parent:#?} {span:#?}");
            }
        }
        if self.excused.is_empty() {
            assert_eq!(settled, self.settled, "settled deliveries");
        }
    }

    /// What came together came: no message is in two receives of one program.
    fn check_receives(&self, spans: &[Span]) {
        let mut processes: HashMap<Owner, usize> = HashMap::new();
        for span in of_kind(spans, "process ") {
            *processes.entry(owner(span)).or_default() += 1;
        }
        let receives = of_kind(spans, "receive ");
        for span in &receives {
            let count = span.attribute("messaging.batch.message_count").and_then(|text| text.parse().ok());
            let count: usize = count.expect("a receive has a count");
            assert!(count > 1, "one message alone: {span:#?}");
            assert!(span.end >= span.start, "{span:#?}");
            let left = processes.get_mut(&owner(span)).and_then(|left| {
                *left = left.checked_sub(count)?;
                Some(*left)
            });
            assert!(left.is_some(), "more was received than handled: {span:#?}");
        }
    }

    /// Both sides have the same messages equally often.
    fn same(&self, what: &str, truth: &[Known], spans: &[&Span]) {
        type Key = (Owner, Entry);
        let known = |owner: Owner| match owner {
            Owner::Remote(_) if self.nameless => Owner::Remote(String::new()),
            owner => owner,
        };
        let mut difference: BTreeMap<Key, i64> = BTreeMap::new();
        // Which attribute has the id depends on the way of the message.
        let mut attributes: HashMap<&str, &'static str> = HashMap::new();
        for Known { owner, entry, id } in truth {
            attributes.extend(id.map(|id| (entry.destination.as_str(), id)));
            let id = entry.id.clone().filter(|_| id.is_some());
            *difference.entry((known(owner.clone()), Entry { id, ..entry.clone() })).or_default() += 1;
        }
        for span in spans {
            let id = attributes.get(destination(span)).and_then(|key| span.attribute(key)).map(str::to_owned);
            let (destination, size, head) = (destination(span).to_owned(), size(span), head(span));
            *difference.entry((known(owner(span)), Entry { destination, size, head, id })).or_default() -= 1;
        }
        difference.retain(|(_, entry), count| *count != 0 && !self.excused.contains(&entry.head));
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
}

fn size(span: &Span) -> usize {
    let size = span.attribute("messaging.message.body.size").and_then(|size| size.parse().ok());
    size.unwrap_or_else(|| panic!("a message without a size: {span:#?}"))
}

/// The first word of its body.
pub(crate) fn head(span: &Span) -> String {
    tracer_tests::message::head(span.attribute("iotrail.payload.text").unwrap_or_default().as_bytes())
}
