//! What programs do with lines of a chip.

mod reads;

use crate::device::tests::calls::{Ioctl, rendered};
use expect_test::expect;

/// The numbers, as a C program with the header says.
const CHIPINFO: u32 = 0x8044_b401;
const LINEINFO: u32 = 0xc048_b402;
const LINEHANDLE: u32 = 0xc16c_b403;
const LINEEVENT: u32 = 0xc030_b404;
const V2_LINEINFO: u32 = 0xc100_b405;
const V2_WATCH: u32 = 0xc100_b406;
const V2_LINE: u32 = 0xc250_b407;
const GET_VALUES: u32 = 0xc040_b408;
const SET_VALUES: u32 = 0xc040_b409;
const SET_CONFIG: u32 = 0xc054_b40a;
const WATCH: u32 = 0xc048_b40b;
const UNWATCH: u32 = 0xc004_b40c;
const V2_SET_CONFIG: u32 = 0xc110_b40d;
const V2_GET_VALUES: u32 = 0xc010_b40e;
const V2_SET_VALUES: u32 = 0xc010_b40f;

/// Bytes with parts laid over them.
fn laid<const N: usize>(parts: &[(usize, &[u8])]) -> [u8; N] {
    let mut bytes = [0; N];
    for (at, part) in parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `GPIO_V2_GET_LINE_IOCTL` that makes descriptor `fd`. `attributes`: id, value, mask.
fn line(offsets: &[u32], consumer: &str, flags: u64, attributes: &[[u64; 3]], fd: u32) -> Ioctl {
    let attributes: Vec<u8> =
        attributes.iter().flat_map(|[id, value, mask]| longs(&[*id, *value, *mask])).collect();
    let given: [u8; 592] = laid(&[
        (0, &words(offsets)),
        (256, consumer.as_bytes()),
        (288, &flags.to_le_bytes()),
        (296, &words(&[attributes.len() as u32 / 24])),
        (320, &attributes),
        (560, &words(&[offsets.len() as u32])),
    ]);
    let mut answered = given;
    answered[588..].copy_from_slice(&fd.to_le_bytes());
    Ioctl::new(V2_LINE).was(&given).argument(&answered)
}

/// `GPIO_GET_LINEEVENT_IOCTL` that makes descriptor `fd`.
fn event(offset: u32, edges: u32, fd: u32) -> Ioctl {
    let given: [u8; 48] = laid(&[(0, &words(&[offset, 1, edges])), (12, b"button")]);
    let mut answered = given;
    answered[44..].copy_from_slice(&fd.to_le_bytes());
    Ioctl::new(LINEEVENT).was(&given).argument(&answered)
}

/// `struct gpio_v2_line_info`.
fn info(offset: u32, name: &str, consumer: &str, flags: u64) -> [u8; 256] {
    laid(&[
        (0, name.as_bytes()),
        (32, consumer.as_bytes()),
        (64, &words(&[offset, 1])),
        (72, &flags.to_le_bytes()),
        (80, &longs(&[3, 5000])),
    ])
}

/// What a program learns of a line.
fn named(offset: u32, name: &str) -> Ioctl {
    let given: [u8; 256] = laid(&[(64, &words(&[offset]))]);
    Ioctl::new(V2_LINEINFO).was(&given).argument(&info(offset, name, "", 4))
}

fn values(command: u32, bits: u64, mask: u64) -> Ioctl {
    Ioctl::new(command).was(&longs(&[0, mask])).argument(&longs(&[bits, mask]))
}

#[test]
fn what_a_chip_says() {
    let chip: [u8; 68] = laid(&[(0, b"gpiochip0"), (32, b"pinctrl-bcm2711"), (64, &words(&[58]))]);
    let line: [u8; 72] =
        laid(&[(0, &words(&[17, 2 | 4])), (8, b"GPIO17"), (40, b"a consumer of 32 bytes, no more.")]);
    let calls = [
        Ioctl::new(CHIPINFO).argument(&chip),
        Ioctl::new(LINEINFO).was(&line[..8]).argument(&line),
        Ioctl::new(LINEINFO).was(&words(&[99])).argument(&line).returns(-22),
        named(4, "GPIO4"),
        Ioctl::new(V2_WATCH).argument(&info(5, "", "gpiomon", 1 | 4 | 16 | 32 | 1 << 40)),
        Ioctl::new(WATCH).argument(&line),
        Ioctl::new(UNWATCH).argument(&words(&[17])),
        Ioctl::new(V2_LINEINFO).argument(&info(5, "GPIO5", "x", 1)[..70]),
    ];
    expect![[r#"
        0 command GPIO_GET_CHIPINFO_IOCTL 0..10 name=gpiochip0 label=pinctrl-bcm2711 lines=58
        1 command GPIO_GET_LINEINFO_IOCTL 0..10 offset=17 name=GPIO17 consumer=a consumer of 32 bytes, no more. flags=IS_OUT|ACTIVE_LOW
        2 command GPIO_GET_LINEINFO_IOCTL 0..10 error EINVAL offset=99
        3 command GPIO_V2_GET_LINEINFO_IOCTL 0..10 offset=4 name=GPIO4 flags=INPUT debounce_us=5000
        4 command GPIO_V2_GET_LINEINFO_WATCH_IOCTL 0..10 offset=5 consumer=gpiomon flags=USED|INPUT|EDGE_RISING|EDGE_FALLING|0x10000000000 debounce_us=5000
        5 command GPIO_GET_LINEINFO_WATCH_IOCTL 0..10 offset=17 name=GPIO17 consumer=a consumer of 32 bytes, no more. flags=IS_OUT|ACTIVE_LOW
        6 command GPIO_GET_LINEINFO_UNWATCH_IOCTL 0..10 offset=17
        7 command GPIO_V2_GET_LINEINFO_IOCTL 0..10 offset=5 name=GPIO5 consumer=x
    "#]]
    .assert_eq(&rendered("gpio", calls));
}

#[test]
fn lines_are_told_by_offset_and_name() {
    let calls = [
        named(27, "GPIO27"),
        line(&[17], "led", 8, &[[2, 1, 1]], 7),
        values(V2_SET_VALUES, 0, 1).fd(7),
        line(&[5, 27, 22], "bank", 8 | 64, &[[2, 0b101, 0b111]], 8),
        values(V2_SET_VALUES, 0b011, 0b011).fd(8),
        values(V2_GET_VALUES, 0b110, u64::MAX).fd(8),
        values(V2_SET_VALUES, 0b010, 0b010).fd(8),
        values(V2_SET_VALUES, 1, 1).fd(8).returns(-1),
        line(&[5], "led", 8, &[], 9).returns(-16),
    ];
    expect![[r#"
        0 command GPIO_V2_GET_LINEINFO_IOCTL 0..10 offset=27 name=GPIO27 flags=INPUT debounce_us=5000
        1 command GPIO_V2_GET_LINE_IOCTL 0..10 consumer=Shared("led") flags=OUTPUT value=1 offset=17 fd=7
        2 command GPIO_V2_LINE_SET_VALUES_IOCTL 0..10 offset=17 value=0
        3 command GPIO_V2_GET_LINE_IOCTL 0..10 consumer=Shared("bank") flags=OUTPUT|OPEN_DRAIN values=Texts(["5=1", "27=0", "22=1"]) offsets=Texts(["5", "27", "22"]) names=Texts(["", "GPIO27", ""]) fd=8
        4 command GPIO_V2_LINE_SET_VALUES_IOCTL 0..10 values=Texts(["5=0", "27=0"])
        5 command GPIO_V2_LINE_GET_VALUES_IOCTL 0..10 values=Texts(["5=0", "27=1", "22=1"])
        6 command GPIO_V2_LINE_SET_VALUES_IOCTL 0..10 offset=27 name=Shared("GPIO27") value=0
        7 command GPIO_V2_LINE_SET_VALUES_IOCTL 0..10 error EPERM offset=5 value=0
        8 command GPIO_V2_GET_LINE_IOCTL 0..10 error EBUSY consumer=Shared("led") flags=OUTPUT offset=5
    "#]]
    .assert_eq(&rendered("gpio", calls));
}

#[test]
fn lines_of_a_descriptor_that_is_not_known_go_by_their_place() {
    let calls = [
        values(V2_SET_VALUES, 0b1000, 0b1001).fd(7),
        values(V2_GET_VALUES, 0, 1).fd(7),
        Ioctl::new(GET_VALUES).argument(&[1; 64]).fd(8),
        Ioctl::new(V2_SET_VALUES).argument(&[1; 9]).fd(8),
    ];
    expect![[r##"
        0 command GPIO_V2_LINE_SET_VALUES_IOCTL 0..10 values=Texts(["#0=0", "#3=0"])
        1 command GPIO_V2_LINE_GET_VALUES_IOCTL 0..10 values=Texts(["#0=0"])
        2 command GPIOHANDLE_GET_LINE_VALUES_IOCTL 0..10
        3 command GPIO_V2_LINE_SET_VALUES_IOCTL 0..10
    "##]]
    .assert_eq(&rendered("gpio", calls));
}

#[test]
fn attributes_of_some_lines() {
    let config: [u8; 272] = laid(&[
        (0, &longs(&[4 | 1 << 11])),
        (8, &words(&[3])),
        (32, &longs(&[3, 10, 0b01])),
        (56, &longs(&[3, 20, 0b10])),
        (80, &longs(&[1, 4 | 16, 0b10])),
    ]);
    let calls = [
        line(&[3, 9], "", 4 | 16, &[[3, 5000, 0b11]], 7),
        Ioctl::new(V2_SET_CONFIG).argument(&config).fd(7),
        Ioctl::new(V2_SET_CONFIG).argument(&config[..60]).fd(7),
    ];
    expect![[r#"
        0 command GPIO_V2_GET_LINE_IOCTL 0..10 flags=INPUT|EDGE_RISING debounce_us=5000 offsets=Texts(["3", "9"]) fd=7
        1 command GPIO_V2_LINE_SET_CONFIG_IOCTL 0..10 flags=INPUT|EVENT_CLOCK_REALTIME line_flags=Texts(["9=INPUT|EDGE_RISING"]) debounce_us=Texts(["3=10", "9=20"]) offsets=Texts(["3", "9"])
        2 command GPIO_V2_LINE_SET_CONFIG_IOCTL 0..10 flags=INPUT|EVENT_CLOCK_REALTIME debounce_us=10 offsets=Texts(["3", "9"])
    "#]]
    .assert_eq(&rendered("gpio", calls));
}

#[test]
fn handles_of_the_first_version() {
    let given: [u8; 364] = laid(&[
        (0, &words(&[6, 13])),
        (256, &words(&[2 | 8])),
        (260, &[0, 1]),
        (324, b"relay"),
        (356, &words(&[2])),
    ]);
    let mut answered = given;
    answered[360] = 9;
    let config: [u8; 84] = laid(&[(0, &words(&[2])), (4, &[1, 1])]);
    let calls = [
        Ioctl::new(LINEHANDLE).was(&given).argument(&answered),
        Ioctl::new(SET_VALUES).argument(&[1; 64]).fd(9),
        Ioctl::new(GET_VALUES).was(&[7; 64]).argument(&laid::<64>(&[(1, &[1])])).fd(9),
        Ioctl::new(SET_CONFIG).argument(&config).fd(9),
        event(4, 3, 10),
        Ioctl::new(GET_VALUES).argument(&[1; 64]).fd(10),
    ];
    expect![[r#"
        0 command GPIO_GET_LINEHANDLE_IOCTL 0..10 consumer=Shared("relay") flags=OUTPUT|OPEN_DRAIN values=Texts(["6=0", "13=1"]) offsets=Texts(["6", "13"]) fd=9
        1 command GPIOHANDLE_SET_LINE_VALUES_IOCTL 0..10 values=Texts(["6=1", "13=1"])
        2 command GPIOHANDLE_GET_LINE_VALUES_IOCTL 0..10 values=Texts(["6=0", "13=1"])
        3 command GPIOHANDLE_SET_CONFIG_IOCTL 0..10 flags=OUTPUT offsets=Texts(["6", "13"]) values=Texts(["6=1", "13=1"])
        4 command GPIO_GET_LINEEVENT_IOCTL 0..10 consumer=Shared("button") flags=INPUT edges=RISING_EDGE|FALLING_EDGE offset=4 fd=10
        5 command GPIOHANDLE_GET_LINE_VALUES_IOCTL 0..10 offset=4 value=1
    "#]]
    .assert_eq(&rendered("gpio", calls));
}

#[test]
fn a_request_for_more_lines_than_there_can_be_says_nothing_of_them() {
    let mut given = [0; 592];
    given[560..564].fill(0xff);
    let text = rendered("gpio", [Ioctl::new(V2_LINE).was(&given).argument(&given).returns(-22)]);
    assert_eq!(text, "0 command GPIO_V2_GET_LINE_IOCTL 0..10 error EINVAL\n");
}
