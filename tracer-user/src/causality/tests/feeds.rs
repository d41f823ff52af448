//! Several copies of what is published, and several who share one: messages with equal bodies are told apart by order only.

use std::collections::BTreeMap;

use super::world::{World, message};
use crate::model::op::{Feed, Message, OpKind, System};
use crate::model::span::Span;

const ONE: Feed = Feed::Subscription(1);
const TWO: Feed = Feed::Subscription(2);
const QUEUE: Feed = Feed::Shared(7);

fn world(system: System) -> World {
    World { system, ..World::new() }
}

fn through(feed: Feed) -> OpKind {
    OpKind::Deliver(Box::new(Message { feed, ..message("t", "on") }))
}

/// Publishes by when they began, and for each delivery: which of them it came from, and how sure that is.
#[derive(Debug, PartialEq)]
struct Links {
    publishes: usize,
    /// Start of the delivery (µs), number of its publish from 0, and whether several would have fitted.
    deliveries: Vec<(u64, usize, bool)>,
}

fn links(world: &World) -> Links {
    let (spans, _) = world.run();
    let begun = |span: &Span| (span.at.start.0 - super::world::START) / 1000;
    let mut starts: Vec<_> = spans.iter().filter(|span| span.name.starts_with("publish")).collect();
    starts.sort_by_key(|span| begun(span));
    let numbers: BTreeMap<_, _> = starts.iter().enumerate().map(|(number, span)| (span.id, number)).collect();
    let processed = spans.iter().filter(|span| span.name.starts_with("process"));
    let mut deliveries: Vec<_> = processed
        .map(|span| {
            let edge = span.parent.expect("a delivery has its publish");
            (begun(span), numbers[&edge.span], edge.confidence < 0.9)
        })
        .collect();
    deliveries.sort_unstable();
    Links { publishes: starts.len(), deliveries }
}

/// `count` equal messages, one every 30 µs from 1000 on.
fn publish(world: &mut World, count: u64) {
    for number in 0..count {
        world.publish("sensor", 1, 1000 + 30 * number, "t", "on");
    }
}

fn sure(deliveries: &[(u64, usize)]) -> Vec<(u64, usize, bool)> {
    deliveries.iter().map(|&(at, publish)| (at + 10, publish, false)).collect()
}

/// NATS: two SUBs of one connection that both cover the subject. The first copies come in turn, the last ones subscription by
/// subscription.
#[test]
fn two_subscriptions_of_one_connection_get_a_copy_each() {
    let mut world = world(System::Nats);
    world.subscribe_for("actuator", 100, "t", ONE);
    world.subscribe_for("actuator", 150, ">", TWO);
    publish(&mut world, 4);
    let order = [(ONE, 0), (TWO, 0), (ONE, 1), (TWO, 1), (ONE, 2), (ONE, 3), (TWO, 2), (TWO, 3)];
    let mut expected = Vec::new();
    for (at, (feed, number)) in (0..).map(|index| 1200 + 30 * index).zip(order) {
        world.op("actuator", 1, at, false, through(feed));
        world.back("actuator", 1, at + 20);
        expected.push((at, number));
    }
    assert_eq!(links(&world), Links { publishes: 4, deliveries: sure(&expected) });
}

/// What was published before the second subscription came only through the first.
#[test]
fn a_subscription_begins_with_what_is_published_after_it() {
    let mut world = world(System::Nats);
    world.subscribe_for("actuator", 100, "t", ONE);
    publish(&mut world, 2);
    world.subscribe_for("actuator", 1100, "t", TWO);
    world.publish("sensor", 1, 1150, "t", "on");
    for (at, feed) in [(1200, ONE), (1230, ONE), (1260, ONE), (1290, TWO)] {
        world.op("actuator", 1, at, false, through(feed));
        world.back("actuator", 1, at + 20);
    }
    let expected = sure(&[(1200, 0), (1230, 1), (1260, 2), (1290, 2)]);
    assert_eq!(links(&world), Links { publishes: 3, deliveries: expected });
}

/// MQTT 5: two subscriptions with identifiers and one without; where a delivery names several, or none although all have one, any
/// may be meant.
#[test]
fn subscriptions_with_identifiers_get_a_copy_each() {
    let mut world = world(System::Mqtt);
    world.subscribe_for("actuator", 100, "#", ONE);
    world.subscribe_for("actuator", 120, "+", TWO);
    world.subscribe("actuator", 130, "t");
    publish(&mut world, 4);
    let client = Feed::Client;
    let order =
        [(ONE, 0), (TWO, 0), (client, 0), (ONE, 1), (ONE, 2), (client, 1), (client, 2), (TWO, 1), (TWO, 2)];
    let mut expected = Vec::new();
    for (at, (feed, number)) in (0..).map(|index| 1200 + 30 * index).zip(order) {
        world.op("actuator", 1, at, false, through(feed));
        world.back("actuator", 1, at + 20);
        expected.push((at, number));
    }
    assert_eq!(links(&world), Links { publishes: 4, deliveries: sure(&expected) });
    let mut world = self::world(System::Mqtt);
    publish(&mut world, 2);
    world.subscribe_for("actuator", 1100, "#", ONE);
    // With another identifier it is another subscription.
    world.subscribe_for("actuator", 1110, "#", TWO);
    world.publish("sensor", 1, 1150, "t", "on");
    world.op("actuator", 1, 1200, false, through(client));
    world.back("actuator", 1, 1220);
    assert_eq!(links(&world), Links { publishes: 3, deliveries: sure(&[(1200, 2)]) });
}

