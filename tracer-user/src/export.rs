//! Where finished spans go.

pub mod otlp;
pub mod payload;
#[cfg(test)]
mod samples;
