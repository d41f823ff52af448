//! Five brokers, each with a paced load and at full speed, with nothing attached and with iotrail.

mod drain;
mod site;
mod speed;
mod tools;

use crate::{
    attached::Attached,
    beside,
    table::{Values, add, flatten, table},
};
use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tracer_tests::process::Running;

use site::{Broker, Site};
use speed::Speed;

/// What is attached: the columns of a table.
const CONDITIONS: [&str; 2] = ["nothing", "iotrail"];

/// Which brokers, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which brokers, one after the other; all five if none is named.
    #[arg(value_enum)]
    brokers: Vec<Broker>,
    /// Messages a second of the paced run.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// Seconds of one run, at full speed as nearly as a short run before tells.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Bytes of a message.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(16..))]
    size: u32,
    /// What iotrail copies of a call at most, if not as much as it does by itself.
    #[arg(long, value_name = "BYTES")]
    capture_bytes: Option<u32>,
}

/// What every run of a broker needs.
struct Bench<'a> {
    options: &'a Options,
    iotrail: &'a Path,
    rounds: usize,
    site: Site,
    folder: PathBuf,
}

/// Measures one broker after the other; fails at the end if one could not be measured.
pub(crate) fn run(all: &crate::Options, options: &Options) -> Result<()> {
    let brokers =
        if options.brokers.is_empty() { Broker::value_variants() } else { options.brokers.as_slice() };
    let mut failed = Vec::new();
    for broker in brokers {
        if let Err(err) = one(all, options, *broker) {
            // The others are still worth measuring.
            eprintln!("bench: {}: {err:#}", broker.name());
            failed.push(broker.name());
        }
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

fn one(all: &crate::Options, options: &Options, broker: Broker) -> Result<()> {
    let folder = all.folder.join("brokers").join(broker.name());
    // A broker finds nothing of one before it.
    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    eprintln!("bench: {}: starting", broker.name());
    let site = Site::start(broker, &folder)?;
    let bench = Bench { options, iotrail: &all.iotrail, rounds: all.rounds, site, folder };
    println!("### {}\n", broker.title());
    let (rate, size) = (options.rate, options.size);
    let paced = bench.side_by_side("paced", |bench| bench.ours(rate))?;
    println!("{}", table(&format!("{rate}/s, {size} B"), &paced));
    let speeds = Speed::all(&bench)?;
    let full = {
        let mut results = empty();
        for speed in &speeds {
            let name = speed.name();
            for ((_, all), (_, one)) in
                results.iter_mut().zip(bench.side_by_side(&name, |bench| speed.measure(bench))?)
            {
                all.extend(one.into_iter().map(|(figure, values)| (format!("{name}: {figure}"), values)));
            }
        }
        results
    };
    println!("{}", table(&format!("full speed, {size} B"), &full));
    let Bench { site, folder, .. } = bench;
    drop(site);
    remove(&folder.join("data"))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Every condition without values.
fn empty() -> Vec<(String, Values)> {
    CONDITIONS.iter().map(|name| ((*name).to_owned(), Values::new())).collect()
}

impl Bench<'_> {
    /// Runs a load under each condition in every round, in turn from the first or from the last: a broker that grows faster or
    /// slower with time does so for all. What the load says has to tell `seconds`.
    fn side_by_side(
        &self,
        what: &str,
        load: impl Fn(&Self) -> Result<Value>,
    ) -> Result<Vec<(String, Values)>> {
        let mut results = empty();
        for round in 1..=self.rounds {
            let mut order: Vec<&mut (String, Values)> = results.iter_mut().collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for (condition, values) in order {
                let broker = self.site.broker.name();
                eprintln!("bench: {broker}: {what}: round {round} of {}: {condition}", self.rounds);
                let select = format!("{}:{}", self.site.broker.protocol(), self.site.port);
                let more: Vec<String> = self
                    .options
                    .capture_bytes
                    .map(|bytes| ["--capture-bytes".to_owned(), bytes.to_string()].into())
                    .unwrap_or_default();
                let start = || Attached::start(self.iotrail, &self.folder, &select, &more);
                let tracer = (condition == "iotrail").then(start).transpose()?;
                let said = load(self)?;
                let mut measured = Map::new();
                for (name, value) in said.as_object().into_iter().flatten() {
                    flatten(name, value, &mut measured);
                }
                if let Some(tracer) = tracer {
                    let seconds = said["seconds"].as_f64().filter(|seconds| *seconds > 0.0);
                    let took = tracer.stop(seconds.context("the load does not say how long it took")?)?;
                    measured.extend(took.as_object().cloned().into_iter().flatten());
                }
                add(values, &Value::Object(measured));
            }
        }
        Ok(results)
    }

    /// Our own load on a client library, at a rate or (0) as fast as the broker delivers.
    fn ours(&self, rate: u64) -> Result<Value> {
        self.ours_for(rate, self.options.seconds)
    }

    fn ours_for(&self, rate: u64, seconds: u64) -> Result<Value> {
        let program = beside("load_brokers")?;
        ensure!(program.is_file(), "no {}: `cargo xtask bench brokers` builds it", program.display());
        let mut command = Command::new(program);
        command.arg(self.site.broker.name()).args(["--port", &self.site.port.to_string()]);
        command.args(["--rate", &rate.to_string(), "--seconds", &seconds.to_string()]);
        command.args(["--size", &self.options.size.to_string()]);
        let said = self.output("load_brokers", &mut command, seconds)?;
        let line = said.lines().find(|line| line.starts_with('{')).context("the load says no JSON")?;
        serde_json::from_str(line).context("the load says no JSON")
    }

    /// What a load says until it ends, which takes some `seconds`; one that takes far longer is ended.
    fn output(&self, name: &str, command: &mut Command, seconds: u64) -> Result<String> {
        let log = self.folder.join(format!("{name}.log"));
        let mut process = Running::start_logged(name, command, &log)?;
        // A tracer may slow it down, and Java needs its time.
        let status = process.wait(Duration::from_secs(seconds * 20 + 60))?;
        let said = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
        if !status.success() {
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            bail!("{name} failed ({status}): {}; see {}", last.unwrap_or("it says nothing"), log.display());
        }
        Ok(said)
    }
}
