//! Which addresses a socket has, without BTF: by its inode, from the kernel's socket diagnostics or from
//! `/proc/PID/net/tcp` and `tcp6`.
//!
//! The diagnostics answer in a fraction of a millisecond, while the files take several: time in which a client that
//! publishes one message is gone. They only know this program's own network namespace.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use procfs::process::Process as Proc;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

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
    if is_here(pid)
        && let Ok(found) = diagnose(inode)
    {
        return found;
    }
    let proc = Proc::new(i32::try_from(pid).ok()?).ok()?;
    let v4 = proc.tcp().unwrap_or_default();
    let v6 = proc.tcp6().unwrap_or_default();
    let entry = v4.into_iter().chain(v6).find(|entry| entry.inode == inode)?;
    Some(Addresses { local: canonical(entry.local_address), remote: canonical(entry.remote_address) })
}

/// Whether a process is in this program's network namespace.
fn is_here(pid: u32) -> bool {
    let namespace = |of: &str| fs::metadata(format!("/proc/{of}/ns/net")).map(|metadata| metadata.ino()).ok();
    namespace("self").is_some_and(|here| Some(here) == namespace(&pid.to_string()))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// `struct nlmsghdr`, `include/uapi/linux/netlink.h`.
const HEADER: usize = 16;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `SOCK_DIAG_BY_FAMILY`, `include/uapi/linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `struct inet_diag_req_v2`, `include/uapi/linux/inet_diag.h`: family, protocol, two bytes, states, `inet_diag_sockid`.
const REQUEST: usize = HEADER + 8 + 48;
/// Every state but `TCP_TIME_WAIT`, whose sockets have no inode.
const STATES: u32 = !(1 << 6);
const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;
/// The kernel answers at once.
const PATIENCE: Duration = Duration::from_millis(200);

/// Asks the kernel for its TCP sockets. An error: it cannot tell.
fn diagnose(inode: u64) -> rustix::io::Result<Option<Addresses>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    for family in [INET, INET6] {
        let mut request = [0; REQUEST];
        request[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
        request[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
        request[HEADER] = family;
        request[HEADER + 1] = TCP;
        request[HEADER + 4..HEADER + 8].copy_from_slice(&STATES.to_ne_bytes());
        send(&socket, &request, SendFlags::empty())?;
        let mut found = None;
        let mut answer = vec![0; 32 << 10];
        loop {
            let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
            match messages(answer.get(..length).unwrap_or_default(), inode, &mut found) {
                Some(true) => break,
                Some(false) => {}
                None => return Err(rustix::io::Errno::NOTSUP),
            }
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Reads the messages of one answer. Whether the last was among them; `None`: an error was.
fn messages(mut answer: &[u8], inode: u64, found: &mut Option<Addresses>) -> Option<bool> {
    while let Some(header) = answer.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let message = answer.get(HEADER..length)?;
        match u16::from_ne_bytes([header[4], header[5]]) {
            DONE => return Some(true),
            ERROR => return None,
            BY_FAMILY => {
                if let Some((of, addresses)) = one(message)
                    && of == inode
                {
                    *found = Some(addresses);
                }
            }
            _ => {}
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(false)
}

/// `struct inet_diag_msg`: inode and addresses.
fn one(message: &[u8]) -> Option<(u64, Addresses)> {
    let word = |at: usize| message.get(at..)?.first_chunk::<4>().copied();
    let port = |at: usize| message.get(at..)?.first_chunk::<2>().copied().map(u16::from_be_bytes);
    let family = *message.first()?;
    let address = |at: usize| match family {
        INET => word(at).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        INET6 => message
            .get(at..)?
            .first_chunk::<16>()
            .map(|bytes| IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical()),
        _ => None,
    };
    let local = SocketAddr::new(address(8)?, port(4)?);
    let remote = SocketAddr::new(address(24)?, port(6)?);
    Some((u64::from(u32::from_ne_bytes(word(68)?)), Addresses { local, remote }))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn both_ways_find_the_ends_of_a_connection() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).expect("loopback is there");
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let inode = |fd: i32| fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
            let truth =
                Addresses { local: client.local_addr().unwrap(), remote: client.peer_addr().unwrap() };
            assert_eq!(by_inode(std::process::id(), inode(client.as_raw_fd())), Some(truth));
            if let Ok(found) = diagnose(inode(client.as_raw_fd())) {
                assert_eq!(found, Some(truth));
                let listening = diagnose(inode(listener.as_raw_fd())).unwrap().unwrap();
                assert_eq!((listening.local, listening.remote.port()), (truth.remote, 0));
            }
        }
    }

    #[test]
    fn answers_that_make_no_sense_find_nothing() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200))| {
            let mut found = None;
            let _ = messages(&bytes, 1, &mut found);
            let _ = one(&bytes);
        });
    }
}
