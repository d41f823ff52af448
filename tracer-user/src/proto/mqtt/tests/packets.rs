//! Packet by packet: what is accepted, what it means, and what other protocols look like.

use proptest::prelude::*;

use super::super::*;
use super::CONNECT;
use crate::model::net::{Direction, Role, SocketEnd};
use crate::model::op::Place;
use crate::model::process::ProcessKey;
use crate::proto::testing::{Bench, hex, meaning};
use crate::proto::{Memory, Origin, Shortfall};

/// What the loop makes of one packet at a boundary.
pub(super) fn judge(level: Level, packet: &str, to_server: bool) -> String {
    let bytes = hex(packet);
    let mut mqtt = Mqtt { level, ..Mqtt::default() };
    match mqtt.frame(&bytes[..bytes.len().min(HEAD)], Some(to_server), Trust::Follow) {
        Outcome::Frame(header) if header.len == bytes.len() as u64 => {}
        other => return format!("{other:?}"),
    }
    let mut bench = Bench::client();
    let direction = if to_server { Direction::Outward } else { Direction::Inward };
    let chunk = bench.chunk(direction, &bytes);
    let origin = Origin {
        system: System::Mqtt,
        process: ProcessKey { pid: 1, generation: 1 },
        socket: SocketEnd::unknown(),
        viewpoint: Role::Client,
    };
    let (memory, shortfall) = (Memory::default(), Shortfall::default());
    let view = FrameView {
        bytes: chunk.payload.captured,
        len: chunk.payload.size,
        to_server,
        follows: true,
        place: Place {
            connection: origin.socket.connection(),
            to_server,
            start: 0,
            length: 0,
            exact: true,
            part: 0,
        },
        at: chunk.at,
        last_enter: chunk.at.start,
        tid: 1,
        origin: &origin,
        memory: &memory,
        shortfall: &shortfall,
    };
    let mut out = Vec::new();
    match mqtt.fold(view, &mut out) {
        Ok(()) if out.is_empty() => "no op".into(),
        Ok(()) => meaning(&out[0].kind),
        Err(unusable) => {
            assert!(out.is_empty(), "an unusable frame made an op");
            format!("{unusable:?}")
        }
    }
}

#[test]
fn each_packet_and_its_malformations() {
    let cases = [
        ("> 10 0c 0004 'MQTT' 04 02 0000 0000", "connect"),
        ("> 10 0c 0004 'MQTX' 04 02 0000 0000", "Invalid"),
        ("> 10 0c 0004 'MQTT' 06 02 0000 0000", "Malformed"),
        ("> 10 0c 0004 'MQTT' 04 03 0000 0000", "Malformed"),
        ("> 10 0c 0004 'MQTT' 04 42 0000 0000", "Malformed"),
        ("> 10 0c 0004 'MQTT' 04 1a 0000 0000", "Malformed"),
        ("> 10 0c 0004 'MQTT' 04 0a 0000 0000", "Malformed"),
        ("> 10 0c 0004 'MQTT' 04 02 0000 0001", "Malformed"),
        ("> 10 0d 0004 'MQTT' 04 02 0000 0001 ff", "Malformed"),
        ("> 10 0b 0004 'MQTT' 04 02 0000 00", "Invalid"),
        ("> 11 0c 0004 'MQTT' 04 02 0000 0000", "Invalid"),
        ("> 10 12 0004 'MQTT' 04 06 0000 0000 0001 '+' 0001 'x'", "Malformed"),
        ("< 10 0c 0004 'MQTT' 04 02 0000 0000", "Invalid"),
        ("< 20 02 00 00", "connected"),
        ("< 20 02 01 00", "connected"),
        ("< 20 02 00 01", "connected error=unsupported_protocol_version"),
        ("< 20 02 00 02", "connected error=client_identifier_not_valid"),
        ("< 20 02 00 03", "connected error=server_unavailable"),
        ("< 20 02 00 04", "connected error=bad_user_name_or_password"),
        ("< 20 02 00 05", "connected error=not_authorized"),
        ("< 20 02 00 06", "Malformed"),
        ("< 20 02 02 00", "Malformed"),
        ("< 20 02 01 05", "Malformed"),
        ("< 20 03 00 00 00", "Invalid"),
        ("> 20 02 00 00", "Invalid"),
        ("> 30 03 0001 't'", "publish t b\"\" 0/0"),
        ("< 30 04 0001 't' 'x'", "deliver t b\"x\" 1/1"),
        ("> 38 03 0001 't'", "publish t again b\"\" 0/0"),
        ("> 36 05 0001 't' 0001", "Invalid"),
        ("> 30 03 0002 't'", "Invalid"),
        ("> 32 05 0002 't' 0001", "Invalid"),
        ("> 32 05 0001 't' 0000", "Malformed"),
        ("> 30 03 0001 '+'", "Malformed"),
        ("> 30 05 0003 'a/#'", "Malformed"),
        ("> 30 03 0001 ff", "Malformed"),
        ("> 30 03 0001 00", "Malformed"),
        ("> 30 03 0000 'x'", "Malformed"),
        ("> 30 02 0000", "Invalid"),
        ("> 30 ff ff ff ff 01", "Invalid"),
        ("> 40 02 0001", "ack [1]"),
        ("< 40 02 0001", "settled 1"),
        ("< 40 02 0000", "Malformed"),
        ("< 40 03 0001 00", "Invalid"),
        ("< 42 02 0001", "Invalid"),
        ("> 50 02 0001", "no op"),
        ("< 50 02 0001", "no op"),
        ("> 62 02 0001", "no op"),
        ("> 60 02 0001", "Invalid"),
        ("< 62 02 0001", "no op"),
        ("> 70 02 0001", "ack [1]"),
        ("< 70 02 0001", "settled 1"),
        ("> 82 06 0001 0001 'x' 00", "subscribe [\"x\"]"),
        ("> 82 06 0001 0001 'x' 03", "Malformed"),
        ("> 82 06 0001 0001 'x' 04", "Malformed"),
        ("> 82 06 0000 0001 'x' 00", "Malformed"),
        ("> 82 06 0001 0000 00 00", "Malformed"),
        ("> 82 08 0001 0001 'x' 00 0001", "Malformed"),
        ("> 82 02 0001", "Invalid"),
        ("> 80 06 0001 0001 'x' 00", "Invalid"),
        ("< 82 06 0001 0001 'x' 00", "Invalid"),
        ("< 90 03 0001 02", "no op"),
        ("< 90 04 0001 00 80", "error subscribe_refused"),
        ("< 90 03 0001 03", "Malformed"),
        ("< 90 02 0001", "Invalid"),
        ("> a2 05 0001 0001 'x'", "no op"),
        ("> a2 05 0001 0000 'x'", "Malformed"),
        ("< b0 02 0001", "no op"),
        ("> c0 00", "no op"),
        ("< c0 00", "Invalid"),
        ("> c0 01 00", "Invalid"),
        ("< d0 00", "no op"),
        ("> d0 00", "Invalid"),
        ("> e0 00", "disconnect clean=true"),
        ("< e0 00", "Invalid"),
        ("> e0 01 00", "Invalid"),
        ("> f0 00", "Invalid"),
        ("> 00 00", "Invalid"),
    ];
    for (packet, expected) in cases {
        let (way, bytes) = packet.split_at(1);
        assert_eq!(judge(Level::Three, bytes, way == ">"), expected, "{packet}");
    }
}

