//! Brings the kernel programs in and attaches them.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use aya::maps::{Array, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::trace_point::TracePointLink;
use aya::programs::{BtfTracePoint, ProgramError, ProgramType, RawTracePoint, TracePoint};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Ebpf, EbpfError, EbpfLoader};
use tracer_common::bus::Bus;
use tracer_common::call;
use tracer_common::config::{Config, map};
use tracer_common::counter::COUNTERS;
use tracer_common::limits::{CAPTURE_CALL, CAPTURE_MAX, STAGES_PER_CPU};

use super::btf::{self, BtfError, Layout, RdonlyCast};
use super::buses::Buses;
use super::each::{self, End};
use super::egress;
use super::object;
use super::rings::{Counters, Reader};
use super::selection::{self, DeviceFilter, Live, Selection};
use super::uring;

/// Which tracepoints carry system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// [`Self::Each`], and once a 32-bit program is seen the raw tracepoints for such programs; [`Self::Raw`] where the
    /// kernel does not allow that.
    Auto,
    /// `raw_tracepoint/sys_enter` and `sys_exit`: every call of every process passes them.
    Raw,
    /// As [`Self::Raw`], with typed arguments (`tp_btf`).
    Btf,
    /// `syscalls:sys_enter_*` and `sys_exit_*`, one pair a call: other calls pay less, the traced ones more, and
    /// 32-bit programs are not seen.
    Each,
}

/// How to load.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tracepoints.
    pub hooks: Hooks,
    /// Walk the kernel's structures; else follow descriptors.
    pub btf: bool,
    /// Payload bytes that are copied of a call on a device, at most [`CAPTURE_MAX`].
    pub capture_bytes: u32,
    /// Payload bytes that are copied of a call on a socket, at most [`CAPTURE_CALL`].
    pub capture_socket: u32,
    /// The same while the data ring fills faster than it is read.
    pub capture_busy: u32,
    /// Size of the data ring in bytes: a power of two, at least 64 KiB (pages may have 16 or 64 KiB).
    pub data_ring: u32,
    /// Size of the error and lifecycle ring in bytes.
    pub lifecycle_ring: u32,
    /// Select the processes that this one starts from now on.
    pub own_children: bool,
    /// With BTF: read the kernel's memory with plain loads where it allows that (since 6.2), else by a helper.
    pub plain_loads: bool,
    /// Plaintext of TLS libraries is wanted.
    pub tls: bool,
    /// Who and what.
    pub selection: Selection,
}

impl Options {
    /// The defaults: 4 KiB of payload of a device's call, all of a socket's, 8 MiB of data ring (0.3 s of 100,000 records a second), 4 MiB for
    /// errors and lifecycle (a burst of 10,000 errors), nothing selected.
    #[must_use]
    pub fn new(hooks: Hooks, btf: bool) -> Self {
        Self {
            hooks,
            btf,
            capture_bytes: 4096,
            capture_socket: CAPTURE_CALL as u32,
            capture_busy: 4096,
            data_ring: 8 << 20,
            lifecycle_ring: 2 << 20,
            own_children: false,
            plain_loads: true,
            tls: false,
            selection: Selection::default(),
        }
    }
}

/// Why the kernel programs do not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The binary was built without them.
    #[error("this binary has no kernel programs in it; build it with `cargo xtask build`")]
    NoObject,
    /// No right to.
    #[error(
        "the kernel does not let this process load BPF programs; run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE"
    )]
    NotAllowed,
    /// No BTF where it was asked for.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The object or a map was refused.
    #[error("the kernel refused the BPF object")]
    Object(#[source] EbpfError),
    /// A program was refused.
    #[error("the kernel refused the program {program}")]
    Program {
        /// Which one.
        program: &'static str,
        /// Why, with the verifier's words.
        source: ProgramError,
    },
    /// A program could not be attached.
    #[error(
        "cannot attach {program} to {hook}; the kernel needs CONFIG_BPF_EVENTS and CONFIG_FTRACE_SYSCALLS, and tracefs for `--hooks each`"
    )]
    Attach {
        /// Which one.
        program: &'static str,
        /// Where to.
        hook: String,
        /// Why.
        source: ProgramError,
    },
    /// A map could not be filled.
    #[error("cannot fill the filters")]
    Filters(#[from] MapError),
}

