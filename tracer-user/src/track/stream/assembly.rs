//! The contiguous row of segments from the read point on, and the piece that is being put together.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{Counts, Peek, Piece};
use crate::model::time::{Interval, Timestamp};

/// Captured bytes held behind the read point. Only a search for a boundary holds more than one chunk, and it should
/// see at least one whole chunk of the greatest capture length.
pub const HELD_BYTES: usize = 128 * 1024;

/// Segments held behind the read point: a search among brokers that read byte by byte sees some frames at once.
pub const HELD_SEGMENTS: usize = 128;

/// Captured bytes kept of one piece, however long it is, unless its protocol wants more: the greatest capture length of one call.
pub const KEEP_BYTES: usize = 64 * 1024;

/// What one call moved, or what was lost between two of them.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Position of the first byte.
    pub(super) start: u64,
    /// Bytes that moved.
    pub(super) size: u64,
    /// The first of them, `captured.len() <= size`.
    pub(super) captured: Bytes,
    /// Entry of the call (of the first one, if several were merged).
    pub(super) enter: Timestamp,
    /// Entry of the last call.
    pub(super) last_enter: Timestamp,
    /// Exit of the last call.
    pub(super) exit: Timestamp,
    /// Thread of the last call.
    pub(super) tid: u32,
    /// Whether `start` comes from the kernel.
    pub(super) exact: bool,
    /// Whether no call was seen.
    pub(super) lost: bool,
    /// Whether nobody knows how long it is: `size` stands for any number, and nothing reaches across. Nothing is captured.
    pub(super) broken: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Assembly {
    /// Contiguous: each starts where the one before ends.
    queue: VecDeque<Segment>,
    /// Sum of the sizes in `queue`.
    size: u64,
    /// Sum of the captured bytes in `queue`.
    captured: usize,
    /// Whether bytes were taken off the front segment.
    trimmed: bool,
    /// The piece that was begun. Then `queue` is empty, or the piece is complete.
    partial: Option<Partial>,
    /// Captured bytes kept of a piece.
    pub(super) keep: usize,
}

impl Default for Assembly {
    fn default() -> Self {
        Self { queue: VecDeque::new(), size: 0, captured: 0, trimmed: false, partial: None, keep: KEEP_BYTES }
    }
}

/// A piece that is put together while its bytes move.
#[derive(Debug)]
struct Partial {
    len: u64,
    keep: usize,
    got: u64,
    bytes: Gathered,
    /// Nothing that comes later can be joined to `bytes`.
    cut: bool,
    start: u64,
    exact: bool,
    enter: Timestamp,
    exit: Timestamp,
    last_enter: Timestamp,
    tid: u32,
}

/// Captured bytes, not copied as long as they come from one chunk.
#[derive(Debug)]
enum Gathered {
    One(Bytes),
    Many(Vec<u8>),
}

impl Assembly {
    pub(super) fn append(&mut self, mut segment: Segment, counts: &mut Counts) {
        let mut trimmed = false;
        if segment.broken {
            self.partial = None;
        }
        if let Some(partial) = &mut self.partial {
            let missing = partial.len - partial.got;
            if missing > 0 {
                let rest = segment.size.saturating_sub(missing);
                partial.absorb(&mut segment, counts);
                if rest == 0 {
                    return;
                }
                trimmed = true;
            }
        }
        if self.queue.is_empty() {
            self.trimmed = trimmed;
        }
        let room = HELD_BYTES.saturating_sub(self.captured);
        // The front is exempt: one chunk must fit, whatever its length.
        if segment.captured.len() > room && !self.queue.is_empty() {
            counts.cut_bytes += (segment.captured.len() - room) as u64;
            segment.captured.truncate(room);
        }
        self.size = self.size.saturating_add(segment.size);
        if self.queue.len() >= HELD_SEGMENTS
            && let Some(last) = self.queue.back_mut()
        {
            let before = last.captured.len();
            last.merge(&segment);
            let after = last.captured.len();
            self.captured = self.captured.saturating_sub(before).saturating_add(after);
            counts.cut_bytes += (before + segment.captured.len()).saturating_sub(after) as u64;
            return;
        }
        self.captured += segment.captured.len();
        self.queue.push_back(segment);
    }

    /// The segment that the byte `offset` bytes behind the read point lies in, with its successors, and where in it.
    fn from(&self, offset: u64) -> (impl Iterator<Item = &Segment>, u64) {
        let mut at = offset;
        let mut segments = self.queue.iter().peekable();
        while let Some(segment) = segments.next_if(|segment| segment.size <= at) {
            at -= segment.size;
        }
        (segments, at)
    }

