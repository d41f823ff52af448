//! The argument of an `ioctl`, and what it points to: copied when the driver begins and when it returns, as its
//! [`Recipe`] says.

mod pieces;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tracer_common::config::{DeviceKey, FAMILY_SHIFT};
use tracer_common::counter::Counter;
use tracer_common::recipe::{
    AT_MOST, BEHIND, BUFFERS, Buffer, Condition, ELEMENT, ELEMENT_BYTES, ELEMENTS, ENTRY, EXIT, FD_IS_RESULT,
    Field, NO_FD, Place, Recipe, RecipeKey, without_size,
};
use tracer_common::record::{Fault, Kind};

use crate::maps::{BLOCKS, IOCTLS, InFlight, Stage, config, count};
use crate::select::Who;
use crate::{copy, emit, follow, stage, walk};
use pieces::{MOST, gather, opaque, piece};

/// Bit of [`InFlight::nested`]: the command has a recipe.
const HAS_RECIPE: u8 = 1;
/// Bit of [`InFlight::nested`]: it is the alternative one.
const ALTERNATIVE: u8 = 2;
/// Bit of [`InFlight::nested`]: something that the program gives could not be read at entry, and is tried again at exit.
const MISSING: u8 = 4;

/// Bit of [`InFlight::plain_command`]: there is one.
const KNOWN: u64 = 1 << 63;

/// A copy that is under way. It lies in the stage, as [`copy::Following`] does, and for the same reason.
#[repr(C)]
pub(crate) struct Nested {
    recipe: Recipe,
    /// Address of the first element.
    base: u64,
    /// Elements.
    count: u64,
    /// Where the next piece goes.
    offset: u64,
    /// Bytes that may still be captured.
    left: u64,
    /// Which buffers are copied: [`ENTRY`], [`EXIT`].
    when: u32,
    /// 1: a piece could not be read.
    unreadable: u32,
    /// Segments of the buffer that is scattered, 0 if none is: no command has two in one direction.
    segments: u64,
    /// Address of their array.
    segments_at: u64,
    /// How many of their bytes belong to it.
    segments_bytes: u64,
    /// Element and part, as `piece` takes them.
    segments_name: u64,
    /// The device, for the size of its blocks.
    device: DeviceKey,
    /// The element that is being followed.
    element: [u8; ELEMENT_BYTES],
}

/// An `ioctl` begins: what the driver is given is sent now if the driver may overwrite it or if it lies elsewhere.
#[inline(never)]
pub(crate) fn at_entry(slot: *mut InFlight, who: Who) {
    // SAFETY: map values that this thread, or this CPU while the program runs, alone writes.
    unsafe {
        let (command, argument, now) = ((*slot).args[1] as u32, (*slot).args[2], (*slot).enter_ns);
        let size = u64::from(command >> 16 & 0x3fff);
        let mut reads = if command & 0x4000_0000 != 0 { size } else { 0 };
        let mut writes = if command & 0x8000_0000 != 0 { size } else { 0 };
        let mut when = 0;
        // An `ioctl` has three arguments; the places of the others keep what the exit wants to know.
        (*slot).args[3] = 0;
        let known =
            u64::from(command) | u64::from((*slot).family) << 32 | u64::from((*slot).abi) << 40 | KNOWN;
        if (*slot).plain_command == known {
            reads = u64::from((*slot).plain_sizes[0]);
            writes = u64::from((*slot).plain_sizes[1]);
        } else {
            let mut plain = true;
            if let Some(recipe) = recipe(slot, 0) {
                let other = !argument_holds(argument, &raw const (*recipe).only);
                // Without another one it is as if there were none: the number is believed.
                let chosen = if other { self::recipe(slot, 1) } else { Some(recipe) };
                if let Some(chosen) = chosen {
                    if (*chosen).sized != 0 {
                        reads = u64::from((*chosen).reads);
                        writes = u64::from((*chosen).writes);
                    }
                    when = (*chosen).when;
                    plain = when == 0 && (*chosen).new_fd == NO_FD && (*recipe).only.mask == 0;
                    if !plain {
                        (*slot).nested = if other { HAS_RECIPE | ALTERNATIVE } else { HAS_RECIPE };
                    }
                } else {
                    plain = false;
                }
            }
            if plain {
                (*slot).plain_command = known;
                (*slot).plain_sizes = [reads as u32, writes as u32];
            }
        }
        (*slot).args[4] = reads;
        (*slot).args[5] = writes;
        if (reads == 0 || writes == 0) && when & ENTRY == 0 {
            return;
        }
        let Some(stage) = emit::record(slot, who, Kind::IoctlEntry, 0, now) else { return };
        let captured = copy_argument(stage, argument, reads);
        let captured = if when & ENTRY != 0 { follow(stage, slot, captured, ENTRY) } else { captured };
        emit::send(stage, captured, false);
    }
}

