//! What the verifier makes of the kernel programs, against what was recorded.

use crate::{cmd, workspace::Workspace};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, fs, process::Command};

/// One `program = instructions` a line; `#` starts a comment.
const FILE: &str = "xtask/data/budgets.toml";

/// Compares the verifier's instruction counts, as `iotrail doctor --format json` says them, with the recorded budgets.
///
/// Needs root, a built iotrail and recorded budgets; says so and passes where one of them is missing.
pub(super) fn check(workspace: &Workspace, doing: &str, _log: &str) -> Result<()> {
    let iotrail = ["debug", "release"].map(|profile| workspace.target.join(profile).join("iotrail"));
    let file = workspace.root.join(FILE);
    let Some(iotrail) = iotrail.iter().find(|path| path.is_file()) else {
        eprintln!("  {doing}: skipped, iotrail is not built");
        return Ok(());
    };
    if !file.is_file() || !rustix::process::geteuid().is_root() {
        let why = if file.is_file() { "not root" } else { "none are recorded" };
        eprintln!("  {doing}: skipped, {why}");
        return Ok(());
    }
    eprintln!("  {doing} …");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {FILE}"))?;
    let report = cmd::answer(Command::new(iotrail).args(["doctor", "--format", "json"]))
        .context("`iotrail doctor --format json` failed")?;
    let report: Value = serde_json::from_str(&report).context("`iotrail doctor --format json` is no JSON")?;
    let over = over(&budgets(&text)?, &counts(&report));
    ensure!(over.is_empty(), "kernel programs over their budget in {FILE}: {}", over.join(", "));
    Ok(())
}

fn budgets(text: &str) -> Result<BTreeMap<String, u64>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('['))
        .map(|line| {
            let (name, count) = line.split_once('=').with_context(|| format!("{FILE}: `{line}`"))?;
            let count = count.trim().replace('_', "");
            Ok((name.trim().to_owned(), count.parse().with_context(|| format!("{FILE}: `{line}`"))?))
        })
        .collect()
}

/// `programs: [{name, verified_instructions}]` of the report.
fn counts(report: &Value) -> BTreeMap<String, u64> {
    let programs = report.get("programs").and_then(Value::as_array);
    let count = |program: &Value| {
        Some((program.get("name")?.as_str()?.to_owned(), program.get("verified_instructions")?.as_u64()?))
    };
    programs.into_iter().flatten().filter_map(count).collect()
}

/// What is wrong, one entry a program; a program that has no budget or no count is wrong too.
fn over(budgets: &BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, count) in counts {
        match budgets.get(name) {
            None => wrong.push(format!("{name} has {count} and no budget")),
            Some(budget) if count > budget => wrong.push(format!("{name} has {count}, budget {budget}")),
            Some(_) => {}
        }
    }
    let missing = budgets.keys().filter(|name| !counts.contains_key(*name));
    wrong.extend(missing.map(|name| format!("{name} has a budget and no count")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_needs_a_budget_and_keeps_it() {
        let budgets = budgets("# a comment\nread = 1_000 # why\nwrite=5\n\nioctl = 7\n").unwrap();
        let report = r#"{"programs":[{"name":"read","verified_instructions":1000},
            {"name":"write","verified_instructions":6},{"name":"open","verified_instructions":1}]}"#;
        let counts = counts(&serde_json::from_str(report).unwrap());
        assert_eq!(
            over(&budgets, &counts),
            ["open has 1 and no budget", "write has 6, budget 5", "ioctl has a budget and no count"]
        );
        assert!(super::budgets("read 5").is_err());
    }
}
