//! Requests for several messages, and one acknowledgement for several.

use crate::model::op::{Op, OpKind};
use crate::proto::testing::Bench;

use super::{CONNECT, INFO, bytes, client};

/// What a client that sends and receives this is told of deliveries (`d` and the number in the stream), of what came together
/// (`received` and the numbers) and of settlements (the numbers again).
fn told(calls: &str) -> Vec<String> {
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&bytes(CONNECT)).ops.clear();
    play(&mut bench, calls);
    tell(&bench.ops)
}

fn play(bench: &mut Bench, calls: &str) {
    for call in calls.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        match call.split_at(1) {
            (">", text) => bench.put(&bytes(&text[1..])),
            ("<", text) => bench.get(&bytes(&text[1..])),
            _ => bench.wait(),
        };
    }
}

fn tell(ops: &[Op]) -> Vec<String> {
    let name = |message: &crate::model::op::Message| {
        message.id.as_deref().unwrap_or("?").rsplit(':').next().unwrap_or_default().to_owned()
    };
    let mut ids = std::collections::HashMap::new();
    let mut told = Vec::new();
    for op in ops {
        match &op.kind {
            OpKind::Deliver(message) => {
                ids.insert(message.settle_id.expect("it can be settled"), name(message));
                told.push(format!("d{}", name(message)));
            }
            OpKind::Received { count, batch } => {
                let of_it =
                    |op: &&Op| matches!(&op.kind, OpKind::Deliver(message) if message.batch == *batch);
                let all: Vec<_> = ops.iter().filter(of_it).collect();
                assert_eq!(all.len(), *count as usize, "the batch has as many");
                assert_eq!(op.at.start, all[0].at.start, "it begins with the first");
                assert_eq!(op.at.end, all[all.len() - 1].at.end, "and ends with the last");
                let names: Vec<_> = all
                    .iter()
                    .filter_map(|op| match &op.kind {
                        OpKind::Deliver(message) => Some(name(message)),
                        _ => None,
                    })
                    .collect();
                told.push(format!("received {}", names.join(" ")));
            }
            OpKind::Settle { name, ids: settled, .. } => {
                let all: Vec<_> = settled.iter().map(|id| ids[id].as_str()).collect();
                told.push(format!("{name} {}", all.join(" ")));
            }
            _ => {}
        }
    }
    told
}

/// Messages of the consumer `w`, by number, to the subscription `sid`.
fn come(sid: u32, numbers: std::ops::RangeInclusive<u32>) -> String {
    let mut call = "< ".to_owned();
    for number in numbers {
        call += &format!(r"MSG a {sid} $JS.ACK.A.w.1.{number}.{number}.1.0 1\r\nx\r\n");
    }
    call + "\n"
}

fn pull(inbox: &str, body: &str) -> String {
    format!("> PUB $JS.API.CONSUMER.MSG.NEXT.A.w {inbox} {}\\r\\n{body}\\r\\n\n", body.len())
}