/// An `ioctl` returns: the argument as it is now, and what the driver answered elsewhere. Returns the captured bytes.
#[inline(always)]
pub(crate) fn at_exit(stage: *mut Stage, slot: *mut InFlight, who: Who, result: i64) -> u64 {
    // SAFETY: map values that this thread, or this CPU while the program runs, alone writes.
    unsafe {
        let (argument, reads, writes) = ((*slot).args[2], (*slot).args[4], (*slot).args[5]);
        let size = if writes > reads { writes } else { reads };
        let captured = copy_argument(stage, argument, size);
        let state = (*slot).nested;
        if state & HAS_RECIPE == 0 {
            return captured;
        }
        let missing = if state & MISSING != 0 { ENTRY } else { 0 };
        let when = if result >= 0 { EXIT | missing } else { missing };
        let Some(recipe) = recipe(slot, u8::from(state & ALTERNATIVE != 0)) else { return captured };
        let new_fd = (*recipe).new_fd;
        let captured =
            if (*recipe).when & when != 0 { follow(stage, slot, captured, when) } else { captured };
        if result >= 0 && new_fd != NO_FD {
            made(slot, who, argument, new_fd, result);
        }
        captured
    }
}

/// Copies the argument to the front of the payload; returns how many bytes could be read.
#[inline(always)]
unsafe fn copy_argument(stage: *mut Stage, argument: u64, size: u64) -> u64 {
    let capture = u64::from(config!(capture_bytes));
    let wanted = if size < capture { size } else { capture };
    let captured = if wanted > 0 { copy::bytes(stage, 0, argument, wanted) } else { 0 };
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        (*stage).header.requested = size;
        (*stage).header.args[2] = captured;
        if captured < wanted {
            count(Counter::Unreadable, 1);
            (*stage).header.fault = Fault::Unreadable as u16;
        }
    }
    captured
}

#[inline(always)]
unsafe fn recipe(slot: *mut InFlight, alternative: u8) -> Option<*const Recipe> {
    // SAFETY: a map value that this thread alone writes.
    let key = unsafe {
        RecipeKey {
            // As it was when the call began.
            family: (*slot).family & (u8::MAX >> FAMILY_SHIFT),
            compat: u8::from((*slot).abi != 0),
            alternative,
            pad: 0,
            command: without_size((*slot).args[1] as u32),
        }
    };
    IOCTLS.get_ptr(key)
}

/// A number of so many bytes in the program's memory.
#[inline(never)]
fn number(address: u64, bytes: u64) -> u64 {
    use crate::read::user;
    match bytes {
        1 => user::<u8>(address).map_or(0, u64::from),
        2 => user::<u16>(address).map_or(0, u64::from),
        4 => user::<u32>(address).map_or(0, u64::from),
        8 => user::<u64>(address).unwrap_or(0),
        _ => 0,
    }
}

/// A field of the argument.
#[inline(always)]
unsafe fn argument_field(argument: u64, field: *const Field) -> u64 {
    // SAFETY: the caller's field is in a map.
    unsafe {
        if (*field).bytes == 0 {
            return u64::from((*field).constant);
        }
        number(argument + u64::from((*field).at), u64::from((*field).bytes))
    }
}

