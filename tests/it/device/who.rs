//! Who did it, and to which device: programs that are gone at once, and descriptors that are used again at once.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tracer_tests::http;
use tracer_tests::instrument::Line;
use tracer_tests::otlp::Span;

use crate::support::{Folder, PATIENCE, Tracer};

/// With the kernel's type information, and as on a kernel that has none.
const WAYS: [&[&str]; 2] = [&[], &["--no-btf"]];

/// `TCGETS` and `TCGETA`, `include/uapi/asm-generic/ioctls.h`: any terminal answers both.
const COMMANDS: [(u64, &str); 2] =
    [(0x5401, "peripheral.execute TCGETS"), (0x5405, "peripheral.execute TCGETA")];

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().expect("the program is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Whose spans there are: service, executable, command line, how many processes.
fn owners(spans: &[Span]) -> BTreeMap<(String, String, String), usize> {
    let mut pids: BTreeMap<_, std::collections::BTreeSet<Option<u32>>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.name.starts_with("peripheral.")) {
        let of = |key: &str| span.resource.get(key).cloned().unwrap_or_default();
        let owner = (span.service.clone(), of("process.executable.name"), line(&of("process.command_args")));
        pids.entry(owner).or_default().insert(span.pid());
    }
    pids.into_iter().map(|(owner, pids)| (owner, pids.len())).collect()
}

/// A command line, from the attribute's JSON.
fn line(attribute: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(attribute).unwrap_or_default();
    let words = value["values"].as_array().cloned().unwrap_or_default();
    let words: Vec<&str> = words.iter().filter_map(|word| word["stringValue"].as_str()).collect();
    words.join(" ")
}

#[test]
fn a_program_that_lives_a_moment_has_its_name_and_its_command_line() {
    for way in WAYS {
        let line = Line::open().expect("a line");
        let path = line.path.to_str().expect("it is ASCII").to_owned();
        let folder = Folder::new();
        let stty =
            fs::canonicalize("/usr/bin/stty").or_else(|_| fs::canonicalize("/bin/stty")).expect("stty");
        // Removed while it runs, and with a name that is longer than a thread's.
        let copy = folder.path().join("settings_of_a_serial_line");
        let script = folder.path().join("ask_line.sh");
        fs::write(
            &script,
            "#!/bin/sh -e\nstty -F \"$1\" > /dev/null\n: < \"$1\"\nexec 3<>\"$1\"\nstty <&3 > /dev/null\n",
        )
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
        .expect("a script");
        let tracer = Tracer::start(&[&["--device", &path], way].concat());
        // By a shell, in its own child or in its own place; and by `posix_spawn`.
        let times = format!("for i in $(seq 100); do stty -F {path} > /dev/null; done");
        run(Command::new("sh").args(["-c", &times]));
        run(Command::new("bash").args(["-c", &format!("stty -F {path} > /dev/null")]));
        for _ in 0..50 {
            run(Command::new("stty").args(["-F", &path]));
        }
        for _ in 0..20 {
            fs::copy(&stty, &copy).expect("a copy");
            let mut child =
                Command::new(&copy).args(["-F", &path]).stdout(Stdio::null()).spawn().expect("it starts");
            fs::remove_file(&copy).expect("it is removed");
            child.wait().expect("it ends");
        }
        run(Command::new(&script).arg(&path));
        let outcome = tracer.stop();
        let owners = owners(&outcome.spans);
        let of = |service: &str, line: String| {
            let owner = (service.to_owned(), service.to_owned(), line);
            owners.get(&owner).copied().unwrap_or(0)
        };
        assert_eq!(of("stty", format!("stty -F {path}")), 152, "{way:?}: {owners:#?}");
        let copied = format!("{} -F {path}", copy.display());
        assert_eq!(of("settings_of_a_serial_line", copied), 20, "{way:?}: {owners:#?}");
        if way.is_empty() {
            assert_eq!(of("stty", "stty".to_owned()), 1, "by what it inherited: {owners:#?}");
        }
    }
}

