//! Conversations with Apache Kafka 4.1.0: librdkafka 2.11 (confluent-kafka), Kafka's own Java clients 4.1.0, kafka-python 3.0. A program has
//! several connections, and what it learns on one it uses on another: `together` replays them in the order given.

use std::sync::Arc;

use expect_test::{Expect, expect};

use crate::model::net::{Direction, Role};
use crate::model::op::{OpKind, System};
use crate::proto::Memory;
use crate::proto::testing::{Bench, assert_recovers, assert_same_however_split, heard, meaning, recording};

/// `lost`: messages of the requests in one call. Without the request its answer means nothing.
fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Kafka, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Kafka, &calls);
    assert_recovers(System::Kafka, &calls, lost);
}

/// What a program does on its connections, from both ends.
pub(super) fn together(texts: &[&str], expected: &Expect) {
    let [client, broker] = [Role::Client, Role::Server].map(|role| {
        let memory = Arc::new(Memory::default());
        let mut lines = Vec::new();
        for text in texts {
            let calls = recording(text);
            assert_same_however_split(System::Kafka, &calls);
            let mut bench = Bench::of(System::Kafka, Some(role), true, true).sharing(&memory);
            for (to_server, bytes) in &calls {
                let outward = *to_server == (role == Role::Client);
                bench.call(if outward { Direction::Outward } else { Direction::Inward }, bytes);
            }
            lines.extend(bench.ops.iter().map(|op| told(&op.kind)));
        }
        lines.join("\n")
    });
    expected.assert_eq(&client);
    assert_eq!(broker, client, "the other end");
}

/// The meaning, with headers and attributes.
fn told(kind: &OpKind) -> String {
    let mut text = meaning(kind);
    if let OpKind::Publish(message) | OpKind::Deliver(message) = kind {
        for (name, value) in &message.headers {
            text += &format!(" {name}={value}");
        }
        for (name, value) in &*message.attributes {
            text += &format!(" {}={value:?}", name.trim_start_matches("messaging."));
        }
    }
    text
}

#[test]
fn librdkafka_produce() {
    check(
        include_str!("../recordings/librdkafka_produce.txt"),
        3,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        >64+251 publish plant id=8589934592 settle b"{\"celsius\":21.5}" 16/16
        >64+251#1 publish plant id=8589934593 settle b"two" 3/3
        >315+118 publish other id=12884901888 settle b"elsewhere" 9/9
        >433+113 publish plant id=17179869184 settle b"" 0/0
        <669+56 settled 8589934592 given=plant 1:0
        <669+56#1 settled 8589934593 given=plant 1:1
        <725+56 settled 12884901888 given=other 0:0
        <781+56 settled 17179869184 given=plant 0:0"#]],
    );
}

#[test]
fn librdkafka_idempotent() {
    check(
        include_str!("../recordings/librdkafka_idempotent.txt"),
        3,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        <669+26 error COORDINATOR_LOAD_IN_PROGRESS
        >132+138 publish plant id=17179869184 settle b"idem0" 5/5
        >132+138#1 publish plant id=17179869185 settle b"idem1" 5/5
        >132+138#2 publish plant id=17179869186 settle b"idem2" 5/5
        <721+56 settled 17179869184 given=plant 0:1
        <721+56#1 settled 17179869185 given=plant 0:2
        <721+56#2 settled 17179869186 given=plant 0:3
        >270+118 publish plant id=21474836480 settle b"idem-last" 9/9
        <777+56 settled 21474836480 given=plant 0:4"#]],
    );
}

#[test]
fn librdkafka_transactions() {
    check(
        include_str!("../recordings/librdkafka_transactions.txt"),
        2,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        <734+59 error COORDINATOR_NOT_AVAILABLE
        >175+129 publish txn id=25769803776 settle b"kept" 4/4
        >175+129#1 publish txn id=25769803777 settle b"kept too" 8/8
        <952+54 settled 25769803776 given=txn 0:0
        <952+54#1 settled 25769803777 given=txn 0:1
        >304+117 publish txn id=30064771072 settle b"aborted" 7/7
        <1006+54 settled 30064771072 given=txn 0:3
        >421+114 publish txn id=34359738368 settle b"last" 4/4
        <1060+54 settled 34359738368 given=txn 0:5"#]],
    );
}

