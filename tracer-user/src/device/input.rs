//! Input devices, `/dev/input/*`, and those that programs make, `/dev/uinput`: `include/uapi/linux/input.h`,
//! `uinput.h`, `joystick.h`, `Documentation/input/`.
//!
//! Span rule: every `ioctl` and `write` is one command (lamps, sounds, force feedback; on uinput what the made device
//! sends). What is read are events:
//!
//! - from evdev one for each frame, that is up to `SYN_REPORT`, however many reads brought it, with a list of what
//!   happened in it. It is called after the most telling type in it: `key` before `switch`, `rel`, `abs`, … and `msc`.
//!   `code` and `value` are those of its first event of that type. A frame that was not read to its end, or of which
//!   not everything was captured, says `complete=false`. After `SYN_DROPPED` it is called `dropped` and is an error.
//! - from uinput one for each read: lamps, and requests of force feedback.
//! - from `jsN` one for each `struct js_event`: `button` or `axis`.
//! - from `mouseN` and `mice` one for each read: `mouse`.

mod evdev;
mod event;
mod frame;
mod joystick;
mod table;
#[cfg(test)]
mod tests;
mod uinput;

use std::ops::RangeInclusive;

use super::class::{Aborted, Class, Context, Gone, Ioctl, Moved, Row, Session};
use super::{generic, unsolicited};
use crate::model::command::Device;
use crate::model::net::Direction;
use crate::model::time::{Interval, Timestamp};
use frame::Frames;

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "input", ioctls: table::TABLE, session: || Box::new(Input::default()) };

/// What programs read from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Evdev,
    Uinput,
    Joystick,
    Mouse,
}

/// The kind of a node, by its number: `drivers/input/input.c`, `Documentation/admin-guide/devices.txt`. Numbers from
/// 256 on are given out as they come, in practice to evdev.
fn node(device: &Device) -> Node {
    const MISC: u32 = 10;
    const INPUT: u32 = 13;
    match (device.number.major, device.number.minor) {
        (MISC, _) => Node::Uinput,
        (INPUT, 0..32) => Node::Joystick,
        (INPUT, 32..64) => Node::Mouse,
        _ => Node::Evdev,
    }
}

/// One process' use of one device.
#[derive(Default)]
struct Input {
    frames: Frames,
}

impl Session for Input {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let node = node(context.device);
        if call.direction == Direction::Outward {
            return write(call, node, context);
        }
        if node == Node::Mouse {
            if let Some(mut event) = unsolicited::event("mouse", call, context) {
                joystick::mouse(&mut event);
                context.emit(event);
            }
        } else if let Some(call) = unsolicited::brought(call, context) {
            match node {
                Node::Joystick => joystick::read(&call, context),
                _ => self.frames.take(&call, node == Node::Uinput, context),
            }
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        generic::ioctl(call, row, context);
    }

    fn aborted(&mut self, call: &Aborted, context: &mut Context<'_>) {
        unsolicited::aborted(call, context);
    }

    fn closed(&mut self, fds: RangeInclusive<i64>, _at: Interval, context: &mut Context<'_>) {
        self.frames.closed(&fds, context);
    }

    fn tick(&mut self, now: Timestamp, context: &mut Context<'_>) {
        self.frames.tick(now, context);
    }

    fn moved_on(&mut self, tid: u32, context: &mut Context<'_>) {
        self.frames.moved_on(tid, context);
    }

    fn gone(&mut self, _why: Gone, _at: Timestamp, context: &mut Context<'_>) {
        self.frames.gone(context);
    }

    fn open(&self) -> usize {
        self.frames.open()
    }
}

/// Something was written.
fn write(call: Moved, node: Node, context: &mut Context<'_>) {
    let copy = Moved { payload: call.payload.clone(), ..call };
    let Some(mut command) = generic::moved_command(call, context) else { return };
    match node {
        Node::Uinput if uinput::is_setup(&copy.payload) => {
            uinput::old_setup(&copy.payload, &mut command.args)
        }
        Node::Uinput | Node::Evdev => frame::written(&copy, &mut command),
        Node::Joystick | Node::Mouse => {}
    }
    context.emit(command);
}
