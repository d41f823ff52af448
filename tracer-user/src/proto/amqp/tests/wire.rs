//! Frames, methods and tables on their own.

use std::sync::Arc;

use super::super::method::{Delivery, Method, direction};
use super::super::properties::{Properties, fields};
use super::super::wire::{Frame, Kind, Opening, Reader};
use super::super::{ROW, frame};
use super::build::*;
use crate::model::command;
use crate::model::op::{Message, OpKind};
use crate::names::attribute::{
    MESSAGING_CONVERSATION_ID, RABBITMQ_DELIVERY_TAG, RABBITMQ_EXCHANGE, RABBITMQ_REDELIVERED,
    RABBITMQ_ROUTING_KEY,
};
use crate::proto::{Header, Outcome, Score, Trust, Unusable, table as protocols};

/// All kinds of fields, each with its type.
fn all_types() -> Vec<u8> {
    table(&[
        ("t", vec![b't', 1]),
        ("b", vec![b'b', 0xff]),
        ("B", vec![b'B', 0xff]),
        ("s", vec![b's', 0xff, 0xfe]),
        ("u", vec![b'u', 0xff, 0xfe]),
        ("I", vec![b'I', 0xff, 0xff, 0xff, 0xfd]),
        ("i", vec![b'i', 0xff, 0xff, 0xff, 0xfd]),
        ("l", [&b"l"[..], &(-4i64).to_be_bytes()].concat()),
        ("T", [&b"T"[..], &1_700_000_000u64.to_be_bytes()].concat()),
        ("f", vec![b'f', 0, 0, 0, 0]),
        ("d", vec![b'd', 0, 0, 0, 0, 0, 0, 0, 0]),
        ("D", vec![b'D', 2, 0, 0, 0, 1]),
        ("S", string("text")),
        ("x", [&b"x"[..], &long(&[1, 2])].concat()),
        ("A", [&b"A"[..], &long(&[b't', 1, b'V'])].concat()),
        ("F", [&b"F"[..], &table(&[("inner", string("x"))])].concat()),
        ("V", vec![b'V']),
    ])
}

fn shown(bytes: &[u8]) -> (Vec<String>, Result<(), Unusable>) {
    let mut names = Vec::new();
    let mut reader = Reader::new(bytes, bytes.len() as u32);
    let result = reader.nested().and_then(|table| {
        fields(table, |name, value| names.push(format!("{} {value:?}", String::from_utf8_lossy(name))))
    });
    (names, result)
}

