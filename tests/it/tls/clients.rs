//! Clients on other libraries, against a broker on OpenSSL. Each logs what it receives and publishes as it is told.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tracer_tests::process::Running;

use super::certificates::Encrypted;
use crate::mqtt::check::Truth;
use crate::mqtt::site::Line;
use crate::support::{PATIENCE, Tracer};

/// How many messages each client publishes to itself.
const MESSAGES: usize = 5;

/// Python's `asyncio`: TLS by way of memory.
const ASYNCIO: &str = include_str!("clients/by_memory.py");
/// Python's `ssl`, by the library paho.
const PAHO: &str = include_str!("clients/paho.py");
/// Go's `crypto/tls`, without a library of its own.
const GO: &str = include_str!("clients/client.go");
/// BoringSSL, whose library lies beside the system's.
const BORING: &str = include_str!("clients/boring.c");

/// Runs a client that publishes `{id}-{n}` to `tls/{id}`, to which it has subscribed, and holds the spans against that.
fn publishes_to_itself(broker: &Encrypted, tracer: Tracer, id: &str, command: &mut Command) {
    let site = &broker.site;
    let mut client = site.start(id, "", command);
    client.finish();
    let lines: Vec<Line> = (0..MESSAGES)
        .map(|number| {
            let head = format!("{id}-{number}");
            Line { topic: format!("tls/{id}"), size: head.len(), head }
        })
        .collect();
    let owner = || crate::mqtt::check::Owner::Process(client.pid());
    let truth = Truth::whole(site.broker.process.pid()).sent(owner(), &lines);
    let outcome = tracer.stop();
    truth.received(owner(), &lines, false).check_messages(&outcome.spans);
    assert_eq!(outcome.count("tls.readable"), outcome.count("tls.connections"), "{}", outcome.log);
}

fn arguments(broker: &Encrypted, id: &str) -> [String; 4] {
    let authority = broker.authority().display().to_string();
    [broker.site.broker.port.to_string(), id.to_owned(), MESSAGES.to_string(), authority]
}

/// A program that brings its library along is hooked some time after it was started for the first time: here it waits for
/// a broker that says nothing. `arguments` are made from the broker's port.
fn hook(tracer: &Tracer, program: &Path, arguments: impl FnOnce(String) -> Vec<String>) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = silent.local_addr().expect("it has an address").port();
    let mut command = Command::new(program);
    command.args(arguments(port.to_string()));
    let mut first = Running::start("first", &mut command).expect("it starts");
    let name = program.file_name().expect("a file").to_string_lossy();
    tracer.wait_log(&format!("{name} ("));
    first.stop(Signal::SIGKILL, PATIENCE).expect("it ends");
}

#[test]
fn python_on_its_sockets() {
    let broker = Encrypted::new();
    let tracer = broker.trace(&[]);
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", PAHO]).args(arguments(&broker, "paho"));
    publishes_to_itself(&broker, tracer, "paho", &mut command);
}

#[test]
fn python_by_way_of_memory() {
    let broker = Encrypted::new();
    let tracer = broker.trace(&[]);
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", ASYNCIO]).args(arguments(&broker, "aio"));
    publishes_to_itself(&broker, tracer, "aio", &mut command);
}

