//! Bytes of one request or answer, gathered from several calls.

use bytes::Bytes;

use crate::model::payload::Payload;

/// Bytes of one request, answer or event that are kept: as many as one call can bring at most
/// (`--capture-bytes` ends at 64 KiB). What is beyond is only counted.
pub(crate) const KEPT: usize = 64 * 1024;

/// A payload in the making. Only an unbroken beginning is kept: after the first byte that is missing, no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    kept: Vec<u8>,
    size: u64,
}

impl Buffer {
    /// Adds what a call moved.
    pub(crate) fn push(&mut self, payload: &Payload) {
        if self.is_whole() {
            let room = KEPT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(payload.captured.get(..room).unwrap_or(&payload.captured));
        }
        self.size = self.size.saturating_add(payload.size);
    }

    /// Adds one byte.
    pub(crate) fn push_byte(&mut self, byte: u8) {
        if self.is_whole() && self.kept.len() < KEPT {
            self.kept.push(byte);
        }
        self.size = self.size.saturating_add(1);
    }

    /// Adds `count` bytes of which nothing is known.
    pub(crate) fn push_unknown(&mut self, count: u64) {
        self.size = self.size.saturating_add(count);
    }

    /// Takes out a part of the beginning that is kept.
    pub(crate) fn remove(&mut self, part: std::ops::Range<usize>) -> Payload {
        let end = part.end.min(self.kept.len());
        let removed: Vec<u8> = self.kept.drain(part.start.min(end)..end).collect();
        self.size = self.size.saturating_sub(removed.len() as u64);
        Payload::whole(removed)
    }

    /// Takes out what is behind the first `at` bytes, which are kept.
    pub(crate) fn cut(&mut self, at: usize) -> Payload {
        let at = at.min(self.kept.len());
        let captured = self.kept.split_off(at);
        let size = self.size.saturating_sub(at as u64);
        self.size = at as u64;
        Payload { captured: Bytes::from(captured), size }
    }

    /// The unbroken beginning.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// How many bytes there were.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether every byte is kept.
    pub(crate) fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.size
    }

    /// The finished payload.
    pub(crate) fn into_payload(self) -> Payload {
        Payload { captured: Bytes::from(self.kept), size: self.size }
    }
}

/// Cuts `payload` after `at` bytes: what is before, what is behind.
pub(crate) fn split(payload: &Payload, at: usize) -> (Payload, Payload) {
    let cut = at.min(payload.captured.len());
    let size = (at as u64).min(payload.size);
    (
        Payload { captured: payload.captured.slice(..cut), size },
        Payload { captured: payload.captured.slice(cut..), size: payload.size.saturating_sub(size) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_behind_a_gap() {
        let mut buffer = Buffer::default();
        buffer.push(&Payload { captured: Bytes::from_static(b"ab"), size: 5 });
        buffer.push(&Payload::whole(&b"cd"[..]));
        assert_eq!(buffer.into_payload(), Payload { captured: Bytes::from_static(b"ab"), size: 7 });
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut buffer = Buffer::default();
        buffer.push(&Payload::whole(vec![1; KEPT - 1]));
        buffer.push(&Payload::whole(vec![2; 10]));
        buffer.push_byte(3);
        assert_eq!((buffer.kept().len(), buffer.size()), (KEPT, KEPT as u64 + 10));
    }

    #[test]
    fn parts_are_taken_out() {
        let mut buffer = Buffer::default();
        buffer.push(&Payload { captured: Bytes::from_static(b"abcdef"), size: 9 });
        assert_eq!(buffer.remove(1..3), Payload::whole(&b"bc"[..]));
        assert_eq!((buffer.kept(), buffer.size()), (&b"adef"[..], 7));
        assert_eq!(buffer.cut(1), Payload { captured: Bytes::from_static(b"def"), size: 6 });
        assert_eq!((buffer.kept(), buffer.size()), (&b"a"[..], 1));
        assert_eq!(buffer.remove(5..9).size, 0);
    }

    #[test]
    fn a_cut_keeps_the_sizes() {
        let (head, tail) = split(&Payload { captured: Bytes::from_static(b"abc"), size: 9 }, 2);
        assert_eq!((head.captured.as_ref(), head.size), (&b"ab"[..], 2));
        assert_eq!((tail.captured.as_ref(), tail.size), (&b"c"[..], 7));
    }
}
