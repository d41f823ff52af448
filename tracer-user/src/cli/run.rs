//! `iotrail run`: the command line, and the order in which a run is set up and taken down.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use iotrail::decode::Decoder;
use iotrail::export::config::OtlpConfig;
use iotrail::export::mask::{Mask, Masks};
use iotrail::export::metrics::{Format, Metrics, Telemetry};
use iotrail::export::otlp::Host;
use iotrail::export::payload::{DigestKey, PayloadPolicy};
use iotrail::export::{self, Backoff, Destination, Exporters};
use iotrail::host::clock;
use iotrail::host::devices::{Catalog, PatternError};
use iotrail::host::identity::Identity;
use iotrail::host::processes;
use iotrail::kernel::features::{Feature, chain};
use iotrail::kernel::load::{self, Attachment, Hooks, Kernel, LoadError};
use iotrail::pipeline::engine;
use iotrail::pipeline::report::Report;
use iotrail::pipeline::run::{self, Parts};
use iotrail::pipeline::select::{self, Broker, Plan, Request, SelectError};
use iotrail::serve::{self, State};
use iotrail::{causality, device};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Failure;

/// How long the destinations may take to deliver what waits at the end of a run.
const LAST_DELIVERY: Duration = Duration::from_secs(5);
/// How often `/health/detailed` is brought up to date.
const HEALTH: Duration = Duration::from_millis(500);

