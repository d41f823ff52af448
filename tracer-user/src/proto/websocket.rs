//! WebSockets (RFC 6455): takes a protocol's bytes out of the frames that carry them.
//!
//! A layer between a connection's bytes and the protocol ([`super::side`]), which knows no protocol. What the frames of
//! one direction carry is one stream: where messages and frames end means nothing (MQTT 5, section 6.0). Times, threads and
//! the limits of calls go through, and so do positions: an operation's place is where its bytes lie in the connection, so
//! that both ends, and the kernel's positions, agree.
//!
//! A WebSocket is known by the HTTP exchange that it begins with, or in its middle by a frame whose payload is a frame of
//! a broker's protocol. What is compressed (permessage-deflate, RFC 7692) is inflated, message by message; what cannot be,
//! because something before it is missing, is counted and passed over.

mod frame;
mod inflate;
mod packed;
mod places;
mod recognise;
mod upgrade;

use bytes::BytesMut;

use self::frame::{Frame, HEAD, Head, Kind, unmask};
use self::packed::{Cut, Packed};
use self::places::{Places, Stretch};
pub(super) use self::recognise::{Recognised, recognise};
use self::upgrade::{Progress, Upgrade};
use crate::model::capture::Position;
use crate::model::op::Place;
use crate::model::payload::Payload;
use crate::track::stream::{Chunk, Piece, Stream};

/// A frame longer than this is not waited for to find out where frames begin: it costs the messages in it.
const LONG: u64 = 32 * 1024;

/// Latest starts of calls that are tried while the first is not settled.
const ALTERNATIVES: usize = 32;

/// Frames one behind the other that are believed wherever they begin.
const ENOUGH: u32 = 4;

/// One direction of a WebSocket.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// The connection's bytes.
    raw: Stream,
    state: State,
    /// Bytes taken off `raw`.
    passed: u64,
    /// Whether the message that is under way is compressed.
    compressed: bool,
    /// What undoes that, once something was compressed.
    packed: Option<Box<Packed>>,
    /// Where the message before ended, if that could not be read.
    cut: Option<Cut>,
    places: Places,
    pub(super) counts: Counts,
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Compressed bytes of messages that could not be read, or not to their end.
    pub(super) compressed_bytes: u64,
    /// Inflated bytes that were let go because [`inflate::KEPT`] was reached.
    pub(super) cut_bytes: u64,
    /// Bytes in which no frame was found.
    pub(super) skipped_bytes: u64,
    /// Stretches in which none was found.
    pub(super) strikes: u32,
}

impl Counts {
    fn unread(&mut self, compressed: u64) {
        self.compressed_bytes = self.compressed_bytes.saturating_add(compressed);
    }
}

#[derive(Debug)]
enum State {
    /// In the HTTP request or answer.
    Upgrade(Box<Upgrade>),
    /// Where frames begin is not known.
    Search,
    /// A frame begins here.
    Frame,
    /// In a frame's payload. `fin`: the message ends with it.
    Payload { left: u64, mask: Option<[u8; 4]>, phase: u8, kind: Kind, fin: bool },
    /// No frames come any more.
    Over,
}

/// How a tunnel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// With the HTTP request or answer, if it was seen.
    Upgrade,
    /// With a frame.
    Frame,
    /// Nobody knows.
    Anywhere,
}

impl Tunnel {
    /// The WebSocket that goes through `raw`.
    pub(super) fn new(raw: Stream, begin: Begin) -> Self {
        let state = match begin {
            Begin::Upgrade => State::Upgrade(Box::default()),
            Begin::Frame => State::Frame,
            Begin::Anywhere => State::Search,
        };
        Self {
            raw,
            state,
            passed: 0,
            compressed: false,
            packed: None,
            cut: None,
            places: Places::default(),
            counts: Counts::default(),
        }
    }

    /// The connection's bytes.
    pub(super) fn raw(&self) -> &Stream {
        &self.raw
    }

    /// Whether a frame is half here.
    pub(super) fn is_half(&self) -> bool {
        let in_payload = matches!(self.state, State::Payload { left: 1.., .. });
        let in_message = self.packed.as_ref().is_some_and(|packed| packed.is_half());
        !matches!(self.state, State::Over) && (in_payload || in_message || self.raw.is_half())
    }

