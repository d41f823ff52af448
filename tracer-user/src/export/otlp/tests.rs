//! The two encodings against each other, against `opentelemetry-proto`, and word by word.

use std::sync::Arc;

use expect_test::expect;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span as Proto;
use proptest::prelude::*;
use prost::Message;

use super::Encoder;
use crate::export::payload::PayloadPolicy;
use crate::export::samples::{busy, device, edge, encoder, id, message, process, remote, span, trace, trail};
use crate::model::command::{Status, Value};
use crate::model::device::{Device, Identity};
use crate::model::payload::Payload;
use crate::model::span::{Edge, Evidence, Evidences, Span, SpanKind, Subject};

fn protobuf(encoder: &Encoder, spans: &[Arc<Span>]) -> ExportTraceServiceRequest {
    let bytes = encoder.protobuf(spans);
    let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    assert_eq!(request.encoded_len(), bytes.len(), "as compact as prost writes it");
    request
}

fn json(encoder: &Encoder, spans: &[Arc<Span>]) -> String {
    let mut line = Vec::new();
    encoder.json_line(spans, &mut line);
    String::from_utf8(line).unwrap()
}

fn only(request: &ExportTraceServiceRequest) -> &Proto {
    &request.resource_spans[0].scope_spans[0].spans[0]
}

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let mut found = attributes.iter().filter(|pair| pair.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref()?;
    assert!(found.next().is_none(), "{key} appears twice");
    Some(match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::DoubleValue(number) => number.to_string(),
        any_value::Value::BoolValue(yes) => yes.to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn json_line_word_by_word() {
    let line = json(&encoder(PayloadPolicy::Head(8)), &trail()[3..4]);
    assert_eq!(line.matches('\n').count(), 1);
    expect![[r#"
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"actuator"}},{"key":"service.instance.id","value":{"stringValue":"bench-4720"}},{"key":"process.pid","value":{"intValue":"4720"}},{"key":"process.executable.name","value":{"stringValue":"actuator"}},{"key":"process.command_args","value":{"arrayValue":{"values":[{"stringValue":"/usr/bin/actuator"},{"stringValue":"--port"},{"stringValue":"1883"}]}}},{"key":"host.name","value":{"stringValue":"bench"}},{"key":"host.id","value":{"stringValue":"0123456789abcdef0123456789abcdef"}}]},"scopeSpans":[{"scope":{"name":"iotrail","version":"0.1.0"},"spans":[{"traceId":"01010101010101010101010101010101","spanId":"0505050505050505","parentSpanId":"0404040404040404","flags":1,"name":"peripheral.execute SET:VALVE","kind":3,"startTimeUnixNano":"1700000000008500000","endTimeUnixNano":"1700000000012300000","attributes":[{"key":"iotrail.device.id","value":{"stringValue":"tty-0001"}},{"key":"iotrail.device.class","value":{"stringValue":"tty"}},{"key":"iotrail.device.path","value":{"stringValue":"/dev/pts/5"}},{"key":"iotrail.device.command","value":{"stringValue":"SET:VALVE"}},{"key":"iotrail.latency_ms","value":{"doubleValue":3.8}},{"key":"thread.id","value":{"intValue":"4720"}},{"key":"error.type","value":{"stringValue":"EBUSY"}},{"key":"iotrail.link.evidence","value":{"stringValue":"thread"}},{"key":"iotrail.link.confidence","value":{"doubleValue":0.97}},{"key":"iotrail.payload.type","value":{"stringValue":"text"}},{"key":"iotrail.payload.size","value":{"intValue":"12"}},{"key":"iotrail.payload.captured","value":{"intValue":"12"}},{"key":"iotrail.payload.digest","value":{"stringValue":"276591ed1b2614705b08ebd671a74b5e"}},{"key":"iotrail.payload.text","value":{"stringValue":"SET:VALV"}},{"key":"iotrail.reply.type","value":{"stringValue":"text"}},{"key":"iotrail.reply.size","value":{"intValue":"9"}},{"key":"iotrail.reply.captured","value":{"intValue":"9"}},{"key":"iotrail.reply.digest","value":{"stringValue":"154938171ae45cc336f69d3e94aa6bf2"}},{"key":"iotrail.reply.text","value":{"stringValue":"ERR busy"}}],"status":{"message":"valve busy","code":2}}]}]}]}
    "#]]
    .assert_eq(&line);
}