/// Trace until interrupted
///
/// With no selection: every device class and broker port that iotrail knows, on the whole machine, itself excluded.
/// --pid, --comm and COMMAND say whose calls are traced; --device and --broker say which. An event needs both.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Read options from this file first: TOML, a key is an option's name. The command line wins.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Trace this process, its threads and the children that it starts from now on (repeatable).
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Trace programs of this name, running ones and later ones (repeatable).
    #[arg(long, value_name = "NAME")]
    comm: Vec<String>,
    /// Trace this device (repeatable): a path, a class, usb:VENDOR:PRODUCT, by-id/NAME, id:ID or a driver. One that is
    /// not plugged in yet is waited for. `iotrail devices` lists what there is.
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Hide what tells single pieces of hardware apart: ids, serial numbers and links that hold them. The same device
    /// gets the same hidden id on each run on this host.
    #[arg(long)]
    hash_ids: bool,
    /// Trace this broker's connections, its clients' and its own (repeatable): mqtt (port 1883), mqtt:PORT or
    /// mqtt:/SOCKET.
    #[arg(long, value_name = "SYSTEM[:PORT]")]
    broker: Vec<Broker>,
    /// Where spans go (repeatable): otlp (honours OTEL_EXPORTER_OTLP_*), file:PATH or - (OTLP/JSON lines), tree, none
    /// (metrics alone). Default: tree.
    #[arg(long, value_name = "DEST")]
    export: Vec<Destination>,
    /// What of payloads leaves this host: off (sizes), digest (keyed), head:N (the first N bytes) or full.
    #[arg(long, value_name = "POLICY", default_value = "digest")]
    payload: PayloadPolicy,
    /// Hide what this regular expression matches of payloads, and all that is made of it, as *** (repeatable); e.g.
    /// password=\S+
    #[arg(long, value_name = "PATTERN")]
    mask: Vec<Mask>,
    /// Payload bytes that are captured of each call, up to 65536; what is cut is always visible.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(0..=65536))]
    capture_bytes: u32,
    /// How long a serial device may take to answer before that is an error: a number with ms, s, m or h.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    reply_timeout: Duration,
    /// End after this time: a number with ms, s, m or h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Serve metrics and health on this address; `off` serves none.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464", value_parser = listen)]
    listen: Listen,
    /// Do as if the kernel had no BTF: follow descriptors through open, dup and /proc.
    #[arg(long)]
    no_btf: bool,
    /// Which tracepoints carry the system calls.
    #[arg(long, value_enum, default_value_t = HooksArgument::Auto)]
    hooks: HooksArgument,
    /// Size of the ring between kernel and user side, in KiB: a power of two from 64 on.
    #[arg(long, value_name = "KIB", default_value_t = 8192, value_parser = ring)]
    ring: u32,
    /// Write what was counted at every stage, lost records included, to this file at the end (JSON).
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Start this command and trace it and its children; iotrail ends when it does, with its own exit status.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  iotrail run                                       everything, as trees
  iotrail run --device /dev/ttyUSB0 --broker mqtt   one serial line and one broker
  iotrail run --export otlp --broker mqtt:18830     to a collector on this host
  iotrail run --payload head:64 -- ./my-sensor      one program, with its payloads";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HooksArgument {
    /// each; and raw for 32-bit programs, once there is one
    Auto,
    /// raw_tracepoint/sys_enter and sys_exit: every call of every program passes them, 32-bit ones included
    Raw,
    /// As raw, with typed arguments (tp_btf)
    Btf,
    /// One tracepoint pair for each system call: cheapest for programs that are not traced, blind to 32-bit ones
    Each,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listen {
    Off,
    On(SocketAddr),
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    text.parse().map(Listen::On).map_err(|_| "use ADDRESS:PORT or off".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("use a number with ms, s, m or h".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "use a number with ms, s, m or h".to_owned())?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

fn ring(text: &str) -> Result<u32, String> {
    let kib: u32 = text.parse().map_err(|_| "use a number".to_owned())?;
    if kib.is_power_of_two() && (64..=1 << 20).contains(&kib) {
        Ok(kib)
    } else {
        Err("use a power of two from 64 to 1048576".to_owned())
    }
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let brokers = options.broker.clone();
    let request = Request {
        pids: options.pid.clone(),
        comms: options.comm.clone(),
        devices: options.device.clone(),
        brokers,
        command: !options.command.is_empty(),
    };
    let catalog = super::devices::catalog(options.hash_ids);
    let plan = select::resolve(&request, &catalog).map_err(|error| match error {
        SelectError::Device(PatternError::Class(..) | PatternError::Usb(..)) => {
            Failure::usage(error.to_string())
        }
        other => Failure::new(other.to_string()),
    })?;
    for line in plan.waiting(&catalog) {
        tracing::info!("{line}");
    }
    let masks = Masks::new(&options.mask).map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = Runtime::new().map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let state = State::default();
    let telemetry = Telemetry::default();
    let metrics = Metrics::new(&telemetry);
    let (stop_serving, serving) = tokio::sync::oneshot::channel::<()>();
    if let Listen::On(address) = options.listen {
        let server = runtime.block_on(serve::bind(address)).map_err(|error| {
            Failure::new(format!("{error} with --listen ADDRESS:PORT, or serve none with --listen off"))
        })?;
        let rendered = metrics.clone();
        state.set_metrics(move |open| {
            rendered.render(if open { Format::OpenMetrics } else { Format::Classic })
        });
        let shared = state.clone();
        runtime.spawn(async move {
            if let Err(error) = server.run(shared, async { drop(serving.await) }).await {
                tracing::error!("the HTTP server ended: {error}");
            }
        });
    }
    let identity = Identity::read();
    let exporters = Arc::new(exporters(&options, &identity, &masks, &runtime, &telemetry)?);
    let kernel = attach(&options, &plan)?;
    state.set_features(features(&kernel));
    let ended = trace(
        &options, plan, catalog, kernel, &runtime, &state, &telemetry, metrics, masks, &exporters, identity,
    );
    if let Ok(exporters) = Arc::try_unwrap(exporters).map_err(|_| ()) {
        runtime.block_on(exporters.shutdown(LAST_DELIVERY));
    }
    drop(stop_serving);
    runtime.shutdown_timeout(Duration::from_millis(200));
    // Detaching takes the kernel a while: everything else is done first.
    let (report, _attachment) = ended?;
    tracing::info!("{}", report.summary());
    if let Some(path) = &options.report {
        write_report(path, &report, &telemetry)?;
    }
    for stage in telemetry.snapshot().iter().filter(|stage| stage.lost() > 0) {
        tracing::warn!(stage = stage.name, "{}: {} lost: {:?}", stage.name, stage.lost(), stage.dropped);
    }
    Ok(())
}

fn write_report(path: &Path, report: &Report, telemetry: &Telemetry) -> Result<(), Failure> {
    let counts: serde_json::Map<_, _> =
        report.counts().into_iter().map(|(name, count)| (name, count.into())).collect();
    let stages: Vec<_> = telemetry
        .snapshot()
        .into_iter()
        .map(|stage| {
            serde_json::json!({
                "stage": stage.name, "in": stage.came, "out": stage.passed, "held": stage.held,
                "dropped": stage.dropped,
            })
        })
        .collect();
    let text = serde_json::json!({ "counts": counts, "stages": stages }).to_string();
    std::fs::write(path, text)
        .map_err(|error| Failure::new(format!("cannot write the report {}: {error}", path.display())))
}

fn exporters(
    options: &Options,
    identity: &Identity,
    masks: &Masks,
    runtime: &Runtime,
    telemetry: &Telemetry,
) -> Result<Exporters, Failure> {
    let destinations =
        if options.export.is_empty() { vec![Destination::Tree] } else { options.export.clone() };
    let settings = export::Settings {
        host: Host { name: identity.name.to_string(), id: identity.id.to_string() },
        payload: options.payload,
        key: DigestKey::new(random_key()?),
        masks: masks.clone(),
        otlp: OtlpConfig::from_env(|name| std::env::var(name).ok())
            .map_err(|error| Failure::usage(chain(&error)))?,
        backoff: Backoff::default(),
    };
    export::start(runtime.handle(), &destinations, &settings, telemetry)
        .map_err(|error| Failure::new(chain(&error)))
}

fn random_key() -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    let mut random = std::fs::File::open("/dev/urandom")
        .map_err(|error| Failure::new(format!("cannot open /dev/urandom: {error}")))?;
    std::io::Read::read_exact(&mut random, &mut key)
        .map_err(|error| Failure::new(format!("cannot read /dev/urandom: {error}")))?;
    Ok(key)
}

/// Loads and attaches; without BTF if the kernel has none.
fn attach(options: &Options, plan: &Plan) -> Result<Kernel, Failure> {
    let hooks = match options.hooks {
        HooksArgument::Auto => Hooks::Auto,
        HooksArgument::Raw => Hooks::Raw,
        HooksArgument::Btf => Hooks::Btf,
        HooksArgument::Each => Hooks::Each,
    };
    let mut load = load::Options {
        capture_bytes: options.capture_bytes,
        data_ring: options.ring << 10,
        own_children: !options.command.is_empty(),
        selection: plan.selection.clone(),
        ..load::Options::new(hooks, !options.no_btf)
    };
    let mut kernel = match load::load(&load) {
        // No BTF, or a kernel before 5.11, which lacks a helper that the look-up needs.
        Err(error @ (LoadError::Btf(_) | LoadError::Program { .. })) if load.btf => {
            tracing::warn!("{}; following descriptors through open, dup and /proc instead", chain(&error));
            load.btf = false;
            load::load(&load)?
        }
        other => other?,
    };
    let in_scope = plan.selection.processes.as_ref();
    if !kernel.attachment.sees_compat
        && options.hooks == HooksArgument::Auto
        && (options.command.first().is_some_and(|program| processes::is_compat_program(program))
            || processes::compat(in_scope).next().is_some())
    {
        kernel.attachment.attach_compat()?;
    }
    Ok(kernel)
}

fn features(kernel: &Kernel) -> Vec<serve::state::Feature> {
    let btf = Feature {
        name: "btf",
        available: kernel.layout.is_some(),
        required: false,
        detail: String::new(),
        consequence: "descriptors are followed through open, dup and /proc, and messages are joined by content and order",
        remedy: "a kernel with CONFIG_DEBUG_INFO_BTF, and no --no-btf",
    };
    let told = |feature: Feature| serve::state::Feature {
        name: feature.name.to_owned(),
        available: feature.available,
        reason: (!feature.detail.is_empty()).then_some(feature.detail),
        consequence: (!feature.available).then(|| feature.consequence.to_owned()),
        remedy: (!feature.available).then(|| feature.remedy.to_owned()),
    };
    let attached = Feature {
        name: "system calls",
        available: true,
        required: true,
        detail: format!("{} programs attached", kernel.programs.len()),
        consequence: "",
        remedy: "",
    };
    vec![told(attached), told(btf), told(super::doctor::device_events())]
}

#[allow(clippy::too_many_arguments, reason = "called once; a struct would only name the same things again")]
fn trace(
    options: &Options,
    plan: Plan,
    catalog: Catalog,
    kernel: Kernel,
    runtime: &Runtime,
    state: &State,
    telemetry: &Telemetry,
    metrics: Metrics,
    masks: Masks,
    exporters: &Arc<Exporters>,
    identity: Identity,
) -> Result<(Report, Attachment), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let parts = Parts {
        engine: engine::Settings {
            decoder: Decoder {
                layout: kernel.layout.map(|layout| layout.sock),
                clock_offset: clock::offset_ns(),
            },
            host_id: Arc::clone(&identity.id),
            catalog,
            brokers: plan.ports,
            device: device::Settings {
                reply_timeout_ns: u64::try_from(options.reply_timeout.as_nanos()).unwrap_or(u64::MAX),
                // The kernel side tells when a thread waits: nothing has to be presumed.
                presume_awaited: false,
                ..device::Settings::default()
            },
            causality: causality::Settings { host_id: identity.id, ..causality::Settings::default() },
        },
        selection: plan.selection,
        devices: plan.devices,
        rows: plan.rows,
        kernel,
        exporters: Arc::clone(exporters),
        masks,
        metrics,
        report: Report::new(telemetry),
        stop: Arc::clone(&stop),
    };
    let analysis =
        run::spawn(parts).map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    let child = match run::command(&options.command) {
        Ok(child) => child,
        Err(error) => {
            stop.store(true, Ordering::Relaxed);
            // Its end frees the exporters, which have to end before the runtime does.
            let _ = analysis.join();
            return Err(Failure::new(format!("cannot start {}: {error}", options.command.join(" "))));
        }
    };
    state.set_ready(true);
    tracing::info!("tracing");
    runtime.block_on(wait(options.duration, child, state, telemetry, exporters));
    state.set_ready(false);
    stop.store(true, Ordering::Relaxed);
    analysis
        .join()
        .map_err(|_| Failure::new("the analysis ended in a panic; please report it with its message above"))
}

