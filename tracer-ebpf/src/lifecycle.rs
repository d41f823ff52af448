//! Processes come and go.

use aya_ebpf::helpers::bpf_get_current_comm;
use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_ktime_get_ns, bpf_probe_read_kernel_str};
use tracer_common::limits::{FILE_NAME_BYTES, PROGRAM_BYTES};
use tracer_common::record::Kind;

use crate::maps::{self, COMMS, IDLE, Stage, config, set_selected};
use crate::probes::{AMD64, TS_COMPAT};
use crate::select::{self, Who};
use crate::{copy, emit, follow, read};

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

/// `trace_sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, `fs/exec.c`. Runs in the
/// process, with its new name. `old`: the thread that asked for it, which is the first of its process from now on.
#[inline(always)]
pub(crate) fn exec(old: u32) -> Option<()> {
    let now = follow::current();
    if old != now.tid {
        maps::take_slot(old);
        // Without BTF threads have marks of their own, and the process's went with the thread that was its first.
        if config!(btf) == 0 && maps::is_selected(old) {
            set_selected(old, false);
            set_selected(now.tgid, true);
        }
    }
    if config!(only_processes) != 0 {
        let comm = bpf_get_current_comm().ok()?;
        // SAFETY: only its presence is used.
        if unsafe { COMMS.get(comm) }.is_some() {
            set_selected(now.tgid, true);
        }
    }
    let who = select::who()?;
    // SAFETY: no arguments.
    let stage = emit::blank(who, Kind::Exec, unsafe { bpf_ktime_get_ns() })?;
    let captured = if config!(btf) != 0 { program(stage) } else { 0 };
    if is_compat() {
        // SAFETY: the stage is this CPU's own while the program runs.
        unsafe { (*stage).header.args[0] = 1 };
        emit::send_urgently(stage, captured);
    } else {
        emit::send(stage, captured, true);
    }
    Some(())
}

/// What the current process has just been started as: many programs are gone before the user side can ask. Returns the
/// length of the payload. The memory is resident: the kernel has just written it.
#[inline(always)]
fn program(stage: *mut Stage) -> u64 {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let word = |address: u64, offset: u32| read::kernel::<u64>(address + u64::from(offset)).unwrap_or(0);
    let mm = word(task, config!(offsets.task_mm));
    let file = word(mm, config!(offsets.mm_exe_file));
    let dentry = word(file, config!(offsets.file_dentry));
    let name = word(dentry, config!(offsets.dentry_name));
    // SAFETY: the payload is longer than that; the helper checks `name`.
    let length = unsafe {
        let to = (&raw mut (*stage).payload).cast();
        bpf_probe_read_kernel_str(to, FILE_NAME_BYTES as u32, name as *const _)
    };
    if length < 0 || length > FILE_NAME_BYTES as i64 {
        return 0;
    }
    let length = length as u64;
    let begin = word(mm, config!(offsets.mm_arg_start));
    let arguments = word(mm, config!(offsets.mm_arg_end)).wrapping_sub(begin);
    let all = word(mm, config!(offsets.mm_env_end)).wrapping_sub(begin);
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        (*stage).header.args[1] = length;
        (*stage).header.args[2] = arguments;
        (*stage).header.position = word(task, config!(offsets.task_start));
    }
    let wanted = if all < PROGRAM_BYTES as u64 { all } else { PROGRAM_BYTES as u64 };
    length + copy::bytes(stage, length, begin, wanted)
}

/// Without BTF: a program is asked for, which may fail. `path` and `array` (of pointers to strings, up to a null) are in the
/// program's memory.
#[inline(always)]
pub(crate) fn asked(who: Who, path: u64, array: u64, compat: bool) -> Option<()> {
    // SAFETY: no arguments.
    let stage = emit::blank(who, Kind::Program, unsafe { bpf_ktime_get_ns() })?;
    let length = copy::string(stage, 0, path);
    // SAFETY: the stage is this CPU's own while the program runs.
    let captured = unsafe {
        (*stage).header.args[1] = length;
        copy::strings(stage, length, array, compat)
    };
    emit::send(stage, captured, true);
    None
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
    } else if who.tid != who.tgid && !is_last(who) {
        return None;
    }
    let selected = select::who().is_some();
    let whole = is_last(who);
    if whole {
        set_selected(who.tgid, false);
    }
    if !selected {
        return None;
    }
    let stage = emit::blank(who, Kind::Exit, now)?;
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe { (*stage).header.args[0] = u64::from(whole) };
    emit::send(stage, 0, true);
    Some(())
}

/// Whether the current thread, which ends, is the last of its process; without BTF, whether it is the first. A process
/// whose first thread has ended goes on, and so does one in which another thread starts a program.
#[inline(always)]
fn is_last(who: Who) -> bool {
    if config!(btf) == 0 {
        return who.tid == who.tgid;
    }
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let signal: u64 = read::kernel(task + u64::from(config!(offsets.task_signal))).unwrap_or(0);
    // Counted down before the tracepoint: `do_exit`, `kernel/exit.c`.
    read::kernel::<i32>(signal + u64::from(config!(offsets.signal_live))) == Some(0)
}
