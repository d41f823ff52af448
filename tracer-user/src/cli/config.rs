//! `--config FILE`: options of `iotrail run` from a TOML file.
//!
//! A key is the name of an option, its value the option's: `duration = "10s"`, `broker = ["mqtt", "mqtt:18830"]`,
//! `no-btf = true`. What the command line says comes after it, and wins where an option takes one value.

use std::ffi::{OsStr, OsString};
use std::fs;

use super::exit::Failure;

/// Puts the options of a configuration file where the command line names one.
///
/// # Errors
/// The file cannot be read, or is not of that form.
pub(crate) fn expand(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    // What follows `--` belongs to the traced command.
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let own = &arguments[..end];
    if own.get(1).is_none_or(|command| command != "run") {
        return Ok(arguments);
    }
    let Some((at, length, path)) = named(own) else { return Ok(arguments) };
    let shown = path.to_string_lossy().into_owned();
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read the configuration {shown}: {error}; check --config"))
    })?;
    let options = options(&text).map_err(|why| Failure::usage(format!("configuration {shown}: {why}")))?;
    arguments.drain(at..at + length);
    arguments.splice(2..2, options.into_iter().map(OsString::from));
    Ok(arguments)
}

/// Where `--config` stands, how many arguments it takes, and the path.
fn named(arguments: &[OsString]) -> Option<(usize, usize, OsString)> {
    arguments.iter().enumerate().find_map(|(at, argument)| {
        if argument == OsStr::new("--config") {
            return Some((at, 2, arguments.get(at + 1)?.clone()));
        }
        let path = argument.to_str()?.strip_prefix("--config=")?;
        Some((at, 1, path.into()))
    })
}

fn options(text: &str) -> Result<Vec<String>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut options = Vec::new();
    for (key, value) in table {
        let values = match value {
            toml::Value::Array(values) => values,
            toml::Value::Boolean(true) => {
                options.push(format!("--{key}"));
                continue;
            }
            toml::Value::Boolean(false) => continue,
            one => vec![one],
        };
        for value in values {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                other => {
                    return Err(format!(
                        "`{key}` is a {}, use a text, a number, true or a list",
                        other.type_str()
                    ));
                }
            };
            options.push(format!("--{key}={value}"));
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_options() {
        let text = "duration = \"10s\"\nbroker = [\"mqtt\", \"mqtt:18830\"]\nno-btf = true\nring = 64\n";
        let options = options(text).expect("it is of that form");
        assert_eq!(
            options,
            ["--broker=mqtt", "--broker=mqtt:18830", "--duration=10s", "--no-btf", "--ring=64"]
        );
    }

    #[test]
    fn what_is_no_option_is_refused() {
        assert!(options("a = 1.5").is_err_and(|why| why.contains("float")));
        assert!(options("= 1").is_err());
    }

    #[test]
    fn only_run_reads_it_and_only_before_the_command() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let untouched = words("iotrail run -- ls --config x");
        assert_eq!(expand(untouched.clone()).expect("nothing to read"), untouched);
        assert!(expand(words("iotrail run --config /nowhere/x.toml")).is_err());
    }

    #[test]
    fn the_command_line_comes_last() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "ring = 64").expect("it can be written");
        let path = file.path().to_str().expect("a plain path");
        let arguments = ["iotrail", "run", "--config", path, "--ring", "128"].map(OsString::from).to_vec();
        let expanded = expand(arguments).expect("it can be read");
        assert_eq!(expanded, ["iotrail", "run", "--ring=64", "--ring", "128"]);
    }
}
