//! Attached in the middle, one side only, by name, over IPv6 and unix sockets: the same truth.

use super::check::{Owner, Truth, of_kind};
use super::site::{Site, trace};

/// Three messages before the tracer comes, five while it is there, on connections that were there before it. `clients`: only
/// these are looked at.
fn in_the_middle(more: &[&str], clients: bool) {
    let site = Site::new();
    let mut subscriber = site.subscriber("sub", "t/#", 1, 8);
    let mut publisher = site.publisher("pub", "t/x", 1);
    publisher.give_numbers(0..3, 40);
    subscriber.wait_for(3);
    let (selector, sub, of) = (site.selector(), subscriber.pid().to_string(), publisher.pid().to_string());
    let mut arguments = vec!["--broker", &selector, "--payload", "full"];
    arguments.extend(more);
    if clients {
        arguments.extend(["--pid", &sub, "--pid", &of]);
    }
    let tracer = trace(&arguments);
    publisher.give_numbers(3..8, 40);
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop();
    let truth = if clients { Truth::default() } else { Truth::whole(site.broker.process.pid()) };
    truth
        .sent(Owner::Process(publisher.pid()), &publisher.given()[3..])
        .received(Owner::Process(subscriber.pid()), &subscriber.log()[3..], true)
        .check(&outcome.spans);
}

#[test]
fn attached_in_the_middle_of_connections() {
    in_the_middle(&[], false);
}

#[test]
fn attached_in_the_middle_of_connections_without_btf() {
    in_the_middle(&["--no-btf"], false);
}

#[test]
fn attached_in_the_middle_at_the_clients() {
    in_the_middle(&[], true);
}

/// Who connected before is known by address only.
#[test]
fn attached_in_the_middle_at_the_broker() {
    let site = Site::new();
    let mut subscriber = site.subscriber("sub", "t/#", 1, 20);
    let mut publisher = site.publisher("pub", "t/x", 2);
    publisher.give_numbers(0..3, 40);
    subscriber.wait_for(3);
    let pid = site.broker.process.pid().to_string();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full", "--pid", &pid]);
    publisher.give_numbers(3..20, 40);
    publisher.finish();
    subscriber.finish();
    site.wait_for_log_of("sub", "disconnected.");
    let outcome = tracer.stop();
    let publishes = of_kind(&outcome.spans, "publish ");
    for (kind, expected) in [("publish ", &publisher.given()[3..]), ("process ", &subscriber.log()[3..])] {
        let spans = of_kind(&outcome.spans, kind);
        let mut lines: Vec<_> = spans.iter().map(|span| super::check::line(span)).collect();
        lines.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(lines, expected, "{kind}");
        assert!(spans.iter().all(|span| matches!(super::check::owner(span), Owner::Remote(_))), "{spans:#?}");
    }
    for process in of_kind(&outcome.spans, "process ") {
        let parent = publishes.iter().find(|publish| Some(&publish.id) == process.parent.as_ref());
        let parent = parent.unwrap_or_else(|| panic!("of no publish: {process:#?}"));
        assert_eq!(super::check::line(parent).head, super::check::line(process).head);
    }
}

#[test]
fn attached_in_the_middle_of_a_flood() {
    let site = Site::new();
    let mut subscriber = site.rumqtt("sub", 0, 6000, &["subscribe", "--topic", "t"]);
    let mut publisher = site.rumqtt("pub", 1, 6000, &["publish", "--topic", "t", "--size", "700", "--held"]);
    publisher.tell("go");
    // Half of them are on their way while the tracer starts; it sees the end of these and all of the others.
    let selector = site.selector();
    let arguments = ["--broker", &selector, "--payload", "head:64", "--ring", "131072"];
    let tracer = trace(&arguments);
    subscriber.wait_for(3000);
    publisher.tell("go on");
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop();
    assert_eq!(outcome.count("kernel.data_ring_full"), 0);
    let late = |span: &&tracer_tests::otlp::Span| {
        super::check::line(span).head[4..].parse::<u64>().expect("a number") >= 3000
    };
    for kind in ["publish ", "process "] {
        let spans = of_kind(&outcome.spans, kind);
        assert_eq!(spans.iter().copied().filter(late).count(), 3000, "{kind}of {}", spans.len());
    }
    // Nobody is linked to anybody else's message.
    let late_ids: std::collections::HashSet<_> =
        of_kind(&outcome.spans, "p").into_iter().filter(late).map(|span| span.id.clone()).collect();
    let is_late = |span: &&tracer_tests::otlp::Span| {
        late_ids.contains(&span.id)
            || span.name.starts_with("broker ")
                && span.parent.as_ref().is_some_and(|parent| late_ids.contains(parent))
    };
    let late: Vec<_> = outcome.spans.iter().filter(is_late).cloned().collect();
    let known = |lines: Vec<super::site::Line>| -> Vec<_> { lines.into_iter().skip(3000).collect() };
    Truth::whole(site.broker.process.pid())
        .sent(Owner::Process(publisher.pid()), &known(publisher.log()))
        .received(Owner::Process(subscriber.pid()), &known(subscriber.log()), false)
        .check_messages(&late);
}

