//! Prometheus metrics, made from spans, and of iotrail itself.

pub(crate) mod telemetry;

pub use telemetry::{Stage, StageNumbers, Telemetry};
