//! The loop that is shared by all protocols, for one direction of a connection.
//!
//! It is in one of two modes. *Follow*: the read point is a frame boundary; frames are taken one after the other.
//! *Search*: it is not known where frames begin. Candidates are tried: the start of a call's bytes first, for
//! programs seldom write half frames, then every place that the protocol's `resync` finds plausible. A candidate is
//! believed once the frames that follow from it weigh enough; until then no op is made of it.

use super::{
    FrameView, Header, Memory, Origin, Outcome, Presumed, Protocol, Row, Shortfall, Trust, Unusable,
};
use crate::model::net::ConnectionKey;
use crate::model::op::{Op, Place};
use crate::track::stream::{Piece, Stream};

use super::counts::Counts;
use super::websocket::Tunnel;

mod wire;

/// Bytes of a frame that a search looks at: enough for the names that tell a frame from garbage.
pub(super) const SEARCH_HEAD: usize = 512;

/// Weight at which a candidate is believed in a connection whose protocol is known or told by its port: one telling
/// frame that fills a call, or two telling frames.
const ENOUGH: u32 = 4;

/// The same where nothing else speaks for the protocol.
const ENOUGH_UNKNOWN: u32 = Header::SIGNATURE;

/// A frame longer than this is not waited for before its beginning is believed, if a call's bytes begin with it: a search
/// cannot hold so much.
const LONG: u64 = 32 * 1024;

/// A frame shorter than this is not presumed where not even a call was seen: another as short may have been there instead,
/// to the last byte.
const SHORT: u64 = 1024;

/// Latest starts of calls that are tried while the first candidate is not settled: some frames of a program that reads
/// byte by byte.
const ALTERNATIVES: usize = 32;

/// What is lastingly known of the connection while one of its sides is worked on.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The protocol's row.
    pub(super) row: &'a Row,
    /// Which way this side's bytes go, if the role is known.
    pub(super) to_server: Option<bool>,
    /// Whether the protocol was confirmed by bytes of either side.
    pub(super) established: bool,
    /// Whether the port told the protocol.
    pub(super) hinted: bool,
    /// Nothing more will come.
    pub(super) closing: bool,
    /// The connection.
    pub(super) connection: ConnectionKey,
    /// The end that saw the frames, if the role is known.
    pub(super) origin: Option<Origin>,
    /// What the connections of one host tell each other.
    pub(super) memory: &'a Memory,
}

/// How far the loop came.
#[derive(Debug)]
pub(super) enum Step {
    /// As far as the bytes go.
    Wait,
    /// A boundary is believed. `to_server` and `opens` are what the frames told of it; the caller says how to go on.
    Found { to_server: Option<bool>, opens: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Follow,
    Search,
    /// The protocol ended.
    Over,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    /// The protocol's bytes.
    pub(super) stream: Stream,
    /// What carries them, if the connection does not itself.
    tunnel: Option<Box<Tunnel>>,
    mode: Mode,
    /// Whether nothing was passed over yet: the read point may be the connection's first byte.
    virgin: bool,
    /// The piece that was begun is of no interest.
    skipping: bool,
    /// Something was passed over since the last frame.
    missed: bool,
    /// What begins at the read point cannot be followed: a search that believes it would not end.
    refused: bool,
    /// What spoke against the protocol lately: chunks in which no frame begins, broken frames.
    pub(super) strikes: u32,
    scratch: Vec<u8>,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            stream: Stream::default(),
            tunnel: None,
            mode: Mode::Search,
            virgin: true,
            skipping: false,
            missed: false,
            refused: false,
            strikes: 0,
            scratch: Vec::new(),
        }
    }
}

impl Side {
    /// The other side saw the connection begin: so does this one, if it missed nothing.
    pub(super) fn begin(&mut self) {
        if self.virgin && self.mode == Mode::Search {
            self.mode = Mode::Follow;
            self.refused = false;
        }
    }

    /// Whether nothing was passed over yet.
    pub(super) fn is_virgin(&self) -> bool {
        self.virgin
    }

    /// The boundary that was found is accepted.
    pub(super) fn follow(&mut self, counts: &mut Counts) {
        self.mode = Mode::Follow;
        counts.resyncs += u64::from(!self.virgin);
        self.virgin = false;
    }

