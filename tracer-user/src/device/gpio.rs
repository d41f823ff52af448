//! GPIO chips, `/dev/gpiochipN`, and the lines that programs request of them: `include/uapi/linux/gpio.h`, both
//! versions.
//!
//! Span rule: one command per `ioctl`. A request for lines makes a descriptor; what is done with that is a command of
//! the chip, about these lines: by offset and, if the program asked for it, by name. A read from it brings edges, each
//! an event `rising_edge` or `falling_edge` with the kernel's time; a read from the chip brings `line_requested`,
//! `line_released` and `line_reconfigured`. Reads that are neither, and that cannot be told, are commands `read`.

mod edges;
mod info;
mod lines;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::class::{Class, Context, Ioctl, Moved, Row, Session};
use super::fields::{As, Fields, fields, text_at};
use super::generic;
use super::ioc::{Args, Argument, Nested, int_at, ior, iowr, no_args, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::time::Interval;
use lines::{Descriptor, Lines, Version};
use tracer_common::recipe::Recipe;

/// The class.
pub(crate) const CLASS: Class = Class { name: "gpio", ioctls: TABLE, session: || Box::new(Chip::default()) };

/// The driver's letter.
const GPIO: u8 = 0xb4;
/// `GPIO_MAX_NAME_SIZE`.
const NAME: usize = 32;

const GET_LINEINFO: u32 = iowr(GPIO, 0x02, 72);
const GET_LINEHANDLE: u32 = iowr(GPIO, 0x03, 364);
const GET_LINEEVENT: u32 = iowr(GPIO, 0x04, 48);
const V2_GET_LINEINFO: u32 = iowr(GPIO, 0x05, 256);
const V2_GET_LINEINFO_WATCH: u32 = iowr(GPIO, 0x06, 256);
const V2_GET_LINE: u32 = iowr(GPIO, 0x07, 592);
const HANDLE_GET_VALUES: u32 = iowr(GPIO, 0x08, 64);
const HANDLE_SET_VALUES: u32 = iowr(GPIO, 0x09, 64);
const HANDLE_SET_CONFIG: u32 = iowr(GPIO, 0x0a, 84);
const GET_LINEINFO_WATCH: u32 = iowr(GPIO, 0x0b, 72);
const V2_SET_CONFIG: u32 = iowr(GPIO, 0x0d, 272);
const V2_GET_VALUES: u32 = iowr(GPIO, 0x0e, 16);
const V2_SET_VALUES: u32 = iowr(GPIO, 0x0f, 16);

static TABLE: &[Row] = &[
    Row::new(ior(GPIO, 0x01, 68), "GPIO_GET_CHIPINFO_IOCTL", chip_info),
    Row::new(GET_LINEINFO, "GPIO_GET_LINEINFO_IOCTL", info::v1),
    Row::new(GET_LINEINFO_WATCH, "GPIO_GET_LINEINFO_WATCH_IOCTL", info::v1),
    Row::new(iowr(GPIO, 0x0c, 4), "GPIO_GET_LINEINFO_UNWATCH_IOCTL", |argument, args| {
        args.extend(int_at(argument.given, 0).map(|offset| ("offset", offset)));
    }),
    Row::new(GET_LINEHANDLE, "GPIO_GET_LINEHANDLE_IOCTL", no_args).follow(&HANDLE),
    Row::new(GET_LINEEVENT, "GPIO_GET_LINEEVENT_IOCTL", no_args).follow(&EVENT),
    // What the values belong to is known to the session.
    Row::new(HANDLE_GET_VALUES, "GPIOHANDLE_GET_LINE_VALUES_IOCTL", no_args),
    Row::new(HANDLE_SET_VALUES, "GPIOHANDLE_SET_LINE_VALUES_IOCTL", no_args),
    Row::new(HANDLE_SET_CONFIG, "GPIOHANDLE_SET_CONFIG_IOCTL", no_args),
    Row::new(V2_GET_LINEINFO, "GPIO_V2_GET_LINEINFO_IOCTL", info::v2),
    Row::new(V2_GET_LINEINFO_WATCH, "GPIO_V2_GET_LINEINFO_WATCH_IOCTL", info::v2),
    Row::new(V2_GET_LINE, "GPIO_V2_GET_LINE_IOCTL", no_args).follow(&LINE),
    Row::new(V2_SET_CONFIG, "GPIO_V2_LINE_SET_CONFIG_IOCTL", no_args),
    Row::new(V2_GET_VALUES, "GPIO_V2_LINE_GET_VALUES_IOCTL", no_args),
    Row::new(V2_SET_VALUES, "GPIO_V2_LINE_SET_VALUES_IOCTL", no_args),
];

/// A request whose argument has the new descriptor at this place.
const fn request(fd: u16) -> Nested {
    let recipe = Recipe::PLAIN.new_fd(fd);
    Nested { native: recipe, compat: recipe, alternative: None }
}

static HANDLE: Nested = request(lines::HANDLE_FD as u16);
static EVENT: Nested = request(lines::EVENT_FD as u16);
static LINE: Nested = request(lines::LINE_FD as u16);

/// `struct gpiochip_info`.
fn chip_info(argument: &Argument<'_>, args: &mut Args) {
    const INFO: Fields<'_> =
        &[("name", 0, As::Text(NAME)), ("label", NAME, As::Text(NAME)), ("lines", 2 * NAME, As::Number)];
    fields(argument.answered, INFO, args);
}

/// Says what an errno of a GPIO chip means, `drivers/gpio/gpiolib-cdev.c`.
fn refusal(command: &mut Command) {
    let Status::Error { kind, message } = &mut command.status else { return };
    let meaning = match &**kind {
        "EBUSY" => "the line is in use",
        "EPERM" => "the line is no output",
        "ENODEV" => "the chip was taken away",
        "EPROBE_DEFER" => "the chip is not ready yet",
        _ => return,
    };
    meaning.clone_into(message);
}

/// Descriptors of one process that are known; of those beyond, lines are not told by offset.
const DESCRIPTORS: usize = 512;
/// Lines of a chip whose names are remembered: the largest expanders and controllers have a few hundred.
const NAMED: usize = 1024;

/// What one process did with a chip.
#[derive(Default)]
struct Chip {
    descriptors: BTreeMap<i32, Descriptor>,
    names: BTreeMap<u32, Arc<str>>,
}

impl Chip {
    fn learn_descriptor(&mut self, fd: i32, descriptor: Descriptor) {
        if self.descriptors.len() < DESCRIPTORS || self.descriptors.contains_key(&fd) {
            self.descriptors.insert(fd, descriptor);
        }
    }

    /// `name_at`: where the argument has the line's name.
    fn learn_name(&mut self, answered: &[u8], offset_at: usize, name_at: usize) {
        let Some(offset) = u32_at(answered, offset_at) else { return };
        if let Some(name) = text_at(answered, name_at, NAME)
            && (self.names.len() < NAMED || self.names.contains_key(&offset))
        {
            self.names.insert(offset, name.into());
        }
    }

    fn lines(&self, fd: i32) -> Option<&Lines> {
        match self.descriptors.get(&fd) {
            Some(Descriptor::Lines(lines)) => Some(lines),
            _ => None,
        }
    }

    /// A request: its arguments, and what the new descriptor stands for.
    fn requested(&mut self, call: &Ioctl<'_>, given: &[u8], command: &mut Command) {
        let (requested, fd_at) = match call.command {
            GET_LINEHANDLE => (lines::handle(given, &mut command.args), lines::HANDLE_FD),
            GET_LINEEVENT => (lines::event(given, &mut command.args), lines::EVENT_FD),
            _ => (lines::line(given, &mut command.args), lines::LINE_FD),
        };
        let Some(requested) = requested else { return };
        requested.describe(&self.names, &mut command.args);
        if call.error.is_none()
            && let Some(fd) = u32_at(call.after, fd_at).map(u32::cast_signed)
        {
            command.args.push(("fd", Value::Int(fd.into())));
            // The chip itself is no descriptor of lines, whatever had its number before.
            if self.lines(call.fd).is_some() {
                self.descriptors.remove(&call.fd);
            }
            self.learn_descriptor(fd, Descriptor::Lines(requested));
        }
    }

    /// What is told by line of a call that succeeded or not, and what is learned from it.
    fn understand(&mut self, call: &Ioctl<'_>, command: &mut Command) {
        let given: &[u8] = call.before.unwrap_or(call.after);
        let answered: &[u8] = if call.error.is_none() { call.after } else { &[] };
        let lines = self.lines(call.fd);
        match call.command {
            GET_LINEHANDLE | GET_LINEEVENT | V2_GET_LINE => self.requested(call, given, command),
            HANDLE_GET_VALUES => lines::v1_values(answered, lines, &self.names, &mut command.args),
            HANDLE_SET_VALUES => lines::v1_values(given, lines, &self.names, &mut command.args),
            HANDLE_SET_CONFIG => lines::v1_config(given, lines, &self.names, &mut command.args),
            V2_GET_VALUES => lines::v2_values(answered, lines, &self.names, &mut command.args),
            V2_SET_VALUES => lines::v2_values(given, lines, &self.names, &mut command.args),
            V2_SET_CONFIG => {
                let clock = lines::v2_config(given, lines, &mut command.args);
                if let Some(lines) = lines {
                    lines.describe(&self.names, &mut command.args);
                }
                if call.error.is_none()
                    && let Some(Descriptor::Lines(lines)) = self.descriptors.get_mut(&call.fd)
                {
                    lines.clock = clock;
                }
            }
            GET_LINEINFO | GET_LINEINFO_WATCH => self.learn_name(answered, 0, 8),
            V2_GET_LINEINFO | V2_GET_LINEINFO_WATCH => self.learn_name(answered, 2 * NAME, 0),
            _ => {}
        }
        if call.error.is_none() {
            match call.command {
                GET_LINEINFO_WATCH => self.learn_descriptor(call.fd, Descriptor::Watch(Version::One)),
                V2_GET_LINEINFO_WATCH => self.learn_descriptor(call.fd, Descriptor::Watch(Version::Two)),
                _ => {}
            }
        }
    }
}

impl Session for Chip {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let descriptor = self.descriptors.get(&call.fd);
        let Some(kind) = edges::Kind::of(&call, descriptor) else {
            generic::moved(call, context);
            return;
        };
        kind.emit(&call, self.lines(call.fd), &self.names, context);
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        let mut command = generic::ioctl_command(call, row, context);
        self.understand(call, &mut command);
        refusal(&mut command);
        context.emit(command);
    }

    fn opened(&mut self, fd: i32, _write_only: bool) {
        self.descriptors.remove(&fd);
    }

    fn closed(&mut self, fds: std::ops::RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {
        self.descriptors.retain(|fd, _| !fds.contains(&i64::from(*fd)));
    }
}
