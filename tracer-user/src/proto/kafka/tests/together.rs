//! Conversations of Apache Kafka 4.1.0 and its own clients: transactions and share groups.

use expect_test::expect;

use super::recorded::together;

/// Transactions of five, every second one aborted, and a consumer that wants what is committed.
#[test]
fn java_read_committed() {
    together(
        &[
            include_str!("../recordings/java_read_committed.0.txt"),
            include_str!("../recordings/java_read_committed.1.txt"),
            include_str!("../recordings/java_read_committed.2.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["jt1"]
            commit grc jt1/0@24
            connect
            connected
            deliver jt1 group=grc named=jt1 0:0 at=0@0 b"jpub-000000 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(0) iotrail.kafka.lag=Int(23)
            deliver jt1 group=grc named=jt1 0:1 at=0@1 b"jpub-000001 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.lag=Int(22)
            deliver jt1 group=grc named=jt1 0:2 at=0@2 b"jpub-000002 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.lag=Int(21)
            deliver jt1 group=grc named=jt1 0:3 at=0@3 b"jpub-000003 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.lag=Int(20)
            deliver jt1 group=grc named=jt1 0:4 at=0@4 b"jpub-000004 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(4) iotrail.kafka.lag=Int(19)
            deliver jt1 group=grc named=jt1 0:12 at=0@12 b"jpub-000010 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(12) iotrail.kafka.lag=Int(11)
            deliver jt1 group=grc named=jt1 0:13 at=0@13 b"jpub-000011 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(13) iotrail.kafka.lag=Int(10)
            deliver jt1 group=grc named=jt1 0:14 at=0@14 b"jpub-000012 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(14) iotrail.kafka.lag=Int(9)
            deliver jt1 group=grc named=jt1 0:15 at=0@15 b"jpub-000013 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(15) iotrail.kafka.lag=Int(8)
            deliver jt1 group=grc named=jt1 0:16 at=0@16 b"jpub-000014 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(16) iotrail.kafka.lag=Int(7)
            received 10"#]],
    );
}

/// A consumer that produces and commits in one transaction each; the third one is aborted and done again.
#[test]
fn java_copy() {
    together(
        &[
            include_str!("../recordings/java_copy.0.txt"),
            include_str!("../recordings/java_copy.1.txt"),
            include_str!("../recordings/java_copy.2.txt"),
            include_str!("../recordings/java_copy.3.txt"),
            include_str!("../recordings/java_copy.4.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            publish cpout id=30064771072 settle b"copied-spub-0000" 31/31 destination.partition.id=Shared("0") iotrail.kafka.transaction=Shared("jcopy")
            settled 30064771072 given=cpout 0:0
            commit gcp cp1/0@1 within jcopy
            ended jcopy committed=true
            publish cpout id=47244640256 settle b"copied-spub-0000" 31/31 destination.partition.id=Shared("0") iotrail.kafka.transaction=Shared("jcopy")
            settled 47244640256 given=cpout 0:2
            commit gcp cp1/0@2 within jcopy
            ended jcopy committed=true
            publish cpout id=60129542144 settle b"aborted-spub-000" 32/32 destination.partition.id=Shared("0") iotrail.kafka.transaction=Shared("jcopy")
            settled 60129542144 given=cpout 0:4
            commit gcp cp1/0@3 within jcopy
            ended jcopy committed=false
            publish cpout id=73014444032 settle b"copied-spub-0000" 31/31 destination.partition.id=Shared("0") iotrail.kafka.transaction=Shared("jcopy")
            settled 73014444032 given=cpout 0:6
            commit gcp cp1/0@3 within jcopy
            ended jcopy committed=true
            publish cpout id=85899345920 settle b"copied-spub-0000" 31/31 destination.partition.id=Shared("0") iotrail.kafka.transaction=Shared("jcopy")
            settled 85899345920 given=cpout 0:8
            commit gcp cp1/0@4 within jcopy
            ended jcopy committed=true
            connect
            connected
            connect
            connected
            subscribe ["cp1"]
            connect
            connected
            deliver cp1 group=gcp named=cp1 0:0 at=0@0 b"spub-000000 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(0) iotrail.kafka.lag=Int(3)
            deliver cp1 group=gcp named=cp1 0:1 at=0@1 b"spub-000001 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.lag=Int(2)
            deliver cp1 group=gcp named=cp1 0:2 at=0@2 b"spub-000002 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.lag=Int(1)
            deliver cp1 group=gcp named=cp1 0:3 at=0@3 b"spub-000003 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.lag=Int(0)
            received 4
            deliver cp1 group=gcp named=cp1 0:2 at=0@2 b"spub-000002 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.lag=Int(1)
            deliver cp1 group=gcp named=cp1 0:3 at=0@3 b"spub-000003 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.lag=Int(0)
            received 2"#]],
    );
}

/// A member of a share group that accepts most, releases two and gets them again, and rejects one.
#[test]
fn java_share() {
    together(
        &[
            include_str!("../recordings/java_share.0.txt"),
            include_str!("../recordings/java_share.1.txt"),
            include_str!("../recordings/java_share.2.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["sh1"]
            connect
            connected
            deliver sh1 id=2332474723243968379 group=gsh named=sh1 0:0 settle b"spub-000000 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(0) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=7412550489010056494 group=gsh named=sh1 0:1 settle b"spub-000001 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=1042249042478597793 group=gsh named=sh1 0:2 settle b"spub-000002 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=12038557263486206170 group=gsh named=sh1 0:3 settle b"spub-000003 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=11012138187098919691 group=gsh named=sh1 0:4 settle b"spub-000004 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(4) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=4842749546912301084 group=gsh named=sh1 0:5 settle b"spub-000005 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(5) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=4417921346888273946 group=gsh named=sh1 0:6 settle b"spub-000006 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(6) iotrail.kafka.delivery_count=Int(1)
            deliver sh1 id=4096119194158243428 group=gsh named=sh1 0:7 settle b"spub-000007 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(7) iotrail.kafka.delivery_count=Int(1)
            received 8
            accept [2332474723243968379, 7412550489010056494, 12038557263486206170, 4417921346888273946, 4096119194158243428]
            release [1042249042478597793, 4842749546912301084] error=release
            reject [11012138187098919691] error=reject
            deliver sh1 id=1042249042478597793 group=gsh named=sh1 0:2 again settle b"spub-000002 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.delivery_count=Int(2)
            deliver sh1 id=4842749546912301084 group=gsh named=sh1 0:5 again settle b"spub-000005 ...." 24/24 destination.partition.id=Shared("0") kafka.offset=Int(5) iotrail.kafka.delivery_count=Int(2)
            received 2
            accept [1042249042478597793, 4842749546912301084]"#]],
    );
}
