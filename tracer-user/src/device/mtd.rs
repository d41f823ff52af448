//! Memory technology devices (flash), `/dev/mtdN`: `include/uapi/mtd/mtd-abi.h`.
//!
//! Span rule: one command per call. What `MEMWRITE` and `MEMWRITEOOB` write is the request, what `MEMREAD` and
//! `MEMREADOOB` read the reply; of both areas the data come first, then the bytes out of band. That a block is bad is
//! an answer (`bad`), that bits could not be corrected an error.

#[cfg(test)]
mod tests;

use super::class::{Class, Context, Ioctl, Moved, Row, Session};
use super::fields::{As, Fields, choice, fields, flags, result, u64_at};
use super::generic;
use super::ioc::{Args, Argument, Nested, int_at, io, ior, iow, iowr, join, u32_at};
use crate::model::command::{Command, Status, Value};
use tracer_common::recipe::{Condition, ENTRY, EXIT, Field, Recipe};

/// The class.
pub(crate) const CLASS: Class = Class { name: "mtd", ioctls: TABLE, session: || Box::new(Flash) };

/// `struct erase_info_user`.
const RANGE: Fields<'_> = &[("start", 0, As::Number), ("length", 4, As::Number)];
/// `struct erase_info_user64`.
const RANGE64: Fields<'_> = &[("start", 0, As::Long), ("length", 8, As::Long)];
/// `struct otp_info`.
const OTP: Fields<'_> = &[("start", 0, As::Number), ("length", 4, As::Number), ("locked", 8, As::Number)];

static TABLE: &[Row] = &[
    Row::new(ior(b'M', 1, 32), "MEMGETINFO", info),
    Row::new(iow(b'M', 2, 8), "MEMERASE", |argument, args| fields(argument.given, RANGE, args)),
    // The pointer at their ends is shorter in 32-bit programs.
    Row::new(iowr(b'M', 3, 16), "MEMWRITEOOB", |argument, args| fields(argument.given, RANGE, args))
        .compat(iowr(b'M', 3, 12))
        .follow(&WRITE_OOB)
        .finish(out_of_band),
    Row::new(iowr(b'M', 4, 16), "MEMREADOOB", |argument, args| fields(argument.given, RANGE, args))
        .compat(iowr(b'M', 4, 12))
        .follow(&READ_OOB)
        .finish(out_of_band),
    Row::new(iow(b'M', 5, 8), "MEMLOCK", |argument, args| fields(argument.given, RANGE, args)),
    Row::new(iow(b'M', 6, 8), "MEMUNLOCK", |argument, args| fields(argument.given, RANGE, args)),
    Row::new(ior(b'M', 7, 4), "MEMGETREGIONCOUNT", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|count| ("count", count)));
    }),
    Row::new(iowr(b'M', 8, 16), "MEMGETREGIONINFO", region),
    Row::new(ior(b'M', 10, 200), "MEMGETOOBSEL", |argument, args| {
        fields(argument.answered, &[("use_ecc", 0, As::Number), ("ecc_bytes", 4, As::Number)], args);
    }),
    Row::new(iow(b'M', 11, 8), "MEMGETBADBLOCK", |argument, args| {
        fields(argument.given, &[("offset", 0, As::Long)], args);
        if argument.result >= 0 {
            args.push(("bad", Value::Bool(argument.result > 0)));
        }
    }),
    Row::new(iow(b'M', 12, 8), "MEMSETBADBLOCK", |argument, args| {
        fields(argument.given, &[("offset", 0, As::Long)], args);
    }),
    // The numbers of the next say the wrong direction.
    Row::legacy(ior(b'M', 13, 4), "OTPSELECT", (4, 0), |argument, args| {
        let mode = u32_at(argument.given, 0);
        args.extend(mode.map(|mode| ("mode", choice(mode.into(), &["OFF", "FACTORY", "USER"]))));
    }),
    Row::legacy(iow(b'M', 14, 4), "OTPGETREGIONCOUNT", (0, 4), |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|count| ("count", count)));
    }),
    // As many as there are; the first is shown.
    Row::legacy(iow(b'M', 15, 12), "OTPGETREGIONINFO", (0, 12), |argument, args| {
        fields(argument.answered, OTP, args);
    }),
    Row::legacy(ior(b'M', 16, 12), "OTPLOCK", (12, 0), |argument, args| fields(argument.given, RANGE, args)),
    Row::new(iow(b'M', 25, 12), "OTPERASE", |argument, args| fields(argument.given, RANGE, args)),
    Row::new(ior(b'M', 17, 328), "ECCGETLAYOUT", |argument, args| {
        fields(argument.answered, &[("ecc_bytes", 0, As::Number), ("available", 260, As::Number)], args);
    }),
    Row::new(ior(b'M', 18, 16), "ECCGETSTATS", |argument, args| {
        const STATISTICS: Fields<'_> = &[
            ("corrected", 0, As::Number),
            ("failed", 4, As::Number),
            ("bad_blocks", 8, As::Number),
            ("reserved_blocks", 12, As::Number),
        ];
        fields(argument.answered, STATISTICS, args);
    }),
    Row::new(io(b'M', 19), "MTDFILEMODE", |argument, args| {
        args.push(("mode", choice(argument.value, &["NORMAL", "OTP_FACTORY", "OTP_USER", "RAW"])));
    }),
    Row::new(iow(b'M', 20, 16), "MEMERASE64", |argument, args| fields(argument.given, RANGE64, args)),
    Row::new(iowr(b'M', 21, 24), "MEMWRITEOOB64", range_oob64).follow(&WRITE_OOB64).finish(out_of_band64),
    Row::new(iowr(b'M', 22, 24), "MEMREADOOB64", range_oob64).follow(&READ_OOB64).finish(out_of_band64),
    Row::legacy(ior(b'M', 23, 8), "MEMISLOCKED", (8, 0), |argument, args| {
        fields(argument.given, RANGE, args);
        result("locked", argument, args);
    }),
    Row::new(iowr(b'M', 24, 48), "MEMWRITE", both_areas).follow(&WRITE).finish(transferred),
    // Its size is a multiple of eight but in i386 programs.
    Row::new(iowr(b'M', 26, 64), "MEMREAD", |argument, args| {
        both_areas(argument, args);
        const ERRORS: Fields<'_> = &[
            ("uncorrectable_errors", 48, As::Number),
            ("corrected_bitflips", 52, As::Number),
            ("max_bitflips", 56, As::Number),
        ];
        fields(argument.answered, ERRORS, args);
    })
    .compat(iowr(b'M', 26, 60))
    .any_size()
    .follow(&READ)
    .finish(transferred),
];

