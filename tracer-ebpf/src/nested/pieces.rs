//! Pieces: what an argument points to, each with its header, behind one another in the payload.

use tracer_common::counter::Counter;
use tracer_common::limits::CAPTURE_MAX;
use tracer_common::recipe::{ELEMENT, PIECE_HEADER_BYTES, PieceHeader};
use tracer_common::record::Fault;

use crate::copy;
use crate::maps::{Stage, count};

/// The same number, of which the compiler knows nothing: it would drop a comparison that it can prove, and the verifier
/// cannot.
#[inline(always)]
pub(super) fn opaque(number: u64) -> u64 {
    core::hint::black_box(number)
}

/// Bit of a piece's name: its length is the most that there may be.
pub(super) const MOST: u64 = 1 << 32;

/// Room for the bytes of the next piece, and how many of them may be captured; room is 0 if there is none. The elements
/// say what there is: they are copied even when what they point to no longer fits.
#[inline(always)]
unsafe fn room(stage: *mut Stage, of_element: bool) -> (u64, u64) {
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        let nested = &raw mut (*stage).nested;
        let (offset, left) = ((*nested).offset, (*nested).left);
        if offset > (CAPTURE_MAX - PIECE_HEADER_BYTES) as u64 {
            (*stage).header.fault = Fault::Segments as u16;
            return (0, 0);
        }
        // One more than the bytes: none left over is room for the header still.
        let room = CAPTURE_MAX as u64 - PIECE_HEADER_BYTES as u64 - offset + 1;
        (room, if !of_element && left < room - 1 { left } else { room - 1 })
    }
}

/// Appends a piece; returns 1 if there is no room for another. `name`: element and part.
#[inline(never)]
pub(super) fn piece(stage: *mut Stage, name: u64, pointer: u64, length: u64) -> i64 {
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        let (room, left) = room(stage, name as u8 == ELEMENT);
        if room == 0 {
            return 1;
        }
        let wanted = if length < left { length } else { left };
        let start = (*stage).nested.offset + PIECE_HEADER_BYTES as u64;
        let captured = if wanted > 0 { copy::bytes(stage, start, pointer, wanted) } else { 0 };
        seal(stage, name, captured, length, captured < wanted)
    }
}

/// Appends the segments of the scattered buffer as one piece.
#[inline(never)]
pub(super) fn gather(stage: *mut Stage, compat: u64) -> i64 {
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        let (room, left) = room(stage, false);
        if room == 0 {
            return 1;
        }
        let nested = &raw mut (*stage).nested;
        let start = (*nested).offset + PIECE_HEADER_BYTES as u64;
        let array = ((*nested).segments_at, (*nested).segments);
        let copied = copy::gather(stage, array, compat != 0, (*nested).segments_bytes, start, left);
        let fault = copied.fault;
        if fault == Fault::Segments as u16 {
            (*stage).header.fault = fault;
            count(Counter::SegmentsCut, 1);
        }
        let unreadable = fault == Fault::Unreadable as u16 || fault == Fault::Descriptor as u16;
        seal(stage, (*nested).segments_name, copied.captured, copied.offered, unreadable)
    }
}

/// Puts the header in front of a piece whose bytes are in place; returns 1 if there is no room for it.
#[inline(always)]
unsafe fn seal(stage: *mut Stage, name: u64, captured: u64, length: u64, unreadable: bool) -> i64 {
    // SAFETY: the stage is this CPU's own while the program runs.
    unsafe {
        let nested = &raw mut (*stage).nested;
        let offset = (*nested).offset;
        let at = opaque(offset);
        if at > (CAPTURE_MAX - PIECE_HEADER_BYTES) as u64 {
            return 1;
        }
        let header = (&raw mut (*stage).payload).cast::<u8>().add(at as usize).cast::<PieceHeader>();
        (*header).element = (name >> 8) as u16;
        (*header).part = name as u8;
        (*header).pad = 0;
        (*header).captured = captured as u32;
        (*header).wanted = length;
        (*nested).offset = offset + PIECE_HEADER_BYTES as u64 + ((captured + 7) & !7);
        if name as u8 != ELEMENT {
            let left = (*nested).left;
            (*nested).left = if captured < left { left - captured } else { 0 };
        }
        if name & MOST != 0 {
            return 0;
        }
        if unreadable {
            (*nested).unreadable = 1;
            (*stage).header.fault = Fault::Unreadable as u16;
            count(Counter::Unreadable, 1);
        } else if captured < length {
            count(Counter::CaptureCut, 1);
            count(Counter::BytesCut, length - captured);
        }
        0
    }
}
