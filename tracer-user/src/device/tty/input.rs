//! Input that nobody asked for: one event per line of text, and for anything else one per stretch until silence.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::device::Settings;
use crate::device::buffer::{Buffer, KEPT};
use crate::device::class::{Context, Moved};
use crate::device::tty::protocol;
use crate::model::command::Status;
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};

/// How long a finished line waits for the exit of a write that began before it was read: such a line is an answer.
/// A write that sets its reader free is over within the time slice that it was preempted for.
const RACE_NS: u64 = 5_000_000;

/// Lines that wait for that at most. One read brings rarely more.
const HELD: usize = 16;

/// Unsolicited input of one line, as far as it has come.
#[derive(Default)]
pub(super) struct Input {
    current: Option<Piece>,
    held: VecDeque<Piece>,
}

/// One event in the making.
pub(super) struct Piece {
    serial: u64,
    fd: i32,
    pub(super) tid: u32,
    pub(super) end_tid: u32,
    /// Exit of the read that brought the first byte. Its entry says only when the program began to wait.
    pub(super) first: Timestamp,
    /// Exit of the read that brought the last byte.
    pub(super) last: Timestamp,
    pub(super) bytes: Buffer,
    binary: bool,
    blank: bool,
}

impl Input {
    /// Takes what a read brought. With `hold`, finished lines wait for a write that may still show up.
    pub(super) fn take(&mut self, call: &Moved, payload: &Payload, hold: bool, context: &mut Context<'_>) {
        for byte in payload.captured.iter().copied() {
            let after_return = self.current.as_ref().is_some_and(|piece| piece.ends_with(b'\r'));
            if after_return && byte != b'\n' {
                self.end_line(hold, context);
            }
            let piece = self.piece(call, context);
            piece.bytes.push_byte(byte);
            piece.binary |= protocol::is_control(byte);
            piece.blank &= protocol::ends_line(byte);
            if byte == b'\n' {
                self.end_line(hold, context);
            } else if piece.bytes.kept().len() >= KEPT {
                self.flush_current(context);
            }
        }
        let missing = payload.size.saturating_sub(payload.captured.len() as u64);
        if missing > 0 {
            let piece = self.piece(call, context);
            piece.bytes.push_unknown(missing);
            // Where its lines end is not known: silence ends it.
            piece.binary = true;
            piece.blank = false;
        }
    }

    /// What a write that began at `since` makes an answer: what was read after that and has not come out yet.
    pub(super) fn claim(&mut self, since: Timestamp) -> Vec<Piece> {
        let first = self.held.iter().position(|piece| piece.first > since).unwrap_or(self.held.len());
        let mut claimed: Vec<Piece> = self.held.split_off(first).into();
        claimed.extend(self.current.take_if(|piece| piece.first > since));
        claimed
    }

    /// What has been silent for long enough comes out, and what has waited for a write.
    pub(super) fn advance(&mut self, now: Timestamp, context: &mut Context<'_>) {
        while self.held.front().is_some_and(|piece| now.since(piece.last) >= RACE_NS) {
            if let Some(piece) = self.held.pop_front() {
                piece.emit(context);
            }
        }
        let Settings { event_silence_ns, reply_timeout_ns, .. } = *context.settings;
        let over = |piece: &mut Piece| {
            let silent = now.since(piece.last);
            // Half a line of text may take longer than silence, a stream without pauses must come out at last.
            let line = !piece.binary && !piece.ends_with(b'\r');
            let limit = if line { reply_timeout_ns.max(event_silence_ns) } else { event_silence_ns };
            silent >= limit
                || piece.binary && now.since(piece.first) >= reply_timeout_ns.max(event_silence_ns)
        };
        if let Some(piece) = self.current.take_if(over) {
            self.flush_held(context);
            piece.emit(context);
        }
    }

    /// What thread `tid` has read comes out, unless it is the beginning of a line.
    pub(super) fn moved_on(&mut self, tid: u32, context: &mut Context<'_>) {
        if self.held.iter().any(|piece| piece.end_tid == tid) {
            self.flush_held(context);
        }
        let whole = |piece: &mut Piece| piece.end_tid == tid && (piece.binary || piece.ends_with(b'\r'));
        if let Some(piece) = self.current.take_if(whole) {
            piece.emit(context);
        }
    }

    /// Everything comes out.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        self.flush_held(context);
        self.flush_current(context);
    }

    /// Whether what is under way was read through one of `fds`.
    pub(super) fn is_through(&self, fds: &std::ops::RangeInclusive<i64>) -> bool {
        self.held.iter().chain(&self.current).any(|piece| fds.contains(&i64::from(piece.fd)))
    }

    /// Events that have begun and not come out.
    pub(super) fn open(&self) -> usize {
        self.held.len() + usize::from(self.current.is_some())
    }

    fn piece(&mut self, call: &Moved, context: &mut Context<'_>) -> &mut Piece {
        let piece = self.current.get_or_insert_with(|| Piece {
            serial: context.next_serial(),
            fd: call.fd,
            tid: call.tid,
            end_tid: call.tid,
            first: call.at.end,
            last: call.at.end,
            bytes: Buffer::default(),
            binary: false,
            blank: true,
        });
        piece.last = call.at.end;
        piece.end_tid = call.tid;
        piece
    }

    /// A line end was read: the line comes out if it is one.
    fn end_line(&mut self, hold: bool, context: &mut Context<'_>) {
        let Some(piece) = self.current.take_if(|piece| piece.is_line()) else { return };
        if hold {
            if self.held.len() >= HELD {
                self.flush_held(context);
            }
            self.held.push_back(piece);
        } else {
            piece.emit(context);
        }
    }

    fn flush_held(&mut self, context: &mut Context<'_>) {
        for piece in self.held.drain(..) {
            piece.emit(context);
        }
    }

    fn flush_current(&mut self, context: &mut Context<'_>) {
        if let Some(piece) = self.current.take() {
            piece.emit(context);
        }
    }
}

impl Piece {
    fn ends_with(&self, byte: u8) -> bool {
        self.bytes.is_whole() && self.bytes.kept().last() == Some(&byte)
    }

    /// Whether it is a line of text. Blank lines are the beginning of the next.
    fn is_line(&self) -> bool {
        !self.binary && !self.blank && self.bytes.is_whole() && protocol::is_text_line(self.bytes.kept())
    }

    fn emit(self, context: &mut Context<'_>) {
        if self.blank {
            context.counts.blank_bytes = context.counts.blank_bytes.saturating_add(self.bytes.size());
            return;
        }
        let name = protocol::event(self.bytes.kept()).unwrap_or(Cow::Borrowed(if self.is_line() {
            "line"
        } else {
            "input"
        }));
        context.emit(crate::model::command::Command {
            unsolicited: true,
            name,
            device: std::sync::Arc::clone(context.device),
            process: context.process,
            tid: self.tid,
            end_tid: self.end_tid,
            at: Interval { start: self.first, end: self.last },
            serial: self.serial,
            status: Status::Ok,
            request: self.bytes.into_payload(),
            reply: None,
            bus: Vec::new(),
            args: Vec::new(),
        });
    }
}
