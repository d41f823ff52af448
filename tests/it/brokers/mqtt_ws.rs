//! MQTT in compressed WebSockets: RabbitMQ's plugin, with clients on Eclipse's library for Go.

use std::path::Path;

use tracer_tests::broker::{Certificates, RabbitMq, free_port};

use super::runs::{self, FAST, Flow, Load, SIZES, Viewpoint};
use super::site::{Library, Site};
use super::{PLAIN, Protocol, Route, Started};
use crate::mqtt::check::of_kind;
use crate::support::Outcome;

static MQTT: Protocol = Protocol {
    name: "mqtt",
    system: "mqtt",
    service: "beam.smp",
    start,
    clients: ["client_mqtt_ws", ""],
    go: Some("client_mqtt_ws"),
    sees_sent: true,
    asked_before: 0,
    pulls: false,
    waits: false,
};

static ROUTES: [Route; 4] = [
    Route { name: "takeover", ways: ["takeover-1"; 2], settles: [true; 2], ..PLAIN },
    Route { name: "takeover0", ways: ["takeover-0"; 2], ..PLAIN },
    Route { name: "alone", ways: ["alone-1"; 2], settles: [true; 2], ..PLAIN },
    Route { name: "uncompressed", ways: ["plain-1"; 2], settles: [true; 2], ..PLAIN },
];

fn start(folder: &Path, tls: Option<&Certificates>) -> Started {
    let (port, plain) = (free_port().expect("a port is free"), free_port().expect("a port is free"));
    let more = format!(
        "web_mqtt.tcp.ip = 127.0.0.1\nweb_mqtt.tcp.port = {port}\nweb_mqtt.ws_opts.compress = true\n\
         mqtt.listeners.tcp.1 = 127.0.0.1:{plain}\n"
    );
    let broker = RabbitMq::start_with(folder, tls, &more, "rabbitmq_web_mqtt").expect("RabbitMQ starts");
    Started { pid: broker.process.pid(), _broker: Box::new(broker), port, tls_port: None }
}

fn flow(site: &Site, route: &'static Route, load: Load) -> Flow {
    Flow::start(site, route, Library::Go, Library::Go, load)
}

fn every_way(viewpoint: Viewpoint) -> Outcome {
    let site = Site::new(&MQTT);
    let tracer = runs::start(&site, viewpoint);
    let mut truth = runs::truth(&site, viewpoint);
    for (number, route) in ROUTES.iter().enumerate() {
        let mut flow = flow(&site, route, if number % 2 == 0 { SIZES } else { FAST });
        flow.finish();
        flow.tell(&mut truth, 0, viewpoint);
    }
    let outcome = tracer.stop();
    runs::keep(&site, &outcome);
    truth.check(&outcome);
    for name in ["proto.compressed_bytes", "proto.skipped_bytes"] {
        assert_eq!(outcome.count(name), 0, "{name}");
    }
    outcome
}

#[test]
fn compressed_websockets() {
    let outcome = every_way(Viewpoint::Both);
    // Of the longest message more was made than is kept.
    assert!(outcome.count("proto.cut_bytes") > 0);
}

#[test]
fn compressed_websockets_at_the_clients() {
    every_way(Viewpoint::Clients);
}

#[test]
fn compressed_websockets_at_the_broker() {
    every_way(Viewpoint::Broker);
}

/// Where messages refer to nothing before them all are there; else they are counted, and nothing is made up.
#[test]
fn compressed_websockets_attached_in_the_middle() {
    for (route, there) in [(&ROUTES[2], true), (&ROUTES[0], false)] {
        let site = Site::new(&MQTT);
        let mut flow = flow(&site, route, runs::SLOW);
        let half = runs::SLOW.count / 2;
        flow.half(half);
        let tracer = runs::start(&site, Viewpoint::Both);
        flow.finish();
        let outcome = tracer.stop();
        runs::keep(&site, &outcome);
        if there {
            let mut truth = runs::truth(&site, Viewpoint::Both);
            flow.tell(&mut truth, half, Viewpoint::Both);
            truth.check(&outcome);
            assert_eq!(outcome.count("proto.compressed_bytes"), 0);
        } else {
            assert!(outcome.count("proto.compressed_bytes") > 0);
            let messages =
                of_kind(&outcome.spans, "publish ").len() + of_kind(&outcome.spans, "process ").len();
            assert!(messages < 3 * half, "{messages}");
            assert_eq!(outcome.count("proto.invalid"), 0);
        }
    }
}
