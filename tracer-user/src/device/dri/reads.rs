//! Events, which say their own length: `struct drm_event` and its kin.

use std::borrow::Cow;

use crate::device::class::{Context, Moved};
use crate::device::fields::{As, Fields, fields, hex, number_at};
use crate::device::ioc::{Args, u32_at};
use crate::model::command::{Status, Value};
use crate::model::net::Direction;
use crate::model::payload::Payload;
use crate::model::time::Interval;

/// Size of `struct drm_event`: type, length.
const HEADER: u64 = 8;
/// Events of one read: 4096 bytes are the most that a file holds back, `drivers/gpu/drm/drm_file.c`.
const EVENTS: usize = 512;

/// Makes an event of each that a call read; false if it is no such read.
pub(super) fn events(call: &Moved, context: &mut Context<'_>) -> bool {
    if call.direction != Direction::Inward || call.error.is_some() {
        return false;
    }
    let Some(lengths) = lengths(&call.payload) else { return false };
    let mut at = 0_u64;
    for length in lengths {
        let all = &call.payload.captured;
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        let bytes = all.slice(place(at)..place(at + length));
        let (name, args) = event(&bytes);
        let time = Interval { start: call.at.end, end: call.at.end };
        let mut made = context.command(name, time, call.tid, Status::Ok);
        (made.unsolicited, made.args) = (true, args);
        made.request = Payload { captured: bytes, size: length };
        context.emit(made);
        at += length;
    }
    true
}

/// The lengths of the events; what is behind the captured bytes counts as one. `None` if these are none.
fn lengths(payload: &Payload) -> Option<Vec<u64>> {
    let (mut found, mut at) = (Vec::new(), 0_u64);
    while at < payload.size {
        let rest = payload.size - at;
        let header = payload.captured.get(usize::try_from(at).ok()?..).unwrap_or(&[]);
        let length = match u32_at(header, 4) {
            Some(length) => u64::from(length),
            None if found.is_empty() => return None,
            None => rest,
        };
        if !(HEADER..=rest).contains(&length) || found.len() >= EVENTS {
            return None;
        }
        found.push(length);
        at += length;
    }
    (!found.is_empty()).then_some(found)
}

fn event(bytes: &[u8]) -> (Cow<'static, str>, Args) {
    /// `struct drm_event_crtc_sequence`.
    const SEQUENCE: Fields<'_> = &[("timestamp_ns", 16, As::Long), ("sequence", 24, As::Long)];
    let mut args = Args::new();
    // Of an event of unknown length it is not known where it ends.
    let name = match u32_at(bytes, 0).filter(|_| bytes.len() as u64 >= HEADER) {
        Some(1) => {
            vblank(bytes, &mut args);
            "vblank"
        }
        Some(2) => {
            vblank(bytes, &mut args);
            "flip_complete"
        }
        Some(3) => {
            fields(bytes, SEQUENCE, &mut args);
            "crtc_sequence"
        }
        Some(other) => {
            args.push(("type", hex(other.into())));
            "driver_event"
        }
        None => "drm_event",
    };
    (name.into(), args)
}

/// `struct drm_event_vblank`.
fn vblank(bytes: &[u8], args: &mut Args) {
    if let (Some(seconds), Some(micros)) = (u32_at(bytes, 16), u32_at(bytes, 20)) {
        let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(micros) * 1000;
        args.push(("timestamp_ns", Value::Int(nanos)));
    }
    args.extend(number_at(bytes, 24).map(|number| ("sequence", number)));
    args.extend(number_at(bytes, 28).map(|crtc| ("crtc", crtc)));
}
