//! What the arguments of several classes hold: C strings, and who a device says it is.

use std::borrow::Cow;

use super::ioc::Args;
use super::names;
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

/// `BUS_*` without its beginning, in small letters: `usb`.
fn bus_name(number: u32) -> Cow<'static, str> {
    let name = u16::try_from(number).ok().and_then(names::input_bus);
    let name = name.map(|name| name.trim_start_matches("BUS_").to_ascii_lowercase());
    name.unwrap_or_else(|| format!("0x{number:02x}")).into()
}
