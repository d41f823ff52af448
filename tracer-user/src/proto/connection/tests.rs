//! The shared loop, tried with MQTT.

use expect_test::{Expect, expect};

use super::*;
use crate::proto::testing::{Bench, hex};

mod compressed;
mod properties;
mod websocket;

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
    check(
        &mut bench,
        expect![[r#"
        client < 1001+4 10..10..11 - settled 1
        client < 1005+4 20..20..21 - settled 2
    "#]],
    );
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
fn what_is_malformed_does_not_depend_on_the_split() {
    let bytes = hex("30 06 0009 'abcd' 30 06 0001 'a' '111' 30 06 0001 'b' '222'");
    let mut seen = Vec::new();
    for size in 1..=bytes.len() {
        let mut bench = Bench::client();
        bench.put(&hex(HELLO));
        for part in bytes.chunks(size) {
            bench.put(part);
        }
        let counts = bench.connection.counts();
        seen.push((bench.ops.len(), counts.invalid, counts.resyncs, counts.skipped_bytes));
    }
    assert_eq!(seen, vec![(3, 1, 1, 8); bytes.len()]);
}

#[test]
fn no_frame_reaches_across_an_unknown_loss() {
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.exact = false;
    bench.put(&hex("30 0e 0001 'a' '111'"));
    bench.connection.gap(Direction::Outward, &mut bench.ops);
    // Counted on, the frame would end where this call ends.
    bench.put(b"4567890").put(&hex("30 06 0001 'b' '222'"));
    check(
        &mut bench,
        expect![[r#"
        client > 16+8? 30..30..31 - publish b b"222" 3/3
    "#]],
    );
}

#[test]
fn unseen_bytes_are_part_of_the_frame() {
    let mut bench = Bench::client();
    bench.put(&hex(HELLO)).put(&hex("30 80 01 0003 'a/b'"));
    let chunk = bench.chunk(Direction::Outward, &[0; 123]);
    assert!(bench.connection.is_half(Direction::Outward));
    bench.connection.unseen(Direction::Outward, chunk.position, chunk.at, 9, 123, false, &mut bench.ops);
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
    // But only a signature tells against what was said.
    let mut bench = Bench::on(unix, Some(Role::Client), Some(System::Mqtt), false);
    bench.put(&hex("20 02 00 00"));
    assert_eq!((bench.connection.role(), bench.connection.system()), (Some(Role::Client), None));
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
fn what_is_no_brokers_is_given_up() {
    // When the hinted protocol is given up, the others get their chance.
    let then_others = PATIENCE_HINTED + 1 + PATIENCE_UNKNOWN;
    for (hint, from_start, patience) in
        [(false, true, PATIENCE_FIRST), (false, false, PATIENCE_UNKNOWN), (true, false, then_others)]
    {
        let mut bench = Bench::new(Some(Role::Client), hint, from_start);
        let mut calls = 0;
        while bench.connection.counts().gave_up == 0 {
            calls += 1;
            assert!(calls <= patience + 1, "hint {hint}, from its start {from_start}");
            bench.put(b"\xffno broker's\xff\xff\xff");
        }
        assert!(!hint || calls > PATIENCE_HINTED, "{calls} calls on a port that speaks for the protocol");
        bench.put(&hex(HELLO)).close();
        let counts = bench.connection.counts();
        assert_eq!((bench.ops.len(), counts.gave_up, counts.ignored), (0, 1, 1));
        assert_eq!(counts.stream.chunks, u64::from(calls));
    }
}

#[test]
fn what_was_given_up_is_looked_for_again() {
    let mut bench = Bench::client();
    bench.put(&hex(HELLO));
    assert_eq!(bench.connection.system(), Some(System::Mqtt));
    // A stretch that shows no frame, longer than all patience: of great messages only the middles were captured, say.
    for round in 1..=3 {
        while bench.connection.counts().gave_up < round {
            bench.put(b"\xff\xff\xff in the middle");
        }
        bench.ops.clear();
        let mut calls = 0;
        while bench.ops.is_empty() {
            calls += 1;
            assert!(calls <= (REST << round) + 2, "{calls} calls after giving up for the {round}. time");
            bench.put(&hex("30 06 0001 'a' '111'"));
        }
        assert!(calls > REST << (round - 1), "{calls} calls: it did not rest");
        assert_eq!(bench.connection.system(), Some(System::Mqtt));
    }
    // The rest has an end however often that was.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    while bench.connection.counts().gave_up < 12 {
        bench.put(b"\xffno broker's\xff\xff\xff");
    }
    (0..=REST << REST_DOUBLED).for_each(|_| _ = bench.put(&hex("30 06 0001 'a' '111'")));
    assert_eq!(bench.ops.len(), 1);
}

#[test]
fn a_wrong_guess_is_withdrawn() {
    // Two frames by chance, then garbage.
    let mut bench = Bench::new(Some(Role::Client), true, false);
    bench.put(&hex("30 06 0001 'a' '111'"));
    for _ in 0..PATIENCE_ESTABLISHED + PATIENCE_UNKNOWN + 2 {
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
