//! Media controllers, `/dev/mediaN`: `include/uapi/linux/media.h`.
//!
//! Span rule: one command per call. A request that a controller hands out is a descriptor of its own; its calls belong
//! to the controller.

use super::class::{Class, Row};
use super::generic;
use super::ioc::{Nested, int_at, io, ior, iowr, no_args, text, u32_at};
use crate::model::command::Value;
use tracer_common::recipe::Recipe;

/// The class.
pub(crate) const CLASS: Class = Class { name: "media", ioctls: TABLE, session: generic::CLASS.session };

/// The driver writes the new descriptor to where the argument points.
static REQUEST: Nested =
    Nested { native: Recipe::PLAIN.new_fd(0), compat: Recipe::PLAIN.new_fd(0), alternative: None };

static TABLE: &[Row] = &[
    Row::new(iowr(b'|', 0, 256), "MEDIA_IOC_DEVICE_INFO", |argument, args| {
        text("driver", argument.answered, 0..16, args);
        text("model", argument.answered, 16..48, args);
        text("serial", argument.answered, 48..88, args);
        text("bus", argument.answered, 88..120, args);
    }),
    Row::new(iowr(b'|', 1, 256), "MEDIA_IOC_ENUM_ENTITIES", |argument, args| {
        args.extend(u32_at(argument.answered, 0).map(|id| ("entity", Value::Int(id.into()))));
        text("name", argument.answered, 4..36, args);
    }),
    Row::new(iowr(b'|', 2, 40), "MEDIA_IOC_ENUM_LINKS", |argument, args| {
        args.extend(u32_at(argument.given, 0).map(|id| ("entity", Value::Int(id.into()))));
    })
    .compat(iowr(b'|', 2, 28)),
    Row::new(iowr(b'|', 3, 52), "MEDIA_IOC_SETUP_LINK", |argument, args| {
        for (name, at) in [("source", 0), ("sink", 20), ("flags", 40)] {
            args.extend(u32_at(argument.given, at).map(|number| (name, Value::Int(number.into()))));
        }
    }),
    Row::new(iowr(b'|', 4, 72), "MEDIA_IOC_G_TOPOLOGY", |argument, args| {
        args.extend(u32_at(argument.answered, 8).map(|count| ("entities", Value::Int(count.into()))));
    }),
    Row::new(ior(b'|', 5, 4), "MEDIA_IOC_REQUEST_ALLOC", |argument, args| {
        args.extend(int_at(argument.answered, 0).map(|fd| ("fd", fd)));
    })
    .follow(&REQUEST),
    Row::new(io(b'|', 0x80), "MEDIA_REQUEST_IOC_QUEUE", no_args),
    Row::new(io(b'|', 0x81), "MEDIA_REQUEST_IOC_REINIT", no_args),
];

#[cfg(test)]
mod tests {
    use crate::device::tests::calls::{Ioctl, rendered};
    use expect_test::expect;

    #[test]
    fn devices_entities_and_links() {
        let mut info = [0; 256];
        info[..5].copy_from_slice(b"vimc\0");
        info[16..20].copy_from_slice(b"VIMC");
        let mut link = [0; 52];
        (link[0], link[20], link[40]) = (1, 2, 1);
        let calls = [
            Ioctl::new(0xc100_7c00).argument(&info),
            Ioctl::new(0xc034_7c03).argument(&link).returns(-16),
            Ioctl::new(0x8004_7c05).argument(&[9, 0, 0, 0]),
            Ioctl::new(0x7c80).fd(9),
        ];
        expect![[r#"
            0 command MEDIA_IOC_DEVICE_INFO 0..10 driver=vimc model=VIMC serial= bus=
            1 command MEDIA_IOC_SETUP_LINK 0..10 error EBUSY source=1 sink=2 flags=1
            2 command MEDIA_IOC_REQUEST_ALLOC 0..10 fd=9
            3 command MEDIA_REQUEST_IOC_QUEUE 0..10
        "#]]
        .assert_eq(&rendered("media", calls));
    }
}
