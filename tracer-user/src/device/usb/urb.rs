//! One transfer as `struct usbdevfs_urb` describes it, `include/uapi/linux/usbdevice_fs.h`: submitted with one `ioctl`,
//! reaped with another.

use std::sync::Arc;

use super::setup::{self, Setup};
use super::status;
use crate::device::buffer;
use crate::device::ioc::{Args, Argument, Nested, join, u32_at};
use crate::model::command::{Status, Value};
use crate::model::payload::Payload;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};

/// `USBDEVFS_URB_TYPE_ISO`.
const ISO: u8 = 0;
/// `USBDEVFS_URB_TYPE_CONTROL`.
const CONTROL: u8 = 2;
/// `USBDEVFS_URB_TYPE_BULK`.
const BULK: u8 = 3;

/// `USB_DIR_IN`: bit of an endpoint's address.
const IN: u8 = 0x80;

/// Layout of the structure: its size, where the buffer's pointer is, and how wide that is.
const fn layout(compat: bool) -> (u16, u16, u8) {
    if compat { (44, 12, 4) } else { (56, 16, 8) }
}

/// Type and endpoint are the first two bytes: transfers of this type, which way.
const fn transfers(kind: u8, inward: bool) -> Condition {
    let (mask, value) = (0x80ff, kind as u32 | if inward { 0x8000 } else { 0 });
    Condition { field: Field::u16(0), mask, low: value, high: value }
}

/// What goes out, and the setup packet of control transfers. Of these the data come behind the packet, whichever way
/// they go.
const fn submit(compat: bool) -> Recipe {
    let (bytes, pointer_at, pointer) = layout(compat);
    let (at, length) = ((pointer_at, pointer), Field::u32(pointer_at + pointer as u16));
    Recipe::PLAIN
        .sized(bytes, 0)
        .only(Condition::none(Field::u16(0), (IN as u32) << 8))
        .argument(bytes)
        .buffer(0, ENTRY, at, length, Condition::ALWAYS)
}

/// What comes in needs no more than the structure.
const fn submit_inward(compat: bool) -> Recipe {
    let (bytes, ..) = layout(compat);
    Recipe::PLAIN.sized(bytes, 0).argument(bytes)
}

/// `USBDEVFS_SUBMITURB`.
pub(super) static SUBMIT: Nested = Nested {
    native: submit(false),
    compat: submit(true),
    alternative: Some((submit_inward(false), submit_inward(true))),
};

/// The kernel writes the address of the structure that the program submitted, after it has filled in that structure
/// and its buffer. What isochronous transfers read lies scattered over the buffer; where, is behind the structure:
/// it is left.
const fn reap(compat: bool) -> Recipe {
    let (bytes, pointer_at, pointer) = layout(compat);
    let at = (pointer_at, pointer);
    let length = Field::u32(pointer_at + pointer as u16);
    let actual = Field::u32(pointer_at + pointer as u16 + 4);
    Recipe::PLAIN
        .sized(0, pointer as u16)
        .pointer(EXIT, (0, pointer), Field::known(1), bytes)
        .buffer(0, EXIT, at, actual, transfers(1, true))
        .buffer(1, EXIT, at, actual, transfers(BULK, true))
        // The setup packet too, of which `actual_length` does not know.
        .buffer(2, EXIT, at, length, transfers(CONTROL, false))
        .buffer(3, EXIT, at, length, transfers(CONTROL, true))
}

/// `USBDEVFS_REAPURB` and `USBDEVFS_REAPURBNDELAY`.
pub(super) static REAP: Nested = Nested { native: reap(false), compat: reap(true), alternative: None };

/// A `struct usbdevfs_urb`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urb {
    kind: u8,
    endpoint: u8,
    status: i32,
    flags: u32,
    length: u32,
    actual: u32,
    packets: u32,
    errors: u32,
}

impl Urb {
    /// Reads one; `None` if the bytes are too few.
    pub(super) fn read(bytes: &[u8], compat: bool) -> Option<Self> {
        let [kind, endpoint, ..] = *bytes else { return None };
        let (_, pointer_at, pointer) = layout(compat);
        let tail = usize::from(pointer_at) + usize::from(pointer);
        let at = |offset| u32_at(bytes, offset);
        Some(Self {
            kind,
            endpoint,
            status: at(4)?.cast_signed(),
            flags: at(8)?,
            length: at(tail)?,
            actual: at(tail + 4)?,
            packets: at(tail + 12)?,
            errors: at(tail + 16)?,
        })
    }

