//! The kernel side of iotrail. It copies, filters and counts; it never parses a protocol.
//!
//! Reading order: `probes` (what is hooked) → `begin` (entry: is it selected? remember it) → `finish` (exit: what
//! came of it) → `emit` (into a ring). `walk` and `select` decide what a descriptor is and whether it matters,
//! `copy` brings the bytes, `maps` holds every map.
#![no_std]
#![no_main]
// Neighbouring stores of zeros are not to be gathered into calls of `memset`, nor copies into calls of `memcpy`: here
// these are loops over bytes, and a call costs more than the stores. Whole arrays are filled and copied in loops for the
// same reason.
#![no_builtins]
// Adding to a number in one step takes an instruction that has to be written out.
#![feature(asm_experimental_arch)]

mod begin;
mod bus;
mod calls;
mod copy;
mod egress;
mod emit;
mod finish;
mod follow;
mod lifecycle;
mod maps;
mod nested;
mod probes;
mod read;
mod select;
mod stage;
mod tls;
mod uring;
mod wait;
mod walk;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

// SAFETY: the section's name is the one the kernel reads the licence from.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
