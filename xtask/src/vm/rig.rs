//! A rig: a named guest with its devices, what is done there, and what iotrail has to say of it.
//!
//! Each is two files in `tests/vm/rigs`: `NAME.toml`, as described here, and `NAME.sh`, which runs in the guest.

use crate::{arch::Arch, workspace::Workspace};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

/// What `NAME.toml` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rig {
    /// From the file's name.
    #[serde(skip)]
    pub(super) name: String,
    /// What runs in the guest.
    #[serde(skip)]
    pub(super) script: PathBuf,
    /// One line for people.
    pub(super) about: String,
    /// Parts of the guest that do not depend on its architecture.
    #[serde(flatten)]
    pub(super) common: Parts,
    /// More of them on amd64.
    pub(super) amd64: Parts,
    /// More of them on arm64.
    pub(super) arm64: Parts,
    /// Where it cannot run (`arm64`, `6.1`, `arm64-6.12`), and why.
    pub(super) not_on: BTreeMap<String, String>,
    /// What the kernel may complain of (a part of the line), and why that is a driver's own fault. Not if one of our programs
    /// is on the stack.
    pub(super) faults: BTreeMap<String, String>,
    /// Whether `cargo xtask test` runs it too.
    pub(super) brief: bool,
    /// Memory of the guest in MiB; 0: 1024.
    pub(super) memory: u32,
    /// Seconds from start to end, on a busy machine; 0: 900.
    pub(super) timeout: u64,
    /// Runs of iotrail that the script hands over: every one of them is judged.
    pub(super) runs: Vec<String>,
    /// Features that `iotrail doctor` has to find, if the script asks it.
    pub(super) doctor: Vec<String>,
    /// What has to be among the spans.
    pub(super) span: Vec<Expected>,
    /// What strace watched has to be among the spans, call by call.
    pub(super) watched: Vec<Watched>,
    /// What the report has to count.
    pub(super) counted: Vec<Counted>,
}

/// What makes up a guest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Parts {
    /// Debian packages; they are unpacked with all that they depend on, not configured.
    pub(super) packages: Vec<String>,
    /// Modules that are inserted before the script starts, in this order.
    pub(super) modules: Vec<String>,
    /// Modules that are there for the script to insert.
    pub(super) packed: Vec<String>,
    /// C programs: `tests/vm/c/NAME.c`, or with `32` at the end of the name a 32-bit one from the same source.
    pub(super) programs: Vec<String>,
    /// The same, but with the guest's C library: they load a library of a package.
    pub(super) dynamic: Vec<String>,
    /// Rust programs of the live tests, with their symbols: `tests/src/bin/NAME.rs`.
    pub(super) clients: Vec<String>,
    /// Go programs of the live tests: `tests/it/tls/clients/NAME.go`.
    pub(super) go: Vec<String>,
    /// Arguments for QEMU; `{folder}` is a folder for images.
    pub(super) devices: Vec<String>,
    /// Images for `devices`: files of so many MiB of zeroes.
    pub(super) images: BTreeMap<String, u64>,
    /// What is added to the machine's device tree: a file beside the rig's; empty: nothing. Only arm64's machine has one.
    pub(super) tree: String,
}

/// Spans that have to be there, so many of them.
///
/// In texts, `{NAME}` stands for a fact of the guest and `*` for anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expected {
    /// Of these runs; none: of each.
    pub(super) runs: Vec<String>,
    /// Only on this architecture or kernel (as in `not_on`); none: everywhere.
    pub(super) only: Option<String>,
    /// Whose name is this; none: whatever its name.
    pub(super) name: Option<String>,
    /// Of each of these services; none: whatever its service.
    pub(super) services: Vec<String>,
    /// Whose `error.type` is this; empty: that have no error.
    pub(super) error: Option<String>,
    /// That have these attributes.
    pub(super) attributes: BTreeMap<String, String>,
    /// That lasted so many milliseconds or longer, 0: no matter how long. Only for what a device cannot do faster.
    pub(super) lasting_ms: u64,
    /// Exactly so many: a number, or a sum of some.
    pub(super) count: Option<String>,
    /// So many or more.
    pub(super) at_least: Option<String>,
}

