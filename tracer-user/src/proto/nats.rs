//! NATS with JetStream, by the client protocol of <https://docs.nats.io/reference/reference-protocols/nats-protocol> and the
//! JetStream wire API of ADR-1, ADR-13 (pull requests), ADR-15 (acknowledgement subjects) and ADR-4 (headers).
//!
//! A frame is a control line, with the payload that its last number announces. Lines that are only heard between servers
//! (`RMSG`, `LMSG`, `RS+`, `A+`, …) are stepped over.
//!
//! JetStream is requests and replies over subjects: what begins with `$JS.` is no message of a program but the broker's
//! own affair. A publish and a request look the same, and only the answer says which of them it was; so what waits for an
//! answer is remembered, as numbers, up to a bound.

mod errors;
mod fold;
mod headers;
mod jetstream;
mod line;
mod pulls;
#[cfg(test)]
mod tests;
mod unsettled;

use std::sync::Arc;

use hashbrown::HashMap;

use super::shared_names::SharedNames;
use super::side::SEARCH_HEAD;
use super::{FrameView, Header, Outcome, Protocol, Row, Score, Trust, Unusable};
use crate::model::op::{Op, System};
use crate::track::stream::KEEP_BYTES;

use line::{Introduction, Line, Verb};
use pulls::Pulls;
use unsettled::Unsettled;

/// NATS's row of the table.
pub const ROW: Row = Row {
    system: System::Nats,
    ports: &[4222],
    // Programs read into a buffer, not line by line.
    apart: 0,
    detect,
    resync,
    keep: KEEP_BYTES,
    start: || Box::new(Nats::default()),
};

/// Bytes of a frame that tell its length: a control line. The server takes up to 4096 bytes of arguments by default
/// (`max_control_line`), the verb comes to that.
const HEAD: usize = 4096 + 16;

/// Pieces of [`HEAD`] bytes that an INFO or a CONNECT has at most: the addresses of a large cluster, a client's certificates.
const MAX_PIECES: u8 = 16;

/// Most requests of a connection that are remembered until their answer: Go's client lets 4000 publishes wait by default. With
/// more of them all are forgotten, and answers are known by what they look like.
const MAX_ASKED: usize = 8192;

/// Most subscriptions with a queue group that are remembered.
const MAX_QUEUES: usize = 1024;

/// What an answer will be to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A message with a reply subject: JetStream acknowledges it, or another program replies.
    Message,
    /// The JetStream API, or an acknowledgement that is to be confirmed.
    Api,
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub struct Nats {
    client_id: Option<Arc<str>>,
    names: SharedNames,
    /// Something was exchanged.
    seen: bool,
    /// The server has refused the client.
    gone: bool,
    /// The server's INFO lets the client begin TLS next.
    tls: bool,
    /// Pieces of a long line so far: from the server, to the server.
    pieces: [u8; 2],
    /// By hash of the reply subject.
    asked: HashMap<u64, Asked>,
    /// Queue groups by hash of the subscription's id.
    queues: HashMap<u64, Arc<str>>,
    /// Consumers whose messages nobody acknowledges, or many at once.
    unsettled: Unsettled,
    pulls: Pulls,
}

impl Protocol for Nats {
    fn head(&self) -> usize {
        HEAD
    }

    fn frame(&self, head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
        if trust == Trust::Follow {
            if is_tls(head) && self.tls && !self.seen {
                return Outcome::End;
            }
            if let Some(pieces) =
                to_server.map(|to_server| self.pieces(to_server)).filter(|pieces| *pieces > 0)
            {
                return continued(head, pieces);
            }
        }
        frame(head, to_server, trust)
    }

    fn fold(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        self.fold_frame(&view, out)
    }

    fn client_id(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref()
    }

    fn is_connected(&self) -> bool {
        self.seen && !self.gone
    }
}

impl Nats {
    fn pieces(&self, to_server: bool) -> u8 {
        let [from, to] = self.pieces;
        if to_server { to } else { from }
    }

    fn pieces_mut(&mut self, to_server: bool) -> &mut u8 {
        let [from, to] = &mut self.pieces;
        if to_server { to } else { from }
    }
}

