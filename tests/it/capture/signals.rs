//! Signals inside a call: killed in it, told of it, or started again.

use std::io::Write as _;

use nix::sys::signal::Signal;
use tracer_common::call::Call;
use tracer_common::record::{Kind, flag};
use tracer_tests::instrument::Line;

use super::probe::Probe;
use super::rig::{BOTH, EACH, FOLLOWED, Mode, RAW, Rig, check_call, device};
use crate::support::PATIENCE;

const USR1: i32 = libc::SIGUSR1;

/// A probe with a line open.
fn set_up(mode: Mode) -> (Line, Probe, Rig, i64) {
    let line = Line::open().expect("a line");
    let mut probe = Probe::start();
    let mut rig = Rig::new(mode, device(probe.pid(), &line.path));
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let fd = rig.call(&mut probe, &format!("openat {} {flags}", line.path.display()));
    rig.take();
    (line, probe, rig, fd)
}

/// Waits until the kernel side has counted so many restarts.
fn restarted(rig: &Rig, times: u64) {
    let start = std::time::Instant::now();
    while rig.count("restarted") < times {
        assert!(start.elapsed() < PATIENCE, "nothing was started again");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(rig.count("restarted"), times);
}

#[test]
fn killed_in_a_read_is_seen() {
    for mode in BOTH {
        let (_line, mut probe, mut rig, fd) = set_up(mode);
        probe.begin(&format!("read {fd} 10"));
        probe.blocks_in(libc::SYS_read, fd);
        probe.signal(Signal::SIGKILL);
        probe.gone();
        let seen = rig.take();
        let [aborted, exit] = seen.as_slice() else { panic!("{mode:?}: {seen:#?}") };
        assert_eq!((aborted.kind(), exit.kind()), (Kind::Aborted, Kind::Exit), "{mode:?}");
        check_call(aborted, &probe, Call::Read, 0);
        assert_eq!(i64::from(aborted.header.fd), fd);
        assert!(rig.threads().is_empty());
    }
}

#[test]
fn killed_in_an_ioctl_is_seen() {
    /// Waits until a console has the screen: this one never will. `linux/vt.h`.
    const VT_WAITACTIVE: u64 = 0x5607;
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/tty0"));
        let fd = rig.call(&mut probe, &format!("openat /dev/tty0 {}", libc::O_RDWR | libc::O_NOCTTY));
        rig.take();
        probe.begin(&format!("ioctl {fd} {VT_WAITACTIVE} =37"));
        probe.blocks_in(libc::SYS_ioctl, fd);
        probe.signal(Signal::SIGKILL);
        probe.gone();
        // This driver does not ask to be started again, so the call has an end of its own.
        let ended = rig.one(Kind::Ioctl);
        check_call(&ended, &probe, Call::Ioctl, -i64::from(libc::EINTR));
        assert_eq!(ended.header.args[0], VT_WAITACTIVE, "{mode:?}");
    }
}

#[test]
fn killed_in_a_write_says_how_far_it_came() {
    for mode in BOTH {
        let (_line, mut probe, mut rig, fd) = set_up(mode);
        // More than the line holds, and nobody reads.
        probe.begin(&format!("write {fd} 200000"));
        probe.blocks_in(libc::SYS_write, fd);
        probe.signal(Signal::SIGKILL);
        probe.gone();
        let write = rig.one(Kind::Data);
        assert_eq!((write.capture.call, write.header.requested), (Call::Write, 200_000));
        assert!(write.header.result > 0 && write.header.result < 200_000, "{mode:?}: {write:#?}");
    }
}

#[test]
fn a_program_that_is_told_of_a_signal_shows_it_at_once() {
    for mode in BOTH {
        let (mut line, mut probe, mut rig, fd) = set_up(mode);
        assert_eq!(probe.call(&format!("handle {USR1} interrupt")), 0);
        let interrupted = -i64::from(libc::EINTR);
        for _ in 0..2 {
            probe.begin(&format!("read {fd} 10"));
            probe.blocks_in(libc::SYS_read, fd);
            probe.signal(Signal::SIGUSR1);
            assert_eq!(probe.answer(), interrupted.to_string());
            // No later call has to bring it to light, and doing the same again is no restart.
            let seen = rig.one(Kind::Data);
            check_call(&seen, &probe, Call::Read, interrupted);
            assert!(!seen.has(flag::RESTARTED), "{mode:?}");
        }
        line.far.write_all(b"x").expect("the far end can be written");
        rig.expect(&mut probe, &format!("read {fd} 10"), 1);
        let seen = rig.one(Kind::Data);
        assert!(!seen.has(flag::RESTARTED), "{mode:?}: {seen:#?}");
        assert_eq!(rig.count("restarted"), 0, "{mode:?}");
        probe.end();
    }
}

#[test]
fn tracepoints_of_single_calls_show_it_with_the_next_call() {
    let (mut line, mut probe, mut rig, fd) = set_up(EACH);
    assert_eq!(probe.call(&format!("handle {USR1} interrupt")), 0);
    probe.begin(&format!("read {fd} 10"));
    probe.blocks_in(libc::SYS_read, fd);
    probe.signal(Signal::SIGUSR1);
    let interrupted = -i64::from(libc::EINTR);
    assert_eq!(probe.answer(), interrupted.to_string());
    line.far.write_all(b"x").expect("the far end can be written");
    // Another call than the one before: that was not started again.
    assert_eq!(probe.call(&format!("readv {fd} 5 5")), 1);
    let seen = rig.of(Kind::Data);
    let [told, read] = seen.as_slice() else { panic!("{seen:#?}") };
    check_call(told, &probe, Call::Read, interrupted);
    check_call(read, &probe, Call::Readv, 1);
    assert!(!told.has(flag::RESTARTED) && !read.has(flag::RESTARTED));
    probe.end();
}

#[test]
fn a_call_that_is_started_again_is_one_call() {
    for mode in [RAW, EACH, FOLLOWED] {
        let (mut line, mut probe, mut rig, fd) = set_up(mode);
        assert_eq!(probe.call(&format!("handle {USR1} restart")), 0);
        let before = iotrail::host::clock::monotonic_ns();
        probe.begin(&format!("read {fd} 10"));
        probe.blocks_in(libc::SYS_read, fd);
        let blocked = iotrail::host::clock::monotonic_ns();
        for times in 1..=2 {
            probe.signal(Signal::SIGUSR1);
            restarted(&rig, times);
            probe.blocks_in(libc::SYS_read, fd);
        }
        // Stopped and continued is the same without a handler.
        probe.signal(Signal::SIGSTOP);
        probe.stops();
        probe.signal(Signal::SIGCONT);
        restarted(&rig, 3);
        line.far.write_all(b"answer").expect("the far end can be written");
        assert_eq!(probe.answer(), "6");
        let seen = rig.one(Kind::Data);
        check_call(&seen, &probe, Call::Read, 6);
        assert!(seen.has(flag::RESTARTED), "{mode:?}");
        assert!((before..=blocked).contains(&seen.header.enter_ns), "entry is the first entry");
        assert_eq!(seen.payload, &b"answer"[..]);
        probe.end();
    }
}

#[test]
fn a_program_that_ends_itself_in_a_handler_died_in_its_call() {
    let (_line, mut probe, mut rig, fd) = set_up(RAW);
    assert_eq!(probe.call(&format!("handle {USR1} exit")), 0);
    probe.begin(&format!("read {fd} 10"));
    probe.blocks_in(libc::SYS_read, fd);
    probe.signal(Signal::SIGUSR1);
    probe.gone();
    check_call(&rig.one(Kind::Aborted), &probe, Call::Read, 0);
}