/// A `struct mtd_oob_buf`, of so many bytes: start, length, pointer at its end.
const fn oob(when: u8) -> Nested {
    const fn recipe(when: u8, bytes: u16, pointer: u8) -> Recipe {
        Recipe::PLAIN.argument(bytes).buffer(0, when, (8, pointer), Field::u32(4), Condition::ALWAYS)
    }
    Nested { native: recipe(when, 16, 8), compat: recipe(when, 12, 4), alternative: None }
}

/// A `struct mtd_oob_buf64`.
const fn oob64(when: u8) -> Nested {
    let recipe = Recipe::PLAIN.argument(24).buffer(0, when, (16, 8), Field::u32(12), Condition::ALWAYS);
    Nested { native: recipe, compat: recipe, alternative: None }
}

/// A `struct mtd_write_req` or the same beginning of a `struct mtd_read_req`. Of the lengths the lower halves count.
const fn areas(when: u8) -> Nested {
    let recipe = Recipe::PLAIN
        .argument(48)
        .buffer(0, when, (24, 8), Field::u32(8), Condition::ALWAYS)
        .buffer(1, when, (32, 8), Field::u32(16), Condition::ALWAYS);
    Nested { native: recipe, compat: recipe, alternative: None }
}

static WRITE_OOB: Nested = oob(ENTRY);
static READ_OOB: Nested = oob(EXIT);
static WRITE_OOB64: Nested = oob64(ENTRY);
static READ_OOB64: Nested = oob64(EXIT);
static WRITE: Nested = areas(ENTRY);
static READ: Nested = areas(EXIT);

