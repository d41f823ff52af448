//! Commands passed through to SCSI devices.

use crate::device::tests::calls::{Ioctl, commands, rendered};
use crate::model::command::Status;
use expect_test::expect;

const SG_IO: u32 = 0x2285;

/// `struct sg_io_hdr` of a 64-bit program.
fn header(direction: i32, command: u8, data: u32) -> [u8; 88] {
    let mut bytes = [0; 88];
    bytes[0] = b'S';
    bytes[4..8].copy_from_slice(&direction.to_le_bytes());
    bytes[8] = command;
    bytes[12..16].copy_from_slice(&data.to_le_bytes());
    bytes[40..44].copy_from_slice(&20_000u32.to_le_bytes());
    bytes
}

#[test]
fn an_inquiry_has_its_operation_and_its_answer() {
    let before = header(-3, 6, 36);
    let mut after = before;
    after[72..76].copy_from_slice(&30u32.to_le_bytes());
    let call = Ioctl::new(SG_IO)
        .was(&before)
        .argument(&after)
        .given(0, Some(0), &[0x12, 0, 0, 0, 36, 0])
        .answered(0, Some(2), b"\x00\x00\x05\x02\x1f\x00______________________________");
    let out = header(-2, 10, 4);
    let write = Ioctl::new(SG_IO)
        .was(&out)
        .argument(&out)
        .given(0, Some(0), &[0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0])
        .given(0, Some(1), b"data");
    expect![[r#"
        0 command SG_IO 0..10 → "\x00\x00\x05\x02\x1f\x00" opcode=INQUIRY cdb=120000002400 timeout_ms=20000 status=0
        1 command SG_IO 0..10 "data" opcode=WRITE_10 cdb=2a000000000100000100 timeout_ms=20000 status=0
    "#]]
    .assert_eq(&rendered("scsi", [call, write]));
}

#[test]
fn a_refusal_is_an_error_inside_a_call_that_succeeded() {
    let before = header(-1, 6, 0);
    let mut refused = before;
    (refused[64], refused[67]) = (2, 18);
    let fixed = [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0];
    let call = |after: &[u8; 88]| Ioctl::new(SG_IO).was(&before).argument(after);
    let mut unreachable = before;
    unreachable[68] = 3;
    let out = commands(
        "scsi",
        [
            call(&refused).given(0, Some(0), &[0xff; 6]).answered(0, Some(3), &fixed),
            call(&refused).given(0, Some(0), &[0; 6]).answered(0, Some(3), &[0x72, 2, 4, 1]),
            call(&unreachable),
            call(&refused).returns(-22),
        ],
    );
    let errors = out.iter().map(|command| match &command.status {
        Status::Error { kind, message } => format!("{kind}: {message}\n"),
        Status::Ok => "ok\n".to_owned(),
    });
    expect![[r#"
        CHECK_CONDITION: ILLEGAL_REQUEST, additional sense 0x20 0x00 (invalid command operation code)
        CHECK_CONDITION: NOT_READY, additional sense 0x04 0x01 (becoming ready)
        DID_TIME_OUT: 
        EINVAL: 
    "#]]
    .assert_eq(&errors.collect::<String>());
}

#[test]
fn the_other_interface_and_32_bit_programs() {
    let mut fourth = [0; 160];
    fourth[0] = b'Q';
    fourth[12] = 6;
    fourth[68] = 8;
    fourth[88] = 50;
    let bsg = Ioctl::new(SG_IO)
        .was(&fourth)
        .argument(&fourth)
        .given(0, Some(0), &[0xa0, 0, 0, 0, 0, 0])
        .answered(0, Some(2), b"\x00\x00\x00\x08____");
    let mut small = [0; 64];
    small[0] = b'S';
    small[4..8].copy_from_slice(&(-3i32).to_le_bytes());
    (small[8], small[12], small[28]) = (6, 4, 7);
    let mut after = small;
    after[44] = 8;
    let compat = Ioctl::new(SG_IO)
        .compat()
        .was(&small)
        .argument(&after)
        .given(0, Some(0), &[3, 0, 0, 0, 4, 0])
        .answered(0, Some(2), b"\x70\x00\x00\x00");
    expect![[r#"
        0 command SG_IO 0..10 → "\x00\x00\x00\x08____" opcode=REPORT_LUNS cdb=a00000000000 timeout_ms=50 status=0
        1 command SG_IO 0..10 → "p\x00\x00\x00" error BUSY opcode=REQUEST_SENSE cdb=030000000400 timeout_ms=7 status=8
    "#]]
    .assert_eq(&rendered("scsi", [bsg, compat]));
}

#[test]
fn data_in_several_pieces() {
    let mut before = header(-3, 6, 36);
    before[10] = 3;
    let scattered = Ioctl::new(SG_IO)
        .was(&before)
        .argument(&before)
        .given(0, Some(0), &[0x12, 0, 0, 0, 36, 0])
        .answered(0, Some(2), b"\x00\x00\x05\x02\x1f\x00______________________________");
    // Of the other interface nothing depends on the counts.
    let mut fourth = [0; 160];
    (fourth[0], fourth[12], fourth[60], fourth[56]) = (b'Q', 6, 4, 1);
    let flat = Ioctl::new(SG_IO).was(&fourth).argument(&fourth).given(0, Some(1), b"data");
    expect![[r#"
        0 command SG_IO 0..10 → "\x00\x00\x05\x02\x1f\x00______________________________" opcode=INQUIRY cdb=120000002400 timeout_ms=20000 segments=3 status=0
        1 command SG_IO 0..10 "data" timeout_ms=0 status=0
    "#]]
    .assert_eq(&rendered("scsi", [scattered, flat]));
}
