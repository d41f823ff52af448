//! What this kernel allows: each facility is tried, never derived from a version number.

use std::path::Path;

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported};

use super::btf;
use super::load::{self, Hooks, LoadError, Options};
use super::selection::Selection;
use tracer_common::bus::{BUSES, Bus};
use tracer_common::tls::{Hook, PROGRAMS};

/// One facility of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is called.
    pub name: &'static str,
    /// Whether it is there.
    pub available: bool,
    /// Whether iotrail cannot trace at all without it.
    pub required: bool,
    /// What is known beyond that.
    pub detail: String,
    /// What its absence costs the user.
    pub consequence: &'static str,
    /// What the user can do about it.
    pub remedy: &'static str,
}

/// What a trial load showed.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// Programs by name with the instructions that the verifier walked.
    pub programs: Vec<(String, u32)>,
}

/// Tries everything. Attaches the kernel programs for a moment, with nothing selected.
#[must_use]
pub fn probe() -> (Vec<Feature>, Trial) {
    let mut trial = Trial::default();
    let mut features = vec![rights(), ring(), raw_tracepoints(), types()];
    let mut plain = false;
    let mut egress = None;
    let mut uring = None;
    let has_btf = features.iter().any(|feature| feature.name == "btf" && feature.available);
    for (name, hooks, btf, required) in [
        ("system calls (raw tracepoints)", Hooks::Raw, has_btf, true),
        ("system calls (typed raw tracepoints)", Hooks::Btf, has_btf, false),
        ("system calls (one tracepoint each, and 32-bit)", Hooks::Auto, has_btf, false),
        ("system calls (raw tracepoints, descriptors followed)", Hooks::Raw, false, false),
    ] {
        let options = Options { selection: nothing(), ..Options::new(hooks, btf) };
        // Without the fall-back that a run has: what fails is to be seen.
        let loaded = load::load_with(&options, hooks);
        let (available, detail) = match loaded {
            Ok(kernel) => {
                plain |= kernel.plain_loads;
                egress = kernel.egress.or(egress);
                uring = kernel.uring.or(uring);
                let suffix = if btf { "" } else { ":no-btf" };
                trial
                    .programs
                    .extend(kernel.programs.iter().map(|(name, count)| (format!("{name}{suffix}"), *count)));
                let count = kernel.programs.len();
                (true, format!("{count} programs"))
            }
            Err(error) => (false, chain(&error)),
        };
        features.push(Feature {
            name,
            available,
            required,
            detail,
            consequence: match hooks {
                Hooks::Raw => "nothing can be traced",
                Hooks::Btf => "none: raw tracepoints serve as well",
                Hooks::Auto | Hooks::Each => "raw tracepoints are used instead, which cost every system call of every program more",
            },
            remedy: "a kernel with CONFIG_BPF_EVENTS, CONFIG_HAVE_SYSCALL_TRACEPOINTS and, for one tracepoint each, \
                     CONFIG_FTRACE_SYSCALLS and a mounted tracefs (mount -t tracefs tracefs /sys/kernel/tracing)",
        });
    }
    features.push(plain_loads(plain));
    features.push(helper(
        "bpf_loop",
        BpfHelper::BPF_FUNC_loop,
        "of a readv or writev with many segments only the first four are captured; the rest is counted as cut",
    ));
    features.push(tracefs());
    features
        .push(packets(egress.unwrap_or_else(|| Err("positions in connections are not known".to_owned()))));
    features.push(requests(uring.unwrap_or_else(|| Err("the kernel's structures are not known".to_owned()))));
    features.extend(buses(&mut trial));
    features.push(hooks_in_programs(&mut trial, has_btf));
    trial.programs.sort();
    trial.programs.dedup();
    (features, trial)
}

