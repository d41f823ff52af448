//! A load that is told to run by a line on its input.

use crate::beside;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};
use tracer_tests::process::Running;

/// A running load.
pub(crate) struct Load {
    process: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Its process.
    pub(crate) pid: u32,
    /// What it says of itself: devices, ports.
    pub(crate) about: Value,
}

impl Load {
    /// Starts the program of this crate's that has this name.
    pub(crate) fn start(name: &str, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(beside(name)?);
        Self::start_as(name, command.args(arguments))
    }

    /// As [`Self::start`], for any command.
    pub(crate) fn start_as(name: &str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Running::start_with_input(name, command)?;
        let input = process.child().stdin.take().context("the load has no input")?;
        let output = BufReader::new(process.child().stdout.take().context("the load has no output")?);
        let pid = process.pid();
        let mut load = Self { process, input, output, pid, about: Value::Null };
        load.about = load.line()?;
        Ok(load)
    }

    /// Has it run once; what it measured.
    pub(crate) fn run(&mut self) -> Result<Value> {
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
