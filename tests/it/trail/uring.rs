//! A program that makes no system call for what it moves: everything goes through a ring.

use std::process::Command;
use std::thread;

use tracer_tests::broker::Mosquitto;
use tracer_tests::instrument::Line;
use tracer_tests::process::Running;

use crate::support::{Folder, PATIENCE, Tracer};

const COUNT: usize = 50;

#[test]
fn a_client_on_io_uring_is_seen_like_any_other() {
    let folder = Folder::new();
    let broker = Mosquitto::start(folder.path()).expect("a broker");
    let line = Line::open().expect("a line");
    let (tty, mut number) = (line.path.display().to_string(), 0);
    thread::spawn(move || {
        line.serve(move |_| {
            number += 1;
            Some(format!("reading {number}"))
        })
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_client_uring"));
    command.args([&broker.port.to_string(), &tty, &COUNT.to_string()]);
    let mut client = Running::start_with_input("client_uring", &mut command).expect("the client starts");
    let pid = client.pid().to_string();
    let selector = format!("mqtt:{}", broker.port);
    let tracer =
        Tracer::start(&["--pid", &pid, "--device", &tty, "--broker", &selector, "--payload", "full"]);
    use std::io::Write as _;
    client.child().stdin.take().expect("its input").write_all(b"go\n").expect("it reads");
    assert!(client.wait(PATIENCE).expect("it ends").success());
    let outcome = tracer.stop();
    let count = |name: &str| outcome.spans.iter().filter(|span| span.name == name).count();
    assert_eq!(count("peripheral.execute MEAS?"), COUNT, "{:#?}", outcome.spans);
    for way in ["send", "write", "sendmsg", "writev", "registered"] {
        assert_eq!(count(&format!("publish uring/{way}")), COUNT / 5, "{way}");
        assert_eq!(count(&format!("process uring/{way}")), COUNT / 5, "{way}");
    }
    // What the instrument said is what was published: the reading's trace goes on into the message.
    let commands: Vec<_> =
        outcome.spans.iter().filter(|span| span.name == "peripheral.execute MEAS?").collect();
    let linked = outcome.spans.iter().filter(|span| {
        span.name.starts_with("publish ")
            && commands.iter().any(|command| span.parent.as_ref() == Some(&command.id))
    });
    assert_eq!(linked.count(), COUNT);
    for name in ["kernel.uring_unseen", "kernel.uring_full", "proto.skipped_bytes", "proto.invalid"] {
        assert_eq!(outcome.count(name), 0, "{name}");
    }
    assert!(outcome.count("kernel.uring") >= 4 * COUNT as u64, "{}", outcome.count("kernel.uring"));
}
