//! `/dev/uhid`: programs that are HID devices. `include/uapi/linux/uhid.h`, packed, the same for 32 and 64 bits but for
//! the obsolete `UHID_CREATE`.
//!
//! Every `write` is one command and every `read` one event, by the name of the `struct uhid_event`'s type:
//! `UHID_INPUT2` is a report that the device sends, `UHID_OUTPUT` one that somebody gives it. Reports and descriptors
//! are the payload.

use crate::device::class::{Context, Moved};
use crate::device::ioc::{Args, int_at, u16_at, u32_at};
use crate::device::words::{identity, string};
use crate::device::{generic, unsolicited};
use crate::model::command::{Device, Value};
use crate::model::errno;
use crate::model::net::Direction;
use crate::model::payload::Payload;
use std::borrow::Cow;

/// Major of all `misc` devices, `include/linux/miscdevice.h`. No hidraw device has it.
const MISC: u32 = 10;

/// Whether a device of this class is the node by which programs make devices.
pub(super) fn is_uhid(device: &Device) -> bool {
    device.number.major == MISC
}

/// An event was written or read.
pub(super) fn moved(call: Moved, context: &mut Context<'_>) {
    let payload = call.payload.clone();
    let (name, body, args) = event(&payload);
    if call.direction == Direction::Outward {
        if let Some(mut command) = generic::moved_command(call, context) {
            if let Some(name) = name {
                (command.name, command.request) = (name, body);
            }
            command.args.extend(args);
            context.emit(command);
        }
        return;
    }
    if let Some(mut event) = unsolicited::event("uhid_event", call, context) {
        if let Some(name) = name {
            (event.name, event.request) = (name, body);
        }
        event.args.extend(args);
        context.emit(event);
    }
}

/// Where the bytes behind the type begin.
const BODY: usize = 4;
/// `UHID_DATA_MAX`.
const DATA: usize = 4096;

/// Name, report or descriptor, and arguments of an event; no name if not even its type is there.
fn event(payload: &Payload) -> (Option<Cow<'static, str>>, Payload, Args) {
    let bytes = &payload.captured;
    let mut args = Args::new();
    let Some(kind) = u32_at(bytes, 0) else { return (None, Payload::default(), args) };
    let int = |offset| int_at(bytes, BODY + offset);
    let short = |offset| u16_at(bytes, BODY + offset);
    let byte = |offset: usize| bytes.get(BODY + offset).copied();
    // Bytes from an offset of which another field says how many there are. Where that was not captured, the whole field.
    let report = |offset: usize, size: Option<u16>| {
        let start = bytes.len().min(BODY + offset);
        let all = usize::try_from(payload.size).unwrap_or(usize::MAX).saturating_sub(BODY + offset);
        let size = size.map_or(all, usize::from).min(DATA);
        let end = bytes.len().min(start.saturating_add(size));
        Payload { captured: bytes.slice(start..end), size: size as u64 }
    };
    let mut body = Payload::default();
    let name = match kind {
        0 | 11 => {
            for (key, offset, length) in [("name", 0, 128), ("phys", 128, 64), ("uniq", 192, 64)] {
                let field = bytes.get(BODY + offset..).unwrap_or_default();
                string(key, field.get(..length).unwrap_or(field), &mut args);
            }
            if kind == 0 {
                // A pointer follows.
                "UHID_CREATE"
            } else {
                // Vendor and product have four bytes, of which HID uses two.
                identity(short(258).map(u32::from), short(260), short(264), &mut args);
                args.extend(int(268).map(|version| ("version", version)));
                body = report(276, short(256));
                "UHID_CREATE2"
            }
        }
        1 => "UHID_DESTROY",
        2 => {
            args.extend(u32_at(bytes, BODY).map(|flags| ("numbered", Value::Bool(flags & 7 != 0))));
            "UHID_START"
        }
        3 => "UHID_STOP",
        4 => "UHID_OPEN",
        5 => "UHID_CLOSE",
        6 => {
            report_kind(byte(DATA + 2), &mut args);
            body = report(0, short(DATA));
            "UHID_OUTPUT"
        }
        7 => "UHID_OUTPUT_EV",
        8 => {
            body = report(0, short(DATA));
            "UHID_INPUT"
        }
        9 => {
            request(int(0), byte(4), &mut args);
            report_kind(byte(5), &mut args);
            "UHID_GET_REPORT"
        }
        10 => {
            answer(int(0), short(4), &mut args);
            body = report(8, short(6));
            "UHID_GET_REPORT_REPLY"
        }
        12 => {
            body = report(2, short(0));
            "UHID_INPUT2"
        }
        13 => {
            request(int(0), byte(4), &mut args);
            report_kind(byte(5), &mut args);
            body = report(8, short(6));
            "UHID_SET_REPORT"
        }
        14 => {
            answer(int(0), short(4), &mut args);
            "UHID_SET_REPORT_REPLY"
        }
        _ => {
            args.push(("type", Value::Int(kind.into())));
            "uhid_event"
        }
    };
    (Some(name.into()), body, args)
}

/// What somebody asks the device: the number of the request, which report.
fn request(id: Option<Value>, report: Option<u8>, args: &mut Args) {
    args.extend(id.map(|id| ("request_id", id)));
    args.extend(report.map(|report| ("report_id", Value::Int(report.into()))));
}

/// What the device answers: the number of the request, an errno.
fn answer(id: Option<Value>, error: Option<u16>, args: &mut Args) {
    args.extend(id.map(|id| ("request_id", id)));
    if let Some(error @ 1..) = error {
        args.push(("refused", Value::Text(errno::name(error.into()))));
    }
}

/// `enum uhid_report_type`.
fn report_kind(kind: Option<u8>, args: &mut Args) {
    let name = match kind {
        Some(0) => "feature",
        Some(1) => "output",
        Some(2) => "input",
        _ => return,
    };
    args.push(("report_type", Value::Text(name.into())));
}
