//! How a run ends: by signal, by time, with its command. Everything that was seen is exported.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::mqtt::check::Truth;
use crate::mqtt::site::{Site, trace};
use crate::support::{Folder, iotrail};

#[test]
fn sigterm_flushes() {
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let mut subscriber = site.subscriber("sub", "t", 1, 50);
    let mut publisher = site.publisher("pub", "t", 1);
    publisher.give_numbers(0..50, 30);
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop_with(Signal::SIGTERM);
    Truth::whole(site.broker.process.pid())
        .publisher(&publisher)
        .subscriber(&subscriber, 1)
        .check(&outcome.spans);
}

#[test]
fn a_duration_ends_it() {
    let start = Instant::now();
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--duration", "700ms", "--payload", "full"]);
    let mut subscriber = site.subscriber("sub", "t", 0, 3);
    let mut publisher = site.publisher("pub", "t", 0);
    publisher.give_numbers(0..3, 30);
    publisher.finish();
    subscriber.finish();
    assert!(start.elapsed() < Duration::from_secs(20));
    let outcome = tracer.ended();
    assert!(outcome.log.contains("nothing lost"), "{}", outcome.log);
}

#[test]
fn a_command_is_traced_with_its_children_and_ends_it() {
    let site = Site::new();
    let folder = Folder::new();
    let file = folder.path().join("spans.jsonl");
    let port = site.broker.port.to_string();
    // The shell is the command, its clients are its children; the broker is not.
    let script =
        format!("for n in 1 2 3; do mosquitto_pub -p {port} -i once$n -t t -q 1 -m message-$n; done");
    let ended = Command::new(iotrail())
        .args(["run", "--hooks", "raw", "--listen", "off", "--payload", "full"])
        .args(["--broker", &site.selector(), "--export", &format!("file:{}", file.display())])
        .args(["--", "sh", "-c", &script])
        .output()
        .expect("iotrail starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let spans = tracer_tests::otlp::read(&file).expect("it exported");
    let published: Vec<_> = spans.iter().filter_map(|span| span.attribute("iotrail.payload.text")).collect();
    assert_eq!(published, ["message-1", "message-2", "message-3"], "{spans:#?}");
    assert!(spans.iter().all(|span| span.service == "mosquitto_pub"), "{spans:#?}");
}
