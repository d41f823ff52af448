//! Transfers between their submit and their reap.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use super::setup::Setup;
use super::urb::{self, Packet, Urb};
use super::{SUBMIT, status};
use crate::device::class::{Context, Gone, Ioctl, killed};
use crate::device::files::{File, Files};
use crate::device::ioc::{Args, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::errno;
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};
use bytes::Bytes;

/// Transfers under way at once, of one process on one device. `libusb` cuts a transfer of 4 MiB into 256; the oldest
/// gives way.
pub(super) const UNDER_WAY: usize = 512;

/// Bytes that these transfers keep of what they send. What goes beyond keeps its length.
const KEPT: usize = 1024 * 1024;

/// How long a reap waits for the exit of its submit, which may be on another thread: the time slice that this may have
/// been preempted for. After that the submit was not seen.
const RACE_NS: u64 = 10_000_000;

/// Reaps that wait for that at most.
pub(super) const EARLY: usize = 16;

/// How long a program may take to reap what was under way when the device was taken away. Of these transfers some may
/// have been complete, and their data read. What is left then failed with the device.
const GRACE_NS: u64 = 1_000_000_000;

/// What is submitted and not reaped.
#[derive(Default)]
pub(super) struct Transfers {
    /// By the address of the program's structure, which is what a reap answers.
    under_way: BTreeMap<u64, Submitted>,
    kept: usize,
    early: VecDeque<Reaped>,
    /// When the device was taken away.
    unplugged: Option<Timestamp>,
    /// Those that ended with the device: to reap them later says nothing new.
    lost: BTreeSet<u64>,
    files: Files,
}

/// A transfer that was submitted.
struct Submitted {
    command: Command,
    file: File,
    urb: Option<Urb>,
    setup: Option<Setup>,
    packets: Vec<Packet>,
}

/// A transfer that was reaped.
pub(super) struct Reaped {
    address: u64,
    at: Interval,
    tid: u32,
    urb: Option<Urb>,
    setup: Option<Setup>,
    packets: Vec<Packet>,
    buffer: Option<Payload>,
}

impl Reaped {
    /// What a reaping call brought.
    pub(super) fn new(call: &Ioctl<'_>) -> Self {
        let argument = call.argument();
        let low = u32_at(argument.answered, 0).map_or(0, u64::from);
        let high = if call.compat { 0 } else { u32_at(argument.answered, 4).map_or(0, u64::from) };
        let urb = argument.answered_element(0).and_then(|bytes| Urb::read(bytes, call.compat));
        let buffer = urb::reaped_buffer(&argument);
        Self {
            address: high << 32 | low,
            at: call.at,
            tid: call.tid,
            urb,
            setup: urb::setup_of(urb, buffer),
            packets: urb::packets_of(urb, &argument, true),
            buffer: buffer.cloned(),
        }
    }
}

impl Transfers {
    /// A transfer was submitted.
    pub(super) fn submitted(&mut self, call: &Ioctl<'_>, command: Command, context: &mut Context<'_>) {
        if self.unplugged.is_some_and(|at| at < call.at.start) {
            // Another device has its number.
            self.fail(context);
        }
        let mut submitted = Submitted::new(call, command);
        submitted.file = self.files.of(call.fd);
        self.lost.remove(&call.value);
        let reap = self.early.iter().position(|reap| {
            // Reaped before it was submitted: a transfer before this one.
            reap.address == call.value && call.at.start <= reap.at.end
        });
        if let Some(reap) = reap.and_then(|index| self.early.remove(index)) {
            context.emit(submitted.complete(reap));
            return;
        }
        if let Some(old) = self.take(call.value) {
            context.emit(old.unreaped());
        }
        if self.under_way.len() >= UNDER_WAY {
            let oldest = self.under_way.iter().min_by_key(|(_, transfer)| transfer.command.at.start);
            let oldest = oldest.map(|(address, _)| *address);
            if let Some(old) = oldest.and_then(|oldest| self.take(oldest)) {
                context.emit(old.unreaped());
            }
        }
        let bytes = submitted.command.request.captured.len();
        if self.kept.saturating_add(bytes) > KEPT {
            submitted.command.request.captured = Bytes::new();
        } else {
            self.kept = self.kept.saturating_add(bytes);
        }
        self.under_way.insert(call.value, submitted);
    }

