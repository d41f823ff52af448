//! Connections that come and go, and other libraries.

use std::process::Command;

use nix::sys::signal::Signal;

use super::check::{Owner, Truth, check_ids, of_kind};
use super::site::{Site, trace};
use crate::support::PATIENCE;

#[test]
fn sessions_that_outlive_their_connections() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut truth = Truth::whole(site.broker.process.pid());
    let mut publisher = site.publisher("pub", "t", 1);
    for round in 0..3 {
        // Kept while nobody is there but at the beginning, then delivered to the next connection of this client.
        let mut subscriber =
            site.subscriber_with(&format!("keeper{round}"), "t", 1, 4, &["-c", "-i", "keeper"]);
        let from = round * 5;
        publisher.give_numbers(from..from + 4, 30);
        subscriber.finish();
        truth = truth.subscriber(&subscriber, 1);
        if round < 2 {
            publisher.give_numbers(from + 4..from + 5, 30);
        }
    }
    publisher.finish();
    truth = truth.publisher(&publisher);
    // Sent to a client that had what it wanted, then again to the next connection.
    truth.unread = 2;
    truth.check(&tracer.stop().spans);
}

#[test]
fn a_killed_subscriber_does_not_disturb_the_others() {
    let site = Site::new();
    let mut tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut steady = site.subscriber("steady", "t", 1, 40);
    let mut victim = site.subscriber("victim", "t", 1, 40);
    let mut publisher = site.publisher("pub", "t", 1);
    publisher.give_numbers(0..20, 30);
    victim.wait_for(20);
    // mosquitto_sub logs before it acknowledges: what it had in hand when it died is an error of its own.
    victim.process.stop(Signal::SIGKILL, PATIENCE).expect("it dies");
    publisher.give_numbers(20..40, 30);
    publisher.finish();
    steady.finish();
    let of = |spans: &[tracer_tests::otlp::Span], pid: u32| {
        of_kind(spans, "process ").iter().filter(|span| span.pid() == Some(pid)).count()
    };
    let (one, other) = (steady.pid(), victim.pid());
    tracer.wait_for("deliveries to both", |spans| of(spans, one) == 40 && of(spans, other) >= 20);
    let spans = tracer.stop().spans;
    check_ids(&spans);
    assert_eq!(of_kind(&spans, "publish ").len(), 40);
    assert_eq!((of(&spans, one), of(&spans, other)), (40, 20));
    let by_id: std::collections::HashMap<_, _> = spans.iter().map(|span| (&span.id, span)).collect();
    for span in of_kind(&spans, "process ") {
        let parent = by_id[span.parent.as_ref().expect("it has its publish")];
        assert_eq!(super::check::line(parent), super::check::line(span));
    }
}

#[test]
fn clients_on_rumqttc() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut truth = Truth::whole(site.broker.process.pid());
    for qos in 0..3u8 {
        let topic = format!("r/{qos}");
        let mut subscriber = site.rumqtt(&format!("sub{qos}"), qos, 30, &["subscribe", "--topic", &topic]);
        let id = format!("pub{qos}");
        let mut publisher = site.rumqtt(&id, qos, 30, &["publish", "--topic", &topic, "--size", "300"]);
        publisher.finish();
        subscriber.finish();
        truth = truth.sent(Owner::Process(publisher.pid()), &publisher.log());
        truth = truth.subscriber(&subscriber, qos);
        assert_eq!(publisher.log(), subscriber.log());
    }
    truth.check(&tracer.stop().spans);
}

#[test]
fn clients_on_paho_for_python() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/client_paho.py");
    let port = site.broker.port.to_string();
    let mut truth = Truth::whole(site.broker.process.pid());
    for qos in 0..3u8 {
        let (topic, level) = (format!("p/{qos}"), qos.to_string());
        let start = |id: &str, what: &str| {
            let mut command = Command::new("/usr/bin/python3");
            command.args([program, what, &port, id, &topic, &level, "30"]);
            let mut client = site.start(id, &topic, &mut command);
            client.wait_for_line("ready");
            client
        };
        let mut subscriber = start(&format!("sub{qos}"), "subscribe");
        let mut publisher = start(&format!("pub{qos}"), "publish");
        publisher.finish();
        subscriber.finish();
        truth = truth.sent(Owner::Process(publisher.pid()), &publisher.log());
        truth = truth.subscriber(&subscriber, qos);
        assert_eq!(publisher.log(), subscriber.log());
    }
    let spans = tracer.stop().spans;
    truth.check(&spans);
    // A script names its service, not the interpreter.
    for span in of_kind(&spans, "publish ") {
        assert_eq!(span.service, "client_paho", "{:?}", span.resource);
    }
}
