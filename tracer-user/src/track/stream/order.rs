//! Puts chunks in the order of the stream and names what is missing between them.

use bytes::{Buf, Bytes};

use super::assembly::{Assembly, Segment};
use super::{Chunk, Counts, Piece};
use crate::model::capture::Position;
use crate::model::time::Timestamp;

/// Chunks that may wait for an earlier one. Events overtake each other only when two threads leave their calls at
/// the same moment on two CPUs, so more than a few never wait at once.
pub const REORDER_CHUNKS: usize = 16;

/// Captured bytes that may wait for an earlier chunk: some chunks of the greatest capture length.
pub const REORDER_BYTES: usize = 256 * 1024;

/// How long a chunk waits for an earlier one, in ns: more than a thread is kept from running between the end of its
/// call and the hand-over of the event, less than anybody who waits for a trace notices.
pub const REORDER_WINDOW: u64 = 50_000_000;

/// Calls whose bytes are waited for: a program that sends files makes a few calls for each answer, of which only the last
/// have bytes that have not left yet.
pub const PROMISES: usize = 64;

/// How long the bytes of a call are waited for after it returned, in ns: packets leave at once unless the peer or the
/// network is slow; what comes later than this would come too late for its trace.
pub const PROMISED_WINDOW: u64 = 250_000_000;

/// Chunks that may wait for bytes that were promised: what a busy connection moves in a round trip.
pub const PROMISED_CHUNKS: usize = 256;

/// Captured bytes that may wait for bytes that were promised.
pub const PROMISED_BYTES: usize = 1024 * 1024;

/// A position this far behind the newest one is a repetition; farther behind it is taken as a jump forward. Great
/// enough for any number of late chunks, small against the 2^32 positions there are.
const BACKWARD: u32 = 1 << 26;

/// Where counting begins: high enough for positions before the first one seen.
const ORIGIN: u64 = 1 << 40;

/// The order of one stream.
///
/// Positions are counted in 64 bits from [`ORIGIN`]; `shift` translates them to TCP's numbers.
#[derive(Debug)]
pub(super) struct Order {
    /// Behind the last byte that was handed on.
    end: u64,
    /// TCP number of position 0, as soon as one number was seen.
    shift: Option<u32>,
    /// Chunks beyond `end`, by position.
    ahead: Vec<Segment>,
    /// Chunks of which only the earliest possible position is known, in the order they came.
    contested: Vec<Segment>,
    /// Calls that moved bytes which packets will show, by position; those before `end` are fulfilled and gone.
    promised: Vec<Segment>,
    /// Events were lost since the last chunk.
    lossy: bool,
    /// Latest time seen.
    now: Timestamp,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            end: ORIGIN,
            shift: None,
            ahead: Vec::new(),
            contested: Vec::new(),
            promised: Vec::new(),
            lossy: false,
            now: Timestamp(0),
        }
    }
}

impl Order {
    pub(super) fn push(&mut self, chunk: Chunk, to: &mut Assembly, counts: &mut Counts) {
        let size = chunk.payload.size;
        if size == 0 {
            return;
        }
        counts.chunks += 1;
        counts.bytes = counts.bytes.saturating_add(size);
        self.now = self.now.max(chunk.at.end);
        let position = chunk.position;
        let mut segment = Segment::new(self.end, chunk);
        match position {
            Position::Sequence(number) => {
                segment.start = self.locate(number);
                segment.exact = true;
                self.place(segment, to, counts);
                self.lossy = false;
            }
            // Without any number yet there is nothing to settle the contest with.
            Position::Contested(number) if self.shift.is_some() => {
                segment.start = self.locate(number);
                self.contested.push(segment);
                if self.contested.len() > REORDER_CHUNKS {
                    self.release_contested(to, counts);
                }
            }
            Position::Contested(_) | Position::Unknown | Position::Offset(_) => {
                self.release_all(to, counts);
                if std::mem::take(&mut self.lossy) {
                    self.lose(None, to, counts);
                }
                segment.start = self.end;
                self.append(segment, to, counts);
            }
        }
        self.expire(self.now, to, counts);
    }

    /// Without a position there is nowhere to wait for the bytes.
    pub(super) fn promise(&mut self, chunk: Chunk, to: &mut Assembly, counts: &mut Counts) {
        let Position::Sequence(number) = chunk.position else { return self.push(chunk, to, counts) };
        self.now = self.now.max(chunk.at.end);
        let mut segment = Segment::new(self.locate(number), chunk);
        segment.exact = true;
        if segment.end() <= self.end {
            return;
        }
        let index = self.promised.partition_point(|s| s.start <= segment.start);
        self.promised.insert(index, segment);
        if self.promised.len() > PROMISES {
            self.step(to, counts);
        }
        self.expire(self.now, to, counts);
    }

