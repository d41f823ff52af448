//! The setup packet of a control transfer: USB 2.0, section 9.3 and 9.4; names as in `include/uapi/linux/usb/ch9.h`.

use std::borrow::Cow;

use crate::device::ioc::{Args, u16_at};
use crate::model::command::Value;

/// Size of a setup packet.
pub(super) const BYTES: usize = 8;

/// What a control transfer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    /// `bmRequestType`: direction, kind, recipient.
    request_type: u8,
    /// `bRequest`.
    request: u8,
    /// `wValue`.
    value: u16,
    /// `wIndex`.
    index: u16,
    /// `wLength`: bytes of data at most.
    pub(super) length: u16,
}

impl Setup {
    /// Reads a setup packet from the front of `bytes`; `None` if they are too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [request_type, request, ..] = *bytes else { return None };
        let (value, index, length) = (u16_at(bytes, 2)?, u16_at(bytes, 4)?, u16_at(bytes, 6)?);
        Some(Self { request_type, request, value, index, length })
    }

    /// Whether the device sends the data. Without data there is no direction: the device is told.
    pub(super) fn reads(self) -> bool {
        self.request_type & 0x80 != 0 && self.length > 0
    }

    /// Adds what is asked, and of whom.
    pub(super) fn describe(self, args: &mut Args) {
        let Self { request_type, request, value, index, length } = self;
        let kind = ["standard", "class", "vendor", "reserved"][usize::from(request_type >> 5 & 3)];
        let recipient = match request_type & 0x1f {
            0 => "device",
            1 => "interface",
            2 => "endpoint",
            3 => "other",
            4 => "port",
            5 => "rpipe",
            _ => "reserved",
        };
        let name = if kind == "standard" { standard(request) } else { None };
        let shown = name.map_or_else(|| format!("0x{request:02x}").into(), Cow::Borrowed);
        args.push(("request", Value::Text(shown)));
        args.push(("request_type", Value::Int(request_type.into())));
        args.push(("direction", Value::Text(if self.reads() { "in" } else { "out" }.into())));
        args.push(("kind", Value::Text(kind.into())));
        args.push(("recipient", Value::Text(recipient.into())));
        args.push(("value", Value::Int(value.into())));
        args.push(("index", Value::Int(index.into())));
        args.push(("length", Value::Int(length.into())));
        if matches!(name, Some("GET_DESCRIPTOR" | "SET_DESCRIPTOR")) {
            let (descriptor, number) = (value >> 8, value & 0xff);
            let text = match descriptor_name(descriptor) {
                Some(name) if number == 0 => Cow::Borrowed(name),
                Some(name) => format!("{name} {number}").into(),
                None => format!("0x{descriptor:02x} {number}").into(),
            };
            args.push(("descriptor", Value::Text(text)));
        }
    }
}

/// `USB_REQ_*` of standard requests.
fn standard(request: u8) -> Option<&'static str> {
    Some(match request {
        0x00 => "GET_STATUS",
        0x01 => "CLEAR_FEATURE",
        0x03 => "SET_FEATURE",
        0x05 => "SET_ADDRESS",
        0x06 => "GET_DESCRIPTOR",
        0x07 => "SET_DESCRIPTOR",
        0x08 => "GET_CONFIGURATION",
        0x09 => "SET_CONFIGURATION",
        0x0a => "GET_INTERFACE",
        0x0b => "SET_INTERFACE",
        0x0c => "SYNCH_FRAME",
        0x30 => "SET_SEL",
        0x31 => "SET_ISOCH_DELAY",
        _ => return None,
    })
}

/// `USB_DT_*`, and those of HID (`include/linux/hid.h`), which is asked of interfaces in the same way.
fn descriptor_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x01 => "DEVICE",
        0x02 => "CONFIG",
        0x03 => "STRING",
        0x04 => "INTERFACE",
        0x05 => "ENDPOINT",
        0x06 => "DEVICE_QUALIFIER",
        0x07 => "OTHER_SPEED_CONFIG",
        0x08 => "INTERFACE_POWER",
        0x09 => "OTG",
        0x0a => "DEBUG",
        0x0b => "INTERFACE_ASSOCIATION",
        0x0f => "BOS",
        0x10 => "DEVICE_CAPABILITY",
        0x21 => "HID",
        0x22 => "REPORT",
        0x23 => "PHYSICAL",
        0x29 => "HUB",
        0x2a => "SS_HUB",
        0x30 => "SS_ENDPOINT_COMP",
        0x31 => "SSP_ISOC_ENDPOINT_COMP",
        _ => return None,
    })
}
