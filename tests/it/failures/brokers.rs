//! Brokers that go and come back, and peers that do not speak MQTT.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tracer_tests::broker::free_port;
use tracer_tests::http;

use crate::mqtt::check::{Owner, Truth};
use crate::mqtt::site::{Site, trace};

/// The sum of a metric's samples.
fn total(tracer: &crate::support::Tracer, name: &str) -> f64 {
    let (status, page) = http::get(tracer.http(), "/metrics").expect("it serves metrics");
    assert_eq!(status, 200);
    http::samples(&page, name).iter().map(|(_, value)| value).sum()
}

#[test]
fn a_broker_that_restarts() {
    let port = free_port().expect("a port is free");
    let mut site = Site::on(port, "");
    let mut tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut publishers = Vec::new();
    let mut subscribers = Vec::new();
    for round in 0..2 {
        if round == 1 {
            site.stop_broker(Signal::SIGKILL);
            for number in 0..3 {
                let mut refused = Command::new("mosquitto_pub");
                refused.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", "t", "-m", "x"]);
                let mut client = site.start(&format!("refused{number}"), "t", &mut refused);
                assert!(!client.process.wait(crate::support::PATIENCE).expect("it ends").success());
            }
            // Whoever waits for the broker to be back is refused as well.
            let start = std::time::Instant::now();
            while total(&tracer, "message_broker_connection_errors_total") < 3.0 {
                assert!(
                    start.elapsed() < crate::support::PATIENCE,
                    "the refused connections are not counted"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!((total(&tracer, "message_broker_connection_errors_total") - 3.0).abs() < 0.1);
            site.restart_broker();
        }
        let mut subscriber = site.subscriber(&format!("sub{round}"), "t", 1, 10);
        let mut publisher = site.publisher(&format!("pub{round}"), "t", 1);
        publisher.give_numbers(0..10, 30);
        publisher.finish();
        subscriber.finish();
        publishers.push(publisher);
        subscribers.push(subscriber);
    }
    tracer.wait_for("all deliveries", |spans| crate::mqtt::check::of_kind(spans, "process ").len() == 20);
    let spans = tracer.stop().spans;
    let mut truth = Truth::with(site.brokers());
    for (publisher, subscriber) in publishers.iter().zip(&subscribers) {
        truth = truth.publisher(publisher).subscriber(subscriber, 1);
    }
    truth.check(&spans);
}

/// Sends bytes to the broker and reads until it hangs up.
fn send(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the broker listens");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
    stream.write_all(bytes).expect("the broker takes it");
    // The end is a hang-up or a reset.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn peers_that_do_not_speak_mqtt() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut subscriber = site.subscriber("sub", "t", 1, 40);
    let mut publisher = site.publisher("pub", "t", 1);
    let port = site.broker.port;
    let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01z";
    let mut noise = 0x9e37_79b9_u32;
    let mut garbage = || {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise.to_le_bytes()
    };
    for round in 0..10u64 {
        publisher.give_numbers(round * 4..round * 4 + 4, 30);
        match round % 5 {
            0 => send(port, b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n"),
            1 => send(port, &(0..500).flat_map(|_| garbage()).collect::<Vec<_>>()),
            // A length without end, a topic that is no text, a packet of a kind that is none.
            2 => send(port, &[&connect[..], b"\x30\xff\xff\xff\xff\xff"].concat()),
            3 => send(port, &[&connect[..], b"\x30\x06\x00\x03\xff\xfe\x00x"].concat()),
            _ => send(port, &[&connect[..], b"\xf0\x02\x00\x00"].concat()),
        }
    }
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop();
    Truth::whole(site.broker.process.pid())
        .publisher(&publisher)
        .subscriber(&subscriber, 1)
        .check(&outcome.spans);
    let noticed: u64 = ["proto.invalid", "proto.resyncs", "proto.skipped_bytes", "proto.gave_up"]
        .map(|name| outcome.count(name))
        .iter()
        .sum();
    assert!(noticed > 0, "garbage is counted");
}

#[test]
fn a_ring_that_is_far_too_small_makes_no_wrong_link() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "head:64", "--ring", "64"]);
    let mut subscribers = [
        site.rumqtt("sub0", 0, 8000, &["subscribe", "--topic", "fast/+"]),
        site.rumqtt("sub1", 1, 8000, &["subscribe", "--topic", "fast/a"]),
    ];
    let mut publisher = site.rumqtt("fast", 1, 8000, &["publish", "--topic", "fast/a", "--size", "400"]);
    publisher.finish();
    subscribers.iter_mut().for_each(crate::mqtt::site::Client::finish);
    // Whoever comes after the flood, and leaves the ring time to be emptied, is seen whole again.
    let mut seen = tracer.wait_drained(0);
    let mut late = site.subscriber("late", "slow", 1, 8);
    seen = tracer.wait_drained(seen);
    let mut calm = site.publisher("calm", "slow", 1);
    seen = tracer.wait_drained(seen);
    for number in 0..8 {
        calm.give_numbers(number..number + 1, 40);
        late.wait_for(usize::try_from(number).expect("small") + 1);
        seen = tracer.wait_drained(seen);
    }
    calm.finish();
    late.finish();
    let outcome = tracer.stop();
    assert!(outcome.count("kernel.data_ring_full") > 0, "nothing was lost, so nothing is proved");
    let (flood, calmness): (Vec<_>, Vec<_>) =
        outcome.spans.iter().cloned().partition(|span| span.name.ends_with(" fast/a"));
    crate::mqtt::check::check_ids(&outcome.spans);
    let lines = publisher.log();
    let (mut linked, mut wrong) = (0, 0);
    let by_id: std::collections::HashMap<_, _> = flood.iter().map(|span| (&span.id, span)).collect();
    for span in flood.iter().filter(|span| span.name.starts_with("process ")) {
        let Some(parent) = span.parent.as_ref().and_then(|id| by_id.get(id)) else { continue };
        linked += 1;
        wrong += usize::from(crate::mqtt::check::line(parent) != crate::mqtt::check::line(span));
    }
    assert_eq!(wrong, 0, "of {linked} links");
    let published = flood.iter().filter(|span| span.name.starts_with("publish ")).count();
    assert!(published <= lines.len(), "{published} publishes seen of {}", lines.len());
    eprintln!(
        "{published} of {} publishes seen, {linked} links, {} records lost",
        lines.len(),
        outcome.count("kernel.data_ring_full")
    );
    Truth::whole(site.broker.process.pid())
        .sent(Owner::Process(calm.pid()), calm.given())
        .received(Owner::Process(late.pid()), &late.log(), true)
        .check(&calmness);
}
