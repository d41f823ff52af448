//! Devices of this machine, under the programs that people use on them. Those that it lacks are in the virtual machines.

mod block;
mod hotplug;
mod serial;
mod tun;
mod who;
