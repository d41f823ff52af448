//! iotrail, attached to one broker while a load runs, and what that took.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tracer_tests::tracer::{Tracer, Usage};

/// What iotrail gets to work out what it has captured, when the load has ended.
const SETTLE: Duration = Duration::from_secs(1);

/// A running iotrail.
pub(crate) struct Attached {
    tracer: Tracer,
    before: Usage,
    report: PathBuf,
}

impl Attached {
    /// Starts it on the whole machine, for the broker `select` (`protocol:port`) alone; every span is encoded and thrown away.
    pub(crate) fn start(iotrail: &Path, folder: &Path, select: &str, more: &[String]) -> Result<Self> {
        let report = folder.join("report.json");
        let shown = report.display().to_string();
        let mut arguments: Vec<String> =
            ["--broker", select, "--export", "file:/dev/null", "--report", &shown].map(str::to_owned).into();
        arguments.extend_from_slice(more);
        let log = folder.join("iotrail.log");
        let tracer = Tracer::iotrail(iotrail, &arguments, &log)?;
        let before = Usage::of(tracer.process.pid())?;
        Ok(Self { tracer, before, report })
    }

    /// Ends it, when a load that took so many `seconds` has ended; what it took and saw, by name.
    pub(crate) fn stop(self, seconds: f64) -> Result<Value> {
        thread::sleep(SETTLE);
        let after = Usage::of(self.tracer.process.pid())?;
        let lost = self.tracer.lost()?;
        self.tracer.stop()?;
        let text = fs::read_to_string(&self.report).context("iotrail left no report")?;
        let report: Value = serde_json::from_str(&text).context("the report is no JSON")?;
        let cpu = after.cpu.saturating_sub(self.before.cpu).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        let resident = after.resident as f64 / 1e6;
        // What happened to nobody is left out of a report.
        let count = |name: &str| report["counts"][name].as_u64().unwrap_or(0);
        Ok(json!({
            "tracer CPU, % of a core": cpu / seconds * 100.0,
            "tracer resident, MB": resident,
            "tracer lost, events": lost,
            "tracer lost, kB beyond --capture-bytes": count("kernel.bytes_cut") / 1000,
            "tracer lost, kB not decoded": count("proto.skipped_bytes") / 1000,
            "tracer saw, publishes": count("publishes"),
            "tracer saw, deliveries": count("deliveries"),
        }))
    }
}
