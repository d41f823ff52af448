//! What is fetched once more. An answer may have records and say that the log ends before them; librdkafka lets such records go
//! and asks again at once, others take them.

use super::build::{batch, fetch, fetch_as, fetched_at, record};
use crate::model::net::Role;
use crate::model::op::{OpKind, System};
use crate::proto::testing::Bench;

fn consumer() -> Bench {
    Bench::of(System::Kafka, Some(Role::Client), true, true)
}

/// Records from `base` on, a batch each.
fn records(base: i64, count: i64) -> Vec<u8> {
    (base..base + count).flat_map(|offset| batch(offset, 0, 0, 1, &record(0, None, b"x"))).collect()
}

/// Offsets that were delivered.
fn delivered(bench: &mut Bench) -> Vec<i64> {
    let position = |op| match op {
        OpKind::Deliver(message) => message.position.map(|position| position.offset),
        _ => None,
    };
    bench.ops.drain(..).filter_map(|op| position(op.kind)).collect()
}

#[test]
fn records_behind_the_end_of_the_log_are_delivered_once() {
    let mut bench = consumer();
    bench.put(&fetch(1, 1222)).get(&fetched_at(1, [1222, 1222], &[], &records(1222, 1)));
    bench.put(&fetch(2, 1222)).get(&fetched_at(2, [1224, 1224], &[], &records(1222, 2)));
    assert_eq!(delivered(&mut bench), [1222, 1223]);
    // Also if nothing more has come by then.
    bench.put(&fetch(3, 1224)).get(&fetched_at(3, [1224, 1224], &[], &records(1224, 2)));
    bench.put(&fetch(4, 1224)).get(&fetched_at(4, [1226, 1226], &[], &records(1224, 2)));
    assert_eq!(delivered(&mut bench), [1224, 1225]);
}

#[test]
fn who_takes_them_and_comes_back_gets_them_again() {
    let mut bench = consumer();
    bench.put(&fetch(1, 5)).get(&fetched_at(1, [5, 5], &[], &records(5, 1)));
    bench.put(&fetch(2, 6)).get(&fetched_at(2, [7, 7], &[], &records(6, 1)));
    bench.put(&fetch(3, 5)).get(&fetched_at(3, [7, 7], &[], &records(5, 2)));
    assert_eq!(delivered(&mut bench), [5, 6, 5, 6]);
    // A program that goes back to where it has just been, by an answer of which there was no doubt.
    bench.put(&fetch(4, 5)).get(&fetched_at(4, [7, 7], &[], &records(5, 2)));
    assert_eq!(delivered(&mut bench), [5, 6]);
}

#[test]
fn once_in_doubt_is_not_always_in_doubt() {
    let mut bench = consumer();
    bench.put(&fetch(1, 5)).get(&fetched_at(1, [5, 5], &[], &records(5, 1)));
    bench.put(&fetch(2, 5)).get(&fetched_at(2, [6, 6], &[], &records(5, 1)));
    bench.put(&fetch(3, 5)).get(&fetched_at(3, [6, 6], &[], &records(5, 1)));
    assert_eq!(delivered(&mut bench), [5, 5]);
}

#[test]
fn what_is_committed_ends_at_the_last_stable_offset() {
    for (isolation, delivered_twice) in [(0, true), (1, false)] {
        let mut bench = consumer();
        bench.put(&fetch_as(1, isolation, 5)).get(&fetched_at(1, [9, 5], &[], &records(5, 1)));
        bench.put(&fetch_as(2, isolation, 5)).get(&fetched_at(2, [9, 6], &[], &records(5, 1)));
        assert_eq!(delivered(&mut bench).len(), if delivered_twice { 2 } else { 1 });
    }
}
