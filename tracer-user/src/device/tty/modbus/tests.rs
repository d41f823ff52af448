//! The specification's examples as whole conversations, and what goes wrong on real lines.

use crate::device::tests::{check, play, render};
use expect_test::expect;

use super::check::{crc, lrc};

/// An RTU frame as a script's literal.
pub(super) fn rtu(body: &[u8]) -> String {
    let frame = [body, &crc(body).to_le_bytes()].concat();
    frame.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// An ASCII frame as a script's literal.
fn ascii(body: &[u8]) -> String {
    let bytes = [body, &[lrc(body)]].concat();
    format!(":{}\\r\\n", bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>())
}

#[test]
fn requests_have_names_and_arguments() {
    // Request and response PDUs of Modbus Application Protocol V1.1b3, 6.1 to 6.21.
    let transactions: &[(&[u8], &[u8])] = &[
        (&[1, 0, 0x13, 0, 0x13], &[1, 3, 0xcd, 0x6b, 0x05]),
        (&[2, 0, 0xc4, 0, 0x16], &[2, 3, 0xac, 0xdb, 0x35]),
        (&[3, 0, 0x6b, 0, 3], &[3, 6, 2, 0x2b, 0, 0, 0, 0x64]),
        (&[4, 0, 8, 0, 1], &[4, 2, 0, 0x0a]),
        (&[5, 0, 0xac, 0xff, 0], &[5, 0, 0xac, 0xff, 0]),
        (&[6, 0, 1, 0, 3], &[6, 0, 1, 0, 3]),
        (&[7], &[7, 0x6d]),
        (&[8, 0, 0, 0xa5, 0x37], &[8, 0, 0, 0xa5, 0x37]),
        (&[8, 0, 0x0b, 0, 0], &[8, 0, 0x0b, 0, 5]),
        (&[11], &[11, 0xff, 0xff, 1, 8]),
        (&[12], &[12, 8, 0, 0, 1, 8, 1, 0x21, 0x20, 0]),
        (&[15, 0, 0x13, 0, 0x0a, 2, 0xcd, 1], &[15, 0, 0x13, 0, 0x0a]),
        (&[16, 0, 1, 0, 2, 4, 0, 0x0a, 1, 2], &[16, 0, 1, 0, 2]),
        (&[17], &[17, 3, 1, 2, 0xff]),
        (
            &[20, 0x0e, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2],
            &[20, 0x0c, 5, 6, 0x0d, 0xfe, 0, 0x20, 5, 6, 0x33, 0xcd, 0, 0x40],
        ),
        (
            &[21, 0x0d, 6, 0, 4, 0, 7, 0, 3, 6, 0xaf, 4, 0xbe, 0x10, 0x0d],
            &[21, 0x0d, 6, 0, 4, 0, 7, 0, 3, 6, 0xaf, 4, 0xbe, 0x10, 0x0d],
        ),
        (&[22, 0, 4, 0, 0xf2, 0, 0x25], &[22, 0, 4, 0, 0xf2, 0, 0x25]),
        (
            &[23, 0, 3, 0, 6, 0, 0x0e, 0, 3, 6, 0, 0xff, 0, 0xff, 0, 0xff],
            &[23, 0x0c, 0, 0xfe, 0x0a, 0xcd, 0, 1, 0, 3, 0, 0x0d, 0, 0xff],
        ),
        (&[24, 4, 0xde], &[24, 0, 6, 0, 2, 1, 0xb8, 0x12, 0x84]),
        (&[43, 14, 1, 0], b"\x2b\x0e\x01\x01\x00\x00\x03\x00\x03abc\x01\x02de\x02\x05V2.11"),
        (&[0x41, 1, 2], &[0x41, 9]),
    ];
    let mut script = String::new();
    for (index, (request, response)) in transactions.iter().enumerate() {
        let at = index * 100_000;
        script += &format!("{}-{} write \"{}\"\n", at, at + 10, rtu(&[&[1], *request].concat()));
        script += &format!("{}-{} read \"{}\"\n", at + 20, at + 900, rtu(&[&[1], *response].concat()));
    }
    script += "9000000 tick";
    let (_, out) = play("tty", &script);
    let shown: String = render(&out)
        .lines()
        .map(|line| {
            let (name, rest) = line.split_once(" framing=rtu unit=1").unwrap();
            let name = name.split("..").next().unwrap().rsplit_once(' ').unwrap().0;
            format!("{}{rest}\n", name.split_once(" command ").unwrap().1)
        })
        .collect();
    expect![[r#"
        read_coils function=1 start=19 quantity=19 values=19 integrity=crc ok
        read_discrete_inputs function=2 start=196 quantity=22 values=22 integrity=crc ok
        read_holding_registers function=3 start=107 quantity=3 values=3 integrity=crc ok
        read_input_registers function=4 start=8 quantity=1 values=1 integrity=crc ok
        write_single_coil function=5 start=172 values=1 integrity=crc ok
        write_single_register function=6 start=1 values=1 integrity=crc ok
        read_exception_status function=7 integrity=crc ok
        diagnostics function=8 subfunction=return_query_data integrity=crc ok
        diagnostics function=8 subfunction=return_bus_message_count integrity=crc ok
        get_comm_event_counter function=11 integrity=crc ok
        get_comm_event_log function=12 integrity=crc ok
        write_multiple_coils function=15 start=19 quantity=10 values=10 integrity=crc ok
        write_multiple_registers function=16 start=1 quantity=2 values=2 integrity=crc ok
        report_server_id function=17 integrity=crc ok
        read_file_record function=20 file=4 record=1 quantity=2 groups=2 integrity=crc ok
        write_file_record function=21 file=4 record=7 quantity=3 groups=1 integrity=crc ok
        mask_write_register function=22 start=4 integrity=crc ok
        read_write_multiple_registers function=23 start=3 quantity=6 write_start=14 write_quantity=3 values=6 integrity=crc ok
        read_fifo_queue function=24 start=1246 values=2 integrity=crc ok
        read_device_identification function=43 mei_type=14 read_code=1 object=0 integrity=crc ok
        modbus function 0x41 function=65 integrity=crc ok
    "#]].assert_eq(&shown);
}

const READ: &[u8] = &[0x11, 3, 0, 0x6b, 0, 3];
const READ_ANSWER: &[u8] = &[0x11, 3, 6, 0xae, 0x41, 0x56, 0x52, 0x43, 0x40];
const COIL: &[u8] = &[0x11, 5, 0, 0xac, 0xff, 0];

/// A conversation in frames: `>` writes, `<` reads, `<!` reads damaged, at intervals of 1 ms, then time passes.
fn talk(steps: &[(&str, &[u8])]) -> String {
    let mut script = String::new();
    for (index, (way, body)) in steps.iter().enumerate() {
        let at = (index + 1) * 1000;
        let mut frame = rtu(body);
        if way.ends_with('!') {
            frame.replace_range(frame.len() - 2.., "zz");
            frame = frame.replace("\\xzz", "\\xff\\xff");
        }
        let call = if way.starts_with('>') { "write" } else { "read" };
        script += &format!("{at}-{} {call} \"{frame}\"\n", at + 10);
    }
    script + "9000000 tick"
}

/// The lines without the bytes.
fn outline(script: &str) -> String {
    let (_, out) = play("tty", script);
    let short = |command: &crate::model::command::Command| {
        let mut command = command.clone();
        let reply =
            command.reply.take().map_or(String::new(), |reply| format!(" answered by {}", reply.size));
        command.request = crate::model::payload::Payload::default();
        format!("{}{reply}\n", render(std::slice::from_ref(&command)).trim_end())
    };
    out.iter().map(short).collect()
}

#[test]
fn exceptions_are_errors_by_name() {
    let exceptions: Vec<Vec<u8>> =
        [1, 2, 3, 4, 5, 6, 8, 10, 11, 0x55].map(|code| vec![0x11, 0x83, code]).into();
    let steps: Vec<(&str, &[u8])> =
        exceptions.iter().flat_map(|answer| [(">", READ), ("<", answer.as_slice())]).collect();
    let kinds: Vec<String> = play("tty", &talk(&steps))
        .1
        .iter()
        .map(|command| match &command.status {
            crate::model::command::Status::Error { kind, .. } => kind.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "illegal_function",
            "illegal_data_address",
            "illegal_data_value",
            "server_device_failure",
            "acknowledge",
            "server_device_busy",
            "memory_parity_error",
            "gateway_path_unavailable",
            "gateway_target_device_failed_to_respond",
            "exception_0x55",
        ]
    );
}

#[test]
fn the_answer_is_found_among_other_bytes() {
    let other = [0x12, 3, 6, 0, 0, 0, 0, 0, 0];
    let late = [0x11, 3, 2, 0, 9];
    for (what, steps, expected) in [
        (
            "echo",
            vec![(">", READ), ("<", READ), ("<", READ_ANSWER)],
            expect![[r#"
            echo
            0 command read_holding_registers 1000..3010 framing=rtu unit=17 function=3 start=107 quantity=3 values=3 integrity=crc ok answered by 19
        "#]],
        ),
        (
            "a late answer",
            vec![(">", READ), ("<", &late), ("<", READ_ANSWER)],
            expect![[r#"
            a late answer
            0 command read_holding_registers 1000..3010 framing=rtu unit=17 function=3 start=107 quantity=3 values=3 integrity=crc ok answered by 18
        "#]],
        ),
        (
            "another unit's",
            vec![(">", READ), ("<", &other), ("<", READ_ANSWER)],
            expect![[r#"
            another unit's
            0 command read_holding_registers 1000..3010 framing=rtu unit=17 function=3 start=107 quantity=3 values=3 integrity=crc ok answered by 22
        "#]],
        ),
        (
            "damaged, and no other",
            vec![(">", READ), ("<!", READ_ANSWER)],
            expect![[r#"
            damaged, and no other
            0 command read_holding_registers 1000..2010 error checksum framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc bad answered by 12
        "#]],
        ),
        (
            "only a late answer",
            vec![(">", READ), ("<", &late)],
            expect![[r#"
            only a late answer
            0 command read_holding_registers 1000..2010 error mismatch framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok answered by 7
        "#]],
        ),
        (
            "only another unit's",
            vec![(">", READ), ("<", &other)],
            expect![[r#"
            only another unit's
            0 command read_holding_registers 1000..1002010 error mismatch framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok answered by 11
        "#]],
        ),
        (
            "only an echo",
            vec![(">", READ), ("<", READ)],
            expect![[r#"
            only an echo
            0 command read_holding_registers 1000..1002010 error timeout framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok answered by 8
        "#]],
        ),
        (
            "none",
            vec![(">", READ)],
            expect![[r#"
            none
            0 command read_holding_registers 1000..1001010 error timeout framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
        "#]],
        ),
        (
            "an echo like the answer",
            vec![(">", COIL), ("<", COIL), ("<", COIL)],
            expect![[r#"
            an echo like the answer
            0 command write_single_coil 1000..3010 framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok answered by 16
        "#]],
        ),
        (
            "an answer like an echo",
            vec![(">", COIL), ("<", COIL), (">", COIL)],
            expect![[r#"
            an answer like an echo
            0 command write_single_coil 1000..2010 framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok answered by 8
            1 command write_single_coil 3000..1003010 error timeout framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok
        "#]],
        ),
        (
            "echoes that are known",
            vec![
                (">", READ),
                ("<", READ),
                ("<", READ_ANSWER),
                (">", COIL),
                ("<", COIL),
                (">", COIL),
                ("<", COIL),
                ("<", COIL),
            ],
            expect![[r#"
                echoes that are known
                0 command read_holding_registers 1000..3010 framing=rtu unit=17 function=3 start=107 quantity=3 values=3 integrity=crc ok answered by 19
                1 command write_single_coil 4000..5010 error timeout framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok answered by 8
                2 command write_single_coil 6000..8010 framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok answered by 16
            "#]],
        ),
        (
            "an echo and an exception",
            vec![(">", COIL), ("<", COIL), ("<", &[0x11, 0x85, 2])],
            expect![[r#"
                an echo and an exception
                0 command write_single_coil 1000..3010 error illegal_data_address framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok answered by 13
            "#]],
        ),
    ] {
        expected.assert_eq(&format!("{what}\n{}", outline(&talk(&steps))));
    }
}

#[test]
fn a_broadcast_is_answered_by_nobody() {
    let all = [0, 6, 0, 1, 0, 3];
    let steps: &[(&str, &[u8])] =
        &[(">", &all), (">", READ), ("<", READ_ANSWER), (">", &all), ("<", &all), (">", &all), ("<", READ)];
    expect![[r#"
        0 command write_single_register 1000..1010 framing=rtu unit=0 function=6 broadcast=Bool(true) start=1 values=1 integrity=crc ok
        1 command read_holding_registers 2000..3010 framing=rtu unit=17 function=3 start=107 quantity=3 values=3 integrity=crc ok answered by 11
        2 command write_single_register 4000..4010 framing=rtu unit=0 function=6 broadcast=Bool(true) start=1 values=1 integrity=crc ok
        3 event write_single_register 5010..5010 framing=rtu unit=0 function=6 broadcast=Bool(true) start=1 values=1 integrity=crc ok
        4 command write_single_register 6000..6010 framing=rtu unit=0 function=6 broadcast=Bool(true) start=1 values=1 integrity=crc ok
        5 event read_holding_registers 7010..7010 framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
    "#]]
    .assert_eq(&outline(&talk(steps)));
}

#[test]
fn a_server_hears_requests_and_answers_them() {
    let coil = |unit| [unit, 5, 0, 0xac, 0xff, 0];
    let (mine, other) = (coil(0x11), coil(9));
    let steps: &[(&str, &[u8])] = &[
        ("<", READ),
        (">", READ_ANSWER),
        ("<", &mine),
        (">", &mine),
        ("<", &mine),
        (">", &[0x11, 0x85, 4]),
        ("<", &other),
        ("<", &other),
        ("<", READ),
        ("<!", READ),
    ];
    expect![[r#"
        0 event read_holding_registers 1010..1010 framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
        1 command read_holding_registers 2000..2010 framing=rtu unit=17 function=3 frame=response integrity=crc ok
        2 event write_single_coil 3010..3010 framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok
        3 command write_single_coil 4000..4010 framing=rtu unit=17 function=5 frame=response integrity=crc ok
        4 event write_single_coil 5010..5010 framing=rtu unit=17 function=5 start=172 values=1 integrity=crc ok
        5 command write_single_coil 6000..6010 framing=rtu unit=17 function=5 frame=response exception=server_device_failure integrity=crc ok
        6 event write_single_coil 7010..7010 framing=rtu unit=9 function=5 start=172 values=1 integrity=crc ok
        7 event write_single_coil 8010..8010 framing=rtu unit=9 function=5 frame=response integrity=crc ok
        8 event read_holding_registers 9010..9010 framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
        9 event input 10010..10010
    "#]]
    .assert_eq(&outline(&talk(steps)));
}

#[test]
fn frames_are_cut_from_one_read_and_put_together_from_many() {
    let (request, answer) = (rtu(READ), rtu(READ_ANSWER));
    expect![[r#"
        0 event read_holding_registers 10..10 framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
        1 event read_holding_registers 10..10 framing=rtu unit=17 function=3 frame=response integrity=crc ok
        2 event read_holding_registers 10..10 framing=rtu unit=17 function=3 start=107 quantity=3 integrity=crc ok
    "#]]
    .assert_eq(&outline(&format!("0-10 read \"{request}{answer}{request}\"\n9000000 tick")));
    let bytewise: String = answer
        .as_bytes()
        .chunks(4)
        .enumerate()
        .map(|(index, byte)| {
            let at = 1000 + index * 30_000;
            format!("{at}-{} read \"{}\"\n", at + 10, std::str::from_utf8(byte).unwrap())
        })
        .collect();
    expect![[r#"
        0 command read_holding_registers 0..301010 framing=rtu unit=17 function=3 start=107 quantity=3 values=3 integrity=crc ok answered by 11
    "#]]
    .assert_eq(&outline(&format!("0-10 write \"{request}\"\n{bytewise}9000000 tick")));
}

#[test]
fn binary_without_a_right_crc_is_no_modbus() {
    let damaged = format!("{}\\xff", &rtu(READ)[..28]);
    let user = rtu(&[0x11, 0x41, 1]);
    expect![[r#"
        0 command request 0..30 answered by 2
        1 event input 1000010..1000010
        2 command request 2000000..2000030 answered by 2
    "#]]
    .assert_eq(&outline(&format!(
        "0-10 write \"{damaged}\"\n20-30 read \"\\x01\\x02\"\n1000000-1000010 read \"{damaged}\"\n\
         2000000-2000010 write \"{user}\"\n2000020-2000030 read \"\\x7f\\x00\"\n9000000 tick"
    )));
}

#[test]
fn the_ascii_framing_is_understood() {
    let (request, answer) = (ascii(READ), ascii(READ_ANSWER));
    let damaged = answer.replace("AE", "AF");
    let refused = ascii(&[0x11, 0x83, 2]);
    check(
        "tty",
        &format!(
            "0-10 write \"{request}\"\n20-30 read \"{}\"\n30-40 read \"{}\"\n\
             50-60 write \"{request}\"\n60-70 read \"{request}{refused}\"\n\
             80-90 write \"{request}\"\n100-110 read \"{damaged}\"\n\
             800000-800010 read \"{request}{damaged}\"\n9000000 tick",
            &answer[..9],
            &answer[9..],
        ),
        expect![[r#"
            0 command read_holding_registers 0..40 ":1103006B00037E\r\n" → ":110306AE4156524340CC\r\n" framing=ascii unit=17 function=3 start=107 quantity=3 values=3 integrity=lrc ok
            1 command read_holding_registers 50..70 ":1103006B00037E\r\n" → ":1103006B00037E\r\n:1183026A\r\n" error illegal_data_address framing=ascii unit=17 function=3 start=107 quantity=3 integrity=lrc ok
            2 command read_holding_registers 80..110 ":1103006B00037E\r\n" → ":110306AF4156524340CC\r\n" error checksum framing=ascii unit=17 function=3 start=107 quantity=3 integrity=lrc bad
            3 event read_holding_registers 800010..800010 ":1103006B00037E\r\n" framing=ascii unit=17 function=3 start=107 quantity=3 integrity=lrc ok
            4 event read_holding_registers 800010..800010 ":110306AF4156524340CC\r\n" error checksum framing=ascii unit=17 function=3 frame=response integrity=lrc bad
        "#]],
    );
}
