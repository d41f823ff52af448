//! In-kernel back ends of virtual devices, `/dev/vhost-*`: `include/uapi/linux/vhost.h` and `vhost_types.h`.
//!
//! Span rule: one command per call. Messages about address translation (`read` and `write`) are plain.

use super::class::{Class, Row};
use super::fields::{As, Fields, fields, hex, u64_at};
use super::generic;
use super::ioc::{Args, Argument, io, ior, iow, iowr, no_args};

/// The class.
pub(crate) const CLASS: Class = Class { name: "vhost", ioctls: TABLE, session: generic::CLASS.session };

/// The driver's letter.
const VHOST: u8 = 0xaf;

/// `struct vhost_vring_state`.
const STATE: Fields<'_> = &[("index", 0, As::Number), ("value", 4, As::Number)];
/// `struct vhost_vring_file`.
const FILE: Fields<'_> = &[("index", 0, As::Number), ("fd", 4, As::Int)];
/// `struct vhost_vring_addr`.
const RING: Fields<'_> = &[
    ("index", 0, As::Number),
    ("flags", 4, As::Hex),
    ("descriptors", 8, As::LongHex),
    ("used", 16, As::LongHex),
    ("available", 24, As::LongHex),
    ("log", 32, As::LongHex),
];
/// `struct vhost_scsi_target`.
const TARGET: Fields<'_> =
    &[("abi_version", 0, As::Int), ("wwpn", 4, As::Text(224)), ("target_group", 228, As::Short)];

static TABLE: &[Row] = &[
    Row::new(ior(VHOST, 0x00, 8), "VHOST_GET_FEATURES", |argument, args| features(argument.answered, args)),
    Row::new(iow(VHOST, 0x00, 8), "VHOST_SET_FEATURES", |argument, args| features(argument.given, args)),
    Row::new(io(VHOST, 0x01), "VHOST_SET_OWNER", no_args),
    Row::new(io(VHOST, 0x02), "VHOST_RESET_OWNER", no_args),
    // A list of regions follows, which is not copied.
    Row::new(iow(VHOST, 0x03, 8), "VHOST_SET_MEM_TABLE", |argument, args| {
        fields(argument.given, &[("regions", 0, As::Number)], args);
    }),
    Row::new(iow(VHOST, 0x04, 8), "VHOST_SET_LOG_BASE", |argument, args| {
        fields(argument.given, &[("address", 0, As::LongHex)], args);
    }),
    Row::new(iow(VHOST, 0x07, 4), "VHOST_SET_LOG_FD", |argument, args| one("fd", As::Int, argument, args)),
    Row::new(iow(VHOST, 0x10, 8), "VHOST_SET_VRING_NUM", given_state),
    Row::new(iow(VHOST, 0x11, 40), "VHOST_SET_VRING_ADDR", |argument, args| {
        fields(argument.given, RING, args);
    }),
    Row::new(iow(VHOST, 0x12, 8), "VHOST_SET_VRING_BASE", given_state),
    Row::new(iowr(VHOST, 0x12, 8), "VHOST_GET_VRING_BASE", answered_state),
    Row::new(iow(VHOST, 0x13, 8), "VHOST_SET_VRING_ENDIAN", given_state),
    // Their numbers say that the driver only reads.
    Row::legacy(iow(VHOST, 0x14, 8), "VHOST_GET_VRING_ENDIAN", (8, 8), answered_state),
    Row::legacy(iow(VHOST, 0x24, 8), "VHOST_GET_VRING_BUSYLOOP_TIMEOUT", (8, 8), answered_state),
    Row::new(iow(VHOST, 0x23, 8), "VHOST_SET_VRING_BUSYLOOP_TIMEOUT", given_state),
    Row::new(iow(VHOST, 0x20, 8), "VHOST_SET_VRING_KICK", given_file),
    Row::new(iow(VHOST, 0x21, 8), "VHOST_SET_VRING_CALL", given_file),
    Row::new(iow(VHOST, 0x22, 8), "VHOST_SET_VRING_ERR", given_file),
    Row::new(iow(VHOST, 0x25, 8), "VHOST_SET_BACKEND_FEATURES", |argument, args| {
        features(argument.given, args);
    }),
    Row::new(ior(VHOST, 0x26, 8), "VHOST_GET_BACKEND_FEATURES", |argument, args| {
        features(argument.answered, args);
    }),
    Row::new(iow(VHOST, 0x30, 8), "VHOST_NET_SET_BACKEND", given_file),
    Row::new(iow(VHOST, 0x40, 232), "VHOST_SCSI_SET_ENDPOINT", |argument, args| {
        fields(argument.given, TARGET, args);
    }),
    Row::new(iow(VHOST, 0x41, 232), "VHOST_SCSI_CLEAR_ENDPOINT", |argument, args| {
        fields(argument.given, TARGET, args);
    }),
    Row::legacy(iow(VHOST, 0x42, 4), "VHOST_SCSI_GET_ABI_VERSION", (0, 4), |argument, args| {
        answer("version", As::Int, argument, args);
    }),
    Row::new(iow(VHOST, 0x43, 4), "VHOST_SCSI_SET_EVENTS_MISSED", |argument, args| {
        one("missed", As::Number, argument, args);
    }),
    Row::legacy(iow(VHOST, 0x44, 4), "VHOST_SCSI_GET_EVENTS_MISSED", (0, 4), |argument, args| {
        answer("missed", As::Number, argument, args);
    }),
    Row::new(iow(VHOST, 0x60, 8), "VHOST_VSOCK_SET_GUEST_CID", |argument, args| {
        one("cid", As::Long, argument, args);
    }),
    Row::new(iow(VHOST, 0x61, 4), "VHOST_VSOCK_SET_RUNNING", |argument, args| {
        one("on", As::Int, argument, args);
    }),
    Row::new(ior(VHOST, 0x70, 4), "VHOST_VDPA_GET_DEVICE_ID", |argument, args| {
        answer("device", As::Number, argument, args);
    }),
    Row::new(ior(VHOST, 0x71, 1), "VHOST_VDPA_GET_STATUS", |argument, args| {
        answer("status", As::Byte, argument, args);
    }),
    Row::new(iow(VHOST, 0x72, 1), "VHOST_VDPA_SET_STATUS", |argument, args| {
        one("status", As::Byte, argument, args);
    }),
    // What they are about follows behind, as long as the argument says.
    Row::legacy(ior(VHOST, 0x73, 8), "VHOST_VDPA_GET_CONFIG", (8, 0), config),
    Row::new(iow(VHOST, 0x74, 8), "VHOST_VDPA_SET_CONFIG", config),
    Row::new(iow(VHOST, 0x75, 8), "VHOST_VDPA_SET_VRING_ENABLE", given_state),
    Row::new(ior(VHOST, 0x76, 2), "VHOST_VDPA_GET_VRING_NUM", |argument, args| {
        answer("value", As::Short, argument, args);
    }),
    Row::new(iow(VHOST, 0x77, 4), "VHOST_VDPA_SET_CONFIG_CALL", |argument, args| {
        one("fd", As::Int, argument, args);
    }),
    Row::new(ior(VHOST, 0x78, 16), "VHOST_VDPA_GET_IOVA_RANGE", |argument, args| {
        fields(argument.answered, &[("first", 0, As::LongHex), ("last", 8, As::LongHex)], args);
    }),
    Row::new(ior(VHOST, 0x79, 4), "VHOST_VDPA_GET_CONFIG_SIZE", |argument, args| {
        answer("bytes", As::Number, argument, args);
    }),
    Row::new(ior(VHOST, 0x80, 4), "VHOST_VDPA_GET_VQS_COUNT", |argument, args| {
        answer("count", As::Number, argument, args);
    }),
    Row::new(ior(VHOST, 0x81, 4), "VHOST_VDPA_GET_GROUP_NUM", |argument, args| {
        answer("count", As::Number, argument, args);
    }),
    Row::new(ior(VHOST, 0x7a, 4), "VHOST_VDPA_GET_AS_NUM", |argument, args| {
        answer("count", As::Number, argument, args);
    }),
    Row::new(iowr(VHOST, 0x7b, 8), "VHOST_VDPA_GET_VRING_GROUP", answered_state),
    Row::new(iow(VHOST, 0x7c, 8), "VHOST_VDPA_SET_GROUP_ASID", given_state),
    Row::new(io(VHOST, 0x7d), "VHOST_VDPA_SUSPEND", no_args),
];

