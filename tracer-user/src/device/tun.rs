//! Network interfaces of programs, `/dev/net/tun`: `Documentation/networking/tuntap.rst`,
//! `include/uapi/linux/if_tun.h`.
//!
//! Span rule: one command per call. A read is a packet that the kernel sends, a write one that it receives; with the
//! interface and, where the interface's kind is known from `TUNSETIFF` on this descriptor, the packet's protocol and
//! length. Addresses stay in the payload.

mod packet;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::class::{Class, Context, Ioctl, Moved, Row, Session};
use super::fields::{answered, by_value, flags, given, result, text_at};
use super::generic;
use super::ioc::{Args, Argument, Nested, io, ior, iow, u16_at, u32_at};
use crate::model::command::Value;
use crate::model::time::Interval;
use packet::Framing;
use tracer_common::recipe::Recipe;

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "tun", ioctls: TABLE, session: || Box::new(Tunnels::default()) };

const TUNSETIFF: u32 = iow(b'T', 202, 4);
const TUNGETIFF: u32 = ior(b'T', 210, 4);
const TUNSETVNETHDRSZ: u32 = iow(b'T', 216, 4);

static TABLE: &[Row] = &[
    Row::legacy(iow(b'T', 200, 4), "TUNSETNOCSUM", (0, 0), |argument, args| by_value("on", argument, args)),
    Row::legacy(iow(b'T', 201, 4), "TUNSETDEBUG", (0, 0), |argument, args| by_value("on", argument, args)),
    // Their numbers say that they take an `int`.
    Row::new(TUNSETIFF, "TUNSETIFF", set_interface).follow(&BOTH_WAYS),
    Row::new(TUNGETIFF, "TUNGETIFF", |argument, args| interface(argument.answered, args)).follow(&ANSWERED),
    Row::new(iow(b'T', 217, 4), "TUNSETQUEUE", |argument, args| interface(argument.given, args))
        .follow(&GIVEN),
    Row::legacy(iow(b'T', 203, 4), "TUNSETPERSIST", (0, 0), |argument, args| by_value("on", argument, args)),
    Row::legacy(iow(b'T', 204, 4), "TUNSETOWNER", (0, 0), |argument, args| by_value("uid", argument, args)),
    Row::legacy(iow(b'T', 205, 4), "TUNSETLINK", (0, 0), |argument, args| by_value("type", argument, args)),
    Row::legacy(iow(b'T', 206, 4), "TUNSETGROUP", (0, 0), |argument, args| by_value("gid", argument, args)),
    Row::new(ior(b'T', 207, 4), "TUNGETFEATURES", |argument, args| {
        args.extend(u32_at(argument.answered, 0).map(|set| ("features", flags(set.into(), FLAGS))));
    }),
    Row::legacy(iow(b'T', 208, 4), "TUNSETOFFLOAD", (0, 0), |argument, args| {
        args.push(("offload", flags(argument.value, OFFLOAD)));
    }),
    // A list of hardware addresses follows, which are not copied.
    Row::legacy(iow(b'T', 209, 4), "TUNSETTXFILTER", (4, 0), |argument, args| {
        args.extend(u16_at(argument.given, 0).map(|set| ("flags", flags(set.into(), &[(1, "ALLMULTI")]))));
        args.extend(u16_at(argument.given, 2).map(|count| ("addresses", Value::Int(count.into()))));
    }),
    Row::new(ior(b'T', 211, 4), "TUNGETSNDBUF", |argument, args| answered("bytes", argument, args)),
    Row::new(iow(b'T', 212, 4), "TUNSETSNDBUF", |argument, args| given("bytes", argument, args)),
    Row::new(iow(b'T', 213, 16), "TUNATTACHFILTER", |argument, args| filter(argument.given, args))
        .compat(iow(b'T', 213, 8)),
    Row::new(iow(b'T', 214, 16), "TUNDETACHFILTER", |_, _| {}).compat(iow(b'T', 214, 8)),
    Row::new(ior(b'T', 219, 16), "TUNGETFILTER", |argument, args| filter(argument.answered, args))
        .compat(ior(b'T', 219, 8)),
    Row::new(ior(b'T', 215, 4), "TUNGETVNETHDRSZ", |argument, args| answered("bytes", argument, args)),
    Row::new(TUNSETVNETHDRSZ, "TUNSETVNETHDRSZ", |argument, args| given("bytes", argument, args)),
    Row::new(iow(b'T', 218, 4), "TUNSETIFINDEX", |argument, args| given("index", argument, args)),
    Row::new(iow(b'T', 220, 4), "TUNSETVNETLE", |argument, args| given("on", argument, args)),
    Row::new(ior(b'T', 221, 4), "TUNGETVNETLE", |argument, args| answered("on", argument, args)),
    Row::new(iow(b'T', 222, 4), "TUNSETVNETBE", |argument, args| given("on", argument, args)),
    Row::new(ior(b'T', 223, 4), "TUNGETVNETBE", |argument, args| answered("on", argument, args)),
    // Their numbers say that the driver writes.
    Row::legacy(ior(b'T', 224, 4), "TUNSETSTEERINGEBPF", (4, 0), |argument, args| {
        given("fd", argument, args)
    }),
    Row::legacy(ior(b'T', 225, 4), "TUNSETFILTEREBPF", (4, 0), |argument, args| given("fd", argument, args)),
    Row::new(iow(b'T', 226, 4), "TUNSETCARRIER", |argument, args| given("on", argument, args)),
    Row::new(io(b'T', 227), "TUNGETDEVNETNS", |argument, args| result("fd", argument, args)),
];

