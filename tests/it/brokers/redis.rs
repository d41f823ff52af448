//! Redis: pub/sub, streams and lists, over RESP2 and RESP3, with clients on redis-rs and redis-py.

use std::path::Path;

use tracer_tests::broker::{Certificates, Redis};

use super::runs::{
    self, FAST, SIZES, SLOW, Viewpoint, every_client, in_the_middle, in_the_traffic, one_side, refused,
};
use super::site::Library;
use super::{PLAIN, Protocol, Route, Started};

pub(super) static REDIS: Protocol = Protocol {
    name: "redis",
    system: "redis",
    service: "redis-server",
    start,
    clients: ["client_redis", "client_redis.py"],
    go: None,
    sees_sent: true,
    // Whose an answer is shows after a few.
    asked_before: 5,
    waits: false,
    pulls: false,
};

/// A stream's entry has its id in its span.
const ENTRY: Option<(&str, &str)> = Some(("messaging.message.id", "{flow}:{id}"));
static ROUTES: [Route; 5] = [
    Route { name: "channel", ..PLAIN },
    Route {
        name: "pattern",
        ways: ["3", "3"],
        to: "{flow}.a",
        from: "{flow}.*",
        published: "{flow}.a",
        ..PLAIN
    },
    Route { name: "stream", ways: ["stream", "stream"], id: ENTRY, published_id: true, ..PLAIN },
    Route {
        name: "group",
        ways: ["stream3", "stream3"],
        group: "g{sub}",
        settles: [true; 2],
        id: ENTRY,
        published_id: true,
        ..PLAIN
    },
    // Whoever pops an element has it for himself.
    Route { name: "list", ways: ["list", "list"], subscribers: 1, ..PLAIN },
];

fn start(folder: &Path, tls: Option<&Certificates>) -> Started {
    let Redis { process, port } = Redis::start(folder, tls).expect("redis-server starts");
    Started { pid: process.pid(), _broker: Box::new(process), port, tls_port: None }
}

#[test]
fn every_client_way_and_size() {
    every_client(&REDIS, &ROUTES, SIZES);
}

#[test]
fn as_fast_as_possible() {
    every_client(&REDIS, &ROUTES, FAST);
}

#[test]
fn a_flood() {
    runs::flood(&REDIS, &ROUTES);
}

#[test]
fn attached_in_the_middle() {
    in_the_middle(&REDIS, &ROUTES, Viewpoint::Both, SLOW);
}

#[test]
fn attached_in_the_middle_at_the_broker() {
    in_the_middle(&REDIS, &ROUTES, Viewpoint::Broker, SLOW);
}

#[test]
fn attached_in_the_traffic() {
    in_the_traffic(&REDIS, &ROUTES, Viewpoint::Both);
}

#[test]
fn attached_in_the_traffic_at_the_clients() {
    in_the_traffic(&REDIS, &ROUTES, Viewpoint::Clients);
}

#[test]
fn attached_in_the_traffic_at_the_broker() {
    in_the_traffic(&REDIS, &ROUTES, Viewpoint::Broker);
}

#[test]
fn clients_alone() {
    one_side(&REDIS, &ROUTES, Viewpoint::Clients, SIZES);
}

#[test]
fn the_broker_alone() {
    one_side(&REDIS, &ROUTES, Viewpoint::Broker, SIZES);
}

#[test]
fn a_key_of_another_type() {
    refused(&REDIS, Some(["list", "1x20"]), "stream", ["key", "1x20"], "key", "WRONGTYPE");
}

#[test]
fn over_tls() {
    runs::over_tls(&REDIS, &ROUTES[3], &[Library::Rust, Library::Python]);
}
