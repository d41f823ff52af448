//! What programs do with USB devices, with `libusb` in mind: one thread submits, another reaps.

mod ends;

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::{PROCESS, device, render};
use crate::device::{Devices, Settings};
use crate::model::capture::{Body, Capture};
use crate::model::command::{Command, Device};
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};
use expect_test::expect;
use std::sync::Arc;
use tracer_common::call::Call;

const SUBMIT: u32 = 0x8038_550a;
const SUBMIT32: u32 = 0x802c_550a;
const DISCARD: u32 = 0x0000_550b;
const REAP: u32 = 0x4008_550c;
const REAP32: u32 = 0x4004_550c;
const REAP_NDELAY: u32 = 0x4008_550d;

const ISO: u8 = 0;
const INTERRUPT: u8 = 1;
const CONTROL: u8 = 2;
const BULK: u8 = 3;

/// A `struct usbdevfs_urb` of a 64-bit program.
#[derive(Clone, Copy)]
struct Urb {
    kind: u8,
    endpoint: u8,
    length: u32,
    status: i32,
    actual: u32,
    packets: u32,
}

fn urb(kind: u8, endpoint: u8, length: u32) -> Urb {
    Urb { kind, endpoint, length, status: 0, actual: 0, packets: 0 }
}

impl Urb {
    fn done(self, status: i32, actual: u32) -> Self {
        Self { status, actual, ..self }
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; 56];
        (bytes[0], bytes[1]) = (self.kind, self.endpoint);
        bytes[4..8].copy_from_slice(&self.status.to_le_bytes());
        bytes[16] = 0x99;
        bytes[24..28].copy_from_slice(&self.length.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.actual.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.packets.to_le_bytes());
        bytes
    }

    /// The same in a 32-bit program.
    fn bytes32(self) -> Vec<u8> {
        let bytes = self.bytes();
        let mut short = bytes[..12].to_vec();
        short.extend([0x99, 0, 0, 0]);
        short.extend(&bytes[24..48]);
        short.extend([0; 4]);
        short
    }

    fn submit(self, address: u64) -> Ioctl {
        Ioctl::new(SUBMIT).value(address).argument(&self.bytes())
    }

    fn reap(self, address: u64) -> Ioctl {
        Ioctl::new(REAP).argument(&address.to_le_bytes()).answered(0, None, &self.bytes())
    }
}

/// A call from `start` to `end` µs by thread `tid`.
fn at(call: Ioctl, (start, end): (u64, u64), tid: u32) -> Capture {
    let time = |micros: u64| Timestamp(micros * 1000);
    Capture { at: Interval { start: time(start), end: time(end) }, tid, ..call.into() }
}

/// One device, and calls to it in order.
struct Rig {
    devices: Devices,
    device: Arc<Device>,
    out: Vec<Command>,
}

impl Rig {
    fn new() -> Self {
        Self { devices: Devices::new(Settings::default()), device: device("usb"), out: Vec::new() }
    }

    fn feed(&mut self, call: impl Into<Capture>) -> &mut Self {
        self.feed_as(PROCESS, call)
    }

    fn feed_as(&mut self, process: ProcessKey, call: impl Into<Capture>) -> &mut Self {
        self.devices.feed(&call.into(), process, &self.device, &mut self.out);
        self
    }

    /// Something that is no `ioctl`, on descriptor `fd` at `micros`.
    fn other(&mut self, call: Call, fd: i32, micros: u64, result: i64, body: Body) -> &mut Self {
        let mut capture = at(Ioctl::new(0), (micros, micros), 100);
        (capture.call, capture.fd, capture.result, capture.body) = (call, fd, result, body);
        self.feed(capture)
    }

    fn close(&mut self, fd: u32, micros: u64) -> &mut Self {
        self.other(Call::Close, fd as i32, micros, 0, Body::Close { first: fd, last: fd })
    }

    fn tick(&mut self, micros: u64) -> &mut Self {
        self.devices.tick(Timestamp(micros * 1000), &mut self.out);
        self
    }