/// Which drivers tell of the transactions on their bus: those that are loaded now.
fn buses(trial: &mut Trial) -> Vec<Feature> {
    let selection = Selection { buses: BUSES.into(), ..nothing() };
    let options = Options { selection, ..Options::new(Hooks::Raw, false) };
    let Ok(kernel) = load::load_with(&options, Hooks::Raw) else { return Vec::new() };
    // The others are in the trial already.
    let own = |name: &str| BUSES.iter().flat_map(|bus| bus.hooks()).any(|(program, _)| *program == name);
    trial.programs.extend(kernel.programs.into_iter().filter(|(name, _)| own(name)));
    let feature = |(bus, missing): (Bus, Option<String>)| Feature {
        name: match bus {
            Bus::I2c => "bus spans: i2c",
            Bus::Smbus => "bus spans: smbus",
            Bus::Spi => "bus spans: spi",
            Bus::Scsi => "bus spans: scsi",
            Bus::Nvme => "bus spans: nvme",
            Bus::Block => "bus spans: block",
            Bus::V4l2 => "bus spans: v4l2",
            Bus::Usb => "bus spans: usb",
        },
        available: missing.is_none(),
        required: false,
        detail: missing.unwrap_or_default(),
        consequence: "commands of such devices show no span for the time on the bus",
        remedy: "load the driver before iotrail starts, if there is such a device",
    };
    kernel.buses.into_iter().map(feature).collect()
}

/// Whether functions of programs can be hooked: all programs for that are loaded, and one place of this program hooked.
fn hooks_in_programs(trial: &mut Trial, btf: bool) -> Feature {
    let options = Options { selection: nothing(), tls: true, ..Options::new(Hooks::Raw, btf) };
    let tried = load::load_with(&options, Hooks::Raw).and_then(|mut kernel| {
        let place = own_place(rights as *const () as usize).unwrap_or(0);
        let hooks = PROGRAMS.map(|program| Hook { offset: place, program, cookie: 0 });
        kernel.attachment.hook(Path::new("/proc/self/exe"), &hooks)?;
        Ok(kernel.attachment.tls_programs())
    });
    let (available, detail) = match tried {
        Ok(programs) => {
            let count = programs.len();
            trial.programs.extend(programs);
            (true, format!("{count} programs"))
        }
        Err(error) => (false, chain(&error)),
    };
    Feature {
        name: "hooks in TLS libraries (uprobes)",
        available,
        required: false,
        detail,
        consequence: "encrypted connections to brokers are only counted: what is in them is not seen",
        remedy: "a kernel from 5.15 on with CONFIG_UPROBE_EVENTS",
    }
}

/// The place in its file of an address of this program.
fn own_place(address: usize) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    maps.lines().find_map(|line| {
        // `address perms offset …`
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = hex(fields.nth(1)?)?;
        let into = (address as u64).checked_sub(hex(start)?)?;
        (address as u64 <= hex(end)?).then_some(offset + into)
    })
}

/// How the lines begin with which a verifier's log ends: they count, and give no reason.
const STATISTICS: &[&str] = &["processed ", "verification time ", "stack depth "];

/// An error with its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // A verifier's log is no line: its last words say what it did not like.
        let says_nothing =
            |line: &&str| line.trim().is_empty() || STATISTICS.iter().any(|word| line.starts_with(word));
        let last = words.lines().rfind(|line| !says_nothing(line)).unwrap_or_default();
        if !text.contains(last) {
            text.push_str(": ");
            text.push_str(last);
        }
        cause = inner.source();
    }
    text
}

/// Of nobody, but of both sides: every tracepoint is tried.
fn nothing() -> Selection {
    Selection {
        processes: Some([].into()),
        devices: [(1, 1, None)].into(),
        ports: [1].into(),
        ..Selection::default()
    }
}

fn rights() -> Feature {
    let allowed = is_program_supported(ProgramType::SocketFilter);
    let available = matches!(allowed, Ok(true));
    Feature {
        name: "rights",
        available,
        required: true,
        detail: if available { "BPF programs may be loaded" } else { "BPF programs may not be loaded" }
            .to_owned(),
        consequence: "nothing can be traced",
        remedy: "run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
    }
}

