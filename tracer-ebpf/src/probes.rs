//! What is hooked. Three ways into the same calls; the user side loads one of them (`kernel/load.rs` says which, and
//! why). All are tracepoints: nothing is patched, and a program that is not traced runs no code of ours beyond them.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint, tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext, TracePointContext};
use tracer_common::call::{Abi, traits};
use tracer_common::counter::Counter;

use crate::maps::{config, count};
use crate::{begin, finish, lifecycle, read};

/// `Config::arch`: amd64.
pub(crate) const AMD64: u32 = 1;

/// x86: bit of a system call's number that says x32. `arch/x86/include/uapi/asm/unistd.h`.
const X32: u32 = 0x4000_0000;
/// x86: code segment of 32-bit programs. `arch/x86/include/asm/segment.h`.
const USER32_CS: u64 = 0x23;
/// x86: `thread_info.status` bit of a 32-bit system call. `arch/x86/include/asm/thread_info.h`.
pub(crate) const TS_COMPAT: u32 = 2;
/// arm64: bit of `pstate` that says AArch32. `arch/arm64/include/asm/ptrace.h`.
const PSR_MODE32: u64 = 0x10;

/// `trace_sys_enter(struct pt_regs *regs, long id)`, `include/trace/events/syscalls.h`.
#[raw_tracepoint(tracepoint = "sys_enter")]
#[inline(always)]
pub fn raw_sys_enter(ctx: RawTracePointContext) -> i32 {
    sys_enter(ctx.arg(0), ctx.arg::<u64>(1) as u32);
    0
}

/// `trace_sys_exit(struct pt_regs *regs, long ret)`, `include/trace/events/syscalls.h`.
#[raw_tracepoint(tracepoint = "sys_exit")]
#[inline(always)]
pub fn raw_sys_exit(ctx: RawTracePointContext) -> i32 {
    finish::call(ctx.arg::<u64>(1) as i64);
    0
}

/// As [`raw_sys_enter`] for 32-bit programs only, beside [`sys_enter_each`], which does not see them.
#[raw_tracepoint(tracepoint = "sys_enter")]
#[inline(always)]
pub fn compat_sys_enter(ctx: RawTracePointContext) -> i32 {
    let regs: u64 = ctx.arg(0);
    if is_compat(regs) {
        sys_enter(regs, ctx.arg::<u64>(1) as u32);
    }
    0
}

/// As [`raw_sys_exit`] for 32-bit programs only.
#[raw_tracepoint(tracepoint = "sys_exit")]
#[inline(always)]
pub fn compat_sys_exit(ctx: RawTracePointContext) -> i32 {
    if is_compat(ctx.arg(0)) {
        finish::call(ctx.arg::<u64>(1) as i64);
    }
    0
}

/// As [`raw_sys_enter`].
#[btf_tracepoint(function = "sys_enter")]
#[inline(always)]
pub fn btf_sys_enter(ctx: BtfTracePointContext) -> i32 {
    sys_enter(ctx.arg(0), ctx.arg::<u64>(1) as u32);
    0
}

/// As [`raw_sys_exit`].
#[btf_tracepoint(function = "sys_exit")]
#[inline(always)]
pub fn btf_sys_exit(ctx: BtfTracePointContext) -> i32 {
    finish::call(ctx.arg::<u64>(1) as i64);
    0
}

/// `struct syscall_trace_enter`, `kernel/trace/trace.h`: number at 8, arguments from 16. Never runs for 32-bit
/// programs: `arch_trace_is_compat_syscall`, `kernel/trace/trace_syscalls.c`.
#[tracepoint]
#[inline(always)]
pub fn sys_enter_each(ctx: TracePointContext) -> i32 {
    // SAFETY: the context is that long for every call.
    let number: u32 = unsafe { *ctx.as_ptr().cast::<u32>().add(2) };
    let Some((call, who)) = begin::wanted(number, Abi::Native) else { return 0 };
    // The record has as many arguments as the call, and a direct access beyond them would be refused at attaching.
    let Some([a, b, c, d]) = read::kernel::<[u64; 4]>(ctx.as_ptr() as u64 + 16) else { return 0 };
    let mut args = [a, b, c, d, 0, 0];
    begin::call(call, Abi::Native, who, &mut args);
    0
}

/// `struct syscall_trace_exit`, `kernel/trace/trace.h`: result at 16.
#[tracepoint]
#[inline(always)]
pub fn sys_exit_each(ctx: TracePointContext) -> i32 {
    // SAFETY: the context is that long.
    finish::call(unsafe { *ctx.as_ptr().cast::<i64>().add(2) });
    0
}

