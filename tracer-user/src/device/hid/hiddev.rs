//! The older interface to HID devices, `/dev/usb/hiddevN`: `include/uapi/linux/hiddev.h`,
//! `Documentation/hid/hiddev.rst`. It speaks of usages (what a field means) where hidraw speaks of reports.
//!
//! Every `ioctl` is a command; each `struct hiddev_event` that is read is an event `usage`, with the usage's number (page
//! and id) and the value. Its commands have the letter of hidraw's and in part their numbers: the node tells.

use crate::device::class::{Context, Moved, Row};
use crate::device::events;
use crate::device::fields::{As, Fields, answered, fields, given};
use crate::device::ioc::{Args, Argument, io, ior, iow, iowr, no_args, u16_at, u32_at};
use crate::device::words::{identity, string};
use crate::model::command::Device;

/// Major of USB's own character devices, `include/linux/usb.h`. No hidraw device has it.
const USB: u32 = 180;

/// Whether a device of this class is such a node.
pub(super) fn is_hiddev(device: &Device) -> bool {
    device.number.major == USB
}

/// The row of a command.
pub(super) fn row(command: u32, compat: bool) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.matches(command, compat))
}

/// `struct hiddev_usage_ref`.
const USAGE: Fields<'_> = &[
    ("report_type", 0, As::Number),
    ("report_id", 4, As::Hex),
    ("field", 8, As::Number),
    ("index", 12, As::Number),
    ("usage", 16, As::Hex),
    ("value", 20, As::Int),
];
/// `struct hiddev_report_info`.
const REPORT: Fields<'_> =
    &[("report_type", 0, As::Number), ("report_id", 4, As::Hex), ("fields", 8, As::Number)];

pub(super) static TABLE: &[Row] = &[
    Row::new(ior(b'H', 0x01, 4), "HIDIOCGVERSION", |argument, args| {
        fields(argument.answered, &[("version", 0, As::Hex)], args);
    }),
    Row::new(io(b'H', 0x02), "HIDIOCAPPLICATION", no_args),
    Row::new(ior(b'H', 0x03, 28), "HIDIOCGDEVINFO", |argument, args| {
        let info = argument.answered;
        identity(u32_at(info, 0), u16_at(info, 16), u16_at(info, 18), args);
        fields(info, &[("applications", 24, As::Number)], args);
    }),
    Row::new(ior(b'H', 0x04, 260), "HIDIOCGSTRING", |argument, args| {
        answered("index", argument, args);
        string("text", argument.answered.get(4..).unwrap_or_default(), args);
    }),
    Row::new(io(b'H', 0x05), "HIDIOCINITREPORT", no_args),
    Row::new(ior(b'H', 0x06, 0), "HIDIOCGNAME", |argument, args| string("name", argument.answered, args))
        .any_size(),
    Row::new(iow(b'H', 0x07, 12), "HIDIOCGREPORT", |argument, args| fields(argument.given, REPORT, args)),
    Row::new(iow(b'H', 0x08, 12), "HIDIOCSREPORT", |argument, args| fields(argument.given, REPORT, args)),
    Row::new(iowr(b'H', 0x09, 12), "HIDIOCGREPORTINFO", |argument, args| later(argument, REPORT, args)),
    Row::new(iowr(b'H', 0x0a, 56), "HIDIOCGFIELDINFO", |argument, args| {
        const FIELD: Fields<'_> = &[
            ("report_type", 0, As::Number),
            ("report_id", 4, As::Hex),
            ("field", 8, As::Number),
            ("usages", 12, As::Number),
        ];
        later(argument, FIELD, args);
    }),
    Row::new(iowr(b'H', 0x0b, 24), "HIDIOCGUSAGE", |argument, args| later(argument, USAGE, args)),
    Row::new(iow(b'H', 0x0c, 24), "HIDIOCSUSAGE", |argument, args| fields(argument.given, USAGE, args)),
    Row::new(iowr(b'H', 0x0d, 24), "HIDIOCGUCODE", |argument, args| later(argument, USAGE, args)),
    Row::new(ior(b'H', 0x0e, 4), "HIDIOCGFLAG", |argument, args| answered("flags", argument, args)),
    Row::new(SET_FLAG, "HIDIOCSFLAG", |argument, args| given("flags", argument, args)),
    Row::new(iow(b'H', 0x10, 24), "HIDIOCGCOLLECTIONINDEX", |argument, args| {
        fields(argument.given, USAGE, args);
    }),
    Row::new(iowr(b'H', 0x11, 16), "HIDIOCGCOLLECTIONINFO", |argument, args| {
        later(argument, &[("index", 0, As::Number), ("usage", 8, As::Hex)], args);
    }),
    Row::new(ior(b'H', 0x12, 0), "HIDIOCGPHYS", |argument, args| string("phys", argument.answered, args))
        .any_size(),
    Row::new(iowr(b'H', 0x13, 4124), "HIDIOCGUSAGES", several),
    Row::new(iow(b'H', 0x14, 4124), "HIDIOCSUSAGES", several),
];

/// `HIDIOCSFLAG`.
pub(super) const SET_FLAG: u32 = iow(b'H', 0x0f, 4);
/// `HIDDEV_FLAG_UREF`: a read brings `struct hiddev_usage_ref`s.
const REFERENCES: u32 = 1;

/// What the driver made of the argument, else what the program gave.
fn later(argument: &Argument<'_>, of: Fields<'_>, args: &mut Args) {
    fields(if argument.answered.is_empty() { argument.given } else { argument.answered }, of, args);
}

/// `struct hiddev_usage_ref_multi`: which is the first, and how many.
fn several(argument: &Argument<'_>, args: &mut Args) {
    let first = USAGE.split_last().map_or(USAGE, |(_, first)| first);
    fields(argument.given, first, args);
    fields(argument.given, &[("count", 24, As::Number)], args);
}

/// Whether reads bring references from now on, after `HIDIOCSFLAG` with this argument.
pub(super) fn references(argument: &[u8]) -> Option<bool> {
    u32_at(argument, 0).map(|flags| flags & REFERENCES != 0)
}

/// Something was read or written.
pub(super) fn moved(call: &Moved, references: bool, context: &mut Context<'_>) -> bool {
    let size = if references { 24 } else { 8 };
    if events::count(call, size) == 0 {
        return false;
    }
    events::emit(call, size, context, |event| {
        let mut args = Args::new();
        if references {
            fields(event, USAGE, &mut args);
        } else {
            fields(event, &[("usage", 0, As::Hex), ("value", 4, As::Int)], &mut args);
        }
        ("usage".into(), args)
    });
    true
}
