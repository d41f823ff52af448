//! One request on a serial line, and the answer to it as far as it has come.

use std::sync::Arc;

use super::protocol::{Extent, Known, Protocol, ends_line, is_text, recognise};
use crate::device::buffer::{Buffer, split};
use crate::device::class::Context;
use crate::device::{Settings, class::Moved};
use crate::model::command::{Command, Status};
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};

/// No request and no answer takes longer than this from its first byte to its last, even without any pause: a
/// device that was told to send for good is not answering any more.
const LONGEST_NS: u64 = 10_000_000_000;

/// A request that has begun.
pub(super) struct Exchange {
    serial: u64,
    tid: u32,
    pub(super) fd: i32,
    start: Timestamp,
    /// Exit of the last write.
    pub(super) written: Timestamp,
    request: Buffer,
    /// Exit of the last attempt to read since, that found nothing.
    looked: Option<Timestamp>,
    answer: Option<Answer>,
}

/// An answer that has begun.
struct Answer {
    bytes: Buffer,
    protocol: &'static dyn Protocol,
    known: Known,
    extent: Extent,
    first: Timestamp,
    last: Timestamp,
    tid: u32,
}

/// How an exchange ends.
pub(super) enum End {
    /// As its answer says; without one it was a plain command.
    Regular,
    /// Nothing, or not all, came in time.
    Timeout(Timestamp),
    /// Otherwise, seen at this time by this thread, if by any.
    Failed(Status, Timestamp, Option<u32>),
}

impl Exchange {
    /// A request begins with this write.
    pub(super) fn new(call: &Moved, context: &mut Context<'_>) -> Self {
        let mut request = Buffer::default();
        request.push(&call.payload);
        Self {
            serial: context.next_serial(),
            tid: call.tid,
            fd: call.fd,
            start: call.at.start,
            written: call.at.end,
            request,
            looked: None,
            answer: None,
        }
    }

    /// Whether a write goes on with the request: nobody looked for an answer yet, and it was not over.
    pub(super) fn goes_on(&self, call: &Moved, settings: &Settings) -> bool {
        if self.looked.is_some() || self.answer.is_some() {
            return false;
        }
        let pause = call.at.start.since(self.written);
        let age = call.at.start.since(self.start);
        let sent = self.request.kept();
        if self.request.is_whole() && is_text(sent) {
            let late_newline = sent.ends_with(b"\r") && call.payload.captured.as_ref() == b"\n";
            let ended = sent.last().copied().is_some_and(ends_line);
            return age < LONGEST_NS && (!ended || late_newline && pause < settings.event_silence_ns);
        }
        // Bytes that never pause are cut into commands all the same.
        pause < settings.event_silence_ns && age < settings.reply_timeout_ns
    }

    /// Adds a write to the request.
    pub(super) fn write(&mut self, call: &Moved) {
        self.request.push(&call.payload);
        self.written = self.written.max(call.at.end);
    }

    /// Adds what was read to the answer. Returns what is no part of it, if it is over.
    pub(super) fn read(&mut self, payload: Payload, at: Timestamp, tid: u32) -> Option<Payload> {
        let answer = self.answer.get_or_insert_with(|| {
            let (protocol, known) = recognise(self.request.kept());
            Answer {
                bytes: Buffer::default(),
                protocol,
                known,
                extent: Extent::More,
                first: at,
                last: at,
                tid,
            }
        });
        (answer.last, answer.tid) = (at, tid);
        let seen = answer.bytes.kept().len();
        let was_whole = answer.bytes.is_whole();
        answer.bytes.push(&payload);
        // Where bytes are missing only silence tells.
        let known_so_far = answer.bytes.kept();
        answer.extent = match was_whole {
            true => match answer.protocol.extent(self.request.kept(), known_so_far, seen) {
                Extent::Done(length) => Extent::Done(length),
                extent if answer.bytes.is_whole() => extent,
                _ => Extent::Pause,
            },
            false => Extent::Pause,
        };
        let Extent::Done(length) = answer.extent else { return None };
        let (own, rest) = split(&payload, length.saturating_sub(seen));
        if rest.size > 0 {
            // Take back what was too much.
            let mut bytes = Buffer::default();
            bytes.push(&Payload::whole(known_so_far.get(..seen).unwrap_or_default().to_vec()));
            bytes.push(&own);
            answer.bytes = bytes;
        }
        Some(rest)
    }

