//! What one message costs the user side: records as the kernel side makes them go through the engine, the metrics and
//! the encoder on one thread, without kernel, broker and queues.
//!
//! The records are those of a publisher, a broker and a subscriber on one host, call by call as Mosquitto 2.0 and a
//! client with a buffered reader make them: one write of the publisher, four reads of the broker (one byte, the length byte by
//! byte, the rest), its write, one read of the subscriber. Making them is not measured; time is the thread's CPU time, so
//! that a busy machine changes little.

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::BytesMut;
use clap::Parser;
use iotrail::decode::Decoder;
use iotrail::export::metrics::{Metrics, Telemetry};
use iotrail::export::otlp::{Encoder, Host};
use iotrail::export::payload::{DigestKey, PayloadPolicy};
use iotrail::host::devices::{Catalog, Sysfs};
use iotrail::kernel::rings::Raw;
use iotrail::model::op::System;
use iotrail::model::span::Span;
use iotrail::model::time::Timestamp;
use iotrail::pipeline::engine::{Engine, Settings};
use rustix::time::{ClockId, clock_gettime};
use tracer_common::call::Call;
use tracer_common::config::SockLayout;
use tracer_common::record::{Header, Kind, Target, flag};

/// Measures what one message costs the user side.
#[derive(Parser)]
struct Options {
    /// Messages to send through.
    #[arg(long, default_value_t = 300_000)]
    messages: u64,
    /// Messages a second of the recording's own time: how many are held at once.
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Times that it is measured; the quickest counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Cargo says so to benchmarks.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The heap, counted.
struct Counted;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static HEAP: Counted = Counted;

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        let live = LIVE.fetch_add(layout.size() as u64, Relaxed) + layout.size() as u64;
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { Heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { Heap.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        let live = LIVE.fetch_add(size as u64, Relaxed) + size as u64;
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { Heap.realloc(at, layout, size) }
    }
}

/// Where the recording's socks have their fields, as in Linux 6.18.
const LAYOUT: SockLayout = SockLayout {
    daddr: 0,
    rcv_saddr: 4,
    dport: 12,
    num: 14,
    family: 16,
    net: 48,
    v6_daddr: 56,
    v6_rcv_saddr: 72,
};
/// No process has such a number, so that nothing is read of one.
const PUBLISHER: u32 = 5_000_001;
const BROKER: u32 = 5_000_002;
const SUBSCRIBER: u32 = 5_000_003;
/// The analysis lets time pass this often.
const TICK_NS: u64 = 25_000_000;
/// Spans of one line of OTLP/JSON.
const LINE: usize = 256;
/// Bytes of payloads that share an allocation in the reader of the rings.
const ARENA: usize = 64 * 1024;
/// The budget: `messages/s decoded and linked per core`.
const BUDGET: f64 = 100_000.0;

/// One end of a connection.
#[derive(Clone)]
struct End {
    pid: u32,
    comm: [u8; 16],
    fd: i32,
    sock: u64,
    common: [u8; 96],
    /// Positions of what comes in and of what goes out.
    positions: [u32; 2],
}

impl End {
    fn new(pid: u32, comm: &str, fd: i32, local: u16, remote: u16) -> Self {
        let mut name = [0; 16];
        name[..comm.len()].copy_from_slice(comm.as_bytes());
        let mut common = [0; 96];
        common[0..4].copy_from_slice(&[127, 0, 0, 1]);
        common[4..8].copy_from_slice(&[127, 0, 0, 1]);
        common[12..14].copy_from_slice(&remote.to_be_bytes());
        common[14..16].copy_from_slice(&local.to_ne_bytes());
        common[16..18].copy_from_slice(&2u16.to_ne_bytes());
        // The publisher's connection and the subscriber's, both ways.
        let positions = if local < remote { [1_000, 500_000] } else { [500_000, 1_000] };
        Self { pid, comm: name, fd, sock: 0xffff_8880_0000_0000 + u64::from(local), common, positions }
    }
}

/// Makes the records of a run.
struct Recording {
    publisher: End,
    from_publisher: End,
    to_subscriber: End,
    subscriber: End,
    arena: BytesMut,
    size: usize,
    sent: u64,
}

impl Recording {
    fn new(size: usize) -> Self {
        Self {
            publisher: End::new(PUBLISHER, "load_mqtt", 4, 40_001, 1883),
            from_publisher: End::new(BROKER, "mosquitto", 7, 1883, 40_001),
            to_subscriber: End {
                sock: 0xffff_8880_0001_0000,
                ..End::new(BROKER, "mosquitto", 8, 1883, 40_002)
            },
            subscriber: End::new(SUBSCRIBER, "load_mqtt", 3, 40_002, 1883),
            arena: BytesMut::new(),
            size,
            sent: 0,
        }
    }