    /// A transfer was reaped.
    pub(super) fn reaped(&mut self, reap: Reaped, context: &mut Context<'_>) {
        if let Some(submitted) = self.take(reap.address) {
            context.emit(submitted.complete(reap));
        } else if self.lost.remove(&reap.address) {
            context.counts.empty = context.counts.empty.saturating_add(1);
        } else {
            if self.early.len() >= EARLY
                && let Some(oldest) = self.early.pop_front()
            {
                oldest.alone(context);
            }
            self.early.push_back(reap);
        }
    }

    /// Adds what the transfer at `address` is, if it is under way.
    pub(super) fn name(&self, address: u64, args: &mut Args) {
        if let Some(urb) = self.under_way.get(&address).and_then(|submitted| submitted.urb) {
            urb.name(args);
        }
    }

    /// A descriptor of a file of its own.
    pub(super) fn opened(&mut self, fd: i32) {
        self.files.opened(fd);
    }

    /// A descriptor of the same file as another.
    pub(super) fn duplicated(&mut self, fd: i32, new_fd: i32) {
        self.files.duplicated(fd, new_fd);
    }

    /// Descriptors were closed. With the last of a file everything that was submitted through it is discarded.
    pub(super) fn closed(&mut self, fds: &RangeInclusive<i64>, at: Timestamp, context: &mut Context<'_>) {
        let over = self.files.closed(fds);
        if !over.is_empty() {
            let status = match self.unplugged {
                Some(_) => status::failed(errno::ENODEV),
                None => not_reaped("closed before the transfer was reaped"),
            };
            self.end(|transfer| over.contains(&transfer.file), &status, at, context);
        }
    }

    /// Reaps whose submit has not shown up come out, and what went with the device.
    pub(super) fn tick(&mut self, now: Timestamp, context: &mut Context<'_>) {
        while self.early.front().is_some_and(|reap| now.since(reap.at.end) >= RACE_NS) {
            if let Some(reap) = self.early.pop_front() {
                reap.alone(context);
            }
        }
        if self.unplugged.is_some_and(|at| now.since(at) >= GRACE_NS) {
            self.fail(context);
        }
    }

    /// There is nothing left to reap: what is under way failed with the device.
    pub(super) fn exhausted(&mut self, at: Timestamp, context: &mut Context<'_>) {
        self.unplugged = self.unplugged.or(Some(at));
        self.fail(context);
    }

    /// It is over, or soon will be.
    pub(super) fn gone(&mut self, why: Gone, at: Timestamp, context: &mut Context<'_>) {
        while let Some(reap) = self.early.pop_front() {
            reap.alone(context);
        }
        match why {
            Gone::Device => self.unplugged = self.unplugged.or(Some(at)),
            _ if self.unplugged.is_some() => self.fail(context),
            Gone::Process => {
                self.end(|_| true, &not_reaped("the process ended before the transfer"), at, context);
            }
            Gone::Forgotten => {
                for (_, submitted) in std::mem::take(&mut self.under_way) {
                    context.emit(submitted.unreaped());
                }
                self.kept = 0;
            }
        }
    }

    /// What is under way failed when the device was taken away.
    fn fail(&mut self, context: &mut Context<'_>) {
        let Some(at) = self.unplugged.take() else { return };
        // Bounded as what is under way is: these are its addresses.
        self.lost = self.under_way.keys().copied().collect();
        self.end(|_| true, &status::failed(errno::ENODEV), at, context);
    }

