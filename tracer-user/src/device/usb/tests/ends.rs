//! How transfers end otherwise than by a reap in good order.

use super::*;
use crate::device::usb::transfers::{EARLY, UNDER_WAY};
use crate::model::command::{Status, Value};
use proptest::collection::vec;
use proptest::prelude::*;

fn inward() -> Urb {
    urb(BULK, 0x81, 64)
}

#[test]
fn the_status_in_a_transfer_is_its_own() {
    let mut rig = Rig::new();
    for (status, kind, message) in [
        (-32, "EPIPE", "stalled"),
        (-2, "ENOENT", "discarded"),
        (-104, "ECONNRESET", "discarded"),
        (-19, "ENODEV", "the device was removed"),
        (-108, "ESHUTDOWN", "the device was removed"),
        (-75, "EOVERFLOW", "more came than was asked for (babble)"),
        (-121, "EREMOTEIO", "less came than was asked for"),
        (-9999, "errno_9999", ""),
    ] {
        rig.feed(inward().submit(1)).feed(inward().done(status, 0).reap(1));
        let expected = Status::Error { kind: kind.into(), message: message.into() };
        assert_eq!(rig.out.pop().map(|command| command.status), Some(expected));
    }
    assert_eq!(rig.devices.counts().errors, 8);
}

