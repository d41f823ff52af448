//! Logs and queues: the broker's own names of messages, batches, commits, acknowledgements from elsewhere.

use expect_test::{Expect, expect};

use super::world::{Input, World, between, message, us};
use crate::model::net::Role;
use crate::model::op::{Committed, Message, OpKind, Position, Scope, System};

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

fn kafka() -> World {
    World { system: System::Kafka, ..World::new() }
}

/// A message that waits for the broker's answer.
fn asked(id: u64) -> OpKind {
    OpKind::Publish(Box::new(Message { settle_id: Some(id), needs_settle: true, ..message("t", "same") }))
}

fn answer(id: u64, offset: u64) -> OpKind {
    OpKind::PublishSettled { id, error: None, given: Some(format!("t 0:{offset}").into()) }
}

fn record(offset: i64) -> OpKind {
    OpKind::Deliver(Box::new(Message {
        id: Some(format!("t 0:{offset}").into()),
        position: Some(Position { partition: 0, offset }),
        ..message("t", "same")
    }))
}

fn committed(offset: i64) -> OpKind {
    let next = Position { partition: 0, offset };
    OpKind::Commit {
        group: "g".into(),
        upto: vec![Committed { destination: "t".into(), next }],
        error: None,
        transaction: None,
    }
}

/// Equal bodies, fetched together and out of step with how they were sent: offsets tell them apart.
#[test]
fn a_fetch_brings_what_two_programs_sent() {
    let mut world = kafka();
    for (program, at, offset) in [("sensor", 1000, 7), ("other", 1100, 6), ("sensor", 1200, 8)] {
        world.op(program, 1, at, true, asked(offset));
        world.op(program, 1, at + 50, false, answer(offset, offset));
    }
    let fetched = (between(1400, 1420), between(1395, 1410));
    let received = OpKind::Received { count: 3, batch: None };
    world.batch("actuator", 5, fetched, false, &[record(6), record(7), record(8), received]);
    world.op("actuator", 5, 1800, true, committed(8));
    world.op("actuator", 5, 1900, true, committed(9));
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1060
          broker t [broker] 1010..1400 broker-id+tcp-position 1
          process t [actuator] 1410..1820 broker-id+tcp-position 1
        publish t [other] 1100..1160
          broker t [broker] 1110..1400 broker-id+tcp-position 1
          process t [actuator] 1410..1820 broker-id+tcp-position 1
            commit t [actuator] 1800..1820 broker-id 1 link(process t at 1410: broker-id 1)
        publish t [sensor] 1200..1260
          broker t [broker] 1210..1400 broker-id+tcp-position 1
          process t [actuator] 1410..1920 broker-id+tcp-position 1
            commit t [actuator] 1900..1920 broker-id 1
        receive t [actuator] 1395..1410 link(publish t at 1100: broker-id 1) link(publish t at 1000: broker-id 1) link(publish t at 1200: broker-id 1)
    "#]],
    );
}

/// What was sent before anybody looked is not what was sent since, although it looks the same.
#[test]
fn an_older_message_is_not_the_one_that_was_seen() {
    let mut world = kafka();
    world.op("sensor", 1, 1000, true, asked(1));
    world.op("sensor", 1, 1050, false, answer(1, 42));
    world.op("actuator", 5, 1200, false, record(41));
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1060
        process t [actuator] 1210..1001210
    "#]],
    );
}

