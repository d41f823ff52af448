//! MQTT 5: what its properties, aliases and reasons make of the ops.

use std::sync::Arc;

use expect_test::expect;

use super::super::packet::Level;
use super::packets::judge;
use super::{CONNACK, check};
use crate::model::command::Value;
use crate::model::net::Direction;
use crate::model::op::{Message, OpKind};
use crate::names::attribute as name;
use crate::proto::testing::{Bench, hex, meaning};

const CONNECT: &str = "10 11 0004 'MQTT' 05 02 003c 00 0004 'five'";

/// A packet of `first` and `content`, which is shorter than 16 KiB.
fn packet(first: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    if content.len() > 127 {
        bytes.push(content.len() as u8 | 0x80);
        bytes.push((content.len() >> 7) as u8);
    } else {
        bytes.push(content.len() as u8);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// Properties with their length.
fn properties(text: &str) -> Vec<u8> {
    let bytes = hex(text);
    packet(0, &bytes)[1..].to_vec()
}

/// A PUBLISH of QoS 0.
fn publish(topic: &str, list: &str, body: &[u8]) -> Vec<u8> {
    let mut content = (topic.len() as u16).to_be_bytes().to_vec();
    content.extend_from_slice(topic.as_bytes());
    content.extend(properties(list));
    content.extend_from_slice(body);
    packet(0x30, &content)
}

fn messages(bench: &Bench) -> Vec<&Message> {
    let message = |kind| match kind {
        &OpKind::Publish(ref message) | &OpKind::Deliver(ref message) => Some(&**message),
        _ => None,
    };
    bench.ops.iter().filter_map(|op| message(&op.kind)).collect()
}

fn connected() -> Bench {
    let mut bench = Bench::client();
    bench.put(&hex(CONNECT)).get(&hex("20 03 00 00 00"));
    bench
}

#[test]
fn each_packet_and_its_malformations() {
    let cases = [
        ("> 10 0d 0004 'MQTT' 05 02 0000 00 0000", "connect"),
        ("> 10 12 0004 'MQTT' 05 02 0000 05 11 00000001 0000", "connect"),
        ("> 10 0e 0004 'MQTT' 05 02 0000 01 11 0000", "Malformed"),
        // Receive maximum and greatest packet are not 0; a topic alias is for PUBLISH.
        ("> 10 10 0004 'MQTT' 05 02 0000 03 21 0000 0000", "Malformed"),
        ("> 10 12 0004 'MQTT' 05 02 0000 05 27 00000000 0000", "Malformed"),
        ("> 10 10 0004 'MQTT' 05 02 0000 03 23 0001 0000", "Malformed"),
        // Twice the same.
        ("> 10 13 0004 'MQTT' 05 02 0000 06 22 0001 22 0001 0000", "Malformed"),
        // A password without a user name (3.1.1 forbids it).
        ("> 10 10 0004 'MQTT' 05 42 0000 00 0000 0001 'p'", "connect"),
        ("< 20 03 00 00 00", "connected"),
        ("< 20 03 01 00 00", "connected"),
        ("< 20 03 00 86 00", "connected error=bad_user_name_or_password"),
        ("< 20 03 00 8c 00", "connected error=bad_authentication_method"),
        ("< 20 03 01 86 00", "Malformed"),
        ("< 20 08 00 00 05 1f 0002 'ok'", "connected"),
        ("< 20 06 00 00 03 01 0001", "Malformed"),
        ("> 30 05 0001 't' 00 'x'", "publish t b\"x\" 1/1"),
        ("> 30 08 0001 't' 03 23 0001 'x'", "publish t b\"x\" 1/1"),
        ("> 30 08 0001 't' 03 23 0000 'x'", "Malformed"),
        ("> 30 07 0001 't' 02 01 02 'x'", "Malformed"),
        ("> 30 06 0001 't' 02 ff 01", "Malformed"),
        ("> 30 04 0000 00 'x'", "Malformed"),
        ("> 30 07 0000 03 23 0001 'x'", "no op"),
        // A response topic is a topic.
        ("> 30 08 0001 't' 04 08 0001 '+'", "Malformed"),
        ("> 30 07 0001 't' 03 08 0000", "Malformed"),
        ("> 30 06 0001 't' 02 0b 00", "Malformed"),
        ("< 30 08 0001 't' 04 0b 01 0b 02", "deliver t b\"\" 0/0"),
        ("< 30 0a 0001 't' 06 23 0001 23 0001", "Malformed"),
        ("> 40 02 0001", "ack [1]"),
        ("> 40 03 0001 00", "ack [1]"),
        ("> 40 04 0001 10 00", "ack [1]"),
        ("> 40 04 0001 83 00", "ack [1] error=implementation_specific_error"),
        ("> 40 09 0001 99 05 1f 0002 'no'", "ack [1] error=payload_format_invalid"),
        ("> 40 04 0001 7f 00", "Malformed"),
        ("> 40 06 0001 00 02 01 01", "Malformed"),
        ("< 50 03 0001 97", "settled 1 error=quota_exceeded"),
        ("< 50 03 0001 00", "no op"),
        ("> 62 03 0001 92", "no op"),
        ("> 70 03 0001 92", "ack [1] error=packet_identifier_not_found"),
        ("> 82 07 0001 00 0001 'x' 2d", "subscribe [\"x\"]"),
        ("> 82 07 0001 00 0001 'x' 30", "Malformed"),
        ("> 82 07 0001 00 0001 'x' 40", "Malformed"),
        ("> 82 09 0001 02 0b 07 0001 'x' 01", "subscribe [\"x\"]"),
        ("> 82 09 0001 02 0b 00 0001 'x' 01", "Malformed"),
        ("< 90 04 0001 00 02", "no op"),
        ("< 90 04 0001 00 9e", "error shared_subscriptions_not_supported"),
        ("< 90 04 0001 00 80", "error unspecified_error"),
        ("> a2 06 0001 00 0001 'x'", "no op"),
        ("> a2 08 0001 02 0b 01 0001 'x'", "Malformed"),
        ("< b0 04 0001 00 11", "no op"),
        ("< b0 04 0001 00 87", "error not_authorized"),
        ("< b0 04 0001 00 05", "Malformed"),
        ("> e0 00", "disconnect clean=true"),
        ("> e0 01 00", "disconnect clean=true"),
        ("> e0 01 04", "disconnect clean=false"),
        ("> e0 01 81", "disconnect clean=false"),
        ("> e0 07 00 05 11 00000000", "disconnect clean=true"),
        ("< e0 02 8e 00", "error session_taken_over"),
        ("< e0 02 98 00", "error administrative_action"),
        ("> f0 00", "no op"),
        ("< f0 06 18 04 15 0001 'k'", "no op"),
        ("< f0 02 87 00", "error not_authorized"),
    ];
    for (packet, expected) in cases {
        let (way, bytes) = packet.split_at(1);
        assert_eq!(judge(Level::Five, bytes, way == ">"), expected, "{packet}");
    }
}

#[test]
fn each_property_of_a_message() {
    let mut bench = connected();
    bench.put(&publish(
        "t",
        "01 01  02 0000003c  03 0010 'application/json'  08 0005 'reply'  09 0003 'c-1'  23 0005 \
         26 000b 'TraceParent' 0002 '00'  26 000a 'tracestate' 0003 'a=1'  26 0007 'baggage' 0003 'k=v' \
         26 0006 'colour' 0003 'red'  26 0007 'ce-type' 0001 'T'",
        b"{}",
    ));
    bench.get(&publish("t", "0b 07 0b ff 01 09 0002 01ff", b""));
    let all = messages(&bench);
    let header = |of: &Message| {
        of.headers.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        header(all[0]),
        "reply-to=reply correlation-id=c-1 traceparent=00 tracestate=a=1 baggage=k=v ce-type=T"
    );
    assert_eq!(
        all[0].attributes[3..],
        [
            (name::MQTT_PAYLOAD_FORMAT, Value::Int(1)),
            (name::MQTT_MESSAGE_EXPIRY, Value::Int(60)),
            (name::MQTT_CONTENT_TYPE, Value::Shared("application/json".into())),
            (name::MQTT_RESPONSE_TOPIC, Value::Shared("reply".into())),
            (name::MQTT_TOPIC_ALIAS, Value::Int(5)),
        ]
    );
    assert_eq!((all[0].body.captured.as_ref(), all[0].body.size), (&b"{}"[..], 2));
    assert_eq!(header(all[1]), "correlation-id=01ff");
    assert_eq!(
        all[1].attributes[3..],
        [(name::MQTT_SUBSCRIPTION_IDS, Value::Texts(vec!["7".into(), "255".into()]))]
    );
}

#[test]
fn a_cloud_event_in_user_properties() {
    let mut bench = connected();
    let event = "26 000b 'specversion' 0003 '1.0' 26 0002 'id' 0003 'e-1' 26 0004 'type' 0005 'order' \
                 26 0006 'source' 0004 '/bus' 26 0007 'subject' 0002 'no'";
    bench.put(&publish("t", event, b"x")).put(&publish("t", "26 0002 'id' 0003 'e-1'", b"x"));
    let all = messages(&bench);
    for (key, value) in [("id", "e-1"), ("type", "order"), ("source", "/bus"), ("subject", "no")] {
        let is_it = |(name, text): &(Arc<str>, Arc<str>)| name.ends_with(key) && &**text == value;
        assert!(all[0].headers.iter().any(is_it), "{key}: {:?}", all[0].headers);
    }
    assert!(all[1].headers.is_empty(), "an `id` alone is no event's");
}

#[test]
fn a_will_with_properties() {
    let mut bench = Bench::client();
    let mut content = hex("0004 'MQTT' 05 2e 003c 00 0002 'c3'");
    content.extend(properties("18 0000000a 03 0001 't' 09 0001 'c' 26 0007 'baggage' 0001 'b'"));
    content.extend(hex("0004 'gone' 0003 'bye'"));
    bench.put(&packet(0x10, &content));
    let OpKind::Connect { will: Some(will) } = &bench.ops[0].kind else { panic!("{:?}", bench.ops) };
    assert_eq!(&*will.destination, "gone");
    assert_eq!(&*will.body.captured, b"bye");
    assert!(will.headers.iter().any(|(_, text)| &**text == "c"), "{:?}", will.headers);
    assert_eq!(will.headers.len(), 2);
    assert_eq!(
        will.attributes[2..],
        [(name::MQTT_WILL_DELAY, Value::Int(10)), (name::MQTT_CONTENT_TYPE, Value::Shared("t".into()))]
    );
}

#[test]
fn a_name_that_the_broker_gave() {
    check(
        Bench::client(),
        "> 10 0d 0004 'MQTT' 05 02 0000 00 0000
         < 20 0c 00 00 09 12 0006 'auto-1'
         > 30 05 0001 't' 00 'x'",
        expect![[r#"
            client > 5000+15 10..10..11 - connect
            client < 1000+14 20..20..21 auto-1 connected
            client > 5015+7 30..30..31 auto-1 publish t b"x" 1/1
            3 frames
        "#]],
    );
}

#[test]
fn aliases_by_direction_and_connection() {
    check(
        Bench::client(),
        "> 10 11 0004 'MQTT' 05 02 003c 00 0004 'five'
         < 20 03 00 00 00
         > 30 0a 0003 'a/b' 03 23 0001 '1'
         > 30 07 0000 03 23 0001 '2'
         < 30 07 0000 03 23 0001 '3'
         < 30 0a 0003 'x/y' 03 23 0001 '4'
         < 30 07 0000 03 23 0001 '5'
         > 30 0a 0003 'c/d' 03 23 0001 '6'
         > 32 09 0000 0009 03 23 0001 '7'
         > 30 07 0000 03 23 0002 '8'
         > 10 11 0004 'MQTT' 05 02 003c 00 0004 'five'
         > 30 07 0000 03 23 0001 '9'",
        expect![[r#"
            client > 5000+19 10..10..11 five connect
            client < 1000+5 20..20..21 five connected
            client > 5019+12 30..30..31 five publish a/b b"1" 1/1
            client > 5031+9 40..40..41 five publish a/b b"2" 1/1
            client < 1014+12 60..60..61 five deliver x/y b"4" 1/1
            client < 1026+9 70..70..71 five deliver x/y b"5" 1/1
            client > 5040+12 80..80..81 five publish c/d b"6" 1/1
            client > 5052+11 90..90..91 five publish c/d id=9 settle b"7" 1/1
            client > 5072+19 110..110..111 five connect
            12 frames, undefined 3
        "#]],
    );
}

#[test]
fn a_loss_may_have_changed_an_alias() {
    // In the middle of the stream, in the middle of a frame, or at its end.
    for lost in [0usize, 3, 9] {
        let mut bench = connected();
        bench.put(&publish("a", "23 0001", b"1"));
        let again = publish("other", "23 0001", b"2");
        bench.put(&again[..lost]);
        drop(bench.chunk(Direction::Outward, &again[lost..]));
        bench.put(&publish("", "23 0001", b"3")).put(&publish("b", "23 0001", b"4"));
        bench.put(&publish("", "23 0001", b"5")).wait();
        let meant: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
        assert!(!meant.iter().any(|op| op.starts_with("publish a b\"3\"")), "{lost}: {meant:?}");
        assert_eq!(meant.last().map(String::as_str), Some("publish b b\"5\" 1/1"), "{lost}");
    }
    // Not captured.
    let mut bench = connected();
    bench.put(&publish("a", "23 0001", b"1"));
    bench.capture = 6;
    bench.put(&publish("other", "23 0001", b"2"));
    bench.capture = 4096;
    bench.put(&publish("", "23 0001", b"3"));
    assert_eq!(messages(&bench).len(), 1);
    assert_eq!((bench.connection.counts().cut_frames, bench.connection.counts().undefined), (1, 1));
}

#[test]
fn properties_that_were_not_captured() {
    let mut bench = connected();
    bench.capture = 20;
    bench.put(&publish("t", "03 0001 'x' 26 0007 'baggage' 0014 '01234567890123456789'", b"body"));
    let all = messages(&bench);
    assert_eq!((&*all[0].destination, all[0].body.captured.len(), all[0].body.size), ("t", 0, 4));
    assert_eq!(all[0].attributes[3..], [(name::MQTT_CONTENT_TYPE, Value::Shared("x".into()))]);
}

#[test]
fn deliveries_through_a_shared_subscription() {
    check(
        Bench::client(),
        "> 10 11 0004 'MQTT' 05 02 003c 00 0004 'five'
         < 20 03 00 00 00
         > 82 10 0002 00 000a '$share/g/a' 01
         < 90 04 0002 00 01
         < 30 05 0001 'a' 00 '2'
         > 82 07 0003 00 0001 'a' 01
         < 90 04 0003 00 01
         < 30 05 0001 'a' 00 '3'
         > a2 06 0004 00 0001 'a'
         < b0 04 0004 00 00
         < 30 05 0001 'a' 00 '4'",
        expect![[r#"
            client > 5000+19 10..10..11 five connect
            client < 1000+5 20..20..21 five connected
            client > 5019+18 30..30..31 five subscribe ["$share/g/a"]
            client < 1011+7 50..50..51 five deliver a group=g b"2" 1/1
            client > 5037+9 60..60..61 five subscribe ["a"]
            client < 1024+7 80..80..81 five deliver a b"3" 1/1
            client < 1037+7 110..110..111 five deliver a group=g b"4" 1/1
            11 frames
        "#]],
    );
}

#[test]
fn whose_retain_flag_it_is() {
    check(
        Bench::client(),
        "> 10 11 0004 'MQTT' 05 02 003c 00 0004 'five'
         < 20 03 00 00 00
         > 82 0b 0001 00 0001 'a' 09 0001 'b' 01
         < 90 05 0001 00 01 01
         < 31 05 0001 'a' 00 '1'
         < 31 05 0001 'b' 00 '2'",
        expect![[r#"
            client > 5000+19 10..10..11 five connect
            client < 1000+5 20..20..21 five connected
            client > 5019+13 30..30..31 five subscribe ["a", "b"]
            client < 1012+7 50..50..51 five deliver a retain b"1" 1/1
            client < 1019+7 60..60..61 five deliver b retained b"2" 1/1
            6 frames
        "#]],
    );
}

#[test]
fn which_version_it_is_in_the_middle() {
    // Without properties MQTT 5 has a zero byte before the body; with them it shows.
    let late = || Bench::new(Some(crate::model::net::Role::Client), true, false);
    let mut bench = late();
    bench.put(&publish("t", "", b"1")).put(&publish("t", "03 0001 'x'", b"2")).put(&publish("t", "", b"3"));
    let bodies: Vec<_> = messages(&bench).iter().map(|message| message.body.captured.clone()).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
    // A body that cannot be properties is one of 3.1.1; from then on a zero byte is a body's.
    let mut bench = late();
    bench.put(&hex("30 06 0001 't' 'abc'")).put(&hex("30 06 0001 't' '\0bc'"));
    bench.put(&hex("30 06 0001 't' 00 'bc'"));
    let bodies: Vec<_> = messages(&bench).iter().map(|message| message.body.captured.clone()).collect();
    assert_eq!(bodies, ["abc", "\0bc", "\0bc"]);
    // Wrong at first, then CONNECT tells.
    let mut bench = late();
    bench.put(&hex("30 06 0001 't' 'abc'")).put(&hex(CONNECT)).get(&hex(CONNACK));
    bench.put(&publish("t", "", b"1"));
    assert_eq!(&*messages(&bench)[1].body.captured, b"1");
}

#[test]
fn one_message_may_be_full_of_headers() {
    let mut bench = connected();
    let many = "26 0007 'baggage' 0001 'x'".repeat(40);
    let mut long = hex("26 0007 'baggage' 2f00");
    long.resize(long.len() + 0x2f00, b'x');
    let long: String = long.iter().map(|byte| format!("{byte:02x}")).collect();
    bench.put(&publish("t", &many, b"1"));
    bench.capture = usize::MAX;
    bench.put(&publish("t", &long, b"2"));
    let all = messages(&bench);
    assert_eq!(all.len(), 2);
    assert!(all[0].headers.len() <= 16 && all[1].headers.is_empty());
}
