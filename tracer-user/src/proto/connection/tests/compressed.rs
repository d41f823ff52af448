//! MQTT in the compressed messages of a WebSocket (RFC 7692).

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use proptest::sample::Index;

use super::websocket::{AGREES, ASKS, frame, payloads, upgraded};
use super::*;
use crate::proto::testing::meaning;

/// One end's compressor.
struct Packer {
    state: Compress,
    /// Whether messages refer to those before them.
    takeover: bool,
}

impl Packer {
    fn new(takeover: bool) -> Self {
        Self { state: Compress::new(Compression::best(), false), takeover }
    }

    /// The payload of a message.
    fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.state.reset();
        }
        let mut packed = Vec::with_capacity(bytes.len() + 1000);
        self.state.compress_vec(bytes, &mut packed, FlushCompress::Sync).expect("it compresses");
        assert!(packed.ends_with(&[0, 0, 0xff, 0xff]), "a whole message");
        packed.truncate(packed.len() - 4);
        packed
    }

    /// A message in one frame.
    fn framed(&mut self, packet: &str, masked: bool) -> Vec<u8> {
        frame(0xc2, masked, &self.pack(&hex(packet)))
    }
}

fn meant(bench: &Bench) -> Vec<String> {
    bench.ops.iter().map(|op| meaning(&op.kind)).collect()
}

/// A client that is connected, and the compressors of both ends.
fn connected(takeover: bool) -> (Bench, Packer, Packer) {
    let (mut up, mut down) = (Packer::new(takeover), Packer::new(takeover));
    let mut bench = upgraded(Bench::client());
    bench.put(&up.framed(HELLO, true)).get(&down.framed("20 02 00 00", false));
    (bench, up, down)
}

