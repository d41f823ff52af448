//! The decoder's tests.

mod again;
mod build;
mod hostile;
mod recorded;
mod records;
mod share;
mod together;
mod versions;
