//! What is missed, and what is made of hostile bytes.

use proptest::prelude::*;

use super::{calls, command, essence};
use crate::model::capture::Position;
use crate::model::net::{Direction, Role};
use crate::model::op::{OpKind, System};
use crate::proto::redis::{Redis, search};
use crate::proto::testing::{Bench, meaning};
use crate::proto::{Outcome, Protocol, Score, Trust};

/// Feeds calls to a client's connection; `lose`: which are missed. Of each, what it means.
fn heard(from_start: bool, text: &str, lose: &[usize]) -> Vec<String> {
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, from_start);
    bench.capture = usize::MAX;
    for (index, (to_server, bytes)) in calls(text).iter().enumerate() {
        if bytes == b"SILENCE" {
            bench.wait();
            continue;
        }
        let direction = if *to_server { Direction::Outward } else { Direction::Inward };
        let chunk = bench.chunk(direction, bytes);
        if !lose.contains(&index) {
            bench.connection.feed(direction, chunk, &mut bench.ops);
        }
    }
    bench.wait().ops.iter().map(|op| meaning(&op.kind)).collect()
}

fn settled(heard: &[String]) -> Vec<&str> {
    heard.iter().filter(|op| op.starts_with("settled")).map(|op| op.as_str()).collect()
}

const SENSOR: &str = r"
    >> XADD s * v 1
    < $3\r\n1-1\r\n
    >> XADD s * v 2
    < $3\r\n2-1\r\n
    >> XADD s * v 3
    < $3\r\n3-1\r\n
    > SILENCE
    >> XADD s * v 4
    < $3\r\n4-1\r\n
    >> XADD s * v 5
    < $3\r\n5-1\r\n
";

#[test]
fn after_a_loss_no_answer_is_matched_until_a_silence() {
    let whole = heard(true, SENSOR, &[]);
    assert_eq!(settled(&whole).len(), 5);
    // A request, an answer, both.
    for lose in [&[2][..], &[3], &[2, 3]] {
        let torn = heard(true, SENSOR, lose);
        let whole: Vec<String> = whole.iter().map(|op| essence(op)).collect();
        assert!(torn.iter().all(|op| whole.contains(&essence(op))), "{lose:?}: {torn:#?}");
        let given: Vec<&str> =
            settled(&torn).iter().filter_map(|op| op.split_once("given=")).map(|(_, given)| given).collect();
        assert!(given.len() >= 3, "{lose:?}: {torn:#?}");
        assert_eq!(given.first(), Some(&"s:1-1"), "{lose:?}");
        assert_eq!(given[given.len() - 2..], ["s:4-1", "s:5-1"], "{lose:?}");
        assert!(!given.contains(&"s:2-1"), "{lose:?}");
    }
}

#[test]
fn attached_midway_the_order_is_known_after_a_silence() {
    // The first answer is to a request that nobody saw.
    let text = r"
        >> XADD s * v 2
        < $3\r\n1-1\r\n
        < $3\r\n2-1\r\n
        > SILENCE
        >> XADD s * v 3
        < $3\r\n3-1\r\n
    ";
    let heard = heard(false, text, &[]);
    assert_eq!(heard.len(), 3, "{heard:#?}");
    assert!(heard[2].ends_with("given=s:3-1"), "{heard:#?}");
}

#[test]
fn a_consumer_that_waits_is_understood_again() {
    let text = r"
        >> XREADGROUP GROUP g c BLOCK 5000 STREAMS s >
        < *1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n
        >> XACK s g 1-1
        < :1\r\n
        >> BLPOP q 0
        > SILENCE
        < *2\r\n$1\r\nq\r\n$1\r\nx\r\n
        > SILENCE
        >> PUBLISH a b
        < :0\r\n
    ";
    let whole = heard(true, text, &[]);
    assert_eq!(whole.len(), 5, "{whole:#?}");
    assert!(
        whole[0].starts_with("deliver s id=") && whole[0].contains("group=g named=s:1-1 settle"),
        "{whole:#?}"
    );
    // Without the XACK's answer: only what waited can be unanswered after the silence.
    let torn = heard(true, text, &[3]);
    assert_eq!(torn, whole);
    // Without the XACK.
    let torn = heard(true, text, &[2]);
    assert_eq!(torn.len(), 4, "{torn:#?}");
}

#[test]
fn of_a_client_that_was_reading_before_the_entries_are_heard_at_once() {
    let entries = r"< *1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n";
    let seen = heard(false, &format!(">> PING\n< +PONG\\r\\n\n{entries}"), &[]);
    // The group is not known.
    assert_eq!(seen, ["deliver s named=s:1-1 b\"1\" 1/1"]);
    let map = r"< %1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n";
    assert_eq!(heard(false, &format!(">> PING\n< +PONG\\r\\n\n{map}"), &[]), seen);
    // Other arrays of arrays are none.
    let ranges = r"< *1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n";
    assert!(heard(false, &format!(">> PING\n< +PONG\\r\\n\n{ranges}"), &[]).is_empty());
}

