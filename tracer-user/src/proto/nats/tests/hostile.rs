//! What no well-behaved program sends, what is lost, and where one comes in late.

use expect_test::expect;
use proptest::prelude::*;

use super::{CONNECT, INFO, bytes, client};
use crate::model::net::{Direction, Role};
use crate::model::op::{OpKind, System};
use crate::proto::nats::pulls::{MAX_OPEN, MAX_SUBSCRIPTIONS};
use crate::proto::nats::unsettled::{MAX_CONSUMERS, MAX_WAITING};
use crate::proto::nats::{HEAD, MAX_ASKED, MAX_PIECES, MAX_QUEUES};
use crate::proto::testing::{Bench, heard, meaning};
use crate::proto::{Score, table};

#[test]
fn in_mid_stream_on_an_unknown_port() {
    let socket = Bench::of(System::Mqtt, Some(Role::Client), false, false);
    let mut bench = Bench { ops: Vec::new(), ..socket };
    bench.get(b"half of a body\r\nMSG a 1 1\r\nx\r\n");
    bench.get(b"MSG a 1 2\r\nhi\r\nMSG a 1 2\r\nho\r\nMSG a 1 3\r\nhey\r\n");
    bench.put(b"PUB b 2\r\nhi\r\n");
    expect![[r#"
        client < 1030+15 20..20..21 - deliver a b"hi" 2/2
        client < 1045+15 20..20..21 - deliver a b"ho" 2/2
        client < 1060+16 20..20..21 - deliver a b"hey" 3/3
        client > 5000+13 30..30..31 - publish b b"hi" 2/2
    "#]]
    .assert_eq(&bench.text());
    assert_eq!(
        (bench.connection.system(), bench.connection.role()),
        (Some(System::Nats), Some(Role::Client))
    );
}

#[test]
fn one_message_a_call_is_enough_to_come_in() {
    for (role, message) in
        [(Role::Client, &b"PUB a.b 5\r\nhello\r\n"[..]), (Role::Server, b"MSG a.b 1 5\r\nhello\r\n")]
    {
        let mut bench = Bench::of(System::Nats, Some(role), true, false);
        bench.put(message);
        assert_eq!(bench.ops.len(), 1, "{role:?}");
    }
}

#[test]
fn a_loss_costs_what_lay_there() {
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&bytes(CONNECT));
    bench.put(b"PUB a 1\r\n1\r\n");
    // The beginning of a message whose body has lines that look like messages.
    drop(bench.chunk(Direction::Outward, b"PUB a 41\r\n12"));
    bench.put(b"34\r\nPUB x 3\r\nabc\r\nUNSUB z\r\nabcdefghijkl\r\nPUB b 1\r\n2\r\nPUB c 1\r\n3\r\n");
    bench.put(b"PUB d 1\r\n4\r\n").wait();
    let said: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
    assert!(said.contains(&"publish d b\"4\" 1/1".to_owned()), "{said:#?}");
    assert!(said.contains(&"publish a b\"1\" 1/1".to_owned()), "{said:#?}");
}

#[test]
fn endless_lines_and_lying_lengths_are_given_up() {
    let endless = b"PUB ".iter().copied().chain(std::iter::repeat_n(b'a', 3 * HEAD)).collect::<Vec<_>>();
    let info = b"INFO {\"a\":\""
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'a', 2 * usize::from(MAX_PIECES) * HEAD));
    for hostile in [
        endless,
        info.collect(),
        b"PUB a 99999999999999999999\r\n".to_vec(),
        b"PUB a -1\r\n".to_vec(),
        b"PUB a 4294967297\r\n".to_vec(),
        b"PUB a 3\r\nabcdef\r\n".to_vec(),
        b"PUB\r\n".to_vec(),
        b"PUB a b c d 3\r\nabc\r\n".to_vec(),
        b"HPUB a 9 3\r\nabc\r\n".to_vec(),
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n".to_vec(),
        vec![b'\n'; 5000],
        vec![0; 5000],
    ] {
        let mut bench = client();
        bench.capture = usize::MAX;
        bench.get(&bytes(INFO)).put(&bytes(CONNECT)).ops.clear();
        bench.put(&hostile);
        assert!(bench.ops.is_empty(), "{:?}", bench.ops);
        let counts = bench.connection.counts();
        assert!(counts.invalid + counts.frames > 0);
        // And then it goes on.
        bench.put(b"PUB d 1\r\n4\r\n").put(b"PUB e 1\r\n4\r\n").wait();
        let said: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
        assert_eq!(said.last().map(String::as_str), Some("publish e b\"4\" 1/1"), "{said:?}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut calls = vec![(false, bytes(INFO)), (true, bytes(CONNECT))];
    for n in 0..3 * MAX_ASKED {
        calls.push((true, format!("PUB ask _INBOX.x.{n} 0\r\n\r\n").into_bytes()));
    }
    for n in 0..2 * MAX_QUEUES {
        calls.push((true, format!("SUB jobs.{n} crew{n} {n}\r\n").into_bytes()));
    }
    for n in 0..2 * MAX_CONSUMERS {
        let body = format!(
            r#"{{"type":"io.nats.jetstream.api.v1.consumer_info_response","stream_name":"A","name":"{n}","config":{{"ack_policy":"none"}}}}"#
        );
        calls.push((false, format!("MSG _INBOX.y 1 {}\r\n{body}\r\n", body.len()).into_bytes()));
    }
    let body = r#"{"type":"io.nats.jetstream.api.v1.consumer_info_response","stream_name":"A","name":"w","config":{"ack_policy":"all"}}"#;
    calls.push((false, format!("MSG _INBOX.y 1 {}\r\n{body}\r\n", body.len()).into_bytes()));
    for n in 0..2 * MAX_WAITING {
        calls.push((false, format!("MSG a 1 $JS.ACK.A.w.1.{n}.{n}.1.0 0\r\n\r\n").into_bytes()));
    }
    for n in 0..2 * MAX_OPEN {
        calls.push((true, format!("SUB _INBOX.p.{n} {n}\r\n").into_bytes()));
        let pull = format!("PUB $JS.API.CONSUMER.MSG.NEXT.A.c{n} _INBOX.p.{n} 2\r\n10\r\n");
        calls.push((true, pull.into_bytes()));
    }
    for n in 0..2 * MAX_SUBSCRIPTIONS {
        calls.push((true, format!("SUB b.{n} {n}\r\n").into_bytes()));
    }
    let mut bench = client();
    for (to_server, bytes) in &calls {
        if *to_server {
            bench.put(bytes)
        } else {
            bench.get(bytes)
        };
    }
    assert_eq!(bench.connection.counts().frames, calls.len() as u64);
    let held = format!("{:?}", bench.connection).len();
    let most = MAX_ASKED + MAX_QUEUES + MAX_CONSUMERS + MAX_WAITING + MAX_SUBSCRIPTIONS;
    assert!(held < 60 * most + 400 * MAX_OPEN, "{held} bytes of text");
}

#[test]
fn nobody_else_is_taken_for_it() {
    let row = table().iter().find(|row| row.system == System::Nats).expect("it is in the table");
    for (other, most) in [
        (&b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04dev1"[..], Score::No),
        (b"AMQP\0\0\x09\x01", Score::No),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", Score::No),
        (b"-ERR unknown command 'FOO'\r\n", Score::No),
        (b"+PONG\r\n", Score::No),
        (b"+OK\r\n", Score::Possible),
        (b"PING\r\n", Score::Possible),
        (b"\0\0\0\x23\0\x12\0\x04\0\0\0\0\0\x08consumer", Score::No),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Score::No),
        (b"CONNECT a:443 HTTP/1.1\r\n\r\n", Score::No),
        (b"CONNECT\naccept-version:1.2\nhost:a\n\n\0", Score::No),
        (b"SUBSCRIBE\nid:0\n\n\0", Score::No),
        (b"PUBLISH a b\r\n", Score::No),
        (b"INFO server\r\n", Score::No),
        (b"\x16\x03\x01\0\xc8\x01\0\0\xc4", Score::No),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Score::No),
        (b"", Score::Possible),
    ] {
        let score = (row.detect)(other, false);
        assert!(score <= most, "{:?}: {score:?}", String::from_utf8_lossy(other));
    }
    for own in [
        INFO,
        CONNECT,
        r"PUB a 2\r\nhi\r\n",
        r"MSG a 1 2\r\nhi\r\n",
        r"SUB a 1\r\n",
        r"HMSG a 1 12 12\r\nNATS",
    ] {
        let own = bytes(own);
        for rival in table() {
            let score = (rival.detect)(&own[..own.len().min(64)], false);
            assert_eq!(score == Score::Sure, rival.system == System::Nats, "{own:?}: {:?}", rival.system);
        }
    }
}

