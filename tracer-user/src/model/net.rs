//! Ends and connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Which kind of socket an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// A unix stream socket.
    Unix,
    /// Anything else (UDP, …): counted, not decoded.
    Other,
}

/// A socket as one process sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketEnd {
    /// TCP, unix, …
    pub transport: Transport,
    /// The network namespace's identity on this host, 0 if unknown.
    pub namespace: u64,
    /// Own address; port 0 and `0.0.0.0` for unix sockets.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Identity of the socket while it lives (the kernel's address of it), 0 if unknown.
    pub id: u64,
    /// Identity of the peer's socket (unix sockets), 0 if unknown.
    pub peer: u64,
}

impl SocketEnd {
    /// An end of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { transport: Transport::Other, namespace: 0, local: nowhere, remote: nowhere, id: 0, peer: 0 }
    }

    /// The connection that this end belongs to, the same from both ends.
    #[must_use]
    pub fn connection(&self) -> ConnectionKey {
        if self.transport == Transport::Unix {
            let (low, high) = (self.id.min(self.peer), self.id.max(self.peer));
            let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            return ConnectionKey { low: nowhere, high: nowhere, sockets: (low, high) };
        }
        let (low, high) =
            if self.local <= self.remote { (self.local, self.remote) } else { (self.remote, self.local) };
        ConnectionKey { low, high, sockets: (0, 0) }
    }
}

/// A connection, named the same from both of its ends: by its two addresses in order, or for a unix socket
/// by the identities of its two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    /// The smaller address.
    pub low: SocketAddr,
    /// The greater address.
    pub high: SocketAddr,
    /// Smaller and greater socket identity (unix sockets only, else zeros).
    pub sockets: (u64, u64),
}

/// Which side of a connection a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It connected: a broker's client.
    Client,
    /// It was connected to: the broker.
    Server,
}

/// Which way bytes flow, seen from the traced process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Read, received.
    Inward,
    /// Written, sent.
    Outward,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::Inward => Self::Outward,
            Self::Outward => Self::Inward,
        }
    }
}
