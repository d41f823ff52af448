//! From a record of the kernel side to a [`Capture`]: total, checked, pure.
//!
//! A record that makes no sense (another version's, a torn ring) is a [`DecodeError`], never a guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tracer_common::bus::Bus;
use tracer_common::call::{Abi, Call};
use tracer_common::config::SockLayout;
use tracer_common::limits::PROGRAM_BYTES;
use tracer_common::recipe::{ELEMENT, PIECE_HEADER_BYTES, PieceHeader};
use tracer_common::record::{Header, Kind, SOCK_COMMON_BYTES, Target as WireTarget, flag};
use tracer_common::tls::{Library, TIE_SHIFT, Tie};

use crate::model::capture::{Body, Capture, DeviceKind, DeviceNumber, Piece, Position, Program, Target};
use crate::model::net::{Direction, SocketEnd, Transport};
use crate::model::payload::Payload;
use crate::model::time::{Interval, Timestamp};

/// Why a record is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A kind that this version does not know.
    Kind(u16),
    /// A call that this version does not know.
    Call(u16),
}

/// Decodes records of one run.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Where socket addresses lie, `None` without BTF: sockets are then [`SocketEnd::unknown`].
    pub layout: Option<SockLayout>,
    /// Wall clock minus monotonic clock, in ns.
    pub clock_offset: u64,
}

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

impl Decoder {
    /// A monotonic time of the kernel on the wall clock.
    #[must_use]
    pub fn time(&self, monotonic_ns: u64) -> Timestamp {
        Timestamp(monotonic_ns.wrapping_add(self.clock_offset))
    }

    /// Decodes one record.
    ///
    /// # Errors
    /// The kind or the call is unknown.
    pub fn decode(&self, header: &Header, payload: Bytes) -> Result<Capture, DecodeError> {
        let kind = Kind::from_wire(header.kind).ok_or(DecodeError::Kind(header.kind))?;
        let call = match kind {
            Kind::Fork => Call::Fork,
            Kind::Exec | Kind::Program => Call::Exec,
            Kind::Exit => Call::Exit,
            _ => Call::from_wire(header.call).ok_or(DecodeError::Call(header.call))?,
        };
        let body = self.body(header, kind, payload)?;
        let start = self.time(header.enter_ns);
        Ok(Capture {
            at: Interval { start, end: self.time(header.exit_ns).max(start) },
            pid: header.tgid,
            tid: header.tid,
            comm: header.comm,
            call,
            abi: if header.abi == Abi::Compat as u8 { Abi::Compat } else { Abi::Native },
            fd: header.fd,
            target: self.target(header),
            inode: header.inode,
            result: header.result,
            restarted: header.flags & flag::RESTARTED != 0,
            direct: header.flags & flag::DIRECT != 0,
            body,
        })
    }

