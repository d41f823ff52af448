//! Support for the live tests, the demo and the benchmarks: child processes that end with their parent, a private
//! broker, and a reader for the traces that iotrail writes.

pub mod broker;
pub mod http;
pub mod instrument;
pub mod load;
pub mod message;
pub mod otlp;
pub mod probe;
pub mod process;
pub mod stats;
pub mod tracer;
pub mod trail;
pub mod truth;
