//! One process' use of one serial line: which write is answered by which reads, and what came unasked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::exchange::{End, Exchange};
use super::input::Input;
use super::protocol::{Answers, Asked, recognise};
use super::waits::{Waits, hung_up};
use crate::device::buffer::split;
use crate::device::class::{Aborted, Context, Gone, Ioctl, Moved, Row, Session, failed, killed};
use crate::device::generic;
use crate::model::errno;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};
use tracer_common::call::Call;

/// Commands whose habits are remembered, for each line. A program has fewer; one that makes names up learns nothing.
const HABITS: usize = 64;

/// Descriptors for writing only that are remembered, for each line.
const WRITE_ONLY: usize = 64;

/// The session of a tty.
#[derive(Default)]
pub(super) struct Line {
    exchange: Option<Exchange>,
    input: Input,
    habits: BTreeMap<Cow<'static, str>, Habit>,
    /// The last command that nobody seemed to wait for, and when it was written.
    ignored: Option<(Cow<'static, str>, Timestamp)>,
    write_only: Vec<i32>,
    writer: Option<u32>,
    reader: Option<u32>,
    /// How long its reads wait, as far as the program was seen to ask or say.
    waits: Option<Waits>,
}

/// What a program does after a command.
#[derive(Clone, Copy, Default)]
struct Habit {
    awaited: bool,
    ignored: bool,
}

impl Session for Line {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        match (call.direction, call.error) {
            (Direction::Inward, None) if call.payload.size > 0 => self.read(call, context),
            (Direction::Outward, None) if call.payload.size > 0 => self.write(&call, context),
            (Direction::Outward, Some(error)) if error != errno::EAGAIN => {
                self.write_failed(&call, error, context);
            }
            (Direction::Inward, Some(error)) if error != errno::EAGAIN && !errno::is_interrupted(error) => {
                self.read_failed(call, error, context);
            }
            (direction, error) => {
                let counts = &mut *context.counts;
                let count =
                    if error == Some(errno::EAGAIN) { &mut counts.would_block } else { &mut counts.empty };
                *count = count.saturating_add(1);
                if direction == Direction::Inward {
                    self.reader = Some(call.tid);
                    self.look(call.at, context);
                    self.advance(call.at.end, context);
                    if error.is_none() && self.waits.is_some_and(|waits| waits.longer_than(call.at)) {
                        self.hung_up(&call, context);
                    }
                }
            }
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        if call.error == Some(errno::EAGAIN) {
            return generic::ioctl(call, row, context);
        }
        let command = generic::ioctl_command(call, row, context);
        if call.error.is_none() {
            self.waits = Waits::said(&command.args).unwrap_or(self.waits);
        }
        context.emit(command);
    }

    fn aborted(&mut self, call: &Aborted, context: &mut Context<'_>) {
        match call.call {
            Call::Read | Call::Readv | Call::Pread64 | Call::Preadv | Call::Preadv2 => {
                context.counts.empty = context.counts.empty.saturating_add(1);
                let Some(exchange) = self.exchange.take() else { return };
                let end = match exchange.is_incomplete() {
                    true => End::Failed(killed(), call.at.end, Some(call.tid)),
                    false => End::Regular,
                };
                self.finish(exchange, end, context);
            }
            Call::Write | Call::Writev | Call::Pwrite64 | Call::Pwritev | Call::Pwritev2 => {
                self.supersede(call.at.start, context);
                let command = context.command("request", call.at, call.tid, killed());
                context.emit(command);
            }
            _ => generic::aborted(call, context),
        }
    }

    fn looked(&mut self, at: Interval, context: &mut Context<'_>) {
        self.look(at, context);
    }

    fn opened(&mut self, fd: i32, write_only: bool) {
        self.write_only.retain(|known| *known != fd);
        if write_only && self.write_only.len() < WRITE_ONLY {
            self.write_only.push(fd);
        }
    }

    fn closed(&mut self, fds: RangeInclusive<i64>, at: Interval, context: &mut Context<'_>) {
        self.advance(at.start, context);
        if self.exchange.as_ref().is_some_and(|exchange| fds.contains(&i64::from(exchange.fd))) {
            self.supersede(at.start, context);
        }
        if self.input.is_through(&fds) {
            self.input.flush(context);
        }
        self.write_only.retain(|fd| !fds.contains(&i64::from(*fd)));
    }

