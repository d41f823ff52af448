//! No argument, however odd, makes any class fail: every command of every class with random bytes.

use super::calls::{Ioctl, commands};
use super::data;
use crate::device::class::CLASSES;
use crate::model::capture::Capture;
use proptest::collection::vec;
use proptest::prelude::*;
use tracer_common::call::{Abi, Call};

/// Classes of which each read or write comes out by itself, as a command or as events.
const READS_STAND_ALONE: &[&str] =
    &["i2c", "spi", "gpio", "watchdog", "rtc", "ptp", "tun", "fuse", "kvm", "vhost", "mtd", "dri", "accel"];

fn piece() -> impl Strategy<Value = (u16, Option<u8>, Vec<u8>)> {
    (0u16..4, proptest::option::of(0u8..4), vec(any::<u8>(), 0..80))
}

/// Bytes that look like small numbers, like nothing, like everything, or like nothing in particular.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..700),
        vec(0u8..4, 0..700),
        (0usize..700).prop_map(|length| vec![0; length]),
        (0usize..700).prop_map(|length| vec![0xff; length]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_argument_is_survived(
        before in argument(),
        after in argument(),
        given in vec(piece(), 0..6),
        answered in vec(piece(), 0..6),
        value in any::<u64>(),
        result in -600i64..600,
        compat in any::<bool>(),
    ) {
        for class in CLASSES {
            let calls = class.ioctls.iter().map(|row| {
                let call = Ioctl::new(row.number(compat)).value(value).argument(&after).was(&before);
                let call = given.iter().fold(call, |call, (element, buffer, bytes)| {
                    call.given(*element, *buffer, bytes)
                });
                let call = answered.iter().fold(call, |call, (element, buffer, bytes)| {
                    call.answered(*element, *buffer, bytes)
                });
                let call = call.returns(result);
                if compat { call.compat() } else { call }
            });
            for command in commands(class.name, calls) {
                prop_assert!(command.request.captured.len() as u64 <= command.request.size);
                let reply = command.reply.unwrap_or_default();
                prop_assert!(reply.captured.len() as u64 <= reply.size);
                prop_assert!(command.args.len() < 64, "{} has too many arguments", command.name);
            }
        }
    }

    #[test]
    fn any_read_comes_out_once(
        setting in argument(),
        moves in vec((argument(), 0u64..600, 3i32..6, any::<bool>(), any::<bool>()), 1..8),
    ) {
        for class in CLASSES.iter().filter(|class| READS_STAND_ALONE.contains(&class.name)) {
            let mut calls: Vec<Capture> = class
                .ioctls
                .iter()
                .map(|row| Ioctl::new(row.number(false)).argument(&setting).returns(4).into())
                .collect();
            let begun = calls.len();
            let mut total = 0;
            for (bytes, cut, fd, write, compat) in &moves {
                let size = bytes.len() as u64 + cut;
                total += size;
                let call = if *write { Call::Write } else { Call::Read };
                let abi = if *compat { Abi::Compat } else { Abi::Native };
                calls.push(Capture { fd: *fd, abi, ..data(call, (20, 30), size as i64, bytes, size) });
            }
            let mut moved = 0;
            for command in commands(class.name, calls).into_iter().skip(begun) {
                let reply = command.reply.unwrap_or_default();
                for payload in [&command.request, &reply] {
                    prop_assert!(payload.captured.len() as u64 <= payload.size);
                    moved += payload.size;
                }
            }
            prop_assert_eq!(moved, total, "{}", class.name);
        }
    }
}
