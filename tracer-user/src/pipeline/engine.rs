//! From records to spans: hands each record to the stage that understands it. No logic of its own beyond that.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::described::Described;
use super::follow::Follower;
use super::newcomers::Newcomers;
use super::totals::Totals;
use super::transactions::Transactions;
use crate::causality::{self, Causality};
use crate::decode::Decoder;
use crate::device::{self, Devices};
use crate::host;
use crate::host::devices::Catalog;
use crate::kernel::rings::Raw;
use crate::model::capture::{Body, Capture, DeviceNumber, Piece, Target};
use crate::model::command::{Command, Device, Status, Transaction};
use crate::model::errno;
use crate::model::net::{Direction, Role, SocketEnd, Transport};
use crate::model::op::{Op, OpKind, System};
use crate::model::process::{Process, ProcessKey};
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::proto::Connection;
use crate::track::stream::Chunk;

/// Connections that are kept. A broker with more clients than this loses those that were idle longest.
const CONNECTIONS: usize = 16 * 1024;

/// Processes that are known. Those that were seen longest ago and have no connection are forgotten first.
const PROCESSES: usize = 32 * 1024;

/// Threads whose `ioctl` argument at entry is kept until the call returns: as many as the kernel side follows.
const ENTRIES: usize = tracer_common::limits::THREADS as usize;

/// What the engine is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Clocks and layouts.
    pub decoder: Decoder,
    /// `host.id`.
    pub host_id: Arc<str>,
    /// The devices of this host.
    pub catalog: Catalog,
    /// Ports of brokers with their protocol.
    pub brokers: Vec<(u16, System)>,
    /// How devices' calls are understood.
    pub device: device::Settings,
    /// How causes are found.
    pub causality: causality::Settings,
}

/// A connection of one process: by the socket's identity, or without BTF by the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End {
    pid: u32,
    sock: u64,
    fd: i32,
}

struct Known {
    connection: Connection,
    socket: SocketEnd,
    used: Timestamp,
    /// How many descriptors it is known to be open by: it lasts until the last is closed.
    descriptors: u32,
    /// It was being connected when the connecting call returned, and nothing has moved since.
    pending: bool,
}

/// The stages of one run.
pub struct Engine {
    settings: Settings,
    processes: HashMap<u32, Arc<Process>>,
    generation: u32,
    newcomers: Newcomers,
    devices: Described,
    commands: Devices,
    connections: HashMap<End, Known>,
    entries: HashMap<u32, (Timestamp, Bytes, Vec<Piece>)>,
    transactions: Transactions,
    causality: Causality,
    follower: Option<Follower>,
    totals: Totals,
    finished: Vec<Command>,
    ops: Vec<Op>,
}

impl Engine {
    /// Nothing seen yet. `follower`: where the kernel has no BTF.
    #[must_use]
    pub fn new(settings: Settings, follower: Option<Follower>) -> Self {
        Self {
            commands: Devices::new(settings.device.clone()),
            causality: Causality::new(settings.causality.clone()),
            devices: Described::new(settings.catalog.clone()),
            settings,
            processes: HashMap::new(),
            generation: 0,
            newcomers: Newcomers::default(),
            connections: HashMap::new(),
            entries: HashMap::new(),
            transactions: Transactions::default(),
            follower,
            totals: Totals::default(),
            finished: Vec::new(),
            ops: Vec::new(),
        }
    }

    /// Takes one record. Records come in the order of their exits.
    pub fn take(&mut self, raw: Raw) {
        self.totals.records += 1;
        let Ok(mut capture) = self.settings.decoder.decode(&raw.header, raw.payload) else {
            self.totals.undecoded += 1;
            return;
        };
        if let Some(follower) = &mut self.follower
            && !follower.resolve(&mut capture)
        {
            self.totals.not_selected += 1;
            return;
        }
        match capture.body {
            Body::Fork { .. } => self.totals.lifecycle += 1,
            Body::Exec => self.exec(&capture),
            Body::Exit { whole_process } => self.exit(&capture, whole_process),
            _ => match capture.target {
                Target::Device(number) => self.device(capture, number),
                Target::Socket(socket) => self.socket(capture, socket),
                Target::None => self.totals.lifecycle += 1,
            },
        }
    }

