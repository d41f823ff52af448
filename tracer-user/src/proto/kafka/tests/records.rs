//! Batches and message sets: what is delivered, what is passed over, and what is left of a part.

use expect_test::{Expect, expect};

use super::build::{
    batch, fetch, fetched, gzip, message, produce, produced, record, request, response, string,
};
use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{Bench, hex, meaning};

fn bench() -> Bench {
    let mut bench = Bench::of(System::Kafka, Some(Role::Client), true, true);
    bench.capture = usize::MAX;
    // A connection's first request.
    bench.put(&request(18, 0, 0, &[]));
    bench.ops.clear();
    bench
}

fn check(bench: &mut Bench, expected: &Expect) {
    let told: Vec<_> =
        bench.ops.drain(..).map(|op| format!("{} {}", op.place.part, meaning(&op.kind))).collect();
    expected.assert_eq(&told.join("\n"));
    let counts = bench.connection.counts();
    assert_eq!((counts.invalid, counts.resyncs), (0, 0), "{counts:?}");
}

fn three() -> Vec<u8> {
    [record(0, None, b"zero"), record(1, Some(b"k"), b"one"), record(2, None, b"two")].concat()
}

#[test]
fn answers_give_offsets_or_reasons() {
    let mut bench = bench();
    bench.put(&produce(5, -1, &batch(0, 0, 2, 3, &three()))).get(&produced(5, 0, 40));
    bench.put(&produce(6, 1, &batch(0, 0, 2, 3, &three()))).get(&produced(6, 7, -1));
    // The broker has it already, and does not know any more where.
    bench.put(&produce(7, -1, &batch(0, 0, 0, 1, &record(0, None, b"x")))).get(&produced(7, 46, -1));
    bench.put(&produce(8, 0, &batch(0, 0, 0, 1, &record(0, None, b"nobody answers"))));
    bench.put(&produce(9, -1, &batch(0, 0, 0, 1, &record(0, None, b"y")))).get(&produced(9, 0, 43));
    check(
        &mut bench,
        &expect![[r#"
        0 publish t id=21474836480 settle b"zero" 4/4
        1 publish t id=21474836481 settle b"one" 3/3
        2 publish t id=21474836482 settle b"two" 3/3
        0 settled 21474836480 given=t 0:40
        1 settled 21474836481 given=t 0:41
        2 settled 21474836482 given=t 0:42
        0 publish t id=25769803776 settle b"zero" 4/4
        1 publish t id=25769803777 settle b"one" 3/3
        2 publish t id=25769803778 settle b"two" 3/3
        0 settled 25769803776 error=REQUEST_TIMED_OUT
        1 settled 25769803777 error=REQUEST_TIMED_OUT
        2 settled 25769803778 error=REQUEST_TIMED_OUT
        0 publish t id=30064771072 settle b"x" 1/1
        0 settled 30064771072
        0 publish t b"nobody answers" 14/14
        0 publish t id=38654705664 settle b"y" 1/1
        0 settled 38654705664 given=t 0:43"#]],
    );
}

#[test]
fn a_part_of_a_batch_still_counts() {
    let mut bench = bench();
    // In the value of the second record, in the head of the third, in the head of the batch.
    for (number, cut) in [(5, 13), (6, 9), (7, 40)] {
        let whole = produce(number, -1, &batch(0, 0, 2, 3, &three()));
        bench.capture = whole.len() - cut;
        bench.put(&whole);
        bench.capture = usize::MAX;
        bench.get(&produced(number, 0, 40));
    }
    check(
        &mut bench,
        &expect![[r#"
            0 publish t id=21474836480 settle b"zero" 4/4
            1 publish t id=21474836481 settle b"o" 1/3
            2 publish t id=21474836482 settle b"" 0/0
            0 settled 21474836480 given=t 0:40
            1 settled 21474836481 given=t 0:41
            2 settled 21474836482 given=t 0:42
            0 publish t id=25769803776 settle b"zero" 4/4
            1 publish t id=25769803777 settle b"one" 3/3
            2 publish t id=25769803778 settle b"" 0/0
            0 settled 25769803776 given=t 0:40
            1 settled 25769803777 given=t 0:41
            2 settled 25769803778 given=t 0:42"#]],
    );
    assert_eq!(bench.connection.counts().cut_frames, 1);
}

#[test]
fn a_part_of_a_compressed_batch_still_counts() {
    let mut bench = bench();
    let mut noise = 1u32;
    let mut body = || -> Vec<u8> {
        (0..2000)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect()
    };
    let records = [record(0, None, &body()), record(1, None, &body()), record(2, None, &body())].concat();
    let whole = produce(5, -1, &batch(0, 1, 2, 3, &gzip(&records)));
    bench.capture = 3000;
    bench.put(&whole);
    let sizes: Vec<_> = bench
        .ops
        .iter()
        .map(|op| meaning(&op.kind))
        .map(|text| text.rsplit(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(sizes.len(), 3);
    assert_eq!(sizes[0].as_deref(), Some("2000/2000"));
    assert!(
        sizes[1].as_deref().is_some_and(|size| size.ends_with("/2000") && size != "2000/2000"),
        "{sizes:?}"
    );
    assert_eq!(sizes[2].as_deref(), Some("0/0"));
}

#[test]
fn a_fetch_begins_in_the_middle_of_a_batch() {
    let mut bench = bench();
    let gaps = [record(0, None, b"kept"), record(5, None, b"kept too")].concat();
    let records = [
        batch(10, 0, 2, 3, &three()),
        // Compacted.
        batch(13, 0, 9, 2, &gaps),
        batch(23, 0, 3, 0, &[]),
        // A marker of a transaction.
        batch(27, 0x30, 0, 1, &record(0, Some(&[0, 0, 0, 1]), &[0; 6])),
        // The broker cuts the last one anywhere.
        batch(28, 0, 2, 3, &three())[..70].to_vec(),
    ]
    .concat();
    bench.put(&fetch(5, 12)).get(&fetched(5, &[], &records));
    bench.put(&fetch(6, 28)).get(&fetched(6, &[], &[]));
    bench.put(&fetch(7, 28)).get(&fetched(7, &[], &batch(28, 0, 0, 1, &record(0, None, b"alone"))));
    check(
        &mut bench,
        &expect![[r#"
        0 deliver t named=t 0:12 at=0@12 b"two" 3/3
        1 deliver t named=t 0:13 at=0@13 b"kept" 4/4
        2 deliver t named=t 0:18 at=0@18 b"kept too" 8/8
        0 received 3
        0 deliver t named=t 0:28 at=0@28 b"alone" 5/5"#]],
    );
}

#[test]
fn what_was_aborted_is_not_delivered() {
    let mut bench = bench();
    let marker = |base, commit| batch(base, 0x30, 0, 1, &record(0, Some(&[0, 0, 0, commit]), &[0; 6]));
    let one = |base, attributes, value: &[u8]| batch(base, attributes, 0, 1, &record(0, None, value));
    let records = [
        one(0, 0x10, b"committed"),
        marker(1, 1),
        one(2, 0x10, b"aborted"),
        one(3, 0, b"in no transaction"),
        marker(4, 0),
        one(5, 0x10, b"committed again"),
    ]
    .concat();
    bench.put(&fetch(5, 0)).get(&fetched(5, &[(7, 2)], &records));
    check(
        &mut bench,
        &expect![[r#"
        0 deliver t named=t 0:0 at=0@0 b"committed" 9/9
        1 deliver t named=t 0:3 at=0@3 b"in no transactio" 17/17
        2 deliver t named=t 0:5 at=0@5 b"committed again" 15/15
        0 received 3"#]],
    );
    // Whoever reads what is not committed is told of no aborted transactions, and gets all.
    bench.put(&fetch(6, 0)).get(&fetched(6, &[], &records));
    assert_eq!(bench.ops.iter().filter(|op| meaning(&op.kind).starts_with("deliver")).count(), 4);
}

#[test]
fn message_sets_of_old_programs() {
    let mut bench = bench();
    let inner = |magic| [message(0, magic, 0, b"zero"), message(1, magic, 0, b"one")].concat();
    let old = [message(20, 0, 0, b"plain"), message(21, 1, 0, b"plain too")].concat();
    // Format 0 has the true offsets within, format 1 counts them from the wrapper's.
    let within = [message(22, 0, 0, b"zero"), message(23, 0, 0, b"one")].concat();
    let wrapped = [message(23, 0, 1, &gzip(&within)), message(25, 1, 1, &gzip(&inner(1)))].concat();
    bench.put(&fetch(5, 21)).get(&fetched(5, &[], &[old, wrapped].concat()));
    bench.put(&produce(6, 1, &message(0, 1, 1, &gzip(&inner(1))))).get(&produced(6, 0, 30));
    check(
        &mut bench,
        &expect![[r#"
        0 deliver t named=t 0:21 at=0@21 b"plain too" 9/9
        1 deliver t named=t 0:22 at=0@22 b"zero" 4/4
        2 deliver t named=t 0:23 at=0@23 b"one" 3/3
        3 deliver t named=t 0:24 at=0@24 b"zero" 4/4
        4 deliver t named=t 0:25 at=0@25 b"one" 3/3
        0 received 5
        0 publish t id=25769803776 settle b"zero" 4/4
        1 publish t id=25769803777 settle b"one" 3/3
        0 settled 25769803776 given=t 0:30
        1 settled 25769803777 given=t 0:31"#]],
    );
}

#[test]
fn what_sendfile_moves_is_missing() {
    let mut bench = Bench::of(System::Kafka, Some(Role::Server), true, true);
    bench.get(&request(18, 0, 0, &[])).get(&fetch(5, 0));
    let whole = fetched(5, &[], &batch(0, 0, 2, 3, &three()));
    // The head is written, the records are sent from the log.
    let head = whole.len() - batch(0, 0, 2, 3, &three()).len();
    bench.put(&whole[..head]);
    bench.capture = 0;
    bench.put(&whole[head..]);
    bench.capture = usize::MAX;
    bench.get(&fetch(6, 0)).put(&fetched(6, &[], &batch(0, 0, 2, 3, &three())));
    check(
        &mut bench,
        &expect![[r#"
        0 connect
        0 deliver t named=t 0:0 at=0@0 b"zero" 4/4
        1 deliver t named=t 0:1 at=0@1 b"one" 3/3
        2 deliver t named=t 0:2 at=0@2 b"two" 3/3
        0 received 3"#]],
    );
    assert_eq!(bench.connection.counts().cut_frames, 1);
}

#[test]
fn responses_and_their_requests() {
    let mut bench = bench();
    // To what was not seen.
    bench.get(&response(77, &hex("00 00 00 01 00 01 't'")));
    // Before it was seen.
    bench.get(&produced(5, 0, 40)).put(&produce(5, -1, &batch(0, 0, 0, 1, &record(0, None, b"x"))));
    let commit =
        [&string("g")[..], &1i32.to_be_bytes(), &string("t"), &1i32.to_be_bytes(), &[0; 12]].concat();
    let committed = [&1i32.to_be_bytes()[..], &string("t"), &1i32.to_be_bytes(), &[0; 6]].concat();
    bench.get(&response(6, &committed)).put(&request(8, 0, 6, &[&commit[..], &string("")].concat()));
    assert!(bench.ops.iter().all(|op| op.at.start <= op.at.end));
    // SASL's tokens have no header; then come requests again.
    bench.put(&request(17, 0, 7, &string("GSSAPI"))).get(&response(7, &hex("0000 00000000")));
    bench.put(&hex("00000004 ff010203")).get(&hex("00000003 010203"));
    bench.put(&request(36, 0, 8, &hex("00000001 00"))).get(&response(8, &hex("003a ffff 00000000")));
    check(
        &mut bench,
        &expect![[r#"
            0 publish t id=21474836480 settle b"x" 1/1
            0 settled 21474836480 given=t 0:40
            0 commit g t/0@0
            0 connected error=SASL_AUTHENTICATION_FAILED"#]],
    );
}
