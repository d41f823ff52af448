//! The older interfaces: `/dev/input/jsN` (`include/uapi/linux/joystick.h`, `Documentation/input/joydev/`) and
//! `/dev/input/mouseN` (PS/2 packets, `drivers/input/mousedev.c`).

use crate::device::class::{Context, Moved};
use crate::device::ioc::{Args, Argument, u16_at, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::payload::Payload;
use crate::model::time::Interval;

/// Size of a `struct js_event`: time in ms, value, type, number.
const EVENT: usize = 8;
/// `JS_EVENT_INIT`: how things are when the device is opened.
const INIT: u8 = 0x80;

/// Each event that a read brought. What was not captured comes out as one more, `input`.
pub(super) fn read(call: &Moved, context: &mut Context<'_>) {
    let at = Interval { start: call.at.end, end: call.at.end };
    let mut rest = call.payload.captured.clone();
    while let (Some(time), Some(value), Some(&[kind, number])) =
        (u32_at(&rest, 0), u16_at(&rest, 4), rest.get(6..EVENT).and_then(<[u8]>::first_chunk))
    {
        let name = match kind & !INIT {
            1 => "button",
            2 => "axis",
            _ => "input",
        };
        let mut event = context.command(name, at, call.tid, Status::Ok);
        event.unsolicited = true;
        event.request = Payload::whole(rest.split_to(EVENT));
        event.args.push(("number", Value::Int(number.into())));
        event.args.push(("value", Value::Int(value.cast_signed().into())));
        if kind & INIT != 0 {
            event.args.push(("initial", Value::Bool(true)));
        }
        event.args.push(("time_ms", Value::Int(time.into())));
        context.emit(event);
    }
    let seen = call.payload.captured.len() - rest.len();
    let size = call.payload.size.saturating_sub(seen as u64);
    if size > 0 {
        let mut event = context.command("input", at, call.tid, Status::Ok);
        event.unsolicited = true;
        event.request = Payload { captured: rest, size };
        context.emit(event);
    }
}

/// Adds what a PS/2 packet of a mouse says; that of a wheel has a fourth byte.
pub(super) fn mouse(event: &mut Command) {
    let bytes = &event.request.captured;
    if let (&[state, x, y, ..], 3 | 4) = (&bytes[..], event.request.size) {
        let axis = |low: u8, sign: u8| i64::from(low) - if state & sign != 0 { 256 } else { 0 };
        let wheel = bytes.get(3).map(|wheel| i64::from(wheel.cast_signed()));
        event.args.push(("buttons", Value::Int((state & 7).into())));
        event.args.push(("x", Value::Int(axis(x, 0x10))));
        event.args.push(("y", Value::Int(axis(y, 0x20))));
        event.args.extend(wheel.map(|wheel| ("wheel", Value::Int(wheel))));
    }
}

/// `JSIOCGAXES` and `JSIOCGBUTTONS`: how many there are.
pub(super) fn count(argument: &Argument<'_>, args: &mut Args) {
    args.extend(argument.answered.first().map(|count| ("count", Value::Int((*count).into()))));
}
