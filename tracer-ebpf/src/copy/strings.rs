//! Strings of a program that is being started.

use aya_ebpf::helpers::generated::bpf_probe_read_user_str;
use tracer_common::limits::PROGRAM_BYTES;

use super::segments::{begin, run};
use crate::maps::Stage;
use crate::read::user;
use crate::stage;

/// Room for one of a program's arguments, with its NUL: few are longer.
const ARGUMENT_BYTES: u64 = 512;

/// Arguments that are followed.
const ARGUMENTS: u32 = 64;

/// Copies a string with its NUL to `offset`; returns its length, 0 if it cannot be read.
#[inline(never)]
pub(crate) fn string(stage: *mut Stage, offset: u64, pointer: u64) -> u64 {
    if offset > PROGRAM_BYTES as u64 - ARGUMENT_BYTES {
        return 0;
    }
    // SAFETY: offset and length are inside the payload; the helper checks `pointer`.
    let length = unsafe {
        let to = (&raw mut (*stage).payload).cast::<u8>().add(offset as usize);
        bpf_probe_read_user_str(to.cast(), ARGUMENT_BYTES as u32, pointer as *const _)
    };
    if length > 0 { length as u64 } else { 0 }
}

/// Copies the strings that an array of pointers points to, each with its NUL, behind what is there up to `offset`;
/// returns where they end.
///
/// # Safety
/// The stage has to be this CPU's own.
#[inline(always)]
pub(crate) unsafe fn strings(stage: *mut Stage, offset: u64, array: u64, compat: bool) -> u64 {
    // SAFETY: the caller says so.
    unsafe {
        let following = begin(stage, 0, compat);
        (*following).array = array;
        (*following).captured = offset;
        run(stage, string_step, ARGUMENTS);
        (*following).captured
    }
}

/// One of an array of pointers to strings.
unsafe extern "C" fn string_step(element: u64, index: *mut u64) -> i64 {
    // SAFETY: the context of `run`, and this CPU's own stage.
    unsafe {
        let Some(stage) = stage::at(*index) else { return 1 };
        let following = &raw mut (*stage).following;
        let pointer = if (*following).compat != 0 {
            user::<u32>((*following).array + 4 * element).map(u64::from)
        } else {
            user::<u64>((*following).array + 8 * element)
        };
        let captured = (*following).captured;
        let length = match pointer {
            None | Some(0) => 0,
            Some(pointer) => string(stage, captured, pointer),
        };
        (*following).captured = captured + length;
        i64::from(length == 0)
    }
}
