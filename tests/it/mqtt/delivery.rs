//! Who gets what: wildcards, several publishers, equal messages, kept messages, wills.

use nix::sys::signal::Signal;
use tracer_tests::otlp::Span;

use super::check::{Owner, Truth, destination, line, of_kind};
use super::site::{Line, Site, trace};
use crate::support::PATIENCE;

#[test]
fn wildcards_and_several_publishers() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut all = site.subscriber("all", "plant/#", 1, 90);
    let mut one = site.subscriber("level", "plant/+/temperature", 0, 60);
    let mut two = site.subscriber("exact", "plant/b/temperature", 2, 30);
    let mut publishers = [
        site.publisher("a", "plant/a/temperature", 1),
        site.publisher("b", "plant/b/temperature", 0),
        site.publisher("c", "plant/c/pressure", 2),
    ];
    // All at once, so that their messages cross in the broker.
    for number in 0..30 {
        for publisher in &mut publishers {
            publisher.give_numbers(number..number + 1, 25);
        }
    }
    let mut truth = Truth::whole(site.broker.process.pid());
    for publisher in &mut publishers {
        publisher.finish();
        truth = truth.publisher(publisher);
    }
    all.finish();
    one.finish();
    two.finish();
    let acknowledged = all.log().iter().filter(|line| !line.topic.contains("/b/")).count();
    truth = truth.subscriber(&all, 0).subscriber(&one, 0).subscriber(&two, 0);
    truth.acknowledged = acknowledged;
    truth.check(&tracer.stop().spans);
}

/// The k-th of several equal messages is the k-th that is delivered: by order, and none before it was sent.
fn equal(more: &[&str]) {
    let site = Site::new();
    let selector = site.selector();
    let mut arguments = vec!["--broker", &selector, "--payload", "full"];
    arguments.extend(more);
    let tracer = trace(&arguments);
    let mut subscribers = [site.subscriber("sub1", "t", 0, 50), site.subscriber("sub2", "t", 1, 50)];
    let mut publisher = site.publisher("pub", "t", 1);
    for _ in 0..50 {
        publisher.give(b"ON");
    }
    publisher.finish();
    let mut truth = Truth::whole(site.broker.process.pid()).publisher(&publisher);
    for (subscriber, qos) in subscribers.iter_mut().zip([0, 1]) {
        subscriber.finish();
        truth = truth.subscriber(subscriber, qos);
    }
    let spans = tracer.stop().spans;
    truth.check(&spans);
    let in_order = |mut spans: Vec<&Span>| -> Vec<(String, Option<String>)> {
        spans.sort_by_key(|span| span.start);
        spans.into_iter().map(|span| (span.id.clone(), span.parent.clone())).collect()
    };
    let sent = in_order(of_kind(&spans, "publish "));
    for subscriber in &subscribers {
        let own = of_kind(&spans, "process ").into_iter().filter(|span| span.pid() == Some(subscriber.pid()));
        let received = in_order(own.collect());
        for (number, (sent, received)) in sent.iter().zip(&received).enumerate() {
            assert_eq!(received.1.as_ref(), Some(&sent.0), "delivery {number} to {}", subscriber.id);
        }
    }
}

#[test]
fn equal_messages_in_a_row() {
    equal(&[]);
}

#[test]
fn equal_messages_in_a_row_without_btf() {
    equal(&["--no-btf"]);
}

#[test]
fn empty_messages_and_clients_for_one_message_each() {
    one_message_each(&[]);
}

#[test]
fn empty_messages_and_clients_for_one_message_each_without_btf() {
    one_message_each(&["--no-btf"]);
}

fn one_message_each(more: &[&str]) {
    let site = Site::new();
    let selector = site.selector();
    let mut arguments = vec!["--broker", &selector, "--payload", "full"];
    arguments.extend(more);
    let tracer = trace(&arguments);
    let mut subscriber = site.subscriber("sub", "#", 0, 12);
    let mut truth = Truth::whole(site.broker.process.pid());
    for number in 0..12 {
        // One program run after the other, as shell scripts do it.
        let (id, topic) = (format!("once{number}"), format!("t/{number}"));
        let body = if number % 2 == 0 { String::new() } else { format!("value-{number}") };
        let mut command = std::process::Command::new("mosquitto_pub");
        command.args(["-p", &site.broker.port.to_string(), "-i", &id, "-t", &topic]);
        if body.is_empty() {
            command.arg("-n")
        } else {
            command.args(["-m", &body])
        };
        let mut client = site.start(&id, &topic, &mut command);
        client.finish();
        truth = truth.sent(Owner::Process(client.pid()), &[Line { topic, size: body.len(), head: body }]);
    }
    subscriber.finish();
    truth.subscriber(&subscriber, 0).check(&tracer.stop().spans);
}

#[test]
fn kept_messages_come_when_somebody_subscribes() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut publisher = site.publisher_with("pub", "state/door", 1, &["-r"]);
    publisher.give_numbers(0..3, 20);
    publisher.finish();
    let mut early = site.subscriber("early", "state/#", 1, 1);
    early.finish();
    let mut late = site.subscriber("late", "state/+", 0, 1);
    late.finish();
    let last = &publisher.given()[2..];
    assert_eq!((early.log().as_slice(), late.log().as_slice()), (last, last));
    let spans = tracer.stop().spans;
    Truth::whole(site.broker.process.pid())
        .publisher(&publisher)
        .subscriber(&early, 1)
        .subscriber(&late, 0)
        .check(&spans);
    for span in of_kind(&spans, "process ") {
        assert_eq!(span.attribute("iotrail.mqtt.retain"), Some("true"));
    }
}

#[test]
fn a_killed_clients_will_is_its_publish() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut watcher = site.subscriber("watcher", "gone/#", 1, 2);
    let will = ["--will-topic", "gone/pub", "--will-payload", "gone-1", "--will-qos", "1"];
    let mut victim = site.publisher_with("victim", "t/x", 1, &will);
    victim.give_numbers(0..1, 20);
    let clean = ["--will-topic", "gone/clean", "--will-payload", "never", "--will-qos", "1"];
    let mut clean = site.publisher_with("clean", "gone/message", 1, &clean);
    clean.give_numbers(0..1, 20);
    clean.finish();
    watcher.wait_for(1);
    site.wait_for_log_of("victim", "");
    victim.process.stop(Signal::SIGKILL, PATIENCE).expect("it dies");
    watcher.finish();
    let spans = tracer.stop().spans;
    let will = Line { topic: "gone/pub".to_owned(), size: 6, head: "gone-1".to_owned() };
    let publishes = of_kind(&spans, "publish ");
    let published: Vec<&&Span> = publishes.iter().filter(|span| destination(span) == "gone/pub").collect();
    let [published] = published.as_slice() else { panic!("one will: {publishes:#?}") };
    assert_eq!((line(published), published.pid()), (will, Some(victim.pid())));
    let process = of_kind(&spans, "process gone/pub");
    let [process] = process.as_slice() else { panic!("delivered once: {process:#?}") };
    assert_eq!((process.parent.as_ref(), &process.trace), (Some(&published.id), &published.trace));
    assert_eq!(process.pid(), Some(watcher.pid()));
    assert_eq!(publishes.len(), 3, "{publishes:#?}");
}
