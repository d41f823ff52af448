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

use generated::{input_codes, scsi_opcodes, v4l2_controls};
use sets::{SETS, Set};
use table::{Names, named};

/// Devices that no class is known for.
const UNKNOWN: &str = "other";

/// The name of `command` on a device of `class`, driven by `driver`; `None` if no header about them has it.
///
/// `driver` is the kernel driver's name or the kind of node ([`node_kind`]). `compat` says that the program is a 32-bit
/// one; where that is not known, say no: what only 32-bit programs have is found all the same. On a device of no known
/// class the command has a name if no two headers disagree about it.
pub(crate) fn find(class: &str, driver: Option<&str>, compat: bool, command: u32) -> Option<&'static str> {
    let is_for =
        |set: &&Set| set.class == class && driver.is_some_and(|driver| set.drivers.contains(&driver));
    let mut special = SETS.iter().filter(is_for).peekable();
    let is_unknown = class == UNKNOWN && special.peek().is_none();
    let common = SETS.iter().filter(|set| set.class == class && set.drivers.is_empty());
    if is_unknown {
        return undisputed(compat, command);
    }
    special.chain(common).flat_map(|set| set.headers).find_map(|header| header.find(compat, command)).or_else(
        || {
            let sets = SETS
                .iter()
                .filter(|set| set.by_number && (is_for(set) || set.class == class && set.drivers.is_empty()));
            sets.flat_map(|set| set.headers).find_map(|header| header.find_by_number(command))
        },
    )
}

/// The name that every header which has this command gives it. Without a driver's letter a number says too little.
fn undisputed(compat: bool, command: u32) -> Option<&'static str> {
    if command & 0xff00 == 0 {
        return None;
    }
    let mut names = generated::ALL.iter().filter_map(|header| header.find(compat, command));
    let first = names.next()?;
    names.all(|name| name == first).then_some(first)
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
#[allow(dead_code, reason = "for decoders")]
pub(crate) fn input_property(property: u16) -> Option<&'static str> {
    named(input_codes::PROPERTIES, property.into())
}

/// The name of an input device's bus (`input_id.bustype`): `BUS_USB`.
#[allow(dead_code, reason = "for decoders")]
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
