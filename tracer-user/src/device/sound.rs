//! Sound cards, `/dev/snd/*`: `include/uapi/sound/asound.h`.
//!
//! Span rule: one command per call. `…_WRITEI_FRAMES` and `…_READI_FRAMES` say how many frames moved; how long a frame
//! is depends on the stream's parameters, so their bytes are not copied. An overrun or underrun (`EPIPE`) is an error.

#[cfg(test)]
mod tests;

use super::class::{Class, Row};
use super::generic;
use super::ioc::{Args, Argument, int_at, io, ior, iow, iowr, no_args, text, u32_at};
use crate::model::command::{Command, Status, Value};

/// The class.
pub(crate) const CLASS: Class = Class { name: "sound", ioctls: TABLE, session: generic::CLASS.session };

/// `struct snd_xferi`, and `snd_xfern`: result, pointer, frames. The driver writes the result back whatever the
/// command's number says.
const fn frames(number: u8, reads: bool, name: &'static str) -> Row {
    let (native, compat) = match reads {
        true => (ior(b'A', number, 24), ior(b'A', number, 12)),
        false => (iow(b'A', number, 24), iow(b'A', number, 12)),
    };
    Row::legacy(native, name, (24, 24), transfer).compat(compat).finish(xrun)
}

const fn plain(number: u8, name: &'static str) -> Row {
    Row::new(io(b'A', number), name, no_args).finish(xrun)
}

static TABLE: &[Row] = &[
    Row::new(ior(b'A', 0x00, 4), "SNDRV_PCM_IOCTL_PVERSION", no_args),
    Row::new(ior(b'A', 0x01, 288), "SNDRV_PCM_IOCTL_INFO", |argument, args| {
        text("id", argument.answered, 16..80, args);
        text("name", argument.answered, 80..160, args);
    }),
    Row::new(iow(b'A', 0x02, 4), "SNDRV_PCM_IOCTL_TSTAMP", |argument, args| given("on", argument, args)),
    Row::new(iow(b'A', 0x03, 4), "SNDRV_PCM_IOCTL_TTSTAMP", |argument, args| given("type", argument, args)),
    Row::new(iow(b'A', 0x04, 4), "SNDRV_PCM_IOCTL_USER_PVERSION", no_args),
    Row::new(iowr(b'A', 0x10, 608), "SNDRV_PCM_IOCTL_HW_REFINE", hw_params).compat(iowr(b'A', 0x10, 604)),
    Row::new(iowr(b'A', 0x11, 608), "SNDRV_PCM_IOCTL_HW_PARAMS", hw_params).compat(iowr(b'A', 0x11, 604)),
    plain(0x12, "SNDRV_PCM_IOCTL_HW_FREE"),
    Row::new(iowr(b'A', 0x13, 136), "SNDRV_PCM_IOCTL_SW_PARAMS", sw_params).compat(iowr(b'A', 0x13, 104)),
    Row::new(ior(b'A', 0x20, 152), "SNDRV_PCM_IOCTL_STATUS", status).compat(ior(b'A', 0x20, 108)),
    Row::new(ior(b'A', 0x21, 8), "SNDRV_PCM_IOCTL_DELAY", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|frames| ("frames", frames)));
    })
    .compat(ior(b'A', 0x21, 4))
    .finish(xrun),
    plain(0x22, "SNDRV_PCM_IOCTL_HWSYNC"),
    Row::new(iowr(b'A', 0x23, 136), "SNDRV_PCM_IOCTL_SYNC_PTR", no_args).compat(iowr(b'A', 0x23, 132)),
    plain(0x40, "SNDRV_PCM_IOCTL_PREPARE"),
    plain(0x41, "SNDRV_PCM_IOCTL_RESET"),
    plain(0x42, "SNDRV_PCM_IOCTL_START"),
    plain(0x43, "SNDRV_PCM_IOCTL_DROP"),
    plain(0x44, "SNDRV_PCM_IOCTL_DRAIN"),
    Row::by_value(iow(b'A', 0x45, 4), "SNDRV_PCM_IOCTL_PAUSE", |argument, args| {
        // A number where a pointer to one is announced.
        args.push(("on", Value::Int(argument.value.cast_signed())));
    }),
    Row::new(iow(b'A', 0x46, 8), "SNDRV_PCM_IOCTL_REWIND", |argument, args| given("frames", argument, args))
        .compat(iow(b'A', 0x46, 4)),
    plain(0x47, "SNDRV_PCM_IOCTL_RESUME"),
    plain(0x48, "SNDRV_PCM_IOCTL_XRUN"),
    Row::new(iow(b'A', 0x49, 8), "SNDRV_PCM_IOCTL_FORWARD", |argument, args| {
        given("frames", argument, args);
    })
    .compat(iow(b'A', 0x49, 4)),
    frames(0x50, false, "SNDRV_PCM_IOCTL_WRITEI_FRAMES"),
    frames(0x51, true, "SNDRV_PCM_IOCTL_READI_FRAMES"),
    frames(0x52, false, "SNDRV_PCM_IOCTL_WRITEN_FRAMES"),
    frames(0x53, true, "SNDRV_PCM_IOCTL_READN_FRAMES"),
    Row::by_value(iow(b'A', 0x60, 4), "SNDRV_PCM_IOCTL_LINK", |argument, args| {
        args.push(("fd", Value::Int(argument.value.cast_signed())));
    }),
    plain(0x61, "SNDRV_PCM_IOCTL_UNLINK"),
    Row::new(ior(b'U', 0x00, 4), "SNDRV_CTL_IOCTL_PVERSION", no_args),
    Row::new(ior(b'U', 0x01, 376), "SNDRV_CTL_IOCTL_CARD_INFO", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|card| ("card", card)));
        text("id", argument.answered, 8..24, args);
        text("driver", argument.answered, 24..40, args);
        text("name", argument.answered, 40..72, args);
    }),
    Row::new(iowr(b'U', 0x10, 80), "SNDRV_CTL_IOCTL_ELEM_LIST", |argument, args| {
        args.extend(u32_at(argument.answered, 12).map(|count| ("elements", Value::Int(count.into()))));
    })
    .compat(iowr(b'U', 0x10, 72)),
    Row::new(iowr(b'U', 0x11, 272), "SNDRV_CTL_IOCTL_ELEM_INFO", element),
    Row::new(iowr(b'U', 0x12, 1224), "SNDRV_CTL_IOCTL_ELEM_READ", element).compat(iowr(b'U', 0x12, 708)),
    Row::new(iowr(b'U', 0x13, 1224), "SNDRV_CTL_IOCTL_ELEM_WRITE", element).compat(iowr(b'U', 0x13, 708)),
    Row::new(iowr(b'U', 0x16, 4), "SNDRV_CTL_IOCTL_SUBSCRIBE_EVENTS", |argument, args| {
        given("on", argument, args);
    }),
];

