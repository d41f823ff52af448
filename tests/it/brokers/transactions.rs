//! Kafka's transactions: what is aborted failed, reaches nobody who wants what is committed, and settles nothing.

use std::collections::{HashMap, HashSet};

use tracer_tests::otlp::Span;

use super::check::head;
use super::kafka::{KAFKA, has_java};
use super::runs::{Viewpoint, keep, start};
use super::site::{Client, Library, Site};
use crate::mqtt::check::{Owner, destination, of_kind, owner};

/// What the clients do: of transactions of five messages each every second one is aborted.
const TOGETHER: usize = 5;
const MESSAGES: &str = "30x24";
const ALL: usize = 30;
const COMMITTED: usize = 15;
/// Messages that are copied in a transaction each; the first try of every third is aborted.
const COPIED: &str = "7x24";
const COPIES: usize = 7;
/// What an aborted message failed of.
const ABORTED: &str = "TRANSACTION_ABORTED";

pub(super) fn seen(client: &Client, viewpoint: Viewpoint) -> Owner {
    match viewpoint {
        Viewpoint::Broker => Owner::Remote(client.id.clone()),
        Viewpoint::Both | Viewpoint::Clients => Owner::Process(client.pid()),
    }
}

/// How often there is each message, by name.
pub(super) fn counted(heads: impl Iterator<Item = String>) -> HashMap<String, usize> {
    heads.fold(HashMap::new(), |mut counts, head| {
        *counts.entry(head).or_default() += 1;
        counts
    })
}

/// A client's spans that begin so, and go there.
pub(super) fn of<'a>(spans: &'a [Span], kind: &str, who: &Owner, to: &str) -> Vec<&'a Span> {
    let mut found = of_kind(spans, kind);
    found.retain(|span| owner(span) == *who && destination(span) == to);
    found
}

fn aborted(span: &Span) -> bool {
    assert!(span.error.is_none() || span.error.as_deref() == Some(ABORTED), "{span:#?}");
    span.error.is_some()
}

/// Every message of a publisher once, and those that failed that were aborted.
fn published(spans: &[Span], who: &Owner, client: &Client, to: &str, is_aborted: impl Fn(&str) -> bool) {
    let publishes = of(spans, "publish ", who, to);
    let log: Vec<_> = client.log().into_iter().filter(|entry| entry.destination == to).collect();
    assert_eq!(
        counted(publishes.iter().map(|span| head(span))),
        counted(log.into_iter().map(|entry| entry.head)),
        "{}",
        client.id
    );
    for span in publishes {
        assert_eq!(aborted(span), is_aborted(&head(span)), "{span:#?}");
        assert_eq!(span.attribute("iotrail.kafka.transaction"), Some(client.id.as_str()));
    }
}

/// Every message that a subscriber logged, each once, from its publish.
fn received(spans: &[Span], who: &Owner, client: &Client, from: &str) {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let processes = of(spans, "process ", who, from);
    let log = client.log();
    assert_eq!(
        counted(processes.iter().map(|span| head(span))),
        counted(log.into_iter().map(|entry| entry.head)),
        "{}",
        client.id
    );
    for span in processes {
        let publish = span.parent.as_deref().and_then(|id| by_id.get(id)).expect("it has its publish");
        assert_eq!(head(publish), head(span));
    }
}

