//! Whatever the pieces, the commands are the same.

use crate::device::tests::{PROCESS, data, device, ioctl};
use crate::device::{Devices, Settings};
use crate::model::command::{Command, Status, Value};
use crate::model::payload::Payload;
use crate::model::time::Timestamp;
use proptest::prelude::*;
use tracer_common::call::Call;

/// What of a command does not depend on how its bytes were split.
fn essence(commands: &[Command]) -> Vec<(String, bool, Status, Payload, Option<Payload>)> {
    let of = |command: &Command| {
        let Command { name, unsolicited, status, request, reply, .. } = command;
        (name.to_string(), *unsolicited, status.clone(), request.clone(), reply.clone())
    };
    commands.iter().map(of).collect()
}

/// Plays a request and what is read after it, in pieces that end at `cuts`.
fn split_run(request: &[u8], answer: &[u8], cuts: &[usize]) -> (u64, Vec<Command>) {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    let tty = device("tty");
    let mut time = 0;
    if !request.is_empty() {
        let size = request.len() as u64;
        devices.feed(&data(Call::Write, (0, 10), size as i64, request, size), PROCESS, &tty, &mut out);
    }
    let mut ends: Vec<usize> =
        cuts.iter().map(|cut| cut % (answer.len() + 1)).chain([answer.len()]).collect();
    ends.sort_unstable();
    let mut start = 0;
    for end in ends {
        time += 20;
        let piece = &answer[start..end];
        let size = piece.len() as u64;
        devices.feed(&data(Call::Read, (time, time + 10), size as i64, piece, size), PROCESS, &tty, &mut out);
        start = end;
    }
    devices.tick(Timestamp(500_000_000_000), &mut out);
    assert_eq!(devices.open(), 0);
    let moved = out.iter().map(|command| {
        let answered = command.reply.as_ref().map_or(0, |reply| reply.size);
        answered + if command.unsolicited { command.request.size } else { 0 }
    });
    (moved.sum::<u64>() + devices.counts().blank_bytes, out)
}

const REQUESTS: &[&[u8]] = &[
    b"",
    b"V?\n",
    b"V?\nI?\n",
    b"SET 1\n",
    b"AT+CSQ\r",
    b"hello there\n",
    b"x",
    b"\x01\x03",
    b"\xff\n",
    READ,
    COIL,
    b"\x00\x06\x00\x01\x00\x03\x99\xda",
    b"\x11\x41\x01\xd0\x55",
    b":1103006B00037E\r\n",
    b"$PMTK605*31\r\n",
    b"M105\n",
    b"N3 T0*57\n",
    b"G1 X1\nG1 X2\n",
    b"?",
    b"$PSRF103,05,00,01,01*20\r\n",
];

const READ: &[u8] = b"\x11\x03\x00\x6b\x00\x03\x76\x87";
const COIL: &[u8] = b"\x11\x05\x00\xac\xff\x00\x4e\x8b";

const ANSWERS: &[&[u8]] = &[
    b"3.3\n",
    b"3.3\r\n",
    b"1\n2\n3\n",
    b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n",
    b"AT+CSQ\r\r\n+CME ERROR: 10\r\n\r\nRING\r\n",
    b"#15\n\n\n\n\n\nnext\n",
    b"\r\n+CMTI: \"SM\",3\r\n\r\n+CSQ: 1,1\r\n\r\nRING\r\n\r\nOK\r\n",
    b"\r\n> \r\n+CMS ERROR: 500\r\n",
    b"3.3;#13a\nb,#0\n\nx\n",
    b"ERROR 5\r\n",
    b"-113,\"Undefined header\"\n",
    b"\x01\x03\x02\n\x00",
    b"21.5 \xc2\xb0C\r\n",
    b"half",
    b"\r\n\r\n",
    b"mac\rold\r",
    // An echo, a late answer, the answer, the next request.
    b"\x11\x03\x00\x6b\x00\x03\x76\x87\x11\x03\x02\x00\x09\xb9\x81\x11\x03\x06\xae\x41\x56\x52\x43\x40\x49\xad\x11\x05",
    b"\x11\x05\x00\xac\xff\x00\x4e\x8b\x11\x05\x00\xac\xff\x00\x4e\x8b\x00",
    b"\x11\x05\x00\xac\xff\x00\x4e\x8b\x11\x85\x02\xc2\x94",
    b"\x11\x83\x02\xc1\x34\x11\x41\x01\xd0\x55\x11\x41",
    b":1103006B00037E\r\n:1183026A\r\nrest",
    b"$HCHDG,101.1,,,7.1,W*3C\r\n$PMTK705,A*0A\r\n!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n$HC",
    b"ok T:20.1 /0.0\nnext\n",
    b"T:20.1 /0.0 B:20.0 /0.0\necho:busy: processing\nok\nok\n",
    b"Error:checksum mismatch, Last Line: 2\nResend: 3\nok\n",
    b"\r\n<Idle|MPos:0.000,0.000,0.000>\r\nok\r\n",
    b"error:15\r\nALARM:1\r\nGrbl 1.1h ['$' for help]\r\n",
    b"\xb5\x62\x01\n$HCHDG,101.1,,,7.1,W*3C\r\n\xb5\x62",
];

