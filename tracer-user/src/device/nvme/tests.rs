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