/// Until a signal, the end of the command or of the time.
async fn wait(
    limit: Option<Duration>,
    child: Option<std::process::Child>,
    state: &State,
    telemetry: &Telemetry,
    exporters: &Exporters,
) {
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let ended = async {
        let Some(mut child) = child else { return std::future::pending().await };
        let waited = tokio::task::spawn_blocking(move || child.wait()).await;
        if let Ok(Ok(status)) = waited {
            tracing::info!("the command ended: {status}");
        }
        // Spans that wait for their cause or their other end get the time they need from the flush.
    };
    let health = async {
        loop {
            publish_health(state, telemetry, exporters);
            tokio::time::sleep(HEALTH).await;
        }
    };
    tokio::select! {
        () = over => {}
        () = ended => {}
        () = health => {}
        () = interrupted(SignalKind::interrupt()) => {}
        () = interrupted(SignalKind::terminate()) => {}
    }
}

async fn interrupted(kind: SignalKind) {
    match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(error) => {
            tracing::warn!("cannot listen for a signal: {error}");
            std::future::pending::<()>().await;
        }
    }
}

fn publish_health(state: &State, telemetry: &Telemetry, exporters: &Exporters) {
    let stages = telemetry.snapshot().into_iter().map(|stage| serve::state::Stage {
        name: stage.name.to_string(),
        came: stage.came,
        passed: stage.passed,
        held: stage.held,
        dropped: stage.dropped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
    });
    state.set_stages(stages.collect());
    let exporters = exporters.status().into_iter().map(|status| serve::state::Exporter {
        name: status.name,
        failing: status.failing,
        last_error: status.last_error,
    });
    state.set_exporters(exporters.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "x", "5 parsecs", "-1s", "1e400s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rings_are_powers_of_two() {
        assert_eq!(ring("64"), Ok(64));
        assert!(ring("65").is_err() && ring("32").is_err() && ring("0").is_err());
    }
}