    pub(super) fn raw_mut(&mut self) -> &mut Stream {
        &mut self.raw
    }

    /// It is no WebSocket: the connection's bytes as far as they were not taken.
    pub(super) fn into_raw(self) -> Stream {
        self.raw
    }

    /// Nothing that lies before the read point of `to`, the stream of payloads, is asked for any more.
    pub(super) fn forget(&mut self, to: &Stream) {
        if !to.is_partial() {
            self.places.forget(to.end().0.saturating_sub(to.available()));
        }
    }

    /// Where in the connection `piece` of the stream of payloads lies.
    pub(super) fn place(&self, piece: &Piece, place: Place) -> Place {
        self.places.of(piece, place)
    }

    /// Puts the next stretch of payload into `to`; `false` if that has to wait for more bytes. `masked`: whether this
    /// direction's frames are, if known.
    pub(super) fn pump(&mut self, to: &mut Stream, masked: Option<bool>) -> bool {
        loop {
            if let Some(cut) = self.cut.take()
                && self.end_cut(&cut, to)
            {
                return true;
            }
            let step = match &mut self.state {
                State::Upgrade(upgrade) => {
                    let progress = match (self.raw.front_size(), self.raw.front()) {
                        (0, _) => return false,
                        (_, []) => Progress::Not,
                        (_, front) => upgrade.take(front),
                    };
                    self.upgraded(progress, to)
                }
                State::Search => self.search(masked),
                State::Frame => self.head(to, masked),
                State::Payload { .. } => self.payload(to),
                State::Over => {
                    self.raw.skip(u64::MAX);
                    Step::Wait
                }
            };
            match step {
                Step::Wait => return false,
                Step::On => {}
                Step::Moved => return true,
            }
        }
    }

    fn upgraded(&mut self, progress: Progress, to: &mut Stream) -> Step {
        let front = self.raw.front().len() as u64;
        match progress {
            Progress::More if front == self.raw.front_size() => self.pass(front),
            Progress::Done { behind, upgrades: true } => {
                self.pass(behind as u64);
                self.state = State::Frame;
            }
            // Something else of HTTP; the next request may be the one.
            Progress::Done { behind, upgrades: false } => {
                self.counts.skipped_bytes = self.counts.skipped_bytes.saturating_add(behind as u64);
                self.counts.strikes += 1;
                self.pass(behind as u64);
                self.state = State::Upgrade(Box::default());
            }
            // The rest was not captured, or there was none.
            Progress::More | Progress::Not => self.lost(to),
        }
        Step::On
    }

    /// Nobody knows any more where frames begin.
    fn lost(&mut self, to: &mut Stream) {
        self.state = State::Search;
        // Where messages are compressed, what goes on next is more likely so than not, and then nobody can read it.
        self.compressed = self.packed.is_some();
        if let Some(packed) = &mut self.packed {
            self.counts.unread(packed.lose());
        }
        to.gap();
    }

    fn pass(&mut self, len: u64) {
        self.raw.skip(len);
        self.passed = self.passed.saturating_add(len);
    }

    fn head(&mut self, to: &mut Stream, masked: Option<bool>) -> Step {
        let mut scratch = Vec::new();
        let peek = self.raw.peek(0, HEAD, &mut scratch);
        let frame = match Frame::read(peek.bytes, masked) {
            Head::Frame(frame) => frame,
            Head::NeedMore if !peek.cut => return Step::Wait,
            Head::NeedMore | Head::Invalid => {
                self.counts.strikes += u32::from(!peek.cut);
                self.lost(to);
                return Step::On;
            }
        };
        self.pass(frame.size);
        if let Kind::Message { compressed } = frame.kind {
            self.compressed = compressed;
            if compressed {
                self.counts.unread(self.packed.get_or_insert_default().begin());
            }
        }
        let Frame { kind, fin, len, mask, .. } = frame;
        self.state = State::Payload { left: len, mask, phase: 0, kind, fin };
        Step::On
    }