    /// What came out since the last time.
    fn text(&mut self) -> String {
        render(&std::mem::take(&mut self.out))
    }
}

/// `GET_DESCRIPTOR` of the device.
const GET_DESCRIPTOR: &[u8] = b"\x80\x06\x00\x01\x00\x00\x12\x00";

#[test]
fn a_transfer_lasts_from_its_submit_to_its_reap() {
    let (out, inward) = (urb(BULK, 0x02, 5), urb(BULK, 0x81, 64));
    let text = Rig::new()
        .feed(at(out.submit(0x1000).given(0, Some(0), b"hello"), (0, 3), 100))
        .feed(at(inward.submit(0x2000), (4, 6), 100))
        .feed(at(Ioctl::new(REAP_NDELAY).returns(-11), (7, 8), 101))
        .feed(at(out.done(0, 5).reap(0x1000), (5, 20), 101))
        .feed(at(inward.done(0, 3).reap(0x2000).answered(0, Some(0), b"abc"), (21, 30), 101))
        .text();
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..20 thread 100→101 "hello" type=bulk endpoint=2 direction=out length=5 actual=5
        1 command USBDEVFS_SUBMITURB 4..30 thread 100→101 → "abc" type=bulk endpoint=129 direction=in length=64 actual=3
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_control_transfer_shows_its_setup_packet() {
    let (read, set) = (urb(CONTROL, 0, 26), urb(CONTROL, 0, 11));
    let request = [GET_DESCRIPTOR, &[0xee; 18]].concat();
    let answer = [GET_DESCRIPTOR, b"\x12\x01\x00\x02++++++++++++++"].concat();
    let text = Rig::new()
        .feed(read.submit(1).given(0, Some(0), &request))
        .feed(read.done(0, 4).reap(1).answered(0, Some(3), &answer))
        .feed(set.submit(1).given(0, Some(0), b"\x21\x20\x03\x00\x01\x00\x03\x00xyz"))
        .feed(set.done(-32, 0).reap(1).answered(0, Some(3), b"\x21\x20\x03\x00\x01\x00\x03\x00xyz"))
        .text();
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..10 → "\x12\x01\x00\x02" type=control endpoint=0 request=GET_DESCRIPTOR request_type=128 direction=in kind=standard recipient=device value=256 index=0 length=18 descriptor=DEVICE actual=4
        1 command USBDEVFS_SUBMITURB 0..10 "xyz" error EPIPE type=control endpoint=0 request=0x20 request_type=33 direction=out kind=class recipient=interface value=3 index=1 length=3 actual=0
    "#]]
    .assert_eq(&text);
}

#[test]
fn isochronous_and_interrupt_transfers() {
    let mut iso = urb(ISO, 0x83, 384);
    iso.packets = 2;
    let key = urb(INTERRUPT, 0x81, 8);
    let text = Rig::new()
        .feed(iso.submit(7))
        .feed(key.submit(8))
        .feed(iso.done(0, 300).reap(7))
        .feed(key.done(0, 8).reap(8).answered(0, Some(0), b"\0\0\x04\0\0\0\0\0"))
        .text();
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..10 → ""/300 type=iso endpoint=131 direction=in length=384 packets=2 actual=300 packet_errors=0
        1 command USBDEVFS_SUBMITURB 0..10 → "\x00\x00\x04\x00\x00\x00\x00\x00" type=interrupt endpoint=129 direction=in length=8 actual=8
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_32_bit_program_lays_its_transfers_out_otherwise() {
    let out = urb(BULK, 0x02, 5);
    let submit = Ioctl::new(SUBMIT32).compat().value(0xffff_0010).argument(&out.bytes32());
    let reap = Ioctl::new(REAP32).compat().argument(&0xffff_0010_u32.to_le_bytes());
    let text = rendered(
        "usb",
        [
            submit.given(0, Some(0), b"hello"),
            reap.answered(0, None, &out.done(-71, 2).bytes32()),
            Ioctl::new(0xc010_5500)
                .compat()
                .argument(b"\xc0\x01\x02\x00\x03\x00\x04\x00\xe8\x03\x00\x00\x99\0\0\0")
                .answered(0, Some(1), b"abcd")
                .returns(2),
        ],
    );
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..10 "hello" error EPROTO type=bulk endpoint=2 direction=out length=5 actual=2
        1 command USBDEVFS_CONTROL 0..10 → "ab" request=0x01 request_type=192 direction=in kind=vendor recipient=device value=2 index=3 length=4 actual=2 timeout_ms=1000
    "#]]
    .assert_eq(&text);
}

#[test]
fn whole_transfers_in_one_call() {
    let control = |setup: &[u8]| {
        let rest: [u8; 16] = [0xe8, 3, 0, 0, 0, 0, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0];
        Ioctl::new(0xc018_5500).argument(&[setup, &rest].concat())
    };
    let bulk = |endpoint: u8, length: u8| {
        let mut bytes = [0; 24];
        (bytes[0], bytes[4], bytes[8], bytes[16]) = (endpoint, length, 50, 0x99);
        Ioctl::new(0xc018_5502).argument(&bytes)
    };
    let calls = [
        control(GET_DESCRIPTOR).answered(0, Some(1), b"\x12\x01________________").returns(18),
        control(b"\x80\x06\x02\x03\x09\x04\xff\x00").returns(-32),
        control(b"\x00\x09\x01\x00\x00\x00\x00\x00"),
        bulk(0x02, 3).given(0, Some(0), b"abc").returns(3),
        bulk(0x81, 64).answered(0, Some(1), b"xy______").returns(2),
        bulk(0x81, 64).returns(-110),
    ];
    expect![[r#"
        0 command USBDEVFS_CONTROL 0..10 → "\x12\x01________________" request=GET_DESCRIPTOR request_type=128 direction=in kind=standard recipient=device value=256 index=0 length=18 descriptor=DEVICE actual=18 timeout_ms=1000
        1 command USBDEVFS_CONTROL 0..10 error EPIPE request=GET_DESCRIPTOR request_type=128 direction=in kind=standard recipient=device value=770 index=1033 length=255 descriptor=STRING 2 timeout_ms=1000
        2 command USBDEVFS_CONTROL 0..10 request=SET_CONFIGURATION request_type=0 direction=out kind=standard recipient=device value=1 index=0 length=0 actual=0 timeout_ms=1000
        3 command USBDEVFS_BULK 0..10 "abc" endpoint=2 direction=out length=3 actual=3 timeout_ms=50
        4 command USBDEVFS_BULK 0..10 → "xy" endpoint=129 direction=in length=64 actual=2 timeout_ms=50
        5 command USBDEVFS_BULK 0..10 error ETIMEDOUT endpoint=129 direction=in length=64 timeout_ms=50
    "#]]
    .assert_eq(&rendered("usb", calls));
}

#[test]
fn everything_else_is_one_command_a_call() {
    let driver = [&[1, 0, 0, 0], b"cdc_acm\0rest".as_slice()].concat();
    let claim = [&[2, 0, 0, 0, 2, 0, 0, 0], b"usbfs\0".as_slice()].concat();
    let path = b"\x18\0\0\0\x02\0\0\0\x09\0\0\0\x03\0\0\0\x02\x01\x04\0\0\0\0\0";
    let calls = [
        Ioctl::new(0x8004_550f).argument(&[1, 0, 0, 0]),
        Ioctl::new(0x8004_5510).argument(&[1, 0, 0, 0]).returns(-22),
        Ioctl::new(0x8008_5504).argument(&[1, 0, 0, 0, 2, 0, 0, 0]),
        Ioctl::new(0x8004_5505).argument(&[0xff; 4]),
        Ioctl::new(0x4104_5508).was(&driver[..4]).argument(&driver),
        Ioctl::new(0x4104_5508).was(&driver[..4]).argument(&driver).returns(-61),
        Ioctl::new(0x4008_5511).argument(&[9, 0, 0, 0, 1, 0, 0, 0]),
        Ioctl::new(0xc010_5512).argument(&[1, 0, 0, 0, 0x16, 0x55, 0, 0]),
        Ioctl::new(0x0000_5514),
        Ioctl::new(0x8004_5515).argument(&[0x81, 0, 0, 0]),
        Ioctl::new(0x8004_551a).argument(&[0x91, 1, 0, 0]),
        Ioctl::new(0x8108_551b).argument(&claim),
        Ioctl::new(0x8008_551c).argument(&[16, 0, 0, 0, 2, 0, 0, 0]).returns(16),
        Ioctl::new(0x0000_551f).returns(5),
        Ioctl::new(0x8018_5520).argument(path),
        Ioctl::new(0x8040_5520).argument(path),
        Ioctl::new(DISCARD).value(0x1234).returns(-22),
    ];
    expect![[r#"
        0 command USBDEVFS_CLAIMINTERFACE 0..10 interface=1
        1 command USBDEVFS_RELEASEINTERFACE 0..10 error EINVAL interface=1
        2 command USBDEVFS_SETINTERFACE 0..10 interface=1 setting=2
        3 command USBDEVFS_SETCONFIGURATION 0..10 configuration=-1
        4 command USBDEVFS_GETDRIVER 0..10 interface=1 driver=cdc_acm
        5 command USBDEVFS_GETDRIVER 0..10 error ENODATA interface=1
        6 command USBDEVFS_CONNECTINFO 0..10 device_number=9 slow=Bool(true)
        7 command USBDEVFS_IOCTL 0..10 interface=1 ioctl=USBDEVFS_DISCONNECT
        8 command USBDEVFS_RESET 0..10
        9 command USBDEVFS_CLEAR_HALT 0..10 endpoint=129
        10 command USBDEVFS_GET_CAPABILITIES 0..10 capabilities=Texts(["ZERO_PACKET", "REAP_AFTER_DISCONNECT", "CONNINFO_EX", "SUSPEND"])
        11 command USBDEVFS_DISCONNECT_CLAIM 0..10 interface=2 flags=Texts(["EXCEPT_DRIVER"]) driver=usbfs
        12 command USBDEVFS_ALLOC_STREAMS 0..10 streams=16 endpoints=2 allocated=16
        13 command USBDEVFS_GET_SPEED 0..10 speed=super
        14 command USBDEVFS_CONNINFO_EX 0..10 bus=2 device_number=9 speed=high ports=1.4
        15 command USBDEVFS_CONNINFO_EX 0..10 bus=2 device_number=9 speed=high ports=1.4
        16 command USBDEVFS_DISCARDURB 0..10 error EINVAL
    "#]]
    .assert_eq(&rendered("usb", calls));
}

#[test]
fn a_read_shows_the_descriptors() {
    let descriptor = b"\x12\x01\x00\x02\x00\x00\x00\x40\x6b\x1d\x02\x00\x00\x00\x00\x00\x00\x01";
    let read = crate::device::tests::data(Call::Read, (0, 1), 18, descriptor, 18);
    let mut rig = Rig::new();
    rig.feed(read);
    assert!(rig.text().ends_with("vendor=1d6b product=0002\n"));
}

/// The rows' numbers, as a C program with the kernel's header prints them for 64 and 32 bits.
#[test]
fn numbers_are_those_of_the_header() {
    let rows = super::TABLE.iter().map(|row| (row.name, row.number(false), row.number(true)));
    let text: String =
        rows.map(|(name, native, compat)| format!("{name} {native:08x} {compat:08x}\n")).collect();
    expect![[r#"
        USBDEVFS_CONTROL c0185500 c0105500
        USBDEVFS_BULK c0185502 c0105502
        USBDEVFS_RESETEP 80045503 80045503
        USBDEVFS_SETINTERFACE 80085504 80085504
        USBDEVFS_SETCONFIGURATION 80045505 80045505
        USBDEVFS_GETDRIVER 41045508 41045508
        USBDEVFS_SUBMITURB 8038550a 802c550a
        USBDEVFS_DISCARDURB 0000550b 0000550b
        USBDEVFS_REAPURB 4008550c 4004550c
        USBDEVFS_REAPURBNDELAY 4008550d 4004550d
        USBDEVFS_DISCSIGNAL 8010550e 8008550e
        USBDEVFS_CLAIMINTERFACE 8004550f 8004550f
        USBDEVFS_RELEASEINTERFACE 80045510 80045510
        USBDEVFS_CONNECTINFO 40085511 40085511
        USBDEVFS_IOCTL c0105512 c00c5512
        USBDEVFS_HUB_PORTINFO 80805513 80805513
        USBDEVFS_RESET 00005514 00005514
        USBDEVFS_CLEAR_HALT 80045515 80045515
        USBDEVFS_DISCONNECT 00005516 00005516
        USBDEVFS_CONNECT 00005517 00005517
        USBDEVFS_CLAIM_PORT 80045518 80045518
        USBDEVFS_RELEASE_PORT 80045519 80045519
        USBDEVFS_GET_CAPABILITIES 8004551a 8004551a
        USBDEVFS_DISCONNECT_CLAIM 8108551b 8108551b
        USBDEVFS_ALLOC_STREAMS 8008551c 8008551c
        USBDEVFS_FREE_STREAMS 8008551d 8008551d
        USBDEVFS_DROP_PRIVILEGES 4004551e 4004551e
        USBDEVFS_GET_SPEED 0000551f 0000551f
        USBDEVFS_CONNINFO_EX 80185520 80185520
        USBDEVFS_FORBID_SUSPEND 00005521 00005521
        USBDEVFS_ALLOW_SUSPEND 00005522 00005522
        USBDEVFS_WAIT_FOR_RESUME 00005523 00005523
    "#]]
    .assert_eq(&text);
}

/// Where the pointers are and how long what they point to is, by `offsetof` in a C program of 64 and of 32 bits.
#[test]
fn layouts_are_those_of_the_header() {
    use tracer_common::recipe::{BEHIND, Field, Recipe};
    let buffer = |recipe: &Recipe, index: usize| {
        let buffer = &recipe.buffers[index];
        (buffer.pointer_at, buffer.pointer_bytes, buffer.length)
    };
    let reap = |recipe: &Recipe| (recipe.writes, recipe.elements.pointer_bytes, recipe.elements.bytes);
    let (submit, reaped) = (&super::urb::SUBMIT, &super::urb::REAP);
    assert_eq!((reap(&reaped.native), reap(&reaped.compat)), ((8, 8, 56), (4, 4, 44)));
    assert_eq!(buffer(&submit.native, 0), (16, 8, Field::u32(24)));
    assert_eq!(buffer(&submit.compat, 0), (12, 4, Field::u32(16)));
    for (index, native, compat) in [(0, 28, 20), (3, 24, 16)] {
        assert_eq!(buffer(&reaped.native, index), (16, 8, Field::u32(native)));
        assert_eq!(buffer(&reaped.compat, index), (12, 4, Field::u32(compat)));
    }
    // The packets' descriptors are behind the structure, `number_of_packets` in number.
    for recipe in [submit, reaped].map(|nested| &nested.native) {
        assert_eq!(buffer(recipe, 1), (56, BEHIND, Field::u32(36)));
        assert_eq!(recipe.buffers[1].unit, Field::known(12));
    }
    for recipe in [submit, reaped].map(|nested| &nested.compat) {
        assert_eq!(buffer(recipe, 1), (44, BEHIND, Field::u32(28)));
        assert_eq!(recipe.buffers[1].unit, Field::known(12));
    }
    for (nested, length) in [(&super::CONTROL, Field::u16(6)), (&super::BULK, Field::u32(4))] {
        assert_eq!((nested.native.reads, nested.compat.reads), (24, 16));
        assert_eq!(buffer(&nested.native, 0), (16, 8, length));
        assert_eq!(buffer(&nested.compat, 1), (12, 4, length));
    }
}

/// A `struct usbdevfs_iso_packet_desc` each.
fn packets(each: &[(u32, u32, i32)]) -> Vec<u8> {
    let fields = each.iter().flat_map(|(length, actual, status)| [*length, *actual, *status as u32]);
    fields.flat_map(u32::to_le_bytes).collect()
}

#[test]
fn isochronous_packets_have_lengths_and_results() {
    // As `libusb` does it: the length of the buffer is not said.
    let (mut inward, mut out) = (urb(ISO, 0x83, 0), urb(ISO, 0x02, 0));
    (inward.packets, out.packets) = (3, 2);
    let asked = packets(&[(4, 0, 0), (4, 0, 0), (4, 0, 0)]);
    let came = packets(&[(4, 2, 0), (4, 0, -71), (4, 4, 0)]);
    let text = Rig::new()
        .feed(inward.submit(7).answered(0, Some(1), &asked))
        .feed(out.submit(8).given(0, Some(1), &packets(&[(3, 0, 0), (2, 0, 0)])).given(
            0,
            Some(2),
            b"abcdefgh",
        ))
        .feed(inward.done(0, 6).reap(7).answered(0, Some(1), &came).answered(0, Some(2), b"ab......wxyz++++"))
        .feed(out.done(0, 5).reap(8).answered(0, Some(1), &packets(&[(3, 3, 0), (2, 2, 0)])))
        .feed(inward.submit(9))
        .feed(inward.done(0, 6).reap(9).answered(0, Some(1), &came).answered(0, Some(2), b"ab...."))
        .text();
    expect![[r#"
        0 command USBDEVFS_SUBMITURB 0..10 → "abwxyz" type=iso endpoint=131 direction=in length=12 packets=3 actual=6 packet_errors=0 packet_results=Texts(["2/4", "0/4 EPROTO", "4"])
        1 command USBDEVFS_SUBMITURB 0..10 "abcde" type=iso endpoint=2 direction=out length=5 packets=2 actual=5 packet_errors=0 packet_results=Texts(["3", "2"])
        2 command USBDEVFS_SUBMITURB 0..10 → "ab"/6 type=iso endpoint=131 direction=in length=12 packets=3 actual=6 packet_errors=0 packet_results=Texts(["2/4", "0/4 EPROTO", "4"])
    "#]]
    .assert_eq(&text);
}

#[test]
fn commands_for_drivers_have_data() {
    let argument = |command: u32| {
        let mut bytes = [0; 16];
        bytes[4..8].copy_from_slice(&command.to_le_bytes());
        bytes
    };
    let calls = [
        Ioctl::new(0xc010_5512).argument(&argument(0x8080_5513)).answered(0, Some(1), &[2; 128]).returns(128),
        Ioctl::new(0xc010_5512).argument(&argument(0xc004_6601)).given(0, Some(0), b"abcd").answered(
            0,
            Some(1),
            b"wx",
        ),
        Ioctl::new(0xc010_5512).argument(&argument(0xc004_6601)).given(0, Some(0), b"abcd").returns(-25),
        Ioctl::new(0xc010_5512).argument(&argument(0x5516)),
    ];
    expect![[r#"
        0 command USBDEVFS_IOCTL 0..10 → "\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02" interface=0 ioctl=USBDEVFS_HUB_PORTINFO
        1 command USBDEVFS_IOCTL 0..10 "abcd" → "wx"/4 interface=0 ioctl=ioctl f:0x01
        2 command USBDEVFS_IOCTL 0..10 "abcd" error ENOTTY interface=0 ioctl=ioctl f:0x01
        3 command USBDEVFS_IOCTL 0..10 interface=0 ioctl=USBDEVFS_DISCONNECT
    "#]]
    .assert_eq(&rendered("usb", calls));
}