    /// When an answer has to be there.
    fn deadline(&self, settings: &Settings) -> Timestamp {
        self.written.plus(settings.reply_timeout_ns)
    }

    /// The program tried to read.
    pub(super) fn look(&mut self, at: Interval, settings: &Settings) {
        let deadline = self.deadline(settings);
        if at.end >= self.written && at.start <= deadline {
            self.looked = Some(at.end.min(deadline));
        }
    }

    /// Whether the program looked for an answer.
    pub(super) fn is_looked_for(&self) -> bool {
        self.looked.is_some()
    }

    /// Whether an answer has begun.
    pub(super) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// The command, without its arguments, and whether it is always answered.
    pub(super) fn known(&self) -> Known {
        match &self.answer {
            Some(answer) => answer.known.clone(),
            None => recognise(self.request.kept()).1,
        }
    }

    /// Whether and how it is over at `now`. `awaited` tells whether an answer is waited for though nobody was seen to
    /// look.
    pub(super) fn over(
        &self,
        now: Timestamp,
        settings: &Settings,
        awaited: impl Fn() -> bool,
    ) -> Option<End> {
        let Some(answer) = &self.answer else {
            let deadline = self.deadline(settings);
            if now < deadline {
                return None;
            }
            if self.looked.is_some() || awaited() {
                return Some(End::Timeout(deadline));
            }
            // A read that waits as long as we do (`VTIME`) is seen when it is over, which is a little later.
            return (now >= deadline.plus(settings.reply_timeout_ns / 4)).then_some(End::Regular);
        };
        let silent = now.since(answer.last);
        match answer.extent {
            Extent::Done(_) => Some(End::Regular),
            _ if now.since(answer.first) >= LONGEST_NS => Some(End::Regular),
            Extent::Pause => (silent >= settings.event_silence_ns).then_some(End::Regular),
            Extent::More if silent < settings.reply_timeout_ns => None,
            Extent::More if answer.protocol.is_strict() => {
                Some(End::Timeout(answer.last.plus(settings.reply_timeout_ns)))
            }
            Extent::More => Some(End::Regular),
        }
    }

    /// How it ends now that the program turns to the next thing on this line, at `by`.
    pub(super) fn superseded(&self, by: Timestamp, settings: &Settings, awaited: bool) -> End {
        match (&self.answer, self.looked) {
            (Some(_), _) => End::Regular,
            (None, Some(looked)) => End::Timeout(looked),
            (None, None) if awaited && by.since(self.written) >= settings.event_silence_ns => {
                End::Timeout(by)
            }
            (None, None) => End::Regular,
        }
    }

    /// Whether the answer may be over, and thread `tid` has read it.
    pub(super) fn may_be_over_for(&self, tid: u32) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.tid == tid && answer.extent == Extent::Pause)
    }

    /// Whether the answer lacks something for sure.
    pub(super) fn is_incomplete(&self) -> bool {
        self.answer.as_ref().is_none_or(|answer| answer.extent == Extent::More)
    }

    /// The finished command.
    pub(super) fn finish(self, end: End, context: &mut Context<'_>) {
        let known = self.known();
        let (at, end_tid, reply, refusal) = match self.answer {
            Some(answer) => {
                let refusal = answer.protocol.refusal(answer.bytes.kept());
                (answer.last, answer.tid, Some(answer.bytes.into_payload()), refusal)
            }
            None => (self.written, self.tid, None, None),
        };
        let (status, at, end_tid) = match end {
            End::Regular => match refusal {
                Some(kind) => (Status::Error { kind, message: "the device refused".into() }, at, end_tid),
                None => (Status::Ok, at, end_tid),
            },
            End::Timeout(at) => {
                let what = if reply.is_some() { "the answer broke off" } else { "no answer" };
                let message = format!("{what} within {} ms", context.settings.reply_timeout_ns / 1_000_000);
                (Status::Error { kind: "timeout".into(), message }, at, end_tid)
            }
            End::Failed(status, at, tid) => (status, at, tid.unwrap_or(end_tid)),
        };
        context.emit(Command {
            unsolicited: false,
            name: known.name,
            device: Arc::clone(context.device),
            process: context.process,
            tid: self.tid,
            end_tid,
            at: Interval { start: self.start, end: at.max(self.written) },
            serial: self.serial,
            status,
            request: self.request.into_payload(),
            reply,
            bus: Vec::new(),
            args: Vec::new(),
        });
    }
}
