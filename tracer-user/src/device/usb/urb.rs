//! One transfer as `struct usbdevfs_urb` describes it, `include/uapi/linux/usbdevice_fs.h`: submitted with one `ioctl`,
//! reaped with another.

use std::sync::Arc;

use super::setup::{self, Setup};
use super::status;
use crate::device::buffer;
use crate::device::ioc::{Args, Argument, Nested, join, u32_at};
use crate::model::command::{Status, Value};
use crate::model::errno;
use crate::model::payload::Payload;
use bytes::Bytes;
use tracer_common::recipe::{AT_MOST, BEHIND, Condition, ENTRY, EXIT, Field, Recipe};

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

/// Where the number of packets is.
const fn packets_at(compat: bool) -> u16 {
    let (_, pointer_at, pointer) = layout(compat);
    pointer_at + pointer as u16 + 12
}

/// The descriptors of the packets of an isochronous transfer, which lie behind the structure.
const fn packets(recipe: Recipe, when: u8, compat: bool) -> Recipe {
    let (bytes, ..) = layout(compat);
    let (index, count) = (PACKETS as usize, Field::u32(packets_at(compat)));
    recipe
        .buffer(index, when, (bytes, BEHIND), count, Condition::none(Field::u8(0), 0xff))
        .unit(index, Field::known(PACKET as u32))
}

/// What goes out, and the setup packet of control transfers. Of these the data come behind the packet, whichever way
/// they go.
const fn submit(compat: bool) -> Recipe {
    let (bytes, pointer_at, pointer) = layout(compat);
    let (at, length) = ((pointer_at, pointer), Field::u32(pointer_at + pointer as u16));
    let recipe = Recipe::PLAIN
        .sized(bytes, 0)
        .only(Condition::none(Field::u16(0), (IN as u32) << 8))
        .argument(bytes)
        .buffer(0, ENTRY, at, length, Condition::any(Field::u8(0), 0xff))
        // How long the data are is the sum of the packets' lengths, and nowhere else.
        .buffer(ISO_DATA as usize, ENTRY | AT_MOST, at, MOST, Condition::none(Field::u8(0), 0xff));
    packets(recipe, ENTRY, compat)
}

/// What comes in needs no more than the structure. What is behind it may wait until the call returns.
const fn submit_inward(compat: bool) -> Recipe {
    let (bytes, ..) = layout(compat);
    packets(Recipe::PLAIN.sized(bytes, 0).argument(bytes), EXIT, compat)
}

/// `USBDEVFS_SUBMITURB`.
pub(super) static SUBMIT: Nested = Nested {
    native: submit(false),
    compat: submit(true),
    alternative: Some((submit_inward(false), submit_inward(true))),
};

/// The kernel writes the address of the structure that the program submitted, after it has filled in that structure
/// and its buffer.
const fn reap(compat: bool) -> Recipe {
    let (bytes, pointer_at, pointer) = layout(compat);
    let at = (pointer_at, pointer);
    let length = Field::u32(pointer_at + pointer as u16);
    let actual = Field::u32(pointer_at + pointer as u16 + 4);
    // Type and endpoint are the first two bytes. Only interrupt (1) and bulk (3) have the lowest bit.
    const fn inward(mask: u32, value: u32) -> Condition {
        Condition { field: Field::u16(0), mask, low: value, high: value }
    }
    let recipe = Recipe::PLAIN
        .sized(0, pointer as u16)
        .pointer(EXIT, (0, pointer), Field::known(1), bytes)
        .buffer(0, EXIT, at, actual, inward(0x8001, 0x8001))
        // The setup packet too, of which `actual_length` does not know.
        .buffer(REAPED_CONTROL as usize, EXIT, at, length, inward(0xff, CONTROL as u32))
        .buffer(ISO_DATA as usize, EXIT | AT_MOST, at, MOST, inward(0x80ff, 0x8000));
    packets(recipe, EXIT, compat)
}

/// Buffers of the recipes, beside 0 for data.
const PACKETS: u8 = 1;
const ISO_DATA: u8 = 2;
const REAPED_CONTROL: u8 = 3;

/// Data of an isochronous transfer at most: the kernel takes no more at full speed, and nobody captures more.
const MOST: Field = Field::known(64 * 1024);

/// `USBDEVFS_REAPURB` and `USBDEVFS_REAPURBNDELAY`.
pub(super) static REAP: Nested = Nested { native: reap(false), compat: reap(true), alternative: None };

/// Size of a `struct usbdevfs_iso_packet_desc`.
const PACKET: usize = 12;
/// Packets of a transfer, `drivers/usb/core/devio.c`.
const MOST_PACKETS: usize = 128;
/// Packets that are listed.
const LISTED: usize = 64;

/// One packet of an isochronous transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    length: u32,
    actual: u32,
    status: i32,
}

