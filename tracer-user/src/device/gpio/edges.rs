//! What is read from lines and chips: edges, and changes of watched lines.
//!
//! The descriptor says which structures a read brings. Of a descriptor that is not known (inherited, duplicated, or
//! older than the trace) only bytes that can be nothing else are taken for one of them.

use std::borrow::Cow;
use std::sync::Arc;

use super::info;
use super::lines::{Descriptor, Lines, Names, Version, name};
use crate::device::class::{Context, Moved};
use crate::device::events;
use crate::device::fields::{long_at, number_at, text};
use crate::device::ioc::{Args, u32_at};
use crate::model::command::Value;

/// Size of `struct gpioevent_data`, and of that of i386 programs, which ends without padding.
const EDGE: usize = 16;
const EDGE_I386: usize = 12;
/// Size of `struct gpio_v2_line_event`.
const EDGE_V2: usize = 48;
/// Size of `struct gpioline_info` and `gpioline_info_changed`.
const INFO: usize = 72;
const CHANGED: usize = 104;
/// Size of `struct gpio_v2_line_info` and `gpio_v2_line_info_changed`.
const INFO_V2: usize = 256;
const CHANGED_V2: usize = 288;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `struct gpioevent_data` of this size.
    Edges(usize),
    /// `struct gpio_v2_line_event`.
    EdgesV2,
    /// `struct gpioline_info_changed`.
    Changes,
    /// `struct gpio_v2_line_info_changed`.
    ChangesV2,
}

impl Kind {
    /// What a call on this descriptor brought; `None` if it is no such read, or cannot be told.
    pub(super) fn of(call: &Moved, descriptor: Option<&Descriptor>) -> Option<Self> {
        // arm's 32-bit programs pad as 64-bit ones do.
        let edges: &[Self] = match call.compat {
            true => &[Self::Edges(EDGE_I386), Self::Edges(EDGE)],
            false => &[Self::Edges(EDGE)],
        };
        let known: &[Self] = match descriptor {
            Some(Descriptor::Lines(Lines { version: Version::One, .. })) => edges,
            Some(Descriptor::Lines(_)) => &[Self::EdgesV2],
            Some(Descriptor::Watch(Version::One)) => &[Self::Changes],
            Some(Descriptor::Watch(Version::Two)) => &[Self::ChangesV2],
            // The most particular first.
            None => &[Self::ChangesV2, Self::Changes, Self::EdgesV2],
        };
        let fits = |kind: &&Self| events::count(call, kind.size()) > 0 && kind.may_be(call);
        match descriptor {
            Some(_) => known.iter().find(fits).copied(),
            None if !call.payload.is_whole() => None,
            None => known.iter().chain(edges).find(fits).copied(),
        }
    }

    /// Size of one.
    fn size(self) -> usize {
        match self {
            Self::Edges(size) => size,
            Self::EdgesV2 => EDGE_V2,
            Self::Changes => CHANGED,
            Self::ChangesV2 => CHANGED_V2,
        }
    }

    /// Whether what was captured does not speak against it.
    fn may_be(self, call: &Moved) -> bool {
        let zero = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        let between = |bytes: &[u8], at, greatest| matches!(u32_at(bytes, at), Some(id) if (1..=greatest).contains(&id));
        events::captured(call, self.size()).all(|bytes| match self {
            Self::Edges(_) => between(bytes, 8, 2),
            Self::EdgesV2 => between(bytes, 8, 2) && zero(bytes.get(24..)),
            Self::Changes => between(bytes, INFO + 8, 3) && zero(bytes.get(INFO + 12..)),
            Self::ChangesV2 => between(bytes, INFO_V2 + 8, 3) && zero(bytes.get(INFO_V2 + 12..)),
        })
    }

    /// Makes the events of a call.
    pub(super) fn emit(self, call: &Moved, lines: Option<&Lines>, names: &Names, context: &mut Context<'_>) {
        events::emit(call, self.size(), context, |bytes| self.event(bytes, lines, names));
    }

    fn event(self, bytes: &[u8], lines: Option<&Lines>, names: &Names) -> (Cow<'static, str>, Args) {
        let mut args = Args::new();
        let event = match self {
            Self::Edges(_) | Self::EdgesV2 => {
                args.extend(long_at(bytes, 0).map(|time| ("timestamp_ns", time)));
                args.extend(lines.and_then(|lines| lines.clock).map(|clock| ("clock", text(clock))));
                self.line(bytes, lines, names, &mut args);
                edge_name(u32_at(bytes, 8))
            }
            Self::Changes => change(bytes, INFO, info::line_v1, &mut args),
            Self::ChangesV2 => change(bytes, INFO_V2, info::line_v2, &mut args),
        };
        (event.into(), args)
    }

    /// Which line an edge was on.
    fn line(self, bytes: &[u8], lines: Option<&Lines>, names: &Names, args: &mut Args) {
        let own = if self == Self::EdgesV2 { u32_at(bytes, 12) } else { None };
        // Of one line it is known without being told.
        let only = || match lines.map(|lines| &lines.offsets[..]) {
            Some([offset]) => Some(*offset),
            _ => None,
        };
        if let Some(offset) = own.or_else(only) {
            args.push(("offset", Value::Int(offset.into())));
            args.extend(name(offset, names));
        }
        if let Some(consumer) = lines.and_then(|lines| lines.consumer.as_ref()) {
            args.push(("consumer", Value::Shared(Arc::clone(consumer))));
        }
        if self == Self::EdgesV2 {
            args.extend(number_at(bytes, 16).map(|number| ("seqno", number)));
            args.extend(number_at(bytes, 20).map(|number| ("line_seqno", number)));
        }
    }
}

/// `GPIO_V2_LINE_EVENT_*`, and the same numbers in the first version.
fn edge_name(id: Option<u32>) -> &'static str {
    match id {
        Some(1) => "rising_edge",
        Some(2) => "falling_edge",
        _ => "edge",
    }
}

/// A change of a watched line, whose description takes `size` bytes.
fn change(bytes: &[u8], size: usize, line: fn(&[u8], &mut Args), args: &mut Args) -> &'static str {
    args.extend(long_at(bytes, size).map(|time| ("timestamp_ns", time)));
    line(bytes.get(..size).unwrap_or(bytes), args);
    match u32_at(bytes, size + 8) {
        Some(1) => "line_requested",
        Some(2) => "line_released",
        Some(3) => "line_reconfigured",
        _ => "line_changed",
    }
}
