//! Sound cards, `/dev/snd/*`: `include/uapi/sound/asound.h`.
//!
//! Span rule: one command per call. `…_WRITEI_FRAMES` and `…_READI_FRAMES` say how many frames moved. Their bytes are the
//! request or the reply where the stream's parameters are known, that is if `…_HW_PARAMS` was seen on the descriptor: the
//! call itself does not say how long a frame is. An overrun or underrun (`EPIPE`) is an error.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::class::{Class, Context, Ioctl, Row, Session};
use super::fields::{As, Fields, answered, fields, given, text_at};
use super::generic;
use super::ioc::{Args, Argument, Nested, Number, io, ior, iow, iowr, no_args, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::errno;
use crate::model::payload::Payload;
use crate::model::time::Interval;
use bytes::Bytes;
use tracer_common::recipe::{AT_MOST, Condition, ENTRY, EXIT, Field, Recipe};

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "sound", ioctls: TABLE, session: || Box::new(Streams::default()) };

/// Bytes of a frame that are copied, for the kernel side does not know how long it is: two channels of 32 bits. Of
/// longer frames the beginning of the transfer is there.
const FRAME: u32 = 8;

const HW_PARAMS: u8 = 0x11;
const HW_FREE: u8 = 0x12;
const WRITEI: u8 = 0x50;
const READI: u8 = 0x51;

/// `struct snd_xferi`: result, pointer, frames. The driver writes the result back whatever the command's number says.
const fn interleaved(reads: bool) -> Nested {
    const fn recipe(reads: bool, word: u8) -> Recipe {
        let (word16, all) = (word as u16, 3 * word as u16);
        // What was read, not what there was room for.
        let (when, frames) = if reads { (EXIT, 0) } else { (ENTRY, 2 * word16) };
        Recipe::PLAIN
            .sized(all, all)
            .argument(all)
            .buffer(0, when | AT_MOST, (word16, word), Field::u32(frames), Condition::ALWAYS)
            .unit(0, Field::known(FRAME))
    }
    Nested { native: recipe(reads, 8), compat: recipe(reads, 4), alternative: None }
}

static WRITTEN: Nested = interleaved(false);
static READ: Nested = interleaved(true);

/// `struct snd_xfern`: as above, but the pointer is to pointers, one for each channel, which are not followed.
static APART: Nested =
    Nested { native: Recipe::PLAIN.sized(24, 24), compat: Recipe::PLAIN.sized(12, 12), alternative: None };

const fn frames(number: u8, nested: &'static Nested, name: &'static str) -> Row {
    let (native, compat) = match number & 1 == 1 {
        true => (ior(b'A', number, 24), ior(b'A', number, 12)),
        false => (iow(b'A', number, 24), iow(b'A', number, 12)),
    };
    Row::new(native, name, transfer).compat(compat).follow(nested).finish(xrun)
}

const fn plain(number: u8, name: &'static str) -> Row {
    Row::new(io(b'A', number), name, no_args).finish(xrun)
}

