//! What permessage-deflate (RFC 7692) compressed, for one direction of a WebSocket.
//!
//! A message may refer to the bytes of those before it ("context takeover", section 7.2.3.2), up to 32 KiB back. What is kept of
//! them is only what is known without a gap: where a message refers further back than that, it cannot be read, and nothing is
//! made up for it. So nothing has to be known of what the two ends agreed on (sections 7.1.1 and 7.1.2): who agreed not to
//! refer back does not, and a smaller window is within this one.

use bytes::Bytes;
use miniz_oxide::inflate::TINFLStatus as Status;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// How far back deflate refers (RFC 1951, section 2).
const WINDOW: usize = 32 * 1024;

/// Most that is kept of what was before: room, so that it need not be moved at every message.
const BEFORE: usize = 3 * WINDOW;

/// Inflated bytes that are kept of a message: more than is kept of a packet in it.
pub(super) const KEPT: usize = 256 * 1024;

/// Inflated bytes at which a message is given up: what may take 50 ms. A thousand bytes can be made of one.
pub(super) const MOST: u64 = 16 * 1024 * 1024;

/// First room for what comes out.
const ROOM: usize = 2 * 1024;

/// What ends each message and is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Undoes the compression of one message after the other.
#[derive(Default)]
pub(super) struct Inflater {
    state: Box<DecompressorOxide>,
    /// What is known to lie immediately before, and behind it what came out of this message.
    bytes: Vec<u8>,
    /// End of what is known.
    end: usize,
    /// Where this message begins.
    start: usize,
    /// What is kept of this message, once `bytes` begins anew.
    kept: Option<Bytes>,
    /// Bytes that came out of this message.
    size: u64,
    broken: bool,
}

/// A message, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    /// Its first bytes, at most [`KEPT`].
    pub(super) bytes: Bytes,
    /// Its length, or how far it could be read.
    pub(super) size: u64,
    /// Whether that is all of it.
    pub(super) whole: bool,
}

impl Inflater {
    /// A message begins.
    pub(super) fn begin(&mut self) {
        if self.end > BEFORE {
            self.bytes.copy_within(self.end - WINDOW..self.end, 0);
            self.end = WINDOW;
        }
        self.bytes.truncate(BEFORE + ROOM);
        self.bytes.shrink_to(BEFORE + ROOM);
        self.start = self.end;
        self.kept = None;
        self.size = 0;
        self.broken = false;
        self.state.init();
    }

    /// Something is missing here: what lies behind it in this message cannot be read, and no later one that refers to it.
    pub(super) fn lose(&mut self) {
        self.broken = true;
    }

    /// The message goes on.
    pub(super) fn take(&mut self, mut input: &[u8]) {
        let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
            | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        while !self.broken {
            self.make_room();
            // Into what lies behind all that is known, so that a reference to what lies before it is an error.
            let (status, read, written) =
                decompress(&mut self.state, input, &mut self.bytes, self.end, flags);
            input = input.get(read..).unwrap_or(&[]);
            self.end = self.end.saturating_add(written).min(self.bytes.len());
            self.size = self.size.saturating_add(written as u64);
            self.broken |= self.size > MOST;
            match status {
                Status::HasMoreOutput if written > 0 => {}
                Status::NeedsMoreInput if input.is_empty() => return,
                // The last block of a compressor that begins anew (section 7.2.3.4).
                Status::Done if read > 0 => {
                    self.state.init();
                    if input.is_empty() {
                        return;
                    }
                }
                _ => self.broken = true,
            }
        }
    }

    /// Room for at least a byte.
    fn make_room(&mut self) {
        if self.end < self.bytes.len() {
            return;
        }
        let out = self.end.saturating_sub(self.start);
        if self.kept.is_none() && out < KEPT {
            let room = self.bytes.len().max(ROOM).min(KEPT - out);
            self.bytes.reserve_exact(room);
            self.bytes.resize(self.end.saturating_add(room), 0);
            return;
        }
        // Only the window is needed from here on.
        if self.kept.is_none() {
            self.kept = Some(Bytes::copy_from_slice(self.bytes.get(self.start..).unwrap_or(&[])));
        }
        self.bytes.copy_within(self.end.saturating_sub(WINDOW).., 0);
        self.end = WINDOW;
    }

    /// The message ends. What is not whole leaves nothing to refer to.
    pub(super) fn finish(&mut self) -> Inflated {
        let before = self.size;
        self.take(&TAIL);
        // In the middle of a block it would have meant something.
        let whole = !self.broken && self.size == before;
        let size = if whole { self.size } else { before };
        let bytes = self.kept.take().unwrap_or_else(|| {
            let len = usize::try_from(size).unwrap_or(usize::MAX);
            let end = self.start.saturating_add(len).min(self.end);
            Bytes::copy_from_slice(self.bytes.get(self.start..end).unwrap_or(&[]))
        });
        if !whole {
            self.forget();
        }
        Inflated { bytes, size, whole }
    }

