//! The benchmarks: what tracing costs a system call and a broker, side by side with other tracers.
//!
//! Every condition runs once in every round, so that what slows the machine down for a while slows all of them; the result is
//! the median over the rounds, as a Markdown table.

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};
use tracer_tests::{
    broker::Mosquitto,
    process::Running,
    stats::median,
    tracer::{Tracer, Usage},
};

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

/// Measured values by name, one for each round, of each condition.
type Values = BTreeMap<String, Vec<f64>>;

fn main() -> Result<()> {
    let options = Options::parse();
    fs::create_dir_all(&options.folder)
        .with_context(|| format!("cannot create {}", options.folder.display()))?;
    ensure!(options.rounds > 0, "--rounds is at least 1");
    match &options.what {
        What::Syscalls { hooks } => syscalls(&options, hooks),
        What::Mosquitto { rate, seconds } => mosquitto(&options, *rate, *seconds),
        What::Saturation { from, seconds } => saturation(&options, *from, *seconds),
    }
}

/// The load, told to run by a line on its input.
struct Load {
    process: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pid: u32,
    tty: String,
    port: u64,
}

impl Load {
    fn start() -> Result<Self> {
        let mut command = Command::new(beside("load_syscalls")?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Running::start_with_input("load_syscalls", &mut command)?;
        let input = process.child().stdin.take().context("the load has no input")?;
        let output = BufReader::new(process.child().stdout.take().context("the load has no output")?);
        let pid = process.pid();
        let mut load = Self { process, input, output, pid, tty: String::new(), port: 0 };
        let about = load.line()?;
        let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
        load.tty = text("tty").context("the load has no terminal")?;
        load.port = about.get("port").and_then(Value::as_u64).context("the load has no port")?;
        Ok(load)
    }

    fn run(&mut self) -> Result<Value> {
        writeln!(self.input, "go").context("the load is gone")?;
        self.line()
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("the load says nothing")?;
        self.process.still_runs()?;
        serde_json::from_str(&line).with_context(|| format!("the load says {line:?}"))
    }
}

fn syscalls(options: &Options, hooks: &[String]) -> Result<()> {
    let mut load = Load::start()?;
    let (pid, tty, port) = (load.pid, load.tty.clone(), load.port);
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
    conditions.push(("bpftrace".to_owned(), Box::new(move |log| Tracer::bpftrace(&histograms(pid), log))));
    conditions.push(("strace".to_owned(), Box::new(move |log| Tracer::strace(pid, log))));
    conditions.retain(|(name, _)| options.only.is_empty() || options.only.contains(name));

    load.run()?; // The first run is slower: caches, page faults.
    let mut results: Vec<(String, Values)> = vec![("nothing".to_owned(), Values::new())];
    results.extend(conditions.iter().map(|(name, _)| (name.clone(), Values::new())));
    for round in 1..=options.rounds {
        eprintln!("bench: round {round} of {}", options.rounds);
        for (at, (name, values)) in results.iter_mut().enumerate() {
            let tracer = match at.checked_sub(1).and_then(|at| conditions.get(at)) {
                None => None,
                Some((_, start)) => {
                    let log = options.folder.join(format!("{}.log", name.replace(' ', "-")));
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
            add(values, &load.run()?);
            if let Some(tracer) = tracer {
                tracer.stop()?;
            }
        }
    }
    print!("{}", table("ns", &results));
    Ok(())
}

/// What `perf trace -s` or a first bpftrace script would do: a histogram of how long each system call took.
fn histograms(pid: u32) -> String {
    HISTOGRAM_OF
        .map(|name| {
            format!(
                "tracepoint:syscalls:sys_enter_{name} /pid == {pid}/ {{ @start[tid] = nsecs; }} \
                 tracepoint:syscalls:sys_exit_{name} /@start[tid]/ \
                 {{ @took = hist(nsecs - @start[tid]); delete(@start[tid]); }} "
            )
        })
        .concat()
}

fn mosquitto(options: &Options, rate: u64, seconds: u64) -> Result<()> {
    let load = beside("load_mqtt")?;
    let mut results = vec![("nothing".to_owned(), Values::new()), ("iotrail".to_owned(), Values::new())];
    for round in 1..=options.rounds {
        eprintln!("bench: round {round} of {}", options.rounds);
        for (name, values) in &mut results {
            for (run, rate) in [(format!("{rate}/s"), rate), ("full speed".to_owned(), 0)] {
                let broker = Mosquitto::start(&options.folder)?;
                let tracer = if name == "iotrail" {
                    let arguments =
                        ["--broker", &format!("mqtt:{}", broker.port), "--export", "file:/dev/null"];
                    let log = options.folder.join("iotrail.log");
                    Some(Tracer::iotrail(&options.iotrail, &arguments.map(str::to_owned), &log)?)
                } else {
                    None
                };
                let before = tracer.as_ref().map(|tracer| Usage::of(tracer.process.pid())).transpose()?;
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
                if let (Some(tracer), Some(before)) = (tracer, before) {
                    let after = Usage::of(tracer.process.pid())?;
                    let took = result.get("seconds").and_then(Value::as_f64).unwrap_or(1.0);
                    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
                    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
                    let resident = after.resident as f64 / 1e6;
                    for (what, value) in [
                        ("tracer CPU, % of a core", cpu / took * 100.0),
                        ("tracer resident, MB", resident),
                        ("tracer lost, events", tracer.lost()?),
                    ] {
                        measured.insert(format!("{run}: {what}"), value.into());
                    }
                    tracer.stop()?;
                }
                add(values, &Value::Object(measured));
            }
        }
    }
    print!("{}", table("", &results));
    Ok(())
}

/// Numbers of a nested object by the names on the way to them.
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

fn flatten(name: &str, value: &Value, into: &mut serde_json::Map<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let separator = if name.contains(": ") { " " } else { ": " };
                flatten(&format!("{name}{separator}{key}"), value, into);
            }
        }
        Value::Number(_) => drop(into.insert(name.to_owned(), value.clone())),
        _ => {}
    }
}