#[test]
fn a_compressed_conversation() {
    let (mut bench, mut up, mut down) = connected(true);
    // Fragments with a ping and a pong in between; only the first says that it is compressed.
    let packed = up.pack(&hex("30 06 0001 'a' '111'"));
    let (head, tail) = packed.split_at(3);
    bench.put(&frame(0x42, true, head)).put(&frame(0x89, true, b"there?")).put(&frame(0x00, true, b""));
    bench.get(&frame(0x8a, false, b"there?")).put(&frame(0x80, true, tail));
    // Two packets in one message, a packet over two, one that is not worth compressing, an empty one.
    bench.put(&up.framed("30 06 0001 'b' '222' 30 06 0001 'c' '333'", true));
    bench.put(&up.framed("30 06 0001", true)).put(&up.framed("'d' '444'", true));
    bench.put(&frame(0x82, true, &hex("30 06 0001 'e' '555'"))).put(&frame(0xc2, true, &[0]));
    bench.put(&up.framed("30 06 0001 'f' '555'", true)).get(&down.framed("30 06 0001 'g' '666'", false));
    bench.put(&frame(0x88, true, b"\x03\xe8")).close();
    check(
        &mut bench,
        expect![[r#"
            client > 5165+20 30..30..31 dev1 connect
            client < 1137+6 40..40..41 dev1 connected
            client > 5191+34 50..90..91 dev1 publish a b"111" 3/3
            client > 5231+13 100..100..101 dev1 publish b b"222" 3/3
            client > 5231+13 100..100..101 dev1 publish c b"333" 3/3
            client > 5250+16 110..120..121 dev1 publish d b"444" 3/3
            client > 5272+8 130..130..131 dev1 publish e b"555" 3/3
            client > 5293+8 150..150..151 dev1 publish f b"555" 3/3
            client < 1153+10 160..160..161 dev1 deliver g b"666" 3/3
            client > 5309+0 180..180..180 dev1 disconnect clean=false
        "#]],
    );
    let counts = bench.connection.counts();
    assert_eq!((counts.invalid, counts.skipped_bytes, counts.compressed_bytes), (0, 0, 0));
}

#[test]
fn several_packets_of_one_message_have_places_of_their_own() {
    let (mut bench, mut up, _) = connected(true);
    let packets = "30 06 0001 'b' '222' 30 06 0001 'c' '333' 30 06 0001 'b' '222'";
    bench.put(&up.framed(packets, true));
    let places: Vec<_> = bench.ops[2..].iter().map(|op| (op.place.start, op.place.part)).collect();
    assert_eq!(places.iter().map(|place| place.1).collect::<Vec<_>>(), [0, 8, 16]);
    assert!(places.iter().all(|place| place.0 == places[0].0));
    // The client's refusals by the broker too.
    let mut down = Packer::new(true);
    bench.get(&down.framed("20 02 00 00", false));
    let before = bench.ops.len();
    bench.get(&down.framed("90 04 0001 8080 30 06 0001 'c' '333'", false));
    let mut parts: Vec<_> = bench.ops[before..].iter().map(|op| op.place.part).collect();
    parts.dedup();
    assert_eq!(parts.len(), bench.ops.len() - before, "{parts:?}");
}

#[test]
fn what_refers_to_what_was_lost_is_counted_and_nothing_is_made_up() {
    for takeover in [true, false] {
        let (mut bench, mut up, _) = connected(takeover);
        let packet = |body: &str| format!("30 15 0005 'topic' '{body}'");
        bench.put(&up.framed(&packet("alpha-1 aaaaaa"), true));
        let lost = up.framed(&packet("beta-22 bbbbbb"), true);
        let _ = bench.chunk(Direction::Outward, &lost);
        let third = up.framed(&packet("alpha-1 aaaaaa"), true);
        bench.put(&third).wait();
        let fourth = up.framed(&packet("alpha-1 cccccc"), true);
        bench.put(&fourth);
        // The compressor begins anew: all can be read again.
        up.state.reset();
        bench.put(&up.framed(&packet("gamma-3 dddddd"), true));
        bench.put(&up.framed(&packet("gamma-3 eeeeee"), true)).wait();
        let bodies: Vec<_> = meant(&bench).into_iter().filter(|op| op.starts_with("publish")).collect();
        let one = "publish topic b\"alpha-1 aaaaaa\" 14/14";
        let rest = ["publish topic b\"gamma-3 dddddd\" 14/14", "publish topic b\"gamma-3 eeeeee\" 14/14"];
        let counts = bench.connection.counts();
        if takeover {
            assert_eq!(bodies, [&[one], rest.as_slice()].concat());
            let unread = third.len() + fourth.len() - 12;
            assert_eq!(counts.compressed_bytes, unread as u64);
        } else {
            let all = [one, one, "publish topic b\"alpha-1 cccccc\" 14/14", rest[0], rest[1]];
            assert_eq!(bodies, all);
            assert_eq!(counts.compressed_bytes, 0);
        }
    }
}

#[test]
fn a_message_over_the_capture_limit_costs_its_end() {
    for (takeover, more) in [(false, true), (true, false)] {
        let (mut bench, mut up, _) = connected(takeover);
        // What does not compress, of more than is captured of a call.
        let mut noise = 7_u32;
        let body: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .take(20_000)
        .collect();
        let mut packet = hex("30 a7 9c 01 0005 'large'");
        packet.extend(&body);
        bench.put(&frame(0xc2, true, &up.pack(&packet)));
        // One that is the same to its end.
        let mut again = hex("30 17 0001 'a'");
        again.extend(&body[19_980..]);
        bench.put(&frame(0xc2, true, &up.pack(&again))).wait();
        // One that is not compressed.
        bench.put(&frame(0x82, true, &hex("30 06 0001 'b' '222'"))).wait();
        let meant = meant(&bench);
        assert!(meant[2].starts_with("publish large ") && meant[2].ends_with("/20000"), "{meant:?}");
        let known = &bench.ops[2].kind;
        let crate::model::op::OpKind::Publish(message) = known else { panic!("{known:?}") };
        assert!(message.body.captured.len() > 3000);
        assert_eq!(message.body.captured, body[..message.body.captured.len()]);
        assert_eq!(meant.len(), if more { 5 } else { 4 }, "{meant:?}");
        assert!(!more || meant[3].starts_with("publish a ") && meant[3].ends_with(" 20/20"), "{meant:?}");
        assert_eq!(meant[meant.len() - 1], "publish b b\"222\" 3/3");
        assert!(bench.connection.counts().compressed_bytes >= 20_000);
    }
}

#[test]
fn a_bomb_is_cut() {
    let (mut bench, mut up, _) = connected(true);
    // 8 MiB of nothing in 8 KiB, and what may be made of it is more than is kept.
    let mut packet = hex("30 87 80 80 04 0005 'large'");
    packet.resize(5 + 7 + 8 * 1024 * 1024, 0);
    bench.capture = usize::MAX;
    let bomb = frame(0xc2, true, &up.pack(&packet));
    assert!(bomb.len() < 10_000);
    bench.put(&bomb).put(&up.framed("30 06 0001 'a' '111'", true));
    // And one of which not even the length is worth finding out.
    packet.resize(64 * 1024 * 1024, 0);
    let bomb = frame(0xc2, true, &up.pack(&packet));
    bench.put(&bomb);
    bench.put(&frame(0x82, true, &hex("30 06 0001 'b' '222'"))).wait();
    let meant = meant(&bench);
    assert!(meant[2].ends_with("/8388608"), "{meant:?}");
    assert_eq!(meant[3], "publish a b\"111\" 3/3");
    assert_eq!(meant.last().map(String::as_str), Some("publish b b\"222\" 3/3"));
    let counts = bench.connection.counts();
    assert!(counts.stream.cut_bytes >= 7 * 1024 * 1024);
    assert!(counts.compressed_bytes > 60_000, "{counts:?}");
    for op in &bench.ops {
        if let crate::model::op::OpKind::Publish(message) = &op.kind {
            assert!(message.body.captured.len() <= crate::track::stream::KEEP_BYTES);
        }
    }
}

#[test]
fn attached_in_the_middle() {
    for role in [Some(Role::Client), None] {
        let mut up = Packer::new(false);
        let mut bench = Bench::new(role, true, false);
        for body in ["1", "2", "3"] {
            bench.put(&up.framed(&format!("32 06 0001 'a' 0001 '{body}'"), true));
        }
        bench.wait();
        assert_eq!(meant(&bench).len(), 3, "{role:?}: {:?}", meant(&bench));
        // In two frames, as some libraries write them, in a call each.
        for calls in [1, 2] {
            let mut bench = Bench::new(role, true, false);
            for body in ["1", "2", "3"] {
                let packed = up.pack(&hex(&format!("32 06 0001 'a' 0001 '{body}'")));
                let (head, tail) = packed.split_at(packed.len() - 1);
                let (head, tail) = (frame(0x42, true, head), frame(0x80, true, tail));
                if calls == 1 {
                    bench.put(&[head, tail].concat());
                } else {
                    bench.put(&head).put(&tail);
                }
            }
            bench.wait();
            assert_eq!(meant(&bench).len(), 3, "{role:?}: {:?}", meant(&bench));
        }
        // What refers to before is only counted, and not taken for something else.
        let mut up = Packer::new(true);
        up.pack(&hex("32 16 0005 'topic' 0001 'alpha beta gamma'"));
        let mut bench = Bench::new(role, true, false);
        let mut total = 0;
        for _ in 0..20 {
            let message = up.framed("32 16 0005 'topic' 0001 'alpha beta gamma'", true);
            total += message.len() as u64 - 6;
            bench.put(&message);
        }
        bench.wait();
        let counts = bench.connection.counts();
        assert_eq!((bench.ops.len(), counts.compressed_bytes, counts.gave_up), (0, total, 0), "{role:?}");
    }
}

#[test]
fn garbage_is_counted() {
    let mut bench = upgraded(Bench::client());
    bench.put(&frame(0xc2, true, &[7; 20])).get(&frame(0xc2, false, &[7; 200]));
    bench.get(&frame(0x42, false, &[7; 10])).get(&frame(0x80, false, &[7; 10])).close();
    let counts = bench.connection.counts();
    assert_eq!((bench.ops.len(), counts.compressed_bytes), (0, 240));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The same packets mean the same, in whatever messages and frames they come, compressed or not, and however the calls are
    /// cut, at both ends at the same places.
    #[test]
    fn messages_frames_and_calls_do_not_matter(
        cuts in prop::collection::vec((any::<Index>(), any::<Index>(), 0u8..8), 1..40),
        calls in prop::collection::vec(1usize..2000, 1..30),
        byte_by_byte in any::<bool>(),
        takeover in any::<bool>(),
    ) {
        let mut expected = Bench::client();
        for (to_server, bytes) in payloads() {
            expected.call(if to_server { Direction::Outward } else { Direction::Inward }, &bytes);
        }
        let expected = meant(&expected);

        let mut packers = [Packer::new(takeover), Packer::new(takeover)];
        let mut cuts = cuts.into_iter().cycle();
        let mut turns = vec![(true, ASKS.to_vec()), (false, AGREES.to_vec())];
        for (to_server, mut bytes) in payloads() {
            let mut turn = Vec::new();
            while !bytes.is_empty() {
                let (message, fragment, choice) = cuts.next().expect("endless");
                let rest = bytes.split_off(message.index(bytes.len()) + 1);
                let packs = choice & 3 != 0;
                let payload = if packs { packers[usize::from(to_server)].pack(&bytes) } else { bytes };
                let first = if packs { 0x42 } else { 2 };
                let (head, tail) = payload.split_at(fragment.index(payload.len()));
                if choice & 4 == 0 || head.is_empty() {
                    turn.extend(frame(first | 0x80, to_server, &payload));
                } else {
                    turn.extend(frame(first, to_server, head));
                    turn.extend(frame(0x89, to_server, b"hello"));
                    turn.extend(frame(0x80, to_server, tail));
                }
                bytes = rest;
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
            prop_assert_eq!((counts.invalid, counts.skipped_bytes, counts.compressed_bytes), (0, 0, 0));
            prop_assert_eq!(&meant(&bench), &expected);
            let base = |to_server: bool| if to_server == client { 5000 } else { 1000 };
            let places = bench.ops.iter().map(|op| {
                let place = op.place;
                (place.to_server, place.start - base(place.to_server), place.length, place.part)
            });
            ends.push(places.collect::<Vec<_>>());
            prop_assert!(bench.ops.iter().all(|op| op.place.exact));
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    /// Whatever is lost, no text comes out that did not go in.
    #[test]
    fn losses_make_nothing_up(
        bodies in prop::collection::vec("[ab]{12,40}", 3..30),
        lost in prop::collection::vec(any::<Index>(), 1..4),
        takeover in any::<bool>(),
        known in any::<bool>(),
        cut in any::<Index>(),
    ) {
        let (mut up, mut down) = (Packer::new(takeover), Packer::new(takeover));
        let mut bench = Bench { exact: known, ..Bench::client() };
        bench = upgraded(bench);
        bench.put(&up.framed(HELLO, true)).get(&down.framed("20 02 00 00", false));
        let lost: Vec<usize> = lost.iter().map(|lost| lost.index(bodies.len())).collect();
        for (index, body) in bodies.iter().enumerate() {
            let packet = format!("30 {:02x} 0001 't' '{body}'", 3 + body.len());
            let message = up.framed(&packet, true);
            if lost.contains(&index) {
                // It, or its end.
                let (seen, unseen) = message.split_at(cut.index(message.len()));
                if !seen.is_empty() {
                    bench.put(seen);
                }
                if known {
                    drop(bench.chunk(Direction::Outward, unseen));
                } else {
                    bench.connection.gap(Direction::Outward, &mut bench.ops);
                }
            } else {
                bench.put(&message);
            }
        }
        bench.wait().close();
        for op in &bench.ops {
            prop_assert!(op.place.exact || !known, "its place is not known: {}", meaning(&op.kind));
            if let crate::model::op::OpKind::Publish(message) = &op.kind {
                let text = std::str::from_utf8(&message.body.captured).expect("text");
                let is_there = bodies.iter().any(|body| body.starts_with(text) && body.len() as u64 == message.body.size);
                prop_assert!(is_there, "made up: {text}");
            }
        }
    }

    /// Whatever bytes come compressed, nothing panics or grows.
    #[test]
    fn any_bytes_are_survived(
        pieces in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..60),
        lost in any::<Index>(),
    ) {
        let mut bench = upgraded(Bench::client());
        let lost = lost.index(pieces.len());
        for (index, (out, fin, bytes)) in pieces.iter().enumerate() {
            let bytes = frame(if *fin { 0xc2 } else { 0x42 }, *out, bytes);
            let direction = if *out { Direction::Outward } else { Direction::Inward };
            if index == lost {
                drop(bench.chunk(direction, &bytes));
            } else {
                bench.call(direction, &bytes);
            }
        }
        bench.wait().close();
    }
}
