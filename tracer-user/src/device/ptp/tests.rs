//! What programs do with PTP clocks.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::check;
use expect_test::expect;

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `struct ptp_clock_time`.
fn time(seconds: i64, nanos: u32) -> Vec<u8> {
    [&seconds.to_le_bytes()[..], &nanos.to_le_bytes(), &[0; 4]].concat()
}

#[test]
fn signals_and_pins() {
    let pin = [&b"SDP0"[..], &[0; 60], &words(&[1, 2, 3, 0, 0, 0, 0, 0])].concat();
    let phase = [time(0, 500), time(1, 0), words(&[2, 6]), time(0, 250)].concat();
    let caps = [999_999, 0, 2, 1, 1, 4, 1, 0].map(i32::to_le_bytes).concat();
    let calls = [
        Ioctl::new(0x8050_3d01).argument(&[caps, vec![0; 48]].concat()),
        Ioctl::new(0x4010_3d0b).argument(&words(&[1, 11, 0, 0])),
        Ioctl::new(0x4038_3d03).argument(&[time(10, 5), time(0, 1000), words(&[0, 0]), time(0, 0)].concat()),
        Ioctl::new(0x4038_3d0c).argument(&phase),
        Ioctl::new(0x4004_3d04).value(1),
        Ioctl::new(0xc060_3d06).was(&pin).argument(&pin),
        Ioctl::new(0xc060_3d0f).was(&pin).argument(&pin).returns(-22),
        Ioctl::new(0x4060_3d07).argument(&pin[..70]),
        Ioctl::new(0x3d13),
        Ioctl::new(0x4004_3d14).argument(&words(&[1])),
    ];
    expect![[r#"
        0 command PTP_CLOCK_GETCAPS 0..10 max_adj_ppb=999999 n_alarm=0 n_ext_ts=2 n_per_out=1 pps=1 n_pins=4 cross_timestamping=1 adjust_phase=0
        1 command PTP_EXTTS_REQUEST2 0..10 index=1 flags=ENABLE_FEATURE|RISING_EDGE|STRICT_FLAGS
        2 command PTP_PEROUT_REQUEST 0..10 index=0 period_ns=1000 flags=0 start_ns=10000000005
        3 command PTP_PEROUT_REQUEST2 0..10 index=2 period_ns=1000000000 flags=DUTY_CYCLE|PHASE phase_ns=500 on_ns=250
        4 command PTP_ENABLE_PPS 0..10 on=1
        5 command PTP_PIN_GETFUNC 0..10 index=1 name=SDP0 function=PEROUT channel=3
        6 command PTP_PIN_GETFUNC2 0..10 error EINVAL index=1
        7 command PTP_PIN_SETFUNC 0..10 index=1 name=SDP0
        8 command PTP_MASK_CLEAR_ALL 0..10
        9 command PTP_MASK_EN_SINGLE 0..10 index=1
    "#]]
    .assert_eq(&rendered("ptp", calls));
}

#[test]
fn clocks_are_compared_by_the_quickest_sample() {
    let given = words(&[2, 0, 0, 0]);
    let times = [time(10, 0), time(10, 900), time(10, 1000), time(10, 1600), time(10, 1100)].concat();
    let extended = [time(5, 0), time(5, 50), time(5, 90), time(6, 0), time(6, 35), time(6, 30)].concat();
    let precise = [time(7, 5), time(7, 105), time(1, 0), vec![0; 16]].concat();
    let absurd = [time(i64::MAX, 0), time(i64::MIN, 0), time(1, 0), vec![0; 16]].concat();
    let calls = [
        Ioctl::new(0x4340_3d05).was(&given).argument(&[given.clone(), times.clone()].concat()),
        Ioctl::new(0x4340_3d0e).was(&given).argument(&[given.clone(), times[..60].to_vec()].concat()),
        Ioctl::new(0xc4c0_3d09).was(&given).argument(&[given.clone(), extended].concat()),
        Ioctl::new(0xc040_3d08).argument(&precise),
        Ioctl::new(0xc040_3d11).argument(&absurd),
        Ioctl::new(0xc4c0_3d12).was(&words(&[u32::MAX])).argument(&words(&[u32::MAX])).returns(-22),
    ];
    expect![[r#"
        0 command PTP_SYS_OFFSET 0..10 samples=2 offset_ns=550 delay_ns=100
        1 command PTP_SYS_OFFSET2 0..10 samples=2 offset_ns=400 delay_ns=1000
        2 command PTP_SYS_OFFSET_EXTENDED 0..10 samples=2 offset_ns=20 delay_ns=30
        3 command PTP_SYS_OFFSET_PRECISE 0..10 offset_ns=-100
        4 command PTP_SYS_OFFSET_PRECISE2 0..10
        5 command PTP_SYS_OFFSET_EXTENDED2 0..10 error EINVAL samples=4294967295
    "#]]
    .assert_eq(&rendered("ptp", calls));
}

#[test]
fn reads_are_time_stamps() {
    check(
        "ptp",
        r#"
        0-100 read "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        100-200 read "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00" +16
        200-300 read "\x01\x00"
        "#,
        expect![[r#"
            0 event external_timestamp 100..100 "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" index=3 timestamp_ns=1000000002 clock=device
            1 event external_timestamp 200..200 "\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"/32 clock=device
            2 command read 200..300 → "\x01\x00"
        "#]],
    );
}
