//! What became of a connection's bytes.

use std::cell::Cell;

use crate::track::stream;

/// Counters of one connection end, both directions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What the streams below the frames lost or repeated.
    pub stream: stream::Counts,
    /// Frames found, of any kind.
    pub frames: u64,
    /// Ops made of them.
    pub ops: u64,
    /// Messages of great batches that no op was made of.
    pub over_messages: u64,
    /// Messages whose body stayed in a batch that grows too great when it is decompressed.
    pub over_bodies: u64,
    /// Frames too little of which was captured to mean anything.
    pub cut_frames: u64,
    /// Messages that no op was made of, because they refer to something that was said before anybody listened.
    pub undefined: u64,
    /// Places where a frame should begin and none does, and frames that break the protocol's rules.
    pub invalid: u64,
    /// Times that a frame boundary was found again.
    pub resyncs: u64,
    /// Bytes passed over without knowing what they are.
    pub skipped_bytes: u64,
    /// Bytes of a WebSocket's compressed messages that could not be read, or not to their end.
    pub compressed_bytes: u64,
    /// Calls that only peeked.
    pub peeked: u64,
    /// Times that no protocol explained the bytes and the connection was ignored, for a while or for good.
    pub gave_up: u64,
    /// Chunks ignored then.
    pub ignored: u64,
}

impl Counts {
    /// Adds `other` to this.
    pub fn add(&mut self, other: &Self) {
        self.stream.add(&other.stream);
        self.frames += other.frames;
        self.ops += other.ops;
        self.over_messages += other.over_messages;
        self.over_bodies += other.over_bodies;
        self.cut_frames += other.cut_frames;
        self.undefined += other.undefined;
        self.invalid += other.invalid;
        self.resyncs += other.resyncs;
        self.skipped_bytes += other.skipped_bytes;
        self.compressed_bytes += other.compressed_bytes;
        self.peeked += other.peeked;
        self.gave_up += other.gave_up;
        self.ignored += other.ignored;
    }
}

/// What a frame held that no op tells: [`Counts::over_messages`], [`Counts::over_bodies`], [`Counts::undefined`].
#[derive(Debug, Default)]
pub struct Shortfall {
    /// Messages that no op was made of.
    pub messages: Cell<u64>,
    /// Messages without their bodies.
    pub bodies: Cell<u64>,
    /// Messages that refer to something that was said before anybody listened.
    pub undefined: Cell<u64>,
}

impl Shortfall {
    /// Adds to the first two.
    pub(super) fn add(&self, messages: u64, bodies: u64) {
        self.messages.set(self.messages.get().saturating_add(messages));
        self.bodies.set(self.bodies.get().saturating_add(bodies));
    }
}
