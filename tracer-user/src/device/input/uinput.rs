//! Arguments of uinput's commands, `include/uapi/linux/uinput.h`.

use super::evdev::{absinfo, effect, id};
use super::event::{ABS, FF, KEY, LED, MSC, SND, SW, code_name, type_name};
use crate::device::ioc::{Args, Argument, int_at, u16_at};
use crate::device::words::string;
use crate::model::command::Value;
use crate::model::payload::Payload;
use std::borrow::Cow;

/// `UINPUT_MAX_NAME_SIZE`.
const NAME: usize = 80;

/// The name in a field of [`NAME`] bytes.
fn name(bytes: &[u8], offset: usize, args: &mut Args) {
    let bytes = bytes.get(offset..).unwrap_or_default();
    string("name", bytes.get(..NAME).unwrap_or(bytes), args);
}

fn number(key: &'static str, bytes: &[u8], offset: usize, args: &mut Args) {
    args.extend(int_at(bytes, offset).map(|number| (key, number)));
}

/// `UI_DEV_SETUP`: `struct uinput_setup`.
pub(super) fn setup(argument: &Argument<'_>, args: &mut Args) {
    name(argument.given, 8, args);
    id(argument.given, args);
    number("ff_effects_max", argument.given, 88, args);
}

/// Whether a `write` is the older way to set a device up: `struct uinput_user_dev`, which is as long as no number of
/// events.
pub(super) fn is_setup(payload: &Payload) -> bool {
    payload.size == 1116
}

/// `struct uinput_user_dev`.
pub(super) fn old_setup(payload: &Payload, args: &mut Args) {
    name(&payload.captured, 0, args);
    id(payload.captured.get(NAME..).unwrap_or_default(), args);
    number("ff_effects_max", &payload.captured, 88, args);
}

/// `UI_ABS_SETUP`: `struct uinput_abs_setup`.
pub(super) fn axis(argument: &Argument<'_>, args: &mut Args) {
    if let Some(code) = u16_at(argument.given, 0) {
        args.push(("code", Value::Text(code_name(ABS, code))));
        absinfo(argument.given.get(4..).unwrap_or_default(), args);
    }
}

/// `UI_SET_EVBIT` to `UI_SET_PROPBIT`: what the device shall have. The argument is the number itself.
pub(super) fn bit(argument: &Argument<'_>, args: &mut Args) {
    let code = argument.value as u16;
    let name = |kind| code_name(kind, code);
    let name = match argument.command & 0xff {
        100 => type_name(code),
        101 => name(KEY),
        102 => name(super::event::REL),
        103 => name(ABS),
        104 => name(MSC),
        105 => name(LED),
        106 => name(SND),
        107 => name(FF),
        109 => name(SW),
        _ => Cow::Owned(format!("0x{code:02x}")),
    };
    args.push(("code", Value::Text(name)));
}

/// `UI_BEGIN_FF_UPLOAD` and `UI_END_FF_UPLOAD`: request, result, effect. What the kernel puts in is the effect.
pub(super) fn upload(argument: &Argument<'_>, args: &mut Args) {
    let bytes = if argument.answered.is_empty() { argument.given } else { argument.answered };
    number("request_id", bytes, 0, args);
    number("result", bytes, 4, args);
    let effect_bytes = bytes.get(8..).unwrap_or_default();
    effect(effect_bytes, args);
    args.extend(u16_at(effect_bytes, 2).map(|id| ("id", Value::Int(id.cast_signed().into()))));
}

/// `UI_BEGIN_FF_ERASE` and `UI_END_FF_ERASE`: request, result, number of the effect.
pub(super) fn erase(argument: &Argument<'_>, args: &mut Args) {
    let bytes = if argument.answered.is_empty() { argument.given } else { argument.answered };
    number("request_id", bytes, 0, args);
    number("result", bytes, 4, args);
    number("id", bytes, 8, args);
}