    pub(super) fn is_lost(&self, offset: u64) -> bool {
        self.from(offset).0.next().is_some_and(|segment| segment.lost || segment.broken)
    }

    pub(super) fn is_broken_before(&self, offset: u64) -> bool {
        let mut end = 0u64;
        let mut begun = self.queue.iter().take_while(|segment| {
            let start = end;
            end = end.saturating_add(segment.size);
            start < offset
        });
        begun.any(|segment| segment.broken)
    }

    pub(super) fn next_captured(&self, offset: u64) -> Option<u64> {
        let (mut segments, at) = self.from(offset);
        let mut start = offset.saturating_add(segments.next()?.size.saturating_sub(at));
        for segment in segments {
            if !segment.captured.is_empty() {
                return Some(start);
            }
            start = start.saturating_add(segment.size);
        }
        None
    }

    pub(super) fn peek<'a>(&'a self, offset: u64, want: usize, scratch: &'a mut Vec<u8>) -> Peek<'a> {
        let mut at = offset;
        let mut segments = self.queue.iter();
        let first = loop {
            match segments.next() {
                None => return Peek { bytes: &[], cut: false },
                Some(segment) if at < segment.size => break segment,
                Some(segment) => at -= segment.size,
            }
        };
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let head = first.captured.get(from..).unwrap_or(&[]);
        if head.len() >= want {
            return Peek { bytes: &head[..want], cut: false };
        }
        if !first.is_whole() {
            return Peek { bytes: head, cut: true };
        }
        let Some(mut next) = segments.next() else { return Peek { bytes: head, cut: false } };
        scratch.clear();
        scratch.extend_from_slice(head);
        loop {
            let room = want - scratch.len();
            let bytes = next.captured.get(..room).unwrap_or(&next.captured);
            scratch.extend_from_slice(bytes);
            if scratch.len() == want {
                return Peek { bytes: scratch, cut: false };
            }
            if !next.is_whole() {
                return Peek { bytes: scratch, cut: true };
            }
            let Some(following) = segments.next() else { return Peek { bytes: scratch, cut: false } };
            next = following;
        }
    }

    pub(super) fn take(&mut self, len: u64, counts: &mut Counts) -> Option<Piece> {
        debug_assert!(self.partial.is_none(), "one piece at a time");
        let mut partial = Partial::new(len, self.keep);
        while partial.got < len {
            let Some(front) = self.queue.front_mut() else { break };
            if front.broken {
                return None;
            }
            let (size, captured) = (front.size, front.captured.len());
            partial.absorb(front, counts);
            self.size = self.size.saturating_sub(size - front.size);
            self.captured = self.captured.saturating_sub(captured - front.captured.len());
            self.trimmed = front.size > 0;
            if front.size == 0 {
                self.queue.pop_front();
            }
        }
        if partial.got == len {
            return Some(partial.finish());
        }
        self.partial = Some(partial);
        None
    }

    pub(super) fn resume(&mut self) -> Option<Piece> {
        let done = self.partial.take_if(|partial| partial.got == partial.len)?;
        Some(done.finish())
    }

    pub(super) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    pub(super) fn missing(&self) -> u64 {
        self.partial.as_ref().map_or(0, |partial| partial.len.saturating_sub(partial.got))
    }

    pub(super) fn available(&self) -> u64 {
        self.size
    }

    pub(super) fn recent_chunk(&self, back: usize) -> Option<u64> {
        let index = self.queue.len().checked_sub(back + 1).filter(|index| *index > 0)?;
        if self.queue.get(index)?.captured.is_empty() {
            return None;
        }
        let later = self.queue.iter().skip(index).map(|segment| segment.size).fold(0, u64::saturating_add);
        self.size.checked_sub(later)
    }

