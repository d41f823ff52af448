//! Device files: captured calls in, commands and events of peripherals out.
//!
//! [`Devices`] keeps one session per process and device; the device's class decides how that session understands
//! the calls (`class.rs`). Most make one command per call (`generic.rs`) and an event of each thing that a read brings
//! (`events.rs`); `tty` pairs writes with answers (`tty.rs`).

#![forbid(unsafe_code)]

mod block;
mod buffer;
mod class;
mod dri;
mod events;
mod fields;
mod files;
mod fuse;
mod generic;
mod gpio;
mod hid;
mod i2c;
mod input;
mod ioc;
mod kvm;
mod media;
mod mtd;
mod names;
mod nvme;
mod ptp;
mod rtc;
mod scsi;
mod sound;
mod spi;
mod tty;
mod tun;
mod unsolicited;
mod usb;
mod vhost;
mod video;
mod watchdog;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::model::capture::{Body, Capture, DeviceKind, DeviceNumber, Position};
use crate::model::command::{Command, Device};
use crate::model::errno;
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::time::Timestamp;
use bytes::Bytes;
use class::{Aborted, Class, Context, Gone, Ioctl, Moved, Session};
use tracer_common::call::Abi;
use tracer_common::recipe::{Condition, FD_IS_RESULT, Field, NO_FD, Recipe, RecipeKey, without_size};

/// Sessions, one for each process and device in use, that are kept. Each costs a few hundred bytes while nothing is
/// under way. The one that was idle longest gives way.
const SESSIONS: usize = 4096;

/// How devices' calls are understood.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a serial device may take to answer (`--reply-timeout`), ns.
    pub reply_timeout_ns: u64,
    /// A serial line that is silent for so long has ended its frame or its answer, ns.
    pub event_silence_ns: u64,
    /// Whether a serial request counts as awaited although no read was seen, if its protocol always answers it or if
    /// the program awaited the same command before. Programs wait in `poll` and `select`, which are not seen.
    pub presume_awaited: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { reply_timeout_ns: 1_000_000_000, event_silence_ns: 50_000_000, presume_awaited: true }
    }
}

/// What became of what was fed. Every call ends in a command, in an event or in one of the other counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were fed.
    pub calls: u64,
    /// Commands that came out.
    pub commands: u64,
    /// Unsolicited events that came out.
    pub events: u64,
    /// Those of both that were errors.
    pub errors: u64,
    /// Calls that found nothing (`EAGAIN`).
    pub would_block: u64,
    /// Transfers of no bytes, and reads that a signal ended.
    pub empty: u64,
    /// Bytes of unsolicited input that were only line ends.
    pub blank_bytes: u64,
    /// Calls that are about the descriptor, not the device (`FIONBIO`, `FIOCLEX`, `isatty` on what is none, …).
    pub descriptor_calls: u64,
    /// Calls that make no spans by rule: pseudo-terminal masters.
    pub excluded: u64,
    /// Captures of kinds that say nothing of a device.
    pub foreign: u64,
    /// Serial requests that were written so far ahead of their answers that they gave way: they came out without.
    pub crowded: u64,
    /// Sessions that gave way to others; what they had under way came out as it was.
    pub evicted: u64,
}

/// All devices in use.
pub struct Devices {
    settings: Settings,
    sessions: BTreeMap<(ProcessKey, DeviceNumber), Peer>,
    counts: Counts,
}

/// One process' use of one device.
struct Peer {
    device: Arc<Device>,
    class: &'static Class,
    serial: u64,
    used: Timestamp,
    session: Box<dyn Session>,
}

