//! A ring that is too small on purpose: what is lost is counted to the record, and errors arrive.

use iotrail::kernel::load::Options;
use tracer_common::call::Call;
use tracer_common::record::Kind;
use tracer_tests::instrument::Line;

use super::probe::Probe;
use super::rig::{BOTH, Rig, check_call, device};
use crate::support::Tracer;

/// Far more than the ring holds.
const TIMES: i64 = 5000;

#[test]
fn records_and_losses_add_up_to_the_calls() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let selection = device(probe.pid(), "/dev/null");
        let options = Options { data_ring: 64 << 10, selection, ..Options::new(mode.hooks, mode.btf) };
        let mut rig = Rig::with(&options);
        let fd = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        let reader = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_RDONLY));
        rig.take();
        let mut records = 0;
        for round in 1..=3_u64 {
            // Nobody reads meanwhile.
            assert_eq!(probe.call(&format!("flood {fd} 100 {TIMES}")), TIMES);
            // What fails is not lost: it goes another way.
            let failed = -i64::from(libc::EBADF);
            assert_eq!(probe.call(&format!("write {reader} 5")), failed);
            let seen = rig.of(Kind::Data);
            let (errors, data): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.header.result < 0);
            assert_eq!(errors.len(), 1, "{mode:?}: the error arrives");
            check_call(errors[0], &probe, Call::Write, failed);
            assert!(data.iter().all(|seen| seen.payload.len() == 100));
            records += data.len() as u64;
            assert_eq!(rig.count("data"), records, "{mode:?}");
            assert!(rig.count("data_ring_full") > 0, "the ring was too small");
            let calls = round * u64::try_from(TIMES).expect("it is positive");
            assert_eq!(records + rig.count("data_ring_full"), calls, "{mode:?}: every call is accounted for");
        }
        assert_eq!(rig.count("lifecycle_ring_full"), 0);
        probe.end();
    }
}

#[test]
fn opens_and_closes_leave_room_for_errors() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let selection = device(probe.pid(), "/dev/null");
        let options = Options { lifecycle_ring: 64 << 10, selection, ..Options::new(mode.hooks, mode.btf) };
        let mut rig = Rig::with(&options);
        let reader = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_RDONLY));
        rig.take();
        // Several times what the ring of errors holds, and nobody reads meanwhile.
        for _ in 0..500 {
            let fd = probe.call(&format!("openat /dev/null {}", libc::O_RDONLY));
            assert_eq!(probe.call(&format!("close {fd}")), 0);
        }
        for _ in 0..20 {
            assert_eq!(probe.call(&format!("write {reader} 5")), -i64::from(libc::EBADF));
        }
        let seen = rig.take();
        let of = |kind| seen.iter().filter(|seen| seen.kind() == kind).count();
        let errors = seen.iter().filter(|seen| seen.kind() == Kind::Data && seen.header.result < 0).count();
        assert_eq!((errors, of(Kind::Open), of(Kind::Close)), (20, 500, 500), "{mode:?}");
        assert_eq!(rig.count("lifecycle_ring_full") + rig.count("data_ring_full"), 0, "{mode:?}");
        probe.end();
    }
}

#[test]
fn iotrail_itself_accounts_for_every_call() {
    for more in [&[][..], &["--no-btf"]] {
        let line = Line::open().expect("a line");
        let mut probe = Probe::start();
        let pid = probe.pid().to_string();
        let path = line.path.display().to_string();
        let mut arguments = vec!["--pid", &pid, "--device", "/dev/null", "--device", &path, "--ring", "64"];
        arguments.extend(more);
        let mut tracer = Tracer::start(&arguments);
        let fd = probe.call(&format!("openat /dev/null {}", libc::O_WRONLY));
        let near = probe.call(&format!("openat {path} {}", libc::O_RDWR | libc::O_NOCTTY));
        assert_eq!(probe.call(&format!("flood {fd} 100 20000")), 20000);
        assert!(probe.call(&format!("pwrite64 {near} 5 0")) < 0);
        // The failed command is exported although the ring was full of others.
        tracer.wait_for("error", |spans| spans.iter().any(|span| span.error.as_deref() == Some("ESPIPE")));
        probe.end();
        let outcome = tracer.stop();
        let (data, lost) = (outcome.count("kernel.data"), outcome.count("kernel.data_ring_full"));
        assert_eq!(data + lost, 20000, "{more:?}: {outcome:?}");
        assert_eq!(outcome.count("kernel.lifecycle_ring_full"), 0);
        if lost > 0 {
            assert!(
                outcome.log.contains("records were lost in the kernel: data_ring_full"),
                "{}",
                outcome.log
            );
        }
    }
}
