//! Reads and writes of devices, each in all its forms: one record a call, with exact bytes.

use std::io::{Read as _, Write as _};

use iotrail::kernel::load::Options;
use iotrail::model::capture::{Body, DeviceKind, DeviceNumber, Position, Target};
use iotrail::model::net::Direction;
use tracer_common::call::Call;
use tracer_common::record::{Fault, Kind};
use tracer_tests::instrument::Line;
use tracer_tests::probe::pattern;

use super::probe::Probe;
use super::rig::{BOTH, EACH, MODES, Mode, RAW, Rig, Seen, check_call, device};

/// The record of a transfer of a device, checked for what all have in common.
fn transfer(rig: &mut Rig, probe: &mut Probe, command: &str, call: Call, result: i64) -> Seen {
    rig.expect(probe, command, result);
    let seen = rig.one(Kind::Data);
    check_call(&seen, probe, call, result);
    assert_eq!(seen.header.captured as usize, seen.payload.len(), "{command}");
    let fd: i32 =
        command.split(' ').nth(1).and_then(|fd| fd.parse().ok()).expect("commands name their descriptor");
    assert_eq!(seen.header.fd, fd, "{command}");
    seen
}

/// What a transfer says of lengths: requested, moved, captured, segments.
fn lengths(seen: &Seen) -> (u64, u64, usize, u16) {
    let Body::Data { requested, ref payload, .. } = seen.capture.body else { panic!("{seen:#?}") };
    (requested, payload.size, payload.captured.len(), seen.header.segments)
}

/// Which way its bytes went, and from where.
fn way(seen: &Seen) -> (Direction, Position) {
    let Body::Data { direction, position, .. } = seen.capture.body else { panic!("{seen:#?}") };
    (direction, position)
}

#[test]
fn a_terminal_shows_each_call_with_its_bytes() {
    for mode in MODES.into_iter().chain([Mode { btf: false, ..EACH }]) {
        terminal(mode);
    }
}

fn terminal(mode: Mode) {
    let mut line = Line::open().expect("a line");
    let mut probe = Probe::start();
    let mut rig = Rig::new(mode, device(probe.pid(), &line.path));
    let path = line.path.display().to_string();
    let fd = rig.call(&mut probe, &format!("openat {path} {}", libc::O_RDWR | libc::O_NOCTTY));
    let open = rig.one(Kind::Open);
    check_call(&open, &probe, Call::Openat, fd);
    let Target::Device(number) = open.capture.target else { panic!("{mode:?}: {open:#?}") };
    assert_eq!(number.kind, DeviceKind::Char);
    let mut arrived = [0; 64];
    let mut arrives = |line: &mut Line, count: usize| {
        line.far.read_exact(&mut arrived[..count]).expect("it arrives");
        assert_eq!(arrived[..count], pattern(count));
    };

    let seen = transfer(&mut rig, &mut probe, &format!("write {fd} 10"), Call::Write, 10);
    assert_eq!((lengths(&seen), way(&seen)), ((10, 10, 10, 1), (Direction::Outward, Position::Unknown)));
    assert_eq!(seen.payload, pattern(10), "{mode:?}");
    assert_eq!(seen.capture.target, Target::Device(number));
    if mode.btf {
        assert_ne!(seen.header.inode, 0);
    }
    arrives(&mut line, 10);

    let seen = transfer(&mut rig, &mut probe, &format!("writev {fd} 5 0 7"), Call::Writev, 12);
    assert_eq!(lengths(&seen), (12, 12, 12, 3), "{mode:?}");
    assert_eq!(seen.payload, pattern(12));
    arrives(&mut line, 12);

    line.far.write_all(b"answer\n").expect("the far end can be written");
    let seen = transfer(&mut rig, &mut probe, &format!("read {fd} 100"), Call::Read, 7);
    assert_eq!((lengths(&seen), way(&seen)), ((100, 7, 7, 1), (Direction::Inward, Position::Unknown)));
    assert_eq!(seen.payload, &b"answer\n"[..]);

    line.far.write_all(b"one more").expect("the far end can be written");
    let seen = transfer(&mut rig, &mut probe, &format!("readv {fd} 3 0 2 20"), Call::Readv, 8);
    assert_eq!(lengths(&seen), (25, 8, 8, 4));
    assert_eq!(seen.payload, &b"one more"[..]);

    // A line has no positions: the call fails, and what was offered is seen.
    let seen = transfer(
        &mut rig,
        &mut probe,
        &format!("pwrite64 {fd} 4 0"),
        Call::Pwrite64,
        -i64::from(libc::ESPIPE),
    );
    assert_eq!((lengths(&seen), seen.payload.as_ref()), ((4, 4, 4, 1), pattern(4).as_slice()));
    probe.end();
}

