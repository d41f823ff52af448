//! What goes wrong around a run: brokers, destinations, disks, signals, rings that are too small.

mod brokers;
mod destinations;
mod ends;