#[test]
fn gnutls() {
    let broker = Encrypted::new();
    let tracer = broker.trace(&[]);
    let port = broker.site.broker.port.to_string();
    let mut command = Command::new("gnutls-cli");
    command.args(["--x509cafile", &broker.authority().display().to_string(), "-p", &port, "--logfile"]);
    command.args(["/dev/null", "localhost"]);
    let mut client = broker.site.start("gnutls", "", &mut command);
    let packet = |first: u8, body: &[u8]| [&[first, u8::try_from(body.len()).expect("short")], body].concat();
    client.write(&packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x06gnutls"));
    broker.site.wait_for_log_of("gnutls", "k60).");
    for number in 0..MESSAGES {
        client.write(&packet(0x30, format!("\0\x05tls/ggnutls-{number}").as_bytes()));
    }
    client.write(&packet(0xe0, b""));
    client.finish();
    let lines: Vec<Line> = (0..MESSAGES)
        .map(|number| Line { topic: "tls/g".to_owned(), size: 8, head: format!("gnutls-{number}") })
        .collect();
    let truth = Truth::whole(broker.site.broker.process.pid());
    let outcome = tracer.stop();
    let owner = crate::mqtt::check::Owner::Process(client.pid());
    truth.sent(owner, &lines).check_messages(&outcome.spans);
}

#[test]
fn rustls() {
    let broker = Encrypted::new();
    let tracer = broker.trace(&[]);
    let authority = broker.authority().display().to_string();
    hook(&tracer, Path::new(env!("CARGO_BIN_EXE_client_mqtt")), |port| {
        let words = [
            "--port", &port, "--id", "first", "--count", "1", "--ca", &authority, "publish", "--topic",
            "none",
        ];
        words.map(str::to_owned).into()
    });
    let site = &broker.site;
    let more = ["--ca", &authority];
    let subscribe = [&more[..], &["subscribe", "--topic", "tls/r"]].concat();
    let mut subscriber = site.rumqtt("sub", 1, 20, &subscribe);
    let publish = [&more[..], &["publish", "--topic", "tls/r", "--size", "64"]].concat();
    let mut publisher = site.rumqtt("pub", 1, 20, &publish);
    publisher.finish();
    subscriber.finish();
    let outcome = tracer.stop();
    let owner = crate::mqtt::check::Owner::Process(publisher.pid());
    let truth = Truth::whole(site.broker.process.pid()).sent(owner, &publisher.log());
    truth.subscriber(&subscriber, 1).check(&outcome.spans);
}

#[test]
fn boringssl() {
    let broker = Encrypted::new();
    let (source, program) = (broker.site.path().join("boring.c"), broker.site.path().join("boring"));
    fs::write(&source, BORING).expect("the folder can be written");
    let libraries = "/usr/lib/ARCH-linux-gnu/android".replace("ARCH", std::env::consts::ARCH);
    let mut cc = Command::new("cc");
    cc.args(["-I/usr/include/android", &format!("-L{libraries}"), &format!("-Wl,-rpath,{libraries}"), "-o"]);
    let said = cc.args([&program, &source]).args(["-lssl", "-lcrypto"]).output().expect("a compiler");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let [port, id, count, _] = arguments(&broker, "boring");
    // A library is looked for when a program that has it uses a connection to a broker: here to one that says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let there = silent.local_addr().expect("it has an address").port().to_string();
    let tracer = broker.trace(&["--broker", &format!("mqtt:{there}")]);
    let mut first =
        Running::start("first", Command::new(&program).args([&there, "first", "0"])).expect("it starts");
    tracer.wait_log("/android/libssl.so.0 (");
    first.stop(Signal::SIGKILL, PATIENCE).expect("it ends");
    publishes_to_itself(&broker, tracer, "boring", Command::new(&program).args([port, id, count]));
}

/// As compiled, and without symbols.
#[test]
fn go() {
    let broker = Encrypted::new();
    for stripped in [false, true] {
        let id = if stripped { "stripped" } else { "symbols" };
        let program = compile_go(broker.site.path(), id, stripped);
        let tracer = broker.trace(&[]);
        hook(&tracer, &program, |port| {
            let [_, id, count, authority] = arguments(&broker, id);
            vec![port, id, count, authority]
        });
        publishes_to_itself(&broker, tracer, id, Command::new(&program).args(arguments(&broker, id)));
    }
}

fn compile_go(folder: &Path, name: &str, stripped: bool) -> PathBuf {
    let source = folder.join("client.go");
    fs::write(&source, GO).expect("the folder can be written");
    let program = folder.join(name);
    let mut go =
        Command::new(if Path::new("/usr/local/go/bin/go").is_file() { "/usr/local/go/bin/go" } else { "go" });
    go.args(["build", "-ldflags", if stripped { "-s -w" } else { "" }, "-o"]).args([&program, &source]);
    let start = std::time::Instant::now();
    let said = go.output().expect("go is there: cargo xtask setup");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(start.elapsed() < 20 * PATIENCE, "compiled in {:?}", start.elapsed());
    program
}