/// Uses descriptors of a line in every way by which they come and go; how many commands.
fn churn(path: &Path, command: u64, turns: usize) -> usize {
    let open = || {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY).open(path).expect("it opens")
    };
    let give = |file: &fs::File| {
        let mut settings = [0u8; 256];
        // SAFETY: the settings of a terminal have less room than that.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), command, settings.as_mut_ptr()) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    };
    for _ in 0..turns {
        let first = open();
        give(&first);
        let second = first.try_clone().expect("another number");
        drop(first);
        give(&second);
        let third = open();
        // SAFETY: both are open, and stay so.
        let moved = unsafe { libc::dup2(second.as_raw_fd(), third.as_raw_fd()) };
        assert_eq!(moved, third.as_raw_fd());
        give(&third);
        thread::sleep(Duration::from_micros(500));
    }
    3 * turns
}

#[test]
fn a_descriptor_that_is_used_again_at_once_is_not_taken_for_the_other_device() {
    const TURNS: usize = 400;
    for way in WAYS {
        let lines = [Line::open().expect("a line"), Line::open().expect("a line")];
        let paths = lines.each_ref().map(|line| line.path.to_str().expect("it is ASCII").to_owned());
        let pid = std::process::id().to_string();
        let tracer =
            Tracer::start(&[&["--pid", &pid, "--device", &paths[0], "--device", &paths[1]], way].concat());
        // All threads share their numbers: what one closes another one gets.
        let done: usize = thread::scope(|scope| {
            let turn = |at: usize| {
                let (path, command) = (&lines[at].path, COMMANDS[at].0);
                scope.spawn(move || churn(path, command, TURNS))
            };
            let threads: Vec<_> = [0, 1, 0, 1].into_iter().map(turn).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends well")).sum()
        });
        let outcome = tracer.stop();
        assert_eq!(outcome.stage("kernel").lost(), 0, "{}", outcome.log);
        let mut seen = 0;
        for (at, (_, name)) in COMMANDS.iter().enumerate() {
            let spans: Vec<_> = outcome.spans.iter().filter(|span| span.name == *name).collect();
            let right = |span: &&&Span| span.attribute("iotrail.device.path") == Some(&*paths[at]);
            assert_eq!(spans.iter().filter(right).count(), spans.len(), "{way:?} {name}: another device");
            seen += spans.len();
        }
        // Without BTF a number may be another one's before it could be looked up; that is counted, and rare.
        let unknown = if way.is_empty() { 0 } else { outcome.count("not_selected") };
        assert!(
            seen <= done && (done - seen) as u64 <= unknown,
            "{way:?}: {seen} of {done}, {unknown} counted"
        );
        assert!(seen * 100 >= done * 99, "{way:?}: {seen} of {done}");
    }
}

#[test]
fn a_call_that_has_not_returned_is_in_flight() {
    let line = Line::open().expect("a line");
    let path = line.path.to_str().expect("it is ASCII").to_owned();
    let tracer = Tracer::start(&["--device", &path]);
    let labels = format!("device=\"{path}\",class=\"tty\"");
    let in_flight = || {
        let (_, page) = http::get(tracer.http(), "/metrics").expect("it serves metrics");
        let samples = http::samples(&page, "peripheral_commands_in_flight");
        samples.iter().find(|(found, _)| *found == labels).map_or(0.0, |(_, count)| *count)
    };
    let wait = |wanted: f64| {
        let start = Instant::now();
        while (in_flight() - wanted).abs() > 0.1 {
            assert!(start.elapsed() < PATIENCE, "{} in flight, not {wanted}", in_flight());
            thread::sleep(Duration::from_millis(20));
        }
    };
    let mut readers: Vec<_> = (0..2)
        .map(|_| Command::new("cat").arg(&path).stdout(Stdio::null()).spawn().expect("cat is there"))
        .collect();
    wait(2.0);
    readers[0].kill().expect("it runs");
    readers[0].wait().expect("it ends");
    wait(1.0);
    readers[1].kill().expect("it runs");
    readers[1].wait().expect("it ends");
    wait(0.0);
    // To wait for input is no command, so it ends as none.
    assert_eq!(
        tracer.stop().spans.iter().filter(|span| span.name.starts_with("peripheral.execute read")).count(),
        0
    );
}
