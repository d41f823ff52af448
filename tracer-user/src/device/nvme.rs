//! NVMe controllers and namespaces, `/dev/nvmeN`, `/dev/ngNnM`, and the same commands on `/dev/nvmeNnM`:
//! `include/uapi/linux/nvme_ioctl.h`, NVM Express Base Specification 2.0.
//!
//! Span rule: one command per call. A command that is passed through has its `opcode` by name; what goes to the
//! controller is the request, what comes back the reply. A status other than success is an error of its name, although
//! the call succeeds: it returns the status.

mod words;

#[cfg(test)]
mod tests;

use super::class::{Class, Row};
use super::generic;
use super::ioc::{Argument, Nested, int_at, io, iow, iowr, join, no_args, u16_at, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::payload::Payload;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, LAST_BLOCK, Recipe};

/// The class.
pub(crate) const CLASS: Class = Class { name: "nvme", ioctls: TABLE, session: generic::CLASS.session };

static TABLE: &[Row] = &[
    rows::ID,
    rows::ADMIN_CMD,
    rows::SUBMIT_IO,
    rows::IO_CMD,
    rows::RESET,
    rows::SUBSYS_RESET,
    rows::RESCAN,
    rows::ADMIN64_CMD,
    rows::IO64_CMD,
    rows::IO64_CMD_VEC,
];

/// Also understood by namespaces, which are block devices.
pub(crate) mod rows {
    use super::{ADMIN, Row, admin, int_at, io, io_command, iow, iowr, no_args, submit};

    pub(crate) const ID: Row = Row::new(io(b'N', 0x40), "NVME_IOCTL_ID", |argument, args| {
        // Not every node has one.
        if argument.result >= 0 {
            args.push(("namespace", super::Value::Int(argument.result)));
        }
    });
    pub(crate) const ADMIN_CMD: Row =
        Row::new(iowr(b'N', 0x41, 72), "NVME_IOCTL_ADMIN_CMD", no_args).follow(&ADMIN).finish(admin);
    /// The number of i386 programs, with a size of 44, is meant to be one too.
    pub(crate) const SUBMIT_IO: Row = Row::new(iow(b'N', 0x42, 48), "NVME_IOCTL_SUBMIT_IO", no_args)
        .any_size()
        .follow(&super::SUBMITTED)
        .finish(submit);
    pub(crate) const IO_CMD: Row =
        Row::new(iowr(b'N', 0x43, 72), "NVME_IOCTL_IO_CMD", no_args).follow(&ADMIN).finish(io_command);
    pub(crate) const RESET: Row = Row::new(io(b'N', 0x44), "NVME_IOCTL_RESET", no_args);
    pub(crate) const SUBSYS_RESET: Row = Row::new(io(b'N', 0x45), "NVME_IOCTL_SUBSYS_RESET", no_args);
    pub(crate) const RESCAN: Row = Row::new(io(b'N', 0x46), "NVME_IOCTL_RESCAN", no_args);
    pub(crate) const ADMIN64_CMD: Row =
        Row::new(iowr(b'N', 0x47, 80), "NVME_IOCTL_ADMIN64_CMD", no_args).follow(&ADMIN).finish(admin);
    pub(crate) const IO64_CMD: Row =
        Row::new(iowr(b'N', 0x48, 80), "NVME_IOCTL_IO64_CMD", no_args).follow(&ADMIN).finish(io_command);
    /// Its data lie in `vec_cnt` segments, which is where the others have `data_len`.
    pub(crate) const IO64_CMD_VEC: Row =
        Row::new(super::VECTORED, "NVME_IOCTL_IO64_CMD_VEC", |argument, args| {
            args.extend(int_at(argument.given, 36).map(|count| ("segments", count)));
        })
        .follow(&super::SCATTERED)
        .finish(io_command);
}

/// [`rows::IO64_CMD_VEC`].
const VECTORED: u32 = iowr(b'N', 0x49, 80);

/// The low bits of an opcode say which way data go (Base Specification, figure 88).
const TO_CONTROLLER: u32 = 1;
const TO_HOST: u32 = 2;

const OUT: u8 = 0;
const IN: u8 = 1;
const METADATA_OUT: u8 = 2;
const METADATA_IN: u8 = 3;

const TO: Condition = Condition::any(Field::u8(0), TO_CONTROLLER);
const FROM: Condition = Condition::any(Field::u8(0), TO_HOST);

/// `struct nvme_passthru_cmd` and `nvme_passthru_cmd64`, the same up to the result; and on 32-bit machines.
const fn passed_with(length: Field) -> Recipe {
    Recipe::PLAIN
        .argument(72)
        .buffer(OUT as usize, ENTRY, (24, 8), length, TO)
        .buffer(IN as usize, EXIT, (24, 8), length, FROM)
        .buffer(METADATA_OUT as usize, ENTRY, (16, 8), Field::u32(32), TO)
        .buffer(METADATA_IN as usize, EXIT, (16, 8), Field::u32(32), FROM)
}