#[test]
fn a_batch_is_complete() {
    let calls = [
        r"> SUB _INBOX.x 7\r\n",
        "\n",
        &pull("_INBOX.x", r#"{"batch":3}"#),
        &come(7, 1..=2),
        &come(7, 3..=3),
    ];
    assert_eq!(told(&calls.concat()), ["d1", "d2", "d3", "received 1 2 3"]);
}

#[test]
fn one_message_alone_is_no_batch() {
    for body in ["", "1", r#"{"batch":1,"no_wait":true}"#] {
        let calls = [pull("_INBOX.x", body), come(7, 1..=1), pull("_INBOX.x", body), come(7, 2..=2)];
        assert_eq!(told(&calls.concat()), ["d1", "d2"], "{body}");
    }
    // Nor if more were asked for.
    let calls = [pull("_INBOX.x", "2"), come(7, 1..=1), pull("_INBOX.x", "2"), come(7, 2..=4)];
    assert_eq!(told(&calls.concat()), ["d1", "d2", "d3", "d4", "received 2 3 4"]);
}

#[test]
fn the_server_ends_it() {
    for status in ["404 No Messages", "408 Request Timeout", "409 Message Size Exceeds MaxBytes"] {
        let size = 14 + status.len();
        let end =
            format!("< HMSG _INBOX.x 7 {} {}\\r\\nNATS/1.0 {status}\\r\\n\\r\\n\\r\\n\n", size - 1, size - 1);
        let idle = r"< HMSG _INBOX.x 7 31 31\r\nNATS/1.0 100 Idle Heartbeat\r\n\r\n\r\n";
        let calls = [
            r"> SUB _INBOX.x 7\r\n",
            "\n",
            &pull("_INBOX.x", "10"),
            &come(7, 1..=1),
            idle,
            "\n",
            &come(7, 2..=2),
            &end,
            &pull("_INBOX.x", "2"),
            &come(7, 3..=4),
        ];
        assert_eq!(
            told(&calls.concat()),
            ["d1", "d2", "received 1 2", "d3", "d4", "received 3 4"],
            "{status}"
        );
    }
}

#[test]
fn the_subscription_ends() {
    let calls = [
        r"> SUB _INBOX.x.* 7\r\n",
        "\n",
        &pull("_INBOX.x.1", "10"),
        &come(7, 1..=2),
        r"> UNSUB 7 10\r\n",
        "\n",
        &come(7, 3..=3),
        r"> UNSUB 7\r\n",
        "\n",
    ];
    assert_eq!(told(&calls.concat()), ["d1", "d2", "d3", "received 1 2 3"]);
}

#[test]
fn it_expires() {
    let calls = [
        &pull("_INBOX.x", r#"{"batch":10,"expires":1000000}"#),
        &come(7, 1..=2),
        "wait\nwait\n",
        &come(7, 3..=3),
    ];
    assert_eq!(told(&calls.concat()), ["d1", "d2", "d3", "received 1 2"]);
}

/// Programs ask for more before they have what they asked for: each message is of one batch.
#[test]
fn the_next_request_comes() {
    let calls = [
        pull("_INBOX.x", "4"),
        come(7, 1..=2),
        pull("_INBOX.x", "2"),
        come(7, 3..=6),
        pull("_INBOX.x", "2"),
        come(7, 7..=8),
    ];
    let expected =
        ["d1", "d2", "received 1 2", "d3", "d4", "d5", "d6", "received 3 4 5 6", "d7", "d8", "received 7 8"];
    assert_eq!(told(&calls.concat()), expected);
}

/// Two of a program's threads ask for messages of one consumer; the server serves them in turns.
#[test]
fn requests_side_by_side() {
    let calls = [
        r"> SUB _INBOX.x 7\r\nSUB _INBOX.y 8\r\n",
        "\n",
        &pull("_INBOX.x", "2"),
        &pull("_INBOX.y", "2"),
        &come(7, 1..=1),
        &come(8, 2..=2),
        &come(7, 3..=3),
        &come(8, 4..=4),
    ];
    assert_eq!(told(&calls.concat()), ["d1", "d2", "d3", "received 1 3", "d4", "received 2 4"]);
}

/// The call that sent the request is seen to end after the one that read the answer.
#[test]
fn an_answer_that_is_seen_before_its_request() {
    use crate::model::net::Direction;
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&bytes(CONNECT)).ops.clear();
    let request = pull("_INBOX.x", "3");
    let request = bench.chunk(Direction::Outward, &bytes(&request[2..request.len() - 1]));
    let answer = come(7, 1..=2);
    bench.now -= 10;
    play(&mut bench, &answer);
    bench.connection.feed(Direction::Outward, request, &mut bench.ops);
    play(&mut bench, &come(7, 3..=3));
    assert_eq!(tell(&bench.ops), ["d1", "d2", "d3", "received 1 2 3"]);
}

#[test]
fn what_is_pushed_is_no_answer() {
    let calls = [come(7, 1..=3), r"> UNSUB 7\r\n".into(), "\n".into(), come(8, 4..=5), pull("_INBOX.x", "2")];
    assert_eq!(told(&calls.concat()), ["d1", "d2", "d3", "d4", "d5"]);
}

/// Who pushes is known by that, so that its messages are not put together for nothing.
#[test]
fn what_is_pushed_again_and_again_has_no_batch() {
    let mut bench = client();
    bench.get(&bytes(INFO)).put(&bytes(CONNECT)).ops.clear();
    play(&mut bench, &[come(7, 1..=2), "wait\n".into(), come(7, 3..=4)].concat());
    let batch = |op: &Op| match &op.kind {
        OpKind::Deliver(message) => message.batch.is_some(),
        _ => false,
    };
    assert_eq!(bench.ops.iter().map(batch).collect::<Vec<_>>(), [true, true, false, false]);
    // A consumer that is pulled after all is no such one.
    bench.ops.clear();
    play(&mut bench, &[pull("_INBOX.x", "2"), come(7, 5..=6)].concat());
    assert_eq!(tell(&bench.ops), ["d5", "d6", "received 5 6"]);
}

#[test]
fn an_acknowledgement_that_asks_for_more() {
    let more = r#"> PUB $JS.ACK.A.w.1.1.1.1.0 _INBOX.x 16\r\n+NXT {"batch":2}\r\n"#;
    let calls = [&pull("_INBOX.x", ""), &come(7, 1..=1), more, "\n", &come(7, 2..=3)];
    assert_eq!(told(&calls.concat()), ["d1", "ack 1", "d2", "d3", "received 2 3"]);
}

#[test]
fn an_acknowledgement_for_all_before_it() {
    let policy = |policy: &str| {
        let body = format!(
            r#"{{"type":"io.nats.jetstream.api.v1.consumer_info_response","stream_name":"A","name":"w","config":{{"ack_policy":"{policy}"}}}}"#
        );
        format!(
            "> PUB $JS.API.CONSUMER.INFO.A.w _INBOX.i 0\\r\\n\\r\\n\n< MSG _INBOX.i 1 {}\\r\\n{body}\\r\\n\n",
            body.len()
        )
    };
    let ack = |number: u32, body: &str| {
        format!("> PUB $JS.ACK.A.w.1.{number}.{number}.1.0 {}\\r\\n{body}\\r\\n\n", body.len())
    };
    let after =
        |known: &str| told(&[known, &come(7, 1..=5), &ack(3, ""), &ack(5, "-NAK"), &ack(4, "+ACK")].concat());
    let deliveries = ["d1", "d2", "d3", "d4", "d5"];
    let expected = |acks: [&'static str; 3]| [&deliveries[..], &acks].concat();
    assert_eq!(after(&policy("all")), expected(["ack 1 2 3", "nack 5", "ack 4"]));
    assert_eq!(after(&policy("explicit")), expected(["ack 3", "nack 5", "ack 4"]));
    // If nobody said how it is meant, it is for the one that it names.
    assert_eq!(after(""), expected(["ack 3", "nack 5", "ack 4"]));
}
