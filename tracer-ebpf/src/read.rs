//! Reads from the kernel and from the program, of constant size.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use tracer_common::config::RDONLY_CAST;

use crate::maps::config;

/// The address, as a pointer through which the verifier lets plain loads through. It is no call in the end: the verifier
/// puts a move in its place. `kernel/bpf/helpers.c`, since 6.2.
///
/// A kernel function is called by its number in the kernel's BTF, which the user side puts in the place of
/// [`RDONLY_CAST`]; `words` is the number of a type that begins with words.
#[inline(always)]
unsafe fn rdonly_cast(address: u64, words: u32) -> *const u8 {
    // SAFETY: the number of a helper is its address, as far as the compiler is concerned.
    let call: unsafe extern "C" fn(u64, u32) -> *const u8 =
        unsafe { core::mem::transmute(RDONLY_CAST as usize) };
    // SAFETY: the caller says so.
    unsafe { call(address, words) }
}

/// A value in kernel memory; `None` if it cannot be read, or zeros where the kernel has plain loads for that.
#[inline(always)]
pub(crate) fn kernel<T: Copy>(address: u64) -> Option<T> {
    let words = config!(words_type);
    if words != 0 {
        // SAFETY: a load through such a pointer gives 0 where there is nothing; `T` is made of integers.
        return Some(unsafe { rdonly_cast(address, words).cast::<T>().read() });
    }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes exactly `size_of::<T>()` bytes; it checks the address itself.
    let failed = unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _)
    };
    // SAFETY: the helper filled it; `T` is made of integers, for which every bit pattern is valid.
    if failed == 0 { Some(unsafe { value.assume_init() }) } else { None }
}

/// A value in the program's memory; `None` if it is not resident or not the program's.
#[inline(always)]
pub(crate) fn user<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as above.
    let failed =
        unsafe { bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _) };
    // SAFETY: as above.
    if failed == 0 { Some(unsafe { value.assume_init() }) } else { None }
}
