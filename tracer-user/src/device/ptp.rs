//! PTP hardware clocks, `/dev/ptpN`: `Documentation/driver-api/ptp.rst`, `include/uapi/linux/ptp_clock.h`.
//!
//! Span rule: one command per `ioctl`. A read brings time stamps of external signals, each an event
//! `external_timestamp`. Comparisons of clocks say how far the hardware clock is ahead of the system's (`offset_ns`),
//! of the sample that took least (`delay_ns`).

#[cfg(test)]
mod tests;

use super::class::{Class, Context, Moved, Row, Session};
use super::fields::{As, Fields, by_value, choice, fields, flags, number_at, text, u64_at};
use super::ioc::{Args, Argument, io, ior, iow, iowr, no_args, u32_at};
use super::{events, generic};
use crate::model::command::Value;

/// The class.
pub(crate) const CLASS: Class = Class { name: "ptp", ioctls: TABLE, session: || Box::new(Clock) };

/// Size of `struct ptp_clock_caps`.
const CAPS: u32 = 80;
/// Size of `struct ptp_extts_request`.
const EXTTS: u32 = 16;
/// Size of `struct ptp_perout_request`.
const PEROUT: u32 = 56;
/// Size of `struct ptp_sys_offset`.
const OFFSET: u32 = 832;
/// Size of `struct ptp_sys_offset_extended`.
const EXTENDED: u32 = 1216;
/// Size of `struct ptp_sys_offset_precise`.
const PRECISE: u32 = 64;
/// Size of `struct ptp_pin_desc`.
const PIN: u32 = 96;
/// Size of `struct ptp_clock_time`.
const TIME: usize = 16;

/// A command that exists twice: in the second form the reserved fields count.
const fn twice(number: u32, second: u32) -> (u32, u32) {
    (number, number & !0xff | second)
}

const GETCAPS: (u32, u32) = twice(ior(b'=', 1, CAPS), 10);
const EXTTS_REQUEST: (u32, u32) = twice(iow(b'=', 2, EXTTS), 11);
const PEROUT_REQUEST: (u32, u32) = twice(iow(b'=', 3, PEROUT), 12);
const ENABLE_PPS: (u32, u32) = twice(iow(b'=', 4, 4), 13);
const SYS_OFFSET: (u32, u32) = twice(iow(b'=', 5, OFFSET), 14);
const PIN_GETFUNC: (u32, u32) = twice(iowr(b'=', 6, PIN), 15);
const PIN_SETFUNC: (u32, u32) = twice(iow(b'=', 7, PIN), 16);
const SYS_OFFSET_PRECISE: (u32, u32) = twice(iowr(b'=', 8, PRECISE), 17);
const SYS_OFFSET_EXTENDED: (u32, u32) = twice(iowr(b'=', 9, EXTENDED), 18);

/// Its number says that the driver only reads. Of what it reads, the count is in front.
const OFFSETS: (u16, u16) = (EXTTS as u16, OFFSET as u16);

