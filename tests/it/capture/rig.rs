//! The kernel side alone, with a probe in front of it: every record as it left the ring.

use bytes::Bytes;
use iotrail::decode::Decoder;
use iotrail::host::devices;
use iotrail::kernel::load::{self, Attachment, Hooks, Kernel, Options};
use iotrail::kernel::rings::{Counters, Reader};
use iotrail::kernel::selection::Selection;
use iotrail::model::capture::Capture;
use iotrail::pipeline::follow::Follower;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use tracer_common::call::Call;
use tracer_common::record::{Header, Kind};

use super::probe::Probe;

/// How the kernel side is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) hooks: Hooks,
    pub(super) btf: bool,
    /// With BTF: plain loads from the kernel's memory, else a helper.
    pub(super) plain_loads: bool,
}

/// Every set of hooks, as on older kernels, and without BTF.
pub(super) const MODES: [Mode; 5] = [RAW, Mode { hooks: Hooks::Btf, ..RAW }, EACH, HELPED, FOLLOWED];
/// Raw tracepoints.
pub(super) const RAW: Mode = Mode { hooks: Hooks::Raw, btf: true, plain_loads: true };
/// One tracepoint a call.
pub(super) const EACH: Mode = Mode { hooks: Hooks::Each, ..RAW };
/// As kernels before 6.2 do it.
pub(super) const HELPED: Mode = Mode { plain_loads: false, ..EACH };
/// Raw tracepoints, without BTF.
pub(super) const FOLLOWED: Mode = Mode { btf: false, ..RAW };
/// What looks descriptors up, and what follows them.
pub(super) const BOTH: [Mode; 2] = [RAW, FOLLOWED];

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) header: Header,
    pub(super) payload: Bytes,
    pub(super) capture: Capture,
}

impl Seen {
    /// What kind it is.
    pub(super) fn kind(&self) -> Kind {
        Kind::from_wire(self.header.kind).expect("a known kind")
    }

    /// Whether the kernel side flagged it so.
    pub(super) fn has(&self, flag: u16) -> bool {
        self.header.flags & flag != 0
    }
}

/// The loaded kernel side.
pub(super) struct Rig {
    reader: Reader,
    counters: Counters,
    attachment: Option<Attachment>,
    decoder: Decoder,
    follower: Option<Follower>,
    seen: Vec<Seen>,
}

impl Rig {
    /// Loads it with the defaults.
    pub(super) fn new(mode: Mode, selection: Selection) -> Self {
        let plain_loads = mode.plain_loads;
        Self::with(&Options { selection, plain_loads, ..Options::new(mode.hooks, mode.btf) })
    }

    /// Loads it.
    pub(super) fn with(options: &Options) -> Self {
        let loaded = load::load(options);
        let Kernel { layout, reader, counters, live, attachment, .. } = loaded.unwrap_or_else(|error| {
            panic!("the kernel side loads: {}", iotrail::kernel::features::chain(&error))
        });
        let decoder = Decoder { layout: layout.map(|layout| layout.sock), clock_offset: 0 };
        let follower = (!options.btf).then(|| Follower::new(live, options.selection.clone()));
        Self { reader, counters, attachment: Some(attachment), decoder, follower, seen: Vec::new() }
    }

    /// Reads what is in the rings now.
    pub(super) fn poll(&mut self) {
        let mut raw = Vec::new();
        self.reader.read(u64::MAX, true, &mut raw);
        if !self.reader.take_compat().is_empty() {
            self.attachment.as_mut().expect("it is held").attach_compat().expect("32-bit programs are seen");
        }
        for record in raw {
            let mut capture =
                self.decoder.decode(&record.header, record.payload.clone()).expect("it decodes");
            if self.follower.as_mut().is_none_or(|follower| follower.resolve(&mut capture)) {
                self.seen.push(Seen { header: record.header, payload: record.payload, capture });
            }
        }
    }

    /// Lets the probe do a command, and what is seen be read; the command's result.
    pub(super) fn call(&mut self, probe: &mut Probe, command: &str) -> i64 {
        let result = probe.call(command);
        self.poll();
        result
    }

