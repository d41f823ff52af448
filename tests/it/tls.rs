//! Encrypted connections: the plaintext of each library that programs use, and what is told of those that cannot be read.

mod certificates;
mod clients;
mod containers;
mod libraries;
mod unreadable;

pub(crate) use certificates::trace;
