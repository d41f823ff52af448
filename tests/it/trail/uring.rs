//! A program that makes no system call for what it moves: everything goes through a ring.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use tracer_tests::broker::Mosquitto;
use tracer_tests::instrument::Line;
use tracer_tests::process::Running;

use crate::support::{Folder, Outcome, PATIENCE, Tracer};

const COUNT: usize = 50;

/// What iotrail says of the client, and how many bytes that got from the broker.
fn run(mode: &str) -> (Outcome, u64) {
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
    command.args([mode, &broker.port.to_string(), &tty, &COUNT.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = Running::start_with_input("client_uring", &mut command).expect("the client starts");
    let mut output = client.child().stdout.take().expect("its output");
    output.read_exact(&mut [0; 6]).expect("it is ready");
    let pid = client.pid().to_string();
    let selector = format!("mqtt:{}", broker.port);
    let tracer =
        Tracer::start(&["--pid", &pid, "--device", &tty, "--broker", &selector, "--payload", "full"]);
    client.child().stdin.take().expect("its input").write_all(b"go\n").expect("it reads");
    assert!(client.wait(PATIENCE).expect("it ends").success());
    let mut got = String::new();
    output.read_to_string(&mut got).expect("a number");
    (tracer.stop(), got.trim().parse().expect("a number"))
}

fn count(outcome: &Outcome, name: &str) -> usize {
    outcome.spans.iter().filter(|span| span.name == name).count()
}

/// Its device and what it publishes.
fn outward(outcome: &Outcome) {
    assert_eq!(count(outcome, "peripheral.execute MEAS?"), COUNT, "{:#?}", outcome.spans);
    for way in ["send", "write", "sendmsg", "writev", "registered"] {
        assert_eq!(count(outcome, &format!("publish uring/{way}")), COUNT / 5, "{way}");
    }
    // What the instrument said is what was published: the reading's trace goes on into the message.
    let commands: Vec<_> =
        outcome.spans.iter().filter(|span| span.name == "peripheral.execute MEAS?").collect();
    let linked = outcome.spans.iter().filter(|span| {
        span.name.starts_with("publish ")
            && commands.iter().any(|command| span.parent.as_ref() == Some(&command.id))
    });
    assert_eq!(linked.count(), COUNT);
    assert_eq!((outcome.count("kernel.uring_full"), outcome.count("proto.invalid")), (0, 0));
}

#[test]
fn a_client_on_io_uring_is_seen_like_any_other() {
    for mode in ["plain", "sqpoll"] {
        let (outcome, _) = run(mode);
        outward(&outcome);
        for way in ["send", "write", "sendmsg", "writev", "registered"] {
            assert_eq!(count(&outcome, &format!("process uring/{way}")), COUNT / 5, "{mode}, {way}");
        }
        for name in ["kernel.uring_unseen", "proto.skipped_bytes"] {
            assert_eq!(outcome.count(name), 0, "{mode}, {name}");
        }
        assert!(outcome.count("kernel.uring") >= 4 * COUNT as u64, "{}", outcome.count("kernel.uring"));
    }
}

#[test]
fn bytes_in_buffers_of_the_kernels_choice_are_counted() {
    let (outcome, got) = run("chosen");
    outward(&outcome);
    assert_eq!(outcome.count("kernel.uring_unseen_bytes"), got);
    assert!(outcome.count("kernel.uring_unseen") > COUNT as u64);
}