const PASSED: Recipe = passed_with(Field::u32(36));

/// The segments say how long they are.
const VECTOR: Recipe = passed_with(Field::known(u32::MAX))
    .segments(OUT as usize, Field::u32(36))
    .segments(IN as usize, Field::u32(36));

/// `struct nvme_user_io`: blocks, less one. How long the metadata of each are is not to be had before Linux 6.8.
const BLOCKS: Recipe = Recipe::PLAIN
    .argument(44)
    .buffer(OUT as usize, ENTRY, (16, 8), Field::u16(4), TO)
    .unit(OUT as usize, LAST_BLOCK)
    .buffer(IN as usize, EXIT, (16, 8), Field::u16(4), FROM)
    .unit(IN as usize, LAST_BLOCK);

static ADMIN: Nested = Nested { native: PASSED, compat: PASSED, alternative: None };
static SCATTERED: Nested = Nested { native: VECTOR, compat: VECTOR, alternative: None };
static SUBMITTED: Nested = Nested { native: BLOCKS, compat: BLOCKS, alternative: None };

fn admin(argument: &Argument<'_>, command: &mut Command) {
    passed(argument, command, words::admin);
}

fn io_command(argument: &Argument<'_>, command: &mut Command) {
    passed(argument, command, words::nvm);
}

fn passed(argument: &Argument<'_>, command: &mut Command, name: fn(u8) -> &'static str) {
    let given = argument.given;
    let Some(opcode) = given.first().copied() else { return };
    command.args.push(("opcode", words::or_number(name(opcode), opcode.into(), "0x")));
    let word = |at| u32_at(given, at).map(|word| Value::Int(word.into()));
    command.args.extend(word(4).map(|id| ("namespace", id)));
    for (index, key) in ["cdw10", "cdw11", "cdw12", "cdw13", "cdw14", "cdw15"].into_iter().enumerate() {
        if let Some(word) = u32_at(given, 40 + 4 * index).filter(|word| *word != 0) {
            command.args.push((key, Value::Int(word.into())));
        }
    }
    let opcode = u32::from(opcode);
    let metadata = u32_at(given, 32).unwrap_or(0);
    if metadata > 0 && opcode & (TO_CONTROLLER | TO_HOST) != 0 {
        command.args.push(("metadata_bytes", Value::Int(metadata.into())));
    }
    // Data, then metadata. Of segments the kernel side adds up the lengths.
    let payload = |data: Option<&Payload>, more: Option<&Payload>| {
        let length = match argument.command {
            VECTORED => data.map_or(0, |data| data.size),
            _ => u32_at(given, 36).unwrap_or(0).into(),
        };
        let payload = join([(data, length), (more, metadata.into())]);
        (payload.size > 0).then_some(payload)
    };
    if opcode & TO_CONTROLLER != 0 {
        let (data, more) = (argument.given_buffer(0, OUT), argument.given_buffer(0, METADATA_OUT));
        command.request = payload(data, more).unwrap_or_default();
    }
    if opcode & TO_HOST != 0 && argument.result == 0 {
        command.reply = payload(argument.answered_buffer(0, IN), argument.answered_buffer(0, METADATA_IN));
    }
    if argument.result == 0 {
        let wide = argument.command >> 16 & 0x3fff == 80;
        let result = u32_at(argument.answered, if wide { 72 } else { 68 });
        command.args.extend(result.map(|result| ("result", Value::Int(result.into()))));
    }
    verdict(argument, command);
}

/// `struct nvme_user_io`.
fn submit(argument: &Argument<'_>, command: &mut Command) {
    let given = argument.given;
    let opcode = given.first().copied().unwrap_or(0);
    if !given.is_empty() {
        command.args.push(("opcode", words::or_number(words::nvm(opcode), opcode.into(), "0x")));
    }
    if let Some(blocks) = u16_at(given, 4) {
        command.args.push(("blocks", Value::Int(i64::from(blocks) + 1)));
    }
    let lba =
        given.get(24..).and_then(|rest| rest.first_chunk::<8>()).map(|bytes| i64::from_le_bytes(*bytes));
    command.args.extend(lba.map(|lba| ("lba", Value::Int(lba))));
    // Not there if the size of a block is not known.
    if let Some(data) = argument.given_buffer(0, OUT).filter(|_| u32::from(opcode) & TO_CONTROLLER != 0) {
        command.request = data.clone();
    }
    if argument.result == 0 {
        command.reply = argument.answered_buffer(0, IN).cloned();
    }
    verdict(argument, command);
}

/// A controller's refusal is what the call returns.
fn verdict(argument: &Argument<'_>, command: &mut Command) {
    if let Ok(status @ 1..) = u16::try_from(argument.result) {
        let again = if status & 0x4000 != 0 { "; the same command would fail again" } else { "" };
        let status = status & 0x7ff;
        command.status =
            Status::Error { kind: words::status(status), message: format!("status 0x{status:03x}{again}") };
    }
}
