//! Scripts of calls, and what comes out.

pub(in crate::device) mod calls;
mod hostile;
mod numbers;

use std::fmt::Write;

use super::*;
use crate::model::capture::Target;
use crate::model::command::{Status, Value};
use crate::model::net::Direction;
use crate::model::time::Interval;
use expect_test::{Expect, expect};
use tracer_common::call::{Abi, Call};

/// The one process of most tests.
pub(super) const PROCESS: ProcessKey = ProcessKey { pid: 100, generation: 0 };

pub(super) fn device(class: &'static str) -> Arc<Device> {
    let kind = if class == "block" { DeviceKind::Block } else { DeviceKind::Char };
    Arc::new(Device::new(DeviceNumber { kind, major: 188, minor: 0 }, class, "/dev/x", "x"))
}

/// A capture of a call on descriptor 3 by thread 100. Times in µs.
pub(super) fn capture(call: Call, times: (u64, u64), result: i64, body: Body) -> Capture {
    Capture {
        at: Interval { start: Timestamp(times.0 * 1000), end: Timestamp(times.1 * 1000) },
        pid: PROCESS.pid,
        tid: PROCESS.pid,
        comm: [0; 16],
        call,
        abi: Abi::Native,
        fd: 3,
        target: Target::None,
        inode: 0,
        result,
        restarted: false,
        direct: false,
        body,
    }
}

pub(super) fn data(call: Call, times: (u64, u64), result: i64, bytes: &[u8], size: u64) -> Capture {
    let direction = if call == Call::Write { Direction::Outward } else { Direction::Inward };
    let payload = Payload { captured: Bytes::copy_from_slice(bytes), size };
    let body = Body::Data {
        direction,
        requested: size,
        position: Position::Unknown,
        peek: false,
        later: false,
        payload,
    };
    capture(call, times, result, body)
}

fn ioctl_body(command: u32, after: &[u8]) -> Body {
    let after = Bytes::copy_from_slice(after);
    Body::Ioctl { command, argument: 0, before: None, after, given: Vec::new(), answered: Vec::new() }
}

pub(super) fn ioctl(
    command: u32,
    argument: u64,
    result: i64,
    before: Option<&[u8]>,
    after: &[u8],
) -> Capture {
    let (before, after) = (before.map(Bytes::copy_from_slice), Bytes::copy_from_slice(after));
    capture(
        Call::Ioctl,
        (10, 20),
        result,
        Body::Ioctl { command, argument, before, after, given: Vec::new(), answered: Vec::new() },
    )
}

/// Plays a script on a device of this class.
///
/// A line is `TIMES CALL [BYTES] [OPTIONS]`: times in µs as `20` or `10-20`; calls `write`, `read`, `ioctl 0xNUMBER`,
/// `open`, `close`, `aborted-read`, `aborted-write`, `aborted-ioctl`, `tick`, `gone`, `unplug`, `moved-on`; bytes as a
/// Rust literal; options `tid=N`, `fd=N`, `=-ERRNO`, `+N` (as many more bytes that were not captured), `wronly`.
pub(super) fn play(class: &'static str, script: &str) -> (Devices, Vec<Command>) {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    let device = device(class);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        step(&mut devices, &device, line, &mut out);
    }
    (devices, out)
}

fn step(devices: &mut Devices, device: &Arc<Device>, line: &str, out: &mut Vec<Command>) {
    let (head, bytes, tail) = match line.split_once('"') {
        Some((head, rest)) => {
            let (literal, tail) = rest.rsplit_once('"').unwrap();
            (head, unescape(literal), tail)
        }
        None => (line, Vec::new(), ""),
    };
    let words: Vec<&str> = head.split_whitespace().chain(tail.split_whitespace()).collect();
    let (start, end) = words[0].split_once('-').unwrap_or((words[0], words[0]));
    let times: (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.parse::<i64>().ok());
    let size = bytes.len() as u64 + option("+").unwrap_or(0) as u64;
    let failed = option("=");
    let result = failed.unwrap_or(size as i64);
    let aborted = |call| capture(call, times, -4, Body::Aborted { command: 0x0703 });
    let mut captured = match words[1] {
        "write" => data(Call::Write, times, result, &bytes, size),
        "read" => data(Call::Read, times, result, &bytes, size),
        "ioctl" => {
            let command = u32::from_str_radix(words[2].trim_start_matches("0x"), 16).unwrap();
            capture(Call::Ioctl, times, failed.unwrap_or(0), ioctl_body(command, &bytes))
        }
        "open" => {
            let flags = if words.contains(&"wronly") { 0o1 } else { 0o2 };
            capture(Call::Openat, times, 3, Body::Open { path: Bytes::new(), flags })
        }
        "close" => {
            let fd = option("fd=").unwrap_or(3) as u32;
            capture(Call::Close, times, 0, Body::Close { first: fd, last: fd })
        }
        "aborted-read" => aborted(Call::Read),
        "aborted-write" => aborted(Call::Write),
        "aborted-ioctl" => aborted(Call::Ioctl),
        "tick" => return devices.tick(Timestamp(times.1 * 1000), out),
        "gone" => return devices.process_gone(PROCESS, Timestamp(times.1 * 1000), out),
        "unplug" => return devices.device_gone(device.number, Timestamp(times.1 * 1000), out),
        "moved-on" => return devices.moved_on(PROCESS, option("tid=").unwrap_or(100) as u32, out),
        other => panic!("no such call: {other}"),
    };
    captured.tid = option("tid=").unwrap_or(100) as u32;
    captured.fd = option("fd=").unwrap_or(3) as i32;
    devices.feed(&captured, PROCESS, device, out);
}

