//! Commands passed through to NVMe controllers.

use crate::device::tests::calls::{Ioctl, rendered};
use expect_test::expect;

const ADMIN_CMD: u32 = 0xc048_4e41;
const IO64_CMD: u32 = 0xc050_4e48;

fn passed(opcode: u8, length: u32) -> [u8; 72] {
    let mut bytes = [0; 72];
    (bytes[0], bytes[4]) = (opcode, 1);
    bytes[36..40].copy_from_slice(&length.to_le_bytes());
    bytes
}

#[test]
fn commands_have_names_and_data_go_the_way_that_the_opcode_says() {
    let mut identify = passed(6, 8);
    identify[40] = 1;
    let mut after = identify;
    after[68] = 5;
    let set = passed(9, 0);
    let mut write = [0; 80];
    write[..72].copy_from_slice(&passed(1, 3));
    let calls = [
        Ioctl::new(ADMIN_CMD).was(&identify).argument(&after).answered(0, Some(1), b"QEMU NVM"),
        Ioctl::new(ADMIN_CMD).was(&set).argument(&set).returns(0x4002),
        Ioctl::new(ADMIN_CMD).was(&passed(0xc1, 0)).argument(&passed(0xc1, 0)),
        Ioctl::new(IO64_CMD).was(&write).argument(&write).given(0, Some(0), b"abc"),
        Ioctl::new(IO64_CMD).was(&write).argument(&write).given(0, Some(0), b"abc").returns(0x280),
        Ioctl::new(0x4e40).returns(1),
        Ioctl::new(0x4e44).returns(-13),
    ];
    expect![[r#"
        0 command NVME_IOCTL_ADMIN_CMD 0..10 → "QEMU NVM" opcode=IDENTIFY namespace=1 cdw10=1 result=5
        1 command NVME_IOCTL_ADMIN_CMD 0..10 error INVALID_FIELD opcode=SET_FEATURES namespace=1
        2 command NVME_IOCTL_ADMIN_CMD 0..10 opcode=0xc1 namespace=1 result=0
        3 command NVME_IOCTL_IO64_CMD 0..10 "abc" opcode=WRITE namespace=1 result=0
        4 command NVME_IOCTL_IO64_CMD 0..10 "abc" error WRITE_FAULT opcode=WRITE namespace=1
        5 command NVME_IOCTL_ID 0..10 namespace=1
        6 command NVME_IOCTL_RESET 0..10 error EACCES
    "#]]
    .assert_eq(&rendered("nvme", calls));
}

#[test]
fn no_more_is_shown_than_the_command_moved() {
    let command = passed(2, 3);
    let calls = [Ioctl::new(ADMIN_CMD).was(&command).argument(&command).answered(0, Some(1), b"abcdef")];
    expect![[r#"
        0 command NVME_IOCTL_ADMIN_CMD 0..10 → "abc" opcode=GET_LOG_PAGE namespace=1 result=0
    "#]]
    .assert_eq(&rendered("nvme", calls));
}

#[test]
fn metadata_follow_the_data_and_segments_are_added_up() {
    let mut write = passed(1, 3);
    (write[32], write[16]) = (2, 1);
    let mut vector = [0; 80];
    vector[..72].copy_from_slice(&passed(2, 5));
    let calls = [
        Ioctl::new(0xc048_4e43).was(&write).argument(&write).given(0, Some(0), b"abc").given(
            0,
            Some(2),
            b"mm",
        ),
        // Five segments, of which the kernel side brought what lay in them.
        Ioctl::new(0xc050_4e49).was(&vector).argument(&vector).answered(0, Some(1), b"0123456789"),
        Ioctl::new(0xc050_4e49).was(&vector).argument(&vector).returns(-14),
    ];
    expect![[r#"
        0 command NVME_IOCTL_IO_CMD 0..10 "abcmm" opcode=WRITE namespace=1 metadata_bytes=2 result=0
        1 command NVME_IOCTL_IO64_CMD_VEC 0..10 → "0123456789" segments=5 opcode=READ namespace=1 result=0
        2 command NVME_IOCTL_IO64_CMD_VEC 0..10 error EFAULT segments=5 opcode=READ namespace=1
    "#]]
    .assert_eq(&rendered("nvme", calls));
}

#[test]
fn blocks_whose_size_the_call_does_not_say() {
    let mut io = [0; 48];
    (io[0], io[4], io[24]) = (2, 1, 8);
    let read = Ioctl::new(0x4030_4e42).argument(&io);
    let mut out = io;
    out[0] = 1;
    let calls = [
        read.clone().answered(0, Some(1), b"both blocks"),
        // Of a namespace that is not known.
        read.clone(),
        read.returns(0x4080),
        Ioctl::new(0x4030_4e42).argument(&out).given(0, Some(0), b"blocks"),
        Ioctl::new(0x402c_4e42).compat().argument(&out[..44]).given(0, Some(0), b"blocks").returns(-22),
    ];
    expect![[r#"
        0 command NVME_IOCTL_SUBMIT_IO 0..10 → "both blocks" opcode=READ blocks=2 lba=8
        1 command NVME_IOCTL_SUBMIT_IO 0..10 opcode=READ blocks=2 lba=8
        2 command NVME_IOCTL_SUBMIT_IO 0..10 error LBA_OUT_OF_RANGE opcode=READ blocks=2 lba=8
        3 command NVME_IOCTL_SUBMIT_IO 0..10 "blocks" opcode=WRITE blocks=2 lba=8
        4 command NVME_IOCTL_SUBMIT_IO 0..10 "blocks" error EINVAL opcode=WRITE blocks=2 lba=8
    "#]]
    .assert_eq(&rendered("block", calls));
}
