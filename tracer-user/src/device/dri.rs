//! Graphics and accelerators, `/dev/dri/*` and `/dev/accel/*`: `include/uapi/drm/drm.h` and `drm_mode.h`.
//!
//! Span rule: one command per `ioctl`. A read brings what happened on the screen, an event each: `vblank`,
//! `flip_complete`, `crtc_sequence`, `driver_event`, or `drm_event` if it was not captured. What a driver's own commands mean only its header
//! knows: they have names at most. A driver finds a command by its number alone, so sizes may differ from version to
//! version.

mod reads;
mod table;
mod texts;

#[cfg(test)]
mod tests;

use super::class::{Class, Context, Moved, Session};
use super::generic;

/// Graphics.
pub(crate) const CLASS: Class = Class { name: "dri", ioctls: table::TABLE, session: || Box::new(Card) };

/// Accelerators: the same core without modes.
pub(crate) const ACCEL: Class = Class { name: "accel", ..CLASS };

/// Remembers nothing.
struct Card;

impl Session for Card {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        if !reads::events(&call, context) {
            generic::moved(call, context);
        }
    }
}