    pub(super) fn skip(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let Some(front) = self.queue.front_mut() else { return };
            if left < front.size {
                let before = front.captured.len();
                front.trim(left);
                self.captured -= before - front.captured.len();
                self.size = self.size.saturating_sub(left);
                self.trimmed = true;
                return;
            }
            left -= front.size;
            self.size = self.size.saturating_sub(front.size);
            self.captured -= front.captured.len();
            self.queue.pop_front();
            self.trimmed = false;
        }
    }

    pub(super) fn front(&self) -> &[u8] {
        match self.queue.front() {
            Some(segment) => &segment.captured,
            None => &[],
        }
    }

    pub(super) fn front_size(&self) -> u64 {
        self.queue.front().map_or(0, |segment| segment.size)
    }

    pub(super) fn at_chunk_start(&self) -> bool {
        !self.trimmed
    }

    pub(super) fn fills_calls(&self, from: u64, to: u64, apart: u64) -> bool {
        let mut end = 0u64;
        let mut segments = self.queue.iter();
        let Some(first) = segments.find(|segment| {
            end = end.saturating_add(segment.size);
            end > from
        }) else {
            return false;
        };
        if end == to {
            return !first.lost;
        }
        if end > to || end - from > apart {
            return false;
        }
        let last = segments.find(|segment| {
            end = end.saturating_add(segment.size);
            end >= to
        });
        end == to && last.is_some_and(|segment| !segment.lost)
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= HELD_SEGMENTS || self.captured >= HELD_BYTES
    }
}

impl Segment {
    fn is_whole(&self) -> bool {
        self.captured.len() as u64 == self.size
    }

    /// Puts `next` behind this one with its captured bytes, if they follow: a program that reads byte by byte may have read
    /// half a long line.
    fn merge(&mut self, next: &Self) {
        self.broken |= next.broken;
        if self.broken {
            self.captured = Bytes::new();
        } else if self.is_whole() && !next.captured.is_empty() {
            // Copied once, and from then on appended to.
            let own = std::mem::take(&mut self.captured);
            let mut bytes = own.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            bytes.extend_from_slice(&next.captured);
            self.captured = bytes.freeze();
        }
        self.size = self.size.saturating_add(next.size);
        self.exact &= next.exact;
        self.lost &= next.lost;
        if !next.lost {
            self.last_enter = next.last_enter;
            self.exit = self.exit.max(next.exit);
            self.tid = next.tid;
        }
    }
}

impl Partial {
    fn new(len: u64, keep: usize) -> Self {
        Self {
            len,
            keep,
            got: 0,
            bytes: Gathered::One(Bytes::new()),
            cut: false,
            start: 0,
            exact: false,
            enter: Timestamp(0),
            exit: Timestamp(0),
            last_enter: Timestamp(0),
            tid: 0,
        }
    }

    /// Takes what it needs off the front of `segment`.
    fn absorb(&mut self, segment: &mut Segment, counts: &mut Counts) {
        if self.got == 0 {
            self.start = segment.start;
            self.exact = segment.exact;
            self.enter = segment.enter;
        }
        self.exact &= segment.exact;
        if !segment.lost {
            self.exit = self.exit.max(segment.exit);
            self.last_enter = segment.last_enter;
            self.tid = segment.tid;
        }
        let count = segment.size.min(self.len - self.got);
        self.got += count;
        let captured = usize::try_from(count).unwrap_or(usize::MAX).min(segment.captured.len());
        let bytes = segment.captured.split_to(captured);
        if !self.cut {
            self.gather(bytes, counts);
            // A hole ends what can be joined.
            self.cut |= (captured as u64) < count;
        }
        segment.start = segment.start.saturating_add(count);
        segment.size -= count;
    }

    fn gather(&mut self, mut bytes: Bytes, counts: &mut Counts) {
        let held = match &self.bytes {
            Gathered::One(one) => one.len(),
            Gathered::Many(many) => many.len(),
        };
        let room = self.keep.saturating_sub(held);
        if bytes.len() > room {
            counts.cut_bytes += (bytes.len() - room) as u64;
            bytes.truncate(room);
            self.cut = true;
        }
        match &mut self.bytes {
            Gathered::One(one) if one.is_empty() => *one = bytes,
            Gathered::One(one) => {
                // All of it at once, if that is little: a length that nobody has made true yet costs no more.
                let length = usize::try_from(self.len).unwrap_or(KEEP_BYTES).min(KEEP_BYTES);
                let mut many = Vec::with_capacity(length.max(one.len()));
                many.extend_from_slice(one);
                many.extend_from_slice(&bytes);
                self.bytes = Gathered::Many(many);
            }
            Gathered::Many(many) => many.extend_from_slice(&bytes),
        }
    }

    fn finish(self) -> Piece {
        Piece {
            bytes: match self.bytes {
                Gathered::One(one) => one,
                Gathered::Many(many) => Bytes::from(many),
            },
            len: self.len,
            start: self.start,
            exact: self.exact,
            at: Interval { start: self.enter, end: self.exit.max(self.enter) },
            // A stretch that comes again may be newer than what lies behind it.
            last_enter: self.last_enter.max(self.enter),
            tid: self.tid,
        }
    }
}