#[test]
fn lengths_of_every_size() {
    // Section 2.2.3, table 2.4.
    for (length, expected) in [
        ("7f", 127u64),
        ("80 01", 128),
        ("ff 7f", 16_383),
        ("80 80 01", 16_384),
        ("ff ff 7f", 2_097_151),
        ("80 80 80 01", 2_097_152),
        ("ff ff ff 7f", 268_435_455),
    ] {
        let bytes = hex(&format!("30 {length} 0001 't'"));
        let header = match frame(&bytes, Level::Three, Some(true), Trust::Search) {
            Outcome::Frame(header) => header,
            other => panic!("{length}: {other:?}"),
        };
        assert_eq!(header.len, expected + bytes.len() as u64 - 3 - 1 + 1, "{length}");
    }
    // Longer than need be: brokers take it, a search does not.
    let bytes = hex("30 83 00 0001 't'");
    assert!(matches!(frame(&bytes, Level::Three, None, Trust::Follow), Outcome::Frame(h) if h.len == 6));
    assert_eq!(frame(&bytes, Level::Three, None, Trust::Search), Outcome::Invalid);
}

#[test]
fn other_protocols_are_not_taken_for_mqtt() {
    for text in [
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\n",
        "PING\r\n",
        "PUB a 1\r\nx\r\n",
        "SUB a 1\r\n",
        "INFO {}\r\n",
        "CONNECT {\"verbose\":false}\r\n",
        "+OK\r\n",
        ":1000\r\n",
        "*3\r\n$3\r\nSET\r\n",
        "$5\r\nhello\r\n",
        "AMQP\0\0\x09\x01",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
        "\0\0\0\x23\0\x12\0\x04",
    ] {
        assert_eq!(detect(text.as_bytes(), false), Score::No, "{text:?}");
    }
    assert_eq!(detect(&hex(CONNECT), false), Score::Sure);
    assert_eq!(detect(&hex("10"), false), Score::Possible);
    assert_eq!(detect(&hex("30 04 0001 't' 'x'"), false), Score::Possible);
    assert_eq!(detect(b"{\"middle\":1}", true), Score::Hinted);
}

proptest! {
    #[test]
    fn the_sieve_finds_what_is_there(
        junk in prop::collection::vec(any::<u8>(), 0..50),
        topic in "[a-z/]{1,20}",
    ) {
        let mut bytes = junk.clone();
        bytes.extend([0x30, topic.len() as u8 + 2, 0, topic.len() as u8]);
        bytes.extend(topic.as_bytes());
        let found = resync(&bytes, 0).expect("a frame is there");
        prop_assert!(found <= junk.len());
        prop_assert_eq!(resync(&bytes, junk.len()), Some(junk.len()));
    }

    #[test]
    fn frame_and_fold_agree_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for level in [Level::Unknown, Level::Three, Level::Five] {
            for trust in [Trust::Follow, Trust::Search] {
                if let Outcome::Frame(header) = frame(&bytes, level, None, trust) {
                    prop_assert!(header.len >= 2);
                    prop_assert!(header.weight <= Header::SIGNATURE);
                }
            }
            if let Ok(fixed) = Fixed::read(&bytes, level)
                && let Ok((packet, _)) = Packet::read(&bytes, &fixed, level)
                && let Packet::Publish(publish) = packet
            {
                prop_assert!(publish.body as u64 <= fixed.len());
            }
        }
    }
}