/// From the broker alone.
#[test]
fn a_fetch_seen_from_the_broker() {
    let mut world = World { clients: false, ..kafka() };
    world.op("sensor", 1, 1000, true, asked(1));
    world.op("sensor", 1, 1050, false, answer(1, 6));
    world.op("sensor", 1, 1100, true, asked(2));
    world.op("sensor", 1, 1150, false, answer(2, 7));
    let fetched = (between(1400, 1420), between(1395, 1410));
    world.batch(
        "actuator",
        5,
        fetched,
        false,
        &[record(6), record(7), OpKind::Received { count: 2, batch: None }],
    );
    world.op("actuator", 5, 1800, true, committed(8));
    check(
        &world,
        &expect![[r#"
        publish t [remote sensor] 1010..1070 seen from the broker
          broker t [broker] 1010..1400 broker-id 1
          process t [remote actuator] 1420..1810 broker-id 1 seen from the broker
            commit t [remote actuator] 1810..1810 broker-id 1 link(process t at 1420: broker-id 1) seen from the broker
        publish t [remote sensor] 1110..1170 seen from the broker
          broker t [broker] 1110..1400 broker-id 1
          process t [remote actuator] 1420..1810 broker-id 1 seen from the broker
        receive t [remote actuator] 1400..1420 link(publish t at 1010: broker-id 1) link(publish t at 1110: broker-id 1) seen from the broker
    "#]],
    );
}

/// A pool of connections: read on one, acknowledged on another.
#[test]
fn acknowledged_on_another_connection() {
    let mut world = World { system: System::Redis, ..World::new() };
    let entry = || Message { id: Some("s:1-1".into()), ..message("s", "body") };
    world.op("sensor", 1, 1000, true, OpKind::Publish(Box::new(message("s", "body"))));
    let read = Message { settle_id: Some(99), scope: Scope::Broker, needs_settle: true, ..entry() };
    world.op("actuator", 5, 1200, false, OpKind::Deliver(Box::new(read)));
    let ack = OpKind::Settle { name: "ack", ids: vec![99], scope: Scope::Broker, error: None };
    world.op("other", 5, 1500, true, ack);
    check(
        &world,
        &expect![[r#"
        publish s [sensor] 1000..1020
          broker s [broker] 1010..1200 tcp-position+fingerprint 0.99
          process s [actuator] 1210..1520 tcp-position+fingerprint 0.99
            ack s [other] 1500..1520 broker-id 1
    "#]],
    );
}

/// An answer that is due and does not come is an error; where none is due there is none.
#[test]
fn a_publish_that_nobody_answers() {
    let mut world = kafka();
    world.op("sensor", 1, 1000, true, asked(1));
    world.op("sensor", 1, 900_000, true, asked(2));
    world.op("sensor", 1, 1_100_000, true, OpKind::Publish(Box::new(message("t", "not acknowledged"))));
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020 ERROR timeout
        publish t [sensor] 900000..900020 ERROR timeout
        publish t [sensor] 1100000..1100020
    "#]],
    );
}

/// NATS: what a request brings comes message by message, over a longer time than each is handled; another request's messages
/// lie between.
#[test]
fn a_batch_of_messages_that_come_one_by_one() {
    let mut world = World { system: System::Nats, ..World::new() };
    let at = |number: u64| 1_000_000 + 2_000_000 * number;
    for number in 0..4 {
        world.publish("sensor", 1, at(number), "t", &number.to_string());
        let delivery = Message {
            settle_id: Some(number),
            scope: Scope::Broker,
            needs_settle: true,
            batch: Some(if number == 1 { 7 } else { 3 }),
            ..message("t", &number.to_string())
        };
        world.op("actuator", 5, at(number) + 100, false, OpKind::Deliver(Box::new(delivery)));
        let ids = vec![number];
        let ack = OpKind::Settle { name: "ack", ids, scope: Scope::Broker, error: None };
        world.op("actuator", 5, at(number) + 200, true, ack);
    }
    let times = (between(at(0) + 100, at(3) + 120), between(at(0) + 95, at(3) + 110));
    world.op_timed("actuator", 5, times.0, times.1, false, OpKind::Received { count: 3, batch: Some(3) });
    for input in world.inputs.iter_mut().rev().take(2) {
        let Input::Op(op) = input else { panic!("it is one") };
        // What began with the first ends with the last.
        op.last_enter = if op.viewpoint == Role::Client { us(at(3) + 95) } else { us(at(3) + 100) };
    }
    // The broker's end may find another end of it: that of the client counts.
    world.batch("actuator", 5, times, false, &[OpKind::Received { count: 2, batch: Some(7) }]);
    world.inputs.retain(|input| match input {
        Input::Op(op) => {
            op.viewpoint == Role::Server || !matches!(op.kind, OpKind::Received { count: 2, .. })
        }
        _ => true,
    });
    let trees = world.trees();
    let received: Vec<_> = trees.lines().filter(|line| line.starts_with("receive")).collect();
    expect![[r#"
        [
            "receive t [actuator] 1000095..7000110 link(publish t at 1000000: fingerprint 0.99) link(publish t at 5000000: fingerprint 0.99) link(publish t at 7000000: fingerprint 0.99)",
        ]
    "#]]
    .assert_debug_eq(&received);
}