#[test]
fn calls_with_an_offset_say_it() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut selection = device(probe.pid(), "/dev/zero");
        selection.devices.extend(device(probe.pid(), "/dev/null").devices);
        let mut rig = Rig::new(mode, selection);
        let zero = rig.call(&mut probe, &format!("openat /dev/zero {}", libc::O_RDWR));
        let null = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_RDWR));
        rig.take();
        // Beyond 32 bits, so that a lost half shows.
        let offset: u64 = 5 << 32 | 7;
        let reads = [
            (format!("pread64 {zero} 8 {offset}"), Call::Pread64, 8, 1),
            (format!("preadv {zero} {offset} 3 4"), Call::Preadv, 7, 2),
            (format!("preadv2 {zero} {offset} 3 4 5"), Call::Preadv2, 12, 3),
        ];
        for (command, call, moved, segments) in reads {
            let seen = transfer(&mut rig, &mut probe, &command, call, moved);
            assert_eq!(way(&seen), (Direction::Inward, Position::Offset(offset)), "{mode:?} {command}");
            let moved = u64::try_from(moved).expect("it is not negative");
            assert_eq!(lengths(&seen), (moved, moved, seen.payload.len(), segments), "{command}");
            assert!(!seen.payload.is_empty() && seen.payload.iter().all(|byte| *byte == 0), "{command}");
        }
        let writes = [
            (format!("pwrite64 {null} 8 {offset}"), Call::Pwrite64, 8),
            (format!("pwritev {null} {offset} 3 4"), Call::Pwritev, 7),
            (format!("pwritev2 {null} {offset} 3 4 5"), Call::Pwritev2, 12),
        ];
        for (command, call, moved) in writes {
            let seen = transfer(&mut rig, &mut probe, &command, call, moved);
            assert_eq!(way(&seen), (Direction::Outward, Position::Offset(offset)), "{mode:?} {command}");
            assert_eq!(seen.payload, pattern(usize::try_from(moved).expect("small")), "{command}");
        }
        // Minus one means: where the file stands.
        let seen = transfer(&mut rig, &mut probe, &format!("pwritev2 {null} -1 3"), Call::Pwritev2, 3);
        assert_eq!(way(&seen).1, Position::Unknown, "{mode:?}");
        probe.end();
    }
}

#[test]
fn every_segment_is_followed() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/null"));
        let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        rig.take();
        for (count, length) in [(1_u16, 7_usize), (3, 5), (64, 11), (1024, 4)] {
            let whole = usize::from(count) * length;
            let command = format!("vectors {fd} {count} {length}");
            let moved = i64::try_from(whole).expect("small");
            let seen = transfer(&mut rig, &mut probe, &command, Call::Writev, moved);
            assert_eq!(lengths(&seen), (whole as u64, whole as u64, whole, count), "{mode:?} {command}");
            assert_eq!(seen.payload, pattern(whole), "{mode:?} {command}");
            assert_eq!(seen.header.fault, Fault::None as u16);
        }
        assert_eq!((rig.count("capture_cut"), rig.count("bytes_cut")), (0, 0));
        // One more than the kernel takes.
        let command = format!("vectors {fd} 1025 1");
        transfer(&mut rig, &mut probe, &command, Call::Writev, -i64::from(libc::EINVAL));
        probe.end();
    }
}