/// Committed and aborted, seen by those who want what is committed and those who want all.
fn ends(viewpoint: Viewpoint) {
    if !has_java() {
        return;
    }
    let site = Site::new(&KAFKA);
    let tracer = start(&site, viewpoint);
    let mut flows = Vec::new();
    for library in [Library::Java, Library::Python] {
        let topic = format!("{library:?}").to_lowercase();
        let subscribe = |number: usize, library, way, count: usize| {
            let (id, count) = (format!("{topic}-sub{number}"), count.to_string());
            site.client(
                library,
                &id,
                way,
                &["subscribe", "--from", &topic, "--count", &count, "--group", &id],
            )
        };
        let subscribers = vec![
            subscribe(0, Library::Python, "", COMMITTED),
            subscribe(1, Library::Java, "committed", COMMITTED),
            subscribe(2, Library::Java, "", ALL),
        ];
        let arguments = ["publish", "--to", &topic, "--messages", MESSAGES];
        let publisher = site.client(library, &format!("{topic}-pub"), "transactions", &arguments);
        flows.push((topic.clone(), publisher, subscribers));
    }
    for (_, publisher, subscribers) in &mut flows {
        publisher.finish();
        subscribers.iter_mut().for_each(Client::finish);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    for (topic, publisher, subscribers) in &flows {
        let is_aborted = |head: &str| {
            let number = head.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
            number.expect("a number") / TOGETHER % 2 == 1
        };
        published(&outcome.spans, &seen(publisher, viewpoint), publisher, topic, is_aborted);
        for subscriber in subscribers {
            received(&outcome.spans, &seen(subscriber, viewpoint), subscriber, topic);
        }
    }
}

/// A program that reads, publishes and commits what it read in one transaction.
fn copies(viewpoint: Viewpoint) {
    if !has_java() {
        return;
    }
    let site = Site::new(&KAFKA);
    let tracer = start(&site, viewpoint);
    let mut flows = Vec::new();
    for library in [Library::Java, Library::Python] {
        let name = format!("{library:?}").to_lowercase();
        let (from, to) = (format!("{name}-in"), format!("{name}-out"));
        let (copier, sink) = (format!("{name}-copy"), format!("{name}-sink"));
        let count = COPIES.to_string();
        let arguments = ["subscribe", "--from", &to, "--count", &count, "--group", &sink];
        let sink = site.client(Library::Python, &sink, "", &arguments);
        let arguments = ["subscribe", "--from", &from, "--count", &count, "--group", &copier];
        let copier = site.client(library, &copier, &format!("copy={to}"), &arguments);
        let arguments = ["publish", "--to", &from, "--messages", COPIED];
        let publisher = site.client(Library::Rust, &format!("{name}-pub"), "", &arguments);
        flows.push((from, to, publisher, copier, sink));
    }
    for (_, _, publisher, copier, sink) in &mut flows {
        publisher.finish();
        copier.finish();
        sink.finish();
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    for (from, to, _, copier, sink) in &flows {
        let who = seen(copier, viewpoint);
        published(&outcome.spans, &who, copier, to, |head| head.starts_with("aborted-"));
        received(&outcome.spans, &seen(sink, viewpoint), sink, to);
        // What was fetched and not looked at before the program went back is fetched again: at least what it logged.
        let log: Vec<_> = copier.log().into_iter().filter(|entry| entry.destination == *from).collect();
        let processes = of(&outcome.spans, "process ", &who, from);
        let fetched = counted(processes.iter().map(|span| head(span)));
        for (head, times) in counted(log.into_iter().map(|entry| entry.head)) {
            assert!(fetched.get(&head).is_some_and(|fetched| *fetched >= times), "{head}: {fetched:?}");
        }
        // Its aborted tries failed, if that came before the program had long been back to read; their commits did in any case.
        let tries: HashSet<_> = copier.log().into_iter().map(|entry| entry.head).collect();
        for span in processes.iter().filter(|span| aborted(span)) {
            assert!(tries.contains(&format!("aborted-{}", head(span))), "{span:#?}");
        }
        let (bad, good): (Vec<_>, Vec<_>) =
            of(&outcome.spans, "commit ", &who, from).into_iter().partition(|span| aborted(span));
        assert_eq!((good.len(), bad.len()), (COPIES, COPIES / 3), "{good:#?} {bad:#?}");
        let parents: HashSet<_> = good.iter().map(|span| span.parent.as_deref()).collect();
        assert_eq!(parents.len(), COPIES);
    }
}

#[test]
fn committed_and_aborted() {
    ends(Viewpoint::Both);
}

#[test]
fn committed_and_aborted_at_the_broker() {
    ends(Viewpoint::Broker);
}

#[test]
fn committed_and_aborted_at_the_clients() {
    ends(Viewpoint::Clients);
}

#[test]
fn consumed_and_produced() {
    copies(Viewpoint::Both);
}

#[test]
fn consumed_and_produced_at_the_broker() {
    copies(Viewpoint::Broker);
}

#[test]
fn consumed_and_produced_at_the_clients() {
    copies(Viewpoint::Clients);
}
