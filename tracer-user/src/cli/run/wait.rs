//! What a run waits for, and what it says of itself meanwhile.

use std::time::Duration;

use iotrail::export::Exporters;
use iotrail::export::metrics::Telemetry;
use iotrail::serve::{self, State};
use tokio::signal::unix::{SignalKind, signal};

/// How often `/health/detailed` is brought up to date.
const HEALTH: Duration = Duration::from_millis(500);

/// Until a signal, the end of the command or of the time.
pub(super) async fn wait(
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
