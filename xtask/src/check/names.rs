//! Names of attributes and metrics in documents and dashboards: each must be one that `names.rs` has.

use super::{Breach, Source};
use std::{collections::BTreeSet, path::Path};

/// Where the names are.
const HOME: &str = "tracer-user/src/names.rs";
/// What follows a metric's name where it is exposed.
const SUFFIXES: [&str; 5] = ["_total", "_bucket", "_sum", "_count", "_created"];
/// Starts of names that are iotrail's to define; what starts otherwise is somebody else's.
const ATTRIBUTES: [&str; 2] = ["iotrail.", "messaging."];
/// As `ATTRIBUTES`, for metrics.
const METRICS: [&str; 9] = [
    "iotrail_",
    "peripheral_",
    "messaging_",
    "message_broker_",
    "events_",
    "event_dispatch_",
    "event_processing_",
    "event_errors_",
    "traces_",
];
/// Ends of files' names, which look like attributes.
const FILES: [&str; 12] =
    ["bpf", "o", "toml", "service", "default", "rs", "md", "json", "jsonl", "yaml", "conf", "deb"];

/// Names in documents that `names.rs` lacks.
pub(super) fn breaches(sources: &[Source]) -> Vec<Breach> {
    let Some(home) = sources.iter().find(|source| source.path == Path::new(HOME)) else {
        return Vec::new();
    };
    let known = known(&home.text);
    let mut breaches = Vec::new();
    for Source { path, text } in sources.iter().filter(|source| is_document(&source.path)) {
        for (number, line) in text.lines().enumerate() {
            for name in unknown(line, &known) {
                let what = format!("`{name}` is no name that {HOME} has");
                breaches.push(Breach { file: path.clone(), line: number + 1, what });
            }
        }
    }
    breaches
}

fn is_document(path: &Path) -> bool {
    let top = path.iter().next().unwrap_or_default();
    let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    (kind == "md" && top != "tests") || ["dashboards", "deploy"].iter().any(|folder| top == *folder)
}

/// The strings of the constants in `names.rs`.
fn known(home: &str) -> BTreeSet<String> {
    home.lines()
        .filter(|line| line.trim_start().starts_with("pub const "))
        .filter_map(|line| line.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

/// The names in a line that ought to be known and are not.
fn unknown<'a>(line: &'a str, known: &BTreeSet<String>) -> Vec<&'a str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'))
        .filter(|word| !is_known(word, known))
        .collect()
}

fn is_known(word: &str, known: &BTreeSet<String>) -> bool {
    // TraceQL says where an attribute is in front of it.
    let word = ["span.", "resource.", "."].iter().find_map(|scope| word.strip_prefix(scope)).unwrap_or(word);
    // `iotrail.payload.*` names all that start so.
    let starts = |word: &str| known.iter().any(|name| name.starts_with(word));
    if ATTRIBUTES.iter().any(|start| word.starts_with(start)) {
        let end = word.rsplit('.').next().unwrap_or_default();
        return word.ends_with('.') && starts(word)
            || known.contains(word)
            // A sentence may end with a name.
            || known.contains(word.trim_end_matches('.'))
            || known.iter().any(|name| name.ends_with('.') && word.starts_with(name.as_str()))
            || FILES.contains(&end);
    }
    if METRICS.iter().any(|start| word.starts_with(start)) {
        let word = word.trim_end_matches('.');
        let bare = SUFFIXES.iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word);
        // Attributes become labels with underscores.
        let label = |name: &String| name.replace('.', "_") == word;
        return known.contains(word)
            || known.contains(bare)
            || (word.ends_with('_') && starts(word))
            || known.iter().any(label);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "//! Names, e.g. \"iotrail.not\".\npub mod a {\n    pub const ID: &str = \"iotrail.device.id\";\n\
        pub const ARGS: &str = \"iotrail.device.args.\";\npub const SYSTEM: &str = \"messaging.system\";\n\
        pub const EVENTS: &str = \"iotrail_events\";\npub const LAG: &str = \"iotrail_lag_seconds\";\n}";

    fn unknown_in(line: &str) -> Vec<&str> {
        unknown(line, &known(NAMES))
    }

    #[test]
    fn unknown_names_are_found() {
        for (line, expected) in [
            ("`iotrail.not`", "iotrail.not"),
            ("rate(iotrail_event_total[1m])", "iotrail_event_total"),
            ("{ span.iotrail.device.colour = 1 }", "span.iotrail.device.colour"),
            ("`messaging.sistem`", "messaging.sistem"),
            ("sum by (messaging_sistem) (x)", "messaging_sistem"),
            ("`iotrail.devise.*`", "iotrail.devise."),
        ] {
            assert_eq!(unknown_in(line), [expected], "{line}");
        }
    }

    #[test]
    fn known_names_and_those_of_others_are_not() {
        for line in [
            "`iotrail.device.id`, `iotrail.device.args.baud`, `iotrail.device.*`. It ends with iotrail.device.id.",
            "rate(iotrail_events_total[1m]) iotrail_lag_seconds_bucket{le=\"1\"} iotrail_events",
            "{ .iotrail.device.id = 1 && resource.service.name = 2 }",
            "sum by (messaging_system) (up)",
            "target/bpf/iotrail.bpf.o, iotrail.toml, iotrail.service",
        ] {
            assert_eq!(unknown_in(line), [] as [&str; 0], "{line}");
        }
    }

    #[test]
    fn only_documents_are_read() {
        for (path, read) in [
            ("README.md", true),
            ("tracer-user/docs/a.md", true),
            ("dashboards/a.json", true),
            ("deploy/alerts.yaml", true),
            ("tests/README.md", false),
            ("tracer-user/src/span.rs", false),
        ] {
            assert_eq!(is_document(Path::new(path)), read, "{path}");
        }
    }
}
