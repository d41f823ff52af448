//! Share groups, by hand: what the recordings do not have.

use super::build::{batch, frame, record};
use crate::model::net::Role;
use crate::model::op::{OpKind, System};
use crate::proto::testing::{Bench, meaning};

const FETCH: i16 = 78;
const ACKNOWLEDGE: i16 = 79;
const TOPIC: [u8; 16] = [7; 16];

/// First, last, and what is to become of them.
type Batch<'a> = (i64, i64, &'a [u8]);

/// A compact length: one more than it is.
fn count(of: usize) -> u8 {
    u8::try_from(of + 1).expect("short")
}

/// A request of group `g` that settles in partition 0.
fn request(key: i16, version: i16, correlation: i32, batches: &[Batch<'_>]) -> Vec<u8> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation.to_be_bytes(), &[0, 3]].concat();
    let wait: &[u8] = if key == FETCH { &[0; 20] } else { &[] };
    let newer: &[u8] = if version >= 2 { &[0] } else { &[] };
    let mut body = [&head[..], b"rig", &[0, 2, b'g', 2, b'm'], &[0; 4], wait, newer, &[2], &TOPIC].concat();
    body.extend([&[2][..], &[0; 4], &[count(batches.len())]].concat());
    for (first, last, kinds) in batches {
        let ends = [first.to_be_bytes(), last.to_be_bytes()].concat();
        body.extend([&ends[..], &[count(kinds.len())], kinds, &[0]].concat());
    }
    body.extend([0, 0]);
    // Topics that are forgotten.
    body.extend(if key == FETCH { &[1, 0][..] } else { &[0] });
    frame(&body)
}

/// ShareFetchResponse: how the settling went, the records, and which of them were acquired how often.
fn fetched(correlation: i32, settled: i16, records: &[u8], acquired: &[(i64, i64, i16)]) -> Vec<u8> {
    let mut body =
        [&correlation.to_be_bytes()[..], &[0], &[0; 4], &[0; 2], &[0], &[0; 4], &[2], &TOPIC].concat();
    body.extend([&[2][..], &[0; 4], &[0; 2], &[0], &settled.to_be_bytes(), &[0], &[0; 8], &[0]].concat());
    let length = records.len() + 1;
    body.extend([length as u8 | 0x80, (length >> 7) as u8]);
    body.extend(records);
    body.push(count(acquired.len()));
    for (first, last, times) in acquired {
        body.extend([&first.to_be_bytes()[..], &last.to_be_bytes(), &times.to_be_bytes(), &[0]].concat());
    }
    body.extend([0, 0, 1, 0]);
    frame(&body)
}

/// ShareAcknowledgeResponse.
fn acknowledged(version: i16, correlation: i32, whole: i16, code: i16) -> Vec<u8> {
    let lock: &[u8] = if version >= 2 { &[0; 4] } else { &[] };
    let head = [&correlation.to_be_bytes()[..], &[0], &[0; 4], &whole.to_be_bytes(), &[0], lock].concat();
    let part = [&[2][..], &TOPIC, &[2], &[0; 4], &code.to_be_bytes(), &[0], &[0; 8], &[0], &[0, 0]].concat();
    frame(&[&head[..], &part, &[1, 0]].concat())
}

fn member() -> Bench {
    Bench::of(System::Kafka, Some(Role::Client), true, true)
}

fn records(offsets: std::ops::Range<i64>) -> Vec<u8> {
    offsets.flat_map(|offset| batch(offset, 0, 0, 1, &record(0, None, b"x"))).collect()
}

/// Offsets that were delivered, each with whether it was before.
fn delivered(bench: &Bench) -> Vec<(String, bool)> {
    let of = |op: &crate::model::op::Op| match &op.kind {
        OpKind::Deliver(message) => {
            Some((message.id.as_deref()?.rsplit(':').next()?.to_owned(), message.redelivered))
        }
        _ => None,
    };
    bench.ops.iter().filter_map(of).collect()
}

/// Settlements: their name, how many, and what is wrong with them.
fn settled(bench: &Bench) -> Vec<(&'static str, usize, String)> {
    let of = |op: &crate::model::op::Op| match &op.kind {
        OpKind::Settle { name, ids, error, .. } => {
            Some((*name, ids.len(), error.as_deref().unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    bench.ops.iter().filter_map(of).collect()
}

#[test]
fn what_was_not_acquired_is_not_delivered() {
    let mut bench = member();
    bench.put(&request(FETCH, 1, 1, &[])).get(&fetched(1, 0, &records(3..9), &[(7, 7, 1), (4, 5, 3)]));
    let expected = [("4", true), ("5", true), ("7", false)].map(|(offset, again)| (offset.to_owned(), again));
    assert_eq!(delivered(&bench), expected);
    assert_eq!(bench.ops.last().map(|op| meaning(&op.kind)).as_deref(), Some("received 3"));
}

#[test]
fn one_kind_for_all_or_one_for_each() {
    for version in [1, 2] {
        let mut bench = member();
        // A gap is no message, and who wants more time (4) has settled nothing.
        let batches: [Batch<'_>; 2] = [(0, 9, &[1]), (10, 15, &[1, 2, 0, 3, 4, 2])];
        bench.put(&request(ACKNOWLEDGE, version, 1, &batches)).get(&acknowledged(version, 1, 0, 0));
        let told = [("accept", 11, ""), ("release", 2, "release"), ("reject", 1, "reject")];
        assert_eq!(settled(&bench), told.map(|(name, count, error)| (name, count, error.to_owned())));
        let mut bench = member();
        bench.put(&request(FETCH, version, 1, &batches)).get(&fetched(1, 0, &[], &[]));
        assert_eq!(settled(&bench), told.map(|(name, count, error)| (name, count, error.to_owned())));
    }
}

#[test]
fn what_the_broker_does_not_take_failed() {
    // INVALID_RECORD_STATE of the partition; INVALID_SHARE_SESSION_EPOCH of the whole.
    for (whole, code, error) in [(0, 121, "INVALID_RECORD_STATE"), (123, 0, "INVALID_SHARE_SESSION_EPOCH")] {
        let mut bench = member();
        bench.put(&request(ACKNOWLEDGE, 1, 1, &[(0, 1, &[1])])).get(&acknowledged(1, 1, whole, code));
        assert_eq!(settled(&bench), [("accept", 2, error.to_owned())]);
    }
    let mut bench = member();
    bench.put(&request(FETCH, 1, 1, &[(0, 1, &[2])])).get(&fetched(1, 121, &records(2..3), &[(2, 2, 1)]));
    assert_eq!(settled(&bench), [("release", 2, "INVALID_RECORD_STATE".to_owned())]);
    assert_eq!(delivered(&bench).len(), 1);
}

#[test]
fn ranges_that_nobody_can_mean() {
    let mut bench = member();
    let endless: Vec<Batch<'_>> = vec![(0, i64::MAX, &[1]); 100];
    bench.put(&request(ACKNOWLEDGE, 1, 1, &endless)).get(&acknowledged(1, 1, 0, 0));
    assert_eq!(settled(&bench), [("accept", super::super::share::SETTLED, String::new())]);
    let gaps: Vec<Batch<'_>> = vec![(i64::MIN, i64::MAX, &[0]); 100];
    bench.put(&request(ACKNOWLEDGE, 1, 2, &gaps)).get(&acknowledged(1, 2, 0, 0));
    // Backwards.
    bench.put(&request(ACKNOWLEDGE, 1, 3, &[(9, 0, &[1])])).get(&acknowledged(1, 3, 0, 0));
    assert_eq!(settled(&bench).len(), 1);
    bench.put(&request(FETCH, 1, 4, &[])).get(&fetched(4, 0, &records(3..4), &[(9, 0, 1), (5, i64::MAX, 1)]));
    assert_eq!(delivered(&bench), []);
}
