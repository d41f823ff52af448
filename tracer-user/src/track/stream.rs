//! One direction of one connection as one process sees it: chunks of calls in, a gap-aware row of bytes out.
//!
//! Three steps, each in its own file: `order` turns positions into a contiguous row of segments (out-of-order
//! arrival, duplicates, wrap-around, losses), `assembly` holds that row from the read point on and cuts pieces
//! out of it, and the [`Stream`] here is the face of both.
//!
//! Every segment is one call, so each piece knows when the call that moved its first byte was entered and when
//! the one that moved its last byte was left. Segments may end in a *hole* (bytes that moved but were not
//! captured) or be *lost* (bytes of which not even the call was seen). Where packets show what a call did not, the call
//! is a *promise*: the row waits for its bytes, and if they do not come there is a hole.

mod assembly;
mod order;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::model::capture::Position;
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};

use assembly::Assembly;
use order::Order;

pub use assembly::{HELD_BYTES, HELD_SEGMENTS, KEEP_BYTES};
pub use order::{
    PROMISED_BYTES, PROMISED_CHUNKS, PROMISED_WINDOW, PROMISES, REORDER_BYTES, REORDER_CHUNKS, REORDER_WINDOW,
};

/// Bytes that one call moved. `payload.size` bytes moved, of which the first `payload.captured.len()` are known.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Where they lie in the stream.
    pub position: Position,
    /// Entry and exit of the call.
    pub at: Interval,
    /// The thread that called.
    pub tid: u32,
    /// The bytes.
    pub payload: Payload,
}

/// What happened to a stream's bytes, for the loss counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Chunks that went in.
    pub chunks: u64,
    /// Bytes that moved in those chunks, captured or not.
    pub bytes: u64,
    /// Chunks that repeated bytes already seen, wholly or in part.
    pub duplicates: u64,
    /// Chunks that came before an earlier one.
    pub reordered: u64,
    /// Stretches that no call showed.
    pub gaps: u64,
    /// Bytes in those stretches, where their number is known.
    pub gap_bytes: u64,
    /// Chunks whose position stayed unclear and that were therefore dropped.
    pub unplaced: u64,
    /// Bytes that packets should have shown and did not.
    pub unfilled_bytes: u64,
    /// Captured bytes that were let go because [`HELD_BYTES`] or the bytes kept of a piece were reached.
    pub cut_bytes: u64,
}

impl Counts {
    /// Adds `other` to this.
    pub fn add(&mut self, other: &Self) {
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.gaps += other.gaps;
        self.gap_bytes += other.gap_bytes;
        self.unplaced += other.unplaced;
        self.unfilled_bytes += other.unfilled_bytes;
        self.cut_bytes += other.cut_bytes;
    }
}

/// What lies at some point of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// Captured bytes without interruption, at most as many as were wanted.
    pub bytes: &'a [u8],
    /// Whether they end because what follows is missing for good (a hole or a loss); else more may come.
    pub cut: bool,
}

/// A stretch of the stream, complete: all its bytes have moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its captured beginning, without interruption.
    pub bytes: Bytes,
    /// Its length.
    pub len: u64,
    /// Position of its first byte: a TCP sequence number if [`Self::exact`], else counted from the first byte seen.
    pub start: u64,
    /// Whether [`Self::start`] is the kernel's number.
    pub exact: bool,
    /// From the entry of the call that moved its first byte to the exit of the call that moved its last.
    pub at: Interval,
    /// Entry of the call that moved its last byte.
    pub last_enter: Timestamp,
    /// The thread that moved its last byte.
    pub tid: u32,
}

/// The stream. Bounded: at most [`HELD_SEGMENTS`] segments with [`HELD_BYTES`] captured bytes, one piece under
/// construction of [`KEEP_BYTES`] (or what [`Self::keep`] says), and [`REORDER_CHUNKS`] chunks with [`REORDER_BYTES`]
/// that wait for an earlier one, or [`PROMISED_CHUNKS`] with [`PROMISED_BYTES`] for one that was promised.
#[derive(Debug, Default)]
pub struct Stream {
    order: Order,
    assembly: Assembly,
    counts: Counts,
}

impl Stream {
    /// Takes in what one call moved. A chunk of no bytes is nothing.
    pub fn push(&mut self, chunk: Chunk) {
        self.order.push(chunk, &mut self.assembly, &mut self.counts);
    }

    /// Takes in what one call moved without its bytes, which were pushed already or will be pushed soon, as packets show
    /// them. Bounded: [`PROMISES`] calls are waited for, each for [`PROMISED_WINDOW`]; then they are holes.
    pub fn promise(&mut self, chunk: Chunk) {
        self.order.promise(chunk, &mut self.assembly, &mut self.counts);
    }

