//! SCSI commands passed through, `/dev/sgN`, `/dev/bsg/*`, and `SG_IO` on disks: `scsi/sg.h`,
//! `include/uapi/linux/bsg.h`.
//!
//! Span rule: one command per call. `SG_IO` carries a SCSI command block: its operation is the `opcode`, what goes to
//! the device is the request, what comes back the reply. A device's own refusal, inside a call that succeeded, is an
//! error of the status' name; the sense data say why.

mod opcode;
mod sense;

#[cfg(test)]
mod tests;

use super::class::{Class, Row};
use super::generic;
use super::ioc::{Args, Argument, Nested, int_at, no_args, u16_at, u32_at};
use crate::model::command::{Command, Status, Value};
use crate::model::payload::Payload;
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};

/// The class.
pub(crate) const CLASS: Class = Class { name: "scsi", ioctls: TABLE, session: generic::CLASS.session };

/// Also understood by disks, tapes and enclosures.
pub(crate) const SG_IO: Row =
    Row::legacy(0x2285, "SG_IO", (0, 0), no_args).follow(&SG_IO_MEMORY).finish(sg_io);

static TABLE: &[Row] = &[
    SG_IO,
    Row::legacy(0x2201, "SG_SET_TIMEOUT", (4, 0), |argument, args| given("jiffies", argument, args)),
    Row::legacy(0x2202, "SG_GET_TIMEOUT", (0, 0), |argument, args| {
        if argument.result >= 0 {
            args.push(("jiffies", Value::Int(argument.result)));
        }
    }),
    Row::legacy(0x2270, "SG_EMULATED_HOST", (0, 4), |argument, args| answered("on", argument, args)),
    Row::legacy(0x2272, "SG_GET_RESERVED_SIZE", (0, 4), |argument, args| answered("bytes", argument, args)),
    Row::legacy(0x2275, "SG_SET_RESERVED_SIZE", (4, 0), |argument, args| given("bytes", argument, args)),
    Row::legacy(0x2276, "SG_GET_SCSI_ID", (0, 32), scsi_id),
    Row::legacy(0x2279, "SG_SET_FORCE_LOW_DMA", (4, 0), |argument, args| given("on", argument, args)),
    Row::legacy(0x227a, "SG_GET_LOW_DMA", (0, 4), |argument, args| answered("on", argument, args)),
    Row::legacy(0x227b, "SG_SET_FORCE_PACK_ID", (4, 0), |argument, args| given("on", argument, args)),
    Row::legacy(0x227c, "SG_GET_PACK_ID", (0, 4), |argument, args| answered("pack_id", argument, args)),
    Row::legacy(0x227d, "SG_GET_NUM_WAITING", (0, 4), |argument, args| answered("waiting", argument, args)),
    Row::legacy(0x227e, "SG_SET_DEBUG", (4, 0), |argument, args| given("level", argument, args)),
    Row::legacy(0x227f, "SG_GET_SG_TABLESIZE", (0, 4), |argument, args| answered("segments", argument, args)),
    Row::legacy(0x2282, "SG_GET_VERSION_NUM", (0, 4), |argument, args| answered("version", argument, args)),
    Row::legacy(0x2283, "SG_NEXT_CMD_LEN", (4, 0), |argument, args| given("bytes", argument, args)),
    Row::legacy(0x2284, "SG_SCSI_RESET", (4, 0), |argument, args| given("kind", argument, args)),
    Row::legacy(0x2286, "SG_GET_REQUEST_TABLE", (0, 384), no_args).compat(0x2286),
    Row::legacy(0x2287, "SG_SET_KEEP_ORPHAN", (4, 0), |argument, args| given("on", argument, args)),
    Row::legacy(0x2288, "SG_GET_KEEP_ORPHAN", (0, 4), |argument, args| answered("on", argument, args)),
    Row::legacy(0x2289, "SG_GET_ACCESS_COUNT", (0, 4), |argument, args| answered("count", argument, args)),
    Row::legacy(0x5382, "SCSI_IOCTL_GET_IDLUN", (0, 8), no_args),
    Row::legacy(0x5386, "SCSI_IOCTL_GET_BUS_NUMBER", (0, 4), |argument, args| {
        answered("host", argument, args);
    }),
];

