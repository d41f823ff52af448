//! Instruments at the far end of a pseudo-terminal.

use anyhow::{Context as _, Result};
use nix::{
    pty::{OpenptyResult, openpty},
    sys::termios::{self, SetArg},
    unistd::ttyname,
};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::OwnedFd,
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
        let OpenptyResult { master, slave } = openpty(None, None).context("cannot open a pseudo-terminal")?;
        let mut mode = termios::tcgetattr(&slave).context("cannot read the line's mode")?;
        termios::cfmakeraw(&mut mode);
        termios::tcsetattr(&slave, SetArg::TCSANOW, &mode).context("cannot make the line raw")?;
        let path = ttyname(&slave).context("the line has no name")?;
        Ok(Self { path, far: File::from(master), near: slave })
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
