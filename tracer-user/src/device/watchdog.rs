//! Watchdogs, `/dev/watchdogN`: `Documentation/watchdog/watchdog-api.rst`, `include/uapi/linux/watchdog.h`.
//!
//! Span rule: one command per call. A `write` keeps the watchdog from firing, whatever its bytes are; with the letter
//! `V` among them the program may close it without a reset (`magic_close`).

use super::class::{Class, Context, Moved, Row, Session};
use super::fields::{As, fields, flags};
use super::generic;
use super::ioc::{Args, Argument, int_at, ior, iowr, no_args, u32_at};
use crate::model::command::Value;
use crate::model::net::Direction;

/// The class.
pub(crate) const CLASS: Class = Class { name: "watchdog", ioctls: TABLE, session: || Box::new(Watchdog) };

static TABLE: &[Row] = &[
    Row::new(ior(b'W', 0, 40), "WDIOC_GETSUPPORT", support),
    Row::new(ior(b'W', 1, 4), "WDIOC_GETSTATUS", |argument, args| status(argument.answered, args)),
    Row::new(ior(b'W', 2, 4), "WDIOC_GETBOOTSTATUS", |argument, args| status(argument.answered, args)),
    Row::new(ior(b'W', 3, 4), "WDIOC_GETTEMP", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|degrees| ("temperature_f", degrees)));
    }),
    // Its number says that the driver writes.
    Row::legacy(ior(b'W', 4, 4), "WDIOC_SETOPTIONS", (4, 0), |argument, args| {
        args.extend(u32_at(argument.given, 0).map(|set| ("options", flags(set.into(), OPTIONS))));
    }),
    // Its number has a size, its argument is ignored.
    Row::legacy(ior(b'W', 5, 4), "WDIOC_KEEPALIVE", (0, 0), no_args),
    Row::new(iowr(b'W', 6, 4), "WDIOC_SETTIMEOUT", set),
    Row::new(ior(b'W', 7, 4), "WDIOC_GETTIMEOUT", get),
    Row::new(iowr(b'W', 8, 4), "WDIOC_SETPRETIMEOUT", set),
    Row::new(ior(b'W', 9, 4), "WDIOC_GETPRETIMEOUT", get),
    Row::new(ior(b'W', 10, 4), "WDIOC_GETTIMELEFT", get),
];

/// `WDIOF_*`.
const FLAGS: &[(u64, &str)] = &[
    (0x0001, "OVERHEAT"),
    (0x0002, "FANFAULT"),
    (0x0004, "EXTERN1"),
    (0x0008, "EXTERN2"),
    (0x0010, "POWERUNDER"),
    (0x0020, "CARDRESET"),
    (0x0040, "POWEROVER"),
    (0x0080, "SETTIMEOUT"),
    (0x0100, "MAGICCLOSE"),
    (0x0200, "PRETIMEOUT"),
    (0x0400, "ALARMONLY"),
    (0x8000, "KEEPALIVEPING"),
];

/// `WDIOS_*`.
const OPTIONS: &[(u64, &str)] = &[(1, "DISABLECARD"), (2, "ENABLECARD"), (4, "TEMPPANIC")];

/// `struct watchdog_info`.
fn support(argument: &Argument<'_>, args: &mut Args) {
    let info = argument.answered;
    args.extend(u32_at(info, 0).map(|set| ("options", flags(set.into(), FLAGS))));
    fields(info, &[("firmware_version", 4, As::Number), ("identity", 8, As::Text(32))], args);
}

fn status(answered: &[u8], args: &mut Args) {
    args.extend(u32_at(answered, 0).map(|set| ("status", flags(set.into(), FLAGS))));
}

fn get(argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.answered, 0).map(|seconds| ("seconds", seconds)));
}

/// What was asked for, and what the hardware can do of it.
fn set(argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.given, 0).map(|seconds| ("seconds", seconds)));
    args.extend(int_at(argument.answered, 0).map(|seconds| ("seconds_set", seconds)));
}

/// Remembers nothing.
struct Watchdog;

impl Session for Watchdog {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let keeps = call.direction == Direction::Outward && call.error.is_none();
        let magic = call.payload.captured.contains(&b'V');
        if let Some(mut command) = generic::moved_command(call, context) {
            if keeps {
                command.args.push(("keepalive", Value::Bool(true)));
                command.args.push(("magic_close", Value::Bool(magic)));
            }
            context.emit(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::device::tests::calls::{Ioctl, rendered};
    use crate::device::tests::check;
    use expect_test::expect;

    #[test]
    fn commands_and_their_arguments() {
        let mut info = [0; 40];
        info[..6].copy_from_slice(&[0x80, 0x81, 0, 0, 3, 0]);
        info[8..16].copy_from_slice(b"Software");
        let seconds = |number: i32| number.to_le_bytes();
        let calls = [
            Ioctl::new(0x8028_5700).argument(&info),
            Ioctl::new(0x8004_5702).argument(&[0x20, 0, 0, 0]),
            Ioctl::new(0x8004_5704).argument(&[2, 0, 0, 0]),
            Ioctl::new(0x8004_5705),
            Ioctl::new(0xc004_5706).was(&seconds(1000)).argument(&seconds(65)),
            Ioctl::new(0xc004_5708).was(&seconds(-1)).argument(&seconds(-1)).returns(-22),
            Ioctl::new(0x8004_570a).argument(&seconds(42)),
            Ioctl::new(0x8028_5700).argument(&info[..20]),
        ];
        expect![[r#"
            0 command WDIOC_GETSUPPORT 0..10 options=SETTIMEOUT|MAGICCLOSE|KEEPALIVEPING firmware_version=3 identity=Software
            1 command WDIOC_GETBOOTSTATUS 0..10 status=CARDRESET
            2 command WDIOC_SETOPTIONS 0..10 options=ENABLECARD
            3 command WDIOC_KEEPALIVE 0..10
            4 command WDIOC_SETTIMEOUT 0..10 seconds=1000 seconds_set=65
            5 command WDIOC_SETPRETIMEOUT 0..10 error EINVAL seconds=-1
            6 command WDIOC_GETTIMELEFT 0..10 seconds=42
            7 command WDIOC_GETSUPPORT 0..10 options=SETTIMEOUT|MAGICCLOSE|KEEPALIVEPING firmware_version=3 identity=Software
        "#]]
        .assert_eq(&rendered("watchdog", calls));
    }

    #[test]
    fn writes_keep_it_alive() {
        check(
            "watchdog",
            r#"
            0 write "\x00"
            1 write "aVb"
            2 write "V" =-5
            "#,
            expect![[r#"
                0 command write 0..0 "\x00" keepalive=Bool(true) magic_close=Bool(false)
                1 command write 1..1 "aVb" keepalive=Bool(true) magic_close=Bool(true)
                2 command write 2..2 "V" error EIO
            "#]],
        );
    }
}