#[test]
fn librdkafka_acks_0() {
    check(
        include_str!("../recordings/librdkafka_acks_0.txt"),
        1,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        >64+126 publish plant b"zero0" 5/5
        >64+126#1 publish plant b"zero1" 5/5"#]],
    );
}

#[test]
fn librdkafka_unknown_topic() {
    check(
        include_str!("../recordings/librdkafka_unknown_topic.txt"),
        1,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        <669+97 error UNKNOWN_TOPIC_OR_PARTITION
        <766+97 error UNKNOWN_TOPIC_OR_PARTITION
        <863+97 error UNKNOWN_TOPIC_OR_PARTITION
        <960+97 error UNKNOWN_TOPIC_OR_PARTITION
        <1057+97 error UNKNOWN_TOPIC_OR_PARTITION
        <1154+97 error UNKNOWN_TOPIC_OR_PARTITION"#]],
    );
}

#[test]
fn librdkafka_gzip() {
    check(
        include_str!("../recordings/librdkafka_gzip.txt"),
        5,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        >64+297 publish gz id=8589934592 settle b"{\"line\":0,\"text\"" 206/206
        >64+297#1 publish gz id=8589934593 settle b"{\"line\":1,\"text\"" 206/206
        >64+297#2 publish gz id=8589934594 settle b"{\"line\":2,\"text\"" 206/206
        >64+297#3 publish gz id=8589934595 settle b"{\"line\":3,\"text\"" 206/206
        >64+297#4 publish gz id=8589934596 settle b"{\"line\":4,\"text\"" 206/206
        <669+53 settled 8589934592 given=gz 0:0
        <669+53#1 settled 8589934593 given=gz 0:1
        <669+53#2 settled 8589934594 given=gz 0:2
        <669+53#3 settled 8589934595 given=gz 0:3
        <669+53#4 settled 8589934596 given=gz 0:4"#]],
    );
}

#[test]
fn librdkafka_snappy() {
    check(
        include_str!("../recordings/librdkafka_snappy.txt"),
        5,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        >64+352 publish sn id=8589934592 settle b"{\"line\":0,\"text\"" 206/206
        >64+352#1 publish sn id=8589934593 settle b"{\"line\":1,\"text\"" 206/206
        >64+352#2 publish sn id=8589934594 settle b"{\"line\":2,\"text\"" 206/206
        >64+352#3 publish sn id=8589934595 settle b"{\"line\":3,\"text\"" 206/206
        >64+352#4 publish sn id=8589934596 settle b"{\"line\":4,\"text\"" 206/206
        <669+53 settled 8589934592 given=sn 0:0
        <669+53#1 settled 8589934593 given=sn 0:1
        <669+53#2 settled 8589934594 given=sn 0:2
        <669+53#3 settled 8589934595 given=sn 0:3
        <669+53#4 settled 8589934596 given=sn 0:4"#]],
    );
}

#[test]
fn librdkafka_lz4() {
    check(
        include_str!("../recordings/librdkafka_lz4.txt"),
        5,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        >64+317 publish lz id=8589934592 settle b"{\"line\":0,\"text\"" 206/206
        >64+317#1 publish lz id=8589934593 settle b"{\"line\":1,\"text\"" 206/206
        >64+317#2 publish lz id=8589934594 settle b"{\"line\":2,\"text\"" 206/206
        >64+317#3 publish lz id=8589934595 settle b"{\"line\":3,\"text\"" 206/206
        >64+317#4 publish lz id=8589934596 settle b"{\"line\":4,\"text\"" 206/206
        <669+53 settled 8589934592 given=lz 0:0
        <669+53#1 settled 8589934593 given=lz 0:1
        <669+53#2 settled 8589934594 given=lz 0:2
        <669+53#3 settled 8589934595 given=lz 0:3
        <669+53#4 settled 8589934596 given=lz 0:4"#]],
    );
}

