//! `cargo xtask setup`: what a machine lacks for building, showing or testing iotrail, and its installation.
//!
//! Looking is quick and repeats at every command; what is missing is said in full before anything is installed.

use crate::{
    arch::Arch,
    cmd,
    codegen::headers,
    toolchain::{self, Toolchain},
    workspace::Workspace,
};
use anyhow::{Context as _, Result, ensure};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

mod apt;
pub(crate) mod archive;
pub(crate) mod brokers;

/// The linker's version that was tried with Debian's compiler.
const LINKER_VERSION: &str = "0.13.0";
/// LLVM of Debian's `rustc-web`, which the linker has to match.
const LLVM: &str = "22";
/// Debian's own Python, for which its packages are.
const PYTHON: &str = "/usr/bin/python3";
/// Where there is neither Debian's compiler nor a nightly.
const WITHOUT_DEBIAN: &str = "`rustup toolchain install nightly --component rust-src` and `cargo install bpf-linker` (or your system's package of it)";

/// Install what the other commands need
///
/// Needs Debian and root where something is missing; says first what it will install. The other commands
/// do this by themselves. A compiler for the kernel programs that is there is used: Debian's, or a rustup nightly with
/// rust-src; where both are, IOTRAIL_BPF_COMPILER=nightly (or prebuilt) chooses.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What is to be done on this machine.
    #[arg(long = "for", value_enum, default_value_t = Level::Test, value_name = "WHAT")]
    level: Level,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Level {
    /// Check the sources.
    Check,
    /// Read the kernel's headers.
    Headers,
    /// Build the kernel programs and iotrail.
    Build,
    /// Show the demo.
    Demo,
    /// Run all tests.
    Test,
    /// Measure against other tracers.
    Bench,
    /// Measure what tracing costs five brokers.
    BenchBrokers,
    /// Build for this machine's other architecture (arm64 on amd64, amd64 on arm64).
    Cross,
    /// Run virtual machines of this machine's own architecture.
    Vm,
    /// Run virtual machines of the other architecture.
    CrossVm,
    /// Feed the decoders hostile input.
    Fuzz,
}

impl Level {
    fn builds(self) -> bool {
        !matches!(self, Self::Check | Self::Headers | Self::Fuzz)
    }

    fn runs_a_broker(self) -> bool {
        matches!(self, Self::Demo | Self::Test | Self::Bench | Self::BenchBrokers)
    }

    /// The architecture, in Debian's name for it, that programs are compiled for beside the machine's own.
    fn compiles_for(self) -> Option<Arch> {
        matches!(self, Self::Cross | Self::CrossVm).then(|| Arch::HOST.other())
    }

    /// The architecture of the virtual machines that are run.
    fn emulates(self) -> Option<Arch> {
        match self {
            Self::Vm => Some(Arch::HOST),
            Self::CrossVm => Some(Arch::HOST.other()),
            _ => None,
        }
    }

    /// Whether there will be 32-bit programs for amd64, compiled on amd64.
    fn compiles_i386(self) -> bool {
        matches!(self, Self::Test | Self::Vm) && Arch::HOST == Arch::Amd64
    }

    fn checks(self) -> bool {
        matches!(self, Self::Check | Self::Test)
    }

    fn reads_headers(self) -> bool {
        self.checks() || self == Self::Headers
    }
}

/// What will be installed.
#[derive(Default, Debug, PartialEq, Eq)]
struct Plan {
    /// Debian packages and what each is for.
    packages: Vec<(String, &'static str)>,
    /// Components of the rustup toolchain.
    components: Vec<&'static str>,
    /// Compile the linker, if what is installed before does not make a working pair.
    linker: bool,
}

/// Sets up and says that it is done.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let working = prepare(workspace, options.level)?;
    if let Some(toolchain) = working {
        eprintln!("setup: kernel programs: {}", toolchain.about());
    }
    eprintln!("setup: everything is there");
    Ok(())
}