static TABLE: &[Row] = &[
    Row::new(ior(b'A', 0x00, 4), "SNDRV_PCM_IOCTL_PVERSION", no_args),
    Row::new(ior(b'A', 0x01, 288), "SNDRV_PCM_IOCTL_INFO", |argument, args| {
        fields(argument.answered, &[("id", 16, As::Text(64)), ("name", 80, As::Text(80))], args);
    }),
    Row::new(iow(b'A', 0x02, 4), "SNDRV_PCM_IOCTL_TSTAMP", |argument, args| given("on", argument, args)),
    Row::new(iow(b'A', 0x03, 4), "SNDRV_PCM_IOCTL_TTSTAMP", |argument, args| given("type", argument, args)),
    Row::new(iow(b'A', 0x04, 4), "SNDRV_PCM_IOCTL_USER_PVERSION", no_args),
    Row::new(iowr(b'A', 0x10, 608), "SNDRV_PCM_IOCTL_HW_REFINE", hw_params).compat(iowr(b'A', 0x10, 604)),
    Row::new(iowr(b'A', 0x11, 608), "SNDRV_PCM_IOCTL_HW_PARAMS", hw_params).compat(iowr(b'A', 0x11, 604)),
    plain(0x12, "SNDRV_PCM_IOCTL_HW_FREE"),
    Row::new(iowr(b'A', 0x13, 136), "SNDRV_PCM_IOCTL_SW_PARAMS", sw_params).compat(iowr(b'A', 0x13, 104)),
    Row::new(ior(b'A', 0x20, 152), "SNDRV_PCM_IOCTL_STATUS", status).compat(ior(b'A', 0x20, 108)).any_size(),
    Row::new(ior(b'A', 0x21, 8), "SNDRV_PCM_IOCTL_DELAY", |argument, args| {
        answered("frames", argument, args);
    })
    .compat(ior(b'A', 0x21, 4))
    .finish(xrun),
    plain(0x22, "SNDRV_PCM_IOCTL_HWSYNC"),
    Row::new(iowr(b'A', 0x23, 136), "SNDRV_PCM_IOCTL_SYNC_PTR", no_args)
        .compat(iowr(b'A', 0x23, 132))
        .any_size(),
    Row::new(iowr(b'A', 0x24, 152), "SNDRV_PCM_IOCTL_STATUS_EXT", status)
        .compat(iowr(b'A', 0x24, 108))
        .any_size(),
    plain(0x40, "SNDRV_PCM_IOCTL_PREPARE"),
    plain(0x41, "SNDRV_PCM_IOCTL_RESET"),
    plain(0x42, "SNDRV_PCM_IOCTL_START"),
    plain(0x43, "SNDRV_PCM_IOCTL_DROP"),
    plain(0x44, "SNDRV_PCM_IOCTL_DRAIN"),
    Row::by_value(iow(b'A', 0x45, 4), "SNDRV_PCM_IOCTL_PAUSE", |argument, args| {
        // A number where a pointer to one is announced.
        args.push(("on", Value::Int(argument.value.cast_signed())));
    }),
    Row::new(iow(b'A', 0x46, 8), "SNDRV_PCM_IOCTL_REWIND", skipped).compat(iow(b'A', 0x46, 4)),
    plain(0x47, "SNDRV_PCM_IOCTL_RESUME"),
    plain(0x48, "SNDRV_PCM_IOCTL_XRUN"),
    Row::new(iow(b'A', 0x49, 8), "SNDRV_PCM_IOCTL_FORWARD", skipped).compat(iow(b'A', 0x49, 4)),
    frames(WRITEI, &WRITTEN, "SNDRV_PCM_IOCTL_WRITEI_FRAMES"),
    frames(READI, &READ, "SNDRV_PCM_IOCTL_READI_FRAMES"),
    frames(0x52, &APART, "SNDRV_PCM_IOCTL_WRITEN_FRAMES"),
    frames(0x53, &APART, "SNDRV_PCM_IOCTL_READN_FRAMES"),
    Row::by_value(iow(b'A', 0x60, 4), "SNDRV_PCM_IOCTL_LINK", |argument, args| {
        args.push(("fd", Value::Int(argument.value.cast_signed())));
    }),
    plain(0x61, "SNDRV_PCM_IOCTL_UNLINK"),
    Row::new(ior(b'U', 0x00, 4), "SNDRV_CTL_IOCTL_PVERSION", no_args),
    Row::new(ior(b'U', 0x01, 376), "SNDRV_CTL_IOCTL_CARD_INFO", |argument, args| {
        answered("card", argument, args);
        const INFO: Fields<'_> =
            &[("id", 8, As::Text(16)), ("driver", 24, As::Text(16)), ("name", 40, As::Text(32))];
        fields(argument.answered, INFO, args);
    }),
    Row::new(iowr(b'U', 0x10, 80), "SNDRV_CTL_IOCTL_ELEM_LIST", |argument, args| {
        args.extend(u32_at(argument.answered, 12).map(|count| ("elements", Value::Int(count.into()))));
    })
    .compat(iowr(b'U', 0x10, 72)),
    Row::new(iowr(b'U', 0x11, 272), "SNDRV_CTL_IOCTL_ELEM_INFO", element),
    Row::new(iowr(b'U', 0x12, 1224), "SNDRV_CTL_IOCTL_ELEM_READ", element)
        .compat(iowr(b'U', 0x12, 708))
        .any_size(),
    Row::new(iowr(b'U', 0x13, 1224), "SNDRV_CTL_IOCTL_ELEM_WRITE", element)
        .compat(iowr(b'U', 0x13, 708))
        .any_size(),
    Row::new(iowr(b'U', 0x16, 4), "SNDRV_CTL_IOCTL_SUBSCRIBE_EVENTS", |argument, args| {
        given("on", argument, args);
    }),
];

/// Frames that the program goes back or on.
fn skipped(argument: &Argument<'_>, args: &mut Args) {
    args.extend(uframes(argument.given, 0, argument.compat).map(|frames| ("frames", frames)));
    if argument.result >= 0 {
        args.push(("moved", Value::Int(argument.result)));
    }
}