#[test]
fn answers_that_are_read_before_their_request_was_seen_wait_for_it() {
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
    bench.put(&command("PING")).get(b"+PONG\r\n");
    // Written before, seen after.
    for name in ["b", "c"] {
        let request = bench.chunk(Direction::Outward, &command(&format!("PUBLISH a {name}")));
        bench.get(b":1\r\n");
        bench.connection.feed(Direction::Outward, request, &mut bench.ops);
    }
    bench.put(&command("PUBLISH a d")).get(b":1\r\n");
    let heard: Vec<String> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
    assert_eq!(settled(&heard).len(), 3, "{heard:#?}");
}

#[test]
fn nothing_is_answered_before_it_is_asked() {
    // The answers of `b` and of what was sent before are told apart by nothing, until one is too many.
    let text = r"
        >> PING
        < +PONG\r\n
        < $3\r\n1-1\r\n
        >> XADD s * v 2
        < $3\r\n1-2\r\n
        > SILENCE
        >> XADD s * v 3
        < $3\r\n1-3\r\n
    ";
    let heard = heard(true, text, &[]);
    assert_eq!(settled(&heard).len(), 1, "{heard:#?}");
    assert!(settled(&heard)[0].ends_with("given=s:1-3"), "{heard:#?}");
}

#[test]
fn a_body_over_the_capture_limit_costs_nothing_else() {
    let long = "x".repeat(3000);
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
    bench.capture = 100;
    bench.put(&command(&format!("PUBLISH a {long}"))).get(b":1\r\n");
    bench.put(&command(&format!("XADD s * v {long}"))).get(b"$3\r\n1-1\r\n");
    bench.put(&command("PUBLISH a end")).get(b":1\r\n");
    let meanings: Vec<String> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
    assert_eq!(meanings.len(), 6, "{meanings:#?}");
    assert!(meanings[0].ends_with("69/3000") && meanings[2].ends_with("/3000"), "{meanings:#?}");
    assert!(meanings[3].ends_with("given=s:1-1") && meanings[4].ends_with("b\"end\" 3/3"), "{meanings:#?}");
    assert_eq!(bench.connection.counts().invalid, 0);
}

#[test]
fn hostile_answers_are_bounded() {
    for attack in [
        "*1\r\n".repeat(20_000),
        "|1\r\n".repeat(10_000),
        "*?\r\n".repeat(1000),
        "%2147483648\r\n".repeat(9),
        format!("*2147483648\r\n{}", ":1\r\n".repeat(6_000)),
        format!("+{}", "x".repeat(40_000)),
        "$-1\r\n".repeat(8_000),
    ] {
        for question in ["XREAD STREAMS s 0", "GET k", "EXEC", "BLPOP q 0", "SUBSCRIBE c"] {
            let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
            bench.capture = usize::MAX;
            bench.put(&command(question));
            for piece in attack.as_bytes().chunks(4096) {
                bench.get(piece);
            }
            let text = format!("{:?}", bench.connection).len();
            assert!(text < 1 << 20, "{text} bytes of text");
            assert!(bench.ops.iter().all(|op| matches!(op.kind, OpKind::Subscribe { .. })));
        }
    }
    // More questions than are kept.
    let mut bench = Bench::of(System::Redis, Some(Role::Client), true, true);
    bench.capture = usize::MAX;
    for _ in 0..300 {
        bench.put(&command("PUBLISH a b").repeat(100));
    }
    bench.get(&b":1\r\n".repeat(30_000));
    assert!(bench.ops.iter().all(|op| matches!(op.kind, OpKind::Publish(_))));
}

