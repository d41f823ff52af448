//! What programs do with keyboards, mice, touch screens, and what those do that are one.

mod commands;

use crate::device::tests::{PROCESS, data, device, render};
use crate::device::{Devices, Settings};
use crate::model::capture::{Body, Capture, DeviceNumber};
use crate::model::command::{Command, Device};
use crate::model::time::{Interval, Timestamp};
use expect_test::expect;
use std::sync::Arc;
use tracer_common::call::{Abi, Call};

const PRESS: (u16, u16, i32) = (1, 0x1e, 1);
const SCAN: (u16, u16, i32) = (4, 4, 30);
const REPORT: (u16, u16, i32) = (0, 0, 0);
const DROPPED: (u16, u16, i32) = (0, 3, 0);

/// `struct input_event`s of a 64-bit program, at 2.000005 s.
fn events(list: &[(u16, u16, i32)]) -> Vec<u8> {
    let one = |(kind, code, value): &(u16, u16, i32)| {
        let mut bytes = [2_u64.to_le_bytes(), 5_u64.to_le_bytes()].concat();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(code.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes
    };
    list.iter().flat_map(one).collect()
}

/// The same of a 32-bit program.
fn events32(list: &[(u16, u16, i32)]) -> Vec<u8> {
    let wide = events(list);
    let one = |bytes: &[u8]| [&bytes[..4], &bytes[8..12], &bytes[16..]].concat();
    wide.chunks(24).flat_map(one).collect()
}

fn read(at: (u64, u64), bytes: &[u8]) -> Capture {
    data(Call::Read, at, bytes.len() as i64, bytes, bytes.len() as u64)
}

fn write(bytes: &[u8]) -> Capture {
    data(Call::Write, (1, 2), bytes.len() as i64, bytes, bytes.len() as u64)
}

/// One device, and calls to it in order.
struct Rig {
    devices: Devices,
    device: Arc<Device>,
    out: Vec<Command>,
}

impl Rig {
    /// An evdev node.
    fn new() -> Self {
        Self::node(13, 70)
    }

    fn node(major: u32, minor: u32) -> Self {
        let number = DeviceNumber { major, minor, ..device("input").number };
        let device = Arc::new(Device { number, ..(*device("input")).clone() });
        Self { devices: Devices::new(Settings::default()), device, out: Vec::new() }
    }

    fn feed(&mut self, call: impl Into<Capture>) -> &mut Self {
        self.devices.feed(&call.into(), PROCESS, &self.device, &mut self.out);
        self
    }

    fn read(&mut self, at: (u64, u64), list: &[(u16, u16, i32)]) -> &mut Self {
        self.feed(read(at, &events(list)))
    }

    /// What came out since the last time, without the payload.
    fn text(&mut self) -> String {
        let mut out = std::mem::take(&mut self.out);
        for command in &mut out {
            assert!(command.request.captured.len() as u64 <= command.request.size);
            command.request = Default::default();
        }
        render(&out)
    }
}

#[test]
fn a_frame_is_an_event_called_after_what_tells_most() {
    let mut rig = Rig::new();
    rig.read((0, 9), &[SCAN, PRESS, REPORT, SCAN, (1, 0x1e, 0), REPORT])
        .read((9, 10), &[(2, 0, -3), (2, 1, 4), REPORT])
        .read((9, 10), &[(3, 0, 100), (3, 1, 200), (1, 0x14a, 1), REPORT])
        .read((9, 10), &[(5, 0, 1), REPORT])
        .read((9, 10), &[(4, 3, 1), (0x33, 0x210, 9), REPORT]);
    assert_eq!(rig.out[0].request.size, 72);
    expect![[r#"
        0 event key 9..9 code=KEY_A value=1 events=Texts(["EV_MSC MSC_SCAN 30", "EV_KEY KEY_A 1"]) count=2 time_us=2000005
        1 event key 9..9 code=KEY_A value=0 events=Texts(["EV_MSC MSC_SCAN 30", "EV_KEY KEY_A 0"]) count=2 time_us=2000005
        2 event rel 10..10 code=REL_X value=-3 events=Texts(["EV_REL REL_X -3", "EV_REL REL_Y 4"]) count=2 time_us=2000005
        3 event key 10..10 code=BTN_TOUCH value=1 events=Texts(["EV_ABS ABS_X 100", "EV_ABS ABS_Y 200", "EV_KEY BTN_TOUCH 1"]) count=3 time_us=2000005
        4 event switch 10..10 code=SW_LID value=1 events=Texts(["EV_SW SW_LID 1"]) count=1 time_us=2000005
        5 event msc 10..10 code=MSC_RAW value=1 events=Texts(["EV_MSC MSC_RAW 1", "0x33 0x33:0x210 9"]) count=2 time_us=2000005
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn a_frame_may_come_in_several_reads() {
    let mut rig = Rig::new();
    rig.read((0, 5), &[SCAN]);
    let mut other = read((0, 6), &events(&[(2, 0, 1), REPORT]));
    other.fd = 4;
    rig.feed(other);
    let mut last = read((7, 8), &events(&[PRESS, REPORT]));
    last.tid = 101;
    rig.feed(last);
    expect![[r#"
        0 event rel 6..6 code=REL_X value=1 events=Texts(["EV_REL REL_X 1"]) count=1 time_us=2000005
        1 event key 5..8 thread 100→101 code=KEY_A value=1 events=Texts(["EV_MSC MSC_SCAN 30", "EV_KEY KEY_A 1"]) count=2 time_us=2000005
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn any_split_of_the_reads_gives_the_same_frames() {
    let list = [SCAN, PRESS, REPORT, (2, 0, 1), REPORT, DROPPED, PRESS, REPORT, SCAN, REPORT];
    let mut whole = Rig::new();
    let whole = whole.read((0, 1), &list).text();
    assert_eq!(whole.lines().count(), 4);
    for step in 1..list.len() {
        let mut rig = Rig::new();
        for part in list.chunks(step) {
            rig.read((0, 1), part);
        }
        assert_eq!(rig.text(), whole, "{step} at a time");
    }
}

#[test]
fn a_half_frame_comes_out_in_the_end() {
    let ends: [fn(&mut Rig); 5] = [
        |rig| rig.devices.tick(Timestamp(1_000_005_000), &mut rig.out),
        |rig| rig.devices.moved_on(PROCESS, 100, &mut rig.out),
        |rig| rig.devices.process_gone(PROCESS, Timestamp(9000), &mut rig.out),
        |rig| {
            let body = Body::Close { first: 3, last: 3 };
            let close = Capture { call: Call::Close, body, ..read((6, 7), b"") };
            rig.feed(close);
        },
        |rig| {
            rig.read((6, 7), &[DROPPED, REPORT]);
            assert_eq!(rig.out.pop().map(|command| command.name), Some("dropped".into()));
        },
    ];
    for end in ends {
        let mut rig = Rig::new();
        rig.read((0, 5), &[PRESS]);
        rig.devices.moved_on(PROCESS, 101, &mut rig.out);
        rig.devices.tick(Timestamp(900_000_000), &mut rig.out);
        assert_eq!((rig.out.len(), rig.devices.open()), (0, 1));
        end(&mut rig);
        assert_eq!(rig.devices.open(), 0);
        expect![[r#"
            0 event key 5..5 code=KEY_A value=1 events=Texts(["EV_KEY KEY_A 1"]) count=1 time_us=2000005 complete=Bool(false)
        "#]]
        .assert_eq(&rig.text());
        // The end of what came out already is nothing.
        rig.read((8, 9), &[REPORT]);
        assert_eq!((rig.text().as_str(), rig.devices.counts().empty), ("", 1));
    }
}

#[test]
fn events_that_were_lost_are_an_error() {
    let mut rig = Rig::new();
    rig.read((0, 5), &[DROPPED, PRESS, REPORT]);
    expect![[r#"
        0 event dropped 5..5 error SYN_DROPPED code=KEY_A value=1 events=Texts(["EV_SYN SYN_DROPPED 0", "EV_KEY KEY_A 1"]) count=2 time_us=2000005
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn a_32_bit_program_reads_shorter_events() {
    let mut rig = Rig::new();
    let mut call = read((0, 5), &events32(&[SCAN, PRESS, REPORT]));
    call.abi = Abi::Compat;
    rig.feed(call);
    assert_eq!(rig.out[0].request.size, 48);
    expect![[r#"
        0 event key 5..5 code=KEY_A value=1 events=Texts(["EV_MSC MSC_SCAN 30", "EV_KEY KEY_A 1"]) count=2 time_us=2000005
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn what_was_not_captured_is_counted() {
    let bytes = events(&[PRESS, REPORT, (2, 0, 1), (2, 1, 1), REPORT]);
    let mut rig = Rig::new();
    for captured in [30, 48, 80] {
        rig.feed(data(Call::Read, (0, 5), 120, &bytes[..captured], 120));
    }
    let sizes: Vec<u64> = rig.out.iter().map(|command| command.request.size).collect();
    assert_eq!(sizes, [120, 48, 72, 48, 72]);
    expect![[r#"
        0 event key 5..5 code=KEY_A value=1 events=Texts(["EV_KEY KEY_A 1"]) count=1 time_us=2000005 complete=Bool(false)
        1 event key 5..5 code=KEY_A value=1 events=Texts(["EV_KEY KEY_A 1"]) count=1 time_us=2000005
        2 event input 5..5 complete=Bool(false)
        3 event key 5..5 code=KEY_A value=1 events=Texts(["EV_KEY KEY_A 1"]) count=1 time_us=2000005
        4 event rel 5..5 code=REL_X value=1 events=Texts(["EV_REL REL_X 1"]) count=1 time_us=2000005 complete=Bool(false)
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn frames_are_bounded() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.read((0, 5), &[PRESS; 1000]);
    }
    assert_eq!(rig.devices.open(), 1);
    assert_eq!(rig.out.len(), 2);
    for command in &rig.out {
        let listed = command.args.iter().find_map(|(key, value)| match value {
            crate::model::command::Value::Texts(texts) if *key == "events" => Some(texts.len()),
            _ => None,
        });
        assert_eq!((listed, command.request.size), (Some(32), 1024 * 24));
    }
    let mut rig = Rig::new();
    for fd in 0..70 {
        let mut call = read((0, 5), &events(&[PRESS]));
        call.fd = fd;
        rig.feed(call);
    }
    assert_eq!((rig.devices.open(), rig.out.len()), (64, 6));
}

#[test]
fn reads_that_found_nothing_are_counted_and_failures_shown() {
    let mut rig = Rig::new();
    let failed = |errno: i64| data(Call::Read, (1, 2), -errno, b"", 24);
    rig.feed(failed(11)).feed(failed(4)).feed(failed(19));
    rig.feed(Capture { body: Body::Aborted { command: 0 }, ..failed(4) });
    assert_eq!(rig.text(), "0 command read 1..2 error ENODEV\n");
    let counts = rig.devices.counts();
    assert_eq!((counts.would_block, counts.empty, counts.errors), (1, 2, 1));
}

#[test]
fn what_is_written_is_a_command() {
    let mut rig = Rig::new();
    rig.feed(write(&events(&[(0x11, 1, 1), REPORT, (0x15, 3, 1)]))).feed(write(b"junk"));
    let mut compat = write(&events32(&[(0x12, 2, 440)]));
    compat.abi = Abi::Compat;
    rig.feed(compat);
    assert_eq!(rig.out[0].request.size, 72);
    expect![[r#"
        0 command write 1..2 events=Texts(["EV_LED LED_CAPSL 1", "EV_SYN SYN_REPORT 0", "EV_FF FF:0x03 1"]) count=3
        1 command write 1..2
        2 command write 1..2 events=Texts(["EV_SND SND_TONE 440"]) count=1
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn a_program_that_is_a_device() {
    let mut rig = Rig::node(10, 223);
    let mut setup = vec![0; 1116];
    setup[..4].copy_from_slice(b"Acme");
    setup[80..88].copy_from_slice(&[6, 0, 0x34, 0x12, 0x78, 0x56, 1, 0]);
    setup[88] = 16;
    rig.feed(write(&setup));
    assert_eq!(rig.out[0].request.size, 1116);
    rig.feed(write(&events(&[PRESS, REPORT])));
    // The kernel ends nothing with `SYN_REPORT` here.
    rig.read((3, 4), &[(0x11, 1, 1)]).read((5, 6), &[(0x101, 1, 7)]);
    expect![[r#"
        0 command write 1..2 name=Acme bus=virtual vendor=1234 product=5678 version=1 ff_effects_max=16
        1 command write 1..2 events=Texts(["EV_KEY KEY_A 1", "EV_SYN SYN_REPORT 0"]) count=2
        2 event led 4..4 code=LED_CAPSL value=1 events=Texts(["EV_LED LED_CAPSL 1"]) count=1 time_us=2000005
        3 event uinput 6..6 code=UI_FF_UPLOAD value=7 events=Texts(["EV_UINPUT UI_FF_UPLOAD 7"]) count=1 time_us=2000005
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn joysticks_and_mice_have_events_of_their_own() {
    let mut rig = Rig::node(13, 0);
    let bytes = [[1, 0, 0, 0, 0, 0, 0x81, 3], [9, 0, 0, 0, 0x01, 0x80, 2, 1]].concat();
    rig.feed(data(Call::Read, (1, 2), 20, &bytes, 20));
    expect![[r#"
        0 event button 2..2 "\x01\x00\x00\x00\x00\x00\x81\x03" number=3 value=0 initial=Bool(true) time_ms=1
        1 event axis 2..2 "\t\x00\x00\x00\x01\x80\x02\x01" number=1 value=-32767 time_ms=9
        2 event input 2..2 ""/4
    "#]]
    .assert_eq(&render(&rig.out));
    let mut mouse = Rig::node(13, 63);
    mouse
        .feed(read((1, 2), b"\x29\x05\xfe"))
        .feed(read((3, 4), b"\x08\x00\x00\xff"))
        .feed(read((5, 6), b"\x08"));
    mouse.feed(write(b"\xf3\xc8"));
    expect![[r#"
        0 event mouse 2..2 ")\x05\xfe" buttons=1 x=5 y=-2
        1 event mouse 4..4 "\x08\x00\x00\xff" buttons=0 x=0 y=0 wheel=-1
        2 event mouse 6..6 "\x08"
        3 command write 1..2 "\xf3\xc8"
    "#]]
    .assert_eq(&render(&mouse.out));
}

#[test]
fn a_frame_is_when_its_bytes_were_read() {
    let mut rig = Rig::new();
    rig.read((0, 5), &[SCAN]).read((6, 7), &[REPORT]);
    let expected = Interval { start: Timestamp(5000), end: Timestamp(7000) };
    assert_eq!(rig.out[0].at, expected, "not since the program began to wait");
}
