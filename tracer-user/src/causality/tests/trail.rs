//! Whole trails: from device to device, and what each viewpoint alone shows.

use expect_test::{Expect, expect};

use super::world::{World, acked, key, message, us};
use crate::model::op::OpKind;

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

/// A sensor reads its device and publishes from its library's thread; an actuator handles it on one thread.
fn whole(mut world: World) -> World {
    world.command("sensor", 1, (1000, 2000), "MEAS?", "21.53");
    world.publish("sensor", 2, 2100, "t/temp", r#"{"v":21.53}"#);
    world.deliver("actuator", 1, 2200, "t/temp", r#"{"v":21.53}"#);
    world.command("actuator", 1, (2300, 2900), "SET 21.53", "OK");
    world.back("actuator", 1, 3000);
    world
}

#[test]
fn device_to_device_is_one_trace() {
    check(
        &whole(World::new()),
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
              publish t/temp [sensor] 2100..2120 containment 0.99
                broker t/temp [broker] 2110..2200 tcp-position+fingerprint 0.99
                process t/temp [actuator] 2210..3000 tcp-position+fingerprint 0.99
                  peripheral.execute CMD [actuator] 2300..2900 thread+containment 0.99
        "#]],
    );
}

#[test]
fn without_positions_the_ends_join_by_order_and_content() {
    let world = World { exact: false, ..World::new() };
    check(
        &whole(world),
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
              publish t/temp [sensor] 2100..2120 containment 0.99
                broker t/temp [broker] 2110..2200 fingerprint 0.99
                process t/temp [actuator] 2210..3000 fingerprint 0.99
                  peripheral.execute CMD [actuator] 2300..2900 thread+containment 0.99
        "#]],
    );
}

#[test]
fn from_the_clients_alone_the_hop_is_found_through_the_broker_s_address() {
    check(
        &whole(World { broker: false, ..World::new() }),
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
              publish t/temp [sensor] 2100..2120 containment 0.99
                process t/temp [actuator] 2210..3000 fingerprint 0.99
                  peripheral.execute CMD [actuator] 2300..2900 thread+containment 0.99
        "#]],
    );
}

#[test]
fn from_the_broker_alone_the_clients_are_remote() {
    check(
        &whole(World { clients: false, ..World::new() }),
        &expect![[r#"
        peripheral.execute CMD [sensor] 1000..2000
        publish t/temp [remote sensor] 2110..2110 seen from the broker
          broker t/temp [broker] 2110..2200 fingerprint 0.99
          process t/temp [remote actuator] 2220..2220 fingerprint 0.99 seen from the broker
        peripheral.execute CMD [actuator] 2300..2900
    "#]],
    );
}

#[test]
fn one_client_untraced() {
    check(
        &whole(World::new().without("sensor")),
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
            publish t/temp [remote sensor] 2110..2110 seen from the broker
              broker t/temp [broker] 2110..2200 tcp-position+fingerprint 0.99
              process t/temp [actuator] 2210..3000 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 2300..2900 thread+containment 0.99
        "#]],
    );
    check(
        &whole(World::new().without("actuator")),
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
              publish t/temp [sensor] 2100..2120 containment 0.99
                broker t/temp [broker] 2110..2200 tcp-position+fingerprint 0.99
                process t/temp [remote actuator] 2220..2220 tcp-position+fingerprint 0.99 seen from the broker
            peripheral.execute CMD [actuator] 2300..2900
        "#]],
    );
}

#[test]
fn broker_reads_before_the_write_returns() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 2000), "MEAS?", "21.53");
    let publish = OpKind::Publish(Box::new(message("t", "21.53")));
    let at = |start, end| crate::model::time::Interval { start: us(start), end: us(end) };
    // The write returns 30 ms after the message was delivered.
    world.op_timed("sensor", 1, at(2100, 32_000), at(1000, 2110), true, publish);
    world.deliver("actuator", 1, 2200, "t", "21.53");
    world.command("actuator", 1, (2300, 2900), "SET 21.53", "OK");
    world.back("actuator", 1, 3000);
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
              publish t [sensor] 2100..32000 thread+containment 0.99
                broker t [broker] 2110..2200 tcp-position+fingerprint 0.99
                process t [actuator] 2210..3000 tcp-position+fingerprint 0.99
                  peripheral.execute CMD [actuator] 2300..2900 thread+containment 0.99
        "#]],
    );
}

