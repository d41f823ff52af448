//! What is hidden is nowhere to be found.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::export::metrics::{Format, Metrics, Telemetry};
use crate::export::payload::PayloadPolicy;
use crate::export::samples::{device, encoder, message, process, span};
use crate::export::tree::{Look, render};
use crate::model::process::Process;
use crate::model::span::Owner;

fn masks(patterns: &[&str]) -> Masks {
    let masks: Vec<Mask> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    Masks::new(&masks).unwrap()
}

/// What is left of a text, and how many stretches are not.
fn shown(patterns: &[&str], bytes: &[u8]) -> (String, usize) {
    let payload = Payload::whole(bytes.to_vec());
    let masked = masks(patterns).apply(&payload);
    let (payload, count) = masked.map_or((payload, 0), |masked| (masked.payload, masked.count));
    (payload.captured.escape_ascii().to_string(), count)
}

#[test]
fn whole_matches_are_hidden() {
    for (patterns, bytes, expected) in [
        (&[r"password=\S+"][..], &b"user=a password=hunter2 x"[..], ("user=a *** x", 1)),
        (&[r"password=\S+"], b"password=a\npassword=b\n", (r"***\n***\n", 2)),
        (&[r"password=\S+"], b"nothing to hide", ("nothing to hide", 0)),
        // Bytes that are no text are no end of a secret.
        (&[r"password=\S+"], b"password=\xff\x00\x80 x", ("*** x", 1)),
        (&[r"\xde\xad"], b"\x00\xde\xad\xbe", (r"\x00***\xbe", 1)),
        // Each pattern sees the real bytes; what overlaps or touches is one stretch.
        (&["abc", "bcd", "de"], b"xabcdey", ("x***y", 1)),
        (&[r"\*\*\*", "a"], b"a***", ("***", 1)),
        // Empty matches hide nothing.
        (&["x*"], b"axxb", ("a***b", 1)),
        (&["(?i)pin"], b"PIN", ("***", 1)),
        (&["é"], "caf\u{e9}".as_bytes(), ("caf***", 1)),
    ] {
        let (text, count) = shown(patterns, bytes);
        assert_eq!((text.as_str(), count), expected, "{patterns:?}");
    }
}

#[test]
fn what_is_missing_stays_missing() {
    let cut = Payload { captured: b"pin=1234567"[..].into(), size: 100 };
    let masked = masks(&["[0-9]+"]).apply(&cut).unwrap().payload;
    assert_eq!((masked.captured.as_ref(), masked.size), (&b"pin=***"[..], 4 + 3 + 89));
}

#[test]
fn wrong_patterns_are_named() {
    for (pattern, why) in [
        ("", "empty"),
        ("pass(", "unclosed group"),
        ("a{1000000}", "too"),
        ("(?:[a-z0-9]{500}){500}", "too large"),
        (r"\p{L}", "Unicode"),
    ] {
        let error = pattern.parse::<Mask>().unwrap_err().to_string();
        assert!(
            error.contains(why) && error.contains(pattern) && !error.contains('\n'),
            "{pattern}: {error}"
        );
    }
    let many: Vec<Mask> = (0..=MASKS).map(|_| "x".parse().unwrap()).collect();
    assert!(Masks::new(&many).unwrap_err().to_string().contains("33"));
}

