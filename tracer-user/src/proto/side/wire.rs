//! A side's bytes as they come from the connection, and what carries the protocol's in them.

use super::{Mode, Side};
use crate::model::op::Place;
use crate::model::time::Timestamp;
use crate::proto::counts::Counts;
use crate::proto::websocket::{Begin, Recognised, Tunnel, recognise};
use crate::track::stream::{Chunk, Piece, Stream};

impl Side {
    /// Takes in what one call moved.
    pub(in crate::proto) fn push(&mut self, chunk: Chunk) {
        self.wire_mut().push(chunk);
    }

    /// An unknown number of events was lost.
    pub(in crate::proto) fn gap(&mut self) {
        self.wire_mut().gap();
    }

    /// Time has come to `now`.
    pub(in crate::proto) fn expire(&mut self, now: Timestamp) {
        self.wire_mut().expire(now);
    }

    /// Nothing more will come.
    pub(in crate::proto) fn flush(&mut self) {
        self.wire_mut().flush();
    }

    /// Whether chunks wait for earlier ones.
    pub(in crate::proto) fn is_waiting(&self) -> bool {
        self.wire().is_waiting()
    }

    /// Position of the connection's next byte.
    pub(in crate::proto) fn end(&self) -> (u64, bool) {
        self.wire().end()
    }

    /// Whether a frame is half here.
    pub(in crate::proto) fn is_half(&self) -> bool {
        let carried = self.tunnel.as_ref().is_some_and(|tunnel| tunnel.is_half());
        self.mode != Mode::Over && (self.stream.is_half() || carried)
    }

    /// Adds what became of the bytes.
    pub(in crate::proto) fn count(&self, counts: &mut Counts) {
        counts.stream.add(self.wire().counts());
        if let Some(tunnel) = &self.tunnel {
            counts.stream.cut_bytes += self.stream.counts().cut_bytes.saturating_add(tunnel.counts.cut_bytes);
            counts.compressed_bytes = counts.compressed_bytes.saturating_add(tunnel.counts.compressed_bytes);
            counts.skipped_bytes = counts.skipped_bytes.saturating_add(tunnel.counts.skipped_bytes);
        }
    }

    /// Fetches the protocol's next bytes from what carries them; `false` if there are none.
    pub(in crate::proto) fn fill(&mut self, to_server: Option<bool>) -> bool {
        let Some(tunnel) = &mut self.tunnel else { return false };
        let moved = tunnel.pump(&mut self.stream, to_server);
        self.strikes += std::mem::take(&mut tunnel.counts.strikes);
        moved
    }

    /// Whether this is a WebSocket; see [`recognise`].
    pub(in crate::proto) fn recognise(
        &self,
        to_server: Option<bool>,
        from_start: bool,
        carried: Option<bool>,
        is_frame: impl Fn(&[u8], u64, bool) -> bool,
    ) -> Recognised {
        recognise(&self.stream, to_server, !(from_start && self.virgin), carried, is_frame)
    }

    /// From here on the protocol's bytes are in a WebSocket, which begins `offset` bytes behind the read point.
    pub(in crate::proto) fn enter(&mut self, offset: u64, begin: Begin) {
        if offset > 0 {
            self.pass(offset);
        }
        let raw = std::mem::take(&mut self.stream);
        self.tunnel = Some(Box::new(Tunnel::new(raw, begin)));
        self.restart();
    }

    /// It was no WebSocket.
    pub(in crate::proto) fn leave(&mut self) {
        if let Some(tunnel) = self.tunnel.take() {
            self.stream = tunnel.into_raw();
            self.missed = true;
            self.virgin = false;
        }
    }

    /// Where in the connection `piece` of the protocol's bytes lies.
    pub(super) fn place(&self, piece: &Piece, place: Place) -> Place {
        match &self.tunnel {
            Some(tunnel) => tunnel.place(piece, place),
            None => place,
        }
    }

    pub(super) fn forget_places(&mut self) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.forget(&self.stream);
        }
    }

    fn wire(&self) -> &Stream {
        self.tunnel.as_ref().map_or(&self.stream, |tunnel| tunnel.raw())
    }

    fn wire_mut(&mut self) -> &mut Stream {
        match &mut self.tunnel {
            Some(tunnel) => tunnel.raw_mut(),
            None => &mut self.stream,
        }
    }
}