/// Sets up for a level that builds; says nothing where nothing is missing.
pub(crate) fn ensure(workspace: &Workspace, level: Level) -> Result<Toolchain> {
    prepare(workspace, level)?.with_context(|| format!("{level:?} needs no compiler for the kernel"))
}

/// Sets up; the compiler for the kernel programs, if the level needs one.
pub(crate) fn prepare(workspace: &Workspace, level: Level) -> Result<Option<Toolchain>> {
    let working = install(workspace, level)?;
    if level == Level::Test {
        brokers::fetch(workspace)?;
    }
    if level == Level::BenchBrokers {
        brokers::fetch_kafka(workspace);
    }
    Ok(working)
}

/// Debian packages, rustup components and the linker.
fn install(workspace: &Workspace, level: Level) -> Result<Option<Toolchain>> {
    let mut plan = Plan::default();
    let mut working = None;
    if level.builds() {
        let found = toolchain::find(workspace)?;
        if found.working.is_none() {
            plan.compiler(&found)?;
        }
        working = found.working;
    }
    plan.parts(workspace, level);
    if plan == Plan::default() {
        return Ok(working);
    }
    plan.say();
    plan.install(workspace)?;
    if level.builds() && working.is_none() {
        working = toolchain::find(workspace)?.working;
        if working.is_none() && plan.linker {
            install_linker(workspace)?;
            working = toolchain::find(workspace)?.working;
        }
        ensure!(
            working.is_some(),
            "no compiler and linker that can build kernel programs, after everything was installed; \
             instead try {WITHOUT_DEBIAN}"
        );
    }
    let mut left = Plan::default();
    left.parts(workspace, level);
    ensure!(left == Plan::default(), "still missing after the installation: {}", left.names());
    Ok(working)
}

/// Fails with one clear line unless this process is root.
pub(crate) fn must_be_root(what: &str, command: &str) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "{what} needs root, because it loads programs into the kernel: \
         run `sudo -E env \"PATH=$PATH\" cargo xtask {command}`"
    );
    Ok(())
}

impl Plan {
    /// What it takes to get a working compiler and linker for the kernel programs.
    fn compiler(&mut self, found: &toolchain::Found) -> Result<()> {
        ensure!(
            cmd::which("apt-get").is_some(),
            "no compiler for kernel programs ({}), and no Debian to install one from (no apt-get): {WITHOUT_DEBIAN}, then run again",
            found.about()
        );
        ensure!(
            env::var(toolchain::CHOICE).as_deref() != Ok("nightly"),
            "no rustup nightly that can build kernel programs ({}): {WITHOUT_DEBIAN}, then run again",
            found.about()
        );
        self.packages.extend(
            [
                ("rustc-web", "compiler for the kernel programs"),
                ("libstd-rust-web-dev-bpf", "its core library for BPF"),
                ("llvm-22-dev", "what bpf-linker links with"),
            ]
            .into_iter()
            .filter(|(package, _)| !apt::installed(package))
            .map(|(package, why)| (package.to_owned(), why)),
        );
        self.linker = true;
        Ok(())
    }

