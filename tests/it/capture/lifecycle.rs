//! Descriptors come, go and get other numbers; threads and processes are born and die.

use iotrail::model::capture::{Body, Target};
use tracer_common::call::Call;
use tracer_common::record::Kind;
use tracer_tests::instrument::Line;
use tracer_tests::probe::pattern;

use super::probe::Probe;
use super::rig::{BOTH, FOLLOWED, MODES, RAW, Rig, Seen, check_call, device};

const FLAGS: i32 = libc::O_RDWR | libc::O_NOCTTY;

/// A line, a probe, and a rig that sees what the one does to the other.
fn set_up(mode: super::rig::Mode) -> (Line, Probe, Rig) {
    let line = Line::open().expect("a line");
    let probe = Probe::start();
    let rig = Rig::new(mode, device(probe.pid(), &line.path));
    (line, probe, rig)
}

fn open(rig: &mut Rig, probe: &mut Probe, line: &Line) -> i64 {
    let fd = rig.call(probe, &format!("openat {} {FLAGS}", line.path.display()));
    rig.take();
    fd
}

/// A write is seen, with this descriptor, and from the probe's process or another.
#[track_caller]
fn seen_write(rig: &mut Rig, fd: i64) -> Seen {
    let seen = rig.one(Kind::Data);
    assert_eq!((i64::from(seen.header.fd), &seen.payload[..]), (fd, &pattern(5)[..]));
    assert!(matches!(seen.capture.target, Target::Device(_)), "{seen:#?}");
    seen
}

#[test]
fn each_way_to_open_is_seen() {
    for mode in BOTH {
        let (line, mut probe, mut rig) = set_up(mode);
        let path = line.path.display().to_string();
        let mut calls = vec![
            (format!("openat {path} {FLAGS}"), Call::Openat, FLAGS),
            (format!("openat2 {path} {FLAGS}"), Call::Openat2, FLAGS),
        ];
        if cfg!(target_arch = "x86_64") {
            calls.push((format!("open {path} {FLAGS}"), Call::Open, FLAGS));
            calls.push((format!("creat {path}"), Call::Creat, 0));
        }
        for (command, call, flags) in calls {
            let fd = rig.call(&mut probe, &command);
            assert!(fd > 0, "{command}: {fd}");
            let seen = rig.one(Kind::Open);
            check_call(&seen, &probe, call, fd);
            let Body::Open { path: ref said, flags: ref asked } = seen.capture.body else {
                panic!("{seen:#?}")
            };
            assert_eq!(said, path.as_bytes(), "{mode:?} {command}");
            // `openat2` has its flags in memory.
            if call != Call::Openat2 {
                assert_eq!(*asked, u64::try_from(flags).expect("flags"), "{command}");
            }
            assert!(matches!(seen.capture.target, Target::Device(_)), "{mode:?} {command}");
            rig.expect(&mut probe, &format!("write {fd} 5"), 5);
            seen_write(&mut rig, fd);
            rig.expect(&mut probe, &format!("close {fd}"), 0);
            let seen = rig.one(Kind::Close);
            check_call(&seen, &probe, Call::Close, 0);
            assert_eq!(seen.capture.body, Body::Close { first: fd as u32, last: fd as u32 });
        }
        probe.end();
    }
}

#[test]
fn a_device_that_cannot_be_opened_is_an_error() {
    for mode in BOTH {
        let (_line, mut probe, mut rig) = set_up(mode);
        let missing = -i64::from(libc::ENOENT);
        rig.expect(&mut probe, &format!("openat /dev/ttyMISSING9 {FLAGS}"), missing);
        let seen = rig.one(Kind::Open);
        check_call(&seen, &probe, Call::Openat, missing);
        let Body::Open { path, .. } = &seen.capture.body else { panic!("{seen:#?}") };
        assert_eq!(path, &b"/dev/ttyMISSING9"[..], "{mode:?}");
        assert!(rig.count("lifecycle") >= 1, "errors have their own ring");
        // A file that is no device is nobody's business, whether it is there or not.
        rig.expect(&mut probe, "openat /missing 0", missing);
        assert!(rig.call(&mut probe, "openat /etc/hostname 0") > 0);
        assert_eq!(rig.of(Kind::Open).len(), 0, "{mode:?}");
        probe.end();
    }
}

