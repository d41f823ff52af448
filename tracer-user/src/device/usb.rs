//! USB devices, `/dev/bus/usb/BBB/DDD`: `include/uapi/linux/usbdevice_fs.h`, `drivers/usb/core/devio.c`.
//!
//! Span rule: one command per transfer. `USBDEVFS_SUBMITURB` lasts from the submit to the end of the call that reaped
//! it, on whatever thread; the reaping call makes no command of its own, and one that found nothing is only counted.
//! The status in the transfer is the command's: `EPIPE` is a stall, `ENOENT` and `ECONNRESET` were discarded. What is
//! never reaped ends with its last descriptor or its process (`killed`), or with the device (`ENODEV`), after which the
//! program has a second to reap what was complete. Of a transfer whose submit or reap was not seen, `submit_seen` or
//! `reap_seen` is false, and the command lasts as long as the call that was. Every other call is one command, also
//! `USBDEVFS_CONTROL` and `USBDEVFS_BULK`, which are whole transfers.
//!
//! The direction in these commands' numbers is wrong more often than not: rows say what the kernel reads and writes.

mod setup;
mod status;
#[cfg(test)]
mod tests;
mod transfers;
mod urb;

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::class::{Aborted, Class, Context, Gone, Ioctl, Moved, Row, Session};
use super::fields::{As, fields};
use super::generic;
use super::ioc::{Args, Argument, Nested, Number, io, ior, iow, iowr, join, no_args, u16_at, u32_at};
use super::words::{identity, string};
use crate::model::command::{Command, Value};
use crate::model::errno;
use crate::model::net::Direction;
use crate::model::time::{Interval, Timestamp};
use setup::Setup;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};
use transfers::{Reaped, Transfers};

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "usb", ioctls: TABLE, session: || Box::new(Handles::default()) };

const SUBMIT: &str = "USBDEVFS_SUBMITURB";
const REAP: &str = "USBDEVFS_REAPURB";
const REAP_NDELAY: &str = "USBDEVFS_REAPURBNDELAY";
const DISCARD: &str = "USBDEVFS_DISCARDURB";

