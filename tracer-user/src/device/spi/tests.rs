//! What programs do on SPI devices.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::{check, play, render};
use expect_test::expect;

/// `SPI_IOC_MESSAGE(n)`.
fn message(transfers: &[[u8; 32]]) -> Ioctl {
    let size = transfers.len() as u32 * 32;
    let total: u32 = transfers.iter().map(|transfer| u32::from(transfer[16])).sum();
    Ioctl::new(0x4000_6b00 | size << 16).argument(&transfers.concat()).returns(total.into())
}

/// `struct spi_ioc_transfer`.
fn transfer(writes: bool, reads: bool, length: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    (bytes[5], bytes[13], bytes[16]) = (u8::from(writes) * 0x7f, u8::from(reads) * 0x7f, length);
    bytes
}

/// With its own speed and word length.
fn at(mut transfer: [u8; 32], speed_hz: u32, bits: u8) -> [u8; 32] {
    transfer[20..24].copy_from_slice(&speed_hz.to_le_bytes());
    transfer[26] = bits;
    transfer
}

#[test]
fn transfers_of_a_message() {
    let flash = message(&[transfer(true, false, 1), transfer(false, true, 3)])
        .given(0, Some(0), b"\x9f")
        .answered(1, Some(1), b"\xef\x40\x18");
    let duplex = message(&[at(transfer(true, true, 4), 500_000, 8)])
        .given(0, Some(0), b"\x9f\x01\x02\x03")
        .answered(0, Some(1), b"\xff\x00\x01\x02");
    let mut odd = at(transfer(true, false, 2), 1_000_000, 16);
    (odd[24], odd[27], odd[28], odd[30]) = (10, 1, 4, 5);
    let odd = message(&[odd, at(transfer(false, false, 0), 2_000_000, 0)]).given(0, Some(0), b"ab");
    let refused = message(&[transfer(true, false, 200)]).given(0, Some(0), b"z").returns(-90);
    expect![[r#"
        0 command SPI_IOC_MESSAGE 0..10 "\x9f" → "\xef@\x18" count=2 transfers=Texts(["write 1 B", "read 3 B"])
        1 command SPI_IOC_MESSAGE 0..10 "\x9f\x01\x02\x03" → "\xff\x00\x01\x02" count=1 transfers=Texts(["write+read 4 B 500000 Hz 8 bits"]) speed_hz=500000 bits_per_word=8
        2 command SPI_IOC_MESSAGE 0..10 "ab" count=2 transfers=Texts(["write 2 B 1000000 Hz 16 bits delay 10 µs word delay 5 µs tx 4 wires cs_change", "clock 0 B 2000000 Hz"])
        3 command SPI_IOC_MESSAGE 0..10 "z"/200 error EMSGSIZE count=1 transfers=Texts(["write 200 B"])
    "#]]
    .assert_eq(&rendered("spi", [flash, duplex, odd, refused]));
}

#[test]
fn what_was_not_captured_is_left_out_and_gaps_are_visible() {
    let transfers = [transfer(true, false, 4), transfer(true, false, 2), transfer(false, true, 2)];
    let cut = message(&transfers).given(0, Some(0), b"ab").given(1, Some(0), b"cd");
    let argument: Vec<u8> = transfers.concat();
    let short = Ioctl::new(0x4060_6b00).argument(&argument[..40]).given(0, Some(0), b"abcd");
    expect![[r#"
        0 command SPI_IOC_MESSAGE 0..10 "ab"/6 → ""/2 count=3 transfers=Texts(["write 4 B", "write 2 B", "read 2 B"])
        1 command SPI_IOC_MESSAGE 0..10 "abcd" count=3 transfers=Texts(["write 4 B"])
    "#]]
    .assert_eq(&rendered("spi", [cut, short]));
}

#[test]
fn many_transfers_are_one_command_with_all_their_bytes() {
    let transfers = vec![transfer(true, false, 1); 100];
    let call = (0..100).fold(message(&transfers), |call, index| call.given(index, Some(0), b"x"));
    let text = rendered("spi", [call]);
    assert!(text.contains(&"x".repeat(100)) && text.contains("count=100"), "{text}");
    assert_eq!(text.matches("write 1 B").count(), super::LISTED);
}

#[test]
fn settings_are_named_and_hold_for_later_transfers() {
    let calls = [
        Ioctl::new(0x4004_6b05).argument(&[0x2b, 1, 0, 0]),
        Ioctl::new(0x4001_6b03).argument(&[16]),
        Ioctl::new(0x4004_6b04).argument(&1_000_000_u32.to_le_bytes()),
        Ioctl::new(0x4001_6b02).argument(&[0]),
        message(&[transfer(true, false, 1)]).given(0, Some(0), b"x").fd(4),
        message(&[at(transfer(true, false, 1), 9, 8)]).given(0, Some(0), b"x"),
        Ioctl::new(0x4001_6b01).argument(&[1]).returns(-22),
        Ioctl::new(0x8001_6b01).argument(&[2]),
        Ioctl::new(0x8001_6b03).argument(&[0]),
        Ioctl::new(0x8004_6b04).argument(&500_000_u32.to_le_bytes()),
        message(&[transfer(false, true, 1)]).answered(0, Some(1), b"y"),
    ];
    expect![[r#"
        0 command SPI_IOC_WR_MODE32 0..10 mode=MODE_3|LSB_FIRST|LOOP|TX_DUAL
        1 command SPI_IOC_WR_BITS_PER_WORD 0..10 bits_per_word=16
        2 command SPI_IOC_WR_MAX_SPEED_HZ 0..10 speed_hz=1000000
        3 command SPI_IOC_WR_LSB_FIRST 0..10 lsb_first=0
        4 command SPI_IOC_MESSAGE 0..10 "x" count=1 transfers=Texts(["write 1 B"]) mode=MODE_3|LOOP|TX_DUAL bits_per_word=16 speed_hz=1000000
        5 command SPI_IOC_MESSAGE 0..10 "x" count=1 transfers=Texts(["write 1 B 9 Hz 8 bits"]) speed_hz=9 bits_per_word=8 mode=MODE_3|LOOP|TX_DUAL
        6 command SPI_IOC_WR_MODE 0..10 error EINVAL mode=MODE_1
        7 command SPI_IOC_RD_MODE 0..10 mode=MODE_2
        8 command SPI_IOC_RD_BITS_PER_WORD 0..10 bits_per_word=0
        9 command SPI_IOC_RD_MAX_SPEED_HZ 0..10 speed_hz=500000
        10 command SPI_IOC_MESSAGE 0..10 → "y" count=1 transfers=Texts(["read 1 B"]) mode=MODE_2|TX_DUAL bits_per_word=8 speed_hz=500000
    "#]]
    .assert_eq(&rendered("spi", calls));
}

#[test]
fn reads_and_writes_go_by_the_settings_until_the_last_descriptor_is_closed() {
    check(
        "spi",
        r#"
        0 ioctl 0x40016b01 "\x00"
        1-5 write "\x10\x01"
        5-9 read "\x7f" fd=4
        9 close fd=3
        10-11 write "a" fd=4
        11-12 read "" =-110 fd=4
        12 close fd=4
        13-14 write "b" fd=3
        "#,
        expect![[r#"
            0 command SPI_IOC_WR_MODE 0..0 mode=MODE_0
            1 command write 1..5 "\x10\x01" mode=MODE_0
            2 command read 5..9 → "\x7f" mode=MODE_0
            3 command write 10..11 "a" mode=MODE_0
            4 command read 11..12 error ETIMEDOUT mode=MODE_0
            5 command write 13..14 "b"
        "#]],
    );
}

#[test]
fn a_transfer_of_a_killed_program_is_an_error() {
    let (_, out) = play("spi", "0-9 aborted-write");
    assert_eq!(render(&out), "0 command write 0..9 error killed\n");
}
