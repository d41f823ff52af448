//! Reads from lines and chips.

use super::{V2_WATCH, WATCH, event, info, laid, line, longs, named, values, words};
use crate::device::gpio::DESCRIPTORS;
use crate::device::tests::calls::{Ioctl, commands};
use crate::device::tests::{capture, data, render};
use crate::model::capture::{Body, Capture};
use expect_test::expect;
use tracer_common::call::{Abi, Call};

/// `struct gpio_v2_line_event`.
fn edge_v2(time: u64, id: u32, offset: u32, seqno: u32) -> Vec<u8> {
    [longs(&[time]), words(&[id, offset, seqno, 1, 0, 0, 0, 0, 0, 0])].concat()
}

/// `struct gpioevent_data`, with whatever the stack held behind it.
fn edge(time: u64, id: u32) -> Vec<u8> {
    [longs(&[time]), words(&[id, 0xdead_beef])].concat()
}

/// A read from a descriptor, between 20 and 30 µs.
fn read(fd: i32, bytes: &[u8]) -> Capture {
    cut(fd, bytes, bytes.len())
}

/// The same, of which only some bytes were captured.
fn cut(fd: i32, bytes: &[u8], captured: usize) -> Capture {
    let size = bytes.len() as u64;
    Capture { fd, ..data(Call::Read, (20, 30), size as i64, &bytes[..captured], size) }
}

/// What comes out, of events only the size.
fn told<T: Into<Capture>>(calls: impl IntoIterator<Item = T>) -> String {
    let mut commands = commands("gpio", calls);
    for event in commands.iter_mut().filter(|command| command.unsolicited) {
        event.request.captured = bytes::Bytes::new();
    }
    render(&commands)
}

fn close(fd: u32) -> Capture {
    capture(Call::Close, (40, 41), 0, Body::Close { first: fd, last: fd })
}

