//! Media controllers, `/dev/mediaN`: `include/uapi/linux/media.h`.
//!
//! Span rule: one command per call. A request that a controller hands out is a descriptor of its own; its calls belong
//! to the controller and say which (`request_fd`), as buffers and controls of video nodes do that are put into it.

use super::class::{Class, Context, Ioctl, Row, Session};
use super::fields::{As, Fields, answered, fields};
use super::generic;
use super::ioc::{Nested, io, ior, iowr, no_args};
use crate::model::command::Value;
use tracer_common::recipe::Recipe;

/// The class.
pub(crate) const CLASS: Class = Class { name: "media", ioctls: TABLE, session: || Box::new(Controller) };

/// The driver writes the new descriptor to where the argument points.
static REQUEST: Nested =
    Nested { native: Recipe::PLAIN.new_fd(0), compat: Recipe::PLAIN.new_fd(0), alternative: None };

static TABLE: &[Row] = &[
    Row::new(iowr(b'|', 0, 256), "MEDIA_IOC_DEVICE_INFO", |argument, args| {
        const INFO: Fields<'_> = &[
            ("driver", 0, As::Text(16)),
            ("model", 16, As::Text(32)),
            ("serial", 48, As::Text(40)),
            ("bus", 88, As::Text(32)),
        ];
        fields(argument.answered, INFO, args);
    }),
    Row::new(iowr(b'|', 1, 256), "MEDIA_IOC_ENUM_ENTITIES", |argument, args| {
        fields(argument.answered, &[("entity", 0, As::Number), ("name", 4, As::Text(32))], args);
    }),
    Row::new(iowr(b'|', 2, 40), "MEDIA_IOC_ENUM_LINKS", |argument, args| {
        fields(argument.given, &[("entity", 0, As::Number)], args);
    })
    .compat(iowr(b'|', 2, 28)),
    Row::new(iowr(b'|', 3, 52), "MEDIA_IOC_SETUP_LINK", |argument, args| {
        const LINK: Fields<'_> =
            &[("source", 0, As::Number), ("sink", 20, As::Number), ("flags", 40, As::Number)];
        fields(argument.given, LINK, args);
    }),
    Row::new(iowr(b'|', 4, 72), "MEDIA_IOC_G_TOPOLOGY", |argument, args| {
        fields(argument.answered, &[("entities", 8, As::Number)], args);
    }),
    Row::new(ior(b'|', 5, 4), "MEDIA_IOC_REQUEST_ALLOC", |argument, args| {
        answered("fd", argument, args);
    })
    .follow(&REQUEST),
    Row::new(QUEUE, "MEDIA_REQUEST_IOC_QUEUE", no_args),
    Row::new(REINIT, "MEDIA_REQUEST_IOC_REINIT", no_args),
];

const QUEUE: u32 = io(b'|', 0x80);
const REINIT: u32 = io(b'|', 0x81);

/// Remembers nothing.
struct Controller;

impl Session for Controller {
    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        let mut command = generic::ioctl_command(call, row, context);
        if matches!(call.command, QUEUE | REINIT) {
            command.args.push(("request_fd", Value::Int(call.fd.into())));
        }
        context.emit(command);
    }
}

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
            0 command MEDIA_IOC_DEVICE_INFO 0..10 driver=vimc model=VIMC
            1 command MEDIA_IOC_SETUP_LINK 0..10 error EBUSY source=1 sink=2 flags=1
            2 command MEDIA_IOC_REQUEST_ALLOC 0..10 fd=9
            3 command MEDIA_REQUEST_IOC_QUEUE 0..10 request_fd=9
        "#]]
        .assert_eq(&rendered("media", calls));
    }
}