    /// As [`Self::call`]: the result has to be this one.
    pub(super) fn expect(&mut self, probe: &mut Probe, command: &str, result: i64) {
        assert_eq!(self.call(probe, command), result, "{command}");
    }

    /// Everything seen since the last time, in the order of the calls' ends.
    pub(super) fn take(&mut self) -> Vec<Seen> {
        self.poll();
        std::mem::take(&mut self.seen)
    }

    /// As [`Self::take`], only records of this kind.
    pub(super) fn of(&mut self, kind: Kind) -> Vec<Seen> {
        self.take().into_iter().filter(|seen| seen.kind() == kind).collect()
    }

    /// As [`Self::of`]: there has to be exactly one.
    pub(super) fn one(&mut self, kind: Kind) -> Seen {
        let mut seen = self.of(kind);
        assert_eq!(seen.len(), 1, "one {kind:?}: {seen:#?}");
        seen.remove(0)
    }

    /// A counter of the kernel side.
    pub(super) fn count(&self, name: &str) -> u64 {
        let counts = self.counters.read().expect("the counters can be read");
        counts.iter().find(|(known, _)| *known == name).expect("there is such a counter").1
    }

    /// Threads that the kernel side keeps a call of.
    pub(super) fn threads(&mut self) -> Vec<u32> {
        let attachment = self.attachment.as_ref().expect("it is held");
        keys(attachment.map("CALLS").expect("the map is there").as_raw_fd())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A hundred tracepoints take their time to be left; the next test need not wait for that.
        let attachment = self.attachment.take();
        std::thread::spawn(move || drop(attachment));
    }
}

/// The keys of a hash map whose keys are thread ids.
fn keys(map: i32) -> Vec<u32> {
    /// `BPF_MAP_GET_NEXT_KEY`, `include/uapi/linux/bpf.h`.
    const NEXT_KEY: usize = 4;
    #[repr(C)]
    struct Attributes {
        map: u32,
        pad: u32,
        key: u64,
        next: u64,
    }
    let mut keys: Vec<u32> = Vec::new();
    loop {
        let mut next = 0u32;
        let key = keys.last().map_or(0, |key| std::ptr::from_ref(key) as u64);
        let attributes = Attributes { map: map.cast_unsigned(), pad: 0, key, next: &raw mut next as u64 };
        // SAFETY: the attributes are those of this command, and the key and its place are valid.
        let found =
            unsafe { libc::syscall(libc::SYS_bpf, NEXT_KEY, &raw const attributes, size_of::<Attributes>()) };
        if found != 0 {
            return keys;
        }
        keys.push(next);
    }
}

/// Selects these processes.
pub(super) fn only(pids: &[u32]) -> Selection {
    Selection {
        processes: Some(pids.iter().copied().collect()),
        ioctls: iotrail::device::recipes().to_vec(),
        ..Selection::default()
    }
}

/// Selects a device of one process.
pub(super) fn device(pid: u32, path: impl AsRef<Path>) -> Selection {
    let row = devices::node_row(path.as_ref()).expect("a device node");
    Selection { devices: [row].into(), ..only(&[pid]) }
}

/// Selects a port of one process.
pub(super) fn port(pid: u32, port: u16) -> Selection {
    Selection { ports: [port].into(), ..only(&[pid]) }
}

/// Checks what every record of a call says: who, when, which call, and what it returned.
pub(super) fn check_call(seen: &Seen, probe: &Probe, call: Call, result: i64) {
    let header = &seen.header;
    assert_eq!(header.tgid, probe.pid(), "{seen:#?}");
    assert_eq!((seen.capture.call, header.result), (call, result), "{seen:#?}");
    assert!(header.enter_ns > 0 && header.enter_ns <= header.exit_ns, "{seen:#?}");
    let now = iotrail::host::clock::monotonic_ns();
    assert!(header.exit_ns <= now && now - header.enter_ns < 60_000_000_000, "{seen:#?}");
}
