//! Facts about this host from `/proc`, `/sys` and the clocks: I/O at the edge, so that the layers above stay pure.

pub mod clock;
pub mod devices;
pub mod identity;
pub mod processes;
pub mod programs;
pub mod sockets;
pub mod tls;
pub mod uevents;
