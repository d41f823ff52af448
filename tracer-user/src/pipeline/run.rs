//! One run, from attaching to the last flush.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command as Program};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tracer_common::bus::Bus;
use tracer_common::record::{Kind, Target};
use tracer_common::tls::Hook;

use super::engine::{self, Engine};
use super::follow::Follower;
use super::heap::Heap;
use super::hotplug::{Hotplug, Notice};
use super::libraries::Libraries;
use super::report::Report;
use super::select::buses_of;
use crate::decode::Decoder;
use crate::export::Exporters;
use crate::export::mask::Masks;
use crate::export::metrics::Metrics;
use crate::host::devices::{Pattern, Rows};
use crate::host::tls::Found;
use crate::host::{clock, processes};
use crate::kernel::features::chain;
use crate::kernel::load::{Attachment, Kernel};
use crate::kernel::running::Running;
use crate::kernel::selection::Selection;
use crate::model::capture::{DeviceKind, DeviceNumber};
use crate::model::span::Span;
use crate::model::time::Timestamp;

/// How long the rings are left alone when they were empty: nobody waits for what is not there.
const IDLE: Duration = Duration::from_millis(20);
/// How long when there was something.
const BUSY: Duration = Duration::from_millis(4);
/// Records in one reading from which on the rings are read again at once.
const FLOOD: usize = 2048;
/// How often time is let pass in the analysis.
const TICK: Duration = Duration::from_millis(25);
/// How long destinations that are slower than the analysis are waited for at the end.
const LAST_OFFER: Duration = Duration::from_secs(5);
/// How often counters are read and published.
const REPORT: Duration = Duration::from_millis(500);

/// Everything that the analysis thread needs.
pub struct Parts {
    /// The running kernel side.
    pub kernel: Kernel,
    /// What it was told.
    pub selection: Selection,
    /// The devices that are meant, those that are not there yet included.
    pub devices: Vec<Pattern>,
    /// What the kernel side was told of them.
    pub rows: Rows,
    /// Settings of the analysis.
    pub engine: engine::Settings,
    /// Where spans go.
    pub exporters: Arc<Exporters>,
    /// What of payloads is hidden.
    pub masks: Masks,
    /// What spans are counted in.
    pub metrics: Metrics,
    /// What the stages are counted in.
    pub report: Report,
    /// Where TLS libraries are looked for, if their plaintext is wanted.
    pub libraries: Option<Libraries>,
    /// Set to end the run.
    pub stop: Arc<AtomicBool>,
}

/// Runs the analysis until told to stop; then everything that is held has been offered to the exporters. `started` is
/// told when nothing can be missed any more.
fn analyse(parts: Parts, started: &mpsc::Sender<()>) -> (Report, Attachment) {
    let Parts {
        kernel, selection, devices, rows, engine, exporters, masks, metrics, mut report, stop, ..
    } = parts;
    let mut libraries = parts.libraries;
    let Kernel { layout, mut reader, counters, live, devices: filter, mut attachment, .. } = kernel;
    let hotplug =
        (!devices.is_empty()).then(|| Hotplug::start(devices, rows, engine.catalog.clone(), filter));
    let hotplug = hotplug.transpose().unwrap_or_else(|error| {
        tracing::warn!("devices that come and go are not followed: {error}");
        None
    });
    let decoder: Decoder = engine.decoder;
    let follower = layout.is_none().then(|| Follower::new(live, selection));
    let mut engine = Engine::new(engine, follower);
    if let Some(libraries) = &mut libraries {
        libraries.hook_first(|found, way, hooks| hook(&mut attachment, found, way, hooks));
    }
    engine.watches(decoder.time(clock::monotonic_ns()));
    let mut heap = Heap::start();
    // Nobody listens if the caller is gone.
    let _ = started.send(());
    let mut records = Vec::new();
    let mut spans = Vec::new();
    let mut ticked = Instant::now();
    let mut reported = Instant::now();
    let mut taken = 0;
    let mut stopping = false;
    loop {
        if !stopping && stop.load(Ordering::Relaxed) {
            stopping = true;
            // Else a busy machine would never let the rings run dry.
            attachment.mute();
        }
        if !stopping && taken < FLOOD {
            reader.wait(if taken == 0 { IDLE } else { BUSY });
        }
        let now = clock::monotonic_ns();
        taken = reader.read(now, stopping, &mut records);
        // With a device its driver may have come, and with that the tracepoints of its bus.
        let mut came: Option<BTreeSet<Bus>> = None;
        while let Some(notice) = hotplug.as_ref().and_then(Hotplug::next) {
            match notice {
                Notice::Came(number) => {
                    engine.plugged(number);
                    came.get_or_insert_default();
                }
                Notice::Went(number, at) => engine.unplugged(number, decoder.time(at)),
                Notice::Selected(rows) => {
                    came.get_or_insert_default().append(&mut buses_of(&rows));
                    if let Some(follower) = engine.follower() {
                        follower.select(rows);
                    }
                }
            }
        }
        for bus in came.map_or_else(Vec::new, |buses| attachment.attach_buses(&buses)) {
            tracing::info!("what drivers do on the {} bus is seen from now on", bus.name());
        }
        for pid in reader.take_compat() {
            attend_compat(&mut attachment, pid);
        }
        for record in records.drain(..) {
            if layout.is_none() && record.header.kind == Kind::Exec as u16 && !attachment.sees_compat {
                // Without BTF the kernel side cannot tell.
                let pids = [record.header.tgid].into();
                processes::compat(Some(&pids)).for_each(|pid| attend_compat(&mut attachment, pid));
            }
            if record.header.kind == Kind::Exec as u16
                && let Some(libraries) = &libraries
            {
                libraries.started(record.header.tgid);
            }
            engine.take(record);
        }
        if let Some(libraries) = libraries.as_mut().filter(|_| !stopping) {
            engine.take_wanted().for_each(|pid| libraries.connected(pid));
            libraries.hook(|found, way, hooks| hook(&mut attachment, found, way, hooks));
        }
        if stopping && taken > 0 {
            continue;
        }
        if stopping || ticked.elapsed() >= TICK {
            ticked = Instant::now();
            let behind = reader.lag_ns(now);
            engine.tick(decoder.time(now.saturating_sub(behind)), &mut spans);
            if !stopping {
                deliver(&mut spans, &exporters, &masks, &metrics);
            }
            report.lag(behind);
        }
        if taken == 0 {
            heap.look();
        }
        if stopping || reported.elapsed() >= REPORT {
            reported = Instant::now();
            let under_way = engine.in_flight(&running(&attachment));
            metrics.in_flight(under_way.iter().map(|(device, count)| (&device.path, device.class, *count)));
            let lost = report.update(&counters, &engine.totals(), &reader, &metrics);
            if lost {
                engine.lost();
            }
        }
        if stopping {
            engine.flush(Timestamp(u64::MAX / 2), &mut spans);
            spans.iter_mut().for_each(|span| masks.scrub(span));
            metrics.observe_all(spans.iter());
            let shared: Vec<Arc<Span>> = spans.drain(..).map(Arc::new).collect();
            exporters.offer_last(&shared, Instant::now() + LAST_OFFER);
            report.update(&counters, &engine.totals(), &reader, &metrics);
            return (report, attachment);
        }
    }
}