impl Devices {
    /// No devices yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, sessions: BTreeMap::new(), counts: Counts::default() }
    }

    /// Takes one call on `device` by `process`: data moved, `ioctl`, open, close, or a thread's death in it.
    ///
    /// Calls of one process and device must come in the order of their exits.
    pub fn feed(
        &mut self,
        capture: &Capture,
        process: ProcessKey,
        device: &Arc<Device>,
        out: &mut Vec<Command>,
    ) {
        self.counts.calls = self.counts.calls.saturating_add(1);
        if let Some(count) = self.spanless(device) {
            *count = count.saturating_add(1);
            return;
        }
        let key = (process, device.number);
        self.make_room(key, out);
        let (start, evicted) = (capture.at.start, self.counts.evicted);
        let peer = self.sessions.entry(key).or_insert_with(|| Peer::new(device, evicted, start));
        if !Arc::ptr_eq(&peer.device, device) && peer.device.id != device.id
            || !std::ptr::eq(peer.class, class::find(device.class))
        {
            // The number was given to another device. Nothing more will be told of this one.
            for why in [Gone::Device, Gone::Forgotten] {
                peer.gone(why, start, process, &self.settings, &mut self.counts, out);
            }
            *peer = Peer { serial: peer.serial, ..Peer::new(device, evicted, start) };
        }
        if !Arc::ptr_eq(&peer.device, device) {
            peer.device = Arc::clone(device);
        }
        peer.used = capture.at.end;
        let (class, session, mut context) = peer.parts(process, &self.settings, &mut self.counts, out);
        dispatch(capture, class, session, &mut context);
    }

    /// Lets time pass: what has waited long enough ends. `now` must not be ahead of calls still to be fed.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        for ((process, _), peer) in &mut self.sessions {
            let (_, session, mut context) = peer.parts(*process, &self.settings, &mut self.counts, out);
            session.tick(now, &mut context);
        }
    }

    /// A thread turned to something else, such as publishing: the answer that it has read is complete, unless
    /// it ends in the middle of a line. To be called before that something else is evaluated.
    pub fn moved_on(&mut self, process: ProcessKey, tid: u32, out: &mut Vec<Command>) {
        for ((process, _), peer) in self.sessions.range_mut(all_of(process)) {
            let (_, session, mut context) = peer.parts(*process, &self.settings, &mut self.counts, out);
            session.moved_on(tid, &mut context);
        }
    }

    /// A process ended: what it had under way was `killed`.
    pub fn process_gone(&mut self, process: ProcessKey, at: Timestamp, out: &mut Vec<Command>) {
        let keys: Vec<_> = self.sessions.range(all_of(process)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(mut peer) = self.sessions.remove(&key) {
                peer.gone(Gone::Process, at, process, &self.settings, &mut self.counts, out);
            }
        }
    }

    /// A device was taken away: what was under way failed with `ENODEV`.
    pub fn device_gone(&mut self, device: DeviceNumber, at: Timestamp, out: &mut Vec<Command>) {
        for ((process, number), peer) in &mut self.sessions {
            if *number == device {
                peer.gone(Gone::Device, at, *process, &self.settings, &mut self.counts, out);
            }
        }
    }

    /// What became of what was fed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Commands and events that have begun and not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.sessions.values().map(|peer| peer.session.open()).sum()
    }

    /// The same by process and device, those with nothing under way too.
    pub fn open_by_device(&self) -> impl Iterator<Item = (ProcessKey, DeviceNumber, &Arc<Device>, usize)> {
        self.sessions
            .iter()
            .map(|((process, number), peer)| (*process, *number, &peer.device, peer.session.open()))
    }

    /// The counter for a call that makes no span whatever it says.
    fn spanless(&mut self, device: &Device) -> Option<&mut u64> {
        // The kernel side sends of block devices' transfers only those that go around the page cache.
        is_pty_master(device).then_some(&mut self.counts.excluded)
    }

    /// Sees to it that a session for `key` fits.
    fn make_room(&mut self, key: (ProcessKey, DeviceNumber), out: &mut Vec<Command>) {
        if self.sessions.len() < SESSIONS || self.sessions.contains_key(&key) {
            return;
        }
        let Some((oldest, _)) = self.sessions.iter().min_by_key(|(_, peer)| peer.used) else { return };
        let oldest = *oldest;
        if let Some(mut peer) = self.sessions.remove(&oldest) {
            let at = peer.used;
            peer.gone(Gone::Forgotten, at, oldest.0, &self.settings, &mut self.counts, out);
            self.counts.evicted = self.counts.evicted.saturating_add(1);
        }
    }
}

impl Peer {
    /// A first use, at `now`. Once sessions have been `evicted` this may be one of those: its commands are then
    /// numbered from the time on, so that no two have the same number.
    fn new(device: &Arc<Device>, evicted: u64, now: Timestamp) -> Self {
        let class = class::find(device.class);
        Self {
            device: Arc::clone(device),
            class,
            serial: if evicted == 0 { 0 } else { now.0 },
            used: now,
            session: (class.session)(),
        }
    }

