//! `cargo xtask check`: everything that can be judged without running iotrail.

use crate::{
    cmd, codegen,
    setup::{self, Level},
    workspace::Workspace,
};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

mod budgets;
mod layering;
mod layout;
mod names;
mod rust;

/// Check format, lints, layering, layout, names and documents
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the checks that read the sources themselves (layering, layout, names), which take no time.
    #[arg(long)]
    pub(crate) sources_only: bool,
}

/// A rule that a file breaks.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    /// Relative to the repository.
    file: PathBuf,
    /// From 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

/// A source file of the repository.
struct Source {
    /// Relative to the repository.
    path: PathBuf,
    text: String,
}

/// Runs every check, then fails if any did.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let start = Instant::now();
    let mut failed = Vec::new();
    let breaches = sources(workspace)?;
    for Breach { file, line, what } in &breaches {
        match line {
            0 => eprintln!("{}: {what}", file.display()),
            line => eprintln!("{}:{line}: {what}", file.display()),
        }
    }
    if !breaches.is_empty() {
        failed.push(format!("{} breaches of the rules for sources", breaches.len()));
    }
    if !options.sources_only {
        setup::prepare(workspace, Level::Check)?;
        for (doing, log, run) in steps(workspace) {
            // One failure hides no other.
            if let Err(err) = run(doing, log) {
                failed.push(format!("{err:#}"));
            }
        }
    }
    match failed.as_slice() {
        [] => {
            eprintln!("check: all is well ({:.1} s)", start.elapsed().as_secs_f64());
            Ok(())
        }
        failed => bail!("check: {}", failed.join("; ")),
    }
}

type Step<'a> = Box<dyn Fn(&str, &str) -> Result<()> + 'a>;

/// The checks that are other programs', each with what it does and the name of its log.
fn steps(workspace: &Workspace) -> Vec<(&'static str, &'static str, Step<'_>)> {
    let cargo = |arguments: &'static [&'static str]| -> Step<'_> {
        Box::new(move |doing, log| {
            let mut cargo = workspace.cargo();
            cargo.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
            cmd::quiet(workspace, doing, log, &mut cargo)
        })
    };
    let mut steps =
        vec![("checking the format", "fmt", cargo(&["fmt", "--all", "--check", "--", "--color=never"]))];
    if workspace.root.join("tracer-ebpf/Cargo.toml").is_file() {
        const EBPF: &[&str] =
            &["fmt", "--check", "--manifest-path", "tracer-ebpf/Cargo.toml", "--", "--color=never"];
        steps.push(("checking the format of the kernel programs", "fmt-ebpf", cargo(EBPF)));
    }
    const CLIPPY: &[&str] =
        &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    const DOC: &[&str] = &["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
    steps.push(("linting", "clippy", cargo(CLIPPY)));
    steps.push(("checking the documentation", "doc", cargo(DOC)));
    steps.push((codegen::DOING, "codegen", Box::new(|doing, _| codegen::stale(workspace, doing))));
    steps.push((
        "checking the kernel programs' budgets",
        "budgets",
        Box::new(|doing, log| budgets::check(workspace, doing, log)),
    ));
    steps
}

/// The checks that read the sources.
fn sources(workspace: &Workspace) -> Result<Vec<Breach>> {
    let files = tracked(workspace)?;
    let mut breaches = layout::top_level(&workspace.root, &files)?;
    let mut texts = Vec::new();
    for path in files {
        // What is no UTF-8 is no source: a picture, a captured payload.
        if let Ok(text) = fs::read_to_string(workspace.root.join(&path)) {
            texts.push(Source { path, text });
        }
    }
    let user = Path::new("tracer-user/src");
    for source in &texts {
        breaches.append(&mut layout::file(source));
        if source.path.extension().is_some_and(|extension| extension == "rs")
            && let Ok(inside) = source.path.strip_prefix(user)
        {
            let found = layering::breaches(inside, &source.text);
            breaches.extend(found.into_iter().map(|(line, what)| Breach {
                file: source.path.clone(),
                line,
                what,
            }));
        }
    }
    breaches.append(&mut names::breaches(&texts));
    breaches.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(breaches)
}

/// The files that git knows or would add, or, without git (an unpacked archive), all that are no build's.
fn tracked(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(&workspace.root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    if let Some(list) = cmd::answer(&mut git).filter(|list| !list.is_empty()) {
        let there = |path: &PathBuf| workspace.root.join(path).is_file();
        return Ok(list
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .filter(there)
            .collect());
    }
    let mut files = Vec::new();
    walk(&workspace.root, Path::new(""), &mut files)?;
    Ok(files)
}

fn walk(root: &Path, inside: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(inside))? {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != "target" && entry.file_name() != ".git" {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