/// The bytes of a Rust literal's inside.
fn unescape(literal: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = literal.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            plain => plain,
        });
    }
    bytes
}

/// One line per command.
pub(super) fn render(commands: &[Command]) -> String {
    let mut text = String::new();
    for command in commands {
        let Command { name, at, tid, end_tid, serial, .. } = command;
        let kind = if command.unsolicited { "event" } else { "command" };
        let micros = |time: Timestamp| time.0 / 1000;
        write!(text, "{serial} {kind} {name} {}..{}", micros(at.start), micros(at.end)).unwrap();
        if (*tid, *end_tid) != (100, 100) {
            write!(text, " thread {tid}→{end_tid}").unwrap();
        }
        let shown = |payload: &Payload| {
            let cut = if payload.is_whole() { String::new() } else { format!("/{}", payload.size) };
            format!("\"{}\"{cut}", payload.captured.escape_ascii())
        };
        if command.request.size > 0 {
            write!(text, " {}", shown(&command.request)).unwrap();
        }
        if let Some(reply) = &command.reply {
            write!(text, " → {}", shown(reply)).unwrap();
        }
        if let Status::Error { kind, .. } = &command.status {
            write!(text, " error {kind}").unwrap();
        }
        for (key, value) in &command.args {
            match value {
                Value::Int(number) => write!(text, " {key}={number}"),
                Value::Text(word) => write!(text, " {key}={word}"),
                other => write!(text, " {key}={other:?}"),
            }
            .unwrap();
        }
        text.push('\n');
    }
    text
}

/// Plays a script and compares what comes out.
#[track_caller]
pub(super) fn check(class: &'static str, script: &str, expected: Expect) {
    expected.assert_eq(&render(&play(class, script).1));
}

