//! `iotrail run`: the order in which a run is set up and taken down.

mod attach;
mod options;
mod wait;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iotrail::decode::Decoder;
use iotrail::export::config::OtlpConfig;
use iotrail::export::mask::Masks;
use iotrail::export::metrics::{Format, Metrics, Telemetry};
use iotrail::export::otlp::Host;
use iotrail::export::payload::DigestKey;
use iotrail::export::{self, Backoff, Destination, Exporters};
use iotrail::host::clock;
use iotrail::host::devices::{Catalog, PatternError};
use iotrail::host::identity::Identity;
use iotrail::host::processes;
use iotrail::kernel::features::chain;
use iotrail::kernel::load::{Attachment, Kernel};
use iotrail::pipeline::engine;
use iotrail::pipeline::libraries::Libraries;
use iotrail::pipeline::report::Report;
use iotrail::pipeline::run::{self, Parts};
use iotrail::pipeline::select::{self, Plan, Request, SelectError};
use iotrail::serve::{self, State};
use iotrail::{causality, device};
use tokio::runtime::Runtime;

use self::attach::{attach, features};
use self::options::Listen;
pub(crate) use self::options::Options;
use self::wait::wait;
use super::exit::Failure;

/// How long the destinations may take to deliver what waits at the end of a run.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

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
        // Asked for rightly, and not there.
        SelectError::Process(_)
        | SelectError::Device(PatternError::Missing { .. } | PatternError::NoDevice(_)) => {
            Failure::new(error.to_string())
        }
        _ => Failure::usage(error.to_string()),
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
    let mut filled = 0;
    while filled < key.len() {
        filled += rustix::rand::getrandom(&mut key[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|error| Failure::new(format!("the kernel gives no random bytes: {error}")))?;
    }
    Ok(key)
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
    let libraries = attach::wants_tls(options, &plan).then(|| {
        let processes = plan.selection.processes.iter().flatten().copied().collect();
        let program = options.command.first().and_then(|program| processes::program(program));
        Libraries::start(processes, program)
    });
    let libraries =
        libraries.transpose().map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    let parts = Parts {
        engine: engine::Settings {
            decoder: Decoder {
                layout: kernel.layout.map(|layout| layout.sock),
                clock_offset: clock::offset_ns(),
            },
            host_id: Arc::clone(&identity.id),
            catalog,
            brokers: plan.ports,
            tls: libraries.is_some(),
            body_bytes: options.payload.bytes().max(engine::BODY_BYTES),
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
        libraries,
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
