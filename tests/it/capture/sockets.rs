//! Sends and receives on sockets of every address family, each in all its forms.

use iotrail::decode::socket_address;
use iotrail::kernel::selection::Selection;
use iotrail::model::capture::{Body, Target};
use iotrail::model::net::{Direction, SocketEnd, Transport};
use tracer_common::call::Call;
use tracer_common::record::Kind;
use tracer_tests::broker::free_port;
use tracer_tests::probe::pattern;

use super::probe::Probe;
use super::rig::{BOTH, MODES, Mode, RAW, Rig, Seen, check_call, only, port};
use crate::support::{Folder, Tracer};

/// A connection of a probe with itself: both ends are selected, so each call of either is a record.
pub(super) struct Pair {
    pub(super) client: i64,
    pub(super) server: i64,
}

impl Pair {
    /// Connects the two, seen by the rig.
    pub(super) fn connect(rig: &mut Rig, probe: &mut Probe, listen: &str, to: &str) -> Self {
        let listener = rig.call(probe, &format!("listen {listen}"));
        let client = rig.call(probe, &format!("connect {to}"));
        let server = rig.call(probe, &format!("accept4 {listener}"));
        assert!(client > 0 && server > 0, "{client} {server}");
        Self { client, server }
    }

    /// As [`Self::connect`], unseen.
    pub(super) fn unseen(probe: &mut Probe, at: &str) -> Self {
        let listener = probe.call(&format!("listen {at}"));
        let client = probe.call(&format!("connect {at}"));
        let server = probe.call(&format!("accept4 {listener}"));
        Self { client, server }
    }
}

fn socket(seen: &Seen) -> SocketEnd {
    let Target::Socket(socket) = seen.capture.target else { panic!("{seen:#?}") };
    socket
}

/// The record of a transfer on a socket: its direction, how much was asked for and moved, and the bytes.
fn transfer(rig: &mut Rig, probe: &mut Probe, command: &str, call: Call, result: i64) -> Seen {
    let answer = probe.numbers(command);
    assert_eq!(answer[0], result, "{command}: {answer:?}");
    let seen = rig.one(Kind::Data);
    check_call(&seen, probe, call, result);
    seen
}

#[track_caller]
fn moves(seen: &Seen, wanted: Direction, wanted_requested: u64, bytes: &[u8]) {
    let Body::Data { direction, requested, ref payload, .. } = seen.capture.body else { panic!("{seen:#?}") };
    assert_eq!((direction, requested), (wanted, wanted_requested), "{seen:#?}");
    assert_eq!((payload.size, &payload.captured[..]), (bytes.len() as u64, bytes), "{seen:#?}");
}

/// Every call that moves bytes on a socket, from one end to the other.
fn every_call(rig: &mut Rig, probe: &mut Probe, pair: &Pair) {
    use Direction::{Inward, Outward};
    let Pair { client, server } = *pair;
    for (from, to) in [(client, server), (server, client)] {
        let seen = transfer(rig, probe, &format!("write {from} 10"), Call::Write, 10);
        moves(&seen, Outward, 10, &pattern(10));
        let seen = transfer(rig, probe, &format!("read {to} 100"), Call::Read, 10);
        moves(&seen, Inward, 100, &pattern(10));
        let seen = transfer(rig, probe, &format!("writev {from} 4 5 6"), Call::Writev, 15);
        moves(&seen, Outward, 15, &pattern(15));
        let seen = transfer(rig, probe, &format!("readv {to} 1 2 3 20"), Call::Readv, 15);
        moves(&seen, Inward, 26, &pattern(15));
        let seen = transfer(rig, probe, &format!("sendto {from} 20 0"), Call::Sendto, 20);
        moves(&seen, Outward, 20, &pattern(20));
        let seen = transfer(rig, probe, &format!("recvfrom {to} 50 {}", libc::MSG_PEEK), Call::Recvfrom, 20);
        moves(&seen, Inward, 50, &pattern(20));
        let Body::Data { peek, .. } = seen.capture.body else { panic!() };
        assert!(peek, "a peek says so: {seen:#?}");
        let seen = transfer(rig, probe, &format!("recvfrom {to} 50 0"), Call::Recvfrom, 20);
        moves(&seen, Inward, 50, &pattern(20));
        let seen = transfer(rig, probe, &format!("sendmsg {from} 0 7 0 8"), Call::Sendmsg, 15);
        moves(&seen, Outward, 15, &pattern(15));
        let seen = transfer(rig, probe, &format!("recvmsg {to} 0 10 10"), Call::Recvmsg, 15);
        moves(&seen, Inward, 20, &pattern(15));
        // Three messages; the second in two segments. Each starts the pattern anew.
        let seen = transfer(rig, probe, &format!("sendmmsg {from} 0 5 3,4 6"), Call::Sendmmsg, 3);
        let sent = [pattern(5), pattern(7), pattern(6)].concat();
        moves(&seen, Outward, 18, &sent);
        // A stream fills one buffer after the other: here all of the first and part of the second.
        let flags = libc::MSG_DONTWAIT;
        let seen = transfer(rig, probe, &format!("recvmmsg {to} {flags} 4,6 100 100"), Call::Recvmmsg, 2);
        moves(&seen, Inward, 18, &sent);
    }
}

