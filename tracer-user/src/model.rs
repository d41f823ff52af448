//! The plain data that flows through iotrail: no behaviour beyond what the data itself means, no I/O, no clock.
//!
//! In the order of the data's way: [`capture`] (what the kernel saw) → [`command`] and [`op`] (what the bytes
//! mean) → [`span`] (what is exported). [`device`], [`ids`], [`time`], [`process`] and [`net`] are what these are made of.

pub mod capture;
pub mod command;
pub mod device;
pub mod errno;
pub mod ids;
pub mod net;
pub mod op;
pub mod payload;
pub mod process;
pub mod span;
pub mod time;
