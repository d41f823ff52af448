//! Ties the stages together: every thread, queue and policy of a run is here.
//!
//! One thread reads the rings and understands what it reads ([`engine`]); the rings are its queue, and when they are
//! full the kernel side counts what is lost. What it finishes goes to the exporters' own bounded queues, which never
//! make it wait. Everything else (HTTP, OTLP) runs on tokio.

mod described;
pub mod engine;
pub mod follow;
mod heap;
pub mod hotplug;
pub mod libraries;
mod newcomers;
pub mod report;
pub mod run;
pub mod select;
pub mod totals;
mod transactions;
