//! What programs do with flash.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::check;
use expect_test::expect;

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `struct mtd_write_req`: start, lengths, which of the buffers there are.
fn areas(start: u64, length: u64, oob: u64, pointers: [u64; 2]) -> Vec<u8> {
    let fields = [start, length, oob, pointers[0], pointers[1], 1];
    fields.iter().flat_map(|field| field.to_le_bytes()).collect()
}

#[test]
fn commands_and_their_arguments() {
    let info = words(&[4, 0x400, 0x800_0000, 0x2_0000, 2048, 64, 0, 0]);
    let calls = [
        Ioctl::new(0x8020_4d01).argument(&info),
        Ioctl::new(0x4008_4d02).argument(&words(&[0x2_0000, 0x2_0000])),
        Ioctl::new(0x4010_4d14).argument(&words(&[0, 1, 0x2_0000, 0])).returns(-5),
        Ioctl::new(0x4008_4d0b).argument(&words(&[0x4_0000, 0])).returns(1),
        Ioctl::new(0x4008_4d0b).argument(&words(&[0x4_0000, 0])),
        Ioctl::new(0x8004_4d0d).argument(&words(&[2])),
        Ioctl::new(0x4004_4d0e).argument(&words(&[3])),
        Ioctl::new(0xc010_4d08).was(&words(&[0, 0, 0, 1])).argument(&words(&[64, 4096, 8, 1])),
        Ioctl::new(0x8010_4d12).argument(&words(&[7, 0, 1, 4])),
        Ioctl::new(0x4d13).value(3),
        Ioctl::new(0x8008_4d17).argument(&words(&[0, 64])).returns(1),
        Ioctl::new(0x8020_4d01).argument(&info[..13]),
    ];
    expect![[r#"
        0 command MEMGETINFO 0..10 type=NANDFLASH flags=WRITEABLE size=134217728 erase_size=131072 write_size=2048 oob_size=64
        1 command MEMERASE 0..10 start=131072 length=131072
        2 command MEMERASE64 0..10 error EIO start=4294967296 length=131072
        3 command MEMGETBADBLOCK 0..10 offset=262144 bad=Bool(true)
        4 command MEMGETBADBLOCK 0..10 offset=262144 bad=Bool(false)
        5 command OTPSELECT 0..10 mode=USER
        6 command OTPGETREGIONCOUNT 0..10 count=3
        7 command MEMGETREGIONINFO 0..10 region=1 offset=64 erase_size=4096 blocks=8
        8 command ECCGETSTATS 0..10 corrected=7 failed=0 bad_blocks=1 reserved_blocks=4
        9 command MTDFILEMODE 0..10 mode=RAW
        10 command MEMISLOCKED 0..10 start=0 length=64 locked=1
        11 command MEMGETINFO 0..10 type=NANDFLASH flags=WRITEABLE size=134217728
    "#]]
    .assert_eq(&rendered("mtd", calls));
}

#[test]
fn bytes_lie_elsewhere() {
    let oob = words(&[2048, 4, 0x7f00, 0]);
    let oob64 = words(&[2048, 0, 0, 4, 0x7f00, 0]);
    let errors = [areas(0, 4, 0, [1, 0]), words(&[0, 3, 2, 0])].concat();
    let calls = [
        Ioctl::new(0xc010_4d03).argument(&oob).given(0, Some(0), b"abcd"),
        Ioctl::new(0xc010_4d04).argument(&oob).answered(0, Some(0), b"efgh"),
        Ioctl::new(0xc00c_4d04).compat().argument(&oob[..12]).answered(0, Some(0), b"ijkl"),
        Ioctl::new(0xc018_4d16).argument(&oob64).answered(0, Some(0), b"mnop"),
        Ioctl::new(0xc030_4d18).argument(&areas(4096, 4, 2, [1, 1])).given(0, Some(0), b"data").given(
            0,
            Some(1),
            b"xy",
        ),
        Ioctl::new(0xc030_4d18).argument(&areas(4096, 4, 2, [0, 1])).given(0, Some(1), b"xy"),
        Ioctl::new(0xc030_4d18).argument(&areas(4096, 4, 2, [1, 1])).given(0, Some(1), b"xy"),
        Ioctl::new(0xc040_4d1a).argument(&errors).answered(0, Some(0), b"DATA"),
        Ioctl::new(0xc03c_4d1a).compat().argument(&errors[..60]).returns(-74),
    ];
    expect![[r#"
        0 command MEMWRITEOOB 0..10 "abcd" start=2048 length=4
        1 command MEMREADOOB 0..10 → "efgh" start=2048 length=4
        2 command MEMREADOOB 0..10 → "ijkl" start=2048 length=4
        3 command MEMREADOOB64 0..10 → "mnop" start=2048 length=4
        4 command MEMWRITE 0..10 "dataxy" start=4096 length=4 oob_length=2 mode=AUTO_OOB
        5 command MEMWRITE 0..10 "xy" start=4096 length=4 oob_length=2 mode=AUTO_OOB
        6 command MEMWRITE 0..10 ""/6 start=4096 length=4 oob_length=2 mode=AUTO_OOB
        7 command MEMREAD 0..10 → "DATA" start=0 length=4 oob_length=0 mode=AUTO_OOB uncorrectable_errors=0 corrected_bitflips=3 max_bitflips=2
        8 command MEMREAD 0..10 error EBADMSG start=0 length=4 oob_length=0 mode=AUTO_OOB
    "#]]
    .assert_eq(&rendered("mtd", calls));
}

#[test]
fn reads_and_writes_are_commands() {
    check(
        "mtd",
        r#"
        0-10 read "abc"
        10-20 read "" =-74
        20-30 write "xyz"
        "#,
        expect![[r#"
            0 command read 0..10 → "abc"
            1 command read 10..20 error EBADMSG
            2 command write 20..30 "xyz"
        "#]],
    );
}
