//! Who and what the captures belong to: byte streams with their gaps.

pub mod stream;
