//! The `iotrail` program: reads the command line and runs one command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    one_heap();
    cli::main()
}

/// Has all threads share one heap. Spans are made on one thread and dropped on another, and a heap for each thread keeps
/// what is dropped so from the others: 30 to 40 MB more at 30,000 spans a second, and more time.
#[allow(unsafe_code, reason = "a setting of the C library")]
fn one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no other thread runs yet. A refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
