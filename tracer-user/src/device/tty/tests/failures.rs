//! Commands that fail.

use crate::device::tests::{PROCESS, check, data, device, ioctl, play, render};
use crate::device::{Devices, Settings};
use crate::model::command::Status;
use expect_test::expect;
use tracer_common::call::Call;

#[test]
fn no_answer_in_time_is_an_error() {
    for look in [
        r#"20-900 read """#,
        r#"20-30 read "" =-11"#,
        r#"20-30 read "" =-4"#,
        r#"20-30 ioctl 0x541b"#,
        r#"20-1200000 read """#,
        r#"20-1200000 read "late\n""#,
    ] {
        let script = format!("0-10 write \"LED 1\\n\"\n{look}\n1300000 tick");
        let (_, out) = play("tty", &script);
        let shown = render(&out[..1]);
        assert_eq!(shown, "0 command LED 0..1000010 \"LED 1\\n\" error timeout\n", "{look}");
    }
}

#[test]
fn what_comes_too_late_is_no_answer() {
    check(
        "tty",
        r#"
        0-10 write "V?\n"
        20-1000020 read "3.3\n"
        "#,
        expect![[r#"
            0 command V? 0..1000010 "V?\n" error timeout
            1 event line 1000020..1000020 "3.3\n"
        "#]],
    );
}

#[test]
fn a_program_that_gave_up_and_went_on_had_no_answer() {
    check(
        "tty",
        r#"
        0-10 write "LED 1\n"
        20-200000 read ""
        200010-200020 write "LED 1\n"
        200030-300000 read ""
        300010 close
        "#,
        expect![[r#"
            0 command LED 0..200000 "LED 1\n" error timeout
            1 command LED 200010..300000 "LED 1\n" error timeout
        "#]],
    );
}

#[test]
fn failed_writes_are_errors() {
    check(
        "tty",
        r#"
        0-10 write "V?\n" =-5
        20-30 write "V?"
        40-50 write "\n" =-5
        60-70 write "V?\n" =-11
        80-90 write "V?\n" =-512
        "#,
        expect![[r#"
            0 command V? 0..10 "V?\n" error EIO
            1 command V? 20..50 "V?\n" error EIO
            2 command V? 80..90 "V?\n" error EINTR
        "#]],
    );
}

#[test]
fn a_hang_up_ends_the_command_with_its_errno() {
    check(
        "tty",
        r#"
        0-10 write "V?\n"
        20-900 read "" =-5
        1000-1010 write "V?\n"
        1020-1100 read "3."
        1100-1200 read "" =-5
        1300-1400 read "" =-5
        "#,
        expect![[r#"
            0 command V? 0..900 "V?\n" error EIO
            1 command V? 1000..1200 "V?\n" → "3." error EIO
            2 command read 1300..1400 error EIO
        "#]],
    );
}

#[test]
fn killed_in_mid_command() {
    for (script, expected) in [
        ("20-900 aborted-read", "0 command LED 0..900 \"LED 1\\n\" error killed\n"),
        ("20-30 read\n900 gone", "0 command LED 0..900 \"LED 1\\n\" error killed\n"),
        ("900 gone", "0 command LED 0..10 \"LED 1\\n\"\n"),
        ("20-30 read \"O\"\n900 gone", "0 command LED 0..900 \"LED 1\\n\" → \"O\" error killed\n"),
        ("20-30 read \"OK\\n\"\n900 gone", "0 command LED 0..30 \"LED 1\\n\" → \"OK\\n\"\n"),
        ("20-30 read\n900 unplug", "0 command LED 0..900 \"LED 1\\n\" error ENODEV\n"),
    ] {
        let (devices, out) = play("tty", &format!("0-10 write \"LED 1\\n\"\n{script}"));
        assert_eq!(render(&out), expected, "{script}");
        assert_eq!(devices.open(), 0);
    }
    check(
        "tty",
        "0-9 aborted-write\n10-20 aborted-read",
        expect![[r#"
        0 command request 0..9 error killed
    "#]],
    );
}

#[test]
fn a_refusal_is_an_error() {
    check(
        "tty",
        r#"
        0-10 write "SET:VALVE 7\n"
        20-900 read "ERR_RANGE 7\n"
        950 moved-on
        1000-1010 write "V?\n"
        1020-1100 read "-113,\"Undefined header\"\n"
        "#,
        expect![[r#"
            0 command SET:VALVE 0..900 "SET:VALVE 7\n" → "ERR_RANGE 7\n" error ERR_RANGE
            1 command V? 1000..1100 "V?\n" → "-113,\"Undefined header\"\n" error -113
        "#]],
    );
}

#[test]
fn a_refusal_tells_no_payload() {
    let (_, out) = play("tty", "0-10 write \"V?\\n\"\n20-30 read \"ERROR secret\\n\"");
    let Status::Error { kind, message } = &out[0].status else { panic!("it was refused") };
    assert_eq!((kind.as_ref(), message.contains("secret")), ("ERROR", false));
}

#[test]
fn a_read_that_ends_before_it_may_was_hung_up() {
    // What VMIN, VTIME and ICANON are; how long the read took, µs; what the request comes to.
    for (least, tenths, local, until, expected) in [
        (1, 0, 0, 900, "0..900 \"V?\\n\" error EIO"),
        (0, 5, 0, 900, "0..900 \"V?\\n\" error EIO"),
        (0, 5, 0, 500_020, "0..1000010 \"V?\\n\" error timeout"),
        (0, 0, 0, 900, "0..1000010 \"V?\\n\" error timeout"),
        (1, 0, 2, 900, "0..1000010 \"V?\\n\" error timeout"),
    ] {
        let mut termios = [0; 36];
        (termios[12], termios[17 + 6], termios[17 + 5]) = (local, least, tenths);
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        for call in [
            ioctl(0x5402, 0, 0, None, &termios),
            data(Call::Write, (0, 10), 3, b"V?\n", 3),
            data(Call::Read, (20, until), 0, b"", 0),
            data(Call::Write, (1_300_000, 1_300_010), 3, b"W\n", 3),
        ] {
            devices.feed(&call, PROCESS, &device("tty"), &mut out);
        }
        let shown = render(&out[1..2]);
        assert_eq!(shown, format!("1 command V? {expected}\n"), "{least} {tenths} {local} {until}");
    }
}

#[test]
fn what_a_failing_write_cuts_off_has_its_errno() {
    check(
        "tty",
        r#"
        0-10 write "V?\n"
        20-30 read ""
        40-50 write "X\n" =-5
        1300000-1300010 write "V?\n"
        1300020-2300030 read ""
        2300040-2300050 write "X\n" =-5
        "#,
        expect![[r#"
            0 command V? 0..50 "V?\n" error EIO
            1 command X 40..50 "X\n" error EIO
            2 command V? 1300000..2300010 "V?\n" error timeout
            3 command X 2300040..2300050 "X\n" error EIO
        "#]],
    );
}