/// Size of `struct ifreq`, and of that of 32-bit programs.
const IFREQ: u16 = 40;
const IFREQ_COMPAT: u16 = 32;
/// `IFNAMSIZ`.
const NAME: usize = 16;

/// An argument that is a `struct ifreq`, as far as the driver reads and writes it.
const fn ifreq(reads: bool, writes: bool) -> Nested {
    const fn sized(size: u16, reads: bool, writes: bool) -> Recipe {
        Recipe::PLAIN.sized(if reads { size } else { 0 }, if writes { size } else { 0 })
    }
    Nested {
        native: sized(IFREQ, reads, writes),
        compat: sized(IFREQ_COMPAT, reads, writes),
        alternative: None,
    }
}

static BOTH_WAYS: Nested = ifreq(true, true);
static ANSWERED: Nested = ifreq(false, true);
static GIVEN: Nested = ifreq(true, false);

/// `IFF_*` of these interfaces.
const FLAGS: &[(u64, &str)] = &[
    (0x0001, "TUN"),
    (0x0002, "TAP"),
    (0x0010, "NAPI"),
    (0x0020, "NAPI_FRAGS"),
    (0x0040, "NO_CARRIER"),
    (0x0100, "MULTI_QUEUE"),
    (0x0200, "ATTACH_QUEUE"),
    (0x0400, "DETACH_QUEUE"),
    (0x0800, "PERSIST"),
    (0x1000, "NO_PI"),
    (0x2000, "ONE_QUEUE"),
    (0x4000, "VNET_HDR"),
    (0x8000, "TUN_EXCL"),
];

/// `TUN_F_*`.
const OFFLOAD: &[(u64, &str)] = &[
    (0x01, "CSUM"),
    (0x02, "TSO4"),
    (0x04, "TSO6"),
    (0x08, "TSO_ECN"),
    (0x10, "UFO"),
    (0x20, "USO4"),
    (0x40, "USO6"),
];

/// What was asked for, with the name that the kernel chose (`tun%d`).
fn set_interface(argument: &Argument<'_>, args: &mut Args) {
    let named = if argument.answered.is_empty() { argument.given } else { argument.answered };
    args.extend(text_at(named, 0, NAME).map(|name| ("interface", Value::Text(name.into()))));
    args.extend(u16_at(argument.given, NAME).map(|set| ("flags", flags(set.into(), FLAGS))));
}

/// `struct ifreq`: name and flags.
fn interface(ifreq: &[u8], args: &mut Args) {
    args.extend(text_at(ifreq, 0, NAME).map(|name| ("interface", Value::Text(name.into()))));
    args.extend(u16_at(ifreq, NAME).map(|set| ("flags", flags(set.into(), FLAGS))));
}

/// `struct sock_fprog`.
fn filter(program: &[u8], args: &mut Args) {
    args.extend(u16_at(program, 0).map(|length| ("instructions", Value::Int(length.into()))));
}

/// Descriptors of one process whose interface is remembered: queues of a few interfaces.
const DESCRIPTORS: usize = 512;

/// One descriptor's interface.
struct Tunnel {
    name: Option<Arc<str>>,
    framing: Framing,
}

/// Which interface each descriptor is.
#[derive(Default)]
struct Tunnels {
    tunnels: BTreeMap<i32, Tunnel>,
}

impl Tunnels {
    fn learn(&mut self, call: &Ioctl<'_>) {
        match call.command {
            TUNSETIFF | TUNGETIFF => {
                // What TUNSETIFF answers lacks some flags in older kernels.
                let asked =
                    if call.command == TUNSETIFF { call.before.unwrap_or(call.after) } else { call.after };
                let Some(set) = u16_at(asked, NAME) else { return };
                if self.tunnels.len() < DESCRIPTORS || self.tunnels.contains_key(&call.fd) {
                    let name = text_at(call.after, 0, NAME).map(Into::into);
                    let framing = Framing::of(set);
                    self.tunnels.insert(call.fd, Tunnel { name, framing });
                }
            }
            TUNSETVNETHDRSZ => {
                let size = u32_at(call.before.unwrap_or(call.after), 0);
                if let (Some(tunnel), Some(size)) = (self.tunnels.get_mut(&call.fd), size) {
                    tunnel.framing.set_virtio_header(size);
                }
            }
            _ => {}
        }
    }
}

impl Session for Tunnels {
    fn moved(&mut self, call: Moved, context: &mut Context<'_>) {
        let tunnel = self.tunnels.get(&call.fd);
        let mut args = Args::new();
        if let Some(tunnel) = tunnel {
            args.extend(tunnel.name.clone().map(|name| ("interface", Value::Shared(name))));
            tunnel.framing.describe(&call.payload, &mut args);
        }
        if let Some(mut command) = generic::moved_command(call, context) {
            command.args.extend(args);
            context.emit(command);
        }
    }

    fn ioctl(&mut self, call: &Ioctl<'_>, row: Option<&'static Row>, context: &mut Context<'_>) {
        generic::ioctl(call, row, context);
        if call.error.is_none() {
            self.learn(call);
        }
    }

    fn closed(&mut self, fds: std::ops::RangeInclusive<i64>, _at: Interval, _context: &mut Context<'_>) {
        self.tunnels.retain(|fd, _| !fds.contains(&i64::from(*fd)));
    }
}
