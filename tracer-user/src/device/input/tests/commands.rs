//! `ioctl`s.

use crate::device::input::table::TABLE;
use crate::device::tests::calls::{Ioctl, commands, rendered};
use expect_test::expect;

/// `struct input_absinfo`.
fn absinfo() -> Vec<u8> {
    [7_i32, -128, 127, 1, 2, 40].iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A `struct ff_effect` of a 64-bit program.
fn effect(kind: u8, id: i16, tail: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0] = kind;
    bytes[2..4].copy_from_slice(&id.to_le_bytes());
    bytes[4..14].copy_from_slice(&[0, 0x40, 0, 0, 0, 0, 0xf4, 1, 10, 0]);
    bytes[16..16 + tail.len()].copy_from_slice(tail);
    bytes
}

#[test]
fn evdev() {
    let keymap = [&[0, 3, 0, 0, 0x1e, 0, 0, 0, 0x56, 0x34, 0x12], [0; 29].as_slice()].concat();
    let by_index = [&[1, 0, 5, 0, 0x1e, 0, 0, 0], [0; 32].as_slice()].concat();
    let calls = [
        Ioctl::new(0x8004_4501).argument(&[1, 0, 1, 0]),
        Ioctl::new(0x8008_4502).argument(&[3, 0, 0x6d, 4, 0x77, 0xc0, 0x11, 1]),
        Ioctl::new(0x8008_4503).argument(&[250, 0, 0, 0, 33, 0, 0, 0]),
        Ioctl::new(0x4008_4503).argument(&[250, 0, 0, 0, 33, 0, 0, 0]),
        Ioctl::new(0x8008_4504).argument(&[4, 0, 7, 0, 0x1e, 0, 0, 0]),
        Ioctl::new(0x8028_4504).argument(&keymap),
        Ioctl::new(0x4028_4504).argument(&by_index),
        Ioctl::new(0x8100_4506).argument(b"Acme Keyboard\0____").returns(14),
        Ioctl::new(0x8100_4507).argument(b"usb-1/input0\0__").returns(13),
        Ioctl::new(0x8100_4508).returns(-2),
        Ioctl::new(0x8004_4509).argument(&[0b0100_0011, 0, 0, 0]).returns(4),
        Ioctl::new(0x800c_450a).argument(&[0x35, 0, 0, 0, 10, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        Ioctl::new(0x8060_4518).argument(&[0, 0, 0, 0x40]).returns(4),
        Ioctl::new(0x8002_4519).argument(&[0b11, 0xff]).returns(1),
        Ioctl::new(0x8004_4520).argument(&[0x0b, 0, 2, 0]).returns(4),
        Ioctl::new(0x8002_4522).argument(&[0b11, 0]).returns(2),
        Ioctl::new(0x8018_4541).argument(&absinfo()),
        Ioctl::new(0x4018_45c1).argument(&absinfo()),
        Ioctl::new(0x8004_4584).argument(&[16, 0, 0, 0]),
        Ioctl::new(0x4004_4590).value(1),
        Ioctl::new(0x4004_4590).value(0).returns(-16),
        Ioctl::new(0x4004_4591),
        Ioctl::new(0x8010_4592).argument(&[1, 0, 0, 0, 4, 0, 0, 0]).answered(0, Some(0), &[1, 0, 0, 0x40]),
        Ioctl::new(0x4010_4593).argument(&[0, 0, 0, 0, 1, 0, 0, 0]).given(0, Some(0), &[0b10]),
        Ioctl::new(0x4004_45a0).argument(&[1, 0, 0, 0]),
    ];
    expect![[r#"
        0 command EVIOCGVERSION 0..10 version=1.0.1
        1 command EVIOCGID 0..10 bus=usb vendor=046d product=c077 version=273
        2 command EVIOCGREP 0..10 delay_ms=250 period_ms=33
        3 command EVIOCSREP 0..10 delay_ms=250 period_ms=33
        4 command EVIOCGKEYCODE 0..10 scancode=458756 key=KEY_A
        5 command EVIOCGKEYCODE_V2 0..10 scancode=123456 key=KEY_A
        6 command EVIOCSKEYCODE_V2 0..10 index=5 key=KEY_A
        7 command EVIOCGNAME 0..10 name=Acme Keyboard
        8 command EVIOCGPHYS 0..10 phys=usb-1/input0
        9 command EVIOCGUNIQ 0..10 error ENOENT
        10 command EVIOCGPROP 0..10 properties=Texts(["POINTER", "DIRECT", "ACCELEROMETER"]) count=3
        11 command EVIOCGMTSLOTS 0..10 code=ABS_MT_POSITION_X values=Texts(["10", "-1"])
        12 command EVIOCGKEY 0..10 codes=Texts(["KEY_A"]) count=1
        13 command EVIOCGLED 0..10 codes=Texts(["LED_NUML", "LED_CAPSL"]) count=2
        14 command EVIOCGBIT 0..10 types=Texts(["EV_SYN", "EV_KEY", "EV_ABS", "EV_LED"]) count=4
        15 command EVIOCGBIT 0..10 type=EV_REL codes=Texts(["REL_X", "REL_Y"]) count=2
        16 command EVIOCGABS 0..10 code=ABS_Y value=7 minimum=-128 maximum=127 fuzz=1 flat=2 resolution=40
        17 command EVIOCSABS 0..10 code=ABS_Y value=7 minimum=-128 maximum=127 fuzz=1 flat=2 resolution=40
        18 command EVIOCGEFFECTS 0..10 count=16
        19 command EVIOCGRAB 0..10 grab=Bool(true)
        20 command EVIOCGRAB 0..10 error EBUSY grab=Bool(false)
        21 command EVIOCREVOKE 0..10
        22 command EVIOCGMASK 0..10 type=EV_KEY codes=Texts(["KEY_RESERVED", "KEY_A"]) count=2
        23 command EVIOCSMASK 0..10 type=EV_SYN types=Texts(["EV_KEY"]) count=1
        24 command EVIOCSCLOCKID 0..10 clock=monotonic
    "#]]
    .assert_eq(&rendered("input", calls));
}

#[test]
fn force_feedback() {
    let rumble = effect(0x50, -1, &[0, 0x80, 0, 0x40]);
    let mut loaded = rumble.clone();
    loaded[2..4].copy_from_slice(&[3, 0]);
    let waves = effect(0x51, 2, &[0x5a, 0, 100, 0, 0, 0xc0]);
    let compat = Ioctl::new(0x402c_4580).compat().was(&rumble[..44]).argument(&loaded[..44]);
    let request = |effect: &[u8]| [&[7, 0, 0, 0, 0, 0, 0, 0], effect, &[0; 48]].concat();
    let calls = [
        Ioctl::new(0x4030_4580).was(&rumble).argument(&loaded),
        Ioctl::new(0x4030_4580).was(&waves).argument(&waves),
        Ioctl::new(0x4030_4580).was(&rumble).argument(&rumble).returns(-28),
        compat,
        Ioctl::new(0x4004_4581).value(3),
        Ioctl::new(0xc068_55c8).was(&request(&[0; 48])).argument(&request(&loaded)),
        Ioctl::new(0x4068_55c9).argument(&request(&loaded)),
        Ioctl::new(0xc00c_55ca)
            .was(&[8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            .argument(&[8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]),
        Ioctl::new(0x400c_55cb).argument(&[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0]),
    ];
    expect![[r#"
        0 command EVIOCSFF 0..10 effect=RUMBLE direction=16384 button=0 length_ms=500 delay_ms=10 strong=32768 weak=16384 id=3
        1 command EVIOCSFF 0..10 effect=PERIODIC direction=16384 button=0 length_ms=500 delay_ms=10 waveform=SINE period_ms=100 magnitude=-16384 id=2
        2 command EVIOCSFF 0..10 error ENOSPC effect=RUMBLE direction=16384 button=0 length_ms=500 delay_ms=10 strong=32768 weak=16384
        3 command EVIOCSFF 0..10 effect=RUMBLE direction=16384 button=0 length_ms=500 delay_ms=10 strong=32768 weak=16384 id=3
        4 command EVIOCRMFF 0..10 id=3
        5 command UI_BEGIN_FF_UPLOAD 0..10 request_id=7 result=0 effect=RUMBLE direction=16384 button=0 length_ms=500 delay_ms=10 strong=32768 weak=16384 id=3
        6 command UI_END_FF_UPLOAD 0..10 request_id=7 result=0 effect=RUMBLE direction=16384 button=0 length_ms=500 delay_ms=10 strong=32768 weak=16384 id=3
        7 command UI_BEGIN_FF_ERASE 0..10 request_id=8 result=0 id=3
        8 command UI_END_FF_ERASE 0..10 request_id=8 result=-1 id=3
    "#]].assert_eq(&rendered("input", calls));
}

#[test]
fn uinput() {
    let mut setup = vec![0; 92];
    setup[..8].copy_from_slice(&[6, 0, 0x34, 0x12, 0x78, 0x56, 1, 0]);
    setup[8..12].copy_from_slice(b"Acme");
    let calls = [
        Ioctl::new(0x4004_5564).value(1),
        Ioctl::new(0x4004_5565).value(0x1e),
        Ioctl::new(0x4004_556e).value(1),
        Ioctl::new(0x4008_556c).value(0x1000).argument(b"virtual/1\0rest"),
        Ioctl::new(0x405c_5503).argument(&setup),
        Ioctl::new(0x401c_5504).argument(&[&[1, 0, 0, 0], &absinfo()[..]].concat()),
        Ioctl::new(0x5501),
        Ioctl::new(0x8040_552c).argument(b"input12\0__"),
        Ioctl::new(0x8004_552d).argument(&[5, 0, 0, 0]),
        Ioctl::new(0x5502).returns(-22),
    ];
    expect![[r#"
        0 command UI_SET_EVBIT 0..10 code=EV_KEY
        1 command UI_SET_KEYBIT 0..10 code=KEY_A
        2 command UI_SET_PROPBIT 0..10 code=0x01
        3 command UI_SET_PHYS 0..10 phys=virtual/1
        4 command UI_DEV_SETUP 0..10 name=Acme bus=virtual vendor=1234 product=5678 version=1 ff_effects_max=0
        5 command UI_ABS_SETUP 0..10 code=ABS_Y value=7 minimum=-128 maximum=127 fuzz=1 flat=2 resolution=40
        6 command UI_DEV_CREATE 0..10
        7 command UI_GET_SYSNAME 0..10 name=input12
        8 command UI_GET_VERSION 0..10 version=5
        9 command UI_DEV_DESTROY 0..10 error EINVAL
    "#]]
    .assert_eq(&rendered("input", calls));
}

#[test]
fn lists_are_bounded() {
    let all = Ioctl::new(0x8060_4521).argument(&[0xff; 96]).returns(96);
    let slots = Ioctl::new(0xbfff_450a).argument(&[0; 4096]);
    for command in commands("input", [all, slots]) {
        for (_, value) in &command.args {
            if let crate::model::command::Value::Texts(texts) = value {
                assert_eq!(texts.len(), 64);
            }
        }
    }
}

#[test]
fn cut_arguments_lose_attributes_and_nothing_else() {
    for row in TABLE {
        let out = commands("input", [Ioctl::new(row.number(false)), Ioctl::new(row.number(true)).compat()]);
        assert!(out.iter().all(|command| command.name == row.name), "{out:?}");
    }
}

/// The rows' numbers, as a C program with the kernel's headers prints them; those of a length with the length 0.
#[test]
fn numbers_are_those_of_the_headers() {
    let line = |row: &crate::device::ioc::Row| {
        let (native, compat) = (row.number(false), row.number(true));
        match native == compat {
            true => format!("{} {native:08x}\n", row.name),
            false => format!("{} {native:08x} {compat:08x}\n", row.name),
        }
    };
    expect![[r#"
        EVIOCGVERSION 80044501
        EVIOCGID 80084502
        EVIOCGREP 80084503
        EVIOCSREP 40084503
        EVIOCGKEYCODE 80084504
        EVIOCGKEYCODE_V2 80284504
        EVIOCSKEYCODE 40084504
        EVIOCSKEYCODE_V2 40284504
        EVIOCGNAME 80004506
        EVIOCGPHYS 80004507
        EVIOCGUNIQ 80004508
        EVIOCGPROP 80004509
        EVIOCGMTSLOTS 8000450a
        EVIOCGKEY 80004518
        EVIOCGLED 80004519
        EVIOCGSND 8000451a
        EVIOCGSW 8000451b
        EVIOCGBIT 80004520
        EVIOCGABS 80184540
        EVIOCSABS 401845c0
        EVIOCSFF 40304580 402c4580
        EVIOCRMFF 40044581
        EVIOCGEFFECTS 80044584
        EVIOCGRAB 40044590
        EVIOCREVOKE 40044591
        EVIOCGMASK 80104592
        EVIOCSMASK 40104593
        EVIOCSCLOCKID 400445a0
        UI_DEV_CREATE 00005501
        UI_DEV_DESTROY 00005502
        UI_DEV_SETUP 405c5503
        UI_ABS_SETUP 401c5504
        UI_SET_EVBIT 40045564
        UI_SET_KEYBIT 40045565
        UI_SET_RELBIT 40045566
        UI_SET_ABSBIT 40045567
        UI_SET_MSCBIT 40045568
        UI_SET_LEDBIT 40045569
        UI_SET_SNDBIT 4004556a
        UI_SET_FFBIT 4004556b
        UI_SET_PHYS 4008556c 4004556c
        UI_SET_SWBIT 4004556d
        UI_SET_PROPBIT 4004556e
        UI_BEGIN_FF_UPLOAD c06855c8 c06055c8
        UI_END_FF_UPLOAD 406855c9 406055c9
        UI_BEGIN_FF_ERASE c00c55ca
        UI_END_FF_ERASE 400c55cb
        UI_GET_SYSNAME 8000552c
        UI_GET_VERSION 8004552d
        JSIOCGVERSION 80046a01
        JSIOCGAXES 80016a11
        JSIOCGBUTTONS 80016a12
        JSIOCGNAME 80006a13
        JSIOCSCORR 40246a21
        JSIOCGCORR 80246a22
        JSIOCSAXMAP 40406a31
        JSIOCGAXMAP 80406a32
        JSIOCSBTNMAP 44006a33
        JSIOCGBTNMAP 84006a34
    "#]]
    .assert_eq(&TABLE.iter().map(line).collect::<String>());
}
