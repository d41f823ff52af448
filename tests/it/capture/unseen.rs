//! Bytes that no system call shows: a gap with its length, after which positions go on.

use iotrail::kernel::selection::Selection;
use iotrail::model::capture::{Body, Position, Target};
use iotrail::model::net::Direction;
use tracer_common::call::Call;
use tracer_common::record::Kind;
use tracer_tests::broker::free_port;
use tracer_tests::instrument::Line;
use tracer_tests::probe::pattern;

use super::probe::Probe;
use super::rig::{BOTH, Mode, Rig, Seen, check_call, device, port};
use super::sockets::Pair;

fn gap(seen: &Seen) -> (Direction, Position, u64) {
    let Body::Unseen { direction, position, length, .. } = seen.capture.body else { panic!("{seen:#?}") };
    assert!(seen.payload.is_empty());
    (direction, position, length)
}

fn after(position: Position, by: u32) -> Position {
    match position {
        Position::Sequence(at) => Position::Sequence(at.wrapping_add(by)),
        other => other,
    }
}

fn sequence(seen: &Seen) -> Position {
    let Body::Data { position, .. } = seen.capture.body else { panic!("{seen:#?}") };
    position
}

#[test]
fn sendfile_and_splice_are_gaps_of_known_length() {
    for mode in BOTH {
        gaps(mode);
    }
}

fn gaps(mode: Mode) {
    let number = free_port().expect("a port");
    let mut probe = Probe::start();
    let Pair { client, server } = Pair::unseen(&mut probe, &format!("127.0.0.1:{number}"));
    let file = probe.call("file 1000");
    let pipe = probe.numbers("pipe");
    let mut rig = Rig::new(mode, port(probe.pid(), number));

    rig.expect(&mut probe, &format!("write {client} 10"), 10);
    let start = sequence(&rig.one(Kind::Data));
    assert_eq!(matches!(start, Position::Sequence(_)), mode.btf);
    rig.expect(&mut probe, &format!("sendfile {client} {file} 500"), 500);
    let seen = rig.one(Kind::Data);
    check_call(&seen, &probe, Call::Sendfile, 500);
    assert_eq!(gap(&seen), (Direction::Outward, after(start, 10), 500), "{mode:?}");
    rig.expect(&mut probe, &format!("write {client} 20"), 20);
    assert_eq!(sequence(&rig.one(Kind::Data)), after(start, 510), "{mode:?}: positions go on");

    // Out of the socket, into a pipe, and from a pipe into the socket.
    rig.expect(&mut probe, &format!("splice {server} {} 530", pipe[2]), 530);
    let seen = rig.one(Kind::Data);
    check_call(&seen, &probe, Call::Splice, 530);
    assert_eq!(gap(&seen), (Direction::Inward, start, 530), "{mode:?}");
    rig.expect(&mut probe, &format!("splice {} {client} 300", pipe[1]), 300);
    assert_eq!(gap(&rig.one(Kind::Data)), (Direction::Outward, after(start, 530), 300), "{mode:?}");
    rig.expect(&mut probe, &format!("read {server} 1000"), 300);
    assert_eq!(sequence(&rig.one(Kind::Data)), after(start, 530), "{mode:?}");
    probe.end();
}

/// What packets show of a probe's pattern, by distance from `start`.
fn packets(seen: &[Seen], start: u32) -> Vec<(u32, Vec<u8>)> {
    let packets = seen.iter().filter(|seen| seen.kind() == Kind::Packet).map(|seen| {
        let Body::Packet { position: Position::Sequence(at), payload } = &seen.capture.body else {
            panic!("{seen:#?}")
        };
        assert_eq!((payload.size, payload.captured.len()), (seen.payload.len() as u64, seen.payload.len()));
        (at.wrapping_sub(start), payload.captured.to_vec())
    });
    packets.collect()
}

