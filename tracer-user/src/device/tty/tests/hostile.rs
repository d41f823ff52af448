//! Random and hostile bytes for every protocol: nothing panics, nothing is lost, what is kept is bounded, and the order
//! of the table alone decides.

use crate::device::buffer::KEPT;
use crate::device::tests::{PROCESS, data, device};
use crate::device::tty::protocol::{Asked, Extent, PROTOCOLS, Past, event, find_frame, recognise};
use crate::device::{Devices, Settings};
use crate::model::payload::Payload;
use crate::model::time::Timestamp;
use proptest::prelude::*;
use tracer_common::call::Call;

/// Bits of every protocol, whole and broken.
const BITS: &[&[u8]] = &[
    b"\x11\x03\x00\x6b\x00\x03\x76\x87",
    b"\x11\x03\x06\xae\x41\x56\x52\x43\x40\x49\xad",
    b"\x11\x05\x00\xac\xff\x00\x4e\x8b",
    b"\x11\x83\x02\xc1\x34",
    b"\x11\x41\x01\xd0\x55",
    b"\x11\x2b\x0e",
    b"\x00\x10\x00\x01\xff\xff\xff",
    b"\x01\x18\xff\xff",
    b":1103006B00037E\r\n",
    b":11",
    b"$PMTK605*31\r\n",
    b"$HCHDG,101.1,,,7.1,W*3C\r\n",
    b"!AIVDM,",
    b"$GPGGA",
    b"*7",
    b"\\",
    b"N3 T0*57\n",
    b"M105\n",
    b"?",
    b"ok\n",
    b"T:20.1 /0.0\n",
    b"<Idle|MPos:0.000>\r\n",
    b"echo:busy: processing\n",
    b"ALARM:1\r\n",
    b"AT+CMGS=1\r",
    b"\r\n> ",
    b"\x1a",
    b"\r\nRING\r\n",
    b"+CMTI: 1\r\n",
    b"\r\nOK\r\n",
    b"V?;C?\n",
    b"#13abc",
    b"#9999999999",
    b"#0",
    b"\n",
    b"\r",
    b"\xff\xfe",
];

/// Bytes that are like those of the protocols.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let bit = prop_oneof![
        4 => proptest::sample::select(BITS).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(bit, 0..8).prop_map(|bits| bits.concat())
}

fn past() -> impl Strategy<Value = Past> {
    let spoken = proptest::sample::select(
        &[None, Some("modbus"), Some("nmea"), Some("gcode"), Some("gcode of grbl"), Some("at")][..],
    );
    (spoken, proptest::option::of(bytes()), proptest::option::of(any::<bool>()))
        .prop_map(|(spoken, heard, echoes)| Past { spoken, heard, echoes, reset: false })
}

/// Where the answer ends in the end: what a session does with a reply that comes whole.
fn settle(asked: Asked<'_>, place: usize, reply: &[u8]) -> Extent {
    PROTOCOLS[place].extent(asked, reply, 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn every_protocol_stands_anything(request in bytes(), reply in bytes(), past in past(), seen in 0..64_usize) {
        let asked = Asked { request: &request, past: &past, cut: false };
        for protocol in PROTOCOLS {
            let _ = protocol.command(asked).map(|known| known.name);
            let _ = protocol.is_whole(asked);
            match protocol.extent(asked, &reply, seen.min(reply.len())) {
                Extent::Done(length) => prop_assert!(length <= reply.len()),
                Extent::Foreign(part) => prop_assert!(part.start < part.end && part.end <= reply.len()),
                _ => {}
            }
            let verdict = protocol.verdict(asked, Some(&reply));
            for (_, value) in &verdict.args {
                if let crate::model::command::Value::Text(text) = value {
                    prop_assert!(text.len() <= 64);
                }
            }
            if let Some((kind, _)) = verdict.error {
                prop_assert!(kind.len() <= 40 && kind.is_ascii());
            }
            let _ = protocol.event(&reply, &past);
        }
        let _ = event(&reply, &past);
        if let Some(frame) = find_frame(&reply, &past) {
            prop_assert!(frame.start < frame.end && frame.end <= reply.len());
        }
        let (_, _, known) = recognise(asked, 0);
        prop_assert!(!known.name.is_empty() && known.name.len() <= 40 && known.name.is_ascii());
    }

    #[test]
    fn what_decides_is_the_shortest_beginning(request in bytes(), reply in bytes(), past in past()) {
        let asked = Asked { request: &request, past: &past, cut: false };
        let (place, _, _) = recognise(asked, 0);
        prop_assume!(place < PROTOCOLS.len());
        // The first beginning that decides anything.
        let decides = |extent: &Extent| matches!(extent, Extent::Done(_) | Extent::Foreign(_) | Extent::Wrong);
        let first = (1..=reply.len()).map(|end| settle(asked, place, &reply[..end])).find(decides);
        let whole = settle(asked, place, &reply);
        if let Some(first) = first.filter(|_| !reply.is_empty()) {
            prop_assert_eq!(first, whole);
        }
    }

    #[test]
    fn a_line_loses_nothing(steps in proptest::collection::vec((any::<bool>(), bytes(), 0..200_000_u64), 0..24)) {
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        let tty = device("tty");
        let (mut now, mut moved) = (0, 0);
        for (writes, bytes, pause) in steps {
            now += pause + 1;
            moved += bytes.len() as u64;
            let call = if writes { Call::Write } else { Call::Read };
            let size = bytes.len() as u64;
            devices.feed(&data(call, (now, now), size as i64, &bytes, size), PROCESS, &tty, &mut out);
            // Requests that are written ahead, one that is answered beside them, and held input.
            prop_assert!(devices.open() <= 512 + 32);
        }
        devices.tick(Timestamp(500_000_000_000), &mut out);
        prop_assert_eq!(devices.open(), 0);
        let sum = |payload: &Payload| payload.size;
        let shown: u64 =
            out.iter().map(|one| sum(&one.request) + one.reply.as_ref().map_or(0, sum)).sum();
        prop_assert_eq!(shown + devices.counts().blank_bytes, moved);
        let mut serials: Vec<u64> = out.iter().map(|one| one.serial).collect();
        serials.sort_unstable();
        prop_assert!(serials.is_sorted_by(|low, high| low < high));
    }
}

#[test]
fn what_is_kept_of_an_endless_stream_is_bounded() {
    for request in [
        &b"G28\n"[..],
        b"M109 S200\n",
        b"\x11\x03\x00\x6b\x00\x03\x76\x87",
        b"AT+CSQ\r",
        b"$PMTK605*31\r\n",
        b"V?\n",
        b"?",
    ] {
        let mut devices = Devices::new(Settings::default());
        let mut out = Vec::new();
        let tty = device("tty");
        let size = request.len() as u64;
        devices.feed(&data(Call::Write, (0, 1), size as i64, request, size), PROCESS, &tty, &mut out);
        let chunk = [b'x'; 1024];
        for index in 0..200_u64 {
            let at = 10 + index * 10_000;
            devices.feed(&data(Call::Read, (at, at), 1024, &chunk, 1024), PROCESS, &tty, &mut out);
        }
        devices.process_gone(PROCESS, Timestamp(2_100_000_000), &mut out);
        let longest = out
            .iter()
            .flat_map(|one| [Some(&one.request), one.reply.as_ref()].into_iter().flatten())
            .map(|payload| payload.captured.len())
            .max();
        assert!(longest.is_some_and(|longest| longest <= KEPT), "{request:?}: {longest:?}");
    }
}
