//! A program that does exactly the system calls that it is told to: one command a line on standard input, one answer a
//! line on standard output, the call's result (a negative errno if it failed) and what else is to be known.
//!
//! `0` on a line of its own says that it is ready. All calls are made by number, past the C library's own ideas.

mod data;
mod files;
mod memory;
mod processes;
mod sockets;

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::str::FromStr;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    say("0")?;
    for line in stdin().lock().lines() {
        let line = line.context("cannot read standard input")?;
        let answer = run(&line).unwrap_or_else(|error| format!("? {line}: {error:#}"));
        say(&answer)?;
    }
    Ok(())
}

fn say(answer: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{answer}").and_then(|()| out.flush()).context("cannot write standard output")
}

/// Does one command.
fn run(line: &str) -> Result<String> {
    let mut words = Words(line.split(' ').filter(|word| !word.is_empty()).collect());
    let name = words.next()?.to_owned();
    for family in [files::run, data::run, sockets::run, memory::run, processes::run] {
        if let Some(answer) = family(&name, &mut words)? {
            return Ok(answer);
        }
    }
    anyhow::bail!("no such command")
}

/// The words of a command that are left.
struct Words<'a>(std::collections::VecDeque<&'a str>);

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str> {
        self.0.pop_front().context("a word is missing")
    }

    fn number<T: FromStr>(&mut self) -> Result<T> {
        let word = self.next()?;
        word.parse().ok().with_context(|| format!("`{word}` is no number here"))
    }

    fn numbers<T: FromStr>(&mut self) -> Result<Vec<T>> {
        (0..self.0.len()).map(|_| self.number()).collect()
    }

    fn rest(&mut self) -> String {
        let words: Vec<&str> = self.0.drain(..).collect();
        words.join(" ")
    }
}

/// A system call by number; the result as the kernel gives it.
fn call(number: libc::c_long, args: [usize; 6]) -> i64 {
    let [a, b, c, d, e, f] = args;
    // SAFETY: whoever makes the call answers for its pointers.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    } else {
        result
    }
}

/// A descriptor as a system call's argument.
fn word(fd: i32) -> usize {
    fd as isize as usize
}

/// The answer of a call that has nothing to say but its result.
fn result(result: i64) -> Result<Option<String>> {
    Ok(Some(result.to_string()))
}