/// Redis: a channel, and a pattern that covers it.
#[test]
fn a_channel_and_a_pattern_get_a_copy_each() {
    let mut world = world(System::Redis);
    world.subscribe("actuator", 100, "t");
    world.subscribe_for("actuator", 120, "?", ONE);
    publish(&mut world, 3);
    let mut expected = Vec::new();
    for number in 0..3 {
        let at = 1200 + 60 * number as u64;
        world.op("actuator", 1, at, false, through(Feed::Client));
        world.op("actuator", 1, at + 30, false, through(ONE));
        expected.extend([(at, number), (at + 30, number)]);
    }
    world.back("actuator", 1, 2000);
    assert_eq!(links(&world), Links { publishes: 3, deliveries: sure(&expected) });
}

/// AMQP: two consumers of one connection on two queues, to which one exchange sends everything.
#[test]
fn two_queues_of_one_connection_get_a_copy_each() {
    let mut world = world(System::Rabbitmq);
    publish(&mut world, 4);
    // The second queue is behind.
    let order = [(7, 0), (7, 1), (7, 2), (8, 0), (8, 1), (7, 3), (8, 2), (8, 3)];
    let mut expected = Vec::new();
    for (at, (queue, number)) in (0..).map(|index| 1200 + 30 * index).zip(order) {
        let delivery = Message {
            destination: format!("t:{queue}").into(),
            published_as: Some("t".into()),
            feed: Feed::Shared(queue),
            ..message("t", "on")
        };
        world.op("actuator", 1, at, false, OpKind::Deliver(Box::new(delivery)));
        world.back("actuator", 1, at + 20);
        expected.push((at, number));
    }
    assert_eq!(links(&world), Links { publishes: 4, deliveries: sure(&expected) });
}

/// AMQP: two consumers of one connection on one queue: each message goes to one of them.
#[test]
fn consumers_of_one_queue_share_its_messages() {
    let mut world = world(System::Rabbitmq);
    publish(&mut world, 4);
    let mut expected = Vec::new();
    for number in 0..4 {
        let at = 1200 + 30 * number as u64;
        world.op("actuator", 1, at, false, through(QUEUE));
        world.back("actuator", 1, at + 20);
        expected.push((at, number));
    }
    assert_eq!(links(&world), Links { publishes: 4, deliveries: sure(&expected) });
}

/// The same of two programs: which of them got which of several equal messages in waiting is not to be seen, that each was got
/// once is.
#[test]
fn programs_that_consume_one_queue_share_its_messages() {
    let mut world = world(System::Rabbitmq);
    publish(&mut world, 4);
    let mut expected = Vec::new();
    let programs = ["actuator", "other", "other", "actuator"];
    for (number, program) in programs.into_iter().enumerate() {
        let at = 1200 + 30 * number as u64;
        world.op(program, 1, at, false, through(QUEUE));
        world.back(program, 1, at + 20);
        // As long as one program takes them, and of the last one, there is no doubt.
        expected.push((at + 10, number, matches!(number, 1 | 2)));
    }
    // Once there is one only it is that one.
    world.publish("sensor", 1, 1400, "t", "on");
    world.op("other", 1, 1450, false, through(QUEUE));
    world.back("other", 1, 1470);
    expected.push((1460, 4, false));
    assert_eq!(links(&world), Links { publishes: 5, deliveries: expected });
}

/// A consumer is sent many at once: the cursor passes over what another one got before, and knows it when that is seen.
#[test]
fn consumers_of_one_queue_are_sent_theirs_in_turns() {
    let mut world = world(System::Rabbitmq);
    let count = 400;
    for number in 0..count {
        world.publish("sensor", 1, 1000 + 3 * number, "t", &number.to_string());
    }
    let mut expected = Vec::new();
    for (consumer, program) in ["actuator", "other"].into_iter().enumerate() {
        for number in (0..count).filter(|number| number % 2 == consumer as u64) {
            let at = 3000 + 2000 * consumer as u64 + 3 * number;
            let delivery = Message { feed: QUEUE, ..message("t", &number.to_string()) };
            world.op(program, 1, at, false, OpKind::Deliver(Box::new(delivery)));
            expected.push((at, number as usize));
        }
        world.back(program, 1, 8000);
    }
    assert_eq!(links(&world), Links { publishes: 400, deliveries: sure(&expected) });
}

/// NATS: what was published before a second worker came is on its way to the first.
#[test]
fn a_worker_that_comes_later_takes_nothing_from_the_first() {
    let mut world = world(System::Nats);
    world.subscribe_for("actuator", 100, "t", QUEUE);
    publish(&mut world, 2);
    world.subscribe_for("other", 1100, "t", QUEUE);
    world.publish("sensor", 1, 1150, "t", "on");
    for (at, program) in [(1200, "other"), (1230, "actuator"), (1260, "actuator")] {
        world.op(program, 1, at, false, through(QUEUE));
        world.back(program, 1, at + 20);
    }
    let expected = vec![(1210, 2, false), (1240, 0, true), (1270, 1, false)];
    assert_eq!(links(&world), Links { publishes: 3, deliveries: expected });
}
