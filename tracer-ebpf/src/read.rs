//! Reads from the kernel and from the program, of constant size.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};

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
