//! `cargo xtask vm`: iotrail on other kernels and with real devices, in virtual machines.
//!
//! Debian's kernels run in QEMU's software emulation, so this needs no hardware and no rights, only time. Everything that is
//! downloaded or made lies in `target/vm`.

use crate::{
    arch::Arch,
    build,
    counts::Counts,
    setup::{self, Level, archive::Archive},
    workspace::Workspace,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Instant,
};

mod image;
mod judge;
mod kernel;
mod machine;
mod programs;
mod rig;
mod tree;

use kernel::Kernel;
use machine::{End, Machine};
use rig::Rig;

/// Debian 12's kernels: its own, and the newer one beside it.
const KERNELS: [&str; 2] = ["6.1", "6.12"];
/// Where programs find what is shared by all scripts.
const LIBRARY: &str = "tests/vm/lib.sh";
/// What is tested, and what is measured.
const RIGS: &str = "tests/vm/rigs";
const MEASUREMENTS: &str = "tests/vm/bench";

/// Run iotrail in virtual machines, on other kernels and with real devices
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Test(TestOptions),
}

/// Boot Debian kernels in software emulation and hold what iotrail says there against what was done
///
/// Every rig of `tests/vm/rigs` on every kernel, unless told otherwise. Sets up first: QEMU, and for the other architecture
/// a cross compiler. What the guests said and iotrail exported stays in `target/vm/out`.
#[derive(clap::Args)]
struct TestOptions {
    /// Only on this architecture.
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Only on this kernel.
    #[arg(long, value_parser = KERNELS)]
    kernel: Option<String>,
    /// Use an iotrail that is not optimised: it builds sooner and starts later.
    #[arg(long)]
    dev: bool,
    /// Use the iotrail of the last time: for work on the rigs.
    #[arg(long, conflicts_with = "dev")]
    no_build: bool,
    /// Only what `cargo xtask test` runs: a few rigs, one kernel of each architecture, an iotrail that is not optimised.
    #[arg(long, conflicts_with_all = ["arch", "kernel", "dev", "no_build", "filter"])]
    brief: bool,
    /// Say what there is and end.
    #[arg(long)]
    list: bool,
    /// Only rigs whose name contains one of these.
    filter: Vec<String>,
}

/// By rig, then by architecture and kernel.
type Verdicts = BTreeMap<(String, String), Verdict>;

/// How a rig ended.
enum Verdict {
    /// All as expected.
    Passed,
    /// Why not.
    Failed(anyhow::Error),
    /// It cannot run there: why.
    Impossible(String),
}

/// Hands over to what is asked for.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    match options.action {
        Action::Test(options) => test(workspace, &options),
    }
}

fn test(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    let TestOptions { arch, kernel, dev, no_build, brief, list, filter } = options;
    let rigs = Rig::all(workspace, RIGS, filter)?;
    if *list {
        for rig in &rigs {
            println!("{:<12}{}", rig.name, rig.about);
        }
        return Ok(());
    }
    if *brief {
        return said(briefly(workspace)?);
    }
    let archs = arch.map_or_else(|| vec![Arch::HOST, Arch::HOST.other()], |arch| vec![arch]);
    let kernels: Vec<&str> = kernel.as_deref().map_or_else(|| KERNELS.to_vec(), |kernel| vec![kernel]);
    let mut verdicts = Verdicts::new();
    for arch in archs {
        let iotrail = program(workspace, arch);
        if *no_build {
            ensure!(iotrail.is_file(), "{} is missing: leave out --no-build", workspace.short(&iotrail));
        } else {
            build(workspace, arch, !dev, &iotrail)?;
        }
        for series in &kernels {
            judge_all(workspace, arch, series, &rigs, &mut verdicts)?;
        }
    }
    said(sum_up(&verdicts))
}

/// Measures in a virtual machine of this machine's architecture, with an optimised iotrail; the file of figures, lines `ROUND
/// CONDITION OPERATION FIGURE` with tabs between.
///
/// # Errors
/// When it cannot be done here, or something was lost or not traced.
pub(crate) fn measure(workspace: &Workspace, name: &str, rounds: usize) -> Result<PathBuf> {
    let (arch, [_, series]) = (Arch::HOST, KERNELS);
    let rigs = Rig::all(workspace, MEASUREMENTS, &[name.to_owned()])?;
    let rig = rigs.first().context("no such measurement")?;
    if let Some(why) = rig.not_on(arch, series) {
        bail!("{name} cannot be measured on {arch}: {why}");
    }
    let iotrail = workspace.target.join("vm/programs").join(arch.debian()).join("iotrail-measured");
    build(workspace, arch, true, &iotrail)?;
    let archive = Archive::open(workspace, arch)?;
    let kernel = Kernel::get(workspace, &archive, series)?;
    eprintln!("\n== {name} on {arch}, kernel {}, in software emulation", kernel.release);
    let bench = Bench { workspace, archive: &archive, kernel: &kernel, series, iotrail: &iotrail, rounds };
    bench.try_rig(rig)?;
    Ok(bench.folder(rig).join("shared/out/figures"))
}

