//! What holds for any session, any split, any loss and any garbage.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

use super::super::Amqp;
use super::build::*;
use crate::model::net::{Direction, Role, SocketEnd};
use crate::model::op::{Op, Place, System};
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};
use crate::proto::testing::{Bench, Recording, assert_recovers_but, assert_same_however_split, heard};
use crate::proto::{FrameView, Memory, Origin, Protocol, Shortfall};

/// A message of one channel, in one direction.
#[derive(Clone, Debug)]
struct Sent {
    channel: u16,
    to_server: bool,
    frames: Vec<Vec<u8>>,
}

fn any_message() -> impl Strategy<Value = Sent> {
    let body = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 100..900),
    ];
    (1u16..5, any::<bool>(), "[a-z]{0,6}", "[a-z.]{1,9}", body, 1usize..400, 1u64..).prop_map(
        |(channel, to_server, exchange, key, body, chunk, tag)| Sent {
            channel,
            to_server,
            frames: if to_server {
                publish_frames(channel, &exchange, &key, &body, chunk)
            } else {
                deliver_frames(channel, "c", tag >> 20, false, (&exchange, &key), &body, chunk)
            },
        },
    )
}

/// Messages whose frames take turns as `turns` say, each channel's in order; heartbeats between.
fn interleaved(messages: &[Sent], turns: &[Index]) -> Recording {
    let mut lines: BTreeMap<(u16, bool), Vec<Vec<u8>>> = BTreeMap::new();
    for sent in messages {
        lines.entry((sent.channel, sent.to_server)).or_default().extend(sent.frames.iter().cloned());
    }
    let mut calls = vec![
        (true, HEADER.to_vec()),
        (false, start()),
        (true, start_ok("it")),
        (false, tune()),
        (true, [tune_ok(4096), connection_open()].concat()),
        (false, open_ok()),
        (true, consume(1, "queue", "c", false)),
        (false, consume_ok(1, "c")),
        (true, confirm_select(2)),
    ];
    let mut turns = turns.iter().cycle();
    while !lines.is_empty() {
        let turn = turns.next().map_or(0, |turn| turn.index(lines.len()));
        let Some(&key) = lines.keys().nth(turn) else { break };
        let Some(line) = lines.get_mut(&key) else { break };
        calls.push((key.1, line.remove(0)));
        if line.is_empty() {
            lines.remove(&key);
            calls.push((key.1, heartbeat()));
        }
    }
    calls
}

proptest! {
    // A frame that is lost may be as long as the one that another message waits for, and nobody could tell: always the same
    // seed.
    #![proptest_config(ProptestConfig {
        cases: 16, max_shrink_iters: 100, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default()
    })]

    #[test]
    fn channels_that_take_turns(
        messages in prop::collection::vec(any_message(), 1..12),
        turns in prop::collection::vec(any::<Index>(), 1..40),
    ) {
        let calls = interleaved(&messages, &turns);
        let ops = heard(System::Rabbitmq, Role::Client, &calls);
        let is = |op: &&String, what: &str| op.contains(what);
        let sent = messages.iter().filter(|sent| sent.to_server).count();
        prop_assert_eq!(ops.iter().filter(|op| is(op, " publish ")).count(), sent);
        prop_assert_eq!(ops.iter().filter(|op| is(op, " deliver ")).count(), messages.len() - sent);
        assert_same_however_split(System::Rabbitmq, &calls);
        // A frame that is lost costs every message that was under way.
        assert_recovers_but(System::Rabbitmq, &calls, 8, |op| Some(super::recorded::forgotten(op)));
    }

    #[test]
    fn any_bytes_are_survived(
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..100),
        role in prop::sample::select(&[None, Some(Role::Client), Some(Role::Server)][..]),
        hello in any::<bool>(),
    ) {
        let mut bench = Bench::of(System::Rabbitmq, role, true, hello);
        if hello {
            bench.put(HEADER);
        }
        for (inward, bytes) in chunks {
            bench.call(if inward { Direction::Inward } else { Direction::Outward }, &bytes);
        }
        bench.wait();
        prop_assert!(bench.ops.is_empty());
    }

    #[test]
    fn broken_frames_are_survived(
        messages in prop::collection::vec(any_message(), 1..8),
        wrong in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        capture in prop::sample::select(&[7usize, 11, 30, 4096][..]),
    ) {
        let mut calls = interleaved(&messages, &[]);
        for (index, byte) in wrong {
            let call = index.index(calls.len());
            let place = index.index(calls[call].1.len());
            calls[call].1[place] ^= byte;
        }
        let mut bench = Bench::of(System::Rabbitmq, Some(Role::Client), true, true);
        bench.capture = capture;
        for (to_server, bytes) in &calls {
            bench.call(if *to_server { Direction::Outward } else { Direction::Inward }, bytes);
        }
        bench.wait().close();
    }
}

