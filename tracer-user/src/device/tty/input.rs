//! Input that nobody asked for: one event per line of text and per frame whose end is in its bytes, and for anything
//! else one per stretch until silence.

use std::collections::VecDeque;

use crate::device::Settings;
use crate::device::buffer::{Buffer, KEPT};
use crate::device::class::{Context, Moved};
use crate::device::tty::protocol::{self, Event, Past};
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
    /// What the line has shown so far.
    pub(super) past: Past,
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
            let (full, binary) = (piece.bytes.kept().len() >= KEPT, piece.binary);
            let ended = byte == b'\n' && !binary && self.end_line(hold, context)
                || (byte == b'\n' || binary) && self.end_frame(byte, hold, context);
            if !ended && full {
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
                piece.emit(&mut self.past, context);
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
            piece.emit(&mut self.past, context);
        }
    }

    /// What thread `tid` has read comes out, unless it is the beginning of a line.
    pub(super) fn moved_on(&mut self, tid: u32, context: &mut Context<'_>) {
        if self.held.iter().any(|piece| piece.end_tid == tid) {
            self.flush_held(context);
        }
        let whole = |piece: &mut Piece| piece.end_tid == tid && (piece.binary || piece.ends_with(b'\r'));
        if let Some(piece) = self.current.take_if(whole) {
            piece.emit(&mut self.past, context);
        }
    }

    /// Everything comes out.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        self.flush_held(context);
        self.flush_current(context);
    }

    /// Whether a line of text is under way that begins like a sentence.
    pub(super) fn is_in_sentence(&self) -> bool {
        let begun = |piece: &Piece| !piece.binary && protocol::begins_sentence(piece.bytes.kept());
        self.current.as_ref().is_some_and(begun)
    }

    /// Everything but a sentence under way comes out.
    pub(super) fn flush_but_sentence(&mut self, context: &mut Context<'_>) {
        match self.is_in_sentence() {
            true => self.flush_held(context),
            false => self.flush(context),
        }
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
    fn end_line(&mut self, hold: bool, context: &mut Context<'_>) -> bool {
        let Some(piece) = self.current.take_if(|piece| piece.is_line()) else { return false };
        self.hand_over(piece, hold, context);
        true
    }

    /// A byte of something that is no text was read: a frame may be whole, or a sentence at the end of a line.
    fn end_frame(&mut self, byte: u8, hold: bool, context: &mut Context<'_>) -> bool {
        let Some(piece) = &mut self.current else { return false };
        if !piece.bytes.is_whole() {
            return false;
        }
        if !protocol::is_frame(piece.bytes.kept()) {
            let sentence = if byte == b'\n' { protocol::sentence_at_end(piece.bytes.kept()) } else { None };
            let Some(start) = sentence else { return false };
            let tail = piece.split_off(start, context);
            let head = std::mem::replace(piece, tail);
            self.hand_over(head, hold, context);
        }
        if let Some(piece) = self.current.take() {
            self.hand_over(piece, hold, context);
        }
        true
    }

    fn hand_over(&mut self, piece: Piece, hold: bool, context: &mut Context<'_>) {
        if hold {
            if self.held.len() >= HELD {
                self.flush_held(context);
            }
            self.held.push_back(piece);
        } else {
            piece.emit(&mut self.past, context);
        }
    }

    fn flush_held(&mut self, context: &mut Context<'_>) {
        while let Some(piece) = self.held.pop_front() {
            piece.emit(&mut self.past, context);
        }
    }

    fn flush_current(&mut self, context: &mut Context<'_>) {
        if let Some(piece) = self.current.take() {
            piece.emit(&mut self.past, context);
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

    /// Cuts it after `at` bytes, of which all are kept, and returns what is behind as a piece of its own.
    fn split_off(&mut self, at: usize, context: &mut Context<'_>) -> Self {
        let mut bytes = Buffer::default();
        bytes.push(&self.bytes.cut(at));
        let tail = Self { serial: context.next_serial(), bytes, ..*self };
        self.blank = self.bytes.kept().iter().copied().all(protocol::ends_line);
        tail
    }

    /// Comes out as one event, or as several if there are frames in it.
    fn emit(mut self, past: &mut Past, context: &mut Context<'_>) {
        while self.binary && self.bytes.is_whole() {
            let Some(frame) = protocol::find_frame(self.bytes.kept(), past) else { break };
            let cut = if frame.start > 0 { frame.start } else { frame.end };
            if cut == self.bytes.kept().len() {
                break;
            }
            let tail = self.split_off(cut, context);
            std::mem::replace(&mut self, tail).emit_one(past, context);
        }
        self.emit_one(past, context);
    }

    fn emit_one(self, past: &mut Past, context: &mut Context<'_>) {
        if self.blank {
            context.counts.blank_bytes = context.counts.blank_bytes.saturating_add(self.bytes.size());
            return;
        }
        let known = if self.bytes.is_whole() { protocol::event(self.bytes.kept(), past) } else { None };
        let Event { name, args, error, spoken, asks, resets } = known.unwrap_or_else(|| Event {
            name: if self.is_line() { "line" } else { "input" }.into(),
            ..Event::default()
        });
        past.spoken = spoken.or(past.spoken);
        past.reset |= resets;
        past.heard = asks.then(|| self.bytes.kept().to_vec());
        let status = match error {
            Some((kind, message)) => Status::Error { kind, message: message.into_owned() },
            None => Status::Ok,
        };
        context.emit(crate::model::command::Command {
            unsolicited: true,
            name,
            device: std::sync::Arc::clone(context.device),
            process: context.process,
            tid: self.tid,
            end_tid: self.end_tid,
            at: Interval { start: self.first, end: self.last },
            serial: self.serial,
            status,
            request: self.bytes.into_payload(),
            reply: None,
            bus: Vec::new(),
            args,
        });
    }
}
