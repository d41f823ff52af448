//! What the records of TLS show without their key: that they are such, and how much they hold.
//!
//! RFC 8446 section 5.1 (TLS 1.3), RFC 5246 section 6.2 (TLS 1.2): type, version, length of what follows.

/// Bytes of a record's header.
const HEADER: usize = 5;

/// `change_cipher_spec` to `heartbeat`, RFC 8446 appendix B.1.
const TYPES: std::ops::RangeInclusive<u8> = 20..=24;
/// `handshake`.
const HANDSHAKE: u8 = 22;
/// `application_data`.
const APPLICATION: u8 = 23;

/// The greatest length of what follows a header: 2^14 and room for what encryption adds, RFC 5246 section 6.2.3.
const LONGEST: usize = (1 << 14) + 2048;

/// Plaintext of a record at most.
const FRAGMENT: u64 = 1 << 14;

/// What encryption adds to a record's plaintext, in bytes: AEADs of TLS 1.3 (a tag, and the type), of TLS 1.2 (GCM and CCM
/// have a nonce, ChaCha20 none), and with tags of 8 bytes. CBC pads, so that its length tells too little.
const ADDED: [u64; 5] = [17, 24, 16, 9, 8];

/// Records that are looked at in one chunk: each has some bytes, so that is more than a small message takes.
const RECORDS: usize = 64;

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    kind: u8,
    length: usize,
}

impl Record {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, major, minor, high, low] = *bytes.first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let fits = TYPES.contains(&kind) && major == 3 && minor <= 4 && length > 0 && length <= LONGEST;
        fits.then_some(Self { kind, length })
    }
}

/// Whether a call's bytes begin with a TLS record. `first`: they are the first of their connection's direction, where
/// nothing but a handshake can stand. No protocol of this project begins a message so.
#[must_use]
pub fn begins(bytes: &[u8], first: bool) -> bool {
    let Some(record) = Record::read(bytes) else { return false };
    if record.kind == HANDSHAKE {
        // `client_hello` and `server_hello`, RFC 8446 section 4; behind the header, if it came along.
        return !first || bytes.get(HEADER).is_none_or(|kind| matches!(kind, 1 | 2));
    }
    // In mid-stream: what comes behind it has to fit too.
    let rest = bytes.get(HEADER + record.length..).unwrap_or_default();
    !first && (rest.len() < HEADER || Record::read(rest).is_some())
}

/// Whether a call's bytes are a `client_hello` in one record, RFC 8446 section 4.1.2: the first thing that is encrypted in a
/// connection that began in the open (NATS, AMQP 1.0).
#[must_use]
pub fn is_client_hello(bytes: &[u8]) -> bool {
    let (Some(record), Some(&[kind, long, high, low, 3, 1..=3])) =
        (Record::read(bytes), bytes.get(HEADER..).and_then(<[u8]>::first_chunk))
    else {
        return false;
    };
    let length = u32::from_be_bytes([0, long, high, low]);
    record.kind == HANDSHAKE
        && kind == 1
        && usize::try_from(length).is_ok_and(|length| length + 4 == record.length)
}

/// How much plaintext the records of one call can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Records of application data.
    records: u64,
    /// Their encrypted length together.
    length: u64,
}

impl Shape {
    /// The shape of a call that moved `size` bytes, of which `bytes` were captured. `None`: it does not consist of whole
    /// records.
    #[must_use]
    pub fn of(mut bytes: &[u8], size: u64) -> Option<Self> {
        let mut shape = Self::default();
        let mut left = size;
        for _ in 0..RECORDS {
            if left == 0 {
                return Some(shape);
            }
            let record = Record::read(bytes)?;
            let whole = HEADER + record.length;
            left = left.checked_sub(whole as u64)?;
            if record.kind == APPLICATION {
                shape.records += 1;
                shape.length += record.length as u64;
            }
            bytes = bytes.get(whole..).unwrap_or_default();
        }
        None
    }

    /// Whether they hold exactly so many bytes of plaintext.
    #[must_use]
    pub fn holds(self, plain: u64) -> bool {
        let enough = self.records > 0 && plain <= self.records.saturating_mul(FRAGMENT);
        enough && ADDED.iter().any(|added| plain.saturating_add(added * self.records) == self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut bytes = vec![kind, 3, 3, high, low];
        bytes.resize(HEADER + usize::from(length), 1);
        bytes
    }

    #[test]
    fn handshakes_begin_connections_and_data_go_on() {
        assert!(begins(&[22, 3, 1, 2, 0, 1, 0, 1, 252], true));
        assert!(begins(&[22, 3, 1, 2, 0], true), "the header alone, as OpenSSL reads it");
        assert!(!begins(&[22, 3, 1, 2, 0, 77], true), "no hello");
        assert!(!begins(&record(23, 40), true), "nobody begins with data");
        assert!(begins(&record(23, 40), false));
        assert!(begins(&[record(23, 40), record(21, 19)].concat(), false));
        assert!(!begins(&[record(23, 40), b"hello".to_vec()].concat(), false));
    }

    #[test]
    fn what_brokers_speak_is_none() {
        // CONNECT of MQTT, a frame of AMQP and its header, Kafka, NATS, RESP.
        let plain: [&[u8]; 6] = [
            b"\x10\x16\0\x04MQTT\x04\x02\0\x3c\0\x0aabcdefghij",
            b"\x01\0\0\0\0\0\x05\0\x0a\0\x0b\0\xce",
            b"AMQP\0\0\x09\x01",
            b"\0\0\0\x17\0\x03\0\x03\0\0\0\x01\0\x01a\0",
            b"PUB a 5\r\nhello\r\n",
            b"*3\r\n$3\r\nSET\r\n",
        ];
        for bytes in plain {
            assert!(!begins(bytes, true) && !begins(bytes, false), "{bytes:?}");
        }
        assert!(!begins(&[], true) && !begins(&[23, 3], false));
    }

    #[test]
    fn a_shape_says_how_much_plaintext_there_is() {
        let shape = |bytes: &[u8]| Shape::of(bytes, bytes.len() as u64);
        let one = shape(&record(23, 100 + 17)).expect("whole");
        assert!(one.holds(100) && one.holds(93) && !one.holds(99) && !one.holds(117));
        let two = shape(&[record(23, 40), record(20, 1), record(23, 60)].concat()).expect("whole");
        assert!(two.holds(100 - 2 * 17) && !two.holds(100 - 17));
        assert_eq!(shape(&record(23, 40)[..20]), None, "torn");
        assert_eq!(shape(&[]).map(|shape| shape.holds(0)), Some(false));
        // A long record of which only the beginning was captured.
        let long = Shape::of(&record(23, 5000)[..64], 5005).expect("whole");
        assert!(long.holds(4983));
    }
}
