//! Real-time clocks, `/dev/rtcN`: `Documentation/admin-guide/rtc.rst`, `include/uapi/linux/rtc.h`.
//!
//! Span rule: one command per `ioctl`. A read brings the interrupts since the last one, as one event: `alarm`,
//! `update`, `periodic`, or `interrupt` if there were several kinds.

#[cfg(test)]
mod tests;

use super::class::{Class, Context, Moved, Row, Session};
use super::fields::{As, choice, fields, flags, long, long_at, number_at, text, u64_at};
use super::ioc::{Args, Argument, io, ior, iow, no_args, u32_at};
use super::{events, generic};
use crate::model::command::Value;

/// The class.
pub(crate) const CLASS: Class = Class { name: "rtc", ioctls: TABLE, session: || Box::new(Clock) };

/// Size of `struct rtc_time`: nine `int`s.
const TIME: u32 = 36;
/// Size of `struct rtc_wkalrm`.
const ALARM: u32 = 40;
/// Size of `struct rtc_pll_info`, and of that of 32-bit programs, which ends with a shorter `long`.
const PLL: u32 = 32;
const PLL_COMPAT: u32 = 28;
/// Size of `struct rtc_param`.
const PARAM: u32 = 24;

static TABLE: &[Row] = &[
    Row::new(io(b'p', 0x01), "RTC_AIE_ON", no_args),
    Row::new(io(b'p', 0x02), "RTC_AIE_OFF", no_args),
    Row::new(io(b'p', 0x03), "RTC_UIE_ON", no_args),
    Row::new(io(b'p', 0x04), "RTC_UIE_OFF", no_args),
    Row::new(io(b'p', 0x05), "RTC_PIE_ON", no_args),
    Row::new(io(b'p', 0x06), "RTC_PIE_OFF", no_args),
    Row::new(io(b'p', 0x0f), "RTC_WIE_ON", no_args),
    Row::new(io(b'p', 0x10), "RTC_WIE_OFF", no_args),
    Row::new(iow(b'p', 0x07, TIME), "RTC_ALM_SET", |argument, args| time(argument.given, args)),
    Row::new(ior(b'p', 0x08, TIME), "RTC_ALM_READ", |argument, args| time(argument.answered, args)),
    Row::new(ior(b'p', 0x09, TIME), "RTC_RD_TIME", |argument, args| time(argument.answered, args)),
    Row::new(iow(b'p', 0x0a, TIME), "RTC_SET_TIME", |argument, args| time(argument.given, args)),
    Row::new(ior(b'p', 0x0b, 8), "RTC_IRQP_READ", |argument, args| word("hz", argument, args))
        .compat(ior(b'p', 0x0b, 4)),
    // What is set is the argument itself.
    Row::legacy(iow(b'p', 0x0c, 8), "RTC_IRQP_SET", (0, 0), |argument, args| {
        args.push(("hz", long(argument.value)));
    })
    .compat(iow(b'p', 0x0c, 4)),
    Row::new(ior(b'p', 0x0d, 8), "RTC_EPOCH_READ", |argument, args| word("epoch", argument, args))
        .compat(ior(b'p', 0x0d, 4)),
    Row::legacy(iow(b'p', 0x0e, 8), "RTC_EPOCH_SET", (0, 0), |argument, args| {
        args.push(("epoch", long(argument.value)));
    })
    .compat(iow(b'p', 0x0e, 4)),
    Row::new(iow(b'p', 0x0f, ALARM), "RTC_WKALM_SET", |argument, args| alarm(argument.given, args)),
    Row::new(ior(b'p', 0x10, ALARM), "RTC_WKALM_RD", |argument, args| alarm(argument.answered, args)),
    Row::new(ior(b'p', 0x11, PLL), "RTC_PLL_GET", |argument, args| {
        correction(argument.answered, argument.compat, args);
    })
    .compat(ior(b'p', 0x11, PLL_COMPAT)),
    Row::new(iow(b'p', 0x12, PLL), "RTC_PLL_SET", |argument, args| {
        correction(argument.given, argument.compat, args);
    })
    .compat(iow(b'p', 0x12, PLL_COMPAT)),
    // Its number says that the driver only reads.
    Row::legacy(iow(b'p', 0x13, PARAM), "RTC_PARAM_GET", (PARAM as u16, PARAM as u16), |argument, args| {
        parameter(argument.given, argument.answered, args);
    }),
    Row::new(iow(b'p', 0x14, PARAM), "RTC_PARAM_SET", |argument, args| {
        parameter(argument.given, argument.given, args);
    }),
    Row::new(ior(b'p', 0x13, 4), "RTC_VL_READ", |argument, args| {
        const VOLTAGE: &[(u64, &str)] = &[
            (1 << 0, "DATA_INVALID"),
            (1 << 1, "BACKUP_LOW"),
            (1 << 2, "BACKUP_EMPTY"),
            (1 << 3, "ACCURACY_LOW"),
            (1 << 4, "BACKUP_SWITCH"),
        ];
        args.extend(u32_at(argument.answered, 0).map(|set| ("voltage", flags(set.into(), VOLTAGE))));
    }),
    Row::new(io(b'p', 0x14), "RTC_VL_CLR", no_args),
];