/// The running kernel side. Dropping it detaches everything.
pub struct Kernel {
    /// Where things are, if BTF is used.
    pub layout: Option<Layout>,
    /// The rings' reader.
    pub reader: Reader,
    /// The counters.
    pub counters: Counters,
    /// Filters that change while tracing.
    pub live: Live,
    /// Which devices are selected.
    pub devices: DeviceFilter,
    /// The selected buses; what keeps a bus from being seen, if something does.
    pub buses: Vec<(Bus, Option<String>)>,
    /// Whether packets show the bytes that `sendfile` and `splice` send, or what keeps them from it; `None` where nothing
    /// of connections is selected, or positions in them are not known (without BTF).
    pub egress: Option<Result<(), String>>,
    /// Whether requests of io_uring are seen, or what keeps them from it; `None` where the kernel's structures are not walked
    /// (without BTF).
    pub uring: Option<Result<(), String>>,
    /// Programs by name with the instructions that the verifier walked, 0 if the kernel does not tell.
    pub programs: Vec<(String, u32)>,
    /// Whether the kernel's memory is read with plain loads.
    pub plain_loads: bool,
    /// Programs and links.
    pub attachment: Attachment,
}

/// What is attached. Dropping it detaches everything.
pub struct Attachment {
    pub(super) bpf: Ebpf,
    /// Links to the tracepoints of single calls.
    links: Vec<TracePointLink>,
    buses: Buses,
    /// Whether 32-bit programs are seen.
    pub sees_compat: bool,
}

impl Attachment {
    /// Tells the kernel side that no call matters any more: what is in the rings, and the calls under way, are the last.
    pub fn mute(&mut self) {
        if let Some(numbers) = self.bpf.map_mut(map::NUMBERS)
            && let Ok(mut numbers) = Array::<&mut MapData, u32>::try_from(numbers)
        {
            for index in 0..2 * call::NUMBERS {
                // A call that stays on is recorded a little longer, no more.
                let _ = numbers.set(index, 0, 0);
            }
        }
        egress::mute(&mut self.bpf);
        uring::mute(&mut self.bpf);
    }

    /// A map of the kernel side, for looking into it.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<BorrowedFd<'_>> {
        match self.bpf.map(name)? {
            Map::Array(data) | Map::HashMap(data) | Map::PerCpuArray(data) => Some(data.fd().as_fd()),
            _ => None,
        }
    }

    /// Attaches the tracepoints of the selected buses, and of these, that were not there before: a driver may have been
    /// loaded. Returns the buses that are seen from now on.
    pub fn attach_buses(&mut self, more: &BTreeSet<Bus>) -> Vec<Bus> {
        self.buses.attach(&mut self.bpf, more)
    }

    /// Attaches the tracepoints that also show 32-bit programs, unless they are attached.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach_compat(&mut self) -> Result<(), LoadError> {
        if !std::mem::replace(&mut self.sees_compat, true) {
            attach_raw(&mut self.bpf, "compat_sys_exit", "sys_exit")?;
            attach_raw(&mut self.bpf, "compat_sys_enter", "sys_enter")?;
        }
        Ok(())
    }
}

/// Threads that detach. For each link the kernel waits until nobody is in the tracepoint any more, tens of
/// milliseconds; several at once take half as long as one (3 s instead of 7 s for all, measured on two cores).
const DETACHING: usize = 32;

impl Drop for Attachment {
    fn drop(&mut self) {
        let share = self.links.len().div_ceil(DETACHING);
        thread::scope(|scope| {
            while !self.links.is_empty() {
                let some = self.links.split_off(self.links.len().saturating_sub(share));
                // Where no thread can be had, this one detaches: the closure is dropped.
                let _ = thread::Builder::new().spawn_scoped(scope, move || drop(some));
            }
        });
    }
}

