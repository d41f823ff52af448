//! The decoder's tests.

mod recorded;