/// Closes a run of the rigs.
///
/// # Errors
/// When one failed.
fn said(counts: Counts) -> Result<()> {
    println!("{counts}");
    counts.none_failed()
}

/// Installs what `briefly` needs.
///
/// # Errors
/// When that fails.
pub(crate) fn prepare_briefly(workspace: &Workspace) -> Result<()> {
    for arch in [Arch::HOST, Arch::HOST.other()] {
        setup::ensure(workspace, level(arch))?;
    }
    Ok(())
}

/// How the rigs that are marked `brief` end on one kernel of each architecture, with an iotrail that is not optimised.
///
/// # Errors
/// When something cannot be built or run; a rig that fails is counted.
pub(crate) fn briefly(workspace: &Workspace) -> Result<Counts> {
    let mut rigs = Rig::all(workspace, RIGS, &[])?;
    rigs.retain(|rig| rig.brief);
    ensure!(!rigs.is_empty(), "no rig is marked `brief`: nothing would be run");
    let mut verdicts = Verdicts::new();
    for arch in [Arch::HOST, Arch::HOST.other()] {
        build(workspace, arch, false, &program(workspace, arch))?;
        judge_all(workspace, arch, brief_kernel(arch), &rigs, &mut verdicts)?;
    }
    Ok(sum_up(&verdicts))
}

/// The kernel of a brief run: amd64's is the one whose verifier is the strictest and that Debian 12 has, arm64's the one of
/// today's Raspberry Pi OS.
fn brief_kernel(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "6.1",
        Arch::Arm64 => "6.12",
    }
}

/// Where the iotrail of an architecture's guests is.
fn program(workspace: &Workspace, arch: Arch) -> PathBuf {
    workspace.target.join("vm/programs").join(arch.debian()).join("iotrail")
}

/// Runs rigs on one kernel, one after the other, and says how each ended.
fn judge_all(
    workspace: &Workspace,
    arch: Arch,
    series: &str,
    rigs: &[Rig],
    verdicts: &mut Verdicts,
) -> Result<()> {
    let iotrail = program(workspace, arch);
    let archive = Archive::open(workspace, arch)?;
    let kernel = Kernel::get(workspace, &archive, series)?;
    for rig in rigs {
        eprintln!("\n== {} on {arch}, kernel {}", rig.name, kernel.release);
        let bench =
            Bench { workspace, archive: &archive, kernel: &kernel, series, iotrail: &iotrail, rounds: 1 };
        let start = Instant::now();
        let verdict = bench.verdict(rig);
        match &verdict {
            Verdict::Passed => eprintln!("   passed, {:.0} s", start.elapsed().as_secs_f64()),
            Verdict::Failed(why) => eprintln!("   FAILED: {why:#}"),
            Verdict::Impossible(why) => eprintln!("   cannot be: {why}"),
        }
        verdicts.insert((rig.name.clone(), format!("{arch} {series}")), verdict);
    }
    Ok(())
}

/// Shows all verdicts as a table and counts them; what cannot be counts as skipped.
fn sum_up(verdicts: &Verdicts) -> Counts {
    println!("\n{}", table(verdicts));
    let mut counts = Counts::default();
    for verdict in verdicts.values() {
        match verdict {
            Verdict::Passed => counts.passed += 1,
            Verdict::Failed(_) => counts.failed += 1,
            Verdict::Impossible(_) => counts.ignored += 1,
        }
    }
    counts
}

/// A Markdown table: rigs by kernels.
fn table(verdicts: &Verdicts) -> String {
    let mut places: Vec<&String> = verdicts.keys().map(|(_, place)| place).collect();
    places.sort();
    places.dedup();
    let mut rigs: Vec<&String> = verdicts.keys().map(|(rig, _)| rig).collect();
    rigs.dedup();
    let mut out = String::from("| rig |");
    for place in &places {
        let _ = write!(out, " {place} |");
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(places.len()));
    for rig in rigs {
        let _ = write!(out, "\n| {rig} |");
        for place in &places {
            let said = match verdicts.get(&(rig.clone(), (*place).clone())) {
                Some(Verdict::Passed) => "passed".to_owned(),
                Some(Verdict::Failed(_)) => "FAILED".to_owned(),
                Some(Verdict::Impossible(why)) => format!("cannot be: {why}"),
                None => String::new(),
            };
            let _ = write!(out, " {said} |");
        }
    }
    out
}

/// Sets up and builds iotrail for an architecture, and puts it to `to` without its debugging information.
fn build(workspace: &Workspace, arch: Arch, release: bool, to: &Path) -> Result<()> {
    let toolchain = setup::ensure(workspace, level(arch))?;
    let target = (arch != Arch::HOST).then(|| arch.triple().to_owned());
    let building = build::Options { release, target, quiet: true };
    programs::strip(&build::all(workspace, &toolchain, &building)?, arch, to)
}

/// What guests of an architecture take.
fn level(arch: Arch) -> Level {
    if arch == Arch::HOST { Level::Vm } else { Level::CrossVm }
}

