//! Spans for the tests: a sensor reads an instrument and publishes, a broker passes the message on, an
//! actuator consumes it and its device refuses.

use std::sync::Arc;

use crate::export::mask::Masks;
use crate::export::otlp::{Encoder, Host};
use crate::export::payload::{DigestKey, PayloadPolicy};
use crate::model::capture::{DeviceKind, DeviceNumber};
use crate::model::command::{Device, Status, Value};
use crate::model::ids::{SpanId, TraceId};
use crate::model::payload::Payload;
use crate::model::process::{Process, ProcessKey};
use crate::model::span::{Edge, Evidence, MessageSubject, Owner, Span, SpanKind, Subject};
use crate::model::time::{Interval, Timestamp};

/// 2023-11-14T22:13:20Z.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

pub(crate) fn encoder(payload: PayloadPolicy) -> Encoder {
    Encoder {
        host: Host { name: "bench".into(), id: "0123456789abcdef0123456789abcdef".into() },
        resource: Vec::new(),
        payload,
        key: DigestKey::new([7; 32]),
        masks: Masks::default(),
    }
}

pub(crate) fn process(name: &str, pid: u32) -> Owner {
    Owner::Process(Arc::new(Process {
        key: ProcessKey { pid, generation: 1 },
        service_name: name.into(),
        service_instance: format!("bench-{pid}").into(),
        executable: name.into(),
        args: vec![format!("/usr/bin/{name}").into(), "--port".into(), "1883".into()],
        container: None,
        started: Timestamp(START),
    }))
}

pub(crate) fn remote(name: &str) -> Owner {
    Owner::Remote { name: name.into(), address: "192.0.2.7:49152".into() }
}

pub(crate) fn trace(number: u8) -> TraceId {
    TraceId([number; 16])
}

pub(crate) fn id(number: u8) -> SpanId {
    SpanId([number; 8])
}

pub(crate) fn edge(span: u8, evidence: &[Evidence], confidence: f64) -> Edge {
    Edge { trace: trace(1), span: id(span), evidence: evidence.iter().copied().collect(), confidence }
}

/// From and to so many microseconds after [`START`].
pub(crate) fn micros(from: u64, to: u64) -> Interval {
    Interval { start: Timestamp(START + from * 1000), end: Timestamp(START + to * 1000) }
}

pub(crate) fn message(destination: &str) -> MessageSubject {
    MessageSubject {
        system: "mqtt",
        destination: destination.into(),
        server: "127.0.0.1:1883".into(),
        event_type: destination.into(),
        source: "sensor".into(),
        body_size: 31,
    }
}

pub(crate) fn device(path: &str, command: &'static str, unsolicited: bool) -> Subject {
    Subject::Device {
        device: Arc::new(Device::new(
            DeviceNumber { kind: DeviceKind::Char, major: 136, minor: 3 },
            "tty",
            path,
            "tty-0001",
        )),
        command: command.into(),
        unsolicited,
    }
}

pub(crate) fn busy() -> Status {
    Status::Error { kind: "EBUSY".into(), message: "valve busy".into() }
}

/// A root span without anything special.
pub(crate) fn span(number: u8, owner: &Owner, name: &str, kind: SpanKind, subject: Subject) -> Span {
    Span {
        trace: trace(1),
        id: id(number),
        parent: None,
        remote_parent: None,
        links: Vec::new(),
        name: name.to_owned(),
        kind,
        owner: owner.clone(),
        tid: 4711,
        at: micros(0, 8100),
        status: Status::Ok,
        subject,
        attributes: Vec::new(),
        payload: None,
        reply: None,
    }
}

/// The whole story as five spans in the order in which they end.
pub(crate) fn trail() -> Vec<Arc<Span>> {
    let (sensor, broker, actuator) =
        (process("sensor", 4711), process("mosquitto", 4702), process("actuator", 4720));
    let topic = "plant/1/temperature";
    let body = Payload::whole(&br#"{"sensor":"t1","celsius":21.50}"#[..]);
    let spans = [
        Span {
            payload: Some(Payload::whole(&b"MEAS:TEMP?\n"[..])),
            reply: Some(Payload::whole(&b"21.50\n"[..])),
            attributes: vec![("iotrail.device.args.baud", Value::Int(9600))],
            ..span(
                1,
                &sensor,
                "peripheral.execute MEAS:TEMP?",
                SpanKind::Client,
                device("/dev/pts/3", "MEAS:TEMP?", false),
            )
        },
        Span {
            parent: Some(edge(1, &[Evidence::Thread, Evidence::Containment], 0.98)),
            at: micros(8200, 8292),
            payload: Some(body.clone()),
            attributes: vec![
                ("iotrail.mqtt.qos", Value::Int(1)),
                ("iotrail.mqtt.retain", Value::Bool(false)),
            ],
            ..span(
                2,
                &sensor,
                &format!("publish {topic}"),
                SpanKind::Producer,
                Subject::Publish(message(topic)),
            )
        },
        Span {
            parent: Some(edge(2, &[Evidence::TcpPosition], 1.0)),
            at: micros(8295, 8336),
            tid: 4702,
            ..span(
                3,
                &broker,
                &format!("broker {topic}"),
                SpanKind::Internal,
                Subject::Broker(message(topic)),
            )
        },
        Span {
            parent: Some(edge(4, &[Evidence::Thread], 0.97)),
            at: micros(8500, 12_300),
            tid: 4720,
            status: busy(),
            payload: Some(Payload::whole(&b"SET:VALVE 1\n"[..])),
            reply: Some(Payload::whole(&b"ERR busy\n"[..])),
            ..span(
                5,
                &actuator,
                "peripheral.execute SET:VALVE",
                SpanKind::Client,
                device("/dev/pts/5", "SET:VALVE", false),
            )
        },
        Span {
            parent: Some(edge(2, &[Evidence::Fingerprint], 0.99)),
            at: micros(8340, 12_400),
            tid: 4720,
            payload: Some(body),
            ..span(
                4,
                &actuator,
                &format!("process {topic}"),
                SpanKind::Consumer,
                Subject::Process(message(topic), Some(48_000)),
            )
        },
    ];
    spans.map(Arc::new).into()
}
