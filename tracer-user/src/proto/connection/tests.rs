//! The shared loop, tried with MQTT.

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::model::op::Message;
use crate::proto::testing::{Bench, hex, meaning};
use crate::track::stream::{HELD_BYTES, REORDER_BYTES};

fn check(bench: &mut Bench, expected: Expect) {
    let text = bench.text();
    expected.assert_eq(&text);
}

const HELLO: &str = "10 10 0004 'MQTT' 04 02 003c 0004 'dev1'";

#[test]
fn the_middle_of_a_connection_is_enough() {
    // One whole publish that fills its call is believed at once where the port tells the protocol.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.put(&hex("30 06 0001 'a' '111'"));
    check(
        &mut bench,
        expect![[r#"
        client > 5000+8 10..10..11 - publish a b"111" 3/3
    "#]],
    );
    // So is an acknowledgement, but not where it begins in the middle of a call.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.get(&hex("'x' 40 02 0001"));
    assert_eq!(bench.text(), "");
    bench.get(&hex("40 02 0002"));
    check(&mut bench, expect![[r#"
        client < 1001+4 10..10..11 - settled 1
        client < 1005+4 20..20..21 - settled 2
    "#]]);
    // Without the port it takes two publishes.
    let mut bench = Bench::new(Some(Role::Client), false, false);
    bench.put(&hex("30 06 0001 'a' '111'"));
    assert_eq!(bench.text(), "");
    bench.put(&hex("30 06 0001 'a' '222'"));
    check(
        &mut bench,
        expect![[r#"
        client > 5000+8 10..10..11 - publish a b"111" 3/3
        client > 5008+8 20..20..21 - publish a b"222" 3/3
    "#]],
    );
}

#[test]
fn the_middle_of_a_frame_is_passed_over() {
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.put(b"e: 22.5, \"unit\": \"C\"}").put(&hex("30 06 0001 'a' '111'"));
    check(
        &mut bench,
        expect![[r#"
        client > 5021+8 20..20..21 - publish a b"111" 3/3
    "#]],
    );
    assert_eq!(bench.connection.counts().skipped_bytes, 21);
    // A broker that reads byte by byte, entered between the two bytes of the fixed header.
    let mut bench = Bench::new(Some(Role::Server), true, false);
    bench.get(&hex("0a")).get(&hex("0003 'a/b' 0007 '1.5'"));
    bench.get(&hex("32")).get(&hex("0a")).get(&hex("0003 'a/b' 0008 '2.5'"));
    check(
        &mut bench,
        expect![[r#"
        broker > 1011+12 30..50..51 - publish a/b id=8 settle b"2.5" 3/3
    "#]],
    );
    // Frames that begin in the middle of a call.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.get(&hex("'rest' 30 06 0001 'a' '111' 30 06 0001 'a' '222'"));
    check(
        &mut bench,
        expect![[r#"
        client < 1004+8 10..10..11 - deliver a b"111" 3/3
        client < 1012+8 10..10..11 - deliver a b"222" 3/3
    "#]],
    );
}

#[test]
fn a_lost_body_leaves_the_frame_whole() {
    let mut bench = Bench::client();
    bench.put(&hex(HELLO)).put(&hex("30 10 0003 'a/b' '0123'"));
    let _lost = bench.chunk(Direction::Outward, b"4567");
    bench.put(b"89a").put(&hex("30 06 0001 'a' '111'")).wait();
    check(
        &mut bench,
        expect![[r#"
        client > 5000+18 10..10..11 dev1 connect
        client > 5018+18 20..40..41 dev1 publish a/b b"0123" 4/11
        client > 5036+8 50..50..51 dev1 publish a b"111" 3/3
    "#]],
    );
    let counts = bench.connection.counts();
    assert_eq!((counts.skipped_bytes, counts.resyncs, counts.stream.gap_bytes), (0, 0, 4));
}

#[test]
fn a_lost_header_is_searched_for() {
    let mut bench = Bench::client();
    bench.put(&hex(HELLO));
    let _lost = bench.chunk(Direction::Outward, &hex("30 06 0001 'a' '111' 30 06 00"));
    bench.put(&hex("01 'b' '222'")).put(&hex("30 06 0001 'c' '333'")).wait();
    check(
        &mut bench,
        expect![[r#"
        client > 5000+18 10..10..11 dev1 connect
        client > 5034+8 40..40..41 dev1 publish c b"333" 3/3
    "#]],
    );
    let counts = bench.connection.counts();
    assert_eq!((counts.skipped_bytes, counts.resyncs), (16, 1));
}

#[test]
fn unseen_bytes_are_part_of_the_frame() {
    let mut bench = Bench::client();
    bench.put(&hex(HELLO)).put(&hex("30 80 01 0003 'a/b'"));
    let chunk = bench.chunk(Direction::Outward, &[0; 123]);
    assert!(bench.connection.is_half(Direction::Outward));
    bench.connection.unseen(Direction::Outward, chunk.position, chunk.at, 9, 123, &mut bench.ops);
    assert!(!bench.connection.is_half(Direction::Outward));
    check(
        &mut bench,
        expect![[r#"
        client > 5000+18 10..10..11 dev1 connect
        client > 5018+131 20..30..31 dev1 publish a/b b"" 0/123
    "#]],
    );
}

#[test]
fn counted_streams_recover_after_a_loss() {
    let mut bench = Bench::client();
    bench.exact = false;
    bench.put(&hex(HELLO)).put(&hex("30 10 0003 'a/b' '0123'"));
    bench.connection.gap(Direction::Outward, &mut bench.ops);
    bench.put(b"789a").put(&hex("30 06 0001 'a' '111'"));
    check(
        &mut bench,
        expect![[r#"
            client > 0+18? 10..10..11 dev1 connect
            client > 34+8? 40..40..41 dev1 publish a b"111" 3/3
        "#]],
    );
    assert_eq!(bench.connection.counts().resyncs, 1);
}

#[test]
fn late_chunks_and_wrapping_positions() {
    let mut bench = Bench::client();
    bench.outward = u32::MAX - 30_000;
    bench.put(&hex(HELLO));
    // 64 KiB of packets of 1 KiB across the end of the numbers, every other two of them in the wrong order.
    let mut packet = hex("30 fd 07 0001 'a'");
    packet.resize(1024, b'x');
    for _ in 0..32 {
        let first = bench.chunk(Direction::Outward, &packet);
        let second = bench.chunk(Direction::Outward, &packet);
        bench.connection.feed(Direction::Outward, second, &mut bench.ops);
        bench.connection.feed(Direction::Outward, first, &mut bench.ops);
    }
    let starts: Vec<u64> = bench.ops.iter().skip(1).map(|op| op.place.start).collect();
    let expected: Vec<u64> =
        (0..64).map(|i| u64::from((u32::MAX - 30_000 + 18).wrapping_add(i * 1024))).collect();
    assert_eq!(starts, expected);
    assert_eq!(bench.connection.counts().stream.reordered, 32);
}

#[test]
fn the_role_is_found() {
    let unix = SocketEnd { transport: Transport::Unix, id: 5, peer: 6, ..SocketEnd::unknown() };
    // The bytes tell, also against what was said.
    for told in [None, Some(Role::Client), Some(Role::Server)] {
        let mut bench = Bench::on(unix, told, None, false);
        bench.get(&hex(HELLO)).put(&hex("20 02 00 00"));
        assert_eq!(bench.connection.role(), Some(Role::Server), "{told:?}");
        assert_eq!(bench.ops.len(), 2);
    }
    // The ports tell.
    let mut bench = Bench::new(None, true, false);
    bench.put(&hex("30 06 0001 'a' '111'"));
    assert_eq!(bench.connection.role(), Some(Role::Client));
    // Nothing tells until a subscription comes.
    let mut bench = Bench::on(unix, None, Some(System::Mqtt), false);
    bench.get(&hex("30 06 0001 'a' '111'"));
    assert_eq!((bench.connection.role(), bench.connection.system()), (None, None));
    bench.put(&hex("82 06 0001 0001 'x' 00"));
    check(
        &mut bench,
        expect![[r#"
        client > 5000+8 20..20..21 - subscribe ["x"]
        client < 1000+8 10..10..11 - deliver a b"111" 3/3
    "#]],
    );
}

#[test]
fn what_is_no_mqtt_is_given_up() {
    for (hint, from_start, patience) in
        [(false, true, PATIENCE_FIRST), (false, false, PATIENCE_UNKNOWN), (true, false, PATIENCE_HINTED)]
    {
        let mut bench = Bench::new(Some(Role::Client), hint, from_start);
        for _ in 0..=patience {
            assert_eq!(bench.connection.counts().gave_up, 0);
            bench.put(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n");
        }
        bench.put(&hex(HELLO)).close();
        let counts = bench.connection.counts();
        assert_eq!((bench.ops.len(), counts.gave_up, counts.ignored), (0, 1, 1));
        assert_eq!(counts.stream.chunks, u64::from(patience) + 1);
    }
}

#[test]
fn a_wrong_guess_is_withdrawn() {
    // Two frames by chance, then garbage.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.put(&hex("30 06 0001 'a' '111'"));
    for _ in 0..2 * PATIENCE_ESTABLISHED {
        bench.put(b"\xff\xff\xff garbage");
    }
    assert_eq!((bench.connection.system(), bench.connection.counts().gave_up), (None, 1));
}

#[test]
fn the_end_of_a_connection() {
    // Nothing was ever connected.
    let mut bench = Bench::client();
    bench.close();
    assert!(bench.ops.is_empty());
    // A good-bye alone is believed when nothing more comes.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.put(&hex("e0 00"));
    assert!(bench.ops.is_empty());
    bench.close();
    check(
        &mut bench,
        expect![[r#"
        client > 5000+2 10..10..11 - disconnect clean=true
    "#]],
    );
    // What waits for a lost chunk is not forgotten.
    let mut bench = Bench::client();
    bench.put(&hex(HELLO));
    let _lost = bench.chunk(Direction::Outward, &hex("c0 00"));
    bench.put(&hex("30 06 0001 'a' '111'")).close();
    check(
        &mut bench,
        expect![[r#"
        client > 5000+18 10..10..11 dev1 connect
        client > 5020+8 30..30..31 dev1 publish a b"111" 3/3
        client > 5028+0 40..40..40 dev1 disconnect clean=false
    "#]],
    );
}

/// One packet of a session and the way it goes.
#[derive(Clone, Debug)]
struct Packet {
    to_server: bool,
    bytes: Vec<u8>,
}

fn packet(first: u8, content: &[u8], to_server: bool) -> Packet {
    let mut bytes = vec![first];
    let mut left = content.len();
    loop {
        let more = left > 0x7f;
        bytes.push((left & 0x7f) as u8 | if more { 0x80 } else { 0 });
        left >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend_from_slice(content);
    Packet { to_server, bytes }
}

fn publish(topic: &str, qos: u8, id: u16, body: &[u8], to_server: bool) -> Packet {
    let mut content = (topic.len() as u16).to_be_bytes().to_vec();
    content.extend_from_slice(topic.as_bytes());
    if qos > 0 {
        content.extend(id.to_be_bytes());
    }
    content.extend_from_slice(body);
    packet(0x30 | qos << 1, &content, to_server)
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let body = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..60),
        2 => "[ -~]{0,80}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 100..600),
    ];
    prop_oneof![
        6 => ("[a-z]{1,8}(/[a-z0-9]{1,5}){0,3}", 0u8..3, 1u16.., body, any::<bool>())
            .prop_map(|(topic, qos, id, body, to)| publish(&topic, qos, id, &body, to)),
        3 => (prop::sample::select(&[0x40u8, 0x50, 0x62, 0x70][..]), 1u16.., any::<bool>())
            .prop_map(|(kind, id, to)| packet(kind, &id.to_be_bytes(), to)),
        1 => (1u16.., "[a-z/]{1,9}").prop_map(|(id, topic)| {
            let mut content = id.to_be_bytes().to_vec();
            content.extend([0, topic.len() as u8]);
            content.extend_from_slice(topic.as_bytes());
            content.push(1);
            packet(0x82, &content, true)
        }),
        1 => (1u16..).prop_map(|id| packet(0x90, &[(id >> 8) as u8, id as u8, 1], false)),
        1 => Just(packet(0xc0, &[], true)),
        1 => Just(packet(0xd0, &[], false)),
    ]
}

fn session() -> impl Strategy<Value = Vec<Packet>> {
    prop::collection::vec(any_packet(), 0..25).prop_map(|packets| {
        let mut all = vec![
            Packet { to_server: true, bytes: hex(HELLO) },
            Packet { to_server: false, bytes: hex("20 02 00 00") },
        ];
        all.extend(packets);
        all
    })
}

/// How a program cuts its stream into calls.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A call for each packet.
    Packets,
    /// As libmosquitto reads: type, length byte by byte, rest.
    Bytewise,
    /// Anyhow.
    Random,
}

fn cut() -> impl Strategy<Value = Cut> {
    prop::sample::select(&[Cut::Packets, Cut::Bytewise, Cut::Random][..])
}

/// The calls of a session, as a client makes them: directions in turn, as far as the cut allows.
fn calls(session: &[Packet], cut: Cut, cuts: &[Index]) -> Vec<(Direction, Vec<u8>)> {
    let mut calls = Vec::new();
    let way = |packet: &Packet| if packet.to_server { Direction::Outward } else { Direction::Inward };
    match cut {
        Cut::Packets => calls.extend(session.iter().map(|packet| (way(packet), packet.bytes.clone()))),
        Cut::Bytewise => {
            for packet in session {
                let length = packet.bytes[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
                let (head, rest) = packet.bytes.split_at(1 + length);
                calls.extend(head.iter().map(|byte| (way(packet), vec![*byte])));
                if !rest.is_empty() {
                    calls.push((way(packet), rest.to_vec()));
                }
            }
        }
        Cut::Random => {
            for direction in [Direction::Outward, Direction::Inward] {
                let bytes: Vec<u8> = session
                    .iter()
                    .filter(|packet| way(packet) == direction)
                    .flat_map(|packet| packet.bytes.clone())
                    .collect();
                let mut points: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                points.extend([0, bytes.len()]);
                points.sort_unstable();
                points.dedup();
                calls.extend(points.windows(2).map(|pair| (direction, bytes[pair[0]..pair[1]].to_vec())));
            }
        }
    }
    calls
}

/// What is the same however the stream is split: by direction, where and what.
fn essence(ops: &[Op]) -> Vec<(bool, u64, u64, String)> {
    let mut essence: Vec<_> = ops
        .iter()
        .map(|op| (op.place.to_server, op.place.start, op.place.length, meaning(&op.kind)))
        .collect();
    essence.sort_by_key(|(to_server, start, ..)| (*to_server, *start));
    essence
}

fn message(op: &Op) -> Option<&Message> {
    match &op.kind {
        OpKind::Publish(message) | OpKind::Deliver(message) => Some(message),
        _ => None,
    }
}

/// Whether `op` is the true op `truth`, perhaps with less of its body.
fn is_part_of(op: &Op, truth: &Op) -> bool {
    if op.place != truth.place {
        return false;
    }
    match (message(op), message(truth)) {
        (Some(part), Some(whole)) => {
            let captured = &part.body.captured;
            let body = whole.body.captured.get(..captured.len());
            Message { body: Payload::default(), ..part.clone() }
                == Message { body: Payload::default(), ..whole.clone() }
                && part.body.size == whole.body.size
                && body == Some(&captured[..])
        }
        (None, None) => op.kind == truth.kind,
        _ => false,
    }
}

fn run(session: &[Packet], cut: Cut, cuts: &[Index]) -> Bench {
    let mut bench = Bench::client();
    bench.capture = usize::MAX;
    for (direction, bytes) in calls(session, cut, cuts) {
        bench.call(direction, &bytes);
    }
    bench.wait();
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn splits_do_not_matter(session in session(), cuts in prop::collection::vec(any::<Index>(), 0..40)) {
        let truth = run(&session, Cut::Packets, &[]);
        prop_assert_eq!(truth.connection.counts().frames, session.len() as u64);
        for cut in [Cut::Bytewise, Cut::Random] {
            let other = run(&session, cut, &cuts);
            prop_assert_eq!(essence(&other.ops), essence(&truth.ops));
            let counts = other.connection.counts();
            prop_assert_eq!((counts.invalid, counts.skipped_bytes, counts.resyncs), (0, 0, 0));
        }
    }

    #[test]
    fn order_of_arrival_does_not_matter(
        session in session(),
        swaps in prop::collection::vec(any::<Index>(), 1..5),
        cut in cut(),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let truth = run(&session, Cut::Packets, &[]);
        let mut bench = Bench::client();
        bench.capture = usize::MAX;
        let mut chunks: Vec<(Direction, Chunk)> = calls(&session, cut, &cuts)
            .into_iter()
            .map(|(direction, bytes)| (direction, bench.chunk(direction, &bytes)))
            .collect();
        for swap in swaps {
            let at = swap.index(chunks.len());
            // Not the first two of each direction: before them nothing is known.
            let fixed = |d| chunks.iter().take(at).filter(|(direction, _)| *direction == d).count() == 0;
            if at + 1 < chunks.len() && !fixed(chunks[at].0) && !fixed(chunks[at + 1].0) {
                chunks.swap(at, at + 1);
            }
        }
        for (_, chunk) in &mut chunks {
            // All at one time: nobody waits too long.
            chunk.at = Interval { start: Timestamp(1), end: Timestamp(2) };
        }
        for (direction, chunk) in chunks {
            bench.connection.feed(direction, chunk, &mut bench.ops);
        }
        bench.wait();
        prop_assert_eq!(essence(&bench.ops), essence(&truth.ops));
    }

    #[test]
    fn losses_make_no_wrong_op_and_end(
        mut session in session(),
        cut in cut(),
        cuts in prop::collection::vec(any::<Index>(), 0..40),
        losses in prop::collection::vec(any::<Index>(), 1..6),
        attached in any::<bool>(),
        capture in prop::sample::select(&[24usize, 100, 4096][..]),
    ) {
        let tail: Vec<Packet> = (0..4).map(|n| publish("tail", 1, n + 1, b"the tail", true)).collect();
        let head = session.len();
        session.extend(tail.iter().cloned());
        let truth = run(&session, Cut::Packets, &[]);

        let mut bench = if attached { Bench::new(Some(Role::Client), true, false) } else { Bench::client() };
        bench.capture = capture;
        let before = calls(&session[..head], cut, &cuts);
        let lost: Vec<usize> = losses.iter().map(|loss| loss.index(before.len())).collect();
        for (index, (direction, bytes)) in before.iter().enumerate() {
            let chunk = bench.chunk(*direction, bytes);
            if !lost.contains(&index) && !(attached && index < lost[0]) {
                bench.connection.feed(*direction, chunk, &mut bench.ops);
            }
        }
        for packet in &tail {
            bench.put(&packet.bytes);
        }
        bench.wait();
        for op in &bench.ops {
            prop_assert!(truth.ops.iter().any(|truth| is_part_of(op, truth)), "wrong: {:?}", op);
        }
        let last = |ops: &[Op]| essence(ops).iter().filter(|op| op.3.contains("tail")).count();
        prop_assert_eq!((last(&truth.ops), last(&bench.ops)), (4, 4));
    }

    #[test]
    fn any_bytes_are_survived_within_bounds(
        chunks in prop::collection::vec(
            (any::<bool>(), any::<u32>(), 0u8..8, prop::collection::vec(any::<u8>(), 0..200), 0u64..5000),
            0..300,
        ),
        role in prop::sample::select(&[None, Some(Role::Client), Some(Role::Server)][..]),
        hint in any::<bool>(),
        hello in any::<bool>(),
    ) {
        let mut bench = Bench::new(role, hint, hello);
        if hello {
            bench.put(&hex(HELLO));
        }
        for (inward, number, kind, bytes, extra) in chunks {
            let direction = if inward { Direction::Inward } else { Direction::Outward };
            let mut chunk = bench.chunk(direction, &bytes);
            match kind {
                0 => chunk.position = Position::Sequence(number),
                1 => chunk.position = Position::Contested(number),
                2 => chunk.position = Position::Unknown,
                3 => chunk.payload.size += extra,
                4 => chunk.payload = Payload { captured: Bytes::from(bytes.repeat(500)), size: bytes.len() as u64 * 500 },
                5 => bench.connection.gap(direction, &mut bench.ops),
                _ => {}
            }
            bench.connection.feed(direction, chunk, &mut bench.ops);
        }
        let held = format!("{:?}", bench.connection).len();
        prop_assert!(held < 8 * 2 * (HELD_BYTES + REORDER_BYTES + 256 * 1024), "{} bytes of text", held);
        bench.close();
        for op in &bench.ops {
            prop_assert!(op.at.start <= op.at.end);
        }
        prop_assert_eq!(bench.connection.counts().ops, bench.ops.len() as u64);
    }
}
