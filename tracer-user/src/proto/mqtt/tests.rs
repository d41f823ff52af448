//! Conversations of clients and brokers, and the ops that come of them.

use expect_test::{Expect, expect};

use crate::model::command::Value;
use crate::model::net::Role;
use crate::model::op::OpKind;
use crate::names::attribute::{MQTT_DUP, MQTT_QOS, MQTT_RETAIN};
use crate::proto::testing::{Bench, hex};

mod five;
mod packets;
mod recorded;

const CONNECT: &str = "10 10 0004 'MQTT' 04 02 003c 0004 'dev1'";
const CONNACK: &str = "20 02 00 00";

/// Feeds calls, `>` sent and `<` received with the bytes in hex, and compares the ops, a line each, and what was found wrong.
fn check(mut bench: Bench, calls: &str, expected: Expect) {
    for call in calls.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match call.split_at(1) {
            (">", bytes) => bench.put(&hex(bytes)),
            ("<", bytes) => bench.get(&hex(bytes)),
            _ => bench.close(),
        };
    }
    let mut text = bench.text();
    let counts = bench.connection.counts();
    text.push_str(&format!("{} frames", counts.frames));
    for (name, count) in [
        ("cut", counts.cut_frames),
        ("undefined", counts.undefined),
        ("invalid", counts.invalid),
        ("resyncs", counts.resyncs),
        ("skipped", counts.skipped_bytes),
        ("gave up", counts.gave_up),
    ] {
        if count > 0 {
            text.push_str(&format!(", {name} {count}"));
        }
    }
    text.push('\n');
    expected.assert_eq(&text);
}

