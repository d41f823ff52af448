//! The commands of evdev (`E`), uinput (`U`) and joydev (`j`).

use super::event::{KEY, LED, SND, SW};
use super::{evdev, joystick, uinput};
use crate::device::class::Row;
use crate::device::ioc::{Args, Argument, Nested, int_at, io, ior, iow, iowr, no_args};
use crate::device::words::string;
use tracer_common::recipe::Recipe;

/// Bytes of the path that `UI_SET_PHYS` points to that are copied. Its length is where its zero is.
const PHYS: u16 = 64;

pub(super) static TABLE: &[Row] = &[
    Row::new(ior(b'E', 0x01, 4), "EVIOCGVERSION", evdev::version),
    Row::new(ior(b'E', 0x02, 8), "EVIOCGID", |argument, args| evdev::id(argument.answered, args)),
    Row::new(ior(b'E', 0x03, 8), "EVIOCGREP", evdev::repeat),
    Row::new(iow(b'E', 0x03, 8), "EVIOCSREP", evdev::repeat),
    Row::new(ior(b'E', 0x04, 8), "EVIOCGKEYCODE", evdev::keycode),
    Row::new(ior(b'E', 0x04, 40), "EVIOCGKEYCODE_V2", evdev::keymap),
    Row::new(iow(b'E', 0x04, 8), "EVIOCSKEYCODE", evdev::keycode),
    Row::new(iow(b'E', 0x04, 40), "EVIOCSKEYCODE_V2", evdev::keymap),
    sized(0x06, "EVIOCGNAME", |argument, args| evdev::text("name", argument, args)),
    sized(0x07, "EVIOCGPHYS", |argument, args| evdev::text("phys", argument, args)),
    sized(0x08, "EVIOCGUNIQ", |argument, args| evdev::text("uniq", argument, args)),
    sized(0x09, "EVIOCGPROP", evdev::properties),
    sized(0x0a, "EVIOCGMTSLOTS", evdev::slots),
    sized(0x18, "EVIOCGKEY", |argument, args| evdev::state(KEY, argument, args)),
    sized(0x19, "EVIOCGLED", |argument, args| evdev::state(LED, argument, args)),
    sized(0x1a, "EVIOCGSND", |argument, args| evdev::state(SND, argument, args)),
    sized(0x1b, "EVIOCGSW", |argument, args| evdev::state(SW, argument, args)),
    // One for each type, `EV_CNT`.
    sized(0x20, "EVIOCGBIT", evdev::capabilities).numbers(0x20),
    // One for each axis, `ABS_CNT`.
    Row::new(ior(b'E', 0x40, 24), "EVIOCGABS", evdev::get_axis).numbers(0x40),
    Row::new(iow(b'E', 0xc0, 24), "EVIOCSABS", evdev::set_axis).numbers(0x40),
    // The driver also writes the effect's number, which the command's number does not say.
    Row::new(iow(b'E', 0x80, 48), "EVIOCSFF", evdev::upload).compat(iow(b'E', 0x80, 44)).follow(&EFFECT),
    Row::by_value(iow(b'E', 0x81, 4), "EVIOCRMFF", |argument, args| evdev::value("id", argument, args)),
    Row::new(ior(b'E', 0x84, 4), "EVIOCGEFFECTS", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|count| ("count", count)));
    }),
    Row::by_value(iow(b'E', 0x90, 4), "EVIOCGRAB", evdev::grab),
    Row::by_value(iow(b'E', 0x91, 4), "EVIOCREVOKE", no_args),
    Row::new(ior(b'E', 0x92, 16), "EVIOCGMASK", evdev::masked).follow(&evdev::GET_MASK),
    Row::new(iow(b'E', 0x93, 16), "EVIOCSMASK", evdev::masked).follow(&evdev::SET_MASK),
    Row::new(iow(b'E', 0xa0, 4), "EVIOCSCLOCKID", evdev::clock),
    Row::new(io(b'U', 1), "UI_DEV_CREATE", no_args),
    Row::new(io(b'U', 2), "UI_DEV_DESTROY", no_args),
    Row::new(iow(b'U', 3, 92), "UI_DEV_SETUP", uinput::setup),
    Row::new(iow(b'U', 4, 28), "UI_ABS_SETUP", uinput::axis),
    Row::by_value(iow(b'U', 100, 4), "UI_SET_EVBIT", uinput::bit),
    Row::by_value(iow(b'U', 101, 4), "UI_SET_KEYBIT", uinput::bit),
    Row::by_value(iow(b'U', 102, 4), "UI_SET_RELBIT", uinput::bit),
    Row::by_value(iow(b'U', 103, 4), "UI_SET_ABSBIT", uinput::bit),
    Row::by_value(iow(b'U', 104, 4), "UI_SET_MSCBIT", uinput::bit),
    Row::by_value(iow(b'U', 105, 4), "UI_SET_LEDBIT", uinput::bit),
    Row::by_value(iow(b'U', 106, 4), "UI_SET_SNDBIT", uinput::bit),
    Row::by_value(iow(b'U', 107, 4), "UI_SET_FFBIT", uinput::bit),
    Row::legacy(iow(b'U', 108, 8), "UI_SET_PHYS", (PHYS, 0), |argument, args| {
        string("phys", argument.given, args);
    })
    .compat(iow(b'U', 108, 4)),
    Row::by_value(iow(b'U', 109, 4), "UI_SET_SWBIT", uinput::bit),
    Row::by_value(iow(b'U', 110, 4), "UI_SET_PROPBIT", uinput::bit),
    Row::new(iowr(b'U', 200, 104), "UI_BEGIN_FF_UPLOAD", uinput::upload).compat(iowr(b'U', 200, 96)),
    Row::new(iow(b'U', 201, 104), "UI_END_FF_UPLOAD", uinput::upload).compat(iow(b'U', 201, 96)),
    Row::new(iowr(b'U', 202, 12), "UI_BEGIN_FF_ERASE", uinput::erase),
    Row::new(iow(b'U', 203, 12), "UI_END_FF_ERASE", uinput::erase),
    Row::new(ior(b'U', 44, 0), "UI_GET_SYSNAME", |argument, args| string("name", argument.answered, args))
        .any_size(),
    Row::new(ior(b'U', 45, 4), "UI_GET_VERSION", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|version| ("version", version)));
    }),
    Row::new(ior(b'j', 0x01, 4), "JSIOCGVERSION", evdev::version),
    Row::new(ior(b'j', 0x11, 1), "JSIOCGAXES", joystick::count),
    Row::new(ior(b'j', 0x12, 1), "JSIOCGBUTTONS", joystick::count),
    Row::new(ior(b'j', 0x13, 0), "JSIOCGNAME", |argument, args| evdev::text("name", argument, args))
        .any_size(),
    Row::new(iow(b'j', 0x21, 36), "JSIOCSCORR", no_args),
    Row::new(ior(b'j', 0x22, 36), "JSIOCGCORR", no_args),
    Row::new(iow(b'j', 0x31, 64), "JSIOCSAXMAP", no_args),
    Row::new(ior(b'j', 0x32, 64), "JSIOCGAXMAP", no_args),
    Row::new(iow(b'j', 0x33, 1024), "JSIOCSBTNMAP", no_args),
    Row::new(ior(b'j', 0x34, 1024), "JSIOCGBTNMAP", no_args),
];

/// A command of evdev that answers as much as there is room for.
const fn sized(number: u8, name: &'static str, args: fn(&Argument<'_>, &mut Args)) -> Row {
    Row::new(ior(b'E', number, 0), name, args).any_size()
}

/// `struct ff_effect`.
static EFFECT: Nested =
    Nested { native: Recipe::PLAIN.sized(48, 4), compat: Recipe::PLAIN.sized(44, 4), alternative: None };