#[test]
fn a_masked_payload_says_so_and_has_no_digest() {
    let mut one = span(1, &process("a", 1), "publish x", SpanKind::Producer, Subject::Publish(message("x")));
    one.payload = Some(Payload::whole(&b"token=1 token=2"[..]));
    one.reply = Some(Payload::whole(&b"fine"[..]));
    let mut encoder = encoder(PayloadPolicy::Head(8));
    encoder.masks = masks(&[r"token=\S+"]);
    let mut line = Vec::new();
    encoder.json_line(&[Arc::new(one)], &mut line);
    let line = String::from_utf8(line).unwrap();
    let (_, attributes) = line.split_once("iotrail.payload.type").unwrap();
    expect_test::expect![[r#"
        ","value":{"stringValue":"text"}},{"key":"iotrail.payload.size","value":{"intValue":"15"}},{"key":"iotrail.payload.captured","value":{"intValue":"15"}},{"key":"iotrail.payload.masked","value":{"intValue":"2"}},{"key":"iotrail.payload.text","value":{"stringValue":"*** ***"}},{"key":"iotrail.reply.type","value":{"stringValue":"text"}},{"key":"iotrail.reply.size","value":{"intValue":"4"}},{"key":"iotrail.reply.captured","value":{"intValue":"4"}},{"key":"iotrail.reply.digest","value":{"stringValue":"a7646a150e66f94729cd7dc450f4cd5a"}},{"key":"iotrail.reply.text","value":{"stringValue":"fine"}}]}]}]}]}
    "#]].assert_eq(attributes);
}

#[test]
fn words_of_the_decoders_stay() {
    let mut one = span(
        1,
        &process("a", 1),
        "peripheral.execute read",
        SpanKind::Client,
        device("/dev/x", "read", false),
    );
    one.payload = Some(Payload::whole(&b"password=read"[..]));
    one.attributes.push((attribute::DEVICE_PATH, Value::Shared("/dev/read".into())));
    let before = one.clone();
    masks(&[r"password=\S+"]).scrub(&mut one);
    assert_eq!(one, before);
}

/// Everywhere that text of payloads can come out.
fn everything(masks: &Masks, spans: Vec<Span>, policy: PayloadPolicy) -> Vec<Vec<u8>> {
    let metrics = Metrics::new(&Telemetry::default());
    let spans: Vec<Arc<Span>> = spans
        .into_iter()
        .map(|mut span| {
            masks.scrub(&mut span);
            metrics.observe(&span);
            Arc::new(span)
        })
        .collect();
    let mut encoder = encoder(policy);
    encoder.masks = masks.clone();
    let mut json = Vec::new();
    encoder.json_line(&spans, &mut json);
    let metrics = metrics.render(Format::OpenMetrics).into_bytes();
    vec![json, encoder.protobuf(&spans), render(&spans, 0, Look::default()).into_bytes(), metrics]
}

/// Spans that carry `body` and everything that decoders could make of `secret` in it.
fn spans(secret: &str, body: &[u8]) -> Vec<Span> {
    let mut owner = process("a", 1);
    if let Owner::Process(process) = &mut owner {
        let args = vec![Arc::from(format!("--password={secret}"))];
        *process = Arc::new(Process { args, ..(**process).clone() });
    }
    let name = secret.to_ascii_uppercase();
    let mut line =
        span(1, &owner, &format!("peripheral.execute {name}"), SpanKind::Client, device("/dev/x", "", false));
    if let Subject::Device { command, .. } = &mut line.subject {
        *command = name.clone().into();
    }
    line.payload = Some(Payload::whole(body.to_vec()));
    line.reply = Some(Payload { captured: body.to_vec().into(), size: 1 << 20 });
    line.status = Status::Error { kind: format!("ERR_{name}").into(), message: format!("it said {secret}") };
    line.attributes = vec![
        (attribute::DEVICE_COMMAND, Value::Text(name.clone().into())),
        ("iotrail.device.args.word", Value::Shared(secret.into())),
        ("iotrail.device.args.words", Value::Texts(vec![secret.into(), "x".into()])),
    ];
    let mut event = line.clone();
    event.name = format!("peripheral.event {name}");
    event.kind = SpanKind::Internal;
    if let Subject::Device { unsolicited, .. } = &mut event.subject {
        *unsolicited = true;
    }
    let mut about = message("x");
    (about.event_type, about.source) = (secret.into(), secret.into());
    let mut publish = span(2, &owner, "publish x", SpanKind::Producer, Subject::Publish(about.clone()));
    publish.payload = line.payload.clone();
    publish.attributes = vec![
        (attribute::EVENT_ID, Value::Shared(secret.into())),
        (attribute::CORRELATION_ID, Value::Shared(secret.into())),
    ];
    let mut broker = publish.clone();
    (broker.payload, broker.subject) = (None, Subject::Broker(about));
    vec![line, event, publish, broker]
}

proptest! {
    #[test]
    fn a_secret_is_nowhere(
        secret in "[A-Za-z0-9]{9,14}",
        before in vec(any::<u8>(), 0..40),
        after in vec(any::<u8>(), 0..40),
        policy in prop_oneof![Just(PayloadPolicy::Digest), (0usize..90).prop_map(PayloadPolicy::Head), Just(PayloadPolicy::Full)],
    ) {
        let body = [&before[..], b"password=", secret.as_bytes(), b" ", &after[..]].concat();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let needles = [secret.to_ascii_lowercase(), hex];
        let find = |masks: &Masks| {
            let outputs = everything(masks, spans(&secret, &body), policy);
            outputs.iter().map(|output| {
                let output = output.to_ascii_lowercase();
                needles.iter().any(|needle| memchr::memmem::find(&output, needle.as_bytes()).is_some())
            }).collect::<Vec<_>>()
        };
        prop_assert_eq!(find(&masks(&[r"password=\S+"])), vec![false; 4]);
        // It could have been found.
        prop_assert_eq!(find(&Masks::default()), vec![true; 4]);
    }

    #[test]
    fn what_is_shown_is_what_was_there_without_the_stretches(bytes in vec(0u8..6, 0..200)) {
        let masks = masks(&[r"\x01+", r"\x02.\x03"]);
        let stretches = masks.stretches(&bytes);
        prop_assert!(stretches.windows(2).all(|pair| pair[0].end < pair[1].start));
        let hidden: usize = stretches.iter().map(ExactSizeIterator::len).sum();
        let shown = masks.apply(&Payload::whole(bytes.clone()));
        prop_assert_eq!(shown.is_none(), hidden == 0);
        if let Some(Masked { payload, count }) = shown {
            prop_assert_eq!(payload.captured.len(), bytes.len() - hidden + count * HIDDEN.len());
            prop_assert!(!payload.captured.contains(&1) && payload.is_whole());
        }
    }
}
