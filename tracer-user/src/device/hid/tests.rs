//! What programs do with raw HID devices, and what those do that are one.

use crate::device::tests::calls::{Ioctl, commands, rendered};
use crate::device::tests::{PROCESS, check, data, device, render};
use crate::device::{Devices, Settings};
use crate::model::capture::{Capture, DeviceNumber};
use crate::model::command::{Device, Status};
use expect_test::expect;
use std::sync::Arc;
use tracer_common::call::Call;

/// A mouse whose reports have the number 2: usage page, usage, collection, report id, end.
const NUMBERED: &[u8] = b"\x05\x01\x09\x02\xa1\x01\x85\x02\xc0";
/// A keyboard that does not number its reports. The long item has bytes that look like a report id.
const PLAIN: &[u8] = b"\x05\x01\x09\x06\xfe\x02\x77\x85\x85\xa1\x01\xc0";

fn descriptor(bytes: &[u8]) -> Ioctl {
    let size = (bytes.len() as u32).to_le_bytes();
    let room = vec![0; 4096 - bytes.len()];
    Ioctl::new(0x9004_4802).was(&size).argument(&[&size, bytes, &room].concat())
}

fn read(bytes: &[u8]) -> Capture {
    data(Call::Read, (5, 9), bytes.len() as i64, bytes, bytes.len() as u64)
}