    fn body(&self, header: &Header, kind: Kind, payload: Bytes) -> Result<Body, DecodeError> {
        let direction =
            if header.flags & flag::OUTWARD != 0 { Direction::Outward } else { Direction::Inward };
        let position = if header.flags & flag::OFFSET != 0 {
            Position::Offset(header.args[2])
        } else if header.flags & flag::POSITION == 0 {
            Position::Unknown
        } else if header.flags & flag::CONTESTED != 0 {
            Position::Contested(header.position as u32)
        } else {
            Position::Sequence(header.position as u32)
        };
        Ok(match kind {
            Kind::Data if header.flags & flag::UNSEEN != 0 => {
                let length = u64::try_from(header.result).unwrap_or(0);
                Body::Unseen { direction, position, length, follows: header.flags & flag::FOLLOWS != 0 }
            }
            Kind::Data => Body::Data {
                direction,
                requested: header.requested,
                position,
                peek: header.flags & flag::PEEK != 0,
                later: header.flags & flag::LATER != 0,
                payload: Payload { size: moved(header, payload.len() as u64), captured: payload },
            },
            Kind::Ioctl => {
                let (command, argument) = (header.args[0] as u32, header.args[1]);
                let (after, answered) = pieces(payload, header.args[2]);
                Body::Ioctl { command, argument, before: None, after, given: Vec::new(), answered }
            }
            Kind::IoctlEntry => {
                let (command, argument) = (header.args[0] as u32, header.args[1]);
                let (before, given) = pieces(payload, header.args[2]);
                let (before, after) = (Some(before), Bytes::new());
                Body::Ioctl { command, argument, before, after, given, answered: Vec::new() }
            }
            Kind::Open => Body::Open { path: payload, flags: header.args[0] },
            Kind::Close if header.call == Call::CloseRange as u16 => {
                Body::Close { first: header.args[0] as u32, last: header.args[1] as u32 }
            }
            Kind::Close => Body::Close { first: header.fd as u32, last: header.fd as u32 },
            Kind::Dup => Body::Dup { new_fd: header.result as i32 },
            Kind::Socket => Body::Socket { domain: header.args[0] as u32, kind: header.args[1] as u32 },
            Kind::Bind => Body::Bind { address: payload },
            Kind::Connect => Body::Connect { address: payload },
            Kind::Accept => Body::Accept { new_fd: header.result as i32 },
            Kind::Shutdown => Body::Shutdown { how: header.args[1] as u32 },
            Kind::Fork => Body::Fork { child: header.args[0] as u32 },
            Kind::Exec => Body::Exec { program: program(header, &payload) },
            Kind::Program => Body::Program { program: program(header, &payload) },
            Kind::Exit => Body::Exit { whole_process: header.args[0] != 0 },
            Kind::Aborted => Body::Aborted { command: header.args[0] as u32 },
            Kind::Waiting => Body::Waiting,
            Kind::Packet => {
                Body::Packet { position, payload: Payload { size: payload.len() as u64, captured: payload } }
            }
            Kind::Bus => {
                let [bus, amount, call] = header.args;
                let bus = Bus::from_wire(bus).ok_or(DecodeError::Kind(header.kind))?;
                Body::Bus { bus, amount, call: self.time(call) }
            }
            Kind::Tls => {
                let [session, how, _] = header.args;
                let unknown = DecodeError::Kind(header.kind);
                Body::Tls {
                    direction,
                    session,
                    library: Library::from_wire(how & 0xff).ok_or(unknown)?,
                    tie: Tie::from_wire(how >> TIE_SHIFT).ok_or(unknown)?,
                    payload: Payload { size: moved(header, payload.len() as u64), captured: payload },
                }
            }
        })
    }

    fn target(&self, header: &Header) -> Target {
        let device = |kind| {
            Target::Device(DeviceNumber { kind, major: header.rdev >> 20, minor: header.rdev & 0xf_ffff })
        };
        match header.target {
            t if t == WireTarget::Char as u8 => device(DeviceKind::Char),
            t if t == WireTarget::Block as u8 => device(DeviceKind::Block),
            t if t == WireTarget::Socket as u8 => Target::Socket(self.socket(header)),
            _ if header.sock != 0 => Target::Socket(self.socket(header)),
            _ => Target::None,
        }
    }

    fn socket(&self, header: &Header) -> SocketEnd {
        let Some(layout) = self.layout else { return SocketEnd::unknown() };
        let common = &header.sock_common;
        let identity = SocketEnd { id: header.sock, peer: header.peer, ..SocketEnd::unknown() };
        let local_port = u16_at(common, layout.num as usize);
        let remote_port = u16::from_be_bytes(bytes_at(common, layout.dport as usize));
        let namespace = u64_at(common, layout.net as usize);
        let (local, remote) = match u16_at(common, layout.family as usize) {
            AF_INET => (v4(common, layout.rcv_saddr as usize), v4(common, layout.daddr as usize)),
            AF_INET6 => (v6(common, layout.v6_rcv_saddr as usize), v6(common, layout.v6_daddr as usize)),
            AF_UNIX => return SocketEnd { transport: Transport::Unix, namespace, ..identity },
            _ => return identity,
        };
        SocketEnd {
            transport: Transport::Tcp,
            namespace,
            local: SocketAddr::new(local, local_port),
            remote: SocketAddr::new(remote, remote_port),
            ..identity
        }
    }
}

