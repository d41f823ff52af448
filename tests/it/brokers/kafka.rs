//! Kafka: Apache Kafka 4 in KRaft mode, with clients on rskafka and confluent-kafka. Where Maven cannot be reached, librdkafka's
//! mock cluster stands in for the broker, and says so.

use std::path::Path;

use tracer_tests::broker::{Certificates, Kafka, jars};

use super::runs::{
    self, FAST, SIZES, SLOW, Viewpoint, every_client, in_the_middle, in_the_traffic, in_the_traffic_of,
    one_side, refused,
};
use super::site::Library;
use super::{PLAIN, Protocol, Route, Started};

pub(super) static KAFKA: Protocol = Protocol {
    name: "kafka",
    system: "kafka",
    service: "Kafka",
    start,
    clients: ["client_kafka", "client_confluent.py"],
    go: None,
    sees_sent: true,
    // A fetch waits at the broker, and brings as many as there are by then; the first that is seen may be taken for none.
    asked_before: 5,
    waits: true,
    pulls: false,
};

const OFFSET: Route = Route {
    // rskafka knows no groups.
    settles: [false, true],
    group: "{flow}-{sub}",
    id: Some(("messaging.message.id", "{flow} 0:{id}")),
    published_id: true,
    ..PLAIN
};
static ROUTES: [Route; 1] = [Route { name: "plain", ..OFFSET }];
/// For every pair of libraries.
static LATE: [Route; 4] = [
    Route { name: "first", ..OFFSET },
    Route { name: "second", ..OFFSET },
    Route { name: "third", ..OFFSET },
    Route { name: "fourth", ..OFFSET },
];
/// For every pair of libraries with Kafka's own. A machine in Java each is enough.
static WITH_JAVA: [Route; 5] = [
    Route { name: "fifth", subscribers: 1, ..OFFSET },
    Route { name: "sixth", subscribers: 1, ..OFFSET },
    Route { name: "seventh", subscribers: 1, ..OFFSET },
    Route { name: "eighth", subscribers: 1, ..OFFSET },
    Route { name: "ninth", subscribers: 1, ..OFFSET },
];
const JAVA_PAIRS: [(Library, Library); 5] = [
    (Library::Java, Library::Java),
    (Library::Java, Library::Rust),
    (Library::Java, Library::Python),
    (Library::Rust, Library::Java),
    (Library::Python, Library::Java),
];
static COMPRESSED: [Route; 4] = [
    Route { name: "gzip", ways: ["gzip", ""], ..OFFSET },
    Route { name: "lz4", ways: ["lz4", ""], ..OFFSET },
    Route { name: "snappy", ways: ["snappy", ""], ..OFFSET },
    Route { name: "zstd", ways: ["zstd", ""], ..OFFSET },
];

fn start(folder: &Path, tls: Option<&Certificates>) -> Started {
    let broker = Kafka::start(folder, tls).expect("Kafka starts");
    let (pid, port, tls_port) = (broker.process.pid(), broker.port, broker.tls_port);
    Started { pid, _broker: Box::new(broker), port, tls_port }
}

/// Whether there are Kafka's own programs; says so if not.
pub(super) fn has_java() -> bool {
    if jars().is_none() {
        eprintln!("Maven cannot be reached: Kafka's own clients are not tested");
    }
    jars().is_some()
}

#[test]
fn every_client_and_size() {
    every_client(&KAFKA, &ROUTES, SIZES);
}

#[test]
fn every_compression() {
    every_client(&KAFKA, &COMPRESSED, SIZES);
}

#[test]
fn as_fast_as_possible() {
    every_client(&KAFKA, &ROUTES, FAST);
}

#[test]
fn a_flood() {
    runs::flood(&KAFKA, &ROUTES);
}

#[test]
fn attached_in_the_middle() {
    in_the_middle(&KAFKA, &LATE, Viewpoint::Both, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_broker() {
    in_the_middle(&KAFKA, &LATE, Viewpoint::Broker, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_clients() {
    in_the_middle(&KAFKA, &LATE, Viewpoint::Clients, SLOW);
}

#[test]
fn attached_in_the_traffic() {
    in_the_traffic(&KAFKA, &LATE, Viewpoint::Both);
}

#[test]
fn attached_in_the_traffic_at_the_broker() {
    in_the_traffic(&KAFKA, &LATE, Viewpoint::Broker);
}

#[test]
fn attached_in_the_traffic_at_the_clients() {
    in_the_traffic(&KAFKA, &LATE, Viewpoint::Clients);
}

/// Those of Kafka's own clients and the others'.
fn in_the_traffic_with_java(viewpoint: Viewpoint) {
    if has_java() {
        in_the_traffic_of(&KAFKA, &WITH_JAVA, &JAVA_PAIRS, viewpoint);
    }
}

#[test]
fn attached_in_the_traffic_of_java() {
    in_the_traffic_with_java(Viewpoint::Both);
}

#[test]
fn attached_in_the_traffic_of_java_at_the_broker() {
    in_the_traffic_with_java(Viewpoint::Broker);
}

#[test]
fn attached_in_the_traffic_of_java_at_the_clients() {
    in_the_traffic_with_java(Viewpoint::Clients);
}

#[test]
fn clients_alone() {
    one_side(&KAFKA, &ROUTES, Viewpoint::Clients, SIZES);
}

#[test]
fn the_broker_alone() {
    one_side(&KAFKA, &ROUTES, Viewpoint::Broker, SIZES);
}

#[test]
fn a_record_that_is_too_large() {
    refused(&KAFKA, Some(["", "1x20"]), "", ["large", "1x5000000"], "large", "MESSAGE_TOO_LARGE");
}

#[test]
fn over_tls() {
    // rskafka is built without TLS.
    runs::over_tls(&KAFKA, &ROUTES[0], &[Library::Python]);
}