#[test]
fn tcp_over_ipv4_shows_each_call_with_its_bytes() {
    for mode in MODES {
        tcp(mode, "127.0.0.1", "127.0.0.1");
    }
}

#[test]
fn tcp_over_ipv6_shows_each_call_with_its_bytes() {
    for mode in BOTH {
        tcp(mode, "[::1]", "[::1]");
    }
}

#[test]
fn tcp_over_ipv4_in_ipv6_shows_each_call_with_its_bytes() {
    for mode in BOTH {
        tcp(mode, "[::]", "[::ffff:127.0.0.1]");
    }
}

fn tcp(mode: Mode, listen: &str, to: &str) {
    let number = free_port().expect("a port");
    let mut probe = Probe::start();
    let mut rig = Rig::new(mode, port(probe.pid(), number));
    let pair = Pair::connect(&mut rig, &mut probe, &format!("{listen}:{number}"), &format!("{to}:{number}"));
    let made = rig.take();
    let connect = made.iter().find(|seen| seen.kind() == Kind::Connect).expect("the connect is seen");
    let Body::Connect { address } = &connect.capture.body else { panic!("{connect:#?}") };
    let server = format!("{to}:{number}").parse::<std::net::SocketAddr>().expect("an address");
    let server = std::net::SocketAddr::new(server.ip().to_canonical(), number);
    assert_eq!(socket_address(address), Some(server), "{mode:?}");
    let accept = made.iter().find(|seen| seen.kind() == Kind::Accept).expect("the accept is seen");
    assert_eq!(accept.header.result, pair.server);
    let (near, far) = (socket(connect), socket(accept));
    assert_eq!((near.remote, far.local), (server, server), "{mode:?}");
    assert_eq!((near.local, near.transport), (far.remote, Transport::Tcp), "{mode:?}");
    assert_ne!(near.local.port(), 0);
    every_call(&mut rig, &mut probe, &pair);
    rig.expect(&mut probe, &format!("shutdown {} 1", pair.client), 0);
    let shutdown = rig.one(Kind::Shutdown);
    assert!(matches!(shutdown.capture.body, Body::Shutdown { how: 1 }), "{shutdown:#?}");
    assert_eq!(socket(&shutdown).local, near.local);
    let seen = transfer(&mut rig, &mut probe, &format!("read {} 10", pair.server), Call::Read, 0);
    moves(&seen, Direction::Inward, 10, &[]);
    rig.expect(&mut probe, &format!("close {}", pair.client), 0);
    assert_eq!(socket(&rig.one(Kind::Close)).local, near.local);
    probe.end();
}

fn unix(pid: u32, path: &str) -> Selection {
    Selection { unix_paths: [path.to_owned()].into(), ..only(&[pid]) }
}

#[test]
fn unix_sockets_show_each_call_with_its_bytes() {
    let folder = Folder::new();
    let path = folder.path().join("broker.sock").display().to_string();
    let mut probe = Probe::start();
    let mut rig = Rig::new(RAW, unix(probe.pid(), &path));
    let pair = Pair::connect(&mut rig, &mut probe, &path, &path);
    let made = rig.take();
    let accept = made.iter().find(|seen| seen.kind() == Kind::Accept).expect("the accept is seen");
    let connect = made.iter().find(|seen| seen.kind() == Kind::Connect).expect("the connect is seen");
    let (near, far) = (socket(connect), socket(accept));
    assert_eq!((near.transport, far.transport), (Transport::Unix, Transport::Unix));
    assert_ne!(near.id, far.id);
    assert_eq!(far.peer, near.id, "each end names the other");
    // The client's end knows its peer as soon as it is connected.
    every_call(&mut rig, &mut probe, &pair);
    rig.expect(&mut probe, &format!("write {} 1", pair.client), 1);
    let sent = rig.one(Kind::Data);
    assert_eq!((socket(&sent).id, socket(&sent).peer), (near.id, far.id));
    probe.end();
}

