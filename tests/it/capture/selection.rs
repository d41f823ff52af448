//! Filters: nothing that is selected is missed, nothing else is copied.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::process::Command;

use iotrail::host::devices::Catalog;
use iotrail::kernel::load::Options;
use iotrail::kernel::selection::Selection;
use iotrail::pipeline::select::{Request, resolve};
use tracer_common::record::Kind;
use tracer_tests::broker::free_port;
use tracer_tests::instrument::Line;

use super::probe::{Probe, program};
use super::rig::{BOTH, Rig, device};
use super::sockets::Pair;
use crate::support::Folder;

const FLAGS: i32 = libc::O_RDWR | libc::O_NOCTTY;

/// How many writes each process makes.
const TIMES: i64 = 200;

/// Opens the line, writes to it `TIMES` times, and closes it.
fn writes(rig: &mut Rig, probe: &mut Probe, line: &mut Line) {
    let fd = rig.call(probe, &format!("openat {} {FLAGS}", line.path.display()));
    rig.expect(probe, &format!("flood {fd} 7 {TIMES}"), TIMES);
    line.far.read_exact(&mut [0; 7 * TIMES as usize]).expect("it arrives");
    rig.expect(probe, &format!("close {fd}"), 0);
}

/// Processes whose writes were seen, each with how many.
fn writers(rig: &mut Rig) -> Vec<(u32, i64)> {
    let mut writers: std::collections::BTreeMap<u32, i64> = std::collections::BTreeMap::new();
    for seen in rig.of(Kind::Data) {
        *writers.entry(seen.header.tgid).or_default() += 1;
    }
    writers.into_iter().collect()
}

#[test]
fn a_process_is_selected_by_its_number() {
    for mode in BOTH {
        let mut line = Line::open().expect("a line");
        let (mut probe, mut other) = (Probe::start(), Probe::start());
        let mut rig = Rig::new(mode, device(probe.pid(), &line.path));
        writes(&mut rig, &mut other, &mut line);
        assert_eq!(rig.take().len(), 0, "{mode:?}: nothing of the other one");
        assert_eq!((rig.count("data"), rig.count("lifecycle")), (0, 0), "{mode:?}: nor was anything copied");
        writes(&mut rig, &mut probe, &mut line);
        assert_eq!(writers(&mut rig), [(probe.pid(), TIMES)], "{mode:?}");
        probe.end();
        other.end();
    }
}

#[test]
fn a_program_is_selected_by_its_name_whether_it_runs_or_not() {
    let folder = Folder::new();
    let named = folder.path().join("a-sensor-with-a-long-name");
    symlink(program(), &named).expect("a link");
    for mode in BOTH {
        let mut line = Line::open().expect("a line");
        let start = || Probe::start_command(&mut Command::new(&named));
        let (mut running, mut other) = (start(), Probe::start());
        let request = Request {
            comms: vec!["a-sensor-with-a-long-name".to_owned()],
            devices: vec![line.path.display().to_string()],
            ..Request::default()
        };
        let mut rig = Rig::new(mode, resolve(&request, &Catalog::default()).expect("it exists").selection);
        let mut later = start();
        for probe in [&mut running, &mut other, &mut later] {
            writes(&mut rig, probe, &mut line);
        }
        let mut expected = [(running.pid(), TIMES), (later.pid(), TIMES)];
        expected.sort_unstable();
        assert_eq!(writers(&mut rig), expected, "{mode:?}");
        for probe in [running, other, later] {
            probe.end();
        }
    }
}

#[test]
fn a_device_is_selected_by_its_node_or_its_class() {
    for mode in BOTH {
        for by_class in [false, true] {
            let (mut line, mut other) = (Line::open().expect("a line"), Line::open().expect("a line"));
            let mut probe = Probe::start();
            let what = if by_class { "tty".to_owned() } else { line.path.display().to_string() };
            let request = Request { devices: vec![what], pids: vec![probe.pid()], ..Request::default() };
            let mut rig =
                Rig::new(mode, resolve(&request, &Catalog::default()).expect("it exists").selection);
            writes(&mut rig, &mut probe, &mut other);
            writes(&mut rig, &mut probe, &mut line);
            let null = rig.call(&mut probe, "openat /dev/null 1");
            rig.expect(&mut probe, &format!("flood {null} 7 10"), 10);
            let file = rig.call(&mut probe, "file 10");
            rig.expect(&mut probe, &format!("flood {file} 7 10"), 10);
            let expected = if by_class { 2 * TIMES } else { TIMES };
            assert_eq!(writers(&mut rig), [(probe.pid(), expected)], "{mode:?} by class: {by_class}");
            probe.end();
        }
    }
}

#[test]
fn a_broker_is_selected_by_its_port() {
    for mode in BOTH {
        let (number, unselected) = (free_port().expect("a port"), free_port().expect("a port"));
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, super::rig::port(probe.pid(), number));
        let pair = |rig: &mut Rig, probe: &mut Probe, port: u16| {
            let at = format!("127.0.0.1:{port}");
            let Pair { client, server } = Pair::connect(rig, probe, &at, &at);
            for _ in 0..20 {
                rig.expect(probe, &format!("write {client} 10"), 10);
                rig.expect(probe, &format!("read {server} 10"), 10);
            }
        };
        pair(&mut rig, &mut probe, unselected);
        assert_eq!(writers(&mut rig), [], "{mode:?}: another port");
        if mode.btf {
            assert_eq!(rig.count("data"), 0, "nor was anything copied");
        }
        pair(&mut rig, &mut probe, number);
        assert_eq!(writers(&mut rig), [(probe.pid(), 40)], "{mode:?}: both ends");
        probe.end();
    }
}

#[test]
fn the_tracer_is_never_traced() {
    for mode in BOTH {
        let mut line = Line::open().expect("a line");
        let mut probe = Probe::start();
        // Everybody, on this device.
        let selection = Selection { processes: None, ..device(probe.pid(), &line.path) };
        let mut rig = Rig::new(mode, selection);
        let mut near = std::fs::OpenOptions::new().read(true).write(true).open(&line.path).expect("it opens");
        near.write_all(b"mine").expect("it can be written");
        line.far.read_exact(&mut [0; 4]).expect("it arrives");
        assert_eq!(rig.of(Kind::Data).len(), 0, "{mode:?}");
        writes(&mut rig, &mut probe, &mut line);
        assert_eq!(writers(&mut rig), [(probe.pid(), TIMES)], "{mode:?}");
        probe.end();
    }
}

#[test]
fn a_command_is_selected_with_what_it_starts() {
    for mode in BOTH {
        let line = Line::open().expect("a line");
        let mut other = Probe::start();
        let selection = Selection { processes: Some([].into()), ..device(other.pid(), &line.path) };
        let mut rig =
            Rig::with(&Options { own_children: true, selection, ..Options::new(mode.hooks, mode.btf) });
        // A child of this process, born after the kernel side was loaded, and its child.
        let script = format!("dd if=/dev/zero of={} bs=7 count=3 status=none", line.path.display());
        let status =
            Command::new("sh").args(["-c", &format!("{script}; {script}")]).status().expect("sh starts");
        assert!(status.success());
        let seen = rig.of(Kind::Data);
        let writes = seen.iter().filter(|seen| seen.header.result == 7).count();
        assert_eq!(writes, 6, "{mode:?}: {seen:#?}");
        // One that was born before is none of its children.
        let fd = other.call(&format!("openat {} {FLAGS}", line.path.display()));
        other.call(&format!("write {fd} 5"));
        assert_eq!(rig.of(Kind::Data).len(), 0, "{mode:?}");
        other.end();
    }
}
