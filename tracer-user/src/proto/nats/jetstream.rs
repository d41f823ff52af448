//! JetStream's part: what its subjects and its answers say.

use std::borrow::Cow;
use std::hash::Hasher as _;

use serde::Deserialize;
use siphasher::sip::SipHasher13;

use super::unsettled::Policy;

/// Everything of JetStream's own.
const API: &str = "$JS.API.";
const ACK: &str = "$JS.ACK.";
const FLOW: &str = "$JS.FC.";

/// A pull request: messages answer it, not the API.
const NEXT: &str = "CONSUMER.MSG.NEXT.";

/// What JetStream's answers begin to say of themselves.
const ANSWER_TYPE: &[u8] = b"\"io.nats.jetstream.api.v1.";

/// How far into an answer that is looked for: it is the first member.
const TYPE_BYTES: usize = 128;

/// Longest answer that is read: one with a consumer's configuration has some 700 bytes, and many filters may be in it.
const ANSWER_BYTES: usize = 16 * 1024;

/// What a program publishes to JetStream itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inward<'a> {
    /// A request of the API, which answers.
    Request,
    /// A pull request, of a stream's consumer.
    Pull { stream: &'a str, consumer: &'a str },
    /// The settlement of a delivery.
    Settle,
    /// The answer to flow control.
    Flow,
}

/// What a publish to `subject` is, if it is none of a message.
pub(super) fn inward(subject: &str) -> Option<Inward<'_>> {
    if !subject.starts_with("$JS.") {
        None
    } else if subject.starts_with(ACK) {
        Some(Inward::Settle)
    } else if subject.starts_with(FLOW) {
        Some(Inward::Flow)
    } else if let Some(request) = subject.strip_prefix(API) {
        Some(of_api(request))
    } else {
        // A domain: `$JS.hub.API.…`.
        let rest = subject.strip_prefix("$JS.")?;
        let (_, rest) = rest.split_once('.')?;
        let request = rest.strip_prefix("API.")?;
        Some(of_api(request))
    }
}

/// What a request of the API is.
fn of_api(request: &str) -> Inward<'_> {
    match request.strip_prefix(NEXT).and_then(|names| names.split_once('.')) {
        Some((stream, consumer)) => Inward::Pull { stream, consumer },
        None => Inward::Request,
    }
}

/// What a pull request asks for, ADR-13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pull {
    /// Messages.
    pub(super) batch: u64,
    /// ns until the server gives up.
    pub(super) expires: Option<u64>,
}

#[derive(Deserialize)]
struct PullBody {
    #[serde(default)]
    batch: Option<u64>,
    #[serde(default)]
    expires: Option<u64>,
}

impl Pull {
    /// Reads `{"batch":10,"expires":5000000000}`, a number of messages, or nothing, which is for one message.
    pub(super) fn read(body: &[u8]) -> Self {
        let body = body.trim_ascii();
        let (batch, expires) = match body.first() {
            Some(b'{') if body.len() <= ANSWER_BYTES => match serde_json::from_slice(body) {
                Ok(PullBody { batch, expires }) => (batch, expires.filter(|ns| *ns > 0)),
                Err(_) => (None, None),
            },
            _ => (str::from_utf8(body).ok().and_then(|number| number.parse().ok()), None),
        };
        Self { batch: batch.unwrap_or(1).max(1), expires }
    }
}

/// What the reply subject of a delivery says, ADR-15:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>`, or with
/// `<domain>.<account>` before the stream and perhaps further tokens behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered<'a> {
    pub(super) stream: &'a str,
    pub(super) consumer: &'a str,
    /// How often, this time included.
    pub(super) count: u64,
    /// Number in the stream.
    pub(super) sequence: u64,
}

impl<'a> Delivered<'a> {
    pub(super) fn read(reply: &'a str) -> Option<Self> {
        let tokens = reply.strip_prefix(ACK)?;
        let count = tokens.split('.').count();
        let skip = match count {
            7 => 0,
            9.. => 2,
            _ => return None,
        };
        let mut tokens = tokens.split('.').skip(skip);
        let (stream, consumer) = (tokens.next()?, tokens.next()?);
        let (count, sequence) = (tokens.next()?.parse().ok()?, tokens.next()?.parse().ok()?);
        Some(Self { stream, consumer, count, sequence })
    }
}