#[test]
fn a_unix_socket_is_selected_by_its_path_alone() {
    let folder = Folder::new();
    let path = folder.path().join("a").display().to_string();
    let other = folder.path().join("ab").display().to_string();
    let mut probe = Probe::start();
    let mut rig = Rig::new(RAW, unix(probe.pid(), &path));
    // A longer path that begins alike is another one.
    let pair = Pair::connect(&mut rig, &mut probe, &other, &other);
    rig.expect(&mut probe, &format!("write {} 5", pair.client), 5);
    assert_eq!(rig.of(Kind::Data).len(), 0);
    // The kernel keeps no more of a path than there is of it, and programs hand over no more: what lies behind is rubbish.
    let listener = rig.call(&mut probe, &format!("listen {path}"));
    for _ in 0..50 {
        let client = rig.call(&mut probe, &format!("raw_connect {path}"));
        let server = rig.call(&mut probe, &format!("accept4 {listener}"));
        rig.expect(&mut probe, &format!("write {client} 5"), 5);
        rig.expect(&mut probe, &format!("read {server} 5"), 5);
        rig.call(&mut probe, &format!("close {client}"));
        rig.call(&mut probe, &format!("close {server}"));
        let seen = rig.take();
        let count = |kind| seen.iter().filter(|seen| seen.kind() == kind).count();
        assert_eq!(
            (count(Kind::Connect), count(Kind::Accept), count(Kind::Data), count(Kind::Close)),
            (1, 1, 2, 2)
        );
    }
    probe.end();
}

#[test]
fn a_port_is_a_tcp_port() {
    for mode in BOTH {
        let number = free_port().expect("a port");
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, port(probe.pid(), number));
        let fd = rig.call(&mut probe, &format!("udp 127.0.0.1:0 127.0.0.1:{number}"));
        probe.call(&format!("write {fd} 10"));
        assert_eq!(rig.of(Kind::Data).len(), 0, "{mode:?}: datagrams are no stream");
        probe.end();
    }
}

#[test]
fn a_refused_connection_is_seen() {
    for mode in BOTH {
        let number = free_port().expect("a port");
        let mut probe = Probe::start();
        let mut rig = Rig::new(mode, port(probe.pid(), number));
        let refused = -i64::from(libc::ECONNREFUSED);
        rig.expect(&mut probe, &format!("connect 127.0.0.1:{number}"), refused);
        let seen = rig.one(Kind::Connect);
        check_call(&seen, &probe, Call::Connect, refused);
        let Body::Connect { address } = &seen.capture.body else { panic!("{seen:#?}") };
        assert_eq!(socket_address(address), Some(([127, 0, 0, 1], number).into()), "{mode:?}");
        probe.end();
    }
}

#[test]
fn a_connection_lasts_until_its_last_descriptor_is_closed() {
    let left = |commands: &[&str], more: &[&str]| {
        let number = free_port().expect("a port");
        let mut probe = Probe::start();
        let (pid, broker) = (probe.pid().to_string(), format!("mqtt:{number}"));
        let tracer = Tracer::start(&[&["--pid", &pid, "--broker", &broker], more].concat());
        let Pair { client, .. } = Pair::unseen(&mut probe, &format!("127.0.0.1:{number}"));
        for command in commands {
            let command = command.replace("FD", &client.to_string());
            assert!(probe.call(&command) >= 0, "{command}");
        }
        let left = tracer.stop().count("connections");
        probe.end();
        left
    };
    for more in [&[][..], &["--no-btf"]] {
        assert_eq!(left(&["dup3 FD 90", "close FD"], more), 2, "{more:?}: open by another number");
        assert_eq!(left(&["dup3 FD 90", "close FD", "close 90"], more), 1, "{more:?}: closed");
    }
}
