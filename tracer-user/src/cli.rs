//! The command line.

mod config;
mod devices;
mod doctor;
mod exit;
mod logging;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};

use self::exit::Failure;

/// Follows work from a device through a message broker to the device it moved
///
/// iotrail watches what programs do to devices and message brokers, without any change to them, and shows a serial
/// read, the publish that carried it, the broker's own time, the consumer and the command that it then gave as one
/// trace, each link with its evidence.
#[derive(Parser)]
#[command(version, max_term_width = 110, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How iotrail speaks of itself, on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// How log lines and errors look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How lists look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<run::Options>),
    Doctor(doctor::Options),
    Devices(devices::Options),
}

pub(crate) fn main() -> ExitCode {
    let arguments = match config::expand(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(failure) => return exit::code(Err(failure), LogFormat::Text),
    };
    let json = asks_for_json(&arguments);
    let Cli { command, log_format } = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if is_help(&error) => error.exit(),
        Err(error) => return exit::code(Err(Failure::usage(one_line(&error.to_string()))), json),
    };
    logging::start(log_format);
    let outcome = match command {
        Command::Run(options) => run::run(*options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Devices(options) => devices::run(&options),
    };
    exit::code(outcome, log_format)
}

/// Help and version, which are no errors, and the help that who asks for nothing gets.
fn is_help(error: &clap::Error) -> bool {
    !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// How errors look, where the command line could not be read.
fn asks_for_json(arguments: &[OsString]) -> LogFormat {
    let pair = |pair: &[OsString]| pair[0] == "--log-format" && pair[1] == "json";
    if arguments.windows(2).any(pair) || arguments.iter().any(|word| word == "--log-format=json") {
        LogFormat::Json
    } else {
        LogFormat::Text
    }
}

/// What clap says in paragraphs, as one line: what is wrong, and its tip.
fn one_line(text: &str) -> String {
    let (first, _) = text.split_once("\n\n").unwrap_or((text, ""));
    let lines: Vec<&str> = first.lines().map(str::trim).collect();
    let first = lines.join(" ");
    let wrong = first.strip_prefix("error: ").unwrap_or(&first);
    let tip = text.lines().find_map(|line| Some(line.trim().strip_prefix("tip: ")?.to_owned()));
    format!("{wrong}; {}", tip.unwrap_or_else(|| "see `iotrail --help`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let said = |words: &[&str]| {
            let error = Cli::try_parse_from(words).err().expect("it is wrong");
            one_line(&error.to_string())
        };
        assert_eq!(
            said(&["iotrail", "run", "--devic", "tty"]),
            "unexpected argument '--devic' found; a similar argument exists: '--device'"
        );
        assert_eq!(
            said(&["iotrail", "run", "--ring", "65"]),
            "invalid value '65' for '--ring <KIB>': use a power of two from 64 to 1048576; see `iotrail --help`"
        );
        assert!(!said(&["iotrail", "walk"]).contains('\n'));
        assert!(!said(&["iotrail", "run", "--pid"]).contains('\n'));
    }
}
