//! The HTTP interface: metrics for Prometheus, health for orchestrators and people.
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics` | OpenMetrics if asked for by `Accept`, else the classic text format |
//! | `/health` | 200 while the program runs |
//! | `/health/ready`, `/ready` | 200 once tracing is attached, 503 before |
//! | `/health/detailed` | what works, what does not, what that costs and what to do, as JSON |

pub mod state;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use self::state::State;

/// Where iotrail listens unless told otherwise: metrics name devices and topics, so not to the whole network.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {address}: {}; {}", why(source), remedy(source, *address))]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this host has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need root".to_owned(),
        _ => error.to_string(),
    }
}

fn remedy(error: &io::Error, address: SocketAddr) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "stop the program that has it (`ss -ltnp 'sport = :{port}'` shows which, perhaps another iotrail) or \
                 choose another port"
            )
        }
        _ => "choose another address".to_owned(),
    }
}

/// A listener that does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Takes the address.
///
/// # Errors
/// If it cannot be had, with the reason and a remedy.
pub async fn bind(address: SocketAddr) -> Result<Server, BindError> {
    let listener = TcpListener::bind(address).await.map_err(|source| BindError { address, source })?;
    let address = listener.local_addr().map_err(|source| BindError { address, source })?;
    Ok(Server { listener, address })
}

impl Server {
    /// Where it listens; tells the port if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` ends, then finishes the requests under way.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn run(self, state: State, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        axum::serve(self.listener, router(state)).with_graceful_shutdown(stop).await
    }
}

fn router(state: State) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/health/ready", get(ready))
        .route("/ready", get(ready))
        .route("/health/detailed", get(detailed))
        .with_state(state)
}

async fn metrics(Shared(state): Shared<State>, headers: HeaderMap) -> Response {
    let open = wants_open_metrics(&headers);
    let kind = if open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match state.metrics(open) {
        Some(text) => ([(CONTENT_TYPE, kind)], text).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "metrics are not there yet\n").into_response(),
    }
}

/// Whether OpenMetrics is accepted, and no less than plain text (RFC 9110, section 12.5.1).
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open, mut plain) = (0.0, 0.0);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            let quality: f64 = quality.unwrap_or(0.0);
            match kind.as_str() {
                "application/openmetrics-text" => open = quality.max(open),
                "text/plain" => plain = quality.max(plain),
                _ => {}
            }
        }
    }
    open > 0.0 && open >= plain
}

async fn health() -> &'static str {
    "ok\n"
}

async fn ready(Shared(state): Shared<State>) -> Response {
    if state.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "tracing is not attached yet\n").into_response()
    }
}

async fn detailed(Shared(state): Shared<State>) -> Response {
    let text = serde_json::to_string_pretty(&state.report()).expect("a report has only text keys");
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text + "\n").into_response()
}

#[cfg(test)]
mod tests;