/// Loads and attaches.
///
/// # Errors
/// See [`LoadError`]; nothing stays attached.
pub fn load(options: &Options) -> Result<Kernel, LoadError> {
    match load_with(options, options.hooks) {
        // No tracefs, or no tracepoint for each call.
        Err(LoadError::Attach { hook, source, .. })
            if options.hooks == Hooks::Auto && hook.starts_with("syscalls:") =>
        {
            tracing::info!(
                "no tracepoint {hook} ({source}); using raw tracepoints, which cost other programs more"
            );
            load_with(options, Hooks::Raw)
        }
        other => other,
    }
}

pub(super) fn load_with(options: &Options, hooks: Hooks) -> Result<Kernel, LoadError> {
    if !object::is_there() {
        return Err(LoadError::NoObject);
    }
    let layout = if options.btf { Some(layout()?) } else { None };
    if let Some(cast) = layout.filter(|_| options.plain_loads).and_then(|layout| layout.rdonly_cast) {
        match load_reading(options, hooks, layout, Some(cast)) {
            Err(LoadError::Program { program, source }) => tracing::info!(
                "{program} was refused with plain loads from the kernel's memory ({source}); using a helper, which is slower"
            ),
            other => return other,
        }
    }
    load_reading(options, hooks, layout, None)
}

/// From how many bytes on a data ring of that size fills faster than it is read: three quarters, and there has to be room
/// for what is on its way by then.
fn busy(ring: u32) -> u32 {
    (ring / 4 * 3).min(ring.saturating_sub(4 * CAPTURE_MAX as u32))
}

/// Loads and attaches. `cast`: reads the kernel's memory that way, else by a helper.
fn load_reading(
    options: &Options,
    hooks: Hooks,
    layout: Option<Layout>,
    cast: Option<RdonlyCast>,
) -> Result<Kernel, LoadError> {
    let config = Config {
        own_tgid: std::process::id(),
        btf: u32::from(options.btf),
        only_processes: u32::from(options.selection.processes.is_some()),
        capture_bytes: options.capture_bytes.min(CAPTURE_MAX as u32),
        capture_socket: options.capture_socket.min(CAPTURE_CALL as u32),
        capture_busy: options.capture_busy,
        busy_bytes: busy(options.data_ring),
        arch: if cfg!(target_arch = "aarch64") { 2 } else { 1 },
        wake_bytes: options.data_ring / 8,
        lifecycle_wake_bytes: options.lifecycle_ring / 8,
        unix_paths: u32::from(!options.selection.unix_paths.is_empty()),
        loops: u32::from(has_loops()),
        own_children: u32::from(options.own_children),
        fork_child: if options.btf { 0 } else { fork_child().unwrap_or(0) },
        words_type: cast.map_or(0, |cast| cast.words),
        tls: u32::from(options.tls),
        offsets: layout.map(|layout| layout.offsets).unwrap_or_default(),
        uring: layout.and_then(|layout| layout.uring).unwrap_or_default(),
    };
    let mut bpf = EbpfLoader::new()
        .override_global("CONFIG", &config, true)
        .map_max_entries(map::STAGES, STAGES_PER_CPU * possible_cpus())
        .map_max_entries(map::DATA, options.data_ring)
        .map_max_entries(map::LIFECYCLE, options.lifecycle_ring)
        .load(&object::for_kernel(cast))
        .map_err(refused)?;
    selection::fill(&mut bpf, &options.selection)?;
    let missing =
        || MapError::IoError(std::io::Error::other("a ring or the counters are missing from the object"));
    let data = RingBuf::try_from(bpf.take_map(map::DATA).ok_or_else(missing)?)?;
    let lifecycle = RingBuf::try_from(bpf.take_map(map::LIFECYCLE).ok_or_else(missing)?)?;
    let counters = PerCpuArray::try_from(bpf.take_map(map::COUNTERS).ok_or_else(missing)?)?;
    let live = Live::take(&mut bpf)?;
    let devices = DeviceFilter::take(&mut bpf)?;
    let mut links = Vec::new();
    // Before the calls: the first that does not show its bytes counts on it.
    let sockets = !options.selection.ports.is_empty() && options.btf;
    let egress = sockets.then(|| egress::attach(&mut bpf));
    let uring = layout.map(|layout| uring::attach(&mut bpf, layout.uring));
    attach(&mut bpf, hooks, options, config.fork_child != 0, &mut links)?;
    let mut buses = Buses::default();
    buses.attach(&mut bpf, &options.selection.buses);
    let programs = bpf.programs().filter_map(|(name, program)| {
        let info = program.info().ok()?;
        Some((name.to_owned(), info.verified_instruction_count().unwrap_or(0)))
    });
    let programs = programs.collect();
    Ok(Kernel {
        layout,
        reader: Reader::new(data, lifecycle).map_err(MapError::IoError)?,
        counters: Counters::new(counters, COUNTERS),
        live,
        devices,
        buses: buses.outcomes(),
        egress,
        uring,
        programs,
        plain_loads: cast.is_some(),
        attachment: Attachment {
            bpf,
            links,
            buses,
            sees_compat: hooks != Hooks::Auto && hooks != Hooks::Each,
        },
    })
}

