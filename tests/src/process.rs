//! Child processes that never outlive whoever started them.

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::{
        prctl,
        signal::{self, Signal},
    },
    unistd::Pid,
};
use std::{
    fs::File,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// A child in a process group of its own: a terminal's Ctrl-C reaches only its parent, which stops it in order.
///
/// Dropped while it still runs, it is killed. It gets SIGTERM when the thread that started it ends, also by SIGKILL, so
/// start it from a thread that lasts.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `command` without a standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Self::start_with_input(name, command.stdin(Stdio::null()))
    }

    /// As [`Running::start`], with the standard input that `command` says.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with_input(name: &str, command: &mut Command) -> Result<Self> {
        command.process_group(0);
        // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGTERM)?));
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// As [`Running::start`], with all output going to the file `log`.
    ///
    /// # Errors
    /// When the log cannot be created or the program not be started.
    pub fn start_logged(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        command.stdout(file.try_clone().context("cannot share the log's descriptor")?).stderr(file);
        Self::start(name, command)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process, e.g. for its standard output.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    /// When it has, with how.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended before its time ({status})", self.name),
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not within `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > patience {
                bail!("{} did not end within {} s", self.name, patience.as_secs_f64());
            }
            thread::sleep(POLL);
        }
    }

    /// Sends `signal`, and SIGKILL if that does not end it within `patience`.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn stop(&mut self, signal: Signal, patience: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.send(signal);
        }
        self.wait(patience).or_else(|err| {
            self.send(Signal::SIGKILL);
            self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
            Err(err.context(format!("{} had to be killed after {signal}", self.name)))
        })
    }

    fn send(&self, signal: Signal) {
        // It has not been waited for, so the id is still its own; a zombie takes the signal without effect.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _: nix::Result<()> = signal::kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Whether a program ended well: by itself with 0, or by the signal it was sent.
pub fn ended_well(status: ExitStatus, sent: Signal) -> bool {
    status.success() || status.signal() == Some(sent as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_ignores_the_signal_is_killed_and_told_of() {
        let mut shell = Running::start(
            "shell",
            Command::new("sh")
                .args(["-c", "trap '' TERM; echo; while :; do sleep 0.05; done"])
                .stdout(Stdio::piped()),
        )
        .unwrap();
        // Its first output says that the trap is set.
        let mut out = shell.child().stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut [0]).unwrap();
        let err = shell.stop(Signal::SIGTERM, Duration::from_millis(100)).unwrap_err();
        assert!(format!("{err:#}").contains("had to be killed"), "{err:#}");
        assert!(shell.ended().unwrap().is_some());
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = Running::start("sleep", Command::new("sleep").arg("60")).unwrap();
        let pid = child.pid();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn an_early_end_is_told_of() {
        let mut child = Running::start("false", &mut Command::new("false")).unwrap();
        child.wait(Duration::from_secs(10)).unwrap();
        assert!(child.still_runs().unwrap_err().to_string().contains("before its time"));
    }
}