/// `struct rtc_time`: a time as ISO 8601 has it, without a zone; the time of day alone where the date is none, as in
/// alarms.
fn time(bytes: &[u8], args: &mut Args) {
    let field = |index: usize| u32_at(bytes, index * 4).map(|field| i64::from(field.cast_signed()));
    let [Some(second), Some(minute), Some(hour), Some(day), Some(month), Some(year)] =
        [0, 1, 2, 3, 4, 5].map(field)
    else {
        return;
    };
    let is_time = (0..=60).contains(&second) && (0..60).contains(&minute) && (0..24).contains(&hour);
    let is_date = (1..=31).contains(&day) && (0..12).contains(&month) && (0..10_000).contains(&(year + 1900));
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    match (is_date, is_time) {
        (true, true) => {
            args.push(("time", text(format!("{:04}-{:02}-{day:02}T{clock}", year + 1900, month + 1))));
        }
        (false, true) => args.push(("time", text(clock))),
        _ => {}
    }
}

/// `struct rtc_wkalrm`.
fn alarm(bytes: &[u8], args: &mut Args) {
    time(bytes.get(4..).unwrap_or(&[]), args);
    fields(bytes, &[("enabled", 0, As::Byte), ("pending", 1, As::Byte)], args);
}

/// An `unsigned long`.
fn word(key: &'static str, argument: &Argument<'_>, args: &mut Args) {
    let word = if argument.compat { number_at } else { long_at };
    args.extend(word(argument.answered, 0).map(|value| (key, value)));
}

/// `struct rtc_pll_info`.
fn correction(bytes: &[u8], compat: bool, args: &mut Args) {
    let fixed = [
        ("control", 0, As::Int),
        ("value", 4, As::Int),
        ("max", 8, As::Int),
        ("min", 12, As::Int),
        ("factor_faster", 16, As::Int),
        ("factor_slower", 20, As::Int),
        ("clock_hz", 24, if compat { As::Number } else { As::Long }),
    ];
    fields(bytes, &fixed, args);
}

/// `struct rtc_param`: which is asked for or set, and its value.
fn parameter(which: &[u8], value: &[u8], args: &mut Args) {
    const FEATURES: &[(u64, &str)] = &[
        (1 << 0, "ALARM"),
        (1 << 1, "ALARM_RES_MINUTE"),
        (1 << 2, "NEED_WEEK_DAY"),
        (1 << 3, "ALARM_RES_2S"),
        (1 << 4, "UPDATE_INTERRUPT"),
        (1 << 5, "CORRECTION"),
        (1 << 6, "BACKUP_SWITCH_MODE"),
        (1 << 7, "ALARM_WAKEUP_ONLY"),
    ];
    let Some(parameter) = u64_at(which, 0) else { return };
    args.push(("param", choice(parameter, &["FEATURES", "CORRECTION", "BACKUP_SWITCH_MODE"])));
    let Some(number) = u64_at(value, 8) else { return };
    let value = match parameter {
        0 => flags(number, FEATURES),
        2 => choice(number, &["DISABLED", "DIRECT", "LEVEL", "STANDBY"]),
        _ => Value::Int(number.cast_signed()),
    };
    args.push(("value", value));
}

/// Remembers nothing.
struct Clock;

/// `RTC_AF`, `RTC_UF`, `RTC_PF`: kinds of interrupts.
const KINDS: &[(u64, &str)] = &[(0x20, "alarm"), (0x10, "update"), (0x40, "periodic")];

impl Session for Clock {
    /// The interrupts since the last read: an `unsigned long`, or an `unsigned int` if the program asks for so few
    /// bytes.
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let size = call.payload.size as usize;
        if !matches!(size, 4 | 8) || events::count(&call, size) != 1 {
            generic::moved(call, context);
            return;
        }
        events::emit(&call, size, context, |bytes| {
            let number = if size == 8 { u64_at(bytes, 0) } else { u32_at(bytes, 0).map(u64::from) };
            let Some(number) = number else { return ("interrupt".into(), Args::new()) };
            let mut kinds = KINDS.iter().filter(|(bit, _)| number & bit != 0).map(|(_, kind)| *kind);
            let name = match (kinds.next(), kinds.next()) {
                (Some(only), None) => only,
                _ => "interrupt",
            };
            let args = vec![("kinds", flags(number & 0x70, KINDS)), ("interrupts", long(number >> 8))];
            (name.into(), args)
        });
    }
}
