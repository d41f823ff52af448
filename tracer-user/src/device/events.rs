//! Reads that bring events, all of one size.

use std::borrow::Cow;

use super::class::{Context, Moved};
use super::ioc::Args;
use crate::model::command::Status;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use crate::model::time::Interval;

/// Events of one read that are told apart: no driver keeps more for its reader. A read of more is a plain one.
const EVENTS: usize = 1024;

/// How many events of `size` bytes a call brought; 0 if it is no read of events of that size.
pub(crate) fn count(call: &Moved, size: usize) -> usize {
    let Ok(length) = usize::try_from(call.payload.size) else { return 0 };
    let whole = call.direction == Direction::Inward && call.error.is_none() && length.is_multiple_of(size);
    if whole && length / size <= EVENTS { length / size } else { 0 }
}

/// The events of a read of which every byte was captured.
pub(crate) fn captured(call: &Moved, size: usize) -> impl Iterator<Item = &[u8]> {
    call.payload.captured.chunks_exact(size)
}

/// Makes an event of each `size` bytes that a call read, at its exit: its entry says only when the program began to
/// wait. `what` gives its name and arguments, from as many of its bytes as were captured.
pub(crate) fn emit(
    call: &Moved,
    size: usize,
    context: &mut Context<'_>,
    mut what: impl FnMut(&[u8]) -> (Cow<'static, str>, Args),
) {
    for index in 0..count(call, size) {
        let all = &call.payload.captured;
        let bytes = all.slice((index * size).min(all.len())..((index + 1) * size).min(all.len()));
        let (name, args) = what(&bytes);
        let at = Interval { start: call.at.end, end: call.at.end };
        let mut event = context.command(name, at, call.tid, Status::Ok);
        event.unsolicited = true;
        event.request = Payload { captured: bytes, size: size as u64 };
        event.args = args;
        context.emit(event);
    }
}
