//! Writes from memory that is not there.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::FromRawFd as _;

use anyhow::{Context as _, Result, bail, ensure};
use tracer_tests::probe::pattern;

use super::{Words, call, result, word};

const PAGE: usize = 4096;

/// `write_from WHAT FD LENGTH`. WHAT: `lazy`, the pattern in a mapped file of which no page was touched; `dropped`, the
/// same after it was touched and given back; `none`, memory that may not be read; `tail:N`, of which only the first N
/// bytes may. `vectors_from none FD COUNT`: an array of segments that may not be read.
pub(super) fn run(name: &str, words: &mut Words<'_>) -> Result<Option<String>> {
    if name != "write_from" && name != "vectors_from" {
        return Ok(None);
    }
    let what = words.next()?;
    let (fd, length): (i32, usize) = (words.number()?, words.number()?);
    let at = match what {
        "lazy" => mapped(length)?,
        "dropped" => {
            let at = mapped(length)?;
            // SAFETY: the mapping is at least that long and readable.
            std::hint::black_box(unsafe { std::ptr::read_volatile(at as *const u8) });
            ensure!(
                call(libc::SYS_madvise, [at, length, libc::MADV_DONTNEED as usize, 0, 0, 0]) == 0,
                "madvise"
            );
            at
        }
        "none" => anonymous(length, libc::PROT_NONE)?,
        _ => {
            let readable: usize = what.strip_prefix("tail:").context("no such memory")?.parse()?;
            if readable > PAGE {
                bail!("at most a page");
            }
            let whole = anonymous(2 * PAGE, libc::PROT_READ | libc::PROT_WRITE)?;
            let at = whole + PAGE - readable;
            // SAFETY: the mapping is fresh and the bytes lie in its first page.
            unsafe { std::ptr::copy_nonoverlapping(pattern(readable).as_ptr(), at as *mut u8, readable) };
            let locked = call(libc::SYS_mprotect, [whole + PAGE, PAGE, libc::PROT_NONE as usize, 0, 0, 0]);
            ensure!(locked == 0, "mprotect");
            at
        }
    };
    let number = if name == "write_from" { libc::SYS_write } else { libc::SYS_writev };
    result(call(number, [word(fd), at, length, 0, 0, 0]))
}

/// A mapped file with the pattern in it.
fn mapped(length: usize) -> Result<usize> {
    let fd = call(libc::SYS_memfd_create, [c"mapped".as_ptr() as usize, 0, 0, 0, 0, 0]);
    // SAFETY: the descriptor is new and nobody else's.
    let mut file = unsafe { File::from_raw_fd(i32::try_from(fd)?) };
    file.write_all(&pattern(length))?;
    let flags = libc::MAP_PRIVATE as usize;
    let at = call(libc::SYS_mmap, [0, length, libc::PROT_READ as usize, flags, usize::try_from(fd)?, 0]);
    ensure!(at > 0, "mmap");
    Ok(usize::try_from(at)?)
}

fn anonymous(length: usize, protection: i32) -> Result<usize> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let at = call(libc::SYS_mmap, [0, length, protection as usize, flags, usize::MAX, 0]);
    ensure!(at > 0, "mmap");
    Ok(usize::try_from(at)?)
}