/// What programs and devices say, whole and in parts.
const PIECES: &[&[u8]] = &[
    b"",
    b"V?\n",
    b"V",
    b"?\r",
    b"\n",
    b"AT\r",
    b"\r\nOK\r\n",
    b"SET 1\n",
    b"3.3\n",
    b"\x01\x03",
    b"#13a\nb\n",
];

/// Sessions of programs that write ahead: `true` is written, `false` read. Every line is written for itself.
const SESSIONS: &[&[(bool, &[u8])]] = &[
    &[
        (false, b"\r\nGrbl 1.1h ['$' for help]\r\n"),
        (true, b"G21\n"),
        (true, b"G1 X1 ; aside\n"),
        (true, b"\n"),
        (false, b"ok\r\n"),
        (true, b"?"),
        (true, b"G99\n"),
        (false, b"<Run|MPos:1.000,0.000,0.000|FS:0,0>\r\nok\r\nok\r\nerror:20\r\n[MSG:Pgm End]\r\n"),
        (true, b"!"),
        (true, b"G1 X2\n"),
        (true, b"$H\n"),
        (false, b"ok\r\nALARM:9\r\n\r\nGrbl 1.1h ['$' for help]\r\n"),
    ],
    &[
        (true, b"N1 M110*34\n"),
        (true, b"N2 G1 X1*99\n"),
        (true, b"N3 G1 X2*98\n"),
        (false, b"ok\nok\nError:checksum mismatch, Last Line: 2\nResend: 3\nok\n"),
        (true, b"N3 G1 X2*97\n"),
        (true, b"N4 G28*23\n"),
        (false, b"Error:Line Number is not Last Line Number+1, Last Line: 2\nResend: 3\nok\nok N2\nok N3\n"),
        (false, b"echo:busy: processing\nX:0.00 Y:0.00\nok\nT:20.1 /0.0 B:20.0 /0.0\n"),
    ],
    &[(true, b"*IDN?\n"), (true, b"C?\n"), (true, b"*OPC?\n"), (false, b"ACME,1\n#15\n\n\n\n\n\n1\nafter\n")],
    &[(true, b"AT\r"), (true, b"AT+CPIN?\r"), (false, b"\r\nOK\r\n\r\n+CME ERROR: 10\r\n\r\nRING\r\n")],
    &[(true, b"T1 5\n"), (true, b"M2 3\n"), (true, b"V?\n"), (false, b"3.3\nmore\n")],
    &[(true, b"G21\n"), (true, b"G90\n"), (false, b"ok\nok\n"), (true, b"G91\n"), (false, b"ok\n")],
];

/// Plays a session, each piece split at `cuts`. Calls follow each other at once.
fn split_session(session: &[(bool, &[u8])], cuts: &[usize]) -> Vec<Command> {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    let tty = device("tty");
    let mut time = 0;
    for (writes, bytes) in session {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).chain([bytes.len()]).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut start = 0;
        for end in ends.into_iter().filter(|end| *end > 0) {
            time += 10;
            let piece = &bytes[start..end];
            let call = if *writes { Call::Write } else { Call::Read };
            let size = piece.len() as u64;
            devices.feed(&data(call, (time, time + 5), size as i64, piece, size), PROCESS, &tty, &mut out);
            start = end;
        }
    }
    devices.tick(Timestamp(5_000_000_000_000), &mut out);
    assert_eq!(devices.open(), 0);
    out.sort_by_key(|one| one.serial);
    out
}

