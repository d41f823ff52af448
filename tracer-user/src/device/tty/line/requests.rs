//! What is written: parts of requests, and several at once.

use super::{Line, read_of};
use crate::device::buffer::split;
use crate::device::class::{Context, Moved, failed};
use crate::device::tty::exchange::{End, Exchange};
use crate::device::tty::protocol::{Answers, Asked, Order, first_of_many, recognise};
use crate::model::command::Status;
use crate::model::errno;
use crate::model::payload::Payload;
use crate::model::time::Interval;

impl Line {
    /// Bytes were written: a part of a request, or several.
    pub(super) fn write(&mut self, call: &Moved, context: &mut Context<'_>) {
        self.writer = Some(call.tid);
        // Another thread may have read the answer before this write returned.
        let answers = self.input.claim(call.at.start);
        self.advance(call.at.start, context);
        self.requests.used(call.at.start, context.settings.reply_timeout_ns);
        if std::mem::take(&mut self.input.past.reset) {
            self.requests.starts_anew();
        }
        let asked = Asked { request: &call.payload.captured, past: &self.input.past, cut: false };
        match recognise(asked, 0).1.is_stream() {
            // A sentence that had begun before goes on after.
            true => self.input.flush_but_sentence(context),
            false => self.input.flush(context),
        }
        let mut rest = call.payload.clone();
        while let Some(end) = first_of_many(&rest.captured, &self.input.past) {
            let (part, behind) = split(&rest, end);
            self.write_part(&of_payload(call, part), context);
            rest = behind;
        }
        self.write_part(&of_payload(call, rest), context);
        for piece in answers {
            let (at, tid) = (Interval { start: piece.first, end: piece.last }, piece.end_tid);
            self.take(&read_of(call.fd, tid, at), piece.bytes.into_payload(), context);
        }
    }

    /// Bytes of one request were written.
    fn write_part(&mut self, call: &Moved, context: &mut Context<'_>) {
        if self.requests.last().is_some_and(|exchange| exchange.goes_on(call, context.settings)) {
            self.requests.write(call);
            return;
        }
        self.ignored = None;
        let asked = Asked { request: &call.payload.captured, past: &self.input.past, cut: false };
        let known = recognise(asked, 0).2;
        if known.order != Order::Aside {
            self.make_way(call, context);
            self.requests.push(Exchange::new(call, &self.input.past, context));
            self.input.past.heard = None;
            return;
        }
        let exchange = Exchange::new(call, &self.input.past, context);
        if known.answers == Answers::Never {
            self.finish(exchange, End::Regular, context);
        } else if let Some(before) = self.aside.replace(exchange) {
            self.end(before, call.at.start, context);
        }
    }

    /// A request begins: what does not stay open for it is over.
    fn make_way(&mut self, call: &Moved, context: &mut Context<'_>) {
        if self.requests.first().is_some_and(Exchange::is_paused) {
            self.finish_first(End::Regular, context);
        }
        if self.resend {
            let mut again = Vec::new();
            let is_again = |exchange: &Exchange| exchange.is_repeated_by(&call.payload.captured);
            while self.requests.last().is_some_and(is_again) {
                again.extend(self.requests.take_last());
            }
            for exchange in again.into_iter().rev() {
                let message = "the machine wants an earlier line again".into();
                let status = Status::Error { kind: "resend".into(), message };
                self.finish(exchange, End::Failed(status, call.at.start, None), context);
            }
            self.resend = false;
        }
        let elsewhere = self.is_read_elsewhere();
        let stays = |last: &Exchange| {
            !self.write_only.contains(&last.fd) && last.stays_open(call.at.start, elsewhere, context.settings)
        };
        if self.requests.last().is_some_and(|last| !stays(last)) {
            self.supersede(call.at.start, context);
        }
        while let Some(oldest) = self.requests.give_way() {
            context.counts.crowded = context.counts.crowded.saturating_add(1);
            self.requests.owe(call.at.start);
            self.finish(oldest, End::Regular, context);
        }
    }

    /// A write failed, and with it the request that it is the end of.
    pub(super) fn write_failed(&mut self, call: &Moved, error: u32, context: &mut Context<'_>) {
        self.advance(call.at.start, context);
        if error == errno::EIO {
            // The line was hung up: what is open has failed as well.
            match self.requests.last().is_some_and(|last| last.goes_on(call, context.settings)) {
                true => self.requests.write(call),
                false => self.requests.push(Exchange::new(call, &self.input.past, context)),
            }
            self.input.flush(context);
            self.fail(&failed(error), call.at.end, call.tid, context);
            return;
        }
        self.write(call, context);
        if let Some(exchange) = self.requests.take_last() {
            self.finish(exchange, End::Failed(failed(error), call.at.end, Some(call.tid)), context);
        }
    }
}

/// The same call with a part of its bytes.
fn of_payload(call: &Moved, payload: Payload) -> Moved {
    Moved { payload, offset: None, ..*call }
}