    pub(super) fn is_control(self) -> bool {
        self.kind == CONTROL
    }

    /// Whether the device sends, as far as the structure tells: with control transfers the setup packet decides.
    pub(super) fn reads(self, setup: Option<Setup>) -> bool {
        match setup {
            Some(setup) if self.is_control() => setup.reads(),
            _ => self.endpoint & IN != 0,
        }
    }

    /// What kind of transfer, by which endpoint: enough to recognise it.
    pub(super) fn name(self, args: &mut Args) {
        let kind = match self.kind {
            ISO => "iso",
            1 => "interrupt",
            CONTROL => "control",
            BULK => "bulk",
            _ => "unknown",
        };
        args.push(("type", Value::Text(kind.into())));
        args.push(("endpoint", Value::Int(self.endpoint.into())));
    }

    /// Adds everything that the program asked for.
    pub(super) fn describe(self, setup: Option<Setup>, args: &mut Args) {
        self.name(args);
        match setup {
            Some(setup) if self.is_control() => setup.describe(args),
            _ if self.is_control() => {
                let length = u64::from(self.length).saturating_sub(setup::BYTES as u64);
                args.push(("length", Value::Int(length.cast_signed())));
            }
            _ => {
                let direction = if self.reads(None) { "in" } else { "out" };
                args.push(("direction", Value::Text(direction.into())));
                args.push(("length", Value::Int(self.length.into())));
            }
        }
        if self.kind == ISO {
            args.push(("packets", Value::Int(self.packets.into())));
        } else if self.kind == BULK && self.packets != 0 {
            args.push(("stream", Value::Int(self.packets.into())));
        }
        if self.flags != 0 {
            args.push(("flags", Value::Texts(flag_names(self.flags))));
        }
    }

    /// Adds what came of it.
    pub(super) fn result(self, args: &mut Args) {
        args.push(("actual", Value::Int(self.actual.into())));
        if self.kind == ISO {
            args.push(("packet_errors", Value::Int(self.errors.into())));
        }
    }

    /// How it ended.
    pub(super) fn status(self) -> Status {
        match self.status {
            error if error < 0 => status::failed(error.unsigned_abs()),
            _ => Status::Ok,
        }
    }

    /// What the program gave: the data, without the setup packet.
    pub(super) fn request(self, setup: Option<Setup>, given: Option<&Payload>) -> Payload {
        if self.reads(setup) {
            return Payload::default();
        }
        let given = join([(given, self.length.into())]);
        if self.is_control() { buffer::split(&given, setup::BYTES).1 } else { given }
    }

    /// What the device sent, without the setup packet; `None` if it was not to send anything.
    pub(super) fn reply(self, setup: Option<Setup>, answered: Option<&Payload>) -> Option<Payload> {
        if !self.reads(setup) {
            return None;
        }
        let captured = answered.map(|payload| payload.captured.clone()).unwrap_or_default();
        let skip = if self.is_control() { captured.len().min(setup::BYTES) } else { 0 };
        let end = captured.len().min(skip.saturating_add(self.actual as usize));
        Some(Payload { captured: captured.slice(skip..end), size: self.actual.into() })
    }
}

/// The setup packet of a control transfer, if this is one and the packet was captured.
pub(super) fn setup_of(urb: Option<Urb>, buffer: Option<&Payload>) -> Option<Setup> {
    urb.filter(|urb| urb.is_control()).and_then(|_| Setup::read(&buffer?.captured))
}

/// The buffer that was captured when the transfer was reaped, whichever row of [`reap`] it was for.
pub(super) fn reaped_buffer<'a>(argument: &Argument<'a>) -> Option<&'a Payload> {
    (0..4).find_map(|buffer| argument.answered_buffer(0, buffer))
}

/// `USBDEVFS_URB_*` flags.
fn flag_names(flags: u32) -> Vec<Arc<str>> {
    const NAMES: &[(u32, &str)] = &[
        (0x01, "SHORT_NOT_OK"),
        (0x02, "ISO_ASAP"),
        (0x04, "BULK_CONTINUATION"),
        (0x20, "NO_FSBR"),
        (0x40, "ZERO_PACKET"),
        (0x80, "NO_INTERRUPT"),
    ];
    NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| (*name).into()).collect()
}
