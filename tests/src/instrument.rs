//! Instruments at the far end of a pseudo-terminal.

use anyhow::{Context as _, Result};
use nix::{
    fcntl::OFlag,
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::termios::{self, SetArg},
};
use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    path::PathBuf,
};

/// A serial line in raw mode: one end is a device node that programs open, the other end is ours.
#[derive(Debug)]
pub struct Line {
    /// The device node, `/dev/pts/N`.
    pub path: PathBuf,
    /// The instrument's end.
    pub far: File,
    /// Kept open: the far end of a line that nobody has open reads an error.
    near: OwnedFd,
}

impl Line {
    /// Makes a line.
    ///
    /// # Errors
    /// When the kernel has no pseudo-terminal to give.
    pub fn open() -> Result<Self> {
        // No program that is started meanwhile gets an end of it: the line would never be hung up.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).context("cannot open a pseudo-terminal")?;
        grantpt(&master).and_then(|()| unlockpt(&master)).context("cannot unlock the line")?;
        let path = PathBuf::from(ptsname_r(&master).context("the line has no name")?);
        let slave = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&path);
        let slave = OwnedFd::from(slave.with_context(|| format!("cannot open {}", path.display()))?);
        let mut mode = termios::tcgetattr(&slave).context("cannot read the line's mode")?;
        termios::cfmakeraw(&mut mode);
        termios::tcsetattr(&slave, SetArg::TCSANOW, &mode).context("cannot make the line raw")?;
        Ok(Self { path, far: File::from(OwnedFd::from(master)), near: slave })
    }

    /// Answers each request line with what `answer` makes of it (`None`: no answer) until the line fails.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn serve(self, mut answer: impl FnMut(&str) -> Option<String>) -> Result<()> {
        let Self { path: _, far, near: _near } = self;
        let mut requests = BufReader::new(far.try_clone().context("cannot duplicate the far end")?);
        let mut far = far;
        let mut request = String::new();
        while requests.read_line(&mut request).context("cannot read a request")? > 0 {
            if let Some(reply) = answer(request.trim_end()) {
                far.write_all(format!("{reply}\r\n").as_bytes()).context("cannot write an answer")?;
            }
            request.clear();
        }
        Ok(())
    }
}
