//! What tools ask of disks.

use crate::device::tests::calls::{Ioctl, rendered};
use expect_test::expect;

#[test]
fn sizes_ranges_and_loop_devices() {
    let mut info = [0; 232];
    info[24] = 16;
    info[52] = 4;
    info[56..65].copy_from_slice(b"/disk.img");
    let mut range = [0; 16];
    (range[1], range[8]) = (1, 2);
    let calls = [
        Ioctl::new(0x8008_1272).argument(&4096u64.to_le_bytes()),
        Ioctl::new(0x8004_1272).compat().argument(&4096u64.to_le_bytes()),
        Ioctl::new(0x1260).argument(&8u64.to_le_bytes()),
        Ioctl::new(0x1260).compat().argument(&[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        Ioctl::new(0x1268).argument(&512u32.to_le_bytes()),
        Ioctl::new(0x1277).argument(&range).returns(-95),
        Ioctl::new(0x4c05).argument(&info),
        Ioctl::new(0x4c82).returns(7),
    ];
    expect![[r#"
        0 command BLKGETSIZE64 0..10 bytes=4096
        1 command BLKGETSIZE64 0..10 bytes=4096
        2 command BLKGETSIZE 0..10 sectors=8
        3 command BLKGETSIZE 0..10 sectors=8
        4 command BLKSSZGET 0..10 bytes=512
        5 command BLKDISCARD 0..10 error EOPNOTSUPP start=256 length=2
        6 command LOOP_GET_STATUS64 0..10 offset=16 size_limit=0 flags=4 file=/disk.img
        7 command LOOP_CTL_GET_FREE 0..10 number=7
    "#]]
    .assert_eq(&rendered("block", calls));
}

/// `struct mmc_ioc_cmd`.
fn card(write: u8, opcode: u8, flags: u8, bytes: u32) -> [u8; 72] {
    let mut command = [0; 72];
    (command[0], command[8], command[32]) = (write, opcode, flags);
    command[36..40].copy_from_slice(&bytes.to_le_bytes());
    command[40] = u8::from(bytes > 0);
    command
}

#[test]
fn commands_to_memory_cards() {
    let (read, write, status) = (card(0, 17, 0x35, 4), card(1, 24, 0x35, 3), card(0, 9, 0x7, 0));
    let mut ready = read;
    ready[16..20].copy_from_slice(&0x900u32.to_le_bytes());
    let mut refused = ready;
    refused[19] = 0x40;
    let mut told = status;
    told[16..32].copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
    let mut several = [0; 8];
    several[0] = 2;
    let calls = [
        Ioctl::new(0xc048_b300).was(&read).argument(&ready).answered(0, Some(1), b"data"),
        Ioctl::new(0xc048_b300).was(&write).argument(&write).given(0, Some(0), b"out").returns(-110),
        Ioctl::new(0xc048_b300).was(&status).argument(&told),
        Ioctl::new(0xc008_b301)
            .was(&several)
            .argument(&several)
            .given(0, None, &write)
            .given(0, Some(0), b"out")
            .given(1, None, &read)
            .answered(1, Some(1), b"data"),
        Ioctl::new(0xc048_b300).was(&read).argument(&refused).answered(0, Some(1), b"data"),
        // The commands were not captured.
        Ioctl::new(0xc008_b301).was(&[0xff; 8]).argument(&[0xff; 8]),
    ];
    expect![[r#"
        0 command MMC_IOC_CMD 0..10 → "data" write=0 opcode=17 argument=0 block_size=4 blocks=1 response=00000900
        1 command MMC_IOC_CMD 0..10 "out" error ETIMEDOUT write=1 opcode=24 argument=0 block_size=3 blocks=1
        2 command MMC_IOC_CMD 0..10 write=0 opcode=9 argument=0 block_size=0 blocks=0 response=00000001000000020000000300000004
        3 command MMC_IOC_MULTI_CMD 0..10 "out" → "data" count=2 opcodes=24 17
        4 command MMC_IOC_CMD 0..10 → "data" error ADDRESS_ERROR write=0 opcode=17 argument=0 block_size=4 blocks=1 response=40000900
        5 command MMC_IOC_MULTI_CMD 0..10 count=4294967295
    "#]]
    .assert_eq(&rendered("block", calls));
}
