//! How much of a payload leaves the host: size and type always, a digest by default, bytes only on request.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::mask::{Masked, Masks};
use super::otlp::Attributes;
use crate::model::payload::Payload;
use crate::names::attribute;

/// What of a payload is exported besides its size and type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadPolicy {
    /// Nothing.
    Off,
    /// A keyed digest, and how many bytes were captured.
    #[default]
    Digest,
    /// As [`Self::Digest`], and the first so many bytes.
    Head(usize),
    /// As [`Self::Digest`], and every captured byte.
    Full,
}

/// A policy that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown payload policy `{0}`: use off, digest, head:N (N bytes) or full")]
pub struct PolicyError(String);

impl FromStr for PayloadPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text {
            "off" => Ok(Self::Off),
            "digest" => Ok(Self::Digest),
            "full" => Ok(Self::Full),
            _ => text
                .strip_prefix("head:")
                .and_then(|count| count.parse().ok())
                .map(Self::Head)
                .ok_or_else(|| PolicyError(text.to_owned())),
        }
    }
}

impl fmt::Display for PayloadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Digest => f.write_str("digest"),
            Self::Head(count) => write!(f, "head:{count}"),
            Self::Full => f.write_str("full"),
        }
    }
}

impl PayloadPolicy {
    /// How many bytes may be exported.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Off | Self::Digest => 0,
            Self::Head(count) => count,
            Self::Full => usize::MAX,
        }
    }
}

/// Secret of the payload digests: without it the digest of a short payload could be found by trying them all.
///
/// Two hosts with the same key give equal payloads equal digests.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// SipHash-2-4-128 keyed with the first half, over the second half and then the bytes.
    fn digest(&self, bytes: &[u8]) -> u128 {
        let (outer, inner) = self.0.split_at(16);
        let mut hasher = SipHasher24::new_with_key(outer.try_into().expect("half of 32 bytes is 16"));
        hasher.write(inner);
        hasher.write(bytes);
        hasher.finish128().as_u128()
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(secret)")
    }
}

/// What kind of bytes, judged by the captured ones: the value of `iotrail.payload.type`.
///
/// JSON is an object or array judged by its frame, not parsed: this runs for each message.
pub(crate) fn kind(payload: &Payload) -> Option<&'static str> {
    let bytes = payload.captured.as_ref();
    if bytes.is_empty() {
        return None;
    }
    let Some(text) = text(payload) else { return Some("binary") };
    let trimmed = text.trim();
    let mut after = trimmed.chars();
    let closed = |end: char| !payload.is_whole() || (trimmed.len() > 1 && trimmed.ends_with(end));
    let json = match after.next() {
        Some('{') => closed('}') && matches!(after.as_str().trim_start().chars().next(), Some('"' | '}')),
        Some('[') => {
            let next = after.as_str().trim_start().chars().next();
            closed(']') && matches!(next, Some('"' | '{' | '[' | ']' | '-' | '0'..='9' | 't' | 'f' | 'n'))
        }
        _ => false,
    };
    Some(if json { "json" } else { "text" })
}

/// The captured bytes as text, if they are: UTF-8 without control characters other than white space. A
/// character that the end of the capture cuts is left out.
pub(crate) fn text(payload: &Payload) -> Option<&str> {
    let bytes = payload.captured.as_ref();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && !payload.is_whole() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let clean =
        text.bytes().all(|byte| byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r'));
    clean.then_some(text)
}

/// The attribute keys of one payload.
pub(crate) struct Keys {
    kind: &'static str,
    size: &'static str,
    captured: &'static str,
    digest: &'static str,
    text: &'static str,
    hex: &'static str,
    masked: &'static str,
}

/// Keys of the request or message body.
pub(crate) const PAYLOAD: Keys = Keys {
    kind: attribute::PAYLOAD_TYPE,
    size: attribute::PAYLOAD_SIZE,
    captured: attribute::PAYLOAD_CAPTURED,
    digest: attribute::PAYLOAD_DIGEST,
    text: attribute::PAYLOAD_TEXT,
    hex: attribute::PAYLOAD_HEX,
    masked: attribute::PAYLOAD_MASKED,
};

/// Keys of a device's answer.
pub(crate) const REPLY: Keys = Keys {
    kind: attribute::REPLY_TYPE,
    size: attribute::REPLY_SIZE,
    captured: attribute::REPLY_CAPTURED,
    digest: attribute::REPLY_DIGEST,
    text: attribute::REPLY_TEXT,
    hex: attribute::REPLY_HEX,
    masked: attribute::REPLY_MASKED,
};

/// Writes the attributes of a payload that the policy and the masks allow.
///
/// Where a mask matched there is no digest: who can have payloads of their own making digested, by publishing them on
/// this host, could try guesses until one has the same digest.
pub(crate) fn describe(
    payload: &Payload,
    keys: &Keys,
    policy: PayloadPolicy,
    secret: &DigestKey,
    masks: &Masks,
    out: &mut impl Attributes,
) {
    if let Some(kind) = kind(payload) {
        out.text(keys.kind, kind);
    }
    out.int(keys.size, i64::try_from(payload.size).unwrap_or(i64::MAX));
    if policy == PayloadPolicy::Off {
        return;
    }
    out.int(keys.captured, i64::try_from(payload.captured.len()).unwrap_or(i64::MAX));
    let masked = masks.apply(payload);
    if let Some(Masked { count, .. }) = &masked {
        out.int(keys.masked, i64::try_from(*count).unwrap_or(i64::MAX));
    } else if !payload.captured.is_empty() {
        let mut hex = [0; 32];
        encode_hex(&secret.digest(&payload.captured).to_be_bytes(), &mut hex);
        out.text(keys.digest, std::str::from_utf8(&hex).expect("hex digits are ASCII"));
    }
    let limit = policy.bytes();
    if limit == 0 || payload.captured.is_empty() {
        return;
    }
    let payload = masked.as_ref().map_or(payload, |masked| &masked.payload);
    match text(payload) {
        Some(text) => {
            let mut end = limit.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            out.text(keys.text, &text[..end]);
        }
        None => {
            let head = payload.captured.get(..limit).unwrap_or(&payload.captured);
            let mut hex = vec![0; head.len() * 2];
            encode_hex(head, &mut hex);
            out.text(keys.hex, std::str::from_utf8(&hex).expect("hex digits are ASCII"));
        }
    }
}

/// Lower-case hex of `bytes` into `out`, which is twice as long.
pub(crate) fn encode_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests;
