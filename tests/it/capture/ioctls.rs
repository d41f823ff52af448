//! `ioctl`: its argument at entry and at exit, as the direction and size in the command's number say.

use iotrail::model::capture::Body;
use tracer_common::call::Call;
use tracer_common::recipe::{
    AT_MOST, BEHIND, Condition, ENTRY, EXIT, Field, Recipe, RecipeKey, without_size,
};
use tracer_common::record::{Fault, Kind};
use tracer_tests::instrument::Line;

use super::probe::Probe;
use super::rig::{BOTH, Mode, Rig, Seen, check_call, device};

/// `TCGETS`, `TCSETS`, `TCFLSH`: no size in their numbers. `asm-generic/ioctls.h`.
const TCGETS: u64 = 0x5401;
const TCSETS: u64 = 0x5402;
const TCFLSH: u64 = 0x540b;
/// `_IOR('T', 0x30, unsigned int)`: the number of a pseudo-terminal.
const TIOCGPTN: u64 = 0x8004_5430;
/// `_IOW('T', 0x31, int)`: locks a pseudo-terminal.
const TIOCSPTLCK: u64 = 0x4004_5431;
/// `_IOW('T', 202, int)` by its number, in truth both ways: a network interface. `linux/if_tun.h`.
const TUNSETIFF: u64 = 0x4004_54ca;
/// `_IOW('T', 203, int)` by its number, in truth the number itself.
const TUNSETPERSIST: u64 = 0x4004_54cb;
/// What a key of the console means: table and key go in, the meaning comes out. `linux/kd.h`.
const KDGKBENT: u64 = 0x4b46;
/// `linux/i2c-dev.h`.
const I2C_RDWR: u64 = 0x0707;
/// The console that has the screen.
const CONSOLE: &str = "/dev/tty0";
/// `_IOR('T', 207, unsigned int)`: what network interfaces can do.
const TUNGETFEATURES: u64 = 0x8004_54cf;
/// `_IOWR(0, 254, struct)`: nobody's command, of 8 KiB.
const LARGE: u64 = 0xe000_00fe;

/// Size of the kernel's own `struct termios`, `asm-generic/termbits.h`.
const TERMIOS: usize = 36;

/// An `ioctl` of the probe: its result, its argument afterwards, and what was seen.
fn ioctl(
    rig: &mut Rig,
    probe: &mut Probe,
    fd: i64,
    command: u64,
    argument: &[u8],
) -> (i64, Vec<u8>, Vec<Seen>) {
    let hex: String = argument.iter().map(|byte| format!("{byte:02x}")).collect();
    probe.begin(&format!("ioctl {fd} {command} {hex}"));
    let answer = probe.answer();
    let (result, after) = answer.split_once(' ').expect("result and argument");
    let byte = |at: usize| u8::from_str_radix(&after[at..at + 2], 16).expect("hex");
    let after = (0..after.len()).step_by(2).map(byte).collect();
    (result.parse().expect("a number"), after, rig.take())
}

#[track_caller]
fn check(seen: &Seen, probe: &Probe, command: u64, result: i64, requested: u64, after: &[u8]) {
    check_call(seen, probe, Call::Ioctl, result);
    let Body::Ioctl { command: of, after: ref captured, .. } = seen.capture.body else { panic!("{seen:#?}") };
    assert_eq!((u64::from(of), &captured[..]), (command, after));
    assert_eq!((seen.header.requested, seen.header.captured as usize), (requested, after.len()));
}

fn open(rig: &mut Rig, probe: &mut Probe, path: &str) -> i64 {
    let fd = rig.call(probe, &format!("openat {path} {}", libc::O_RDWR | libc::O_NOCTTY));
    assert!(fd > 0, "{path} can be opened: {fd}");
    rig.take();
    fd
}