    fn payload(&mut self, to: &mut Stream) -> Step {
        let State::Payload { left, mask, phase, kind, fin } = &mut self.state else { return Step::On };
        let is_data = matches!(kind, Kind::Message { .. } | Kind::Continuation);
        if *left == 0 {
            let ends = *fin && is_data;
            self.state = if *kind == Kind::Close { State::Over } else { State::Frame };
            return if ends { self.end_message(to) } else { Step::On };
        }
        let count = self.raw.front_size().min(*left);
        if count == 0 {
            return Step::Wait;
        }
        let (mask, at) = (*mask, *phase);
        *left -= count;
        *phase = (at + u8::try_from(count % 4).unwrap_or(0)) % 4;
        if !is_data {
            self.pass(count);
            return Step::On;
        }
        let Some(piece) = self.raw.take(count) else {
            // A loss of unknown length.
            self.pass(count);
            self.lost(to);
            return Step::On;
        };
        match &mut self.packed {
            Some(packed) if self.compressed => {
                packed.take(&piece, mask, at, self.passed);
                self.passed = self.passed.saturating_add(count);
                Step::On
            }
            _ => {
                self.hand_on(piece, mask, at, to);
                Step::Moved
            }
        }
    }

    /// Gives a stretch of payload to the protocol.
    fn hand_on(&mut self, piece: Piece, mask: Option<[u8; 4]>, phase: u8, to: &mut Stream) {
        self.forget(to);
        let captured = match mask {
            None => piece.bytes,
            Some(mask) => {
                let mut bytes = BytesMut::from(&*piece.bytes);
                unmask(&mut bytes, mask, phase);
                bytes.freeze()
            }
        };
        to.push(Chunk {
            position: Position::Unknown,
            at: piece.at,
            tid: piece.tid,
            payload: Payload { captured, size: piece.len },
        });
        self.places.push(Stretch {
            inner: to.end().0.saturating_sub(piece.len),
            size: piece.len,
            passed: self.passed,
            start: piece.start,
            exact: piece.exact,
            packed: None,
        });
        self.passed = self.passed.saturating_add(piece.len);
    }

    /// Looks for a frame: where calls began, and within a call where several fit one behind the other.
    fn search(&mut self, masked: Option<bool>) -> Step {
        loop {
            if self.raw.available() == 0 {
                return Step::Wait;
            }
            let mut wait = false;
            let mut found = None;
            if self.raw.at_chunk_start() {
                match self.chain(0, masked) {
                    Chain::Fits(_) => found = Some(0),
                    Chain::Beyond => wait = !self.raw.is_full(),
                    Chain::Broken => {}
                }
            }
            if wait {
                found = (0..ALTERNATIVES)
                    .rev()
                    .filter_map(|back| self.raw.recent_chunk(back))
                    .find(|&offset| matches!(self.chain(offset, masked), Chain::Fits(_)));
                if found.is_none() {
                    return Step::Wait;
                }
            }
            if found.is_none() {
                let front = self.raw.front().len() as u64;
                found = (1..front).find(|&at| matches!(self.chain(at, masked), Chain::Fits(2..)));
            }
            let passed = found.unwrap_or_else(|| self.raw.front_size());
            self.counts.skipped_bytes = self.counts.skipped_bytes.saturating_add(passed);
            self.counts.strikes += u32::from(found.is_none() && !self.raw.front().is_empty());
            self.pass(passed);
            if found.is_some() {
                self.state = State::Frame;
                return Step::On;
            }
        }
    }

    /// The frames that seem to follow one another from `from` on.
    fn chain(&self, from: u64, masked: Option<bool>) -> Chain {
        let available = self.raw.available();
        let mut scratch = Vec::new();
        let (mut at, mut frames) = (from, 0);
        while frames < ENOUGH {
            let peek = self.raw.peek(at, HEAD, &mut scratch);
            let frame = match Frame::read(peek.bytes, masked) {
                Head::Frame(frame) if frame.len <= LONG => frame,
                Head::NeedMore if !peek.cut => return Chain::Beyond,
                _ => return Chain::Broken,
            };
            at = at.saturating_add(frame.total());
            frames += 1;
            if at == available {
                return Chain::Fits(frames);
            }
            if at > available {
                return Chain::Beyond;
            }
        }
        Chain::Fits(frames)
    }
}

enum Step {
    /// More bytes are needed.
    Wait,
    /// Go on.
    On,
    /// Something came for the protocol.
    Moved,
}

enum Chain {
    /// So many, to the end of what is here or enough of them.
    Fits(u32),
    /// The last one is not here to its end.
    Beyond,
    Broken,
}
