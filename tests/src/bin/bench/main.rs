//! The benchmarks: what tracing costs a system call and a broker, side by side with other tracers.
//!
//! Every condition runs once in every round, so that what slows the machine down for a while slows all of them; the result is
//! the median over the rounds, as a Markdown table.

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tracer_tests::{broker::Mosquitto, tracer::Tracer};

mod attached;
mod brokers;
mod devices;
mod load;
mod port;
mod table;

use attached::Attached;
use load::Load;
use table::{Values, add, flatten, table};

/// System calls that bpftrace makes a histogram of: those that the load makes and iotrail hooks.
const HISTOGRAM_OF: [&str; 5] = ["read", "write", "ioctl", "pread64", "sendto"];

/// Measures what tracing costs.
#[derive(Parser)]
struct Options {
    /// The iotrail program.
    #[arg(long)]
    iotrail: PathBuf,
    /// Folder for configuration and logs.
    #[arg(long)]
    folder: PathBuf,
    /// Times that every condition is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure only these conditions (and nothing attached).
    #[arg(long, value_name = "CONDITION")]
    only: Vec<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// System calls: nothing / iotrail by kind of hook / bpftrace histogram / strace.
    Syscalls {
        /// Kinds of hooks of iotrail to compare; `default` for what it chooses itself.
        #[arg(long, value_delimiter = ',', default_value = "default")]
        hooks: Vec<String>,
    },
    /// Mosquitto at a given rate and at full speed: nothing / iotrail.
    Mosquitto {
        /// Messages a second of the rated run.
        #[arg(long, default_value_t = 10_000)]
        rate: u64,
        /// Seconds of one run.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Five brokers, each at a given rate and at full speed: nothing / iotrail.
    Brokers(brokers::Options),
    /// Device commands: calls on a pseudo-terminal with nothing / bpftrace histogram / iotrail; 100,000 commands a second; the
    /// highest rate without loss.
    Devices(devices::Options),
    /// What a TLS library's calls cost when they are hooked: of a program whose connections are selected, and of another.
    Tls(port::Options),
    /// What looking at packets costs: writes and `sendfile` on selected connections and on others.
    Packets(port::Options),
    /// What a virtual machine measured, as a table: lines `ROUND CONDITION OPERATION FIGURE`, with tabs between.
    Figures {
        /// The file.
        file: PathBuf,
    },
    /// Mosquitto at rising rates until iotrail loses something, or the broker or the load cannot follow.
    Saturation {
        /// Messages a second to begin with.
        #[arg(long, default_value_t = 10_000)]
        from: u64,
        /// Seconds at each rate.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
}

/// Steps of the rate in a search for the highest without loss, as factors of the rate before.
const STEP: f64 = 1.25;

/// Starts a tracer that logs to a file.
type Start<'a> = Box<dyn Fn(&Path) -> Result<Tracer> + 'a>;

fn main() -> Result<()> {
    let options = Options::parse();
    fs::create_dir_all(&options.folder)
        .with_context(|| format!("cannot create {}", options.folder.display()))?;
    ensure!(options.rounds > 0, "--rounds is at least 1");
    match &options.what {
        What::Syscalls { hooks } => syscalls(&options, hooks),
        What::Brokers(own) => brokers::run(&options, own),
        What::Devices(own) => devices::run(&options, own),
        What::Tls(own) => port::tls(&options, own),
        What::Packets(own) => port::packets(&options, own),
        What::Figures { file } => devices::figures(file),
        What::Mosquitto { rate, seconds } => mosquitto(&options, *rate, *seconds),
        What::Saturation { from, seconds } => saturation(&options, *from, *seconds),
    }
}

fn syscalls(options: &Options, hooks: &[String]) -> Result<()> {
    let mut load = Load::start("load_syscalls", &[])?;
    let text = |key: &str| load.about.get(key).and_then(Value::as_str).map(str::to_owned);
    let tty = text("tty").context("the load has no terminal")?;
    let port = load.about.get("port").and_then(Value::as_u64).context("the load has no port")?;
    let pid = load.pid;
    let mut conditions: Vec<(String, Start<'_>)> = Vec::new();
    for hooks in hooks {
        let mut arguments: Vec<String> =
            ["--pid", &pid.to_string(), "--device", &tty, "--device", "/dev/zero"].map(str::to_owned).into();
        arguments.extend(["--broker".to_owned(), format!("mqtt:{port}")]);
        arguments.extend(["--export".to_owned(), "file:/dev/null".to_owned()]);
        let mut name = "iotrail".to_owned();
        if hooks != "default" {
            arguments.extend(["--hooks".to_owned(), hooks.clone()]);
            name = format!("iotrail {hooks}");
        }
        conditions.push((name, Box::new(move |log| Tracer::iotrail(&options.iotrail, &arguments, log))));
    }
    conditions.push((
        "bpftrace".to_owned(),
        Box::new(move |log| Tracer::bpftrace(&histograms(&HISTOGRAM_OF, pid), log)),
    ));
    conditions.push(("strace".to_owned(), Box::new(move |log| Tracer::strace(pid, log))));
    conditions.retain(|(name, _)| options.only.is_empty() || options.only.contains(name));
    load.run()?; // The first run is slower: caches, page faults.
    let results = side_by_side(options, &conditions, || load.run())?;
    print!("{}", table("ns", &results));
    Ok(())
}

/// Measures with nothing attached and under each condition, in turn in every round.
fn side_by_side(
    options: &Options,
    conditions: &[(String, Start<'_>)],
    mut measure: impl FnMut() -> Result<Value>,
) -> Result<Vec<(String, Values)>> {
    let mut results: Vec<(String, Values)> = vec![("nothing".to_owned(), Values::new())];
    results.extend(conditions.iter().map(|(name, _)| (name.clone(), Values::new())));
    for round in 1..=options.rounds {
        eprintln!("bench: round {round} of {}", options.rounds);
        for (at, (name, values)) in results.iter_mut().enumerate() {
            let tracer = match at.checked_sub(1).and_then(|at| conditions.get(at)) {
                None => None,
                Some((_, start)) => {
                    let log = options.folder.join(format!("{}.log", name.replace([' ', ','], "-")));
                    match start(&log) {
                        Ok(tracer) => Some(tracer),
                        Err(err) => {
                            // The others are still worth measuring; its column stays empty.
                            eprintln!("bench: {name}: {err:#}");
                            continue;
                        }
                    }
                }
            };
            add(values, &measure()?);
            if let Some(tracer) = tracer {
                tracer.stop()?;
            }
        }
    }
    Ok(results)
}

/// What `perf trace -s` or a first bpftrace script would do: a histogram of how long each system call took.
fn histograms(calls: &[&str], pid: u32) -> String {
    calls
        .iter()
        .map(|name| {
            format!(
                "tracepoint:syscalls:sys_enter_{name} /pid == {pid}/ {{ @start[tid] = nsecs; }} \
                 tracepoint:syscalls:sys_exit_{name} /@start[tid]/ \
                 {{ @took = hist(nsecs - @start[tid]); delete(@start[tid]); }} "
            )
        })
        .collect()
}

fn mosquitto(options: &Options, rate: u64, seconds: u64) -> Result<()> {
    let load = beside("load_mqtt")?;
    let mut results = vec![("nothing".to_owned(), Values::new()), ("iotrail".to_owned(), Values::new())];
    for round in 1..=options.rounds {
        eprintln!("bench: round {round} of {}", options.rounds);
        for (name, values) in &mut results {
            for (run, rate) in [(format!("{rate}/s"), rate), ("full speed".to_owned(), 0)] {
                let broker = Mosquitto::start(&options.folder)?;
                let select = format!("mqtt:{}", broker.port);
                let start = || Attached::start(&options.iotrail, &options.folder, &select, &[]);
                let tracer = (name == "iotrail").then(start).transpose()?;
                let output = Command::new(&load)
                    .args(["--port", &broker.port.to_string(), "--rate", &rate.to_string()])
                    .args(["--seconds", &seconds.to_string()])
                    .output()
                    .context("cannot start the load")?;
                ensure!(
                    output.status.success(),
                    "the load failed: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                let result: Value =
                    serde_json::from_slice(&output.stdout).context("the load says no JSON")?;
                let mut measured = serde_json::Map::new();
                flatten(&run, &result, &mut measured);
                if let Some(tracer) = tracer {
                    let took = result.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
                    flatten(&run, &tracer.stop(took)?, &mut measured);
                }
                add(values, &Value::Object(measured));
            }
        }
    }
    print!("{}", table("", &results));
    Ok(())
}

/// Raises the rate until something is lost or the load falls behind it.
fn saturation(options: &Options, from: u64, seconds: u64) -> Result<()> {
    println!(
        "| messages/s wanted | messages/s sent | received | publishes seen | deliveries seen | records lost |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut rate = from;
    loop {
        let broker = Mosquitto::start(&options.folder)?;
        let report = options.folder.join("report.json");
        let arguments = [
            "--broker",
            &format!("mqtt:{}", broker.port),
            "--export",
            "file:/dev/null",
            "--report",
            &report.display().to_string(),
        ];
        let log = options.folder.join("iotrail.log");
        let tracer = Tracer::iotrail(&options.iotrail, &arguments.map(str::to_owned), &log)?;
        let output = Command::new(beside("load_mqtt")?)
            .args(["--port", &broker.port.to_string(), "--rate", &rate.to_string()])
            .args(["--seconds", &seconds.to_string()])
            .output()
            .context("cannot start the load")?;
        ensure!(output.status.success(), "the load failed: {}", String::from_utf8_lossy(&output.stderr));
        let load: Value = serde_json::from_slice(&output.stdout).context("the load says no JSON")?;
        tracer.stop()?;
        let text = fs::read_to_string(&report).context("iotrail left no report")?;
        let report: Value = serde_json::from_str(&text).context("the report is no JSON")?;
        let count = |name: &str| report["counts"][name].as_u64().unwrap_or(0);
        let number = |name: &str| load[name].as_f64().unwrap_or(0.0);
        let lost = count("kernel.data_ring_full") + count("kernel.lifecycle_ring_full");
        let sent = number("rate");
        let (publishes, deliveries) = (count("publishes"), count("deliveries"));
        println!("| {rate} | {sent:.0} | {} | {publishes} | {deliveries} | {lost} |", number("received"));
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let wanted = rate as f64;
        if lost > 0 || sent < 0.9 * wanted {
            return Ok(());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let next = (wanted * STEP) as u64;
        rate = next;
    }
}

/// A program of this crate's, built with this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where is this program?")?;
    Ok(own.with_file_name(name))
}
