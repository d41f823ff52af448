//! Threads, children, other programs, signals.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::{Words, call, result};

pub(super) fn run(name: &str, words: &mut Words<'_>) -> Result<Option<String>> {
    let done = match name {
        // `thread COMMAND`: answers its answer and the thread's id.
        "thread" => {
            let command = words.rest();
            let ended = thread::spawn(move || (super::run(&command), call(libc::SYS_gettid, [0; 6]))).join();
            let (answer, tid) = ended.map_err(|_| anyhow!("the thread panicked"))?;
            return Ok(Some(format!("{} {tid}", answer?)));
        }
        // `threads COUNT COMMAND`: all at once; answers how many results were no errors.
        "threads" => {
            let count: usize = words.number()?;
            let (command, barrier) = (words.rest(), Arc::new(Barrier::new(count)));
            let spawn = |_| {
                let (command, barrier) = (command.clone(), Arc::clone(&barrier));
                let body = move || {
                    barrier.wait();
                    let answer = super::run(&command).unwrap_or_default();
                    answer.split(' ').next().and_then(|first| first.parse::<i64>().ok())
                };
                thread::Builder::new().stack_size(64 << 10).spawn(body)
            };
            let threads: Vec<_> = (0..count).map(spawn).collect::<Result<_, _>>().context("no thread")?;
            let good = |ended: thread::JoinHandle<Option<i64>>| {
                ended.join().ok().flatten().is_some_and(|got| got >= 0)
            };
            i64::try_from(threads.into_iter().filter_map(|thread| good(thread).then_some(())).count())?
        }
        // `fork COMMAND`: a child does it; answers its answer and the child's id.
        "fork" => return fork(&words.rest()).map(Some),
        // `exec`: this program once more, in this process; it says that it is ready, as at the first time.
        "exec" => {
            let program = std::env::current_exe().context("where is this program?")?;
            return Err(Command::new(program).exec().into());
        }
        // `spawn PROGRAM ARGUMENT…`: another program, by `posix_spawn` or `vfork`; answers its exit code.
        "spawn" => {
            let program = words.next()?.to_owned();
            let status = Command::new(program).args(words.0.drain(..)).status().context("cannot start it")?;
            i64::from(status.code().unwrap_or(-1))
        }
        // `handle SIGNAL restart|interrupt|exit`: with a handler that does nothing, or ends the process.
        "handle" => {
            let signal: i32 = words.number()?;
            let how = words.next()?;
            // SAFETY: all zeros is a valid `sigaction`, and the handlers do only what is allowed in one.
            let set = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction =
                    if how == "exit" { ended as *const () as usize } else { handled as *const () as usize };
                action.sa_flags = if how == "restart" { libc::SA_RESTART } else { 0 };
                libc::sigaction(signal, &raw const action, std::ptr::null_mut())
            };
            i64::from(set)
        }
        "comm" => {
            let name = std::ffi::CString::new(words.next()?)?;
            call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, name.as_ptr() as usize, 0, 0, 0, 0])
        }
        _ => return Ok(None),
    };
    result(done)
}

extern "C" fn handled(_signal: i32) {}

extern "C" fn ended(_signal: i32) {
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(0) }
}

fn fork(command: &str) -> Result<String> {
    let mut ends = [0i32; 2];
    ensure!(call(libc::SYS_pipe2, [ends.as_mut_ptr() as usize, 0, 0, 0, 0, 0]) == 0, "no pipe");
    let [from, to] = ends;
    // SAFETY: no other thread runs in this program now.
    match unsafe { libc::fork() } {
        0 => {
            let answer = super::run(command).unwrap_or_else(|error| format!("? {error:#}"));
            let (fd, length) = (usize::try_from(to)?, answer.len());
            call(libc::SYS_write, [fd, answer.as_ptr() as usize, length, 0, 0, 0]);
            // SAFETY: ends the child here.
            unsafe { libc::_exit(0) }
        }
        child => {
            call(libc::SYS_close, [usize::try_from(to)?, 0, 0, 0, 0, 0]);
            let mut buffer = [0u8; 4096];
            let got = call(
                libc::SYS_read,
                [usize::try_from(from)?, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0],
            );
            call(libc::SYS_close, [usize::try_from(from)?, 0, 0, 0, 0, 0]);
            // SAFETY: the child is ours.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            let answer = String::from_utf8_lossy(&buffer[..usize::try_from(got)?]).into_owned();
            Ok(format!("{answer} {child}"))
        }
    }
}
