//! The probe: a program that makes the calls that a test wants, one at a time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracer_tests::process::Running;

use crate::support::PATIENCE;

/// A running `probe_calls`.
pub(super) struct Probe {
    process: Running,
    input: ChildStdin,
    answers: Receiver<String>,
}

/// Where the probe's program is.
pub(super) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_probe_calls").into()
}

impl Probe {
    /// Starts one and waits until it is ready.
    pub(super) fn start() -> Self {
        Self::start_command(&mut Command::new(program()))
    }

    /// As [`Self::start`], with a command that ends up as the probe, or as something that talks like it.
    pub(super) fn start_command(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Running::start_with_input("probe", command).expect("the probe starts");
        let input = process.child().stdin.take().expect("its input is a pipe");
        let output = process.child().stdout.take().expect("its output is a pipe");
        let (to, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        let probe = Self { process, input, answers };
        assert_eq!(probe.answer(), "0", "the probe is ready");
        probe
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Gives it a command without waiting for the answer.
    pub(super) fn begin(&mut self, command: &str) {
        writeln!(self.input, "{command}").and_then(|()| self.input.flush()).expect("the probe listens");
    }

    /// Its answer to the command that was begun.
    pub(super) fn answer(&self) -> String {
        let answer = self.answers.recv_timeout(PATIENCE).expect("the probe answers");
        assert!(!answer.starts_with('?'), "the probe says {answer}");
        answer
    }

    /// Does a command; the numbers of its answer.
    pub(super) fn numbers(&mut self, command: &str) -> Vec<i64> {
        self.begin(command);
        let answer = self.answer();
        answer.split(' ').map(|word| word.parse().unwrap_or_else(|_| panic!("{command}: {answer}"))).collect()
    }

    /// Does a command; its result.
    pub(super) fn call(&mut self, command: &str) -> i64 {
        self.numbers(command)[0]
    }

    /// Waits until its first thread is blocked inside a system call of this number on this descriptor.
    ///
    /// The number alone would not do: between two commands the probe is blocked in a read of its input.
    pub(super) fn blocks_in(&self, number: i64, fd: i64) {
        let path = format!("/proc/{}/syscall", self.pid());
        let wanted = format!("{number} {fd:#x} ");
        let start = Instant::now();
        loop {
            // `running` while it does not sleep, else number and arguments.
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.starts_with(&wanted) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "the probe is not blocked in call {number} on {fd}: {text}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until it is stopped.
    pub(super) fn stops(&self) {
        let path = format!("/proc/{}/stat", self.pid());
        let start = Instant::now();
        // The state follows the name, which is in parentheses.
        while !std::fs::read_to_string(&path).unwrap_or_default().contains(") T ") {
            assert!(start.elapsed() < PATIENCE, "the probe does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a process id"));
        kill(pid, signal).expect("the probe lives");
    }

    /// Ends it by closing its input, and waits for that.
    pub(super) fn end(self) {
        let Self { mut process, input, .. } = self;
        drop(input);
        process.wait(PATIENCE).expect("the probe ends");
    }

    /// Waits until it is gone.
    pub(super) fn gone(&mut self) {
        self.process.wait(PATIENCE).expect("the probe is gone");
    }
}
