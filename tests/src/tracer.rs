//! Tracers that are attached to a running process and let go of it again: iotrail, and those it is compared with.

use crate::{broker::free_port, http, process::Running};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a tracer may take to attach.
const READY: Duration = Duration::from_secs(20);
/// How long it may take to let go: the kernel detaches slowly, more so on a busy machine.
const STOP: Duration = Duration::from_secs(60);
/// What bpftrace prints once its probes are attached.
const BPFTRACE_READY: &str = "ready";

/// A running tracer.
#[derive(Debug)]
pub struct Tracer {
    /// The process.
    pub process: Running,
    /// Where iotrail serves its metrics.
    pub address: Option<SocketAddr>,
}

impl Tracer {
    /// Starts `iotrail run` with these arguments; its output goes to `log`. Waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the error has the end of its log.
    pub fn iotrail(program: &Path, arguments: &[String], log: &Path) -> Result<Self> {
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let mut command = Command::new(program);
        command.arg("run").args(arguments).args(["--listen", &address.to_string()]);
        let process = Running::start_logged("iotrail", &mut command, log)?;
        let ready = || http::get(address, "/health/ready").is_ok_and(|(status, _)| status == 200);
        Self { process, address: Some(address) }.wait_until(ready, log)
    }

    /// Starts bpftrace with a program; waits until its probes are attached.
    ///
    /// # Errors
    /// When it does not attach.
    pub fn bpftrace(program: &str, log: &Path) -> Result<Self> {
        // Its probes are attached in the order of the program, so the last one to be attached says that all are.
        let program = format!("{program} interval:ms:100 {{ printf(\"{BPFTRACE_READY}\\n\"); }}");
        let mut command = Command::new("bpftrace");
        command.args(["-e", &program]).stdout(Stdio::piped());
        command.stderr(fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?);
        let mut process = Running::start("bpftrace", &mut command)?;
        let output = process.child().stdout.take().context("bpftrace has no output")?;
        let mut lines = BufReader::new(output).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line == BPFTRACE_READY);
        // Read on, so that it never waits for room to write.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        if !ready {
            bail!("bpftrace did not attach: {}", end_of(log));
        }
        Ok(Self { process, address: None })
    }

    /// Starts strace on the process `pid` and all its threads; waits until it is attached.
    ///
    /// # Errors
    /// When it does not attach.
    pub fn strace(pid: u32, log: &Path) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-p", &pid.to_string()]);
        let process = Running::start_logged("strace", &mut command, log)?;
        let attached = || {
            fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| {
                status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
            })
        };
        Self { process, address: None }.wait_until(attached, log)
    }

    /// Lets go.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn stop(mut self) -> Result<()> {
        self.process.stop(Signal::SIGINT, STOP).map(drop)
    }

    /// What iotrail says that it lost, all reasons together.
    ///
    /// # Errors
    /// When it does not say, or the tracer is another.
    pub fn lost(&self) -> Result<f64> {
        let address = self.address.context("only iotrail counts what it loses")?;
        let (status, page) = http::get(address, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        Ok(http::samples(&page, "iotrail_events_dropped_total")
            .iter()
            .map(|(_, count)| count)
            .sum::<f64>()
            .abs())
    }

    fn wait_until(mut self, ready: impl Fn() -> bool, log: &Path) -> Result<Self> {
        let start = Instant::now();
        while !ready() {
            self.process.still_runs().with_context(|| end_of(log))?;
            ensure!(start.elapsed() < READY, "not ready after {} s: {}", READY.as_secs(), end_of(log));
            thread::sleep(Duration::from_millis(10));
        }
        Ok(self)
    }
}

/// The last line of a log that says something.
fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output").to_owned()
}

/// CPU time and resident memory of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl Usage {
    /// Of a running process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn of(pid: u32) -> Result<Self> {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid}"))?;
        let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
        Self::parse(&stat, &statm).with_context(|| format!("/proc/{pid}/stat is not as proc(5) says"))
    }

    fn parse(stat: &str, statm: &str) -> Option<Self> {
        // proc(5): behind the name in parentheses come state (3) and so on; utime is 14, stime 15, in 1/100 s on
        // every architecture that iotrail knows.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let cpu = Duration::from_millis((ticks(11)? + ticks(12)?) * 10);
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
        Some(Self { cpu, resident: pages * u64::try_from(page).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_behind_the_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        let usage = Usage::parse(stat, "100 3 1 1 0 1 0").unwrap();
        assert_eq!(usage.cpu, Duration::from_secs(2));
        assert_eq!(usage.resident % 3, 0);
        assert_eq!(Usage::parse("7 (a", ""), None);
        assert!(Usage::of(std::process::id()).unwrap().resident > 0);
    }
}