/// The decoder alone, fed with frames of one end.
#[derive(Default)]
struct Alone {
    amqp: Amqp,
    ends: [u64; 2],
    ops: Vec<Op>,
}

impl Alone {
    fn feed(&mut self, to_server: bool, bytes: Vec<u8>) {
        let socket = SocketEnd::unknown();
        let process = ProcessKey { pid: 1, generation: 0 };
        let origin = Origin { system: System::Rabbitmq, process, socket, viewpoint: Role::Client };
        let (start, length) = (self.ends[usize::from(to_server)], bytes.len() as u64);
        self.ends[usize::from(to_server)] += length;
        let connection = socket.connection();
        let (memory, shortfall) = (Memory::default(), Shortfall::default());
        let view = FrameView {
            len: length,
            bytes: Bytes::from(bytes),
            to_server,
            follows: true,
            place: Place { connection, to_server, start, length, exact: false, part: 0 },
            at: Interval { start: Timestamp(0), end: Timestamp(0) },
            last_enter: Timestamp(0),
            tid: 1,
            origin: &origin,
            memory: &memory,
            shortfall: &shortfall,
        };
        let _ = self.amqp.fold(view, &mut self.ops);
        self.ops.clear();
    }
}

#[test]
fn everything_stays_bounded() {
    let mut alone = Alone::default();
    for number in 0..70_000u32 {
        let channel = (number % 65_535) as u16 + 1;
        alone.feed(true, confirm_select(channel));
        // Messages that are never completed, consumers and requests that are never answered.
        for frame in publish_frames(channel, "ex", "k", b"body", 2).into_iter().take(3) {
            alone.feed(true, frame);
        }
        alone.feed(true, consume(channel, "q", &format!("c{number}"), false));
        alone.feed(true, consume(channel, "q", "", false));
        alone.feed(true, get(channel, "q", false));
        for frame in deliver_frames(channel, "c", number.into(), false, ("ex", "k"), b"1", 9) {
            alone.feed(false, frame);
        }
    }
    let Amqp { channels, ledger, contents, .. } = &alone.amqp;
    let (known, consumers, requests) = channels.len();
    assert!(known <= 2048 && consumers <= 4096 && requests <= 256, "{known} {consumers} {requests}");
    let (publishes, deliveries) = ledger.len();
    assert!(publishes > 1000 && publishes <= 65_535 && deliveries <= 65_535, "{publishes} {deliveries}");
    assert!(contents.len() <= 64, "{}", contents.len());
}

#[test]
fn many_are_answered_at_once() {
    let mut alone = Alone::default();
    alone.feed(true, confirm_select(1));
    for _ in 0..100_000 {
        for frame in publish_frames(1, "", "k", b"", 9) {
            alone.feed(true, frame);
        }
    }
    assert_eq!(alone.amqp.ledger.len().0, 65_535);
    alone.feed(false, ack(1, 0, true));
    assert_eq!(alone.amqp.ledger.len().0, 0);
}

#[test]
fn a_body_that_never_ends_is_not_kept() {
    let mut alone = Alone::default();
    let frames = publish_frames(1, "ex", "k", &vec![b'x'; 1 << 20], 100_000);
    for frame in frames.into_iter().rev().skip(1).rev() {
        alone.feed(true, frame);
    }
    let open = alone.amqp.contents.take(1, true).expect("it goes on");
    let (_, _, body, _) = open.finish();
    assert!(body.captured.len() <= 64 * 1024 && body.size == 1 << 20);
}
