//! Through the broker: which publish a delivery came from.

use expect_test::{Expect, expect};

use super::world::{World, acked, message};
use crate::model::net::Role;
use crate::model::op::{Message, OpKind};

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

#[test]
fn fan_out() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "x");
    world.deliver("actuator", 1, 1100, "t", "x");
    world.deliver("other", 1, 1120, "t", "x");
    world.deliver("third", 1, 1140, "t", "x");
    for name in ["actuator", "other", "third"] {
        world.back(name, 1, 1300);
    }
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
          broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
          broker t [broker] 1010..1120 tcp-position+fingerprint 0.99
          broker t [broker] 1010..1140 tcp-position+fingerprint 0.99
          process t [actuator] 1110..1300 tcp-position+fingerprint 0.99
          process t [other] 1130..1300 tcp-position+fingerprint 0.99
          process t [third] 1150..1300 tcp-position+fingerprint 0.99
    "#]],
    );
}

#[test]
fn identical_messages_in_a_row_match_in_order() {
    let mut world = World::new();
    for name in ["actuator", "other"] {
        world.subscribe(name, 100, "t");
    }
    for at in [1000, 1030, 1060, 1090] {
        world.publish("sensor", 1, at, "t", "on");
    }
    for (index, at) in [1200, 1230, 1260, 1290].into_iter().enumerate() {
        world.deliver("actuator", 1, at, "t", "on");
        // The other one's connection is slower.
        world.deliver("other", 1, at + 70 * index as u64, "t", "on");
        world.back("actuator", 1, at + 25);
    }
    world.back("other", 1, 1900);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
          broker t [broker] 1010..1200 tcp-position+fingerprint 0.99
          broker t [broker] 1010..1200 tcp-position+fingerprint 0.99
          process t [actuator] 1210..1225 tcp-position+fingerprint 0.99
          process t [other] 1210..1900 tcp-position+fingerprint 0.99
        publish t [sensor] 1030..1050
          broker t [broker] 1040..1230 tcp-position+fingerprint 0.99
          broker t [broker] 1040..1300 tcp-position+fingerprint 0.99
          process t [actuator] 1240..1255 tcp-position+fingerprint 0.99
          process t [other] 1310..1900 tcp-position+fingerprint 0.99
        publish t [sensor] 1060..1080
          broker t [broker] 1070..1260 tcp-position+fingerprint 0.99
          broker t [broker] 1070..1400 tcp-position+fingerprint 0.99
          process t [actuator] 1270..1285 tcp-position+fingerprint 0.99
          process t [other] 1410..1900 tcp-position+fingerprint 0.99
        publish t [sensor] 1090..1110
          broker t [broker] 1100..1290 tcp-position+fingerprint 0.99
          broker t [broker] 1100..1500 tcp-position+fingerprint 0.99
          process t [actuator] 1300..1315 tcp-position+fingerprint 0.99
          process t [other] 1510..1900 tcp-position+fingerprint 0.99
    "#]],
    );
}

#[test]
fn several_publishers_on_one_topic_in_the_broker_s_order() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    let at = |start, end| crate::model::time::Interval {
        start: super::world::us(start),
        end: super::world::us(end),
    };
    // The third client sends first, the broker reads it last.
    let kind = || OpKind::Publish(Box::new(message("t", "on")));
    world.op_timed("third", 1, at(1000, 1010), at(1090, 1100), true, kind());
    world.op_timed("sensor", 1, at(1020, 1030), at(1040, 1050), true, kind());
    world.deliver("actuator", 1, 1060, "t", "on");
    world.back("actuator", 1, 1090);
    world.deliver("actuator", 1, 1110, "t", "on");
    world.back("actuator", 1, 1190);
    check(
        &world,
        &expect![[r#"
        publish t [third] 1000..1010
          broker t [broker] 1100..1110 tcp-position+fingerprint 0.99
          process t [actuator] 1120..1190 tcp-position+fingerprint 0.99
        publish t [sensor] 1020..1030
          broker t [broker] 1050..1060 tcp-position+fingerprint 0.99
          process t [actuator] 1070..1090 tcp-position+fingerprint 0.99
    "#]],
    );
}

#[test]
fn dropped_for_a_slow_subscriber() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    for (at, body) in [(1000, "a"), (1030, "b"), (1060, "c")] {
        world.publish("sensor", 1, at, "t", body);
    }
    world.deliver("actuator", 1, 1200, "t", "c");
    world.back("actuator", 1, 1250);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
        publish t [sensor] 1030..1050
        publish t [sensor] 1060..1080
          broker t [broker] 1070..1200 tcp-position+fingerprint 0.99
          process t [actuator] 1210..1250 tcp-position+fingerprint 0.99
    "#]],
    );
}

