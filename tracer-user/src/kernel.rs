//! The only place that knows aya: loads the kernel programs, attaches them, fills the filters, reads the rings.
//!
//! Reading order: [`btf`] finds where things are in this kernel, [`load`] brings the programs in, [`selection`] says
//! what they are to look at, [`rings`] brings the records out, [`features`] says what this kernel allows.

pub mod btf;
mod buses;
mod each;
mod egress;
pub mod features;
pub mod load;
mod object;
pub mod rings;
pub mod running;
pub mod selection;
pub mod uprobes;
mod uring;
