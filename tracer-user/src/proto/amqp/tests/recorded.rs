//! Conversations of real clients with RabbitMQ 3.10.8.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::System;
use crate::proto::testing::{assert_recovers_but, assert_same_however_split, heard, recording};

fn check(text: &str, lost: usize, expected: &Expect) {
    let calls = recording(text);
    expected.assert_eq(&heard(System::Rabbitmq, Role::Client, &calls).join("\n"));
    assert_same_however_split(System::Rabbitmq, &calls);
    assert_recovers_but(System::Rabbitmq, &calls, lost, forgotten);
}

/// An op without what it has from others before it: a publish its number, a delivery its queue and whether it is to be
/// settled, a settlement of many those; and of a body, parts of which may be what was lost, only its size.
fn forgotten(op: &str) -> String {
    let op = op.replace(" settle ", " ");
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
    check(
        include_str!("../recordings/pika_confirm.txt"),
        0,
        &expect![[r#"
        >8+332 connect
        <524+13 connected
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
        >956+34 disconnect clean=true"#]],
    );
}

#[test]
fn pika_that_consumes() {
    check(
        include_str!("../recordings/pika_consume.txt"),
        0,
        &expect![[r#"
        >8+332 connect
        <524+13 connected
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
    check(
        include_str!("../recordings/pika_tx.txt"),
        0,
        &expect![[r#"
        >8+327 connect
        <524+13 connected
        >416+55 publish nowhere id=281474976710657 settle b"1" 1/1
        >471+55 publish nowhere id=281474976710658 settle b"2" 1/1
        <616+12 settled 281474976710657
        <616+12#1 settled 281474976710658
        >538+55 publish nowhere id=281474976710659 settle b"3" 1/1
        <628+12 settled 281474976710659 error=ROLLED_BACK
        >605+58 publish missing:key id=281474976710660 settle b"4" 1/1
        <640+65 error NOT_FOUND
        <640+65#1 settled 281474976710660 error=NOT_FOUND
        >687+34 disconnect clean=true"#]],
    );
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