#[test]
fn retained_comes_from_the_last_retained_publish() {
    let mut world = World::new();
    let retain = |body: &str| OpKind::Publish(Box::new(Message { retain: true, ..message("t", body) }));
    world.op("sensor", 1, 1000, true, retain("old"));
    world.op("sensor", 1, 1100, true, retain("on"));
    world.publish("sensor", 1, 1200, "t", "on");
    world.subscribe("actuator", 5_000_000, "t");
    let retained = Message { retained: true, ..message("t", "on") };
    world.op("actuator", 1, 5_000_100, false, OpKind::Deliver(Box::new(retained)));
    world.back("actuator", 1, 5_000_200);
    world.publish("sensor", 1, 5_001_000, "t", "off");
    world.deliver("actuator", 1, 5_001_100, "t", "off");
    world.back("actuator", 1, 5_001_200);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
        publish t [sensor] 1100..1120
          process t [actuator] 5000110..5000200 tcp-position+fingerprint 0.99
        publish t [sensor] 1200..1220
        publish t [sensor] 5001000..5001020
          broker t [broker] 5001010..5001100 tcp-position+fingerprint 0.99
          process t [actuator] 5001110..5001200 tcp-position+fingerprint 0.99
    "#]],
    );
}

#[test]
fn subscriber_that_joins_late_gets_none_of_the_earlier() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "on");
    world.publish("sensor", 1, 1100, "t", "on");
    world.subscribe("actuator", 1200, "+");
    world.publish("sensor", 1, 1300, "t", "on");
    world.deliver("actuator", 1, 1400, "t", "on");
    world.back("actuator", 1, 1450);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
        publish t [sensor] 1100..1120
        publish t [sensor] 1300..1320
          broker t [broker] 1310..1400 tcp-position+fingerprint 0.99
          process t [actuator] 1410..1450 tcp-position+fingerprint 0.99
    "#]],
    );
}

#[test]
fn attached_in_mid_stream_equal_messages_are_ambiguous() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "on");
    world.publish("sensor", 1, 900_000, "t", "on");
    world.deliver("actuator", 1, 900_100, "t", "on");
    world.back("actuator", 1, 900_200);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
        publish t [sensor] 900000..900020
          broker t [broker] 900010..900100 tcp-position+fingerprint 0.8
          process t [actuator] 900110..900200 tcp-position+fingerprint 0.8
    "#]],
    );
}

#[test]
fn sent_again_is_the_same_publish() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    let again = |message: Message| Message { redelivered: true, ..message };
    world.op("sensor", 1, 1000, true, OpKind::Publish(Box::new(acked("t", "go", 3))));
    world.op("actuator", 1, 1100, false, OpKind::Deliver(Box::new(acked("t", "go", 8))));
    world.back("actuator", 1, 1200);
    world.op("sensor", 1, 2000, true, OpKind::Publish(Box::new(again(acked("t", "go", 3)))));
    world.op("sensor", 1, 2050, false, OpKind::PublishSettled { id: 3, error: None, given: None });
    world.op("actuator", 1, 3000, false, OpKind::Deliver(Box::new(again(acked("t", "go", 8)))));
    world.ack("actuator", 1, 3100, &[8]);
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..2060
              broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
              broker t [broker] 1010..3000 tcp-position+fingerprint 0.99
              process t [actuator] 1110..1200 tcp-position+fingerprint 0.99 ERROR unsettled
              process t [actuator] 3010..3120 tcp-position+fingerprint 0.99
                ack t [actuator] 3100..3120 broker-id 1
        "#]],
    );
    assert_eq!(world.run().1.counts().resent, 2);
}

