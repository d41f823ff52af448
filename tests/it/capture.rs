//! The capture engine: what the kernel side says of calls that are known exactly, because a probe made them on command.
//!
//! Most tests load the kernel programs themselves and look at the records ([`rig`]); the rest run iotrail.

#[cfg(target_arch = "x86_64")]
mod compat;
mod input;
mod ioctls;
mod lifecycle;
mod loss;
mod memory;
mod parts;
mod positions;
mod probe;
mod rig;
mod selection;
mod signals;
mod sockets;
mod transfers;
mod unseen;
