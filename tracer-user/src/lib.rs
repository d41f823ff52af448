//! iotrail follows work from a device, through a message broker, to the device it moved.
//!
//! The modules lie in the order of the data's way; dependencies go one way only (`ARCHITECTURE.md`).
#![warn(unreachable_pub)]

pub mod causality;
pub mod decode;
pub mod device;
pub mod export;
pub mod host;
pub mod kernel;
pub mod model;
pub mod names;
pub mod pipeline;
pub mod proto;
pub mod serve;
pub mod span;
pub mod track;
