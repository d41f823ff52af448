//! One request on a serial line, and the answer to it as far as it has come.

mod end;

use super::line::read_of;
use super::protocol::{After, Asked, Extent, Known, Order, Past, Protocol, ends_line, is_text, recognise};
use crate::device::buffer::Buffer;
use crate::device::class::Context;
use crate::device::{Settings, class::Moved};
use crate::model::command::Status;
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
    pub(super) tid: u32,
    pub(super) fd: i32,
    start: Timestamp,
    /// Exit of the last write.
    pub(super) written: Timestamp,
    /// Since when it is the next to be answered.
    since: Timestamp,
    request: Buffer,
    past: Past,
    /// Exit of the last attempt to read since, that found nothing.
    looked: Option<Timestamp>,
    /// It only showed that the program began to wait.
    waiting: bool,
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
    /// What becomes of the requests behind.
    pub(super) after: After,
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
            since: call.at.end,
            request,
            past: past.clone(),
            looked: None,
            waiting: false,
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
        self.written.max(self.since).plus(settings.reply_timeout_ns.saturating_mul(patience))
    }

    /// The program tried to read.
    pub(super) fn look(&mut self, at: Interval, settings: &Settings) {
        let deadline = self.deadline(settings);
        if at.end >= self.written && at.start <= deadline {
            self.looked = Some(at.end.min(deadline));
            self.waiting = at.start == at.end;
        }
    }

    /// Whether the program looked for an answer.
    pub(super) fn is_looked_for(&self) -> bool {
        self.looked.is_some()
    }

    /// When its answer, or else it, moved last.
    pub(super) fn seen(&self) -> Timestamp {
        self.answer.as_ref().map_or(self.written, |answer| answer.last)
    }

    /// How many bytes of the request are kept.
    pub(super) fn kept(&self) -> usize {
        self.request.kept().len()
    }

    /// What the line has shown since it was written.
    pub(super) fn learn(&mut self, past: &Past) {
        if self.answer.is_none() {
            (self.past.spoken, self.past.echoes) = (past.spoken, past.echoes);
        }
    }

    /// It is the next to be answered: the device turns to it at `at`.
    pub(super) fn is_next(&mut self, at: Timestamp) {
        self.since = self.since.max(at);
    }

    /// Whether it stays open though the program writes the next request at `by`. `elsewhere`: another thread reads.
    pub(super) fn stays_open(&self, by: Timestamp, elsewhere: bool, settings: &Settings) -> bool {
        let waited = || self.looked.is_some() && !elsewhere;
        let promptly = || by.since(self.written) < settings.event_silence_ns;
        match self.known().order {
            _ if self.is_paused() => false,
            Order::Alone | Order::Aside => false,
            Order::Ahead => true,
            Order::AheadIfSo => !waited(),
            Order::Pipelined | Order::Matched => elsewhere || promptly() && !waited(),
        }
    }

    /// Whether the answer may be over, which silence or the next request tells.
    pub(super) fn is_paused(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.extent == Extent::Pause)
    }

    /// Whether a later request begins with `written`, which the device wanted again from here on.
    pub(super) fn is_repeated_by(&self, written: &[u8]) -> bool {
        let (_, protocol, _) = recognise(self.asked(), 0);
        protocol.is_repeated_by(self.asked(), Asked { request: written, ..self.asked() })
    }

    /// Whether the guess at the protocol is wrong now that `more` was read.
    pub(super) fn is_denied_by(&self, more: &[u8]) -> bool {
        let (_, protocol, known) = recognise(self.asked(), 0);
        if known.order != Order::AheadIfSo {
            return false;
        }
        let kept = self.answer.as_ref().map_or(&[][..], |answer| answer.bytes.kept());
        protocol.confirms(self.asked(), &[kept, more].concat()) == Some(false)
    }

    /// Whether what the one before has read is the answer to this one.
    pub(super) fn is_answered_by(&self, before: &Self) -> bool {
        let Some(answer) = before.answer.as_ref().filter(|answer| answer.bytes.is_whole()) else {
            return false;
        };
        let (_, protocol, known) = recognise(self.asked(), 0);
        let whole = |extent| matches!(extent, Extent::Done(1..));
        known.order == Order::Matched && whole(protocol.extent(self.asked(), answer.bytes.kept(), 0))
    }

    /// Whether any of what was read is its own so far.
    pub(super) fn has_begun(&self) -> bool {
        self.answer.is_some()
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
        self.retract_if(Answer::is_unclaimed)
    }

    /// Takes back what was read: it is another request's.
    pub(super) fn retract(&mut self) -> Option<Moved> {
        self.retract_if(|_| true)
    }

    fn retract_if(&mut self, chosen: impl Fn(&Answer) -> bool) -> Option<Moved> {
        let answer = self.answer.take_if(|answer| chosen(answer))?;
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
