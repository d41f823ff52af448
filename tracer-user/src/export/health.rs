//! How a destination is doing, for people.

use std::sync::{Mutex, PoisonError};

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
pub(crate) struct Health(Mutex<Status>);

impl Health {
    pub(crate) fn new(name: String) -> Self {
        Self(Mutex::new(Status { name, failing: false, last_error: None }))
    }

    /// An attempt failed. Said aloud when it is the first or another failure.
    pub(crate) fn fail(&self, why: String) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !status.failing || status.last_error.as_ref() != Some(&why) {
            tracing::warn!(destination = status.name, error = why, "export fails");
        }
        status.failing = true;
        status.last_error = Some(why);
    }

    /// An attempt succeeded. Said aloud when the one before had failed.
    pub(crate) fn succeed(&self) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut status.failing) {
            tracing::info!(destination = status.name, "export works again");
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