    pub(super) fn gap(&mut self, to: &mut Assembly, counts: &mut Counts) {
        self.release_all(to, counts);
        self.lossy = true;
    }

    pub(super) fn expire(&mut self, now: Timestamp, to: &mut Assembly, counts: &mut Counts) {
        if !self.is_waiting() {
            return;
        }
        self.now = self.now.max(now);
        while !self.ahead.is_empty() || !self.promised.is_empty() {
            let held = self.ahead.iter().map(|s| s.captured.len()).sum::<usize>();
            let over = match self.promised.first().filter(|s| s.start <= self.end) {
                Some(promise) => {
                    self.ahead.len() > PROMISED_CHUNKS
                        || held > PROMISED_BYTES
                        || self.now.since(promise.exit) >= PROMISED_WINDOW
                }
                None => {
                    self.ahead.len() > REORDER_CHUNKS
                        || held > REORDER_BYTES
                        || self.ahead.iter().any(|s| self.now.since(s.exit) >= REORDER_WINDOW)
                        || self.promised.iter().any(|s| self.now.since(s.exit) >= PROMISED_WINDOW)
                }
            };
            if !over {
                break;
            }
            self.step(to, counts);
        }
        if self.contested.first().is_some_and(|s| self.now.since(s.exit) >= REORDER_WINDOW) {
            self.release_contested(to, counts);
        }
    }

    pub(super) fn flush(&mut self, to: &mut Assembly, counts: &mut Counts) {
        self.release_all(to, counts);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.ahead.is_empty() || !self.contested.is_empty() || !self.promised.is_empty()
    }

    /// Gives a piece the position that the outside knows.
    pub(super) fn named(&self, mut piece: Piece) -> Piece {
        piece.start = self.name(piece.start, piece.exact);
        piece
    }

    pub(super) fn end(&self) -> (u64, bool) {
        (self.name(self.end, self.shift.is_some()), self.shift.is_some())
    }

    fn name(&self, position: u64, exact: bool) -> u64 {
        match self.shift {
            Some(shift) if exact => u64::from((position as u32).wrapping_add(shift)),
            _ => position.saturating_sub(ORIGIN),
        }
    }

    /// The 64-bit position of a TCP number: up to [`BACKWARD`] before `end`, else behind it.
    fn locate(&mut self, number: u32) -> u64 {
        let shift = *self.shift.get_or_insert(number.wrapping_sub(self.end as u32));
        let forward = number.wrapping_sub((self.end as u32).wrapping_add(shift));
        let backward = forward.wrapping_neg();
        if backward <= BACKWARD {
            self.end.saturating_sub(u64::from(backward))
        } else {
            self.end.saturating_add(u64::from(forward))
        }
    }

    fn place(&mut self, segment: Segment, to: &mut Assembly, counts: &mut Counts) {
        if segment.start > self.end {
            let missing = segment.start - self.end;
            let contested: u64 = self.contested.iter().map(|s| s.size).fold(0, u64::saturating_add);
            if self.lossy || (contested == missing && self.ahead.is_empty()) {
                self.close_gap(segment.start, to, counts);
            } else {
                counts.reordered += 1;
                let index = self.ahead.partition_point(|s| s.start <= segment.start);
                self.ahead.insert(index, segment);
                return;
            }
        }
        self.join(segment, to, counts);
        self.drain(to, counts);
    }

    /// Hands on a segment that begins at `end` or before it.
    fn join(&mut self, mut segment: Segment, to: &mut Assembly, counts: &mut Counts) {
        let known = self.end.saturating_sub(segment.start);
        if known > 0 {
            counts.duplicates += 1;
            if known >= segment.size {
                return;
            }
            segment.trim(known);
        }
        self.append(segment, to, counts);
    }

    /// Hands on what no longer waits.
    fn drain(&mut self, to: &mut Assembly, counts: &mut Counts) {
        while self.ahead.first().is_some_and(|s| s.start <= self.end) {
            let segment = self.ahead.remove(0);
            self.join(segment, to, counts);
        }
    }