static TABLE: &[Row] = &[
    Row::new(iowr(b'U', 0, 24), "USBDEVFS_CONTROL", no_args)
        .compat(iowr(b'U', 0, 16))
        .follow(&CONTROL)
        .finish(control),
    Row::new(iowr(b'U', 2, 24), "USBDEVFS_BULK", no_args)
        .compat(iowr(b'U', 2, 16))
        .follow(&BULK)
        .finish(bulk),
    Row::legacy(ior(b'U', 3, 4), "USBDEVFS_RESETEP", (4, 0), endpoint),
    Row::legacy(ior(b'U', 4, 8), "USBDEVFS_SETINTERFACE", (8, 0), |argument, args| {
        interface(argument, args);
        fields(argument.given, &[("setting", 4, As::Int)], args);
    }),
    Row::legacy(ior(b'U', 5, 4), "USBDEVFS_SETCONFIGURATION", (4, 0), |argument, args| {
        fields(argument.given, &[("configuration", 0, As::Int)], args);
    }),
    Row::legacy(iow(b'U', 8, 260), "USBDEVFS_GETDRIVER", (4, 260), |argument, args| {
        interface(argument, args);
        string("driver", argument.answered.get(4..).unwrap_or_default(), args);
    }),
    // What it says is added when it is reaped: `transfers`.
    Row::new(ior(b'U', 10, 56), SUBMIT, no_args).compat(ior(b'U', 10, 44)).follow(&urb::SUBMIT),
    // Its argument is an address, which is no pointer to anything that the kernel would read.
    Row::new(io(b'U', 11), DISCARD, no_args),
    Row::new(iow(b'U', 12, 8), REAP, no_args).compat(iow(b'U', 12, 4)).follow(&urb::REAP),
    Row::new(iow(b'U', 13, 8), REAP_NDELAY, no_args).compat(iow(b'U', 13, 4)).follow(&urb::REAP),
    Row::new(ior(b'U', 14, 16), "USBDEVFS_DISCSIGNAL", |argument, args| {
        fields(argument.given, &[("signal", 0, As::Int)], args);
    })
    .compat(ior(b'U', 14, 8))
    .follow(&DISCSIGNAL),
    Row::legacy(ior(b'U', 15, 4), "USBDEVFS_CLAIMINTERFACE", (4, 0), interface),
    Row::legacy(ior(b'U', 16, 4), "USBDEVFS_RELEASEINTERFACE", (4, 0), interface),
    Row::legacy(iow(b'U', 17, 8), "USBDEVFS_CONNECTINFO", (0, 8), |argument, args| {
        fields(argument.answered, &[("device_number", 0, As::Int)], args);
        if let Some(slow) = argument.answered.get(4) {
            args.push(("slow", Value::Bool(*slow != 0)));
        }
    }),
    Row::new(iowr(b'U', 18, 16), "USBDEVFS_IOCTL", |argument, args| {
        fields(argument.given, &[("interface", 0, As::Int)], args);
        if let Some(command) = u32_at(argument.given, 4) {
            let row = TABLE.iter().find(|row| row.matches(command, argument.compat));
            let name = row.map_or_else(|| Number::of(command).name(), |row| row.name.into());
            args.push(("ioctl", Value::Text(name)));
        }
    })
    .compat(iowr(b'U', 18, 12))
    .follow(&DRIVER_IOCTL)
    .finish(driver_ioctl),
    Row::legacy(ior(b'U', 19, 128), "USBDEVFS_HUB_PORTINFO", (0, 128), no_args),
    Row::new(io(b'U', 20), "USBDEVFS_RESET", no_args),
    Row::legacy(ior(b'U', 21, 4), "USBDEVFS_CLEAR_HALT", (4, 0), endpoint),
    Row::new(io(b'U', 22), "USBDEVFS_DISCONNECT", no_args),
    Row::new(io(b'U', 23), "USBDEVFS_CONNECT", no_args),
    Row::legacy(ior(b'U', 24, 4), "USBDEVFS_CLAIM_PORT", (4, 0), port),
    Row::legacy(ior(b'U', 25, 4), "USBDEVFS_RELEASE_PORT", (4, 0), port),
    Row::legacy(ior(b'U', 26, 4), "USBDEVFS_GET_CAPABILITIES", (0, 4), |argument, args| {
        if let Some(bits) = u32_at(argument.answered, 0) {
            args.push(("capabilities", Value::Texts(names_of(bits, CAPABILITIES))));
        }
    }),
    Row::legacy(ior(b'U', 27, 264), "USBDEVFS_DISCONNECT_CLAIM", (264, 0), |argument, args| {
        interface(argument, args);
        if let Some(flags @ 1..) = u32_at(argument.given, 4) {
            args.push(("flags", Value::Texts(names_of(flags, &["IF_DRIVER", "EXCEPT_DRIVER"]))));
            string("driver", argument.given.get(8..).unwrap_or_default(), args);
        }
    }),
    Row::legacy(ior(b'U', 28, 8), "USBDEVFS_ALLOC_STREAMS", (8, 0), |argument, args| {
        fields(argument.given, &[("streams", 0, As::Int)], args);
        fields(argument.given, &[("endpoints", 4, As::Int)], args);
        if argument.result >= 0 {
            args.push(("allocated", Value::Int(argument.result)));
        }
    }),
    Row::legacy(ior(b'U', 29, 8), "USBDEVFS_FREE_STREAMS", (8, 0), |argument, args| {
        fields(argument.given, &[("endpoints", 4, As::Int)], args);
    }),
    Row::legacy(iow(b'U', 30, 4), "USBDEVFS_DROP_PRIVILEGES", (4, 0), |argument, args| {
        fields(argument.given, &[("interfaces", 0, As::Int)], args);
    }),
    Row::new(io(b'U', 31), "USBDEVFS_GET_SPEED", |argument, args| {
        let known = u32::try_from(argument.result).ok().and_then(speed);
        args.extend(known.map(|speed| ("speed", Value::Text(speed.into()))));
    }),
    Row::new(ior(b'U', 32, 24), "USBDEVFS_CONNINFO_EX", connection).any_size(),
    Row::new(io(b'U', 33), "USBDEVFS_FORBID_SUSPEND", no_args),
    Row::new(io(b'U', 34), "USBDEVFS_ALLOW_SUSPEND", no_args),
    Row::new(io(b'U', 35), "USBDEVFS_WAIT_FOR_RESUME", no_args),
];

fn interface(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("interface", 0, As::Int)], args);
}

fn endpoint(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("endpoint", 0, As::Int)], args);
}

fn port(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("port", 0, As::Int)], args);
}

/// `USBDEVFS_CAP_*`, from bit 0 on.
const CAPABILITIES: &[&str] = &[
    "ZERO_PACKET",
    "BULK_CONTINUATION",
    "NO_PACKET_SIZE_LIM",
    "BULK_SCATTER_GATHER",
    "REAP_AFTER_DISCONNECT",
    "MMAP",
    "DROP_PRIVILEGES",
    "CONNINFO_EX",
    "SUSPEND",
];

