//! Who and what the captures belong to: byte streams with their gaps.
#![forbid(unsafe_code)]

pub mod stream;
pub mod tls;
