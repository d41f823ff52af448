//! Conversations of real clients with RabbitMQ 3.10.8.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{assert_recovers_but, assert_same_however_split, heard, recording};

fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Rabbitmq, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Rabbitmq, &calls);
    assert_recovers_but(System::Rabbitmq, &calls, lost, |op| Some(forgotten(op)));
}

/// An op without what it has from others before it: a publish its number, a delivery its queue and whether it is to be
/// settled, a settlement of many those; and of a body, parts of which may be what was lost, only its size.
pub(super) fn forgotten(op: &str) -> String {
    let op = op.replace(" settle ", " ").replace(" perhaps ", " ");
    // Without its number a publish cannot be told that it came back.
    if let Some((place, _)) = op.split_once(' ').filter(|_| op.ends_with("NO_ROUTE")) {
        return format!("{place} NO_ROUTE");
    }
    if let Some((ack, _)) = op.split_once(" [") {
        return ack.to_owned();
    }
    let Some((head, body)) = op.split_once(" b\"") else { return op };
    let size = body.rsplit_once('/').map_or("", |(_, size)| size);
    let words: Vec<&str> = head.split(' ').collect();
    let is_publish = words.contains(&"publish");
    let published = words.iter().find_map(|word| word.strip_prefix("as="));
    let kept = words.iter().enumerate().filter_map(|(index, word)| match *word {
        word if word.starts_with("as=") || (is_publish && word.starts_with("id=")) => None,
        _ if index == 2 => Some(published.unwrap_or(word)),
        word => Some(word),
    });
    format!("{} /{size}", kept.collect::<Vec<_>>().join(" "))
}