#[test]
fn edges_are_events() {
    let two = [edge_v2(1_000_000_001, 1, 4, 1), edge_v2(1_000_000_002, 2, 9, 2)].concat();
    let calls = [
        named(4, "GPIO4").into(),
        line(&[4, 9], "gpiomon", 4 | 16 | 32, &[], 7).into(),
        read(7, &two),
        event(17, 1, 8).into(),
        read(8, &edge(5, 1)),
        line(&[3], "rt", 4 | 16 | 1 << 11, &[], 9).into(),
        read(9, &edge_v2(7, 1, 3, 1)),
    ];
    expect![[r#"
        0 command GPIO_V2_GET_LINEINFO_IOCTL 0..10 offset=4 name=GPIO4 flags=INPUT debounce_us=5000
        1 command GPIO_V2_GET_LINE_IOCTL 0..10 consumer=Shared("gpiomon") flags=INPUT|EDGE_RISING|EDGE_FALLING offsets=Texts(["4", "9"]) names=Texts(["GPIO4", ""]) fd=7
        2 event rising_edge 30..30 ""/48 timestamp_ns=1000000001 clock=monotonic offset=4 name=Shared("GPIO4") consumer=Shared("gpiomon") seqno=1 line_seqno=1
        3 event falling_edge 30..30 ""/48 timestamp_ns=1000000002 clock=monotonic offset=9 consumer=Shared("gpiomon") seqno=2 line_seqno=1
        4 command GPIO_GET_LINEEVENT_IOCTL 0..10 consumer=Shared("button") flags=INPUT edges=RISING_EDGE offset=17 fd=8
        5 event rising_edge 30..30 ""/16 timestamp_ns=5 offset=17 consumer=Shared("button")
        6 command GPIO_V2_GET_LINE_IOCTL 0..10 consumer=Shared("rt") flags=INPUT|EDGE_RISING|EVENT_CLOCK_REALTIME offset=3 fd=9
        7 event rising_edge 30..30 ""/48 timestamp_ns=7 clock=realtime offset=3 consumer=Shared("rt") seqno=1 line_seqno=1
    "#]]
    .assert_eq(&told(calls));
}

#[test]
fn changes_of_watched_lines_are_events() {
    let change =
        |kind| [&info(5, "GPIO5", "gpioset", 9)[..], &longs(&[77]), &words(&[kind, 0, 0, 0, 0, 0])].concat();
    let old: Vec<u8> =
        [&laid::<72>(&[(0, &words(&[6, 1])), (8, b"GPIO6")])[..], &longs(&[78]), &words(&[2, 0, 0, 0, 0, 0])]
            .concat();
    let calls = [
        Ioctl::new(V2_WATCH).argument(&info(5, "GPIO5", "", 4)).into(),
        read(3, &[change(1), change(2), change(3)].concat()),
        Ioctl::new(WATCH).argument(&laid::<72>(&[(0, &words(&[6]))])).fd(4).into(),
        read(4, &old),
    ];
    expect![[r#"
        0 command GPIO_V2_GET_LINEINFO_WATCH_IOCTL 0..10 offset=5 name=GPIO5 flags=INPUT debounce_us=5000
        1 event line_requested 30..30 ""/288 timestamp_ns=77 offset=5 name=GPIO5 consumer=gpioset flags=USED|OUTPUT debounce_us=5000
        2 event line_released 30..30 ""/288 timestamp_ns=77 offset=5 name=GPIO5 consumer=gpioset flags=USED|OUTPUT debounce_us=5000
        3 event line_reconfigured 30..30 ""/288 timestamp_ns=77 offset=5 name=GPIO5 consumer=gpioset flags=USED|OUTPUT debounce_us=5000
        4 command GPIO_GET_LINEINFO_WATCH_IOCTL 0..10 offset=6 flags=0
        5 event line_released 30..30 ""/104 timestamp_ns=78 offset=6 name=GPIO6 flags=KERNEL
    "#]].assert_eq(&told(calls));
}

#[test]
fn what_was_cut_is_an_event_without_what_is_missing() {
    let three = [edge_v2(1, 1, 4, 1), edge_v2(2, 2, 4, 2), edge_v2(3, 1, 4, 3)].concat();
    let calls = [line(&[4], "m", 4 | 16 | 32, &[], 7).into(), cut(7, &three, 48 + 10), cut(7, &three, 0)];
    expect![[r#"
        0 command GPIO_V2_GET_LINE_IOCTL 0..10 consumer=Shared("m") flags=INPUT|EDGE_RISING|EDGE_FALLING offset=4 fd=7
        1 event rising_edge 30..30 ""/48 timestamp_ns=1 clock=monotonic offset=4 consumer=Shared("m") seqno=1 line_seqno=1
        2 event edge 30..30 ""/48 timestamp_ns=2 clock=monotonic offset=4 consumer=Shared("m")
        3 event edge 30..30 ""/48 clock=monotonic offset=4 consumer=Shared("m")
        4 event edge 30..30 ""/48 clock=monotonic offset=4 consumer=Shared("m")
        5 event edge 30..30 ""/48 clock=monotonic offset=4 consumer=Shared("m")
        6 event edge 30..30 ""/48 clock=monotonic offset=4 consumer=Shared("m")
    "#]].assert_eq(&told(calls));
}

#[test]
fn what_does_not_fit_the_descriptor_is_a_plain_read() {
    let calls = [
        line(&[4], "m", 4 | 16 | 32, &[], 7).into(),
        // No whole number of events; an edge that does not exist; a failed read; nothing.
        read(7, &[1; 50]),
        read(7, &edge_v2(1, 3, 4, 1)),
        Capture { fd: 7, ..data(Call::Read, (20, 30), -5, b"", 48) },
        read(7, b""),
        Capture { fd: 7, ..data(Call::Read, (20, 30), -11, b"", 48) },
        // After it is closed, the number says nothing any more.
        close(7),
        read(7, &[1; 48]),
        values(super::V2_GET_VALUES, 1, 1).fd(7).into(),
    ];
    expect![[r##"
        0 command GPIO_V2_GET_LINE_IOCTL 0..10 consumer=Shared("m") flags=INPUT|EDGE_RISING|EDGE_FALLING offset=4 fd=7
        1 command read 20..30 → "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
        2 command read 20..30 → "\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        3 command read 20..30 error EIO
        4 command read 20..30 → ""
        5 command read 20..30 → "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
        6 command GPIO_V2_LINE_GET_VALUES_IOCTL 0..10 values=Texts(["#0=1"])
    "##]].assert_eq(&told(calls));
}

#[test]
fn what_can_be_nothing_else_is_an_event_on_any_descriptor() {
    let calls = [
        read(7, &edge_v2(1, 1, 4, 1)),
        read(7, &edge(9, 2)),
        // Six edges are no change of a line, although they are as long.
        read(7, &edge_v2(1, 1, 4, 1).repeat(6)),
        cut(7, &edge_v2(1, 1, 4, 1), 20),
    ];
    let text = told(calls);
    let names: Vec<_> = text.lines().map(|line| line.split(' ').nth(2).unwrap_or_default()).collect();
    let edges = ["rising_edge"; 6];
    assert_eq!(names, [&["rising_edge", "falling_edge"], &edges[..], &["read"]].concat());
}

#[test]
fn events_of_i386_programs_are_shorter() {
    let compat = |bytes: &[u8]| Capture { abi: Abi::Compat, ..read(8, bytes) };
    let short = |time, id| edge(time, id)[..12].to_vec();
    let calls = [
        event(17, 1, 8).into(),
        compat(&short(1, 1)),
        compat(&[short(1, 1), short(2, 2), short(3, 1), short(4, 2)].concat()),
        // On arm they are as long as those of 64-bit programs.
        compat(&[edge(1, 1), edge(2, 2), edge(3, 1)].concat()),
    ];
    let text = told(calls);
    let times: Vec<_> =
        text.lines().filter_map(|line| line.split("timestamp_ns=").nth(1)?.chars().next()).collect();
    assert_eq!(times, ['1', '1', '2', '3', '4', '1', '2', '3'], "{text}");
}

#[test]
fn descriptors_are_bounded() {
    let many = (0..DESCRIPTORS as u32 + 1).map(|index| line(&[index], "m", 4, &[], 100 + index));
    let of = |fd: usize| values(super::V2_GET_VALUES, 1, 1).fd(fd as i32);
    let calls = many.chain([of(100), of(100 + DESCRIPTORS)]);
    let text = told(calls);
    let tail: Vec<_> = text.lines().rev().take(2).map(|line| line.contains("offset=")).collect();
    assert_eq!(tail, [false, true], "the last one is not known");
}