#[test]
fn other_classes_make_a_command_of_each_call() {
    check(
        "i2c",
        r#"
        0-5 write "\x10\x01"
        5-9 read "\x7f"
        10-12 read "" =-11
        12-20 read "" =-121
        20-30 ioctl 0x40105703 "\x01\x02"
        30-31 ioctl 0x0703 =-16
        31-32 aborted-ioctl
        "#,
        expect![[r#"
            0 command write 0..5 "\x10\x01"
            1 command read 5..9 → "\x7f"
            2 command read 12..20 error EREMOTEIO
            3 command ioctl W:0x03 20..30 "\x01\x02"/16 command=0x40105703 direction=write size=16
            4 command I2C_SLAVE 30..31 error EBUSY address=0
            5 command I2C_SLAVE 31..32 error killed
        "#]],
    );
}

#[test]
fn a_command_is_named_by_the_driver_of_its_device() {
    for (class, driver, command, expected) in [
        ("dri", "i915", 0xc010_645b, "DRM_IOCTL_I915_GEM_CREATE"),
        ("dri", "amdgpu", 0xc020_6440, "DRM_IOCTL_AMDGPU_GEM_CREATE"),
        ("dri", "virtio_gpu", 0xc010_6443, "DRM_IOCTL_VIRTGPU_GETPARAM"),
        ("sound", "snd_hdsp", 0x83b0_4840, "SNDRV_HDSP_IOCTL_GET_PEAK_RMS"),
        ("other", "nvidia", 0xc020_462a, "ioctl F:0x2a"),
    ] {
        let mut described = (*device(class)).clone();
        described.identity.driver = Some(driver.into());
        described.path = "/dev/dri/card1".into();
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        devices.feed(&ioctl(command, 0, 0, None, b""), PROCESS, &Arc::new(described), &mut out);
        assert_eq!(out[0].name, expected, "{class} {driver}");
    }
}

#[test]
fn calls_about_the_descriptor_make_no_spans() {
    let (devices, out) = play(
        "i2c",
        r#"
        0 ioctl 0x5421
        1 ioctl 0x5450
        2 ioctl 0x5451
        3 ioctl 0x5452
        4 ioctl 0x541b
        5 ioctl 0x5401 =-25
        6 ioctl 0x802c542a =-25
        7 read "" =-11
        8 open
        "#,
    );
    assert_eq!(render(&out), "");
    let expected = Counts { calls: 9, descriptor_calls: 7, would_block: 1, ..Counts::default() };
    assert_eq!(devices.counts(), expected);
}

#[test]
fn masters_make_no_spans() {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    for (major, minor) in [(5, 2), (128, 0), (135, 9)] {
        let number = DeviceNumber { kind: DeviceKind::Char, major, minor };
        let master = Arc::new(Device { number, ..(*device("tty")).clone() });
        devices.feed(&data(Call::Write, (0, 1), 1, b"x", 1), PROCESS, &master, &mut out);
    }
    assert_eq!((out.len(), devices.counts().excluded), (0, 3));
}

#[test]
fn each_process_and_device_counts_for_itself() {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    let other = ProcessKey { pid: 100, generation: 1 };
    for process in [PROCESS, other, PROCESS] {
        devices.feed(&data(Call::Write, (0, 1), 1, b"x", 1), process, &device("toaster"), &mut out);
    }
    let serials: Vec<u64> = out.iter().map(|command| command.serial).collect();
    assert_eq!(serials, [0, 0, 1]);
}

#[test]
fn sessions_are_bounded_and_numbers_stay_unique() {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    for pid in (0..SESSIONS as u32 + 1).chain([0]) {
        let at = u64::from(pid) + if out.len() > SESSIONS { 1_000_000 } else { 0 };
        let process = ProcessKey { pid, generation: 0 };
        devices.feed(&data(Call::Write, (at, at), 1, b"x", 1), process, &device("toaster"), &mut out);
    }
    assert_eq!(devices.sessions.len(), SESSIONS);
    assert_eq!(devices.counts().evicted, 2);
    let of_first: Vec<u64> =
        out.iter().filter(|command| command.process.pid == 0).map(|command| command.serial).collect();
    assert_eq!(of_first, [0, 1_000_000_000]);
}

#[test]
fn a_number_given_to_another_device_starts_anew() {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    devices.feed(&data(Call::Write, (0, 1), 6, b"MEAS?\n", 6), PROCESS, &device("tty"), &mut out);
    devices.feed(&data(Call::Write, (90_000, 90_001), 1, b"x", 1), PROCESS, &device("hid"), &mut out);
    expect![[r#"
        0 command MEAS? 0..90000 "MEAS?\n" error ENODEV
        1 command write 90000..90001 "x" report_id=120
    "#]]
    .assert_eq(&render(&out));
}

#[test]
fn another_device_of_the_same_class_starts_anew_too() {
    for id in ["x", "y"] {
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        devices.feed(&data(Call::Write, (0, 1), 6, b"MEAS?\n", 6), PROCESS, &device("tty"), &mut out);
        let other = Arc::new(Device { id: id.into(), ..(*device("tty")).clone() });
        devices.feed(&data(Call::Read, (900, 901), 2, b"1\n", 2), PROCESS, &other, &mut out);
        devices.tick(Timestamp(5_000_000_000), &mut out);
        // The same device, described again, answers; another one does not.
        let answered = out.iter().any(|command| command.reply.is_some());
        assert_eq!(answered, id == "x", "{id}: {}", render(&out));
    }
}

#[test]
fn a_payload_never_holds_more_than_there_was() {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    devices.feed(&data(Call::Read, (0, 1), 2, b"abcdef", 2), PROCESS, &device("toaster"), &mut out);
    assert_eq!(out[0].reply, Some(Payload::whole(&b"ab"[..])));
}

#[test]
fn old_commands_have_sizes_in_their_own_family_and_where_none_is_known() {
    for family in [0, family("tty")] {
        for (command, reads, writes) in [
            (0x5401, 0, 36),
            (0x5402, 36, 0),
            (0x5415, 0, 4),
            (0x5418, 4, 0),
            (0x542f, 32, 32),
            (0x541e, 0, 72),
        ] {
            let key = RecipeKey { family, command, ..RecipeKey::default() };
            let found = recipes().iter().find(|(of, _)| *of == key);
            let sizes = found.map(|(_, recipe)| (recipe.reads, recipe.writes));
            assert_eq!(sizes, Some((reads, writes)), "{command:x}");
        }
    }
    let foreign = RecipeKey { family: family("i2c"), command: 0x5401, ..RecipeKey::default() };
    assert!(recipes().iter().all(|(key, _)| *key != foreign));
    assert_ne!(family("i2c"), 0);
    assert_eq!(family("toaster"), 0);
}

#[test]
fn the_kernel_side_has_room_for_every_recipe() {
    let room = tracer_common::limits::IOCTLS as usize;
    assert!(recipes().len() <= room, "{} of {room}", recipes().len());
}
