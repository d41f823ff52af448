//! Live tests: iotrail itself, on this machine's kernel, against real devices, brokers and clients.
//!
//! Run by `cargo xtask test`, as root and one at a time. A test that needs something that this machine lacks fails and
//! says so; none skips.
#![allow(unreachable_pub, reason = "one program: what is public is so for its other modules")]

mod accuracy;
mod brokers;
mod capture;
mod device;
mod failures;
mod mqtt;
mod support;
mod tls;
mod trail;