impl Packet {
    /// The packets whose descriptors were captured behind the structure.
    pub(super) fn read(descriptors: Option<&Payload>) -> Vec<Self> {
        let all = descriptors.map_or(&[][..], |descriptors| &descriptors.captured[..]);
        let each = all.chunks_exact(PACKET).take(MOST_PACKETS).filter_map(|bytes| {
            let at = |offset| u32_at(bytes, offset);
            Some(Self { length: at(0)?, actual: at(4)?, status: at(8)?.cast_signed() })
        });
        each.collect()
    }

    /// What came of it: `192` of as many bytes, `100/192` of more, and how it failed.
    fn text(self) -> Arc<str> {
        let Self { length, actual, status } = self;
        let mut text = if actual == length { actual.to_string() } else { format!("{actual}/{length}") };
        if status != 0 {
            text.push(' ');
            text.push_str(&errno::name(status.unsigned_abs()));
        }
        text.into()
    }
}

/// The packets of a transfer as they were submitted or reaped.
pub(super) fn packets_of(urb: Option<Urb>, argument: &Argument<'_>, reaped: bool) -> Vec<Packet> {
    match urb {
        Some(urb) if urb.kind == ISO => Packet::read(match reaped {
            true => argument.answered_buffer(0, PACKETS),
            false => argument.given_buffer(0, PACKETS),
        }),
        _ => Vec::new(),
    }
}

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
    pub(super) fn describe(self, setup: Option<Setup>, packets: &[Packet], args: &mut Args) {
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
                args.push(("length", Value::Int(self.asked(packets).cast_signed())));
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

    /// Bytes that it was to move. Of isochronous transfers that is the sum of the packets' lengths: the kernel does not
    /// look at that of the buffer.
    fn asked(self, packets: &[Packet]) -> u64 {
        match packets {
            [] => self.length.into(),
            _ => packets.iter().map(|packet| u64::from(packet.length)).sum(),
        }
    }

    /// Adds what came of it.
    pub(super) fn result(self, packets: &[Packet], args: &mut Args) {
        args.push(("actual", Value::Int(self.actual.into())));
        if self.kind == ISO {
            args.push(("packet_errors", Value::Int(self.errors.into())));
            if !packets.is_empty() {
                let listed = packets.iter().take(LISTED).map(|packet| packet.text());
                args.push(("packet_results", Value::Texts(listed.collect())));
            }
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
    pub(super) fn request(
        self,
        setup: Option<Setup>,
        packets: &[Packet],
        given: Option<&Payload>,
    ) -> Payload {
        if self.reads(setup) {
            return Payload::default();
        }
        let given = join([(given, self.asked(packets))]);
        if self.is_control() { buffer::split(&given, setup::BYTES).1 } else { given }
    }

    /// What the device sent, without the setup packet; `None` if it was not to send anything.
    pub(super) fn reply(
        self,
        setup: Option<Setup>,
        packets: &[Packet],
        answered: Option<&Payload>,
    ) -> Option<Payload> {
        if !self.reads(setup) {
            return None;
        }
        let captured = answered.map(|payload| payload.captured.clone()).unwrap_or_default();
        if self.kind == ISO {
            return Some(self.scattered(packets, &captured));
        }
        let skip = if self.is_control() { captured.len().min(setup::BYTES) } else { 0 };
        let end = captured.len().min(skip.saturating_add(self.actual as usize));
        Some(Payload { captured: captured.slice(skip..end), size: self.actual.into() })
    }

    /// What isochronous packets brought: each has its place in the buffer, however little of it was filled.
    fn scattered(self, packets: &[Packet], buffer: &Bytes) -> Payload {
        let mut at = 0_usize;
        let pieces: Vec<(Payload, u64)> = packets
            .iter()
            .map(|packet| {
                let filled = packet.actual.min(packet.length);
                let start = at.min(buffer.len());
                let end = start.saturating_add(filled as usize).min(buffer.len());
                at = at.saturating_add(packet.length as usize);
                (Payload::whole(buffer.slice(start..end)), filled.into())
            })
            .collect();
        match packets {
            [] => Payload { captured: Bytes::new(), size: self.actual.into() },
            _ => join(pieces.iter().map(|(piece, length)| (Some(piece), *length))),
        }
    }
}

/// The setup packet of a control transfer, if this is one and the packet was captured.
pub(super) fn setup_of(urb: Option<Urb>, buffer: Option<&Payload>) -> Option<Setup> {
    urb.filter(|urb| urb.is_control()).and_then(|_| Setup::read(&buffer?.captured))
}

/// The data that were captured when the transfer was submitted.
pub(super) fn submitted_data<'a>(urb: Option<Urb>, argument: &Argument<'a>) -> Option<&'a Payload> {
    argument.given_buffer(0, if urb.is_some_and(|urb| urb.kind == ISO) { ISO_DATA } else { 0 })
}

/// The buffer that was captured when the transfer was reaped, whichever row of [`reap`] it was for.
pub(super) fn reaped_buffer<'a>(argument: &Argument<'a>) -> Option<&'a Payload> {
    [0, REAPED_CONTROL, ISO_DATA].into_iter().find_map(|buffer| argument.answered_buffer(0, buffer))
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
