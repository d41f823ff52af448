//! What programs do with interfaces of their own.

use crate::device::tests::calls::{Ioctl, rendered};
use crate::device::tests::data;
use crate::model::capture::Capture;
use expect_test::expect;
use tracer_common::call::Call;

/// `struct ifreq` with a name and flags.
fn ifreq(name: &str, flags: u16) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes[16..18].copy_from_slice(&flags.to_le_bytes());
    bytes
}

fn interface(asked: &str, made: &str, flags: u16, fd: i32) -> Capture {
    Ioctl::new(0x4004_54ca).was(&ifreq(asked, flags)).argument(&ifreq(made, flags)).fd(fd).into()
}

fn write(fd: i32, bytes: &[u8], size: u64) -> Capture {
    Capture { fd, ..data(Call::Write, (20, 30), size as i64, bytes, size) }
}

#[test]
fn commands_and_their_arguments() {
    let calls: [Capture; 9] = [
        interface("tun%d", "tun0", 0x1001, 3),
        Ioctl::new(0x4004_54ca).was(&ifreq("eth0", 2)).argument(&ifreq("eth0", 2)).returns(-22).into(),
        Ioctl::new(0x4004_54ca).compat().was(&ifreq("t", 2)[..32]).argument(&ifreq("t", 2)[..32]).into(),
        Ioctl::new(0x8004_54d2).argument(&ifreq("tun0", 0x1801)).into(),
        Ioctl::new(0x4004_54cb).value(1).into(),
        Ioctl::new(0x4004_54d0).value(0x27).into(),
        Ioctl::new(0x8004_54cf).argument(&[3, 0x70, 0, 0]).into(),
        Ioctl::new(0x4004_54d8).argument(&[12, 0, 0, 0]).into(),
        Ioctl::new(0x54e3).returns(9).into(),
    ];
    expect![[r#"
        0 command TUNSETIFF 0..10 interface=tun0 flags=TUN|NO_PI
        1 command TUNSETIFF 0..10 error EINVAL interface=eth0 flags=TAP
        2 command TUNSETIFF 0..10 interface=t flags=TAP
        3 command TUNGETIFF 0..10 interface=tun0 flags=TUN|PERSIST|NO_PI
        4 command TUNSETPERSIST 0..10 on=1
        5 command TUNSETOFFLOAD 0..10 offload=CSUM|TSO4|TSO6|USO4
        6 command TUNGETFEATURES 0..10 features=TUN|TAP|NO_PI|ONE_QUEUE|VNET_HDR
        7 command TUNSETVNETHDRSZ 0..10 bytes=12
        8 command TUNGETDEVNETNS 0..10 fd=9
    "#]]
    .assert_eq(&rendered("tun", calls));
}

#[test]
fn packets_say_what_they_are() {
    let ipv4 = b"\x45\x00\x00\x1c____\x40\x11";
    let ethernet = |kind: [u8; 2], rest: &[u8]| [&[0xee; 12][..], &kind, rest].concat();
    let calls = [
        write(3, ipv4, 28),
        interface("tun0", "tun0", 0x1001, 3),
        write(3, ipv4, 28),
        write(3, b"\x60_____\x3a", 60),
        write(3, b"", 60),
        interface("tun1", "tun1", 1, 4),
        write(4, b"\x00\x00\x08\x00\x45", 32),
        interface("tap0", "tap0", 0x5002, 5),
        Ioctl::new(0x4004_54d8).argument(&[12, 0, 0, 0]).fd(5).into(),
        write(5, &[&[0; 12][..], &ethernet([8, 0], ipv4)].concat(), 54),
        write(5, &[&[0; 12][..], &ethernet([0x81, 0], &[0, 7, 0x86, 0xdd, 0x60])].concat(), 94),
        write(5, &[&[0; 12][..], &ethernet([8, 6], b"\x45")].concat(), 54),
        write(5, b"short", 5),
    ];
    let text = rendered("tun", calls);
    let told: Vec<_> = text
        .lines()
        .filter(|line| line.contains("write"))
        // What follows the bytes and their number.
        .map(|line| {
            line.rsplit_once('"').map_or("", |(_, rest)| rest).split_once(' ').map_or("", |(_, args)| args)
        })
        .collect();
    expect![[r#"

        length=28 ip_version=4 ip_protocol=17
        length=60 ip_version=6 ip_protocol=58
        length=60
        length=28 ip_version=4
        length=42 ethertype=ipv4 ip_version=4 ip_protocol=17
        length=82 ethertype=ipv6 ip_version=6
        length=42 ethertype=arp
    "#]]
    .assert_eq(&told.join("\n"));
}