    /// Ends the wait for what comes next: it is a hole if it was promised, else lost.
    fn step(&mut self, to: &mut Assembly, counts: &mut Counts) {
        let ahead = self.ahead.first().map(|s| s.start);
        match self.promised.first().map(|s| s.start) {
            Some(start) if ahead.is_none_or(|ahead| start < ahead) => {
                if start > self.end {
                    return self.close_gap(start, to, counts);
                }
                let mut hole = self.promised.remove(0);
                hole.trim(self.end.saturating_sub(hole.start).min(hole.size.saturating_sub(1)));
                if let Some(ahead) = ahead.filter(|ahead| *ahead < hole.end()) {
                    // What lies behind these bytes may come yet.
                    let mut rest = hole.clone();
                    rest.trim(ahead.saturating_sub(hole.start));
                    hole.size = ahead.saturating_sub(hole.start);
                    self.promised.insert(0, rest);
                }
                counts.chunks += 1;
                counts.bytes = counts.bytes.saturating_add(hole.size);
                counts.unfilled_bytes = counts.unfilled_bytes.saturating_add(hole.size);
                self.append(hole, to, counts);
                self.drain(to, counts);
            }
            _ => {
                if let Some(start) = ahead {
                    self.close_gap(start, to, counts);
                }
            }
        }
    }

    /// Fills the stretch up to `until`: with contested chunks if they fit exactly, else it is lost.
    fn close_gap(&mut self, until: u64, to: &mut Assembly, counts: &mut Counts) {
        let missing = until.saturating_sub(self.end);
        let contested: u64 = self.contested.iter().map(|s| s.size).fold(0, u64::saturating_add);
        if contested == missing && missing > 0 {
            // One alone can be nowhere else; of several the order is a guess.
            let sure = self.contested.len() == 1;
            self.contested.sort_by_key(|s| s.start);
            for mut segment in std::mem::take(&mut self.contested) {
                segment.start = self.end;
                segment.exact = sure;
                self.append(segment, to, counts);
            }
        } else if missing > 0 {
            let before = self.contested.len();
            self.contested.retain(|s| s.start >= until);
            counts.unplaced += (before - self.contested.len()) as u64;
            self.lose(Some(missing), to, counts);
        }
        self.drain(to, counts);
    }

    fn release_contested(&mut self, to: &mut Assembly, counts: &mut Counts) {
        self.contested.sort_by_key(|s| s.start);
        for mut segment in std::mem::take(&mut self.contested) {
            segment.start = self.end;
            self.append(segment, to, counts);
        }
    }

    fn release_all(&mut self, to: &mut Assembly, counts: &mut Counts) {
        while !self.ahead.is_empty() || !self.promised.is_empty() {
            self.step(to, counts);
        }
        self.release_contested(to, counts);
    }

    /// `missing` bytes are lost, or nobody knows how many: then one stands for them.
    fn lose(&mut self, missing: Option<u64>, to: &mut Assembly, counts: &mut Counts) {
        counts.gaps += 1;
        counts.gap_bytes = counts.gap_bytes.saturating_add(missing.unwrap_or(0));
        let size = missing.unwrap_or(1);
        let lost = Segment {
            start: self.end,
            size,
            captured: Bytes::new(),
            enter: self.now,
            last_enter: self.now,
            exit: self.now,
            tid: 0,
            exact: self.shift.is_some(),
            lost: true,
            broken: missing.is_none(),
        };
        self.append(lost, to, counts);
    }

    fn append(&mut self, segment: Segment, to: &mut Assembly, counts: &mut Counts) {
        self.end = segment.end();
        to.append(segment, counts);
        self.promised.retain(|s| s.end() > self.end);
    }
}

impl Segment {
    /// What one call moved, `start` being where it lies as far as is known yet.
    fn new(start: u64, chunk: Chunk) -> Self {
        let mut segment = Self {
            start,
            size: chunk.payload.size,
            captured: chunk.payload.captured,
            enter: chunk.at.start,
            last_enter: chunk.at.start,
            exit: chunk.at.end.max(chunk.at.start),
            tid: chunk.tid,
            exact: false,
            lost: false,
            broken: false,
        };
        segment.limit();
        segment
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// Keeps to `captured.len() <= size`.
    fn limit(&mut self) {
        if self.captured.len() as u64 > self.size {
            self.captured.truncate(self.size as usize);
        }
    }

    /// Takes `count < size` bytes off the front.
    pub(super) fn trim(&mut self, count: u64) {
        self.start = self.start.saturating_add(count);
        self.size = self.size.saturating_sub(count);
        let captured = usize::try_from(count).unwrap_or(usize::MAX).min(self.captured.len());
        self.captured.advance(captured);
    }
}