/// Of a consumer from before it is not known whether it settles: those that do are linked, those that do not did nothing wrong.
#[test]
fn what_need_perhaps_not_be_settled_is_no_error() {
    let mut world = World::new();
    let presumed =
        |id| OpKind::Deliver(Box::new(Message { settle_is_presumed: true, ..acked("t", "go", id) }));
    world.op("actuator", 1, 1100, false, presumed(7));
    world.back("actuator", 1, 1200);
    world.op("actuator", 1, 1300, false, presumed(8));
    world.ack("actuator", 1, 1400, &[8]);
    check(
        &world,
        &expect![[r#"
            process t [actuator] 1110..1200
            process t [actuator] 1310..1420
              ack t [actuator] 1400..1420 broker-id 1
        "#]],
    );
}

#[test]
fn overlapping_subscriptions_bring_a_message_twice() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    world.subscribe("actuator", 150, "#");
    world.subscribe("other", 150, "t");
    world.publish("sensor", 1, 1000, "t", "on");
    for (client, at) in [("actuator", 1100), ("actuator", 1130), ("other", 1100), ("other", 1130)] {
        world.deliver(client, 1, at, "t", "on");
        world.back(client, 1, at + 20);
    }
    // The other one has one subscription: its second message is one whose publish was not seen.
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
          broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
          broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
          broker t [broker] 1010..1130 tcp-position+fingerprint 0.8
          process t [other] 1110..1120 tcp-position+fingerprint 0.99
          process t [actuator] 1110..1120 tcp-position+fingerprint 0.99
          process t [actuator] 1140..1150 tcp-position+fingerprint 0.8
        process t [other] 1140..1150
    "#]],
    );
    assert_eq!(world.run().1.counts().unmatched_deliveries, 1);
}

#[test]
fn unmatched_delivery_is_a_root() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "on");
    world.deliver("actuator", 1, 1100, "t", "off");
    world.deliver("actuator", 1, 1130, "u", "on");
    world.back("actuator", 1, 1200);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
        process t [actuator] 1110..1200
        process u [actuator] 1140..1200
    "#]],
    );
    assert_eq!(world.run().1.counts().unmatched_deliveries, 2);
}

#[test]
fn lost_delivery_does_not_shift_the_following() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    for second in 1..4u64 {
        world.publish("sensor", 1, second * 1_000_000, "t", "21.5");
        // The second one's delivery was not captured.
        if second != 2 {
            world.deliver("actuator", 1, second * 1_000_000 + 100, "t", "21.5");
            world.back("actuator", 1, second * 1_000_000 + 200);
        }
    }
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000000..1000020
          broker t [broker] 1000010..1000100 tcp-position+fingerprint 0.99
          process t [actuator] 1000110..1000200 tcp-position+fingerprint 0.99
        publish t [sensor] 2000000..2000020
        publish t [sensor] 3000000..3000020
          broker t [broker] 3000010..3000100 tcp-position+fingerprint 0.8
          process t [actuator] 3000110..3000200 tcp-position+fingerprint 0.8
    "#]],
    );
}