#[test]
fn a_descriptor_by_another_number_is_the_same_device() {
    for mode in BOTH {
        let (line, mut probe, mut rig) = set_up(mode);
        let fd = open(&mut rig, &mut probe, &line);
        let mut calls = vec![
            (format!("dup {fd}"), Call::Dup),
            (format!("dup3 {fd} 70"), Call::Dup3),
            (format!("dupfd {fd} 80"), Call::Fcntl),
        ];
        if cfg!(target_arch = "x86_64") {
            calls.push((format!("dup2 {fd} 60"), Call::Dup2));
        }
        for (command, call) in calls {
            let other = rig.call(&mut probe, &command);
            let seen = rig.one(Kind::Dup);
            check_call(&seen, &probe, call, other);
            assert_eq!(i64::from(seen.header.fd), fd, "{mode:?} {command}");
            rig.expect(&mut probe, &format!("write {other} 5"), 5);
            seen_write(&mut rig, other);
            rig.expect(&mut probe, &format!("close {other}"), 0);
            assert_eq!(i64::from(rig.one(Kind::Close).header.fd), other);
            // The first number goes on.
            rig.expect(&mut probe, &format!("write {fd} 5"), 5);
            seen_write(&mut rig, fd);
        }
        probe.end();
    }
}

#[test]
fn a_number_that_means_something_else_is_not_the_device() {
    for mode in BOTH {
        let (line, mut probe, mut rig) = set_up(mode);
        let pipe = probe.numbers("pipe");
        let fd = open(&mut rig, &mut probe, &line);
        // Closed, and the number given to a file.
        rig.expect(&mut probe, &format!("close {fd}"), 0);
        assert_eq!(rig.call(&mut probe, "file 10"), fd);
        rig.expect(&mut probe, &format!("write {fd} 5"), 5);
        assert_eq!(rig.of(Kind::Data).len(), 0, "{mode:?}: closed");
        rig.expect(&mut probe, &format!("close {fd}"), 0);
        // Closed together with others.
        assert_eq!(open(&mut rig, &mut probe, &line), fd);
        rig.expect(&mut probe, &format!("close_range {fd} {}", fd + 10), 0);
        let closed = rig.one(Kind::Close);
        check_call(&closed, &probe, Call::CloseRange, 0);
        assert_eq!(closed.capture.body, Body::Close { first: fd as u32, last: fd as u32 + 10 });
        assert_eq!(rig.call(&mut probe, "file 10"), fd);
        rig.expect(&mut probe, &format!("write {fd} 5"), 5);
        assert_eq!(rig.of(Kind::Data).len(), 0, "{mode:?}: closed with others");
        rig.expect(&mut probe, &format!("close {fd}"), 0);
        // Overwritten by another.
        assert_eq!(open(&mut rig, &mut probe, &line), fd);
        rig.expect(&mut probe, &format!("dup3 {} {fd}", pipe[2]), fd);
        rig.expect(&mut probe, &format!("write {fd} 5"), 5);
        assert_eq!(rig.of(Kind::Data).len(), 0, "{mode:?}: overwritten");
        probe.end();
    }
}

#[test]
fn threads_children_and_other_programs_are_followed() {
    for mode in MODES {
        let (line, mut probe, mut rig) = set_up(mode);
        let fd = open(&mut rig, &mut probe, &line);
        let answer = probe.numbers(&format!("thread write {fd} 5"));
        let seen = seen_write(&mut rig, fd);
        assert_eq!((seen.header.tgid, i64::from(seen.header.tid)), (probe.pid(), answer[1]), "{mode:?}");
        assert_ne!(seen.header.tgid, seen.header.tid);

        // A program in the place of this one keeps its descriptors.
        rig.expect(&mut probe, "exec", 0);
        let exec = rig.one(Kind::Exec);
        assert_eq!(exec.header.tgid, probe.pid());
        rig.expect(&mut probe, &format!("write {fd} 5"), 5);
        assert_eq!(seen_write(&mut rig, fd).header.tgid, probe.pid(), "{mode:?}");
        probe.end();
    }
}

