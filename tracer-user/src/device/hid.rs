//! Raw HID devices, `/dev/hidrawN`, and devices that a program makes, `/dev/uhid`: `include/uapi/linux/hidraw.h`,
//! `uhid.h`, `Documentation/hid/hidraw.rst`, `uhid.rst`.
//!
//! Span rule of hidraw: each report that is read is an event `input_report`; every other call is one command. A `write`
//! is an output report. In what is written, and in the reports that `ioctl`s carry, the first byte is the report's
//! number, 0 if the device does not number them; reports that are read begin with one only if it does, which is known
//! once the program has asked for the report descriptor. `uhid` and the older `/dev/usb/hiddevN` have their own rules, in
//! `uhid.rs` and `hiddev.rs`.

mod hiddev;
#[cfg(test)]
mod tests;
mod uhid;

use super::class::{Aborted, Class, Context, Ioctl, Moved, Row, Session};
use super::ioc::{Args, Argument, Number, int_at, ior, iow, iowr, no_args, u16_at, u32_at};
use super::words::{identity, string};
use super::{generic, unsolicited};
use crate::model::command::Value;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use bytes::Bytes;

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "hid", ioctls: TABLE, session: || Box::new(Reports::default()) };

/// The commands of its older nodes, some of which have the numbers of other ones.
pub(crate) static OTHERS: &[Row] = hiddev::TABLE;

/// `struct hidraw_report_descriptor`: size, `HID_MAX_DESCRIPTOR_SIZE` bytes.
const DESCRIPTOR_BYTES: u16 = 4100;

static TABLE: &[Row] = &[
    Row::new(ior(b'H', 0x01, 4), "HIDIOCGRDESCSIZE", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|size| ("size", size)));
    }),
    Row::legacy(ior(b'H', 0x02, 4100), "HIDIOCGRDESC", (4, DESCRIPTOR_BYTES), |argument, args| {
        args.extend(int_at(argument.given, 0).map(|size| ("size", size)));
    })
    .finish(|argument, command| {
        if let Some(descriptor) = descriptor(argument) {
            command.reply = Some(descriptor);
        }
    }),
    Row::new(ior(b'H', 0x03, 8), "HIDIOCGRAWINFO", |argument, args| {
        let answered = argument.answered;
        identity(u32_at(answered, 0), u16_at(answered, 4), u16_at(answered, 6), args);
    }),
    Row::new(ior(b'H', 0x04, 0), "HIDIOCGRAWNAME", |argument, args| text("name", argument, args)).any_size(),
    Row::new(ior(b'H', 0x05, 0), "HIDIOCGRAWPHYS", |argument, args| text("phys", argument, args)).any_size(),
    set(0x06, "HIDIOCSFEATURE"),
    get(0x07, "HIDIOCGFEATURE"),
    Row::new(ior(b'H', 0x08, 0), "HIDIOCGRAWUNIQ", |argument, args| text("uniq", argument, args)).any_size(),
    set(0x09, "HIDIOCSINPUT"),
    get(0x0a, "HIDIOCGINPUT"),
    set(0x0b, "HIDIOCSOUTPUT"),
    get(0x0c, "HIDIOCGOUTPUT"),
    // Its argument is no pointer but zero.
    Row::by_value(iow(b'H', 0x0d, 4), "HIDIOCREVOKE", no_args),
];

/// A command that gives the device a report.
const fn set(number: u8, name: &'static str) -> Row {
    Row::new(iowr(b'H', number, 0), name, report_id).any_size().finish(|argument, command| {
        let size = Number::of(argument.command).size as usize;
        command.request = payload(argument.given, size);
    })
}

/// A command that asks the device for a report.
const fn get(number: u8, name: &'static str) -> Row {
    Row::new(iowr(b'H', number, 0), name, report_id).any_size().finish(|argument, command| {
        if let Ok(size) = usize::try_from(argument.result) {
            command.reply = Some(payload(argument.answered, size));
        }
    })
}

fn payload(bytes: &[u8], size: usize) -> Payload {
    Payload { captured: Bytes::copy_from_slice(bytes.get(..size).unwrap_or(bytes)), size: size as u64 }
}

fn report_id(argument: &Argument<'_>, args: &mut Args) {
    args.extend(argument.given.first().map(|id| ("report_id", Value::Int((*id).into()))));
}

/// A text as long as the call says, without the zero at its end.
fn text(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    let length = usize::try_from(argument.result).unwrap_or(0);
    let bytes = argument.answered.get(..length).unwrap_or(argument.answered);
    string(name, bytes, args);
}

/// What `HIDIOCGRDESC` answered.
fn descriptor(argument: &Argument<'_>) -> Option<Payload> {
    let size = u32_at(argument.answered, 0)?.min(u32::from(DESCRIPTOR_BYTES) - 4);
    Some(payload(argument.answered.get(4..)?, size as usize))
}

/// Whether a report descriptor numbers its reports: HID 1.11, section 6.2.2. `None` if too little of it is there to
/// tell.
fn numbers_reports(descriptor: &Payload) -> Option<bool> {
    const LONG: u8 = 0xfe;
    const REPORT_ID: u8 = 0x84;
    let mut rest = &descriptor.captured[..];
    while let [prefix, tail @ ..] = rest {
        if prefix & 0xfc == REPORT_ID {
            return Some(true);
        }
        let length = match (prefix, tail) {
            (&LONG, [length, ..]) => usize::from(*length) + 2,
            (&LONG, []) => return None,
            _ => [0, 1, 2, 4][usize::from(prefix & 3)],
        };
        rest = tail.get(length..).unwrap_or_default();
    }
    descriptor.is_whole().then_some(false)
}

/// One process' use of one device.
#[derive(Default)]
struct Reports {
    /// Whether its reports begin with a number; `None`: not known.
    numbered: Option<bool>,
    /// Of hiddev: whether reads bring references to usages.
    references: bool,
}

impl Session for Reports {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        if uhid::is_uhid(context.device) {
            return uhid::moved(call, context);
        }
        if hiddev::is_hiddev(context.device) {
            if !hiddev::moved(&call, self.references, context) {
                generic::moved(call, context);
            }
            return;
        }
        let first = call.payload.captured.first().map(|id| ("report_id", Value::Int((*id).into())));
        if call.direction == Direction::Outward {
            if let Some(mut command) = generic::moved_command(call, context) {
                command.args.extend(first);
                context.emit(command);
            }
            return;
        }
        if let Some(mut event) = unsolicited::event("input_report", call, context) {
            event.args.extend(first.filter(|_| self.numbered == Some(true)));
            context.emit(event);
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        if hiddev::is_hiddev(context.device) {
            if call.command == hiddev::SET_FLAG && call.error.is_none() {
                self.references = hiddev::references(call.argument().given).unwrap_or(self.references);
            }
            return generic::ioctl(call, hiddev::row(call.command, call.compat), context);
        }
        // A device that does not answer in time can make these fail with `EAGAIN`.
        let command = generic::ioctl_command(call, row, context);
        if command.name == "HIDIOCGRDESC"
            && let Some(descriptor) = &command.reply
        {
            self.numbered = numbers_reports(descriptor).or(self.numbered);
        }
        context.emit(command);
    }

    fn aborted(&mut self, call: &Aborted, context: &mut Context<'_>) {
        if hiddev::is_hiddev(context.device) {
            let row = hiddev::row(call.command, call.compat);
            return unsolicited::aborted(&Aborted { row, ..*call }, context);
        }
        unsolicited::aborted(call, context);
    }
}