#[test]
fn terminal_settings_go_in_and_come_out() {
    for mode in BOTH {
        let line = Line::open().expect("a line");
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), &line.path));
        let fd = open(&mut rig, &mut probe, &line.path.display().to_string());
        let (result, settings, seen) = ioctl(&mut rig, &mut probe, fd, TCGETS, &[0xee; TERMIOS]);
        assert_eq!((result, seen.len()), (0, 1), "{mode:?}: {seen:#?}");
        assert_ne!(settings, [0xee; TERMIOS]);
        check(&seen[0], &probe, TCGETS, 0, TERMIOS as u64, &settings);
        let (result, _, seen) = ioctl(&mut rig, &mut probe, fd, TCSETS, &settings);
        assert_eq!((result, seen.len()), (0, 1), "{mode:?}: {seen:#?}");
        check(&seen[0], &probe, TCSETS, 0, TERMIOS as u64, &settings);
        // The argument is a number and no address: nothing is behind it.
        rig.expect(&mut probe, &format!("ioctl {fd} {TCFLSH} =2"), 0);
        let seen = rig.one(Kind::Ioctl);
        check(&seen, &probe, TCFLSH, 0, 0, &[]);
        let Body::Ioctl { argument, .. } = seen.capture.body else { panic!("{seen:#?}") };
        assert_eq!((argument, seen.header.fault), (2, Fault::None as u16));
        probe.end();
    }
}

#[test]
fn sizes_in_the_number_are_believed() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/ptmx"));
        let fd = open(&mut rig, &mut probe, "/dev/ptmx");
        let (result, number, seen) = ioctl(&mut rig, &mut probe, fd, TIOCGPTN, &[0xee; 4]);
        assert_eq!((result, seen.len()), (0, 1), "{mode:?}: {seen:#?}");
        check(&seen[0], &probe, TIOCGPTN, 0, 4, &number);
        let (result, _, seen) = ioctl(&mut rig, &mut probe, fd, TIOCSPTLCK, &[0; 4]);
        assert_eq!((result, seen.len()), (0, 1), "{mode:?}: {seen:#?}");
        check(&seen[0], &probe, TIOCSPTLCK, 0, 4, &[0; 4]);
        probe.end();
    }
}

#[test]
fn an_argument_that_goes_both_ways_is_seen_twice() {
    for mode in BOTH {
        both_ways(mode);
    }
}

fn both_ways(mode: Mode) {
    let mut probe = Probe::start();
    let mut rig = Rig::new(mode, device(probe.pid(), "/dev/ptmx"));
    let fd = open(&mut rig, &mut probe, "/dev/ptmx");
    // No driver knows the command, so nothing overwrites the argument; both records are there all the same, the one of
    // the entry in the data ring and the failure in the other.
    let command = 0xc008_7afe;
    let before: Vec<u8> = (1..=8).collect();
    let failed = -i64::from(libc::ENOTTY);
    let (result, _, seen) = ioctl(&mut rig, &mut probe, fd, command, &before);
    let [entry, exit] = seen.as_slice() else { panic!("{mode:?}: {seen:#?}") };
    assert_eq!((result, entry.kind(), exit.kind()), (failed, Kind::IoctlEntry, Kind::Ioctl));
    assert_eq!((&entry.payload[..], entry.header.requested), (&before[..], 8));
    let Body::Ioctl { before: Some(at_entry), after, .. } = &entry.capture.body else { panic!("{entry:#?}") };
    assert_eq!((&at_entry[..], after.is_empty()), (&before[..], true));
    check(exit, &probe, command, failed, 8, &before);
    assert_eq!(entry.header.enter_ns, exit.header.enter_ns, "they belong together");
    assert_eq!(entry.header.tid, exit.header.tid);
    probe.end();
}

#[test]
fn what_the_driver_overwrote_is_seen_as_it_was() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut selection = device(probe.pid(), CONSOLE);
        let key = RecipeKey { command: KDGKBENT as u32, ..RecipeKey::default() };
        selection.ioctls.push((key, Recipe::PLAIN.sized(4, 4)));
        let mut rig = Rig::new(mode, selection);
        let fd = open(&mut rig, &mut probe, CONSOLE);
        // What is on the key 30 of the plain table?
        let before = [0, 30, 0xee, 0xee];
        let (result, after, seen) = ioctl(&mut rig, &mut probe, fd, KDGKBENT, &before);
        assert_eq!((result, &after[..2]), (0, &before[..2]), "{mode:?}");
        assert_ne!(after[2..], before[2..], "the driver answers");
        let [entry, exit] = seen.as_slice() else { panic!("{mode:?}: {seen:#?}") };
        assert_eq!((entry.kind(), &entry.payload[..]), (Kind::IoctlEntry, &before[..]));
        check(exit, &probe, KDGKBENT, 0, 4, &after);
        assert_eq!(entry.header.enter_ns, exit.header.enter_ns, "they belong together");
        probe.end();
    }
}

