//! `cargo xtask codegen`: tables of names and numbers from the installed kernel headers, checked in under
//! `tracer-user/src/device/names/generated`.
//!
//! The C preprocessor lists each header's macros (`macros`), the C compiler evaluates those that are `ioctl`
//! commands, for 64-bit and for 32-bit programs (`values`), and the numbers are read out of the object. What a header
//! costs that does not compile, and every macro that has no value, is said with the reason.

use crate::{
    setup::{self, Level},
    workspace::Workspace,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

mod commands;
mod compiler;
mod constants;
mod groups;
pub(crate) mod headers;
mod macros;
mod recorded;
pub(crate) mod render;
mod rules;

use commands::Header;
use compiler::Compiler;
use constants::Constants;
use headers::{Installed, Version};

/// Where the tables are, in the repository.
const FOLDER: &str = "tracer-user/src/device/names";

/// What comparing is called.
pub(crate) const DOING: &str = "comparing the tables of names with the kernel's headers";

/// Write the tables of ioctl and event names from the installed kernel headers
///
/// Reads Debian's linux-libc-dev, libc6-dev (scsi/) and linux-libc-dev-arm64-cross (drm/), which it installs if they are
/// missing. `cargo xtask
/// check` says when the tables are not what the headers say.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail if the tables are not what the headers say.
    #[arg(long)]
    check: bool,
    /// Also list what was left out and why, and which names lost to another one for the same number.
    #[arg(long)]
    verbose: bool,
}

/// Everything that the headers say.
struct Tables {
    versions: Vec<Version>,
    headers: Vec<Header>,
    constants: Vec<Constants>,
    /// What could not be read, and why.
    problems: Vec<String>,
    /// Names that share a number with the one that was kept, by a rule or because nothing says otherwise.
    aliases: Vec<String>,
}

/// Sets up, reads the headers, writes the tables, and says what it could not read.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::prepare(workspace, Level::Headers)?;
    if options.check {
        return stale(workspace, DOING);
    }
    let tables = read(workspace)?;
    let files = render::files(&tables);
    let folder = workspace.root.join(FOLDER);
    fs::create_dir_all(folder.join("generated"))
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for path in recorded::paths(&folder)? {
        if !files.iter().any(|(name, _)| folder.join(name) == path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let mut changed = 0;
    for (name, text) in &files {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        changed += 1;
    }
    tables.say(options.verbose);
    eprintln!("codegen: {} files in {FOLDER}, {changed} of them changed", files.len());
    Ok(())
}

/// Fails if the tables that are checked in are not what the installed headers say.
pub(crate) fn stale(workspace: &Workspace, doing: &str) -> Result<()> {
    eprintln!("  {doing} …");
    let folder = workspace.root.join(FOLDER);
    let recorded = recorded::read(&folder)?;
    let tables = read(workspace)?;
    let here = render::versions(&tables.versions);
    let files = render::files(&tables);
    if recorded.versions == here && !tables.partial() {
        let differing: Vec<&str> = files
            .iter()
            .filter(|(name, text)| fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text))
            .map(|(name, _)| name.as_str())
            .collect();
        let superfluous: Vec<PathBuf> = recorded::paths(&folder)?
            .into_iter()
            .filter(|path| !files.iter().any(|(name, _)| folder.join(name) == *path))
            .collect();
        ensure!(
            differing.is_empty() && superfluous.is_empty(),
            "{FOLDER} is stale: {} differ and {} are superfluous; `cargo xtask codegen` writes them anew",
            if differing.is_empty() { "none".to_owned() } else { differing.join(", ") },
            superfluous.len()
        );
        return Ok(());
    }
    let now = recorded::parse(files.iter().map(|(_, text)| text.as_str()))?;
    let comparison = recorded::compare(&recorded, &now, tables.partial());
    eprintln!(
        "  the tables are from {}; here are {}{}: compared {} of {} numbers, {} are only in the tables, {} only here",
        recorded.versions,
        here,
        if tables.partial() { ", and the compiler knows no 32-bit programs" } else { "" },
        comparison.compared,
        recorded.len(),
        comparison.missing,
        comparison.new
    );
    for line in &comparison.differences {
        eprintln!("    {line}");
    }
    if !comparison.differences.is_empty() {
        bail!(
            "{FOLDER} is stale: {} numbers differ from the installed headers'; `cargo xtask codegen` writes them anew",
            comparison.differences.len()
        );
    }
    ensure!(comparison.compared > 0, "nothing in {FOLDER} could be compared with the installed headers");
    Ok(())
}

/// Reads every installed header.
fn read(workspace: &Workspace) -> Result<Tables> {
    let installed = Installed::find()?;
    let compiler = Compiler::find(workspace)?;
    let mut read = each(&installed.headers, |header| commands::read(&compiler, header));
    let mut problems: Vec<String> = Vec::new();
    let mut aliases: Vec<String> = Vec::new();
    let mut headers: Vec<Header> = Vec::new();
    for header in &mut read {
        problems.append(&mut header.problems);
        aliases.append(&mut header.aliases);
    }
    headers.extend(read.into_iter().filter(|header| !header.is_empty()));
    let mut constants = Vec::new();
    for kind in constants::KINDS {
        constants.push(constants::read(&compiler, &installed, kind, &mut problems, &mut aliases)?);
    }
    Ok(Tables { versions: installed.versions, headers, constants, problems, aliases })
}

/// `work` on each of `items`, on every processor; results in the order of the items.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    done.lock().expect("no worker panics while it holds the lock").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panics while it holds the lock");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Tables {
    /// Whether the numbers of 32-bit programs are missing.
    fn partial(&self) -> bool {
        self.headers.iter().all(|header| header.narrow.is_empty())
    }

    fn say(&self, verbose: bool) {
        let wide: usize = self.headers.iter().map(|header| header.wide.len()).sum();
        let narrow: usize = self.headers.iter().map(|header| header.narrow.len()).sum();
        let families: usize = self.headers.iter().map(|header| header.families.len()).sum();
        eprintln!(
            "codegen: {wide} commands of 64-bit programs, {narrow} other ones of 32-bit programs, {families} families, of {} headers",
            self.headers.len()
        );
        for constants in &self.constants {
            eprintln!("codegen: {} {}", constants.len(), constants.kind.what);
        }
        for problem in &self.problems {
            eprintln!("  left out: {problem}");
        }
        eprintln!(
            "codegen: {} names share their number with another name of their header",
            self.aliases.len()
        );
        for alias in self.aliases.iter().filter(|alias| verbose || alias.contains("undecided")) {
            eprintln!("  {alias}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(each(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
    }
}
