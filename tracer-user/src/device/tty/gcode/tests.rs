//! Conversations with printers and mills.

use super::*;
use crate::device::tests::check;
use crate::device::tty::protocol::asked;
use expect_test::expect;

#[test]
fn lines_are_recognised() {
    for (line, spoken, expected) in [
        ("G1 X10.5 Y-3 F1500", false, Some(("G1", None, Integrity::Absent))),
        ("G1X10Y20", false, Some(("G1", None, Integrity::Absent))),
        ("N10 G1 X1*97", false, Some(("G1", Some(10), Integrity::Bad))),
        ("N3 T0*57", false, Some(("T0", Some(3), Integrity::Ok))),
        ("N4 G92 E0*67", false, Some(("G92", Some(4), Integrity::Ok))),
        ("M105", false, Some(("M105", None, Integrity::Absent))),
        ("G38.2 Z-10 F50", false, Some(("G38.2", None, Integrity::Absent))),
        ("M117 Hello there", false, Some(("M117", None, Integrity::Absent))),
        ("G28 ; home", false, Some(("G28", None, Integrity::Absent))),
        ("M104 S200 (hot)", false, Some(("M104", None, Integrity::Absent))),
        ("$$", false, Some(("$$", None, Integrity::Absent))),
        ("$H", false, Some(("$H", None, Integrity::Absent))),
        ("$100=80.0", false, Some(("$100", None, Integrity::Absent))),
        ("$J=G91 X10 F100", false, Some(("$J", None, Integrity::Absent))),
        ("$GPGGA,1", false, None),
        ("$HOME", false, None),
        ("M1:5", false, None),
        ("MEAS?", false, None),
        ("LED 1", false, None),
        ("T1?", false, None),
        ("GET 5", false, None),
        ("G1 FAST", false, None),
        ("g1 x1", false, None),
        ("g1 x1", true, Some(("G1", None, Integrity::Absent))),
        ("X10 Y5", false, None),
        ("X10 Y5", true, Some(("X", None, Integrity::Absent))),
        ("", true, None),
    ] {
        let code = Code::of(line.as_bytes(), spoken.then_some(SPOKEN));
        let found = code.as_ref().map(|code| (code.name.as_str(), code.number, code.integrity));
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn answers_end_where_they_do() {
    for (request, reply, expected) in [
        ("M105\n", "ok T:201.4 /202.0 B:60.1 /60.0 @:64 B@:12\n", Extent::Done(42)),
        ("M115\n", "FIRMWARE_NAME:Marlin 2.1\nCap:EEPROM:1\nok\nnext", Extent::Done(41)),
        ("G1 X1\nG1 X2\n", "ok\n", Extent::More),
        ("G1 X1\nG1 X2\n", "ok\nok\n", Extent::Done(6)),
        ("G28\n", "echo:busy: processing\n", Extent::Busy),
        ("G28\n", "T:20.0 /0.0 B:20.0 /0.0 @:0 B@:0\nok\n", Extent::Foreign(0..33)),
        ("M109 S200\n", "T:20.0 E:0 W:?\n", Extent::Busy),
        ("G99\n", "error:20\r\n", Extent::Done(10)),
        ("M1\n", "21.5\n", Extent::Pause),
        ("?", "<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\nok", Extent::Done(38)),
        ("?", "<Idle|MP", Extent::More),
        ("?", "help\n", Extent::Wrong),
        ("$$\n", "$0=10\r\n$1=25\r\nok\r\n", Extent::Done(18)),
    ] {
        assert_eq!(
            Gcode.extent(asked(request.as_bytes()), reply.as_bytes(), 0),
            expected,
            "{request:?} {reply:?}"
        );
    }
}

#[test]
fn a_printer_is_talked_to() {
    check(
        "tty",
        r#"
        0 open
        0-10 write "N1 M110 N1*125\n"
        20-30 read "ok\n"
        40-50 write "N2 G28*17\n"
        60-2000000 read "echo:busy: processing\n"
        2000000-4000000 read "echo:busy: processing\n"
        4000000-30000000 read " T:20.1 /0.0 B:20.0 /0.0 @:0 B@:0\nX:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0\nok\n"
        30000010-30000020 write "N3 G1 X10*100\n"
        30000030-30000040 read "Error:checksum mismatch, Last Line: 2\nResend: 3\nok\n"
        30000050-30000060 write "N5 G1 X10*84\n"
        30000070-30000080 read "Error:Line Number is not Last Line Number+1, Last Line: 2\nResend: 3\nok\n"
        30000090-30000100 write "G999\n"
        30000110-30000120 read "echo:Unknown command: \"G999\"\nok\n"
        31000000-31000010 read "T:20.1 /0.0 B:20.0 /0.0 @:0 B@:0\n//action:pause\n"
        31000020-31000030 write "M112\n"
        31000040-31000050 read "Error:Printer halted. kill() called!\n"
        32000000-32000010 write "M105\n"
        32000020-32000030 read ""
        33000010 tick
        "#,
        expect![[r#"
            0 command M110 0..30 "N1 M110 N1*125\n" → "ok\n" line=1 integrity=checksum ok
            2 event temperature 30000000..30000000 " T:20.1 /0.0 B:20.0 /0.0 @:0 B@:0\n"
            1 command G28 40..30000000 "N2 G28*17\n" → "echo:busy: processing\necho:busy: processing\nX:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0\nok\n" line=2 integrity=checksum ok
            3 command G1 30000010..30000040 "N3 G1 X10*100\n" → "Error:checksum mismatch, Last Line: 2\nResend: 3\nok\n" error checksum line=3 integrity=checksum bad
            4 command G1 30000050..30000080 "N5 G1 X10*84\n" → "Error:Line Number is not Last Line Number+1, Last Line: 2\nResend: 3\nok\n" error line_number line=5 integrity=checksum ok
            5 command G999 30000090..30000120 "G999\n" → "echo:Unknown command: \"G999\"\nok\n" error unknown_command integrity=checksum absent
            6 event temperature 31000010..31000010 "T:20.1 /0.0 B:20.0 /0.0 @:0 B@:0\n"
            7 event action 31000010..31000010 "//action:pause\n"
            8 command M112 31000020..31000050 "M112\n" → "Error:Printer halted. kill() called!\n" error halted integrity=checksum absent
            9 command M105 32000000..33000010 "M105\n" error timeout integrity=checksum absent
        "#]],
    );
}

#[test]
fn a_mill_is_talked_to() {
    check(
        "tty",
        r#"
        0-10 read "\r\nGrbl 1.1h ['$' for help]\r\n"
        20-30 write "$$\n"
        40-50 read "$0=10\r\n$1=25\r\nok\r\n"
        60-70 write "?"
        80-90 read "<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n"
        100-110 write "G1 X10 F100\n"
        120-130 write "?"
        140-150 read "ok\r\n<Run|MPos:1.000,0.000,0.000|FS:100,0>\r\n"
        160-170 write "!"
        180-190 write "~"
        200-210 write "G1 X9999\n"
        220-230 read "error:15\r\n"
        240-250 write "X10 Y20\n"
        260-270 read "ok\r\n"
        280-290 write "$H\n"
        300-9000000 read "ALARM:9\r\n\r\nGrbl 1.1h ['$' for help]\r\n"
        9000010-9000020 write "\x18"
        9000030-9000040 read "\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n"
        9100000-9100010 read "ALARM:1\r\n"
        9900000 tick
        "#,
        expect![[r#"
            0 event reset 10..10 "\r\nGrbl 1.1h [\'$\' for help]\r\n"
            1 command $$ 20..50 "$$\n" → "$0=10\r\n$1=25\r\nok\r\n" integrity=checksum absent
            2 command ? 60..90 "?" → "<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n"
            3 command G1 100..150 "G1 X10 F100\n" → "ok\r\n" integrity=checksum absent
            4 command ? 120..150 "?" → "<Run|MPos:1.000,0.000,0.000|FS:100,0>\r\n"
            5 command feed_hold 160..170 "!"
            6 command cycle_start 180..190 "~"
            7 command G1 200..230 "G1 X9999\n" → "error:15\r\n" error error:15 integrity=checksum absent
            8 command X 240..270 "X10 Y20\n" → "ok\r\n" integrity=checksum absent
            9 command $H 280..9000000 "$H\n" → "ALARM:9\r\n\r\nGrbl 1.1h [\'$\' for help]\r\n" error ALARM:9 integrity=checksum absent
            10 command soft_reset 9000010..9000020 "\x18"
            11 event reset 9000040..9000040 "\r\nGrbl 1.1h [\'$\' for help]\r\n"
            12 event MSG 9000040..9000040 "[MSG:\'$H\'|\'$X\' to unlock]\r\n"
            13 event ALARM 9100010..9100010 "ALARM:1\r\n" error ALARM:1
        "#]],
    );
}

#[test]
fn a_wrong_guess_is_withdrawn() {
    check(
        "tty",
        r#"
        0-10 write "M1 5\n"
        20-30 read "21.5\n"
        80000 tick
        100000-100010 write "?"
        100020-100030 write "\n"
        100040-100050 read "commands: ...\n"
        200000 tick
        300000-300010 write "T1\n"
        300020-300030 read "ERR_RANGE\n"
        400000 tick
        "#,
        expect![[r#"
            0 command M1 0..30 "M1 5\n" → "21.5\n"
            1 command request 100000..100050 "?\n" → "commands: ...\n"
            2 command T1 300000..300030 "T1\n" → "ERR_RANGE\n" error ERR_RANGE
        "#]],
    );
}