#[test]
fn an_argument_over_the_capture_limit_is_cut_visibly() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/ptmx"));
        let fd = open(&mut rig, &mut probe, "/dev/ptmx");
        let argument = tracer_tests::probe::pattern(8192);
        let (_, _, seen) = ioctl(&mut rig, &mut probe, fd, LARGE, &argument);
        assert_eq!(seen.len(), 2, "{mode:?}: {seen:#?}");
        for seen in &seen {
            assert_eq!((seen.header.requested, &seen.payload[..]), (8192, &argument[..4096]));
            assert_eq!(seen.header.fault, Fault::None as u16);
        }
        probe.end();
    }
}

#[test]
fn an_argument_that_cannot_be_read_is_counted() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/ptmx"));
        let fd = open(&mut rig, &mut probe, "/dev/ptmx");
        let failed = -i64::from(libc::EFAULT);
        rig.expect(&mut probe, &format!("ioctl {fd} {TIOCSPTLCK} =16"), failed);
        let seen = rig.one(Kind::Ioctl);
        check(&seen, &probe, TIOCSPTLCK, failed, 4, &[]);
        assert_eq!(seen.header.fault, Fault::Unreadable as u16);
        assert_eq!(rig.count("unreadable"), 1, "{mode:?}");
        probe.end();
    }
}

#[test]
fn a_number_with_a_size_is_still_a_number() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/net/tun"));
        let fd = open(&mut rig, &mut probe, "/dev/net/tun");
        // No interface yet, so that it is refused; nothing is at address 1.
        let failed = -i64::from(libc::EBADFD);
        rig.expect(&mut probe, &format!("ioctl {fd} {TUNSETPERSIST} =1"), failed);
        let seen = rig.one(Kind::Ioctl);
        check(&seen, &probe, TUNSETPERSIST, failed, 0, &[]);
        assert_eq!((seen.header.fault, rig.count("unreadable")), (Fault::None as u16, 0), "{mode:?}");
        probe.end();
    }
}

#[test]
fn a_network_tunnel_is_a_device_too() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/net/tun"));
        let fd = open(&mut rig, &mut probe, "/dev/net/tun");
        let (result, features, seen) = ioctl(&mut rig, &mut probe, fd, TUNGETFEATURES, &[0; 4]);
        assert_eq!((result, seen.len()), (0, 1), "{mode:?}: {seen:#?}");
        check(&seen[0], &probe, TUNGETFEATURES, 0, 4, &features);
        // An interface with a flag that does not exist: refused.
        let mut request = vec![0; 40];
        request[16..18].copy_from_slice(&[0xff, 0x0f]);
        let (result, _, seen) = ioctl(&mut rig, &mut probe, fd, TUNSETIFF, &request);
        assert!(result < 0);
        // Its number says four bytes; it is known to take more, and to answer.
        let [entry, exit] = seen.as_slice() else { panic!("{mode:?}: {seen:#?}") };
        assert_eq!((entry.kind(), &entry.payload[..]), (Kind::IoctlEntry, &request[..]), "{mode:?}");
        check(exit, &probe, TUNSETIFF, result, 40, &request);
        probe.end();
    }
}

/// `GIO_UNIMAP`: which characters the console's font has. `struct unimapdesc` points to where they go. `linux/kd.h`.
const GIO_UNIMAP: u64 = 0x4b66;

