//! A load for measuring what the observer of packets costs: two TCP connections, on each of which bytes are written and sent
//! from a file, in short timed rounds on one CPU.
//!
//! Prints a line of JSON that says what to trace (`pid`, and `port`, that of one of the two); then, for every line on its standard
//! input, runs all rounds and prints a line of JSON with the median ns of each operation.

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::Pid,
};
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    io::{BufRead as _, Error, Read as _, Write as _, stdin, stdout},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    time::Instant,
};
use tracer_tests::stats::median;

/// Bytes of the file: one MQTT PUBLISH of QoS 0, in one packet of a loopback connection.
const FILE: usize = 46 << 10;
/// Bytes of a write.
const SHORT: usize = 64;

/// Measures writes and `sendfile`.
#[derive(Parser)]
struct Options {
    /// Timed rounds of each operation.
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Writes in a round; the file is sent a tenth as often.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..))]
    calls: u16,
    /// Run on this CPU.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
}

/// Both ends of a connection.
struct Connection {
    near: TcpStream,
    far: TcpStream,
    port: u16,
}

impl Connection {
    fn new() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no TCP port")?;
        let port = listener.local_addr()?.port();
        let near = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        near.set_nodelay(true)?;
        let (far, _) = listener.accept()?;
        Ok(Self { near, far, port })
    }

    /// ns of one of so many turns of `send`, each of which sends so many bytes, which the other end reads at once.
    fn timed(
        &mut self,
        turns: usize,
        bytes: usize,
        mut send: impl FnMut(&mut TcpStream) -> Result<()>,
    ) -> Result<f64> {
        let mut buffer = vec![0; bytes];
        let start = Instant::now();
        for _ in 0..turns {
            send(&mut self.near)?;
            self.far.read_exact(&mut buffer).context("the other end is gone")?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let turns = turns as f64;
        Ok(start.elapsed().as_secs_f64() * 1e9 / turns)
    }
}

/// Sends all of a file.
fn send_file(to: &TcpStream, file: &File) -> Result<()> {
    let mut from = 0;
    // SAFETY: the offset outlives the call.
    let sent = unsafe { libc::sendfile(to.as_raw_fd(), file.as_raw_fd(), &raw mut from, FILE) };
    ensure!(usize::try_from(sent) == Ok(FILE), "{sent} bytes sent at once: {}", Error::last_os_error());
    Ok(())
}

/// A PUBLISH of so many bytes in all: the length of what follows takes one byte or three, MQTT 3.1.1, 2.2.3.
fn publish(size: usize) -> Vec<u8> {
    let lengths = if size <= 129 { 1 } else { 3 };
    let mut left = size - 1 - lengths;
    let mut message = vec![0x30];
    for at in 1..=lengths {
        message.push((left % 128) as u8 | if at < lengths { 0x80 } else { 0 });
        left /= 128;
    }
    message.extend(b"\0\x04load");
    message.resize(size, b'x');
    message
}

fn main() -> Result<()> {
    let Options { rounds, calls, cpu } = Options::parse();
    let calls = usize::from(calls);
    let mut cpus = CpuSet::new();
    cpus.set(cpu).context("no such CPU")?;
    sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("cannot run on CPU {cpu}"))?;
    let file = File::from(memfd_create("load", MFdFlags::empty()).context("cannot make a file")?);
    (&file).write_all(&publish(FILE))?;
    let short = publish(SHORT);
    let mut connections = [("its port", Connection::new()?), ("another port", Connection::new()?)];
    let [(_, first), _] = &connections;
    println!("{}", json!({"pid": std::process::id(), "port": first.port}));
    stdout().flush()?;

    for run in stdin().lock().lines() {
        run?;
        let mut values: Map<String, Value> = Map::new();
        let mut taken: Vec<(String, Vec<f64>)> = Vec::new();
        for _ in 0..rounds {
            for (which, connection) in &mut connections {
                let wrote = connection.timed(calls, SHORT, |to| Ok(to.write_all(&short)?))?;
                keep(&mut taken, format!("write of {SHORT} B and read, {which}"), wrote);
                let sent = connection.timed(calls / 10, FILE, |to| send_file(to, &file))?;
                keep(&mut taken, format!("sendfile of {} KiB and read, {which}", FILE >> 10), sent);
            }
        }
        for (name, of) in taken {
            values.insert(name, json!(median(&of)));
        }
        println!("{}", Value::Object(values));
        stdout().flush()?;
    }
    Ok(())
}

/// Adds to an operation's values.
fn keep(taken: &mut Vec<(String, Vec<f64>)>, name: String, value: f64) {
    match taken.iter_mut().find(|(known, _)| *known == name) {
        Some((_, values)) => values.push(value),
        None => taken.push((name, vec![value])),
    }
}
