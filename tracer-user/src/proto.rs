//! Brokers' protocols: from the bytes of a connection to operations on messages.
//!
//! Terms: a *stream* is one direction of a connection, a *frame* is what the protocol cuts it into (a packet of
//! MQTT), an *op* ([`Op`]) is what a frame means to causality.
//!
//! Every protocol is the same few functions. Two of them are in its [`Row`] of the [`table`] and know no state:
//! `detect` (could this be mine?) and `resync` (where might a frame begin?). Two are methods of its [`Protocol`]
//! state: `frame` (how long is the frame that begins here?) and `fold` (what does this whole frame mean?). The loop
//! around them is shared ([`Connection`]): it gathers frames over chunks and holes, recovers after losses, finds
//! out the role, and withdraws wrong guesses. Nothing guarantees that the first byte seen begins a frame.
//!
//! What carries a protocol's bytes, if the connection does not itself, lies below that ([`websocket`]).
//!
//! To add a protocol: a file beside [`mqtt`] with these four functions, and its row in [`table`].
#![forbid(unsafe_code)]

pub mod amqp;
mod connection;
mod counts;
pub mod kafka;
mod memory;
pub mod mqtt;
pub mod nats;
pub mod redis;
mod shared_names;
mod side;
#[cfg(test)]
mod testing;
mod websocket;

use std::sync::Arc;

use bytes::Bytes;

use crate::model::net::{Role, SocketEnd};
use crate::model::op::{Op, OpKind, Place, System};
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};

pub use connection::Connection;
pub use counts::{Counts, Shortfall};
pub use memory::Memory;

/// The protocols there are.
#[must_use]
pub fn table() -> &'static [Row] {
    &[mqtt::ROW, amqp::ROW, redis::ROW, kafka::ROW, nats::ROW]
}

/// A protocol's entry in the [`table`].
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which protocol.
    pub system: System,
    /// Ports on which its brokers listen by convention: tell the role where the bytes do not.
    pub ports: &'static [u16],
    /// Programs that read a frame's header on its own read no more bytes than this for it.
    pub apart: u64,
    /// Captured bytes that are kept of a frame, in each direction of a connection.
    pub keep: usize,
    /// How sure it is that these bytes, from where a call began, are this protocol's. May be given a beginning only.
    pub detect: fn(head: &[u8], hint: bool) -> Score,
    /// Where at `from` or behind it a frame could begin. A cheap sieve: the loop confirms what it finds.
    pub resync: fn(bytes: &[u8], from: usize) -> Option<usize>,
    /// State for a connection of which nothing is known yet.
    pub start: fn() -> Box<dyn Protocol>,
}

/// How sure a protocol is that bytes are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Score {
    /// They are not, as far as can be seen.
    No,
    /// They could be the middle of a frame, and the port says so.
    Hinted,
    /// A frame could begin here.
    Possible,
    /// A signature.
    Sure,
}

/// A protocol's state for one connection.
pub trait Protocol: std::fmt::Debug + Send {
    /// Told before anything else of a connection whose first bytes will be seen.
    fn begin(&mut self) {}

    /// Told before anything else of a connection that was there before, if what is seen first goes to the server: since when
    /// nothing moved either way.
    fn rested(&mut self, _since: Timestamp) {}

    /// Told when a boundary was found behind bytes of that direction that were passed over, before the frame that begins there.
    fn resynced(&mut self, _to_server: bool) {}

    /// How many bytes of a frame [`Self::frame`] looks at. The loop waits for so many (or the whole frame, or a
    /// hole) before it believes the answer, which therefore does not depend on how the stream was split.
    fn head(&self) -> usize;

    /// What begins at the first byte of `head`. `to_server`: which way it goes, if known.
    fn frame(&self, head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome;

    /// What a frame means: pushes its ops.
    ///
    /// # Errors
    /// [`Unusable`] if it means nothing; then nothing was pushed.
    fn fold(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable>;

    /// What frame begins here, of whose header only `head`, if anything, was captured: where what came before in that
    /// direction tells it (the rest of a long body). If what follows does not contradict it, it comes to [`Self::fold`] too.
    fn presumed(&self, head: &[u8], to_server: bool) -> Option<Presumed> {
        let _ = (head, to_server);
        None
    }

    /// `client.id` of the connection's client, if the protocol told it.
    fn client_id(&self) -> Option<&Arc<str>>;

    /// Whether a client is connected as far as is known, so that the end of the connection means its loss.
    fn is_connected(&self) -> bool;
}

/// How far to trust that the bytes begin a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The frame before ended here: accept what brokers accept.
    Follow,
    /// They may begin anywhere: accept only what well-behaved programs send. `head` may be longer then.
    Search,
}

/// What begins at some byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A frame.
    Frame(Header),
    /// Not enough bytes to tell. Never the answer to [`Protocol::head`] bytes.
    NeedMore,
    /// `len` bytes of no interest.
    Skip {
        /// How many, at least 1.
        len: u64,
    },
    /// Nothing of this protocol.
    Invalid,
    /// The protocol ends here (another one follows): the rest of the direction is ignored.
    End,
}

/// A frame of which the header was not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presumed {
    /// Its whole length, at least 1.
    pub len: u64,
    /// Its length and that of those that must follow it.
    pub with_rest: u64,
}