#[test]
fn what_a_driver_answers_elsewhere_is_followed() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut selection = device(probe.pid(), CONSOLE);
        let key = RecipeKey { command: GIO_UNIMAP as u32, ..RecipeKey::default() };
        let recipe = Recipe::PLAIN.sized(16, 16).pointer(EXIT, (8, 8), Field::u16(0), 4);
        selection.ioctls.push((key, recipe));
        let mut rig = Rig::new(mode, selection);
        let fd = open(&mut rig, &mut probe, CONSOLE);
        // More room than a font has characters: 65535 pairs of 4 bytes; 128 are followed.
        let answer = probe.numbers(&format!("ioctl-room {fd} {GIO_UNIMAP} 65535 262140"));
        assert_eq!(answer[0], 0, "{mode:?}");
        let seen = rig.take();
        let exit = seen.iter().find(|seen| seen.kind() == Kind::Ioctl).expect("it returned");
        let Body::Ioctl { after, answered, .. } = &exit.capture.body else { panic!("{exit:#?}") };
        let characters = u16::from_ne_bytes([after[0], after[1]]);
        assert!(characters > 0 && characters != 65535, "the driver says how many there are");
        assert_eq!(answered.len(), usize::from(characters).min(128), "{mode:?}");
        for (index, piece) in answered.iter().enumerate() {
            assert_eq!((usize::from(piece.element), piece.buffer, piece.payload.size), (index, None, 4));
            let own: [u8; 4] = piece.payload.captured[..].try_into().expect("whole");
            assert_eq!(i64::from(u32::from_ne_bytes(own)), answer[1 + index], "{mode:?} {index}");
        }
        probe.end();
    }
}

#[test]
fn what_a_program_gives_elsewhere_is_followed() {
    for mode in BOTH {
        let mut probe = Probe::start();
        // The messages of a bus, to a driver that knows no such command: what is given is seen all the same.
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/ptmx"));
        let fd = open(&mut rig, &mut probe, "/dev/ptmx");
        let failed = -i64::from(libc::ENOTTY);
        let all = tracer_tests::probe::pattern(3 + 7 + 5000 + 4 + 20);
        // Written, read, written beyond the limit, not there, written when nothing more fits.
        rig.expect(&mut probe, &format!("ioctl-messages {fd} {I2C_RDWR} 0:3 1:7 0:5000 0:4- 0:20"), failed);
        let seen = rig.take();
        let [entry, exit] = seen.as_slice() else { panic!("{mode:?}: {seen:#?}") };
        let Body::Ioctl { given, .. } = &entry.capture.body else { panic!("{entry:#?}") };
        let elements: Vec<_> = given.iter().filter(|piece| piece.buffer.is_none()).collect();
        assert_eq!(elements.len(), 5, "{mode:?}: {given:#?}");
        assert!(elements.iter().all(|piece| piece.payload.size == 16));
        let written = |element| {
            let piece = given.iter().find(|piece| piece.element == element && piece.buffer == Some(0));
            piece.map(|piece| (piece.payload.size, &piece.payload.captured[..]))
        };
        assert_eq!(written(0), Some((3, &all[..3])), "{mode:?}");
        assert_eq!(written(1), None, "what is to be read is nothing yet");
        // The elements themselves do not count.
        let room = 4096 - 16 - 3;
        assert_eq!(written(2), Some((5000, &all[10..10 + room])), "{mode:?}");
        assert_eq!(written(3), Some((4, &[][..])));
        assert_eq!(written(4), Some((20, &[][..])));
        // A call that failed answers nothing; what could not be read at entry is tried again.
        let Body::Ioctl { answered, .. } = &exit.capture.body else { panic!("{exit:#?}") };
        assert!(answered.iter().all(|piece| piece.buffer != Some(1)), "{answered:#?}");
        probe.end();
    }
}

