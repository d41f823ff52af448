//! iotrail's own log, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::LogFormat;

/// Starts it. `IOTRAIL_LOG` says how much (`info` by default).
pub(crate) fn start(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("IOTRAIL_LOG").unwrap_or_else(|_| EnvFilter::new("iotrail=info,warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