#[test]
fn what_is_cut_is_visible_and_counted() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/null"));
        let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        rig.take();
        let seen = transfer(&mut rig, &mut probe, &format!("write {fd} 10000"), Call::Write, 10000);
        assert_eq!((lengths(&seen), seen.header.fault), ((10000, 10000, 4096, 1), 0), "{mode:?}");
        assert_eq!(seen.payload, pattern(4096));
        assert_eq!((rig.count("capture_cut"), rig.count("bytes_cut")), (1, 5904));
        // 64 segments of 1,000 bytes: the limit lies inside the fifth.
        let seen = transfer(&mut rig, &mut probe, &format!("vectors {fd} 64 1000"), Call::Writev, 64000);
        assert_eq!((lengths(&seen), seen.header.fault), ((64000, 64000, 4096, 64), 0), "{mode:?}");
        assert_eq!(seen.payload, pattern(4096));
        assert_eq!((rig.count("capture_cut"), rig.count("bytes_cut")), (2, 5904 + 59904));
        probe.end();
    }
}

#[test]
fn the_capture_limit_goes_from_nothing_to_64_kib() {
    for (limit, captured) in [(0_u32, 0_usize), (1, 1), (65536, 65536)] {
        let mut probe = Probe::start();
        let selection = device(probe.pid(), "/dev/null");
        let options = Options { capture_bytes: limit, selection, ..Options::new(RAW.hooks, true) };
        let mut rig = Rig::with(&options);
        let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        rig.take();
        let seen = transfer(&mut rig, &mut probe, &format!("write {fd} 70000"), Call::Write, 70000);
        assert_eq!((lengths(&seen), seen.header.fault), ((70000, 70000, captured, 1), 0), "{limit}");
        assert_eq!(seen.payload, pattern(captured));
        let seen = transfer(&mut rig, &mut probe, &format!("vectors {fd} 100 700"), Call::Writev, 70000);
        assert_eq!((lengths(&seen), seen.header.fault), ((70000, 70000, captured, 100), 0), "{limit}");
        assert_eq!(seen.payload, pattern(captured));
        assert_eq!(rig.count("bytes_cut"), 2 * (70000 - captured as u64));
        probe.end();
    }
}

#[test]
fn a_device_is_named_by_its_number() {
    let mut probe = Probe::start();
    let mut rig = Rig::new(RAW, device(probe.pid(), "/dev/null"));
    let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
    rig.take();
    let seen = transfer(&mut rig, &mut probe, &format!("write {fd} 1"), Call::Write, 1);
    let null = DeviceNumber { kind: DeviceKind::Char, major: 1, minor: 3 };
    assert_eq!(seen.capture.target, Target::Device(null));
    let comm = String::from_utf8_lossy(&seen.header.comm).into_owned();
    assert_eq!(comm.trim_end_matches('\0'), "probe_calls");
    probe.end();
}

#[test]
fn calls_that_find_nothing_are_counted() {
    for mode in BOTH {
        let mut line = Line::open().expect("a line");
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), &line.path));
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
        let fd = rig.call(&mut probe, &format!("openat {} {flags}", line.path.display()));
        rig.take();
        for _ in 0..10 {
            rig.expect(&mut probe, &format!("read {fd} 10"), -i64::from(libc::EAGAIN));
        }
        assert_eq!(rig.count("would_block"), 10, "{mode:?}");
        // The first one says that the program looked for something; the rest say nothing new.
        let seen = rig.one(Kind::Data);
        check_call(&seen, &probe, Call::Read, -i64::from(libc::EAGAIN));
        assert!(seen.payload.is_empty());
        line.far.write_all(b"x").expect("the far end can be written");
        transfer(&mut rig, &mut probe, &format!("read {fd} 10"), Call::Read, 1);
        probe.end();
    }
}