    /// One call that moves `bytes`, from `at` for `took` ns.
    fn call(arena: &mut BytesMut, end: &mut End, outward: bool, bytes: &[u8], at: u64, took: u64) -> Raw {
        let position = &mut end.positions[usize::from(outward)];
        let mut header = Header::ZERO;
        header.kind = Kind::Data as u16;
        header.call = if outward { Call::Write as u16 } else { Call::Read as u16 };
        header.flags = flag::POSITION | if outward { flag::OUTWARD } else { 0 };
        header.target = Target::Socket as u8;
        (header.tgid, header.tid, header.comm) = (end.pid, end.pid, end.comm);
        (header.enter_ns, header.exit_ns) = (at, at + took);
        header.result = bytes.len() as i64;
        header.requested = bytes.len() as u64;
        header.captured = bytes.len() as u32;
        header.fd = end.fd;
        header.position = u64::from(*position);
        header.segments = 1;
        (header.sock, header.sock_common) = (end.sock, end.common);
        *position = position.wrapping_add(bytes.len() as u32);
        if arena.capacity() < bytes.len() {
            *arena = BytesMut::with_capacity(bytes.len().max(ARENA));
        }
        arena.extend_from_slice(bytes);
        Raw { header, payload: arena.split().freeze() }
    }

    /// Both clients connect, one subscribes.
    fn open(&mut self, at: u64, out: &mut Vec<Raw>) {
        let connect = |id: &str| packet(0x10, &[b"\x00\x04MQTT\x04\x02\x00\x00", &text(id)[..]].concat());
        let subscribe = packet(0x82, &[b"\x00\x01", &text(TOPIC)[..], b"\x00"].concat());
        let pairs = [
            (&mut self.publisher, &mut self.from_publisher),
            (&mut self.subscriber, &mut self.to_subscriber),
        ];
        let mut at = at;
        for ((client, broker), id) in pairs.into_iter().zip(["load-publisher", "load-subscriber"]) {
            let mut exchange = |from: &mut End, to: &mut End, bytes: &[u8]| {
                out.push(Self::call(&mut self.arena, from, true, bytes, at, 10_000));
                out.push(Self::call(&mut self.arena, to, false, bytes, at + 20_000, 2_000));
                at += 50_000;
            };
            exchange(client, broker, &connect(id));
            exchange(broker, client, &[0x20, 2, 0, 0]);
            if id == "load-subscriber" {
                exchange(client, broker, &subscribe);
                exchange(broker, client, &[0x90, 3, 0, 1, 0]);
            }
        }
    }