    /// Nothing is known of what was before.
    pub(super) fn forget(&mut self) {
        (self.start, self.end) = (0, 0);
        self.broken = true;
        self.bytes = Vec::new();
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("known", &self.end).field("size", &self.size).finish_non_exhaustive()
    }
}

/// A message that does not refer to what was before it.
pub(super) fn alone(payload: &[u8]) -> Inflated {
    let mut inflater = Inflater::default();
    inflater.begin();
    inflater.take(payload);
    inflater.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::testing::hex;

    fn read(inflater: &mut Inflater, payload: &[u8]) -> Inflated {
        inflater.begin();
        inflater.take(payload);
        inflater.finish()
    }

    fn text(inflater: &mut Inflater, payload: &str) -> String {
        let inflated = read(inflater, &hex(payload));
        let text = String::from_utf8_lossy(&inflated.bytes).into_owned();
        if inflated.whole { text } else { format!("{text}…") }
    }

    /// Section 7.2.3.
    #[test]
    fn the_examples_of_the_specification() {
        let mut inflater = Inflater::default();
        assert_eq!(text(&mut inflater, "f2 48 cd c9 c9 07 00"), "Hello");
        // The same again refers to the one before.
        assert_eq!(text(&mut inflater, "f2 00 11 00 00"), "Hello");
        // Not compressed, with a last block, and in two blocks.
        assert_eq!(text(&mut inflater, "00 05 00 fa ff 48 65 6c 6c 6f 00"), "Hello");
        assert_eq!(text(&mut inflater, "f3 48 cd c9 c9 07 00 00"), "Hello");
        assert_eq!(text(&mut inflater, "f2 48 05 00 00 00 ff ff ca c9 c9 07 00"), "Hello");
        assert_eq!(text(&mut inflater, "00"), "");
        assert_eq!(text(&mut inflater, "f2 00 11 00 00"), "Hello");
    }

    #[test]
    fn what_lies_before_is_known_or_an_error() {
        assert_eq!(text(&mut Inflater::default(), "f2 00 11 00 00"), "H…");
        let mut inflater = Inflater::default();
        text(&mut inflater, "f2 48 cd c9 c9 07 00");
        inflater.begin();
        inflater.lose();
        assert!(!inflater.finish().whole);
        assert_eq!(text(&mut inflater, "f2 00 11 00 00"), "H…");
        // What does not end where a block ends is not whole.
        assert_eq!(text(&mut inflater, "00 05 00 fa ff 48 65"), "He…");
        assert_eq!(text(&mut inflater, "ff"), "…");
    }

    #[test]
    fn long_ones_are_kept_in_part_and_the_window_goes_on() {
        use flate2::{Compress, Compression, FlushCompress};
        let mut packer = Compress::new(Compression::best(), false);
        let mut pack = |bytes: &[u8]| {
            let mut packed = Vec::with_capacity(bytes.len() + 100_000);
            packer.compress_vec(bytes, &mut packed, FlushCompress::Sync).expect("it compresses");
            packed.truncate(packed.len() - 4);
            packed
        };
        let mut inflater = Inflater::default();
        let mut most = 0;
        // Text that refers as far back as can be.
        let mut noise = 1_u32;
        let words: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .take(32_000)
        .collect();
        for round in 0..60_usize {
            let long: Vec<u8> = words.iter().copied().cycle().take(round * round * 300).collect();
            for (bytes, at_once) in [(long.as_slice(), 50_000), (&words[round * 100..][..1000], 7)] {
                inflater.begin();
                for part in pack(bytes).chunks(at_once) {
                    inflater.take(part);
                }
                let inflated = inflater.finish();
                assert!(inflated.whole, "{round} {}", bytes.len());
                assert_eq!(inflated.size, bytes.len() as u64);
                assert!(inflated.bytes.len() == bytes.len().min(KEPT) && bytes.starts_with(&inflated.bytes));
                most = most.max(inflater.bytes.capacity());
            }
        }
        assert!(most <= BEFORE + KEPT + ROOM, "{most}");
        inflater.begin();
        assert!(inflater.bytes.capacity() <= 2 * (BEFORE + ROOM), "what a long one took is given back");
        let bomb = pack(&vec![0; 64 * 1024 * 1024]);
        let inflated = read(&mut inflater, &bomb);
        assert!(!inflated.whole && inflated.bytes.len() == KEPT && inflated.size < MOST + KEPT as u64 * 2);
    }
}
