//! Conversations of clients and servers, and the ops that come of them.

use expect_test::{Expect, expect};

use crate::model::command::Value;
use crate::model::net::Role;
use crate::model::op::{Feed, Message, OpKind, Scope, System};
use crate::names::attribute::{
    MESSAGING_DESTINATION_TEMPORARY, MESSAGING_MESSAGE_ID, NATS_CONSUMER, NATS_DELIVERED, NATS_STREAM,
};
use crate::proto::testing::Bench;

mod hostile;
mod pulls;
mod recorded;

const INFO: &str = r#"INFO {"server_id":"NA","version":"2.9.10","headers":true,"max_payload":1048576}\r\n"#;
const CONNECT: &str = r#"CONNECT {"verbose":false,"name":"pump","lang":"go"}\r\n"#;

/// A client's end.
fn client() -> Bench {
    Bench::of(System::Nats, Some(Role::Client), true, true)
}

/// Bytes of `text`, in which `\r`, `\n` and `\t` stand for what they usually do.
fn bytes(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").into_bytes()
}

/// Feeds calls, `>` sent and `<` received, and compares the ops, a line each, and what was found wrong.
fn check(mut bench: Bench, calls: &str, expected: Expect) {
    for call in calls.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        match call.split_at(1) {
            (">", text) => bench.put(&bytes(&text[1..])),
            ("<", text) => bench.get(&bytes(&text[1..])),
            _ => bench.close(),
        };
    }
    let mut text = bench.text();
    let counts = bench.connection.counts();
    text.push_str(&format!("{} frames", counts.frames));
    for (name, count) in [
        ("cut", counts.cut_frames),
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

/// The messages of a client that sends and receives this behind the introduction.
fn messages(calls: &str) -> Vec<Message> {
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&bytes(CONNECT));
    for call in calls.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        match call.split_at(1) {
            (">", text) => bench.put(&bytes(&text[1..])),
            (_, text) => bench.get(&bytes(&text[1..])),
        };
    }
    let message = |op: crate::model::op::Op| match op.kind {
        OpKind::Publish(message) | OpKind::Deliver(message) => Some(*message),
        _ => None,
    };
    bench.ops.drain(..).filter_map(message).collect()
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.iter().find(|(known, _)| &**known == name).map(|(_, value)| &**value)
}