#[test]
fn pika_with_confirms() {
    let calls = recording(include_str!("../recordings/pika_confirm.txt"));
    let expected = &expect![[r#"
        >8+332 connect
        <524+13 connected
        >389+31 exchange.declare plant
        >420+25 queue.declare hall1
        >445+38 queue.bind plant:temp.#:hall1
        >496+231 publish plant:temp.a id=281474976710657 named=m-1 settle b"21.5" 4/4
        <615+21 settled 281474976710657
        >727+44 publish hall1 id=281474976710658 settle b"" 0/0
        <636+21 settled 281474976710658
        >771+62 publish plant:nobody id=281474976710659 settle b"lost" 4/4
        <657+70 settled 281474976710659 error=NO_ROUTE
        <748+241 deliver plant:temp.a:hall1 id=281474976710657 as=plant:temp.a named=m-1 settle b"21.5" 4/4
        >854+21 ack [281474976710657]
        <989+54 deliver hall1 id=281474976710658 b"" 0/0
        <1056+62 error NOT_FOUND
        >917+27 queue.declare missing error=NOT_FOUND (NOT_FOUND - no queue 'missing' in vhost '/')
        >956+34 disconnect clean=true"#]];
    expected.assert_eq(&heard(System::Rabbitmq, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Rabbitmq, &calls);
    // The third came back; if that was missed, or that publishes are confirmed, its confirm is like any other.
    let others = |op: &str| (!op.ends_with(" settled 281474976710659")).then(|| forgotten(op));
    // An answer that was missed costs its request.
    assert_recovers_but(System::Rabbitmq, &calls, 3, others);
}

#[test]
fn pika_that_consumes() {
    check(
        include_str!("../recordings/pika_consume.txt"),
        // Of what was not seen to come, an acknowledgement of all says nothing.
        1,
        &expect![[r#"
            >8+332 connect
            <524+13 connected
            >402+25 queue.declare hall2
            >446+32 subscribe ["hall2"]
            >478+163 publish hall2 b"one" 3/3
            >641+163 publish hall2 b"two" 3/3
            >804+9176 publish hall2 b"xxxxxxxxxxxxxxxx" 9000/9000
            >9980+164 publish hall2 b"four" 4/4
            >10144+164 publish hall2 b"five" 4/4
            <626+176 deliver hall2 id=281474976710657 settle b"one" 3/3
            <802+176 deliver hall2 id=281474976710658 settle b"two" 3/3
            <978+9189 deliver hall2 id=281474976710659 settle b"xxxxxxxxxxxxxxxx" 9000/9000
            >10308+21 reject [281474976710657] error=requeued
            <10167+177 deliver hall2 id=281474976710660 settle b"four" 4/4
            <10344+177 deliver hall2 id=281474976710661 settle b"five" 4/4
            >10329+21 ack [281474976710658, 281474976710659, 281474976710660]
            >10350+21 nack [281474976710661] error=rejected
            <10521+176 deliver hall2 id=281474976710662 again settle b"one" 3/3
            >10371+21 ack [281474976710662]
            >10480+34 disconnect clean=true"#]],
    );
}

#[test]
fn pika_with_transactions() {
    let calls = recording(include_str!("../recordings/pika_tx.txt"));
    let expected = &expect![[r#"
        >8+327 connect
        <524+13 connected
        >384+20 queue.declare amq.gen-QQC9scndgpa0NaV4UU0_mw
        >416+55 publish nowhere id=281474976710657 settle b"1" 1/1
        >471+55 publish nowhere id=281474976710658 settle b"2" 1/1
        <616+12 settled 281474976710657
        <616+12#1 settled 281474976710658
        >538+55 publish nowhere id=281474976710659 settle b"3" 1/1
        <628+12 settled 281474976710659 error=ROLLED_BACK
        >605+58 publish missing:key id=281474976710660 settle b"4" 1/1
        <640+65 error NOT_FOUND
        <640+65#1 settled 281474976710660 error=NOT_FOUND
        <640+65#4294967295 basic.publish  error=NOT_FOUND (NOT_FOUND - no exchange 'missing' in vhost '/')
        >687+34 disconnect clean=true"#]];
    expected.assert_eq(&heard(System::Rabbitmq, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Rabbitmq, &calls);
    // Without the beginning of the first transaction nobody knows that there are any, and while it is not known that a commit
    // was missed, what it commits seems lost with the channel.
    let others = |op: &str| (!op.ends_with(" error=NOT_FOUND")).then(|| forgotten(op));
    assert_recovers_but(System::Rabbitmq, &calls, 5, others);
}

#[test]
fn lapin() {
    let calls = recording(include_str!("../recordings/lapin.txt"));
    let expected = &expect![[r#"
        >8+347 connect
        <524+13 connected
        >417+25 queue.declare hall3
        >455+31 subscribe ["hall3"]
        >486+57 publish hall3 id=562949953421313 named=m0 settle b"n0" 2/2
        >543+57 publish hall3 id=562949953421314 named=m1 settle b"n1" 2/2
        <625+21 settled 562949953421313
        <646+69 deliver hall3 id=281474976710657 named=m0 settle b"n0" 2/2
        <715+21 settled 562949953421314
        <736+69 deliver hall3 id=281474976710658 named=m1 settle b"n1" 2/2
        >600+6055 publish hall3 id=562949953421315 named=m2 settle b"xxxxxxxxxxxxxxxx" 6000/6000
        >6655+57 publish hall3 id=562949953421316 named=m3 settle b"n3" 2/2
        >6712+57 publish hall3 id=562949953421317 named=m4 settle b"n4" 2/2
        <805+21 settled 562949953421315
        <826+6067 deliver hall3 id=281474976710659 named=m2 settle b"xxxxxxxxxxxxxxxx" 6000/6000
        <6893+21 settled 562949953421316
        <6893+21#1 settled 562949953421317
        <6914+69 deliver hall3 id=281474976710660 named=m3 settle b"n3" 2/2
        <6983+69 deliver hall3 id=281474976710661 named=m4 settle b"n4" 2/2
        >6769+57 publish hall3 id=562949953421318 named=m5 settle b"n5" 2/2
        <7052+21 settled 562949953421318
        <7073+69 deliver hall3 id=281474976710662 named=m5 settle b"n5" 2/2
        >6826+21 ack [281474976710657, 281474976710658, 281474976710659, 281474976710660]
        >6847+21 nack [281474976710661] error=rejected
        >6868+21 ack [281474976710662]
        >6889+22 disconnect clean=true"#]];
    expected.assert_eq(&heard(System::Rabbitmq, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Rabbitmq, &calls);
    // What a missed confirm said, a later one of many says too.
    let others = |op: &str| (!op.contains(" settled ")).then(|| forgotten(op));
    assert_recovers_but(System::Rabbitmq, &calls, 1, others);
}

#[test]
fn librabbitmq_that_publishes() {
    check(
        include_str!("../recordings/amqp_publish.txt"),
        0,
        &expect![[r#"
        >8+328 connect
        <524+13 connected
        >385+3064 publish tools b"yyyyyyyyyyyyyyyy" 3000/3000
        >3471+22 disconnect clean=true"#]],
    );
}

#[test]
fn librabbitmq_that_consumes() {
    check(
        include_str!("../recordings/amqp_consume.txt"),
        0,
        &expect![[r#"
        >8+328 connect
        <524+13 connected
        >404+26 subscribe ["tools"]
        <609+94 deliver tools id=281474976710657 settle b"two" 3/3
        >430+21 ack [281474976710657]
        >473+22 disconnect clean=true"#]],
    );
}