#[test]
fn a_child_is_followed_from_its_first_call() {
    let (line, mut probe, mut rig) = set_up(RAW);
    let fd = open(&mut rig, &mut probe, &line);
    for _ in 0..20 {
        let answer = probe.numbers(&format!("fork write {fd} 5"));
        let seen = rig.take();
        let child = u32::try_from(answer[1]).expect("a process id");
        let fork = seen.iter().find(|seen| seen.kind() == Kind::Fork).expect("the birth is seen");
        assert_eq!((fork.header.tgid, &fork.capture.body), (probe.pid(), &Body::Fork { child }));
        let write: Vec<_> = seen.iter().filter(|seen| seen.kind() == Kind::Data).collect();
        assert_eq!(write.len(), 1, "{seen:#?}");
        assert_eq!((write[0].header.tgid, &write[0].payload[..]), (child, &pattern(5)[..]));
        assert!(seen.iter().any(|seen| seen.kind() == Kind::Exit && seen.header.tgid == child));
    }
    // Another program, however it is started.
    let path = line.path.display();
    rig.expect(&mut probe, &format!("spawn dd if=/dev/zero of={path} bs=7 count=3 status=none"), 0);
    let seen = rig.of(Kind::Data);
    let writes: Vec<_> = seen.iter().filter(|seen| seen.capture.call == Call::Write).collect();
    assert_eq!(writes.len(), 3, "{seen:#?}");
    assert!(writes.iter().all(|seen| seen.payload == [0; 7][..]));
    probe.end();
}

#[test]
fn a_child_is_followed_without_btf_as_well() {
    let (line, mut probe, mut rig) = set_up(FOLLOWED);
    open(&mut rig, &mut probe, &line);
    // What it has from its parent becomes known by and by, what it opens itself at once.
    let path = line.path.display();
    rig.expect(&mut probe, &format!("spawn dd if=/dev/zero of={path} bs=7 count=3 status=none"), 0);
    let seen = rig.of(Kind::Data);
    let writes: Vec<_> = seen.iter().filter(|seen| seen.capture.call == Call::Write).collect();
    assert_eq!(writes.len(), 3, "{seen:#?}");
    assert!(writes.iter().all(|seen| seen.payload == [0; 7][..] && seen.header.tgid != probe.pid()));
    probe.end();
}

#[test]
fn nothing_is_left_of_threads_that_are_gone() {
    const THREADS: i64 = 500;
    for mode in [RAW, FOLLOWED] {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/null"));
        let fd = rig.call(&mut probe, "openat /dev/null 1");
        rig.take();
        rig.expect(&mut probe, &format!("threads {THREADS} write {fd} 5"), THREADS);
        let seen = rig.take();
        let writes = seen.iter().filter(|seen| seen.kind() == Kind::Data).count();
        assert_eq!(i64::try_from(writes), Ok(THREADS), "{mode:?}: one record a call");
        assert_eq!(rig.count("data_ring_full") + rig.count("threads_full"), 0);
        // `join` waits for the thread's last word to its process, which it gives a moment before it is gone.
        let start = std::time::Instant::now();
        while rig.threads().iter().any(|tid| *tid != probe.pid()) {
            assert!(start.elapsed() < crate::support::PATIENCE, "{mode:?}: left over {:?}", rig.threads());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        probe.end();
        assert_eq!(rig.threads(), [0_u32; 0], "{mode:?}");
        let exits = rig.of(Kind::Exit);
        assert!(
            exits.iter().any(|seen| seen.capture.body == Body::Exit { whole_process: true }),
            "{exits:#?}"
        );
    }
}