    /// Everything before `watermark` was taken: lets time pass and gives out what is finished.
    pub fn tick(&mut self, watermark: Timestamp, out: &mut Vec<Span>) {
        self.unplug(watermark);
        self.commands.tick(watermark, &mut self.finished);
        self.pass_commands();
        for known in self.connections.values_mut().filter(|known| known.connection.is_waiting()) {
            known.connection.expire(watermark, &mut self.ops);
        }
        self.pass_ops();
        let before = out.len();
        self.causality.tick(watermark, out);
        self.totals.spans += (out.len() - before) as u64;
    }

    /// The run is over: gives out everything that is held.
    pub fn flush(&mut self, now: Timestamp, out: &mut Vec<Span>) {
        self.unplug(now);
        self.commands.tick(now, &mut self.finished);
        self.pass_commands();
        for known in self.connections.values_mut() {
            known.connection.expire(now, &mut self.ops);
        }
        self.pass_ops();
        let before = out.len();
        self.causality.flush(out);
        self.totals.spans += (out.len() - before) as u64;
    }

    /// An unknown number of records was lost in the kernel: no stream can be trusted to go on where it was.
    ///
    /// TCP positions show by themselves what is missing; streams without them have to find a boundary again.
    pub fn lost(&mut self) {
        for known in self.connections.values_mut().filter(|known| known.socket.transport != Transport::Tcp) {
            for direction in [Direction::Inward, Direction::Outward] {
                known.connection.gap(direction, &mut self.ops);
            }
        }
        self.pass_ops();
    }