fn add(values: &mut Values, measured: &Value) {
    for (name, value) in measured.as_object().into_iter().flatten() {
        if let Some(value) = value.as_f64() {
            values.entry(name.clone()).or_default().push(value);
        }
    }
}

/// Medians; behind each, what it is of the first condition's.
fn table(unit: &str, results: &[(String, Values)]) -> String {
    let mut names: Vec<&String> = results.iter().flat_map(|(_, values)| values.keys()).collect();
    names.sort();
    names.dedup();
    let mut lines = vec![
        format!(
            "| {unit} | {} |",
            results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" | ")
        ),
        format!("| --- |{}", " --- |".repeat(results.len())),
    ];
    for name in names {
        let medians = || results.iter().map(|(_, values)| values.get(name).and_then(|values| median(values)));
        let first = medians().next().flatten();
        let cells = medians().enumerate().map(|(at, value)| match (value, first) {
            (None, _) => String::new(),
            (Some(value), Some(first)) if at > 0 && first > 0.0 => {
                format!("{value:.0} ({:+.0}, ×{:.2})", value - first, value / first)
            }
            (Some(value), _) => format!("{value:.0}"),
        });
        lines.push(format!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | ")));
    }
    lines.join("\n") + "\n"
}

/// A program of this crate's, built with this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where is this program?")?;
    Ok(own.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_medians_differences_and_gaps() {
        let values = |pairs: &[(&str, &[f64])]| -> Values {
            pairs.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect()
        };
        let results = [
            ("nothing".to_owned(), values(&[("read", &[100.0, 90.0, 110.0])])),
            ("x".to_owned(), values(&[("read", &[150.0]), ("lost", &[0.0])])),
            ("y".to_owned(), values(&[])),
        ];
        assert_eq!(
            table("ns", &results),
            "| ns | nothing | x | y |\n| --- | --- | --- | --- |\n| lost |  | 0 |  |\n\
             | read | 100 | 150 (+50, ×1.50) |  |\n"
        );
    }

    #[test]
    fn nested_numbers_keep_their_names() {
        let mut flat = serde_json::Map::new();
        flatten("r", &serde_json::json!({"a": 1, "b": {"c": 2.5}, "d": null}), &mut flat);
        assert_eq!(Value::Object(flat), serde_json::json!({"r: a": 1, "r: b c": 2.5}));
    }
}