/// Kernel prototype in [`lifecycle::fork`].
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(ctx: RawTracePointContext) -> i32 {
    lifecycle::fork(ctx.arg(1));
    0
}

/// Without BTF, `include/trace/events/sched.h`: runs in the parent, before the child does anything.
#[tracepoint]
pub fn process_fork_each(ctx: TracePointContext) -> i32 {
    if let Some(child) = read::kernel::<u32>(ctx.as_ptr() as u64 + u64::from(config!(fork_child))) {
        lifecycle::born(child);
    }
    0
}

/// Kernel prototype in [`lifecycle::exec`].
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(ctx: RawTracePointContext) -> i32 {
    lifecycle::exec(ctx.arg::<u64>(1) as u32);
    0
}

/// Kernel prototype in [`lifecycle::exit`].
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exit(_ctx: RawTracePointContext) -> i32 {
    lifecycle::exit();
    0
}

#[inline(always)]
fn is_compat(regs: u64) -> bool {
    if config!(arch) == AMD64 { compat_x86(regs) } else { compat_arm64(regs) }
}

#[inline(always)]
fn sys_enter(regs: u64, number: u32) -> Option<()> {
    if config!(arch) == AMD64 { amd64(regs, number) } else { arm64(regs, number) }
}

/// `struct pt_regs` of x86, `arch/x86/include/asm/ptrace.h`, in words: 4 bp, 5 bx, 7 r10, 9 r8, 11 cx, 12 dx, 13 si,
/// 14 di, 17 cs.
#[inline(always)]
fn amd64(regs: u64, number: u32) -> Option<()> {
    let abi = if compat_x86(regs) { Abi::Compat } else { Abi::Native };
    if number & X32 != 0 {
        count(Counter::ForeignAbi, 1);
        return None;
    }
    let (call, who) = begin::wanted(number, abi)?;
    let word = |index: u64| read::kernel::<u64>(regs + 8 * index);
    let mut args = if abi == Abi::Compat {
        let [bx, cx, dx, si, di] = [word(5)?, word(11)?, word(12)?, word(13)?, word(14)?];
        let args = [bx as u32, cx as u32, dx as u32, si as u32, 0, 0].map(u64::from);
        if call.has(traits::OFFSET) { whole_offset(args, si, di) } else { args }
    } else {
        let [dx, si, di]: [u64; 3] = read::kernel(regs + 8 * 12)?;
        [di, si, dx, word(7)?, 0, 0]
    };
    begin::call(call, abi, who, &mut args)
}

/// A 32-bit program gives a file offset in two halves.
#[inline(always)]
fn whole_offset(mut args: [u64; 6], low: u64, high: u64) -> [u64; 6] {
    args[3] = u64::from(low as u32) | u64::from(high as u32) << 32;
    args
}

#[inline(always)]
fn compat_x86(regs: u64) -> bool {
    if config!(offsets.task_status) != 0 {
        // SAFETY: no arguments.
        let task = unsafe { bpf_get_current_task_btf() } as *const u8;
        // SAFETY: a typed pointer of the verifier, which checks the offset against BTF.
        let status = unsafe { *task.add(config!(offsets.task_status) as usize).cast::<u32>() };
        return status & TS_COMPAT != 0;
    }
    read::kernel::<u64>(regs + 8 * 17) == Some(USER32_CS)
}

#[inline(always)]
fn compat_arm64(regs: u64) -> bool {
    read::kernel::<u64>(regs + 8 * 33).is_some_and(|state| state & PSR_MODE32 != 0)
}

/// `struct user_pt_regs` of arm64, `arch/arm64/include/uapi/asm/ptrace.h`: words 0 to 30 are the registers, 33 `pstate`.
#[inline(always)]
fn arm64(regs: u64, number: u32) -> Option<()> {
    let compat = compat_arm64(regs);
    let abi = if compat { Abi::Compat } else { Abi::Native };
    let (call, who) = begin::wanted(number, abi)?;
    let [a, b, c, d, e, f]: [u64; 6] = read::kernel(regs)?;
    let mut args = [a, b, c, d, 0, 0];
    if compat {
        args = args.map(|word| u64::from(word as u32));
        if call.has(traits::OFFSET) {
            // Registers of 64-bit arguments come in pairs, so `pread64` leaves one out. `arch/arm/tools/syscall.tbl`.
            let (low, high) = if call.has(traits::SEGMENTS) { (d, e) } else { (e, f) };
            args = whole_offset(args, low, high);
        }
    }
    begin::call(call, abi, who, &mut args)
}
