//! What a device class is, and the table of those that are known.
//!
//! A class is a table of its `ioctl` commands and a [`Session`] that turns one process' calls on one device into
//! commands. Most classes need no more than [`generic`]'s session; adding one is a file with a
//! table and a line in [`CLASSES`].

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::ioc::Argument;
pub(crate) use super::ioc::Row;
use super::{
    Counts, Settings, block, dri, fuse, generic, gpio, hid, i2c, input, kvm, media, mtd, nvme, ptp, rtc,
    scsi, sound, spi, tty, tun, usb, vhost, video, watchdog,
};
use crate::model::capture::Piece;
use crate::model::command::{Command, Device, Status};
use crate::model::errno;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};
use tracer_common::call::Call;

/// A device class.
pub(crate) struct Class {
    /// As in [`Device::class`].
    pub(crate) name: &'static str,
    /// Its commands.
    pub(crate) ioctls: &'static [Row],
    /// How the calls of one process on one device are understood.
    pub(crate) session: fn() -> Box<dyn Session>,
}

impl Class {
    /// The row of a command.
    pub(crate) fn row(&self, command: u32, compat: bool) -> Option<&'static Row> {
        self.ioctls.iter().find(|row| row.matches(command, compat))
    }
}

/// Every class that has a file of its own. At most 63: see [`tracer_common::config::FAMILY_SHIFT`].
pub(crate) static CLASSES: &[Class] = &[
    tty::CLASS,
    i2c::CLASS,
    scsi::CLASS,
    nvme::CLASS,
    block::CLASS,
    video::CLASS,
    media::CLASS,
    sound::CLASS,
    spi::CLASS,
    gpio::CLASS,
    watchdog::CLASS,
    rtc::CLASS,
    ptp::CLASS,
    tun::CLASS,
    fuse::CLASS,
    kvm::CLASS,
    vhost::CLASS,
    mtd::CLASS,
    dri::CLASS,
    dri::ACCEL,
    usb::CLASS,
    hid::CLASS,
    input::CLASS,
];

/// What is known of the class called `name`.
pub(crate) fn find(name: &str) -> &'static Class {
    CLASSES.iter().find(|class| class.name == name).unwrap_or(&generic::CLASS)
}

/// A `read` or `write`, or one of their relatives.
pub(crate) struct Moved {
    /// Entry and exit.
    pub(crate) at: Interval,
    /// Thread.
    pub(crate) tid: u32,
    /// Descriptor.
    pub(crate) fd: i32,
    /// Whether a 32-bit program made it.
    pub(crate) compat: bool,
    /// Which way.
    pub(crate) direction: Direction,
    /// The errno, if it failed.
    pub(crate) error: Option<u32>,
    /// Where in the device, if the program said so.
    pub(crate) offset: Option<u64>,
    /// What moved, or for a failed call what was offered.
    pub(crate) payload: Payload,
}

/// An `ioctl`.
pub(crate) struct Ioctl<'a> {
    /// Entry and exit.
    pub(crate) at: Interval,
    /// Thread.
    pub(crate) tid: u32,
    /// Descriptor.
    pub(crate) fd: i32,
    /// Whether a 32-bit program made it.
    pub(crate) compat: bool,
    /// What it returned.
    pub(crate) result: i64,
    /// Command.
    pub(crate) command: u32,
    /// Number or pointer.
    pub(crate) value: u64,
    /// The argument at entry, if captured apart.
    pub(crate) before: Option<&'a bytes::Bytes>,
    /// The argument at exit.
    pub(crate) after: &'a bytes::Bytes,
    /// What it pointed to at entry.
    pub(crate) given: &'a [Piece],
    /// What it pointed to at exit.
    pub(crate) answered: &'a [Piece],
    /// The errno, if it failed.
    pub(crate) error: Option<u32>,
}

impl Ioctl<'_> {
    /// What its argument holds and points to.
    pub(crate) fn argument(&self) -> Argument<'_> {
        Argument {
            command: self.command,
            compat: self.compat,
            result: self.result,
            value: self.value,
            given: self.before.unwrap_or(self.after),
            answered: if self.error.is_none() { self.after } else { &[] },
            before: self.given,
            after: self.answered,
        }
    }
}