#[test]
fn others_are_not_taken_for_redis() {
    for (head, hint, score) in [
        (&b"*1\r\n$4\r\nPING\r\n"[..], false, Score::Sure),
        (b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n", false, Score::Sure),
        (b"PING\r\n", true, Score::Possible),
        // NATS, HTTP, SMTP, memcached, MQTT, Kafka, AMQP.
        (b"PING\r\n", false, Score::No),
        (b"INFO {\"server_id\":\"x\"}\r\n", false, Score::No),
        (b"+OK\r\n", false, Score::No),
        (b"-ERR 'Unknown Protocol'\r\n", false, Score::No),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, Score::No),
        (b"220 mail ESMTP\r\n", false, Score::No),
        (b"get key\r\n", false, Score::No),
        (b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04dev1", false, Score::No),
        (b"\0\0\0\x23\0\x12\0\x03\0\0\0\x01\0\x07", false, Score::No),
        (b"AMQP\0\0\x09\x01", false, Score::No),
        (b"$SYS.x", false, Score::No),
        (b"*\xff\xff", false, Score::No),
    ] {
        assert_eq!(search::detect(head, hint), score, "{:?}", String::from_utf8_lossy(head));
    }
}

/// Words of requests that mean something.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "PUBLISH a x",
        "XADD s * v 1",
        "XREADGROUP GROUP g c STREAMS s >",
        "XACK s g 1-1",
        "MULTI",
        "EXEC",
        "DISCARD",
        "LPUSH l a b",
        "BLPOP l 0",
        "LPOP l",
        "SUBSCRIBE a",
        "CLIENT REPLY SKIP",
        "GET k",
        "XADD s",
        "HELLO 3 SETNAME n",
        "XCLAIM s g c 0 1-1",
        "LMPOP 1 l LEFT COUNT 9",
        "XAUTOCLAIM s g c 0 0",
        "RESET",
        "PING",
    ];
    prop::sample::select(words.to_vec()).prop_map(command)
}

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        r":1\r\n",
        r"+OK\r\n",
        r"+QUEUED\r\n",
        r"$3\r\n1-1\r\n",
        r"$-1\r\n",
        r"*-1\r\n",
        r"_\r\n",
        r"-ERR no\r\n",
        r"!5\r\nERR x\r\n",
        r"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
        r">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
        r"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n",
        r"%1\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n*2\r\n$3\r\n1-2\r\n*-1\r\n",
        r"*2\r\n:1\r\n$3\r\n1-1\r\n",
        r"*2\r\n$1\r\nl\r\n$1\r\na\r\n",
        r"|1\r\n+a\r\n+b\r\n:3\r\n",
        r"$?\r\n;2\r\nab\r\n;0\r\n",
        r"*?\r\n:1\r\n.\r\n",
        r"=5\r\ntxt:a\r\n",
        r"(123\r\n",
        r",1.5\r\n",
        r"#t\r\n",
        r"~1\r\n:1\r\n",
        r"*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n",
        r"*2\r\n$1\r\nl\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    ];
    prop::sample::select(texts.to_vec()).prop_map(super::unescape)
}

proptest! {
    #[test]
    fn splits_do_not_matter(
        turns in prop::collection::vec(prop_oneof![request().prop_map(|r| (true, r)), answer().prop_map(|a| (false, a))], 0..40),
        cuts in prop::collection::vec(1usize..40, 1..60),
    ) {
        // It begins with what is believed at once.
        let mut all = vec![(true, command("PING")), (false, b"+PONG\r\n".to_vec()), (true, command("PING")), (false, b"+PONG\r\n".to_vec())];
        all.extend(turns);
        let run = |calls: &[(bool, Vec<u8>)], role| crate::proto::testing::heard(System::Redis, role, calls);
        let mut cut = Vec::new();
        let mut lengths = cuts.iter().cycle();
        for (to_server, bytes) in &all {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (piece, left) = rest.split_at((*lengths.next().expect("it goes round")).min(rest.len()));
                cut.push((*to_server, piece.to_vec()));
                rest = left;
            }
        }
        prop_assert_eq!(run(&cut, Role::Client), run(&all, Role::Client));
        // Which may know sooner whose an answer is.
        prop_assert_eq!(run(&cut, Role::Server), run(&all, Role::Server));
    }

    #[test]
    fn any_bytes_are_survived(
        chunks in prop::collection::vec(
            (any::<bool>(), 0u8..6, prop_oneof![
                prop::collection::vec(any::<u8>(), 0..100),
                request(), answer(),
                prop::collection::vec(prop::sample::select(&b"*$:+-%>|_~=!;.,(#?0123459\r\n\r\nXADD"[..]), 0..80),
            ]),
            0..100,
        ),
        role in prop::sample::select(&[None, Some(Role::Client), Some(Role::Server)][..]),
        hint in any::<bool>(),
        from_start in any::<bool>(),
    ) {
        let mut bench = Bench::of(System::Redis, role, hint, from_start);
        for (inward, kind, bytes) in chunks {
            let direction = if inward { Direction::Inward } else { Direction::Outward };
            let mut chunk = bench.chunk(direction, &bytes);
            match kind {
                0 => chunk.position = Position::Unknown,
                1 => chunk.payload.size += 300,
                2 => continue,
                _ => {}
            }
            bench.connection.feed(direction, chunk, &mut bench.ops);
        }
        bench.close();
        prop_assert_eq!(bench.connection.counts().ops, bench.ops.len() as u64);
    }

    #[test]
    fn frame_keeps_its_word(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        answer(),
        prop::collection::vec(prop_oneof![request(), answer()], 1..12).prop_map(|all| all.concat()),
    ]) {
        let protocol = Redis::default();
        for to_server in [None, Some(true), Some(false)] {
            let whole = protocol.frame(&bytes, to_server, Trust::Follow);
            if bytes.len() >= protocol.head() {
                prop_assert!(whole != Outcome::NeedMore);
            }
            for end in 0..bytes.len() {
                let part = protocol.frame(&bytes[..end], to_server, Trust::Follow);
                // Sooner or later, but the same.
                prop_assert!(part == Outcome::NeedMore || part == whole, "{} {:?} {:?}", end, part, whole);
            }
        }
    }
}