/// Whether a condition about the argument holds.
#[inline(always)]
unsafe fn argument_holds(argument: u64, condition: *const Condition) -> bool {
    // SAFETY: the caller's condition is in a map.
    unsafe {
        if (*condition).mask == 0 {
            return true;
        }
        within(argument_field(argument, &raw const (*condition).field), condition)
    }
}

#[inline(always)]
unsafe fn within(value: u64, condition: *const Condition) -> bool {
    // SAFETY: the caller's condition is in a map.
    unsafe {
        let value = value as u32 & (*condition).mask;
        value >= (*condition).low && value <= (*condition).high
    }
}

/// A number of so many bytes in the element that is being followed.
#[inline(never)]
fn element_number(stage: *mut Stage, at: u64, bytes: u64) -> u64 {
    if at > (ELEMENT_BYTES - 8) as u64 {
        return 0;
    }
    // SAFETY: eight bytes from there on lie in the element.
    unsafe {
        let from = (&raw const (*stage).nested.element).cast::<u8>().add(at as usize);
        match bytes {
            1 => u64::from(*from),
            2 => u64::from(from.cast::<u16>().read_unaligned()),
            4 => u64::from(from.cast::<u32>().read_unaligned()),
            8 => from.cast::<u64>().read_unaligned(),
            _ => 0,
        }
    }
}

/// Appends what the argument points to from `captured` on; returns the new end of the payload.
#[inline(never)]
fn follow(stage: *mut Stage, slot: *mut InFlight, captured: u64, when: u8) -> u64 {
    // SAFETY: map values that this thread, or this CPU while the program runs, alone writes.
    unsafe {
        let alternative = u8::from((*slot).nested & ALTERNATIVE != 0);
        let Some(recipe) = recipe(slot, alternative) else { return captured };
        let argument = (*slot).args[2];
        let nested = &raw mut (*stage).nested;
        (*nested).recipe = *recipe;
        (*nested).when = u32::from(when);
        (*nested).unreadable = 0;
        (*nested).offset = (captured + 7) & !7;
        let capture = u64::from(config!(capture_bytes));
        (*nested).left = if captured < capture { capture - captured } else { 0 };
        (*nested).segments = 0;
        (*nested).device.kind = u32::from((*slot).target);
        (*nested).device.major = (*slot).rdev >> 20;
        (*nested).device.minor = (*slot).rdev & 0xf_ffff;
        let elements = &raw const (*recipe).elements;
        (*nested).base = argument;
        (*nested).count = 1;
        let bytes = u64::from((*elements).bytes);
        if (*elements).place == Place::Array as u8 {
            let command = (*slot).args[1] as u32;
            (*nested).count = if bytes != 0 { u64::from(command >> 16 & 0x3fff) / bytes } else { 0 };
        } else if (*elements).place != Place::Argument as u8 {
            if !argument_holds(argument, &raw const (*elements).condition) {
                return captured;
            }
            (*nested).count = argument_field(argument, &raw const (*elements).count);
            (*nested).base = argument + u64::from((*elements).pointer_at);
            if (*elements).place == Place::Pointer as u8 {
                (*nested).base = number((*nested).base, u64::from((*elements).pointer_bytes));
            }
        }
        if (*nested).count > u64::from(ELEMENTS) {
            (*nested).count = u64::from(ELEMENTS);
            (*stage).header.fault = Fault::Segments as u16;
            count(Counter::SegmentsCut, 1);
        }
        copy::run(stage, step, ELEMENTS * STEPS);
        if (*nested).segments != 0 {
            gather(stage, u64::from((*slot).abi));
        }
        if (*nested).unreadable != 0 && when & ENTRY != 0 {
            (*slot).nested |= MISSING;
        }
        (*nested).offset
    }
}

/// Steps for an element: itself, then its buffers.
const STEPS: u32 = 1 + BUFFERS as u32;

