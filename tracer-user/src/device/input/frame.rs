//! Frames of events: what happened at once, ended by `SYN_REPORT`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::event::{self, Event};
use crate::device::buffer::Buffer;
use crate::device::class::{Context, Moved};
use crate::model::command::{Command, Status, Value};
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};

/// Descriptors of one process on one device whose half frames are kept. What others read is complete with the read.
const DESCRIPTORS: usize = 64;

/// Events of one frame that are listed. A touch screen with ten fingers has more; all are counted.
const LISTED: usize = 32;

/// Events of one frame. A device's queue has room for at least 64; a frame that is longer comes out in parts.
const LONGEST: usize = 1024;

/// A frame that does not go on for so long comes out as it is, ns.
const SILENCE_NS: u64 = 1_000_000_000;

/// The frames that the descriptors of one process have read the beginning of. Each descriptor has a queue of its own.
#[derive(Default)]
pub(super) struct Frames {
    open: BTreeMap<i32, Frame>,
}

impl Frames {
    /// Takes what a read brought. With `whole`, the read is the frame.
    pub(super) fn take(&mut self, call: &Moved, whole: bool, context: &mut Context<'_>) {
        let mut frame = self.open.remove(&call.fd);
        let size = Event::size(call.compat);
        let mut rest = call.payload.captured.clone();
        while let Some(event) = Event::read(&rest, call.compat) {
            let bytes = Payload::whole(rest.split_to(size));
            if event.kind == event::SYN && event.code == event::SYN_DROPPED {
                // What was read of the frame before is all that there is of it.
                if let Some(frame) = frame.take() {
                    frame.emit(false, context);
                }
            }
            let current = frame.get_or_insert_with(|| Frame::new(call));
            if current.add(event, &bytes, call)
                && !whole
                && let Some(frame) = frame.take()
            {
                frame.emit(true, context);
            }
            if let Some(frame) = frame.take_if(|frame| frame.count >= LONGEST) {
                frame.emit(false, context);
            }
        }
        let unseen = call.payload.size.saturating_sub((call.payload.captured.len() - rest.len()) as u64);
        if unseen > 0 {
            // Where frames end in what was not captured is not known.
            let mut frame = frame.take().unwrap_or_else(|| Frame::new(call));
            frame.bytes.push_unknown(unseen);
            return frame.emit(false, context);
        }
        let Some(frame) = frame else { return };
        if whole || self.open.len() >= DESCRIPTORS {
            frame.emit(whole, context);
        } else {
            self.open.insert(call.fd, frame);
        }
    }

    /// What thread `tid` has read comes out: it turns to something else.
    pub(super) fn moved_on(&mut self, tid: u32, context: &mut Context<'_>) {
        self.flush(|_, frame| frame.end_tid == tid, context);
    }

    /// Half frames of descriptors that were closed come out.
    pub(super) fn closed(&mut self, fds: &RangeInclusive<i64>, context: &mut Context<'_>) {
        self.flush(|fd, _| fds.contains(&i64::from(fd)), context);
    }

    /// Half frames that do not go on come out.
    pub(super) fn tick(&mut self, now: Timestamp, context: &mut Context<'_>) {
        self.flush(|_, frame| now.since(frame.at.end) >= SILENCE_NS, context);
    }

    /// Everything comes out.
    pub(super) fn gone(&mut self, context: &mut Context<'_>) {
        self.flush(|_, _| true, context);
    }

    /// Frames that have begun and not come out.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    fn flush(&mut self, which: impl Fn(i32, &Frame) -> bool, context: &mut Context<'_>) {
        let fds: Vec<i32> =
            self.open.iter().filter(|(fd, frame)| which(**fd, frame)).map(|(fd, _)| *fd).collect();
        for frame in fds.into_iter().filter_map(|fd| self.open.remove(&fd)) {
            frame.emit(false, context);
        }
    }
}

/// One frame in the making.
struct Frame {
    tid: u32,
    end_tid: u32,
    /// From the exit of the read that brought the first byte to that of the read that brought the last.
    at: Interval,
    bytes: Buffer,
    listed: Vec<Arc<str>>,
    /// Events, the `SYN_REPORT` at the end not counted.
    count: usize,
    /// The most telling event.
    chief: Option<Event>,
    /// `SYN_DROPPED` was read: events before this frame are lost, and perhaps some of it.
    dropped: bool,
    time_us: i64,
}

impl Frame {
    fn new(call: &Moved) -> Self {
        Self {
            tid: call.tid,
            end_tid: call.tid,
            at: Interval { start: call.at.end, end: call.at.end },
            bytes: Buffer::default(),
            listed: Vec::new(),
            count: 0,
            chief: None,
            dropped: false,
            time_us: 0,
        }
    }

    /// Adds an event; returns whether it is the frame's end.
    fn add(&mut self, event: Event, bytes: &Payload, call: &Moved) -> bool {
        (self.at.end, self.end_tid, self.time_us) = (call.at.end, call.tid, event.time_us);
        self.bytes.push(bytes);
        if event.kind == event::SYN && event.code == event::SYN_REPORT {
            return true;
        }
        self.count = self.count.saturating_add(1);
        self.dropped |= event.kind == event::SYN && event.code == event::SYN_DROPPED;
        if self.listed.len() < LISTED {
            self.listed.push(event.text());
        }
        if self.chief.is_none_or(|chief| event.rank() < chief.rank()) {
            self.chief = Some(event);
        }
        false
    }

    fn emit(self, complete: bool, context: &mut Context<'_>) {
        let unseen = self.bytes.size() > 0 && !self.bytes.is_whole();
        if self.count == 0 && !unseen {
            // The end of a frame of which everything was taken away, by a mask or because it came out before.
            context.counts.empty = context.counts.empty.saturating_add(1);
            return;
        }
        let mut event = self.command(context);
        event.unsolicited = true;
        if !complete {
            event.args.push(("complete", Value::Bool(false)));
        }
        if self.dropped {
            event.status = Status::Error {
                kind: "SYN_DROPPED".into(),
                message: "the program read too slowly: events before this one are lost".to_owned(),
            };
        }
        event.request = self.bytes.into_payload();
        context.emit(event);
    }

    fn command(&self, context: &mut Context<'_>) -> Command {
        let name = match self.chief {
            _ if self.dropped => "dropped",
            Some(chief) => event::frame_name(chief.rank()),
            None => "input",
        };
        let mut event = context.command(name, self.at, self.tid, Status::Ok);
        event.end_tid = self.end_tid;
        if let Some(chief) = self.chief {
            event.args.push(("code", Value::Text(event::code_name(chief.kind, chief.code))));
            event.args.push(("value", Value::Int(chief.value.into())));
            event.args.push(("events", Value::Texts(self.listed.clone())));
            event.args.push(("count", Value::Int(i64::try_from(self.count).unwrap_or(i64::MAX))));
            event.args.push(("time_us", Value::Int(self.time_us)));
        }
        event
    }
}

/// Adds the events that a `write` gave, those that end frames too: a program may write one at a time.
pub(super) fn written(call: &Moved, command: &mut Command) {
    let events = call.payload.captured.chunks_exact(Event::size(call.compat));
    let count = events.len();
    let listed: Vec<Arc<str>> =
        events.take(LISTED).filter_map(|bytes| Event::read(bytes, call.compat)).map(Event::text).collect();
    if !listed.is_empty() {
        command.args.push(("events", Value::Texts(listed)));
        command.args.push(("count", Value::Int(i64::try_from(count).unwrap_or(i64::MAX))));
    }
}
