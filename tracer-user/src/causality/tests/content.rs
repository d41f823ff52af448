//! Thread and content weighed against each other.

use expect_test::{Expect, expect};

use super::world::World;

fn check(world: &World, expected: &Expect) {
    expected.assert_eq(&world.trees());
}

#[test]
fn two_sensors_interleaved_in_one_process() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 1100), "A?", "21.53");
    world.command("sensor", 2, (1010, 1120), "B?", "44.10");
    world.publish("sensor", 9, 1200, "b", "44.1");
    world.publish("sensor", 9, 1250, "a", "21.53");
    world.command("sensor", 1, (2000, 2100), "A?", "21.59");
    world.command("sensor", 2, (2010, 2120), "B?", "44.17");
    world.publish("sensor", 9, 2200, "a", "21.59");
    world.publish("sensor", 9, 2250, "b", "44.17");
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..1100
              publish a [sensor] 1250..1270 containment 0.99
            peripheral.execute CMD [sensor] 1010..1120
              publish b [sensor] 1200..1220 containment 0.99
            peripheral.execute CMD [sensor] 2000..2100
              publish a [sensor] 2200..2220 containment 0.99
            peripheral.execute CMD [sensor] 2010..2120
              publish b [sensor] 2250..2270 containment 0.99
        "#]],
    );
}

#[test]
fn readings_of_two_sensors_in_one_message() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 1100), "A?", "21.53");
    world.command("sensor", 1, (1110, 1200), "B?", "44.10");
    world.publish("sensor", 1, 1300, "both", r#"{"a":21.53,"b":44.1}"#);
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..1100
            peripheral.execute CMD [sensor] 1110..1200
              publish both [sensor] 1300..1320 thread+containment 0.99 link(peripheral.execute CMD at 1000: containment 0.99)
        "#]],
    );
}

#[test]
fn content_wins_over_the_thread_s_last_command() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 1100), "A?", "21.53");
    world.command("sensor", 1, (1110, 1200), "STATUS?", "READY");
    world.publish("sensor", 1, 1300, "a", "21.53");
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..1100
              publish a [sensor] 1300..1320 containment 0.99
            peripheral.execute CMD [sensor] 1110..1200
        "#]],
    );
}

#[test]
fn thread_alone_needs_the_command_just_before() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 1100), "A?", "7");
    world.publish("sensor", 1, 1200, "a", "seven");
    // Used up; another thread; too long ago.
    world.publish("sensor", 1, 1300, "a", "again");
    world.command("sensor", 1, (2000, 2100), "A?", "8");
    world.publish("sensor", 2, 2200, "a", "eight");
    world.publish("sensor", 1, 4_000_000, "a", "late");
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..1100
              publish a [sensor] 1200..1220 thread 0.97
            publish a [sensor] 1300..1320
            peripheral.execute CMD [sensor] 2000..2100
            publish a [sensor] 2200..2220
            publish a [sensor] 4000000..4000020
        "#]],
    );
}

#[test]
fn constant_readings_are_sure_as_long_as_each_is_published() {
    let mut world = World::new();
    for second in 1..4u64 {
        let at = second * 1_000_000;
        world.command("sensor", 1, (at, at + 100), "A?", "21.53");
        world.publish("sensor", 2, at + 200, "a", "21.53");
    }
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000000..1000100
              publish a [sensor] 1000200..1000220 containment 0.99
            peripheral.execute CMD [sensor] 2000000..2000100
              publish a [sensor] 2000200..2000220 containment 0.99
            peripheral.execute CMD [sensor] 3000000..3000100
              publish a [sensor] 3000200..3000220 containment 0.99
        "#]],
    );
    // Two that were not published in between: the latest, but it may be another.
    let mut world = World::new();
    for at in [1000, 2000] {
        world.command("sensor", 1, (at, at + 100), "A?", "21.53");
    }
    world.publish("sensor", 2, 2200, "a", "21.53");
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..1100
              publish a [sensor] 2200..2220 containment 0.6
            peripheral.execute CMD [sensor] 2000..2100
        "#]],
    );
}

