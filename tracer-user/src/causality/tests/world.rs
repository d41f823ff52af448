//! A small world to tell scenarios in: processes, connections and what happened when (µs), and the trees that come out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::causality::{Causality, Settings};
use crate::model::capture::{DeviceKind, DeviceNumber};
use crate::model::command::{Command, Device, Status};
use crate::model::ids::SpanId;
use crate::model::net::{ConnectionKey, Role, SocketEnd, Transport};
use crate::model::op::{Feed, Message, Op, OpKind, Place, Scope, System};
use crate::model::payload::Payload;
use crate::model::process::{Process, ProcessKey};
use crate::model::span::{Owner, Span};
use crate::model::time::{Interval, Timestamp};
use crate::names::attribute;

/// What is given to the engine.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Command(Command),
    Op(Op),
    Returned(ProcessKey, u32, ConnectionKey, Timestamp),
    Gone(ProcessKey, Timestamp),
}

impl Input {
    /// When it becomes known.
    pub(super) fn known(&self) -> u64 {
        match self {
            Self::Command(command) => command.at.end.0,
            Self::Op(op) => op.at.end.0,
            Self::Returned(_, _, _, at) | Self::Gone(_, at) => at.0,
        }
    }
}

/// The scenario so far.
pub(super) struct World {
    pub(super) system: System,
    /// Whether clients, and whether the broker, are traced.
    pub(super) clients: bool,
    pub(super) broker: bool,
    /// Whether positions are known.
    pub(super) exact: bool,
    pub(super) inputs: Vec<Input>,
    pub(super) positions: BTreeMap<(u16, bool), u64>,
    pub(super) serial: u64,
    pub(super) untraced: Vec<&'static str>,
}

/// All programs of all scenarios; the index is the process id.
pub(super) const PROGRAMS: [&str; 8] =
    ["broker", "sensor", "actuator", "other", "third", "relay", "fourth", "fifth"];

pub(super) const START: u64 = 1_700_000_000_000_000_000;

pub(super) fn us(at: u64) -> Timestamp {
    Timestamp(START + at * 1000)
}

pub(super) fn between(start: u64, end: u64) -> Interval {
    Interval { start: us(start), end: us(end) }
}

pub(super) fn key(name: &str) -> ProcessKey {
    let pid = PROGRAMS.iter().position(|program| *program == name).expect("a known program");
    ProcessKey { pid: pid as u32 + 100, generation: 0 }
}

pub(super) fn message(topic: &str, body: &str) -> Message {
    Message {
        destination: topic.into(),
        body: Payload::whole(body.as_bytes().to_vec()),
        ..Message::default()
    }
}