/// A call that its thread did not survive.
pub(crate) struct Aborted {
    /// Entry, and when the thread died.
    pub(crate) at: Interval,
    /// Thread.
    pub(crate) tid: u32,
    /// Which call.
    pub(crate) call: Call,
    /// Whether a 32-bit program made it.
    pub(crate) compat: bool,
    /// Of an `ioctl`: its row, if the class knows it, and its command.
    pub(crate) row: Option<&'static Row>,
    /// As above.
    pub(crate) command: u32,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The process ended.
    Process,
    /// The device was taken away. A program may still be told what became of its commands.
    Device,
    /// There are too many sessions.
    Forgotten,
}

/// The calls of one process on one device, in order of their exits. Every method may add finished commands.
pub(crate) trait Session: Send {
    /// Bytes moved, or failed to.
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        generic::moved(call, context);
    }

    /// An `ioctl`, with its row if the class knows it.
    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        generic::ioctl(call, row, context);
    }

    /// A thread died in a call.
    fn aborted(&mut self, call: &Aborted, context: &mut Context<'_>) {
        generic::aborted(call, context);
    }

    /// The program asked whether there is something to read.
    fn looked(&mut self, _at: Interval, _context: &mut Context<'_>) {}

    /// The device was opened.
    fn opened(&mut self, _fd: i32, _write_only: bool) {}

    /// A descriptor was made that is the same as another.
    fn duplicated(&mut self, _fd: i32, _new_fd: i32) {}

    /// Descriptors were closed.
    fn closed(&mut self, _fds: RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {}

    /// Time has come this far.
    fn tick(&mut self, _now: Timestamp, _context: &mut Context<'_>) {}

    /// A thread turned to something else.
    fn moved_on(&mut self, _tid: u32, _context: &mut Context<'_>) {}

    /// It is over.
    fn gone(&mut self, _why: Gone, _at: Timestamp, _context: &mut Context<'_>) {}

    /// Commands that have begun and not ended.
    fn open(&self) -> usize {
        0
    }
}

/// What a session needs to make commands.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) device: &'a Arc<Device>,
    pub(crate) process: ProcessKey,
    pub(crate) serial: &'a mut u64,
    pub(crate) counts: &'a mut Counts,
    pub(crate) out: &'a mut Vec<Command>,
}

impl Context<'_> {
    /// The number of the next command.
    pub(crate) fn next_serial(&mut self) -> u64 {
        let serial = *self.serial;
        *self.serial = serial.wrapping_add(1);
        serial
    }

    /// A command of one call, without bytes and arguments.
    pub(crate) fn command(
        &mut self,
        name: impl Into<std::borrow::Cow<'static, str>>,
        at: Interval,
        tid: u32,
        status: Status,
    ) -> Command {
        Command {
            unsolicited: false,
            name: name.into(),
            device: Arc::clone(self.device),
            process: self.process,
            tid,
            end_tid: tid,
            at,
            serial: self.next_serial(),
            status,
            request: Payload::default(),
            reply: None,
            bus: Vec::new(),
            args: Vec::new(),
        }
    }

    /// Hands a finished command over.
    pub(crate) fn emit(&mut self, mut command: Command) {
        // Lengths are what arguments say, bytes what was captured: the two need not agree.
        for payload in [Some(&mut command.request), command.reply.as_mut()].into_iter().flatten() {
            payload.limit();
        }
        let counter = if command.unsolicited { &mut self.counts.events } else { &mut self.counts.commands };
        *counter = counter.saturating_add(1);
        if command.status.is_error() {
            self.counts.errors = self.counts.errors.saturating_add(1);
        }
        self.out.push(command);
    }
}

/// The status of a call with this outcome.
pub(crate) fn outcome(error: Option<u32>) -> Status {
    error.map_or(Status::Ok, failed)
}

/// The status of a call that failed with `errno`.
pub(crate) fn failed(errno: u32) -> Status {
    Status::Error { kind: errno::name(errno), message: String::new() }
}

/// The status of a command whose program died.
pub(crate) fn killed() -> Status {
    Status::Error { kind: "killed".into(), message: "the thread died in mid-command".into() }
}
