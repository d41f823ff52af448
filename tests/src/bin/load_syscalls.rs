//! A load for measuring what tracing costs: system calls in short timed rounds, on one CPU.
//!
//! Prints a line of JSON that says what to trace (`pid`, `tty`, `port`); then, for every line on its standard input, runs all rounds
//! and prints a line of JSON with the median ns of each operation. So a tracer can be attached and detached between two runs of one process.

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{
        memfd::{MFdFlags, memfd_create},
        termios, uio,
    },
    unistd::{Pid, getppid},
};
use serde_json::{Map, Value, json};
use std::{
    fs::File,
    hint::black_box,
    io::{BufRead as _, Read as _, Write as _, stdin, stdout},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    time::Instant,
};
use tracer_tests::{instrument::Line, stats::median};

/// An MQTT PUBLISH of QoS 0 that is 64 bytes long: type, length, topic, body.
const MESSAGE: [u8; 64] = {
    let mut message = [b'x'; 64];
    let head = [0x30, 62, 0, 4, b'l', b'o', b'a', b'd'];
    let mut at = 0;
    while at < head.len() {
        message[at] = head[at];
        at += 1;
    }
    message
};
/// What is written to the serial line: short enough that a batch fits into the line's buffer of 4 KiB.
const REQUEST: &[u8] = b"MEAS:TEMP?\n";

/// Measures system calls.
#[derive(Parser)]
struct Options {
    /// Timed rounds of each operation.
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Calls in a round.
    #[arg(long, default_value_t = 50)]
    calls: usize,
    /// Run on this CPU.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
}

/// What the operations work on.
struct Objects {
    zero: File,
    file: OwnedFd,
    terminal: File,
    far: File,
    near_socket: TcpStream,
    far_socket: TcpStream,
}

type Operation = (&'static str, fn(&mut Objects, usize) -> Result<f64>);

/// Each runs a number of calls and says how many ns one took.
const OPERATIONS: [Operation; 6] = [
    // Hooked by nobody.
    ("getppid", |_, calls| {
        timed(calls, || {
            black_box(getppid());
            Ok(())
        })
    }),
    // Hooked, on a file that nobody selects.
    ("pread of a file, 1 B", |objects, calls| {
        let mut byte = [0];
        timed(calls, || {
            ensure!(uio::pread(&objects.file, &mut byte, 0)? == 1, "short read");
            Ok(())
        })
    }),
    ("read of /dev/zero, 1 B", |objects, calls| {
        let mut byte = [0];
        timed(calls, || Ok(objects.zero.read_exact(&mut byte)?))
    }),
    ("ioctl TCGETS of a pty", |objects, calls| {
        timed(calls, || {
            black_box(termios::tcgetattr(&objects.terminal)?);
            Ok(())
        })
    }),
    ("write to a pty, 11 B", |objects, calls| {
        let ns = timed(calls, || Ok(objects.terminal.write_all(REQUEST)?))?;
        drain(&mut objects.far, calls * REQUEST.len())?;
        Ok(ns)
    }),
    ("write to a TCP socket, 64 B", |objects, calls| {
        let ns = timed(calls, || Ok(objects.near_socket.write_all(&MESSAGE)?))?;
        drain(&mut objects.far_socket, calls * MESSAGE.len())?;
        Ok(ns)
    }),
];

fn main() -> Result<()> {
    let Options { rounds, calls, cpu } = Options::parse();
    ensure!((1..=300).contains(&calls), "--calls is 1 to 300: more would not fit into a pty's buffer");
    let mut cpus = CpuSet::new();
    cpus.set(cpu).context("no such CPU")?;
    sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("cannot run on CPU {cpu}"))?;

    let line = Line::open()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no TCP port")?;
    let port = listener.local_addr()?.port();
    let near_socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    near_socket.set_nodelay(true)?;
    let (far_socket, _) = listener.accept()?;
    let file = memfd_create("load", MFdFlags::empty()).context("cannot make a file")?;
    File::from(file.try_clone()?).write_all(b"x")?;
    let mut objects = Objects {
        zero: File::open("/dev/zero").context("cannot open /dev/zero")?,
        file,
        terminal: File::options().read(true).write(true).open(&line.path)?,
        far: line.far.try_clone()?,
        near_socket,
        far_socket,
    };
    println!("{}", json!({"pid": std::process::id(), "tty": line.path, "port": port}));
    stdout().flush()?;

    for run in stdin().lock().lines() {
        run?;
        println!("{}", Value::Object(measure(&mut objects, rounds, calls)?));
        stdout().flush()?;
    }
    Ok(())
}

/// All operations in turn in every round, so that whatever slows the machine down slows all of them.
fn measure(objects: &mut Objects, rounds: usize, calls: usize) -> Result<Map<String, Value>> {
    let mut values = OPERATIONS.map(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for ((_, operation), values) in OPERATIONS.iter().zip(&mut values) {
            values.push(operation(objects, calls)?);
        }
    }
    let medians =
        OPERATIONS.iter().zip(&values).filter_map(|((name, _), values)| Some((*name, median(values)?)));
    Ok(medians.map(|(name, ns)| (name.to_owned(), json!(ns))).collect())
}

fn timed(calls: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let calls = calls as f64;
    Ok(start.elapsed().as_secs_f64() * 1e9 / calls)
}

/// Takes out what was written, untimed.
fn drain(from: &mut impl std::io::Read, mut bytes: usize) -> Result<()> {
    let mut buffer = [0; 4096];
    while bytes > 0 {
        let got = from.read(&mut buffer).context("cannot drain")?;
        ensure!(got > 0, "the other end is gone");
        bytes = bytes.saturating_sub(got);
    }
    Ok(())
}
