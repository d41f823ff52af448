//! NATS and JetStream: a server of Debian's, clients on async-nats and nats-py.

use std::path::Path;

use tracer_tests::broker::{Certificates, Nats};

use super::runs::{
    self, FAST, SIZES, SLOW, Viewpoint, every_client, in_the_middle, in_the_traffic, one_side, refused,
};
use super::site::Library;
use super::{PLAIN, Protocol, Route, Started};

pub(super) static NATS: Protocol = Protocol {
    name: "nats",
    system: "nats",
    service: "nats-server",
    start,
    clients: ["client_nats", "client_nats.py"],
    go: None,
    sees_sent: true,
    asked_before: 0,
    waits: false,
    pulls: true,
};

static ROUTES: [Route; 2] = [
    Route { name: "core", to: "{flow}.a", from: "{flow}.*", published: "{flow}.a", ..PLAIN },
    Route {
        name: "stream",
        ways: ["jetstream", "jetstream"],
        to: "{flow}.a",
        from: "{flow}.a",
        group: "{flow}-{sub}",
        published: "{flow}.a",
        settles: [true; 2],
        id: Some(("messaging.message.id", "{flow}:{id}")),
        published_id: true,
        ..PLAIN
    },
];

fn start(folder: &Path, tls: Option<&Certificates>) -> Started {
    let Nats { process, port } = Nats::start(folder, tls).expect("nats-server starts");
    Started { pid: process.pid(), _broker: Box::new(process), port, tls_port: None }
}

#[test]
fn every_client_way_and_size() {
    every_client(&NATS, &ROUTES, SIZES);
}

#[test]
fn as_fast_as_possible() {
    every_client(&NATS, &ROUTES, FAST);
}

#[test]
fn a_flood() {
    runs::flood(&NATS, &ROUTES);
}

#[test]
fn attached_in_the_middle() {
    in_the_middle(&NATS, &ROUTES, Viewpoint::Both, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_broker() {
    in_the_middle(&NATS, &ROUTES, Viewpoint::Broker, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_clients() {
    in_the_middle(&NATS, &ROUTES, Viewpoint::Clients, SLOW);
}

#[test]
fn attached_in_the_traffic() {
    in_the_traffic(&NATS, &ROUTES, Viewpoint::Both);
}

#[test]
fn attached_in_the_traffic_at_the_broker() {
    in_the_traffic(&NATS, &ROUTES, Viewpoint::Broker);
}

#[test]
fn attached_in_the_traffic_at_the_clients() {
    in_the_traffic(&NATS, &ROUTES, Viewpoint::Clients);
}

#[test]
fn clients_alone() {
    one_side(&NATS, &ROUTES, Viewpoint::Clients, SIZES);
}

#[test]
fn the_broker_alone() {
    one_side(&NATS, &ROUTES, Viewpoint::Broker, SIZES);
}

#[test]
fn a_stream_that_is_not_there() {
    let lost = ["lost.a", "1x20"];
    refused(&NATS, None, "jetstream", lost, "lost.a", "no_responders");
}

#[test]
fn over_tls() {
    runs::over_tls(&NATS, &ROUTES[1], &[Library::Rust, Library::Python]);
}
