//! How a run ends: exit codes and the one line that an error gets.

use std::io::Write as _;
use std::process::ExitCode;

use iotrail::kernel::features::{chain, is_denied};
use iotrail::kernel::load::LoadError;

use super::LogFormat;

/// It failed.
const FAILURE: u8 = 1;
/// The command line makes no sense; clap uses the same.
const USAGE: u8 = 2;
/// The kernel or the rights do not allow it.
const DENIED: u8 = 3;

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// What, why, what to do; exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: FAILURE, message: message.into() }
    }

    /// As [`Self::new`] for a command line that makes no sense; exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// As [`Self::new`] for something that the kernel or the rights do not allow; exit code 3.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self { code: DENIED, message: message.into() }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let message = chain(&error);
        if is_denied(&error) {
            Self::denied(format!("{message}; `iotrail doctor` says what is missing"))
        } else {
            Self::new(message)
        }
    }
}

/// Says what went wrong, once, and with which code.
pub(crate) fn code(outcome: Result<(), Failure>, format: LogFormat) -> ExitCode {
    let Err(Failure { code, message }) = outcome else { return ExitCode::SUCCESS };
    match format {
        LogFormat::Text => eprintln!("iotrail: {message}"),
        LogFormat::Json => {
            eprintln!("{}", serde_json::json!({ "level": "ERROR", "message": message, "exit_code": code }));
        }
    }
    ExitCode::from(code)
}

/// Prints a list. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
