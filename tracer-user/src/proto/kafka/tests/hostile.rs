//! What nobody should send.

use proptest::prelude::*;

use super::build::{batch, fetch, fetched, gzip, produce, record, request, response, string};
use crate::model::net::{Direction, Role};
use crate::model::op::{OpKind, System};
use crate::proto::testing::{Bench, recording};
use crate::proto::{Score, table};

const RECORDS: usize = super::super::records::RECORDS_A_FRAME as usize;

fn bench() -> Bench {
    let mut bench = Bench::of(System::Kafka, Some(Role::Client), true, true);
    bench.capture = usize::MAX;
    bench.put(&request(18, 0, 0, &[]));
    bench.ops.clear();
    bench
}

#[test]
fn counts_that_nobody_can_mean() {
    // More records than bytes.
    let mut bench = bench();
    bench.put(&produce(5, -1, &batch(0, 0, i32::MAX - 1, i32::MAX, &record(0, None, b"x"))));
    assert_eq!((bench.ops.len(), bench.connection.counts().invalid), (0, 1));
    // Where they are compressed nobody knows: so many are told, the rest is counted.
    bench.put(&produce(6, -1, &batch(0, 1, i32::MAX - 1, i32::MAX, &gzip(&record(0, None, b"x")))));
    assert_eq!(bench.ops.len(), RECORDS);
    assert_eq!(bench.connection.counts().over_messages, i32::MAX as u64 - RECORDS as u64);
    // Markers are no messages, however many there are said to be.
    bench.put(&produce(6, -1, &batch(0, 0x21, i32::MAX - 1, i32::MAX, &gzip(&record(0, None, b"x")))));
    assert_eq!(bench.ops.len(), RECORDS);
    // Less than nothing, and more records than offsets.
    for (last, count) in [(-1, 1), (0, -1), (0, 2)] {
        let invalid = bench.connection.counts().invalid;
        bench.put(&produce(
            7,
            -1,
            &batch(0, 0, last, count, &[record(0, None, b"x"), record(0, None, b"x")].concat()),
        ));
        assert_eq!((bench.ops.len(), bench.connection.counts().invalid), (RECORDS, invalid + 1));
    }
}

#[test]
fn bombs_stay_closed() {
    let mut bench = bench();
    let records = [record(0, None, &vec![0; 40 << 20]), record(1, None, b"behind it")].concat();
    bench.put(&produce(5, -1, &batch(0, 1, 1, 2, &gzip(&records))));
    let kept: Vec<_> = bench
        .ops
        .iter()
        .map(|op| match &op.kind {
            OpKind::Publish(message) => (message.body.captured.len() >> 20, message.body.size >> 20),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kept, [(7, 40), (0, 0)]);
    assert_eq!(bench.connection.counts().over_bodies, 2);
    // Each of many is small, together they are great.
    let ten = batch(0, 1, 0, 1, &gzip(&record(0, None, &vec![0; 3 << 20])));
    bench.put(&fetch(6, 0)).get(&fetched(6, &[], &ten.repeat(10)));
    assert_eq!(bench.connection.counts().over_bodies, 2 + 8);
}

#[test]
fn a_flood_of_tiny_records_is_told_in_part() {
    let mut bench = bench();
    let count = 40_000;
    let records: Vec<u8> = (0..count).flat_map(|delta| record(delta, None, b"")).collect();
    bench.put(&fetch(5, 0)).get(&fetched(5, &[], &batch(0, 0, count as i32 - 1, count as i32, &records)));
    // And the one that tells how many they were.
    assert_eq!(bench.ops.len(), RECORDS + 1);
    assert_eq!(bench.connection.counts().over_messages, count as u64 - RECORDS as u64);
}

#[test]
fn an_answer_counts_once() {
    let mut bench = bench();
    bench.put(&produce(5, -1, &batch(0, 0, 0, 1, &record(0, None, b"x"))));
    // A thousand times the same partition.
    let one = [&0i32.to_be_bytes()[..], &[0; 2], &[0; 8], &[0; 8]].concat();
    let head = [&1i32.to_be_bytes()[..], &string("t"), &1000i32.to_be_bytes()].concat();
    bench.get(&response(5, &[head, one.repeat(1000), vec![0; 4]].concat()));
    assert_eq!(bench.ops.len(), 2);
}

#[test]
fn others_are_not_taken_for_kafka() {
    let kafka = table().iter().find(|row| row.system == System::Kafka).expect("it is there");
    for head in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PUT /x HTTP/1.1\r\nHost: y\r\n\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"*1\r\n$4\r\nPING\r\n",
        b"CONNECT {\"verbose\":false}\r\n",
        b"\x10\x10\x00\x04MQTT\x04\x02\x00<\x00\x04dev1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        // PostgreSQL's start has a length, too.
        b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00postgres\x00database\x00x\x00",
        &[0; 64],
    ] {
        assert_eq!((kafka.detect)(head, false), Score::No, "{head:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// A true conversation with some bytes changed: no panic, bounded, and the same however it is cut.
    #[test]
    fn changed_bytes_are_survived(
        which in 0usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        step in 1usize..2000,
    ) {
        let text = [
            include_str!("../recordings/librdkafka_produce.txt"),
            include_str!("../recordings/java_classic.1.txt"),
            include_str!("../recordings/librdkafka_read_committed.txt"),
            include_str!("../recordings/java_session.2.txt"),
            include_str!("../recordings/java_share.2.txt"),
            include_str!("../recordings/java_copy.2.txt"),
        ][which];
        let mut calls = recording(text);
        for (call, byte, value) in changes {
            let index = call.index(calls.len());
            let bytes = &mut calls[index].1;
            let at = byte.index(bytes.len());
            bytes[at] = value;
        }
        let mut bench = Bench::of(System::Kafka, Some(Role::Client), true, true);
        bench.capture = usize::MAX;
        for (to_server, bytes) in &calls {
            for piece in bytes.chunks(step) {
                bench.call(if *to_server { Direction::Outward } else { Direction::Inward }, piece);
            }
        }
        bench.wait().close();
        prop_assert!(bench.ops.len() <= RECORDS * 4);
    }

    /// Garbage makes no op.
    #[test]
    fn noise_means_nothing(
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..400)), 0..40),
    ) {
        let mut bench = Bench::of(System::Kafka, Some(Role::Client), true, false);
        for (inward, bytes) in chunks {
            bench.call(if inward { Direction::Inward } else { Direction::Outward }, &bytes);
        }
        bench.wait().close();
        prop_assert!(bench.ops.is_empty(), "{:?}", bench.ops);
    }
}