/// `struct mtd_info_user`.
fn info(argument: &Argument<'_>, args: &mut Args) {
    const TYPES: &[&str] =
        &["ABSENT", "RAM", "ROM", "NORFLASH", "NANDFLASH", "", "DATAFLASH", "UBIVOLUME", "MLCNANDFLASH"];
    const FLAGS: &[(u64, &str)] = &[
        (0x0400, "WRITEABLE"),
        (0x0800, "BIT_WRITEABLE"),
        (0x1000, "NO_ERASE"),
        (0x2000, "POWERUP_LOCK"),
        (0x4000, "SLC_ON_MLC_EMULATION"),
    ];
    let info = argument.answered;
    args.extend(info.first().map(|kind| ("type", choice((*kind).into(), TYPES))));
    args.extend(u32_at(info, 4).map(|set| ("flags", flags(set.into(), FLAGS))));
    const SIZES: Fields<'_> = &[
        ("size", 8, As::Number),
        ("erase_size", 12, As::Number),
        ("write_size", 16, As::Number),
        ("oob_size", 20, As::Number),
    ];
    fields(info, SIZES, args);
}

/// `struct region_info_user`.
fn region(argument: &Argument<'_>, args: &mut Args) {
    const REGION: Fields<'_> =
        &[("offset", 0, As::Number), ("erase_size", 4, As::Number), ("blocks", 8, As::Number)];
    fields(argument.given, &[("region", 12, As::Number)], args);
    fields(argument.answered, REGION, args);
}

fn range_oob64(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("start", 0, As::Long), ("length", 12, As::Number)], args);
}

/// Where in flash, how many bytes of each area, and how.
fn both_areas(argument: &Argument<'_>, args: &mut Args) {
    let request = argument.given;
    const RANGES: Fields<'_> =
        &[("start", 0, As::Long), ("length", 8, As::Number), ("oob_length", 16, As::Number)];
    fields(request, RANGES, args);
    let modes = &["PLACE_OOB", "AUTO_OOB", "RAW"];
    args.extend(request.get(40).map(|mode| ("mode", choice((*mode).into(), modes))));
}

fn out_of_band(argument: &Argument<'_>, command: &mut Command) {
    moved(argument, command, &[(8, u32_at(argument.given, 4))]);
}

fn out_of_band64(argument: &Argument<'_>, command: &mut Command) {
    moved(argument, command, &[(16, u32_at(argument.given, 12))]);
}

/// `MEMWRITE` and `MEMREAD`: data, then what is out of band.
fn transferred(argument: &Argument<'_>, command: &mut Command) {
    moved(argument, command, &[(24, u32_at(argument.given, 8)), (32, u32_at(argument.given, 16))]);
}

/// Puts the buffers, of which the pointers are at these places, together: request of what writes, reply of what reads.
/// `MEMREAD` changes the lengths to what it read.
fn moved(argument: &Argument<'_>, command: &mut Command, buffers: &[(usize, Option<u32>)]) {
    let reads = matches!(argument.command & 0xff, 4 | 22 | 26);
    let is_there = |pointer: usize| match argument.compat && pointer == 8 {
        true => u32_at(argument.given, pointer).is_some_and(|pointer| pointer != 0),
        false => u64_at(argument.given, pointer).is_some_and(|pointer| pointer != 0),
    };
    let places = buffers.iter().enumerate().filter(|(_, (pointer, _))| is_there(*pointer));
    let payload = join(places.map(|(index, (_, length))| {
        let found = match reads {
            true => argument.answered_buffer(0, index as u8),
            false => argument.given_buffer(0, index as u8),
        };
        let length = found.map(|found| found.size).or_else(|| length.map(u64::from));
        (found, length.unwrap_or(0))
    }));
    if !reads {
        command.request = payload;
    } else if argument.result >= 0 {
        command.reply = Some(payload);
    }
}

/// Says what an errno of flash means.
fn refusal(command: &mut Command) {
    let Status::Error { kind, message } = &mut command.status else { return };
    let meaning = match &**kind {
        "EUCLEAN" => "bits had to be corrected: the block should be rewritten",
        "EBADMSG" => "there were more wrong bits than can be corrected",
        "EROFS" => "the area is read-only or locked",
        "EIO" => "the flash failed, or the block is bad",
        _ => return,
    };
    meaning.clone_into(message);
}

/// Remembers nothing.
struct Flash;

impl Session for Flash {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        if let Some(mut command) = generic::moved_command(call, context) {
            refusal(&mut command);
            context.emit(command);
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        let mut command = generic::ioctl_command(call, row, context);
        refusal(&mut command);
        context.emit(command);
    }
}
