//! iotrail.
fn main() {}
