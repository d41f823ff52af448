//! Commands of V4L2. 32-bit programs have other numbers where a structure holds pointers, `long`s or 64-bit numbers.

use std::borrow::Cow;

use super::buffers::{Buffer, ERROR};
use crate::device::fields::{As, Fields, answered, byte_at, fields, given, number_at};
use crate::device::ioc::{Args, Argument, Nested, Row, int_at, ior, iow, iowr, join, no_args, u32_at};
use crate::device::names;
use crate::model::command::{Command, Status, Value};
use tracer_common::recipe::{Condition, ELEMENTS, ENTRY, EXIT, Field, Recipe};

pub(super) const QBUF: u8 = 15;
pub(super) const DQBUF: u8 = 17;
pub(super) const STREAMOFF: u8 = 19;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE` and `…_OUTPUT_MPLANE`.
const PLANES: Condition = Condition::between(Field::u32(4), 9, 10);

/// `struct v4l2_buffer` points to `struct v4l2_plane`s, if it has several.
static BUFFER: Nested = Nested {
    native: Recipe::PLAIN.pointer(ENTRY | EXIT, (64, 8), Field::u32(72), 64).elements_if(PLANES),
    compat: compat_planes(52).only(OLD_TIME),
    alternative: Some((Recipe::PLAIN, compat_planes(if cfg!(target_arch = "aarch64") { 64 } else { 60 }))),
};

/// The planes of 32-bit programs: a pointer, behind it their number.
const fn compat_planes(pointer: u16) -> Recipe {
    Recipe::PLAIN.pointer(ENTRY | EXIT, (pointer, 4), Field::u32(pointer + 4), 60).elements_if(PLANES)
}

/// Programs with 32-bit time have the pointer where those with 64-bit time have the number of the frame, or (arm) a part of
/// the time code. No memory lies as low as `vm.mmap_min_addr` usually is.
const OLD_TIME: Condition = Condition::between(Field::u32(52), 0x1_0000, u32::MAX);

/// `struct v4l2_ext_controls` points to `struct v4l2_ext_control`s, and those that have a size to texts, arrays and
/// structures.
const fn values(when: u8) -> Nested {
    const fn recipe(when: u8, pointer_at: u16, pointer: u8) -> Recipe {
        let sized = Condition::between(Field::u32(4), 1, u32::MAX);
        Recipe::PLAIN.pointer(ENTRY | EXIT, (pointer_at, pointer), Field::u32(4), 20).buffer(
            0,
            when,
            (12, pointer),
            Field::u32(4),
            sized,
        )
    }
    Nested { native: recipe(when, 24, 8), compat: recipe(when, 20, 4), alternative: None }
}

static GIVEN_VALUES: Nested = values(ENTRY);
static ANSWERED_VALUES: Nested = values(EXIT);

const fn buffer(number: u8, name: &'static str) -> Row {
    Row::new(iowr(b'V', number, 88), name, no_args)
        .compat(iowr(b'V', number, 68))
        .any_size()
        .follow(&BUFFER)
        .finish(one_buffer)
}

const fn format(number: u8, name: &'static str) -> Row {
    Row::new(iowr(b'V', number, 208), name, picture).compat(iowr(b'V', number, 204))
}

const fn controls(number: u8, nested: &'static Nested, name: &'static str) -> Row {
    Row::new(iowr(b'V', number, 32), name, several_controls)
        .compat(iowr(b'V', number, 24))
        .follow(nested)
        .finish(payloads)
}

pub(super) static TABLE: &[Row] = &[
    Row::new(ior(b'V', 0, 104), "VIDIOC_QUERYCAP", |argument, args| {
        const CAPABILITY: Fields<'_> =
            &[("driver", 0, As::Text(16)), ("card", 16, As::Text(32)), ("bus", 48, As::Text(32))];
        fields(argument.answered, CAPABILITY, args);
        args.extend(hex("capabilities", argument.answered, 84));
    }),
    Row::new(iowr(b'V', 2, 64), "VIDIOC_ENUM_FMT", |argument, args| {
        args.extend(number("index", argument.given, 0));
        args.extend(number("type", argument.given, 4));
        args.extend(four_letters("pixel_format", argument.answered, 44));
    }),
    format(4, "VIDIOC_G_FMT"),
    format(5, "VIDIOC_S_FMT"),
    Row::new(iowr(b'V', 8, 20), "VIDIOC_REQBUFS", |argument, args| {
        args.extend(number("buffers", argument.given, 0));
        args.extend(number("type", argument.given, 4));
        args.extend(number("memory", argument.given, 8));
        args.extend(number("granted", argument.answered, 0));
    }),
    buffer(9, "VIDIOC_QUERYBUF"),
    Row::new(iow(b'V', 14, 4), "VIDIOC_OVERLAY", |argument, args| given("on", argument, args)),
    buffer(QBUF, "VIDIOC_QBUF"),
    Row::new(iowr(b'V', 16, 64), "VIDIOC_EXPBUF", |argument, args| {
        args.extend(number("type", argument.given, 0));
        args.extend(number("index", argument.given, 4));
    }),
    buffer(DQBUF, "VIDIOC_DQBUF"),
    Row::new(iow(b'V', 18, 4), "VIDIOC_STREAMON", |argument, args| given("type", argument, args)),
    Row::new(iow(b'V', STREAMOFF, 4), "VIDIOC_STREAMOFF", |argument, args| given("type", argument, args)),
    Row::new(iowr(b'V', 21, 204), "VIDIOC_G_PARM", interval),
    Row::new(iowr(b'V', 22, 204), "VIDIOC_S_PARM", interval),
    Row::new(iowr(b'V', 27, 8), "VIDIOC_G_CTRL", |argument, args| {
        args.extend(control(argument.given));
        args.extend(int_at(argument.answered, 4).map(|value| ("value", value)));
    }),
    Row::new(iowr(b'V', 28, 8), "VIDIOC_S_CTRL", |argument, args| {
        args.extend(control(argument.given));
        args.extend(int_at(argument.given, 4).map(|value| ("value", value)));
    }),
    Row::new(iowr(b'V', 36, 68), "VIDIOC_QUERYCTRL", query_control),
    Row::new(iowr(b'V', 37, 44), "VIDIOC_QUERYMENU", |argument, args| {
        args.extend(control(argument.given));
        args.extend(number("index", argument.given, 4));
    }),
    Row::new(ior(b'V', 38, 4), "VIDIOC_G_INPUT", |argument, args| answered("input", argument, args)),
    Row::new(iowr(b'V', 39, 4), "VIDIOC_S_INPUT", |argument, args| given("input", argument, args)),
    Row::new(ior(b'V', 46, 4), "VIDIOC_G_OUTPUT", |argument, args| answered("output", argument, args)),
    Row::new(iowr(b'V', 47, 4), "VIDIOC_S_OUTPUT", |argument, args| given("output", argument, args)),
    Row::new(iowr(b'V', 56, 44), "VIDIOC_G_FREQUENCY", |argument, args| {
        args.extend(number("frequency", argument.answered, 8));
    }),
    Row::new(iow(b'V', 57, 44), "VIDIOC_S_FREQUENCY", |argument, args| {
        args.extend(number("frequency", argument.given, 8));
    }),
    format(64, "VIDIOC_TRY_FMT"),
    controls(71, &ANSWERED_VALUES, "VIDIOC_G_EXT_CTRLS"),
    controls(72, &GIVEN_VALUES, "VIDIOC_S_EXT_CTRLS"),
    controls(73, &GIVEN_VALUES, "VIDIOC_TRY_EXT_CTRLS"),
    Row::new(iowr(b'V', 74, 44), "VIDIOC_ENUM_FRAMESIZES", |argument, args| {
        args.extend(number("index", argument.given, 0));
        args.extend(four_letters("pixel_format", argument.given, 4));
    }),
    Row::new(iowr(b'V', 75, 52), "VIDIOC_ENUM_FRAMEINTERVALS", |argument, args| {
        args.extend(number("index", argument.given, 0));
        args.extend(four_letters("pixel_format", argument.given, 4));
        args.extend(number("width", argument.given, 8));
        args.extend(number("height", argument.given, 12));
    }),
    Row::new(ior(b'V', 89, 136), "VIDIOC_DQEVENT", |argument, args| {
        args.extend(number("type", argument.answered, 0));
    })
    .compat(ior(b'V', 89, 120))
    .any_size(),
    Row::new(iow(b'V', 90, 32), "VIDIOC_SUBSCRIBE_EVENT", |argument, args| given("type", argument, args)),
    Row::new(iow(b'V', 91, 32), "VIDIOC_UNSUBSCRIBE_EVENT", |argument, args| given("type", argument, args)),
    Row::new(iowr(b'V', 92, 256), "VIDIOC_CREATE_BUFS", |argument, args| {
        args.extend(number("buffers", argument.given, 4));
        args.extend(number("memory", argument.given, 8));
    })
    .compat(iowr(b'V', 92, 248)),
    buffer(93, "VIDIOC_PREPARE_BUF"),
    Row::new(iowr(b'V', 94, 64), "VIDIOC_G_SELECTION", |argument, args| {
        selection(argument.given, argument.answered, args);
    }),
    Row::new(iowr(b'V', 95, 64), "VIDIOC_S_SELECTION", |argument, args| {
        selection(argument.given, argument.given, args);
    }),
    Row::new(iowr(b'V', 103, 232), "VIDIOC_QUERY_EXT_CTRL", query_control),
];

fn number(name: &'static str, bytes: &[u8], at: usize) -> Option<(&'static str, Value)> {
    number_at(bytes, at).map(|number| (name, number))
}

fn hex(name: &'static str, bytes: &[u8], at: usize) -> Option<(&'static str, Value)> {
    u32_at(bytes, at).map(|number| (name, Value::Text(format!("0x{number:08x}").into())))
}

/// A control's id, by name if it has one.
fn control_name(id: u32) -> Cow<'static, str> {
    names::v4l2_control(id).map_or_else(|| format!("0x{id:08x}").into(), Cow::Borrowed)
}

fn control(bytes: &[u8]) -> Option<(&'static str, Value)> {
    u32_at(bytes, 0).map(|id| ("control", Value::Text(control_name(id))))
}

/// A format's code: four letters, or a number where they are none.
fn four_letters(name: &'static str, bytes: &[u8], at: usize) -> Option<(&'static str, Value)> {
    let letters = bytes.get(at..)?.first_chunk::<4>()?;
    // The highest bit says big endian.
    let plain = [letters[0], letters[1], letters[2], letters[3] & 0x7f];
    let code = match plain.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        true => String::from_utf8_lossy(&plain).trim_end().to_owned(),
        false => format!("0x{:08x}", u32::from_le_bytes(*letters)),
    };
    Some((name, Value::Text(code.into())))
}

/// `struct v4l2_format`: the pixel formats, with one plane or several, begin alike. What the driver made of it.
fn picture(argument: &Argument<'_>, args: &mut Args) {
    let bytes = if argument.answered.is_empty() { argument.given } else { argument.answered };
    let Some(kind) = u32_at(bytes, 0) else { return };
    args.push(("type", Value::Int(kind.into())));
    // Video capture and output, and the same with planes.
    if matches!(kind, 1 | 2 | 9 | 10) {
        let at = if argument.compat { 4 } else { 8 };
        args.extend(number("width", bytes, at));
        args.extend(number("height", bytes, at + 4));
        args.extend(four_letters("pixel_format", bytes, at + 8));
        if matches!(kind, 9 | 10) {
            // `v4l2_pix_format_mplane.num_planes`.
            args.extend(byte_at(bytes, at + 180).map(|planes| ("planes", planes)));
        }
    }
}

/// `struct v4l2_streamparm`: time per frame.
fn interval(argument: &Argument<'_>, args: &mut Args) {
    args.extend(number("type", argument.given, 0));
    let bytes = if argument.answered.is_empty() { argument.given } else { argument.answered };
    if let (Some(numerator), Some(denominator)) = (u32_at(bytes, 12), u32_at(bytes, 16)) {
        args.push(("time_per_frame", Value::Text(format!("{numerator}/{denominator} s").into())));
    }
}

/// `V4L2_CTRL_FLAG_NEXT_CTRL` and `V4L2_CTRL_FLAG_NEXT_COMPOUND`: the control after the one that is named.
const NEXT: u32 = 0xc000_0000;

/// `struct v4l2_queryctrl` and `v4l2_query_ext_ctrl`: the control that was found, which is another one than the one that was
/// named if the one after it was asked for.
fn query_control(argument: &Argument<'_>, args: &mut Args) {
    let after = u32_at(argument.given, 0).filter(|id| id & NEXT != 0);
    if after.is_none() || !argument.answered.is_empty() {
        let id = if argument.answered.is_empty() { argument.given } else { argument.answered };
        args.extend(control(id));
    }
    args.extend(after.map(|id| ("after", Value::Text(control_name(id & !NEXT)))));
    fields(argument.answered, &[("name", 8, As::Text(32))], args);
}

/// `struct v4l2_selection`: target of the request, rectangle.
fn selection(request: &[u8], rectangle: &[u8], args: &mut Args) {
    args.extend(number("target", request, 4));
    let sides = ["left", "top", "width", "height"].into_iter().enumerate();
    args.extend(sides.filter_map(|(index, side)| Some((side, int_at(rectangle, 12 + 4 * index)?))));
}

/// Controls of one call that are listed.
const LISTED: usize = 16;

/// `struct v4l2_ext_control`: id, size, value or pointer.
fn several_controls(argument: &Argument<'_>, args: &mut Args) {
    args.extend(number("controls", argument.given, 4));
    let element = |index| argument.answered_element(index).or_else(|| argument.given_element(index));
    let listed = (0..LISTED).map_while(element).filter_map(|control| {
        let (id, size) = (u32_at(control, 0)?, u32_at(control, 4)?);
        let name = control_name(id);
        Some(match (size, u32_at(control, 12)) {
            (0, Some(value)) => format!("{name}={}", value.cast_signed()).into(),
            _ => format!("{name} {size} B").into(),
        })
    });
    args.push(("values", Value::Texts(listed.collect())));
    if u32_at(argument.given, 0) == Some(OF_REQUEST) {
        args.extend(int_at(argument.given, 12).map(|fd| ("request_fd", fd)));
    }
}

/// `V4L2_CTRL_WHICH_REQUEST_VAL`.
const OF_REQUEST: u32 = 0x0f01_0000;

/// What controls with a size hold, in their order: request of what is set, reply of what is asked for.
fn payloads(argument: &Argument<'_>, command: &mut Command) {
    let reads = argument.command as u8 == 71;
    if reads && argument.result < 0 {
        return;
    }
    let each = (0..ELEMENTS as usize).map_while(|index| {
        let element = match reads {
            true => argument.answered_element(index)?,
            false => argument.given_element(index)?,
        };
        let found = match reads {
            true => argument.answered_buffer(index, 0),
            false => argument.given_buffer(index, 0),
        };
        Some((found, u64::from(u32_at(element, 4)?)))
    });
    let payload = join(each);
    match reads {
        _ if payload.size == 0 => {}
        true => command.reply = Some(payload),
        false => command.request = payload,
    }
}

fn one_buffer(argument: &Argument<'_>, command: &mut Command) {
    let bytes = if argument.answered.is_empty() { argument.given } else { argument.answered };
    let Some(buffer) = Buffer::read(bytes, argument) else { return };
    command.args.push(("type", Value::Int(buffer.kind.into())));
    command.args.push(("index", Value::Int(buffer.index.into())));
    command.args.push(("memory", Value::Text(buffer.memory.into())));
    command.args.extend(buffer.request.map(|fd| ("request_fd", Value::Int(fd.into()))));
    if command.name == "VIDIOC_DQBUF" && argument.result >= 0 {
        command.args.push(("bytes", Value::Int(buffer.bytes.into())));
        if buffer.planes.len() > 1 {
            let planes = buffer.planes.iter().map(|used| used.to_string().into());
            command.args.push(("planes", Value::Texts(planes.collect())));
        }
        command.args.push(("sequence", Value::Int(buffer.sequence.into())));
        if buffer.flags & ERROR != 0 {
            command.status = Status::Error {
                kind: "V4L2_BUF_FLAG_ERROR".into(),
                message: "the driver says that the frame may be damaged".into(),
            };
        }
    }
}