/// What a frame's first bytes tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its whole length, at least 1.
    pub len: u64,
    /// How much it speaks for the protocol that such bytes are seen here: 0 little, 1 some, 2 much, up to
    /// [`Header::SIGNATURE`].
    pub weight: u32,
    /// Which way such a frame goes, if only one way is possible.
    pub to_server: Option<bool>,
    /// Whether it can only be a connection's first.
    pub opens: bool,
}

impl Header {
    /// Weight of a frame that alone proves the protocol.
    pub const SIGNATURE: u32 = 6;
}

/// Why a frame has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It breaks the protocol's rules.
    Malformed,
    /// Too little of it was captured.
    Cut,
}

/// The end of a connection that a frame was seen at.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Which protocol.
    pub system: System,
    /// Who saw it.
    pub process: ProcessKey,
    /// On which socket.
    pub socket: SocketEnd,
    /// As which side.
    pub viewpoint: Role,
}

/// A whole frame: all of its bytes have moved, the first of them are known.
#[derive(Debug)]
pub struct FrameView<'a> {
    /// Its captured beginning, `bytes.len() <= len`. Shorter where the capture limit, a hole or a loss cuts it.
    pub bytes: Bytes,
    /// Its length.
    pub len: u64,
    /// Whether it goes from client to server.
    pub to_server: bool,
    /// Whether it lies behind the frame before and nothing was missed in between.
    pub follows: bool,
    /// Where it lies.
    pub place: Place,
    /// From the entry of the call that moved its first byte to the exit of the call that moved its last.
    pub at: Interval,
    /// Entry of the call that moved its last byte.
    pub last_enter: Timestamp,
    /// The thread that moved its last byte.
    pub tid: u32,
    /// Who saw it.
    pub origin: &'a Origin,
    /// What the connections of one host tell each other.
    pub memory: &'a Memory,
    /// Where to say what the frame held that no op tells.
    pub shortfall: &'a Shortfall,
}

impl FrameView<'_> {
    /// Whether every byte is known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.len
    }

    /// An op that this frame carried.
    #[must_use]
    pub fn op(&self, client_id: Option<&Arc<str>>, kind: OpKind) -> Op {
        Op {
            system: self.origin.system,
            viewpoint: self.origin.viewpoint,
            socket: self.origin.socket,
            place: self.place,
            process: self.origin.process,
            tid: self.tid,
            at: self.at,
            last_enter: self.last_enter,
            client_id: client_id.cloned(),
            kind,
        }
    }

    /// The op of the `part`th message, from 0, of those that this frame carried.
    #[must_use]
    pub fn op_of_part(&self, part: u32, client_id: Option<&Arc<str>>, kind: OpKind) -> Op {
        let op = self.op(client_id, kind);
        // What lay in a compressed message is a part already.
        Op { place: Place { part: op.place.part.saturating_add(part), ..op.place }, ..op }
    }

    /// The op that this frame ends and `span`, which this frame was added to, carried.
    #[must_use]
    pub fn op_of(&self, span: &Stretch, client_id: Option<&Arc<str>>, kind: OpKind) -> Op {
        let op = self.op(client_id, kind);
        // An answer may have been seen before its request.
        let at = Interval { start: span.start, end: op.at.end.max(span.start) };
        Op { place: span.place, at, ..op }
    }
}

/// Frames, one behind the other, that are one message together (AMQP's method, header and body; the elements of a Redis command).
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    place: Place,
    start: Timestamp,
}

impl Stretch {
    /// Begins with a frame.
    #[must_use]
    pub fn of(view: &FrameView<'_>) -> Self {
        Self { place: view.place, start: view.at.start }
    }

    /// Where it lies, as far as it goes.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Adds the next frame; `false`, and nothing is added, if something is missing between: what was begun is lost.
    #[must_use]
    pub fn add(&mut self, view: &FrameView<'_>) -> bool {
        let follows = follows(&self.place, &view.place);
        if follows {
            self.place.length = self.place.length.saturating_add(view.place.length);
        }
        follows
    }

    /// Goes on to the end of `view`: frames of other messages may lie between (AMQP's channels). The caller has seen to
    /// it, with a [`Seam`], that nothing is missing there.
    pub fn reach(&mut self, view: &FrameView<'_>) {
        let ahead = view.place.start.wrapping_sub(self.place.start);
        // TCP's positions are modulo 2^32.
        let ahead = if self.place.exact { ahead & u64::from(u32::MAX) } else { ahead };
        self.place.length = ahead.saturating_add(view.place.length);
    }
}

/// Whether the frames of one direction come one behind the other with nothing missing between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seam {
    last: Option<Place>,
}

impl Seam {
    /// The next frame comes; `false` if something is missing before it. There is nothing before the first.
    #[must_use]
    pub fn join(&mut self, view: &FrameView<'_>) -> bool {
        let last = self.last.replace(view.place);
        last.is_none_or(|last| follows(&last, &view.place))
    }
}

/// Whether the bytes of `next` begin where those of `place` end.
fn follows(place: &Place, next: &Place) -> bool {
    let end = place.start.wrapping_add(place.length);
    let follows = match (place.exact, next.exact) {
        // TCP's positions are modulo 2^32.
        (true, true) => end & u64::from(u32::MAX) == next.start & u64::from(u32::MAX),
        (false, false) => end == next.start,
        _ => false,
    };
    follows && place.to_server == next.to_server
}
