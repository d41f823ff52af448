//! MQTT in the frames of a WebSocket, whichever they are.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::model::op::OpKind;
use crate::proto::testing::{meaning, recording};
use crate::track::stream::HELD_SEGMENTS;

pub(super) const ASKS: &[u8] =
    b"GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
pub(super) const AGREES: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: BBBB\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// A frame.
pub(super) fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => bytes.push(mask | short as u8),
        middle @ 126..0x1_0000 => {
            bytes.push(mask | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(mask | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    if masked {
        let key = [0x37, 0xfa, 0x21, payload.len() as u8];
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Packets in a frame each.
fn framed(packet: &str, masked: bool) -> Vec<u8> {
    frame(0x82, masked, &hex(packet))
}

pub(super) fn upgraded(mut bench: Bench) -> Bench {
    let client = bench.connection.role() == Some(Role::Client);
    if client {
        bench.put(ASKS).get(AGREES);
    } else {
        bench.get(ASKS).put(AGREES);
    }
    bench
}

#[test]
fn a_conversation_in_frames() {
    let mut bench = upgraded(Bench::client());
    bench.put(&framed(HELLO, true)).get(&framed("20 02 00 00", false));
    // A ping in between, a packet over two frames, two packets in one, an empty frame.
    bench.put(&frame(0x89, true, b"are you there"));
    bench.get(&frame(0x8a, false, b"are you there"));
    bench.put(&frame(0x02, true, &hex("30 06 0001")));
    bench.put(&frame(0x89, true, b"")).put(&frame(0x80, true, &hex("'a' '111'")));
    bench.put(&framed("30 06 0001 'b' '222' 30 06 0001 'c' '333'", true)).put(&frame(0x82, true, b""));
    bench.get(&framed("30 06 0001 'd' '444'", false));
    // Good-bye, and nothing more is MQTT.
    bench.put(&framed("e0 00", true)).put(&frame(0x88, true, b"\x03\xe8")).put(&hex(HELLO)).close();
    check(
        &mut bench,
        expect![[r#"
        client > 5165+18 30..30..31 dev1 connect
        client < 1137+4 40..40..41 dev1 connected
        client > 5208+20 70..90..91 dev1 publish a b"111" 3/3
        client > 5234+8 100..100..101 dev1 publish b b"222" 3/3
        client > 5242+8 100..100..101 dev1 publish c b"333" 3/3
        client < 1158+8 120..120..121 dev1 deliver d b"444" 3/3
        client > 5262+2 130..130..131 dev1 disconnect clean=true
    "#]],
    );
    let counts = bench.connection.counts();
    assert_eq!((counts.invalid, counts.skipped_bytes, counts.resyncs), (0, 0, 0));
}

#[test]
fn the_middle_of_a_websocket_is_enough() {
    for role in [Some(Role::Client), None] {
        for hint in [true, false] {
            let mut bench = Bench::new(role, hint, false);
            // The end of a frame, and a ping.
            bench.get(b"half a frame").put(&frame(0x89, true, b""));
            for body in ["1", "2", "3"] {
                bench.put(&framed(&format!("32 06 0001 'a' 0001 '{body}'"), true));
                bench.get(&framed("40 02 0001", false));
            }
            let meant: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
            let seen = meant.iter().filter(|op| op.starts_with("publish a id=1 settle b\"")).count();
            assert!(seen >= 2, "{role:?} {hint}: {meant:?}");
            assert!(meant.iter().any(|op| op == "settled 1"), "{role:?} {hint}: {meant:?}");
            assert!(bench.ops.iter().all(|op| op.viewpoint == Role::Client));
        }
    }
}

#[test]
fn a_reader_that_takes_heads_byte_by_byte_and_attached_late() {
    let mut bench = Bench::new(Some(Role::Client), true, false);
    for body in ["1", "2", "3", "4"] {
        let bytes = framed(&format!("30 06 0001 'a' '00{body}'"), false);
        bench.get(&bytes[..1]).get(&bytes[1..2]).get(&bytes[2..]);
    }
    let meant: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
    assert!(meant.len() >= 3, "{meant:?}");
    let counts = bench.connection.counts();
    assert_eq!(counts.invalid, 0, "the heads are not taken for packets");
}

#[test]
fn a_reader_in_the_middle_of_a_frame_is_not_back() {
    let mut bench = upgraded(Bench::client());
    bench.put(&framed(HELLO, true)).get(&framed("20 02 00 00", false));
    let bytes = framed("30 06 0001 'a' '111'", false);
    for byte in 0..bytes.len() {
        assert_eq!(bench.connection.is_half(Direction::Inward), byte > 0, "{byte}");
        bench.get(&bytes[byte..=byte]);
    }
    assert!(!bench.connection.is_half(Direction::Inward));
}

#[test]
fn mqtt_itself_is_not_taken_for_a_websocket() {
    // SUBSCRIBE begins like a frame: with any length, whole and cut.
    for length in 1..200 {
        let topic = "t".repeat(length);
        let mut packet = hex(&format!("1234 {length:04x} '{topic}' 01"));
        let mut bytes = vec![0x82];
        if packet.len() > 127 {
            bytes.push(packet.len() as u8 | 0x80);
            bytes.push((packet.len() >> 7) as u8);
        } else {
            bytes.push(packet.len() as u8);
        }
        bytes.append(&mut packet);
        // A search holds only so many calls.
        for cut in [bytes.len(), 1, 2, 5].into_iter().filter(|cut| bytes.len() / cut < HELD_SEGMENTS) {
            let mut bench = Bench::new(None, true, false);
            for piece in bytes.chunks(cut) {
                bench.put(piece);
            }
            bench.put(&hex("30 06 0001 'a' '111'")).put(&hex("30 06 0001 'a' '222'")).wait();
            let publishes = bench.ops.iter().filter(|op| matches!(op.kind, OpKind::Publish(_))).count();
            assert_eq!(publishes, 2, "{length} {cut}: {}", bench.text());
        }
    }
}

#[test]
fn a_lost_frame_costs_what_it_carried() {
    let mut bench = upgraded(Bench::client());
    bench.put(&framed(HELLO, true)).get(&framed("20 02 00 00", false));
    let lost = framed("30 06 0001 'a' '111'", true);
    let _ = bench.chunk(Direction::Outward, &lost);
    bench.put(&framed("30 06 0001 'b' '222'", true)).wait();
    // Of unknown length, and in the middle of a frame.
    bench.connection.gap(Direction::Outward, &mut Vec::new());
    bench.put(&framed("30 06 0001 'c' '333'", true));
    let half = framed("30 0b 0001 'd' '12345678'", true);
    bench.put(&half[..12]);
    let _ = bench.chunk(Direction::Outward, &half[12..]);
    bench.put(&framed("30 06 0001 'e' '555'", true)).wait();
    let meant: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
    assert_eq!(
        meant,
        [
            "connect",
            "connected",
            "publish b b\"222\" 3/3",
            "publish c b\"333\" 3/3",
            "publish d b\"1\" 1/8",
            "publish e b\"555\" 3/3"
        ]
    );
}

#[test]
fn bodies_over_the_capture_limit_in_frames() {
    let mut body = hex("30 8a 80 40 0005 'large'");
    body.resize(6 + 5 + 1024 * 1024 + 3, b'x');
    let mut bench = upgraded(Bench::client());
    bench.put(&framed(HELLO, true)).get(&framed("20 02 00 00", false));
    bench.put(&frame(0x82, true, &body)).put(&framed("30 06 0001 'a' '111'", true));
    // In many frames.
    let mut bytes = Vec::new();
    for (index, part) in body.chunks(1000).enumerate() {
        bytes.extend(frame(if index == 0 { 2 } else { 0 }, true, part));
    }
    for part in bytes.chunks(100_000) {
        bench.put(part);
    }
    // The frames' heads were not captured: the next call begins with one.
    bench.put(&framed("30 06 0001 'b' '222'", true)).put(&framed("30 06 0001 'c' '333'", true)).wait();
    let meant: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
    assert_eq!(meant[2], "publish large b\"xxxxxxxxxxxxxxxx\" 4071/1048579");
    assert_eq!(meant[3], "publish a b\"111\" 3/3");
    assert_eq!(meant.last().map(String::as_str), Some("publish c b\"333\" 3/3"));
    assert_eq!(bench.ops[2].place.length, 1_048_590);
}

/// The payloads of a recorded conversation, each way.
pub(super) fn payloads() -> Vec<(bool, Vec<u8>)> {
    recording(include_str!("../../mqtt/recordings/paho_v5.txt"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same packets mean the same, in whatever frames they come and however the calls are cut, at both ends at the same
    /// places.
    #[test]
    fn frames_and_calls_do_not_matter(
        cuts in prop::collection::vec((any::<Index>(), any::<bool>()), 1..40),
        calls in prop::collection::vec(1usize..2000, 1..30),
        byte_by_byte in any::<bool>(),
    ) {
        let mut expected = Bench::client();
        for (to_server, bytes) in payloads() {
            expected.call(if to_server { Direction::Outward } else { Direction::Inward }, &bytes);
        }
        let expected: Vec<_> = expected.ops.iter().map(|op| meaning(&op.kind)).collect();

        let mut cuts = cuts.into_iter().cycle();
        let mut turns = vec![(true, ASKS.to_vec()), (false, AGREES.to_vec())];
        for (to_server, mut bytes) in payloads() {
            let mut first = 2;
            let mut turn = Vec::new();
            while !bytes.is_empty() {
                let (cut, ping) = cuts.next().expect("endless");
                let rest = bytes.split_off(cut.index(bytes.len()) + 1);
                let fin = if rest.is_empty() { 0x80 } else { 0 };
                turn.extend(frame(first | fin, to_server, &bytes));
                if ping {
                    turn.extend(frame(0x89, to_server, b"hello"));
                }
                bytes = rest;
                first = 0;
            }
            turns.push((to_server, turn));
        }
        let mut ends = Vec::new();
        for mut bench in [Bench::client(), Bench::broker()] {
            let client = bench.connection.role() == Some(Role::Client);
            let mut sizes = calls.iter().copied().cycle();
            for (to_server, turn) in &turns {
                let mut rest = turn.as_slice();
                while !rest.is_empty() {
                    let size = if byte_by_byte { 1 } else { sizes.next().expect("endless") };
                    let (call, left) = rest.split_at(size.min(rest.len()));
                    let out = *to_server == client;
                    bench.call(if out { Direction::Outward } else { Direction::Inward }, call);
                    rest = left;
                }
            }
            let counts = bench.connection.counts();
            prop_assert_eq!((counts.invalid, counts.skipped_bytes, counts.gave_up), (0, 0, 0));
            let meant: Vec<_> = bench.ops.iter().map(|op| meaning(&op.kind)).collect();
            prop_assert_eq!(&meant, &expected);
            let base = |to_server: bool| if to_server == client { 5000 } else { 1000 };
            let places = bench.ops.iter().map(|op| (op.place.to_server, op.place.start - base(op.place.to_server), op.place.length));
            ends.push(places.collect::<Vec<_>>());
            prop_assert!(bench.ops.iter().all(|op| op.place.exact));
        }
        prop_assert_eq!(&ends[0], &ends[1]);
        // The bytes at a place are the packet's.
        for (to_server, start, length) in &ends[0] {
            let all: Vec<u8> = turns.iter().filter(|turn| turn.0 == *to_server).flat_map(|turn| turn.1.clone()).collect();
            prop_assert!(*start as usize + *length as usize <= all.len());
        }
    }

    /// Whatever bytes come behind the exchange of HTTP, nothing panics or grows.
    #[test]
    fn any_frames_are_survived(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..300)), 1..60),
        framed in any::<bool>(),
        lost in any::<Index>(),
    ) {
        let mut bench = upgraded(Bench::client());
        let lost = lost.index(pieces.len());
        for (index, (out, bytes)) in pieces.iter().enumerate() {
            let bytes = if framed { frame(0x82, *out, bytes) } else { bytes.clone() };
            let direction = if *out { Direction::Outward } else { Direction::Inward };
            if index == lost {
                drop(bench.chunk(direction, &bytes));
            } else {
                bench.call(direction, &bytes);
            }
        }
        bench.wait().close();
        let counts = bench.connection.counts();
        prop_assert!(counts.stream.chunks <= pieces.len() as u64 + 2);
    }
}
