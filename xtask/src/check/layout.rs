//! What lies at the top of the repository, and what every file has to keep to.

use super::{Breach, Source};
use crate::codegen::render;
use anyhow::Result;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Visible names at the top; settings of tools are dotfiles.
const TOP: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "tracer-ebpf",
    "tracer-user",
    "tracer-common",
    "xtask",
    "tests",
    "deploy",
    "dashboards",
    "README.md",
];
/// Lines after which a file has more than one subject.
const LONGEST: usize = 600;
/// Homes whose paths only their owner's machine has. In two parts, so that this file keeps the rule itself.
const HOMES: [[&str; 2]; 3] = [["/ho", "me/"], ["/ro", "ot/"], ["/Use", "rs/"]];

/// Names at the top that should not be there, and those that should be and are not.
pub(super) fn top_level(root: &Path, files: &[PathBuf]) -> Result<Vec<Breach>> {
    let there: BTreeSet<String> = files
        .iter()
        .filter_map(|path| path.iter().next())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    let breach = |name: &str, what: &str| Breach { file: name.into(), line: 0, what: what.to_owned() };
    let mut breaches: Vec<Breach> = there
        .iter()
        .filter(|name| !TOP.contains(&name.as_str()) && !name.starts_with("LICENSE"))
        .map(|name| breach(name, "does not belong at the top of the repository"))
        .collect();
    breaches.extend(
        TOP.iter()
            .filter(|name| !there.contains(**name) && !root.join(name).is_file())
            .map(|name| breach(name, "is missing at the top of the repository")),
    );
    if !there.iter().any(|name| name.starts_with("LICENSE")) {
        breaches.push(breach("LICENSE", "is missing at the top of the repository"));
    }
    Ok(breaches)
}

/// What is wrong in one file.
pub(super) fn file(source: &Source) -> Vec<Breach> {
    let Source { path, text } = source;
    let breach = |line: usize, what: String| Breach { file: path.clone(), line, what };
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for home in HOMES.map(|parts| parts.concat()) {
            if let Some((before, after)) = line.split_once(&home)
                && !before.ends_with(is_path)
                && after.starts_with(is_path)
            {
                breaches.push(breach(number + 1, format!("a path in somebody's home: {home}…")));
            }
        }
    }
    if path.extension().is_some_and(|extension| extension == "rs") {
        let lines = text.lines().count();
        if lines > LONGEST && !text.starts_with(render::MARK) {
            breaches.push(breach(0, format!("{lines} lines; more than {LONGEST} are more than one subject")));
        }
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            breaches.push(breach(1, "does not start with `//!` that says what it is for".to_owned()));
        }
    }
    breaches
}

fn is_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, text: &str) -> Vec<(usize, String)> {
        let source = Source { path: path.into(), text: text.to_owned() };
        file(&source).into_iter().map(|breach| (breach.line, breach.what)).collect()
    }

    #[test]
    fn a_file_without_a_purpose_or_of_too_many_is_a_breach() {
        assert_eq!(wrong("a.rs", "#![no_std]\n\n//! A.\n"), []);
        assert_eq!(wrong("a.rs", "use x;\n//! A.\n").len(), 1);
        assert_eq!(wrong("a.rs", "").len(), 1);
        assert_eq!(wrong("a.rs", &"//! A.\n".repeat(LONGEST)), []);
        assert_eq!(wrong("a.rs", &"//! A.\n".repeat(LONGEST + 1)).len(), 1);
        assert_eq!(wrong("a.rs", &format!("{}x\n{}", render::MARK, "1\n".repeat(LONGEST))), []);
        assert_eq!(wrong("a.json", &"1\n".repeat(LONGEST + 1)), []);
    }

    #[test]
    fn a_path_in_a_home_is_a_breach() {
        for home in HOMES.map(|parts| parts.concat()) {
            assert_eq!(wrong("a.md", &format!("\nin {home}jo/x")).len(), 1, "{home}");
            assert_eq!(wrong("a.md", &format!("\nin /srv{home}jo or {home} alone")), [], "{home}");
        }
    }

    #[test]
    fn the_top_is_exactly_what_it_should_be() {
        let mut files: Vec<PathBuf> = TOP.iter().map(|name| Path::new(name).join("x")).collect();
        files.extend(["LICENSE-MIT".into(), ".github/x".into()]);
        let top = |files: &[PathBuf]| {
            let breaches = top_level(Path::new("/nonexistent"), files).unwrap();
            breaches.into_iter().map(|breach| breach.file.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(top(&files), [] as [&str; 0]);
        files.push("scripts/x.sh".into());
        files.remove(7);
        assert_eq!(top(&files), ["scripts", "deploy"]);
    }
}