#[test]
fn settled_by_the_program_after_handling() {
    let mut world = World::new();
    world.op("sensor", 1, 1000, true, OpKind::Publish(Box::new(acked("t", "open", 7))));
    world.op("sensor", 1, 1100, false, OpKind::PublishSettled { id: 7, error: None, given: None });
    world.op("actuator", 1, 1150, false, OpKind::Deliver(Box::new(acked("t", "open", 1))));
    world.command("actuator", 1, (1200, 1300), "OPEN", "OK");
    world.ack("actuator", 1, 1400, &[1]);
    world.back("actuator", 1, 1500);
    // After the acknowledgement the thread is free.
    world.command("actuator", 1, (1600, 1700), "POLL", "OK");
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1110
              broker t [broker] 1010..1150 tcp-position+fingerprint 0.99
              process t [actuator] 1160..1420 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1200..1300 thread 0.97
                ack t [actuator] 1400..1420 broker-id 1
            peripheral.execute CMD [actuator] 1600..1700
        "#]],
    );
}

#[test]
fn acknowledged_by_the_library_before_handling() {
    let mut world = World::new();
    let body = r#"{"valve":42.75}"#;
    world.op("sensor", 1, 1000, true, OpKind::Publish(Box::new(acked("t", body, 7))));
    world.op("sensor", 1, 1100, false, OpKind::PublishSettled { id: 7, error: None, given: None });
    world.op("actuator", 1, 1150, false, OpKind::Deliver(Box::new(acked("t", body, 1))));
    world.ack("actuator", 1, 1170, &[1]);
    world.command("actuator", 1, (1250, 1300), "VALVE 42.75", "OK");
    world.back("actuator", 1, 1500);
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1110
              broker t [broker] 1010..1150 tcp-position+fingerprint 0.99
              process t [actuator] 1160..1190 tcp-position+fingerprint 0.99
                ack t [actuator] 1170..1190 broker-id 1
                peripheral.execute CMD [actuator] 1250..1300 containment 0.99
        "#]],
    );
}

#[test]
fn several_messages_of_one_read_settled_at_once() {
    let mut world = World::new();
    for (index, body) in ["alpha-01", "beta-022", "gamma-33"].into_iter().enumerate() {
        let at = 1000 + 30 * index as u64;
        world.publish("sensor", 1, at, "t", body);
    }
    for (index, body) in ["alpha-01", "beta-022", "gamma-33"].into_iter().enumerate() {
        let deliver = OpKind::Deliver(Box::new(acked("t", body, index as u64 + 1)));
        let at = |start, end| crate::model::time::Interval { start: us(start), end: us(end) };
        world.op_timed("actuator", 1, at(1100 + index as u64, 1110), at(1000, 1200), false, deliver);
    }
    // Content says which of the three it is; where nothing does, there is no edge.
    world.command("actuator", 1, (1300, 1310), "GO beta-022", "OK");
    world.command("actuator", 1, (1320, 1330), "BEEP", "");
    world.ack("actuator", 1, 1400, &[1, 2, 3]);
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1020
              broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
              process t [actuator] 1200..1420 tcp-position+fingerprint 0.99
                ack t [actuator] 1400..1420 broker-id 1 link(process t at 1200: broker-id 1) link(process t at 1200: broker-id 1)
            publish t [sensor] 1030..1050
              broker t [broker] 1040..1101 tcp-position+fingerprint 0.99
              process t [actuator] 1200..1420 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1300..1310 thread+containment 0.99
            publish t [sensor] 1060..1080
              broker t [broker] 1070..1102 tcp-position+fingerprint 0.99
              process t [actuator] 1200..1420 tcp-position+fingerprint 0.99
            peripheral.execute CMD [actuator] 1320..1330
        "#]],
    );
    assert_eq!(world.run().1.counts().undecided, 1);
}

