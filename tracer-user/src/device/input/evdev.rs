//! Arguments of evdev's commands, `include/uapi/linux/input.h`.

use std::borrow::Cow;
use std::sync::Arc;

use super::event::{self, code_name, type_name};
use crate::device::ioc::{Args, Argument, Nested, int_at, u16_at, u32_at};
use crate::device::names;
use crate::device::words::{identity, string};
use crate::model::command::Value;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};

/// Codes, slots or properties that are listed; all are counted. A keyboard has some hundred keys.
const LISTED: usize = 64;

fn int(name: &'static str, bytes: &[u8], offset: usize, args: &mut Args) {
    args.extend(int_at(bytes, offset).map(|value| (name, value)));
}

fn short(name: &'static str, bytes: &[u8], offset: usize, args: &mut Args) {
    args.extend(u16_at(bytes, offset).map(|value| (name, Value::Int(value.into()))));
}

/// The number of the command within those that it is one of.
fn number(argument: &Argument<'_>, first: u32) -> u16 {
    ((argument.command & 0xff).saturating_sub(first)) as u16
}

/// What was answered, as far as the call's result says that it was.
fn answered<'a>(argument: &Argument<'a>) -> &'a [u8] {
    let length = usize::try_from(argument.result).unwrap_or(0);
    argument.answered.get(..length).unwrap_or(argument.answered)
}

