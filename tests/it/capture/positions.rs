//! Absolute stream positions: the same number at both ends, whatever happened before.

use iotrail::model::capture::{Body, Position};
use iotrail::model::net::Direction;
use tracer_common::call::Call;
use tracer_common::record::Kind;
use tracer_tests::broker::free_port;

use super::probe::Probe;
use super::rig::{EACH, FOLLOWED, Mode, RAW, Rig, Seen, port};
use super::sockets::Pair;

/// Where a record's bytes begin and how many they are.
fn stretch(seen: &Seen) -> (Position, u64) {
    match &seen.capture.body {
        Body::Data { position, payload, .. } => (*position, payload.size),
        Body::Unseen { position, length, .. } => (*position, *length),
        _ => panic!("{seen:#?}"),
    }
}

fn sequence(seen: &Seen) -> u32 {
    match stretch(seen).0 {
        Position::Sequence(at) => at,
        other => panic!("{other:?}: {seen:#?}"),
    }
}

/// Sends so many bytes over a pair, receives them, and says where both ends saw them.
fn sent(rig: &mut Rig, probe: &mut Probe, from: i64, to: i64, length: i64) -> (u32, u32) {
    rig.expect(probe, &format!("sendto {from} {length} 0"), length);
    let send = rig.one(Kind::Data);
    rig.expect(probe, &format!("recvfrom {to} 1000 0"), length);
    let receive = rig.one(Kind::Data);
    (sequence(&send), sequence(&receive))
}

fn both_ends_agree(mode: Mode, attach_first: bool, host: &str) {
    let number = free_port().expect("a port");
    let at = format!("{host}:{number}");
    let mut probe = Probe::start();
    let (mut rig, Pair { client, server }) = if attach_first {
        let mut rig = Rig::new(mode, port(probe.pid(), number));
        let pair = Pair::connect(&mut rig, &mut probe, &at, &at);
        (rig, pair)
    } else {
        let pair = Pair::unseen(&mut probe, &at);
        assert_eq!(probe.call(&format!("write {} 777", pair.client)), 777);
        assert_eq!(probe.call(&format!("read {} 1000", pair.server)), 777);
        (Rig::new(mode, port(probe.pid(), number)), pair)
    };
    rig.take();
    for (from, to) in [(client, server), (server, client)] {
        let mut next = None;
        for length in [10_u32, 20, 30] {
            let (near, far) = sent(&mut rig, &mut probe, from, to, i64::from(length));
            assert_eq!(near, far, "{mode:?}: both ends give {length} bytes the same number");
            assert!(next.is_none_or(|next| next == near), "{mode:?}: one follows the other: {next:?} {near}");
            next = Some(near.wrapping_add(length));
        }
    }
    probe.end();
}

#[test]
fn a_message_has_the_same_position_at_both_ends() {
    both_ends_agree(RAW, true, "127.0.0.1");
    both_ends_agree(RAW, true, "[::1]");
}

#[test]
fn positions_need_not_be_followed_from_the_start() {
    for mode in [RAW, EACH] {
        both_ends_agree(mode, false, "127.0.0.1");
    }
    both_ends_agree(RAW, false, "[::1]");
}

#[test]
fn without_btf_there_are_none() {
    let number = free_port().expect("a port");
    let at = format!("127.0.0.1:{number}");
    let mut probe = Probe::start();
    let Pair { client, server } = Pair::unseen(&mut probe, &at);
    let mut rig = Rig::new(FOLLOWED, port(probe.pid(), number));
    for (command, length) in [(format!("write {client} 10"), 10), (format!("read {server} 10"), 10)] {
        rig.expect(&mut probe, &command, length);
        assert_eq!(stretch(&rig.one(Kind::Data)), (Position::Unknown, 10), "attached in the middle");
    }
    probe.end();
}

#[test]
fn a_peek_does_not_move_on() {
    let number = free_port().expect("a port");
    let at = format!("127.0.0.1:{number}");
    let mut probe = Probe::start();
    let Pair { client, server } = Pair::unseen(&mut probe, &at);
    let mut rig = Rig::new(RAW, port(probe.pid(), number));
    rig.expect(&mut probe, &format!("write {client} 10"), 10);
    let send = sequence(&rig.one(Kind::Data));
    for (flags, expected) in [(libc::MSG_PEEK, true), (libc::MSG_PEEK, true), (0, false)] {
        rig.expect(&mut probe, &format!("recvfrom {server} 10 {flags}"), 10);
        let seen = rig.one(Kind::Data);
        let Body::Data { peek, .. } = seen.capture.body else { panic!("{seen:#?}") };
        assert_eq!((peek, sequence(&seen)), (expected, send));
    }
    rig.expect(&mut probe, &format!("write {client} 5"), 5);
    rig.expect(&mut probe, &format!("recvmsg {server} {} 3", libc::MSG_PEEK), 3);
    let seen = rig.of(Kind::Data).pop().expect("a record");
    assert_eq!(sequence(&seen), send.wrapping_add(10));
    assert!(matches!(seen.capture.body, Body::Data { peek: true, .. }), "{seen:#?}");
    probe.end();
}

#[test]
fn threads_that_share_a_socket_are_flagged_and_never_wrong() {
    const THREADS: usize = 8;
    const LENGTH: usize = 100;
    let number = free_port().expect("a port");
    let mut probe = Probe::start();
    let Pair { client, server } = Pair::unseen(&mut probe, &format!("127.0.0.1:{number}"));
    let mut rig = Rig::new(RAW, port(probe.pid(), number));
    let mut start = None;
    for _ in 0..20 {
        let sent = rig.call(&mut probe, &format!("threads {THREADS} write {client} {LENGTH}"));
        assert_eq!(sent, 8);
        let writes = rig.of(Kind::Data);
        assert_eq!(writes.len(), THREADS, "one record a call");
        assert!(writes.iter().all(|seen| seen.capture.call == Call::Write));
        let total = THREADS * LENGTH;
        rig.expect(&mut probe, &format!("recvfrom {server} {total} {}", libc::MSG_WAITALL), 800);
        let begin = sequence(&rig.one(Kind::Data));
        assert!(start.is_none_or(|start| start == begin), "the reader alone is exact");
        start = Some(begin.wrapping_add(800));
        // The exact ones lie on the grid of the calls, each on a place of its own.
        let mut exact: Vec<u32> = Vec::new();
        for seen in &writes {
            if let Position::Sequence(at) = stretch(seen).0 {
                let place = at.wrapping_sub(begin);
                assert_eq!((place % 100, place < 800), (0, true), "{place}");
                exact.push(place);
            }
        }
        let all = exact.len();
        exact.sort_unstable();
        exact.dedup();
        assert_eq!(exact.len(), all, "no two have the same place: {exact:?}");
    }
    probe.end();
}

#[test]
fn each_direction_counts_for_itself() {
    // Both directions of a connection count for themselves.
    let number = free_port().expect("a port");
    let mut probe = Probe::start();
    let Pair { client, server } = Pair::unseen(&mut probe, &format!("127.0.0.1:{number}"));
    let mut rig = Rig::new(RAW, port(probe.pid(), number));
    let there = sent(&mut rig, &mut probe, client, server, 10);
    let back = sent(&mut rig, &mut probe, server, client, 10);
    assert_ne!(there.0, back.0);
    rig.expect(&mut probe, &format!("write {client} 1"), 1);
    let seen = rig.one(Kind::Data);
    assert_eq!(sequence(&seen), there.0.wrapping_add(10));
    assert!(matches!(seen.capture.body, Body::Data { direction: Direction::Outward, .. }));
    probe.end();
}
