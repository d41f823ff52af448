//! A load of device commands: single calls timed one by one, or commands of several classes at a given pace.
//!
//! Prints a line of JSON that says what to trace (`pid`, `devices`); then, for every line on its standard input, runs once and
//! prints a line of JSON with what it measured or did. So a tracer can be attached and detached between two runs of one process.

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use nix::{errno::Errno, sys::termios};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    hint::black_box,
    io::{BufRead as _, Read as _, Write as _, stdin, stdout},
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};
use tracer_tests::{instrument::Line, stats::quantile};

/// What is asked of an instrument.
const REQUEST: &[u8] = b"MEAS:TEMP?\n";
/// What it answers: as long as the request, so that reads and writes can be compared.
const ANSWER: &[u8] = b"+21.5300E0\n";
/// Commands are given in bursts of what is due at such times.
const BURST: Duration = Duration::from_millis(1);
/// One in so many commands is one that the device refuses.
const REFUSED_EVERY: u64 = 1000;

/// The calls, typed as the kernel's headers say.
#[allow(missing_docs, unreachable_pub, reason = "what the macros make can be told neither")]
mod calls {
    nix::ioctl_read_bad!(window, libc::TIOCGWINSZ, libc::winsize);
    nix::ioctl_read_bad!(output_queue, libc::TIOCOUTQ, libc::c_int);
    nix::ioctl_read_bad!(modem_lines, libc::TIOCMGET, libc::c_int);
    nix::ioctl_read!(disk_size, 0x12, 114, usize);
    nix::ioctl_read_bad!(sector_size, libc::BLKSSZGET, libc::c_int);
    nix::ioctl_read!(tunnel_features, b'T', 207, libc::c_uint);
}

/// Gives commands to devices.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Median and 99th percentile in ns of single calls on a pseudo-terminal.
    Calls {
        /// Calls of each kind in a run.
        #[arg(long, default_value_t = 10_000)]
        calls: usize,
    },
    /// Commands at a pace.
    Paced {
        /// Commands a second; 0 for as many as can be given.
        #[arg(long)]
        rate: u64,
        /// How long.
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
    },
}

fn main() -> Result<()> {
    let Options { what } = Options::parse();
    match what {
        What::Calls { calls } => {
            let mut pty = Pty::open()?;
            serve(&[pty.path.clone()], || pty.measure(calls))
        }
        What::Paced { rate, seconds } => {
            let mut devices = Devices::open()?;
            let paths = devices.paths.clone();
            serve(&paths, || devices.run(rate, Duration::from_secs_f64(seconds)))
        }
    }
}

/// Says what there is and runs when told to.
fn serve(devices: &[String], mut run: impl FnMut() -> Result<Value>) -> Result<()> {
    println!("{}", json!({"pid": std::process::id(), "devices": devices}));
    stdout().flush()?;
    for told in stdin().lock().lines() {
        told?;
        println!("{}", run()?);
        stdout().flush()?;
    }
    Ok(())
}

/// A pseudo-terminal in raw mode.
struct Pty {
    path: String,
    near: File,
    far: File,
    _line: Line,
}

impl Pty {
    fn open() -> Result<Self> {
        let line = Line::open()?;
        let near = File::options().read(true).write(true).open(&line.path)?;
        let (path, far) = (line.path.display().to_string(), line.far.try_clone()?);
        Ok(Self { path, near, far, _line: line })
    }

