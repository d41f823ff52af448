//! Transactions: what an aborted one published and committed failed.

use expect_test::{Expect, expect};

use super::world::{World, message};
use crate::model::op::{Committed, Message, OpKind, Position, System};

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

fn kafka() -> World {
    World { system: System::Kafka, ..World::new() }
}

fn within(name: &str, id: u64, body: &str) -> OpKind {
    let message = message("t", body);
    let transaction = Some(name.into());
    OpKind::Publish(Box::new(Message { settle_id: Some(id), needs_settle: true, transaction, ..message }))
}

fn answer(id: u64) -> OpKind {
    OpKind::PublishSettled { id, error: None, given: Some(format!("t 0:{id}").into()) }
}

fn ended(name: &str, committed: bool) -> OpKind {
    OpKind::TransactionEnded { name: name.into(), committed }
}

fn record(offset: i64) -> OpKind {
    OpKind::Deliver(Box::new(Message {
        id: Some(format!("s 0:{offset}").into()),
        position: Some(Position { partition: 0, offset }),
        ..message("s", "in")
    }))
}

fn committed(offset: i64, name: &str) -> OpKind {
    let next = Position { partition: 0, offset };
    let upto = vec![Committed { destination: "s".into(), next }];
    OpKind::Commit { group: "g".into(), upto, error: None, transaction: Some(name.into()) }
}

/// The end comes seconds behind the broker's answers; the other producer's transaction has the same name and another end.
fn two_producers(mut world: World) -> World {
    world.op("sensor", 1, 1000, true, within("x", 1, "one"));
    world.op("sensor", 1, 1050, false, answer(1));
    world.op("other", 1, 2000, true, within("x", 2, "two"));
    world.op("other", 1, 2050, false, answer(2));
    world.op("sensor", 1, 3_000_000, false, ended("x", false));
    world.op("other", 1, 3_100_000, false, ended("x", true));
    // The next one of the same name.
    world.op("sensor", 1, 3_200_000, true, within("x", 3, "three"));
    world.op("sensor", 1, 3_200_050, false, answer(3));
    world.op("sensor", 1, 3_300_000, false, ended("x", true));
    world
}

#[test]
fn publishes_fail_with_their_transaction() {
    check(
        &two_producers(kafka()),
        &expect![[r#"
        publish t [sensor] 1000..1060 ERROR TRANSACTION_ABORTED
        publish t [other] 2000..2060
        publish t [sensor] 3200000..3200060
    "#]],
    );
}

#[test]
fn publishes_fail_with_their_transaction_as_the_broker_sees_it() {
    check(
        &two_producers(World { clients: false, ..kafka() }),
        &expect![[r#"
        publish t [remote sensor] 1010..1070 seen from the broker ERROR TRANSACTION_ABORTED
        publish t [remote other] 2010..2070 seen from the broker
        publish t [remote sensor] 3200010..3200070 seen from the broker
    "#]],
    );
}

/// Nobody waits for ever; and what is aborted without a word of the producer's is not known.
#[test]
fn an_end_that_comes_too_late_changes_nothing() {
    let mut world = kafka();
    world.op("sensor", 1, 1000, true, within("x", 1, "one"));
    world.op("sensor", 1, 1050, false, answer(1));
    world.op("sensor", 1, 9_000_000, true, within("y", 2, "two"));
    world.op("sensor", 1, 9_000_050, false, answer(2));
    world.op("sensor", 1, 9_100_000, false, ended("x", false));
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1060
        publish t [sensor] 9000000..9000060
    "#]],
    );
}

#[test]
fn offsets_count_when_their_transaction_does() {
    let mut world = kafka();
    for (at, is_good) in [(1000, false), (500_000, true)] {
        world.op("relay", 1, at, false, record(at as i64));
        world.op("relay", 1, at + 100, true, within("x", at, "out"));
        world.op("relay", 1, at + 150, false, answer(at));
        world.op("relay", 1, at + 200, true, committed(at as i64 + 1, "x"));
        world.op("relay", 1, at + 300, false, ended("x", is_good));
    }
    check(
        &world,
        &expect![[r#"
        process s [relay] 1010..1220 ERROR TRANSACTION_ABORTED
          publish t [relay] 1100..1160 thread 0.97 ERROR TRANSACTION_ABORTED
          commit s [relay] 1200..1220 broker-id 1 ERROR TRANSACTION_ABORTED
        process s [relay] 500010..500220
          publish t [relay] 500100..500160 thread 0.97
          commit s [relay] 500200..500220 broker-id 1
    "#]],
    );
}