    /// The boundary that was found is not accepted: it waits for more, or is passed over if there is no room.
    pub(super) fn wait(&mut self, known: &Known<'_>, counts: &mut Counts) -> bool {
        let full = self.stream.is_full();
        if full {
            self.pass_over(known, counts);
        }
        full
    }

    /// Passes over `len` bytes that no protocol explains.
    pub(super) fn pass(&mut self, len: u64) {
        self.virgin = false;
        self.missed = true;
        self.refused = false;
        self.stream.skip(len);
    }

    /// Forgets what it believed.
    pub(super) fn restart(&mut self) {
        self.mode = Mode::Search;
        self.refused = false;
        self.strikes = 0;
    }

    /// Makes ops of what is here, as far as it goes.
    pub(super) fn advance(
        &mut self,
        known: &Known<'_>,
        protocol: &mut dyn Protocol,
        counts: &mut Counts,
        out: &mut Vec<Op>,
    ) -> Step {
        loop {
            match self.drain(known, protocol, counts, out) {
                Step::Wait if self.fill(known.to_server) => {}
                step => return step,
            }
        }
    }

    /// Makes ops of what the stream holds.
    fn drain(
        &mut self,
        known: &Known<'_>,
        protocol: &mut dyn Protocol,
        counts: &mut Counts,
        out: &mut Vec<Op>,
    ) -> Step {
        self.stream.keep(known.row.keep);
        loop {
            match self.mode {
                Mode::Over => {
                    self.stream.skip(u64::MAX);
                    return Step::Wait;
                }
                Mode::Follow => {
                    let Some(origin) = &known.origin else { return Step::Wait };
                    if !self.step(known, origin, protocol, counts, out) {
                        return Step::Wait;
                    }
                }
                Mode::Search => match self.search(known, protocol, counts) {
                    Verdict::Wait if self.stream.is_full() => self.pass_over(known, counts),
                    Verdict::Wait => return Step::Wait,
                    Verdict::Refuted => self.pass_over(known, counts),
                    Verdict::Found { .. } if self.refused => self.pass_over(known, counts),
                    Verdict::Found { to_server, opens } => return Step::Found { to_server, opens },
                },
            }
        }
    }

    /// One step in follow mode; `false` if it has to wait.
    fn step(
        &mut self,
        known: &Known<'_>,
        origin: &Origin,
        protocol: &mut dyn Protocol,
        counts: &mut Counts,
        out: &mut Vec<Op>,
    ) -> bool {
        if self.stream.is_partial() {
            let Some(piece) = self.stream.resume() else { return false };
            self.fold(piece, known, origin, protocol, counts, out);
            return true;
        }
        let want = protocol.head();
        let peek = self.stream.peek(0, want, &mut self.scratch);
        if peek.bytes.is_empty() && !peek.cut {
            return false;
        }
        let seen = peek.bytes.len() as u64;
        let outcome = match peek.bytes {
            [] => Outcome::NeedMore,
            bytes => protocol.frame(bytes, known.to_server, Trust::Follow),
        };
        let cut = peek.cut;
        let presumed = match outcome {
            // The header lies in a hole.
            Outcome::NeedMore if cut => protocol.presumed(peek.bytes, known.to_server == Some(true)),
            _ => None,
        };
        if let Some(presumed) = presumed.filter(|presumed| presumed.len > 0) {
            match self.is_likely(presumed, seen, known, protocol) {
                // What comes may show that it is none.
                None if !self.stream.is_full() && !known.closing => return false,
                Some(false) => {}
                _ => {
                    self.virgin = false;
                    if let Some(piece) = self.stream.take(presumed.len) {
                        self.fold(piece, known, origin, protocol, counts, out);
                    }
                    return true;
                }
            }
        }
        match outcome {
            Outcome::Frame(Header { len, .. }) | Outcome::Skip { len } if len > 0 => {
                if seen < len.min(want as u64) && !cut && !known.closing {
                    return false;
                }
                self.virgin = false;
                self.skipping = matches!(outcome, Outcome::Skip { .. });
                self.forget_places();
                let Some(piece) = self.stream.take(len) else {
                    // Not begun: a loss of unknown length cuts it.
                    self.missed |= !self.stream.is_partial();
                    return !self.stream.is_partial();
                };
                self.fold(piece, known, origin, protocol, counts, out);
                true
            }
            Outcome::NeedMore if !cut && seen < want as u64 => false,
            Outcome::NeedMore if cut => {
                self.mode = Mode::Search;
                self.virgin = false;
                self.missed = true;
                self.refused = true;
                true
            }
            Outcome::End => {
                self.mode = Mode::Over;
                true
            }
            Outcome::NeedMore | Outcome::Frame(_) | Outcome::Skip { .. } | Outcome::Invalid => {
                counts.invalid += 1;
                self.strikes += 1;
                self.mode = Mode::Search;
                self.missed = true;
                self.refused = true;
                true
            }
        }
    }

