//! What the protocols' tests have in common: a connection that is fed from byte strings, and ops as text.

use std::fmt::Write as _;

use bytes::Bytes;

use super::Connection;
use crate::model::capture::Position;
use crate::model::net::{Direction, Role, SocketEnd, Transport};
use crate::model::op::{Message, Op, OpKind, System};
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
        let (here, there) = ("10.0.0.1:50000", "10.0.0.2:1883");
        let (local, remote) = if role == Some(Role::Server) { (there, here) } else { (here, there) };
        let socket = SocketEnd {
            transport: Transport::Tcp,
            local: local.parse().expect("an address"),
            remote: remote.parse().expect("an address"),
            ..SocketEnd::unknown()
        };
        Self::on(socket, role, hint.then_some(System::Mqtt), from_start)
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
        OpKind::PublishSettled { id, error: e } => format!("settled {id}{}", error(e)),
        OpKind::Deliver(m) => format!("deliver {}", message(m)),
        OpKind::Settle { name, ids, error: e } => format!("{name} {ids:?}{}", error(e)),
        OpKind::Subscribe { filters } => format!("subscribe {filters:?}"),
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
    for (name, set) in [
        ("retained", message.retained),
        ("retain", message.retain),
        ("again", message.redelivered),
        ("settle", message.needs_settle),
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
