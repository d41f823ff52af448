//! File systems of programs, `/dev/fuse`: `include/uapi/linux/fuse.h`.
//!
//! Span rule: one command per call. A read brings a request of the kernel, a write answers one: both say which
//! (`unique`), the request its operation and the answer its outcome. An answer that something failed is no failure of
//! the write.

use super::class::{Class, Context, Moved, Row, Session};
use super::fields::{As, choice, fields, text, u64_at};
use super::generic;
use super::ioc::{Args, ior, iow, u32_at};
use crate::model::errno;
use crate::model::net::Direction;

/// The class.
pub(crate) const CLASS: Class = Class { name: "fuse", ioctls: TABLE, session: || Box::new(Mount) };

/// `FUSE_DEV_IOC_MAGIC`.
const FUSE: u8 = 229;

static TABLE: &[Row] = &[
    // Its number says that the driver writes.
    Row::legacy(ior(FUSE, 0, 4), "FUSE_DEV_IOC_CLONE", (4, 0), |argument, args| {
        fields(argument.given, &[("fd", 0, As::Int)], args);
    }),
    // Since Linux 6.9.
    Row::new(iow(FUSE, 1, 16), "FUSE_DEV_IOC_BACKING_OPEN", |argument, args| {
        fields(argument.given, &[("fd", 0, As::Int), ("flags", 4, As::Hex)], args);
    }),
    Row::new(iow(FUSE, 2, 4), "FUSE_DEV_IOC_BACKING_CLOSE", |argument, args| {
        fields(argument.given, &[("backing", 0, As::Number)], args);
    }),
];

/// `enum fuse_opcode`, by number.
const OPERATIONS: &[&str] = &[
    "",
    "LOOKUP",
    "FORGET",
    "GETATTR",
    "SETATTR",
    "READLINK",
    "SYMLINK",
    "",
    "MKNOD",
    "MKDIR",
    "UNLINK",
    "RMDIR",
    "RENAME",
    "LINK",
    "OPEN",
    "READ",
    "WRITE",
    "STATFS",
    "RELEASE",
    "",
    "FSYNC",
    "SETXATTR",
    "GETXATTR",
    "LISTXATTR",
    "REMOVEXATTR",
    "FLUSH",
    "INIT",
    "OPENDIR",
    "READDIR",
    "RELEASEDIR",
    "FSYNCDIR",
    "GETLK",
    "SETLK",
    "SETLKW",
    "ACCESS",
    "CREATE",
    "INTERRUPT",
    "BMAP",
    "DESTROY",
    "IOCTL",
    "POLL",
    "NOTIFY_REPLY",
    "BATCH_FORGET",
    "FALLOCATE",
    "READDIRPLUS",
    "RENAME2",
    "LSEEK",
    "COPY_FILE_RANGE",
    "SETUPMAPPING",
    "REMOVEMAPPING",
    "SYNCFS",
    "TMPFILE",
    "STATX",
];

/// `enum fuse_notify_code`, by number.
const NOTES: &[&str] = &["", "POLL", "INVAL_INODE", "INVAL_ENTRY", "STORE", "RETRIEVE", "DELETE", "RESEND"];

/// `struct fuse_in_header`.
fn request(header: &[u8], args: &mut Args) {
    args.extend(u32_at(header, 4).map(|number| ("operation", choice(number.into(), OPERATIONS))));
    fields(header, &[("unique", 8, As::Long), ("node", 16, As::Long), ("pid", 32, As::Number)], args);
}

/// `struct fuse_out_header`: an answer, or without a number of a request a note to the kernel.
fn answer(header: &[u8], args: &mut Args) {
    let (Some(error), Some(unique)) = (u32_at(header, 4).map(u32::cast_signed), u64_at(header, 8)) else {
        return;
    };
    if unique == 0 {
        args.push(("notify", choice(u64::from(error.unsigned_abs()), NOTES)));
        return;
    }
    fields(header, &[("unique", 8, As::Long)], args);
    if error < 0 {
        args.push(("error", text(errno::name(error.unsigned_abs()))));
    }
}

/// Remembers nothing.
struct Mount;

impl Session for Mount {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let mut args = Args::new();
        match call.direction {
            Direction::Inward if call.error.is_none() => request(&call.payload.captured, &mut args),
            Direction::Inward => {}
            Direction::Outward => answer(&call.payload.captured, &mut args),
        }
        if let Some(mut command) = generic::moved_command(call, context) {
            command.args.extend(args);
            context.emit(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::device::tests::calls::{Ioctl, rendered};
    use crate::device::tests::check;
    use expect_test::expect;

    #[test]
    fn requests_and_answers_have_numbers() {
        check(
            "fuse",
            r#"
            0-9 read "\x28\x00\x00\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x39\x05\x00\x00" +4
            10-11 write "\x10\x00\x00\x00\xfe\xff\xff\xff\x06\x00\x00\x00\x00\x00\x00\x00"
            12-13 write "\x10\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00"
            14-15 write "\x10\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
            16-17 write "\x10\x00\x00\x00"
            18-19 read "" =-19
            "#,
            expect![[r#"
                0 command read 0..9 → "(\x00\x00\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x009\x05\x00\x00"/40 operation=LOOKUP unique=6 node=1 pid=1337
                1 command write 10..11 "\x10\x00\x00\x00\xfe\xff\xff\xff\x06\x00\x00\x00\x00\x00\x00\x00" unique=6 error=ENOENT
                2 command write 12..13 "\x10\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00" unique=8
                3 command write 14..15 "\x10\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" notify=INVAL_ENTRY
                4 command write 16..17 "\x10\x00\x00\x00"
                5 command read 18..19 error ENODEV
            "#]],
        );
    }

    #[test]
    fn commands_and_their_arguments() {
        let calls = [
            Ioctl::new(0x8004_e500).argument(&[7, 0, 0, 0]),
            Ioctl::new(0x4010_e501).argument(&[9, 0, 0, 0, 0, 0, 0, 0]).returns(1),
            Ioctl::new(0x4004_e502).argument(&[1, 0, 0, 0]),
        ];
        expect![[r#"
            0 command FUSE_DEV_IOC_CLONE 0..10 fd=7
            1 command FUSE_DEV_IOC_BACKING_OPEN 0..10 fd=9 flags=0x0
            2 command FUSE_DEV_IOC_BACKING_CLOSE 0..10 backing=1
        "#]]
        .assert_eq(&rendered("fuse", calls));
    }
}