#[test]
fn both_encodings_say_the_same() {
    for policy in [PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Head(3), PayloadPolicy::Full] {
        let encoder = encoder(policy);
        let request = protobuf(&encoder, &trail());
        let read: ExportTraceServiceRequest = serde_json::from_str(&json(&encoder, &trail())).unwrap();
        assert_eq!(request, read, "{policy}");
    }
}

#[test]
fn json_has_the_types_of_the_specification() {
    let line = json(&encoder(PayloadPolicy::Full), &trail());
    let tree: serde_json::Value = serde_json::from_str(&line).unwrap();
    for resource in tree["resourceSpans"].as_array().unwrap() {
        for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
            assert!(span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().is_ok());
            assert!(span["kind"].is_u64());
            let id = span["spanId"].as_str().unwrap();
            assert!(id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        }
    }
}

#[test]
fn one_resource_per_owner() {
    let mut spans = trail();
    let peer = remote("plc-7");
    spans.push(Arc::new(span(6, &peer, "publish x", SpanKind::Producer, Subject::Publish(message("x")))));
    // The same peer from another place: its name and address are what counts.
    spans.push(Arc::new(span(
        7,
        &remote("plc-7"),
        "publish x",
        SpanKind::Producer,
        Subject::Publish(message("x")),
    )));
    let request = protobuf(&encoder(PayloadPolicy::Off), &spans);
    let summary: Vec<_> = request
        .resource_spans
        .iter()
        .map(|resource| {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let names: Vec<_> = resource.scope_spans[0].spans.iter().map(|span| span.span_id[0]).collect();
            (value(attributes, "service.name").unwrap(), value(attributes, "process.pid"), names)
        })
        .collect();
    expect![[r#"
        [
            (
                "sensor",
                Some(
                    "4711",
                ),
                [
                    1,
                    2,
                ],
            ),
            (
                "mosquitto",
                Some(
                    "4702",
                ),
                [
                    3,
                ],
            ),
            (
                "actuator",
                Some(
                    "4720",
                ),
                [
                    5,
                    4,
                ],
            ),
            (
                "plc-7",
                None,
                [
                    6,
                    7,
                ],
            ),
        ]
    "#]]
    .assert_debug_eq(&summary);
    let peer = &request.resource_spans[3];
    let attributes = &peer.resource.as_ref().unwrap().attributes;
    assert_eq!(value(attributes, "iotrail.viewpoint").unwrap(), "broker");
    assert_eq!(value(attributes, "host.name"), None);
    assert_eq!(value(&peer.scope_spans[0].spans[0].attributes, "iotrail.viewpoint").unwrap(), "broker");
}

#[test]
fn environment_adds_to_the_resource_but_does_not_override() {
    let mut encoder = encoder(PayloadPolicy::Off);
    encoder.resource =
        vec![("deployment.environment.name".into(), "plant".into()), ("service.name".into(), "x".into())];
    let request = protobuf(&encoder, &trail());
    let attributes = &request.resource_spans[0].resource.as_ref().unwrap().attributes;
    assert_eq!(value(attributes, "deployment.environment.name").unwrap(), "plant");
    assert_eq!(value(attributes, "service.name").unwrap(), "sensor");
}

#[test]
fn messaging_attributes() {
    let request = protobuf(&encoder(PayloadPolicy::Digest), &trail()[4..]);
    let attributes: Vec<_> = only(&request)
        .attributes
        .iter()
        .map(|pair| format!("{} = {}", pair.key, value(&only(&request).attributes, &pair.key).unwrap()))
        .collect();
    expect![[r#"
        messaging.system = mqtt
        messaging.operation.name = process
        messaging.operation.type = process
        messaging.destination.name = plant/1/temperature
        messaging.message.body.size = 31
        server.address = 127.0.0.1
        server.port = 1883
        iotrail.latency_ms = 0.048
        thread.id = 4720
        iotrail.link.evidence = fingerprint
        iotrail.link.confidence = 0.99
        iotrail.payload.type = json
        iotrail.payload.size = 31
        iotrail.payload.captured = 31
        iotrail.payload.digest = b66f014a8844a512934a66971dfe719d"#]]
    .assert_eq(&attributes.join("\n"));
}

#[test]
fn parents() {
    let owner = process("a", 1);
    let plain = || span(1, &owner, "x", SpanKind::Producer, Subject::Publish(message("x")));
    let elsewhere = Edge {
        trace: trace(9),
        span: id(9),
        evidence: Evidences::default().with(Evidence::Containment),
        confidence: 0.5,
    };
    // span, parent id, flags, links
    let cases = [
        (plain(), vec![], 0x001, 0),
        (Span { parent: Some(edge(2, &[Evidence::Thread], 0.9)), ..plain() }, vec![2; 8], 0x001, 0),
        (Span { remote_parent: Some(id(3)), ..plain() }, vec![3; 8], 0x301, 0),
        // Our own parent is nearer than the one that the header names.
        (
            Span {
                parent: Some(edge(2, &[Evidence::Traceparent], 1.0)),
                remote_parent: Some(id(3)),
                ..plain()
            },
            vec![2; 8],
            0x001,
            0,
        ),
        // A parent in another trace cannot be OTLP's parent.
        (Span { parent: Some(elsewhere), links: vec![elsewhere], ..plain() }, vec![], 0x001, 2),
    ];
    for (span, parent, flags, links) in cases {
        let request = protobuf(&encoder(PayloadPolicy::Off), &[Arc::new(span)]);
        let span = only(&request);
        assert_eq!((&span.parent_span_id, span.flags, span.links.len()), (&parent, flags, links));
        assert_eq!(value(&span.attributes, "iotrail.link.evidence").is_some(), parent == vec![2; 8]);
        for link in &span.links {
            assert_eq!(link.trace_id, vec![9; 16]);
            assert_eq!(value(&link.attributes, "iotrail.link.evidence").unwrap(), "containment");
            assert_eq!(value(&link.attributes, "iotrail.link.confidence").unwrap(), "0.5");
        }
    }
}

#[test]
fn what_a_span_brings_is_not_derived_again() {
    let owner = process("a", 1);
    let brought = Span {
        status: busy(),
        attributes: vec![
            ("error.type", Value::Text("CHECK_CONDITION".into())),
            ("server.port", Value::Int(1)),
        ],
        ..span(1, &owner, "nack q", SpanKind::Client, Subject::Settle(message("q")))
    };
    let request = protobuf(&encoder(PayloadPolicy::Off), &[Arc::new(brought)]);
    let attributes = &only(&request).attributes;
    assert_eq!(value(attributes, "error.type").unwrap(), "CHECK_CONDITION");
    assert_eq!(value(attributes, "server.port").unwrap(), "1");
    assert_eq!(value(attributes, "messaging.operation.name").unwrap(), "nack");
    assert_eq!(value(attributes, "messaging.operation.type").unwrap(), "settle");
    assert_eq!(only(&request).status.as_ref().unwrap().code, 2);
}

#[test]
fn what_is_known_of_the_hardware_is_told() {
    let Subject::Device { device, command, unsolicited } = device("/dev/ttyUSB0", "TCGETS", false) else {
        panic!("it is a device")
    };
    let mut device = Device::clone(&device);
    device.identity = Identity {
        driver: Some("ftdi_sio".into()),
        serial: Some("FT123".into()),
        links: vec!["/dev/serial/by-id/x".into()],
        ..Identity::default()
    };
    let subject = Subject::Device { device: Arc::new(device), command, unsolicited };
    let own = span(1, &process("poll", 1), "peripheral.execute TCGETS", SpanKind::Client, subject);
    let request = protobuf(&encoder(PayloadPolicy::Off), &[Arc::new(own)]);
    let attributes = &only(&request).attributes;
    assert_eq!(value(attributes, "iotrail.device.driver").as_deref(), Some("ftdi_sio"));
    assert_eq!(value(attributes, "iotrail.device.serial").as_deref(), Some("FT123"));
    assert_eq!(value(attributes, "iotrail.device.model"), None);
    assert!(!format!("{request:?}").contains("by-id"));
}

#[test]
fn fractions_that_json_has_no_number_for() {
    let owner = process("a", 1);
    let attributes =
        vec![("a", Value::Float(f64::NAN)), ("b", Value::Float(f64::INFINITY)), ("c", Value::Float(1e300))];
    let odd = Span { attributes, ..span(1, &owner, "x", SpanKind::Internal, Subject::Broker(message("x"))) };
    let line = json(&encoder(PayloadPolicy::Off), &[Arc::new(odd)]);
    let tree: serde_json::Value = serde_json::from_str(&line).unwrap();
    let attributes = &tree["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"];
    assert_eq!(attributes[0]["value"]["doubleValue"], "NaN");
    assert_eq!(attributes[1]["value"]["doubleValue"], "Infinity");
    assert_eq!(attributes[2]["value"]["doubleValue"], 1e300);
}

#[test]
fn servers() {
    for (text, expected) in [
        ("127.0.0.1:1883", ("127.0.0.1", Some(1883))),
        ("[::1]:1883", ("::1", Some(1883))),
        ("/run/mosquitto.sock", ("/run/mosquitto.sock", None)),
        ("", ("", None)),
    ] {
        assert_eq!(super::attributes::server(text), expected);
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/]{0,200}", any::<String>(), Just("\u{0}\"\\\u{1b}[31m\u{2028}".to_owned())]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_text().prop_map(|text| Value::Text(text.into())),
        any::<i64>().prop_map(Value::Int),
        // serde_json reads other fractions with an error in the last place.
        any::<i32>().prop_map(|eighths| Value::Float(f64::from(eighths) / 8.0)),
        any::<bool>().prop_map(Value::Bool),
        prop::collection::vec(any_text().prop_map(Into::into), 0..4).prop_map(Value::Texts),
    ]
}

prop_compose! {
    fn any_span()(
        name in any_text(),
        error in prop::option::of((any_text(), any_text())),
        values in prop::collection::vec(any_value(), 0..4),
        links in 0..4_usize,
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        start in 0..u64::MAX / 2,
        millis in any::<u32>(),
    ) -> Span {
        const KEYS: [&str; 4] = ["a", "iotrail.device.args.speed", "c", "d"];
        let mut span = span(1, &process(&name, 3), &name, SpanKind::Producer, Subject::Publish(message(&name)));
        if let Some((kind, message)) = error {
            span.status = Status::Error { kind: kind.into(), message };
        }
        span.attributes = KEYS.into_iter().zip(values).collect();
        span.links = vec![edge(2, &[Evidence::Sdk, Evidence::Thread], 0.25); links];
        span.payload = body.map(Payload::whole);
        span.at.start.0 = start;
        // Whole milliseconds, for the same reason.
        span.at.end = span.at.start.plus(u64::from(millis) * 1_000_000);
        span
    }
}

proptest! {
    #[test]
    fn any_span_survives_both_encodings(span in any_span()) {
        let encoder = encoder(PayloadPolicy::Full);
        let spans = [Arc::new(span)];
        let request = ExportTraceServiceRequest::decode(encoder.protobuf(&spans).as_slice()).unwrap();
        let read: ExportTraceServiceRequest = serde_json::from_str(&json(&encoder, &spans)).unwrap();
        prop_assert_eq!(&request, &read);
    }
}
