//! AMQP 0-9-1: RabbitMQ, with clients on lapin and pika.

use std::path::Path;

use tracer_tests::broker::{Certificates, RabbitMq};

use super::runs::{FAST, SIZES, SLOW, Viewpoint, every_client, in_the_middle, one_side};
use super::{PLAIN, Protocol, Route, Started};

static AMQP: Protocol = Protocol {
    name: "amqp",
    system: "rabbitmq",
    service: "rabbitmq-server",
    start,
    clients: ["client_amqp", "client_pika.py"],
    asked_before: 0,
};

const TAG: Option<(&str, &str)> = Some(("messaging.rabbitmq.message.delivery_tag", "{id}"));
/// Through an exchange of the flow's own.
const EXCHANGE: Route = Route {
    to: "x-{flow}:a.b",
    from: "x-{flow}:a.*:q-{flow}-{sub}",
    published: "x-{flow}:a.b",
    settles: [true; 2],
    id: TAG,
    ..PLAIN
};
static ROUTES: [Route; 3] = [
    Route { name: "confirmed", ways: ["confirm", "each"], ..EXCHANGE },
    Route { name: "multiple", ways: ["plain", "multiple"], ..EXCHANGE },
    Route { name: "unsettled", ways: ["plain", "none"], settles: [false; 2], ..EXCHANGE },
];

fn start(folder: &Path, tls: Option<&Certificates>) -> Started {
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
fn attached_in_the_middle() {
    in_the_middle(&AMQP, &ROUTES, Viewpoint::Both, SLOW);
}

#[test]
fn clients_alone() {
    one_side(&AMQP, &ROUTES, Viewpoint::Clients, SIZES);
}

#[test]
fn the_broker_alone() {
    one_side(&AMQP, &ROUTES, Viewpoint::Broker, SIZES);
}
