//! What the protocols' tests have in common: a connection that is fed from byte strings, ops as text, and recordings of
//! real conversations.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use super::{Connection, Memory, table};
use crate::model::capture::Position;
use crate::model::net::{Direction, Role, SocketEnd, Transport};
use crate::model::op::{Message, Op, OpKind, Place, Scope, System};
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};
use crate::track::stream::Chunk;

/// A connection end and its two positions; every call takes 1 ms and begins 10 ms after the one before.
pub(crate) struct Bench {
    pub(crate) connection: Connection,
    pub(crate) ops: Vec<Op>,
    pub(crate) inward: u32,
    pub(crate) outward: u32,
    pub(crate) now: u64,
    /// Bytes that are captured of each call.
    pub(crate) capture: usize,
    /// Whether the positions are TCP's.
    pub(crate) exact: bool,
}

impl Bench {
    pub(crate) fn new(role: Option<Role>, hint: bool, from_start: bool) -> Self {
        Self::of(System::Mqtt, role, hint, from_start)
    }

    /// A connection to the port of `system`.
    pub(crate) fn of(system: System, role: Option<Role>, hint: bool, from_start: bool) -> Self {
        let row = table().iter().find(|row| row.system == system).expect("the protocol is in the table");
        let (here, there) = ("10.0.0.1:50000", format!("10.0.0.2:{}", row.ports[0]));
        let (here, there) = (here, there.as_str());
        let (local, remote) = if role == Some(Role::Server) { (there, here) } else { (here, there) };
        let socket = SocketEnd {
            transport: Transport::Tcp,
            local: local.parse().expect("an address"),
            remote: remote.parse().expect("an address"),
            ..SocketEnd::unknown()
        };
        Self::on(socket, role, hint.then_some(system), from_start)
    }

    pub(crate) fn on(socket: SocketEnd, role: Option<Role>, hint: Option<System>, from_start: bool) -> Self {
        let process = ProcessKey { pid: 42, generation: 1 };
        Self {
            connection: Connection::new(process, socket, role, hint, from_start),
            ops: Vec::new(),
            inward: 1000,
            outward: 5000,
            now: 0,
            capture: 4096,
            exact: true,
        }
    }

    /// It learns from the other connections of this memory.
    pub(crate) fn sharing(self, memory: &Arc<Memory>) -> Self {
        Self { connection: self.connection.with_memory(memory), ..self }
    }

    pub(crate) fn client() -> Self {
        Self::new(Some(Role::Client), true, true)
    }

    pub(crate) fn broker() -> Self {
        Self::new(Some(Role::Server), true, true)
    }

    /// One call that moves `bytes`.
    pub(crate) fn call(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        let chunk = self.chunk(direction, bytes);
        self.connection.feed(direction, chunk, &mut self.ops);
        self
    }

    /// Receives.
    pub(crate) fn get(&mut self, bytes: &[u8]) -> &mut Self {
        self.call(Direction::Inward, bytes)
    }

    /// Sends.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.call(Direction::Outward, bytes)
    }

    /// What a call moves, without feeding it: lost, late, or twice.
    pub(crate) fn chunk(&mut self, direction: Direction, bytes: &[u8]) -> Chunk {
        self.now += 10;
        let number = match direction {
            Direction::Inward => &mut self.inward,
            Direction::Outward => &mut self.outward,
        };
        let position = if self.exact { Position::Sequence(*number) } else { Position::Unknown };
        *number = number.wrapping_add(bytes.len() as u32);
        Chunk {
            position,
            at: Interval {
                start: Timestamp(self.now * 1_000_000),
                end: Timestamp((self.now + 1) * 1_000_000),
            },
            tid: 7,
            payload: Payload {
                captured: Bytes::copy_from_slice(&bytes[..bytes.len().min(self.capture)]),
                size: bytes.len() as u64,
            },
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self) -> &mut Self {
        self.now += 1000;
        self.connection.expire(Timestamp(self.now * 1_000_000), &mut self.ops);
        self
    }

    pub(crate) fn close(&mut self) -> &mut Self {
        self.now += 10;
        self.connection.close(Timestamp(self.now * 1_000_000), 7, &mut self.ops);
        self
    }

    /// The ops so far, a line each.
    pub(crate) fn text(&mut self) -> String {
        self.ops.drain(..).fold(String::new(), |mut text, op| {
            let _ = writeln!(text, "{}", line(&op));
            text
        })
    }
}

/// An op on one line: viewpoint, way, place, time in ms (entry of first call, of last call, exit), client, meaning.
pub(crate) fn line(op: &Op) -> String {
    let ms = |time: Timestamp| time.0 / 1_000_000;
    format!(
        "{} {} {}+{}{} {}..{}..{} {} {}",
        if op.viewpoint == Role::Client { "client" } else { "broker" },
        if op.place.to_server { ">" } else { "<" },
        op.place.start,
        op.place.length,
        if op.place.exact { "" } else { "?" },
        ms(op.at.start),
        ms(op.last_enter),
        ms(op.at.end),
        op.client_id.as_deref().unwrap_or("-"),
        meaning(&op.kind),
    )
}