#[test]
fn reports_that_are_read_are_events() {
    check(
        "hid",
        r#"
        0-5 read "\x00\x01\xff"
        5-6 read "" =-11
        6-7 read "" =-4
        7-8 read "\x02" +63
        9-12 write "\x05abc"
        12-13 write "\x05" =-32
        13-14 read "" =-5
        14 aborted-read
        15 aborted-write
        "#,
        expect![[r#"
            0 event input_report 5..5 "\x00\x01\xff"
            1 event input_report 8..8 "\x02"/64
            2 command write 9..12 "\x05abc" report_id=5
            3 command write 12..13 "\x05" error EPIPE report_id=5
            4 command read 13..14 error EIO
            5 command write 15..15 error killed
        "#]],
    );
}

#[test]
fn a_report_has_a_number_if_the_descriptor_says_so() {
    let report = read(b"\x02\x01");
    let text = rendered("hid", [descriptor(NUMBERED).into(), report.clone()]);
    assert_eq!(text.lines().nth(1), Some(r#"1 event input_report 9..9 "\x02\x01" report_id=2"#));
    let mut cut = Ioctl::new(0x9004_4802).argument(&[&[12, 0, 0, 0], &PLAIN[..8]].concat());
    for first in [descriptor(PLAIN), cut.clone(), Ioctl::new(0x9004_4802)] {
        let text = rendered("hid", [first.into(), report.clone()]);
        assert_eq!(text.lines().nth(1), Some(r#"1 event input_report 9..9 "\x02\x01""#));
    }
    // What is known stays known.
    cut = cut.returns(-5);
    let text = rendered("hid", [descriptor(NUMBERED).into(), Capture::from(cut), report]);
    assert!(text.ends_with("report_id=2\n"), "{text}");
}

#[test]
fn commands_have_names_and_arguments() {
    let calls = [
        Ioctl::new(0x8004_4801).argument(&[52, 0, 0, 0]),
        descriptor(NUMBERED),
        Ioctl::new(0x8008_4803).argument(b"\x03\0\0\0\x6d\x04\x77\xc0"),
        Ioctl::new(0x8100_4804).argument(b"Acme Mouse\0____").returns(11),
        Ioctl::new(0x8040_4805).argument(b"usb-0000:00:14.0-1/input0\0____").returns(26),
        Ioctl::new(0x8040_4808).argument(b"____").returns(0),
        Ioctl::new(0xc003_4806).was(b"\x07ab").argument(b"\x07ab").returns(3),
        Ioctl::new(0xc008_4807).was(b"\x07_______").argument(b"\x07wxyz___").returns(5),
        Ioctl::new(0xc008_4807).was(b"\x07_______").argument(b"\x07_______").returns(-32),
        Ioctl::new(0xc002_4809).was(b"\x01i").argument(b"\x01i").returns(2),
        Ioctl::new(0xc004_480a).was(b"\x01___").argument(b"\x01ijk").returns(4),
        Ioctl::new(0xc002_480b).was(b"\x02o").argument(b"\x02o").returns(2),
        Ioctl::new(0xc004_480c).was(b"\x02___").argument(b"\x02opq").returns(4),
        Ioctl::new(0x4004_480d),
    ];
    expect![[r#"
        0 command HIDIOCGRDESCSIZE 0..10 size=52
        1 command HIDIOCGRDESC 0..10 → "\x05\x01\t\x02\xa1\x01\x85\x02\xc0" size=9
        2 command HIDIOCGRAWINFO 0..10 bus=usb vendor=046d product=c077
        3 command HIDIOCGRAWNAME 0..10 name=Acme Mouse
        4 command HIDIOCGRAWPHYS 0..10 phys=usb-0000:00:14.0-1/input0
        5 command HIDIOCGRAWUNIQ 0..10
        6 command HIDIOCSFEATURE 0..10 "\x07ab" report_id=7
        7 command HIDIOCGFEATURE 0..10 → "\x07wxyz" report_id=7
        8 command HIDIOCGFEATURE 0..10 error EPIPE report_id=7
        9 command HIDIOCSINPUT 0..10 "\x01i" report_id=1
        10 command HIDIOCGINPUT 0..10 → "\x01ijk" report_id=1
        11 command HIDIOCSOUTPUT 0..10 "\x02o" report_id=2
        12 command HIDIOCGOUTPUT 0..10 → "\x02opq" report_id=2
        13 command HIDIOCREVOKE 0..10
    "#]]
    .assert_eq(&rendered("hid", calls));
}

#[test]
fn what_was_not_captured_of_a_report_is_visible() {
    let cut = Ioctl::new(0xc040_4807).was(b"\x07").argument(b"\x07w").returns(33);
    let out = commands("hid", [cut, Ioctl::new(0xc040_4806)]);
    assert_eq!(render(&out[..1]), "0 command HIDIOCGFEATURE 0..10 → \"\\x07w\"/33 report_id=7\n");
    assert_eq!((out[1].request.size, out[1].args.len(), &out[1].status), (64, 0, &Status::Ok));
}

/// The rows' numbers, as a C program with the kernel's header prints them; those of a length with the length 0.
#[test]
fn numbers_are_those_of_the_header() {
    let rows = super::TABLE.iter().map(|row| (row.name, row.number(false), row.number(true)));
    let text: String =
        rows.map(|(name, native, compat)| format!("{name} {native:08x} {compat:08x}\n")).collect();
    expect![[r#"
        HIDIOCGRDESCSIZE 80044801 80044801
        HIDIOCGRDESC 90044802 90044802
        HIDIOCGRAWINFO 80084803 80084803
        HIDIOCGRAWNAME 80004804 80004804
        HIDIOCGRAWPHYS 80004805 80004805
        HIDIOCSFEATURE c0004806 c0004806
        HIDIOCGFEATURE c0004807 c0004807
        HIDIOCGRAWUNIQ 80004808 80004808
        HIDIOCSINPUT c0004809 c0004809
        HIDIOCGINPUT c000480a c000480a
        HIDIOCSOUTPUT c000480b c000480b
        HIDIOCGOUTPUT c000480c c000480c
        HIDIOCREVOKE 4004480d 4004480d
    "#]]
    .assert_eq(&text);
}

/// What comes out of these calls on `/dev/uhid`.
fn uhid(calls: impl IntoIterator<Item = Capture>) -> String {
    on(10, calls)
}

/// What comes out of these calls on a node of this major.
fn on(major: u32, calls: impl IntoIterator<Item = Capture>) -> String {
    let mut devices = Devices::new(Settings::default());
    let number = DeviceNumber { major, minor: 239, ..device("hid").number };
    let uhid = Arc::new(Device { number, ..(*device("hid")).clone() });
    let mut out = Vec::new();
    for call in calls {
        devices.feed(&call, PROCESS, &uhid, &mut out);
    }
    render(&out)
}

/// A `struct uhid_event`.
fn event(kind: u32, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 4380];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    for (offset, part) in parts {
        bytes[4 + offset..4 + offset + part.len()].copy_from_slice(part);
    }
    bytes
}

#[test]
fn a_program_that_is_a_device() {
    let create = event(
        11,
        &[
            (0, b"Acme"),
            (192, b"SN-1"),
            (256, &[9, 0, 3, 0, 0x6d, 4, 0, 0, 0x77, 0xc0, 0, 0, 1]),
            (276, NUMBERED),
        ],
    );
    let write = |bytes: &[u8]| data(Call::Write, (1, 2), bytes.len() as i64, bytes, bytes.len() as u64);
    let calls = [
        write(&create),
        read(&event(2, &[(0, &[4])])),
        read(&event(4, &[])),
        write(&event(12, &[(0, &[3, 0]), (2, b"\x02ab")])[..9]),
        read(&event(6, &[(0, b"\x05led"), (4096, &[4, 0, 1])])),
        read(&event(9, &[(0, &[7, 0, 0, 0, 2, 0])])),
        write(&event(10, &[(0, &[7, 0, 0, 0, 5, 0, 0, 0])])),
        read(&event(13, &[(0, &[8, 0, 0, 0, 3, 1, 2, 0]), (8, b"\x03x")])),
        write(&event(14, &[(0, &[8, 0, 0, 0, 0, 0])])),
        read(&event(5, &[])),
        write(&event(1, &[])[..4]),
        write(b"abc"),
        write(&event(99, &[])),
    ];
    expect![[r#"
        0 command UHID_CREATE2 1..2 "\x05\x01\t\x02\xa1\x01\x85\x02\xc0" name=Acme uniq=SN-1 bus=usb vendor=046d product=c077 version=1
        1 event UHID_START 9..9 numbered=Bool(true)
        2 event UHID_OPEN 9..9
        3 command UHID_INPUT2 1..2 "\x02ab"
        4 event UHID_OUTPUT 9..9 "\x05led" report_type=output
        5 event UHID_GET_REPORT 9..9 request_id=7 report_id=2 report_type=feature
        6 command UHID_GET_REPORT_REPLY 1..2 request_id=7 refused=EIO
        7 event UHID_SET_REPORT 9..9 "\x03x" request_id=8 report_id=3 report_type=output
        8 command UHID_SET_REPORT_REPLY 1..2 request_id=8
        9 event UHID_CLOSE 9..9
        10 command UHID_DESTROY 1..2
        11 command write 1..2 "abc"
        12 command uhid_event 1..2 type=99
    "#]]
    .assert_eq(&uhid(calls));
}

#[test]
fn a_cut_event_keeps_the_size_of_its_report() {
    let bytes = event(6, &[(0, b"\x05led"), (4096, &[4, 0, 1])]);
    let read = data(Call::Read, (1, 2), 4380, &bytes[..10], 4380);
    let created = data(Call::Write, (1, 2), 4380, &event(12, &[(0, &[64, 0, 9])])[..7], 4380);
    expect![[r#"
        0 event UHID_OUTPUT 2..2 "\x05led\x00\x00"/4096
        1 command UHID_INPUT2 1..2 "\t"/64
    "#]]
    .assert_eq(&uhid([read, created]));
}

#[test]
fn the_older_interface_speaks_of_usages() {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut info = [0; 28];
    (info[0], info[16], info[18], info[24]) = (3, 0x6d, 0x34, 1);
    let mut text = [0; 260];
    text[0] = 2;
    text[4..7].copy_from_slice(b"UPS");
    let usage = words(&[1, 2, 0, 1, 0x0085_0044, u32::MAX]);
    let calls = [
        Ioctl::new(0x8004_4801).argument(&words(&[0x01_0004])).into(),
        Ioctl::new(0x801c_4803).argument(&info).into(),
        Ioctl::new(0x8104_4804).argument(&text).into(),
        Ioctl::new(0x8040_4806).argument(b"Back-UPS\0").returns(9).into(),
        Ioctl::new(0xc018_480b).argument(&usage).into(),
        Ioctl::new(0x400c_4808).argument(&words(&[3, 7, 0])).returns(-22).into(),
        read(&words(&[0x0085_0044, 1, 0x0085_0045, 0])),
        Ioctl::new(0x4004_480f).argument(&words(&[1])).into(),
        read(&usage),
        read(b"odd"),
        Ioctl::new(0xd01c_4813).argument(&words(&[1, 2, 0, 1, 0x0085_0044, 0, 300])).into(),
    ];
    expect![[r#"
        0 command HIDIOCGVERSION 0..10 version=0x10004
        1 command HIDIOCGDEVINFO 0..10 bus=usb vendor=006d product=0034 applications=1
        2 command HIDIOCGSTRING 0..10 index=2 text=UPS
        3 command HIDIOCGNAME 0..10 name=Back-UPS
        4 command HIDIOCGUSAGE 0..10 report_type=1 report_id=0x2 field=0 index=1 usage=0x850044 value=-1
        5 command HIDIOCSREPORT 0..10 error EINVAL report_type=3 report_id=0x7 fields=0
        6 event usage 9..9 "D\x00\x85\x00\x01\x00\x00\x00" usage=0x850044 value=1
        7 event usage 9..9 "E\x00\x85\x00\x00\x00\x00\x00" usage=0x850045 value=0
        8 command HIDIOCSFLAG 0..10 flags=1
        9 event usage 9..9 "\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00D\x00\x85\x00\xff\xff\xff\xff" report_type=1 report_id=0x2 field=0 index=1 usage=0x850044 value=-1
        10 command read 5..9 → "odd"
        11 command HIDIOCGUSAGES 0..10 report_type=1 report_id=0x2 field=0 index=1 usage=0x850044 count=300
    "#]]
    .assert_eq(&on(180, calls));
}

#[test]
fn the_older_interfaces_numbers_are_those_of_the_header() {
    // `linux/hiddev.h`, printed by a C program.
    for (name, number) in [
        ("HIDIOCGVERSION", 0x8004_4801),
        ("HIDIOCAPPLICATION", 0x4802),
        ("HIDIOCGDEVINFO", 0x801c_4803),
        ("HIDIOCGSTRING", 0x8104_4804),
        ("HIDIOCINITREPORT", 0x4805),
        ("HIDIOCGNAME", 0x8000_4806),
        ("HIDIOCGREPORT", 0x400c_4807),
        ("HIDIOCSREPORT", 0x400c_4808),
        ("HIDIOCGREPORTINFO", 0xc00c_4809),
        ("HIDIOCGFIELDINFO", 0xc038_480a),
        ("HIDIOCGUSAGE", 0xc018_480b),
        ("HIDIOCSUSAGE", 0x4018_480c),
        ("HIDIOCGUCODE", 0xc018_480d),
        ("HIDIOCGFLAG", 0x8004_480e),
        ("HIDIOCSFLAG", 0x4004_480f),
        ("HIDIOCGCOLLECTIONINDEX", 0x4018_4810),
        ("HIDIOCGCOLLECTIONINFO", 0xc010_4811),
        ("HIDIOCGPHYS", 0x8000_4812),
        ("HIDIOCGUSAGES", 0xd01c_4813),
        ("HIDIOCSUSAGES", 0x501c_4814),
    ] {
        assert_eq!(super::hiddev::row(number, false).map(|row| row.name), Some(name));
    }
    assert_eq!(super::hiddev::TABLE.len(), 20);
}