static TABLE: &[Row] = &[
    Row::new(GETCAPS.0, "PTP_CLOCK_GETCAPS", |argument, args| fields(argument.answered, CAPABILITIES, args)),
    Row::new(GETCAPS.1, "PTP_CLOCK_GETCAPS2", |argument, args| fields(argument.answered, CAPABILITIES, args)),
    Row::new(EXTTS_REQUEST.0, "PTP_EXTTS_REQUEST", extts),
    Row::new(EXTTS_REQUEST.1, "PTP_EXTTS_REQUEST2", extts),
    Row::new(PEROUT_REQUEST.0, "PTP_PEROUT_REQUEST", perout),
    Row::new(PEROUT_REQUEST.1, "PTP_PEROUT_REQUEST2", perout),
    // The argument is the answer to whether, in spite of the size.
    Row::legacy(ENABLE_PPS.0, "PTP_ENABLE_PPS", (0, 0), |argument, args| by_value("on", argument, args)),
    Row::legacy(ENABLE_PPS.1, "PTP_ENABLE_PPS2", (0, 0), |argument, args| by_value("on", argument, args)),
    Row::legacy(SYS_OFFSET.0, "PTP_SYS_OFFSET", OFFSETS, sys_offset),
    Row::legacy(SYS_OFFSET.1, "PTP_SYS_OFFSET2", OFFSETS, sys_offset),
    Row::new(SYS_OFFSET_EXTENDED.0, "PTP_SYS_OFFSET_EXTENDED", sys_offset_extended),
    Row::new(SYS_OFFSET_EXTENDED.1, "PTP_SYS_OFFSET_EXTENDED2", sys_offset_extended),
    Row::new(SYS_OFFSET_PRECISE.0, "PTP_SYS_OFFSET_PRECISE", sys_offset_precise),
    Row::new(SYS_OFFSET_PRECISE.1, "PTP_SYS_OFFSET_PRECISE2", sys_offset_precise),
    Row::new(PIN_GETFUNC.0, "PTP_PIN_GETFUNC", pin_asked),
    Row::new(PIN_GETFUNC.1, "PTP_PIN_GETFUNC2", pin_asked),
    Row::new(PIN_SETFUNC.0, "PTP_PIN_SETFUNC", |argument, args| pin(argument.given, args)),
    Row::new(PIN_SETFUNC.1, "PTP_PIN_SETFUNC2", |argument, args| pin(argument.given, args)),
    // Since Linux 6.7.
    Row::new(io(b'=', 19), "PTP_MASK_CLEAR_ALL", no_args),
    Row::new(iow(b'=', 20, 4), "PTP_MASK_EN_SINGLE", |argument, args| {
        args.extend(number_at(argument.given, 0).map(|channel| ("index", channel)));
    }),
];

/// `struct ptp_clock_caps`.
const CAPABILITIES: Fields<'_> = &[
    ("max_adj_ppb", 0, As::Int),
    ("n_alarm", 4, As::Int),
    ("n_ext_ts", 8, As::Int),
    ("n_per_out", 12, As::Int),
    ("pps", 16, As::Int),
    ("n_pins", 20, As::Int),
    ("cross_timestamping", 24, As::Int),
    ("adjust_phase", 28, As::Int),
];

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// `struct ptp_clock_time`, in ns.
fn time(bytes: &[u8], at: usize) -> Option<i128> {
    let (seconds, nanos) = (u64_at(bytes, at)?, u32_at(bytes, at + 8)?);
    Some(i128::from(seconds.cast_signed()) * SECOND + i128::from(nanos))
}

/// Nanoseconds, unless they are too many to be meant.
fn nanos(key: &'static str, time: Option<i128>, args: &mut Args) {
    args.extend(time.and_then(|time| Some((key, Value::Int(i64::try_from(time).ok()?)))));
}

fn extts(argument: &Argument<'_>, args: &mut Args) {
    const FLAGS: &[(u64, &str)] = &[
        (1 << 0, "ENABLE_FEATURE"),
        (1 << 1, "RISING_EDGE"),
        (1 << 2, "FALLING_EDGE"),
        (1 << 3, "STRICT_FLAGS"),
        (1 << 4, "EXT_OFFSET"),
    ];
    args.extend(number_at(argument.given, 0).map(|index| ("index", index)));
    args.extend(u32_at(argument.given, 4).map(|set| ("flags", flags(set.into(), FLAGS))));
}

/// `PTP_PEROUT_DUTY_CYCLE` and `PTP_PEROUT_PHASE`.
const DUTY_CYCLE: u32 = 1 << 1;
const PHASE: u32 = 1 << 2;

fn perout(argument: &Argument<'_>, args: &mut Args) {
    const FLAGS: &[(u64, &str)] = &[(1 << 0, "ONE_SHOT"), (1 << 1, "DUTY_CYCLE"), (1 << 2, "PHASE")];
    let request = argument.given;
    args.extend(number_at(request, 32).map(|index| ("index", index)));
    nanos("period_ns", time(request, 16), args);
    let Some(set) = u32_at(request, 36) else { return };
    args.push(("flags", flags(set.into(), FLAGS)));
    nanos(if set & PHASE != 0 { "phase_ns" } else { "start_ns" }, time(request, 0), args);
    if set & DUTY_CYCLE != 0 {
        nanos("on_ns", time(request, 40), args);
    }
}