    /// Whether what was captured agrees with a frame, of which only the first `seen` bytes are known and which is believed
    /// for what came before; `None` if it may tell once more is there.
    fn is_likely(
        &mut self,
        presumed: Presumed,
        seen: u64,
        known: &Known<'_>,
        protocol: &dyn Protocol,
    ) -> Option<bool> {
        let Presumed { len, with_rest } = presumed;
        if (len < SHORT && self.stream.is_lost(seen)) || self.stream.is_broken_before(len) {
            return Some(false);
        }
        // It swallows no other.
        if let Some(again) = self.stream.next_captured(seen).filter(|again| *again < len) {
            let peek = self.stream.peek(again, SEARCH_HEAD, &mut self.scratch);
            let outcome = protocol.frame(peek.bytes, known.to_server, Trust::Search);
            if matches!(outcome, Outcome::Frame(header) if header.weight > 0) {
                return Some(false);
            }
        }
        Some(self.may_end(len, known, protocol)? || self.may_end(with_rest, known, protocol) == Some(true))
    }

    /// Whether a frame may end `len` bytes behind the read point: another begins there, or nothing came since, or that
    /// cannot be seen. Where not even calls were seen anything may lie, so there it does not. `None` if bytes before that
    /// are still to come.
    fn may_end(&mut self, len: u64, known: &Known<'_>, protocol: &dyn Protocol) -> Option<bool> {
        if self.stream.available() < len {
            return None;
        }
        let peek = self.stream.peek(len, protocol.head(), &mut self.scratch);
        Some(match (peek.bytes, peek.cut) {
            ([], true) => !self.stream.is_lost(len),
            ([], false) => true,
            (bytes, _) => protocol.frame(bytes, known.to_server, Trust::Follow) != Outcome::Invalid,
        })
    }

    fn fold(
        &mut self,
        piece: Piece,
        known: &Known<'_>,
        origin: &Origin,
        protocol: &mut dyn Protocol,
        counts: &mut Counts,
        out: &mut Vec<Op>,
    ) {
        if std::mem::take(&mut self.skipping) {
            counts.skipped_bytes = counts.skipped_bytes.saturating_add(piece.len);
            return;
        }
        counts.frames += 1;
        let to_server = known.to_server == Some(true);
        let place = Place {
            connection: known.connection,
            to_server,
            start: piece.start,
            length: piece.len,
            exact: piece.exact,
            part: 0,
        };
        let shortfall = Shortfall::default();
        let view = FrameView {
            place: self.place(&piece, place),
            bytes: piece.bytes,
            len: piece.len,
            to_server,
            follows: !std::mem::take(&mut self.missed),
            at: piece.at,
            last_enter: piece.last_enter,
            tid: piece.tid,
            origin,
            memory: known.memory,
            shortfall: &shortfall,
        };
        let before = out.len();
        let folded = protocol.fold(view, out);
        counts.over_messages += shortfall.messages.get();
        counts.over_bodies += shortfall.bodies.get();
        counts.undefined += shortfall.undefined.get();
        match folded {
            Ok(()) => {
                counts.ops += out.len().saturating_sub(before) as u64;
                self.strikes = self.strikes.saturating_sub(1);
            }
            Err(Unusable::Cut) => counts.cut_frames += 1,
            // Its length may still be right, so the next frame is tried where it ends.
            Err(Unusable::Malformed) => {
                counts.invalid += 1;
                self.strikes += 1;
            }
        }
    }

