//! Programs that write ahead of the answers.

use crate::device::tests::{check, play, render};
use expect_test::expect;

#[test]
fn the_nth_ok_is_the_nth_lines() {
    check(
        "tty",
        r#"
        0 open
        0-10 read "\r\nGrbl 1.1h ['$' for help]\r\n"
        20-30 write "G1 X1\n"
        40-50 write "G1 X2\n"
        60-70 write "G99\n"
        80-90 read "ok\r\nok"
        100-110 write "G1 X4\nM5\n"
        120-130 read "\r\nerror:20\r\nok\r\n"
        140-150 read "ok\r\n"
        160-170 read "ok\r\n"
        "#,
        expect![[r#"
            0 event reset 10..10 "\r\nGrbl 1.1h [\'$\' for help]\r\n"
            1 command G1 20..90 "G1 X1\n" → "ok\r\n" integrity=checksum absent
            2 command G1 40..130 "G1 X2\n" → "ok\r\n" integrity=checksum absent
            3 command G99 60..130 "G99\n" → "error:20\r\n" error error:20 integrity=checksum absent
            4 command G1 100..130 "G1 X4\n" → "ok\r\n" integrity=checksum absent
            5 command M5 100..150 "M5\n" → "ok\r\n" integrity=checksum absent
            6 event ok 170..170 "ok\r\n"
        "#]],
    );
}

#[test]
fn a_guess_that_comes_true_keeps_its_place() {
    check(
        "tty",
        r#"
        0 open
        0-10 write "G21\n"
        20-30 write "G90\n"
        40-50 write "M5\n"
        60-70 read "ok\nok\nok\n"
        "#,
        expect![[r#"
            0 command G21 0..70 "G21\n" → "ok\n" integrity=checksum absent
            1 command G90 20..70 "G90\n" → "ok\n" integrity=checksum absent
            2 command M5 40..70 "M5\n" → "ok\n" integrity=checksum absent
        "#]],
    );
}

#[test]
fn a_guess_that_does_not_leaves_the_answer_to_the_last() {
    for answer in [r#"60-70 read "3.3\n""#, "60-70 read \"3\"\n80-90 read \".3\\n\""] {
        let script = format!(
            "0-10 write \"T1 5\\n\"\n20-30 write \"M2 3\\n\"\n40-50 write \"V?\\n\"\n{answer}\n100 tick"
        );
        let (_, out) = play("tty", &script);
        let end = out.last().map_or(0, |last| last.at.end.0 / 1000);
        let expected = format!(
            "0 command T1 0..10 \"T1 5\\n\"\n1 command M2 20..30 \"M2 3\\n\"\n\
             2 command V? 40..{end} \"V?\\n\" → \"3.3\\n\"\n"
        );
        assert_eq!(render(&out), expected, "{script}");
    }
}

#[test]
fn a_status_is_answered_beside_the_lines() {
    check(
        "tty",
        r#"
        0 open
        0-10 read "Grbl 1.1h ['$' for help]\r\n"
        20-30 write "$H\n"
        40-50 write "?"
        60-70 read "<Home|MPos:0.000,0.000,0.000|FS:0,0>\r\n"
        5000000-5000010 write "?"
        5000020-5000030 write "!"
        5000040-5000050 read "<Home|MPos:0.0"
        5000060-5000070 write "G1 X1\n"
        5000080-5000090 read "00,0.000,0.000|FS:0,0>\r\nok\r\n<Idle|MPos:0.000>\r\nok\r\n"
        "#,
        expect![[r#"
            0 event reset 10..10 "Grbl 1.1h [\'$\' for help]\r\n"
            2 command ? 40..70 "?" → "<Home|MPos:0.000,0.000,0.000|FS:0,0>\r\n"
            4 command feed_hold 5000020..5000030 "!"
            3 command ? 5000000..5000090 "?" → "<Home|MPos:0.000,0.000,0.000|FS:0,0>\r\n"
            1 command $H 20..5000090 "$H\n" → "ok\r\n" integrity=checksum absent
            6 event status 5000090..5000090 "<Idle|MPos:0.000>\r\n"
            5 command G1 5000060..5000090 "G1 X1\n" → "ok\r\n" integrity=checksum absent
        "#]],
    );
}

#[test]
fn a_reset_ends_everything() {
    check(
        "tty",
        r#"
        0 open
        0-10 read "Grbl 1.1h ['$' for help]\r\n"
        20-30 write "G1 X1\n"
        40-50 write "G1 X2\n"
        60-70 write "G1 X3\n"
        80-90 write "\x18"
        100-110 read "ok\r\nGrbl 1.1h ['$' for help]\r\n"
        "#,
        expect![[r#"
            0 event reset 10..10 "Grbl 1.1h [\'$\' for help]\r\n"
            4 command soft_reset 80..90 "\x18"
            1 command G1 20..110 "G1 X1\n" → "ok\r\n" integrity=checksum absent
            2 command G1 40..110 "G1 X2\n" → "Grbl 1.1h [\'$\' for help]\r\n" error reset integrity=checksum absent
            3 command G1 60..110 "G1 X3\n" error reset integrity=checksum absent
        "#]],
    );
}

#[test]
fn lines_that_are_wanted_again_are_told_from_those_before() {
    check(
        "tty",
        r#"
        0 open
        0-10 write "N2 G1 X1*100\n"
        20-30 write "N3 G1 X2*97\n"
        40-50 write "N4 G1 X3*103\n"
        60-70 read "Error:checksum mismatch, Last Line: 1\nResend: 2\nok\n"
        80-90 write "N2 G1 X1*99\n"
        100-110 read "Error:Line Number is not Last Line Number+1, Last Line: 1\nResend: 2\nok\n"
        120-130 read "ok\n"
        140-150 write "N3 G1 X2*97\n"
        160-170 write "N4 G1 X3*103\n"
        180-190 read "ok N2 P15 B3\nok N4 P15 B3\n"
        "#,
        expect![[r#"
            0 command G1 0..70 "N2 G1 X1*100\n" → "Error:checksum mismatch, Last Line: 1\nResend: 2\nok\n" error checksum line=2 integrity=checksum bad
            1 command G1 20..80 "N3 G1 X2*97\n" error resend line=3 integrity=checksum ok
            2 command G1 40..80 "N4 G1 X3*103\n" error resend line=4 integrity=checksum ok
            4 event Error 110..110 "Error:Line Number is not Last Line Number+1, Last Line: 1\n" error line_number
            5 event resend 110..110 "Resend: 2\n"
            6 event ok 110..110 "ok\n"
            3 command G1 80..130 "N2 G1 X1*99\n" → "ok\n" line=2 integrity=checksum ok
            9 event ok 190..190 "ok N2 P15 B3\n"
            7 command G1 140..150 "N3 G1 X2*97\n" line=3 integrity=checksum ok
            8 command G1 160..190 "N4 G1 X3*103\n" → "ok N4 P15 B3\n" line=4 integrity=checksum ok
        "#]],
    );
}

#[test]
fn a_late_answer_is_not_the_next_ones() {
    check(
        "tty",
        r#"
        0 open
        0-10 read "Grbl 1.1h ['$' for help]\r\n"
        20-30 write "M7\n"
        900000-900010 write "M8\n"
        900020-900030 read ""
        1100000 tick
        1100000-1100010 read "ok\r\n"
        1200000-1200010 read "ok\r\n"
        1300000-1300010 write "M9\n"
        1300020-1300030 read "ok\r\n"
        "#,
        expect![[r#"
            0 event reset 10..10 "Grbl 1.1h [\'$\' for help]\r\n"
            1 command M7 20..1000030 "M7\n" error timeout integrity=checksum absent
            3 event ok 1100010..1100010 "ok\r\n"
            2 command M8 900000..1200010 "M8\n" → "ok\r\n" integrity=checksum absent
            4 command M9 1300000..1300030 "M9\n" → "ok\r\n" integrity=checksum absent
        "#]],
    );
}

#[test]
fn what_may_be_late_is_said() {
    check(
        "tty",
        r#"
        0 open
        0-10 write "V?\n"
        20-1000020 read ""
        1100000-1100010 write "I?\n"
        1100020-1100030 read "3.3\n"
        1100040-1100050 read "1.0\n"
        1200000-1200010 write "I?\n"
        1200020-1200030 read "1.0\n"
        1300000-1300010 write "V?\n"
        1300020-2300020 read ""
        2400000-2400010 ioctl 0x540b
        2500000-2500010 write "I?\n"
        2500020-2500030 read "1.0\n"
        "#,
        expect![[r#"
            0 command V? 0..1000010 "V?\n" error timeout
            1 command I? 1100000..1100030 "I?\n" → "3.3\n" pairing=uncertain
            2 event line 1100050..1100050 "1.0\n"
            3 command I? 1200000..1200030 "I?\n" → "1.0\n"
            4 command V? 1300000..2300010 "V?\n" error timeout
            5 command TCFLSH 2400000..2400010 queue=TCIFLUSH
            6 command I? 2500000..2500030 "I?\n" → "1.0\n"
        "#]],
    );
}

#[test]
fn where_the_beginning_was_not_seen_order_tells_little() {
    check(
        "tty",
        r#"
        0-10 read "ok\n"
        20-30 write "N7 M105*32\n"
        40-50 read "ok\n"
        2000000-2000010 write "N8 M105*47\n"
        2000020-2000030 read "ok\n"
        "#,
        expect![[r#"
            0 event line 10..10 "ok\n"
            1 command M105 20..50 "N7 M105*32\n" → "ok\n" line=7 integrity=checksum ok pairing=uncertain
            2 command M105 2000000..2000030 "N8 M105*47\n" → "ok\n" line=8 integrity=checksum ok
        "#]],
    );
}

#[test]
fn queries_in_a_row_are_answered_in_order() {
    check(
        "tty",
        r#"
        0-10 write "*IDN?\n"
        20-30 write "MEAS:VOLT?\n"
        40-50 write "VOLT 5\n"
        60-70 write "*OPC?\n"
        80-90 read "ACME,1\n3.3"
        100-110 read "00\n1\n"
        200-210 write "AT\r"
        220-230 write "AT+CPIN?\r"
        240-250 read "\r\nOK\r\n\r\n+CME ERROR: 10\r\n"
        "#,
        expect![[r#"
            2 command VOLT 40..50 "VOLT 5\n"
            0 command *IDN? 0..90 "*IDN?\n" → "ACME,1\n"
            1 command MEAS:VOLT? 20..110 "MEAS:VOLT?\n" → "3.300\n"
            3 command *OPC? 60..110 "*OPC?\n" → "1\n"
            4 command AT 200..250 "AT\r" → "\r\nOK\r\n"
            5 command AT+CPIN 220..250 "AT+CPIN?\r" → "\r\n+CME ERROR: 10\r\n" error CME_10
        "#]],
    );
}

#[test]
fn frames_say_whose_answers_they_are() {
    // Two threads; the first one's unit is dead.
    check(
        "tty",
        r#"
        0-10 write "\x11\x03\x00\x6b\x00\x03\x76\x87" tid=101
        20-30 write "\x01\x03\x00\x00\x00\x01\x84\x0a" tid=102
        40-50 read "\x01\x03\x02\x00" tid=102
        60-70 read "\x07\xf9\x86" tid=102
        80-90 read "" tid=101
        1000100 tick
        "#,
        expect![[r#"
            1 command read_holding_registers 20..70 thread 102→102 "\x01\x03\x00\x00\x00\x01\x84\n" → "\x01\x03\x02\x00\x07\xf9\x86" framing=rtu unit=1 function=3 start=0 quantity=1 values=1 integrity=crc ok
            0 command read_holding_registers 0..1000010 thread 101→101 "\x11\x03\x00k\x00\x03v\x87" error timeout framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
        "#]],
    );
}

#[test]
fn too_many_give_way() {
    let mut script = String::from("0 open\n0-1 read \"Grbl 1.1h ['$' for help]\\r\\n\"\n");
    for line in 0..600_u64 {
        script += &format!("{0}-{0} write \"G1 X{line}\\n\"\n", 10 + line);
    }
    for line in 0..600_u64 {
        script += &format!("{0}-{0} read \"ok\\r\\n\"\n", 1000 + line);
    }
    let (devices, out) = play("tty", &script);
    let counts = devices.counts();
    assert_eq!((devices.open(), counts.crowded), (0, 88));
    let lines: Vec<_> = out.iter().filter(|one| !one.unsolicited).collect();
    assert_eq!(lines.len(), 600);
    // The first 88 `ok`s are those of lines that came out without.
    for (index, line) in lines.iter().enumerate() {
        let expected = (index >= 88).then_some(1000 + index as u64);
        assert_eq!(line.reply.as_ref().map(|_| line.at.end.0 / 1000), expected, "{index}");
    }
}

#[test]
fn a_hang_up_or_a_death_ends_all_of_them() {
    for (step, error) in [
        ("900 gone", "killed"),
        ("800-900 read \"\" =-5", "EIO"),
        ("900 unplug", "ENODEV"),
        ("800-900 aborted-read", "killed"),
    ] {
        let script = format!(
            "0 open\n0-1 read \"Grbl 1.1h ['$' for help]\\r\\n\"\n10-20 write \"G1 X1\\n\"\n30-40 write \"G1 X2\\n\"\n50-60 read \"\"\n{step}"
        );
        let (devices, out) = play("tty", &script);
        assert_eq!(devices.open(), 0);
        let shown = render(&out[1..]);
        assert_eq!(shown.matches(&format!("error {error} ")).count(), 2, "{shown}");
    }
}
