//! Names of `ioctl` commands, and of numbers inside their arguments, from the kernel's headers.
//!
//! The same number means different things on different devices, so a command is looked up in the headers that are about
//! the device's class or driver ([`sets`]), never by its letter alone. The tables are written by `cargo xtask codegen`.

// As `cargo xtask codegen` writes it.
#[rustfmt::skip]
mod generated;
mod sets;
mod table;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::iter::repeat;
use std::sync::LazyLock;

use generated::{input_codes, scsi_opcodes, v4l2_controls};
use sets::CLASSES;
use table::{Names, named};

/// The class of devices that are of no known one, `host::devices::describe`.
const UNKNOWN: &str = "other";

/// The name of `command` on a device of `class`, driven by `driver`; `None` if no header about them has it.
///
/// `drivers` are the kernel driver's name and the kind of node ([`node_kind`]), as far as they are known; the first that
/// has headers of its own counts. `compat` says that the program is a 32-bit one; where that is not known, say no: what
/// only 32-bit programs have is found all the same. On a device of no known class the command has a name if no two headers
/// disagree about it.
pub(crate) fn find(
    class: &str,
    drivers: &[Option<&str>],
    compat: bool,
    command: u32,
) -> Option<&'static str> {
    let class = CLASSES.iter().find(|known| known.name == class)?;
    let headers_of = |driver: &&str| {
        let is_for = |(drivers, _): &&(&[&str], _)| drivers.contains(driver);
        class.drivers.iter().find(is_for).map(|(_, headers)| *headers)
    };
    let own = drivers.iter().flatten().find_map(headers_of);
    if class.name == UNKNOWN && own.is_none() {
        return undisputed(compat, command);
    }
    let headers = || own.unwrap_or_default().iter().chain(class.common);
    headers()
        .find_map(|header| header.find(compat, command))
        .or_else(|| headers().filter(|_| class.by_number).find_map(|header| header.find_by_number(command)))
}

/// The name that every header which has this command gives it. Without a driver's letter a number says too little.
fn undisputed(compat: bool, command: u32) -> Option<&'static str> {
    /// Every number, whether for 32-bit programs, and its name unless headers disagree.
    static NUMBERS: LazyLock<HashMap<(u32, bool), Option<&'static str>>> = LazyLock::new(|| {
        let mut numbers = HashMap::new();
        for header in generated::ALL {
            let rows = [(header.wide, false), (header.narrow, true)];
            for ((number, name), narrow) in
                rows.into_iter().flat_map(|(rows, narrow)| rows.iter().zip(repeat(narrow)))
            {
                let known = numbers.entry((*number, narrow)).or_insert(Some(*name));
                *known = known.filter(|known| known == name);
            }
        }
        numbers
    });
    if command & 0xff00 == 0 {
        return None;
    }
    let [first, second] = [compat, !compat].map(|narrow| NUMBERS.get(&(command, narrow)));
    first.or(second).copied().unwrap_or_else(|| {
        let mut names = generated::ALL.iter().filter_map(|header| header.find_family(command));
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    })
}

/// What kind of node a path is, where the driver is not known: `/dev/loop0` is `loop`, `/dev/snd/pcmC0D0p` is `pcmC`,
/// `/dev/vfio/12` is `vfio`.
pub(crate) fn node_kind(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/dev/")?;
    let named = |part: &&str| part.starts_with(|c: char| !c.is_ascii_digit());
    let name = path.rsplit('/').find(named)?;
    // The one kind with a digit inside.
    let start = if name.starts_with("v4l") { "v4l".len() } else { 0 };
    let end = name[start..].find(|c: char| c.is_ascii_digit()).map_or(name.len(), |end| start + end);
    Some(name[..end].trim_end_matches(['-', ':', '_']))
}

/// The name of an input event's code, of the event's type `kind`: `KEY_A`, `ABS_X`; `include/uapi/linux/input.h`.
#[allow(dead_code, reason = "for decoders")]
pub(crate) fn input_code(kind: u16, code: u16) -> Option<&'static str> {
    let names: Names = match kind {
        0x00 => input_codes::SYNCHRONISATIONS,
        0x01 => input_codes::KEYS,
        0x02 => input_codes::RELATIVE,
        0x03 => input_codes::ABSOLUTE,
        0x04 => input_codes::MISCELLANEOUS,
        0x05 => input_codes::SWITCHES,
        0x11 => input_codes::LIGHTS,
        0x12 => input_codes::SOUNDS,
        0x14 => input_codes::REPEATS,
        0x15 => input_codes::FORCES,
        0x17 => input_codes::FORCE_STATES,
        _ => return None,
    };
    named(names, code.into())
}

/// The name of an input event's type: `EV_KEY`.
#[allow(dead_code, reason = "for decoders")]
pub(crate) fn input_type(kind: u16) -> Option<&'static str> {
    named(input_codes::TYPES, kind.into())
}

/// The name of a property of an input device (`EVIOCGPROP`): `INPUT_PROP_POINTER`.
pub(crate) fn input_property(property: u16) -> Option<&'static str> {
    named(input_codes::PROPERTIES, property.into())
}

/// The name of an input device's bus (`input_id.bustype`): `BUS_USB`.
pub(crate) fn input_bus(bus: u16) -> Option<&'static str> {
    named(input_codes::BUSES, bus.into())
}

/// The name of a video control's id: `V4L2_CID_BRIGHTNESS`.
#[allow(dead_code, reason = "for decoders")]
pub(crate) fn v4l2_control(id: u32) -> Option<&'static str> {
    named(v4l2_controls::CONTROLS, id)
}

/// The name of a SCSI command by the first byte of its command block: `READ_10`; what only disc drives have goes by
/// their name for it, `GPCMD_SET_SPEED`. The header is an old one: newer commands have no name in it.
#[allow(dead_code, reason = "for decoders")]
pub(crate) fn scsi_opcode(opcode: u8) -> Option<&'static str> {
    named(scsi_opcodes::SCSI, opcode.into()).or_else(|| named(scsi_opcodes::DISCS, opcode.into()))
}

/// How many numbers the tables have a name for, lengths left out.
#[cfg(test)]
fn count() -> usize {
    generated::ALL.iter().map(|header| header.wide.len()).sum()
}
