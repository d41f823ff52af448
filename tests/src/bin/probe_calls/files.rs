//! Calls that make and end descriptors.

use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};

use anyhow::{Context as _, Result, ensure};
use tracer_tests::probe::pattern;

use super::{Words, call, result, word};

/// `struct open_how`, `include/uapi/linux/openat2.h`.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

pub(super) fn run(name: &str, words: &mut Words<'_>) -> Result<Option<String>> {
    let here = word(libc::AT_FDCWD);
    let done = match name {
        // `open PATH FLAGS` and its relatives; `creat PATH`.
        "open" | "openat" | "openat2" | "creat" => {
            let path = CString::new(words.next()?)?;
            let at = path.as_ptr() as usize;
            let flags: usize = if name == "creat" { 0 } else { words.number()? };
            match name {
                #[cfg(target_arch = "x86_64")]
                "open" => call(libc::SYS_open, [at, flags, 0o600, 0, 0, 0]),
                #[cfg(target_arch = "x86_64")]
                "creat" => call(libc::SYS_creat, [at, 0o600, 0, 0, 0, 0]),
                "openat2" => {
                    let how = How { flags: flags as u64, mode: 0, resolve: 0 };
                    call(libc::SYS_openat2, [here, at, &raw const how as usize, size_of::<How>(), 0, 0])
                }
                _ => call(libc::SYS_openat, [here, at, flags, 0o600, 0, 0]),
            }
        }
        "close" => call(libc::SYS_close, [word(words.number()?), 0, 0, 0, 0, 0]),
        "close_range" => call(libc::SYS_close_range, [words.number()?, words.number()?, 0, 0, 0, 0]),
        "dup" => call(libc::SYS_dup, [word(words.number()?), 0, 0, 0, 0, 0]),
        #[cfg(target_arch = "x86_64")]
        "dup2" => call(libc::SYS_dup2, [word(words.number()?), words.number()?, 0, 0, 0, 0]),
        "dup3" => call(libc::SYS_dup3, [word(words.number()?), words.number()?, 0, 0, 0, 0]),
        // `dupfd FD LOWEST`.
        "dupfd" => call(
            libc::SYS_fcntl,
            [word(words.number()?), libc::F_DUPFD_CLOEXEC as usize, words.number()?, 0, 0, 0],
        ),
        "nonblock" => call(
            libc::SYS_fcntl,
            [
                word(words.number()?),
                libc::F_SETFL as usize,
                (libc::O_RDWR | libc::O_NONBLOCK) as usize,
                0,
                0,
                0,
            ],
        ),
        // `file LENGTH`: a file in memory with the pattern in it, at its start.
        "file" => {
            let length: usize = words.number()?;
            let fd = call(libc::SYS_memfd_create, [c"probe".as_ptr() as usize, 0, 0, 0, 0, 0]);
            ensure!(fd >= 0, "no file in memory");
            // SAFETY: the descriptor is new and nobody else's.
            let mut file = unsafe { File::from_raw_fd(i32::try_from(fd)?) };
            file.write_all(&pattern(length)).context("cannot fill the file")?;
            let fd = file.into_raw_fd();
            ensure!(call(libc::SYS_lseek, [word(fd), 0, 0, 0, 0, 0]) == 0, "cannot rewind");
            i64::from(fd)
        }
        // Answers `0 READ WRITE`.
        "pipe" => {
            let mut ends = [0i32; 2];
            let made = call(libc::SYS_pipe2, [ends.as_mut_ptr() as usize, 0, 0, 0, 0, 0]);
            return Ok(Some(format!("{made} {} {}", ends[0], ends[1])));
        }
        _ => return Ok(None),
    };
    result(done)
}