#[test]
fn trivial_values_link_nothing() {
    let mut world = World::new();
    world.command("sensor", 1, (1000, 1100), "A?", "1");
    world.publish("sensor", 2, 1200, "a", "1");
    check(
        &world,
        &expect![[r#"
        peripheral.execute CMD [sensor] 1000..1100
        publish a [sensor] 1200..1220
    "#]],
    );
}

#[test]
fn value_from_memory_goes_out_because_it_was_asked_for() {
    let mut world = World::new();
    world.command("sensor", 2, (1000, 1100), "A?", "21.53");
    world.publish("sensor", 2, 1200, "a", "21.53");
    world.publish("other", 1, 2000, "get", "please");
    world.deliver("sensor", 1, 2100, "get", "please");
    world.publish("sensor", 1, 2200, "answer", "21.53");
    world.back("sensor", 1, 2300);
    check(
        &world,
        &expect![[r#"
            peripheral.execute CMD [sensor] 1000..1100
              publish a [sensor] 1200..1220 thread+containment 0.99
            publish get [other] 2000..2020
              broker get [broker] 2010..2100 tcp-position+fingerprint 0.99
              process get [sensor] 2110..2300 tcp-position+fingerprint 0.99
                publish answer [sensor] 2200..2220 thread 0.97 link(peripheral.execute CMD at 1000: containment 0.99)
        "#]],
    );
}

#[test]
fn two_messages_handled_on_other_threads() {
    let mut world = World::new();
    for (at, body) in [(1000, r#"{"arm":12.75}"#), (1100, r#"{"arm":33.25}"#)] {
        world.publish("sensor", 1, at, "t", body);
        world.deliver("actuator", 1, at + 30, "t", body);
        world.back("actuator", 1, at + 60);
    }
    world.command("actuator", 5, (1200, 1300), "ARM 33.25", "OK");
    world.command("actuator", 6, (1200, 1300), "ARM 12.75", "OK");
    world.command("actuator", 6, (1400, 1500), "HOME", "OK");
    check(
        &world,
        &expect![[r#"
            publish t [sensor] 1000..1020
              broker t [broker] 1010..1030 tcp-position+fingerprint 0.99
              process t [actuator] 1040..1060 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1200..1300 containment 0.99
            publish t [sensor] 1100..1120
              broker t [broker] 1110..1130 tcp-position+fingerprint 0.99
              process t [actuator] 1140..1160 tcp-position+fingerprint 0.99
                peripheral.execute CMD [actuator] 1200..1300 containment 0.99
            peripheral.execute CMD [actuator] 1400..1500
        "#]],
    );
}

/// A program that has passed on all that it got has the oldest reading in hand, even if the next one, the same, is there.
#[test]
fn equal_readings_are_published_in_turn() {
    let mut world = World::new();
    for at in [1000, 2000] {
        world.command("sensor", 1, (at, at + 100), "A?", "21.50");
        world.publish("sensor", 2, at + 150, "a", "21.50");
    }
    world.command("sensor", 1, (3000, 3100), "A?", "21.50");
    world.command("sensor", 1, (3200, 3300), "A?", "21.50");
    world.publish("sensor", 2, 3350, "a", "21.50");
    world.publish("sensor", 2, 3400, "a", "21.50");
    check(
        &world,
        &expect![[r#"
        peripheral.execute CMD [sensor] 1000..1100
          publish a [sensor] 1150..1170 containment 0.99
        peripheral.execute CMD [sensor] 2000..2100
          publish a [sensor] 2150..2170 containment 0.99
        peripheral.execute CMD [sensor] 3000..3100
          publish a [sensor] 3350..3370 containment 0.6
        peripheral.execute CMD [sensor] 3200..3300
          publish a [sensor] 3400..3420 containment 0.99
    "#]],
    );
}

/// Three readings are there before the first is sent; a fourth is asked for while they go out.
#[test]
fn equal_readings_that_waited_are_published_in_turn() {
    let mut world = World::new();
    for at in [1000, 1200, 1400] {
        world.command("sensor", 1, (at, at + 100), "A?", "21.50");
    }
    for at in [1600, 1610, 1620] {
        world.publish("sensor", 2, at, "a", "21.50");
    }
    world.command("sensor", 1, (1700, 1800), "A?", "21.50");
    world.publish("sensor", 2, 1850, "a", "21.50");
    check(
        &world,
        &expect![[r#"
        peripheral.execute CMD [sensor] 1000..1100
          publish a [sensor] 1600..1620 containment 0.6
        peripheral.execute CMD [sensor] 1200..1300
          publish a [sensor] 1610..1630 containment 0.6
        peripheral.execute CMD [sensor] 1400..1500
          publish a [sensor] 1620..1640 containment 0.99
        peripheral.execute CMD [sensor] 1700..1800
          publish a [sensor] 1850..1870 containment 0.99
    "#]],
    );
}

/// A program that publishes every tenth reading has the latest in hand.
#[test]
fn equal_readings_of_which_few_are_published() {
    let mut world = World::new();
    for at in (1000..3000).step_by(100) {
        world.command("sensor", 1, (at, at + 50), "A?", "21.50");
        if at % 1000 == 900 {
            world.publish("sensor", 2, at + 60, "a", "21.50");
        }
    }
    check(
        &world,
        &expect![[r#"
        peripheral.execute CMD [sensor] 1000..1050
        peripheral.execute CMD [sensor] 1100..1150
        peripheral.execute CMD [sensor] 1200..1250
        peripheral.execute CMD [sensor] 1300..1350
        peripheral.execute CMD [sensor] 1400..1450
        peripheral.execute CMD [sensor] 1500..1550
        peripheral.execute CMD [sensor] 1600..1650
        peripheral.execute CMD [sensor] 1700..1750
        peripheral.execute CMD [sensor] 1800..1850
        peripheral.execute CMD [sensor] 1900..1950
          publish a [sensor] 1960..1980 containment 0.6
        peripheral.execute CMD [sensor] 2000..2050
        peripheral.execute CMD [sensor] 2100..2150
        peripheral.execute CMD [sensor] 2200..2250
        peripheral.execute CMD [sensor] 2300..2350
        peripheral.execute CMD [sensor] 2400..2450
        peripheral.execute CMD [sensor] 2500..2550
        peripheral.execute CMD [sensor] 2600..2650
        peripheral.execute CMD [sensor] 2700..2750
        peripheral.execute CMD [sensor] 2800..2850
        peripheral.execute CMD [sensor] 2900..2950
          publish a [sensor] 2960..2980 containment 0.6
    "#]],
    );
}