/// Takes apart what was captured of an `ioctl`: the first `length` bytes are the argument, pieces follow.
fn pieces(payload: Bytes, length: u64) -> (Bytes, Vec<Piece>) {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(payload.len());
    let argument = payload.slice(..length);
    let mut pieces = Vec::new();
    let mut at = length.next_multiple_of(8);
    // A piece has at least a header, so there are no more of them than the payload has room for.
    while let Some(header) = payload.get(at..).and_then(PieceHeader::read_from) {
        let start = at + PIECE_HEADER_BYTES;
        let end = start.saturating_add(header.captured as usize).min(payload.len());
        let captured = payload.slice(start..end);
        pieces.push(Piece {
            element: header.element,
            buffer: (header.part != ELEMENT).then_some(header.part),
            payload: Payload { size: header.wanted.max(captured.len() as u64), captured },
        });
        at = end.next_multiple_of(8);
    }
    (argument, pieces)
}

/// Takes apart what a program was started with: the name of its file, its arguments, its environment.
fn program(header: &Header, payload: &Bytes) -> Program {
    let at = |length: u64| usize::try_from(length).unwrap_or(usize::MAX).min(payload.len());
    let file = at(header.args[1]);
    let rest = payload.slice(file..);
    // Of one that is asked for only the arguments are known.
    let asked = header.kind == Kind::Program as u16;
    let length = if asked { u64::MAX } else { header.args[2] };
    let arguments = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    Program {
        file: payload.slice(..file.saturating_sub(1)),
        arguments: rest.slice(..arguments),
        environment: rest.slice(arguments..),
        cut: asked || rest.len() >= PROGRAM_BYTES || arguments as u64 != length,
        born: header.position,
    }
}

/// How many bytes a call moved; of one that failed, how many it offered.
fn moved(header: &Header, captured: u64) -> u64 {
    let outward = header.flags & flag::OUTWARD != 0;
    let many = header.call == Call::Sendmmsg as u16 || header.call == Call::Recvmmsg as u16;
    match u64::try_from(header.result) {
        // The result is a number of messages; what they hold is what was asked for.
        Ok(_) if many => header.requested.max(captured),
        Ok(result) => result.max(captured),
        Err(_) if outward => header.requested.max(captured),
        Err(_) => 0,
    }
}

fn v4(common: &[u8; SOCK_COMMON_BYTES], at: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(bytes_at::<4>(common, at)))
}

/// An IPv4 address in IPv6 clothes is what its other end calls by its plain name.
fn v6(common: &[u8; SOCK_COMMON_BYTES], at: usize) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bytes_at::<16>(common, at))).to_canonical()
}

fn u16_at(common: &[u8; SOCK_COMMON_BYTES], at: usize) -> u16 {
    u16::from_ne_bytes(bytes_at(common, at))
}

fn u64_at(common: &[u8; SOCK_COMMON_BYTES], at: usize) -> u64 {
    u64::from_ne_bytes(bytes_at(common, at))
}

