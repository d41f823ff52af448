//! How a destination is doing, for people.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is known of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// As the user named it: `otlp`, `file:PATH`, …
    pub name: String,
    /// Whether the last attempt failed.
    pub failing: bool,
    /// The last failure, also if it is over.
    pub last_error: Option<String>,
}

/// Shared between a destination's worker and those who ask.
#[derive(Debug)]
pub(crate) struct Health(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    status: Status,
    /// When a failure was last said aloud.
    said: Option<Instant>,
    /// Whether the last word was that it fails.
    complained: bool,
}

/// A destination that fails now and then is not worth a line each time.
const SAY_EVERY: Duration = Duration::from_secs(10);

impl Health {
    pub(crate) fn new(name: String) -> Self {
        Self(Mutex::new(Inner {
            status: Status { name, failing: false, last_error: None },
            said: None,
            complained: false,
        }))
    }

    /// An attempt failed.
    pub(crate) fn fail(&self, why: String) {
        let mut inner = self.inner();
        let now = Instant::now();
        let news = !inner.status.failing || inner.status.last_error.as_ref() != Some(&why);
        if news && inner.said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY) {
            tracing::warn!(destination = inner.status.name, error = why, "export fails");
            inner.said = Some(now);
            inner.complained = true;
        }
        inner.status.failing = true;
        inner.status.last_error = Some(why);
    }

    /// An attempt succeeded.
    pub(crate) fn succeed(&self) {
        let mut inner = self.inner();
        inner.status.failing = false;
        if std::mem::take(&mut inner.complained) {
            tracing::info!(destination = inner.status.name, "export works again");
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.inner().status.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
