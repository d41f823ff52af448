//! Device commands and unsolicited events of devices.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Frame, id, millis};
use crate::model::command::{Command, Transaction, Value};
use crate::model::ids::{SpanId, TraceId};
use crate::model::process::Process;
use crate::model::span::{Edge, Evidence, Evidences, Owner, Span, SpanKind, Subject};
use crate::names::attribute;
use tracer_common::bus::Bus;

/// Most argument names that get a key. They are words of the decoders' source, a few hundred in all; the bound
/// only guards against a decoder that makes names from data.
const MAX_ARGUMENT_KEYS: usize = 2048;

/// Attribute keys of arguments, made once per argument name.
#[derive(Default)]
pub struct ArgumentKeys(HashMap<&'static str, &'static str>);

impl ArgumentKeys {
    /// `iotrail.device.args.{name}`; `None` past the bound.
    pub fn key(&mut self, name: &'static str) -> Option<&'static str> {
        if let Some(key) = self.0.get(name) {
            return Some(key);
        }
        if self.0.len() >= MAX_ARGUMENT_KEYS {
            return None;
        }
        // Attribute keys are static; these live as long as the names they are made of, which are static too.
        let key: &'static str = Box::leak([attribute::DEVICE_ARGS, name].concat().into_boxed_str());
        self.0.insert(name, key);
        Some(key)
    }
}

/// The span of `command`.
#[must_use]
pub fn span(command: Command, owner: Arc<Process>, frame: Frame, keys: &mut ArgumentKeys) -> Span {
    let device = &command.device;
    let mut attributes = Vec::with_capacity(6 + command.args.len());
    attributes.push((attribute::DEVICE_ID, Value::Shared(device.id.clone())));
    attributes.push((attribute::DEVICE_CLASS, Value::Text(device.class.into())));
    attributes.push((attribute::DEVICE_PATH, Value::Shared(device.path.clone())));
    attributes.push((attribute::DEVICE_COMMAND, Value::Text(command.name.clone())));
    attributes.push((attribute::THREAD_ID, Value::Int(command.tid.into())));
    attributes.push((attribute::LATENCY_MS, Value::Float(millis(command.at.nanos()))));
    for (name, value) in command.args {
        if let Some(key) = keys.key(name) {
            attributes.push((key, value));
        }
    }
    let (prefix, kind) = match command.unsolicited {
        true => ("peripheral.event ", SpanKind::Internal),
        false => ("peripheral.execute ", SpanKind::Client),
    };
    Span {
        trace: frame.trace,
        id: frame.id,
        parent: frame.parent,
        remote_parent: frame.remote_parent,
        links: frame.links,
        name: [prefix, &command.name].concat(),
        kind,
        owner: Owner::Process(owner),
        tid: command.tid,
        at: command.at,
        status: command.status,
        subject: Subject::Device {
            device: command.device,
            command: command.name,
            unsolicited: command.unsolicited,
        },
        attributes,
        payload: Some(command.request),
        reply: command.reply,
    }
}

/// The span of what the driver did on its bus on behalf of `command`, whose span is `parent`.
///
/// The kernel said in which call of which thread the transaction began, so nothing is guessed.
#[must_use]
pub fn bus(
    transaction: &Transaction,
    index: usize,
    command: &Command,
    owner: &Arc<Process>,
    trace: TraceId,
    parent: SpanId,
) -> Span {
    let Transaction { bus, at, amount, status } = transaction;
    let what = match *bus {
        Bus::I2c => Some((attribute::BUS_MESSAGES, *amount)),
        Bus::Block => Some((attribute::BUS_BYTES, *amount)),
        _ => None,
    };
    let mut attributes = vec![
        (attribute::DEVICE_ID, Value::Shared(command.device.id.clone())),
        (attribute::DEVICE_CLASS, Value::Text(command.device.class.into())),
        (attribute::DEVICE_PATH, Value::Shared(command.device.path.clone())),
        (attribute::BUS, Value::Text(bus.name().into())),
        (attribute::THREAD_ID, Value::Int(command.tid.into())),
        (attribute::LATENCY_MS, Value::Float(millis(at.nanos()))),
    ];
    attributes.extend(what.map(|(key, amount)| (key, Value::Int(i64::try_from(amount).unwrap_or(i64::MAX)))));
    let name = format!("bus {} {}", bus.name(), bus.transaction());
    Span {
        trace,
        id: id::bus(parent, index),
        parent: Some(Edge {
            trace,
            span: parent,
            evidence: Evidences::default().with(Evidence::Thread),
            confidence: 1.0,
        }),
        remote_parent: None,
        links: Vec::new(),
        kind: SpanKind::Internal,
        owner: Owner::Process(owner.clone()),
        tid: command.tid,
        at: *at,
        status: status.clone(),
        subject: Subject::Device {
            device: command.device.clone(),
            command: name.clone().into(),
            unsolicited: false,
        },
        name,
        attributes,
        payload: None,
        reply: None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::model::capture::{DeviceKind, DeviceNumber};
    use crate::model::command::{Device, Status};
    use crate::model::ids::IdBuilder;
    use crate::model::payload::Payload;
    use crate::model::process::ProcessKey;
    use crate::model::time::{Interval, Timestamp};

    #[test]
    fn names_and_attributes() {
        let key = ProcessKey { pid: 1, generation: 0 };
        let process = Process {
            key,
            service_name: "s".into(),
            service_instance: "s-1".into(),
            executable: "s".into(),
            args: Vec::new(),
            container: None,
            started: Timestamp(0),
        };
        let command = |unsolicited| Command {
            unsolicited,
            name: "I2C_RDWR".into(),
            device: Arc::new(Device::new(
                DeviceNumber { kind: DeviceKind::Char, major: 89, minor: 1 },
                "i2c",
                "/dev/i2c-1",
                "i2c-1",
            )),
            process: key,
            tid: 4,
            end_tid: 4,
            at: Interval { start: Timestamp(0), end: Timestamp(250_000) },
            serial: 3,
            status: Status::Ok,
            request: Payload::whole(&b"\x01"[..]),
            reply: None,
            bus: Vec::new(),
            args: vec![("address", Value::Int(0x40)), ("messages", Value::Int(2))],
        };
        let id = IdBuilder::new("test");
        let mut keys = ArgumentKeys::default();
        let mut span = |unsolicited| {
            let frame = Frame {
                trace: id.trace(),
                id: id.span(),
                parent: None,
                remote_parent: None,
                links: Vec::new(),
            };
            super::span(command(unsolicited), Arc::new(process.clone()), frame, &mut keys)
        };
        let executed = span(false);
        let lines: Vec<_> =
            executed.attributes.iter().map(|(key, value)| format!("{key} = {value:?}\n")).collect();
        expect![[r#"
            iotrail.device.id = Shared("i2c-1")
            iotrail.device.class = Text("i2c")
            iotrail.device.path = Shared("/dev/i2c-1")
            iotrail.device.command = Text("I2C_RDWR")
            thread.id = Int(4)
            iotrail.latency_ms = Float(0.25)
            iotrail.device.args.address = Int(64)
            iotrail.device.args.messages = Int(2)
        "#]]
        .assert_eq(&lines.concat());
        assert_eq!((&*executed.name, executed.kind), ("peripheral.execute I2C_RDWR", SpanKind::Client));
        let event = span(true);
        assert_eq!((&*event.name, event.kind), ("peripheral.event I2C_RDWR", SpanKind::Internal));
    }
}
