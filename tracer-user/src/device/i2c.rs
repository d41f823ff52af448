//! I2C buses, `/dev/i2c-N`: `Documentation/i2c/dev-interface.rst`, `include/uapi/linux/i2c-dev.h` and `i2c.h`.
//!
//! Span rule: one command per call. `I2C_RDWR` is one command with all its messages; what they write is the request
//! and what they read the reply. `read`, `write` and `I2C_SMBUS` go to the target that `I2C_SLAVE` chose on their
//! descriptor, which is their `address`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::class::{Class, Context, Ioctl, Moved, Row, Session};
use super::generic;
use super::ioc::{Args, Argument, Nested, join, no_args, u16_at, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::payload::Payload;
use crate::model::time::Interval;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};

/// The class.
pub(crate) const CLASS: Class = Class { name: "i2c", ioctls: TABLE, session: || Box::new(Bus::default()) };

const I2C_SLAVE: u32 = 0x0703;
const I2C_SLAVE_FORCE: u32 = 0x0706;

static TABLE: &[Row] = &[
    Row::legacy(0x0701, "I2C_RETRIES", (0, 0), |argument, args| number("retries", argument, args)),
    Row::legacy(0x0702, "I2C_TIMEOUT", (0, 0), |argument, args| {
        args.push(("timeout_ms", Value::Int(argument.value.saturating_mul(10).cast_signed())));
    }),
    Row::legacy(I2C_SLAVE, "I2C_SLAVE", (0, 0), |argument, args| number("address", argument, args)),
    Row::legacy(0x0704, "I2C_TENBIT", (0, 0), |argument, args| number("on", argument, args)),
    Row::legacy(0x0705, "I2C_FUNCS", (0, 8), |argument, args| {
        if let Some(functions) = u32_at(argument.answered, 0) {
            args.push(("functions", Value::Int(functions.into())));
        }
    }),
    Row::legacy(I2C_SLAVE_FORCE, "I2C_SLAVE_FORCE", (0, 0), |argument, args| {
        number("address", argument, args);
    }),
    Row::legacy(0x0707, "I2C_RDWR", (0, 0), no_args).follow(&RDWR).finish(rdwr),
    Row::legacy(0x0708, "I2C_PEC", (0, 0), |argument, args| number("on", argument, args)),
    Row::legacy(0x0720, "I2C_SMBUS", (0, 0), no_args).follow(&SMBUS).finish(smbus),
];

fn number(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.push((name, Value::Int(argument.value.cast_signed())));
}

/// `I2C_M_RD`.
const READ: u32 = 1;

/// `struct i2c_msg`, the same at both sizes of a pointer but for its end: address, flags, length, pointer.
const fn messages(recipe: Recipe, pointer: u8) -> Recipe {
    let (length, flags) = (Field::u16(4), Field::u16(2));
    recipe.buffer(0, ENTRY, (8, pointer), length, Condition::none(flags, READ)).buffer(
        1,
        EXIT,
        (8, pointer),
        length,
        Condition::any(flags, READ),
    )
}

/// `struct i2c_rdwr_ioctl_data`: pointer to the messages, how many.
static RDWR: Nested = Nested {
    native: messages(Recipe::PLAIN.sized(16, 0).pointer(ENTRY, (0, 8), Field::u32(8), 16), 8),
    compat: messages(Recipe::PLAIN.sized(8, 0).pointer(ENTRY, (0, 4), Field::u32(4), 12), 4),
    alternative: None,
};

/// Messages of one `I2C_RDWR`: `I2C_RDWR_IOCTL_MAX_MSGS`.
const MESSAGES: usize = 42;

/// One message of `I2C_RDWR`.
struct Message {
    address: u16,
    flags: u16,
    length: u16,
}

impl Message {
    fn reads(&self) -> bool {
        u32::from(self.flags) & READ != 0
    }
}