#[test]
fn verbs_in_any_letters_and_any_blanks() {
    check(
        client(),
        &format!(
            r#"< {INFO}
            > {CONNECT}
            > sub  plant.*   7\r\n
            > Sub jobs crew\t8\r\n
            > pub plant.a\t 2\r\nhi\r\n
            < msg plant.a 7 2\r\nhi\r\n
            < Msg jobs  8 0\r\n\r\n
            > UNSUB 8\r\n
            < MSG jobs 8 0\r\n\r\n
            > unsub 7 100\r\n
            > PING\r\n
            < PONG\r\n
            < +OK\r\n
            < -ERR 'Slow Consumer'\r\n
            close"#
        ),
        expect![[r#"
            client > 5000+53 20..20..21 pump connect
            client > 5053+18 30..30..31 pump subscribe ["plant.*"]
            client > 5071+17 40..40..41 pump subscribe ["jobs"]
            client > 5088+20 50..50..51 pump publish plant.a b"hi" 2/2
            client < 1081+21 60..60..61 pump deliver plant.a b"hi" 2/2
            client < 1102+17 70..70..71 pump deliver jobs group=crew b"" 0/0
            client < 1119+16 90..90..91 pump deliver jobs b"" 0/0
            client < 1146+22 140..140..141 pump error slow_consumer
            client > 5136+0 150..150..150 pump disconnect clean=false
            14 frames
        "#]],
    );
}

#[test]
fn the_server_sees_the_same() {
    let mut bench = Bench::of(System::Nats, Some(Role::Server), true, true);
    bench.put(&bytes(INFO)).get(&bytes(CONNECT)).get(b"PUB a 2\r\nhi\r\n").put(b"MSG a 1 2\r\nhi\r\n");
    expect![[r#"
        broker > 1000+53 20..20..21 pump connect
        broker > 1053+13 30..30..31 pump publish a b"hi" 2/2
        broker < 5081+15 40..40..41 pump deliver a b"hi" 2/2
    "#]]
    .assert_eq(&bench.text());
}

#[test]
fn requests_and_replies_have_one_correlation() {
    let all = messages(
        r"> PUB ask _INBOX.x.1 1\r\n?\r\n
        < MSG _INBOX.x.1 9 1\r\n!\r\n
        < MSG serve 2 _INBOX.y.1 1\r\n?\r\n
        > PUB _INBOX.y.1 1\r\n!\r\n
        > PUB ask my.own.place 1\r\n?\r\n
        < MSG my.own.place 9 1\r\n!\r\n
        > PUB plain 1\r\n.\r\n",
    );
    let told: Vec<_> = all
        .iter()
        .map(|message| {
            let temporary = (MESSAGING_DESTINATION_TEMPORARY, Value::Bool(true));
            assert_eq!(message.template.is_some(), message.attributes.contains(&temporary));
            (header(message, "correlation-id"), header(message, "reply-to"), message.template.as_deref())
        })
        .collect();
    let (inbox, own) = (Some("_INBOX.x.1"), Some("my.own.place"));
    assert_eq!(
        told,
        [
            (inbox, inbox, None),
            (inbox, None, Some("_INBOX.>")),
            (Some("_INBOX.y.1"), Some("_INBOX.y.1"), None),
            (Some("_INBOX.y.1"), None, Some("_INBOX.>")),
            (own, own, None),
            (own, None, Some("_INBOX.>")),
            (None, None, None),
        ]
    );
    assert!(all.iter().all(|message| !message.needs_settle), "nobody acknowledges a request");
}

#[test]
fn a_publish_to_a_stream_is_known_by_its_answer() {
    check(
        client(),
        &format!(
            r#"< {INFO}
            > {CONNECT}
            > SUB _INBOX.x.* 1\r\n
            > PUB orders _INBOX.x.1 3\r\none\r\n
            < MSG _INBOX.x.1 1 27\r\n{{"stream":"ORDERS","seq":7}}\r\n
            > HPUB orders _INBOX.x.2 37 40\r\nNATS/1.0\r\nNats-Expected-Stream: A\r\n\r\none\r\n
            < MSG _INBOX.x.2 1 79\r\n{{"error":{{"code":400,"err_code":10060,"description":"no"}},"stream":"A","seq":0}}\r\n
            > PUB nobody _INBOX.x.3 0\r\n\r\n
            < HMSG _INBOX.x.3 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n
            > PUB $JS.API.STREAM.INFO.A _INBOX.x.4 0\r\n\r\n
            < MSG _INBOX.x.4 1 2\r\n{{}}\r\n
            > PUB $JS.API.CONSUMER.MSG.NEXT.A.work _INBOX.z 1\r\n1\r\n
            < HMSG _INBOX.z 2 28 28\r\nNATS/1.0 404 No Messages\r\n\r\n\r\n
            < HMSG _INBOX.z 2 16 16\r\nNATS/1.0 503\r\n\r\n\r\n
            < HMSG _INBOX.z 2 31 31\r\nNATS/1.0 100 Idle Heartbeat\r\n\r\n\r\n
            > PUB $JS.FC.A.work.1 0\r\n\r\n"#
        ),
        expect![[r#"
            client > 5000+53 20..20..21 pump connect
            client > 5071+30 40..40..41 pump publish orders id=15599857286292477200 b"one" 3/3
            client < 1081+50 50..50..51 pump settled 15599857286292477200 given=ORDERS:7
            client > 5101+72 60..60..61 pump publish orders id=17515501226572229773 settle b"one" 3/3
            client < 1131+102 70..70..71 pump settled 17515501226572229773 error=wrong_stream
            client > 5173+27 80..80..81 pump publish nobody id=9722160499368028332 b"" 0/0
            client < 1233+43 90..90..91 pump settled 9722160499368028332 error=no_responders
            16 frames
        "#]],
    );
}

#[test]
fn deliveries_of_a_stream() {
    let all = messages(
        r"< MSG orders.a 3 $JS.ACK.ORDERS.work.1.17.3.1668850000000000000.5 3\r\none\r\n
        < MSG orders.a 3 $JS.ACK._.acct.ORDERS.work.2.17.4.1668850000000000000.5.tok 3\r\none\r\n
        < HMSG seen 4 44 46\r\nNATS/1.0\r\nNats-Msg-Id: m-1\r\nce-id: 00000\r\n\r\nhi\r\n",
    );
    let [first, again, plain] = &all[..] else { panic!("{all:?}") };
    assert_eq!(first.id.as_deref(), Some("ORDERS:17"));
    assert_eq!((first.redelivered, again.redelivered), (false, true));
    assert_eq!(again.id, first.id);
    assert_ne!(again.settle_id, first.settle_id);
    assert!(first.needs_settle && first.scope == Scope::Broker);
    assert_eq!(again.group.as_deref(), Some("work"));
    assert_eq!(
        *again.attributes,
        [
            (NATS_STREAM, Value::Shared("ORDERS".into())),
            (NATS_CONSUMER, Value::Shared("work".into())),
            (NATS_DELIVERED, Value::Int(2)),
        ]
    );
    assert_eq!(header(first, "correlation-id"), None);
    assert_eq!(*plain.attributes, [(MESSAGING_MESSAGE_ID, Value::Shared("m-1".into()))]);
    assert_eq!((plain.body.size, &plain.body.captured[..]), (2, &b"hi"[..]));
    assert_eq!(header(plain, "ce-id"), Some("00000"));
}

#[test]
fn who_needs_no_acknowledgement() {
    let told = |policy: &str| {
        let config = format!(
            r#"{{"type":"io.nats.jetstream.api.v1.consumer_create_response","stream_name":"A","name":"w","config":{{"ack_policy":"{policy}"}}}}"#
        );
        let calls = format!(
            "> PUB $JS.API.CONSUMER.CREATE.A _INBOX.x.1 2\\r\\n{{}}\\r\\n\n< MSG _INBOX.x.1 1 {}\\r\\n{config}\\r\\n\n< MSG a 2 $JS.ACK.A.w.1.1.1.1.0 0\\r\\n\\r\\n",
            config.len()
        );
        messages(&calls).iter().map(|message| message.needs_settle).collect::<Vec<_>>()
    };
    assert_eq!(told("none"), [false]);
    assert_eq!(told("explicit"), [true]);
}

#[test]
fn what_servers_tell_each_other_is_stepped_over() {
    check(
        client(),
        &format!(
            r#"< {INFO}
            > {CONNECT}
            < RS+ $G plant.* crew 1\r\nA- other\r\nLS+ plant.>\r\n
            < RMSG $G plant.a | back crew 2\r\nhi\r\nLMSG plant.a 2\r\nhi\r\n
            < HMSG $G plant.a + back crew 12 14\r\nNATS/1.0\r\n\r\nhi\r\n
            < INFO {{"server_id":"NB"}}\r\nMSG a 1 2\r\nhi\r\n
            > INFO {{"server_id":"NC"}}\r\nPUB a 2\r\nhi\r\n"#
        ),
        expect![[r#"
            client > 5000+53 20..20..21 pump connect
            client < 1258+15 60..60..61 pump deliver a b"hi" 2/2
            client > 5078+13 70..70..71 pump publish a b"hi" 2/2
            6 frames, skipped 152
        "#]],
    );
}

#[test]
fn tls_begins_behind_the_introduction() {
    let mut bench = client();
    bench.get(b"INFO {\"server_id\":\"NA\",\"tls_required\":true}\r\n");
    bench.put(&[0x16, 3, 1, 0, 200, 1]).put(b"PUB a 2\r\nhi\r\n").get(&[0x16, 3, 3, 0, 90, 2]);
    assert_eq!((bench.text().as_str(), bench.connection.counts().invalid), ("", 0));
    // Not so where nothing was said of it.
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&[0x16, 3, 1, 0, 200, 1]);
    assert_eq!(bench.connection.counts().invalid, 1);
}

#[test]
fn introductions_longer_than_a_line() {
    let urls = "\"10.0.0.1:4222\",".repeat(1000);
    let info = format!("INFO {{\"server_id\":\"NA\",\"connect_urls\":[{urls}\"x\"]}}\r\n");
    let connect = format!("CONNECT {{\"verbose\":false,\"jwt\":\"{}\"}}\r\n", "x".repeat(9000));
    for piece in [usize::MAX, 5000, 100] {
        let mut bench = client();
        bench.capture = usize::MAX;
        for part in info.as_bytes().chunks(piece.min(info.len())) {
            bench.get(part);
        }
        for part in connect.as_bytes().chunks(piece.min(connect.len())) {
            bench.put(part);
        }
        bench.get(b"MSG a 1 2\r\nhi\r\n").put(b"PUB a 2\r\nhi\r\n");
        let kinds: Vec<_> = bench.ops.iter().map(|op| crate::proto::testing::meaning(&op.kind)).collect();
        assert_eq!(kinds, ["connect", "deliver a b\"hi\" 2/2", "publish a b\"hi\" 2/2"], "pieces of {piece}");
        let counts = bench.connection.counts();
        assert_eq!((counts.invalid, counts.resyncs, counts.skipped_bytes), (0, 0, 0), "pieces of {piece}");
    }
    // Cut by the capture limit they cost themselves alone, and the search for what comes next ends.
    let mut bench = client();
    bench.get(info.as_bytes()).put(connect.as_bytes()).get(b"MSG a 1 2\r\nhi\r\n").put(b"PUB a 2\r\nhi\r\n");
    assert_eq!(bench.ops.len(), 2);
}

#[test]
fn bodies_over_the_capture_limit() {
    let mut body = b"PUB large 1048576\r\n".to_vec();
    body.resize(body.len() + 1_048_576, b'x');
    body.extend_from_slice(b"\r\n");
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&bytes(CONNECT));
    bench.put(&body).put(b"PUB a 1\r\n1\r\n");
    // In pieces too, of which each begins with captured bytes.
    for part in body.chunks(100_000) {
        bench.put(part);
    }
    bench.put(b"PUB b 1\r\n2\r\n");
    expect![[r#"
        client > 5000+53 20..20..21 pump connect
        client > 5053+1048597 30..30..31 pump publish large b"xxxxxxxxxxxxxxxx" 4077/1048576
        client > 1053650+12 40..40..41 pump publish a b"1" 1/1
        client > 1053662+1048597 50..150..151 pump publish large b"xxxxxxxxxxxxxxxx" 4077/1048576
        client > 2102259+12 160..160..161 pump publish b b"2" 1/1
    "#]]
    .assert_eq(&bench.text());
    assert_eq!(bench.connection.counts().skipped_bytes, 0);
}

/// Each subscription has a copy; those of one queue group, and who pulls for one consumer, share it.
#[test]
fn a_delivery_tells_whose_copy_it_is() {
    let all = messages(
        r"> SUB a.* 1\r\nSUB a.b 2\r\nSUB a.b crew 3\r\nSUB a.> crew 4\r\n
        < MSG a.b 1 1\r\nx\r\nMSG a.b 2 1\r\nx\r\nMSG a.b 3 1\r\nx\r\nMSG a.b 4 1\r\nx\r\n
        < MSG a.b 5 $JS.ACK.A.work.1.17.3.1.5 1\r\nx\r\nMSG a.b 6 $JS.ACK.A.work.1.18.4.1.4 1\r\nx\r\n",
    );
    let feeds: Vec<_> = all.iter().map(|message| message.feed).collect();
    let (one, two) = (Feed::of_subscription(b"1"), Feed::of_subscription(b"2"));
    assert_eq!(feeds[..4], [one, two, Feed::shared(b"crew"), Feed::shared(b"crew")]);
    assert!(matches!(feeds[4], Feed::Shared(_)));
    assert_eq!(feeds[4], feeds[5]);
}