/// A record of TLS's handshake (RFC 8446, section 5.1): it begins behind the INFO.
fn is_tls(head: &[u8]) -> bool {
    matches!(head, [0x16, 0x03, 0..=4, ..])
}

fn detect(head: &[u8], hint: bool) -> Score {
    match Line::read(head, SEARCH_HEAD) {
        Ok(line) if line.is_tidy && line.fits() => match line.verb {
            // Redis knows these too.
            Verb::Ping | Verb::Pong | Verb::Ok | Verb::Err => Score::Possible,
            _ => Score::Sure,
        },
        Err(Unusable::Cut) if Introduction::read(head).is_ok() => Score::Sure,
        Err(Unusable::Cut) => Score::Possible,
        _ if hint => Score::Hinted,
        _ => Score::No,
    }
}

fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    // Every frame ends with a line end.
    let before = from.saturating_sub(1);
    memchr::memchr_iter(b'\n', bytes.get(before..)?).map(|index| before + index + 1).find(|&start| {
        let rest = bytes.get(start..).unwrap_or(&[]);
        start >= from && !rest.is_empty() && frame(rest, None, Trust::Search) != Outcome::Invalid
    })
}

/// The frame that begins with `head`.
fn frame(head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
    let limit = if trust == Trust::Follow { HEAD } else { SEARCH_HEAD };
    let line = match Line::read(head, limit) {
        Ok(line) => line,
        Err(Unusable::Cut) => {
            return match Introduction::read(head) {
                // The end of a long line is not in sight, but what it is. That is enough for a search, and for
                // following it is the first piece.
                Ok(what) if trust == Trust::Search || head.len() >= limit => {
                    let (len, to_server) = (head.len().min(limit) as u64, what.verb.direction());
                    Outcome::Frame(Header { len, weight: what.weight(), to_server, opens: true })
                }
                _ if head.len() < limit => Outcome::NeedMore,
                _ => Outcome::Invalid,
            };
        }
        Err(_) => return Outcome::Invalid,
    };
    if !line.fits() || (trust == Trust::Search && !line.is_tidy) {
        return Outcome::Invalid;
    }
    let direction = line.verb.direction();
    // Servers send each other what a client and its server send in one direction only.
    let strict = trust == Trust::Search || line.verb.is_message();
    if strict && direction.is_some() && to_server.is_some() && direction != to_server {
        return Outcome::Invalid;
    }
    let len = line.frame_len();
    let ended = match line.ends_in(head) {
        Some(false) => return Outcome::Invalid,
        ended => ended == Some(true),
    };
    if line.is_between_servers() {
        return Outcome::Skip { len };
    }
    let weight = match line.verb {
        Verb::Info | Verb::Connect => Introduction::read(head).map_or(0, Introduction::weight),
        // The number of bytes up to a line end is right.
        _ if line.verb.is_message() => 2 + u32::from(ended),
        Verb::Sub | Verb::Unsub => 2,
        Verb::Err => 1,
        _ => 0,
    };
    let opens = matches!(line.verb, Verb::Info | Verb::Connect);
    Outcome::Frame(Header { len, weight, to_server: direction, opens })
}

/// What goes on with a line of which so many pieces are past.
fn continued(head: &[u8], pieces: u8) -> Outcome {
    let piece = |len: usize| Header { len: len as u64, weight: 0, to_server: None, opens: false };
    // Behind a loss a frame may begin instead.
    match frame(head, None, Trust::Search) {
        Outcome::Frame(header) if header.weight > 0 => return Outcome::Frame(header),
        Outcome::NeedMore if head.len() < SEARCH_HEAD => return Outcome::NeedMore,
        _ => {}
    }
    let head = head.get(..HEAD).unwrap_or(head);
    match memchr::memchr(b'\n', head) {
        Some(end) => Outcome::Frame(piece(end + 1)),
        None if head.len() < HEAD => Outcome::NeedMore,
        None if pieces < MAX_PIECES => Outcome::Frame(piece(HEAD)),
        None => Outcome::Invalid,
    }
}