proptest! {
    #[test]
    fn any_split_of_a_session_is_the_same_spans(
        session in proptest::sample::select(SESSIONS),
        cuts in proptest::collection::vec(0..1000_usize, 0..6),
    ) {
        let (whole, pieces) = (split_session(session, &[]), split_session(session, &cuts));
        prop_assert_eq!(essence(&whole), essence(&pieces));
    }

    #[test]
    fn any_split_of_the_answer_is_the_same_command(
        request in proptest::sample::select(REQUESTS),
        answer in proptest::sample::select(ANSWERS),
        cuts in proptest::collection::vec(0..1000_usize, 0..12),
    ) {
        let (_, whole) = split_run(request, answer, &[]);
        let (_, pieces) = split_run(request, answer, &cuts);
        prop_assert_eq!(essence(&whole), essence(&pieces));
    }

    #[test]
    fn no_byte_is_lost_or_counted_twice(
        request in proptest::sample::select(REQUESTS),
        answer in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'O'), Just(b'K'), Just(b'#'), Just(b'1'), any::<u8>()],
            0..64,
        ),
        cuts in proptest::collection::vec(0..1000_usize, 0..12),
    ) {
        let (moved, _) = split_run(request, &answer, &cuts);
        prop_assert_eq!(moved, answer.len() as u64);
    }

    #[test]
    fn hostile_arguments_do_no_harm(
        command in prop_oneof![0x5400..0x5480_u32, any::<u32>()],
        value in any::<u64>(),
        before in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)),
        after in proptest::collection::vec(any::<u8>(), 0..100),
        result in -600..600_i64,
    ) {
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        for class in ["tty", "i2c"] {
            let call = ioctl(command, value, result, before.as_deref(), &after);
            devices.feed(&call, PROCESS, &device(class), &mut out);
        }
        for command in &out {
            prop_assert!(command.request.captured.len() as u64 <= command.request.size);
            prop_assert!(command.args.iter().all(|(_, value)| !matches!(value, Value::Texts(_))));
        }
    }

    #[test]
    fn whatever_a_program_does_every_byte_comes_out_once(
        steps in proptest::collection::vec(
            (0..10_u8, 0..400_000_u64, proptest::sample::select(PIECES), 0..3_u32, 0..4_u64),
            0..60,
        ),
    ) {
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        let tty = device("tty");
        let (mut now, mut written, mut read) = (0, 0, 0);
        for (what, pause, bytes, thread, cut) in steps {
            now += pause;
            let size = bytes.len() as u64 + cut;
            let (call, result) = match what {
                0..=2 => (Call::Write, size as i64),
                3..=6 => (Call::Read, size as i64),
                7 => (Call::Write, -5),
                8 => (Call::Read, -5),
                _ => {
                    devices.moved_on(PROCESS, PROCESS.pid + thread, &mut out);
                    devices.tick(Timestamp(now * 1000), &mut out);
                    continue;
                }
            };
            if call == Call::Write {
                written += size;
            } else if result > 0 {
                read += size;
            }
            // Some reads were blocked for long, some writes too.
            let begun = now.saturating_sub(u64::from(thread) * 150_000);
            let mut capture = data(call, (begun, now), result, bytes, size);
            capture.tid = PROCESS.pid + thread;
            devices.feed(&capture, PROCESS, &tty, &mut out);
        }
        devices.process_gone(PROCESS, Timestamp(now * 1000), &mut out);
        prop_assert_eq!(devices.open(), 0);
        let requests: u64 = out.iter().filter(|one| !one.unsolicited).map(|one| one.request.size).sum();
        let events: u64 = out.iter().filter(|one| one.unsolicited).map(|one| one.request.size).sum();
        let replies: u64 = out.iter().filter_map(|one| one.reply.as_ref()).map(|reply| reply.size).sum();
        prop_assert_eq!(requests, written);
        prop_assert_eq!(replies + events + devices.counts().blank_bytes, read);
        prop_assert!(out.iter().all(|one| one.at.start <= one.at.end));
        let mut serials: Vec<u64> = out.iter().map(|one| one.serial).collect();
        serials.sort_unstable();
        prop_assert!(serials.is_sorted_by(|low, high| low < high), "no two commands have the same number");
    }

    #[test]
    fn any_request_has_a_short_name(request in "(AT|at)?[+&^#A-Za-z0-9:*?=;, \r\n\u{0}-\u{ff}]{0,60}") {
        let asked = crate::device::tty::protocol::asked(request.as_bytes());
        let (_, _, known) = crate::device::tty::protocol::recognise(asked, 0);
        prop_assert!(known.name.len() <= 40 && known.name.is_ascii() && !known.name.is_empty());
    }
}
