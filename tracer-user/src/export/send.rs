//! OTLP over the network: one request, what the answer means, and when to try again.
//!
//! `opentelemetry-otlp` cannot be used here: its exporter has one resource for all of its spans, set before it
//! is shared, clones each batch for each attempt, and only logs how many spans the other side rejected.

mod grpc;
mod http;

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use tokio::time::Instant;

use super::config::{OtlpConfig, Protocol};
use super::health::Health;

/// When a request that may be repeated is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Pause before the first repetition, doubled with each.
    pub first: Duration,
    /// Longest pause that iotrail chooses itself.
    pub longest: Duration,
    /// A batch that was not taken within this time is given up: newer spans are worth more.
    pub limit: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(10),
            limit: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The pause before repetition `attempt` (from 0), between half and one and a half times the plain one so
    /// that many hosts do not return at once; not shorter than what the other side asked for.
    fn pause(self, attempt: u32, asked: Option<Duration>) -> Duration {
        let plain = self.first.saturating_mul(2_u32.saturating_pow(attempt)).min(self.longest);
        plain.mul_f64(0.5 + fastrand::f64()).max(asked.unwrap_or_default())
    }
}

/// What became of one request.
#[derive(Debug, PartialEq)]
enum Reply {
    /// Taken, except for so many spans.
    Taken { rejected: u64, message: String },
    /// Not taken now; perhaps after that time.
    Later { after: Option<Duration>, why: String },
    /// Never.
    Refused { why: String },
}

impl Reply {
    fn taken(response: ExportTraceServiceResponse) -> Self {
        let partial = response.partial_success.unwrap_or_default();
        Self::Taken {
            rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
            message: partial.error_message,
        }
    }
}

/// What became of a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Delivery {
    /// Taken, except for so many spans.
    Taken {
        /// How many the other side rejected.
        rejected: u64,
    },
    /// Refused for good.
    Refused,
    /// Not taken within [`Backoff::limit`].
    Expired,
}

/// A sender of requests.
pub(crate) enum Client {
    Http(http::Http),
    Grpc(Box<grpc::Grpc>),
}

/// A sender that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate or key file that cannot be read.
    #[error("cannot read {path}: {source}; check OTEL_EXPORTER_OTLP_CERTIFICATE and its kin")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Settings that make no client.
    #[error(
        "cannot send to {endpoint}: {why}; check OTEL_EXPORTER_OTLP_ENDPOINT, …_HEADERS and …_CERTIFICATE"
    )]
    Settings {
        /// Where to.
        endpoint: String,
        /// Why.
        why: String,
    },
}

impl ClientError {
    fn settings(config: &OtlpConfig, why: &dyn std::error::Error) -> Self {
        Self::Settings { endpoint: config.endpoint.clone(), why: chain(why) }
    }
}

impl Client {
    /// A client for this configuration. Does not connect yet.
    pub(crate) fn new(config: &OtlpConfig) -> Result<Self, ClientError> {
        match config.protocol {
            Protocol::Grpc => grpc::Grpc::new(config).map(|client| Self::Grpc(Box::new(client))),
            Protocol::HttpProtobuf | Protocol::HttpJson => http::Http::new(config).map(Self::Http),
        }
    }

    /// A request's body as it is sent: compressed if that is wanted and not done per attempt.
    pub(crate) fn body(&self, body: Vec<u8>) -> Bytes {
        match self {
            Self::Http(client) => client.body(body),
            Self::Grpc(_) => body.into(),
        }
    }

    /// Sends `body` until it is taken, refused or too old.
    pub(crate) async fn deliver(&self, body: Bytes, backoff: Backoff, health: &Health) -> Delivery {
        let start = Instant::now();
        let mut attempt = 0;
        loop {
            let reply = match self {
                Self::Http(client) => client.send(body.clone()).await,
                Self::Grpc(client) => client.send(body.clone()).await,
            };
            let (after, why) = match reply {
                Reply::Taken { rejected, message } => {
                    if rejected > 0 || !message.is_empty() {
                        health.fail(format!("{rejected} spans rejected: {message}"));
                    } else {
                        health.succeed();
                    }
                    return Delivery::Taken { rejected };
                }
                Reply::Refused { why } => {
                    health.fail(why);
                    return Delivery::Refused;
                }
                Reply::Later { after, why } => (after, why),
            };
            health.fail(why);
            let pause = backoff.pause(attempt, after);
            if start.elapsed() + pause > backoff.limit {
                return Delivery::Expired;
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::File { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests;
