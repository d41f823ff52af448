//! Disks, partitions, loop devices and memory cards: `include/uapi/linux/fs.h`, `hdreg.h`, `loop.h`, `mmc/ioctl.h`,
//! `cdrom.h`; and SCSI and NVMe commands where a disk takes them.
//!
//! Span rule: one command per call. Reads and writes are commands only where they go around the page cache
//! (`O_DIRECT`): the others are the file system's business, and the kernel side does not record them.

mod mmc;

#[cfg(test)]
mod tests;

use super::class::{Class, Row};
use super::fields::{by_value, long_at, result};
use super::ioc::{Args, Argument, int_at, io, ior, iow, iowr, no_args, text, u16_at, u32_at};
use super::{generic, nvme, scsi};
use crate::model::command::Value;

/// The class.
pub(crate) const CLASS: Class = Class { name: "block", ioctls: TABLE, session: generic::CLASS.session };

static TABLE: &[Row] = &[
    Row::legacy(io(0x12, 93), "BLKROSET", (4, 0), |argument, args| given("read_only", argument, args)),
    Row::legacy(io(0x12, 94), "BLKROGET", (0, 4), |argument, args| answered("read_only", argument, args)),
    Row::new(io(0x12, 95), "BLKRRPART", no_args),
    Row::legacy(io(0x12, 96), "BLKGETSIZE", (0, 8), |argument, args| long("sectors", argument, args)),
    Row::new(io(0x12, 97), "BLKFLSBUF", no_args),
    Row::new(io(0x12, 98), "BLKRASET", |argument, args| by_value("sectors", argument, args)),
    Row::legacy(io(0x12, 99), "BLKRAGET", (0, 8), |argument, args| long("sectors", argument, args)),
    Row::new(io(0x12, 100), "BLKFRASET", |argument, args| by_value("sectors", argument, args)),
    Row::legacy(io(0x12, 101), "BLKFRAGET", (0, 8), |argument, args| long("sectors", argument, args)),
    Row::legacy(io(0x12, 103), "BLKSECTGET", (0, 2), |argument, args| {
        args.extend(u16_at(argument.answered, 0).map(|sectors| ("sectors", Value::Int(sectors.into()))));
    }),
    Row::legacy(io(0x12, 104), "BLKSSZGET", (0, 4), |argument, args| answered("bytes", argument, args)),
    Row::legacy(io(0x12, 105), "BLKPG", (12, 0), |argument, args| given("operation", argument, args)),
    Row::legacy(ior(0x12, 112, 8), "BLKBSZGET", (0, 4), |argument, args| answered("bytes", argument, args))
        .compat(ior(0x12, 112, 4)),
    Row::legacy(iow(0x12, 113, 8), "BLKBSZSET", (4, 0), |argument, args| given("bytes", argument, args))
        .compat(iow(0x12, 113, 4)),
    Row::legacy(ior(0x12, 114, 8), "BLKGETSIZE64", (0, 8), |argument, args| {
        args.extend(long_at(argument.answered, 0).map(|bytes| ("bytes", bytes)));
    })
    .compat(ior(0x12, 114, 4)),
    Row::legacy(io(0x12, 119), "BLKDISCARD", (16, 0), range),
    Row::legacy(io(0x12, 120), "BLKIOMIN", (0, 4), |argument, args| answered("bytes", argument, args)),
    Row::legacy(io(0x12, 121), "BLKIOOPT", (0, 4), |argument, args| answered("bytes", argument, args)),
    Row::legacy(io(0x12, 122), "BLKALIGNOFF", (0, 4), |argument, args| answered("bytes", argument, args)),
    Row::legacy(io(0x12, 123), "BLKPBSZGET", (0, 4), |argument, args| answered("bytes", argument, args)),
    Row::legacy(io(0x12, 124), "BLKDISCARDZEROES", (0, 4), |argument, args| answered("on", argument, args)),
    Row::legacy(io(0x12, 125), "BLKSECDISCARD", (16, 0), range),
    Row::legacy(io(0x12, 126), "BLKROTATIONAL", (0, 2), |argument, args| {
        args.extend(u16_at(argument.answered, 0).map(|on| ("on", Value::Int(on.into()))));
    }),
    Row::legacy(io(0x12, 127), "BLKZEROOUT", (16, 0), range),
    Row::new(ior(0x12, 128, 8), "BLKGETDISKSEQ", |argument, args| {
        args.extend(long_at(argument.answered, 0).map(|sequence| ("sequence", sequence)));
    }),
    Row::new(iowr(0x12, 130, 16), "BLKREPORTZONE", |argument, args| {
        args.extend(long_at(argument.given, 0).map(|sector| ("sector", sector)));
        args.extend(u32_at(argument.given, 8).map(|zones| ("zones", Value::Int(zones.into()))));
    }),
    Row::new(iow(0x12, 131, 16), "BLKRESETZONE", range),
    Row::new(ior(0x12, 132, 4), "BLKGETZONESZ", |argument, args| answered("sectors", argument, args)),
    Row::new(ior(0x12, 133, 4), "BLKGETNRZONES", |argument, args| answered("zones", argument, args)),
    Row::new(iow(0x12, 134, 16), "BLKOPENZONE", range),
    Row::new(iow(0x12, 135, 16), "BLKCLOSEZONE", range),
    Row::new(iow(0x12, 136, 16), "BLKFINISHZONE", range),
    Row::legacy(0x0301, "HDIO_GETGEO", (0, 16), |argument, args| {
        let [heads, sectors, ..] = *argument.answered else { return };
        args.push(("heads", Value::Int(heads.into())));
        args.push(("sectors", Value::Int(sectors.into())));
        args.extend(u16_at(argument.answered, 2).map(|count| ("cylinders", Value::Int(count.into()))));
    }),
    Row::legacy(0x030d, "HDIO_GET_IDENTITY", (0, 512), no_args),
    Row::legacy(0x031f, "HDIO_DRIVE_CMD", (4, 4), no_args),
    Row::new(0x4c00, "LOOP_SET_FD", |argument, args| by_value("fd", argument, args)),
    Row::new(0x4c01, "LOOP_CLR_FD", no_args),
    Row::legacy(0x4c02, "LOOP_SET_STATUS", (168, 0), no_args),
    Row::legacy(0x4c03, "LOOP_GET_STATUS", (0, 168), no_args),
    Row::legacy(0x4c04, "LOOP_SET_STATUS64", (232, 0), |argument, args| loop_info(argument.given, args)),
    Row::legacy(0x4c05, "LOOP_GET_STATUS64", (0, 232), |argument, args| loop_info(argument.answered, args)),
    Row::new(0x4c06, "LOOP_CHANGE_FD", |argument, args| by_value("fd", argument, args)),
    Row::new(0x4c07, "LOOP_SET_CAPACITY", no_args),
    Row::new(0x4c08, "LOOP_SET_DIRECT_IO", |argument, args| by_value("on", argument, args)),
    Row::new(0x4c09, "LOOP_SET_BLOCK_SIZE", |argument, args| by_value("bytes", argument, args)),
    Row::legacy(0x4c0a, "LOOP_CONFIGURE", (304, 0), |argument, args| {
        given("fd", argument, args);
        args.extend(int_at(argument.given, 4).map(|bytes| ("block_size", bytes)));
        loop_info(argument.given.get(8..).unwrap_or_default(), args);
    }),
    Row::new(0x4c80, "LOOP_CTL_ADD", |argument, args| by_value("number", argument, args)),
    Row::new(0x4c81, "LOOP_CTL_REMOVE", |argument, args| by_value("number", argument, args)),
    Row::new(0x4c82, "LOOP_CTL_GET_FREE", |argument, args| result("number", argument, args)),
    Row::new(iowr(179, 0, 72), "MMC_IOC_CMD", mmc::args).follow(&mmc::COMMAND).finish(mmc::finish),
    Row::new(iowr(179, 1, 8), "MMC_IOC_MULTI_CMD", no_args).follow(&mmc::COMMANDS).finish(mmc::several),
    scsi::SG_IO,
    nvme::rows::ID,
    nvme::rows::ADMIN_CMD,
    nvme::rows::SUBMIT_IO,
    nvme::rows::IO_CMD,
    nvme::rows::RESET,
    nvme::rows::SUBSYS_RESET,
    nvme::rows::RESCAN,
    nvme::rows::ADMIN64_CMD,
    nvme::rows::IO64_CMD,
    nvme::rows::IO64_CMD_VEC,
];

fn given(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.given, 0).map(|value| (name, value)));
}

fn answered(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    args.extend(int_at(argument.answered, 0).map(|value| (name, value)));
}

/// A C `unsigned long`.
fn long(name: &'static str, argument: &Argument<'_>, args: &mut Args) {
    let value = if argument.compat {
        u32_at(argument.answered, 0).map(|value| Value::Int(value.into()))
    } else {
        long_at(argument.answered, 0)
    };
    args.extend(value.map(|value| (name, value)));
}

/// `uint64_t range[2]`, and `struct blk_zone_range`: first byte or sector, how many.
fn range(argument: &Argument<'_>, args: &mut Args) {
    args.extend(long_at(argument.given, 0).map(|start| ("start", start)));
    args.extend(long_at(argument.given, 8).map(|length| ("length", length)));
}

/// `struct loop_info64`.
fn loop_info(info: &[u8], args: &mut Args) {
    args.extend(long_at(info, 24).map(|offset| ("offset", offset)));
    args.extend(long_at(info, 32).map(|limit| ("size_limit", limit)));
    args.extend(u32_at(info, 52).map(|flags| ("flags", Value::Int(flags.into()))));
    text("file", info, 56..120, args);
}
