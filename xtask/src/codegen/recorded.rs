//! The tables that are checked in, read back, and compared with what the installed headers say.

use super::render::MARK;
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Numbers by table and name. A family's is its value and its mask.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Packages and versions, as in the files' first lines.
    pub(super) versions: String,
    numbers: BTreeMap<(String, String), BTreeSet<(u32, u32)>>,
}

/// How two recordings differ.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Names that both have.
    pub(super) compared: usize,
    /// Names that only the older one has.
    pub(super) missing: usize,
    /// Names that only the newer one has.
    pub(super) new: usize,
    /// Names that have different numbers.
    pub(super) differences: Vec<String>,
}

impl Recorded {
    /// Names in all tables.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

/// The generated files that are there.
pub(super) fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![folder.join("generated.rs")];
    if let Ok(entries) = fs::read_dir(folder.join("generated")) {
        for entry in entries {
            paths.push(entry.context("cannot list the generated files")?.path());
        }
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

/// Reads the generated files.
pub(super) fn read(folder: &Path) -> Result<Recorded> {
    let mut texts = Vec::new();
    for path in paths(folder)? {
        texts.push(fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    ensure!(!texts.is_empty(), "no tables in {}: `cargo xtask codegen` makes them", folder.display());
    parse(texts.iter().map(String::as_str))
}

/// Reads the text of generated files.
pub(super) fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Recorded> {
    let mut recorded = Recorded::default();
    for text in texts {
        let first = text.lines().next().unwrap_or_default();
        let versions = first
            .strip_prefix(MARK)
            .and_then(|rest| rest.strip_suffix(": do not edit."))
            .with_context(|| format!("no generated file starts with `{first}`"))?;
        if recorded.versions.is_empty() {
            recorded.versions = versions.to_owned();
        }
        ensure!(
            recorded.versions == versions,
            "the tables are of different versions, {versions} and {}: `cargo xtask codegen` makes them anew",
            recorded.versions
        );
        let (mut outer, mut inner) = (String::new(), String::new());
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("pub(in super::super) static ") {
                outer = rest.split(':').next().unwrap_or_default().to_owned();
                inner.clear();
            } else if let Some(table) = line.strip_suffix(": &[") {
                inner = format!(" {table}");
            } else if line.starts_with("(0x") {
                let (name, number) = row(line).with_context(|| format!("no row of a table: `{line}`"))?;
                recorded.numbers.entry((format!("{outer}{inner}"), name)).or_default().insert(number);
            }
        }
    }
    Ok(recorded)
}

/// `(0x00005401, "TCGETS"),` or `(0x80004506, 0xc000ffff, "EVIOCGNAME"),`.
fn row(line: &str) -> Result<(String, (u32, u32))> {
    let inside = line.strip_prefix('(').and_then(|rest| rest.strip_suffix("),"));
    let parts: Vec<&str> = inside.context("no brackets")?.split(", ").collect();
    let number = |text: &str| {
        let digits = text.strip_prefix("0x").context("no number")?;
        u32::from_str_radix(digits, 16).context("no number")
    };
    Ok(match parts.as_slice() {
        [value, name] => (name.trim_matches('"').to_owned(), (number(value)?, u32::MAX)),
        [value, mask, name] => (name.trim_matches('"').to_owned(), (number(value)?, number(mask)?)),
        _ => bail!("{} parts", parts.len()),
    })
}

/// Compares what both have; `partial` says that the newer one has no numbers of 32-bit programs.
pub(super) fn compare(old: &Recorded, new: &Recorded, partial: bool) -> Comparison {
    let mut comparison = Comparison::default();
    for (key, numbers) in &old.numbers {
        let (table, name) = key;
        if partial && table.ends_with(" narrow") {
            continue;
        }
        match new.numbers.get(key) {
            None => comparison.missing += 1,
            Some(others) => {
                comparison.compared += 1;
                // One architecture's headers do not have the other's numbers.
                let same = if partial { others.is_subset(numbers) } else { numbers == others };
                if !same {
                    comparison.differences.push(format!(
                        "{table}: {name}: {} is now {}",
                        hex(numbers),
                        hex(others)
                    ));
                }
            }
        }
    }
    comparison.new = new.numbers.keys().filter(|key| !old.numbers.contains_key(key)).count();
    comparison
}

fn hex(numbers: &BTreeSet<(u32, u32)>) -> String {
    let each: Vec<String> = numbers
        .iter()
        .map(
            |(value, mask)| {
                if *mask == u32::MAX { format!("0x{value:x}") } else { format!("0x{value:x}/0x{mask:x}") }
            },
        )
        .collect();
    each.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(version: &str, rows: &str) -> String {
        format!(
            "{MARK}linux-libc-dev {version}: do not edit.\npub(in super::super) static LINUX_A: Header = Header {{\n\
             name: \"linux/a.h\",\nwide: &[\n{rows}\n],\nnarrow: &[\n(0x00000007, \"A\"),\n],\nfamilies: &[\n\
             (0x80004506, 0xc000ffff, \"F\"),\n],\n}};\n"
        )
    }

    fn recorded(version: &str, rows: &str) -> Recorded {
        parse([text(version, rows).as_str()].into_iter()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = recorded("1", "(0x00000001, \"A\"),\n(0x00000002, \"B\"),");
        assert_eq!(read.versions, "linux-libc-dev 1");
        let numbers: Vec<String> =
            read.numbers.iter().map(|((table, name), set)| format!("{table} {name} {}", hex(set))).collect();
        assert_eq!(
            numbers,
            [
                "LINUX_A families F 0x80004506/0xc000ffff",
                "LINUX_A narrow A 0x7",
                "LINUX_A wide A 0x1",
                "LINUX_A wide B 0x2"
            ]
        );
    }

    #[test]
    fn a_changed_number_is_a_difference_and_a_new_name_is_none() {
        let old = recorded("1", "(0x00000001, \"A\"),\n(0x00000002, \"B\"),");
        let same = recorded("2", "(0x00000001, \"A\"),\n(0x00000003, \"C\"),");
        assert_eq!(
            compare(&old, &same, false),
            Comparison { compared: 3, missing: 1, new: 1, differences: Vec::new() }
        );
        assert_eq!(compare(&old, &same, true).compared, 2);
        let changed = recorded("2", "(0x00000009, \"A\"),\n(0x00000002, \"B\"),");
        assert_eq!(compare(&old, &changed, false).differences, ["LINUX_A wide: A: 0x1 is now 0x9"]);
    }

    #[test]
    fn files_of_two_versions_are_refused() {
        let (one, two) = (text("1", ""), text("2", ""));
        assert!(parse([one.as_str(), two.as_str()].into_iter()).is_err());
        assert!(parse(["//! By hand.\n"].into_iter()).is_err());
    }
}
