//! Both directions of a connection to a broker.

use iotrail::model::capture::Position;
use iotrail::model::net::{Direction, Role, SocketEnd, Transport};
use iotrail::model::op::{Message, Op, OpKind, System};
use iotrail::model::payload::Payload;
use iotrail::model::process::ProcessKey;
use iotrail::model::time::{Interval, Timestamp};
use iotrail::proto::{self, Connection};
use iotrail::track::stream::Chunk;

use std::net::Ipv4Addr;

use crate::input::Input;

/// Most operations that one frame may make: a batch of messages.
const OPS_A_FRAME: u64 = 65_536;

/// Most bytes that are made of one: a WebSocket's messages may be compressed, by deflate's 258 bytes for 2 bits.
const INFLATES: u64 = 1032;

/// Longest topic, MQTT 1.5.4.
const TOPIC: usize = 65_535;

pub(crate) fn run(system: System, data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.byte();
    let row = proto::table().iter().find(|row| row.system == system);
    let port = row.and_then(|row| row.ports.first()).copied().unwrap_or_default();
    let (local, remote) =
        ((Ipv4Addr::new(10, 0, 0, 1), 50_000).into(), (Ipv4Addr::new(10, 0, 0, 2), port).into());
    let socket = SocketEnd { transport: Transport::Tcp, local, remote, ..SocketEnd::unknown() };
    let role = [None, Some(Role::Client), Some(Role::Server), None][usize::from(how & 3)];
    let hint = (how & 4 == 0).then_some(system);
    let process = ProcessKey { pid: 1, generation: 0 };
    let mut connection = Connection::new(process, socket, role, hint, how & 8 == 0);
    let exact = how & 16 == 0;
    let mut ops = Vec::new();
    let mut at = [1000_u32, 5000];
    let (mut now, mut moved) = (1, 0);
    while !input.is_empty() {
        let start = now;
        now += input.pause();
        let choice = input.byte();
        let direction = if choice & 1 == 0 { Direction::Outward } else { Direction::Inward };
        let place = &mut at[usize::from(choice & 1)];
        match choice >> 1 & 15 {
            // A stretch is lost, or comes again.
            10 => *place = place.wrapping_add(input.byte().into()),
            11 => *place = place.wrapping_sub(input.byte().into()),
            12 => connection.gap(direction, &mut ops),
            13 => connection.peeked(),
            14 => connection.expire(Timestamp(now), &mut ops),
            15 => {
                let length = input.number() & 0xffff;
                let time = Interval { start: Timestamp(start), end: Timestamp(now) };
                let position = if exact { Position::Sequence(*place) } else { Position::Unknown };
                connection.unseen(direction, position, time, 1, length, choice & 0x80 != 0, &mut ops);
                *place = place.wrapping_add(length as u32);
                moved += length;
            }
            _ => {
                let captured = input.bytes();
                let missing = if choice & 0x80 != 0 { u64::from(input.byte()) } else { 0 };
                let size = captured.len() as u64 + missing;
                let position = if exact { Position::Sequence(*place) } else { Position::Unknown };
                let time = Interval { start: Timestamp(start), end: Timestamp(now) };
                let chunk = Chunk { position, at: time, tid: 1, payload: Payload { captured, size } };
                connection.feed(direction, chunk, &mut ops);
                *place = place.wrapping_add(size as u32);
                moved += size;
            }
        }
    }
    connection.expire(Timestamp(now + 10_000_000_000), &mut ops);
    connection.close(Timestamp(now + 10_000_000_000), 1, &mut ops);
    let counts = connection.counts();
    let jumped = u64::from(at[0].wrapping_sub(1000)) + u64::from(at[1].wrapping_sub(5000));
    assert!(counts.frames <= moved.max(jumped) * INFLATES, "more frames than bytes: {counts:?}");
    // A batch has as many messages as it says, but what is made of it is bounded.
    assert!(counts.ops <= counts.frames * OPS_A_FRAME + 2, "more operations than frames: {counts:?}");
    ops.iter().for_each(check);
}

fn check(op: &Op) {
    assert!(op.at.start <= op.at.end, "ended before it began");
    match &op.kind {
        OpKind::Publish(message) | OpKind::Deliver(message) => body(message),
        OpKind::Connect { will: Some(message) } => body(message),
        OpKind::Subscribe { filters, .. } => {
            assert!(filters.iter().all(|filter| filter.len() <= TOPIC), "a long filter");
        }
        _ => {}
    }
}

fn body(message: &Message) {
    assert!(message.body.captured.len() as u64 <= message.body.size, "more captured than there was");
    assert!(message.destination.len() <= TOPIC, "a long topic");
}