fn given(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.given, 0).map(|value| (name, value)));
}

fn answered(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.answered, 0).map(|value| (name, value)));
}

/// `struct sg_scsi_id`.
fn scsi_id(argument: &Argument<'_>, args: &mut Args) {
    for (index, name) in ["host", "channel", "target", "lun", "type"].into_iter().enumerate() {
        args.extend(int_at(argument.answered, 4 * index).map(|value| (name, value)));
    }
}

/// Where the fields of `struct sg_io_hdr` are.
struct Header {
    size: u16,
    data: u16,
    command: u16,
    sense: u16,
    timeout: u16,
    /// `status`, followed by `masked_status`, `msg_status`, `sb_len_wr`, `host_status` and `driver_status`.
    status: u16,
    resid: u16,
    pointer: u8,
}

const NATIVE: Header =
    Header { size: 88, data: 16, command: 24, sense: 32, timeout: 40, status: 64, resid: 72, pointer: 8 };
const COMPAT: Header =
    Header { size: 64, data: 16, command: 20, sense: 24, timeout: 28, status: 44, resid: 52, pointer: 4 };

/// `SG_DXFER_TO_DEV`, `SG_DXFER_FROM_DEV` and `SG_DXFER_TO_FROM_DEV`: -2, -3, -4.
const TO_DEVICE: u32 = -2_i32 as u32;
const FROM_DEVICE: u32 = -3_i32 as u32;
const BOTH: u32 = -4_i32 as u32;

const COMMAND: u8 = 0;
const OUT: u8 = 1;
const IN: u8 = 2;
const SENSE: u8 = 3;

/// Interface `S`, `struct sg_io_hdr`. With `iovec_count` the data lie in as many segments.
const fn third(header: &Header) -> Recipe {
    let direction = Field::u32(4);
    Recipe::PLAIN
        .sized(header.size, header.size)
        .only(Condition::between(Field::u32(0), b'S' as u32, b'S' as u32))
        .argument(header.size)
        .buffer(COMMAND as usize, ENTRY, (header.command, header.pointer), Field::u8(8), Condition::ALWAYS)
        .buffer(
            OUT as usize,
            ENTRY,
            (header.data, header.pointer),
            Field::u32(12),
            Condition::between(direction, TO_DEVICE, TO_DEVICE),
        )
        .buffer(
            IN as usize,
            EXIT,
            (header.data, header.pointer),
            Field::u32(12),
            Condition::between(direction, BOTH, FROM_DEVICE),
        )
        .segments(OUT as usize, Field::u16(10))
        .segments(IN as usize, Field::u16(10))
        .buffer(
            SENSE as usize,
            EXIT,
            (header.sense, header.pointer),
            Field::u8(header.status + 3),
            Condition::ALWAYS,
        )
}

/// Interface `Q`, `struct sg_io_v4`: its pointers have 64 bits everywhere. It has counts of segments too, but no kernel
/// looks at them (`drivers/scsi/scsi_bsg.c`, `block/bsg-lib.c`): the data are what the pointers point to.
const FOURTH: Recipe = Recipe::PLAIN
    .sized(160, 160)
    .argument(160)
    .buffer(COMMAND as usize, ENTRY, (16, 8), Field::u32(12), Condition::ALWAYS)
    .buffer(OUT as usize, ENTRY, (72, 8), Field::u32(60), Condition::ALWAYS)
    .buffer(IN as usize, EXIT, (80, 8), Field::u32(68), Condition::ALWAYS)
    .buffer(SENSE as usize, EXIT, (48, 8), Field::u32(132), Condition::ALWAYS);