fn features(bits: &[u8], args: &mut Args) {
    args.extend(u64_at(bits, 0).map(|bits| ("features", hex(bits))));
}

fn one(key: &'static str, kind: As, argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[(key, 0, kind)], args);
}

fn answer(key: &'static str, kind: As, argument: &Argument<'_>, args: &mut Args) {
    fields(argument.answered, &[(key, 0, kind)], args);
}

fn given_state(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, STATE, args);
}

fn given_file(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, FILE, args);
}

/// The program says which ring, the driver the value.
fn answered_state(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("index", 0, As::Number)], args);
    fields(argument.answered, &[("value", 4, As::Number)], args);
}

/// `struct vhost_vdpa_config`.
fn config(argument: &Argument<'_>, args: &mut Args) {
    fields(argument.given, &[("offset", 0, As::Number), ("bytes", 4, As::Number)], args);
}

#[cfg(test)]
mod tests {
    use crate::device::tests::calls::{Ioctl, rendered};
    use expect_test::expect;

    #[test]
    fn commands_and_their_arguments() {
        let words =
            |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
        let calls = [
            Ioctl::new(0x8008_af00).argument(&0x1_3400_8000_u64.to_le_bytes()),
            Ioctl::new(0xaf01),
            Ioctl::new(0x4008_af03).argument(&words(&[2, 0])),
            Ioctl::new(0x4008_af10).argument(&words(&[1, 256])),
            Ioctl::new(0xc008_af12).was(&words(&[1, 0])).argument(&words(&[1, 77])),
            Ioctl::new(0xc008_af12).was(&words(&[9, 5])).argument(&words(&[9, 5])).returns(-105),
            Ioctl::new(0x4008_af20).argument(&words(&[0, u32::MAX])),
            Ioctl::new(0x4008_af30).argument(&words(&[0, 12])[..6]),
            Ioctl::new(0x8001_af71).argument(&[15]),
        ];
        expect![[r#"
            0 command VHOST_GET_FEATURES 0..10 features=0x134008000
            1 command VHOST_SET_OWNER 0..10
            2 command VHOST_SET_MEM_TABLE 0..10 regions=2
            3 command VHOST_SET_VRING_NUM 0..10 index=1 value=256
            4 command VHOST_GET_VRING_BASE 0..10 index=1 value=77
            5 command VHOST_GET_VRING_BASE 0..10 error ENOBUFS index=9
            6 command VHOST_SET_VRING_KICK 0..10 index=0 fd=-1
            7 command VHOST_NET_SET_BACKEND 0..10 index=0
            8 command VHOST_VDPA_GET_STATUS 0..10 status=15
        "#]]
        .assert_eq(&rendered("vhost", calls));
    }
}
