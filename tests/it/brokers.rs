//! AMQP, Kafka, NATS and Redis: real brokers, real clients, every message, checked against what the clients wrote down.
//!
//! What a protocol's tests have in common is here: which clients there are, which ways a message can take through the broker
//! ([`Route`]), and the runs that every way goes through ([`runs`]). What is a protocol's own is in its file.

mod amqp;
mod check;
mod dead;
mod java;
mod kafka;
mod mqtt_ws;
mod nats;
mod redis;
mod runs;
mod shares;
mod site;
mod tools;
mod transactions;

use std::path::Path;

use tracer_tests::broker::Certificates;

/// A protocol with its broker and its clients.
pub(crate) struct Protocol {
    /// For `--broker`.
    name: &'static str,
    /// `messaging.system`.
    system: &'static str,
    /// `service.name` of the broker's own spans.
    service: &'static str,
    /// Starts a broker in a folder.
    start: fn(&Path, Option<&Certificates>) -> Started,
    /// Name of the client in Rust, and the script of the one in Python.
    clients: [&'static str; 2],
    /// That of the one in Go, if there is one.
    go: Option<&'static str>,
    /// Whether the broker's calls show what it delivers: what is sent by `sendfile` is in none, and packets have to show it.
    sees_sent: bool,
    /// Messages of which a tracer that comes in the middle may miss something, because it answers what was asked before it came.
    asked_before: usize,
    /// Whether a request waits at the broker for what comes: the answer to one that was made before the tracer came is passed over, and
    /// the busier the machine is, the more messages it has.
    waits: bool,
    /// Whether its clients are sure to get several messages for one request.
    pulls: bool,
}

/// A broker that was started.
pub(crate) struct Started {
    /// Runs for as long as this is there.
    _broker: Box<dyn std::any::Any>,
    /// Its process.
    pid: u32,
    port: u16,
    tls_port: Option<u16>,
}

/// A way for messages to take. In the texts `{flow}` is what this flow of messages is called, `{sub}` the subscriber's number.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    /// For people, and part of the flow's name.
    name: &'static str,
    /// The publisher's `--way`, and the subscriber's.
    ways: [&'static str; 2],
    /// Where the publisher sends to.
    to: &'static str,
    /// Where a subscriber receives from.
    from: &'static str,
    /// The subscriber's group.
    group: &'static str,
    /// `messaging.destination.name` of a publish.
    published: &'static str,
    /// That of a delivery, if whoever comes when the subscription stands cannot know what a subscriber logs.
    delivered_late: &'static str,
    /// How many subscribers get each message.
    subscribers: usize,
    /// Whether subscribers settle what they receive: those in Rust, the others.
    settles: [bool; 2],
    /// The attribute with the id that the subscriber's log has, and how that is written there: `{id}` is what the log has.
    id: Option<(&'static str, &'static str)>,
    /// Whether a publisher's log and span have the same.
    published_id: bool,
}

/// The path of a message that needs nothing of what some of them need.
const PLAIN: Route = Route {
    name: "plain",
    ways: ["", ""],
    to: "{flow}",
    from: "{flow}",
    group: "",
    published: "{flow}",
    delivered_late: "",
    subscribers: 2,
    settles: [false; 2],
    id: None,
    published_id: false,
};
