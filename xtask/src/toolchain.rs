//! The compiler and linker for the kernel programs: which there are, and whether they can build.
//!
//! Two kinds of compilers are known: one with a `core` already built for BPF (Debian's `rustc-web` with
//! `libstd-rust-web-dev-bpf`), and a rustup nightly with the component `rust-src`, which builds `core` itself. Either needs a
//! `bpf-linker` whose LLVM is at least as new as the compiler's. Versions say little about that, so each pair is tried
//! once with a small program; the outcome is remembered until one of the two changes.

use crate::{cmd, workspace::Workspace};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// The target of the kernel programs: little endian, as amd64 and arm64 are.
const TARGET: &str = "bpfel-unknown-none";
/// Chooses between the two kinds of compilers where there are both: `prebuilt` or `nightly`.
pub(crate) const CHOICE: &str = "IOTRAIL_BPF_COMPILER";
/// ELF's machine number of BPF (`EM_BPF` in linux/elf-em.h).
const EM_BPF: [u8; 2] = 247u16.to_le_bytes();

/// A compiler that can do `core` for BPF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Compiler {
    /// Has `core` for BPF in its sysroot.
    Prebuilt {
        /// The compiler.
        rustc: PathBuf,
        /// What it says of itself.
        version: String,
    },
    /// Builds `core` from its sources.
    Nightly {
        /// Rustup's name for it.
        toolchain: String,
        /// What it says of itself.
        version: String,
    },
}

/// A compiler and a linker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Toolchain {
    compiler: Compiler,
    linker: PathBuf,
}

/// What a search found.
pub(crate) struct Found {
    /// The first pair that can build.
    pub(crate) working: Option<Toolchain>,
    /// Compilers that are there.
    pub(crate) compilers: Vec<Compiler>,
    /// Linkers that are there.
    pub(crate) linkers: Vec<PathBuf>,
}

/// Looks for compilers and linkers and tries them, the quickest first.
pub(crate) fn find(workspace: &Workspace) -> Result<Found> {
    let compilers = compilers()?;
    let mut linkers = cmd::all("bpf-linker");
    linkers.extend(Some(own_linker(workspace)).filter(|own| own.is_file()));
    let mut working = None;
    for compiler in &compilers {
        for linker in &linkers {
            let toolchain = Toolchain { compiler: compiler.clone(), linker: linker.clone() };
            if working.is_none() && toolchain.works(workspace) {
                working = Some(toolchain);
            }
        }
    }
    Ok(Found { working, compilers, linkers })
}

/// A linker of this repository's own, for a machine that has one that does not fit the compiler.
pub(crate) fn own_linker(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools/bin/bpf-linker")
}

fn compilers() -> Result<Vec<Compiler>> {
    let (prebuilt, nightly) = match env::var(CHOICE).ok().as_deref() {
        None | Some("") => (true, true),
        Some("prebuilt") => (true, false),
        Some("nightly") => (false, true),
        Some(other) => bail!("{CHOICE} is `{other}`; it can be `prebuilt` or `nightly`"),
    };
    let mut found = Vec::new();
    if prebuilt {
        // Rustup's proxies stand first in PATH; Debian's compiler is behind them.
        for rustc in [PathBuf::from("/usr/bin/rustc")].into_iter().chain(cmd::all("rustc")) {
            let core =
                cmd::answer(Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]));
            if core.is_some_and(|folder| Path::new(&folder).is_dir())
                && let Some(version) = cmd::answer(Command::new(&rustc).arg("--version"))
            {
                found.push(Compiler::Prebuilt { rustc, version });
                break;
            }
        }
    }
    if nightly && let Some(list) = cmd::answer(Command::new("rustup").args(["toolchain", "list"])) {
        for toolchain in list.lines().filter_map(|line| line.split_whitespace().next()) {
            if !toolchain.starts_with("nightly") {
                continue;
            }
            let rustc = |arguments: &[&str]| {
                cmd::answer(Command::new("rustup").args(["run", toolchain, "rustc"]).args(arguments))
            };
            if rustc(&["--print", "sysroot"])
                .is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir())
                && let Some(version) = rustc(&["--version"])
            {
                found.push(Compiler::Nightly { toolchain: toolchain.to_owned(), version });
            }
        }
    }
    Ok(found)
}

impl Found {
    /// What there is, for a message that says it does not do.
    pub(crate) fn about(&self) -> String {
        let Self { working: _, compilers, linkers } = self;
        let compiler = match compilers.first() {
            None => "no rustc with a core library for BPF and no nightly with rust-src".to_owned(),
            Some(Compiler::Prebuilt { rustc, .. }) => format!("there is {}", rustc.display()),
            Some(Compiler::Nightly { toolchain, .. }) => format!("there is {toolchain} with rust-src"),
        };
        let linker = match linkers.first() {
            None => "no bpf-linker".to_owned(),
            Some(linker) => format!("there is {}", linker.display()),
        };
        format!("{compiler}; {linker}")
    }
}

