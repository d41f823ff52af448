//! Compressed records: gzip, snappy (raw, and in the blocks of snappy-java that Kafka's own clients write), lz4 frames, zstd.

use std::io::Read;

use bytes::Bytes;

/// What a batch's attributes say of its compression, bits 0 to 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// `None` for numbers that mean nothing.
    pub(super) fn of(attributes: i16) -> Option<Self> {
        match attributes & 7 {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inflated {
    pub(super) bytes: Bytes,
    /// There was more than `limit`.
    pub(super) over: bool,
}

/// Magic of snappy-java's stream, in front of two version numbers of 4 bytes.
const XERIAL: &[u8] = b"\x82SNAPPY\x00";

/// Bytes in front of snappy-java's blocks.
const XERIAL_HEADER: usize = 16;

/// Most that a zstd frame may look back, which its decoder holds: as much as its highest ordinary level (19) asks for.
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;

/// Bytes by which what comes out grows while it is read.
const STEP: usize = 64 * 1024;

/// As much of `input` as can be undone, at most `limit` bytes. Where `input` is cut: of gzip all but the last bytes, of lz4 whole
/// blocks (Kafka's have 64 KiB), of snappy whole blocks of snappy-java (32 KiB), of raw snappy (librdkafka's) nothing, of zstd what its decoder
/// need not look back at any more, mostly nothing.
pub(super) fn inflate(codec: Codec, input: &[u8], limit: usize) -> Inflated {
    match codec {
        Codec::None => Inflated {
            bytes: Bytes::copy_from_slice(input.get(..limit).unwrap_or(input)),
            over: input.len() > limit,
        },
        Codec::Gzip => read(flate2::read::MultiGzDecoder::new(input), limit),
        Codec::Lz4 => read(lz4_flex::frame::FrameDecoder::new(input), limit),
        Codec::Zstd => match ruzstd::decoding::StreamingDecoder::new_with_max_window_size(input, ZSTD_WINDOW)
        {
            Ok(decoder) => read(decoder, limit),
            Err(_) => Inflated::default(),
        },
        Codec::Snappy if input.starts_with(XERIAL) => {
            blocks(input.get(XERIAL_HEADER..).unwrap_or(&[]), limit)
        }
        Codec::Snappy => {
            let mut out = Vec::new();
            let over = block(input, limit, &mut out) == Block::Over;
            Inflated { bytes: out.into(), over }
        }
    }
}

/// Reads until the end, the limit, or what cannot be read.
fn read(mut source: impl Read, limit: usize) -> Inflated {
    let mut out = Vec::new();
    loop {
        let have = out.len();
        if have >= limit {
            let over = source.read(&mut [0]).is_ok_and(|count| count > 0);
            return Inflated { bytes: out.into(), over };
        }
        out.resize(have.saturating_add(STEP).min(limit), 0);
        let count = source.read(out.get_mut(have..).unwrap_or_default()).unwrap_or(0);
        out.truncate(have.saturating_add(count));
        if count == 0 {
            return Inflated { bytes: out.into(), over: false };
        }
    }
}

/// snappy-java's blocks: a length of 4 bytes before each.
fn blocks(mut input: &[u8], limit: usize) -> Inflated {
    let mut out = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<4>() {
        let Ok(length) = usize::try_from(u32::from_be_bytes(*length)) else { break };
        let Some(compressed) = rest.get(..length) else { break };
        match block(compressed, limit.saturating_sub(out.len()), &mut out) {
            Block::Done => input = rest.get(length..).unwrap_or(&[]),
            Block::Broken => break,
            Block::Over => return Inflated { bytes: out.into(), over: true },
        }
    }
    Inflated { bytes: out.into(), over: false }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Done,
    Broken,
    Over,
}

/// One block of snappy, added to `out` if it has at most `room` bytes.
fn block(compressed: &[u8], room: usize, out: &mut Vec<u8>) -> Block {
    let Ok(length) = snap::raw::decompress_len(compressed) else { return Block::Broken };
    if length > room {
        return Block::Over;
    }
    // A byte of snappy stands for 64 at most (a copy of 64 takes 2 or more): what claims more is broken, and no room is made for it.
    if length > compressed.len().saturating_mul(64) {
        return Block::Broken;
    }
    let before = out.len();
    out.resize(before.saturating_add(length), 0);
    match snap::raw::Decoder::new().decompress(compressed, out.get_mut(before..).unwrap_or_default()) {
        Ok(_) => Block::Done,
        Err(_) => {
            out.truncate(before);
            Block::Broken
        }
    }
}