fn given(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.given, 0).map(|value| (name, value)));
}

/// `struct snd_ctl_elem_id`, with which elements, infos and values begin.
fn element(argument: &Argument<'_>, args: &mut Args) {
    let id = if argument.answered.is_empty() { argument.given } else { argument.answered };
    args.extend(u32_at(id, 0).map(|number| ("numid", Value::Int(number.into()))));
    text("element", id, 16..60, args);
    args.extend(u32_at(id, 60).filter(|index| *index != 0).map(|index| ("index", Value::Int(index.into()))));
}

/// An `snd_pcm_uframes_t`, a C `unsigned long`.
fn uframes(bytes: &[u8], at: usize, compat: bool) -> Option<Value> {
    if compat {
        return u32_at(bytes, at).map(|number| Value::Int(number.into()));
    }
    let field = bytes.get(at..)?.first_chunk::<8>()?;
    Some(Value::Int(i64::from_le_bytes(*field)))
}

fn transfer(argument: &Argument<'_>, args: &mut Args) {
    let compat = argument.compat;
    args.extend(
        uframes(argument.given, if compat { 8 } else { 16 }, compat).map(|frames| ("frames", frames)),
    );
    if argument.result >= 0 {
        args.extend(uframes(argument.answered, 0, compat).map(|frames| ("moved", frames)));
    }
}

/// `EPIPE` is the stream's word for data that came too late.
fn xrun(_: &Argument<'_>, command: &mut Command) {
    if let Status::Error { kind, message } = &mut command.status {
        match &**kind {
            "EPIPE" => "xrun: the stream ran empty or over".clone_into(message),
            "EBADFD" => "the stream is not prepared".clone_into(message),
            "ESTRPIPE" => "the stream is suspended".clone_into(message),
            _ => {}
        }
    }
}

/// Start of the masks and of the intervals of `struct snd_pcm_hw_params`, and their sizes.
const MASKS: usize = 4;
const MASK: usize = 32;
const INTERVALS: usize = 260;
const INTERVAL: usize = 12;