/// As [`message`], with quality of service 1.
pub(super) fn acked(topic: &str, body: &str, id: u64) -> Message {
    Message { settle_id: Some(id), needs_settle: true, ..message(topic, body) }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            system: System::Mqtt,
            clients: true,
            broker: true,
            exact: true,
            inputs: Vec::new(),
            positions: BTreeMap::new(),
            serial: 0,
            untraced: Vec::new(),
        }
    }

    /// `name` is not traced.
    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.untraced.push(name);
        self
    }

    fn port(client: &str) -> u16 {
        40_000 + key(client).pid as u16
    }

    pub(super) fn socket(client: &str, role: Role) -> SocketEnd {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, Self::port(client)));
        let broker = SocketAddr::from((Ipv4Addr::LOCALHOST, 1883));
        let (local, remote) = if role == Role::Client { (own, broker) } else { (broker, own) };
        SocketEnd { transport: Transport::Tcp, namespace: 1, local, remote, id: 0, peer: 0 }
    }

    /// One operation on `client`'s connection: sent at `at`, received 10 µs later by the other end.
    pub(super) fn op(&mut self, client: &'static str, tid: u32, at: u64, to_server: bool, kind: OpKind) {
        self.op_timed(client, tid, between(at, at + 20), between(at - 5, at + 10), to_server, kind);
    }

    /// As [`Self::op`], with when each end was at it.
    pub(super) fn op_timed(
        &mut self,
        client: &'static str,
        tid: u32,
        sender: Interval,
        receiver: Interval,
        to_server: bool,
        kind: OpKind,
    ) {
        self.batch(client, tid, (sender, receiver), to_server, &[kind]);
    }

    /// Operations of the same bytes: of messages each is a part.
    pub(super) fn batch(
        &mut self,
        client: &'static str,
        tid: u32,
        (sender, receiver): (Interval, Interval),
        to_server: bool,
        kinds: &[OpKind],
    ) {
        let length = 50;
        let position = self.positions.entry((Self::port(client), to_server)).or_insert(0xffff_ff00);
        let start = *position & 0xffff_ffff;
        *position += length;
        for role in [Role::Client, Role::Server] {
            let traced = match role {
                Role::Client => self.clients && !self.untraced.contains(&client),
                Role::Server => self.broker,
            };
            if !traced {
                continue;
            }
            let socket = Self::socket(client, role);
            let sends = to_server == (role == Role::Client);
            let at = if sends { sender } else { receiver };
            let process = if role == Role::Client { key(client) } else { key("broker") };
            let tid = if role == Role::Client { tid } else { 1 };
            let place = Place {
                connection: socket.connection(),
                to_server,
                // Without absolute positions each end counts from wherever it began.
                start: if self.exact { start } else { start / 7 + u64::from(role == Role::Client) * 1000 },
                length,
                exact: self.exact,
                part: 0,
            };
            for (part, kind) in (0..).zip(kinds) {
                self.inputs.push(Input::Op(Op {
                    system: self.system,
                    viewpoint: role,
                    socket,
                    place: Place { part, ..place },
                    process,
                    tid,
                    at,
                    last_enter: at.start,
                    client_id: Some(client.into()),
                    kind: kind.clone(),
                }));
            }
        }
    }

    pub(super) fn publish(&mut self, client: &'static str, tid: u32, at: u64, topic: &str, body: &str) {
        self.op(client, tid, at, true, OpKind::Publish(Box::new(message(topic, body))));
    }

    pub(super) fn deliver(&mut self, client: &'static str, tid: u32, at: u64, topic: &str, body: &str) {
        self.op(client, tid, at, false, OpKind::Deliver(Box::new(message(topic, body))));
    }

    pub(super) fn ack(&mut self, client: &'static str, tid: u32, at: u64, ids: &[u64]) {
        self.op(
            client,
            tid,
            at,
            true,
            OpKind::Settle { name: "ack", ids: ids.to_vec(), scope: Scope::Connection, error: None },
        );
    }

    pub(super) fn subscribe(&mut self, client: &'static str, at: u64, filter: &str) {
        self.subscribe_for(client, at, filter, Feed::Client);
    }

    pub(super) fn subscribe_for(&mut self, client: &'static str, at: u64, filter: &str, feed: Feed) {
        self.op(client, 1, at, true, OpKind::Subscribe { filters: vec![filter.into()], feed });
    }

    pub(super) fn back(&mut self, client: &'static str, tid: u32, at: u64) {
        let connection = Self::socket(client, Role::Client).connection();
        self.inputs.push(Input::Returned(key(client), tid, connection, us(at)));
    }

    pub(super) fn gone(&mut self, client: &'static str, at: u64) {
        self.inputs.push(Input::Gone(key(client), us(at)));
    }

    /// A device command; an empty answer is none.
    pub(super) fn command(&mut self, name: &str, tid: u32, at: (u64, u64), request: &str, reply: &str) {
        let request = Payload::whole(request.as_bytes().to_vec());
        let reply = (!reply.is_empty()).then(|| Payload::whole(reply.as_bytes().to_vec()));
        self.serial += 1;
        self.inputs.push(Input::Command(Command {
            unsolicited: false,
            name: "CMD".into(),
            device: Arc::new(Device::new(
                DeviceNumber { kind: DeviceKind::Char, major: 188, minor: 0 },
                "tty",
                "/dev/ttyUSB0",
                "usb-1",
            )),
            process: key(name),
            tid,
            end_tid: tid,
            at: between(at.0, at.1),
            serial: self.serial,
            status: Status::Ok,
            request,
            reply,
            bus: Vec::new(),
            args: Vec::new(),
        }));
    }

    /// What comes out when the inputs are given in their order of becoming known.
    pub(super) fn run(&self) -> (Vec<Span>, Causality) {
        let mut inputs = self.inputs.clone();
        inputs.sort_by_key(Input::known);
        run(&inputs, 10_000_000)
    }

    /// The trees that come out.
    pub(super) fn trees(&self) -> String {
        trees(&self.run().0)
    }
}

