//! One process' use of one serial line: which write is answered by which reads, and what came unasked.

mod answers;
mod requests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::exchange::{End, Exchange};
use super::input::Input;
use super::ioctls;
use super::protocol::{After, Answers, Order};
use super::queue::Queue;
use super::waits::{Waits, hung_up};
use crate::device::class::{Aborted, Context, Gone, Ioctl, Moved, Row, Session, failed, killed};
use crate::device::generic;
use crate::model::command::Status;
use crate::model::errno;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};
use tracer_common::call::Call;

/// Commands whose habits are remembered, for each line. A program has fewer; one that makes names up learns nothing.
const HABITS: usize = 64;

/// Descriptors that are remembered, for each line; a program has one or two.
const DESCRIPTORS: usize = 64;

/// The session of a tty.
#[derive(Default)]
pub(super) struct Line {
    requests: Queue,
    /// The open request that is answered beside the others.
    aside: Option<Exchange>,
    /// The device wanted a request again, and those behind it.
    resend: bool,
    input: Input,
    habits: BTreeMap<Cow<'static, str>, Habit>,
    /// The last command that nobody seemed to wait for, and when it was written.
    ignored: Option<(Cow<'static, str>, Timestamp)>,
    /// Open descriptors, as far as they were seen. With the last one goes what the line has shown: another device may
    /// be behind the same name later.
    fds: Vec<i32>,
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
        self.uses(call.fd);
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
                        // Nothing but a hang-up ends it: what was awaited will not come.
                        self.fail(&hung_up(), call.at.end, call.tid, context);
                    }
                }
            }
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        if call.error == Some(errno::EAGAIN) {
            return generic::ioctl(call, row, context);
        }
        if ioctls::flushes_input(call) {
            self.requests.flushed();
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
                self.fail(&killed(), call.at.end, call.tid, context);
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
        self.requests.opened();
        self.uses(fd);
        self.write_only.retain(|known| *known != fd);
        if write_only && self.write_only.len() < DESCRIPTORS {
            self.write_only.push(fd);
        }
    }

    fn closed(&mut self, fds: RangeInclusive<i64>, at: Interval, context: &mut Context<'_>) {
        self.advance(at.start, context);
        let known = !self.fds.is_empty();
        self.fds.retain(|fd| !fds.contains(&i64::from(*fd)));
        // Through another descriptor the program may go on.
        let through = |exchange: &Exchange| self.fds.is_empty() && fds.contains(&i64::from(exchange.fd));
        let mut over = Vec::new();
        while let Some(exchange) = self.requests.take_where(through) {
            over.push(exchange);
        }
        over.extend(self.aside.take_if(|exchange| through(exchange)));
        for (place, exchange) in over.into_iter().enumerate() {
            match place {
                0 => self.end(exchange, at.start, context),
                // Nobody waited for those that were not next.
                _ => self.finish(exchange, End::Regular, context),
            }
        }
        if self.input.is_through(&fds) {
            self.input.flush(context);
        }
        self.write_only.retain(|fd| !fds.contains(&i64::from(*fd)));
        if known && self.fds.is_empty() && self.open() == 0 {
            *self = Self::default();
        }
    }

    fn duplicated(&mut self, fd: i32, new_fd: i32) {
        self.uses(fd);
        self.uses(new_fd);
        if self.write_only.contains(&fd) && self.write_only.len() < DESCRIPTORS {
            self.write_only.push(new_fd);
        }
    }

    fn tick(&mut self, now: Timestamp, context: &mut Context<'_>) {
        self.advance(now, context);
    }

    fn moved_on(&mut self, tid: u32, context: &mut Context<'_>) {
        if self.requests.first().is_some_and(|exchange| exchange.may_be_over_for(tid)) {
            self.finish_first(End::Regular, context);
        }
        self.input.moved_on(tid, context);
    }

    fn gone(&mut self, why: Gone, at: Timestamp, context: &mut Context<'_>) {
        self.advance(at, context);
        while let Some(exchange) = self.requests.take_first().or_else(|| self.aside.take()) {
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
        self.requests.len() + usize::from(self.aside.is_some()) + self.input.open()
    }
}

impl Line {
    /// A read failed: the line was hung up or worse.
    fn read_failed(&mut self, call: Moved, error: u32, context: &mut Context<'_>) {
        self.advance(call.at.end, context);
        self.input.flush(context);
        if !self.fail(&failed(error), call.at.end, call.tid, context) {
            generic::moved(call, context);
        }
    }