/// What an op does, without who, where and when.
pub(crate) fn meaning(kind: &OpKind) -> String {
    let error = |error: &Option<_>| error.as_ref().map_or(String::new(), |e| format!(" error={e}"));
    match kind {
        OpKind::Connect { will: None } => "connect".into(),
        OpKind::Connect { will: Some(will) } => format!("connect will: {}", message(will)),
        OpKind::Connected { error: e } => format!("connected{}", error(e)),
        OpKind::Publish(m) => format!("publish {}", message(m)),
        OpKind::PublishSettled { id, error: e, given } => {
            let given = given.as_ref().map_or(String::new(), |given| format!(" given={given}"));
            format!("settled {id}{given}{}", error(e))
        }
        OpKind::Received { count, .. } => format!("received {count}"),
        OpKind::Commit { group, upto, error: e, transaction } => {
            let upto = upto.iter().fold(String::new(), |mut text, part| {
                let _ = write!(text, " {}/{}@{}", part.destination, part.next.partition, part.next.offset);
                text
            });
            let within = transaction.as_ref().map_or(String::new(), |name| format!(" within {name}"));
            format!("commit {group}{upto}{within}{}", error(e))
        }
        OpKind::TransactionEnded { name, committed } => format!("ended {name} committed={committed}"),
        OpKind::Deliver(m) => format!("deliver {}", message(m)),
        OpKind::Settle { name, ids, scope, error: e } => {
            let scope = match scope {
                Scope::Broker => " anywhere",
                Scope::Session => " kept",
                Scope::Connection => "",
            };
            format!("{name} {ids:?}{scope}{}", error(e))
        }
        OpKind::Subscribe { filters, .. } => format!("subscribe {filters:?}"),
        OpKind::Request { name, message, error: e } => {
            let e = e.as_ref().map_or(String::new(), |e| format!(" error={} ({})", e.kind, e.text));
            format!("{name} {}{e}", message.destination)
        }
        OpKind::Disconnect { clean } => format!("disconnect clean={clean}"),
        OpKind::Unseen => "unseen".into(),
        OpKind::Error { kind } => format!("error {kind}"),
    }
}

fn message(message: &Message) -> String {
    let mut text = String::from(&*message.destination);
    if let Some(id) = message.settle_id {
        let _ = write!(text, " id={id}");
    }
    for (name, text_of) in [
        ("as", &message.published_as),
        ("first", &message.published_first),
        ("group", &message.group),
        ("named", &message.id),
    ] {
        if let Some(value) = text_of {
            let _ = write!(text, " {name}={value}");
        }
    }
    if let Some(position) = message.position {
        let _ = write!(text, " at={}@{}", position.partition, position.offset);
    }
    for (name, set) in [
        ("retained", message.retained),
        ("retain", message.retain),
        ("again", message.redelivered),
        ("settle", message.needs_settle),
        ("perhaps", message.settle_is_presumed),
    ] {
        if set {
            let _ = write!(text, " {name}");
        }
    }
    let shown = message.body.captured.get(..16).unwrap_or(&message.body.captured);
    let _ = write!(
        text,
        " {:?} {}/{}",
        Bytes::copy_from_slice(shown),
        message.body.captured.len(),
        message.body.size
    );
    text
}

/// Bytes of hex digits; blanks are ignored, `'text'` stands for itself.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u32> = part.chars().filter_map(|c| c.to_digit(16)).collect();
        bytes.extend(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8));
    }
    bytes
}

/// A recorded conversation: what went to the server (true) or came from it, in the order of the calls.
pub(crate) type Recording = Vec<(bool, Vec<u8>)>;