fn is_read_by_actuator_at(input: &super::world::Input, at: u64) -> bool {
    use super::world::Input;
    matches!(input, Input::Op(op) if op.process == key("actuator") && op.at.start == us(at - 5))
}

#[test]
fn process_killed_in_the_middle() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "go");
    world.deliver("actuator", 1, 1100, "t", "go");
    world.command("actuator", 1, (1200, 1300), "GO", "OK");
    world.gone("actuator", 1500);
    // Died while something it had not read lay in its socket.
    world.subscribe("actuator", 100, "t");
    world.publish("sensor", 1, 1350, "t", "unread");
    world.deliver("actuator", 1, 1400, "t", "unread");
    world.inputs.retain(|input| !is_read_by_actuator_at(input, 1400));
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1020
              broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
              process t [actuator] 1110..1500 tcp-position+fingerprint 0.99 ERROR killed
                peripheral.execute CMD [actuator] 1200..1300 thread 0.97
            publish t [sensor] 1350..1370
              broker t [broker] 1360..1400 tcp-position+fingerprint 0.99
        "#]],
    );
}

#[test]
fn who_said_good_bye_was_not_killed() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "go");
    world.deliver("actuator", 1, 1100, "t", "go");
    world.op("actuator", 1, 1200, true, OpKind::Disconnect { clean: true });
    world.command("actuator", 1, (1300, 1400), "GO", "OK");
    world.gone("actuator", 1500);
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1020
              broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
              process t [actuator] 1110..1500 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1300..1400 thread 0.97
        "#]],
    );
}

#[test]
fn never_settled_nor_returned_ends_with_the_hold_time() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "go");
    world.deliver("actuator", 1, 1100, "t", "go");
    world.command("actuator", 1, (900_000, 900_100), "GO", "OK");
    world.command("actuator", 1, (1_100_000, 1_100_100), "NEXT", "OK");
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1020
              broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
              process t [actuator] 1110..1001110 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 900000..900100 thread 0.97
            peripheral.execute CMD [actuator] 1100000..1100100
        "#]],
    );
}

#[test]
fn long_command_belongs_to_what_was_handled_when_it_began() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "t", "go");
    world.deliver("actuator", 1, 1100, "t", "go");
    world.command("actuator", 1, (1200, 90_000), "MOVE", "OK");
    world.back("actuator", 1, 1300);
    world.publish("sensor", 1, 2000, "t", "stop");
    world.deliver("actuator", 1, 2100, "t", "stop");
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1020
              broker t [broker] 1010..1100 tcp-position+fingerprint 0.99
              process t [actuator] 1110..1300 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1200..90000 thread 0.97
            publish t [sensor] 2000..2020
              broker t [broker] 2010..2100 tcp-position+fingerprint 0.99
              process t [actuator] 2110..1002110 tcp-position+fingerprint 0.99
        "#]],
    );
}

