//! Span rule of every class that has no other: one command per call.
//!
//! A `read` answers with the bytes, a `write` asks with them; relatives go by the plain names. An `ioctl` goes by
//! its name in the class' table, else by its name in the kernel's headers ([`names`]), else by the parts
//! of its number; its argument is the request as far as the kernel
//! read it and the reply as far as it wrote it. Calls that found nothing are only counted.

use std::borrow::Cow;

use super::class::{Aborted, Class, Context, Ioctl, Moved, Session, killed, outcome};
use super::ioc::{Number, Row};
use super::names;
use crate::model::command::{Command, Device, Value};
use crate::model::errno;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use bytes::Bytes;
use tracer_common::call::Call;

/// The class of all that have no file of their own.
pub(crate) static CLASS: Class = Class { name: "generic", ioctls: &[], session: || Box::new(Plain) };

/// Remembers nothing.
struct Plain;

impl Session for Plain {}

/// One command for one transfer.
pub(crate) fn moved(call: Moved, context: &mut Context<'_>) {
    if let Some(command) = moved_command(call, context) {
        context.emit(command);
    }
}

/// The command of one transfer, not yet handed over; `None` if it found nothing, which is counted.
pub(crate) fn moved_command(call: Moved, context: &mut Context<'_>) -> Option<Command> {
    if call.error == Some(errno::EAGAIN) {
        context.counts.would_block = context.counts.would_block.saturating_add(1);
        return None;
    }
    let name = match call.direction {
        Direction::Inward => "read",
        Direction::Outward => "write",
    };
    let mut command = context.command(name, call.at, call.tid, outcome(call.error));
    match call.direction {
        Direction::Inward if call.error.is_none() => command.reply = Some(call.payload),
        Direction::Inward => {}
        Direction::Outward => command.request = call.payload,
    }
    if let Some(offset) = call.offset {
        command.args.push(("offset", Value::Int(i64::try_from(offset).unwrap_or(i64::MAX))));
    }
    Some(command)
}

/// One command for one `ioctl`.
pub(crate) fn ioctl(call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
    if call.error == Some(errno::EAGAIN) {
        context.counts.would_block = context.counts.would_block.saturating_add(1);
        return;
    }
    let command = ioctl_command(call, row, context);
    context.emit(command);
}

/// The command of one `ioctl`, not yet handed over.
pub(crate) fn ioctl_command(
    call: &Ioctl<'_>,
    row: Option<&'static Row>,
    context: &mut Context<'_>,
) -> Command {
    let number = Number::of(call.command);
    let name = name(call.command, call.compat, row, context.device);
    let mut command = context.command(name, call.at, call.tid, outcome(call.error));
    let given = call.before.unwrap_or(call.after);
    match row {
        Some(row) => {
            let argument = call.argument();
            (row.args)(&argument, &mut command.args);
            if let Some(finish) = row.finish {
                finish(&argument, &mut command);
            }
        }
        None => {
            command.args.push(("command", Value::Text(format!("0x{:08x}", call.command).into())));
            command.args.push(("direction", Value::Text(number.direction_name().into())));
            if number.size != 0 {
                command.args.push(("size", Value::Int(i64::from(number.size))));
            } else {
                command.args.push(("value", Value::Int(call.value.cast_signed())));
            }
            if number.reads() {
                command.request = argument_bytes(given, number);
            }
            if number.writes() && call.error.is_none() {
                command.reply = Some(argument_bytes(call.after, number));
            }
        }
    }
    command
}

/// What a command is called: as its class' row says, else as the kernel's headers say for such a device, else by the
/// parts of its number.
fn name(command: u32, compat: bool, row: Option<&'static Row>, device: &Device) -> Cow<'static, str> {
    let drivers = [device.identity.driver.as_deref(), names::node_kind(&device.path)];
    let in_headers = || names::find(device.class, &drivers, compat, command);
    row.map(|row| row.name).or_else(in_headers).map_or_else(|| Number::of(command).name(), Cow::Borrowed)
}

/// The argument's bytes, no more than the command's number says there are.
fn argument_bytes(captured: &Bytes, number: Number) -> Payload {
    let size = number.size as usize;
    Payload { captured: captured.slice(..captured.len().min(size)), size: size as u64 }
}

/// One command for the call that a thread died in.
pub(crate) fn aborted(call: &Aborted, context: &mut Context<'_>) {
    let name = match call.call {
        Call::Read | Call::Readv | Call::Pread64 | Call::Preadv | Call::Preadv2 => Cow::Borrowed("read"),
        Call::Write | Call::Writev | Call::Pwrite64 | Call::Pwritev | Call::Pwritev2 => "write".into(),
        Call::Ioctl => name(call.command, call.compat, call.row, context.device),
        _ => return,
    };
    let command = context.command(name, call.at, call.tid, killed());
    context.emit(command);
}
