//! OpenSSL at both ends, at one end, mid-stream, and in several shapes.

use super::certificates::Encrypted;
use crate::mqtt::check::{Owner, Truth, of_kind};
use crate::support::Outcome;

fn nothing_strange(outcome: &Outcome) {
    for name in ["kernel.data_ring_full", "undecoded", "proto.invalid", "proto.gave_up", "tls.unplaced"] {
        assert_eq!(outcome.count(name), 0, "{name}");
    }
}

#[test]
fn every_message_between_openssl_and_openssl() {
    let broker = Encrypted::new();
    let site = &broker.site;
    let options = broker.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // One that was there before.
    let mut early = site.subscriber_with("early", "tls/+", 0, 39, &options);
    let tracer = broker.trace(&[]);
    let mut truth = Truth::whole(site.broker.process.pid());
    for qos in 0..3u8 {
        let topic = format!("tls/qos{qos}");
        let subscriber = site.subscriber_with(&format!("sub{qos}"), &topic, qos, 13, &options);
        let mut publisher = site.publisher_with(&format!("pub{qos}"), &topic, qos, &options);
        publisher.give_numbers(0..10, 20);
        publisher.give_numbers(10..13, 3 << 10);
        publisher.finish();
        truth = truth.publisher(&publisher);
        let mut subscriber = subscriber;
        subscriber.finish();
        truth = truth.subscriber(&subscriber, qos);
    }
    early.finish();
    truth = truth.subscriber(&early, 0);
    let outcome = tracer.stop();
    truth.check(&outcome.spans);
    nothing_strange(&outcome);
    assert_eq!(outcome.count("tls.readable"), outcome.count("tls.connections"));
    assert!(of_kind(&outcome.spans, "encrypted ").is_empty());
}

/// Without BTF a socket is known by its descriptor alone.
#[test]
fn every_message_without_btf() {
    let broker = Encrypted::new();
    let options = broker.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let tracer = broker.trace(&["--no-btf"]);
    let mut subscriber = broker.site.subscriber_with("sub", "tls/a", 1, 10, &options);
    let mut publisher = broker.site.publisher_with("pub", "tls/a", 1, &options);
    publisher.give_numbers(0..10, 20);
    publisher.finish();
    subscriber.finish();
    let truth = Truth::whole(broker.site.broker.process.pid());
    truth.publisher(&publisher).subscriber(&subscriber, 1).check(&tracer.stop().spans);
}

#[test]
fn the_broker_alone_or_a_client_alone_is_enough() {
    for broker_side in [true, false] {
        let broker = Encrypted::new();
        let options = broker.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let tracer = if broker_side {
            broker.trace(&["--pid", &broker.site.broker.process.pid().to_string()])
        } else {
            broker.trace(&["--comm", "mosquitto_pub"])
        };
        let mut subscriber = broker.site.subscriber_with("sub", "tls/a", 0, 5, &options);
        let mut publisher = broker.site.publisher_with("pub", "tls/a", 0, &options);
        publisher.give_numbers(0..5, 20);
        publisher.finish();
        subscriber.finish();
        let outcome = tracer.stop();
        if broker_side {
            let truth = Truth::whole(broker.site.broker.process.pid());
            let truth = truth.sent(Owner::Remote("pub".to_owned()), publisher.given());
            let truth = truth.received(Owner::Remote("sub".to_owned()), &subscriber.log(), false);
            truth.check(&outcome.spans);
        } else {
            Truth::default().publisher(&publisher).check_messages(&outcome.spans);
        }
        nothing_strange(&outcome);
    }
}

#[test]
fn told_not_to_nothing_is_hooked() {
    let broker = Encrypted::new();
    let options = broker.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let tracer = broker.trace(&["--no-tls"]);
    let mut publisher = broker.site.publisher_with("pub", "tls/a", 1, &options);
    publisher.give_numbers(0..3, 20);
    publisher.finish();
    let outcome = tracer.stop();
    assert_eq!((outcome.count("kernel.tls"), outcome.count("publishes")), (0, 0));
    assert!(outcome.count("tls.connections") >= 2);
}