    /// Takes this apart for a session's call.
    fn parts<'a>(
        &'a mut self,
        process: ProcessKey,
        settings: &'a Settings,
        counts: &'a mut Counts,
        out: &'a mut Vec<Command>,
    ) -> (&'static Class, &'a mut dyn Session, Context<'a>) {
        let Self { device, class, serial, session, .. } = self;
        (class, session.as_mut(), Context { settings, device, process, serial, counts, out })
    }

    /// Ends what is under way.
    fn gone(
        &mut self,
        why: Gone,
        at: Timestamp,
        process: ProcessKey,
        settings: &Settings,
        counts: &mut Counts,
        out: &mut Vec<Command>,
    ) {
        let (_, session, mut context) = self.parts(process, settings, counts, out);
        session.gone(why, at, &mut context);
    }
}

/// Gives a call to the session that it is for.
fn dispatch(capture: &Capture, class: &Class, session: &mut dyn Session, context: &mut Context<'_>) {
    let Capture { at, tid, fd, call, result, .. } = *capture;
    let error = (result < 0).then(|| u32::try_from(result.unsigned_abs()).unwrap_or(u32::MAX));
    let compat = capture.abi == Abi::Compat;
    match &capture.body {
        Body::Data { direction, position, payload, .. } => {
            let offset = if let Position::Offset(offset) = *position { Some(offset) } else { None };
            let payload = sane(payload);
            let direction = *direction;
            session.moved(Moved { at, tid, fd, compat, direction, error, offset, payload }, context);
        }
        Body::Unseen { direction, length, .. } => {
            let payload = Payload { captured: Bytes::new(), size: *length };
            let (direction, offset) = (*direction, None);
            session.moved(Moved { at, tid, fd, compat, direction, error, offset, payload }, context);
        }
        Body::Ioctl { command, .. } if is_descriptor_call(*command, error, class) => {
            context.counts.descriptor_calls = context.counts.descriptor_calls.saturating_add(1);
            if *command == FIONREAD {
                session.looked(at, context);
            }
        }
        Body::Ioctl { command, argument: value, before, after, given, answered } => {
            let (command, value, before) = (*command, *value, before.as_ref());
            let row = class.row(command, compat);
            let call =
                Ioctl { at, tid, fd, compat, result, command, value, before, after, given, answered, error };
            session.ioctl(&call, row, context);
        }
        Body::Open { flags, .. } if error.is_none() => {
            session.opened(i32::try_from(result).unwrap_or(fd), flags & O_ACCMODE == O_WRONLY);
        }
        Body::Dup { new_fd } if error.is_none() && *new_fd != fd => session.duplicated(fd, *new_fd),
        Body::Close { first, last } => session.closed(i64::from(*first)..=i64::from(*last), at, context),
        Body::Waiting => session.looked(at, context),
        Body::Aborted { command } => {
            let row = class.row(*command, compat);
            session.aborted(&Aborted { at, tid, call, compat, row, command: *command }, context);
        }
        _ => context.counts.foreign = context.counts.foreign.saturating_add(1),
    }
}

/// For the kernel side: what the arguments of commands hold and point to, where their number does not tell.
///
/// Families are those of [`family`]. In family 0, for devices of which the class is not known (yet), are the commands
/// of all classes; of two with the same number the first.
#[must_use]
pub fn recipes() -> &'static [(RecipeKey, Recipe)] {
    static RECIPES: LazyLock<Vec<(RecipeKey, Recipe)>> = LazyLock::new(|| {
        let mut found = BTreeMap::new();
        for class in class::CLASSES {
            for (key, recipe) in class.ioctls.iter().flat_map(class::Row::recipes) {
                for family in [0, family(class.name)] {
                    found.entry(RecipeKey { family, ..key }).or_insert(recipe);
                }
            }
        }
        found.into_iter().collect()
    });
    &RECIPES
}

