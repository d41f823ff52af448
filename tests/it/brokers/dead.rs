//! AMQP's dead letters, and requests about exchanges, queues and bindings.

use std::collections::HashMap;

use tracer_tests::otlp::Span;

use super::amqp::AMQP;
use super::check::head;
use super::runs::{self, Viewpoint};
use super::site::{Library, Site};
use crate::mqtt::check::{destination, of_kind};

const COUNT: usize = 50;

/// Checks that `spans` are `count` deliveries to that destination, each of the publish with the same body, and why it died if it did.
fn check_deliveries(spans: &[&Span], by_id: &HashMap<&str, &Span>, to: &str, died: Option<[&str; 3]>) {
    let there: Vec<_> = spans.iter().filter(|span| destination(span) == to).collect();
    assert_eq!(there.len(), COUNT, "{to}");
    let mut parents: Vec<&str> = Vec::new();
    for span in there {
        let parent = span.parent.as_deref().and_then(|id| by_id.get(id)).expect("its publish");
        assert_eq!((head(parent), &parent.trace), (head(span), &span.trace));
        parents.push(&parent.id);
        let death = |name: &str| span.attribute(&format!("iotrail.rabbitmq.x_death.{name}"));
        let [reason, queue, exchange] = died.map_or([None; 3], |died| died.map(Some));
        assert_eq!([death("reason"), death("queue"), death("exchange")], [reason, queue, exchange]);
        assert_eq!(death("count"), died.map(|_| "1"));
    }
    parents.sort_unstable();
    parents.dedup();
    assert_eq!(parents.len(), COUNT, "each of its own publish");
}

/// What is published is rejected, or expires, and is delivered from the queue of dead letters.
fn dead_letters(library: Library, viewpoint: Viewpoint) {
    let site = Site::new(&AMQP);
    let tracer = runs::start(&site, viewpoint);
    let count = COUNT.to_string();
    let subscribe = |id: &str, way: &str, from: &str| {
        site.client(library, id, way, &["subscribe", "--from", from, "--count", &count])
    };
    for way in ["reject", "expire"] {
        let name = |what: &str| format!("{way}-{what}");
        let (dlx, work) = (name("dlx"), name("work"));
        let mut dead = subscribe(&name("dead"), "each", &format!("{dlx}:#:{way}-dead"));
        let mut worker = subscribe(&work, &format!("{way}={dlx}"), &format!("{way}-x:a.*:{work}"));
        let to = format!("{way}-x:a.b");
        let messages = format!("{count}x40");
        let arguments = ["publish", "--to", &to, "--messages", &messages];
        site.client(library, &name("pub"), "confirm", &arguments).finish();
        dead.finish();
        worker.finish();
        assert_eq!((dead.log().len(), worker.log().len()), (COUNT, if way == "reject" { COUNT } else { 0 }));
    }
    let outcome = tracer.stop();
    runs::keep(&site, &outcome);
    let publishes = of_kind(&outcome.spans, "publish ");
    let processes = of_kind(&outcome.spans, "process ");
    assert_eq!((publishes.len(), processes.len()), (2 * COUNT, 3 * COUNT));
    let by_id: HashMap<&str, &Span> = publishes.iter().map(|span| (span.id.as_str(), *span)).collect();
    check_deliveries(&processes, &by_id, "reject-x:a.b:reject-work", None);
    let died = Some(["rejected", "reject-work", "reject-x"]);
    check_deliveries(&processes, &by_id, "reject-dlx:a.b:reject-dead", died);
    let died = Some(["expired", "expire-work", "expire-x"]);
    check_deliveries(&processes, &by_id, "expire-dlx:a.b:expire-dead", died);
    for name in [
        "exchange.declare expire-x",
        "queue.declare expire-work",
        "queue.bind expire-x:a.*:expire-work",
        "queue.bind reject-dlx:#:reject-dead",
    ] {
        let spans = of_kind(&outcome.spans, name);
        let [span] = spans.as_slice() else { panic!("{name}: {spans:#?}") };
        assert!(span.error.is_none() && span.end >= span.start, "{span:#?}");
        assert_eq!(span.attribute("messaging.operation.name"), name.split(' ').next());
        let from_broker = span.attribute("iotrail.viewpoint") == Some("broker");
        assert_eq!(from_broker, viewpoint == Viewpoint::Broker, "{span:#?}");
    }
}

#[test]
fn dead_letters_with_lapin() {
    dead_letters(Library::Rust, Viewpoint::Both);
}

#[test]
fn dead_letters_with_pika() {
    dead_letters(Library::Python, Viewpoint::Both);
}

#[test]
fn dead_letters_at_the_clients() {
    dead_letters(Library::Rust, Viewpoint::Clients);
}

#[test]
fn dead_letters_at_the_broker() {
    dead_letters(Library::Python, Viewpoint::Broker);
}

#[test]
fn a_queue_that_is_another_one() {
    for (library, viewpoint) in [
        (Library::Rust, Viewpoint::Both),
        (Library::Python, Viewpoint::Clients),
        (Library::Go, Viewpoint::Broker),
    ] {
        let site = Site::new(&AMQP);
        let tracer = runs::start(&site, viewpoint);
        let arguments = ["subscribe", "--from", "x:a:q", "--count", "1"];
        let mut first = site.client(Library::Rust, "first", "expire=dlx", &arguments);
        site.begin(library, "second", "each", &arguments).fail();
        first.finish();
        let outcome = tracer.stop();
        runs::keep(&site, &outcome);
        let declared = of_kind(&outcome.spans, "queue.declare q");
        let [refused] = declared.iter().filter(|span| span.error.is_some()).collect::<Vec<_>>()[..] else {
            panic!("{declared:#?}")
        };
        assert_eq!(declared.len(), 2);
        assert_eq!(refused.error.as_deref(), Some("PRECONDITION_FAILED"));
        assert_eq!(refused.attribute("iotrail.rabbitmq.queue"), Some("q"));
    }
}