#[test]
fn tables_of_all_types() {
    let (shown, result) = shown(&all_types());
    assert_eq!(result, Ok(()));
    let expected = [
        "t Bool(true)",
        "b Int(-1)",
        "B Int(255)",
        "s Int(-2)",
        "u Int(65534)",
        "I Int(-3)",
        "i Int(4294967293)",
        "l Int(-4)",
        "T Int(1700000000)",
        "f Other",
        "d Other",
        "D Other",
        "S Text([116, 101, 120, 116])",
        "x Text([1, 2])",
        "A List",
        "F Table",
        "V Other",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn lying_tables() {
    // A type that there is not, a string that is longer than its table, a table that is longer than its frame.
    assert_eq!(shown(&table(&[("a", vec![b'?'])])).1, Err(Unusable::Malformed));
    assert_eq!(shown(&long(&[1, b'a', b'S', 0xff, 0xff, 0xff, 0xff])).1, Err(Unusable::Malformed));
    assert_eq!(shown(&[0xff, 0xff, 0xff, 0xff]).1, Err(Unusable::Malformed));
    // Tables in tables are not gone into, however deep.
    let mut deep = table(&[]);
    for _ in 0..10_000 {
        deep = table(&[("a", [&b"F"[..], &deep].concat())]);
    }
    assert_eq!(shown(&deep), (vec!["a Table".to_owned()], Ok(())));
    // Of endless headers the first are looked at.
    let many: Vec<u8> = (0..5000).flat_map(|_| [1, b'a', b'V']).collect();
    assert_eq!(shown(&long(&many)).0.len(), 1024);
}

/// Flags and list with every property, the headers given.
fn properties(headers: &[(&str, Vec<u8>)]) -> (u16, Vec<u8>) {
    let list = [
        &short("application/json")[..],
        &short("gzip"),
        &table(headers),
        &[2, 5],
        &short("c-7"),
        &short("answers"),
        &short("60000"),
        &short("m-9"),
        &1_700_000_000u64.to_be_bytes(),
        &short("type"),
        &short("guest"),
        &short("app"),
        &short("cluster"),
    ];
    (0xfffc, list.concat())
}

fn read(flags: u16, list: &[u8], captured: usize) -> Result<Properties, Unusable> {
    let bytes = header(1, 77, flags, list);
    let frame = Frame::read(&bytes).expect("a frame");
    let payload = frame.payload(&bytes);
    Properties::read(payload.get(..captured).unwrap_or(payload), frame.size)
}

#[test]
fn properties_and_headers() {
    let (flags, list) = properties(&[
        ("TraceParent", string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("tracestate", string("v=1")),
        ("baggage", string("a=b")),
        ("cloudEvents:id", string("e-1")),
        ("ce-type", string("t")),
        ("x-retries", vec![b'I', 0, 0, 0, 3]),
        ("correlation_id", vec![b'I', 0, 0, 0, 3]),
    ]);
    let all = read(flags, &list, usize::MAX).expect("whole");
    assert_eq!((all.size, all.id.as_deref(), all.correlation.as_deref()), (77, Some("m-9"), Some("c-7")));
    let names: Vec<_> = all.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        names,
        [
            "content-type=application/json",
            "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "tracestate=v=1",
            "baggage=a=b",
            "cloudEvents:id=e-1",
            "ce-type=t",
            "correlation_id=3",
            "correlation-id=c-7",
        ]
    );
    // What was captured before the cut is there, and the size as long as it is.
    for captured in 0..14 + list.len() {
        match read(flags, &list, captured) {
            Ok(cut) => {
                assert!(captured >= 12 && cut.size == 77);
                assert!(all.headers.starts_with(&cut.headers), "{captured}");
            }
            Err(error) => assert!(captured < 12 && error == Unusable::Cut, "{captured}: {error:?}"),
        }
    }
    // More properties than there are, and fewer bytes.
    assert_eq!(read(0x0002, &[], usize::MAX), Err(Unusable::Malformed));
    assert_eq!(read(0x8000, &[200], usize::MAX), Err(Unusable::Malformed));
    assert_eq!(read(0x0000, &[0], usize::MAX), Err(Unusable::Malformed));
}

#[test]
fn headers_are_bounded() {
    let (flags, list) = properties(&[("baggage", string(&"x".repeat(8193)))]);
    assert!(
        read(flags, &list, usize::MAX).expect("whole").headers.iter().all(|(name, _)| &**name != "baggage")
    );
    let many: Vec<(&str, Vec<u8>)> = (0..100).map(|_| ("ce-x", string(&"x".repeat(1000)))).collect();
    let (flags, list) = properties(&many);
    let kept: usize = read(flags, &list, usize::MAX)
        .expect("whole")
        .headers
        .iter()
        .map(|(name, value): &(Arc<str>, Arc<str>)| name.len() + value.len())
        .sum();
    assert!(kept > 10_000 && kept <= 16 * 1024, "{kept}");
}

#[test]
fn methods_of_interest() {
    let read = |bytes: &[u8]| {
        let frame = Frame::read(bytes).expect("a frame");
        format!("{:?}", Method::read(frame.payload(bytes), frame.size))
    };
    assert_eq!(read(&start_ok("me")), "Ok(StartOk { name: Some(\"me\") })");
    assert_eq!(read(&tune_ok(131_072)), "Ok(TuneOk { frame_max: 131072 })");
    assert_eq!(read(&consume(1, "q", "t", true)), "Ok(Consume { queue: \"q\", tag: \"t\", no_ack: true })");
    assert_eq!(read(&nack(1, 3, false, true)), "Ok(Nack { tag: 3, multiple: false, requeue: true })");
    assert_eq!(read(&method(0, 10, 10, &[0, 9])), "Ok(Other)");
    // Arguments that do not fill the frame, or do not fit into it.
    assert_eq!(read(&method(1, 60, 80, &[0; 10])), "Err(Malformed)");
    assert_eq!(read(&method(1, 60, 80, &[0; 8])), "Err(Malformed)");
    // A routing key of bytes.
    let bytes = method(1, 60, 40, &[0, 0, 0, 2, b'a', 0xff, 0]);
    let frame = Frame::read(&bytes).expect("a frame");
    let Ok(Method::Publish { key, .. }) = Method::read(frame.payload(&bytes), frame.size) else { panic!() };
    assert_eq!(key, "a\u{fffd}");
    let bytes = deliver_frames(1, "c", u64::MAX, true, ("e", "k"), b"", 1)[0].clone();
    let frame = Frame::read(&bytes).expect("a frame");
    let expected = Delivery {
        consumer: "c".into(),
        tag: u64::MAX,
        redelivered: true,
        exchange: "e".into(),
        key: "k".into(),
    };
    assert_eq!(Method::read(frame.payload(&bytes), frame.size), Ok(Method::Deliver(expected)));
}

#[test]
fn ways_of_methods() {
    let way =
        |class: u16, method: u16| direction(&[&class.to_be_bytes()[..], &method.to_be_bytes()].concat());
    assert_eq!((way(60, 40), way(60, 60), way(60, 80)), (Some(Some(true)), Some(Some(false)), Some(None)));
    assert_eq!((way(60, 41), way(0, 0), way(85, 12)), (None, None, None));
    // A deliver does not go to the server.
    let bytes = deliver(1, "c", 1, false, "e", "k", b"");
    assert_eq!(frame(&bytes[..11], Some(true), Trust::Follow), Outcome::Invalid);
    assert!(matches!(frame(&bytes[..11], Some(false), Trust::Follow), Outcome::Frame(_)));
}

#[test]
fn frames_are_checked() {
    let kind = |bytes: &[u8]| Frame::read(bytes).map(|frame| frame.kind);
    assert_eq!(kind(&heartbeat()), Ok(Kind::Heartbeat));
    assert_eq!(kind(&[1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 40]), Ok(Kind::Method));
    for wrong in [
        // A type that there is not; a method without a channel, of a class that there is not, over-long; a header of
        // another class; a body without a channel, over-long; a heartbeat of a channel, with a payload, without its end.
        &[4, 0, 0, 0, 0, 0, 0][..],
        &[1, 0, 0, 0, 0, 0, 4, 0, 60, 0, 40],
        &[1, 0, 1, 0, 0, 0, 4, 0, 61, 0, 40],
        &[1, 0, 1, 0, 16, 0, 1, 0, 60, 0, 40],
        &[2, 0, 1, 0, 0, 0, 14, 0, 50, 0, 0],
        &[3, 0, 0, 0, 0, 0, 4],
        &[3, 0, 1, 0xff, 0xff, 0xff, 0xff],
        &[8, 0, 1, 0, 0, 0, 0],
        &[8, 0, 0, 0, 0, 0, 1],
        &[8, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(kind(wrong), Err(Unusable::Malformed), "{wrong:?}");
    }
    assert_eq!(kind(&[3, 0, 1, 0, 0, 0]), Err(Unusable::Cut));
}

#[test]
fn protocol_headers() {
    assert_eq!(Opening::read(HEADER), Ok(Opening::Mine));
    assert_eq!(Opening::read(b"AMQP\x03\x01\x00\x00"), Ok(Opening::Foreign));
    assert_eq!(Opening::read(b"AMQ"), Err(Unusable::Cut));
    assert_eq!(Opening::read(b"AMQP\x09\x09\x09\x09"), Err(Unusable::Malformed));
    assert_eq!(Opening::read(b"HTTP"), Err(Unusable::Malformed));
}

#[test]
fn detected_and_not_confused() {
    let detect = |bytes: &[u8]| (ROW.detect)(bytes, false);
    assert_eq!(detect(HEADER), Score::Sure);
    for mine in [start(), publish(1, "e", "k", b"1"), heartbeat(), ack(1, 1, false)] {
        let head = mine.get(..64).unwrap_or(&mine);
        assert_eq!(detect(head), Score::Possible, "{head:?}");
        // Everyone else says no.
        for row in protocols().iter().filter(|row| row.system != ROW.system) {
            assert_eq!((row.detect)(head, false), Score::No, "{:?} {head:?}", row.system);
        }
    }
    for other in [
        // MQTT, Kafka, NATS, Redis, HTTP, TLS, AMQP 1.0.
        &b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04dev1"[..],
        b"\x30\x06\x00\x01a111",
        b"\x40\x02\x00\x01",
        b"\x00\x00\x00\x23\x00\x12\x00\x04\x00\x00\x00\x01\x00\x07console",
        b"INFO {\"server_id\":",
        b"PUB a 3\r\nabc\r\n",
        b"*3\r\n$7\r\nPUBLISH\r\n",
        b"AUTH secret\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"AMQP\x00\x01\x00\x00",
    ] {
        assert_eq!(detect(other), Score::No, "{other:?}");
    }
}

#[test]
fn a_wrong_end_is_not_believed() {
    let mut bytes = ack(1, 1, false);
    let Outcome::Frame(right) = frame(&bytes, None, Trust::Search) else { panic!() };
    assert!(right.weight > 2 && right.weight < Header::SIGNATURE);
    *bytes.last_mut().expect("bytes") = 0xcf;
    assert_eq!(frame(&bytes, None, Trust::Search), Outcome::Invalid);
}

#[test]
fn attributes() {
    let mut bench = super::client();
    let list = [&short("c-1")[..], &short("m-1")].concat();
    let mut call = publish_frames(1, "ex", "k", b"1", 9);
    call[1] = header(1, 1, 1 << 10 | 1 << 7, &list);
    bench.put(HEADER).put(&call.concat());
    bench.get(&deliver(2, "c", 9, true, "ex", "", b""));
    let message = |kind: &OpKind| -> Message {
        match kind {
            OpKind::Publish(message) | OpKind::Deliver(message) => (**message).clone(),
            other => panic!("{other:?}"),
        }
    };
    let published = message(&bench.ops[0].kind);
    assert_eq!(published.id.as_deref(), Some("m-1"));
    assert_eq!(
        *published.attributes,
        [
            (RABBITMQ_ROUTING_KEY, command::Value::Shared("k".into())),
            (MESSAGING_CONVERSATION_ID, command::Value::Shared("c-1".into())),
        ]
    );
    let delivered = message(&bench.ops[1].kind);
    assert_eq!(delivered.settle_id, Some(2 << 48 | 9));
    assert_eq!(
        *delivered.attributes,
        [
            (RABBITMQ_DELIVERY_TAG, command::Value::Int(9)),
            (RABBITMQ_REDELIVERED, command::Value::Bool(true)),
            (RABBITMQ_EXCHANGE, command::Value::Shared("ex".into())),
        ]
    );
}