/// The descriptor that an `ioctl` made, which is of the same device: lines of a gpiochip, virtual machines.
///
/// `family` as [`family`] says; `argument` when the call returned.
#[must_use]
pub fn descriptor_made(family: u8, compat: bool, command: u32, argument: &[u8], result: i64) -> Option<i32> {
    let recipe = |alternative| {
        let (compat, command) = (u8::from(compat), without_size(command));
        let key = RecipeKey { family, compat, alternative, pad: 0, command };
        let index = recipes().binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(&recipes()[index].1)
    };
    let first = recipe(0)?;
    let field = |field: Field| match field.bytes {
        0 => Some(field.constant),
        1 => argument.get(usize::from(field.at)).map(|byte| u32::from(*byte)),
        2 => ioc::u16_at(argument, field.at.into()).map(u32::from),
        _ => ioc::u32_at(argument, field.at.into()),
    };
    let Condition { mask, low, high, .. } = first.only;
    let holds = mask == 0 || (low..=high).contains(&(field(first.only.field)? & mask));
    match if holds { first } else { recipe(1)? }.new_fd {
        _ if result < 0 => None,
        NO_FD => None,
        FD_IS_RESULT => i32::try_from(result).ok(),
        at => ioc::u32_at(argument, at.into()).map(u32::cast_signed),
    }
}

/// The classes that have decoders of their own.
pub fn classes() -> impl Iterator<Item = &'static str> {
    class::CLASSES.iter().map(|class| class.name)
}

/// The numbers of the `ioctl` commands that the decoder of a class knows, for 64-bit or (`compat`) 32-bit programs. Of a
/// row of consecutive ones the first.
#[must_use]
pub fn commands(class: &str, compat: bool) -> Vec<u32> {
    let others = if class == hid::CLASS.name { hid::OTHERS } else { &[] };
    class::find(class).ioctls.iter().chain(others).map(|row| row.number(compat)).collect()
}

/// The family of the `ioctl` commands of a class, 0 if it has none of its own.
#[must_use]
pub fn family(class: &str) -> u8 {
    let found = class::CLASSES.iter().position(|known| known.name == class);
    found.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(0)
}

/// `open`'s access mode, `include/uapi/asm-generic/fcntl.h`.
const O_ACCMODE: u64 = 3;
/// `open` for writing only.
const O_WRONLY: u64 = 1;

/// Bytes that wait to be read; on a serial line also known as `TIOCINQ`.
const FIONREAD: u32 = 0x541b;
/// What `isatty` asks.
const TCGETS: u32 = 0x5401;
/// The same in newer C libraries.
const TCGETS2: u32 = ioc::ior(b'T', 0x2a, 44);

/// Commands that every descriptor takes: `FIONREAD`, `FIONBIO`, `FIONCLEX`, `FIOCLEX`, `FIOASYNC`, `FIOQSIZE`.
const DESCRIPTOR_CALLS: &[u32] = &[FIONREAD, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460];

/// Whether a command is about the descriptor. `isatty` asks every file that a program opens; "no" is no failure.
fn is_descriptor_call(command: u32, error: Option<u32>, class: &Class) -> bool {
    let is_isatty = matches!(command, TCGETS | TCGETS2);
    let refused = matches!(error, Some(errno::ENOTTY | 515 | 22));
    DESCRIPTOR_CALLS.contains(&command) || is_isatty && refused && class.name != tty::CLASS.name
}

/// Whether it is the controlling side of a pseudo-terminal: `ptmx` (5:2) or a Unix98 master (128 to 135),
/// `Documentation/admin-guide/devices.txt`.
pub(crate) fn is_pty_master(device: &Device) -> bool {
    let DeviceNumber { kind, major, minor } = device.number;
    kind == DeviceKind::Char && ((major, minor) == (5, 2) || (128..=135).contains(&major))
}

/// Every key of `process`.
fn all_of(process: ProcessKey) -> std::ops::RangeInclusive<(ProcessKey, DeviceNumber)> {
    let first = DeviceNumber { kind: DeviceKind::Char, major: 0, minor: 0 };
    let last = DeviceNumber { kind: DeviceKind::Block, major: u32::MAX, minor: u32::MAX };
    (process, first)..=(process, last)
}

/// A payload that holds no more than there was.
fn sane(payload: &Payload) -> Payload {
    let mut payload = payload.clone();
    payload.limit();
    payload
}