/// The running kernel's layout. It does not change, and to find it means to read megabytes.
fn layout() -> Result<Layout, BtfError> {
    static KNOWN: OnceLock<Layout> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    btf::read(Path::new(btf::VMLINUX)).map(|found| *KNOWN.get_or_init(|| found))
}

fn attach(
    bpf: &mut Ebpf,
    hooks: Hooks,
    options: &Options,
    fork_child: bool,
    links: &mut Vec<TracePointLink>,
) -> Result<(), LoadError> {
    // Exits before entries: an entry that nobody saw return would look like a call that never ends.
    if options.btf {
        raw(bpf, "process_fork", "sched_process_fork")?;
    } else if fork_child {
        let (program, hook) = ("process_fork_each", "sched_process_fork");
        let found: &mut TracePoint = typed_program(bpf, program)?;
        found.load().map_err(|source| LoadError::Program { program, source })?;
        let link = found.attach("sched", hook).and_then(|id| found.take_link(id));
        let failed = |source| LoadError::Attach { program, hook: format!("sched:{hook}"), source };
        links.push(link.map_err(failed)?);
    }
    raw(bpf, "process_exec", "sched_process_exec")?;
    raw(bpf, "process_exit", "sched_process_exit")?;
    attach_calls(bpf, hooks, options, links)
}

fn attach_calls(
    bpf: &mut Ebpf,
    hooks: Hooks,
    options: &Options,
    links: &mut Vec<TracePointLink>,
) -> Result<(), LoadError> {
    match hooks {
        Hooks::Auto => {
            attach_calls(bpf, Hooks::Each, options, links)?;
            load_raw(bpf, "compat_sys_exit")?;
            load_raw(bpf, "compat_sys_enter")
        }
        Hooks::Raw => {
            raw(bpf, "raw_sys_exit", "sys_exit")?;
            raw(bpf, "raw_sys_enter", "sys_enter")
        }
        Hooks::Btf => {
            let btf =
                aya::Btf::from_sys_fs().map_err(|error| LoadError::Object(EbpfError::BtfError(error)))?;
            typed(bpf, "btf_sys_exit", "sys_exit", &btf)?;
            typed(bpf, "btf_sys_enter", "sys_enter", &btf)
        }
        Hooks::Each => {
            each(bpf, End::Exit, options, links)?;
            each(bpf, End::Entry, options, links)
        }
    }
}

pub(super) fn load_raw(bpf: &mut Ebpf, program: &'static str) -> Result<(), LoadError> {
    let found: &mut RawTracePoint = typed_program(bpf, program)?;
    found.load().map_err(|source| LoadError::Program { program, source })
}

fn raw(bpf: &mut Ebpf, program: &'static str, hook: &str) -> Result<(), LoadError> {
    load_raw(bpf, program)?;
    attach_raw(bpf, program, hook)
}