#[test]
fn packets_show_what_the_calls_do_not_and_nothing_else() {
    for address in ["127.0.0.1", "[::1]"] {
        let number = free_port().expect("a port");
        let mut probe = Probe::start();
        let Pair { client, server } = Pair::unseen(&mut probe, &format!("{address}:{number}"));
        let file = probe.call("file 100000");
        let mut rig = Rig::new(super::rig::RAW, port(probe.pid(), number));
        // Before the first such call nobody looks at packets.
        rig.expect(&mut probe, &format!("write {client} 10"), 10);
        let seen = rig.one(Kind::Data);
        let Position::Sequence(start) = sequence(&seen) else { panic!("no position: {seen:#?}") };

        rig.expect(&mut probe, &format!("sendfile {client} {file} 50000"), 50_000);
        let seen = rig.take();
        let call = seen.iter().find(|seen| seen.kind() == Kind::Data).expect("the call");
        assert!(matches!(call.capture.body, Body::Unseen { length: 50_000, follows: true, .. }), "{call:#?}");
        let mut bytes = Vec::new();
        for (at, packet) in packets(&seen, start) {
            assert_eq!(at as usize, 10 + bytes.len(), "packets follow each other");
            assert!(packet.len() <= 4096);
            bytes.extend(packet);
        }
        assert!(bytes == pattern(50_000), "{address}: {} bytes, or other ones", bytes.len());
        for packet in seen.iter().filter(|seen| seen.kind() == Kind::Packet) {
            let (header, call) = (&packet.header, &call.header);
            assert_eq!(
                (header.tgid, header.tid, header.fd, header.sock),
                (call.tgid, call.tid, call.fd, call.sock)
            );
            assert!(header.enter_ns == call.enter_ns && header.exit_ns >= call.enter_ns);
        }

        // What calls show is not copied again, nor what goes the other way.
        rig.expect(&mut probe, &format!("write {client} 1000"), 1000);
        rig.expect(&mut probe, &format!("write {server} 1000"), 1000);
        assert_eq!(packets(&rig.take(), start), []);
        rig.expect(&mut probe, &format!("sendfile {client} {file} 7"), 7);
        let small = packets(&rig.take(), start);
        assert_eq!(small.iter().map(|(at, bytes)| (*at, bytes.len())).collect::<Vec<_>>(), [(51_010, 7)]);
        for name in ["egress_ring_full", "egress_unreadable", "egress_full", "egress_cut"] {
            assert_eq!(rig.count(name), 0, "{name}");
        }
        probe.end();
    }
}

#[test]
fn a_device_is_spliced_as_well() {
    for mode in BOTH {
        let mut probe = Probe::start();
        let file = probe.call("file 1000");
        let mut rig = Rig::new(mode, device(probe.pid(), "/dev/null"));
        let null = rig.call(&mut probe, &format!("openat /dev/null {}", libc::O_WRONLY));
        rig.take();
        rig.expect(&mut probe, &format!("sendfile {null} {file} 100"), 100);
        let seen = rig.one(Kind::Data);
        assert_eq!(gap(&seen), (Direction::Outward, Position::Unknown, 100), "{mode:?}");
        assert!(matches!(seen.capture.target, Target::Device(_)));
        probe.end();
    }
}

#[test]
fn of_two_selected_ends_the_one_that_is_written_is_named() {
    let number = free_port().expect("a port");
    let line = Line::open().expect("a line");
    let mut probe = Probe::start();
    let Pair { client, .. } = Pair::unseen(&mut probe, &format!("127.0.0.1:{number}"));
    let pid = probe.pid();
    let selection = Selection { ports: [number].into(), ..device(pid, &line.path) };
    let mut rig = Rig::new(super::rig::RAW, selection);
    // From a file that nobody selected: nothing is left out.
    let file = probe.call("file 10");
    rig.expect(&mut probe, &format!("sendfile {client} {file} 10"), 10);
    assert!(matches!(rig.one(Kind::Data).capture.target, Target::Socket(_)));
    // A failure is an error record.
    rig.expect(&mut probe, &format!("sendfile {client} 1000000 10"), -i64::from(libc::EBADF));
    check_call(&rig.one(Kind::Data), &probe, Call::Sendfile, -i64::from(libc::EBADF));
    probe.end();
}
