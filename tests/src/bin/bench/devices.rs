//! Commands of devices: what tracing adds to single calls, 100,000 a second without loss, and what happens beyond.

use super::{Options as Common, Start, histograms, load::Load, side_by_side, table};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
};
use table::Values;
use tracer_tests::tracer::{Tracer, Usage};

/// Those that the calls under measurement are.
const HISTOGRAM_OF: [&str; 3] = ["read", "write", "ioctl"];
/// How the load names commands that the device refuses.
const REFUSED: &str = "TIOCMGET";
/// Steps of the rate in a search for the highest without loss, as factors of the rate before.
const STEP: f64 = 1.25;

/// What of it, and how much.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["calls", "rate", "saturation"])]
    parts: Vec<Part>,
    /// Single calls of each kind in a run.
    #[arg(long, default_value_t = 10_000)]
    calls: usize,
    /// Commands a second.
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Seconds at that rate; a quarter of it at each rate in the search for the highest.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// ns of single calls.
    Calls,
    /// Commands at a given rate.
    Rate,
    /// Commands at rising rates, then as many as can be given.
    Saturation,
}

/// Runs the parts and prints a table for each.
pub(crate) fn run(common: &Common, options: &Options) -> Result<()> {
    for part in &options.parts {
        match part {
            Part::Calls => calls(common, options.calls)?,
            Part::Rate => {
                println!("{HEAD}");
                for destination in ["none", "file:/dev/null", "file"] {
                    println!("{}", paced(common, destination, options.rate, options.seconds)?);
                }
            }
            Part::Saturation => saturation(common, options.rate, options.seconds / 4.0)?,
        }
        println!();
    }
    Ok(())
}

fn calls(common: &Common, calls: usize) -> Result<()> {
    let mut load = Load::start("load_devices", &["calls".into(), "--calls".into(), calls.to_string()])?;
    let pid = load.pid;
    let spans = common.folder.join("spans.jsonl");
    let mut conditions: Vec<(String, Start<'_>)> = vec![(
        "bpftrace".to_owned(),
        Box::new(move |log| Tracer::bpftrace(&histograms(&HISTOGRAM_OF, pid), log)),
    )];
    for (name, export) in
        [("iotrail, metrics only", "none".to_owned()), ("iotrail, file", format!("file:{}", spans.display()))]
    {
        let mut arguments = selection(&load)?;
        arguments.extend(["--export".to_owned(), export]);
        conditions
            .push((name.to_owned(), Box::new(move |log| Tracer::iotrail(&common.iotrail, &arguments, log))));
    }
    conditions.retain(|(name, _)| common.only.is_empty() || common.only.contains(name));
    load.run()?; // The first run is slower: caches, page faults.
    let results = side_by_side(common, &conditions, || load.run())?;
    print!("{}", table::table("ns", &results));
    drop(fs::remove_file(spans));
    Ok(())
}

/// What the load is and uses, as iotrail is told.
fn selection(load: &Load) -> Result<Vec<String>> {
    let mut arguments = vec!["--pid".to_owned(), load.pid.to_string()];
    let devices = load.about.get("devices").and_then(Value::as_array).context("the load has no devices")?;
    for device in devices.iter().filter_map(Value::as_str) {
        arguments.extend(["--device".to_owned(), device.to_owned()]);
    }
    Ok(arguments)
}

const HEAD: &str = "\
| exported to | commands/s wanted | given | commands | spans | refused commands | their spans | lost in the kernel | lost at the export | CPU, % of a core | resident, MB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

/// What came of a run.
struct Run {
    destination: String,
    wanted: u64,
    rate: f64,
    commands: u64,
    /// Counted in the file, else by the exporter; where nothing is exported, by the analysis.
    spans: u64,
    refused: u64,
    refused_spans: Option<u64>,
    lost_kernel: u64,
    lost_export: u64,
    cpu: f64,
    resident: u64,
}

impl Run {
    fn lost(&self) -> u64 {
        self.lost_kernel + self.lost_export
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wanted = if self.wanted == 0 { "all it can".to_owned() } else { self.wanted.to_string() };
        let refused_spans = self.refused_spans.map_or_else(String::new, |spans| spans.to_string());
        write!(
            f,
            "| {} | {wanted} | {:.0} | {} | {} | {} | {refused_spans} | {} | {} | {:.0} | {} |",
            self.destination,
            self.rate,
            self.commands,
            self.spans,
            self.refused,
            self.lost_kernel,
            self.lost_export,
            self.cpu * 100.0,
            self.resident / 1_000_000,
        )
    }
}

