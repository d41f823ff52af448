//! Reads of what nobody asked for: reports, key presses.

use super::class::{Aborted, Context, Moved};
use super::generic;
use crate::model::command::{Command, Status};
use crate::model::errno;
use crate::model::time::Interval;
use tracer_common::call::Call;

/// The event that a `read` brought, not yet handed over. A read that brought nothing is counted; one that failed is a
/// command.
///
/// It happens when the read returns: when the program began to wait says nothing of it.
pub(crate) fn event(name: &'static str, call: Moved, context: &mut Context<'_>) -> Option<Command> {
    let call = brought(call, context)?;
    let at = Interval { start: call.at.end, end: call.at.end };
    let mut event = context.command(name, at, call.tid, Status::Ok);
    event.unsolicited = true;
    event.request = call.payload;
    Some(event)
}

/// A `read`, if it brought something. One that brought nothing is counted; one that failed is a command.
pub(crate) fn brought(call: Moved, context: &mut Context<'_>) -> Option<Moved> {
    match call.error {
        None if call.payload.size > 0 => return Some(call),
        Some(errno::EAGAIN) => context.counts.would_block = context.counts.would_block.saturating_add(1),
        Some(error) if !errno::is_interrupted(error) => generic::moved(call, context),
        _ => context.counts.empty = context.counts.empty.saturating_add(1),
    }
    None
}

/// A thread died in a call. A `read` waited for something that nobody had asked for: it is only counted.
pub(crate) fn aborted(call: &Aborted, context: &mut Context<'_>) {
    if matches!(call.call, Call::Read | Call::Readv | Call::Pread64 | Call::Preadv | Call::Preadv2) {
        context.counts.empty = context.counts.empty.saturating_add(1);
    } else {
        generic::aborted(call, context);
    }
}
