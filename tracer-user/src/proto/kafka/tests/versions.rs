//! Every version of every request, as the serialisation of Kafka's own clients writes it: 3.9.0 for what 4.0 has removed, 4.1.0 for the
//! rest. Where nothing but the version differs, nothing but the bytes may.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};

use crate::model::net::{Direction, Role};
use crate::model::op::System;
use crate::proto::Memory;
use crate::proto::testing::{Bench, hex, meaning};

/// What each request and its response mean, with the versions that mean it.
fn check(text: &str, expected: &Expect) {
    let memory = Arc::new(Memory::default());
    let mut bench = Bench::of(System::Kafka, Some(Role::Client), true, true).sharing(&memory);
    bench.capture = usize::MAX;
    let mut meanings: Vec<(String, Vec<String>)> = Vec::new();
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for conversation in text.split("# ").skip(1) {
        let (title, calls) = conversation.split_once('\n').expect("a title");
        let (request, version) = title.split_once(" v").expect("a version");
        for call in calls.lines() {
            let (way, bytes) = call.split_once(' ').expect("a direction");
            let direction = if way == ">" { Direction::Outward } else { Direction::Inward };
            bench.call(direction, &hex(bytes));
        }
        let mut lines: Vec<_> = bench.ops.drain(..).map(|op| format!("    {}", meaning(&op.kind))).collect();
        // The requests' numbers differ.
        for line in &mut lines {
            let words = line.split(' ').map(|word| {
                let (name, number) = word.split_once("id=").map_or(("", word), |(_, number)| ("id=", number));
                match number.parse::<u64>() {
                    Ok(number) if number > u64::from(u32::MAX) => format!("{name}#{}", number & 0xffff_ffff),
                    _ => word.to_owned(),
                }
            });
            *line = words.collect::<Vec<_>>().join(" ");
        }
        let meaning = format!("{request}\n{}", lines.join("\n"));
        let index = *named.entry(meaning.clone()).or_insert_with(|| {
            meanings.push((meaning, Vec::new()));
            meanings.len() - 1
        });
        meanings[index].1.push(version.to_owned());
    }
    let counts = bench.connection.counts();
    assert_eq!((counts.invalid, counts.cut_frames, counts.skipped_bytes), (0, 0, 0), "{counts:?}");
    let told = meanings.into_iter().map(|(meaning, versions)| format!("{} {meaning}", versions.join(",")));
    expected.assert_eq(&told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn before_kafka_4() {
    check(
        include_str!("../recordings/versions_before_4.txt"),
        &expect![[r#"
        0,1,2 Produce
            publish plant id=#0 settle b"one" 3/3
            publish plant id=#1 settle b"two" 3/3
            publish plant id=#2 settle b"one" 3/3
            publish plant id=#3 settle b"two" 3/3
            settled #2 given=plant 0:40
            settled #3 given=plant 0:41
            settled #0 error=NOT_LEADER_OR_FOLLOWER
            settled #1 error=NOT_LEADER_OR_FOLLOWER
        0,1,2,3 Fetch
            deliver plant named=plant 0:41 at=0@41 b"two" 3/3
            error OFFSET_OUT_OF_RANGE
        0,1 OffsetCommit
            commit grp plant/0@42
            commit grp plant/1@7 error=OFFSET_METADATA_TOO_LARGE"#]],
    );
}

#[test]
fn kafka_4_1() {
    check(
        include_str!("../recordings/versions_4_1.txt"),
        &expect![[r#"
            0,1,2,3,4,5,6,7,8,9,10,11,12,13 Metadata
                error UNKNOWN_TOPIC_OR_PARTITION
            3,4,5,6,7,8,9,10,11,12,13 Produce
                publish plant id=#0 settle b"one" 3/3
                publish plant id=#1 settle b"two" 3/3
                publish plant id=#2 settle b"one" 3/3
                publish plant id=#3 settle b"two" 3/3
                settled #2 given=plant 0:40
                settled #3 given=plant 0:41
                settled #0 error=NOT_LEADER_OR_FOLLOWER
                settled #1 error=NOT_LEADER_OR_FOLLOWER
            4,5,6,7,8,9,10,11,12,13,14,15,16,17,18 Fetch
                deliver plant named=plant 0:41 at=0@41 b"two" 3/3
                error OFFSET_OUT_OF_RANGE
            2,3,4,5,6,7,8,9,10 OffsetCommit
                commit grp plant/0@42
                commit grp plant/1@7 error=OFFSET_METADATA_TOO_LARGE
            0,1,2,3,4,5 TxnOffsetCommit
                commit grp plant/0@43 within tx
            0 JoinGroup
                subscribe ["plant", "t0"]
                error UNKNOWN_MEMBER_ID
            1 JoinGroup
                subscribe ["plant", "t1"]
                error UNKNOWN_MEMBER_ID
            2 JoinGroup
                subscribe ["plant", "t2"]
                error UNKNOWN_MEMBER_ID
            3 JoinGroup
                subscribe ["plant", "t3"]
                error UNKNOWN_MEMBER_ID
            4 JoinGroup
                subscribe ["plant", "t4"]
                error UNKNOWN_MEMBER_ID
            5 JoinGroup
                subscribe ["plant", "t5"]
                error UNKNOWN_MEMBER_ID
            6 JoinGroup
                subscribe ["plant", "t6"]
                error UNKNOWN_MEMBER_ID
            7 JoinGroup
                subscribe ["plant", "t7"]
                error UNKNOWN_MEMBER_ID
            8 JoinGroup
                subscribe ["plant", "t8"]
                error UNKNOWN_MEMBER_ID
            9 JoinGroup
                subscribe ["plant", "t9"]
                error UNKNOWN_MEMBER_ID
            0,1,2,3,4,5 SyncGroup
                error ILLEGAL_GENERATION
            0 Heartbeat

            1,2,3,4 Heartbeat
                error NOT_COORDINATOR
            0 ConsumerGroupHeartbeat
                subscribe ["new0"]
                error FENCED_MEMBER_EPOCH
            1 ConsumerGroupHeartbeat
                subscribe ["new1"]
                error FENCED_MEMBER_EPOCH
            0,1,2,3,4,5,6 FindCoordinator
                error COORDINATOR_NOT_AVAILABLE
            0,1,2,3,4,5 LeaveGroup
                error UNKNOWN_MEMBER_ID
            0,1,2,3,4,5,6 InitProducerId
                error CONCURRENT_TRANSACTIONS
            0,1,2,3,4,5 EndTxn
                error INVALID_TXN_STATE
            0,1,2,3,4 AddOffsetsToTxn
                error INVALID_PRODUCER_EPOCH
            0 ApiVersions
                connect
                connected
            1,2,3,4 ApiVersions
                connected
            0,1,2 SaslAuthenticate
                connected error=SASL_AUTHENTICATION_FAILED
            1,2,3,4,5,6,7,8,9,10 OffsetFetch
                error NOT_COORDINATOR
            0,1,2,3,4,5 AddPartitionsToTxn
                error INVALID_PRODUCER_ID_MAPPING"#]],
    );
}