    /// One message from end to end.
    fn message(&mut self, at: u64, out: &mut Vec<Raw>) {
        let mut body = vec![0u8; self.size.max(16)];
        body[..8].copy_from_slice(&self.sent.to_be_bytes());
        body[8..16].copy_from_slice(&at.to_be_bytes());
        self.sent += 1;
        let packet = packet(0x30, &[&text(TOPIC)[..], &body].concat());
        let header = packet.len() - text(TOPIC).len() - body.len();
        let arena = &mut self.arena;
        out.push(Self::call(arena, &mut self.publisher, true, &packet, at, 15_000));
        let mut read = at + 16_000;
        for byte in 0..header {
            out.push(Self::call(arena, &mut self.from_publisher, false, &packet[byte..=byte], read, 600));
            read += 800;
        }
        out.push(Self::call(arena, &mut self.from_publisher, false, &packet[header..], read, 900));
        out.push(Self::call(arena, &mut self.to_subscriber, true, &packet, read + 2_000, 12_000));
        // The subscriber was waiting in its read.
        out.push(Self::call(arena, &mut self.subscriber, false, &packet, at.saturating_sub(30_000), 65_000));
    }
}

const TOPIC: &str = "load/messages";

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        packet.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// What one part of the work took.
#[derive(Clone, Copy, Default)]
struct Part {
    ns: u64,
    allocations: u64,
}

/// Runs parts of the work and adds up what they take.
#[derive(Default)]
struct Watch(BTreeMap<&'static str, Part>);

impl Watch {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let before = (cpu_ns(), ALLOCATIONS.load(Relaxed));
        let result = work();
        let part = self.0.entry(name).or_default();
        part.ns += cpu_ns() - before.0;
        part.allocations += ALLOCATIONS.load(Relaxed) - before.1;
        result
    }
}

/// What came of a round.
struct Round {
    parts: BTreeMap<&'static str, Part>,
    spans: u64,
    linked: u64,
    records: u64,
    bytes: u64,
    /// Bytes held at most while it ran; the end gives everything out at once.
    peak: u64,
}

fn round(options: &Options) -> Round {
    let settings = Settings {
        tls: false,
        decoder: Decoder { layout: Some(LAYOUT), clock_offset: 1_700_000_000_000_000_000 },
        host_id: "bench".into(),
        brokers: vec![(1883, System::Mqtt)],
        catalog: Catalog::new(Sysfs::default(), None),
        device: iotrail::device::Settings::default(),
        body_bytes: iotrail::pipeline::engine::BODY_BYTES,
        causality: iotrail::causality::Settings { host_id: "bench".into(), ..Default::default() },
    };
    let encoder = Encoder {
        host: Host { name: "bench".into(), id: "bench".into() },
        resource: Vec::new(),
        payload: PayloadPolicy::default(),
        masks: Default::default(),
        key: DigestKey::new([7; 32]),
    };
    let decoder = settings.decoder;
    let base = LIVE.load(Relaxed);
    PEAK.store(base, Relaxed);
    let mut engine = Engine::new(settings, None);
    let metrics = Metrics::new(&Telemetry::default());
    let mut recording = Recording::new(options.size);
    let (mut records, mut spans, mut line) = (Vec::<Raw>::new(), Vec::new(), Vec::new());
    let mut watch = Watch::default();
    let (mut taken, mut made, mut linked, mut bytes) = (0u64, 0u64, 0u64, 0u64);
    let step = 1_000_000_000 / options.rate;
    let start = 1_000_000_000;
    recording.open(start - 500_000_000, &mut records);
    let (mut now, mut sent, mut done) = (start, 0, false);
    let mut export = |spans: &mut Vec<Span>, watch: &mut Watch| {
        watch.time("metrics", || metrics.observe_all(spans.iter()));
        made += spans.len() as u64;
        linked += spans.iter().filter(|span| span.parent.is_some()).count() as u64;
        watch.time("export", || {
            let shared: Vec<Arc<Span>> = spans.drain(..).map(Arc::new).collect();
            for some in shared.chunks(LINE) {
                line.clear();
                encoder.json_line(some, &mut line);
                bytes += line.len() as u64;
            }
        });
    };
    while !done {
        let until = now + TICK_NS;
        while sent < options.messages && start + sent * step < until {
            recording.message(start + sent * step, &mut records);
            sent += 1;
        }
        done = sent == options.messages;
        records.sort_by_key(|record| record.header.exit_ns);
        let ready = records.partition_point(|record| record.header.exit_ns < until);
        let ready = if done { records.len() } else { ready };
        taken += ready as u64;
        watch.time("take", || records.drain(..ready).for_each(|record| engine.take(record)));
        watch.time("link", || engine.tick(decoder.time(until), &mut spans));
        export(&mut spans, &mut watch);
        now = until;
    }
    let peak = PEAK.load(Relaxed) - base;
    watch.time("link", || engine.flush(Timestamp(u64::MAX / 2), &mut spans));
    export(&mut spans, &mut watch);
    Round { parts: watch.0, spans: made, linked, records: taken, bytes, peak }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn main() {
    let options = Options::parse();
    let rounds: Vec<Round> = (0..options.rounds.max(1)).map(|_| round(&options)).collect();
    let total = |round: &Round| round.parts.values().map(|part| part.ns).sum::<u64>();
    let Some(best) = rounds.iter().min_by_key(|round| total(round)) else { return };
    let messages = options.messages as f64;
    // A publish, a broker and a process span for each, the latter two linked: else something else was measured.
    assert_eq!((best.spans, best.linked), (3 * options.messages, 2 * options.messages), "spans and links");
    println!("| per message | ns | allocations |\n| --- | --- | --- |");
    let row = |name: &str, part: Part| {
        println!("| {name} | {:.0} | {:.2} |", part.ns as f64 / messages, part.allocations as f64 / messages);
    };
    let mut linking = Part::default();
    let mut all = Part::default();
    for name in ["take", "link", "metrics", "export"] {
        let part = best.parts.get(name).copied().unwrap_or_default();
        row(name, part);
        all.ns += part.ns;
        all.allocations += part.allocations;
        if matches!(name, "take" | "link") {
            linking.ns += part.ns;
        }
    }
    row("all", all);
    let per_core = |ns: u64| messages * 1e9 / ns as f64;
    let rate = per_core(linking.ns);
    println!();
    println!(
        "decoded and linked: {rate:.0} messages/s a core ({:.0} % of the budget)",
        100.0 * rate / BUDGET
    );
    println!("with metrics and OTLP/JSON: {:.0} messages/s a core", per_core(all.ns));
    println!(
        "{:.1} records, {:.0} bytes of OTLP/JSON a message; {:.1} MB held at most",
        best.records as f64 / messages,
        best.bytes as f64 / messages,
        best.peak as f64 / 1e6
    );
}
