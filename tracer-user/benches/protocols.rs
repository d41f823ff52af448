//! How fast each protocol's decoder is: the recorded conversations of its tests, over and over, on one thread.
//!
//! Each replay is a connection of its own, seen from the client, with a call for each piece as it was recorded; opening it is
//! part of what is measured. Time is the thread's CPU time, so that a busy machine changes little. How large the messages are
//! is the recordings' choice, so of two protocols the figures say nothing of which is faster.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Parser;
use iotrail::model::capture::Position;
use iotrail::model::net::{Direction, Role, SocketEnd, Transport};
use iotrail::model::op::{Op, OpKind};
use iotrail::model::payload::Payload;
use iotrail::model::process::ProcessKey;
use iotrail::model::time::{Interval, Timestamp};
use iotrail::proto::{self, Connection, Row};
use iotrail::track::stream::Chunk;
use rustix::time::{ClockId, clock_gettime};

/// Measures how fast each protocol is decoded.
#[derive(Parser)]
struct Options {
    /// CPU time to spend on each recording, in ms.
    #[arg(long, default_value_t = 300)]
    millis: u64,
    /// Times that it is measured; the quickest counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Cargo says so to benchmarks.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A conversation: to the server or from it, and the bytes of each call.
type Calls = Vec<(bool, Bytes)>;

/// What replaying took.
#[derive(Clone, Copy, Default)]
struct Figures {
    nanos: u64,
    messages: u64,
    bytes: u64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() {
    let options = Options::parse();
    println!("| recording | messages | bytes | messages/s | MB/s | ns a message |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, path) in recordings() {
        let Some(row) = proto::table().iter().find(|row| folder_of(row) == name.0) else {
            panic!("{}: no protocol has these recordings", path.display());
        };
        let calls = read(&path);
        let once = replay(row, &calls, 1);
        let best = (0..options.rounds.max(1))
            .map(|_| {
                let mut sum = Figures::default();
                while sum.nanos < options.millis * 1_000_000 {
                    let some = replay(row, &calls, 50);
                    sum.nanos += some.nanos;
                    sum.messages += some.messages;
                    sum.bytes += some.bytes;
                }
                sum
            })
            .min_by_key(|sum| sum.nanos / sum.bytes.max(1))
            .unwrap_or_default();
        let per = |amount: u64| amount as f64 * 1e9 / best.nanos as f64;
        println!(
            "| {} {} | {} | {} | {:.0} | {:.0} | {} |",
            name.0,
            name.1,
            once.messages,
            once.bytes,
            per(best.messages),
            per(best.bytes) / 1e6,
            best.nanos.checked_div(best.messages).map_or("–".into(), |nanos| nanos.to_string()),
        );
    }
}

/// The folder in `src/proto` of a protocol.
fn folder_of(row: &Row) -> &'static str {
    match row.system.name() {
        "rabbitmq" => "amqp",
        other => other,
    }
}

/// Every recording, by protocol and name.
fn recordings() -> BTreeMap<(String, String), PathBuf> {
    let mut found = BTreeMap::new();
    let protocols = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proto");
    for protocol in fs::read_dir(&protocols).expect("the sources are there").flatten() {
        let Ok(files) = fs::read_dir(protocol.path().join("recordings")) else { continue };
        for file in files.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "txt")) {
            let name = file.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.insert((protocol.file_name().to_string_lossy().into_owned(), name), file.path());
        }
    }
    assert!(!found.is_empty(), "no recordings in {}", protocols.display());
    found
}

/// A recording as `tap` makes it: `> ` or `< ` and hex digits, a line each.
fn read(path: &Path) -> Calls {
    let text = fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let call = |line: &str| {
        let (way, digits) = line.split_once(' ')?;
        let digits: Vec<u8> = digits.as_bytes().iter().filter_map(digit).collect();
        Some((way == ">", digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(call).collect()
}

fn replay(row: &Row, calls: &Calls, times: usize) -> Figures {
    let local = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 50_000));
    let remote = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), row.ports.first().copied().unwrap_or(1)));
    let socket = SocketEnd { transport: Transport::Tcp, local, remote, ..SocketEnd::unknown() };
    let process = ProcessKey { pid: 1, generation: 0 };
    let mut figures = Figures::default();
    let mut ops: Vec<Op> = Vec::new();
    for _ in 0..times {
        let before = cpu_time();
        let mut connection = Connection::new(process, socket, Some(Role::Client), Some(row.system), true);
        let (mut now, mut positions) = (0, [1_000_u32, 5_000]);
        for (to_server, bytes) in calls {
            now += 10_000;
            let position = &mut positions[usize::from(*to_server)];
            let chunk = Chunk {
                position: Position::Sequence(*position),
                at: Interval { start: Timestamp(now), end: Timestamp(now + 5_000) },
                tid: 1,
                payload: Payload { captured: bytes.clone(), size: bytes.len() as u64 },
            };
            *position = position.wrapping_add(bytes.len() as u32);
            let direction = if *to_server { Direction::Outward } else { Direction::Inward };
            connection.feed(direction, chunk, &mut ops);
            figures.bytes += bytes.len() as u64;
        }
        figures.nanos += cpu_time() - before;
        let is_message = |op: &&Op| matches!(op.kind, OpKind::Publish(_) | OpKind::Deliver(_));
        figures.messages += ops.iter().filter(is_message).count() as u64;
        ops.clear();
    }
    figures
}

/// CPU time of this thread, in ns.
fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