static SG_IO_MEMORY: Nested =
    Nested { native: third(&NATIVE), compat: third(&COMPAT), alternative: Some((FOURTH, FOURTH)) };

/// What a pass-through came to, in either interface.
struct Outcome {
    status: u8,
    host: u16,
    resid: u32,
    to_device: u32,
    from_device: u32,
    timeout_ms: u32,
    /// Pieces of memory that the data lie in, 0 if it is one.
    segments: u16,
}

fn sg_io(argument: &Argument<'_>, command: &mut Command) {
    let Some(outcome) = outcome(argument) else { return };
    let block = argument.given_buffer(0, COMMAND);
    if let Some(block) = block {
        let bytes = &block.captured[..];
        if let Some(opcode) = opcode::name(bytes) {
            command.args.push(("opcode", Value::Text(opcode)));
        }
        let hex: String = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
        command.args.push(("cdb", Value::Text(hex.into())));
    }
    command.args.push(("timeout_ms", Value::Int(outcome.timeout_ms.into())));
    if outcome.segments > 0 {
        command.args.push(("segments", Value::Int(outcome.segments.into())));
    }
    let payload = |buffer: Option<&Payload>, size: u32| {
        let captured = buffer.map(|buffer| buffer.captured.clone()).unwrap_or_default();
        let captured = captured.slice(..captured.len().min(size as usize));
        Payload { captured, size: size.into() }
    };
    if outcome.to_device > 0 {
        command.request = payload(argument.given_buffer(0, OUT), outcome.to_device);
    }
    if argument.result < 0 {
        return;
    }
    if outcome.from_device > 0 {
        let moved = outcome.from_device.saturating_sub(outcome.resid);
        command.reply = Some(payload(argument.answered_buffer(0, IN), moved));
    }
    command.args.push(("status", Value::Int(outcome.status.into())));
    let sense = argument.answered_buffer(0, SENSE).and_then(|sense| sense::read(&sense.captured));
    if let Some(sense) = &sense {
        command.args.push(("sense_key", Value::Text(sense.key.into())));
        command.args.push(("asc", Value::Int(sense.code.into())));
        command.args.push(("ascq", Value::Int(sense.qualifier.into())));
    }
    let kind = match (opcode::status(outcome.status), opcode::host_status(outcome.host)) {
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) => return,
    };
    command.status =
        Status::Error { kind, message: sense.map(|sense| sense.to_string()).unwrap_or_default() };
}

fn outcome(argument: &Argument<'_>) -> Option<Outcome> {
    let given = argument.given;
    let after = argument.answered;
    let number = |bytes: &[u8], at: u16| u32_at(bytes, at.into());
    if number(given, 0)? == u32::from(b'Q') {
        return Some(Outcome {
            status: number(after, 116).unwrap_or(0) as u8,
            host: number(after, 112).unwrap_or(0) as u16,
            resid: number(after, 136).unwrap_or(0),
            to_device: number(given, 60)?,
            from_device: number(given, 68)?,
            timeout_ms: number(given, 88)?,
            segments: 0,
        });
    }
    let header = if argument.compat { &COMPAT } else { &NATIVE };
    let (direction, length) = (number(given, 4)?, number(given, 12)?);
    let when = |directions: std::ops::RangeInclusive<u32>| {
        if directions.contains(&direction) { length } else { 0 }
    };
    Some(Outcome {
        status: after.get(usize::from(header.status)).copied().unwrap_or(0),
        host: u16_at(after, usize::from(header.status) + 4).unwrap_or(0),
        resid: number(after, header.resid).unwrap_or(0),
        to_device: when(TO_DEVICE..=TO_DEVICE),
        from_device: when(BOTH..=FROM_DEVICE),
        timeout_ms: number(given, header.timeout)?,
        segments: u16_at(given, 10)?,
    })
}