fn rdwr(argument: &Argument<'_>, command: &mut Command) {
    let count = u32_at(argument.given, if argument.compat { 4 } else { 8 });
    if let Some(count) = count {
        command.args.push(("messages", Value::Int(count.into())));
    }
    let read = |index| {
        let element = argument.given_element(index)?;
        let at = |offset| u16_at(element, offset);
        Some(Message { address: at(0)?, flags: at(2)?, length: at(4)? })
    };
    let messages: Vec<Message> = (0..MESSAGES).map_while(read).collect();
    if let Some(first) = messages.first()
        && messages.iter().all(|message| message.address == first.address)
    {
        command.args.push(("address", Value::Int(first.address.into())));
    }
    let texts = messages.iter().map(|message| {
        let direction = if message.reads() { "read" } else { "write" };
        let flags = flag_names(message.flags);
        format!("{direction} 0x{:02x} {} B{flags}", message.address, message.length).into()
    });
    command.args.push(("transfers", Value::Texts(texts.collect())));
    let buffer = |index, message: &Message| match message.reads() {
        true => argument.answered_buffer(index, 1),
        false => argument.given_buffer(index, 0),
    };
    let some = |reads: bool| {
        let all = messages.iter().enumerate().filter(move |(_, message)| message.reads() == reads);
        join(all.map(|(index, message)| (buffer(index, message), message.length.into())))
    };
    command.request = some(false);
    if argument.result >= 0 && messages.iter().any(Message::reads) {
        command.reply = Some(some(true));
    }
    if let [write, read] = &messages[..]
        && !write.reads()
        && read.reads()
        && write.address == read.address
        && let register @ [_] | register @ [_, _] = &command.request.captured[..]
    {
        // The usual way to read a register: its number is written, most significant byte first.
        let register = register.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
        command.args.push(("register", Value::Int(register)));
    }
    refusal(command);
}

/// Flags of a message beyond its direction, `include/uapi/linux/i2c.h`.
fn flag_names(flags: u16) -> String {
    const NAMES: &[(u16, &str)] = &[
        (0x0004, "PEC"),
        (0x0010, "TEN"),
        (0x0200, "DMA_SAFE"),
        (0x0400, "RECV_LEN"),
        (0x0800, "NO_RD_ACK"),
        (0x1000, "IGNORE_NAK"),
        (0x2000, "REV_DIR_ADDR"),
        (0x4000, "NOSTART"),
        (0x8000, "STOP"),
    ];
    NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| format!(" {name}")).collect()
}

/// `struct i2c_smbus_ioctl_data`: direction, command, size, pointer to `union i2c_smbus_data`.
const fn smbus_data(recipe: Recipe, pointer: u8) -> Recipe {
    let direction = Field::u8(0);
    let data = Field::known(SMBUS_DATA);
    recipe
        .buffer(0, ENTRY, (8, pointer), data, Condition::ALWAYS)
        .buffer(1, EXIT, (8, pointer), data, Condition::between(direction, 1, 1))
        // What a process call answers although it is a write.
        .buffer(2, EXIT, (8, pointer), data, Condition::between(Field::u32(4), 4, 4))
        .buffer(3, EXIT, (8, pointer), data, Condition::between(Field::u32(4), 7, 7))
}

/// Size of `union i2c_smbus_data`: length, 32 bytes, PEC.
const SMBUS_DATA: u32 = 34;

static SMBUS: Nested = Nested {
    native: smbus_data(Recipe::PLAIN.sized(16, 0).argument(16), 8),
    compat: smbus_data(Recipe::PLAIN.sized(12, 0).argument(12), 4),
    alternative: None,
};