    /// Every open request fails that lacks its answer, or some of it; the others are over. Whether one failed.
    fn fail(&mut self, status: &Status, at: Timestamp, tid: u32, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(exchange) = self.requests.take_first().or_else(|| self.aside.take()) {
            let incomplete = exchange.is_incomplete();
            any |= incomplete;
            let end = if incomplete { End::Failed(status.clone(), at, Some(tid)) } else { End::Regular };
            self.finish(exchange, end, context);
        }
        any
    }

    /// The program tried to read.
    fn look(&mut self, at: Interval, context: &mut Context<'_>) {
        for exchange in self.requests.each().chain(&mut self.aside) {
            exchange.look(at, context.settings);
        }
        if self.requests.is_empty()
            && let Some((name, written)) = &self.ignored
            && (*written..=written.plus(context.settings.reply_timeout_ns)).contains(&at.start)
        {
            // It had been waiting in this read all the time.
            self.habits.insert(name.clone(), Habit { awaited: true, ignored: false });
            self.ignored = None;
        }
    }

    /// Ends what time has ended.
    fn advance(&mut self, now: Timestamp, context: &mut Context<'_>) {
        let over = |line: &Self, exchange: &Exchange, context: &Context<'_>| {
            exchange.over(now, context.settings, || line.is_awaited(exchange, context))
        };
        while let Some(end) = self.requests.first().and_then(|first| over(self, first, context)) {
            self.finish_first(end, context);
        }
        if let Some(end) = self.aside.as_ref().and_then(|aside| over(self, aside, context))
            && let Some(aside) = self.aside.take()
        {
            self.finish(aside, end, context);
        }
        self.input.advance(now, context);
    }

    /// The program turns to the next thing: the request that was written last is over.
    fn supersede(&mut self, by: Timestamp, context: &mut Context<'_>) {
        if let Some(exchange) = self.requests.take_last() {
            self.end(exchange, by, context);
        }
    }

    /// The program turned away from a request at `by`.
    fn end(&mut self, exchange: Exchange, by: Timestamp, context: &mut Context<'_>) {
        let end = exchange.superseded(by, context.settings, self.is_awaited(&exchange, context));
        let owed = matches!(end, End::Timeout(_)) && is_ordered(&exchange) && self.requests.is_empty();
        self.finish(exchange, end, context);
        if owed {
            self.requests.owe(by);
        }
    }

    /// The first request is over.
    fn finish_first(&mut self, end: End, context: &mut Context<'_>) {
        let Some(first) = self.requests.take_first() else { return };
        let (unanswered, at) = match end {
            End::Timeout(at) => (true, at),
            _ => (!first.is_answered(), first.written),
        };
        let owed = unanswered && is_ordered(&first);
        self.finish(first, end, context);
        if owed {
            self.requests.owe(at);
        }
    }

    /// A descriptor of the line is in use.
    fn uses(&mut self, fd: i32) {
        if !self.fds.contains(&fd) && self.fds.len() < DESCRIPTORS {
            self.fds.push(fd);
        }
    }

    /// Whether another thread reads than writes.
    fn is_read_elsewhere(&self) -> bool {
        self.reader.is_some() && self.writer.is_some() && self.reader != self.writer
    }

    /// Whether an answer is waited for though nobody was seen to look: `poll` is not seen.
    fn is_awaited(&self, exchange: &Exchange, context: &Context<'_>) -> bool {
        let known = exchange.known();
        if self.write_only.contains(&exchange.fd) {
            return false;
        }
        if known.answers == Answers::Always && self.is_read_elsewhere() {
            return true;
        }
        if !context.settings.presume_awaited {
            return false;
        }
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
        let uncertain = |order| match order {
            Order::Ahead | Order::AheadIfSo => self.requests.is_uncertain(true),
            Order::Pipelined => self.requests.is_uncertain(false),
            Order::Alone | Order::Matched | Order::Aside => false,
        };
        let (at, tid) = (exchange.seen(), exchange.tid);
        let left = exchange.finish(end, uncertain, context);
        let past = &mut self.input.past;
        past.spoken = left.spoken.or(past.spoken);
        past.echoes = left.echoes.or(past.echoes);
        for open in self.requests.each() {
            open.learn(past);
        }
        match left.after {
            After::Nothing => {}
            After::Resend => self.resend = true,
            After::Reset => {
                let status =
                    Status::Error { kind: "reset".into(), message: "the machine started anew".into() };
                self.fail(&status, at, tid, context);
                self.requests.starts_anew();
            }
        }
    }
}

/// Whether only their order tells which answer is whose.
fn is_ordered(exchange: &Exchange) -> bool {
    matches!(exchange.known().order, Order::Ahead | Order::Pipelined)
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