#[test]
fn lengths_may_be_counts_bits_and_bounds() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut selection = device(probe.pid(), "/dev/ptmx");
        // Nobody's command, of 8 bytes; what is copied lies behind them.
        let command: u64 = 0xc008_7afd;
        let behind = |at| (at, BEHIND);
        let recipe = Recipe::PLAIN
            .argument(8)
            .buffer(0, ENTRY, behind(8), Field::u16(0), Condition::ALWAYS)
            .unit(0, Field::known(3))
            .buffer(1, ENTRY, behind(9), Field::u16(2).masked(3), Condition::ALWAYS)
            .buffer(2, ENTRY | AT_MOST, behind(10), Field::known(1 << 16), Condition::ALWAYS);
        let key = RecipeKey { command: without_size(command as u32), ..RecipeKey::default() };
        selection.ioctls.push((key, recipe));
        let mut rig = Rig::new(mode, selection);
        let fd = open(&mut rig, &mut probe, "/dev/ptmx");
        let mut argument = tracer_tests::probe::pattern(64);
        argument[..4].copy_from_slice(&[4, 0, 0xfe, 0xff]);
        let (_, _, seen) = ioctl(&mut rig, &mut probe, fd, command, &argument);
        let [entry, _] = seen.as_slice() else { panic!("{mode:?}: {seen:#?}") };
        let Body::Ioctl { given, .. } = &entry.capture.body else { panic!("{entry:#?}") };
        let buffer = |index| {
            let piece = given.iter().find(|piece| piece.buffer == Some(index)).expect("a piece");
            (piece.payload.size, &piece.payload.captured[..])
        };
        assert_eq!(buffer(0), (12, &argument[8..20]), "{mode:?}");
        assert_eq!(buffer(1), (2, &argument[9..11]), "{mode:?}");
        let (size, captured) = buffer(2);
        assert_eq!((size, &captured[..54]), (1 << 16, &argument[10..]), "{mode:?}");
        // Nobody said that there is so much.
        assert_eq!((rig.count("capture_cut"), rig.count("unreadable")), (0, 0), "{mode:?}");
        assert_eq!(entry.header.fault, Fault::None as u16, "{mode:?}");
        probe.end();
    }
}

/// A number that no driver has.
const SEGMENTS: u64 = 0x7f7e;

#[test]
fn what_lies_in_several_pieces_is_one() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut selection = device(probe.pid(), "/dev/ptmx");
        let key = RecipeKey { command: SEGMENTS as u32, ..RecipeKey::default() };
        let recipe = Recipe::PLAIN
            .sized(24, 0)
            .argument(24)
            .buffer(0, ENTRY, (0, 8), Field::u32(16), Condition::ALWAYS)
            .segments(0, Field::u32(8));
        // Of whatever family the node is.
        selection.ioctls.extend((0..64).map(|family| (RecipeKey { family, ..key }, recipe)));
        let mut rig = Rig::new(mode, selection);
        let fd = open(&mut rig, &mut probe, "/dev/ptmx");
        let failed = -i64::from(libc::ENOTTY);
        let all = tracer_tests::probe::pattern(20_000);
        let limit = 4096 - 24;
        for (most, lengths, size, captured) in [
            (4000, "3 7 40", 50, 50),
            // Less belongs to it than there is room for.
            (9, "3 7 40", 9, 9),
            // What is beyond the limit is counted, not copied.
            (100_000, "4000 0 3000 500", 7500, limit),
            // One of them is nowhere: what lies behind it has no place.
            (100, "5 6- 7", 18, 5),
            (100, "8", 8, 8),
        ] {
            rig.expect(&mut probe, &format!("ioctl-segments {fd} {SEGMENTS} {most} {lengths}"), failed);
            let seen = rig.take();
            let entry = seen.iter().find(|seen| seen.kind() == Kind::IoctlEntry).expect("it began");
            let Body::Ioctl { given, .. } = &entry.capture.body else { panic!("{entry:#?}") };
            let [piece] = given.as_slice() else { panic!("{mode:?} {lengths}: {given:#?}") };
            assert_eq!((piece.element, piece.buffer), (0, Some(0)));
            assert_eq!(
                (piece.payload.size, piece.payload.captured.len()),
                (size, captured),
                "{mode:?} {lengths}"
            );
            assert_eq!(piece.payload.captured[..], all[..captured], "{mode:?} {lengths}");
        }
        // More than are followed.
        let many = vec!["1"; 1030].join(" ");
        rig.expect(&mut probe, &format!("ioctl-segments {fd} {SEGMENTS} 5000 {many}"), failed);
        let seen = rig.take();
        let entry = seen.iter().find(|seen| seen.kind() == Kind::IoctlEntry).expect("it began");
        let Body::Ioctl { given, .. } = &entry.capture.body else { panic!("{entry:#?}") };
        assert_eq!((given[0].payload.captured.len(), entry.header.fault), (1024, Fault::Segments as u16));
        assert_eq!(rig.count("segments_cut"), 1, "{mode:?}");
        probe.end();
    }
}