/// `struct snd_ctl_elem_id`, with which elements, infos and values begin.
fn element(argument: &Argument<'_>, args: &mut Args) {
    let id = if argument.answered.is_empty() { argument.given } else { argument.answered };
    args.extend(u32_at(id, 0).map(|number| ("numid", Value::Int(number.into()))));
    args.extend(text_at(id, 16, 44).map(|name| ("element", Value::Text(name.into()))));
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

/// `struct snd_pcm_status`, in three layouts: 64-bit programs, 32-bit ones, and those with 64-bit time.
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
    let (delay, available) = match Number::of(argument.command).size {
        _ if !compat => (56, 64),
        // The times before them have 64 bits.
        128 => (48, 52),
        _ => (28, 32),
    };
    args.extend(uframes(argument.answered, delay, compat).map(|frames| ("delay", frames)));
    args.extend(uframes(argument.answered, available, compat).map(|frames| ("available", frames)));
}

/// Descriptors of one process whose streams are known: a card has a few, each of one direction.
const DESCRIPTORS: usize = 64;

/// How long the frames of each descriptor's stream are, in bits.
#[derive(Default)]
struct Streams {
    frame_bits: BTreeMap<i32, u32>,
}

impl Streams {
    fn learn(&mut self, call: &Ioctl<'_>) {
        match call.command as u8 {
            HW_PARAMS => {
                // `SNDRV_PCM_HW_PARAM_FRAME_BITS`, the second interval.
                let at = INTERVALS + INTERVAL;
                let (low, high) = (u32_at(call.after, at), u32_at(call.after, at + 4));
                match low.filter(|low| *low != 0 && Some(*low) == high) {
                    Some(bits)
                        if self.frame_bits.len() < DESCRIPTORS || self.frame_bits.contains_key(&call.fd) =>
                    {
                        self.frame_bits.insert(call.fd, bits);
                    }
                    _ => {
                        self.frame_bits.remove(&call.fd);
                    }
                }
            }
            HW_FREE => {
                self.frame_bits.remove(&call.fd);
            }
            _ => {}
        }
    }

    /// The bytes of so many frames, of which the kernel side copied as many as there could have been.
    fn bytes(&self, fd: i32, frames: Option<Value>, copied: Option<&Payload>) -> Option<Payload> {
        let Some(Value::Int(frames)) = frames else { return None };
        let bits = u64::from(*self.frame_bits.get(&fd)?);
        let size = u64::try_from(frames).ok()?.checked_mul(bits)? / 8;
        let mut bytes =
            Payload { captured: copied.map_or_else(Bytes::new, |copied| copied.captured.clone()), size };
        bytes.limit();
        Some(bytes)
    }
}

impl Session for Streams {
    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        if call.error == Some(errno::EAGAIN) {
            return generic::ioctl(call, row, context);
        }
        let mut command = generic::ioctl_command(call, row, context);
        let of_stream = row.is_some() && call.command >> 8 & 0xff == u32::from(b'A');
        match call.command as u8 {
            WRITEI if of_stream => {
                let argument = call.argument();
                let frames = uframes(argument.given, if call.compat { 8 } else { 16 }, call.compat);
                if let Some(bytes) = self.bytes(call.fd, frames, argument.given_buffer(0, 0)) {
                    command.request = bytes;
                }
            }
            READI if of_stream && call.error.is_none() => {
                let argument = call.argument();
                let frames = uframes(argument.answered, 0, call.compat);
                command.reply = self.bytes(call.fd, frames, argument.answered_buffer(0, 0));
            }
            _ if of_stream && call.error.is_none() => self.learn(call),
            _ => {}
        }
        context.emit(command);
    }

    fn opened(&mut self, fd: i32, _write_only: bool) {
        self.frame_bits.remove(&fd);
    }

    fn duplicated(&mut self, fd: i32, new_fd: i32) {
        match self.frame_bits.get(&fd).copied() {
            Some(bits) if self.frame_bits.len() < DESCRIPTORS || self.frame_bits.contains_key(&new_fd) => {
                self.frame_bits.insert(new_fd, bits);
            }
            _ => {
                self.frame_bits.remove(&new_fd);
            }
        }
    }

    fn closed(&mut self, fds: std::ops::RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {
        self.frame_bits.retain(|fd, _| !fds.contains(&i64::from(*fd)));
    }
}
