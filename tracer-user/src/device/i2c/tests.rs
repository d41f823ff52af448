//! What programs do on I2C buses.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::model::capture::{Body, Capture};
use expect_test::expect;
use tracer_common::call::Call;

const RDWR: u32 = 0x0707;
const SMBUS: u32 = 0x0720;

/// `struct i2c_msg` of a 64-bit program.
fn message(address: u16, flags: u16, length: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&address.to_le_bytes());
    bytes[2..4].copy_from_slice(&flags.to_le_bytes());
    bytes[4..6].copy_from_slice(&length.to_le_bytes());
    bytes[8] = 0x99;
    bytes
}

fn rdwr(messages: u8) -> Ioctl {
    let mut argument = [0; 16];
    argument[8] = messages;
    Ioctl::new(RDWR).argument(&argument).returns(messages.into())
}

/// `struct i2c_smbus_ioctl_data` of a 64-bit program.
fn smbus(read: u8, register: u8, size: u8) -> Ioctl {
    let mut argument = [0; 16];
    (argument[0], argument[1], argument[4]) = (read, register, size);
    Ioctl::new(SMBUS).argument(&argument)
}

#[test]
fn messages_of_a_transfer() {
    let register_read = rdwr(2)
        .given(0, None, &message(0x50, 0, 1))
        .given(0, Some(0), b"\x10")
        .given(1, None, &message(0x50, 1, 4))
        .answered(1, Some(1), b"\xde\xad\xbe\xef");
    let scattered = rdwr(3)
        .given(0, None, &message(0x20, 0, 2))
        .given(0, Some(0), b"ab")
        .given(1, None, &message(0x21, 0x8000, 3))
        .given(1, Some(0), b"cde")
        .given(2, None, &message(0x20, 0x4001, 2))
        .answered(2, Some(1), b"xy");
    let refused = rdwr(1).given(0, None, &message(0x7f, 1, 1)).returns(-121);
    let lost = rdwr(1).given(0, None, &message(0x7f, 0, 1)).given(0, Some(0), b"z").returns(-11);
    expect![[r#"
        0 command I2C_RDWR 0..10 "\x10" → "\xde\xad\xbe\xef" messages=2 address=80 transfers=Texts(["write 0x50 1 B", "read 0x50 4 B"]) register=16
        1 command I2C_RDWR 0..10 "abcde" → "xy" messages=3 transfers=Texts(["write 0x20 2 B", "write 0x21 3 B STOP", "read 0x20 2 B NOSTART"])
        2 command I2C_RDWR 0..10 error EREMOTEIO messages=1 address=127 transfers=Texts(["read 0x7f 1 B"])
        3 command I2C_RDWR 0..10 "z" error EAGAIN messages=1 address=127 transfers=Texts(["write 0x7f 1 B"])
    "#]]
    .assert_eq(&rendered("i2c", [register_read, scattered, refused, lost]));
}

#[test]
fn messages_that_were_not_captured_are_left_out_and_gaps_are_visible() {
    let cut = rdwr(42)
        .given(0, None, &message(0x50, 0, 4))
        .given(0, Some(0), b"ab")
        .given(1, None, &message(0x50, 0, 2))
        .given(1, Some(0), b"cd");
    expect![[r#"
        0 command I2C_RDWR 0..10 "ab"/6 messages=42 address=80 transfers=Texts(["write 0x50 4 B", "write 0x50 2 B"])
        1 command I2C_RDWR 0..10 transfers=Texts([])
    "#]]
    .assert_eq(&rendered("i2c", [cut, Ioctl::new(RDWR)]));
}

#[test]
fn a_32_bit_program_lays_its_messages_out_otherwise() {
    let mut argument = [0; 8];
    argument[4] = 1;
    let call = Ioctl::new(RDWR)
        .compat()
        .argument(&argument)
        .given(0, None, &message(0x50, 0, 1)[..12])
        .given(0, Some(0), b"\x01");
    expect![[r#"
        0 command I2C_RDWR 0..10 "\x01" messages=1 address=80 transfers=Texts(["write 0x50 1 B"])
    "#]]
    .assert_eq(&rendered("i2c", [call]));
}

#[test]
fn smbus_operations_go_to_the_chosen_target() {
    let calls = [
        Ioctl::new(0x0703).value(0x48),
        smbus(1, 7, 3).given(0, Some(0), &[0; 34]).answered(0, Some(1), b"\x34\x12____"),
        smbus(0, 7, 2).given(0, Some(0), b"\x55_"),
        smbus(0, 9, 5).given(0, Some(0), b"\x03abcdef"),
        smbus(1, 9, 8).given(0, Some(0), b"\x04____").answered(0, Some(1), b"\x04wxyz__"),
        smbus(0, 0x42, 1),
        smbus(0, 0, 0),
        smbus(0, 1, 4).given(0, Some(0), b"\x01\x02").answered(0, Some(2), b"\x03\x04"),
        smbus(1, 9, 2).given(0, Some(0), b"\x00").returns(-6),
    ];
    expect![[r#"
        0 command I2C_SLAVE 0..10 address=72
        1 command I2C_SMBUS 0..10 → "4\x12" operation=word_data direction=read register=7 address=72
        2 command I2C_SMBUS 0..10 "U" operation=byte_data direction=write register=7 address=72
        3 command I2C_SMBUS 0..10 "abc" operation=block_data direction=write register=9 address=72
        4 command I2C_SMBUS 0..10 → "wxyz" operation=i2c_block_data direction=read register=9 address=72
        5 command I2C_SMBUS 0..10 "B" operation=byte direction=write address=72
        6 command I2C_SMBUS 0..10 operation=quick direction=write address=72
        7 command I2C_SMBUS 0..10 "\x01\x02" → "\x03\x04" operation=process_call direction=write register=1 address=72
        8 command I2C_SMBUS 0..10 error ENXIO operation=byte_data direction=read register=9 address=72
    "#]]
    .assert_eq(&rendered("i2c", calls));
}

#[test]
fn each_descriptor_has_its_own_target() {
    let choose = |fd, address| Ioctl::new(0x0703).fd(fd).value(address);
    let read = |fd| smbus(1, 0, 2).fd(fd).answered(0, Some(1), b"\x07");
    let text = rendered("i2c", [choose(3, 0x48), choose(4, 0x49), read(3), read(4), read(5)]);
    let addresses: Vec<_> =
        text.lines().skip(2).map(|line| line.split_once("address=").map(|(_, address)| address)).collect();
    assert_eq!(addresses, [Some("72"), Some("73"), None]);
}

#[test]
fn a_duplicate_has_the_target_of_its_original() {
    let on = |fd| smbus(1, 7, 2).fd(fd);
    let mut duplicate: Capture = Ioctl::new(0).into();
    (duplicate.call, duplicate.body, duplicate.result) = (Call::Dup, Body::Dup { new_fd: 5 }, 5);
    let calls: [Capture; 5] = [
        Ioctl::new(0x0703).value(0x50).into(),
        Ioctl::new(0x0703).value(0x51).fd(4).into(),
        duplicate,
        on(5).into(),
        on(4).into(),
    ];
    let text = rendered("i2c", calls);
    let addresses: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("address=")).map(|(_, address)| address).collect();
    assert_eq!(addresses, ["80", "81", "80", "81"], "{text}");
}