    fn tick(&mut self, now: Timestamp, context: &mut Context<'_>) {
        self.advance(now, context);
    }

    fn moved_on(&mut self, tid: u32, context: &mut Context<'_>) {
        if let Some(exchange) = self.exchange.take_if(|exchange| exchange.may_be_over_for(tid)) {
            self.finish(exchange, End::Regular, context);
        }
        self.input.moved_on(tid, context);
    }

    fn gone(&mut self, why: Gone, at: Timestamp, context: &mut Context<'_>) {
        self.advance(at, context);
        if let Some(exchange) = self.exchange.take() {
            let end = exchange.superseded(at, context.settings, self.is_awaited(&exchange, context));
            // What would have been a timeout had the program gone on was cut off instead.
            let cut = exchange.is_answered() && exchange.is_incomplete() || matches!(end, End::Timeout(_));
            let end = match why {
                Gone::Process if cut => End::Failed(killed(), at, None),
                Gone::Device if cut => End::Failed(failed(errno::ENODEV), at, None),
                _ => end,
            };
            self.finish(exchange, end, context);
        }
        self.input.flush(context);
    }

    fn open(&self) -> usize {
        usize::from(self.exchange.is_some()) + self.input.open()
    }
}

impl Line {
    /// Bytes were written.
    fn write(&mut self, call: &Moved, context: &mut Context<'_>) {
        self.writer = Some(call.tid);
        // Another thread may have read the answer before this write returned.
        let answers = self.input.claim(call.at.start);
        self.advance(call.at.start, context);
        let asked = Asked { request: &call.payload.captured, past: &self.input.past, cut: false };
        match recognise(asked, 0).1.is_stream() {
            // A sentence that had begun before goes on after.
            true => self.input.flush_but_sentence(context),
            false => self.input.flush(context),
        }
        match &mut self.exchange {
            Some(exchange) if exchange.goes_on(call, context.settings) => exchange.write(call),
            _ => {
                self.supersede(call.at.start, context);
                self.ignored = None;
                self.exchange = Some(Exchange::new(call, &self.input.past, context));
                self.input.past.heard = None;
            }
        }
        for piece in answers {
            let (at, tid) = (Interval { start: piece.first, end: piece.last }, piece.end_tid);
            self.take(&read_of(call.fd, tid, at), piece.bytes.into_payload(), context);
        }
    }

    /// Bytes were read.
    fn read(&mut self, call: Moved, context: &mut Context<'_>) {
        self.reader = Some(call.tid);
        self.look(call.at, context);
        self.advance(call.at.end, context);
        let payload = call.payload.clone();
        self.take(&call, payload, context);
    }

    /// Gives bytes that were read to the answer that is awaited, and what is none of it to the input.
    fn take(&mut self, call: &Moved, payload: Payload, context: &mut Context<'_>) {
        let mut rest = payload;
        // Where one thread reads and another writes, an answer can be seen before its request.
        let two_threads = self.reader.is_some() && self.writer.is_some() && self.reader != self.writer;
        if self.input.is_in_sentence() && self.exchange.is_some() {
            let end =
                rest.captured.iter().position(|byte| *byte == b'\n').map_or(rest.captured.len(), |at| at + 1);
            let (sentence, behind) = split(&rest, end);
            self.input.take(call, &sentence, two_threads, context);
            rest = behind;
            if rest.size == 0 {
                return;
            }
        }
        if let Some(mut exchange) = self.exchange.take() {
            let apart = exchange.read(&rest, call.at.end, call.tid);
            for foreign in &apart.foreign {
                self.input.take(call, foreign, two_threads, context);
            }
            let Some(behind) = apart.behind else {
                self.exchange = Some(exchange);
                return;
            };
            self.finish(exchange, End::Regular, context);
            rest = behind;
        }
        self.input.take(call, &rest, two_threads, context);
    }

    /// A read failed: the line was hung up or worse.
    fn read_failed(&mut self, call: Moved, error: u32, context: &mut Context<'_>) {
        self.advance(call.at.end, context);
        self.input.flush(context);
        match self.exchange.take() {
            Some(exchange) if exchange.is_incomplete() => {
                self.finish(exchange, End::Failed(failed(error), call.at.end, Some(call.tid)), context);
            }
            open => {
                if let Some(exchange) = open {
                    self.finish(exchange, End::Regular, context);
                }
                generic::moved(call, context);
            }
        }
    }

