//! Bytes in memory that is not there: read at exit if not at entry, and counted if not even then.

use iotrail::model::capture::Body;
use tracer_common::record::{Fault, Kind};
use tracer_tests::instrument::Line;
use tracer_tests::probe::pattern;

use super::probe::Probe;
use super::rig::{BOTH, Rig, Seen, device};

fn lengths(seen: &Seen) -> (u64, u64, usize, u16) {
    let Body::Data { requested, ref payload, .. } = seen.capture.body else { panic!("{seen:#?}") };
    (requested, payload.size, payload.captured.len(), seen.header.fault)
}

#[test]
fn pages_that_the_driver_brings_in_are_read_at_exit() {
    for mode in BOTH {
        let mut line = Line::open().expect("a line");
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), &line.path));
        let fd = rig
            .call(&mut probe, &format!("openat {} {}", line.path.display(), libc::O_RDWR | libc::O_NOCTTY));
        rig.take();
        for what in ["lazy", "dropped"] {
            rig.expect(&mut probe, &format!("write_from {what} {fd} 300"), 300);
            let seen = rig.one(Kind::Data);
            assert_eq!(lengths(&seen), (300, 300, 300, Fault::None as u16), "{mode:?} {what}");
            assert_eq!(seen.payload, pattern(300));
            std::io::Read::read_exact(&mut line.far, &mut [0; 300]).expect("it arrives");
        }
        assert_eq!(rig.count("unreadable"), 0);
        probe.end();
    }
}

#[test]
fn pages_that_stay_away_are_lengths_and_a_counted_reason() {
    for mode in BOTH {
        let mut probe = Probe::start();
        // This one takes what it is given without looking at it: nothing brings the pages in.
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/null"));
        let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        rig.take();
        let lost = Fault::Unreadable as u16;
        let cases = [
            ("lazy", 300, (300, 300, 0, lost)),
            ("dropped", 5000, (5000, 5000, 0, lost)),
            ("none", 100, (100, 100, 0, lost)),
            // What lies on the page before the hole is there.
            ("tail:100", 300, (300, 300, 100, lost)),
            ("tail:100", 100, (100, 100, 100, 0)),
        ];
        for (what, length, expected) in cases {
            rig.expect(&mut probe, &format!("write_from {what} {fd} {length}"), length);
            let seen = rig.one(Kind::Data);
            assert_eq!(lengths(&seen), expected, "{mode:?} {what} {length}");
            assert_eq!(seen.payload, pattern(expected.2));
        }
        assert_eq!(rig.count("unreadable"), 4);
        assert_eq!(rig.count("bytes_cut"), 300 + 5000 + 100 + 200);
        probe.end();
    }
}

#[test]
fn segments_that_cannot_be_found_are_an_error_with_a_reason() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/null"));
        let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        rig.take();
        rig.expect(&mut probe, &format!("vectors_from none {fd} 3"), -i64::from(libc::EFAULT));
        let seen = rig.one(Kind::Data);
        assert_eq!(lengths(&seen), (0, 0, 0, Fault::Descriptor as u16), "{mode:?}");
        probe.end();
    }
}