/// `struct snd_pcm_hw_params`: what is settled (a mask with one bit, an interval of one number).
fn hw_params(argument: &Argument<'_>, args: &mut Args) {
    let bytes = if argument.answered.is_empty() { argument.given } else { argument.answered };
    if let Some(access) = only_bit(bytes, 0) {
        args.push(("access", word(ACCESS, access)));
    }
    if let Some(format) = only_bit(bytes, 1) {
        args.push(("format", word(FORMATS, format)));
    }
    // `SNDRV_PCM_HW_PARAM_CHANNELS` and so on, from `SNDRV_PCM_HW_PARAM_FIRST_INTERVAL` 8.
    for (name, index) in
        [("channels", 2), ("rate", 3), ("period_size", 5), ("periods", 7), ("buffer_size", 9)]
    {
        let at = INTERVALS + INTERVAL * index;
        if let (Some(low), Some(high)) = (u32_at(bytes, at), u32_at(bytes, at + 4))
            && low == high
        {
            args.push((name, Value::Int(low.into())));
        }
    }
}

/// The one bit that is set in a mask.
fn only_bit(bytes: &[u8], mask: usize) -> Option<u32> {
    let at = MASKS + MASK * mask;
    let words = (0..MASK / 4).map(|index| u32_at(bytes, at + 4 * index));
    let words: Option<Vec<u32>> = words.collect();
    let words = words?;
    let set: u32 = words.iter().map(|word| word.count_ones()).sum();
    let (index, word) = words.iter().enumerate().find(|(_, word)| **word != 0)?;
    (set == 1).then(|| 32 * u32::try_from(index).unwrap_or(0) + word.trailing_zeros())
}

fn word(words: &[(u32, &'static str)], number: u32) -> Value {
    let known = words.iter().find(|(of, _)| *of == number);
    Value::Text(known.map_or_else(|| number.to_string().into(), |(_, word)| (*word).into()))
}

/// `SNDRV_PCM_ACCESS_*`.
const ACCESS: &[(u32, &str)] = &[
    (0, "MMAP_INTERLEAVED"),
    (1, "MMAP_NONINTERLEAVED"),
    (2, "MMAP_COMPLEX"),
    (3, "RW_INTERLEAVED"),
    (4, "RW_NONINTERLEAVED"),
];

/// `SNDRV_PCM_FORMAT_*`, those in use.
const FORMATS: &[(u32, &str)] = &[
    (0, "S8"),
    (1, "U8"),
    (2, "S16_LE"),
    (3, "S16_BE"),
    (4, "U16_LE"),
    (6, "S24_LE"),
    (7, "S24_BE"),
    (10, "S32_LE"),
    (11, "S32_BE"),
    (14, "FLOAT_LE"),
    (15, "FLOAT_BE"),
    (16, "FLOAT64_LE"),
    (18, "IEC958_SUBFRAME_LE"),
    (20, "MU_LAW"),
    (21, "A_LAW"),
    (22, "IMA_ADPCM"),
    (32, "S24_3LE"),
    (33, "S24_3BE"),
    (36, "S20_3LE"),
    (40, "S18_3LE"),
    (48, "DSD_U8"),
];

/// `struct snd_pcm_sw_params`.
fn sw_params(argument: &Argument<'_>, args: &mut Args) {
    let compat = argument.compat;
    let places = match compat {
        true => [("avail_min", 12), ("start_threshold", 20), ("stop_threshold", 24)],
        false => [("avail_min", 16), ("start_threshold", 32), ("stop_threshold", 40)],
    };
    for (name, at) in places {
        args.extend(uframes(argument.given, at, compat).map(|frames| (name, frames)));
    }
}

/// `struct snd_pcm_status`.
fn status(argument: &Argument<'_>, args: &mut Args) {
    const STATES: &[(u32, &str)] = &[
        (0, "OPEN"),
        (1, "SETUP"),
        (2, "PREPARED"),
        (3, "RUNNING"),
        (4, "XRUN"),
        (5, "DRAINING"),
        (6, "PAUSED"),
        (7, "SUSPENDED"),
        (8, "DISCONNECTED"),
    ];
    let compat = argument.compat;
    args.extend(u32_at(argument.answered, 0).map(|state| ("state", word(STATES, state))));
    let (delay, available) = if compat { (28, 32) } else { (56, 64) };
    args.extend(uframes(argument.answered, delay, compat).map(|frames| ("delay", frames)));
    args.extend(uframes(argument.answered, available, compat).map(|frames| ("available", frames)));
}
