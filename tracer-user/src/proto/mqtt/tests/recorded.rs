//! Conversations of real clients with Mosquitto 2.0.11.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{assert_recovers, assert_same_however_split, heard, recording};

fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Mqtt, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Mqtt, &calls);
    assert_recovers(System::Mqtt, &calls, lost);
}

#[test]
fn mosquitto_sub() {
    check(
        include_str!("../recordings/mosquitto_sub_qos2.txt"),
        0,
        &expect![[r#"
        >0+17 connect
        <0+4 connected
        >17+14 subscribe ["plant/#"]
        <9+15 deliver plant/a b"21.5" 4/4
        <24+30 deliver plant/a id=1 settle b"{\"celsius\":21.75" 17/17
        >31+4 ack [1]
        <54+314 deliver plant/b id=2 settle b"xxxxxxxxxxxxxxxx" 300/300
        >39+4 ack [2]
        <372+18 deliver plant/c id=3 settle b"hello" 5/5
        >43+4 ack [3]
        >47+2 disconnect clean=true"#]],
    );
}

#[test]
fn mosquitto_pub() {
    // Without the PUBREL the DISCONNECT is the last thing, and two bytes alone are not believed.
    check(
        include_str!("../recordings/mosquitto_pub_qos2.txt"),
        1,
        &expect![[r#"
        >0+17 connect
        <0+4 connected
        >17+314 publish plant/b id=1 settle b"xxxxxxxxxxxxxxxx" 300/300
        <8+4 settled 1
        >335+2 disconnect clean=true"#]],
    );
}
