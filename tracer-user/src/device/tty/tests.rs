//! One script per rule of the serial lines.

mod ahead;
mod events;
mod failures;
mod hostile;
mod splits;

use crate::device::tests::{PROCESS, capture, check, data, device, ioctl, render};
use crate::device::{Devices, Settings};
use crate::model::capture::Body;
use crate::model::payload::Payload;
use crate::model::time::Timestamp;
use bytes::Bytes;
use expect_test::expect;
use tracer_common::call::Call;

#[test]
fn a_query_and_its_answer_are_one_command_at_once() {
    check(
        "tty",
        r#"
        0-10 write "MEAS:VOLT?\n"
        20-900 read "3.300\n"
        "#,
        expect![[r#"
            0 command MEAS:VOLT? 0..900 "MEAS:VOLT?\n" → "3.300\n"
        "#]],
    );
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    check(
        "tty",
        r#"
        0-10 write "V?\r\n"
        20-900 read "3"
        900-1000 read "."
        1000-1100 read "3"
        1100-1200 read "\r"
        1200-1300 read "\n"
        "#,
        expect![[r#"
            0 command V? 0..1300 "V?\r\n" → "3.3\r\n"
        "#]],
    );
}

#[test]
fn a_request_may_be_several_writes() {
    check(
        "tty",
        r#"
        0-10 write "M"
        20-30 write "EAS?"
        40-50 write "\r"
        60-70 write "\n"
        80-900 read "3.3\n"
        "#,
        expect![[r#"
            0 command MEAS? 0..900 "MEAS?\r\n" → "3.3\n"
        "#]],
    );
}

#[test]
fn an_unknown_line_is_answered_until_silence() {
    check(
        "tty",
        r#"
        0-10 write "hello there\n"
        20-900 read "one\n"
        900-30000 read "two\n"
        79000 tick
        80000 tick
        80000-90000 read "late\n"
        "#,
        expect![[r#"
            0 command request 0..30000 "hello there\n" → "one\ntwo\n"
            1 event line 90000..90000 "late\n"
        "#]],
    );
}

#[test]
fn half_a_line_waits_longer_than_silence() {
    check(
        "tty",
        r#"
        0-10 write "hello there\n"
        20-900 read "on"
        900-400000 read "e\n"
        450000 tick
        "#,
        expect![[r#"
            0 command request 0..400000 "hello there\n" → "one\n"
        "#]],
    );
}

#[test]
fn a_program_that_moves_on_has_its_answer() {
    check(
        "tty",
        r#"
        0-10 write "hello there\n"
        20-900 read "one\n"
        950 moved-on tid=7
        950 moved-on
        0-10 write "hello there\n"
        20-900 read "on"
        950 moved-on
        "#,
        expect![[r#"
            0 command request 0..900 "hello there\n" → "one\n"
        "#]],
    );
}

#[test]
fn binary_answers_end_with_silence_or_the_next_write() {
    check(
        "tty",
        r#"
        0-10 write "\x01\x03\x00"
        20-900 read "\x01\x03"
        900-1000 read "\x02\n"
        51000 tick
        60000-60010 write "\x01\x04\x00"
        60020-61000 read "\x01\x04"
        62000-62010 write "\x01\x05\x00"
        "#,
        expect![[r#"
            0 command request 0..1000 "\x01\x03\x00" → "\x01\x03\x02\n"
            1 command request 60000..61000 "\x01\x04\x00" → "\x01\x04"
        "#]],
    );
}

#[test]
fn a_write_that_nobody_waits_on_ends_with_itself() {
    check(
        "tty",
        r#"
        0-10 write "LED 1\n"
        100-110 write "LED 2\n"
        200-210 write "LED 3\n"
        250 close
        300-310 write "LED 4\n"
        1260000 tick
        "#,
        expect![[r#"
            0 command LED 0..10 "LED 1\n"
            1 command LED 100..110 "LED 2\n"
            2 command LED 200..210 "LED 3\n"
            3 command LED 300..310 "LED 4\n"
        "#]],
    );
}

#[test]
fn a_query_is_awaited_though_poll_is_not_seen() {
    check(
        "tty",
        r#"
        0-10 write "V?\n"
        1000010 tick
        2000000-2000010 write "I?\n"
        2300000-2300010 write "I?\n"
        2300020 close
        "#,
        expect![[r#"
            0 command V? 0..1000010 "V?\n" error timeout
            1 command I? 2000000..2300000 "I?\n" error timeout
            2 command I? 2300000..2300010 "I?\n"
        "#]],
    );
}

#[test]
fn nobody_reads_a_descriptor_for_writing_only() {
    check(
        "tty",
        r#"
        0 open wronly
        0-10 write "V?\n"
        1260000 tick
        "#,
        expect![[r#"
            0 command V? 0..10 "V?\n"
        "#]],
    );
}

#[test]
fn a_command_that_was_always_awaited_still_is() {
    check(
        "tty",
        r#"
        0-10 write "hello there\n"
        20-900 read "one\n"
        100000-100010 write "hello there\n"
        1200000 tick
        "#,
        expect![[r#"
            0 command request 0..900 "hello there\n" → "one\n"
            1 command request 100000..1100010 "hello there\n" error timeout
        "#]],
    );
}

#[test]
fn a_read_that_lasted_too_long_teaches_that_it_waits() {
    check(
        "tty",
        r#"
        0-10 write "hello there\n"
        1260000 tick
        20-2000000 read "one\n"
        3000000-3000010 write "hello there\n"
        4010000 tick
        "#,
        expect![[r#"
            0 command request 0..10 "hello there\n"
            1 event line 2000000..2000000 "one\n"
            2 command request 3000000..4000010 "hello there\n" error timeout
        "#]],
    );
}

#[test]
fn an_answer_read_by_another_thread_counts() {
    check(
        "tty",
        r#"
        500-510 write "V?\n" tid=101
        0-900 read "3.3\n" tid=102
        "#,
        expect![[r#"
            0 command V? 500..900 thread 101→102 "V?\n" → "3.3\n"
        "#]],
    );
}

#[test]
fn an_answer_may_be_read_before_its_write_returns() {
    check(
        "tty",
        r#"
        500-510 write "V?\n" tid=101
        0-900 read "3.3\n" tid=102
        910-1050 read "3.4\n" tid=102
        1000-1060 write "V?\n" tid=101
        1100-2000 read "ring\n" tid=102
        7000 tick
        "#,
        expect![[r#"
            0 command V? 500..900 thread 101→102 "V?\n" → "3.3\n"
            2 command V? 1000..1060 thread 101→102 "V?\n" → "3.4\n"
            3 event line 2000..2000 thread 102→102 "ring\n"
        "#]],
    );
}

#[test]
fn an_at_answer_ends_with_its_result_code() {
    check(
        "tty",
        r#"
        0-10 write "AT+CSQ\r"
        20-900 read "\r\n+CSQ: 20,99\r\n"
        900-80000 read "\r\nOK\r\n\r\nRING\r\n"
        90000-90010 write "AT+CPIN?\r"
        90010-91000 read "\r\n+CME ERROR: 10\r\n"
        92000-92010 write "ATZ\r"
        92010-93000 read "\r\n+CSQ"
        1093000 tick
        "#,
        expect![[r#"
            0 command AT+CSQ 0..80000 "AT+CSQ\r" → "\r\n+CSQ: 20,99\r\n\r\nOK\r\n"
            1 event RING 80000..80000 "\r\nRING\r\n"
            2 command AT+CPIN 90000..91000 "AT+CPIN?\r" → "\r\n+CME ERROR: 10\r\n" error CME_10
            3 command ATZ 92000..1093000 "ATZ\r" → "\r\n+CSQ" error timeout
        "#]],
    );
}

#[test]
fn what_was_cut_is_counted() {
    check(
        "tty",
        r#"
        0-10 write "V?\n" +100
        20-900 read "3.3" +7
        900-1000 read "x\n"
        60000 tick
        100000-100001 read "half" +5
        160000 tick
        "#,
        expect![[r#"
            0 command V? 0..1000 "V?\n"/103 → "3.3"/12
            1 event input 100001..100001 "half"/9
        "#]],
    );
}

#[test]
fn closing_another_descriptor_ends_nothing() {
    check(
        "tty",
        r#"
        0-10 write "V?\n"
        20 close fd=4
        30-40 read "3.3\n"
        "#,
        expect![[r#"
            0 command V? 0..40 "V?\n" → "3.3\n"
        "#]],
    );
}

#[test]
fn an_answer_that_was_spliced_away_is_counted() {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    let tty = device("tty");
    devices.feed(&data(Call::Write, (0, 10), 3, b"V?\n", 3), PROCESS, &tty, &mut out);
    let body = Body::Unseen {
        direction: crate::model::net::Direction::Inward,
        position: crate::model::capture::Position::Unknown,
        length: 5,
        follows: false,
    };
    devices.feed(&capture(Call::Splice, (20, 30), 5, body), PROCESS, &tty, &mut out);
    devices.tick(Timestamp(60_000_000), &mut out);
    assert_eq!(out[0].reply, Some(Payload { captured: Bytes::new(), size: 5 }));
}

#[test]
fn ioctls_have_names_and_arguments() {
    let int = |number: u32| number.to_le_bytes();
    let mut serial = [0; 72];
    for (offset, value) in [(0, 4), (8, 0x3f8), (12, 4), (16, 0x2030), (20, 16), (24, 12), (28, 115_200)] {
        serial[offset..offset + 4].copy_from_slice(&int(value));
    }
    (serial[32], serial[34], serial[40]) = (50, 2, 0xff);
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    for call in [
        ioctl(0x5401, 0, -25, None, b""),
        ioctl(0x5409, 1, 0, None, b""),
        ioctl(0x540b, 2, 0, None, b""),
        ioctl(0x540b, 77, 0, None, b""),
        ioctl(0x5415, 0, 0, None, &int(0x126)),
        ioctl(0x5417, 0, 0, None, &int(0)),
        ioctl(0x5413, 0, 0, None, &[24, 0, 80, 0, 0, 0, 0, 0]),
        ioctl(0x5423, 0, 0, None, &int(15)),
        ioctl(0x5424, 0, -5, None, &int(15)),
        ioctl(0x545c, 0x60, -4, None, b""),
        ioctl(0x8004_5430, 0, 0, None, &int(7)),
        ioctl(0x542f, 0, 0, Some(&[3, 0, 0, 0, 1, 0, 0, 0]), b""),
        ioctl(0x5412, 0, 0, None, b"x"),
        ioctl(0x5405, 0, 0, None, &[0, 4, 0, 0, 0xbd, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0]),
        ioctl(0x541f, 0, 0, Some(&serial), b""),
        ioctl(0x541e, 0, 0, None, &serial[..60]),
        ioctl(0x541c, 0, 0, Some(&[11]), b""),
        ioctl(0xc02c_5443, 0, 0, Some(&[1, 0, 0, 0, 5, 0, 0, 0, 0x74, 1, 0, 0]), b""),
        ioctl(0x5425, 5, 0, None, b""),
        ioctl(0x540a, 2, 0, None, b""),
        ioctl(0x5411, 0, 0, None, &int(17)),
        ioctl(0x545d, 0, 0, None, &int(3)),
        ioctl(0x54ff, 9, 0, None, b""),
    ] {
        devices.feed(&call, PROCESS, &device("tty"), &mut out);
    }
    expect![[r#"
        0 TCGETS error ENOTTY
        1 TCSBRK action=drain
        2 TCFLSH queue=TCIOFLUSH
        3 TCFLSH queue=77
        4 TIOCMGET lines=DTR|RTS|CTS|DSR
        5 TIOCMBIC lines=0
        6 TIOCGWINSZ rows=24 columns=80 width=0 height=0
        7 TIOCSETD discipline=N_HCI
        8 TIOCGETD error EIO
        9 TIOCMIWAIT error EINTR lines=CTS|CD
        10 TIOCGPTN number=7
        11 TIOCSRS485 flags=ENABLED|RTS_ON_SEND delay_before_ms=1
        12 TIOCSTI
        13 TCGETA baud=9600 data_bits=8 parity=none stop_bits=1 flow=xon/xoff canonical=Bool(true) echo=Bool(false) vmin=1 vtime=7
        14 TIOCSSERIAL type=16550A line=0 port=1016 irq=4 flags=LOW_LATENCY speed=custom fifo_size=16 custom_divisor=12 baud_base=115200 close_delay_cs=50 access=mem closing_wait_cs=255
        15 TIOCGSERIAL type=16550A line=0 port=1016 irq=4 flags=LOW_LATENCY speed=custom fifo_size=16 custom_divisor=12 baud_base=115200 close_delay_cs=50 access=mem closing_wait_cs=255
        16 TIOCLINUX subcode=SETKMSGREDIRECT
        17 TIOCSISO7816 enabled=Bool(true) protocol=T=0 guard_time=5 fi=372
        18 TCSBRKP deciseconds=5
        19 TCXONC action=TCIOFF
        20 TIOCOUTQ bytes=17
        21 TIOCGICOUNT cts=3
        22 ioctl T:0xff command=0x000054ff direction=none value=9
    "#]]
    .assert_eq(&render(&out).replace(" 10..20", "").replace(" command ", " "));
}

#[test]
fn a_message_behind_a_prompt_belongs_to_its_command() {
    check(
        "tty",
        r#"
        0-10 write "AT+CMGS=\"123\"\r"
        20-900 read "\r\n> "
        200000-200010 write "hello"
        200020-200030 write "\r\x1a"
        200040-201000 read "hello\r\n> \x1a"
        201000-900000 read "\r\n+CMTI: \"SM\",3\r\n"
        900000-4000000 read "\r\n+CMGS: 5\r\n\r\nOK\r\n"
        5000000-5000010 write "AT+CMGS=\"123\"\r"
        5000020-5000900 read "\r\n> "
        5001000-5001010 write "\x1b"
        5001020-5001030 read "\r\nOK\r\n"
        6000000-6000010 read "\r\nNO CARRIER\r\n"
        "#,
        expect![[r#"
            1 event +CMTI 900000..900000 "+CMTI: \"SM\",3\r\n"
            0 command AT+CMGS 0..4000000 "AT+CMGS=\"123\"\rhello\r\x1a" → "\r\n> hello\r\n> \x1a\r\n\r\n+CMGS: 5\r\n\r\nOK\r\n"
            2 command AT+CMGS 5000000..5001030 "AT+CMGS=\"123\"\r\x1b" → "\r\n> \r\nOK\r\n"
            3 event NO CARRIER 6000010..6000010 "\r\nNO CARRIER\r\n"
        "#]],
    );
}