/// One element, or one buffer of it; returns 1 to stop.
unsafe extern "C" fn step(number: u64, index: *mut u64) -> i64 {
    // SAFETY: the context of `run`, and this CPU's own stage.
    unsafe {
        let Some(stage) = stage::at(*index) else { return 1 };
        let nested = &raw mut (*stage).nested;
        let (element, part) = (number / u64::from(STEPS), number % u64::from(STEPS));
        if element >= (*nested).count {
            return 1;
        }
        if part == 0 {
            return next(stage, element);
        }
        let buffer = opaque(part - 1);
        if buffer >= BUFFERS as u64 {
            return 1;
        }
        let buffer = buffer as usize;
        let buffer = (&raw const (*nested).recipe.buffers).cast::<Buffer>().add(buffer);
        if u32::from((*buffer).when) & (*nested).when == 0 {
            return 0;
        }
        let condition = &raw const (*buffer).condition;
        if (*condition).mask != 0 && !within(element_field(stage, &raw const (*condition).field), condition) {
            return 0;
        }
        let at = u64::from((*buffer).pointer_at);
        let pointer = if (*buffer).pointer_bytes == BEHIND {
            (*nested).base + element * u64::from((*nested).recipe.elements.bytes) + at
        } else {
            element_number(stage, at, u64::from((*buffer).pointer_bytes))
        };
        let length = element_field(stage, &raw const (*buffer).length);
        let unit = element_field(stage, &raw const (*buffer).unit);
        let last_block = (*buffer).unit.bytes == 0 && unit == 0;
        let length =
            if last_block { (length + 1).wrapping_mul(block(stage)) } else { length.wrapping_mul(unit) };
        if pointer == 0 || length == 0 {
            return 0;
        }
        let most = if (*buffer).when & AT_MOST != 0 { MOST } else { 0 };
        let name = most | element << 8 | (part - 1);
        let segments = element_field(stage, &raw const (*buffer).segments);
        if segments != 0 {
            (*nested).segments = segments;
            (*nested).segments_at = pointer;
            (*nested).segments_bytes = length;
            (*nested).segments_name = name;
            return 0;
        }
        piece(stage, name, pointer, length)
    }
}

/// A field of the element that is being followed.
#[inline(always)]
unsafe fn element_field(stage: *mut Stage, field: *const Field) -> u64 {
    // SAFETY: the caller's field is in a map.
    unsafe {
        let constant = u64::from((*field).constant);
        if (*field).bytes == 0 {
            return constant;
        }
        let number = element_number(stage, u64::from((*field).at), u64::from((*field).bytes));
        if constant != 0 { number & constant } else { number }
    }
}

/// Bytes of a logical block of the device, 0 if they are not known.
#[inline(never)]
fn block(stage: *mut Stage) -> u64 {
    // SAFETY: the stage is this CPU's own while the program runs; the value is copied at once.
    unsafe { BLOCKS.get(&(*stage).nested.device) }.map_or(0, |bytes| u64::from(*bytes))
}

/// Goes on to an element.
#[inline(always)]
unsafe fn next(stage: *mut Stage, element: u64) -> i64 {
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        let nested = &raw mut (*stage).nested;
        let bytes = u64::from((*nested).recipe.elements.bytes);
        let address = (*nested).base + element * bytes;
        let head = if bytes < ELEMENT_BYTES as u64 { bytes } else { ELEMENT_BYTES as u64 };
        if head == 0 {
            return 1;
        }
        let to = (&raw mut (*nested).element).cast();
        if bpf_probe_read_user(to, head as u32, address as *const _) != 0 {
            (*nested).unreadable = 1;
            (*stage).header.fault = Fault::Descriptor as u16;
            count(Counter::Unreadable, 1);
            return 1;
        }
        let elements = &raw const (*nested).recipe.elements;
        if u32::from((*elements).when) & (*nested).when == 0 {
            return 0;
        }
        piece(stage, element << 8 | u64::from(ELEMENT), address, bytes)
    }
}

/// The driver made a descriptor: its calls belong to the same device.
#[inline(always)]
unsafe fn made(slot: *mut InFlight, who: Who, argument: u64, at: u16, result: i64) {
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        let fd = if at == FD_IS_RESULT { result as i32 } else { number(argument + u64::from(at), 4) as i32 };
        let (rdev, family) = ((*slot).rdev, (*slot).family);
        if config!(btf) == 0 {
            follow::made(who, fd, rdev, (*slot).inode, family);
        } else {
            walk::made(fd, rdev, family);
        }
    }
}