/// `N` bytes, zeros where the layout points outside.
fn bytes_at<const N: usize>(common: &[u8; SOCK_COMMON_BYTES], at: usize) -> [u8; N] {
    common.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// The address that `connect` or `bind` was given: `struct sockaddr_in` or `sockaddr_in6`.
#[must_use]
pub fn socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    let ip = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?)),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: SockLayout = SockLayout {
        daddr: 0,
        rcv_saddr: 4,
        dport: 12,
        num: 14,
        family: 16,
        net: 48,
        v6_daddr: 56,
        v6_rcv_saddr: 72,
    };

    fn header(kind: Kind, call: Call) -> Header {
        Header { kind: kind as u16, call: call as u16, ..Header::ZERO }
    }

    fn decoder() -> Decoder {
        Decoder { layout: Some(LAYOUT), clock_offset: 1_000 }
    }

    fn socket(family: u16) -> Header {
        let mut header = header(Kind::Data, Call::Read);
        header.target = WireTarget::Socket as u8;
        header.sock = 7;
        header.sock_common[0..4].copy_from_slice(&[10, 0, 0, 2]);
        header.sock_common[4..8].copy_from_slice(&[10, 0, 0, 1]);
        header.sock_common[12..14].copy_from_slice(&1883u16.to_be_bytes());
        header.sock_common[14..16].copy_from_slice(&40000u16.to_ne_bytes());
        header.sock_common[16..18].copy_from_slice(&family.to_ne_bytes());
        header
    }

    #[test]
    fn ports_and_addresses_are_read_in_their_own_order() {
        let capture = decoder().decode(&socket(AF_INET), Bytes::new()).expect("a known kind");
        let Target::Socket(end) = capture.target else { panic!("not a socket") };
        assert_eq!(end.local, "10.0.0.1:40000".parse().expect("an address"));
        assert_eq!(end.remote, "10.0.0.2:1883".parse().expect("an address"));
        assert_eq!(end.transport, Transport::Tcp);
    }

    #[test]
    fn a_mapped_address_equals_the_plain_one_of_the_other_end() {
        let mut header = socket(AF_INET6);
        header.sock_common[56..72].copy_from_slice(&Ipv4Addr::new(127, 0, 0, 1).to_ipv6_mapped().octets());
        let capture = decoder().decode(&header, Bytes::new()).expect("a known kind");
        let Target::Socket(end) = capture.target else { panic!("not a socket") };
        assert_eq!(end.remote, "127.0.0.1:1883".parse().expect("an address"));
    }

    #[test]
    fn unknown_numbers_are_errors() {
        let mut header = header(Kind::Data, Call::Read);
        header.kind = 999;
        assert_eq!(decoder().decode(&header, Bytes::new()), Err(DecodeError::Kind(999)));
        header.kind = Kind::Data as u16;
        header.call = 998;
        assert_eq!(decoder().decode(&header, Bytes::new()), Err(DecodeError::Call(998)));
    }

    #[test]
    fn no_record_ends_before_it_began() {
        let mut header = header(Kind::Data, Call::Read);
        for (enter, exit) in [(10, 5), (10, u64::MAX - 5), (u64::MAX - 2_000, u64::MAX)] {
            (header.enter_ns, header.exit_ns) = (enter, exit);
            let at = decoder().decode(&header, Bytes::new()).expect("a known kind").at;
            assert!(at.start <= at.end, "{at:?}");
        }
    }

    #[test]
    fn a_failed_write_keeps_what_it_offered_and_a_failed_read_has_nothing() {
        let mut header = header(Kind::Data, Call::Write);
        header.flags = flag::OUTWARD;
        header.result = -5;
        header.requested = 9;
        let capture = decoder().decode(&header, Bytes::from_static(b"abc")).expect("a known kind");
        let Body::Data { payload, .. } = capture.body else { panic!("not data") };
        assert_eq!((payload.size, payload.captured.len()), (9, 3));
        header.flags = 0;
        let capture = decoder().decode(&header, Bytes::new()).expect("a known kind");
        let Body::Data { payload, .. } = capture.body else { panic!("not data") };
        assert_eq!(payload.size, 0);
    }

    #[test]
    fn what_an_argument_points_to_follows_it() {
        let mut bytes = b"argumen".to_vec();
        bytes.push(0);
        for (element, part, wanted, piece) in
            [(0u16, ELEMENT, 4u64, &b"elem"[..]), (1, 2, 300, b"12345678"), (2, 0, 9, b"")]
        {
            bytes.extend(element.to_ne_bytes());
            bytes.extend([part, 0]);
            bytes.extend((piece.len() as u32).to_ne_bytes());
            bytes.extend(wanted.to_ne_bytes());
            bytes.extend(piece);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        let mut header = header(Kind::Ioctl, Call::Ioctl);
        header.args = [7, 8, 7];
        let seen = |bytes: Vec<u8>| {
            let capture = decoder().decode(&header, bytes.into()).expect("a known kind");
            let Body::Ioctl { after, answered, .. } = capture.body else { panic!("no ioctl") };
            let pieces = answered.into_iter();
            let pieces = pieces.map(|piece| (piece.element, piece.buffer, piece.payload));
            (after, pieces.collect::<Vec<_>>())
        };
        let payload = |size, captured: &'static [u8]| Payload { size, captured: captured.into() };
        let all = [
            (0, None, payload(4, b"elem")),
            (1, Some(2), payload(300, b"12345678")),
            (2, Some(0), payload(9, b"")),
        ];
        assert_eq!(seen(bytes.clone()), (Bytes::from_static(b"argumen"), all.to_vec()));
        // Cut anywhere, what is there is there.
        for length in 0..bytes.len() {
            let (argument, pieces) = seen(bytes[..length].to_vec());
            assert_eq!(argument, b"argumen"[..length.min(7)]);
            assert!(pieces.len() <= 3);
        }
    }

    #[test]
    fn a_program_is_taken_apart_wherever_it_is_cut() {
        let bytes = b"dash\0sh\0-c\0true\0A=1\0OTEL_SERVICE_NAME=pump\0";
        let mut header = header(Kind::Exec, Call::Exec);
        (header.args, header.position) = ([0, 5, 11], 7);
        let seen = |header: &Header, bytes: &'static [u8]| {
            let capture = decoder().decode(header, Bytes::from_static(bytes)).expect("a known kind");
            let (Body::Exec { program } | Body::Program { program }) = capture.body else {
                panic!("no program")
            };
            program
        };
        let program = seen(&header, bytes);
        assert_eq!((&program.file[..], &program.arguments[..]), (&b"dash"[..], &b"sh\0-c\0true\0"[..]));
        assert_eq!((&program.environment[..], program.cut), (&b"A=1\0OTEL_SERVICE_NAME=pump\0"[..], false));
        assert_eq!(program.born, 7);
        for length in 0..bytes.len() {
            let program = seen(&header, &bytes[..length]);
            assert!(program.arguments.len() <= 11 && program.file.len() <= 4);
            assert_eq!(program.cut, length < 16);
        }
        // Asked for: a path and arguments.
        header.kind = Kind::Program as u16;
        header.args = [0, 14, 0];
        let program = seen(&header, b"/usr/bin/stty\0stty\0-F\0/dev/ttyS0\0");
        assert_eq!((&program.file[..], program.cut), (&b"/usr/bin/stty"[..], true));
        assert_eq!(&program.arguments[..], b"stty\0-F\0/dev/ttyS0\0");
        assert_eq!(seen(&header, b"").arguments.len(), 0);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut header = header(Kind::Data, Call::Read);
        (header.enter_ns, header.exit_ns) = (50, 40);
        let capture = decoder().decode(&header, Bytes::new()).expect("a known kind");
        assert_eq!((capture.at.start.0, capture.at.end.0), (1_050, 1_050));
    }

    #[test]
    fn any_header_decodes_or_is_refused() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 232..300))| {
            let header = Header::read_from(&bytes).expect("long enough");
            let _ = decoder().decode(&header, Bytes::from(bytes));
        });
    }

    #[test]
    fn addresses_of_connect() {
        let mut bytes = vec![2, 0];
        bytes.extend(1883u16.to_be_bytes());
        bytes.extend([127, 0, 0, 1]);
        assert_eq!(socket_address(&bytes), Some("127.0.0.1:1883".parse().expect("an address")));
        assert_eq!(socket_address(&bytes[..6]), None);
        assert_eq!(socket_address(&[1, 0, 0, 0]), None);
    }
}
