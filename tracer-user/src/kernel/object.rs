//! The compiled kernel programs, as they lie in this binary and as they are given to this kernel.

use std::borrow::Cow;

use tracer_common::config::RDONLY_CAST;

use super::btf::RdonlyCast;

/// The kernel programs, as `cargo xtask build` compiled them; empty if it did not.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/iotrail.bpf.o"));

/// `BPF_JMP | BPF_CALL`, `include/uapi/linux/bpf.h`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` as the source register, which lies in the high half of an instruction's second byte.
const KERNEL_FUNCTION: u8 = 2 << 4;
/// Bytes of an instruction.
const INSTRUCTION: usize = 8;

/// Whether this binary was built with them.
#[must_use]
pub(super) fn is_there() -> bool {
    !OBJECT.is_empty()
}

/// The object for this kernel: what stands for a kernel function is made a call of it, if the kernel has it. If not, it
/// stays as it is, in branches that are never taken and that the verifier drops.
pub(super) fn for_kernel(cast: Option<RdonlyCast>) -> Cow<'static, [u8]> {
    match cast {
        None => Cow::Borrowed(OBJECT),
        Some(cast) => Cow::Owned(with_calls(OBJECT, cast.function)),
    }
}

/// Sections of programs begin at multiples of an instruction's length, and so does the object itself.
fn with_calls(object: &[u8], function: u32) -> Vec<u8> {
    let stands_for_it = call(0, RDONLY_CAST);
    let mut object = object.to_vec();
    for instruction in object.chunks_exact_mut(INSTRUCTION) {
        if instruction == stands_for_it {
            instruction.copy_from_slice(&call(KERNEL_FUNCTION, function));
        }
    }
    object
}

/// A `struct bpf_insn` that calls: opcode, registers, offset, immediate.
fn call(registers: u8, immediate: u32) -> [u8; INSTRUCTION] {
    let [a, b, c, d] = immediate.to_le_bytes();
    [CALL, registers, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_for_the_function_becomes_a_call_of_it() {
        let helper = call(0, 113);
        let before = [helper, call(0, RDONLY_CAST), helper].concat();
        let after = [helper, call(KERNEL_FUNCTION, 4711), helper].concat();
        assert_eq!(with_calls(&before, 4711), after);
    }

    #[test]
    fn the_programs_have_such_calls() {
        if is_there() {
            assert_ne!(with_calls(OBJECT, 4711), OBJECT, "nothing stands for bpf_rdonly_cast");
        }
    }
}