/// Reads a recording: a line for each call, `> ` and hex digits to the server, `< ` from it; `#` begins a remark. Recorded by
/// `cargo run -p tracer-tests --bin tap -- FROM TO FILE`.
pub(crate) fn recording(text: &str) -> Recording {
    let call = |line: &str| {
        let (way, bytes) = line.split_once(' ')?;
        Some((way == ">", hex(bytes)))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(call).collect()
}

/// What `role` of a conversation makes of it, an op each: the bytes (to the server, start, length, part) and the meaning.
pub(crate) fn heard(system: System, role: Role, calls: &[(bool, Vec<u8>)]) -> Vec<String> {
    let mut bench = Bench::of(system, Some(role), true, true);
    bench.capture = usize::MAX;
    if role == Role::Server {
        // Both ends have the same numbers.
        std::mem::swap(&mut bench.inward, &mut bench.outward);
    }
    for (to_server, bytes) in calls {
        bench.call(way(role, *to_server), bytes);
    }
    bench.wait().ops.drain(..).map(|op| with_place(&op)).collect()
}

fn way(role: Role, to_server: bool) -> Direction {
    if to_server == (role == Role::Client) { Direction::Outward } else { Direction::Inward }
}

fn with_place(op: &Op) -> String {
    let Place { to_server, start, length, part, .. } = op.place;
    let first = if to_server { 5000 } else { 1000 };
    // What is counted from the first byte seen is so already.
    let start = if op.place.exact { start - first } else { start };
    let way = if to_server { '>' } else { '<' };
    let part = if part > 0 { format!("#{part}") } else { String::new() };
    format!("{way}{start}+{length}{part} {}", meaning(&op.kind))
}

/// However the calls of a recording are cut, and from whichever end they are seen, the ops are the same. Calls one behind
/// the other in one direction are cut anew together; the turns of the two sides stay.
pub(crate) fn assert_same_however_split(system: System, calls: &[(bool, Vec<u8>)]) {
    let mut turns: Recording = Vec::new();
    for (to_server, bytes) in calls {
        match turns.last_mut() {
            Some((way, turn)) if way == to_server => turn.extend_from_slice(bytes),
            _ => turns.push((*to_server, bytes.clone())),
        }
    }
    let expected = heard(system, Role::Client, calls);
    assert_eq!(heard(system, Role::Server, calls), expected, "the other end");
    assert_eq!(heard(system, Role::Client, &turns), expected, "a call a turn");
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise as usize % below.max(1)
    };
    for round in 0..60 {
        // From byte by byte to long pieces.
        let longest = 1 << (round % 14);
        let mut cut: Recording = Vec::new();
        for (to_server, bytes) in &turns {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (piece, left) = rest.split_at((1 + random(longest)).min(rest.len()));
                cut.push((*to_server, piece.to_vec()));
                rest = left;
            }
        }
        let role = if round % 2 == 0 { Role::Client } else { Role::Server };
        assert_eq!(heard(system, role, &cut), expected, "round {round}, pieces of up to {longest}");
    }
}

/// A loss anywhere costs what lay there and makes nothing up: every op that is still heard was heard without the loss. `lost`:
/// the most ops that one lost call may cost beyond those that its bytes carried.
pub(crate) fn assert_recovers(system: System, calls: &[(bool, Vec<u8>)], lost: usize) {
    assert_recovers_but(system, calls, lost, |op| Some(op.to_owned()));
}

/// The same where an op also says what earlier bytes told (the queue of a consumer): `essence` leaves that out, or the op
/// altogether.
pub(crate) fn assert_recovers_but(
    system: System,
    calls: &[(bool, Vec<u8>)],
    lost: usize,
    essence: impl Fn(&str) -> Option<String>,
) {
    let expected: Vec<String> =
        heard(system, Role::Client, calls).iter().filter_map(|op| essence(op)).collect();
    for missing in 0..calls.len() {
        let still = without(system, calls, missing, true);
        let still: Vec<String> = still.iter().filter_map(|op| essence(op)).collect();
        let made_up: Vec<_> = still.iter().filter(|op| !expected.contains(op)).collect();
        assert!(made_up.is_empty(), "without call {missing}: {made_up:#?}");
        let (to_server, bytes) = &calls[missing];
        let start: usize =
            calls[..missing].iter().filter(|call| call.0 == *to_server).map(|call| call.1.len()).sum();
        let lay_there = |op: &&String| {
            let (place, _) = op.split_once(' ').expect("a place");
            let (from, length) = place[1..].split_once('+').expect("a length");
            let from: usize = from.parse().expect("a number");
            let length: usize = length.split('#').next().expect("there is one").parse().expect("a number");
            place.starts_with('>') == *to_server && from < start + bytes.len() && start < from + length
        };
        let there = expected.iter().filter(lay_there).count();
        let gone: Vec<_> = expected.iter().filter(|op| !still.contains(op)).collect();
        assert!(gone.len() <= there + lost, "without call {missing}, of which {there} lay there: {gone:#?}");

        // Nor where nobody knows how much is missing. Positions count on as if nothing were, and some ids are made of them:
        // numbers aside.
        let meant = |op: &str| {
            let essence = essence(op)?;
            let (_, meaning) = essence.split_once(' ')?;
            Some(meaning.replace(|c: char| c.is_ascii_digit(), ""))
        };
        let known: Vec<String> = expected.iter().filter_map(|op| meant(op)).collect();
        let mut made_up: Vec<_> = without(system, calls, missing, false);
        made_up.retain(|op| meant(op).is_some_and(|meaning| !known.contains(&meaning)));
        assert!(made_up.is_empty(), "without call {missing}, of unknown length: {made_up:#?}");
    }
}

/// What a client makes of a recording without one of its calls. `exact`: the numbers of the bytes tell how long that was.
fn without(system: System, calls: &[(bool, Vec<u8>)], missing: usize, exact: bool) -> Vec<String> {
    let mut bench = Bench::of(system, Some(Role::Client), true, true);
    bench.capture = usize::MAX;
    bench.exact = exact;
    for (index, (to_server, bytes)) in calls.iter().enumerate() {
        let direction = way(Role::Client, *to_server);
        if index != missing {
            bench.call(direction, bytes);
        } else if exact {
            drop(bench.chunk(direction, bytes));
        } else {
            bench.connection.gap(direction, &mut bench.ops);
        }
    }
    bench.wait().ops.drain(..).map(|op| with_place(&op)).collect()
}
