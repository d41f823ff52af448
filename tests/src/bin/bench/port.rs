//! What a program pays that uses connections, by whether iotrail runs, and whether it selects the program's port: calls of TLS
//! libraries, and packets.

use crate::{
    Options as Common,
    attached::Attached,
    load::Load,
    table::{Values, add, table},
};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{process::Command, time::Instant};
use tracer_tests::broker::{Certificates, free_port};

/// The load that calls a TLS library.
const TLS: &str = include_str!("../load_tls.py");
/// Debian's own, which has that library.
const PYTHON: &str = "/usr/bin/python3";

/// How much.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Timed rounds of each operation in a run.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
}

/// Something that is attached: its name, whether the load's port is selected, and more arguments.
type Condition = (&'static str, bool, &'static [&'static str]);

/// Calls of OpenSSL, hooked and not.
pub(crate) fn tls(common: &Common, options: &Options) -> Result<()> {
    let certificates = Certificates::make(&common.folder)?;
    let mut python = Command::new(PYTHON);
    python.args(["-c", TLS]).args([&certificates.certificate, &certificates.key]);
    python.args([options.turns.to_string(), "100".to_owned()]);
    let load = Load::start_as("load_tls.py", &mut python)?;
    let conditions: [Condition; 3] = [
        ("iotrail on another port", false, &[]),
        ("iotrail on its port", true, &[]),
        ("iotrail on its port, --no-tls", true, &["--no-tls"]),
    ];
    measure(common, load, &conditions)
}

/// Packets of a connection whose bytes are looked at, and of others.
pub(crate) fn packets(common: &Common, options: &Options) -> Result<()> {
    let load = Load::start("load_packets", &["--rounds".to_owned(), options.turns.to_string()])?;
    let conditions: [Condition; 3] = [
        // Nobody uses `sendfile` there.
        ("iotrail on another port", false, &[]),
        ("iotrail on its port", true, &[]),
        // Without the kernel's structures there is no observer.
        ("iotrail on its port, --no-btf", true, &["--no-btf"]),
    ];
    measure(common, load, &conditions)
}

/// Every condition once in each round, after nothing; medians as a table.
fn measure(common: &Common, mut load: Load, conditions: &[Condition]) -> Result<()> {
    let port = load.about.get("port").and_then(Value::as_u64).context("the load has no port")?;
    let wanted = |name: &str| common.only.is_empty() || common.only.iter().any(|only| only == name);
    let conditions: Vec<&Condition> = conditions.iter().filter(|(name, ..)| wanted(name)).collect();
    let mut results = vec![("nothing".to_owned(), Values::new())];
    results.extend(conditions.iter().map(|(name, ..)| ((*name).to_owned(), Values::new())));
    load.run()?; // The first run is slower: caches, page faults.
    for round in 1..=common.rounds {
        eprintln!("bench: round {round} of {}", common.rounds);
        for (at, (_, values)) in results.iter_mut().enumerate() {
            let tracer = match at.checked_sub(1).and_then(|at| conditions.get(at)) {
                None => None,
                Some((_, is_its, more)) => {
                    let port = if *is_its { port } else { free_port()?.into() };
                    let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
                    Some(Attached::start(&common.iotrail, &common.folder, &format!("mqtt:{port}"), &more)?)
                }
            };
            let start = Instant::now();
            let measured = load.run()?;
            let took = start.elapsed().as_secs_f64();
            // Of each operation, so that what iotrail took stands below.
            for (name, ns) in measured.as_object().into_iter().flatten() {
                add(values, &serde_json::json!({ format!("ns: {name}"): ns }));
            }
            if let Some(tracer) = tracer {
                add(values, &tracer.stop(took)?);
            }
        }
    }
    print!("{}", table("", &results));
    Ok(())
}