/// How a delivery is settled: the name of that, and of the refusal if it is one. `None`: it is not over (`+WPI`).
pub(super) fn settlement(body: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    match body {
        [b'+', b'W', b'P', b'I', ..] => None,
        // Perhaps with a delay or a reason behind it.
        [b'-', b'N', b'A', b'K', ..] => Some(("nack", Some("nack"))),
        [b'+', b'T', b'E', b'R', b'M', ..] => Some(("term", Some("term"))),
        // `+ACK`, `+NXT` (with a request for more), or nothing.
        _ => Some(("ack", None)),
    }
}

/// The answer to a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PubAck {
    /// `stream:sequence`, if the message was stored; not if it was before, by another publish.
    pub(super) given: Option<String>,
    /// Why it was not.
    pub(super) error: Option<Cow<'static, str>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    stream: Option<Cow<'a, str>>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
    #[serde(default)]
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    err_code: Option<u16>,
}

impl PubAck {
    /// What JetStream says of a publish: `{"stream":"ORDERS","seq":7}` or `{"error":{…}}`; `None` if it is something else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        if body.first() != Some(&b'{') || body.len() > ANSWER_BYTES {
            return None;
        }
        let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
        match answer {
            Answer { error: Some(ApiError { code, err_code: Some(err_code) }), .. } => {
                Some(Self { given: None, error: Some(Cow::Borrowed(error_name(code, err_code))) })
            }
            Answer { stream: Some(stream), seq: Some(sequence), duplicate, error: None } => {
                let given = (!duplicate).then(|| message_id(&stream, sequence));
                Some(Self { given, error: None })
            }
            _ => None,
        }
    }
}

/// Identity of a message for good.
pub(super) fn message_id(stream: &str, sequence: u64) -> String {
    let mut number = itoa::Buffer::new();
    [stream, ":", number.format(sequence)].concat()
}

/// Whether `body` is an answer of the JetStream API.
pub(super) fn is_answer(body: &[u8]) -> bool {
    let head = body.get(..TYPE_BYTES).unwrap_or(body);
    body.first() == Some(&b'{') && memchr::memmem::find(head, ANSWER_TYPE).is_some()
}

#[derive(Deserialize)]
struct ConsumerInfo<'a> {
    #[serde(borrow, default)]
    stream_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    config: Option<ConsumerConfig<'a>>,
}

#[derive(Deserialize)]
struct ConsumerConfig<'a> {
    #[serde(borrow, default)]
    ack_policy: Option<Cow<'a, str>>,
}

/// The consumer that an answer of the API describes, as [`consumer_hash`], and how its messages are acknowledged.
pub(super) fn described(body: &[u8]) -> Option<(u64, Policy)> {
    if body.len() > ANSWER_BYTES {
        return None;
    }
    let info: ConsumerInfo<'_> = serde_json::from_slice(body).ok()?;
    let policy = match &*info.config?.ack_policy? {
        "none" => Policy::None,
        "all" => Policy::All,
        _ => Policy::Explicit,
    };
    Some((consumer_hash(&info.stream_name?, &info.name?), policy))
}

/// A number for a consumer.
pub(super) fn consumer_hash(stream: &str, consumer: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(stream.as_bytes());
    hasher.write_u8(0);
    hasher.write(consumer.as_bytes());
    hasher.finish()
}

/// A number for a subject or the id of a subscription: the same at both ends, always.
pub(super) fn hash(name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(name);
    hasher.finish()
}

