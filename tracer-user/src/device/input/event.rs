//! `struct input_event`, `include/uapi/linux/input.h`, and its numbers, `input-event-codes.h`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::device::ioc::{u16_at, u32_at};
use crate::device::names;

/// `EV_SYN`.
pub(super) const SYN: u16 = 0;
/// `EV_KEY`.
pub(super) const KEY: u16 = 1;
/// `EV_REL`.
pub(super) const REL: u16 = 2;
/// `EV_ABS`.
pub(super) const ABS: u16 = 3;
/// `EV_MSC`.
pub(super) const MSC: u16 = 4;
/// `EV_SW`.
pub(super) const SW: u16 = 5;
/// `EV_LED`.
pub(super) const LED: u16 = 0x11;
/// `EV_SND`.
pub(super) const SND: u16 = 0x12;
/// `EV_REP`.
const REP: u16 = 0x14;
/// `EV_FF`.
pub(super) const FF: u16 = 0x15;
/// `EV_PWR`.
const PWR: u16 = 0x16;
/// `EV_FF_STATUS`.
const FF_STATUS: u16 = 0x17;
/// `EV_UINPUT`, `include/uapi/linux/uinput.h`.
const UINPUT: u16 = 0x101;

/// `SYN_REPORT`: a frame is complete.
pub(super) const SYN_REPORT: u16 = 0;
/// `SYN_DROPPED`: the program did not read fast enough.
pub(super) const SYN_DROPPED: u16 = 3;

/// Types, their names, and what a frame with them is called. Of several in a frame the first in this order names it.
const TYPES: &[(u16, &str, &str)] = &[
    (KEY, "EV_KEY", "key"),
    (SW, "EV_SW", "switch"),
    (REL, "EV_REL", "rel"),
    (ABS, "EV_ABS", "abs"),
    (UINPUT, "EV_UINPUT", "uinput"),
    (FF, "EV_FF", "ff"),
    (FF_STATUS, "EV_FF_STATUS", "ff_status"),
    (LED, "EV_LED", "led"),
    (SND, "EV_SND", "snd"),
    (REP, "EV_REP", "rep"),
    (PWR, "EV_PWR", "pwr"),
    (MSC, "EV_MSC", "msc"),
    (SYN, "EV_SYN", "syn"),
];

/// What happened to one key, axis or lamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Time stamp in µs, by the clock that the program chose.
    pub(super) time_us: i64,
    pub(super) kind: u16,
    pub(super) code: u16,
    pub(super) value: i32,
}

impl Event {
    /// Size of one: two `long`, then the rest.
    pub(super) const fn size(compat: bool) -> usize {
        if compat { 16 } else { 24 }
    }

    /// Reads one; `None` if the bytes are too few.
    pub(super) fn read(bytes: &[u8], compat: bool) -> Option<Self> {
        let long = |index: usize| match compat {
            true => u32_at(bytes, index * 4).map(i64::from),
            false => {
                let field = bytes.get(index * 8..)?.first_chunk::<8>()?;
                Some(i64::from_le_bytes(*field))
            }
        };
        let rest = Self::size(compat) - 8;
        Some(Self {
            time_us: long(0)?.saturating_mul(1_000_000).saturating_add(long(1)?),
            kind: u16_at(bytes, rest)?,
            code: u16_at(bytes, rest + 2)?,
            value: u32_at(bytes, rest + 4)?.cast_signed(),
        })
    }

    /// Type, code and value.
    pub(super) fn text(self) -> Arc<str> {
        let Self { kind, code, value, .. } = self;
        format!("{} {} {value}", type_name(kind), code_name(kind, code)).into()
    }

    /// How much this event has to say of what its frame is about: the less, the more.
    pub(super) fn rank(self) -> usize {
        TYPES.iter().position(|(kind, ..)| *kind == self.kind).unwrap_or(TYPES.len())
    }
}

/// What a frame is called after its most telling event.
pub(super) fn frame_name(rank: usize) -> &'static str {
    TYPES.get(rank).map_or("input", |(.., name)| name)
}

/// `EV_*`.
pub(super) fn type_name(kind: u16) -> Cow<'static, str> {
    let known = TYPES.iter().find(|(number, ..)| *number == kind);
    known.map_or_else(|| format!("0x{kind:02x}").into(), |(_, name, _)| Cow::Borrowed(*name))
}

/// The name of a code, as far as it is known: else its type and its number.
pub(super) fn code_name(kind: u16, code: u16) -> Cow<'static, str> {
    match (kind, code) {
        (UINPUT, 1) => "UI_FF_UPLOAD".into(),
        (UINPUT, 2) => "UI_FF_ERASE".into(),
        _ => names::input_code(kind, code).map_or_else(
            || {
                let name = type_name(kind);
                format!("{}:0x{code:02x}", name.strip_prefix("EV_").unwrap_or(&name)).into()
            },
            Cow::Borrowed,
        ),
    }
}
