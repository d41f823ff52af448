//! Input that nobody asked for.

use crate::device::tests::{check, play};
use expect_test::expect;

#[test]
fn unasked_lines_are_events() {
    check(
        "tty",
        r#"
        0-100 read "$GPGGA,1\r\n$GPG"
        100-200 read "SA,2\r\n"
        200-300 read "\r\nRING\r\n\r\n"
        300-400 read "old\rmac\r"
        460000 tick
        "#,
        expect![[r#"
            0 event GGA 100..100 "$GPGGA,1\r\n" talker=GP integrity=checksum absent
            1 event GSA 100..200 "$GPGSA,2\r\n" talker=GP integrity=checksum absent
            2 event RING 300..300 "\r\nRING\r\n"
            3 event line 300..400 "\r\nold\r"
            4 event line 400..400 "mac\r"
        "#]],
    );
}

#[test]
fn unasked_bytes_are_events_until_silence() {
    check(
        "tty",
        r#"
        0-100 read "\x02\x10\n"
        100-200 read "\x03"
        100000-100100 read "\x02"
        200000 tick
        200000-200100 read "half"
        300000 tick
        400000-400100 write "\x01"
        "#,
        expect![[r#"
            0 event input 100..200 "\x02\x10\n\x03"
            1 event input 100100..100100 "\x02"
            2 event input 200100..200100 "half"
        "#]],
    );
}

#[test]
fn zero_bytes_are_no_event() {
    let (devices, out) = play("tty", "0-10 read \"\"\n10-20 read \"\"\n30 tick");
    assert_eq!((out.len(), devices.counts().empty), (0, 2));
}