/// Names of the server's errors (its `errors.json`) that a publish can meet; else those of their codes.
fn error_name(code: u16, err_code: u16) -> &'static str {
    match err_code {
        10008 => "cluster_not_available",
        10023 => "insufficient_resources",
        10028 => "memory_resources_exceeded",
        10039 | 10076 => "jetstream_not_enabled",
        10047 => "storage_resources_exceeded",
        10054 => "message_too_large",
        10059 => "stream_not_found",
        10060 => "wrong_stream",
        10070 => "wrong_last_message_id",
        10071 | 10164 => "wrong_last_sequence",
        10077 => "store_failed",
        10097 => "headers_too_large",
        10109 => "stream_sealed",
        10111 => "rollup_failed",
        _ => match code {
            400 => "bad_request",
            401 | 403 => "not_authorized",
            404 => "not_found",
            408 => "timeout",
            409 => "conflict",
            500 => "internal_error",
            503 => "unavailable",
            _ => "other",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_acknowledgement_subjects() {
        let expected = Some(Delivered { stream: "ORDERS", consumer: "work", count: 2, sequence: 17 });
        assert_eq!(Delivered::read("$JS.ACK.ORDERS.work.2.17.3.1668850000000000000.5"), expected);
        assert_eq!(Delivered::read("$JS.ACK._.acct.ORDERS.work.2.17.3.1668850000000000000.5"), expected);
        assert_eq!(
            Delivered::read("$JS.ACK.hub.acct.ORDERS.work.2.17.3.1668850000000000000.5.rnd"),
            expected
        );
        for bad in
            ["$JS.ACK.ORDERS", "$JS.ACK.A.B.1.2.3.4.5.6", "$JS.ACK.A.B.x.2.3.4.5", "_INBOX.a", "$JS.ACK."]
        {
            assert_eq!(Delivered::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_to_publishes() {
        let read = |text: &str| PubAck::read(text.as_bytes());
        let stored = |given: &str| Some(PubAck { given: Some(given.into()), error: None });
        assert_eq!(read(r#"{"stream":"ORDERS", "seq":17}"#), stored("ORDERS:17"));
        assert_eq!(read(r#"{"stream":"O","domain":"hub","seq":1}"#), stored("O:1"));
        let duplicate = read(r#"{"stream":"O","seq":1,"duplicate":true}"#);
        assert_eq!(duplicate, Some(PubAck { given: None, error: None }));
        let refused = read(
            r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"},"stream":"O","seq":0}"#,
        );
        assert_eq!(refused, Some(PubAck { given: None, error: Some("wrong_last_sequence".into()) }));
        for other in [r#"{"stream":"O"}"#, r#"{"error":{"code":4}}"#, "7", "", "{", r#"{"seq":1}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn what_goes_to_jetstream_itself() {
        for (subject, expected) in [
            ("$JS.API.STREAM.INFO.O", Some(Inward::Request)),
            ("$JS.API.CONSUMER.MSG.NEXT.O.work", Some(Inward::Pull { stream: "O", consumer: "work" })),
            ("$JS.hub.API.CONSUMER.MSG.NEXT.O.work", Some(Inward::Pull { stream: "O", consumer: "work" })),
            ("$JS.hub.API.INFO", Some(Inward::Request)),
            ("$JS.ACK.O.work.1.1.1.1.0", Some(Inward::Settle)),
            ("$JS.FC.O.work.1", Some(Inward::Flow)),
            ("$JS.EVENT.ADVISORY.x", None),
            ("$KV.bucket.key", None),
            ("orders", None),
        ] {
            assert_eq!(inward(subject), expected, "{subject}");
        }
    }

    #[test]
    fn what_is_pulled() {
        for (body, batch, expires) in [
            (r#"{"expires":1000000000,"batch":2}"#, 2, Some(1_000_000_000)),
            (r#"{"batch": 3, "no_wait": true}"#, 3, None),
            (r#"{"no_wait":true}"#, 1, None),
            ("20", 20, None),
            ("", 1, None),
            ("{", 1, None),
            ("0", 1, None),
            ("-1", 1, None),
        ] {
            assert_eq!(Pull::read(body.as_bytes()), Pull { batch, expires }, "{body}");
        }
    }

    #[test]
    fn settlements() {
        assert_eq!(settlement(b""), Some(("ack", None)));
        assert_eq!(settlement(b"+ACK"), Some(("ack", None)));
        assert_eq!(settlement(b"+NXT 10"), Some(("ack", None)));
        assert_eq!(settlement(b"-NAK {\"delay\": 5000}"), Some(("nack", Some("nack"))));
        assert_eq!(settlement(b"+TERM bad"), Some(("term", Some("term"))));
        assert_eq!(settlement(b"+WPI"), None);
    }
}
