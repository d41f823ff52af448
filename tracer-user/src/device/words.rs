//! What the arguments of several classes hold: C strings, and who a device says it is.

use std::borrow::Cow;

use super::ioc::Args;
use crate::model::command::Value;

/// Adds the C string at the front of `bytes`, if there is one.
pub(crate) fn string(name: &'static str, bytes: &[u8], args: &mut Args) {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    if !text.is_empty() {
        args.push((name, Value::Text(String::from_utf8_lossy(text).into_owned().into())));
    }
}

/// Adds bus, vendor and product, as far as they are known; the latter two as people know them, in four digits.
pub(crate) fn identity(bus: Option<u32>, vendor: Option<u16>, product: Option<u16>, args: &mut Args) {
    args.extend(bus.map(|number| ("bus", Value::Text(bus_name(number)))));
    for (name, number) in [("vendor", vendor), ("product", product)] {
        args.extend(number.map(|number| (name, Value::Text(format!("{number:04x}").into()))));
    }
}

/// `BUS_*`, `include/uapi/linux/input.h`.
fn bus_name(number: u32) -> Cow<'static, str> {
    const NAMES: &[(u32, &str)] = &[
        (0x01, "pci"),
        (0x02, "isapnp"),
        (0x03, "usb"),
        (0x04, "hil"),
        (0x05, "bluetooth"),
        (0x06, "virtual"),
        (0x10, "isa"),
        (0x11, "i8042"),
        (0x12, "xtkbd"),
        (0x13, "rs232"),
        (0x14, "gameport"),
        (0x15, "parport"),
        (0x16, "amiga"),
        (0x17, "adb"),
        (0x18, "i2c"),
        (0x19, "host"),
        (0x1a, "gsc"),
        (0x1b, "atari"),
        (0x1c, "spi"),
        (0x1d, "rmi"),
        (0x1e, "cec"),
        (0x1f, "intel_ishtp"),
        (0x20, "amd_sfh"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("0x{number:02x}").into(), |(_, name)| Cow::Borrowed(*name))
}
