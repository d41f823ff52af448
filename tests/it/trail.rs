//! Whole trails: a sensor, a broker and an actuator, written in many ways; what breaks half-way; how soon traces are complete.

mod breaks;
mod metrics;
pub(crate) mod plant;
mod uring;
mod ways;