/// A number of a run's report (`--report`) that has to be this one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    /// Of these runs; none: of each.
    #[serde(default)]
    pub(super) runs: Vec<String>,
    /// Only on this architecture or kernel (as in `not_on`); none: everywhere.
    pub(super) only: Option<String>,
    /// What is counted: a key of the report's `counts`.
    pub(super) name: String,
    /// A number, or a sum of some; `{NAME}` stands for a fact.
    pub(super) count: String,
}

impl Counted {
    /// Whether it is expected there.
    pub(super) fn holds(&self, run: &str, arch: Arch, series: &str) -> bool {
        holds(&self.runs, self.only.as_deref(), run, arch, series)
    }
}

/// A command that the script `watched` (or that was `refused`): each call that strace saw it make to a device is a span of its
/// name and error, and there is no other span of that program and device; of one thread, in the same order.
///
/// Built in are the rules by which a call makes none: it found nothing (`EAGAIN`), it is about the descriptor, or it takes
/// back what another call gave (`VIDIOC_DQBUF`, `USBDEVFS_REAPURB`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watched {
    /// In these runs; none: in each.
    #[serde(default)]
    pub(super) runs: Vec<String>,
    /// Only on this architecture or kernel (as in `not_on`); none: everywhere.
    pub(super) only: Option<String>,
    /// Name that the script gave it.
    pub(super) name: String,
    /// Node, as strace and the spans' `iotrail.device.path` have it.
    pub(super) path: String,
    /// Other files, as strace shows them, whose calls are spans of that node: `anon_inode:kvm-vm`.
    #[serde(default)]
    pub(super) files: Vec<String>,
    /// Service of each span.
    pub(super) service: String,
    /// `iotrail.device.class` of each span.
    pub(super) class: String,
    /// `iotrail.device.id` of each span.
    pub(super) id: String,
    /// Commands for which strace has another name, or none (`_IOC(…)`, as it shows it).
    #[serde(default)]
    pub(super) rename: BTreeMap<String, String>,
    /// Commands that are not compared, on neither side: what a class makes events of, or gives other names.
    #[serde(default)]
    pub(super) without: Vec<String>,
    /// Errors that are the device's own answer to a call that succeeded (`CHECK_CONDITION`).
    #[serde(default)]
    pub(super) refusals: Vec<String>,
}

impl Watched {
    /// Whether it is expected there.
    pub(super) fn holds(&self, run: &str, arch: Arch, series: &str) -> bool {
        holds(&self.runs, self.only.as_deref(), run, arch, series)
    }
}

impl Rig {
    /// All rigs of a folder whose name contains one of `filters`, by name; without any, all.
    ///
    /// # Errors
    /// When a file cannot be read or understood, or no name contains it.
    pub(super) fn all(workspace: &Workspace, folder: &str, filters: &[String]) -> Result<Vec<Self>> {
        let folder = workspace.root.join(folder);
        let mut rigs = Vec::new();
        let mut names = Vec::new();
        for file in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = file.context("cannot read the folder of the rigs")?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else {
                continue;
            };
            names.push(name.to_owned());
            if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
                continue;
            }
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut rig = Self::parse(name, &text).with_context(|| workspace.short(&path))?;
            rig.script = path.with_extension("sh");
            ensure!(rig.script.is_file(), "{} is missing", workspace.short(&rig.script));
            rigs.push(rig);
        }
        names.sort();
        ensure!(
            !rigs.is_empty(),
            "no rig's name contains {}; there are {}",
            filters.join(" or "),
            names.join(", ")
        );
        rigs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rigs)
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut rig: Self = toml::from_str(text)?;
        name.clone_into(&mut rig.name);
        ensure!(!rig.runs.is_empty(), "`runs` names no run: nothing would be judged");
        for expected in &rig.span {
            ensure!(
                expected.count.is_some() != expected.at_least.is_some(),
                "a [[span]] has either `count` or `at_least`: {expected:?}"
            );
        }
        let spans = rig.span.iter().map(|span| &span.runs);
        let watched = rig.watched.iter().map(|watched| &watched.runs);
        let runs = spans.chain(watched).chain(rig.counted.iter().map(|counted| &counted.runs));
        if let Some(run) = runs.flatten().find(|run| !rig.runs.contains(run)) {
            anyhow::bail!("something is of run `{run}`, which `runs` does not name");
        }
        Ok(rig)
    }

    /// Why it cannot run there; `None` if it can.
    pub(super) fn not_on(&self, arch: Arch, series: &str) -> Option<&str> {
        let (_, why) = self.not_on.iter().find(|(place, _)| is_at(place, arch, series))?;
        Some(why)
    }

    /// What its guest is made of on an architecture.
    pub(super) fn parts(&self, arch: Arch) -> Parts {
        let mut parts = self.common.clone();
        let more = match arch {
            Arch::Amd64 => &self.amd64,
            Arch::Arm64 => &self.arm64,
        };
        let Parts { packages, modules, packed, programs, dynamic, clients, go, devices, images, tree } =
            more.clone();
        parts.packages.extend(packages);
        parts.modules.extend(modules);
        parts.packed.extend(packed);
        parts.programs.extend(programs);
        parts.dynamic.extend(dynamic);
        parts.clients.extend(clients);
        parts.go.extend(go);
        parts.devices.extend(devices);
        parts.images.extend(images);
        parts.tree += &tree;
        parts
    }

    /// MiB.
    pub(super) fn memory(&self) -> u32 {
        if self.memory == 0 { 1024 } else { self.memory }
    }

    /// From start to end.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(if self.timeout == 0 { 900 } else { self.timeout })
    }
}