/// Samples of one comparison: `PTP_MAX_SAMPLES`.
const SAMPLES: usize = 25;

/// Of several samples (system's time before, clock's, system's after) the one that took least.
fn compare(samples: impl Iterator<Item = (i128, i128, i128)>, args: &mut Args) {
    if let Some((before, clock, after)) = samples.min_by_key(|(before, _, after)| after - before) {
        nanos("offset_ns", Some(clock - (before + (after - before) / 2)), args);
        nanos("delay_ns", Some(after - before), args);
    }
}

/// How many samples were asked for.
fn samples(argument: &Argument<'_>, args: &mut Args) -> usize {
    let Some(samples) = u32_at(argument.given, 0) else { return 0 };
    args.push(("samples", Value::Int(samples.into())));
    (samples as usize).min(SAMPLES)
}

/// `struct ptp_sys_offset`: from 16 on the times of system and clock in turns.
fn sys_offset(argument: &Argument<'_>, args: &mut Args) {
    let at = |index: usize| time(argument.answered, 16 + index * TIME);
    let sample = |index: usize| Some((at(2 * index)?, at(2 * index + 1)?, at(2 * index + 2)?));
    compare((0..samples(argument, args)).map_while(sample), args);
}

/// `struct ptp_sys_offset_extended`: from 16 on the times of system, clock and system.
fn sys_offset_extended(argument: &Argument<'_>, args: &mut Args) {
    let at = |index: usize| time(argument.answered, 16 + index * TIME);
    let sample = |index: usize| Some((at(3 * index)?, at(3 * index + 1)?, at(3 * index + 2)?));
    compare((0..samples(argument, args)).map_while(sample), args);
}

/// `struct ptp_sys_offset_precise`: times of clock and system at the same moment.
fn sys_offset_precise(argument: &Argument<'_>, args: &mut Args) {
    let (clock, system) = (time(argument.answered, 0), time(argument.answered, TIME));
    nanos("offset_ns", clock.zip(system).map(|(clock, system)| clock - system), args);
}

fn pin_asked(argument: &Argument<'_>, args: &mut Args) {
    match argument.answered {
        [] => args.extend(number_at(argument.given, 64).map(|index| ("index", index))),
        answered => pin(answered, args),
    }
}

/// `struct ptp_pin_desc`.
fn pin(description: &[u8], args: &mut Args) {
    fields(description, &[("index", 64, As::Number), ("name", 0, As::Text(64))], args);
    let functions = &["NONE", "EXTTS", "PEROUT", "PHYSYNC"];
    args.extend(u32_at(description, 68).map(|number| ("function", choice(number.into(), functions))));
    args.extend(number_at(description, 72).map(|channel| ("channel", channel)));
}

/// Remembers nothing.
struct Clock;

/// Size of `struct ptp_extts_event`.
const EVENT: usize = 32;
/// `PTP_EXT_OFFSET`, since Linux 6.8: what is told is an offset in ns, not a time.
const EXT_OFFSET: u32 = 1 << 4;

impl Session for Clock {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        if events::count(&call, EVENT) == 0 {
            generic::moved(call, context);
            return;
        }
        events::emit(&call, EVENT, context, |event| {
            let mut args = Args::new();
            args.extend(number_at(event, 16).map(|index| ("index", index)));
            match u32_at(event, 20) {
                Some(set) if set & EXT_OFFSET != 0 => {
                    args.extend(
                        u64_at(event, 0).map(|offset| ("offset_ns", Value::Int(offset.cast_signed()))),
                    );
                }
                Some(_) => nanos("timestamp_ns", time(event, 0), &mut args),
                None => {}
            }
            args.push(("clock", text("device")));
            ("external_timestamp".into(), args)
        });
    }
}