#[test]
fn a_publisher_with_every_quality_of_service() {
    check(
        Bench::client(),
        "> 10 10 0004 'MQTT' 04 02 003c 0004 'dev1'
         < 20 02 00 00
         > 30 0a 0003 'a/b' 'hello'
         > 33 0a 0003 'a/b' 0007 '1.5'
         < 40 02 0007
         > 34 0a 0003 'a/b' 0008 '2.5'
         < 50 02 0008
         > 62 02 0008
         < 70 02 0008
         > 3a 0a 0003 'a/b' 0007 '1.5'
         > c0 00
         < d0 00
         > e0 00
         close",
        expect![[r#"
            client > 5000+18 10..10..11 dev1 connect
            client < 1000+4 20..20..21 dev1 connected
            client > 5018+12 30..30..31 dev1 publish a/b b"hello" 5/5
            client > 5030+12 40..40..41 dev1 publish a/b id=7 retain settle b"1.5" 3/3
            client < 1004+4 50..50..51 dev1 settled 7
            client > 5042+12 60..60..61 dev1 publish a/b id=8 settle b"2.5" 3/3
            client < 1012+4 90..90..91 dev1 settled 8
            client > 5058+12 100..100..101 dev1 publish a/b id=7 again settle b"1.5" 3/3
            client > 5072+2 130..130..131 dev1 disconnect clean=true
            13 frames
        "#]],
    );
}

#[test]
fn a_consumer_with_every_quality_of_service() {
    check(
        Bench::client(),
        "> 10 0e 0004 'MQTT' 04 00 003c 0002 'c2'
         < 20 02 01 00
         > 82 0f 0001 0003 'a/#' 01 0004 '+/ok' 02
         < 90 04 0001 01 02
         < 31 08 0003 'a/b' 'old'
         < 30 05 0003 'a/b'
         < 32 08 0003 'a/b' 0001 '1'
         > 40 02 0001
         < 34 08 0003 'a/b' 0002 '2'
         > 50 02 0002
         < 62 02 0002
         > 70 02 0002
         < 3c 08 0003 'a/b' 0002 '2'
         > a2 07 0009 0003 'a/#'
         < b0 02 0009
         close",
        expect![[r#"
            client > 5000+16 10..10..11 c2 connect
            client < 1000+4 20..20..21 c2 connected
            client > 5016+17 30..30..31 c2 subscribe ["a/#", "+/ok"]
            client < 1010+10 50..50..51 c2 deliver a/b retained b"old" 3/3
            client < 1020+7 60..60..61 c2 deliver a/b b"" 0/0
            client < 1027+10 70..70..71 c2 deliver a/b id=1 settle b"1" 1/1
            client > 5033+4 80..80..81 c2 ack [1] kept
            client < 1037+10 90..90..91 c2 deliver a/b id=2 settle b"2" 1/1
            client > 5041+4 120..120..121 c2 ack [2] kept
            client < 1051+10 130..130..131 c2 deliver a/b id=2 again settle b"2" 1/1
            client > 5054+0 160..160..160 c2 disconnect clean=false
            15 frames
        "#]],
    );
}

#[test]
fn a_broker_that_reads_byte_by_byte() {
    check(
        Bench::broker(),
        "< 10
         < 10
         < 0004 'MQTT' 04 02 003c 0004 'dev1'
         > 20 02 00 00
         < 32
         < 0a
         < 0003 'a/b' 0007 '1.5'
         > 40 02 0007
         < c0
         < 00
         > d0 00
         > 32 0a 0003 'x/y' 0001 'abc'
         < 40
         < 02
         < 0001
         close",
        expect![[r#"
            broker > 1000+18 10..30..31 dev1 connect
            broker < 5000+4 40..40..41 dev1 connected
            broker > 1018+12 50..70..71 dev1 publish a/b id=7 settle b"1.5" 3/3
            broker < 5004+4 80..80..81 dev1 settled 7
            broker < 5010+12 120..120..121 dev1 deliver x/y id=1 settle b"abc" 3/3
            broker > 1032+4 130..150..151 dev1 ack [1]
            broker > 1036+0 160..160..160 dev1 disconnect clean=false
            8 frames
        "#]],
    );
}

#[test]
fn many_packets_in_one_call_and_one_over_many() {
    check(
        Bench::broker(),
        "< 10 10 0004 'MQTT' 04 02 003c 0004 'dev1' 30 06 0001 'a' '111' 30 06 0001 'b' '222' 30 06 00
         < 01 'c'
         < '333' 32 07 00
         < 01 'd' 0005
         < 'xy' e0 00",
        expect![[r#"
            broker > 1000+18 10..10..11 dev1 connect
            broker > 1018+8 10..10..11 dev1 publish a b"111" 3/3
            broker > 1026+8 10..10..11 dev1 publish b b"222" 3/3
            broker > 1034+8 10..30..31 dev1 publish c b"333" 3/3
            broker > 1042+9 30..50..51 dev1 publish d id=5 settle b"xy" 2/2
            broker > 1051+2 50..50..51 dev1 disconnect clean=true
            6 frames
        "#]],
    );
}

#[test]
fn wills_and_refusals() {
    check(
        Bench::client(),
        "> 10 27 0004 'MQTT' 04 ee 003c 0002 'c3' 0004 'gone' 0003 'bye' 0004 'user' 0006 'secret'
         < 20 02 00 05
         close",
        expect![[r#"
            client > 5000+41 10..10..11 c3 connect will: gone retain b"bye" 3/3
            client < 1000+4 20..20..21 c3 connected error=not_authorized
            2 frames
        "#]],
    );
    // Without clean session, QoS 0 and not retained; subscription refused; the client vanishes.
    check(
        Bench::broker(),
        "< 10 19 0004 'MQTT' 04 04 003c 0002 'c3' 0004 'gone' 0003 'bye'
         > 20 02 00 00
         < 82 06 0001 0001 'x' 00
         > 90 03 0001 80
         close",
        expect![[r#"
            broker > 1000+27 10..10..11 c3 connect will: gone b"bye" 3/3
            broker < 5000+4 20..20..21 c3 connected
            broker > 1027+8 30..30..31 c3 subscribe ["x"]
            broker < 5004+5 40..40..41 c3 error subscribe_refused
            broker > 1035+0 50..50..50 c3 disconnect clean=false
            4 frames
        "#]],
    );
}

#[test]
fn version_3_1_and_a_bridge() {
    check(
        Bench::client(),
        "> 10 12 0006 'MQIsdp' 03 02 003c 0004 'old1'
         < 20 02 00 02",
        expect![[r#"
            client > 5000+20 10..10..11 old1 connect
            client < 1000+4 20..20..21 old1 connected error=client_identifier_not_valid
            2 frames
        "#]],
    );
    check(
        Bench::client(),
        "> 10 10 0004 'MQTT' 84 00 003c 0004 'brdg'
         < 20 02 00 00
         > 30 06 0001 'a' '111'",
        expect![[r#"
            client > 5000+18 10..10..11 brdg connect
            client < 1000+4 20..20..21 brdg connected
            client > 5018+8 30..30..31 brdg publish a b"111" 3/3
            3 frames
        "#]],
    );
}

#[test]
fn version_5_keeps_topics_and_bodies_right() {
    check(
        Bench::client(),
        "> 10 16 0004 'MQTT' 05 02 003c 05 11 00000000 0004 'five'
         < 20 06 00 00 03 21 0010
         > 32 0d 0003 'a/b' 0001 02 01 01 'hey'
         < 40 04 0001 10 00
         > 34 0b 0003 'a/b' 0002 00 'hey'
         < 50 03 0002 97
         > 82 08 0003 00 0002 'x/' 05
         < 90 04 0003 00 87
         < 31 08 0002 'x/' 00 'abc'
         > 30 05 0000 00 'zz'
         < e0 02 8b 00
         close",
        expect![[r#"
            client > 5000+24 10..10..11 five connect
            client < 1000+8 20..20..21 five connected
            client > 5024+15 30..30..31 five publish a/b id=1 settle b"hey" 3/3
            client < 1008+6 40..40..41 five settled 1
            client > 5039+13 50..50..51 five publish a/b id=2 settle b"hey" 3/3
            client < 1014+5 60..60..61 five settled 2 error=quota_exceeded
            client > 5052+10 70..70..71 five subscribe ["x/"]
            client < 1019+6 80..80..81 five error not_authorized
            client < 1025+10 90..90..91 five deliver x/ retained b"abc" 3/3
            client < 1035+4 110..110..111 five error server_shutting_down
            client > 5069+0 120..120..120 five disconnect clean=false
            11 frames, invalid 1
        "#]],
    );
    // The client asks for its will.
    check(
        Bench::client(),
        "> 10 11 0004 'MQTT' 05 02 003c 00 0004 'five'
         < 20 03 00 00 00
         > e0 01 04",
        expect![[r#"
            client > 5000+19 10..10..11 five connect
            client < 1000+5 20..20..21 five connected
            client > 5019+3 30..30..31 five disconnect clean=false
            3 frames
        "#]],
    );
    // In mid-stream the version shows where only version 5 makes sense.
    check(
        Bench::new(Some(Role::Client), true, false),
        "> 32 09 0003 'a/b' 0001 00 'x'
         < 40 03 0001 10
         > 32 09 0003 'a/b' 0002 00 'x'",
        expect![[r#"
            client > 5000+11 10..10..11 - publish a/b id=1 settle b"x" 1/1
            client < 1000+5 20..20..21 - settled 1
            client > 5011+11 30..30..31 - publish a/b id=2 settle b"x" 1/1
            3 frames
        "#]],
    );
}

#[test]
fn bodies_over_the_capture_limit() {
    let mut body = hex("30 8a 80 40 0005 'large'");
    body.resize(6 + 5 + 1024 * 1024 + 3, b'x');
    let mut bench = Bench::client();
    bench.put(&hex(CONNECT)).get(&hex(CONNACK));
    bench.put(&body).put(&hex("30 06 0001 'a' '111'"));
    // In pieces too, of which each begins with captured bytes.
    for part in body.chunks(100_000) {
        bench.put(part);
    }
    bench.put(&hex("30 06 0001 'b' '222'"));
    expect![[r#"
        client > 5000+18 10..10..11 dev1 connect
        client < 1000+4 20..20..21 dev1 connected
        client > 5018+1048590 30..30..31 dev1 publish large b"xxxxxxxxxxxxxxxx" 4085/1048579
        client > 1053608+8 40..40..41 dev1 publish a b"111" 3/3
        client > 1053616+1048590 50..150..151 dev1 publish large b"xxxxxxxxxxxxxxxx" 4085/1048579
        client > 2102206+8 160..160..161 dev1 publish b b"222" 3/3
    "#]]
    .assert_eq(&bench.text());
    assert_eq!(bench.connection.counts().skipped_bytes, 0);
}

#[test]
fn what_a_short_capture_still_tells() {
    let mut bench = Bench::client();
    bench.capture = 12;
    bench
        .put(&hex("10 27 0004 'MQTT' 04 ee 003c 0002 'c3' 0004 'gone' 0003 'bye' 0004 'user' 0006 'secret'"));
    bench.put(&hex("30 10 0003 'a/b' '0123456789a'"));
    bench.put(&hex("30 10 000c 'long/long/to' 'xx'"));
    bench.put(&hex("82 10 0001 0003 'a/b' 01 0005 'c/d/e' 01"));
    expect![[r#"
        client > 5000+41 10..10..11 - connect
        client > 5041+18 20..20..21 - publish a/b b"01234" 5/11
        client > 5077+18 40..40..41 - subscribe ["a/b"]
    "#]]
    .assert_eq(&bench.text());
    assert_eq!(bench.connection.counts().cut_frames, 1);
}

#[test]
fn attributes_and_cases() {
    let mut bench = Bench::client();
    bench.put(&hex(CONNECT)).put(&hex("3d 08 0001 't' 0102 'abc'"));
    let OpKind::Publish(message) = &bench.ops[1].kind else { panic!("{:?}", bench.ops) };
    assert_eq!(
        *message.attributes,
        [(MQTT_QOS, Value::Int(2)), (MQTT_RETAIN, Value::Bool(true)), (MQTT_DUP, Value::Bool(true))]
    );
    assert_eq!(message.settle_id, Some(0x0102));
    assert!(message.needs_settle && message.retain && message.redelivered && !message.retained);
}
