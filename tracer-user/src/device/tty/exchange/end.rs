//! How an exchange ends, and the command that comes of it.

use std::sync::Arc;

use super::{BUSY_NS, End, Exchange, LONGEST_NS, Left};
use crate::device::Settings;
use crate::device::class::Context;
use crate::device::tty::protocol::{Answers, Extent, Known, Order, Verdict, recognise};
use crate::model::command::{Command, Status, Value};
use crate::model::time::{Interval, Timestamp};

impl Exchange {
    /// Whether and how it is over at `now`. `awaited` tells whether an answer is waited for though nobody was seen to
    /// look.
    pub(in crate::device::tty) fn over(
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
    pub(in crate::device::tty) fn superseded(
        &self,
        by: Timestamp,
        settings: &Settings,
        awaited: bool,
    ) -> End {
        let answers = self.known().answers;
        // What it saw of the answers to those before is no sign that it waited for this one.
        let looked = self.looked.filter(|looked| *looked >= self.since);
        match (self.begun(), looked) {
            (Some(_), _) => End::Regular,
            _ if matches!(answers, Answers::Never | Answers::Perhaps) => End::Regular,
            (None, Some(_)) if self.waiting => End::Timeout(by.min(self.deadline(settings))),
            (None, Some(looked)) => End::Timeout(looked),
            (None, None) if awaited && by.since(self.written) >= settings.event_silence_ns => {
                End::Timeout(by)
            }
            (None, None) => End::Regular,
        }
    }

    /// Whether it may be over as far as thread `tid` knows, which turned to something else.
    pub(in crate::device::tty) fn may_be_over_for(&self, tid: u32) -> bool {
        match &self.answer {
            Some(answer) => answer.tid == tid && answer.extent == Extent::Pause,
            None => self.tid == tid && self.known().answers == Answers::Never,
        }
    }

    /// Whether the answer lacks something for sure.
    pub(in crate::device::tty) fn is_incomplete(&self) -> bool {
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
    ///
    /// `uncertain`: whether an answer of this order may be that of an earlier request.
    pub(in crate::device::tty) fn finish(
        self,
        end: End,
        uncertain: impl Fn(Order) -> bool,
        context: &mut Context<'_>,
    ) -> Left {
        let (known, verdict, end) = self.judge(end);
        let Verdict { spoken, error: refusal, mut args, echoes, after, .. } = verdict;
        if self.answer.is_some() && uncertain(known.order) {
            args.push(("pairing", Value::Text("uncertain".into())));
        }
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
            (End::Timeout(until), _) => {
                let what = if reply.is_some() { "the answer broke off" } else { "no answer" };
                let message = format!("{what} within {} ms", until.since(self.since) / 1_000_000);
                (Status::Error { kind: "timeout".into(), message }, until, end_tid)
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
        Left { spoken, echoes, after }
    }
}
