//! One request on a serial line, and the answer to it as far as it has come.

use std::sync::Arc;

use super::line::read_of;
use super::protocol::{
    Answers, Asked, Extent, Known, Past, Protocol, Verdict, ends_line, is_text, recognise,
};
use crate::device::buffer::Buffer;
use crate::device::class::Context;
use crate::device::{Settings, class::Moved};
use crate::model::command::{Command, Status};
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};

/// No request and no answer takes longer than this from its first byte to its last, even without any pause: a
/// device that was told to send for good is not answering any more.
const LONGEST_NS: u64 = 10_000_000_000;

/// A device that said that it is at work may be silent for so long. Marlin says so every 2 s, or as often as it was
/// told to, a minute at most.
const BUSY_NS: u64 = 60_000_000_000;

/// A request that has begun.
pub(super) struct Exchange {
    serial: u64,
    tid: u32,
    pub(super) fd: i32,
    start: Timestamp,
    /// Exit of the last write.
    pub(super) written: Timestamp,
    request: Buffer,
    past: Past,
    /// Exit of the last attempt to read since, that found nothing.
    looked: Option<Timestamp>,
    answer: Option<Answer>,
}

/// An answer that has begun.
struct Answer {
    bytes: Buffer,
    /// Its protocol's place in the table.
    place: usize,
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

/// What a finished exchange leaves.
pub(super) struct Left {
    /// The protocol that it confirmed.
    pub(super) spoken: Option<&'static str>,
    /// Whether the line echoes, if it showed.
    pub(super) echoes: Option<bool>,
}

/// What a read brought apart from more of the answer.
#[derive(Default)]
pub(super) struct Apart {
    /// What was not asked for, in order.
    pub(super) foreign: Vec<Payload>,
    /// What is behind the answer's end; `None` while there is none.
    pub(super) behind: Option<Payload>,
}

impl Exchange {
    /// A request begins with this write, on a line that has shown `past`.
    pub(super) fn new(call: &Moved, past: &Past, context: &mut Context<'_>) -> Self {
        let mut request = Buffer::default();
        request.push(&call.payload);
        Self {
            serial: context.next_serial(),
            tid: call.tid,
            fd: call.fd,
            start: call.at.start,
            written: call.at.end,
            request,
            past: past.clone(),
            looked: None,
            answer: None,
        }
    }

    /// Whether a write goes on with the request: nobody looked for an answer yet, and it was not over.
    pub(super) fn goes_on(&self, call: &Moved, settings: &Settings) -> bool {
        if self.is_prompted() {
            return true;
        }
        if self.looked.is_some() || self.answer.is_some() {
            return false;
        }
        let pause = call.at.start.since(self.written);
        let age = call.at.start.since(self.start);
        let sent = self.request.kept();
        let (_, protocol, _) = recognise(self.asked(), 0);
        let whole = protocol.is_whole(self.asked());
        if self.request.is_whole() && is_text(sent) {
            let written = call.payload.captured.as_ref();
            let late_newline = sent.ends_with(b"\r") && written == b"\n"
                || whole && !written.is_empty() && written.iter().copied().all(ends_line);
            let ended = whole || sent.last().copied().is_some_and(ends_line);
            return age < LONGEST_NS && (!ended || late_newline && pause < settings.event_silence_ns);
        }
        // Bytes that never pause are cut into commands all the same.
        !whole && pause < settings.event_silence_ns && age < settings.reply_timeout_ns
    }