    /// What went in and came out.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        totals.device = self.commands.counts();
        totals.causality = self.causality.counts().clone();
        for known in self.connections.values() {
            totals.proto.add(&known.connection.counts());
        }
        totals.connections = self.connections.len() as u64;
        totals.processes = self.processes.len() as u64;
        totals
    }

    /// Device commands that have begun and not ended, by process and device.
    pub fn in_flight(&self) -> impl Iterator<Item = (&Arc<Device>, usize)> {
        self.commands.open_by_device()
    }

    /// Filters that change while tracing, for a kernel without BTF.
    pub fn follower(&mut self) -> Option<&mut Follower> {
        self.follower.as_mut()
    }

    fn process(&mut self, capture: &Capture) -> ProcessKey {
        if let Some(process) = self.processes.get(&capture.pid) {
            return process.key;
        }
        if self.processes.len() >= PROCESSES {
            let used: hashbrown::HashSet<u32> = self.connections.keys().map(|end| end.pid).collect();
            self.processes.retain(|pid, _| used.contains(pid));
        }
        self.generation += 1;
        let key = ProcessKey { pid: capture.pid, generation: self.generation };
        let process = match self.newcomers.take(capture.pid) {
            Some(process) => Process { key, ..process },
            None => host::processes::describe(key, &capture.comm, &self.settings.host_id, capture.at.start),
        };
        let process = Arc::new(process);
        self.causality.learn(Arc::clone(&process));
        self.processes.insert(capture.pid, process);
        key
    }

    fn exec(&mut self, capture: &Capture) {
        self.totals.lifecycle += 1;
        // The number stays, the program does not: what it had under way is over.
        if self.processes.contains_key(&capture.pid) {
            self.gone(capture);
        }
        if self.newcomers.has_room(capture.at.start) {
            let key = ProcessKey { pid: capture.pid, generation: 0 };
            let (comm, host) = (&capture.comm, &self.settings.host_id);
            self.newcomers.put(host::processes::describe(key, comm, host, capture.at.start));
        }
    }

    fn exit(&mut self, capture: &Capture, whole_process: bool) {
        self.totals.lifecycle += 1;
        self.entries.remove(&capture.tid);
        // The first thread of a process may end before the others.
        if whole_process {
            self.newcomers.take(capture.pid);
            if self.processes.contains_key(&capture.pid) {
                self.gone(capture);
            }
        }
    }

    fn gone(&mut self, capture: &Capture) {
        let Some(process) = self.processes.remove(&capture.pid) else { return };
        let at = capture.at.end;
        self.commands.process_gone(process.key, at, &mut self.finished);
        self.pass_commands();
        let ends: Vec<End> = self.connections.keys().filter(|end| end.pid == capture.pid).copied().collect();
        for end in ends {
            self.close(end, at, capture.tid);
        }
        self.causality.process_gone(process.key, at);
        if let Some(follower) = &mut self.follower {
            follower.gone(capture.pid);
        }
    }

    fn device(&mut self, mut capture: Capture, number: DeviceNumber) {
        self.totals.device_records += 1;
        if let Body::Ioctl { before, given, .. } = &mut capture.body {
            if capture.at.start == capture.at.end && before.is_some() {
                // The argument at entry; the call itself follows.
                if self.entries.len() >= ENTRIES {
                    // Threads that died in their call and whose end was lost.
                    self.entries.clear();
                }
                let entry = (capture.at.start, before.take().unwrap_or_default(), std::mem::take(given));
                self.entries.insert(capture.tid, entry);
                return;
            }
            if let Some((_, bytes, pieces)) =
                self.entries.remove(&capture.tid).filter(|(start, ..)| *start == capture.at.start)
            {
                (*before, *given) = (Some(bytes), pieces);
            }
        }
        if let Body::Bus { bus, amount, call } = capture.body {
            let error = u32::try_from(-capture.result).ok().filter(|errno| *errno > 0);
            let status = error.map_or(Status::Ok, |errno| Status::Error {
                kind: errno::name(errno),
                message: String::new(),
            });
            let transaction = Transaction { bus, at: capture.at, amount, status };
            self.totals.transactions += 1;
            self.totals.transactions_unplaced += self.transactions.add((capture.tid, call), transaction);
            return;
        }
        // Before what happens on the device that may have the number by now.
        self.unplug(capture.at.end);
        let process = self.process(&capture);
        let opened = matches!(capture.body, Body::Open { .. }) && capture.result >= 0;
        let device = self.devices.get(number, opened);
        self.commands.feed(&capture, process, &device, &mut self.finished);
        self.pass_commands();
    }

    /// A device was plugged in, perhaps with a number that another one had.
    pub fn plugged(&mut self, number: DeviceNumber) {
        self.devices.refresh(number);
    }

    /// A device was taken away at `at`: what is under way on it then fails once everything before that was taken.
    pub fn unplugged(&mut self, number: DeviceNumber, at: Timestamp) {
        self.totals.unplugged += u64::from(self.devices.unplug(number, at));
    }

    fn unplug(&mut self, until: Timestamp) {
        for (at, number) in self.devices.gone(until) {
            self.commands.device_gone(number, at, &mut self.finished);
        }
    }

    fn socket(&mut self, capture: Capture, socket: SocketEnd) {
        self.totals.socket_records += 1;
        let end = End { pid: capture.pid, sock: socket.id, fd: if socket.id == 0 { capture.fd } else { -1 } };
        match capture.body {
            Body::Data { direction, position, peek, ref payload, .. } => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, false);
                let chunk = Chunk { position, at: capture.at, tid: capture.tid, payload: payload.clone() };
                self.data(end, process, &capture, direction, peek, chunk);
            }
            Body::Unseen { direction, position, length } => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, false);
                if let Some(known) = self.connections.get_mut(&end) {
                    known.used = capture.at.end;
                    known.connection.unseen(
                        direction,
                        position,
                        capture.at,
                        capture.tid,
                        length,
                        &mut self.ops,
                    );
                }
                self.pass_ops();
            }
            Body::Waiting => {
                if let Some(known) = self.connections.get(&end)
                    && !known.connection.is_half(Direction::Inward)
                    && let Some(process) = self.processes.get(&capture.pid)
                {
                    let key = known.socket.connection();
                    self.causality.returned(process.key, capture.tid, key, capture.at.start);
                }
            }
            Body::Accept { .. } if capture.result >= 0 => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, true);
            }
            Body::Connect { ref address } => self.connect(&capture, end, socket, address),
            Body::Dup { new_fd, .. } if capture.result >= 0 && new_fd != capture.fd => {
                if let Some(known) = self.connections.get_mut(&end) {
                    known.descriptors = known.descriptors.saturating_add(1);
                }
            }
            Body::Close { .. } if capture.result >= 0 => {
                if let Some(known) = self.connections.get_mut(&end).filter(|known| known.descriptors > 1) {
                    known.descriptors -= 1;
                    return;
                }
                // Given up before anything moved: it was refused, or took too long.
                if let Some(known) = self.connections.get(&end).filter(|known| known.pending) {
                    let (server, system) = (known.socket.remote, self.protocol(known.socket.remote.port()));
                    self.totals.refuse(system.map_or("unknown", System::name), Some(server));
                }
                self.close(end, capture.at.start, capture.tid);
            }
            _ => {}
        }
    }

    fn connect(&mut self, capture: &Capture, end: End, socket: SocketEnd, address: &[u8]) {
        // A connection under way counts as one: what comes of it is seen by its first bytes or its end.
        if capture.result >= 0 || capture.result == -i64::from(libc::EINPROGRESS) {
            let process = self.process(capture);
            self.ensure(end, socket, process, capture.at.start, true);
            if let Some(known) = self.connections.get_mut(&end) {
                known.pending = capture.result < 0;
            }
            return;
        }
        let server = crate::decode::socket_address(address);
        let system = server.and_then(|server| self.protocol(server.port()));
        self.totals.refuse(system.map_or("unknown", System::name), server);
    }

    fn data(
        &mut self,
        end: End,
        process: ProcessKey,
        capture: &Capture,
        direction: Direction,
        peek: bool,
        chunk: Chunk,
    ) {
        let Some(known) = self.connections.get_mut(&end) else { return };
        known.used = capture.at.end;
        known.pending &= capture.result <= 0;
        // The broker's own reads end nobody's handling.
        let broker = known.connection.role() == Some(Role::Server);
        if direction == Direction::Inward && !broker && !known.connection.is_half(Direction::Inward) {
            let key = known.socket.connection();
            self.causality.returned(process, capture.tid, key, capture.at.start);
        }
        if peek {
            known.connection.peeked();
            return;
        }
        if capture.result == 0 && direction == Direction::Inward {
            // The peer is gone; so is what it had under way.
            self.close(end, capture.at.end, capture.tid);
            return;
        }
        if capture.result <= 0 {
            return;
        }
        if direction == Direction::Outward {
            self.commands.moved_on(process, capture.tid, &mut self.finished);
            self.pass_commands();
        }
        if let Some(known) = self.connections.get_mut(&end) {
            let captured = chunk.payload.captured.len() as u64;
            let (position, at, size) = (chunk.position, chunk.at, chunk.payload.size);
            known.connection.feed(direction, chunk, &mut self.ops);
            if captured < size {
                let cut = captured..size;
                self.ops.extend(known.connection.unseen_part(direction, position, at, capture.tid, cut));
            }
        }
        self.pass_ops();
    }

    fn ensure(&mut self, end: End, socket: SocketEnd, process: ProcessKey, at: Timestamp, from_start: bool) {
        if let Some(known) = self.connections.get_mut(&end) {
            // A socket that was connected under our eyes learns its own address only now.
            let same =
                known.connection.system().is_some() || known.socket.connection() == socket.connection();
            if same && !from_start {
                return;
            }
            let from_start = from_start || !same;
            self.insert(end, socket, process, at, from_start);
            return;
        }
        self.insert(end, socket, process, at, from_start);
    }

    fn insert(&mut self, end: End, socket: SocketEnd, process: ProcessKey, at: Timestamp, from_start: bool) {
        if self.connections.len() >= CONNECTIONS {
            let oldest = self.connections.iter().min_by_key(|(_, known)| known.used).map(|(end, _)| *end);
            if let Some(oldest) = oldest {
                self.totals.evicted_connections += 1;
                self.close(oldest, at, 0);
            }
        }
        let here = self.protocol(socket.local.port());
        let there = self.protocol(socket.remote.port());
        let role = match (here, there) {
            (Some(_), _) => Some(Role::Server),
            (None, Some(_)) => Some(Role::Client),
            (None, None) => None,
        };
        let connection = Connection::new(process, socket, role, here.or(there), from_start);
        if let Some(previous) = self
            .connections
            .insert(end, Known { connection, socket, used: at, descriptors: 1, pending: false })
        {
            self.totals.proto.add(&previous.connection.counts());
        }
    }

    fn protocol(&self, port: u16) -> Option<System> {
        self.settings.brokers.iter().find(|(known, _)| *known == port).map(|(_, system)| *system)
    }

    fn close(&mut self, end: End, at: Timestamp, tid: u32) {
        if let Some(mut known) = self.connections.remove(&end) {
            known.connection.close(at, tid, &mut self.ops);
            self.totals.proto.add(&known.connection.counts());
            self.pass_ops();
        }
    }

    fn pass_commands(&mut self) {
        for mut command in self.finished.drain(..) {
            self.totals.commands += 1;
            command.bus = self.transactions.take((command.tid, command.at.start));
            self.causality.command(command);
        }
    }

    fn pass_ops(&mut self) {
        for op in self.ops.drain(..) {
            match op.kind {
                OpKind::Publish(_) => self.totals.publishes += 1,
                OpKind::Deliver(_) => self.totals.deliveries += 1,
                _ => self.totals.other_ops += 1,
            }
            self.causality.op(op);
        }
    }
}