    /// Programs and libraries that are missing for `level`.
    fn parts(&mut self, workspace: &Workspace, level: Level) {
        let mut package = |name: &str, why| self.packages.push((name.to_owned(), why));
        if level.runs_a_broker() && cmd::which("mosquitto").is_none() {
            package("mosquitto", "MQTT broker; its service is stopped and switched off again");
        }
        if level == Level::Test && cmd::which("mosquitto_pub").is_none() {
            package("mosquitto-clients", "MQTT clients for the tests");
        }
        let brokers = match level {
            Level::Test => brokers::missing(),
            Level::BenchBrokers => brokers::missing_brokers(),
            _ => Vec::new(),
        };
        for (name, why) in brokers {
            package(name, why);
        }
        if matches!(level, Level::Test | Level::Bench) && cmd::which("openssl").is_none() {
            package("openssl", "certificates of encrypted connections");
        }
        if level == Level::Bench && !Path::new(PYTHON).is_file() {
            package("python3", "calls a TLS library to be measured");
        }
        for (program, name, why) in [
            ("gnutls-cli", "gnutls-bin", "a client on GnuTLS for the tests"),
            ("strip", "binutils", "makes programs without symbols for the tests"),
        ] {
            if level == Level::Test && cmd::which(program).is_none() {
                package(name, why);
            }
        }
        if matches!(level, Level::Test | Level::Vm | Level::CrossVm) && !brokers::go_is_there() {
            package("golang-go", "compiles clients on Go's crypto/tls for the tests");
        }
        if matches!(level, Level::Test | Level::Fuzz) && cmd::which("c++").is_none() {
            package("g++", "compiler of the fuzzer");
        }
        if level == Level::Test && !Path::new("/usr/include/android/openssl/is_boringssl.h").is_file() {
            package("android-libboringssl-dev", "a client on BoringSSL for the tests");
        }
        if level == Level::Test && cmd::which("losetup").is_none() {
            package("mount", "loop devices for the tests");
        }
        if level.compiles_i386() && gcc_file("crt1.o").is_none() {
            package("libc6-dev-i386", "32-bit programs for the tests");
        }
        // Without its own, gcc names the 64-bit one, which does not link.
        let own = gcc_file("libgcc.a")
            .is_some_and(|path| path.parent().is_some_and(|folder| folder.ends_with("32")));
        if level.compiles_i386() && !own {
            let version = cmd::answer(Command::new("gcc").arg("-dumpversion")).unwrap_or_else(|| "12".into());
            let major = version.split('.').next().unwrap_or(&version);
            package(&format!("lib32gcc-{major}-dev"), "32-bit programs for the tests");
        }
        for (program, name, why) in wanted(level) {
            if cmd::which(program).is_none() {
                package(name, why);
            }
        }
        // A cross compiler works without its C library, until it links.
        for (file, name, why) in libraries(level) {
            if !Path::new(file).is_file() {
                package(name, why);
            }
        }
        if level.reads_headers() {
            // On a system of another kind they are there under other names, or are not asked for.
            let debian = cmd::which("dpkg-query").is_some();
            for (name, why, _) in headers::PACKAGES {
                if debian && !apt::installed(name) {
                    package(name, why);
                }
            }
            if cmd::which("cc").is_none() {
                package("gcc", "C compiler, which evaluates those headers");
            }
        }
        if level == Level::Bench {
            for tool in ["bpftrace", "strace"] {
                if cmd::which(tool).is_none() {
                    package(tool, "what iotrail is measured against");
                }
            }
        }
        if level.checks() {
            for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
                if cmd::answer(workspace.cargo().args([command, "--version"])).is_none() {
                    self.components.push(component);
                }
            }
        }
    }

    fn names(&self) -> String {
        let Self { packages, components, linker } = self;
        let mut names: Vec<&str> = packages.iter().map(|(package, _)| package.as_str()).collect();
        names.extend(components);
        names.extend(linker.then_some("bpf-linker"));
        names.join(" ")
    }

    fn say(&self) {
        let Self { packages, components, linker } = self;
        eprintln!("setup: will install");
        for (package, why) in packages {
            eprintln!("  Debian package {package}: {why}");
        }
        for component in components {
            eprintln!("  rustup component {component}");
        }
        if *linker {
            eprintln!(
                "  bpf-linker {LINKER_VERSION}, compiled by cargo in a few minutes, unless one is there that fits"
            );
        }
    }

    fn install(&self, workspace: &Workspace) -> Result<()> {
        let Self { packages, components, linker: _ } = self;
        if !packages.is_empty() {
            let packages: Vec<&str> = packages.iter().map(|(package, _)| package.as_str()).collect();
            apt::install(workspace, &packages)?;
        }
        if !components.is_empty() {
            ensure!(
                cmd::which("rustup").is_some(),
                "cargo lacks {} and there is no rustup to add it: install it the way cargo was, then run again",
                components.join(" and ")
            );
            let mut rustup = Command::new("rustup");
            rustup.args(["component", "add"]).args(components);
            cmd::quiet(workspace, "adding rustup components", "rustup", &mut rustup)?;
        }
        Ok(())
    }
}

