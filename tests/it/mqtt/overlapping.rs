//! Subscriptions of one client that cover the same topic: the broker sends a copy for each.

use std::collections::HashMap;

use tracer_tests::otlp::Span;

use super::check::{Owner, Truth, of_kind};
use super::site::{Site, trace};
use super::version5::paho;

const COUNT: usize = 100;
/// Two subscriptions with an identifier and one without.
const FILTERS: &str = "7=o/#,8=o/+,0=o/x";
const COPIES: usize = 3;

/// Through which subscription a delivery came, as its span says.
fn through(span: &Span) -> &str {
    span.attribute("iotrail.mqtt.subscription_identifiers").unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq)]
enum Whom {
    Everybody,
    Clients,
    Broker,
}

fn equal_bodies(whom: Whom) {
    let site = Site::new();
    let selector = site.selector();
    let traced = |pids: &[u32]| {
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        let mut arguments = vec!["--broker", selector.as_str(), "--payload", "full"];
        arguments.extend(pids.iter().flat_map(|pid| ["--pid", pid.as_str()]));
        trace(&arguments)
    };
    let broker = site.broker.process.pid();
    // Only who connects later tells it a name.
    let early = (whom == Whom::Broker).then(|| traced(&[broker]));
    let copies = (COUNT * COPIES).to_string();
    let mut subscriber = paho(&site, "subscribe", "tcp", site.broker.port, "sub", FILTERS, &["1", &copies]);
    let mut publisher = site.publisher("pub", "o/x", 1);
    let clients = [publisher.pid(), subscriber.pid()];
    let tracer = early.unwrap_or_else(|| traced(if whom == Whom::Clients { &clients } else { &[] }));
    // A few at once, and pauses.
    for _ in 0..COUNT / 10 {
        for _ in 0..10 {
            publisher.give(b"the same");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop();
    assert_eq!(subscriber.log().len(), COUNT * COPIES, "what the client says");
    let name = |client: &super::site::Client| match whom {
        Whom::Broker => Owner::Remote(client.id.clone()),
        Whom::Everybody | Whom::Clients => Owner::Process(client.pid()),
    };
    let brokers = if whom == Whom::Clients { Vec::new() } else { vec![broker] };
    Truth::with(brokers)
        .sent(name(&publisher), publisher.given())
        .received(name(&subscriber), &subscriber.log(), true)
        .check_messages(&outcome.spans);
    let mut publishes = of_kind(&outcome.spans, "publish ");
    publishes.sort_by_key(|span| span.start);
    let number: HashMap<&str, usize> =
        publishes.iter().enumerate().map(|(number, span)| (span.id.as_str(), number)).collect();
    let mut feeds: HashMap<&str, Vec<&Span>> = HashMap::new();
    for span in of_kind(&outcome.spans, "process ") {
        feeds.entry(through(span)).or_default().push(span);
    }
    assert_eq!(feeds.len(), COPIES, "{:?}", feeds.keys());
    for (feed, mut deliveries) in feeds {
        deliveries.sort_by_key(|span| span.start);
        let of: Vec<_> =
            deliveries.iter().map(|span| number[span.parent.as_deref().expect("its publish")]).collect();
        assert_eq!(of, (0..COUNT).collect::<Vec<_>>(), "in order, each once, through {feed:?}");
    }
}

#[test]
fn equal_messages_through_overlapping_subscriptions() {
    equal_bodies(Whom::Everybody);
}

#[test]
fn equal_messages_through_overlapping_subscriptions_at_the_clients() {
    equal_bodies(Whom::Clients);
}

#[test]
fn equal_messages_through_overlapping_subscriptions_at_the_broker() {
    equal_bodies(Whom::Broker);
}