#[test]
fn clients_alone() {
    let site = Site::new();
    let mut subscriber = site.subscriber("sub", "t/+", 1, 20);
    let mut publisher = site.publisher("pub", "t/x", 2);
    let (sub, of) = (subscriber.pid().to_string(), publisher.pid().to_string());
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full", "--pid", &sub, "--pid", &of]);
    publisher.give_numbers(0..20, 40);
    publisher.finish();
    subscriber.finish();
    Truth::default().publisher(&publisher).subscriber(&subscriber, 1).check(&tracer.stop().spans);
}

#[test]
fn clients_alone_by_name() {
    let site = Site::new();
    let tracer = trace(&[
        "--broker",
        &site.selector(),
        "--payload",
        "full",
        "--comm",
        "mosquitto_sub",
        "--comm",
        "mosquitto_pub",
    ]);
    let mut subscriber = site.subscriber("sub", "t/+", 0, 20);
    let mut publisher = site.publisher("pub", "t/x", 0);
    publisher.give_numbers(0..20, 40);
    publisher.finish();
    subscriber.finish();
    Truth::default().publisher(&publisher).subscriber(&subscriber, 0).check(&tracer.stop().spans);
}

/// From the broker alone, each client is a resource of its own, named as it calls itself.
fn broker_alone(more: &[&str]) {
    let site = Site::new();
    let (selector, pid) = (site.selector(), site.broker.process.pid().to_string());
    let mut arguments = vec!["--broker", &selector, "--payload", "full", "--pid", &pid];
    arguments.extend(more);
    let tracer = trace(&arguments);
    let mut subscribers = [site.subscriber("one", "t/#", 0, 12), site.subscriber("two", "t/#", 2, 12)];
    let mut publisher = site.publisher("three", "t/x", 1);
    publisher.give_numbers(0..12, 40);
    publisher.finish();
    let mut truth = Truth::whole(site.broker.process.pid());
    truth = truth.sent(Owner::Remote("three".to_owned()), publisher.given());
    for (client, acknowledged) in subscribers.iter_mut().zip([false, true]) {
        client.finish();
        truth = truth.received(Owner::Remote(client.id.clone()), &client.log(), acknowledged);
    }
    // The last acknowledgement comes after its sender has ended: the broker is still to read it.
    site.wait_for_log_of("one", "disconnected.");
    site.wait_for_log_of("two", "disconnected.");
    let outcome = tracer.stop();
    truth.check(&outcome.spans);
}

#[test]
fn the_broker_alone() {
    broker_alone(&[]);
}

#[test]
fn the_broker_alone_without_btf() {
    broker_alone(&["--no-btf"]);
}

#[test]
fn over_ipv6_and_unix_sockets() {
    let folder = crate::support::Folder::new();
    let socket = folder.path().join("mqtt.sock");
    let socket = socket.to_str().expect("it is text");
    let port = tracer_tests::broker::free_port().expect("a port is free");
    let site = Site::on(port, &format!("listener {port} ::1\nlistener 0 {socket}"));
    let unix = format!("mqtt:{socket}");
    let tracer = trace(&["--broker", &site.selector(), "--broker", &unix, "--payload", "full"]);
    let mut subscribers = [
        site.subscriber_with("six", "t/#", 1, 21, &["-h", "::1"]),
        site.subscriber_with("unix", "t/#", 1, 21, &["--unix", socket]),
        site.subscriber("four", "t/#", 1, 21),
    ];
    let mut publishers = [
        site.publisher_with("from-six", "t/six", 1, &["-h", "::1"]),
        site.publisher_with("from-unix", "t/unix", 1, &["--unix", socket]),
        site.publisher("from-four", "t/four", 1),
    ];
    let mut truth = Truth::whole(site.broker.process.pid());
    for publisher in &mut publishers {
        publisher.give_numbers(0..7, 30);
        publisher.finish();
        truth = truth.publisher(publisher);
    }
    for subscriber in &mut subscribers {
        subscriber.finish();
        truth = truth.subscriber(subscriber, 1);
    }
    truth.check(&tracer.stop().spans);
}
