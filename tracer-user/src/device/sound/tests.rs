//! What players and recorders do.

use crate::device::tests::calls::{Ioctl, commands, rendered};
use crate::model::command::Status;
use expect_test::expect;

fn xfer(result: i64, frames: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&result.to_le_bytes());
    bytes[16..].copy_from_slice(&frames.to_le_bytes());
    bytes
}

#[test]
fn parameters_that_are_settled_are_named() {
    let mut params = [0; 608];
    params[4] = 1 << 3;
    params[36] = 1 << 2;
    for (index, number) in [(2, 2u32), (3, 44_100), (5, 1024), (9, 4096)] {
        let at = 260 + 12 * index;
        params[at..at + 4].copy_from_slice(&number.to_le_bytes());
        params[at + 4..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    // Not settled: periods between 2 and 4.
    (params[260 + 84], params[260 + 88]) = (2, 4);
    let mut id = [0; 1224];
    id[0] = 3;
    id[16..22].copy_from_slice(b"Master");
    let calls = [
        Ioctl::new(0xc260_4111).argument(&params),
        Ioctl::new(0xc25c_4111).compat().argument(&params[..604]),
        Ioctl::new(0x4018_4150).was(&xfer(0, 1024)).argument(&xfer(512, 1024)),
        Ioctl::new(0x8018_4151).argument(&xfer(0, 64)).returns(-32),
        Ioctl::new(0x4140),
        Ioctl::new(0xc4c8_5513).argument(&id),
    ];
    expect![[r#"
        0 command SNDRV_PCM_IOCTL_HW_PARAMS 0..10 access=RW_INTERLEAVED format=S16_LE channels=2 rate=44100 period_size=1024 buffer_size=4096
        1 command SNDRV_PCM_IOCTL_HW_PARAMS 0..10 access=RW_INTERLEAVED format=S16_LE channels=2 rate=44100 period_size=1024 buffer_size=4096
        2 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 frames=1024 moved=512
        3 command SNDRV_PCM_IOCTL_READI_FRAMES 0..10 error EPIPE frames=64
        4 command SNDRV_PCM_IOCTL_PREPARE 0..10
        5 command SNDRV_CTL_IOCTL_ELEM_WRITE 0..10 numid=3 element=Master
    "#]]
    .assert_eq(&rendered("sound", calls));
}

#[test]
fn an_xrun_says_so() {
    let out = commands("sound", [Ioctl::new(0x4018_4150).argument(&xfer(0, 64)).returns(-32)]);
    let Status::Error { kind, message } = &out[0].status else { panic!("{out:#?}") };
    assert_eq!((&**kind, message.starts_with("xrun")), ("EPIPE", true));
}

/// `struct snd_pcm_hw_params` of which so many bits of a frame are settled.
fn frame_of(bits: u32) -> [u8; 608] {
    let mut params = [0; 608];
    params[272..276].copy_from_slice(&bits.to_le_bytes());
    params[276..280].copy_from_slice(&bits.to_le_bytes());
    params
}

#[test]
fn frames_are_bytes_once_it_is_known_how_long_they_are() {
    let write = |frames: u64| Ioctl::new(0x4018_4150).was(&xfer(0, frames)).argument(&xfer(2, frames));
    let read = Ioctl::new(0x8018_4151).was(&xfer(0, 64)).argument(&xfer(3, 64));
    let mut small = [0; 12];
    small[8] = 2;
    let calls = [
        // Nothing is known yet, nor is anything of another descriptor.
        write(2).given(0, Some(0), b"0123456789abcdef"),
        Ioctl::new(0xc260_4111).argument(&frame_of(32)),
        write(2).given(0, Some(0), b"0123456789abcdef"),
        write(5).given(0, Some(0), b"0123456789abcdef"),
        write(2).given(0, Some(0), b"0123456789abcdef").fd(9),
        read.clone().answered(0, Some(0), b"0123456789abcdefghijklmn"),
        read.returns(-32),
        Ioctl::new(0x400c_4150).compat().was(&small).argument(&small).given(0, Some(0), b"0123456789abcdef"),
        Ioctl::new(0x4112),
        write(2).given(0, Some(0), b"0123456789abcdef"),
    ];
    expect![[r#"
        0 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 frames=2 moved=2
        1 command SNDRV_PCM_IOCTL_HW_PARAMS 0..10 channels=0 rate=0 period_size=0 periods=0 buffer_size=0
        2 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 "01234567" frames=2 moved=2
        3 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 "0123456789abcdef"/20 frames=5 moved=2
        4 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 frames=2 moved=2
        5 command SNDRV_PCM_IOCTL_READI_FRAMES 0..10 → "0123456789ab" frames=64 moved=3
        6 command SNDRV_PCM_IOCTL_READI_FRAMES 0..10 error EPIPE frames=64
        7 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 "01234567" frames=2 moved=0
        8 command SNDRV_PCM_IOCTL_HW_FREE 0..10
        9 command SNDRV_PCM_IOCTL_WRITEI_FRAMES 0..10 frames=2 moved=2
    "#]]
    .assert_eq(&rendered("sound", calls));
}

#[test]
fn a_status_is_laid_out_by_its_time() {
    for (command, compat, size, delay) in
        [(0x8098_4120, false, 152, 56), (0x806c_4120, true, 108, 28), (0x8080_4120, true, 128, 48)]
    {
        let mut status = vec![0; size];
        (status[0], status[delay], status[delay + if compat { 4 } else { 8 }]) = (3, 21, 42);
        let call = Ioctl::new(command).argument(&status);
        let text = rendered("sound", [if compat { call.compat() } else { call }]);
        assert_eq!(
            text, "0 command SNDRV_PCM_IOCTL_STATUS 0..10 state=RUNNING delay=21 available=42\n",
            "{command:x}"
        );
    }
}
