//! Where finished spans go.

pub mod metrics;
pub mod otlp;
pub mod payload;
pub(crate) mod queue;
#[cfg(test)]
mod samples;