#[test]
fn last_will_is_a_publish_of_the_vanished_client() {
    let will = || OpKind::Connect { will: Some(Box::new(message("state/sensor", "offline"))) };
    for (clean, expected) in [
        (
            false,
            expect![[r#"
        publish state/sensor [sensor] 2010..2010
          process state/sensor [actuator] 2110..2200 tcp-position+fingerprint 0.99
    "#]],
        ),
        (
            true,
            expect![[r#"
        process state/sensor [actuator] 2110..2200
    "#]],
        ),
    ] {
        let mut world = World::new();
        world.op("sensor", 1, 1000, true, will());
        world.subscribe("actuator", 1100, "state/+");
        if clean {
            world.op("sensor", 1, 1900, true, OpKind::Disconnect { clean: true });
        }
        world.gone("sensor", 2000);
        world.op("sensor", 1, 2000, true, OpKind::Disconnect { clean: false });
        world.deliver("actuator", 1, 2100, "state/sensor", "offline");
        world.back("actuator", 1, 2200);
        check(&world, &expected);
    }
}

#[test]
fn quality_of_service_two_is_overtaken() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    world.op("sensor", 1, 1000, true, OpKind::Publish(Box::new(acked("t", "first", 1))));
    world.publish("sensor", 1, 1030, "t", "second");
    world.deliver("actuator", 1, 1100, "t", "second");
    world.back("actuator", 1, 1150);
    world.op("sensor", 1, 1200, false, OpKind::PublishSettled { id: 1, error: None, given: None });
    world.op("actuator", 1, 1230, false, OpKind::Deliver(Box::new(acked("t", "first", 1))));
    world.ack("actuator", 1, 1300, &[1]);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1210
          broker t [broker] 1010..1230 tcp-position+fingerprint 0.8
          process t [actuator] 1240..1320 tcp-position+fingerprint 0.8
            ack t [actuator] 1300..1320 broker-id 1
        publish t [sensor] 1030..1050
          broker t [broker] 1040..1100 tcp-position+fingerprint 0.99
          process t [actuator] 1110..1150 tcp-position+fingerprint 0.99
    "#]],
    );
}

/// What was not captured of a client's call is its view of the messages that begin there.
#[test]
fn messages_in_bytes_that_were_not_captured_are_the_client_s_all_the_same() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    world.subscribe("other", 100, "t");
    for at in [1000, 1100, 1200] {
        world.publish("sensor", 1, at, "t", &at.to_string());
        world.deliver("actuator", 1, at + 50, "t", &at.to_string());
    }
    // The sensor's second publish and the actuator's second delivery were beyond what is captured of a call.
    for (client, to_server) in [("sensor", true), ("actuator", false)] {
        let unseen = |input: &&mut super::world::Input| match input {
            super::world::Input::Op(op) => {
                op.viewpoint == Role::Client
                    && op.process == super::world::key(client)
                    && op.place.to_server == to_server
                    && matches!(&op.kind, OpKind::Publish(message) | OpKind::Deliver(message)
                        if message.body.captured.as_ref() == b"1100")
            }
            _ => false,
        };
        let Some(super::world::Input::Op(op)) = world.inputs.iter_mut().find(unseen) else {
            panic!("it is there")
        };
        op.kind = OpKind::Unseen;
    }
    world.command("actuator", 1, (1170, 1180), "GO", "");
    world.back("actuator", 1, 1240);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
          broker t [broker] 1010..1050 tcp-position+fingerprint 0.99
          process t [actuator] 1060..1240 tcp-position+fingerprint 0.99
        publish t [sensor] 1100..1120
          broker t [broker] 1110..1150 tcp-position+fingerprint 0.99
          process t [actuator] 1160..1240 tcp-position+fingerprint 0.99
        peripheral.execute CMD [actuator] 1170..1180
        publish t [sensor] 1200..1220
          broker t [broker] 1210..1250 tcp-position+fingerprint 0.99
          process t [actuator] 1260..1001260 tcp-position+fingerprint 0.99
    "#]],
    );
}

/// Nobody handles what its client went without reading.
#[test]
fn a_delivery_to_a_client_that_went_makes_no_process_span() {
    let mut world = World::new();
    world.subscribe("actuator", 100, "t");
    world.publish("sensor", 1, 1000, "t", "x");
    world.deliver("actuator", 1, 1050, "t", "x");
    world.inputs.retain(|input| match input {
        super::world::Input::Op(op) => {
            !(op.viewpoint == Role::Client && matches!(op.kind, OpKind::Deliver(_)))
        }
        _ => true,
    });
    world.gone("actuator", 1200);
    check(
        &world,
        &expect![[r#"
        publish t [sensor] 1000..1020
          broker t [broker] 1010..1050 tcp-position+fingerprint 0.99
    "#]],
    );
    assert_eq!(world.run().1.counts().abandoned, 1);
}
