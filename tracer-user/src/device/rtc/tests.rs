//! What programs do with real-time clocks.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::check;
use expect_test::expect;

/// `struct rtc_time`.
fn time(fields: [i32; 6]) -> Vec<u8> {
    fields.into_iter().chain([0, 0, 0]).flat_map(i32::to_le_bytes).collect()
}

/// `struct rtc_param`.
fn parameter(which: u64, value: u64) -> Vec<u8> {
    [which, value, 0].into_iter().flat_map(u64::to_le_bytes).collect()
}

#[test]
fn times_are_texts() {
    let now = time([52, 13, 17, 20, 10, 126]);
    let wake = [&[1, 0, 0, 0], &now[..]].concat();
    let calls = [
        Ioctl::new(0x8024_7009).argument(&now),
        Ioctl::new(0x4024_700a).argument(&time([0, 0, 0, 1, 0, 70])).returns(-13),
        Ioctl::new(0x8024_7008).argument(&time([30, 45, 6, -1, -1, -1])),
        Ioctl::new(0x8024_7009).argument(&time([99, 0, 0, 1, 1, i32::MAX])),
        Ioctl::new(0x8024_7009).argument(&now[..23]),
        Ioctl::new(0x4028_700f).argument(&wake),
        Ioctl::new(0x8028_7010).argument(&wake[..4]),
    ];
    expect![[r#"
        0 command RTC_RD_TIME 0..10 time=2026-11-20T17:13:52
        1 command RTC_SET_TIME 0..10 error EACCES time=1970-01-01T00:00:00
        2 command RTC_ALM_READ 0..10 time=06:45:30
        3 command RTC_RD_TIME 0..10
        4 command RTC_RD_TIME 0..10
        5 command RTC_WKALM_SET 0..10 time=2026-11-20T17:13:52 enabled=1 pending=0
        6 command RTC_WKALM_RD 0..10 enabled=1 pending=0
    "#]]
    .assert_eq(&rendered("rtc", calls));
}

#[test]
fn other_commands() {
    let pll: Vec<u8> = [0, 5, 100, -100, 1, 2, 32768, 0].into_iter().flat_map(i32::to_le_bytes).collect();
    let calls = [
        Ioctl::new(0x7001),
        Ioctl::new(0x700f),
        Ioctl::new(0x8008_700b).argument(&1024_u64.to_le_bytes()),
        Ioctl::new(0x8004_700b).compat().argument(&64_u32.to_le_bytes()),
        Ioctl::new(0x4008_700c).value(2),
        Ioctl::new(0x4004_700e).compat().value(1900),
        Ioctl::new(0x4018_7013).was(&parameter(0, 0)).argument(&parameter(0, 0x21)),
        Ioctl::new(0x4018_7014).argument(&parameter(2, 1)),
        Ioctl::new(0x4018_7014).argument(&parameter(1, (-5_i64).cast_unsigned())),
        Ioctl::new(0x8004_7013).argument(&[3, 0, 0, 0]),
        Ioctl::new(0x7014),
        Ioctl::new(0x4020_7012).argument(&pll),
        Ioctl::new(0x401c_7012).compat().argument(&pll[..28]),
    ];
    expect![[r#"
        0 command RTC_AIE_ON 0..10
        1 command RTC_WIE_ON 0..10
        2 command RTC_IRQP_READ 0..10 hz=1024
        3 command RTC_IRQP_READ 0..10 hz=64
        4 command RTC_IRQP_SET 0..10 hz=2
        5 command RTC_EPOCH_SET 0..10 epoch=1900
        6 command RTC_PARAM_GET 0..10 param=FEATURES value=ALARM|CORRECTION
        7 command RTC_PARAM_SET 0..10 param=BACKUP_SWITCH_MODE value=DIRECT
        8 command RTC_PARAM_SET 0..10 param=CORRECTION value=-5
        9 command RTC_VL_READ 0..10 voltage=DATA_INVALID|BACKUP_LOW
        10 command RTC_VL_CLR 0..10
        11 command RTC_PLL_SET 0..10 control=0 value=5 max=100 min=-100 factor_faster=1 factor_slower=2 clock_hz=32768
        12 command RTC_PLL_SET 0..10 control=0 value=5 max=100 min=-100 factor_faster=1 factor_slower=2 clock_hz=32768
    "#]]
    .assert_eq(&rendered("rtc", calls));
}

#[test]
fn reads_are_interrupts() {
    check(
        "rtc",
        r#"
        0-100 read "\xa0\x01\x00\x00\x00\x00\x00\x00"
        100-200 read "\x90\x03\x00\x00"
        200-300 read "\xf0\x07\x00\x00\x00\x00\x00\x00"
        300-400 read "" +8
        400-500 read "\xa0\x01"
        500-600 read "" =-5
        "#,
        expect![[r#"
            0 event alarm 100..100 "\xa0\x01\x00\x00\x00\x00\x00\x00" kinds=alarm interrupts=1
            1 event update 200..200 "\x90\x03\x00\x00" kinds=update interrupts=3
            2 event interrupt 300..300 "\xf0\x07\x00\x00\x00\x00\x00\x00" kinds=alarm|update|periodic interrupts=7
            3 event interrupt 400..400 ""/8
            4 command read 400..500 → "\xa0\x01"
            5 command read 500..600 error EIO
        "#]],
    );
}
