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
