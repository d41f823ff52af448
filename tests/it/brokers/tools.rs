//! Command-line tools: those of the brokers themselves and common ones.

use std::process::Command;

use tracer_tests::broker::{jars, java};
use tracer_tests::message;

use super::Protocol;
use super::runs::{Viewpoint, keep, start, truth};
use super::site::{Entry, Site};
use super::{amqp::AMQP, kafka::KAFKA, nats::NATS, redis::REDIS};
use crate::mqtt::check::Owner;

/// Messages that go through a tool.
const COUNT: usize = 5;
/// Where to: a queue, a topic, a list.
const TO: &str = "tool";

/// A program that is run once for each message, or once for all of them.
struct Tool<'a> {
    once: bool,
    command: &'a dyn Fn(&Site) -> Command,
}

/// Messages are sent with one tool and received with another, and each is seen at both, once, linked.
fn through(protocol: &'static Protocol, sender: &Tool<'_>, receiver: &Tool<'_>, settles: bool) {
    let site = Site::new(protocol);
    let tracer = start(&site, Viewpoint::Both);
    let mut truth = truth(&site, Viewpoint::Both);
    let bodies: Vec<Vec<u8>> = (0..COUNT).map(|number| message::body("tool", number as u64, 40)).collect();
    let entries: Vec<Entry> = bodies.iter().map(|body| Entry::of(TO, body)).collect();
    let at_once = |tool: &Tool<'_>| if tool.once { COUNT } else { 1 };
    for (number, (bodies, entries)) in
        bodies.chunks(at_once(sender)).zip(entries.chunks(at_once(sender))).enumerate()
    {
        let mut client = site.start(&format!("sender{number}"), &mut (sender.command)(&site));
        // Each tool takes lines, and none wants one after the last.
        client.give(&bodies.join(&b'\n'));
        client.finish();
        truth.sent(&Owner::Process(client.pid()), entries, TO, None);
    }
    for (number, entries) in entries.chunks(at_once(receiver)).enumerate() {
        let mut client = site.start(&format!("receiver{number}"), &mut (receiver.command)(&site));
        client.finish();
        let said = client.output();
        for Entry { head, .. } in entries {
            assert!(said.contains(head.as_str()), "{said}");
        }
        truth.received(&Owner::Process(client.pid()), entries, settles, None);
    }
    let outcome = tracer.stop();
    keep(&site, &outcome);
    truth.check(&outcome);
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn url(site: &Site) -> String {
    format!("amqp://127.0.0.1:{}", site.port())
}

fn address(site: &Site) -> String {
    format!("127.0.0.1:{}", site.port())
}

#[test]
fn of_librabbitmq() {
    // The queue is there before the first message.
    let publish = |site: &Site| {
        let script =
            format!("amqp-declare-queue -u {0} -q {TO} >&2 && exec amqp-publish -u {0} -r {TO}", url(site));
        command("sh", &["-c", &script])
    };
    let consume =
        |site: &Site| command("amqp-consume", &["-u", &url(site), "-q", TO, "-c", &COUNT.to_string(), "cat"]);
    let (sender, receiver) =
        (Tool { once: false, command: &publish }, Tool { once: true, command: &consume });
    through(&AMQP, &sender, &receiver, true);
}

#[test]
fn of_redis() {
    let push = |site: &Site| command("redis-cli", &["-p", &site.port().to_string(), "-x", "RPUSH", TO]);
    let pop = |site: &Site| command("redis-cli", &["-p", &site.port().to_string(), "BLPOP", TO, "0"]);
    through(&REDIS, &Tool { once: false, command: &push }, &Tool { once: false, command: &pop }, false);
}

#[test]
fn of_nats() {
    let tool = std::env::var("IOTRAIL_NATSCLI").expect("`cargo xtask test` says where NATS' tool is");
    let shell = |site: &Site, script: &str| {
        let mut shell = command("sh", &["-c", script]);
        shell.env("NATS_URL", format!("nats://127.0.0.1:{}", site.port())).env("NATS", &tool);
        shell
    };
    // The stream and its consumer are there before the first message.
    let publish = |site: &Site| {
        shell(
            site,
            r#"create() { $NATS request "\$JS.API.$1" "$2" >&2; }
            create STREAM.CREATE.kept '{"name":"kept","subjects":["tool"]}'
            create CONSUMER.DURABLE.CREATE.kept.all \
                '{"stream_name":"kept","config":{"durable_name":"all","ack_policy":"explicit"}}'
            exec $NATS pub tool "$(cat)""#,
        )
    };
    let pull = |site: &Site| shell(site, "exec $NATS consumer next kept all --raw");
    through(&NATS, &Tool { once: false, command: &publish }, &Tool { once: false, command: &pull }, true);
}

#[test]
fn of_librdkafka() {
    let produce = |site: &Site| command("kcat", &["-P", "-b", &address(site), "-t", TO, "-p", "0"]);
    let consume = |site: &Site| {
        let count = COUNT.to_string();
        command("kcat", &["-C", "-b", &address(site), "-t", TO, "-o", "beginning", "-c", &count, "-u"])
    };
    through(&KAFKA, &Tool { once: true, command: &produce }, &Tool { once: true, command: &consume }, false);
}

#[test]
fn of_kafka() {
    if jars().is_none() {
        // The rest of Kafka's tests say so too.
        eprintln!("Maven cannot be reached: Kafka's own tools are not tested");
        return;
    }
    let produce = |site: &Site| {
        let mut java = java("128m").expect("there is Kafka");
        java.arg("org.apache.kafka.tools.ConsoleProducer");
        java.args(["--bootstrap-server", &address(site), "--topic", TO]);
        java
    };
    let consume = |site: &Site| {
        let mut java = java("128m").expect("there is Kafka");
        java.args(["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", &address(site)]);
        java.args([
            "--topic",
            TO,
            "--from-beginning",
            "--group",
            "tool",
            "--max-messages",
            &COUNT.to_string(),
        ]);
        java
    };
    through(&KAFKA, &Tool { once: true, command: &produce }, &Tool { once: true, command: &consume }, true);
}
