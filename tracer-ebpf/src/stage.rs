//! Which staging buffer a program puts its record together in.
//!
//! Nothing preempts a program that a tracepoint runs, so what a CPU has is its own until it ends. Hooks of programs run with
//! preemption on (`bpf_prog_run_array_uprobe`, `include/linux/bpf.h`): other threads' tracepoints and hooks may come between.
//! They have a stage apart, which is taken and given back.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use tracer_common::limits::STAGES_PER_CPU;

use crate::maps::{STAGES, Stage};

/// This CPU's stage for the programs of tracepoints.
#[inline(always)]
pub(crate) fn own() -> Option<*mut Stage> {
    // SAFETY: no arguments.
    at(u64::from(STAGES_PER_CPU * unsafe { bpf_get_smp_processor_id() }))
}

/// The stage with that [`Stage::index`].
#[inline(always)]
pub(crate) fn at(index: u64) -> Option<*mut Stage> {
    let stage = STAGES.get_ptr_mut(index as u32)?;
    // SAFETY: a map value; it is always the same number.
    unsafe { (*stage).index = index };
    Some(stage)
}

/// This CPU's stage for hooks of programs, the caller's until [`give_back`]. `None` while another one has it.
#[inline(always)]
pub(crate) fn take() -> Option<*mut Stage> {
    // SAFETY: no arguments.
    let stage = at(u64::from(STAGES_PER_CPU * unsafe { bpf_get_smp_processor_id() } + 1))?;
    let mut taken = 1u64;
    // SAFETY: an aligned word of a map value. The library has no such operation for this architecture.
    unsafe {
        let word = &raw mut (*stage).taken;
        asm!("{taken} = xchg_64({word} + 0, {taken})", taken = inout(reg) taken, word = in(reg) word);
    }
    if taken == 0 { Some(stage) } else { None }
}

/// The stage is free again.
///
/// # Safety
/// It has to be from [`take`].
#[inline(always)]
pub(crate) unsafe fn give_back(stage: *mut Stage) {
    // SAFETY: the caller says so.
    unsafe { (&raw mut (*stage).taken).write_volatile(0) };
}