#[test]
fn librdkafka_zstd() {
    check(
        include_str!("../recordings/librdkafka_zstd.txt"),
        5,
        &expect![[r#"
        >0+64 connect
        <0+669 connected
        >64+282 publish zs id=8589934592 settle b"{\"line\":0,\"text\"" 206/206
        >64+282#1 publish zs id=8589934593 settle b"{\"line\":1,\"text\"" 206/206
        >64+282#2 publish zs id=8589934594 settle b"{\"line\":2,\"text\"" 206/206
        >64+282#3 publish zs id=8589934595 settle b"{\"line\":3,\"text\"" 206/206
        >64+282#4 publish zs id=8589934596 settle b"{\"line\":4,\"text\"" 206/206
        <669+53 settled 8589934592 given=zs 0:0
        <669+53#1 settled 8589934593 given=zs 0:1
        <669+53#2 settled 8589934594 given=zs 0:2
        <669+53#3 settled 8589934595 given=zs 0:3
        <669+53#4 settled 8589934596 given=zs 0:4"#]],
    );
}

#[test]
fn python_produce() {
    check(
        include_str!("../recordings/python_produce.txt"),
        3,
        &expect![[r#"
        >0+38 connect
        <0+790 connected
        >113+340 publish kpy id=17179869184 settle b"py0" 3/3
        >113+340#1 publish kpy id=17179869185 settle b"py1" 3/3
        >113+340#2 publish kpy id=17179869186 settle b"py2" 3/3
        <936+54 settled 17179869184 given=kpy 0:0
        <936+54#1 settled 17179869185 given=kpy 0:1
        <936+54#2 settled 17179869186 given=kpy 0:2"#]],
    );
}

#[test]
fn librdkafka_classic() {
    together(
        &[
            include_str!("../recordings/librdkafka_classic.0.txt"),
            include_str!("../recordings/librdkafka_classic.2.txt"),
            include_str!("../recordings/librdkafka_classic.1.txt"),
        ],
        &expect![[r#"
            connect
            connected
            error COORDINATOR_NOT_AVAILABLE
            connect
            connected
            subscribe ["plant"]
            error COORDINATOR_LOAD_IN_PROGRESS
            commit grp-a plant/0@5 plant/1@2
            connect
            connected
            deliver plant group=grp-a named=plant 1:0 at=1@0 b"{\"celsius\":21.5}" 16/16 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ce_type=com.example.reading ce_id=1 destination.partition.id=Shared("1") kafka.message.key=Shared("boiler") kafka.offset=Int(0) iotrail.kafka.lag=Int(1)
            deliver plant group=grp-a named=plant 1:1 at=1@1 b"two" 3/3 destination.partition.id=Shared("1") kafka.offset=Int(1) iotrail.kafka.lag=Int(0)
            received 2
            deliver plant group=grp-a named=plant 0:0 at=0@0 b"" 0/0 destination.partition.id=Shared("0") kafka.message.key=Shared("gone") kafka.message.tombstone=Bool(true) kafka.offset=Int(0) iotrail.kafka.lag=Int(6)
            deliver plant group=grp-a named=plant 0:1 at=0@1 b"idem0" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.lag=Int(5)
            deliver plant group=grp-a named=plant 0:2 at=0@2 b"idem1" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.lag=Int(4)
            deliver plant group=grp-a named=plant 0:3 at=0@3 b"idem2" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.lag=Int(3)
            deliver plant group=grp-a named=plant 0:4 at=0@4 b"idem-last" 9/9 destination.partition.id=Shared("0") kafka.offset=Int(4) iotrail.kafka.lag=Int(2)
            deliver plant group=grp-a named=plant 0:5 at=0@5 b"zero0" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(5) iotrail.kafka.lag=Int(1)
            deliver plant group=grp-a named=plant 0:6 at=0@6 b"zero1" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(6) iotrail.kafka.lag=Int(0)
            received 7"#]],
    );
}

#[test]
fn librdkafka_consumer() {
    together(
        &[
            include_str!("../recordings/librdkafka_consumer.0.txt"),
            include_str!("../recordings/librdkafka_consumer.2.txt"),
            include_str!("../recordings/librdkafka_consumer.1.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["gz"]
            commit grp-b gz/0@5
            connect
            connected
            deliver gz group=grp-b named=gz 0:0 at=0@0 b"{\"line\":0,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203330-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k0") kafka.offset=Int(0) iotrail.kafka.lag=Int(4)
            deliver gz group=grp-b named=gz 0:1 at=0@1 b"{\"line\":1,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k1") kafka.offset=Int(1) iotrail.kafka.lag=Int(3)
            deliver gz group=grp-b named=gz 0:2 at=0@2 b"{\"line\":2,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k2") kafka.offset=Int(2) iotrail.kafka.lag=Int(2)
            deliver gz group=grp-b named=gz 0:3 at=0@3 b"{\"line\":3,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203333-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k3") kafka.offset=Int(3) iotrail.kafka.lag=Int(1)
            deliver gz group=grp-b named=gz 0:4 at=0@4 b"{\"line\":4,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203334-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k4") kafka.offset=Int(4) iotrail.kafka.lag=Int(0)
            received 5"#]],
    );
}

#[test]
fn librdkafka_middle() {
    together(
        &[
            include_str!("../recordings/librdkafka_middle.0.txt"),
            include_str!("../recordings/librdkafka_middle.1.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            deliver sn named=sn 0:3 at=0@3 b"{\"line\":3,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203333-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k3") kafka.offset=Int(3) iotrail.kafka.lag=Int(1)
            deliver sn named=sn 0:4 at=0@4 b"{\"line\":4,\"text\"" 206/206 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203334-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k4") kafka.offset=Int(4) iotrail.kafka.lag=Int(0)
            received 2"#]],
    );
}

/// The broker's answer has a record and says that there is none yet: librdkafka lets it go and asks again.
#[test]
fn librdkafka_again() {
    together(
        &[include_str!("../recordings/librdkafka_again.txt")],
        &expect![[r#"
        connect
        connected
        deliver kr12 named=kr12 0:9320 at=0@9320 b"kr12-pub-009320 " 24/24 destination.partition.id=Shared("0") kafka.offset=Int(9320)
        deliver kr12 named=kr12 0:9321 at=0@9321 b"kr12-pub-009321 " 24/24 destination.partition.id=Shared("0") kafka.offset=Int(9321) iotrail.kafka.lag=Int(2)
        deliver kr12 named=kr12 0:9322 at=0@9322 b"kr12-pub-009322 " 24/24 destination.partition.id=Shared("0") kafka.offset=Int(9322) iotrail.kafka.lag=Int(1)
        deliver kr12 named=kr12 0:9323 at=0@9323 b"kr12-pub-009323 " 24/24 destination.partition.id=Shared("0") kafka.offset=Int(9323) iotrail.kafka.lag=Int(0)
        received 3"#]],
    );
}

#[test]
fn java_classic() {
    together(
        &[
            include_str!("../recordings/java_classic.0.txt"),
            include_str!("../recordings/java_classic.1.txt"),
            include_str!("../recordings/java_classic.2.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["jav"]
            commit jg jav/0@12
            connect
            connected
            deliver jav group=jg named=jav 0:0 at=0@0 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(0) iotrail.kafka.lag=Int(11)
            deliver jav group=jg named=jav 0:1 at=0@1 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.lag=Int(10)
            deliver jav group=jg named=jav 0:2 at=0@2 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.lag=Int(9)
            deliver jav group=jg named=jav 0:3 at=0@3 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.lag=Int(8)
            deliver jav group=jg named=jav 0:4 at=0@4 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(4) iotrail.kafka.lag=Int(7)
            deliver jav group=jg named=jav 0:5 at=0@5 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(5) iotrail.kafka.lag=Int(6)
            deliver jav group=jg named=jav 0:6 at=0@6 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(6) iotrail.kafka.lag=Int(5)
            deliver jav group=jg named=jav 0:7 at=0@7 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(7) iotrail.kafka.lag=Int(4)
            deliver jav group=jg named=jav 0:8 at=0@8 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(8) iotrail.kafka.lag=Int(3)
            deliver jav group=jg named=jav 0:9 at=0@9 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(9) iotrail.kafka.lag=Int(2)
            deliver jav group=jg named=jav 0:10 at=0@10 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(10) iotrail.kafka.lag=Int(1)
            deliver jav group=jg named=jav 0:11 at=0@11 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(11) iotrail.kafka.lag=Int(0)
            received 12"#]],
    );
}

#[test]
fn java_consumer() {
    together(
        &[
            include_str!("../recordings/java_consumer.0.txt"),
            include_str!("../recordings/java_consumer.1.txt"),
            include_str!("../recordings/java_consumer.2.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["jav"]
            commit jn jav/0@12
            connect
            connected
            deliver jav group=jn named=jav 0:0 at=0@0 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(0) iotrail.kafka.lag=Int(11)
            deliver jav group=jn named=jav 0:1 at=0@1 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.lag=Int(10)
            deliver jav group=jn named=jav 0:2 at=0@2 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(2) iotrail.kafka.lag=Int(9)
            deliver jav group=jn named=jav 0:3 at=0@3 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(3) iotrail.kafka.lag=Int(8)
            deliver jav group=jn named=jav 0:4 at=0@4 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(4) iotrail.kafka.lag=Int(7)
            deliver jav group=jn named=jav 0:5 at=0@5 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(5) iotrail.kafka.lag=Int(6)
            deliver jav group=jn named=jav 0:6 at=0@6 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(6) iotrail.kafka.lag=Int(5)
            deliver jav group=jn named=jav 0:7 at=0@7 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(7) iotrail.kafka.lag=Int(4)
            deliver jav group=jn named=jav 0:8 at=0@8 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(8) iotrail.kafka.lag=Int(3)
            deliver jav group=jn named=jav 0:9 at=0@9 b"alpha" 5/5 destination.partition.id=Shared("0") kafka.offset=Int(9) iotrail.kafka.lag=Int(2)
            deliver jav group=jn named=jav 0:10 at=0@10 b"beta" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(10) iotrail.kafka.lag=Int(1)
            deliver jav group=jn named=jav 0:11 at=0@11 b"gamma and gamma " 55/55 destination.partition.id=Shared("0") kafka.offset=Int(11) iotrail.kafka.lag=Int(0)
            received 12"#]],
    );
}

#[test]
fn java_session() {
    together(
        &[
            include_str!("../recordings/java_session.0.txt"),
            include_str!("../recordings/java_session.1.txt"),
            include_str!("../recordings/java_session.2.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["plant"]
            commit sess plant/0@8 plant/1@4
            connect
            connected
            deliver plant group=sess named=plant 1:2 at=1@2 b"late1" 5/5 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 destination.partition.id=Shared("1") kafka.offset=Int(2) iotrail.kafka.lag=Int(0)
            deliver plant group=sess named=plant 0:7 at=0@7 b"late2" 5/5 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-01 destination.partition.id=Shared("0") kafka.offset=Int(7) iotrail.kafka.lag=Int(0)
            deliver plant group=sess named=plant 1:3 at=1@3 b"late3" 5/5 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203333-01 destination.partition.id=Shared("1") kafka.offset=Int(3) iotrail.kafka.lag=Int(0)"#]],
    );
}

#[test]
fn python_consume() {
    together(
        &[
            include_str!("../recordings/python_consume.0.txt"),
            include_str!("../recordings/python_consume.2.txt"),
            include_str!("../recordings/python_consume.1.txt"),
        ],
        &expect![[r#"
            connect
            connected
            connect
            connected
            subscribe ["kpy"]
            commit pyg kpy/0@3
            connect
            connected
            deliver kpy group=pyg named=kpy 0:0 at=0@0 b"py0" 3/3 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k") kafka.offset=Int(0) iotrail.kafka.lag=Int(2)
            deliver kpy group=pyg named=kpy 0:1 at=0@1 b"py1" 3/3 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k") kafka.offset=Int(1) iotrail.kafka.lag=Int(1)
            deliver kpy group=pyg named=kpy 0:2 at=0@2 b"py2" 3/3 traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 destination.partition.id=Shared("0") kafka.message.key=Shared("k") kafka.offset=Int(2) iotrail.kafka.lag=Int(0)
            received 3"#]],
    );
}

#[test]
fn java_gzip() {
    together(
        &[include_str!("../recordings/java_gzip.0.txt"), include_str!("../recordings/java_gzip.1.txt")],
        &expect![[r#"
            connect
            connected
            connect
            connected
            publish jav id=17179869184 settle b"alpha" 5/5 destination.partition.id=Shared("0")
            publish jav id=17179869185 settle b"beta" 4/4 destination.partition.id=Shared("0")
            publish jav id=17179869186 settle b"gamma and gamma " 55/55 destination.partition.id=Shared("0")
            settled 17179869184 given=jav 0:0
            settled 17179869185 given=jav 0:1
            settled 17179869186 given=jav 0:2"#]],
    );
}

#[test]
fn java_snappy() {
    together(
        &[include_str!("../recordings/java_snappy.0.txt"), include_str!("../recordings/java_snappy.1.txt")],
        &expect![[r#"
            connect
            connected
            connect
            connected
            publish jav id=17179869184 settle b"alpha" 5/5 destination.partition.id=Shared("0")
            publish jav id=17179869185 settle b"beta" 4/4 destination.partition.id=Shared("0")
            publish jav id=17179869186 settle b"gamma and gamma " 55/55 destination.partition.id=Shared("0")
            settled 17179869184 given=jav 0:3
            settled 17179869185 given=jav 0:4
            settled 17179869186 given=jav 0:5"#]],
    );
}

#[test]
fn java_lz4() {
    together(
        &[include_str!("../recordings/java_lz4.0.txt"), include_str!("../recordings/java_lz4.1.txt")],
        &expect![[r#"
            connect
            connected
            connect
            connected
            publish jav id=17179869184 settle b"alpha" 5/5 destination.partition.id=Shared("0")
            publish jav id=17179869185 settle b"beta" 4/4 destination.partition.id=Shared("0")
            publish jav id=17179869186 settle b"gamma and gamma " 55/55 destination.partition.id=Shared("0")
            settled 17179869184 given=jav 0:6
            settled 17179869185 given=jav 0:7
            settled 17179869186 given=jav 0:8"#]],
    );
}

#[test]
fn java_zstd() {
    together(
        &[include_str!("../recordings/java_zstd.0.txt"), include_str!("../recordings/java_zstd.1.txt")],
        &expect![[r#"
            connect
            connected
            connect
            connected
            publish jav id=17179869184 settle b"alpha" 5/5 destination.partition.id=Shared("0")
            publish jav id=17179869185 settle b"beta" 4/4 destination.partition.id=Shared("0")
            publish jav id=17179869186 settle b"gamma and gamma " 55/55 destination.partition.id=Shared("0")
            settled 17179869184 given=jav 0:9
            settled 17179869185 given=jav 0:10
            settled 17179869186 given=jav 0:11"#]],
    );
}

#[test]
fn librdkafka_read_committed() {
    together(
        &[include_str!("../recordings/librdkafka_read_committed.txt")],
        &expect![[r#"
        connect
        connected
        deliver txn named=txn 0:0 at=0@0 b"kept" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(0) iotrail.kafka.lag=Int(6)
        deliver txn named=txn 0:1 at=0@1 b"kept too" 8/8 destination.partition.id=Shared("0") kafka.offset=Int(1) iotrail.kafka.lag=Int(5)
        deliver txn named=txn 0:5 at=0@5 b"last" 4/4 destination.partition.id=Shared("0") kafka.offset=Int(5) iotrail.kafka.lag=Int(1)
        received 3"#]],
    );
}

#[test]
fn java_transactions() {
    together(
        &[include_str!("../recordings/java_transactions.txt")],
        &expect![[r#"
            connect
            connected
            publish txn id=25769803776 settle b"java kept" 9/9 destination.partition.id=Shared("0") kafka.message.key=Shared("k") iotrail.kafka.transaction=Shared("jtx1")
            settled 25769803776 given=txn 0:7
            commit txg jav/0@7 within jtx1
            ended jtx1 committed=true
            publish txn id=42949672960 settle b"java aborted" 12/12 destination.partition.id=Shared("0") kafka.message.key=Shared("k") iotrail.kafka.transaction=Shared("jtx1")
            settled 42949672960 given=txn 0:9
            ended jtx1 committed=false"#]],
    );
}
