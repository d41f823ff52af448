//! What programs do with cameras.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::model::capture::{Body, Capture};
use expect_test::expect;
use tracer_common::call::Call;

const QBUF: u32 = 0xc058_560f;
const DQBUF: u32 = 0xc058_5611;

/// `struct v4l2_buffer` of a 64-bit program, mapped.
fn buffer(kind: u8, index: u8, bytes: u8, sequence: u8, flags: u8) -> [u8; 88] {
    let mut all = [0; 88];
    (all[0], all[4], all[8], all[12], all[56], all[60]) = (index, kind, bytes, flags, sequence, 1);
    all
}

fn give(index: u8) -> Ioctl {
    Ioctl::new(QBUF).argument(&buffer(1, index, 0, 0, 0))
}

fn take(index: u8, sequence: u8, flags: u8) -> Ioctl {
    Ioctl::new(DQBUF).argument(&buffer(1, index, 9, sequence, flags))
}

#[test]
fn a_buffer_is_one_command_and_lost_frames_show() {
    let calls = [
        give(0),
        give(1),
        Ioctl::new(0x4004_5612).argument(&[1, 0, 0, 0]),
        Ioctl::new(DQBUF).argument(&buffer(1, 0, 0, 0, 0)).returns(-11),
        take(0, 0, 0),
        give(0),
        take(1, 3, 0x40),
        take(7, 4, 0),
        give(1),
        Ioctl::new(0x4004_5613).argument(&[1, 0, 0, 0]),
        Ioctl::new(QBUF).argument(&buffer(1, 9, 0, 0, 0)).returns(-22),
    ];
    expect![[r#"
        2 command VIDIOC_STREAMON 0..10 type=1
        0 command VIDIOC_QBUF 0..10 type=1 index=0 memory=mmap bytes=9 sequence=0
        1 command VIDIOC_QBUF 0..10 error V4L2_BUF_FLAG_ERROR type=1 index=1 memory=mmap bytes=9 sequence=3 lost_frames=2
        6 command VIDIOC_DQBUF 0..10 type=1 index=7 memory=mmap bytes=9 sequence=4
        4 command VIDIOC_QBUF 0..10 type=1 index=0 memory=mmap returned=Bool(true)
        7 command VIDIOC_QBUF 0..10 type=1 index=1 memory=mmap returned=Bool(true)
        8 command VIDIOC_STREAMOFF 0..10 type=1
        9 command VIDIOC_QBUF 0..10 error EINVAL type=1 index=9 memory=mmap
    "#]]
    .assert_eq(&rendered("video", calls));
}

#[test]
fn a_file_has_its_own_buffers_and_its_end_returns_them() {
    let close = |fd: u32| {
        let mut close = Capture::from(Ioctl::new(0));
        (close.call, close.body) = (Call::Close, Body::Close { first: fd, last: fd });
        close
    };
    let calls = [
        give(0).into(),
        give(0).fd(4).into(),
        take(0, 0, 0).into(),
        give(0).into(),
        take(0, 5, 0).fd(4).into(),
        close(4),
        close(3),
        take(0, 9, 0).fd(4).into(),
    ];
    expect![[r#"
        0 command VIDIOC_QBUF 0..10 type=1 index=0 memory=mmap bytes=9 sequence=0
        1 command VIDIOC_QBUF 0..10 type=1 index=0 memory=mmap bytes=9 sequence=5
        3 command VIDIOC_QBUF 0..10 type=1 index=0 memory=mmap returned=Bool(true)
        5 command VIDIOC_DQBUF 0..10 type=1 index=0 memory=mmap bytes=9 sequence=9
    "#]]
    .assert_eq(&rendered("video", calls));
}

#[test]
fn planes_formats_and_controls() {
    let mut planes = buffer(9, 0, 0, 5, 0);
    planes[72] = 2;
    let plane = |used: u8| {
        let mut plane = [0; 64];
        plane[0] = used;
        plane
    };
    let mut format = [0; 208];
    (format[0], format[8], format[12]) = (1, 64, 48);
    format[16..20].copy_from_slice(b"YUYV");
    let mut small = [0; 204];
    (small[0], small[4], small[8]) = (1, 64, 48);
    small[12..16].copy_from_slice(b"NV12");
    let mut controls = [0; 32];
    controls[4] = 2;
    let mut next = [0; 68];
    next[..4].copy_from_slice(&0x0098_0900_u32.to_le_bytes());
    next[8..18].copy_from_slice(b"Brightness");
    let control = |id: u32, size: u8, value: i32| {
        let mut control = [0; 20];
        control[..4].copy_from_slice(&id.to_le_bytes());
        control[4] = size;
        control[12..16].copy_from_slice(&value.to_le_bytes());
        control
    };
    let calls = [
        Ioctl::new(DQBUF).argument(&planes).answered(0, None, &plane(100)).answered(1, None, &plane(50)),
        Ioctl::new(0xc0d0_5605).argument(&format),
        Ioctl::new(0xc0cc_5605).compat().argument(&small),
        Ioctl::new(0xc020_5648).argument(&controls).given(0, None, &control(0x0098_0900, 0, -5)).given(
            1,
            None,
            &control(0x0098_0901, 12, 0),
        ),
        Ioctl::new(0xc008_561c).argument(&[0, 9, 0x98, 0, 7, 0, 0, 0]).returns(-34),
        Ioctl::new(0xc044_5624).argument(&next).was(&[0, 0, 0x98, 0x80]),
        Ioctl::new(0xc044_5624).argument(&[1, 9, 0x98, 0x80]).returns(-22),
    ];
    expect![[r#"
        0 command VIDIOC_DQBUF 0..10 type=9 index=0 memory=mmap bytes=150 planes=Texts(["100", "50"]) sequence=5
        1 command VIDIOC_S_FMT 0..10 type=1 width=64 height=48 pixel_format=YUYV
        2 command VIDIOC_S_FMT 0..10 type=1 width=64 height=48 pixel_format=NV12
        3 command VIDIOC_S_EXT_CTRLS 0..10 ""/12 controls=2 values=Texts(["V4L2_CID_BRIGHTNESS=-5", "V4L2_CID_CONTRAST 12 B"])
        4 command VIDIOC_S_CTRL 0..10 error ERANGE control=V4L2_CID_BRIGHTNESS value=7
        5 command VIDIOC_QUERYCTRL 0..10 control=V4L2_CID_BRIGHTNESS after=0x00980000 name=Brightness
        6 command VIDIOC_QUERYCTRL 0..10 error EINVAL after=V4L2_CID_CONTRAST
    "#]]
    .assert_eq(&rendered("video", calls));
}

#[test]
fn programs_of_32_bits_lay_buffers_out_by_their_time() {
    // i386 and arm with 32-bit time; i386 and arm with 64-bit time.
    let texts = [(68_usize, 44), (76, 52), (80, 56)].map(|(size, sequence)| {
        let mut bytes = vec![0; size];
        (bytes[0], bytes[4], bytes[8], bytes[sequence], bytes[sequence + 4]) = (3, 1, 9, 7, 2);
        // `V4L2_BUF_FLAG_REQUEST_FD`.
        bytes[14] = 0x80;
        bytes[size - 4] = 12;
        rendered("video", [Ioctl::new(0xc000_5611 | (size as u32) << 16).compat().argument(&bytes)])
    });
    for text in texts {
        assert_eq!(
            text,
            "0 command VIDIOC_DQBUF 0..10 type=1 index=3 memory=userptr request_fd=12 bytes=9 sequence=7\n"
        );
    }
}

#[test]
fn controls_with_a_size_carry_bytes() {
    let control = |id: u32, size: u8| {
        let mut control = [0; 20];
        control[..4].copy_from_slice(&id.to_le_bytes());
        control[4] = size;
        control
    };
    let (mut now, mut later) = ([0; 32], [0; 32]);
    (now[4], later[4], later[12]) = (2, 1, 8);
    later[..4].copy_from_slice(&0x0f01_0000_u32.to_le_bytes());
    let (text, plain) = (control(0x0098_0920, 5), control(0x0098_0900, 0));
    let calls = [
        Ioctl::new(0xc020_5648).argument(&now).given(0, None, &plain).given(1, None, &text).given(
            1,
            Some(0),
            b"hello",
        ),
        Ioctl::new(0xc020_5647).argument(&now).answered(0, None, &text).answered(0, Some(0), b"world"),
        Ioctl::new(0xc020_5647).argument(&now).answered(0, None, &text).returns(-28),
        Ioctl::new(0xc020_5648).argument(&later).given(0, None, &text).given(0, Some(0), b"hel"),
    ];
    expect![[r#"
        0 command VIDIOC_S_EXT_CTRLS 0..10 "hello" controls=2 values=Texts(["V4L2_CID_BRIGHTNESS=0", "V4L2_CID_AUTOBRIGHTNESS 5 B"])
        1 command VIDIOC_G_EXT_CTRLS 0..10 → "world" controls=2 values=Texts(["V4L2_CID_AUTOBRIGHTNESS 5 B"])
        2 command VIDIOC_G_EXT_CTRLS 0..10 error ENOSPC controls=2 values=Texts(["V4L2_CID_AUTOBRIGHTNESS 5 B"])
        3 command VIDIOC_S_EXT_CTRLS 0..10 "hel"/5 controls=1 values=Texts(["V4L2_CID_AUTOBRIGHTNESS 5 B"]) request_fd=8
    "#]]
    .assert_eq(&rendered("video", calls));
}

#[test]
fn planes_are_listed() {
    let mut planes = buffer(10, 1, 0, 5, 0);
    planes[72] = 2;
    let plane = |used: u8| {
        let mut plane = [0; 64];
        plane[0] = used;
        plane
    };
    let mut format = [0; 208];
    (format[0], format[8], format[12], format[188]) = (9, 64, 48, 2);
    format[16..20].copy_from_slice(b"NM12");
    let calls = [
        Ioctl::new(QBUF).argument(&planes).given(0, None, &plane(7)).given(1, None, &plane(8)),
        Ioctl::new(DQBUF).argument(&planes).answered(0, None, &plane(100)).answered(1, None, &plane(50)),
        Ioctl::new(0xc0d0_5605).argument(&format),
    ];
    expect![[r#"
        0 command VIDIOC_QBUF 0..10 type=10 index=1 memory=mmap bytes=150 planes=Texts(["100", "50"]) sequence=5
        2 command VIDIOC_S_FMT 0..10 type=9 width=64 height=48 pixel_format=NM12 planes=2
    "#]]
    .assert_eq(&rendered("video", calls));
}