    /// Transfers that have begun and not come out.
    pub(super) fn open(&self) -> usize {
        self.under_way.len() + self.early.len()
    }

    fn take(&mut self, address: u64) -> Option<Submitted> {
        let submitted = self.under_way.remove(&address)?;
        self.kept = self.kept.saturating_sub(submitted.command.request.captured.len());
        Some(submitted)
    }

    /// Ends some with an error.
    fn end(
        &mut self,
        which: impl Fn(&Submitted) -> bool,
        status: &Status,
        at: Timestamp,
        context: &mut Context<'_>,
    ) {
        let addresses: Vec<u64> = self
            .under_way
            .iter()
            .filter(|(_, transfer)| which(transfer))
            .map(|(address, _)| *address)
            .collect();
        for address in addresses {
            if let Some(mut submitted) = self.take(address) {
                submitted.command.at.end = at.max(submitted.command.at.start);
                submitted.command.status = status.clone();
                context.emit(submitted.described(None));
            }
        }
    }
}

impl Submitted {
    /// A transfer as its submit shows it.
    fn new(call: &Ioctl<'_>, mut command: Command) -> Self {
        let argument = call.argument();
        let urb = Urb::read(argument.given, call.compat);
        let given = urb::submitted_data(urb, &argument);
        let setup = urb::setup_of(urb, given);
        let packets = urb::packets_of(urb, &argument, false);
        if let Some(urb) = urb {
            command.request = urb.request(setup, &packets, given);
        }
        Self { command, file: File::default(), urb, setup, packets }
    }

    /// The command, when the transfer was reaped.
    fn complete(mut self, reap: Reaped) -> Command {
        self.command.end_tid = reap.tid;
        self.command.at.end = reap.at.end.max(self.command.at.start);
        self.setup = self.setup.or(reap.setup);
        if !reap.packets.is_empty() {
            self.packets = reap.packets;
        }
        if let Some(urb) = reap.urb {
            self.command.status = urb.status();
            self.command.reply = urb.reply(self.setup, &self.packets, reap.buffer.as_ref());
        }
        self.described(reap.urb)
    }

    /// The command, when nobody was seen to reap the transfer. How long it took is not known: it lasts as long as the
    /// submitting call.
    fn unreaped(mut self) -> Command {
        self.command.args.push(("reap_seen", Value::Bool(false)));
        self.described(None)
    }

    /// With arguments. The structure as it was reaped is more to be trusted: that of the submit was copied when the
    /// call returned, and another thread may have reaped it by then, and used its memory for something else.
    fn described(mut self, reaped: Option<Urb>) -> Command {
        let urb = reaped.or(self.urb);
        let mut args = Args::new();
        if let Some(urb) = urb {
            urb.describe(self.setup, &self.packets, &mut args);
        }
        if let Some(urb) = reaped {
            urb.result(&self.packets, &mut args);
        }
        args.append(&mut self.command.args);
        self.command.args = args;
        self.command
    }
}

impl Reaped {
    /// The command of a transfer whose submit was not seen.
    fn alone(self, context: &mut Context<'_>) {
        let command = context.command(SUBMIT, self.at, self.tid, Status::Ok);
        let mut submitted =
            Submitted { command, file: File::default(), urb: None, setup: self.setup, packets: Vec::new() };
        if let Some(urb) = self.urb.filter(|urb| !urb.reads(self.setup)) {
            submitted.command.request = urb.request(self.setup, &self.packets, None);
        }
        submitted.command.args.push(("submit_seen", Value::Bool(false)));
        context.emit(submitted.complete(self));
    }
}

/// The command of a transfer that could not be submitted.
pub(super) fn refused(call: &Ioctl<'_>, command: Command) -> Command {
    Submitted::new(call, command).described(None)
}

fn not_reaped(message: &str) -> Status {
    match killed() {
        Status::Error { kind, .. } => Status::Error { kind, message: message.to_owned() },
        Status::Ok => Status::Ok,
    }
}
