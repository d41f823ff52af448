//! Which addresses a socket has, without BTF: by its inode in `/proc/PID/net/tcp` and `tcp6`.

use std::net::SocketAddr;

use procfs::process::Process as Proc;

/// A socket's own and its peer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Own.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// Looks a TCP socket up by its inode, in the network namespace of a process.
#[must_use]
pub fn by_inode(pid: u32, inode: u64) -> Option<Addresses> {
    let proc = Proc::new(i32::try_from(pid).ok()?).ok()?;
    let v4 = proc.tcp().unwrap_or_default();
    let v6 = proc.tcp6().unwrap_or_default();
    let entry = v4.into_iter().chain(v6).find(|entry| entry.inode == inode)?;
    Some(Addresses { local: canonical(entry.local_address), remote: canonical(entry.remote_address) })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