    /// Whether the device waits for the program to go on.
    fn is_prompted(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.extent == Extent::Prompt)
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            request: self.request.kept(),
            past: &self.past,
            cut: self.answer.as_ref().is_some_and(|answer| !answer.bytes.is_whole()),
        }
    }

    /// Adds a write to the request.
    pub(super) fn write(&mut self, call: &Moved) {
        self.request.push(&call.payload);
        self.written = self.written.max(call.at.end);
        let asked = Asked { request: self.request.kept(), past: &self.past, cut: false };
        if let Some(answer) = &mut self.answer {
            // It went on after a prompt.
            answer.extent = answer.protocol.extent(asked, answer.bytes.kept(), 0);
            answer.last = answer.last.max(call.at.end);
        }
    }

    /// Adds what was read to the answer. Returns what is no part of it.
    pub(super) fn read(&mut self, payload: &Payload, at: Timestamp, tid: u32) -> Apart {
        let asked = Asked { request: self.request.kept(), past: &self.past, cut: false };
        let answer = self.answer.get_or_insert_with(|| {
            let (place, protocol, known) = recognise(asked, 0);
            Answer {
                bytes: Buffer::default(),
                place,
                protocol,
                known,
                extent: Extent::More,
                first: at,
                last: at,
                tid,
            }
        });
        (answer.last, answer.tid) = (at, tid);
        let mut apart = Apart::default();
        let mut seen = answer.bytes.kept().len();
        let was_whole = answer.bytes.is_whole();
        answer.bytes.push(payload);
        // Where bytes are missing only silence tells.
        answer.extent = Extent::Pause;
        if !was_whole {
            return apart;
        }
        loop {
            let kept = answer.bytes.kept();
            match answer.protocol.extent(asked, kept, seen) {
                Extent::Done(length) => {
                    apart.behind = Some(behind(&mut answer.bytes, length, payload));
                    answer.extent = Extent::Done(length);
                    if length == 0 {
                        self.answer = None;
                    }
                    break;
                }
                Extent::Foreign(part) if part.start < part.end && part.end <= kept.len() => {
                    // Its first bytes may be a sign in themselves where the part was.
                    seen = part.start.saturating_sub(1);
                    apart.foreign.push(answer.bytes.remove(part));
                    if answer.bytes.size() == 0 {
                        self.answer = None;
                        break;
                    }
                }
                Extent::Wrong => {
                    (answer.place, answer.protocol, answer.known) = recognise(asked, answer.place + 1);
                    seen = 0;
                }
                extent => {
                    if answer.bytes.is_whole() {
                        answer.extent = extent;
                    }
                    if answer.extent == Extent::Busy {
                        answer.first = at;
                    }
                    break;
                }
            }
        }
        apart
    }

    /// When an answer has to be there.
    fn deadline(&self, settings: &Settings) -> Timestamp {
        let patience = u64::from(self.known().patience);
        self.written.plus(settings.reply_timeout_ns.saturating_mul(patience))
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
        self.begun().is_some()
    }

    /// The answer, if what was read is one for sure.
    fn begun(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|answer| !answer.is_unclaimed())
    }

    /// Takes back what was read, if it turns out not to have been asked for.
    pub(super) fn unclaimed(&mut self) -> Option<Moved> {
        let answer = self.answer.take_if(|answer| answer.is_unclaimed())?;
        let at = Interval { start: answer.first, end: answer.last };
        Some(Moved { payload: answer.bytes.into_payload(), ..read_of(self.fd, answer.tid, at) })
    }

    /// The command, without its arguments, and whether it is always answered.
    pub(super) fn known(&self) -> Known {
        match &self.answer {
            Some(answer) => answer.known.clone(),
            None => recognise(self.asked(), 0).2,
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
        let known = self.known();
        if known.answers == Answers::Never {
            return (now.since(self.written) >= settings.event_silence_ns).then_some(End::Regular);
        }
        let Some(answer) = self.begun() else {
            let deadline = self.deadline(settings);
            if now < deadline {
                return None;
            }
            if known.answers != Answers::Perhaps && (self.looked.is_some() || awaited()) {
                return Some(End::Timeout(deadline));
            }
            // A read that waits as long as we do (`VTIME`) is seen when it is over, which is a little later.
            return (now >= deadline.plus(settings.reply_timeout_ns / 4)).then_some(End::Regular);
        };
        let silent = now.since(answer.last);
        let patience = match answer.extent {
            Extent::Busy => BUSY_NS.max(settings.reply_timeout_ns),
            _ => settings.reply_timeout_ns.saturating_mul(u64::from(known.patience)),
        };
        match answer.extent {
            Extent::Done(_) => Some(End::Regular),
            Extent::More | Extent::Busy if known.patience > 1 && silent < patience => None,
            Extent::Busy if silent < patience => None,
            _ if now.since(answer.first) >= LONGEST_NS && answer.extent != Extent::Busy => Some(End::Regular),
            Extent::Pause => (silent >= settings.event_silence_ns).then_some(End::Regular),
            Extent::Prompt => (silent >= LONGEST_NS).then_some(End::Regular),
            _ if silent < patience => None,
            _ if answer.protocol.is_strict() => Some(End::Timeout(answer.last.plus(patience))),
            _ => Some(End::Regular),
        }
    }

    /// How it ends now that the program turns to the next thing on this line, at `by`.
    pub(super) fn superseded(&self, by: Timestamp, settings: &Settings, awaited: bool) -> End {
        let answers = self.known().answers;
        match (self.begun(), self.looked) {
            (Some(_), _) => End::Regular,
            _ if matches!(answers, Answers::Never | Answers::Perhaps) => End::Regular,
            (None, Some(looked)) => End::Timeout(looked),
            (None, None) if awaited && by.since(self.written) >= settings.event_silence_ns => {
                End::Timeout(by)
            }
            (None, None) => End::Regular,
        }
    }

    /// Whether it may be over as far as thread `tid` knows, which turned to something else.
    pub(super) fn may_be_over_for(&self, tid: u32) -> bool {
        match &self.answer {
            Some(answer) => answer.tid == tid && answer.extent == Extent::Pause,
            None => self.tid == tid && self.known().answers == Answers::Never,
        }
    }

    /// Whether the answer lacks something for sure.
    pub(super) fn is_incomplete(&self) -> bool {
        self.begun()
            .is_none_or(|answer| matches!(answer.extent, Extent::More | Extent::Busy | Extent::Prompt))
    }

    /// What request and answer say, and the command in the protocol that they are in.
    fn judge(&self, end: End) -> (Known, Verdict, End) {
        let reply = self.answer.as_ref().map(|answer| answer.bytes.kept());
        let (mut place, mut protocol, mut known) = match &self.answer {
            Some(answer) => (answer.place, answer.protocol, answer.known.clone()),
            None => recognise(self.asked(), 0),
        };
        let guessed = place;
        let mut verdict = protocol.verdict(self.asked(), reply);
        while verdict.wrong {
            (place, protocol, known) = recognise(self.asked(), place + 1);
            verdict = protocol.verdict(self.asked(), reply);
        }
        // A guess that was wrong was wrong about where the answer ends too.
        let end = match end {
            End::Timeout(_) if guessed != place && reply.is_some() && !protocol.is_strict() => End::Regular,
            end => end,
        };
        (known, verdict, end)
    }

    /// The finished command.
    pub(super) fn finish(self, end: End, context: &mut Context<'_>) -> Left {
        let (known, verdict, end) = self.judge(end);
        let Verdict { spoken, error: refusal, args, echoes, .. } = verdict;
        let (at, end_tid, reply) = match self.answer {
            Some(answer) => (answer.last, answer.tid, Some(answer.bytes.into_payload())),
            None => (self.written, self.tid, None),
        };
        let refused = |(kind, message): (_, std::borrow::Cow<'static, str>)| Status::Error {
            kind,
            message: message.into_owned(),
        };
        let (status, at, end_tid) = match (end, refusal) {
            (End::Regular, Some(refusal)) => (refused(refusal), at, end_tid),
            (End::Regular, None) => (Status::Ok, at, end_tid),
            // What came says more than that no more came.
            (End::Timeout(until), Some(refusal)) if reply.is_some() => (refused(refusal), until, end_tid),
            (End::Timeout(at), _) => {
                let what = if reply.is_some() { "the answer broke off" } else { "no answer" };
                let waited = context.settings.reply_timeout_ns.saturating_mul(u64::from(known.patience));
                let message = format!("{what} within {} ms", waited / 1_000_000);
                (Status::Error { kind: "timeout".into(), message }, at, end_tid)
            }
            (End::Failed(status, at, tid), _) => (status, at, tid.unwrap_or(end_tid)),
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
            args,
        });
        Left { spoken, echoes }
    }
}

impl Answer {
    /// Whether it is, so far, no answer but perhaps a part of a stream.
    fn is_unclaimed(&self) -> bool {
        self.protocol.is_stream() && !matches!(self.extent, Extent::Done(_))
    }
}

/// Cuts what was read after the first `length` bytes of the answer. `last` is what was read last.
fn behind(bytes: &mut Buffer, length: usize, last: &Payload) -> Payload {
    let whole = bytes.is_whole();
    let rest = bytes.cut(length);
    // What was read last may hold more than is kept of it.
    let from = last.size.checked_sub(rest.size).and_then(|from| usize::try_from(from).ok());
    match from.filter(|from| !whole && *from <= last.captured.len()) {
        Some(from) => Payload { captured: last.captured.slice(from..), size: rest.size },
        None => rest,
    }
}