/// Gives `inputs` in this order, with a tick every `tick_ns` of their time, which is `5 ms` behind the newest.
pub(super) fn run(inputs: &[Input], tick_ns: u64) -> (Vec<Span>, Causality) {
    let mut engine = Causality::new(Settings { host_id: "host".into(), ..Settings::default() });
    let mut out = Vec::new();
    for name in PROGRAMS {
        engine.learn(Arc::new(Process {
            key: key(name),
            service_name: name.into(),
            service_instance: format!("{name}@host").into(),
            executable: name.into(),
            args: Vec::new(),
            container: None,
            started: us(0),
        }));
    }
    let mut newest = 0;
    let mut ticked = 0;
    for input in inputs {
        newest = newest.max(input.known());
        give(&mut engine, input.clone());
        if newest - ticked >= tick_ns {
            engine.tick(Timestamp(newest - 5_000_000), &mut out);
            ticked = newest;
        }
    }
    engine.tick(Timestamp(newest + 2_000_000_000), &mut out);
    engine.flush(&mut out);
    (out, engine)
}

/// Gives one input to the engine.
pub(super) fn give(engine: &mut Causality, input: Input) {
    match input {
        Input::Command(command) => engine.command(command),
        Input::Op(op) => engine.op(op),
        Input::Returned(process, tid, connection, at) => engine.returned(process, tid, connection, at),
        Input::Gone(process, at) => engine.process_gone(process, at),
    }
}

/// Spans as trees: times in µs, the evidence of the edge to the parent and how sure it is.
pub(super) fn trees(spans: &[Span]) -> String {
    let mut children: BTreeMap<Option<SpanId>, Vec<&Span>> = BTreeMap::new();
    let known = |id: &SpanId| spans.iter().any(|span| span.id == *id);
    for span in spans {
        let parent = span.parent.as_ref().map(|edge| edge.span).filter(known);
        if let Some(edge) = &span.parent {
            assert_eq!(edge.trace, span.trace, "{}: a parent is in the same trace", span.name);
        }
        if let Some(parent) = spans.iter().find(|other| Some(other.id) == parent) {
            assert_eq!(parent.trace, span.trace, "{}: shows the trace that its parent is in", span.name);
        }
        assert_eq!(
            spans.iter().filter(|other| other.id == span.id).count(),
            1,
            "{}: ids are unique",
            span.name
        );
        children.entry(parent).or_default().push(span);
    }
    let mut text = String::new();
    write(&children, None, 0, spans, &mut text);
    text
}

fn write(
    children: &BTreeMap<Option<SpanId>, Vec<&Span>>,
    parent: Option<SpanId>,
    depth: usize,
    spans: &[Span],
    text: &mut String,
) {
    let mut siblings = children.get(&parent).cloned().unwrap_or_default();
    siblings
        .sort_by(|a, b| (a.at.start, &a.name, a.at.end, a.id).cmp(&(b.at.start, &b.name, b.at.end, b.id)));
    for span in siblings {
        let micros = |at: Timestamp| at.0.saturating_sub(START) / 1000;
        let owner = match &span.owner {
            Owner::Process(process) => process.service_name.to_string(),
            Owner::Remote { name, .. } => format!("remote {name}"),
        };
        let (start, end) = (micros(span.at.start), micros(span.at.end));
        write!(text, "{}{} [{owner}] {start}..{end}", "  ".repeat(depth), span.name).unwrap();
        let evidence = |edge: &crate::model::span::Edge| {
            let words: Vec<_> = edge.evidence.iter().map(|kind| kind.name()).collect();
            format!("{} {}", words.join("+"), edge.confidence)
        };
        if let Some(edge) = &span.parent {
            write!(text, " {}", evidence(edge)).unwrap();
        }
        if let Some(outside) = span.remote_parent {
            write!(text, " outside {outside}").unwrap();
        }
        for link in &span.links {
            let to = spans
                .iter()
                .find(|other| other.id == link.span)
                .map_or("?".into(), |other| format!("{} at {}", other.name, micros(other.at.start)));
            write!(text, " link({to}: {})", evidence(link)).unwrap();
        }
        if span.attributes.iter().any(|(key, _)| *key == attribute::VIEWPOINT) {
            text.push_str(" seen from the broker");
        }
        if let Status::Error { kind, .. } = &span.status {
            write!(text, " ERROR {kind}").unwrap();
        }
        text.push('\n');
        write(children, Some(span.id), depth + 1, spans, text);
    }
}