#[test]
fn relay_passes_on_what_it_handles() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "raw", "x");
    world.deliver("relay", 1, 1100, "raw", "x");
    world.publish("relay", 1, 1200, "cooked", "y");
    world.back("relay", 1, 1300);
    world.publish("relay", 1, 1400, "tick", "z");
    world.deliver("actuator", 1, 1500, "cooked", "y");
    check(
        &world,
        &expect![[r#"
            publish raw [sensor] 1000..1020
              broker raw [broker] 1010..1100 tcp-position+fingerprint 0.99
              process raw [relay] 1110..1300 tcp-position+fingerprint 0.99
                publish cooked [relay] 1200..1220 thread 0.97
                  broker cooked [broker] 1210..1500 tcp-position+fingerprint 0.99
                  process cooked [actuator] 1510..1001510 tcp-position+fingerprint 0.99
            publish tick [relay] 1400..1420
        "#]],
    );
}

#[test]
fn answer_read_while_handling_is_the_cause_of_what_carries_it() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "get", "which");
    world.deliver("actuator", 1, 1100, "get", "which");
    world.command("actuator", 1, (1200, 1300), "MEAS?", "40.25");
    world.publish("actuator", 1, 1400, "value", "40.25");
    world.back("actuator", 1, 1500);
    check(
        &world,
        &expect![[r#"
            publish get [sensor] 1000..1020
              broker get [broker] 1010..1100 tcp-position+fingerprint 0.99
              process get [actuator] 1110..1500 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1200..1300 thread 0.97
                  publish value [actuator] 1400..1420 thread+containment 0.99
        "#]],
    );
}

#[test]
fn answer_to_an_own_request_resumes_what_the_thread_was_doing() {
    let mut world = World::new();
    world.publish("sensor", 1, 1000, "job", "do");
    world.deliver("relay", 1, 1100, "job", "do");
    world.publish("relay", 1, 1200, "svc/request/1", "ask");
    world.back("relay", 1, 1250);
    world.deliver("other", 1, 1300, "svc/request/1", "ask");
    world.publish("other", 1, 1350, "svc/response/1", "told");
    world.back("other", 1, 1400);
    world.deliver("relay", 1, 1500, "svc/response/1", "told");
    world.command("relay", 1, (1600, 1700), "DO", "OK");
    world.back("relay", 1, 1800);
    check(
        &world,
        &expect![[r#"
            publish job [sensor] 1000..1020
              broker job [broker] 1010..1100 tcp-position+fingerprint 0.99
              process job [relay] 1110..1250 tcp-position+fingerprint 0.99
                publish svc/request/1 [relay] 1200..1220 thread 0.97
                  broker svc/request/1 [broker] 1210..1300 tcp-position+fingerprint 0.99
                  process svc/request/1 [other] 1310..1400 tcp-position+fingerprint 0.99
                    publish svc/response/1 [other] 1350..1370 thread 0.97
                      broker svc/response/1 [broker] 1360..1500 tcp-position+fingerprint 0.99
                      process svc/response/1 [relay] 1510..1800 tcp-position+fingerprint 0.99
                peripheral.execute CMD [relay] 1600..1700 thread 0.97
        "#]],
    );
}

#[test]
fn trace_header_is_adopted() {
    let mut world = World::new();
    let header = |topic: &str, body: &str| {
        let value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut message = message(topic, body);
        message.headers.push(("traceparent".into(), value.into()));
        Box::new(message)
    };
    world.command("sensor", 1, (1000, 2000), "MEAS?", "21.53");
    world.op("sensor", 1, 2100, true, OpKind::Publish(header("t", "21.53")));
    world.op("actuator", 1, 2200, false, OpKind::Deliver(header("t", "21.53")));
    world.back("actuator", 1, 2300);
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..2000
            publish t [sensor] 2100..2120 outside b7ad6b7169203331 link(peripheral.execute CMD at 1000: thread+containment 0.99)
              broker t [broker] 2110..2200 traceparent+tcp-position+fingerprint 1
              process t [actuator] 2210..2300 traceparent+tcp-position+fingerprint 1
        "#]],
    );
    let (spans, _) = world.run();
    let published = spans.iter().find(|span| span.name == "publish t").unwrap();
    assert_eq!(published.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");

    // The publisher is on another host.
    let mut world = World::new();
    world.op("actuator", 1, 2200, false, OpKind::Deliver(header("t", "21.53")));
    world.back("actuator", 1, 2300);
    check(
        &world,
        &expect![[r#"
        process t [actuator] 2210..2300 outside b7ad6b7169203331
    "#]],
    );
}

#[test]
fn unknown_process_is_counted() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 2000), "MEAS?", "21.53");
    let super::world::Input::Command(command) = &mut world.inputs[0] else { panic!("a command") };
    command.process.generation = 9;
    assert_eq!(world.trees(), "");
    assert_eq!(world.run().1.counts().dropped_process, 1);
    assert_eq!(key("broker").pid, 100);
}
