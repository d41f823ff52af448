//! From records to spans: hands each record to the stage that understands it. No logic of its own beyond that.

mod lives;
mod sockets;
mod tls;

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use self::sockets::{End, Known};
pub use self::tls::Counts as TlsCounts;
use self::tls::Sessions;
use super::described::Described;
use super::follow::Follower;
use super::newcomers::{self, Newcomers};
use super::select;
use super::totals::Totals;
use super::transactions::Transactions;
use crate::causality::{self, Causality};
use crate::decode::Decoder;
use crate::device::{self, Devices};
use crate::host::devices::Catalog;
use crate::kernel::rings::Raw;
use crate::model::capture::{Body, Capture, DeviceNumber, Piece, Target};
use crate::model::command::{Command, Device, Status, Transaction};
use crate::model::errno;
use crate::model::net::{Direction, Transport};
use crate::model::op::{Op, OpKind, System};
use crate::model::process::Process;
use crate::model::span::Span;
use crate::model::time::Timestamp;
use crate::proto::Memory;

/// Threads whose `ioctl` argument at entry is kept until the call returns: as many as the kernel side follows.
const ENTRIES: usize = tracer_common::limits::THREADS as usize;

/// Bytes of a message's body that are kept until its spans are out, about half a second, at each end that was seen: enough for what
/// is looked into (numbers and words, CloudEvents). Thousands of long messages a second would else take hundreds of megabytes.
pub const BODY_BYTES: usize = 16 * 1024;

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
    /// Whether functions of TLS libraries are hooked.
    pub tls: bool,
    /// How much of a message's body is kept: [`BODY_BYTES`], or as much as is to be exported.
    pub body_bytes: usize,
    /// How causes are found.
    pub causality: causality::Settings,
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
    memory: Arc<Memory>,
    entries: HashMap<u32, (Timestamp, Bytes, Vec<Piece>)>,
    transactions: Transactions,
    tls: Sessions,
    causality: Causality,
    follower: Option<Follower>,
    /// Since when all that moves is seen, if nothing was lost since.
    watching: Option<Timestamp>,
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
            memory: Arc::default(),
            entries: HashMap::new(),
            transactions: Transactions::default(),
            tls: Sessions::default(),
            follower,
            watching: None,
            totals: Totals::default(),
            finished: Vec::new(),
            ops: Vec::new(),
        }
    }

    /// From now on all that moves is seen.
    pub fn watches(&mut self, since: Timestamp) {
        self.watching = Some(since);
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
            Body::Fork { child } => self.fork(capture.pid, child),
            Body::Exec { ref program } => self.exec(&capture, program),
            Body::Program { program } => self.asked(capture.pid, program),
            Body::Exit { whole_process } => self.exit(&capture, whole_process),
            Body::Tls { .. } => self.plaintext(capture),
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
        out.append(&mut self.tls.reports);
        self.causality.tick(watermark, out);
        self.totals.spans += (out.len() - before) as u64;
    }

    /// The run is over: gives out everything that is held.
    pub fn flush(&mut self, now: Timestamp, out: &mut Vec<Span>) {
        self.unplug(now);
        self.commands.tick(now, &mut self.finished);
        self.pass_commands();
        self.report_all_encrypted();
        for known in self.connections.values_mut() {
            known.connection.expire(now, &mut self.ops);
        }
        self.pass_ops();
        let before = out.len();
        out.append(&mut self.tls.reports);
        self.causality.flush(out);
        self.totals.spans += (out.len() - before) as u64;
    }

    /// An unknown number of records was lost in the kernel: no stream can be trusted to go on where it was.
    ///
    /// TCP positions show by themselves what is missing; streams without them have to find a boundary again.
    pub fn lost(&mut self) {
        self.watching = None;
        if let Some(follower) = &mut self.follower {
            follower.lost();
        }
        let is_counted =
            |known: &&mut Known| known.socket.transport != Transport::Tcp || known.encrypted.is_some();
        for known in self.connections.values_mut().filter(is_counted) {
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
        if let Some(follower) = &self.follower {
            (totals.unfollowed, totals.unknown) = (follower.overflow, follower.unknown);
        }
        totals.tls = self.tls.counts;
        totals.connections = self.connections.len() as u64;
        totals.processes = self.processes.len() as u64;
        totals
    }

    /// Device commands that have begun and not ended, by process and device. `running`: calls that have not returned, by
    /// process id. A command that is several calls (a request whose answer is being read) is one with the call that runs.
    pub fn in_flight(&mut self, running: &[(u32, DeviceNumber)]) -> Vec<(Arc<Device>, usize)> {
        let mut calls: HashMap<(u32, DeviceNumber), usize> = HashMap::new();
        for call in running {
            *calls.entry(*call).or_default() += 1;
        }
        let mut all: Vec<_> = Vec::new();
        for (process, number, device, open) in self.commands.open_by_device() {
            let calls = calls.remove(&(process.pid, number)).unwrap_or(0);
            all.push((Arc::clone(device), open.max(calls)));
        }
        // Of processes that have not finished a call on the device.
        for ((_, number), calls) in calls {
            let device = self.devices.get(number, false);
            if !device::is_pty_master(&device) {
                all.push((device, calls));
            }
        }
        all
    }

    /// Filters that change while tracing, for a kernel without BTF.
    pub fn follower(&mut self) -> Option<&mut Follower> {
        self.follower.as_mut()
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
            // Hooks are attached for all devices: those of a bus that has a part in no command of this one say nothing.
            if !select::buses(self.devices.get(number, false).class).contains(&bus) {
                return;
            }
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

    fn pass_commands(&mut self) {
        for mut command in self.finished.drain(..) {
            self.totals.commands += 1;
            command.bus = self.transactions.take((command.tid, command.at.start));
            self.causality.command(command);
        }
    }

    fn pass_ops(&mut self) {
        for mut op in self.ops.drain(..) {
            match &mut op.kind {
                OpKind::Publish(message) => {
                    self.totals.publishes += 1;
                    message.body.cut(self.settings.body_bytes);
                }
                OpKind::Deliver(message) => {
                    self.totals.deliveries += 1;
                    message.body.cut(self.settings.body_bytes);
                }
                _ => self.totals.other_ops += 1,
            }
            self.causality.op(op);
        }
    }
}