fn names_of(bits: u32, names: &[&str]) -> Vec<Arc<str>> {
    (0_u32..).zip(names).filter(|(bit, _)| bits >> bit & 1 != 0).map(|(_, name)| (*name).into()).collect()
}

/// `enum usb_device_speed`, `include/uapi/linux/usb/ch9.h`.
fn speed(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "low",
        2 => "full",
        3 => "high",
        4 => "wireless",
        5 => "super",
        6 => "super-plus",
        _ => return None,
    })
}

/// `struct usbdevfs_conninfo_ex`.
fn connection(argument: &Argument<'_>, args: &mut Args) {
    let answered = argument.answered;
    fields(answered, &[("bus", 4, As::Int)], args);
    fields(answered, &[("device_number", 8, As::Int)], args);
    let speed = u32_at(answered, 12).and_then(speed);
    args.extend(speed.map(|speed| ("speed", Value::Text(speed.into()))));
    let ports = answered.get(16).and_then(|count| answered.get(17..)?.get(..usize::from(*count).min(7)));
    if let Some(ports @ [_, ..]) = ports {
        let ports: Vec<String> = ports.iter().map(u8::to_string).collect();
        args.push(("ports", Value::Text(ports.join(".").into())));
    }
}

/// A structure of `bytes` with a pointer at `at` of `pointer` bytes to data that go out or come in, as bit 7 of its
/// first byte says: `bRequestType` or the endpoint.
const fn transfer((bytes, at, pointer): (u16, u16, u8), length: Field) -> Recipe {
    Recipe::PLAIN
        .sized(bytes, 0)
        .argument(bytes)
        .buffer(0, ENTRY, (at, pointer), length, Condition::none(Field::u8(0), 0x80))
        .buffer(1, EXIT, (at, pointer), length, Condition::any(Field::u8(0), 0x80))
}

/// `struct usbdevfs_ctrltransfer`.
static CONTROL: Nested = Nested {
    native: transfer((24, 16, 8), Field::u16(6)),
    compat: transfer((16, 12, 4), Field::u16(6)),
    alternative: None,
};

/// `struct usbdevfs_bulktransfer`.
static BULK: Nested = Nested {
    native: transfer((24, 16, 8), Field::u32(4)),
    compat: transfer((16, 12, 4), Field::u32(4)),
    alternative: None,
};

/// `struct usbdevfs_disconnectsignal`.
static DISCSIGNAL: Nested = plain(16, 8);

/// `struct usbdevfs_ioctl`: interface, number of a command, pointer to its data. How large these are and which way they
/// go is in the command's number.
static DRIVER_IOCTL: Nested = Nested {
    native: driver_data(Recipe::PLAIN.sized(16, 0).argument(16), 8),
    compat: driver_data(Recipe::PLAIN.sized(12, 0).argument(12), 4),
    alternative: None,
};

const fn driver_data(recipe: Recipe, pointer: u8) -> Recipe {
    let (upper, length) = (Field::u16(6), Field::u16(6).masked(0x3fff));
    recipe.buffer(0, ENTRY, (8, pointer), length, Condition::any(upper, 0x4000)).buffer(
        1,
        EXIT,
        (8, pointer),
        length,
        Condition::any(upper, 0x8000),
    )
}

/// `USBDEVFS_IOCTL`: a command for the driver of an interface.
fn driver_ioctl(argument: &Argument<'_>, command: &mut Command) {
    let Some(number) = u32_at(argument.given, 4).map(Number::of) else { return };
    if number.size != 0 && number.reads() {
        command.request = join([(argument.given_buffer(0, 0), number.size.into())]);
    }
    if number.size != 0 && number.writes() && argument.result >= 0 {
        command.reply = Some(join([(argument.answered_buffer(0, 1), number.size.into())]));
    }
}

/// A structure that the kernel only reads.
const fn plain(native: u16, compat: u16) -> Nested {
    let (native, compat) = (Recipe::PLAIN.sized(native, 0), Recipe::PLAIN.sized(compat, 0));
    Nested { native, compat, alternative: None }
}

/// `USBDEVFS_CONTROL`: a whole control transfer.
fn control(argument: &Argument<'_>, command: &mut Command) {
    if let Some(setup) = Setup::read(argument.given) {
        setup.describe(&mut command.args);
        moved(argument, command, setup.reads(), setup.length.into());
    }
    fields(argument.given, &[("timeout_ms", 8, As::Int)], &mut command.args);
}