/// `EVIOCGVERSION`.
pub(super) fn version(argument: &Argument<'_>, args: &mut Args) {
    if let Some(version) = u32_at(argument.answered, 0) {
        let text = format!("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff);
        args.push(("version", Value::Text(text.into())));
    }
}

/// `struct input_id` at the front of `bytes`.
pub(super) fn id(bytes: &[u8], args: &mut Args) {
    identity(u16_at(bytes, 0).map(u32::from), u16_at(bytes, 2), u16_at(bytes, 4), args);
    short("version", bytes, 6, args);
}

/// `EVIOCGREP` and `EVIOCSREP`.
pub(super) fn repeat(argument: &Argument<'_>, args: &mut Args) {
    int("delay_ms", argument.given, 0, args);
    int("period_ms", argument.given, 4, args);
}

/// `EVIOCGKEYCODE` and `EVIOCSKEYCODE`.
pub(super) fn keycode(argument: &Argument<'_>, args: &mut Args) {
    int("scancode", argument.given, 0, args);
    key(u32_at(argument.given, 4), args);
}

/// The same with `struct input_keymap_entry`.
pub(super) fn keymap(argument: &Argument<'_>, args: &mut Args) {
    let bytes = argument.given;
    let Some([flags, length, ..]) = bytes.first_chunk::<8>() else { return };
    if flags & 1 != 0 {
        short("index", bytes, 2, args);
    }
    let scancode = bytes.get(8..).and_then(|code| code.get(..usize::from(*length).min(32)));
    if let Some(scancode @ [_, ..]) = scancode {
        let digits: String = scancode.iter().rev().map(|byte| format!("{byte:02x}")).collect();
        args.push(("scancode", Value::Text(digits.into())));
    }
    key(u32_at(bytes, 4), args);
}

fn key(code: Option<u32>, args: &mut Args) {
    if let Some(code) = code.and_then(|code| u16::try_from(code).ok()) {
        args.push(("key", Value::Text(code_name(event::KEY, code))));
    }
}

/// A text that is as long as the call says.
pub(super) fn text(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    string(name, answered(argument), args);
}

/// `EVIOCGPROP`.
pub(super) fn properties(argument: &Argument<'_>, args: &mut Args) {
    list("properties", set_bits(answered(argument)), args, |bit| match names::input_property(bit) {
        Some(name) => Cow::Borrowed(name.trim_start_matches("INPUT_PROP_")),
        None => format!("0x{bit:02x}").into(),
    });
}

/// `EVIOCGMTSLOTS`: a code, and its value for each finger.
pub(super) fn slots(argument: &Argument<'_>, args: &mut Args) {
    let code = u32_at(argument.given, 0).and_then(|code| u16::try_from(code).ok());
    args.extend(code.map(|code| ("code", Value::Text(code_name(event::ABS, code)))));
    let values = argument.answered.get(4..).unwrap_or_default().as_chunks::<4>().0.iter();
    let texts: Vec<Arc<str>> =
        values.take(LISTED).map(|value| i32::from_le_bytes(*value).to_string().into()).collect();
    if !texts.is_empty() {
        args.push(("values", Value::Texts(texts)));
    }
}

/// The codes of a type that are on: `EVIOCGKEY` and its kin.
pub(super) fn state(kind: u16, argument: &Argument<'_>, args: &mut Args) {
    codes(kind, answered(argument), args);
}

/// `EVIOCGBIT`: the codes of a type that the device has, or the types.
pub(super) fn capabilities(argument: &Argument<'_>, args: &mut Args) {
    match number(argument, 0x20) {
        0 => list("types", set_bits(answered(argument)), args, type_name),
        kind => {
            args.push(("type", Value::Text(type_name(kind))));
            codes(kind, answered(argument), args);
        }
    }
}

fn codes(kind: u16, bits: &[u8], args: &mut Args) {
    list("codes", set_bits(bits), args, |code| code_name(kind, code));
}

/// The numbers of the bits that are set. No type has more codes than 16 bits can say.
fn set_bits(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let bytes = bytes.iter().take(usize::from(u16::MAX) / 8);
    (0_u16..)
        .step_by(8)
        .zip(bytes)
        .flat_map(|(first, byte)| (0..8).filter(move |bit| byte >> bit & 1 != 0).map(move |bit| first + bit))
}

/// Adds names of numbers, and how many there are.
fn list(
    key: &'static str,
    numbers: impl Iterator<Item = u16>,
    args: &mut Args,
    name: impl Fn(u16) -> Cow<'static, str>,
) {
    let (mut listed, mut count) = (Vec::new(), 0);
    for number in numbers {
        if listed.len() < LISTED {
            listed.push(name(number).into());
        }
        count += 1;
    }
    args.push((key, Value::Texts(listed)));
    args.push(("count", Value::Int(count)));
}

/// `EVIOCGABS`.
pub(super) fn get_axis(argument: &Argument<'_>, args: &mut Args) {
    args.push(("code", Value::Text(code_name(event::ABS, number(argument, 0x40)))));
    absinfo(argument.answered, args);
}

/// `EVIOCSABS`.
pub(super) fn set_axis(argument: &Argument<'_>, args: &mut Args) {
    args.push(("code", Value::Text(code_name(event::ABS, number(argument, 0xc0)))));
    absinfo(argument.given, args);
}

/// `struct input_absinfo`.
pub(super) fn absinfo(bytes: &[u8], args: &mut Args) {
    for (index, name) in ["value", "minimum", "maximum", "fuzz", "flat", "resolution"].into_iter().enumerate()
    {
        int(name, bytes, index * 4, args);
    }
}

/// `EVIOCSFF`: the driver puts the effect's number in.
pub(super) fn upload(argument: &Argument<'_>, args: &mut Args) {
    effect(argument.given, args);
    if let Some(id) = u16_at(argument.answered, 2) {
        args.push(("id", Value::Int(id.cast_signed().into())));
    }
}

/// `struct ff_effect` without its number. It ends in a pointer, before which all layouts are the same.
pub(super) fn effect(bytes: &[u8], args: &mut Args) {
    let Some(kind) = u16_at(bytes, 0) else { return };
    const TYPES: &[&str] =
        &["RUMBLE", "PERIODIC", "CONSTANT", "SPRING", "FRICTION", "DAMPER", "INERTIA", "RAMP"];
    let name = TYPES.get(usize::from(kind).wrapping_sub(0x50)).copied();
    args.push(("effect", Value::Text(name.map_or_else(|| format!("0x{kind:02x}").into(), Cow::Borrowed))));
    short("direction", bytes, 4, args);
    short("button", bytes, 6, args);
    short("length_ms", bytes, 10, args);
    short("delay_ms", bytes, 12, args);
    let signed = |offset| u16_at(bytes, offset).map(|level| Value::Int(level.cast_signed().into()));
    match name {
        Some("RUMBLE") => {
            short("strong", bytes, 16, args);
            short("weak", bytes, 18, args);
        }
        Some("CONSTANT") => args.extend(signed(16).map(|level| ("level", level))),
        Some("RAMP") => {
            args.extend(signed(16).map(|level| ("start_level", level)));
            args.extend(signed(18).map(|level| ("end_level", level)));
        }
        Some("PERIODIC") => {
            const WAVES: &[&str] = &["SQUARE", "TRIANGLE", "SINE", "SAW_UP", "SAW_DOWN", "CUSTOM"];
            let wave = u16_at(bytes, 16).and_then(|wave| WAVES.get(usize::from(wave).wrapping_sub(0x58)));
            args.extend(wave.map(|wave| ("waveform", Value::Text((*wave).into()))));
            short("period_ms", bytes, 18, args);
            args.extend(signed(20).map(|magnitude| ("magnitude", magnitude)));
        }
        _ => {}
    }
}

/// A number for an argument.
pub(super) fn value(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    // The kernel takes an `int`.
    args.push((name, Value::Int((argument.value as i32).into())));
}

/// `EVIOCGRAB`.
pub(super) fn grab(argument: &Argument<'_>, args: &mut Args) {
    args.push(("grab", Value::Bool(argument.value != 0)));
}

/// `EVIOCSCLOCKID`.
pub(super) fn clock(argument: &Argument<'_>, args: &mut Args) {
    let name = match u32_at(argument.given, 0) {
        Some(0) => Cow::Borrowed("realtime"),
        Some(1) => "monotonic".into(),
        Some(7) => "boottime".into(),
        Some(other) => other.to_string().into(),
        None => return,
    };
    args.push(("clock", Value::Text(name)));
}

/// `struct input_mask`, the same for 32 and 64 bits: type, size, pointer to the bits.
const fn mask(when: u8) -> Nested {
    let recipe =
        Recipe::PLAIN.sized(16, 0).argument(16).buffer(0, when, (8, 8), Field::u32(4), Condition::ALWAYS);
    Nested { native: recipe, compat: recipe, alternative: None }
}

/// `EVIOCGMASK`.
pub(super) static GET_MASK: Nested = mask(EXIT);
/// `EVIOCSMASK`.
pub(super) static SET_MASK: Nested = mask(ENTRY);

/// `EVIOCGMASK` and `EVIOCSMASK`: which codes the program wants.
pub(super) fn masked(argument: &Argument<'_>, args: &mut Args) {
    let Some(kind) = u32_at(argument.given, 0).and_then(|kind| u16::try_from(kind).ok()) else { return };
    args.push(("type", Value::Text(type_name(kind))));
    if let Some(bits) = argument.given_buffer(0, 0) {
        if kind == event::SYN {
            list("types", set_bits(&bits.captured), args, type_name);
        } else {
            codes(kind, &bits.captured, args);
        }
    }
}
