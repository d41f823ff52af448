//! Every message in is every span out: qualities of service, sizes, subscribers, speeds.

use super::check::{Truth, of_kind};
use super::site::{Site, trace};
use crate::support::Tracer;

/// Every QoS between every pair, small and large bodies, to three subscribers; with and without BTF.
fn qualities(more: &[&str]) {
    let site = Site::new();
    let selector = site.selector();
    let mut arguments = vec!["--broker", &selector, "--payload", "full"];
    arguments.extend(more);
    let tracer = Tracer::start(&arguments);
    let mut truth = Truth::whole(site.broker.process.pid());
    for qos in 0..3u8 {
        let topic = format!("t/qos{qos}");
        let subscribers: Vec<_> =
            (0..3u8).map(|of| (of, site.subscriber(&format!("sub{qos}{of}"), &topic, of, 14))).collect();
        let mut publisher = site.publisher(&format!("pub{qos}"), &topic, qos);
        publisher.give_numbers(0..10, 20);
        publisher.give_numbers(10..13, 5 << 10);
        publisher.give_numbers(13..14, 1 << 20);
        publisher.finish();
        truth = truth.publisher(&publisher);
        for (of, mut subscriber) in subscribers {
            subscriber.finish();
            truth = truth.subscriber(&subscriber, of.min(qos));
        }
    }
    let outcome = tracer.stop();
    truth.check(&outcome.spans);
    assert_eq!(outcome.count("kernel.data_ring_full"), 0);
    for name in ["undecoded", "proto.invalid", "proto.gave_up"] {
        assert_eq!(outcome.count(name), 0, "{name}");
    }
}

#[test]
fn qualities_sizes_and_subscribers() {
    qualities(&[]);
}

#[test]
fn qualities_sizes_and_subscribers_without_btf() {
    qualities(&["--no-btf"]);
}

#[test]
fn as_fast_as_possible() {
    let site = Site::new();
    // A build without optimisation is slow: it gets a ring that holds everything.
    let tracer = trace(&["--broker", &site.selector(), "--payload", "head:64", "--ring", "131072"]);
    let mut subscribers = [
        site.rumqtt("sub0", 0, 5000, &["subscribe", "--topic", "fast/+"]),
        site.subscriber("sub1", "fast/a", 1, 5000),
    ];
    let mut publisher = site.rumqtt("fast", 1, 5000, &["publish", "--topic", "fast/a", "--size", "64"]);
    publisher.finish();
    let mut truth = Truth::whole(site.broker.process.pid());
    truth = truth.sent(super::check::Owner::Process(publisher.pid()), &publisher.log());
    for (subscriber, qos) in subscribers.iter_mut().zip([0, 1]) {
        subscriber.finish();
        truth = truth.subscriber(subscriber, qos);
    }
    let outcome = tracer.stop();
    assert_eq!(outcome.count("kernel.data_ring_full"), 0);
    assert_eq!(of_kind(&outcome.spans, "publish ").len(), 5000);
    truth.check(&outcome.spans);
}