    /// Each call by itself, with what belongs to it outside the measured time.
    fn measure(&mut self, calls: usize) -> Result<Value> {
        let mut taken: [Vec<u64>; 3] = std::array::from_fn(|_| Vec::with_capacity(calls));
        let mut buffer = [0; 64];
        for _ in 0..calls {
            let start = Instant::now();
            black_box(termios::tcgetattr(&self.near)?);
            taken[0].push(nanos(start));

            let start = Instant::now();
            self.near.write_all(REQUEST)?;
            taken[1].push(nanos(start));
            self.far.read_exact(&mut buffer[..REQUEST.len()])?;

            self.far.write_all(ANSWER)?;
            // The terminal's own work is over once there is something to read.
            let mut readable = [nix::poll::PollFd::new(self.near.as_fd(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut readable, nix::poll::PollTimeout::NONE)?;
            let start = Instant::now();
            let got = self.near.read(&mut buffer)?;
            taken[2].push(nanos(start));
            ensure!(got == ANSWER.len(), "read {got} bytes of {}", ANSWER.len());
        }
        let mut result = serde_json::Map::new();
        for (name, mut taken) in
            ["ioctl TCGETS of a pty", "write to a pty, 11 B", "read of a pty, 11 B"].into_iter().zip(taken)
        {
            taken.sort_unstable();
            for (what, q) in [("median", 0.5), ("p99", 0.99)] {
                result.insert(format!("{name}, {what}"), json!(quantile(&taken, q)));
            }
        }
        Ok(Value::Object(result))
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What commands are given to.
struct Devices {
    /// Asked and never answers: what is written to it is a command by itself.
    mute: Pty,
    /// Answers each request.
    instrument: Pty,
    /// Other classes, as far as this machine has them.
    disk: Option<File>,
    tunnel: Option<File>,
    paths: Vec<String>,
}

impl Devices {
    fn open() -> Result<Self> {
        let (mute, instrument) = (Pty::open()?, Pty::open()?);
        let mut paths = vec![mute.path.clone(), instrument.path.clone()];
        let mut other = |path: &str| {
            let file = File::open(Path::new(path)).ok()?;
            paths.push(path.to_owned());
            Some(file)
        };
        let (disk, tunnel) = (other("/dev/loop0"), other("/dev/net/tun"));
        Ok(Self { mute, instrument, disk, tunnel, paths })
    }

    /// Gives the command of this number; its name, as iotrail's spans have it.
    fn command(&mut self, number: u64) -> Result<&'static str> {
        let mute = self.mute.near.as_raw_fd();
        let mut value: libc::c_int = 0;
        if number.is_multiple_of(REFUSED_EVERY) {
            // A pseudo-terminal has no modem lines.
            // SAFETY: the descriptor is open, the argument is an int as the command says.
            let refused = unsafe { calls::modem_lines(mute, &raw mut value) };
            ensure!(refused == Err(Errno::ENOTTY), "TIOCMGET of a pty: {refused:?}");
            return Ok("TIOCMGET");
        }
        let (disk, tunnel) = (self.disk.as_ref(), self.tunnel.as_ref());
        // SAFETY: all descriptors are open, each argument is of the type that its command says.
        unsafe {
            match (number % 10, disk, tunnel) {
                (0, ..) => {
                    self.instrument.near.write_all(REQUEST)?;
                    self.instrument.far.write_all(ANSWER)?;
                    let mut answer = [0; ANSWER.len()];
                    self.instrument.near.read_exact(&mut answer)?;
                    return Ok("MEAS:TEMP?");
                }
                (1, ..) => {
                    // Named by what it asks, although nobody waits for the answer.
                    self.mute.near.write_all(REQUEST)?;
                    return Ok("MEAS:TEMP?");
                }
                (2 | 3, Some(disk), _) => {
                    let mut size = 0;
                    calls::disk_size(disk.as_raw_fd(), &raw mut size)?;
                    return Ok("BLKGETSIZE64");
                }
                (4, Some(disk), _) => {
                    calls::sector_size(disk.as_raw_fd(), &raw mut value)?;
                    return Ok("BLKSSZGET");
                }
                (5, _, Some(tunnel)) => {
                    let mut features = 0;
                    calls::tunnel_features(tunnel.as_raw_fd(), &raw mut features)?;
                    return Ok("TUNGETFEATURES");
                }
                (6, ..) => {
                    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
                    calls::window(mute, &raw mut size)?;
                    return Ok("TIOCGWINSZ");
                }
                (7, ..) => {
                    calls::output_queue(mute, &raw mut value)?;
                    return Ok("TIOCOUTQ");
                }
                _ => {}
            }
        }
        black_box(termios::tcgetattr(&self.mute.near)?);
        Ok("TCGETS")
    }

    /// Takes what was written at the far ends, so that they never fill up.
    fn drain(&mut self, written: &mut [usize; 2]) -> Result<()> {
        let mut buffer = [0; 4096];
        for (far, left) in [&mut self.mute.far, &mut self.instrument.far].into_iter().zip(written) {
            while *left > 0 {
                let got = far.read(&mut buffer)?;
                ensure!(got > 0, "a line is gone");
                *left = left.saturating_sub(got);
            }
        }
        Ok(())
    }

    /// Gives commands at this rate for so long; what was given, by name.
    fn run(&mut self, rate: u64, seconds: Duration) -> Result<Value> {
        /// Commands between two looks at the clock.
        const STEP: u64 = 100;
        let mut given: BTreeMap<&'static str, u64> = BTreeMap::new();
        let (mut number, mut written) = (0, [0, 0]);
        let start = Instant::now();
        loop {
            let passed = start.elapsed().min(seconds);
            let over = passed == seconds;
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "far fewer commands than a float counts exactly"
            )]
            let due = (passed.as_secs_f64() * rate as f64) as u64;
            let due = if rate == 0 { number + STEP * u64::from(!over) } else { due.min(number + STEP) };
            if due > number {
                while number < due {
                    let name = self.command(number)?;
                    *given.entry(name).or_default() += 1;
                    if name == "MEAS:TEMP?" {
                        written[usize::from(number.is_multiple_of(10))] += REQUEST.len();
                    }
                    number += 1;
                }
                self.drain(&mut written)?;
            } else if over {
                break;
            } else {
                thread::sleep(BURST.min(seconds.saturating_sub(passed)));
            }
            // As many as could be given: a load that falls behind does not run on for ever.
            if over && start.elapsed() > seconds + Duration::from_secs(1) {
                break;
            }
        }
        let took = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let reached = number as f64 / took;
        Ok(json!({"given": given, "commands": number, "seconds": took, "rate": reached}))
    }
}
