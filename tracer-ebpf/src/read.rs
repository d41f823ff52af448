//! Reads from the kernel and from the program, of constant size.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str,
};

/// A value in kernel memory; `None` if it cannot be read.
#[inline(always)]
pub(crate) fn kernel<T: Copy>(address: u64) -> Option<T> {
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

/// A text in kernel memory that ends with NUL, padded with NUL: what lies behind its end is nobody's.
#[inline(always)]
pub(crate) fn kernel_text<const N: usize>(address: u64) -> Option<[u8; N]> {
    let mut text = [0; N];
    // SAFETY: the helper writes at most `N` bytes; it checks the address itself.
    let length = unsafe { bpf_probe_read_kernel_str(text.as_mut_ptr().cast(), N as u32, address as *const _) };
    if length < 0 { None } else { Some(text) }
}

/// As [`kernel_text`], in the program's memory.
#[inline(always)]
pub(crate) fn user_text<const N: usize>(address: u64) -> Option<[u8; N]> {
    let mut text = [0; N];
    // SAFETY: as above.
    let length = unsafe { bpf_probe_read_user_str(text.as_mut_ptr().cast(), N as u32, address as *const _) };
    if length < 0 { None } else { Some(text) }
}