/// `USBDEVFS_BULK`: a whole bulk or interrupt transfer.
fn bulk(argument: &Argument<'_>, command: &mut Command) {
    if let (Some(endpoint), Some(length)) = (u32_at(argument.given, 0), u32_at(argument.given, 4)) {
        let reads = endpoint & 0x80 != 0;
        command.args.push(("endpoint", Value::Int(endpoint.into())));
        command.args.push(("direction", Value::Text(if reads { "in" } else { "out" }.into())));
        command.args.push(("length", Value::Int(length.into())));
        moved(argument, command, reads, length.into());
    }
    fields(argument.given, &[("timeout_ms", 8, As::Int)], &mut command.args);
}

/// The data of a transfer in one call, which returns how many there were.
fn moved(argument: &Argument<'_>, command: &mut Command, reads: bool, length: u64) {
    let actual = u64::try_from(argument.result).ok();
    if !reads {
        command.request = join([(argument.given_buffer(0, 0), length)]);
    } else if let Some(actual) = actual {
        command.reply = Some(join([(argument.answered_buffer(0, 1), actual)]));
    }
    if let Some(actual) = actual {
        command.args.push(("actual", Value::Int(actual.cast_signed())));
    }
}

/// The descriptors of one process that are open on one device.
#[derive(Default)]
struct Handles {
    transfers: Transfers,
}

impl Session for Handles {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let reads = call.direction == Direction::Inward;
        let Some(mut command) = generic::moved_command(call, context) else { return };
        if let Some(reply) = command.reply.as_ref().filter(|_| reads) {
            device_descriptor(&reply.captured.clone(), &mut command.args);
        }
        status::explain_command(&mut command);
        context.emit(command);
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        match row.map(|row| row.name) {
            Some(REAP | REAP_NDELAY) => return self.reap(call, row, context),
            Some(SUBMIT) if call.error.is_none() => {
                let command = generic::ioctl_command(call, row, context);
                return self.transfers.submitted(call, command, context);
            }
            _ => {}
        }
        // `EAGAIN` says nothing of a descriptor that does not block: the transfer could not be begun.
        let mut command = generic::ioctl_command(call, row, context);
        match row.map(|row| row.name) {
            Some(SUBMIT) => command = transfers::refused(call, command),
            Some(DISCARD) => self.transfers.name(call.value, &mut command.args),
            _ => {}
        }
        status::explain_command(&mut command);
        context.emit(command);
    }

    fn aborted(&mut self, call: &Aborted, context: &mut Context<'_>) {
        if call.row.is_some_and(|row| matches!(row.name, REAP | REAP_NDELAY)) {
            context.counts.empty = context.counts.empty.saturating_add(1);
            return;
        }
        generic::aborted(call, context);
    }

    fn opened(&mut self, fd: i32, _write_only: bool) {
        self.transfers.opened(fd);
    }

    fn duplicated(&mut self, fd: i32, new_fd: i32) {
        self.transfers.duplicated(fd, new_fd);
    }

    fn closed(&mut self, fds: RangeInclusive<i64>, at: Interval, context: &mut Context<'_>) {
        self.transfers.closed(&fds, at.end, context);
    }

    fn tick(&mut self, now: Timestamp, context: &mut Context<'_>) {
        self.transfers.tick(now, context);
    }

    fn gone(&mut self, why: Gone, at: Timestamp, context: &mut Context<'_>) {
        self.transfers.gone(why, at, context);
    }

    fn open(&self) -> usize {
        self.transfers.open()
    }
}

impl Handles {
    /// A call that asked for finished transfers.
    fn reap(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        match call.error {
            None => self.transfers.reaped(Reaped::new(call), context),
            Some(errno::EAGAIN) => {
                context.counts.would_block = context.counts.would_block.saturating_add(1);
            }
            Some(error) if errno::is_interrupted(error) => {
                context.counts.empty = context.counts.empty.saturating_add(1);
            }
            Some(error) => {
                if error == errno::ENODEV {
                    self.transfers.exhausted(call.at.end, context);
                }
                let mut command = generic::ioctl_command(call, row, context);
                status::explain_command(&mut command);
                context.emit(command);
            }
        }
    }
}

/// What a `read` from the beginning shows: the device descriptor, USB 2.0 section 9.6.1.
fn device_descriptor(bytes: &[u8], args: &mut Args) {
    if let [18, 1, ..] = bytes
        && let (Some(vendor), Some(product)) = (u16_at(bytes, 8), u16_at(bytes, 10))
    {
        identity(None, Some(vendor), Some(product), args);
    }
}
