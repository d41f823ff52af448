//! The decoder's tests.

mod build;
mod hostile;
mod recorded;
mod records;
mod versions;
