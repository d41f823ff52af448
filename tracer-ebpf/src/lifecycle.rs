//! Processes come and go.

use aya_ebpf::helpers::bpf_get_current_comm;
use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_ktime_get_ns};
use tracer_common::record::Kind;

use crate::maps::{self, COMMS, IDLE, config, set_selected};
use crate::probes::{AMD64, TS_COMPAT};
use crate::select;
use crate::{emit, follow, read};

/// `trace_sched_process_fork(struct task_struct *parent, struct task_struct *child)`, `kernel/fork.c`.
/// Runs in the parent.
#[inline(always)]
pub(crate) fn fork(child: u64) -> Option<()> {
    let pid: u32 = read::kernel(child + u64::from(config!(offsets.task_pid)))?;
    let tgid: u32 = read::kernel(child + u64::from(config!(offsets.task_tgid)))?;
    if pid == tgid { born(tgid) } else { None }
}

/// A process `child` was born of the current one, which is selected or not.
#[inline(always)]
pub(crate) fn born(child: u32) -> Option<()> {
    if config!(own_children) != 0 && follow::current().tgid == config!(own_tgid) {
        set_selected(child, true);
        return None;
    }
    let who = select::who()?;
    if config!(only_processes) != 0 {
        set_selected(child, true);
    }
    // SAFETY: no arguments.
    let stage = emit::blank(who, Kind::Fork, unsafe { bpf_ktime_get_ns() })?;
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe { (*stage).header.args[0] = u64::from(child) };
    emit::send(stage, 0, true);
    Some(())
}

/// `trace_sched_process_exec`, `fs/exec.c`. Runs in the process, with its new name.
#[inline(always)]
pub(crate) fn exec() -> Option<()> {
    if config!(only_processes) != 0 {
        let comm = bpf_get_current_comm().ok()?;
        // SAFETY: only its presence is used.
        if unsafe { COMMS.get(comm) }.is_some() {
            set_selected(follow::current().tgid, true);
        }
    }
    let who = select::who()?;
    // SAFETY: no arguments.
    let stage = emit::blank(who, Kind::Exec, unsafe { bpf_ktime_get_ns() })?;
    if is_compat() {
        // SAFETY: the stage is this CPU's own while the program runs.
        unsafe { (*stage).header.args[0] = 1 };
        emit::send_urgently(stage);
    } else {
        emit::send(stage, 0, true);
    }
    Some(())
}

/// arm64: bit of `thread_info.flags` of a 32-bit program. `arch/arm64/include/asm/thread_info.h`.
const TIF_32BIT: u64 = 1 << 22;

/// Whether the current process runs a 32-bit program. Without BTF: not known, so no.
#[inline(always)]
fn is_compat() -> bool {
    if config!(btf) == 0 {
        return false;
    }
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    if config!(arch) == AMD64 {
        // Set for the first return to the program: `__set_personality_ia32`, `arch/x86/kernel/process_64.c`. The flag in
        // `thread_info.flags` that says the same has had several numbers.
        return read::kernel::<u32>(task + u64::from(config!(offsets.task_status)))
            .is_some_and(|status| status & TS_COMPAT != 0);
    }
    let flags: u64 = read::kernel(task + u64::from(config!(offsets.task_flags))).unwrap_or(0);
    flags & TIF_32BIT != 0
}

/// `trace_sched_process_exit`, `kernel/exit.c`. Runs in each thread that ends.
#[inline(always)]
pub(crate) fn exit() -> Option<()> {
    let who = follow::current();
    // Without BTF a thread is not told from a process when it is born, and its number is given away again.
    if config!(btf) == 0 && who.tid != who.tgid {
        set_selected(who.tid, false);
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(slot) = maps::slot(who.tid) {
        // SAFETY: a map value that this thread alone writes.
        unsafe {
            // In a call, or interrupted in one by the signal that ended it.
            if (*slot).state != IDLE {
                if let Some(stage) = emit::record(slot, who, Kind::Aborted, 0, now) {
                    emit::send(stage, 0, true);
                }
            }
        }
        maps::take_slot(who.tid);
    } else if who.tid != who.tgid {
        return None;
    }
    let selected = select::who().is_some();
    if who.tid == who.tgid {
        set_selected(who.tgid, false);
    }
    if !selected {
        return None;
    }
    let stage = emit::blank(who, Kind::Exit, now)?;
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe { (*stage).header.args[0] = u64::from(who.tid == who.tgid) };
    emit::send(stage, 0, true);
    Some(())
}
