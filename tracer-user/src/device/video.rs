//! Cameras, capture cards, codecs and radios, `/dev/videoN` and their relatives: `include/uapi/linux/videodev2.h`.
//!
//! Span rule: one command per call, but a buffer is one command, `VIDIOC_QBUF`, from the call that gives it to the driver
//! to the call that takes it back filled ([`buffers`]).

mod buffers;
mod ioctls;

#[cfg(test)]
mod tests;

use super::class::Class;

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "video", ioctls: ioctls::TABLE, session: || Box::new(buffers::Queue::default()) };
