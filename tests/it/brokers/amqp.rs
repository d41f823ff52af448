//! AMQP 0-9-1: RabbitMQ, with clients on lapin, pika and RabbitMQ's own library for Go.

use std::path::Path;

use tracer_tests::broker::{Certificates, RabbitMq};

use super::runs::{
    self, FAST, SIZES, SLOW, Viewpoint, every_client, in_the_middle, in_the_traffic, one_side, refused,
};
use super::site::Library;
use super::{PLAIN, Protocol, Route, Started};

pub(super) static AMQP: Protocol = Protocol {
    name: "amqp",
    system: "rabbitmq",
    service: "beam.smp",
    start,
    clients: ["client_amqp", "client_pika.py"],
    go: Some("client_amqp091"),
    sees_sent: true,
    asked_before: 0,
    waits: false,
    pulls: false,
};

pub(super) const TAG: Option<(&str, &str)> = Some(("messaging.rabbitmq.message.delivery_tag", "{id}"));
/// Through an exchange of the flow's own.
const EXCHANGE: Route = Route {
    to: "x-{flow}:a.b",
    from: "x-{flow}:a.*:q-{flow}-{sub}",
    published: "x-{flow}:a.b",
    // The queue is named when it is consumed from, and never again.
    delivered_late: "x-{flow}:a.b",
    settles: [true; 2],
    id: TAG,
    ..PLAIN
};
static ROUTES: [Route; 3] = [
    Route { name: "confirmed", ways: ["confirm", "each"], ..EXCHANGE },
    Route { name: "multiple", ways: ["plain", "multiple"], ..EXCHANGE },
    Route { name: "unsettled", ways: ["plain", "none"], settles: [false; 2], ..EXCHANGE },
];

pub(super) fn start(folder: &Path, tls: Option<&Certificates>) -> Started {
    let broker = RabbitMq::start(folder, tls).expect("RabbitMQ starts");
    let (pid, port, tls_port) = (broker.process.pid(), broker.port, broker.tls_port);
    Started { pid, _broker: Box::new(broker), port, tls_port }
}

#[test]
fn every_client_way_and_size() {
    every_client(&AMQP, &ROUTES, SIZES);
}

#[test]
fn as_fast_as_possible() {
    every_client(&AMQP, &ROUTES, FAST);
}

#[test]
fn a_flood() {
    runs::flood(&AMQP, &ROUTES);
}

#[test]
fn a_flood_in_go() {
    runs::flood_of(&AMQP, &ROUTES, Library::Go);
}

#[test]
fn attached_in_the_middle() {
    in_the_middle(&AMQP, &ROUTES, Viewpoint::Both, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_broker() {
    in_the_middle(&AMQP, &ROUTES, Viewpoint::Broker, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_clients() {
    in_the_middle(&AMQP, &ROUTES, Viewpoint::Clients, SLOW);
}

#[test]
fn attached_in_the_traffic() {
    in_the_traffic(&AMQP, &ROUTES, Viewpoint::Both);
}

#[test]
fn attached_in_the_traffic_at_the_broker() {
    in_the_traffic(&AMQP, &ROUTES, Viewpoint::Broker);
}

#[test]
fn attached_in_the_traffic_at_the_clients() {
    in_the_traffic(&AMQP, &ROUTES, Viewpoint::Clients);
}

#[test]
fn clients_alone() {
    one_side(&AMQP, &ROUTES, Viewpoint::Clients, SIZES);
}

#[test]
fn the_broker_alone() {
    one_side(&AMQP, &ROUTES, Viewpoint::Broker, SIZES);
}

#[test]
fn an_exchange_that_is_not_there() {
    refused(&AMQP, None, "confirm", ["nowhere:key", "1x20"], "nowhere:key", "NOT_FOUND");
}

#[test]
fn over_tls() {
    runs::over_tls(&AMQP, &ROUTES[0], &[Library::Rust, Library::Python, Library::Go]);
}