impl Toolchain {
    /// A cargo command that builds the crate in `folder` for the kernel of a machine of architecture `arch`.
    pub(crate) fn cargo_build(
        &self,
        workspace: &Workspace,
        folder: &Path,
        target_dir: &Path,
        arch: &str,
    ) -> Command {
        let Self { compiler, linker } = self;
        let mut cargo = match compiler {
            Compiler::Prebuilt { rustc, version: _ } => {
                let mut cargo = workspace.cargo();
                // aya-ebpf turns on an unstable feature of inline assembly.
                cargo.arg("build").env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Compiler::Nightly { toolchain, version: _ } => {
                let mut cargo = Command::new("rustup");
                cargo.args(["run", toolchain, "cargo", "build", "-Z", "build-std=core"]);
                for variable in ["RUSTC", "CARGO", "RUSTUP_TOOLCHAIN", "RUSTC_BOOTSTRAP"] {
                    cargo.env_remove(variable);
                }
                cargo
            }
        };
        for variable in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(variable);
        }
        let flags = [
            format!("--cfg=bpf_target_arch=\"{arch}\""),
            "-Cdebuginfo=2".to_owned(),
            "-Clink-arg=--btf".to_owned(),
            format!("-Clinker={}", linker.display()),
        ];
        cargo
            .current_dir(folder)
            .args(["--release", "--target", TARGET, "--target-dir"])
            .arg(target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        cargo
    }

    /// For people.
    pub(crate) fn about(&self) -> String {
        let linker = self.linker.display();
        match &self.compiler {
            Compiler::Prebuilt { rustc, version } => format!("{} ({version}) with {linker}", rustc.display()),
            Compiler::Nightly { toolchain, version } => {
                format!("rustup's {toolchain} ({version}) with rust-src and {linker}")
            }
        }
    }

    /// Whether this pair can build; tried only if it has changed since it last could.
    fn works(&self, workspace: &Workspace) -> bool {
        let stamp = workspace.own("bpf-toolchain");
        let identity = self.identity();
        if fs::read_to_string(&stamp).is_ok_and(|last| last == identity) {
            return true;
        }
        let tried = self.probe(workspace);
        match &tried {
            // A stamp that cannot be written only costs time.
            Ok(()) => drop(fs::write(&stamp, identity)),
            Err(err) => eprintln!("setup: {} cannot build kernel programs: {err:#}", self.about()),
        }
        tried.is_ok()
    }

    fn identity(&self) -> String {
        let about = |path: &Path| {
            fs::metadata(path).map_or_else(
                |_| "?".to_owned(),
                |file| format!("{} bytes, changed {}.{}", file.len(), file.mtime(), file.mtime_nsec()),
            )
        };
        format!("{}\n{}\n", self.about(), about(&self.linker))
    }

    fn probe(&self, workspace: &Workspace) -> Result<()> {
        const MANIFEST: &str = "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
            [workspace]\n[profile.release]\nlto = true\npanic = \"abort\"\ncodegen-units = 1\n";
        const PROGRAM: &str = "#![no_std]\n#![no_main]\n\
            #[no_mangle]\n#[link_section = \"tracepoint\"]\npub extern \"C\" fn probe(_: *mut u8) -> u32 { 0 }\n\
            #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n";
        let folder = workspace.own("probe");
        let target = folder.join("target");
        fs::create_dir_all(folder.join("src")).context("cannot create the probe's folder")?;
        fs::write(folder.join("Cargo.toml"), MANIFEST).context("cannot write the probe")?;
        fs::write(folder.join("src/main.rs"), PROGRAM).context("cannot write the probe")?;
        let object = target.join(TARGET).join("release/probe");
        if let Err(err) = fs::remove_file(&object) {
            ensure!(err.kind() == std::io::ErrorKind::NotFound, "cannot remove {}", object.display());
        }
        cmd::quiet(
            workspace,
            "trying the BPF compiler",
            "probe",
            &mut self.cargo_build(workspace, &folder, &target, env::consts::ARCH),
        )?;
        check_object(&object)
    }
}

/// Whether `path` is an object for the kernel.
pub(crate) fn check_object(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let machine = bytes.strip_prefix(b"\x7fELF").and_then(|rest| rest.get(14..16));
    ensure!(machine == Some(&EM_BPF), "{} is no BPF object", path.display());
    Ok(())
}
