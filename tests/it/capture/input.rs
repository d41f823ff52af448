//! Requests that cannot be met: a clear line each, and the exit code that says whose fault it is.

use std::net::TcpListener;
use std::process::{Command, Output};

use tracer_tests::instrument::Line;

use super::probe::Probe;
use crate::support::{Tracer, iotrail};

/// Runs it to its end.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// `iotrail run` with these arguments, which end it at once.
fn refused(arguments: &[&str], code: i32, says: &[&str]) {
    let mut command = Command::new(iotrail());
    command.arg("run").args(arguments);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "off"]);
    }
    let (ended, said) = run(&mut command);
    check(&said, ended, code, says);
}

#[track_caller]
fn check(said: &str, ended: Option<i32>, code: i32, says: &[&str]) {
    assert_eq!(ended, Some(code), "{said}");
    for words in says {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    if code != 2 {
        assert_eq!(said.trim().lines().count(), 1, "one line: {said}");
    }
}

#[test]
fn what_does_not_exist_is_named() {
    refused(&["--pid", "999999999"], 1, &["no process 999999999", "ps -e"]);
    refused(&["--device", "/dev/ttyMISSING9"], 1, &["no device node /dev/ttyMISSING9", "iotrail devices"]);
    refused(&["--device", "/etc/hostname"], 1, &["/etc/hostname is not a device node"]);
    let folder = crate::support::Folder::new();
    let path = format!("file:{}/no/folder/spans", folder.path().display());
    refused(&["--export", &path], 1, &["no/folder"]);
    refused(&["--device", "/dev/null", "--", "/no/such/program"], 1, &["cannot start /no/such/program"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_usage() {
    refused(&["--device", "toaster"], 2, &["unknown device class `toaster`", "tty"]);
    refused(&["--broker", "smtp"], 2, &["unknown broker `smtp`"]);
    refused(&["--capture-bytes", "2097153"], 2, &["2097153"]);
    refused(&["--ring", "65"], 2, &["power of two"]);
    refused(&["--pid", "me"], 2, &["me"]);
    refused(&["--hooks", "kprobe"], 2, &["raw"]);
    refused(&["--nonsense"], 2, &["--nonsense"]);
    let (ended, said) = run(Command::new(iotrail()).arg("devices").args(["--class", "toaster"]));
    check(&said, ended, 2, &["toaster"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    refused(&["--listen", &address], 1, &[&address, "--listen off"]);
}

#[test]
fn without_rights_it_says_which() {
    let powerless = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set", "-all", "--inh-caps", "-all"]).arg(iotrail()).args(arguments);
        run(&mut command)
    };
    for more in [&[][..], &["--no-btf"], &["--hooks", "each"], &["--hooks", "btf"]] {
        let arguments =
            [&["run", "--listen", "off", "--device", "/dev/null", "--duration", "1s"], more].concat();
        let (ended, said) = powerless(&arguments);
        check(&said, ended, 3, &["CAP_BPF", "root", "iotrail doctor"]);
    }
    let (ended, said) = powerless(&["doctor"]);
    check(&said, ended, 3, &["CAP_BPF"]);
}

#[test]
fn without_tracefs_the_default_works() {
    // Unmounted for this process alone.
    let hidden = |arguments: &str| {
        let script = format!(
            "umount /sys/kernel/debug/tracing 2>/dev/null; umount /sys/kernel/tracing && exec {} run --device /dev/null \
             --pid $$ --listen off {arguments}",
            iotrail().display()
        );
        run(Command::new("unshare").args(["--mount", "sh", "-c", &script]))
    };
    for arguments in ["", "--no-btf", "--hooks btf"] {
        let (ended, said) = hidden(&format!("--duration 10ms {arguments}"));
        assert_eq!(ended, Some(0), "{arguments}: {said}");
        assert!(said.contains("nothing lost"), "{said}");
    }
    let (ended, said) = hidden("--hooks each");
    check(&said, ended, 3, &["--hooks each", "tracefs"]);
}

#[test]
fn limits_of_the_capture_are_taken() {
    for (limit, captured) in [("0", None), ("65536", Some("0102030405"))] {
        let line = Line::open().expect("a line");
        let mut probe = Probe::start();
        let (pid, path) = (probe.pid().to_string(), line.path.display().to_string());
        let arguments = ["--pid", &pid, "--device", &path, "--capture-bytes", limit, "--payload", "full"];
        let mut tracer = Tracer::start(&arguments);
        let fd = probe.call(&format!("openat {path} {}", libc::O_RDWR | libc::O_NOCTTY));
        assert_eq!(probe.call(&format!("write {fd} 5")), 5);
        let spans = tracer.wait_for("command", |spans| !spans.is_empty());
        assert_eq!(spans[0].attribute("iotrail.payload.size"), Some("5"), "{spans:#?}");
        let bytes = spans[0].attribute("iotrail.payload.hex").or(spans[0].attribute("iotrail.payload.text"));
        assert_eq!(bytes.is_some(), captured.is_some(), "{spans:#?}");
        probe.end();
        tracer.stop();
    }
}

#[test]
fn calls_that_find_nothing_make_no_spans() {
    for more in [&[][..], &["--no-btf"]] {
        let line = Line::open().expect("a line");
        let mut probe = Probe::start();
        let (pid, path) = (probe.pid().to_string(), line.path.display().to_string());
        let tracer = Tracer::start(&[&["--pid", &pid, "--device", &path], more].concat());
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK;
        let fd = probe.call(&format!("openat {path} {flags}"));
        for _ in 0..20 {
            assert_eq!(probe.call(&format!("read {fd} 10")), -i64::from(libc::EAGAIN));
        }
        probe.end();
        let outcome = tracer.stop();
        assert_eq!(outcome.count("kernel.would_block"), 20, "{more:?}");
        assert_eq!(outcome.spans.len(), 0, "{more:?}: {:#?}", outcome.spans);
    }
}
