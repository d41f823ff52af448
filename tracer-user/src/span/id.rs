//! Which facts a span's id is derived from.
//!
//! * A message with TCP positions: connection, direction, position of its first byte, system. Both ends see the same
//!   facts, so they give the same id, on two hosts too. The host is a fact only where the addresses mean nothing
//!   beyond it (loopback, unix sockets).
//! * A message without them: connection, direction, when that connection was first seen, and the ordinal of the
//!   message in that direction. Both ends are joined before the id is made; it holds within one recording. The time
//!   keeps apart two connections that used the same ports one after the other.
//! * A device command: process instance, device, serial number of the command in that process, start.
//! * A broker's own span and a settlement: the id of the message's span, or the bytes that carried the settlement.

use crate::model::ids::{IdBuilder, SpanId};
use crate::model::net::ConnectionKey;
use crate::model::op::{Place, System};
use crate::model::process::Process;
use crate::model::time::Timestamp;

/// Identity of a message whose bytes have no absolute position.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// When the connection was first seen.
    pub opened: Timestamp,
    /// Which message of that direction it is.
    pub ordinal: u64,
}

/// The facts of something that the bytes at `place` carried; `kind` keeps apart what the same bytes gave rise to.
#[must_use]
pub fn carried(kind: &str, system: System, place: &Place, host: &str, counted: Option<Counted>) -> IdBuilder {
    let key = &place.connection;
    let facts = IdBuilder::new(kind).text(system.name());
    let facts = if counted.is_some() || is_local(key) { facts.text(host) } else { facts };
    let facts = connection(facts, key).number(u64::from(place.to_server));
    match counted {
        Some(counted) => facts.number(counted.opened.0).number(counted.ordinal),
        None if place.part > 0 => facts.number(place.start).number(u64::from(place.part)),
        None => facts.number(place.start),
    }
}

/// The facts of a device command.
#[must_use]
pub fn command(process: &Process, device: &str, serial: u64, start: Timestamp) -> IdBuilder {
    IdBuilder::new("command").text(&process.service_instance).text(device).number(serial).number(start.0)
}

/// The id of what the broker did with a message on its way to the delivery `delivery`.
#[must_use]
pub fn residence(delivery: SpanId) -> SpanId {
    IdBuilder::new("broker").bytes(&delivery.0).span()
}

/// The id of what a driver did on its bus as the `index`th transaction of `command`.
#[must_use]
pub fn bus(command: SpanId, index: usize) -> SpanId {
    IdBuilder::new("bus").bytes(&command.0).number(index as u64).span()
}

/// Whether the addresses are meaningful on one host only.
fn is_local(key: &ConnectionKey) -> bool {
    key.sockets != (0, 0) || key.low.ip().is_loopback() || key.high.ip().is_loopback()
}

fn connection(facts: IdBuilder, key: &ConnectionKey) -> IdBuilder {
    let mut facts = facts;
    for end in [key.low, key.high] {
        facts = match end.ip() {
            std::net::IpAddr::V4(ip) => facts.bytes(&ip.octets()),
            std::net::IpAddr::V6(ip) => facts.bytes(&ip.octets()),
        };
        facts = facts.number(u64::from(end.port()));
    }
    facts.number(key.sockets.0).number(key.sockets.1)
}