/// Where rigs are run: an architecture and a kernel.
struct Bench<'a> {
    workspace: &'a Workspace,
    archive: &'a Archive<'a>,
    kernel: &'a Kernel,
    series: &'a str,
    iotrail: &'a Path,
    /// How often what is measured is measured.
    rounds: usize,
}

impl Bench<'_> {
    fn verdict(&self, rig: &Rig) -> Verdict {
        if let Some(why) = rig.not_on(self.archive.arch(), self.series) {
            return Verdict::Impossible(why.to_owned());
        }
        match self.try_rig(rig) {
            Ok(()) => Verdict::Passed,
            Err(why) => Verdict::Failed(why),
        }
    }

    /// Where everything of a rig goes.
    fn folder(&self, rig: &Rig) -> PathBuf {
        self.workspace.target.join(format!("vm/out/{}-{}/{}", self.archive.arch(), self.series, rig.name))
    }

    fn try_rig(&self, rig: &Rig) -> Result<()> {
        let Self { workspace, archive, kernel, series, iotrail, rounds } = *self;
        let arch = archive.arch();
        let folder = self.folder(rig);
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot remove what the last run left")?;
        }
        let (given, out) = (folder.join("shared/in"), folder.join("shared/out"));
        for inside in [&given, &out] {
            fs::create_dir_all(inside).with_context(|| format!("cannot create {}", inside.display()))?;
        }
        let parts = rig.parts(arch);
        for (names, dynamic) in [(&parts.programs, false), (&parts.dynamic, true)] {
            for name in names {
                programs::compile(workspace, arch, name, dynamic, &given)?;
            }
        }
        for name in &parts.go {
            programs::compile_go(workspace, arch, name, &given)?;
        }
        programs::clients(workspace, arch, &parts.clients, &given)?;
        let copy = |from: &Path, name: &str| {
            fs::copy(from, given.join(name))
                .map(drop)
                .with_context(|| format!("cannot copy {}", from.display()))
        };
        copy(iotrail, "iotrail")?;
        copy(&workspace.root.join(LIBRARY), "lib.sh")?;
        copy(&rig.script, "guest.sh")?;
        fs::write(given.join("rounds"), rounds.to_string()).context("cannot tell the guest how often")?;
        for (name, size) in &parts.images {
            let file = File::create(folder.join(name)).with_context(|| format!("cannot create {name}"))?;
            file.set_len(size << 20).with_context(|| format!("cannot make {name} {size} MiB long"))?;
        }
        let tree = match parts.tree.as_str() {
            "" => None,
            more => {
                let base = folder.join("machine.dtb");
                let qemu = machine::dump_tree(arch, rig.memory(), &base);
                let more = workspace.root.join("tests/vm/rigs").join(more);
                Some(tree::extended(workspace, qemu, &base, &more, &folder)?)
            }
        };
        let place = folder.display().to_string();
        let devices: Vec<String> =
            parts.devices.iter().map(|argument| argument.replace("{folder}", &place)).collect();
        let wanted =
            image::Wanted { packages: &parts.packages, loaded: &parts.modules, packed: &parts.packed };
        let machine = Machine {
            arch,
            kernel: kernel.image(),
            initrd: image::build(workspace, archive, kernel, &wanted, &folder)?,
            shared: &folder.join("shared"),
            devices: &devices,
            tree,
            memory: rig.memory(),
            timeout: rig.timeout(),
            console: folder.join("console"),
        };
        let end = machine.run(|since, what| eprintln!("  {:>6.1} s  {what}", since.as_secs_f64()))?;
        fs::remove_file(&machine.initrd).context("cannot remove the image")?;
        let said = || {
            for line in crate::cmd::tail(&machine.console) {
                eprintln!("    {line}");
            }
            workspace.short(&machine.console)
        };
        match end {
            End::Status(0) => judge::pass(rig, arch, series, &out),
            End::Status(status) => {
                bail!("the guest's script ended with status {status}; all it said: {}", said())
            }
            End::Silent => bail!("the guest ended before its script did; all it said: {}", said()),
            End::Timeout => bail!("not done after {} s; all it said: {}", rig.timeout().as_secs(), said()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_per_rig_and_a_column_per_kernel() {
        let key = |rig: &str, place: &str| (rig.to_owned(), place.to_owned());
        let verdicts = BTreeMap::from([
            (key("i2c", "amd64 6.1"), Verdict::Passed),
            (key("tty", "amd64 6.1"), Verdict::Failed(anyhow::anyhow!("x"))),
            (key("tty", "arm64 6.1"), Verdict::Impossible("why".to_owned())),
        ]);
        assert_eq!(
            table(&verdicts),
            "| rig | amd64 6.1 | arm64 6.1 |\n| --- | --- | --- |\n| i2c | passed |  |\n| tty | FAILED | cannot be: why |"
        );
        let counts = sum_up(&verdicts);
        assert_eq!(counts, Counts { passed: 1, failed: 1, ignored: 1 });
        assert!(counts.none_failed().is_err());
    }
}