pub(super) fn attach_raw(bpf: &mut Ebpf, program: &'static str, hook: &str) -> Result<(), LoadError> {
    let found: &mut RawTracePoint = typed_program(bpf, program)?;
    found.attach(hook).map_err(|source| LoadError::Attach { program, hook: hook.to_owned(), source })?;
    Ok(())
}

fn typed(bpf: &mut Ebpf, program: &'static str, hook: &str, btf: &aya::Btf) -> Result<(), LoadError> {
    let found: &mut BtfTracePoint = typed_program(bpf, program)?;
    found.load(hook, btf).map_err(|source| LoadError::Program { program, source })?;
    found.attach().map_err(|source| LoadError::Attach { program, hook: hook.to_owned(), source })?;
    Ok(())
}

fn each(
    bpf: &mut Ebpf,
    end: End,
    options: &Options,
    links: &mut Vec<TracePointLink>,
) -> Result<(), LoadError> {
    let (program, prefix) = match end {
        End::Entry => ("sys_enter_each", "sys_enter"),
        End::Exit => ("sys_exit_each", "sys_exit"),
    };
    let found: &mut TracePoint = typed_program(bpf, program)?;
    found.load().map_err(|source| LoadError::Program { program, source })?;
    let rows = if cfg!(target_arch = "aarch64") { call::ARM64 } else { call::AMD64 };
    for (_, call) in rows.iter().filter(|(_, call)| each::is_needed(*call, end, options)) {
        let hook = format!("{prefix}_{}", each::event_name(*call));
        let link = found.attach("syscalls", &hook).and_then(|id| found.take_link(id));
        links.push(link.map_err(|source| LoadError::Attach {
            program,
            hook: format!("syscalls:{hook}"),
            source,
        })?);
    }
    Ok(())
}

pub(super) fn typed_program<'a, P>(bpf: &'a mut Ebpf, program: &'static str) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let found = bpf.program_mut(program).ok_or(LoadError::NoObject)?;
    found.try_into().map_err(|source| LoadError::Program { program, source })
}

fn refused(error: EbpfError) -> LoadError {
    // aya wraps the errno at several depths; what it means is the same at each.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>()
            && matches!(io.raw_os_error(), Some(libc::EPERM | libc::EACCES))
        {
            return LoadError::NotAllowed;
        }
        cause = current.source();
    }
    LoadError::Object(error)
}

/// Whether the kernel has the helper `bpf_loop` (since 5.17); if that cannot be found out, it is tried.
fn has_loops() -> bool {
    is_helper_supported(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_loop).unwrap_or(true)
}

/// Where `child_pid` lies in the record of the tracepoint `sched_process_fork`: it is not the same in all kernels.
/// `None` where tracefs is not mounted.
fn fork_child() -> Option<u32> {
    let format = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].into_iter().find_map(|folder| {
        std::fs::read_to_string(format!("{folder}/events/sched/sched_process_fork/format")).ok()
    })?;
    offset_in_format(&format, "child_pid")
}

/// `\tfield:pid_t child_pid;\toffset:20;\tsize:4;\tsigned:1;`.
fn offset_in_format(format: &str, field: &str) -> Option<u32> {
    let line = format.lines().find(|line| line.contains(&format!(" {field};")))?;
    let offset = line.split('\t').find_map(|part| part.strip_prefix("offset:"))?;
    offset.trim_end_matches(';').parse().ok()
}

/// Number of CPUs that this machine can have: `/sys/devices/system/cpu/possible` is `0-N` or `0`.
fn possible_cpus() -> u32 {
    let path = PathBuf::from("/sys/devices/system/cpu/possible");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let last = text.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok());
    last.map_or(tracer_common::limits::CPUS, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_in_a_tracepoints_format() {
        let format = "format:\n\tfield:char child_comm[16];\toffset:28;\tsize:16;\tsigned:0;\n\
                      \tfield:pid_t child_pid;\toffset:44;\tsize:4;\tsigned:1;\n\nprint fmt: \"child_pid=%d\"\n";
        assert_eq!(offset_in_format(format, "child_pid"), Some(44));
        assert_eq!(offset_in_format(format, "pid"), None);
        assert_eq!(offset_in_format("", "child_pid"), None);
    }
}
