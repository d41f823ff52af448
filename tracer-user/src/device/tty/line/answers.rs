//! What is read goes to the requests that are open, and what is none of theirs to the input.

use super::{Line, is_ordered};
use crate::device::buffer::split;
use crate::device::class::{Context, Moved};
use crate::device::tty::exchange::{End, Exchange};
use crate::model::payload::Payload;

impl Line {
    /// Bytes were read.
    pub(super) fn read(&mut self, call: Moved, context: &mut Context<'_>) {
        self.reader = Some(call.tid);
        self.look(call.at, context);
        self.advance(call.at.end, context);
        self.requests.used(call.at.end, context.settings.reply_timeout_ns);
        let payload = call.payload.clone();
        self.take(&call, payload, context);
    }

    /// Gives bytes that were read to the answer that is awaited, and what is none of it to the input.
    pub(super) fn take(&mut self, call: &Moved, payload: Payload, context: &mut Context<'_>) {
        let mut rest = payload;
        // Where one thread reads and another writes, an answer can be seen before its request.
        let two_threads = self.is_read_elsewhere();
        if self.input.is_in_sentence() && !self.requests.is_empty() {
            let end =
                rest.captured.iter().position(|byte| *byte == b'\n').map_or(rest.captured.len(), |at| at + 1);
            let (sentence, behind) = split(&rest, end);
            self.input.take(call, &sentence, two_threads, context);
            rest = behind;
        }
        while rest.size > 0 {
            let beside = |aside: &mut Exchange| aside.has_begun() || self.requests.is_empty();
            if let Some(mut aside) = self.aside.take_if(beside) {
                let apart = aside.read(&rest, call.at.end, call.tid);
                for foreign in &apart.foreign {
                    self.input.take(call, foreign, two_threads, context);
                }
                let Some(behind) = apart.behind else {
                    self.aside = Some(aside);
                    return;
                };
                self.finish(aside, End::Regular, context);
                rest = behind;
                continue;
            }
            let Some(first) = self.requests.take_first() else { break };
            match self.answer(first, &rest, call, context) {
                Some(behind) => rest = behind,
                None => return,
            }
        }
        if rest.size > 0 {
            self.requests.unasked();
        }
        self.input.take(call, &rest, two_threads, context);
    }

    /// Gives bytes that were read to the first request. Returns what is behind its answer, once that is over.
    fn answer(
        &mut self,
        mut first: Exchange,
        bytes: &Payload,
        call: &Moved,
        context: &mut Context<'_>,
    ) -> Option<Payload> {
        if !self.requests.is_empty() && first.is_denied_by(&bytes.captured) {
            // None of this was for it: the program did not wait.
            let kept = first.retract();
            self.finish(first, End::Regular, context);
            return Some(kept.map_or_else(|| bytes.clone(), |kept| joined(&kept.payload, bytes)));
        }
        let apart = first.read(bytes, call.at.end, call.tid);
        for foreign in &apart.foreign {
            self.beside(foreign, call, context);
        }
        let Some(behind) = apart.behind else {
            let Some(mut other) = self.requests.take_where(|later| later.is_answered_by(&first)) else {
                self.requests.put_back(first);
                return None;
            };
            let read = first.retract();
            self.requests.put_back(first);
            let read = read?;
            let apart = other.read(&read.payload, call.at.end, call.tid);
            self.finish(other, End::Regular, context);
            return apart.behind;
        };
        if first.has_begun() && is_ordered(&first) && self.requests.pay() {
            if let Some(late) = first.retract() {
                self.input.take(&late, &late.payload, false, context);
            }
            self.requests.put_back(first);
        } else {
            self.finish(first, End::Regular, context);
            if let Some(next) = self.requests.each().next() {
                next.is_next(call.at.end);
            }
        }
        Some(behind)
    }

    /// What came amid an answer and is none of it: perhaps what is answered beside the others, else an event.
    fn beside(&mut self, foreign: &Payload, call: &Moved, context: &mut Context<'_>) {
        let Some(mut aside) = self.aside.take() else {
            return self.input.take(call, foreign, false, context);
        };
        let apart = aside.read(foreign, call.at.end, call.tid);
        for foreign in &apart.foreign {
            self.input.take(call, foreign, false, context);
        }
        match apart.behind {
            None => self.aside = Some(aside),
            Some(behind) => {
                self.finish(aside, End::Regular, context);
                self.input.take(call, &behind, false, context);
            }
        }
    }
}

/// Two pieces, one behind the other.
fn joined(first: &Payload, second: &Payload) -> Payload {
    let captured = [&first.captured[..], &second.captured[..]].concat();
    Payload { captured: captured.into(), size: first.size.saturating_add(second.size) }
}
