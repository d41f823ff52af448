//! A loop device: what goes around the page cache is a command, with the time that the block layer took below it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tracer_tests::otlp::Span;

use crate::support::{Folder, Tracer};

/// A loop device over a file of its own.
struct Loop {
    path: String,
    folder: Folder,
}

impl Loop {
    fn new() -> Self {
        let folder = Folder::new();
        let file: PathBuf = folder.path().join("disk");
        fs::write(&file, vec![0; 1 << 20]).expect("the temporary folder can be written");
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&file).output();
        let made = made.expect("losetup is there");
        assert!(made.status.success(), "no loop device: {}", String::from_utf8_lossy(&made.stderr));
        Self { path: String::from_utf8_lossy(&made.stdout).trim().to_owned(), folder }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Nothing else knows of it, so nothing keeps it busy.
        let _ = Command::new("losetup").args(["--detach", &self.path]).status();
    }
}

/// What `dd` does with these arguments.
fn dd(arguments: &[&str]) {
    let done = Command::new("dd").args(arguments).output().expect("dd is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[test]
fn transfers_around_the_page_cache_have_their_bus_time_below_them() {
    let disk = Loop::new();
    let (from, to) = (format!("if={}", disk.path), format!("of={}", disk.path));
    let tracer = Tracer::start(&["--device", &disk.path, "--comm", "dd"]);
    dd(&[&from, "of=/dev/null", "bs=4096", "count=3", "iflag=direct"]);
    dd(&["if=/dev/zero", &to, "bs=8192", "count=2", "oflag=direct", "conv=notrunc"]);
    // Through the cache: files, not commands.
    dd(&[&from, "of=/dev/null", "bs=4096", "count=5"]);
    let outcome = tracer.stop();
    let (reads, writes) =
        (named(&outcome.spans, "peripheral.execute read"), named(&outcome.spans, "peripheral.execute write"));
    assert_eq!((reads.len(), writes.len()), (3, 2), "{:#?}", outcome.spans);
    let below = named(&outcome.spans, "bus block request");
    for (command, bytes) in
        reads.iter().map(|read| (read, 4096)).chain(writes.iter().map(|write| (write, 8192)))
    {
        assert_eq!(command.attribute("iotrail.device.path"), Some(disk.path.as_str()));
        let own: Vec<_> = below.iter().filter(|span| span.parent.as_ref() == Some(&command.id)).collect();
        let [transaction] = own.as_slice() else { panic!("one request each: {own:#?}") };
        assert_eq!(transaction.trace, command.trace);
        assert!(
            command.start <= transaction.start && transaction.end <= command.end,
            "{own:#?} {command:#?}"
        );
        assert_eq!(transaction.attribute("iotrail.bus.bytes"), Some(bytes.to_string().as_str()));
    }
    assert_eq!(below.len(), 5, "nothing else: {below:#?}");
}

#[test]
fn without_btf_it_is_known_too_what_goes_around_the_page_cache() {
    let disk = Loop::new();
    let (from, to) = (format!("if={}", disk.path), format!("of={}", disk.path));
    let tracer = Tracer::start(&["--device", &disk.path, "--comm", "dd", "--no-btf"]);
    dd(&[&from, "of=/dev/null", "bs=4096", "count=3", "iflag=direct"]);
    dd(&["if=/dev/zero", &to, "bs=8192", "count=2", "oflag=direct", "conv=notrunc"]);
    dd(&[&from, "of=/dev/null", "bs=4096", "count=5"]);
    // The last block is shorter: dd leaves the way around the page cache for it (`fcntl`, `F_SETFL`).
    dd(&["if=/dev/zero", &to, "bs=4096", "count=1", "oflag=direct", "conv=notrunc"]);
    let file = disk.folder.path().join("short");
    fs::write(&file, vec![1; 4096 + 100]).expect("the temporary folder can be written");
    dd(&[&format!("if={}", file.display()), &to, "bs=4096", "oflag=direct", "conv=notrunc"]);
    let outcome = tracer.stop();
    let (reads, writes) =
        (named(&outcome.spans, "peripheral.execute read"), named(&outcome.spans, "peripheral.execute write"));
    assert_eq!((reads.len(), writes.len()), (3, 4), "{:#?}", outcome.spans);
    for command in reads.iter().chain(&writes) {
        assert_eq!(command.attribute("iotrail.device.path"), Some(disk.path.as_str()));
        assert_eq!(command.error, None);
    }
}
