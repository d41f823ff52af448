//! Devices that come and go while tracing: loop devices, which every machine can make.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tracer_tests::otlp::Span;

use crate::support::{Folder, PATIENCE, Tracer, iotrail};

/// `LOOP_CTL_ADD` and `LOOP_CTL_REMOVE`, `include/uapi/linux/loop.h`.
const ADD: libc::c_ulong = 0x4c80;
const REMOVE: libc::c_ulong = 0x4c81;
/// Asks devices for their sector size (`BLKSSZGET`).
const NAME: &str = "blockdev";

/// A loop device of a number of its own, gone when dropped.
struct Loop {
    control: File,
    index: i32,
}

impl Loop {
    fn control() -> File {
        OpenOptions::new().read(true).write(true).open("/dev/loop-control").expect("loop devices can be made")
    }

    fn add(index: i32) -> Self {
        let control = Self::control();
        // SAFETY: these commands take a number.
        let made = unsafe { libc::ioctl(control.as_raw_fd(), ADD, index) };
        assert_eq!(made, index, "{}", std::io::Error::last_os_error());
        let new = Self { control, index };
        let start = Instant::now();
        while !Path::new(&new.path()).exists() {
            assert!(start.elapsed() < PATIENCE, "no node {}", new.path());
            thread::sleep(Duration::from_millis(1));
        }
        new
    }

    fn path(&self) -> String {
        format!("/dev/loop{}", self.index)
    }

    /// Asks for its sector size.
    fn ask(&self) {
        let done = Command::new(NAME).args(["--getss", &self.path()]).output().expect("blockdev is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // SAFETY: these commands take a number.
        unsafe { libc::ioctl(self.control.as_raw_fd(), REMOVE, self.index) };
    }
}

fn of<'a>(spans: &'a [Span], path: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.attribute("iotrail.device.path") == Some(path)).collect()
}

#[test]
fn a_node_that_comes_is_traced_and_its_going_is_noticed() {
    for more in [&[][..], &["--no-btf"]] {
        let path = "/dev/loop201";
        let mut tracer = Tracer::start(&[&["--device", path, "--comm", NAME], more].concat());
        tracer.wait_log(&format!("no device is {path} yet: waiting"));
        let mut known = 0;
        for _ in 0..2 {
            // Its number is known before it comes, so the very first call is seen.
            let disk = Loop::add(201);
            disk.ask();
            let spans = tracer.wait_for("a command", |spans| of(spans, path).len() > known);
            known = of(&spans, path).len();
            let command = of(&spans, path)[known - 1];
            assert_eq!(command.attribute("iotrail.device.id"), Some("block:loop201"));
            assert_eq!(command.attribute("iotrail.device.driver"), Some("loop"));
        }
        // The second going may come after the last look.
        assert!(tracer.stop().count("unplugged") >= 1, "{more:?}");
    }
}

#[test]
fn a_device_is_known_by_what_it_is_when_it_comes() {
    // The driver's name; another device of the driver is there, and later goes.
    let other = Loop::add(202);
    let tracer = Tracer::start(&["--device", "loop", "--comm", NAME]);
    let disk = Loop::add(203);
    tracer.wait_log("/dev/loop203 came and is traced");
    disk.ask();
    other.ask();
    let outcome = tracer.stop();
    for path in ["/dev/loop202", "/dev/loop203"] {
        assert!(!of(&outcome.spans, path).is_empty(), "{path}: {:#?}", outcome.spans);
    }
}

#[test]
fn the_list_says_who_holds_what() {
    let disk = Loop::add(204);
    let held = File::open(disk.path()).expect("it opens");
    let listed = Command::new(iotrail()).args(["devices", "--class", "block", "--format", "json"]).output();
    let listed = listed.expect("it starts");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let list: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("an array");
    let own = list.as_array().expect("an array").iter().find(|device| device["path"] == disk.path().as_str());
    let own = own.unwrap_or_else(|| panic!("{} is listed: {list:#}", disk.path()));
    assert_eq!((own["class"].as_str(), own["driver"].as_str()), (Some("block"), Some("loop")));
    let process = &own["processes"][0];
    assert_eq!(process["pid"], std::process::id());
    assert_eq!(process["fds"], serde_json::json!([held.as_raw_fd()]));
}

#[test]
fn hidden_ids_are_the_same_in_the_list_and_in_spans() {
    let disk = Loop::add(205);
    let secret = Folder::new();
    let listed = Command::new(iotrail())
        .args(["devices", "--hash-ids", "--format", "json"])
        .env("STATE_DIRECTORY", secret.path())
        .output()
        .expect("it starts");
    let list: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("an array");
    let own = list.as_array().expect("an array").iter().find(|device| device["path"] == disk.path().as_str());
    let id = own.and_then(|own| own["id"].as_str()).expect("it is listed").to_owned();
    assert!(!id.contains("loop"), "{id}");
    let device = format!("id:{id}");
    let tracer = Tracer::start_with(&["--hash-ids", "--device", &device, "--comm", NAME], |command| {
        command.env("STATE_DIRECTORY", secret.path());
    });
    disk.ask();
    let outcome = tracer.stop();
    let spans = of(&outcome.spans, &disk.path());
    assert!(!spans.is_empty(), "{:#?}", outcome.spans);
    assert!(spans.iter().all(|span| span.attribute("iotrail.device.id") == Some(id.as_str())));
}