/// Hooks a file that holds a TLS library; whether that was possible.
fn hook(attachment: &mut Attachment, found: &Found, way: &Path, hooks: &[Hook]) -> bool {
    let names: Vec<&str> = found.libraries.iter().map(|library| library.name()).collect();
    let (path, names) = (found.path.display(), names.join(", "));
    match attachment.hook(way, hooks) {
        Ok(count) => tracing::debug!("TLS of {path} ({names}) is seen from now on: {count} hooks"),
        Err(error) => {
            tracing::warn!("TLS of {path} ({names}) is not seen: {}", chain(&error));
            return false;
        }
    }
    true
}

/// The calls on devices that have not returned; without BTF those on devices that the kernel side knows by number.
fn running(attachment: &Attachment) -> Vec<(u32, DeviceNumber)> {
    let calls = attachment.running().unwrap_or_else(|error| {
        tracing::debug!("the calls that run are not known: {error}");
        Vec::new()
    });
    let number = |call: Running| {
        let kind = if call.target == Target::Block as u8 { DeviceKind::Block } else { DeviceKind::Char };
        (call.pid, DeviceNumber { kind, major: call.rdev >> 20, minor: call.rdev & 0xf_ffff })
    };
    calls.into_iter().map(number).collect()
}

/// A 32-bit program was started: from now on such programs are seen.
fn attend_compat(attachment: &mut Attachment, pid: u32) {
    if attachment.sees_compat {
        return;
    }
    match attachment.attach_compat() {
        Ok(()) => tracing::info!(
            pid,
            "process {pid} runs a 32-bit program: tracing those too from now on, which costs every system call more; what \
             it did before is not seen (--hooks raw sees all from the start)"
        ),
        Err(error) => tracing::warn!(pid, "32-bit programs such as process {pid} are not traced: {error}"),
    }
}

fn deliver(spans: &mut Vec<Span>, exporters: &Exporters, masks: &Masks, metrics: &Metrics) {
    if spans.is_empty() {
        return;
    }
    spans.iter_mut().for_each(|span| masks.scrub(span));
    metrics.observe_all(spans.iter());
    let shared: Vec<Arc<Span>> = spans.drain(..).map(Arc::new).collect();
    exporters.offer(&shared);
}

/// Starts the analysis on a thread of its own; returns when nothing can be missed any more: without BTF, what every
/// process has open has to be read first.
///
/// # Errors
/// The thread cannot be started.
pub fn spawn(parts: Parts) -> std::io::Result<thread::JoinHandle<(Report, Attachment)>> {
    let (started, start) = mpsc::channel();
    let analysis =
        thread::Builder::new().name("analysis".to_owned()).spawn(move || analyse(parts, &started))?;
    // An error means that the thread has panicked; whoever joins it will see that.
    let _ = start.recv();
    Ok(analysis)
}

/// Starts the command that is to be traced.
///
/// # Errors
/// It cannot be started.
pub fn command(words: &[String]) -> std::io::Result<Option<Child>> {
    let Some((program, arguments)) = words.split_first() else { return Ok(None) };
    Program::new(program).args(arguments).spawn().map(Some)
}