/// A conversation: what goes to the server and what comes from it.
fn conversation() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let subject = "[a-zA-Z0-9_$]{1,8}(\\.[a-z0-9*>]{1,5}){0,3}";
    let body = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..60),
        1 => "[ -~\r\n]{0,80}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1000..9000),
    ];
    let reply = prop::option::of("_INBOX\\.[a-z]{3}\\.[0-9]{1,3}");
    let message = (any::<bool>(), any::<bool>(), subject, reply, body, any::<u8>()).prop_map(
        |(to_server, headers, subject, reply, body, sid)| {
            let verb = if to_server { "PUB" } else { "MSG" };
            let sid = if to_server { String::new() } else { format!(" {sid}") };
            let reply = reply.map(|reply| format!(" {reply}")).unwrap_or_default();
            let head: &[u8] = if headers { b"NATS/1.0\r\nce-id: 1\r\nbaggage: a=b\r\n\r\n" } else { b"" };
            let sizes = match head.len() {
                0 => body.len().to_string(),
                length => format!("{length} {}", length + body.len()),
            };
            let h = if headers { "H" } else { "" };
            let mut bytes = format!("{h}{verb} {subject}{sid}{reply} {sizes}\r\n").into_bytes();
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(b"\r\n");
            (to_server, bytes)
        },
    );
    let other = prop::sample::select(
        &[
            (true, "PING\r\n"),
            (false, "PONG\r\n"),
            (false, "+OK\r\n"),
            (true, "SUB a.> q 7\r\n"),
            (true, "UNSUB 7\r\n"),
        ][..],
    );
    let other = other.prop_map(|(to_server, text)| (to_server, text.as_bytes().to_vec()));
    prop::collection::vec(prop_oneof![4 => message, 1 => other], 0..20).prop_map(|calls| {
        let start = [(false, bytes(INFO)), (true, bytes(CONNECT))];
        start.into_iter().chain(calls).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn splits_and_ends_do_not_matter(calls in conversation(), pieces in prop::collection::vec(1usize..200, 1..20)) {
        let truth = heard(System::Nats, Role::Client, &calls);
        prop_assert_eq!(&heard(System::Nats, Role::Server, &calls), &truth);
        let mut pieces = pieces.iter().cycle();
        let mut cut = Vec::new();
        for (to_server, bytes) in &calls {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, left) = rest.split_at((*pieces.next().expect("endless")).min(rest.len()));
                cut.push((*to_server, piece.to_vec()));
                rest = left;
            }
        }
        prop_assert_eq!(&heard(System::Nats, Role::Client, &cut), &truth);
    }

    #[test]
    fn any_bytes_behind_the_introduction_are_survived(
        calls in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                prop::collection::vec(any::<u8>(), 0..100),
                "(PUB|MSG|HMSG|HPUB|SUB|INFO|CONNECT|RMSG|[-+]ERR)?[ \r\n\\{\\}'a-z0-9.$]{0,60}".prop_map(String::into_bytes),
            ]),
            0..60,
        ),
    ) {
        let mut bench = client();
        bench.get(&bytes(INFO)).put(&bytes(CONNECT));
        for (to_server, bytes) in &calls {
            if *to_server { bench.put(bytes) } else { bench.get(bytes) };
        }
        bench.close();
        for op in &bench.ops {
            if let OpKind::Publish(message) | OpKind::Deliver(message) = &op.kind {
                prop_assert!(message.body.captured.len() as u64 <= message.body.size);
            }
        }
    }
}