    /// An unknown number of events was lost. Where positions are the kernel's, the next one tells how much that was
    /// and this only saves the wait for a late chunk; where bytes are counted, what follows no longer fits on.
    pub fn gap(&mut self) {
        self.order.gap(&mut self.assembly, &mut self.counts);
    }

    /// Time has come to `now`: ends the wait for chunks that did not come within [`REORDER_WINDOW`].
    pub fn expire(&mut self, now: Timestamp) {
        self.order.expire(now, &mut self.assembly, &mut self.counts);
    }

    /// Nothing more will come: ends every wait.
    pub fn flush(&mut self) {
        self.order.flush(&mut self.assembly, &mut self.counts);
    }

    /// Whether chunks wait for earlier ones, so that [`Self::expire`] may bring something to light.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.order.is_waiting()
    }

    /// Up to `want` captured bytes from `offset` bytes behind the read point. Copies (into `scratch`) only what lies
    /// in several chunks.
    pub fn peek<'a>(&'a self, offset: u64, want: usize, scratch: &'a mut Vec<u8>) -> Peek<'a> {
        self.assembly.peek(offset, want, scratch)
    }

    /// Whether of the byte `offset` bytes behind the read point not even the call was seen.
    #[must_use]
    pub fn is_lost(&self, offset: u64) -> bool {
        self.assembly.is_lost(offset)
    }

    /// Whether there is a loss of unknown length before the byte `offset` bytes behind the read point.
    #[must_use]
    pub fn is_broken_before(&self, offset: u64) -> bool {
        self.assembly.is_broken_before(offset)
    }

    /// Where the next call began of which bytes are captured, behind the one that the byte `offset` bytes behind the read
    /// point lies in; from the read point.
    #[must_use]
    pub fn next_captured(&self, offset: u64) -> Option<u64> {
        self.assembly.next_captured(offset)
    }

    /// Cuts off the next `len` bytes. If they have not all moved yet, the piece is begun: nothing else can be taken
    /// until [`Self::resume`] has handed it out. If a loss of unknown length lies in between, the bytes before it are
    /// dropped and no piece is begun ([`Self::is_partial`] tells), or a begun one is given up.
    pub fn take(&mut self, len: u64) -> Option<Piece> {
        let piece = self.assembly.take(len, &mut self.counts)?;
        Some(self.order.named(piece))
    }

    /// The piece that [`Self::take`] began, once it is complete.
    pub fn resume(&mut self) -> Option<Piece> {
        let piece = self.assembly.resume()?;
        Some(self.order.named(piece))
    }

    /// How many captured bytes to keep of the pieces to come: [`KEEP_BYTES`] unless told.
    pub fn keep(&mut self, bytes: usize) {
        self.assembly.keep = bytes;
    }

    /// Whether a piece is begun and not yet handed out.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.assembly.is_partial()
    }

    /// Bytes that a begun piece still lacks.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.assembly.missing()
    }

    /// Bytes (captured or not) between the read point and the newest one, without those of a begun piece.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.assembly.available()
    }

    /// Where the last call but `back` began, from the read point, if that is behind it and bytes of it are captured.
    #[must_use]
    pub fn recent_chunk(&self, back: usize) -> Option<u64> {
        self.assembly.recent_chunk(back)
    }

    /// Moves the read point on by `len` bytes, at most to the end of what is there.
    pub fn skip(&mut self, len: u64) {
        self.assembly.skip(len);
    }

    /// The captured bytes of the first chunk from the read point on; empty in a hole or if there is nothing.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        self.assembly.front()
    }

    /// How many bytes, captured or not, the first chunk has from the read point on.
    #[must_use]
    pub fn front_size(&self) -> u64 {
        self.assembly.front_size()
    }

    /// Whether the read point is where a call began.
    #[must_use]
    pub fn at_chunk_start(&self) -> bool {
        self.assembly.at_chunk_start()
    }

    /// Whether the bytes from `from` to `to` behind the read point end where a call ended, and no other call ended in
    /// between, but for such as moved only the first `apart` bytes or less.
    #[must_use]
    pub fn fills_calls(&self, from: u64, to: u64, apart: u64) -> bool {
        self.assembly.fills_calls(from, to, apart)
    }

    /// Whether a bound is reached, so that whoever waits for more should decide with what there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.assembly.is_full()
    }

    /// Whether bytes of an unfinished piece are there, begun or not.
    #[must_use]
    pub fn is_half(&self) -> bool {
        self.assembly.is_partial() || self.assembly.available() > 0
    }

    /// Position of the next byte to come, as [`Piece::start`] and [`Piece::exact`] have it.
    #[must_use]
    pub fn end(&self) -> (u64, bool) {
        self.order.end()
    }

    /// What happened to the bytes so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}
