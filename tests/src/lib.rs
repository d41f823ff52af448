//! Support for the live tests.
