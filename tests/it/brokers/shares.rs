//! Kafka's share groups: what a member acquires is delivered to it, and settled as it says.

use std::collections::HashMap;

use tracer_tests::otlp::Span;

use super::check::head;
use super::kafka::{KAFKA, has_java};
use super::runs::{Viewpoint, keep, start};
use super::site::{Client, Library, Site};
use super::transactions::{counted, of, seen};
use crate::mqtt::check::{Owner, of_kind};

const MESSAGES: &str = "20x24";
/// How many are accepted or rejected in the end.
const COUNT: &str = "20";
const TOPIC: &str = "shared";
/// What a member can do with a message; all but the first mean that it is not well.
const WAYS: [&str; 3] = ["accept", "release", "reject"];

/// What a member logged and what was seen of it.
fn check(spans: &[Span], member: &Client, who: &Owner) {
    let log = |to: &str| {
        let entries = member.log().into_iter().filter(|entry| entry.destination == to);
        counted(entries.map(|entry| entry.head))
    };
    let processes = of(spans, "process ", who, TOPIC);
    assert_eq!(counted(processes.iter().map(|span| head(span))), log(TOPIC), "{}", member.id);
    let publishes = of_kind(spans, "publish ");
    let by_id: HashMap<&str, &Span> = publishes.iter().map(|span| (span.id.as_str(), *span)).collect();
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut in_order = processes;
    in_order.sort_by_key(|span| span.start);
    for span in in_order {
        let publish = span.parent.as_deref().and_then(|id| by_id.get(id)).expect("it has its publish");
        assert_eq!(head(publish), head(span));
        // The first delivery, or one of those after a release.
        let time = times.entry(head(span)).or_default();
        *time += 1;
        assert_eq!(
            span.attribute("iotrail.kafka.delivery_count"),
            Some(time.to_string().as_str()),
            "{span:#?}"
        );
        assert!(
            span.error.as_deref().is_none_or(|way| log(way).contains_key(&head(span))),
            "settled another way: {span:#?}"
        );
        assert_eq!(span.attribute("messaging.consumer.group.name"), Some(member.id.as_str()));
    }
    for (index, way) in WAYS.into_iter().enumerate() {
        let settles = of(spans, &format!("{way} "), who, TOPIC);
        let count = |span: &&Span| {
            span.attribute("messaging.batch.message_count")
                .map_or(1, |count| count.parse().expect("a number"))
        };
        let settled: usize = settles.iter().map(count).sum();
        assert_eq!(settled, log(way).values().sum::<usize>(), "{}: {way}", member.id);
        assert!(
            settles.iter().all(|span| span.error.as_deref() == (index > 0).then_some(way)),
            "{settles:#?}"
        );
    }
}

/// A member that settles along with its next fetch, and one that settles at once.
fn members(viewpoint: Viewpoint) {
    if !has_java() {
        return;
    }
    let site = Site::new(&KAFKA);
    let tracer = start(&site, viewpoint);
    let member = |id: &str| {
        let arguments = ["subscribe", "--from", TOPIC, "--count", COUNT, "--group", id];
        site.client(Library::Java, id, "share", &arguments)
    };
    let mut members = [member("member-along"), member("member-sync")];
    let arguments = ["publish", "--to", TOPIC, "--messages", MESSAGES, "--period", "20"];
    site.client(Library::Rust, "publisher", "", &arguments).finish();
    members.iter_mut().for_each(Client::finish);
    let outcome = tracer.stop();
    keep(&site, &outcome);
    for member in &members {
        check(&outcome.spans, member, &seen(member, viewpoint));
    }
}

#[test]
fn share_groups() {
    members(Viewpoint::Both);
}

#[test]
fn share_groups_at_the_broker() {
    members(Viewpoint::Broker);
}

#[test]
fn share_groups_at_the_clients() {
    members(Viewpoint::Clients);
}
