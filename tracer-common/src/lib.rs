//! What crosses the border between iotrail's kernel programs and its user side.
//!
//! Reading order: [`call`] names the system calls, [`bus`] the buses, [`record`] is one line of capture, [`tls`] what is hooked in TLS libraries, [`recipe`] what an
//! `ioctl`'s argument points to, [`config`] is what the
//! user side tells the kernel side, [`counter`] is what the kernel side counts, [`limits`] holds every bound.
#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod bus;
pub mod call;
pub mod config;
pub mod counter;
pub mod limits;
#[cfg(feature = "user")]
mod pod;
pub mod recipe;
pub mod record;
pub mod tls;
