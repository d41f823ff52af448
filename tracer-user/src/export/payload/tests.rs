//! What leaves the host under each policy.

use std::sync::Arc;

use super::*;
use crate::export::samples::{encoder, trail};

/// Gathers attributes as lines.
#[derive(Default)]
struct Lines(Vec<String>);

impl Attributes for Lines {
    fn text(&mut self, key: &str, value: &str) {
        self.0.push(format!("{} {value:?}", key.trim_start_matches("iotrail.payload.")));
    }

    fn int(&mut self, key: &str, value: i64) {
        self.text(key, &value.to_string());
    }

    fn float(&mut self, key: &str, value: f64) {
        self.text(key, &value.to_string());
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.text(key, &value.to_string());
    }

    fn texts(&mut self, key: &str, values: &[Arc<str>]) {
        self.text(key, &values.join(" "));
    }
}

fn lines(payload: &Payload, policy: PayloadPolicy) -> String {
    let mut lines = Lines::default();
    describe(payload, &PAYLOAD, policy, &DigestKey::new([7; 32]), &Masks::default(), &mut lines);
    lines.0.join(", ")
}

#[test]
fn policies_are_read_and_written() {
    for text in ["off", "digest", "head:0", "head:64", "full"] {
        assert_eq!(text.parse::<PayloadPolicy>().unwrap().to_string(), text);
    }
    for text in ["", "head", "head:", "head:-1", "head:x", "OFF"] {
        let error = text.parse::<PayloadPolicy>().unwrap_err();
        assert!(error.to_string().contains("head:N"), "{error}");
    }
    assert_eq!(PayloadPolicy::default(), PayloadPolicy::Digest);
}

#[test]
fn each_policy_says_more() {
    use expect_test::expect;
    let text = Payload::whole(&b"temp=21.5 \xc2\xb0C"[..]);
    let cut = Payload { captured: b"\x00\x01\xfe"[..].into(), size: 4096 };
    let empty = Payload::default();
    let mut all = Vec::new();
    for policy in ["off", "digest", "head:11", "full"] {
        for payload in [&text, &cut, &empty] {
            all.push(format!("{policy}: {}", lines(payload, policy.parse().unwrap())));
        }
    }
    expect![[r#"
        off: type "text", size "13"
        off: type "binary", size "4096"
        off: size "0"
        digest: type "text", size "13", captured "13", digest "2124c6111fc56a8bf1ef17b31832490a"
        digest: type "binary", size "4096", captured "3", digest "c6bba02a58ad242654f2cd5ee40517ab"
        digest: size "0", captured "0"
        head:11: type "text", size "13", captured "13", digest "2124c6111fc56a8bf1ef17b31832490a", text "temp=21.5 "
        head:11: type "binary", size "4096", captured "3", digest "c6bba02a58ad242654f2cd5ee40517ab", hex "0001fe"
        head:11: size "0", captured "0"
        full: type "text", size "13", captured "13", digest "2124c6111fc56a8bf1ef17b31832490a", text "temp=21.5 °C"
        full: type "binary", size "4096", captured "3", digest "c6bba02a58ad242654f2cd5ee40517ab", hex "0001fe"
        full: size "0", captured "0""#]].assert_eq(&all.join("\n"));
}

#[test]
fn types() {
    let whole = |bytes: &'static [u8]| Payload::whole(bytes);
    let cut = |bytes: &'static [u8]| Payload { captured: bytes.into(), size: 1 << 20 };
    for (payload, expected) in [
        (whole(b"{\"a\":1}"), Some("json")),
        (whole(b" [1, 2]\n"), Some("json")),
        (whole(b"{}"), Some("json")),
        (whole(b"{"), Some("text")),
        (whole(b"{a}"), Some("text")),
        (whole(b"[off]"), Some("text")),
        (whole(b"21.5"), Some("text")),
        (whole(b"ERR busy\r\n"), Some("text")),
        (whole(b"\x1b[0m"), Some("binary")),
        (whole(b"a\0b"), Some("binary")),
        (whole(b"\xff"), Some("binary")),
        (whole(b""), None),
        (cut(b"{\"a\":"), Some("json")),
        // The capture ends within a character; a whole payload may not.
        (cut(b"gr\xc3"), Some("text")),
        (whole(b"gr\xc3"), Some("binary")),
    ] {
        assert_eq!(kind(&payload), expected, "{payload:?}");
    }
}

#[test]
fn digests_depend_on_the_key_and_on_every_byte() {
    let digest = |key: u8, bytes: &[u8]| DigestKey::new([key; 32]).digest(bytes);
    assert_eq!(digest(1, b"21.5"), digest(1, b"21.5"));
    assert_ne!(digest(1, b"21.5"), digest(2, b"21.5"));
    assert_ne!(digest(1, b"21.5"), digest(1, b"21.6"));
    // Each half of the key counts.
    let mut halves = [1; 32];
    halves[31] = 0;
    assert_ne!(DigestKey::new(halves).digest(b"21.5"), digest(1, b"21.5"));
    assert_eq!(format!("{:?}", DigestKey::new([1; 32])), "DigestKey(secret)");
}

#[test]
fn bytes_stay_at_home_unless_asked_for() {
    for (policy, expected) in [
        (PayloadPolicy::Off, false),
        (PayloadPolicy::Digest, false),
        (PayloadPolicy::Head(0), false),
        (PayloadPolicy::Head(100), true),
        (PayloadPolicy::Full, true),
    ] {
        let encoder = encoder(policy);
        let mut json = Vec::new();
        encoder.json_line(&trail(), &mut json);
        for bytes in [json, encoder.protobuf(&trail())] {
            // What only bodies and answers hold, as text and as hex.
            for secret in [&b"celsius"[..], b"21.50", b"ERR busy", b"63656c73697573", b"VALVE 1"] {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert_eq!(found, expected && secret != b"63656c73697573", "{policy} {secret:?}");
            }
        }
    }
}
