//! Who did it.

use std::sync::Arc;

use super::time::Timestamp;

/// A process for as long as it lives: the number alone is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Process (thread group) id in the initial namespace.
    pub pid: u32,
    /// When it was first seen; tells two processes with the same number apart.
    pub generation: u32,
}

/// A traced process; becomes one OTLP resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Identity within this run.
    pub key: ProcessKey,
    /// `OTEL_SERVICE_NAME`, else systemd unit or container, else executable or script name.
    pub service_name: Arc<str>,
    /// Unique per process on all hosts and over restarts.
    pub service_instance: Arc<str>,
    /// Base name of the executable.
    pub executable: Arc<str>,
    /// Command line, the program's name first.
    pub args: Vec<Arc<str>>,
    /// Container id, if it runs in one.
    pub container: Option<Arc<str>>,
    /// When it was started, or first seen.
    pub started: Timestamp,
}
