//! Headers of messages, ADR-4: `NATS/1.0`, perhaps a status, then a line each.

use std::sync::Arc;

use crate::proto::shared_names::SharedNames;

/// Most headers of a message that are kept.
const MAX_KEPT: usize = 32;

/// Longest value that is kept: a baggage has up to 8192 bytes (W3C Baggage, section 3.3.2).
const VALUE_BYTES: usize = 8192;

/// What a message's headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    /// The server speaks, not a program: `NATS/1.0 404 No Messages`.
    pub(super) status: Option<u16>,
    /// Context and identity, with names in small letters.
    pub(super) kept: Vec<(Arc<str>, Arc<str>)>,
    /// `Nats-Msg-Id`, by which JetStream knows duplicates.
    pub(super) message_id: Option<Arc<str>>,
    /// It says what JetStream is to make sure of, so JetStream it is that the message goes to.
    pub(super) for_jetstream: bool,
    /// It says from which stream it was read: the answer to a direct get (ADR-31), or what a stream publishes again.
    pub(super) is_stored: bool,
}

impl Headers {
    /// Reads the headers, or as much of them as was captured.
    pub(super) fn read(bytes: &[u8], names: &mut SharedNames) -> Self {
        let mut headers = Self::default();
        let mut lines =
            bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let Some(first) = lines.next().and_then(|line| line.strip_prefix(b"NATS/1.0")) else {
            return headers;
        };
        headers.status = status(first);
        for line in lines {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (Some(name), Some(value)) = (line.get(..colon), line.get(colon + 1..)) else { continue };
            headers.add(name, value.trim_ascii(), names);
        }
        headers
    }

    fn add(&mut self, name: &[u8], value: &[u8], names: &mut SharedNames) {
        let has =
            |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|part| part.eq_ignore_ascii_case(prefix));
        let text = || std::str::from_utf8(value).ok().filter(|value| value.len() <= VALUE_BYTES);
        if has(b"Nats-") {
            if name.eq_ignore_ascii_case(b"Nats-Msg-Id") {
                self.message_id = text().map(Arc::from);
                self.for_jetstream = true;
            }
            self.is_stored |= name.eq_ignore_ascii_case(b"Nats-Stream");
            self.for_jetstream |= has(b"Nats-Expected-") || has(b"Nats-Rollup");
            return;
        }
        let is_context =
            [&b"traceparent"[..], b"tracestate", b"baggage", b"correlation-id", b"correlation_id"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
        if !(is_context || has(b"ce-")) || self.kept.len() >= MAX_KEPT {
            return;
        }
        let (Ok(name), Some(value)) = (std::str::from_utf8(name), text()) else { return };
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            names.share(&name.to_ascii_lowercase())
        } else {
            names.share(name)
        };
        self.kept.push((name, Arc::from(value)));
    }
}

/// The number of three digits behind the version.
fn status(first: &[u8]) -> Option<u16> {
    let mut words = first.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|word| word.len() == 3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Headers {
        Headers::read(text.as_bytes(), &mut SharedNames::default())
    }

    #[test]
    fn keeps_context_and_identity_whatever_the_case() {
        let headers = read(
            "NATS/1.0\r\nTraceparent: 00-1-2-01\r\nce-Type:io.a\r\nOther: 1\r\nBAGGAGE:  a=1 \r\nnats-msg-id: m:1\r\n\r\n",
        );
        let kept: Vec<(&str, &str)> = headers.kept.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(kept, [("traceparent", "00-1-2-01"), ("ce-type", "io.a"), ("baggage", "a=1")]);
        assert_eq!((headers.status, headers.message_id.as_deref()), (None, Some("m:1")));
        assert!(headers.for_jetstream);
    }

    #[test]
    fn reads_a_status() {
        for (text, status) in [
            ("NATS/1.0 503\r\n\r\n", Some(503)),
            ("NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\n\r\n", Some(100)),
            ("NATS/1.0 404 No Messages\r\n\r\n", Some(404)),
            ("NATS/1.0\r\n\r\n", None),
            ("NATS/1.0 4x4\r\n\r\n", None),
            ("HTTP/1.1 200\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(read(text).status, status, "{text}");
        }
    }

    #[test]
    fn keeps_no_more_than_so_many() {
        let text = (0..1000).fold("NATS/1.0\r\n".to_owned(), |text, n| text + &format!("ce-x{n}: {n}\r\n"));
        assert_eq!(read(&text).kept.len(), MAX_KEPT);
        assert_eq!(read(&format!("NATS/1.0\r\nbaggage: {}\r\n", "x".repeat(VALUE_BYTES + 1))).kept, []);
    }
}