fn smbus(argument: &Argument<'_>, command: &mut Command) {
    let given = argument.given;
    let (Some([direction, register]), Some(size)) = (given.first_chunk::<2>(), u32_at(given, 4)) else {
        return;
    };
    let reads = *direction == 1;
    // `include/uapi/linux/i2c.h`: what moves which way, in bytes of `union i2c_smbus_data`.
    let (operation, length) = match size {
        0 => ("quick", Some(0)),
        1 => ("byte", Some(1)),
        2 => ("byte_data", Some(1)),
        3 => ("word_data", Some(2)),
        4 => ("process_call", Some(2)),
        5 => ("block_data", None),
        6 => ("i2c_block_broken", None),
        7 => ("block_process_call", None),
        8 => ("i2c_block_data", None),
        _ => ("unknown", Some(0)),
    };
    let both = matches!(size, 4 | 7);
    // A byte that is written without a register is the command itself.
    let bare_write = size == 1 && !reads;
    command.args.push(("operation", Value::Text(operation.into())));
    command.args.push(("direction", Value::Text(if reads { "read" } else { "write" }.into())));
    if !matches!(size, 0 | 1) {
        command.args.push(("register", Value::Int((*register).into())));
    }
    let payload = |bytes: Option<&Payload>| {
        let captured = bytes.map(|bytes| bytes.captured.clone()).unwrap_or_default();
        // A block says its length in its first byte.
        let (skip, length) = match (length, captured.first()) {
            (Some(length), _) => (0, length),
            (None, Some(length)) => (1, usize::from(*length).min(32)),
            (None, None) => (1, 0),
        };
        let end = captured.len().min(skip + length);
        Payload { captured: captured.slice(skip.min(end)..end), size: length as u64 }
    };
    if bare_write {
        command.request = Payload::whole(vec![*register]);
    } else if (!reads || both) && length != Some(0) {
        command.request = payload(argument.given_buffer(0, 0));
    }
    if argument.result >= 0 && length != Some(0) {
        let answered = [1, 2, 3].into_iter().find_map(|buffer| argument.answered_buffer(0, buffer));
        if reads || both {
            command.reply = Some(payload(answered));
        }
    }
    refusal(command);
}

/// Says what the errno of a bus means, `Documentation/i2c/fault-codes.rst`.
fn refusal(command: &mut Command) {
    let Status::Error { kind, message } = &mut command.status else { return };
    let meaning = match &**kind {
        "ENXIO" | "EREMOTEIO" => "not acknowledged (NAK)",
        "EAGAIN" => "arbitration was lost",
        "EBADMSG" => "wrong PEC",
        "EPROTO" => "the target does not keep to the protocol",
        "ETIMEDOUT" => "the bus timed out",
        "EBUSY" => "a driver has this address",
        "EOPNOTSUPP" => "the adapter cannot do this",
        _ => return,
    };
    meaning.clone_into(message);
}

/// Descriptors of one process on one bus whose target is remembered; more are not told apart.
const DESCRIPTORS: usize = 64;

/// Remembers which target each descriptor is set to.
#[derive(Default)]
struct Bus {
    targets: BTreeMap<i32, i64>,
}

impl Bus {
    fn address(&self, fd: i32) -> Option<(&'static str, Value)> {
        // A duplicate that was not seen being made shares its target with the one that was set.
        let only = || if self.targets.len() == 1 { self.targets.values().next() } else { None };
        self.targets.get(&fd).or_else(only).map(|address| ("address", Value::Int(*address)))
    }
}

impl Session for Bus {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let fd = call.fd;
        if let Some(mut command) = generic::moved_command(call, context) {
            command.args.extend(self.address(fd));
            refusal(&mut command);
            context.emit(command);
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        // That arbitration was lost (`EAGAIN`) is no sign of a descriptor that does not block.
        let mut command = generic::ioctl_command(call, row, context);
        if matches!(call.command, I2C_SLAVE | I2C_SLAVE_FORCE) && call.error.is_none() {
            if self.targets.len() < DESCRIPTORS || self.targets.contains_key(&call.fd) {
                self.targets.insert(call.fd, call.value.cast_signed());
            }
        } else if command.name == "I2C_SMBUS" {
            command.args.extend(self.address(call.fd));
        }
        context.emit(command);
    }

    fn opened(&mut self, fd: i32, _write_only: bool) {
        self.targets.remove(&fd);
    }

    fn duplicated(&mut self, fd: i32, new_fd: i32) {
        // Both are one file, with one target.
        if let Some(target) = self.targets.get(&fd).copied()
            && (self.targets.len() < DESCRIPTORS || self.targets.contains_key(&new_fd))
        {
            self.targets.insert(new_fd, target);
        }
    }

    fn closed(&mut self, fds: std::ops::RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {
        self.targets.retain(|fd, _| !fds.contains(&i64::from(*fd)));
    }
}
