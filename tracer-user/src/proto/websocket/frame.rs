//! The head of a frame (RFC 6455, section 5.2).

/// Most bytes of a head: 2, a length of 8, a masking key of 4.
pub(super) const HEAD: usize = 14;

/// Longest payload of a control frame (section 5.5).
const CONTROL_MAX: u64 = 125;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Whether the message ends with it.
    pub(super) fin: bool,
    /// Bytes of the head.
    pub(super) size: u64,
    /// Bytes of the payload.
    pub(super) len: u64,
    /// Masking key: of what goes to the server.
    pub(super) mask: Option<[u8; 4]>,
}

/// What a frame is (section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message begins, text or binary. `compressed`: RSV1 of permessage-deflate (RFC 7692, section 6).
    Message {
        compressed: bool,
    },
    /// A message goes on.
    Continuation,
    /// Ping or pong.
    Control,
    Close,
}

/// What bytes are the beginning of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Frame(Frame),
    NeedMore,
    Invalid,
}

impl Frame {
    /// Reads the head at the front of `bytes`. `masked`: whether it has to be masked, if known (section 5.1).
    pub(super) fn read(bytes: &[u8], masked: Option<bool>) -> Head {
        let Some(&first) = bytes.first() else { return Head::NeedMore };
        let (fin, rsv1, opcode) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x0f);
        let kind = match opcode {
            0 if !rsv1 => Kind::Continuation,
            1 | 2 => Kind::Message { compressed: rsv1 },
            8 if fin && !rsv1 => Kind::Close,
            9 | 10 if fin && !rsv1 => Kind::Control,
            _ => return Head::Invalid,
        };
        if first & 0x30 != 0 {
            return Head::Invalid;
        }
        let Some(&second) = bytes.get(1) else { return Head::NeedMore };
        let is_masked = second & 0x80 != 0;
        if masked.is_some_and(|masked| masked != is_masked) {
            return Head::Invalid;
        }
        // The shortest form is demanded, and the highest bit of 64 is 0.
        let (len, at) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 4),
                _ => return Head::NeedMore,
            },
            127 => match bytes.get(2..10).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) {
                Some(bytes) => (u64::from_be_bytes(bytes), 10),
                None => return Head::NeedMore,
            },
            short => (u64::from(short), 2),
        };
        let shortest = match at {
            4 => len > 125,
            10 => len > 0xffff && len < 1 << 63,
            _ => true,
        };
        if !shortest || (matches!(kind, Kind::Control | Kind::Close) && len > CONTROL_MAX) {
            return Head::Invalid;
        }
        let (mask, size) = match is_masked {
            false => (None, at),
            true => match bytes.get(at..at + 4) {
                Some(&[a, b, c, d]) => (Some([a, b, c, d]), at + 4),
                _ => return Head::NeedMore,
            },
        };
        Head::Frame(Self { kind, fin, size: size as u64, len, mask })
    }

    /// Bytes of the whole frame.
    pub(super) fn total(&self) -> u64 {
        self.size.saturating_add(self.len)
    }
}

/// `bytes`, which lie `phase` bytes into a masked payload, unmasked in place (section 5.3).
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], phase: u8) {
    let mut key = mask;
    key.rotate_left(usize::from(phase % 4));
    for chunk in bytes.chunks_mut(4) {
        for (byte, key) in chunk.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::testing::hex;

    fn read(text: &str, masked: Option<bool>) -> String {
        match Frame::read(&hex(text), masked) {
            Head::Frame(frame) => {
                format!("{:?} {}+{} {}", frame.kind, frame.size, frame.len, frame.mask.is_some())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn heads_of_every_form() {
        for (bytes, expected) in [
            ("", "NeedMore"),
            ("82", "NeedMore"),
            ("82 00", "Message { compressed: false } 2+0 false"),
            ("02 7d", "Message { compressed: false } 2+125 false"),
            ("c1 05", "Message { compressed: true } 2+5 false"),
            ("00 05", "Continuation 2+5 false"),
            ("82 85 01 02 03", "NeedMore"),
            ("82 85 01 02 03 04", "Message { compressed: false } 6+5 true"),
            ("82 7e 00", "NeedMore"),
            ("82 7e 00 7e", "Message { compressed: false } 4+126 false"),
            ("82 7e 00 7d", "Invalid"),
            ("82 fe ff ff 01 02 03 04", "Message { compressed: false } 8+65535 true"),
            ("82 7f 00 00 00 00 00 01 00 00", "Message { compressed: false } 10+65536 false"),
            ("82 7f 00 00 00 00 00 00 ff ff", "Invalid"),
            ("82 7f 80 00 00 00 00 01 00 00", "Invalid"),
            ("82 ff 00 00 00 00 00 01 00 00 01 02 03", "NeedMore"),
            ("82 ff 00 00 00 00 00 01 00 00 01 02 03 04", "Message { compressed: false } 14+65536 true"),
            ("89 00", "Control 2+0 false"),
            ("8a 7d", "Control 2+125 false"),
            ("89 7e 00 7e", "Invalid"),
            ("09 00", "Invalid"),
            ("88 02", "Close 2+2 false"),
            ("83 00", "Invalid"),
            ("8b 00", "Invalid"),
            ("a2 00", "Invalid"),
            ("92 00", "Invalid"),
            ("c0 00", "Invalid"),
            ("c9 00", "Invalid"),
        ] {
            assert_eq!(read(bytes, None), expected, "{bytes}");
        }
        assert_eq!(read("82 05", Some(true)), "Invalid");
        assert_eq!(read("82 85", Some(false)), "Invalid");
    }

    #[test]
    fn masks_go_on_where_they_were() {
        // Section 5.7: "Hello".
        let masked = hex("7f 9f 4d 51 58");
        for cut in 0..=masked.len() {
            let (mut head, mut tail) = (masked[..cut].to_vec(), masked[cut..].to_vec());
            unmask(&mut head, [0x37, 0xfa, 0x21, 0x3d], 0);
            unmask(&mut tail, [0x37, 0xfa, 0x21, 0x3d], cut as u8);
            assert_eq!([head, tail].concat(), b"Hello");
        }
    }
}