fn ring() -> Feature {
    Feature {
        name: "ring buffer",
        available: is_map_supported(MapType::RingBuf).unwrap_or(false),
        required: true,
        detail: String::new(),
        consequence: "nothing can be traced",
        remedy: "a kernel from 5.8 on (if the rights are there)",
    }
}

fn raw_tracepoints() -> Feature {
    Feature {
        name: "raw tracepoints",
        available: is_program_supported(ProgramType::RawTracePoint).unwrap_or(false),
        required: true,
        detail: String::new(),
        consequence: "nothing can be traced",
        remedy: "a kernel with CONFIG_BPF_EVENTS, which needs CONFIG_PERF_EVENTS and CONFIG_KPROBE_EVENTS or CONFIG_UPROBE_EVENTS",
    }
}

fn types() -> Feature {
    let read = btf::read(Path::new(btf::VMLINUX));
    Feature {
        name: "btf",
        available: read.is_ok(),
        required: false,
        detail: read.err().map(|error| error.to_string()).unwrap_or_default(),
        consequence: "descriptors are followed through open, dup and /proc instead of looked up, and sockets show no \
                      stream positions: messages are joined by content and order",
        remedy: "a kernel with CONFIG_DEBUG_INFO_BTF",
    }
}

fn plain_loads(available: bool) -> Feature {
    Feature {
        name: "bpf_rdonly_cast",
        available,
        required: false,
        detail: String::new(),
        consequence: "the kernel's memory is read by a helper: a hooked call costs some 0.1 µs more",
        remedy: "a kernel from 6.2 on, with CONFIG_DEBUG_INFO_BTF",
    }
}

fn helper(name: &'static str, helper: BpfHelper, consequence: &'static str) -> Feature {
    Feature {
        name,
        available: is_helper_supported(ProgramType::RawTracePoint, helper).unwrap_or(false),
        required: false,
        detail: String::new(),
        consequence,
        remedy: "a newer kernel",
    }
}

/// Whether packets show what calls do not; or what keeps them from it.
#[must_use]
pub fn packets(outcome: Result<(), String>) -> Feature {
    Feature {
        name: "packets (what sendfile and splice send)",
        available: outcome.is_ok(),
        required: false,
        detail: outcome.err().unwrap_or_default(),
        consequence: "what a program sends with sendfile or splice is counted, and messages in it are not seen from the \
                      sender's end: a Kafka broker answers its consumers so",
        remedy: "a kernel with CONFIG_CGROUP_BPF and CONFIG_DEBUG_INFO_BTF, a mounted version 2 hierarchy of control groups \
                 (mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified), and CAP_NET_ADMIN",
    }
}

/// Whether requests of io_uring are seen; or what keeps them from it.
#[must_use]
pub fn requests(outcome: Result<(), String>) -> Feature {
    Feature {
        name: "io_uring",
        available: outcome.is_ok(),
        required: false,
        detail: outcome.err().unwrap_or_default(),
        consequence: "what programs move through io_uring is not seen: on connections it shows as gaps in their positions",
        remedy: "a kernel from 6.0 on with CONFIG_DEBUG_INFO_BTF and CONFIG_IO_URING",
    }
}

fn tracefs() -> Feature {
    let mounted = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"];
    Feature {
        name: "tracefs",
        available: mounted.iter().any(|path| Path::new(path).exists()),
        required: false,
        detail: String::new(),
        consequence: "raw tracepoints are used instead, which cost every system call of every program more",
        remedy: "mount -t tracefs tracefs /sys/kernel/tracing",
    }
}

/// Whether an error means that the kernel or the rights do not allow tracing, as opposed to a fault of ours.
#[must_use]
pub fn is_denied(error: &LoadError) -> bool {
    !matches!(error, LoadError::NoObject | LoadError::Filters(_))
}
