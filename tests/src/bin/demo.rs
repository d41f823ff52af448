//! The demo: two instruments, a sensor, a broker and an actuator run, iotrail watches, and a summary ends it.
//!
//! `cargo xtask demo` builds everything and starts this. Whatever it starts ends with it: at the end, on Ctrl-C and on failure.

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use nix::sys::signal::Signal;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _, stdout},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tracer_tests::{
    broker::{Mosquitto, free_port},
    http, otlp,
    process::{Running, ended_well},
    trail::Summary,
};

/// Where iotrail serves its metrics unless told otherwise.
const METRICS_PORT: u16 = 9464;
/// How long iotrail may take to be ready.
const READY: Duration = Duration::from_secs(20);
/// How long anything may take to end when it is told to.
const STOP: Duration = Duration::from_secs(10);
/// What the programs get for finishing what they began, and iotrail for showing it.
const SETTLE: Duration = Duration::from_millis(2500);

/// Shows iotrail on two instruments, an MQTT broker and two ordinary programs.
#[derive(Parser)]
struct Options {
    /// The iotrail program; without it the programs run untraced.
    #[arg(long)]
    iotrail: Option<PathBuf>,
    /// Folder for configuration and logs.
    #[arg(long)]
    folder: PathBuf,
    /// End after so many seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Go on until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Export there too.
    #[arg(long)]
    export: Vec<String>,
    /// More arguments for `iotrail run`.
    #[arg(last = true)]
    more: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("demo: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot catch signals")?;
    }
    let interrupted = || interrupted.load(Ordering::Relaxed);
    let folder = options.folder.as_path();
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let programs = std::env::current_exe().context("where is this program?")?;
    let programs = programs.parent().context("this program is nowhere")?;

    let mut instruments = Instruments::start(programs)?;
    let mut broker = Mosquitto::start(folder)?;
    say(&format!(
        "thermometer on {}, valve on {}, mosquitto on port {}",
        instruments.thermometer, instruments.valve, broker.port
    ));
    let spans = folder.join("spans.jsonl");
    let mut tracer = match &options.iotrail {
        Some(program) => {
            Some(Tracer::start(program, options, &instruments, broker.port, &spans, &interrupted)?)
        }
        None => None,
    };
    let program = |name: &str, device: &str| {
        let mut command = Command::new(programs.join(format!("demo_{name}")));
        command.args(["--device", device, "--port", &broker.port.to_string()]);
        Running::start_logged(name, &mut command, &folder.join(format!("{name}.log")))
    };
    // The actuator first: a message that nobody has subscribed to yet moves no valve.
    let mut actuator = program("actuator", &instruments.valve)?;
    let mut sensor = program("sensor", &instruments.thermometer)?;
    if options.keep {
        say("sensor and actuator run; Ctrl-C ends it");
    } else {
        say(&format!("sensor and actuator run for {} s; Ctrl-C ends it sooner", options.seconds));
    }

    let start = Instant::now();
    while !interrupted() && (options.keep || start.elapsed() < Duration::from_secs(options.seconds)) {
        for process in [&mut instruments.process, &mut broker.process, &mut actuator, &mut sensor] {
            process.still_runs().with_context(|| format!("its log is in {}", folder.display()))?;
        }
        if let Some(tracer) = &mut tracer {
            tracer.process.still_runs()?;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let ran = start.elapsed();

    let ended = sensor.stop(Signal::SIGTERM, STOP)?;
    ensure!(ended_well(ended, Signal::SIGTERM), "the sensor failed ({ended})");
    let losses = match &mut tracer {
        Some(tracer) => {
            // What is under way arrives, then iotrail has its time to complete the traces.
            thread::sleep(SETTLE);
            let losses = tracer.losses();
            let ended = tracer.process.stop(Signal::SIGINT, STOP)?;
            ensure!(ended.success(), "iotrail failed ({ended})");
            Some(losses)
        }
        None => {
            thread::sleep(Duration::from_millis(200));
            None
        }
    };
    actuator.stop(Signal::SIGTERM, STOP)?;
    broker.process.stop(Signal::SIGTERM, STOP)?;
    instruments.process.stop(Signal::SIGTERM, STOP)?;

    match losses {
        Some(losses) => sum_up(ran, &spans, losses),
        None => untraced(ran, &folder.join("actuator.log")),
    }
}

/// The two instruments and the nodes of their lines.
struct Instruments {
    process: Running,
    thermometer: String,
    valve: String,
}

impl Instruments {
    fn start(programs: &Path) -> Result<Self> {
        let mut command = Command::new(programs.join("demo_instruments"));
        let mut process = Running::start("the instruments", command.stdout(Stdio::piped()))?;
        let output = process.child().stdout.take().context("the instruments have no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut path = |name: &str| {
            let line = lines.next().context("the instruments said nothing")??;
            let path = line.strip_prefix(name).with_context(|| format!("the instruments said `{line}`"))?;
            anyhow::Ok(path.trim().to_owned())
        };
        Ok(Self { thermometer: path("thermometer ")?, valve: path("valve ")?, process })
    }
}

/// A running iotrail.
struct Tracer {
    process: Running,
    address: SocketAddr,
}

impl Tracer {
    fn start(
        program: &Path,
        options: &Options,
        instruments: &Instruments,
        broker: u16,
        spans: &Path,
        interrupted: &impl Fn() -> bool,
    ) -> Result<Self> {
        if let Err(err) = fs::remove_file(spans) {
            ensure!(err.kind() == std::io::ErrorKind::NotFound, "cannot remove {}", spans.display());
        }
        let mut command = Command::new(program);
        command
            .args(["run", "--broker", &format!("mqtt:{broker}")])
            .args(["--device", &instruments.thermometer, "--device", &instruments.valve])
            .args(["--export", "tree", "--export", &format!("file:{}", spans.display())]);
        for export in &options.export {
            let known = ["otlp", "tree", "-"].contains(&export.as_str()) || export.starts_with("file:");
            command.arg("--export").arg(if known { export.clone() } else { format!("file:{export}") });
        }
        let port = if TcpListener::bind((Ipv4Addr::LOCALHOST, METRICS_PORT)).is_ok() {
            METRICS_PORT
        } else {
            let port = free_port()?;
            command.args(["--listen", &format!("127.0.0.1:{port}")]);
            port
        };
        if !options.more.iter().any(|argument| argument.starts_with("--payload")) {
            // The demo's data are nobody's secret, and a tree with values reads better.
            command.args(["--payload", "head:64"]);
        }
        command.args(&options.more);
        let process = Running::start("iotrail", &mut command)?;
        let mut tracer = Self { process, address: (Ipv4Addr::LOCALHOST, port).into() };
        let start = Instant::now();
        while !http::get(tracer.address, "/health/ready").is_ok_and(|(status, _)| status == 200) {
            tracer.process.still_runs()?;
            ensure!(!interrupted(), "interrupted");
            if start.elapsed() > READY {
                bail!("iotrail is not ready after {} s; see `iotrail doctor`", READY.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        }
        say(&format!(
            "iotrail was ready after {:.1} s; metrics: http://{}/metrics",
            start.elapsed().as_secs_f64(),
            tracer.address
        ));
        Ok(tracer)
    }

    /// One line on what was lost, from the metrics.
    fn losses(&self) -> String {
        let page = match http::get(self.address, "/metrics") {
            Ok((200, page)) => page,
            Ok((status, _)) => return format!("unknown (/metrics answered {status})"),
            Err(err) => return format!("unknown ({err:#})"),
        };
        let lost: Vec<_> = http::samples(&page, "iotrail_events_dropped_total")
            .into_iter()
            .filter(|(_, count)| *count > 0.0)
            .map(|(labels, count)| format!("{count} ({labels})"))
            .collect();
        if lost.is_empty() { "nothing".to_owned() } else { lost.join(", ") }
    }
}

fn sum_up(ran: Duration, spans: &Path, losses: String) -> Result<()> {
    let spans = otlp::read(spans)?;
    let summary = Summary::new(&spans);
    println!("\n{:.1} s\n{summary}lost             {losses}", ran.as_secs_f64());
    ensure!(summary.trails > 0, "no whole trace from device to device among {} spans", spans.len());
    Ok(())
}

/// Without a tracer there is at least the actuator's own log.
fn untraced(ran: Duration, log: &Path) -> Result<()> {
    let text = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let commands = text.lines().filter(|line| line.contains(" %: OK ")).count();
    let refused = text.lines().filter(|line| line.contains(" %: ERR ")).count();
    println!(
        "\n{:.1} s untraced: the valve was moved {commands} times and refused {refused} times",
        ran.as_secs_f64()
    );
    ensure!(commands > 0, "no reading reached the valve; logs are beside {}", log.display());
    Ok(())
}

fn say(what: &str) {
    println!("demo: {what}");
    // Whoever reads this through a pipe wants it before the end.
    drop(stdout().flush());
}
