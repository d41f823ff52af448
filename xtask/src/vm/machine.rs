//! One run of QEMU: boots a guest, follows what it says, ends it when its time is up.

use crate::{arch::Arch, cmd};
use anyhow::{Context as _, Result, bail};
use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How init says that the script begins: time since boot and kernel follow.
const BEGIN: &str = "@@begin ";
/// How a script says what it does now.
const STEP: &str = "@@step ";
/// How init says that the script ended: its status follows.
const END: &str = "@@end ";
/// For a guest that a busy machine leaves without time: it must not take that for a broken timer (amd64 panics at boot), nor a
/// wait for a processor that hangs.
const STARVED: &str = "no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1";
/// How long a guest may take to switch itself off.
const POWER_OFF: Duration = Duration::from_secs(10);

/// A guest to be run once.
pub(super) struct Machine<'a> {
    /// Of which architecture.
    pub(super) arch: Arch,
    /// The kernel's image.
    pub(super) kernel: PathBuf,
    /// What it starts from.
    pub(super) initrd: PathBuf,
    /// A folder that the guest sees as `/host`.
    pub(super) shared: &'a Path,
    /// More arguments for QEMU.
    pub(super) devices: &'a [String],
    /// Its device tree, if not QEMU's own.
    pub(super) tree: Option<PathBuf>,
    /// MiB.
    pub(super) memory: u32,
    /// From start to end.
    pub(super) timeout: Duration,
    /// Where everything that the guest says is kept.
    pub(super) console: PathBuf,
}

/// How a guest ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its script ended with this status.
    Status(i32),
    /// It ended without its script's having ended: a panic, or QEMU itself.
    Silent,
    /// Its time was up.
    Timeout,
}

/// QEMU's command for a machine without anything. `more`: options of the machine, a comma before each.
fn bare(arch: Arch, memory: u32, more: &str) -> Command {
    let (program, machine, processor) = match arch {
        Arch::Amd64 => ("qemu-system-x86_64", "q35", "max"),
        Arch::Arm64 => ("qemu-system-aarch64", "virt", "cortex-a72"),
    };
    // Beside other work, and never left behind when this process is killed.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "SIGKILL", "nice", "-n", "10", program]);
    qemu.args(["-machine", &format!("{machine}{more}"), "-cpu", processor]);
    // Software emulation even where there is hardware for it: the same everywhere.
    qemu.args(["-accel", "tcg", "-smp", "1", "-m", &memory.to_string()]);
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    qemu
}

/// The command that writes such a machine's device tree to a file, and runs nothing.
pub(super) fn dump_tree(arch: Arch, memory: u32, to: &Path) -> Command {
    bare(arch, memory, &format!(",dumpdtb={}", to.display()))
}

impl Machine<'_> {
    fn command(&self) -> Command {
        let Self { arch, kernel, initrd, shared, devices, tree, memory, .. } = self;
        let mut qemu = bare(*arch, *memory, "");
        let terminal = match arch {
            Arch::Amd64 => "ttyS0",
            Arch::Arm64 => "ttyAMA0",
        };
        qemu.args(["-monitor", "none", "-no-reboot"]);
        if let Some(tree) = tree {
            qemu.arg("-dtb").arg(tree);
        }
        qemu.args(["-serial", "stdio", "-kernel"]).arg(kernel).arg("-initrd").arg(initrd);
        qemu.args(["-append", &format!("console={terminal} rdinit=/init panic=-1 loglevel=3 {STARVED}")]);
        let share = format!("local,path={},mount_tag=host,security_model=none", shared.display());
        qemu.args(["-virtfs", &share]).args(*devices);
        qemu
    }

    /// Runs it; what its script does is told to `step`, with the time since its start.
    ///
    /// # Errors
    /// When QEMU cannot be started or its output not be kept.
    pub(super) fn run(&self, mut step: impl FnMut(Duration, &str)) -> Result<End> {
        let start = Instant::now();
        let mut log = File::create(&self.console)
            .with_context(|| format!("cannot create {}", self.console.display()))?;
        let errors = log.try_clone().context("cannot share the console's file")?;
        let mut qemu = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("cannot start setpriv (package util-linux)")?;
        let output = qemu.stdout.take().context("QEMU has no output")?;
        let (lines, heard) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if lines.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });
        let mut end = End::Silent;
        let mut until = start + self.timeout;
        loop {
            match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    writeln!(log, "{line}").context("cannot write the console's file")?;
                    if let Some(about) = line.strip_prefix(BEGIN) {
                        step(start.elapsed(), &format!("booted ({about})"));
                    } else if let Some(what) = line.strip_prefix(STEP) {
                        step(start.elapsed(), what);
                    } else if let Some(status) = line.strip_prefix(END) {
                        end = status.trim().parse().map_or(End::Silent, End::Status);
                        until = until.min(Instant::now() + POWER_OFF);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if end == End::Silent {
                        end = End::Timeout;
                    }
                    break;
                }
            }
        }
        // Dead already, unless its time was up.
        let killed = qemu.kill();
        let status = qemu.wait().context("cannot wait for QEMU")?;
        if end == End::Silent && !status.success() {
            killed.context("cannot end QEMU")?;
            for line in cmd::tail(&self.console) {
                eprintln!("    {line}");
            }
            bail!("QEMU failed ({status})");
        }
        Ok(end)
    }
}