/// Programs that `level` needs, the packages that have them, and what for.
fn wanted(level: Level) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut wanted = Vec::new();
    match level.compiles_for() {
        Some(Arch::Arm64) => {
            wanted.push(("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "compiler and linker for arm64"))
        }
        Some(Arch::Amd64) => {
            wanted.push(("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu", "compiler and linker for amd64"))
        }
        None => {}
    }
    let Some(guest) = level.emulates() else { return wanted };
    match guest {
        Arch::Amd64 => wanted.push(("qemu-system-x86_64", "qemu-system-x86", "virtual machines")),
        Arch::Arm64 => wanted.push(("qemu-system-aarch64", "qemu-system-arm", "virtual machines")),
    }
    match guest {
        Arch::Amd64 if Arch::HOST != Arch::Amd64 => {
            wanted.push((
                "i686-linux-gnu-gcc",
                "gcc-i686-linux-gnu",
                "32-bit programs for the virtual machines",
            ));
        }
        Arch::Amd64 => {}
        Arch::Arm64 => wanted.extend([
            (
                "arm-linux-gnueabihf-gcc",
                "gcc-arm-linux-gnueabihf",
                "32-bit programs for the virtual machines",
            ),
            ("dtc", "device-tree-compiler", "adds devices to the virtual machines' device tree"),
        ]),
    }
    wanted.extend([
        ("cpio", "cpio", "packs what virtual machines start from"),
        ("depmod", "kmod", "finds what kernel modules depend on"),
        ("xz", "xz-utils", "unpacks kernel modules"),
    ]);
    wanted
}

/// Files that `level` needs, the packages that have them, and what for.
fn libraries(level: Level) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut wanted = Vec::new();
    match level.compiles_for() {
        Some(Arch::Arm64) => {
            wanted.push((
                "/usr/aarch64-linux-gnu/lib/libc.a",
                "libc6-dev-arm64-cross",
                "C library for arm64",
            ));
        }
        Some(Arch::Amd64) => {
            wanted.push(("/usr/x86_64-linux-gnu/lib/libc.a", "libc6-dev-amd64-cross", "C library for amd64"));
        }
        None => {}
    }
    match level.emulates() {
        Some(Arch::Arm64) => wanted.push((
            "/usr/arm-linux-gnueabihf/lib/libc.a",
            "libc6-dev-armhf-cross",
            "32-bit programs for the virtual machines",
        )),
        Some(Arch::Amd64) if Arch::HOST != Arch::Amd64 => wanted.push((
            "/usr/i686-linux-gnu/lib/libc.a",
            "libc6-dev-i386-cross",
            "32-bit programs for the virtual machines",
        )),
        _ => {}
    }
    wanted
}

/// Compiles the linker: where cargo puts programs, or, if there is one already that did not fit, for this repository alone.
fn install_linker(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["install", "bpf-linker", "--locked", "--version", LINKER_VERSION])
        .args(["--no-default-features", "--features", &format!("llvm-{LLVM}")])
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM}"))
        .env_remove("RUSTC");
    if !cmd::all("bpf-linker").is_empty() {
        cargo.arg("--force").arg("--root").arg(workspace.target.join("tools"));
    }
    cmd::quiet(workspace, &format!("compiling bpf-linker {LINKER_VERSION}"), "bpf-linker", &mut cargo)
}

/// Where gcc has a file of its own or of the C library's for 32-bit programs; it answers with a path only if it does.
fn gcc_file(file: &str) -> Option<PathBuf> {
    let path = cmd::answer(Command::new("gcc").args(["-m32", &format!("-print-file-name={file}")]))?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute() && path.is_file())
}
