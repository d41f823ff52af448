//! Conversations of real clients with the NATS server: nats-py 2.16 with 2.9.10.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{Recording, assert_recovers, assert_same_however_split, heard, recording};

fn check(text: &str, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Nats, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Nats, &calls);
    // Who lost the subscription does not know the queue group, and who lost what JetStream said of a consumer not that it wants
    // no acknowledgement.
    assert_recovers(System::Nats, &without_memory(calls), 0);
}

/// What is left if nothing depends on what was heard before: no queue groups, no consumers without acknowledgement.
fn without_memory(calls: Recording) -> Recording {
    let replace = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace(" crew ", "  ")
            .replace("\"ack_policy\":\"none\"", "\"ack_policy\":\"some\"")
            .into_bytes()
    };
    calls.into_iter().map(|(to_server, bytes)| (to_server, replace(bytes))).collect()
}

#[test]
fn nats_py_subscribes_and_answers() {
    check(
        include_str!("../recordings/nats_py_core_workers.txt"),
        &expect![[r#"
        >0+175 connect
        >187+21 subscribe ["plant.*.temp"]
        >208+19 subscribe ["jobs.>"]
        >227+12 subscribe ["ask"]
        <283+28 deliver plant.a.temp b"21.5" 4/4
        <311+24 deliver plant.b.temp b"" 0/0
        <335+171 deliver jobs.x group=crew b"\r\nPUB a 3\r\nxyz\r\n" 16/16
        <506+1527 deliver plant.a.temp b"xxxxxxxxxxxxxxxx" 1500/1500
        <2033+73 deliver ask b"1" 1/1
        >239+73 publish _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfm60a3a b"pong:1" 6/6
        <2106+96 deliver ask b"2" 1/1
        >312+96 publish _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfnt7755 b"pong:2" 6/6"#]],
    );
}

#[test]
fn nats_py_publishes_and_asks() {
    check(
        include_str!("../recordings/nats_py_core_panel.txt"),
        &expect![[r#"
        >0+173 connect
        >185+27 publish plant.a.temp b"21.5" 4/4
        >212+23 publish plant.b.temp b"" 0/0
        >235+170 publish jobs.x b"\r\nPUB a 3\r\nxyz\r\n" 16/16
        >405+1526 publish plant.a.temp b"xxxxxxxxxxxxxxxx" 1500/1500
        >1971+71 publish ask id=10064777003916658250 b"1" 1/1
        <283+74 deliver _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfm60a3a b"pong:1" 6/6
        >2042+94 publish ask id=11778666352343233803 b"2" 1/1
        <357+97 deliver _INBOX.I3kCXF9x60MXghHInAPfkJ.I3kCXF9x60MXghHInAPfnt7755 b"pong:2" 6/6
        >2136+74 publish nobody id=5905361642845669239 b"3" 1/1
        <454+89 settled 5905361642845669239 error=no_responders"#]],
    );
}

#[test]
fn nats_py_jetstream() {
    check(
        include_str!("../recordings/nats_py_jetstream.txt"),
        &expect![[r#"
        >0+173 connect
        >602+78 publish orders.a id=15924687494604237111 b"one" 3/3
        <993+98 settled 15924687494604237111 given=ORDERS:1
        >680+113 publish orders.b id=10758518525687900039 named=m-2 settle b"two" 3/3
        <1091+98 settled 10758518525687900039 given=ORDERS:2
        >793+113 publish orders.b id=17164216714707930896 named=m-2 settle b"two" 3/3
        <1189+116 settled 17164216714707930896 given=ORDERS:2
        >906+127 publish orders.a id=17482349937774520629 settle b"no" 2/2
        <1305+175 settled 17482349937774520629 error=wrong_last_sequence
        >1033+78 publish elsewhere id=5513204172259008877 b"no" 2/2
        <1480+89 settled 5513204172259008877 error=no_responders
        >1111+80 publish orders.c id=7058058543893172287 b"three" 5/5
        <1569+98 settled 7058058543893172287 given=ORDERS:3
        <2670+71 deliver orders.a id=12579829810236874599 group=work named=ORDERS:1 settle b"one" 3/3
        <2741+106 deliver orders.b id=9745600725776404512 group=work named=ORDERS:2 settle b"two" 3/3
        <2847+73 deliver orders.c id=15145247154474561535 group=work named=ORDERS:3 settle b"three" 5/5
        >1930+58 ack [12579829810236874599] anywhere
        >1988+62 nack [9745600725776404512] anywhere error=nack
        >2112+114 ack [15145247154474561535] anywhere
        <2989+106 deliver orders.b id=9620241983227765873 group=work named=ORDERS:2 again settle b"two" 3/3
        >2339+63 term [9620241983227765873] anywhere error=term
        <4426+71 deliver orders.a id=6732358075701506123 group=push named=ORDERS:1 settle b"one" 3/3
        >3748+58 ack [6732358075701506123] anywhere
        <5191+77 deliver orders.c id=554592281867140751 group=PoPLTPck named=ORDERS:3 b"three" 5/5"#]],
    );
}

#[test]
fn nats_py_without_permission() {
    check(
        include_str!("../recordings/nats_py_permissions.txt"),
        &expect![[r#"
        >0+202 connect
        >214+20 publish secret.x b"1" 1/1
        <292+56 error permissions_violation
        >240+17 subscribe ["secret.>"]
        <354+61 error permissions_violation
        >263+18 publish open.x b"1" 1/1"#]],
    );
}

#[test]
fn nats_py_refused() {
    check(
        include_str!("../recordings/nats_py_refused.txt"),
        &expect![[r#"
        >0+187 connect
        <275+32 connected error=authorization_violation"#]],
    );
}
