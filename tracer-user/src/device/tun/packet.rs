//! What is in front of a packet, and what the packet says of itself.

use crate::device::fields::text;
use crate::device::ioc::Args;
use crate::model::command::Value;
use crate::model::payload::Payload;

/// `IFF_TUN`, `IFF_TAP`, `IFF_NO_PI`, `IFF_VNET_HDR`.
const TUN: u16 = 0x0001;
const TAP: u16 = 0x0002;
const NO_PI: u16 = 0x1000;
const VNET_HDR: u16 = 0x4000;

/// Size of `struct tun_pi`: flags, protocol.
const INFO: usize = 4;
/// Size of `struct virtio_net_hdr`, until the program sets another.
const VIRTIO_HEADER: usize = 10;
/// A program's own header is no longer than this; the kernel takes any size, but programs use 10, 12 and 20.
const LONGEST: u32 = 256;

/// What lies in front of a packet on one descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    ethernet: Option<bool>,
    info: bool,
    virtio: Option<usize>,
}

impl Framing {
    /// From the flags of `TUNSETIFF`.
    pub(super) fn of(flags: u16) -> Self {
        let ethernet = match (flags & TUN != 0, flags & TAP != 0) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        };
        let virtio = (flags & VNET_HDR != 0).then_some(VIRTIO_HEADER);
        Self { ethernet, info: flags & NO_PI == 0, virtio }
    }

    /// `TUNSETVNETHDRSZ`.
    pub(super) fn set_virtio_header(&mut self, size: u32) {
        if self.virtio.is_some() && size <= LONGEST {
            self.virtio = Some(size as usize);
        }
    }

    /// Says what the packet is, as far as it was captured.
    pub(super) fn describe(self, payload: &Payload, args: &mut Args) {
        let Some(ethernet) = self.ethernet else { return };
        let head = if self.info { INFO } else { 0 } + self.virtio.unwrap_or(0);
        let Some(length) = payload.size.checked_sub(head as u64) else { return };
        args.push(("length", Value::Int(i64::try_from(length).unwrap_or(i64::MAX))));
        let packet = payload.captured.get(head..).unwrap_or(&[]);
        let packet = match ethernet {
            false => packet,
            true => match (type_at(packet, 12), type_at(packet, 16)) {
                // A tag of a virtual network is in front of the type.
                (Some(0x8100 | 0x88a8), Some(kind)) => body(kind, packet.get(18..), args),
                (Some(kind), _) => body(kind, packet.get(14..), args),
                (None, _) => &[],
            },
        };
        if !ethernet && let Some(version @ (4 | 6)) = packet.first().map(|first| first >> 4) {
            args.push(("ip_version", Value::Int(version.into())));
        }
        // `IPPROTO_*` says what it carries; addresses and ports stay in the payload.
        let carried = match packet.first().map(|first| first >> 4) {
            Some(4) => packet.get(9),
            Some(6) => packet.get(6),
            _ => None,
        };
        args.extend(carried.map(|carried| ("ip_protocol", Value::Int((*carried).into()))));
    }
}

/// The type of an Ethernet frame, `include/uapi/linux/if_ether.h`; returns what it carries if that is IP.
fn body<'a>(kind: u16, rest: Option<&'a [u8]>, args: &mut Args) -> &'a [u8] {
    let (name, version) = match kind {
        0x0800 => ("ipv4", Some(4)),
        0x86dd => ("ipv6", Some(6)),
        0x0806 => ("arp", None),
        0x88cc => ("lldp", None),
        0x8847 | 0x8848 => ("mpls", None),
        0x8863 | 0x8864 => ("pppoe", None),
        _ => ("other", None),
    };
    args.push(("ethertype", text(name)));
    args.extend(version.map(|version| ("ip_version", Value::Int(version))));
    match version {
        Some(_) => rest.unwrap_or(&[]),
        None => &[],
    }
}

/// A 16-bit number in network order.
fn type_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*field))
}