    /// A read found the end, where nothing but a hang-up can make one: what was awaited will not come.
    fn hung_up(&mut self, call: &Moved, context: &mut Context<'_>) {
        if let Some(exchange) = self.exchange.take_if(|exchange| exchange.is_incomplete()) {
            self.finish(exchange, End::Failed(hung_up(), call.at.end, Some(call.tid)), context);
        }
    }

    /// A write failed, and with it the request that it is the end of. One before it that waited for its answer in vain, and
    /// not as long as it may, was cut off by the same.
    fn write_failed(&mut self, call: &Moved, error: u32, context: &mut Context<'_>) {
        self.advance(call.at.start, context);
        let awaits = |exchange: &Exchange| {
            exchange.is_looked_for()
                && exchange.is_incomplete()
                && exchange.known().answers != Answers::Never
                && !exchange.goes_on(call, context.settings)
        };
        if let Some(exchange) = self.exchange.take_if(|exchange| awaits(exchange)) {
            let end = End::Failed(failed(error), call.at.end, Some(call.tid));
            self.finish(exchange, end, context);
        }
        self.write(call, context);
        if let Some(exchange) = self.exchange.take() {
            self.finish(exchange, End::Failed(failed(error), call.at.end, Some(call.tid)), context);
        }
    }

    /// The program tried to read.
    fn look(&mut self, at: Interval, context: &mut Context<'_>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.look(at, context.settings);
        } else if let Some((name, written)) = &self.ignored
            && (*written..=written.plus(context.settings.reply_timeout_ns)).contains(&at.start)
        {
            // It had been waiting in this read all the time.
            self.habits.insert(name.clone(), Habit { awaited: true, ignored: false });
            self.ignored = None;
        }
    }

    /// Ends what time has ended.
    fn advance(&mut self, now: Timestamp, context: &mut Context<'_>) {
        let end = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.over(now, context.settings, || self.is_awaited(exchange, context)));
        if let Some(end) = end
            && let Some(exchange) = self.exchange.take()
        {
            self.finish(exchange, end, context);
        }
        self.input.advance(now, context);
    }

    /// The program turns to the next thing.
    fn supersede(&mut self, by: Timestamp, context: &mut Context<'_>) {
        if let Some(exchange) = self.exchange.take() {
            let end = exchange.superseded(by, context.settings, self.is_awaited(&exchange, context));
            self.finish(exchange, end, context);
        }
    }

    /// Whether an answer is waited for though nobody was seen to look: `poll` is not seen.
    fn is_awaited(&self, exchange: &Exchange, context: &Context<'_>) -> bool {
        if !context.settings.presume_awaited || self.write_only.contains(&exchange.fd) {
            return false;
        }
        let known = exchange.known();
        let habit = self.habits.get(&known.name).copied().unwrap_or_default();
        match known.answers {
            Answers::Always => true,
            Answers::IfAwaited => habit.awaited && !habit.ignored,
            Answers::Perhaps | Answers::Never => false,
        }
    }

    /// Hands a command over, and learns from how it ended.
    fn finish(&mut self, mut exchange: Exchange, end: End, context: &mut Context<'_>) {
        if let Some(read) = exchange.unclaimed() {
            let payload = read.payload.clone();
            self.input.take(&read, &payload, false, context);
        }
        let name = exchange.known().name;
        let awaited = exchange.is_answered() || exchange.is_looked_for();
        let ignored = !awaited && matches!(end, End::Regular);
        if self.habits.len() < HABITS || self.habits.contains_key(&name) {
            let habit = self.habits.entry(name.clone()).or_default();
            habit.awaited |= awaited;
            habit.ignored |= ignored;
        }
        self.ignored = ignored.then_some((name, exchange.written));
        let left = exchange.finish(end, context);
        self.input.past.spoken = left.spoken.or(self.input.past.spoken);
        self.input.past.echoes = left.echoes.or(self.input.past.echoes);
    }
}

/// A read, as the input takes it.
pub(super) fn read_of(fd: i32, tid: u32, at: Interval) -> Moved {
    Moved {
        at,
        tid,
        fd,
        // It says where the program is, and carries nothing whose layout could differ.
        compat: false,
        direction: Direction::Inward,
        error: None,
        offset: None,
        payload: Payload::default(),
    }
}
