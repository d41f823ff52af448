//! Where finished spans go: OTLP over the network, OTLP/JSON in files, a tree for people; and metrics made of
//! them.
//!
//! [`start`] makes one bounded queue and one worker per [`Destination`]. [`Exporters::offer`] never waits: a
//! destination that is down or slow loses its own spans, counted by reason, and nobody else's.

pub mod config;
pub mod health;
mod lines;
pub mod mask;
pub mod metrics;
pub mod otlp;
pub mod payload;
mod queue;
#[cfg(test)]
mod samples;
mod send;
#[cfg(test)]
mod tests;
pub mod tree;
mod worker;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use self::config::{OtlpConfig, Protocol};
use self::health::Health;
use self::lines::Lines;
use self::mask::Masks;
use self::metrics::Telemetry;
use self::otlp::{Encoder, Host};
use self::payload::{DigestKey, PayloadPolicy};
use self::queue::{BATCH_LINGER, Queue, TREE_LINGER};
use self::send::Client;
pub use self::send::{Backoff, ClientError};
use self::tree::Look;
use self::worker::Worker;
use crate::model::span::Span;

/// Where spans can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An OTLP endpoint.
    Otlp,
    /// OTLP/JSON lines in a file.
    File(PathBuf),
    /// OTLP/JSON lines on standard output.
    Stdout,
    /// Traces as trees on standard output.
    Tree,
    /// Nowhere: metrics alone.
    None,
}

/// A destination that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown destination `{0}`: use otlp, file:PATH, - (OTLP/JSON on standard output), tree or none")]
pub struct DestinationError(String);

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        match text {
            "otlp" => Ok(Self::Otlp),
            "-" => Ok(Self::Stdout),
            "tree" => Ok(Self::Tree),
            "none" => Ok(Self::None),
            _ => match text.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Ok(Self::File(path.into())),
                _ => Err(DestinationError(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Otlp => f.write_str("otlp"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stdout => f.write_str("-"),
            Self::Tree => f.write_str("tree"),
            Self::None => f.write_str("none"),
        }
    }
}

/// What all destinations share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host of the traced processes.
    pub host: Host,
    /// What of payloads is exported.
    pub payload: PayloadPolicy,
    /// Secret of the payload digests.
    pub key: DigestKey,
    /// What of payloads and command lines is hidden.
    pub masks: Masks,
    /// The environment's settings.
    pub otlp: OtlpConfig,
    /// When requests are repeated.
    pub backoff: Backoff,
}

/// A destination that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file.
    #[error("cannot write {}: {source}; choose another path with --export file:PATH", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The OTLP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// How often a full queue is looked at again at the end of a run.
const POLL: Duration = Duration::from_millis(2);

struct Exporter {
    queue: Arc<Queue>,
    health: Arc<Health>,
    worker: Worker,
}

/// The running destinations.
pub struct Exporters(Vec<Exporter>);

/// Opens the destinations and starts a worker for each on `runtime`. Their spans are counted in stages named
/// `export:` and the destination.
///
/// # Errors
/// If a file cannot be made or the settings of OTLP make no sense. That nobody listens at the endpoint is no
/// error: it may come later.
pub fn start(
    runtime: &Handle,
    destinations: &[Destination],
    settings: &Settings,
    telemetry: &Telemetry,
) -> Result<Exporters, StartError> {
    let encoder = Encoder {
        host: settings.host.clone(),
        resource: settings.otlp.resource.clone(),
        payload: settings.payload,
        key: settings.key.clone(),
        masks: settings.masks.clone(),
    };
    // The OTLP client wants to be made within the runtime.
    let _inside = runtime.enter();
    let mut exporters = Exporters(Vec::new());
    for destination in destinations.iter().filter(|destination| **destination != Destination::None) {
        let stage = telemetry.stage(&format!("export:{destination}"));
        let linger = if *destination == Destination::Tree { TREE_LINGER } else { BATCH_LINGER };
        let queue = Arc::new(Queue::new(stage, linger));
        let health = Arc::new(Health::new(destination.to_string()));
        let encoder = encoder.clone();
        let (to, state) = (Arc::clone(&queue), Arc::clone(&health));
        let worker = match destination {
            Destination::Otlp => {
                let client = Client::new(&settings.otlp)?;
                let json = settings.otlp.protocol == Protocol::HttpJson;
                worker::network(runtime, to, state, client, encoder, json, settings.backoff)
            }
            Destination::File(path) => {
                let lines = Lines::create(path, encoder)
                    .map_err(|source| StartError::File { path: path.clone(), source })?;
                worker::lines(runtime, to, state, lines)
            }
            Destination::Stdout => {
                worker::lines(runtime, to, state, Lines::stream(Box::new(std::io::stdout()), encoder))
            }
            Destination::Tree => {
                worker::tree(runtime, to, state, Box::new(std::io::stdout()), Look::of_stdout)
            }
            Destination::None => continue,
        };
        exporters.0.push(Exporter { queue, health, worker });
    }
    Ok(exporters)
}

impl Drop for Exporters {
    /// A run that fails early drops them: their threads must not be waiting when the runtime goes.
    fn drop(&mut self) {
        self.0.iter().for_each(|exporter| exporter.queue.close());
    }
}

impl Exporters {
    /// Offers the spans to every destination. Never waits; what does not fit is counted.
    pub fn offer(&self, spans: &[Arc<Span>]) {
        for exporter in &self.0 {
            exporter.queue.offer(spans);
        }
    }

    /// As [`Self::offer`] at the end of a run, when more may come at once than the queues hold and nothing comes
    /// after it: waits, no longer than until `deadline`, for destinations that take what they are given.
    pub fn offer_last(&self, spans: &[Arc<Span>], deadline: std::time::Instant) {
        let mut left: Vec<(&Exporter, &[Arc<Span>])> =
            self.0.iter().map(|exporter| (exporter, spans)).collect();
        while !left.is_empty() {
            let late = std::time::Instant::now() >= deadline;
            left.retain_mut(|(exporter, spans)| {
                // One that fails is not waited for: what it cannot hold is lost now as it would be then.
                let all = late || exporter.health.status().failing;
                let count = if all { spans.len() } else { exporter.queue.room(spans) };
                let (now, later) = spans.split_at(count);
                exporter.queue.offer(now);
                *spans = later;
                !later.is_empty()
            });
            if !left.is_empty() {
                std::thread::sleep(POLL);
            }
        }
    }

    /// How each destination is doing.
    #[must_use]
    pub fn status(&self) -> Vec<health::Status> {
        self.0.iter().map(|exporter| exporter.health.status()).collect()
    }

    /// Delivers what waits, for at most `limit`; what is left then is counted as lost.
    pub async fn shutdown(mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for exporter in &self.0 {
            exporter.queue.close();
        }
        for Exporter { queue, health: _, worker } in std::mem::take(&mut self.0) {
            // An error means that the worker is gone, which is an end too.
            let _ = tokio::time::timeout_at(deadline, worker.done).await;
            if let Some(task) = worker.abort {
                task.abort();
            }
            queue.give_up();
        }
    }
}
