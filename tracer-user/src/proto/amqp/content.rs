//! Messages under way: a method, a content header and body frames (section 4.2.6), on several channels at once.

use std::sync::Arc;

use bytes::Bytes;

use super::properties::Properties;
use super::wire::OVERHEAD;
use crate::model::op::Feed;
use crate::model::payload::Payload;
use crate::proto::{FrameView, Presumed, Stretch};

/// Most messages that are put together at once: a connection's threads that send long ones at the same time.
const OPEN: usize = 64;

/// Captured bytes of a body that are kept where it comes in several frames: the greatest capture length of one call.
/// With [`OPEN`] at most 4 MiB.
const BODY_BYTES: usize = 64 * 1024;

/// Body frames that are not a message's last and shorter than this are not reckoned with where they were not captured: it
/// would be much work for nothing, for no frame need be shorter than 4096 bytes (section 4.2.3).
const CHUNK_MIN: u64 = 512;

/// What the method says.
#[derive(Debug)]
pub(super) enum What {
    Publish {
        destination: Arc<str>,
        key: Arc<str>,
        /// Its settle id, if the broker answers it.
        id: Option<u64>,
        mandatory: bool,
    },
    Deliver {
        destination: Arc<str>,
        published_as: Option<Arc<str>>,
        exchange: Arc<str>,
        queue: Option<Arc<str>>,
        /// That of the queue, if it is known.
        feed: Feed,
        key: Arc<str>,
        tag: u64,
        redelivered: bool,
        needs_settle: bool,
        settle_is_presumed: bool,
    },
    /// `basic.return`.
    Return { destination: Arc<str>, error: &'static str },
}

/// A message under way.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) channel: u16,
    to_server: bool,
    pub(super) what: What,
    pub(super) stretch: Stretch,
    /// Once the content header was there.
    pub(super) properties: Option<Properties>,
    /// Bytes of the body that are still to come.
    left: u64,
    /// Payload of its first body frame: all but the last are as long.
    chunk: Option<u64>,
    body: Body,
}

#[derive(Debug, Default)]
struct Body {
    /// What the first frame had.
    first: Bytes,
    /// That and what the others had, once there are others.
    joined: Vec<u8>,
    /// Not all of what came was captured: nothing can be added.
    cut: bool,
}

impl Body {
    fn add(&mut self, captured: Bytes, size: u64) {
        if self.cut {
            return;
        }
        self.cut = (captured.len() as u64) < size;
        if self.first.is_empty() {
            self.first = captured;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(self.first.get(..BODY_BYTES).unwrap_or(&self.first));
        }
        let room = BODY_BYTES.saturating_sub(self.joined.len());
        self.cut |= captured.len() > room;
        self.joined.extend_from_slice(captured.get(..room).unwrap_or(&captured));
    }

    fn captured(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.into() }
    }
}

impl Open {
    /// Begins with the method.
    pub(super) fn new(view: &FrameView<'_>, channel: u16, what: What) -> Self {
        let (to_server, stretch) = (view.to_server, Stretch::of(view));
        Self {
            channel,
            to_server,
            what,
            stretch,
            properties: None,
            left: 0,
            chunk: None,
            body: Body::default(),
        }
    }

    /// The content header; `false` if it does not belong here.
    pub(super) fn add_header(&mut self, view: &FrameView<'_>, properties: Properties) -> bool {
        if self.properties.is_some() {
            return false;
        }
        self.stretch.reach(view);
        self.left = properties.size;
        self.properties = Some(properties);
        true
    }

    /// A body frame with `size` bytes of payload, the first of them `captured`; `false` if it does not belong here.
    pub(super) fn add_body(&mut self, view: &FrameView<'_>, captured: Bytes, size: u64) -> bool {
        if self.properties.is_none() || size > self.left {
            return false;
        }
        self.stretch.reach(view);
        self.left -= size;
        self.chunk.get_or_insert(size);
        self.body.add(captured, size);
        true
    }

    /// Whether nothing more belongs to it.
    pub(super) fn is_complete(&self) -> bool {
        self.properties.is_some() && self.left == 0
    }

    /// Whether a body frame comes next.
    pub(super) fn wants_body(&self) -> bool {
        self.left > 0
    }

    /// Whether its next frame can begin with `head`, a part of a frame's header.
    pub(super) fn continues_with(&self, head: &[u8]) -> bool {
        let [high, low] = self.channel.to_be_bytes();
        [3, high, low].iter().zip(head).all(|(expected, byte)| expected == byte)
    }

    /// Its next body frame where frames have at most `frame_max` bytes, if it can be told: senders fill them.
    pub(super) fn presumed(&self, frame_max: u64) -> Option<Presumed> {
        let chunk = self.chunk.unwrap_or(frame_max.saturating_sub(OVERHEAD));
        if self.left > chunk && chunk < CHUNK_MIN {
            return None;
        }
        let frames = self.left.div_ceil(chunk.max(1));
        let with_rest = frames.saturating_mul(OVERHEAD).saturating_add(self.left);
        Some(Presumed { len: chunk.min(self.left).saturating_add(OVERHEAD), with_rest })
    }

    /// What it came to.
    pub(super) fn finish(self) -> (What, Properties, Payload, Stretch) {
        let properties = self.properties.unwrap_or_default();
        let mut body = Payload { captured: self.body.captured(), size: properties.size };
        body.limit();
        (self.what, properties, body, self.stretch)
    }
}

/// All messages under way on a connection.
#[derive(Debug, Default)]
pub(super) struct Contents {
    open: Vec<Open>,
}

impl Contents {
    /// A message begins, or goes on.
    pub(super) fn put(&mut self, open: Open) {
        if self.open.len() < OPEN {
            self.open.push(open);
        }
    }

    /// The message of a channel in one direction.
    pub(super) fn take(&mut self, channel: u16, to_server: bool) -> Option<Open> {
        let is_it = |open: &Open| open.channel == channel && open.to_server == to_server;
        self.open.iter().rposition(is_it).map(|index| self.open.remove(index))
    }

    /// The one message that is under way in a direction, if there are not several.
    pub(super) fn only(&self, to_server: bool) -> Option<&Open> {
        let mut open = self.open.iter().filter(|open| open.to_server == to_server);
        open.next().filter(|_| open.next().is_none())
    }

    /// A channel begins or ends.
    pub(super) fn forget(&mut self, channel: u16) {
        self.open.retain(|open| open.channel != channel);
    }

    /// Something was missed in one direction.
    pub(super) fn torn(&mut self, to_server: bool) {
        self.open.retain(|open| open.to_server != to_server);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}
