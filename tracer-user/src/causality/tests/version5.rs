//! What MQTT 5, and sessions that outlive connections, tell of messages.

use expect_test::{Expect, expect};

use super::world::{Input, World, acked, message};
use crate::model::op::{Message, OpKind, Scope};

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

/// `actuator` comes back on another connection: from the `from`th input on.
fn reconnect(world: &mut World, from: usize) {
    for input in &mut world.inputs[from..] {
        let Input::Op(op) = input else { continue };
        for address in [&mut op.socket.local, &mut op.socket.remote] {
            if address.port() != 1883 {
                address.set_port(address.port() + 1000);
            }
        }
        op.place.connection = op.socket.connection();
    }
}

#[test]
fn acknowledged_on_the_next_connection() {
    for (scope, settles) in [(Scope::Session, 1), (Scope::Connection, 0)] {
        let mut world = World::new();
        world.subscribe("actuator", 100, "t");
        let kept = |message: Message| Box::new(Message { scope, ..message });
        world.op("sensor", 1, 1000, true, OpKind::Publish(kept(acked("t", "go", 3))));
        world.op("actuator", 1, 1100, false, OpKind::Deliver(kept(acked("t", "go", 8))));
        world.op("actuator", 1, 1200, true, OpKind::Disconnect { clean: false });
        let from = world.inputs.len();
        let settle = OpKind::Settle { name: "ack", ids: vec![8], scope, error: None };
        world.op("actuator", 1, 1500, true, settle);
        reconnect(&mut world, from);
        let trees = world.trees();
        assert_eq!(trees.matches("ack t [actuator]").count(), settles, "{scope:?}: {trees}");
    }
}

/// `relay` asks while it handles a job, and is answered.
fn asks(ask: impl Fn(&mut Message), answer: impl Fn(&mut Message)) -> World {
    let mut world = World::new();
    let with = |topic, change: &dyn Fn(&mut Message)| {
        let mut message = message(topic, "told");
        change(&mut message);
        Box::new(message)
    };
    world.publish("sensor", 1, 1000, "job", "do");
    world.deliver("relay", 1, 1100, "job", "do");
    world.op("relay", 1, 1200, true, OpKind::Publish(with("ask", &ask)));
    world.back("relay", 1, 1250);
    world.op("relay", 1, 1500, false, OpKind::Deliver(with("told", &answer)));
    world.command("relay", 1, (1600, 1700), "DO", "OK");
    world.back("relay", 1, 1800);
    world
}

fn header(name: &str, value: &str) -> impl Fn(&mut Message) {
    move |message| message.headers.push((name.into(), value.into()))
}

#[test]
fn an_answer_on_the_response_topic_is_a_return() {
    let parent = |world: &World| {
        let trees = world.trees();
        let lines: Vec<_> = trees.lines().collect();
        let depth = |line: &str| line.len() - line.trim_start().len();
        let at = lines.iter().position(|line| line.contains("peripheral.execute")).expect("it is there");
        let above = lines[..at].iter().rev().find(|line| depth(line) < depth(lines[at]));
        above.map(|line| line.trim_start().split(' ').take(2).collect::<Vec<_>>().join(" "))
    };
    let returns = Some("process job".to_owned());
    assert_eq!(parent(&asks(header("reply-to", "told"), |_| {})), returns);
    assert_eq!(parent(&asks(header("correlation-id", "c-1"), header("correlation-id", "c-1"))), returns);
    // Somebody else's.
    let another = Some("process told".to_owned());
    assert_eq!(parent(&asks(header("reply-to", "told"), header("correlation-id", "c-2"))), another);
    assert_eq!(parent(&asks(header("reply-to", "elsewhere"), |_| {})), another);
}

#[test]
fn kept_and_as_published() {
    // Published before the subscription, so that only the broker's copy can be meant, and once more live.
    let mut world = World::new();
    let flagged = |body: &str| Box::new(Message { retain: true, ..message("t", body) });
    world.op("sensor", 1, 1000, true, OpKind::Publish(flagged("on")));
    world.subscribe("actuator", 1200, "t");
    world.op("actuator", 1, 1300, false, OpKind::Deliver(flagged("on")));
    world.back("actuator", 1, 1350);
    world.op("sensor", 1, 1400, true, OpKind::Publish(flagged("off")));
    world.op("actuator", 1, 1500, false, OpKind::Deliver(flagged("off")));
    world.back("actuator", 1, 1550);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
          broker t [broker] 1010..1300 tcp-position+fingerprint 0.99
          process t [actuator] 1310..1350 tcp-position+fingerprint 0.99
        publish t [sensor] 1400..1420
          broker t [broker] 1410..1500 tcp-position+fingerprint 0.99
          process t [actuator] 1510..1550 tcp-position+fingerprint 0.99
    "#]],
    );
}