impl Expected {
    /// Whether it is expected there.
    pub(super) fn holds(&self, run: &str, arch: Arch, series: &str) -> bool {
        holds(&self.runs, self.only.as_deref(), run, arch, series)
    }
}

/// Whether what is only of `runs` (none: of each) and `only` somewhere is of this run there.
fn holds(runs: &[String], only: Option<&str>, run: &str, arch: Arch, series: &str) -> bool {
    (runs.is_empty() || runs.iter().any(|of| of == run))
        && only.is_none_or(|place| is_at(place, arch, series))
}

/// Whether `place` (`arm64`, `6.1`, `arm64-6.1`) is this architecture and kernel.
fn is_at(place: &str, arch: Arch, series: &str) -> bool {
    place == arch.debian() || place == series || place == format!("{arch}-{series}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rig_of_this_repository_is_understood() {
        let all = |folder| Rig::all(&Workspace::find().unwrap(), folder, &[]).unwrap();
        let rigs: Vec<Rig> = ["tests/vm/rigs", "tests/vm/bench"].into_iter().flat_map(all).collect();
        assert!(["tty", "buses"].iter().all(|name| rigs.iter().any(|rig| rig.name == *name)));
        for rig in rigs {
            assert!(!(rig.about.is_empty() || rig.span.is_empty() && rig.watched.is_empty()), "{}", rig.name);
        }
    }

    #[test]
    fn what_would_judge_nothing_is_refused() {
        for text in [
            "about = 'x'",
            "runs = ['a']\n[[span]]\nname = 'x'",
            "runs = ['a']\n[[span]]\ncount = '1'\nat_least = '1'",
            "runs = ['a']\n[[span]]\nruns = ['b']\ncount = '1'",
            "runs = ['a']\nspam = 1",
            "runs = ['a']\n[[span]]\ncuont = '1'",
            "runs = ['a']\n[[watched]]\nname = 'n'\npath = '/dev/x'\nservice = 's'\nclass = 'c'",
            "runs = ['a']\n[[counted]]\nname = 'n'",
            "runs = ['a']\n[[counted]]\nname = 'n'\ncount = '1'\nruns = ['b']",
            "runs = ['a']\n[[watched]]\nname = 'n'\npath = '/dev/x'\nservice = 's'\nclass = 'c'\nid = 'i'\nruns = ['b']",
        ] {
            assert!(Rig::parse("r", text).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_add_up_and_places_are_told_apart() {
        let text = "runs = ['a']\nmodules = ['m']\n[arm64]\nmodules = ['n']\n[not_on]\n'amd64-6.1' = 'why'\n\
            [[span]]\nonly = 'arm64'\ncount = '1'";
        let rig = Rig::parse("r", text).unwrap();
        assert_eq!(rig.parts(Arch::Arm64).modules, ["m", "n"]);
        assert_eq!(rig.parts(Arch::Amd64).modules, ["m"]);
        assert_eq!(rig.not_on(Arch::Amd64, "6.1"), Some("why"));
        assert_eq!(rig.not_on(Arch::Amd64, "6.12"), None);
        let expected = rig.span.first().unwrap();
        assert!(expected.holds("a", Arch::Arm64, "6.1") && !expected.holds("a", Arch::Amd64, "6.1"));
    }
}