    /// Looks for a boundary: at the read point, and while that is not settled, where later calls began.
    fn search(&mut self, known: &Known<'_>, protocol: &dyn Protocol, counts: &mut Counts) -> Verdict {
        let verdict = self.try_at(0, self.stream.at_chunk_start(), known, protocol);
        if !matches!(verdict, Verdict::Wait) {
            return verdict;
        }
        // A length that is garbage must not make everything behind it wait.
        for back in (0..ALTERNATIVES).rev() {
            let Some(offset) = self.stream.recent_chunk(back) else { continue };
            if let found @ Verdict::Found { .. } = self.try_at(offset, true, known, protocol) {
                counts.skipped_bytes = counts.skipped_bytes.saturating_add(offset);
                self.pass(offset);
                return found;
            }
        }
        Verdict::Wait
    }

    /// Whether a frame begins `from` bytes behind the read point. `at_call`: a call's bytes begin there.
    fn try_at(&mut self, from: u64, at_call: bool, known: &Known<'_>, protocol: &dyn Protocol) -> Verdict {
        let sure = known.established || known.hinted;
        let enough = if sure { ENOUGH } else { ENOUGH_UNKNOWN };
        // Before the bytes have shown the protocol, a role that was told may be wrong too; but that takes a signature.
        let direction = if known.established { known.to_server } else { None };
        let available = self.stream.available();
        let mut weight = u32::from(at_call);
        let (mut to_server, mut opens) = (None, false);
        let mut offset = from;
        loop {
            let peek = self.stream.peek(offset, SEARCH_HEAD, &mut self.scratch);
            if peek.bytes.is_empty() {
                // All frames so far fit to the last byte: that is enough when nothing more can come.
                let last = known.closing && sure && at_call && offset > from;
                return match (peek.cut, last) {
                    (true, _) => Verdict::Refuted,
                    (false, true) => Verdict::Found { to_server, opens },
                    (false, false) => Verdict::Wait,
                };
            }
            let cut = peek.cut;
            let header = match protocol.frame(peek.bytes, direction, Trust::Search) {
                Outcome::Frame(header) if header.len > 0 => header,
                Outcome::Skip { len } if len > 0 => Header { len, weight: 0, to_server: None, opens: false },
                Outcome::NeedMore if !peek.cut && peek.bytes.len() < SEARCH_HEAD => return Verdict::Wait,
                _ => return Verdict::Refuted,
            };
            let expected =
                if header.weight < Header::SIGNATURE { to_server.or(known.to_server) } else { to_server };
            if expected.is_some() && header.to_server.is_some() && expected != header.to_server {
                return Verdict::Refuted;
            }
            to_server = to_server.or(header.to_server);
            opens |= header.opens && offset == from;
            let start = offset;
            offset = offset.saturating_add(header.len);
            let whole = offset <= available;
            weight = weight.saturating_add(header.weight);
            // In the middle of a call, what nothing speaks for begins nothing.
            if header.weight == 0 && start == from && !at_call && (whole || cut) {
                return Verdict::Refuted;
            }
            let fits = whole && self.stream.fills_calls(start, offset, known.row.apart);
            weight = weight.saturating_add(u32::from(fits));
            // Of a frame that is not all here yet the length may be garbage, which could swallow much. To the weight of
            // a long one the end is missing, so one less is enough.
            let long = at_call && sure && from == 0 && header.len > LONG;
            if (whole && weight >= enough) || (long && !whole && weight + 1 >= enough) {
                return Verdict::Found { to_server, opens };
            }
            if !whole {
                return Verdict::Wait;
            }
        }
    }

    /// Goes on to the next candidate.
    fn pass_over(&mut self, known: &Known<'_>, counts: &mut Counts) {
        let front = self.stream.front();
        let len = match (known.row.resync)(front, 1) {
            Some(index) if index > 0 && index < front.len() => index as u64,
            _ => {
                self.strikes += u32::from(!front.is_empty());
                self.stream.front_size()
            }
        };
        counts.skipped_bytes = counts.skipped_bytes.saturating_add(len);
        self.pass(len);
    }
}

enum Verdict {
    Found { to_server: Option<bool>, opens: bool },
    Wait,
    Refuted,
}
