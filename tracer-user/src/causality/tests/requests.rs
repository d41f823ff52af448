//! Requests, replies, and answers that nobody can tell beforehand (NATS).

use expect_test::{Expect, expect};

use super::world::{Input, World, message};
use crate::model::net::Role;
use crate::model::op::{Message, OpKind, System};

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

fn nats() -> World {
    World { system: System::Nats, ..World::new() }
}

/// A message with a reply subject: to a program or to a stream.
fn asked(destination: &str, reply: u64) -> Message {
    let inbox = format!("_INBOX.{reply}");
    Message {
        settle_id: Some(reply),
        headers: vec![
            ("correlation-id".into(), inbox.as_str().into()),
            ("reply-to".into(), inbox.as_str().into()),
        ],
        ..message(destination, "?")
    }
}

fn reply(reply: u64) -> Message {
    let inbox = format!("_INBOX.{reply}");
    Message {
        template: Some("_INBOX.>".into()),
        headers: vec![("correlation-id".into(), inbox.as_str().into())],
        ..message(&inbox, "!")
    }
}

fn publish(message: Message) -> OpKind {
    OpKind::Publish(Box::new(message))
}

fn deliver(message: Message) -> OpKind {
    OpKind::Deliver(Box::new(message))
}

fn stored(reply: u64) -> OpKind {
    OpKind::PublishSettled { id: reply, error: None, given: Some(format!("S:{reply}").into()) }
}

/// The first answer shows that there is a stream: from then on one that does not come is missed.
#[test]
fn a_stream_is_known_by_its_answers() {
    let mut world = nats();
    world.op("sensor", 1, 1000, true, publish(asked("t", 1)));
    world.op("sensor", 1, 1050, false, stored(1));
    world.op("sensor", 1, 1200, true, publish(asked("t", 2)));
    world.op("sensor", 1, 1300, true, publish(asked("request", 3)));
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1060
        publish t [sensor] 1200..1220 ERROR timeout
        publish request [sensor] 1300..1320
    "#]],
    );
}

/// What the stream calls a message is nothing to those who subscribe to its subject.
#[test]
fn a_plain_subscriber_of_a_streams_subject() {
    let mut world = nats();
    world.op("sensor", 1, 1000, true, publish(asked("t", 1)));
    world.op("sensor", 1, 1050, false, stored(1));
    world.op("actuator", 5, 1300, false, deliver(message("t", "?")));
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1060
          broker t [broker] 1010..1300 tcp-position+fingerprint 0.99
          process t [actuator] 1310..1001310 tcp-position+fingerprint 0.99
    "#]],
    );
}

/// A process that asks itself does not take its request for the answer.
#[test]
fn a_process_answers_itself() {
    let mut world = nats();
    world.op("relay", 1, 1000, true, publish(asked("ask", 1)));
    world.op("relay", 2, 1100, false, deliver(Message { settle_id: None, ..asked("ask", 1) }));
    world.op("relay", 2, 1200, true, publish(reply(1)));
    world.op("relay", 1, 1300, false, deliver(reply(1)));
    check(
        &world,
        &expect![[r#"
        publish ask [relay] 1000..1020
          broker ask [broker] 1010..1100 tcp-position+fingerprint 0.99
          process ask [relay] 1110..1001110 tcp-position+fingerprint 0.99
            publish _INBOX.> [relay] 1200..1220 thread 0.97
              broker _INBOX.> [broker] 1210..1300 tcp-position+fingerprint 0.99
              process _INBOX.> [relay] 1310..1001310 tcp-position+fingerprint 0.99
    "#]],
    );
}

/// A client's end that came late does not know whose an answer is; the broker's end does.
#[test]
fn an_answer_that_only_the_broker_understands() {
    let mut world = World { system: System::Redis, ..World::new() };
    let entry = Message { settle_id: Some(1), needs_settle: true, ..message("S", "?") };
    world.op("sensor", 1, 1000, true, publish(entry));
    world.op("sensor", 1, 1050, false, stored(1));
    world.inputs.retain_mut(|input| match input {
        Input::Op(op) if op.viewpoint == Role::Client => match &mut op.kind {
            OpKind::Publish(message) => {
                (message.settle_id, message.needs_settle) = (None, false);
                true
            }
            _ => false,
        },
        _ => true,
    });
    let read = Message { id: Some("S:1".into()), ..message("S", "?") };
    world.op("actuator", 5, 1300, false, deliver(read));
    check(
        &world,
        &expect![[r#"
        publish S [sensor] 1000..1070
          broker S [broker] 1010..1300 broker-id+tcp-position 1
          process S [actuator] 1310..1001310 broker-id+tcp-position 1
    "#]],
    );
}