#[test]
fn a_discarded_transfer_is_two_commands() {
    let text = Rig::new()
        .feed(at(inward().submit(0x1000), (0, 1), 100))
        .feed(at(Ioctl::new(DISCARD).value(0x1000), (1000, 1010), 100))
        .feed(at(inward().done(-2, 0).reap(0x1000), (5, 1020), 101))
        .feed(at(Ioctl::new(DISCARD).value(0x1000).returns(-22), (1030, 1040), 100))
        .text();
    expect![[r#"
        1 command USBDEVFS_DISCARDURB 1000..1010 type=bulk endpoint=129
        0 command USBDEVFS_SUBMITURB 0..1020 thread 100→101 → "" error ENOENT type=bulk endpoint=129 direction=in length=64 actual=0
        2 command USBDEVFS_DISCARDURB 1030..1040 error EINVAL
    "#]]
    .assert_eq(&text);
}

#[test]
fn calls_that_reaped_nothing_are_only_counted() {
    let mut rig = Rig::new();
    rig.feed(inward().submit(1));
    for call in [REAP_NDELAY, REAP] {
        rig.feed(Ioctl::new(call).returns(-11)).feed(Ioctl::new(call).returns(-4));
    }
    rig.other(Call::Ioctl, 3, 9, -4, Body::Aborted { command: REAP });
    assert_eq!(rig.text(), "");
    let counts = rig.devices.counts();
    assert_eq!((counts.would_block, counts.empty, counts.commands), (2, 3, 0));
    assert_eq!(rig.devices.open(), 1);
}

#[test]
fn a_transfer_that_could_not_be_submitted_fails_at_once() {
    let out = urb(BULK, 0x02, 3);
    let text = Rig::new()
        .feed(out.submit(1).given(0, Some(0), b"abc").returns(-19))
        .feed(inward().submit(1).returns(-11))
        .text();
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..10 "abc" error ENODEV type=bulk endpoint=2 direction=out length=3
        1 command USBDEVFS_SUBMITURB 0..10 error EAGAIN type=bulk endpoint=129 direction=in length=64
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_reap_may_return_before_the_submit_does() {
    let mut rig = Rig::new();
    rig.feed(at(inward().done(0, 1).reap(1).answered(0, Some(0), b"x"), (0, 7), 101))
        .tick(8)
        // Submitted again before the first submit returned, in the callback of the first.
        .feed(at(inward().submit(1), (8, 9), 101))
        .feed(at(inward().submit(1), (5, 11), 100))
        .feed(at(inward().done(0, 1).reap(1).answered(0, Some(0), b"y"), (10, 20), 101));
    expect![[r#"
        1 command USBDEVFS_SUBMITURB 5..7 thread 100→101 → "x" type=bulk endpoint=129 direction=in length=64 actual=1
        0 command USBDEVFS_SUBMITURB 8..20 thread 101→101 → "y" type=bulk endpoint=129 direction=in length=64 actual=1
    "#]]
    .assert_eq(&rig.text());
    assert_eq!(rig.devices.open(), 0);
}

#[test]
fn a_transfer_from_before_is_seen_by_its_reap_alone() {
    let mut rig = Rig::new();
    let control = urb(CONTROL, 0, 26);
    rig.feed(at(inward().done(0, 1).reap(1).answered(0, Some(0), b"x"), (0, 7), 101))
        .feed(at(urb(BULK, 2, 9).done(0, 9).reap(2), (8, 9), 101))
        .feed(control.done(0, 2).reap(3).answered(0, Some(3), &[GET_DESCRIPTOR, b"ab"].concat()))
        .feed(Ioctl::new(REAP).argument(&[4, 0, 0]))
        .tick(9_000);
    assert_eq!(rig.text(), "");
    rig.tick(20_000);
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..7 thread 101→101 → "x" type=bulk endpoint=129 direction=in length=64 actual=1 submit_seen=Bool(false)
        1 command USBDEVFS_SUBMITURB 8..9 thread 101→101 ""/9 type=bulk endpoint=2 direction=out length=9 actual=9 submit_seen=Bool(false)
        2 command USBDEVFS_SUBMITURB 0..10 → "ab" type=control endpoint=0 request=GET_DESCRIPTOR request_type=128 direction=in kind=standard recipient=device value=256 index=0 length=18 descriptor=DEVICE actual=2 submit_seen=Bool(false)
        3 command USBDEVFS_SUBMITURB 0..10 submit_seen=Bool(false)
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn a_reap_that_was_lost_shows_when_its_memory_is_used_again() {
    let mut rig = Rig::new();
    rig.feed(at(inward().submit(1), (0, 1), 100)).feed(at(inward().submit(1), (50, 52), 100));
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..1 type=bulk endpoint=129 direction=in length=64 reap_seen=Bool(false)
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn what_is_not_reaped_ends_with_its_last_descriptor() {
    let mut rig = Rig::new();
    rig.other(Call::Openat, 3, 0, 3, Body::Open { path: Default::default(), flags: 2 })
        .feed(at(inward().submit(1), (1, 2), 100))
        .other(Call::Dup, 3, 3, 4, Body::Dup { new_fd: 4 })
        .feed(at(urb(BULK, 0x82, 1).submit(2).fd(5), (4, 5), 100))
        .close(3, 6);
    assert_eq!(rig.text(), "", "the duplicate is open");
    rig.feed(at(inward().submit(3).fd(4), (7, 8), 100)).close(4, 9);
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 1..9 error killed type=bulk endpoint=129 direction=in length=64
        2 command USBDEVFS_SUBMITURB 7..9 error killed type=bulk endpoint=129 direction=in length=64
    "#]]
    .assert_eq(&rig.text());
    rig.close(5, 10);
    expect![[r#"
        1 command USBDEVFS_SUBMITURB 4..10 error killed type=bulk endpoint=130 direction=in length=1
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn a_child_closes_only_its_own_descriptors() {
    let mut rig = Rig::new();
    let child = ProcessKey { pid: 101, generation: 0 };
    rig.feed(at(inward().submit(1), (1, 2), 100));
    let mut close = at(Ioctl::new(0), (3, 3), 101);
    (close.call, close.pid, close.body) = (Call::Close, 101, Body::Close { first: 3, last: 3 });
    rig.feed_as(child, close);
    rig.devices.process_gone(child, Timestamp(5000), &mut rig.out);
    assert_eq!((rig.text().as_str(), rig.devices.open()), ("", 1));
}

#[test]
fn what_is_not_reaped_ends_with_the_process() {
    let mut rig = Rig::new();
    rig.feed(at(inward().submit(1), (1, 2), 100));
    rig.devices.process_gone(PROCESS, Timestamp(9000), &mut rig.out);
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 1..9 error killed type=bulk endpoint=129 direction=in length=64
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn what_is_not_reaped_ends_with_the_device() {
    let mut rig = Rig::new();
    let number = rig.device.number;
    rig.feed(at(inward().submit(1), (1, 2), 100)).feed(at(inward().submit(2), (3, 4), 100));
    rig.devices.device_gone(number, Timestamp(9000), &mut rig.out);
    // The program is told after it, what was complete before it too.
    rig.tick(900_000).feed(at(inward().done(0, 1).reap(2).answered(0, Some(0), b"x"), (5, 12), 100));
    expect![[r#"
        1 command USBDEVFS_SUBMITURB 3..12 → "x" type=bulk endpoint=129 direction=in length=64 actual=1
    "#]]
    .assert_eq(&rig.text());
    rig.tick(1_000_009).feed(at(inward().done(-19, 0).reap(1), (5, 1_000_012), 100)).tick(2_000_000);
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 1..9 error ENODEV type=bulk endpoint=129 direction=in length=64
    "#]]
    .assert_eq(&rig.text());
    assert_eq!((rig.devices.counts().empty, rig.devices.open()), (1, 0));
}

#[test]
fn with_nothing_left_to_reap_everything_has_ended() {
    let mut rig = Rig::new();
    rig.feed(at(inward().submit(2), (1, 2), 100)).feed(at(Ioctl::new(REAP).returns(-19), (3, 5), 101));
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 1..5 error ENODEV type=bulk endpoint=129 direction=in length=64
        1 command USBDEVFS_REAPURB 3..5 thread 101→101 error ENODEV
    "#]]
    .assert_eq(&rig.text());
}

#[test]
fn an_unplugged_device_is_no_reason_to_wait_once_something_else_ends_it() {
    let ends: [fn(&mut Rig); 4] = [
        |rig| rig.devices.process_gone(PROCESS, Timestamp(20_000), &mut rig.out),
        |rig| {
            rig.close(3, 20);
        },
        |rig| {
            rig.feed(at(inward().submit(2), (19, 20), 100));
        },
        |rig| {
            // The number was given to a device of another class.
            let write = crate::device::tests::data(Call::Write, (20, 21), 1, b"x", 1);
            rig.devices.feed(&write, PROCESS, &device("toaster"), &mut rig.out);
            assert_eq!(rig.out.pop().map(|command| command.name), Some("write".into()));
        },
    ];
    for end in ends {
        let mut rig = Rig::new();
        let number = rig.device.number;
        rig.feed(at(inward().submit(1), (1, 2), 100));
        rig.devices.device_gone(number, Timestamp(9000), &mut rig.out);
        end(&mut rig);
        let text = rig.text();
        assert!(
            text.starts_with("0 command USBDEVFS_SUBMITURB 1..") && text.contains(" error ENODEV "),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut rig = Rig::new();
    let all = UNDER_WAY as u64 + 3;
    let out = urb(BULK, 2, 65_000);
    for address in 0..all {
        let submit = out.submit(address).given(0, Some(0), &[7; 65_000]);
        rig.feed(at(submit, (address, address), 100));
    }
    assert_eq!((rig.out.len(), rig.devices.open()), (3, UNDER_WAY));
    assert!(rig.text().lines().all(|line| line.ends_with("reap_seen=Bool(false)")));
    for address in all..all + EARLY as u64 + 2 {
        rig.feed(at(inward().done(0, 0).reap(address), (address, address), 100));
    }
    assert_eq!((rig.out.len(), rig.devices.open()), (2, UNDER_WAY + EARLY));
    rig.out.clear();
    rig.devices.process_gone(PROCESS, Timestamp(9_000_000), &mut rig.out);
    let kept: usize = rig.out.iter().map(|command| command.request.captured.len()).sum();
    assert_eq!((rig.out.len(), kept), (UNDER_WAY + EARLY, 16 * 65_000));
    let sizes = rig.out.iter().filter(|command| command.request.size == 65_000).count();
    assert_eq!(sizes, UNDER_WAY);
}

#[test]
fn cut_arguments_lose_attributes_and_nothing_else() {
    let whole = urb(BULK, 2, 3).bytes();
    for length in 0..56 {
        let mut rig = Rig::new();
        rig.feed(Ioctl::new(SUBMIT).value(1).argument(&whole[..length]))
            .feed(Ioctl::new(REAP).argument(&1_u64.to_le_bytes()).answered(0, None, &whole[..length]));
        assert_eq!(rig.out.len(), 1);
        assert_eq!(rig.out[0].args.is_empty(), length < 44, "{length}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Submit(u64),
    Reap(u64),
    Discard(u64),
    ReapFails(i64),
    Close,
    Tick,
    Unplug,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let address = 0u64..6;
    let step = prop_oneof![
        5 => address.clone().prop_map(Step::Submit),
        4 => address.clone().prop_map(Step::Reap),
        1 => address.prop_map(Step::Discard),
        1 => prop_oneof![Just(-11), Just(-4), Just(-19)].prop_map(Step::ReapFails),
        1 => Just(Step::Close),
        1 => Just(Step::Tick),
        1 => Just(Step::Unplug),
    ];
    vec(step, 0..60)
}

proptest! {
    /// Every transfer comes out once, whatever becomes of it, and nothing else does.
    #[test]
    fn every_transfer_comes_out_once(steps in steps()) {
        let mut rig = Rig::new();
        let (mut micros, mut submitted, mut reaped) = (10, 0, 0);
        for step in steps {
            micros += 10;
            let times = (micros - 15, micros);
            match step {
                Step::Submit(address) => {
                    submitted += 1;
                    rig.feed(at(inward().submit(address), times, 100));
                }
                Step::Reap(address) => {
                    reaped += 1;
                    rig.feed(at(inward().done(0, 1).reap(address), times, 101));
                }
                Step::Discard(address) => {
                    rig.feed(at(Ioctl::new(DISCARD).value(address), times, 100));
                }
                Step::ReapFails(errno) => {
                    rig.feed(at(Ioctl::new(REAP).returns(errno), times, 101));
                }
                Step::Close => {
                    rig.close(3, micros);
                }
                Step::Tick => {
                    micros += 600_000;
                    rig.tick(micros);
                }
                Step::Unplug => {
                    let number = rig.device.number;
                    rig.devices.device_gone(number, Timestamp(micros * 1000), &mut rig.out);
                }
            }
        }
        rig.devices.process_gone(PROCESS, Timestamp((micros + 1) * 1000), &mut rig.out);
        prop_assert_eq!(rig.devices.open(), 0);
        let transfers: Vec<&Command> =
            rig.out.iter().filter(|command| command.name == "USBDEVFS_SUBMITURB").collect();
        let alone = |command: &&&Command| command.args.contains(&("submit_seen", Value::Bool(false)));
        let unseen = transfers.iter().filter(alone).count();
        prop_assert_eq!(transfers.len() - unseen, submitted);
        prop_assert!(unseen <= reaped);
        let mut serials: Vec<u64> = rig.out.iter().map(|command| command.serial).collect();
        serials.sort_unstable();
        prop_assert!(serials.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(rig.out.iter().all(|command| command.at.start <= command.at.end));
    }
}
