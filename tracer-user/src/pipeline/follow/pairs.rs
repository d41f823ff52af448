//! Without BTF: which accepted connection is which connected one, where both are closed before `/proc` could be asked.
//!
//! A client that publishes one message lives for a few milliseconds. Its socket's own address is then not known, nor
//! is the peer's at the broker. A listener's connections are accepted in the order in which they came, so the two ends
//! are paired in that order, and an end whose address nobody knows gets one that stands for it: `0.0.0.0` with a
//! number for a port. Should two clients that connected at the same moment be confused, then their messages differ
//! and are not joined.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::model::time::Timestamp;

/// Ends that wait for their other end: as many as a listener's backlog, twice.
const MAX_WAITING: usize = 256;

/// How long an end waits for its other end.
const PATIENCE_NS: u64 = 2_000_000_000;

#[derive(Clone, Copy, Debug)]
struct End {
    server: SocketAddr,
    client: SocketAddr,
    /// Whether `client` is the true address.
    known: bool,
    at: Timestamp,
}

/// Ends whose other end was not seen yet, in the order of their calls.
#[derive(Default)]
pub(super) struct Pairs {
    connected: VecDeque<End>,
    accepted: VecDeque<End>,
    next: u16,
}

impl Pairs {
    /// A call to `server` connected, over `own` if that is known. Returns the address that stands for the client.
    pub(super) fn connected(
        &mut self,
        server: SocketAddr,
        own: Option<SocketAddr>,
        start: Timestamp,
        end: Timestamp,
    ) -> SocketAddr {
        self.expire(end);
        // Accepted before the connecting call returned. What was accepted before it began is another one.
        let found = self.accepted.iter().position(|other| {
            fits(other.server, server)
                && other.at >= start
                && (!other.known || own.is_none_or(|own| own == other.client))
        });
        if let Some(other) = found.and_then(|index| self.accepted.remove(index)) {
            return other.client;
        }
        let client = own.unwrap_or_else(|| self.stand_in());
        put(&mut self.connected, End { server, client, known: own.is_some(), at: start });
        client
    }

    /// A connection was accepted at `server`, from `peer` if that is known. Returns the address that stands for the client.
    pub(super) fn accepted(
        &mut self,
        server: SocketAddr,
        peer: Option<SocketAddr>,
        end: Timestamp,
    ) -> SocketAddr {
        self.expire(end);
        let same = |other: &End| fits(server, other.server) && other.at <= end;
        let exact =
            self.connected.iter().position(|other| same(other) && other.known && Some(other.client) == peer);
        let found = exact.or_else(|| {
            self.connected.iter().position(|other| same(other) && !(other.known && peer.is_some()))
        });
        if let Some(other) = found.and_then(|index| self.connected.remove(index)) {
            return other.client;
        }
        let client = peer.unwrap_or_else(|| self.stand_in());
        put(&mut self.accepted, End { server, client, known: peer.is_some(), at: end });
        client
    }

    fn stand_in(&mut self) -> SocketAddr {
        self.next = self.next.checked_add(1).unwrap_or(1);
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.next)
    }

    fn expire(&mut self, now: Timestamp) {
        for queue in [&mut self.connected, &mut self.accepted] {
            queue.retain(|end| now.since(end.at) <= PATIENCE_NS);
        }
    }
}

fn put(queue: &mut VecDeque<End>, end: End) {
    if queue.len() >= MAX_WAITING {
        queue.pop_front();
    }
    queue.push_back(end);
}

/// Whether who connects to `to` may arrive at who listens on `listener`.
fn fits(listener: SocketAddr, to: SocketAddr) -> bool {
    listener.port() == to.port()
        && (listener.ip().is_unspecified() || to.ip().is_unspecified() || listener.ip() == to.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ends_meet_in_order_whatever_is_known_of_them() {
        let (server, any) = (address("127.0.0.1:1883"), address("0.0.0.0:1883"));
        let mut pairs = Pairs::default();
        let one = pairs.connected(server, None, Timestamp(10), Timestamp(12));
        let two = pairs.connected(server, Some(address("127.0.0.1:50001")), Timestamp(20), Timestamp(22));
        let other = pairs.connected(address("127.0.0.1:1884"), None, Timestamp(21), Timestamp(23));
        // The second one's address is known at both ends, so it is found out of turn.
        assert_eq!(pairs.accepted(any, Some(address("127.0.0.1:50001")), Timestamp(30)), two);
        assert_eq!(pairs.accepted(any, Some(address("127.0.0.1:50000")), Timestamp(31)), one);
        assert_eq!(pairs.accepted(address("127.0.0.1:1884"), None, Timestamp(31)), other);
        // From another host: nobody here connected.
        let far = address("10.0.0.9:40000");
        assert_eq!(pairs.accepted(any, Some(far), Timestamp(32)), far);
        assert_ne!(pairs.connected(server, None, Timestamp(33), Timestamp(34)), far);
    }

    #[test]
    fn a_connection_may_be_accepted_before_the_connecting_call_returns() {
        let server = address("127.0.0.1:1883");
        let mut pairs = Pairs::default();
        let early = pairs.accepted(server, None, Timestamp(5));
        let client = pairs.accepted(server, None, Timestamp(15));
        assert_eq!(pairs.connected(server, None, Timestamp(10), Timestamp(20)), client);
        assert_ne!(early, client);
        // Too long ago.
        let late = Timestamp(15 + 2 * PATIENCE_NS);
        assert_ne!(pairs.connected(server, None, Timestamp(4), late), early);
    }
}