/// Has commands given at a rate under iotrail, and compares what was given with what came out.
fn paced(common: &Common, destination: &str, rate: u64, seconds: f64) -> Result<Run> {
    let arguments = ["paced", "--rate", &rate.to_string(), "--seconds", &seconds.to_string()];
    let mut load = Load::start("load_devices", &arguments.map(str::to_owned))?;
    let (file, report) = (common.folder.join("spans.jsonl"), common.folder.join("report.json"));
    let mut arguments = selection(&load)?;
    let export = if destination == "file" { format!("file:{}", file.display()) } else { destination.into() };
    arguments.extend(["--export".to_owned(), export, "--report".to_owned(), report.display().to_string()]);
    let tracer = Tracer::iotrail(&common.iotrail, &arguments, &common.folder.join("iotrail.log"))?;
    let pid = tracer.process.pid();
    let before = Usage::of(pid)?;
    let done = load.run()?;
    let after = Usage::of(pid)?;
    tracer.stop()?;
    let report: Value = serde_json::from_str(&fs::read_to_string(&report).context("iotrail left no report")?)
        .context("the report is no JSON")?;
    let lost = lost(&report)?;
    let number = |name: &str| done.get(name).and_then(Value::as_f64).with_context(|| format!("no {name}"));
    let given: BTreeMap<String, u64> =
        serde_json::from_value(done["given"].clone()).context("the load does not say what it did")?;
    let refused = given.get(REFUSED).copied().unwrap_or(0);
    let (spans, refused_spans) = if destination == "file" {
        let found = count(&file)?;
        fs::remove_file(&file).context("cannot remove the spans")?;
        if lost.is_empty() && found != given {
            bail!("nothing was lost, but {given:?} were given and {found:?} exported");
        }
        (found.values().sum(), Some(found.get(REFUSED).copied().unwrap_or(0)))
    } else {
        let out = |stage: &Value| stage["stage"].as_str().is_some_and(|name| name.starts_with("export:"));
        let exported = report["stages"].as_array().into_iter().flatten().find(|stage| out(stage));
        let spans = exported.map_or(&report["counts"]["spans"], |stage| &stage["out"]);
        (spans.as_u64().context("the report has no count of spans")?, None)
    };
    let stage = |of: &str| {
        let lost = lost.iter().filter(|(stage, _)| stage.starts_with("export:") == (of == "export"));
        lost.map(|(_, count)| count).sum()
    };
    Ok(Run {
        destination: destination.to_owned(),
        wanted: rate,
        rate: number("rate")?,
        commands: given.values().sum(),
        spans,
        refused,
        refused_spans,
        lost_kernel: stage("other"),
        lost_export: stage("export"),
        cpu: after.cpu.saturating_sub(before.cpu).as_secs_f64() / number("seconds")?,
        resident: after.resident,
    })
}

/// What each stage lost; those that lost nothing are left out.
///
/// # Errors
/// When a stage's numbers do not add up.
fn lost(report: &Value) -> Result<Vec<(String, u64)>> {
    let mut lost = Vec::new();
    for stage in report["stages"].as_array().context("the report has no stages")? {
        let name = stage["stage"].as_str().context("a stage without a name")?;
        let count = |key: &str| stage[key].as_u64().unwrap_or(0);
        let dropped = stage["dropped"].as_object().into_iter().flatten();
        let dropped: u64 = dropped.filter_map(|(_, count)| count.as_u64()).sum();
        ensure!(
            count("in") == count("out") + count("held") + dropped,
            "stage {name} does not add up: {stage}"
        );
        if dropped > 0 {
            lost.push((name.to_owned(), dropped));
        }
    }
    Ok(lost)
}

/// Spans of a file of OTLP/JSON by their command. The file is too large to be taken apart as JSON.
fn count(file: &Path) -> Result<BTreeMap<String, u64>> {
    const NAME: &str = "\"name\":\"peripheral.";
    let mut found = BTreeMap::new();
    let file = BufReader::with_capacity(1 << 20, File::open(file).context("iotrail left no spans")?);
    for line in file.lines() {
        let line = line.context("cannot read the spans")?;
        for (at, _) in line.match_indices(NAME) {
            let rest = &line[at + NAME.len()..];
            let name = rest.split('"').next().unwrap_or(rest);
            let command = name.split_once(' ').map_or(name, |(_, command)| command);
            match found.get_mut(command) {
                Some(count) => *count += 1,
                None => drop(found.insert(command.to_owned(), 1)),
            }
        }
    }
    Ok(found)
}

/// Raises the rate until something is lost or the load falls behind it; then gives all it can.
fn saturation(common: &Common, from: u64, seconds: f64) -> Result<()> {
    println!("{HEAD}");
    let mut rate = from;
    loop {
        let run = paced(common, "file", rate, seconds)?;
        println!("{run}");
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let wanted = rate as f64;
        if run.lost() > 0 || run.rate < 0.9 * wanted {
            break;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let next = (wanted * STEP) as u64;
        rate = next;
    }
    for destination in ["none", "file"] {
        println!("{}", paced(common, destination, 0, seconds)?);
    }
    Ok(())
}

/// Prints a table of figures that were measured elsewhere.
pub(crate) fn figures(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut results: Vec<(String, Values)> = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, condition, operation, figure] = fields[..] else {
            bail!("{} has a line {line:?}", file.display())
        };
        let figure: f64 = figure.parse().with_context(|| format!("{figure:?} is no figure"))?;
        let at = results.iter().position(|(name, _)| name == condition).unwrap_or_else(|| {
            results.push((condition.to_owned(), Values::new()));
            results.len() - 1
        });
        results[at].1.entry(operation.to_owned()).or_default().push(figure);
    }
    ensure!(!results.is_empty(), "{} is empty", file.display());
    print!("{}", table::table("ns", &results));
    Ok(())
}
