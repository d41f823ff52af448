//! Buffers between a program and a video driver: given empty, taken back filled.
//!
//! A buffer's command begins with `VIDIOC_QBUF` and ends with the `VIDIOC_DQBUF` that returns it, so its duration is the
//! latency of the frame. It says the frame's `sequence` number and how many frames were lost since the one before it.
//! `VIDIOC_STREAMOFF` returns every buffer unfilled, and so does the end of the file that it was given through. The dequeuing call makes no command of its own, unless the buffer
//! was given away before iotrail looked.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::ioctls::{DQBUF, QBUF, STREAMOFF};
use crate::device::class::{Context, Gone, Ioctl, Row, Session, failed, killed};
use crate::device::files::{File, Files};
use crate::device::generic;
use crate::device::ioc::{Argument, Number, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::errno;
use crate::model::time::{Interval, Timestamp};

/// Buffers of one process on one device that are remembered: a queue has up to 64 (`VB2_MAX_FRAME` 32 and later more), a
/// codec two queues. More are commands that end with their call.
const BUFFERS: usize = 256;

/// `VIDEO_MAX_PLANES`.
const PLANES: usize = 8;

/// `V4L2_BUF_FLAG_REQUEST_FD`.
const REQUEST_FD: u32 = 0x80_0000;

/// `V4L2_BUF_FLAG_ERROR`.
pub(super) const ERROR: u32 = 0x40;

/// What matters of a `struct v4l2_buffer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buffer {
    pub(super) index: u32,
    pub(super) kind: u32,
    pub(super) bytes: u32,
    pub(super) flags: u32,
    pub(super) sequence: u32,
    pub(super) memory: &'static str,
    /// Bytes used of each plane, if it has several.
    pub(super) planes: Vec<u32>,
    /// Descriptor of the request that it belongs to.
    pub(super) request: Option<i32>,
}

impl Buffer {
    /// Reads the structure in the layout that its size tells: 64-bit programs; 32-bit ones; those with 64-bit time, of
    /// i386 and (the same as 64-bit ones up to the pointer) of arm.
    pub(super) fn read(bytes: &[u8], argument: &Argument<'_>) -> Option<Self> {
        let (at, request_at) = match Number::of(argument.command).size {
            68 => (44, 64),
            76 => (52, 72),
            80 => (56, 76),
            _ => (56, 80),
        };
        let (index, kind) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?);
        let plane =
            |plane| u32_at(argument.answered_element(plane).or_else(|| argument.given_element(plane))?, 0);
        let planes: Vec<u32> =
            if matches!(kind, 9 | 10) { (0..PLANES).map_while(plane).collect() } else { Vec::new() };
        let used = match kind {
            9 | 10 => planes.iter().copied().fold(0, u32::saturating_add),
            _ => u32_at(bytes, 8)?,
        };
        let memory = match u32_at(bytes, at + 4)? {
            1 => "mmap",
            2 => "userptr",
            3 => "overlay",
            4 => "dmabuf",
            _ => "unknown",
        };
        let (flags, sequence) = (u32_at(bytes, 12)?, u32_at(bytes, at)?);
        let request = if flags & REQUEST_FD != 0 { u32_at(bytes, request_at) } else { None };
        let request = request.map(u32::cast_signed);
        Some(Self { index, kind, bytes: used, flags, sequence, memory, planes, request })
    }
}

/// A queue: a file, and a type of buffers. A codec has two for each file.
type Of = (File, i64);

/// A buffer of a queue, by its index.
type Key = (Of, i64);

/// What the driver has.
#[derive(Default)]
pub(super) struct Queue {
    given: BTreeMap<Key, Command>,
    /// The last frame's sequence number.
    last: BTreeMap<Of, i64>,
    files: Files,
}

impl Session for Queue {
    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        let number = if call.command >> 8 & 0xff == u32::from(b'V') { call.command as u8 } else { 0 };
        if call.error == Some(errno::EAGAIN) || !matches!(number, QBUF | DQBUF | STREAMOFF) {
            return generic::ioctl(call, row, context);
        }
        let mut command = generic::ioctl_command(call, row, context);
        let file = self.files.of(call.fd);
        let key = int(&command, "type").map(|kind| ((file, kind), int(&command, "index").unwrap_or(0)));
        let (Some(key), None) = (key, call.error) else { return context.emit(command) };
        match number {
            QBUF if self.given.len() < BUFFERS || self.given.contains_key(&key) => {
                // One that was given twice came back in between without a call: the queue was freed.
                if let Some(before) = self.given.insert(key, command) {
                    returned(before, call.at.start, context);
                }
            }
            DQBUF => {
                self.lost_frames(key.0, &mut command);
                match self.given.remove(&key) {
                    Some(mut whole) => {
                        (whole.at.end, whole.end_tid) = (command.at.end, command.tid);
                        whole.status = command.status;
                        let known = ["type", "index", "memory", "request_fd"];
                        whole.args.extend(command.args.into_iter().filter(|(key, _)| !known.contains(key)));
                        context.emit(whole);
                    }
                    None => context.emit(command),
                }
            }
            STREAMOFF => {
                self.end(|queue| queue == key.0, call.at.end, context);
                context.emit(command);
            }
            _ => context.emit(command),
        }
    }

    fn opened(&mut self, fd: i32, _write_only: bool) {
        self.files.opened(fd);
    }

    fn duplicated(&mut self, fd: i32, new_fd: i32) {
        self.files.duplicated(fd, new_fd);
    }

    fn closed(&mut self, fds: RangeInclusive<i64>, at: Interval, context: &mut Context<'_>) {
        for file in self.files.closed(&fds) {
            self.end(|queue| queue.0 == file, at.end, context);
        }
    }

    fn gone(&mut self, why: Gone, at: Timestamp, context: &mut Context<'_>) {
        for (_, mut command) in std::mem::take(&mut self.given) {
            command.at.end = at.max(command.at.start);
            command.status = match why {
                Gone::Process => killed(),
                Gone::Device => failed(errno::ENODEV),
                Gone::Forgotten => Status::Ok,
            };
            context.emit(command);
        }
    }

    fn open(&self) -> usize {
        self.given.len()
    }
}

impl Queue {
    /// Some queues end: their buffers come back unfilled.
    fn end(&mut self, which: impl Fn(Of) -> bool, at: Timestamp, context: &mut Context<'_>) {
        let ended: Vec<Key> = self.given.keys().filter(|(queue, _)| which(*queue)).copied().collect();
        for key in ended {
            if let Some(before) = self.given.remove(&key) {
                returned(before, at, context);
            }
        }
        self.last.retain(|queue, _| !which(*queue));
    }

    /// Sequence numbers count frames, also those for which no buffer was there.
    fn lost_frames(&mut self, queue: Of, command: &mut Command) {
        let Some(sequence) = int(command, "sequence") else { return };
        // As many as files and `V4L2_BUF_TYPE_*`; a program may name others, and is then refused.
        let before = self.last.insert(queue, sequence);
        if let Some(lost) = before.map(|before| sequence - before - 1).filter(|lost| *lost > 0) {
            command.args.push(("lost_frames", Value::Int(lost)));
        }
    }
}

fn returned(mut command: Command, at: Timestamp, context: &mut Context<'_>) {
    command.at.end = at.max(command.at.start);
    command.args.push(("returned", Value::Bool(true)));
    context.emit(command);
}

fn int(command: &Command, name: &str) -> Option<i64> {
    command.args.iter().find_map(|(key, value)| match value {
        Value::Int(value) if *key == name => Some(*value),
        _ => None,
    })
}
