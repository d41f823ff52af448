//! Conversations of clients and brokers, and the ops that come of them.

use expect_test::{Expect, expect};

use crate::model::net::Role;
use crate::model::op::{Feed, OpKind, System};
use crate::proto::testing::Bench;

mod build;
mod properties;
mod recorded;
mod topology;
mod wire;

use build::*;

/// A connection of which one end was seen from the beginning.
fn bench(role: Role) -> Bench {
    Bench::of(System::Rabbitmq, Some(role), true, true)
}

fn client() -> Bench {
    bench(Role::Client)
}

/// The ops, and what was found wrong.
fn text(bench: &mut Bench) -> String {
    let mut text = bench.text();
    let counts = bench.connection.counts();
    text.push_str(&format!("{} frames", counts.frames));
    for (name, count) in [
        ("cut", counts.cut_frames),
        ("invalid", counts.invalid),
        ("resyncs", counts.resyncs),
        ("skipped", counts.skipped_bytes),
        ("given up", counts.gave_up),
    ] {
        if count > 0 {
            text.push_str(&format!(", {name} {count}"));
        }
    }
    text.push('\n');
    text
}

fn check(bench: &mut Bench, expected: Expect) {
    expected.assert_eq(&text(bench));
}

/// From the protocol header to an open channel.
fn hello(bench: &mut Bench) -> &mut Bench {
    bench.put(HEADER).get(&start()).put(&start_ok("dev1")).get(&tune()).put(&tune_ok(4096));
    bench.put(&connection_open()).get(&open_ok()).put(&channel_open(1)).get(&channel_open_ok(1))
}

#[test]
fn a_session() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&publish(1, "plant", "temp.a", b"21.5"));
    bench.put(&consume(1, "hall", "c1", false)).get(&consume_ok(1, "c1"));
    bench.get(&deliver(1, "c1", 1, false, "plant", "temp.a", b"21.5")).put(&ack(1, 1, false));
    bench.put(&heartbeat()).get(&heartbeat());
    bench.put(&close(200)).get(&method(0, 10, 51, &[])).close();
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5157+62 100..100..101 dev1 publish plant:temp.a b"21.5" 4/4
        client > 5219+27 110..110..111 dev1 subscribe ["hall"]
        client < 1100+71 130..130..131 dev1 deliver plant:temp.a:hall id=281474976710657 as=plant:temp.a settle b"21.5" 4/4
        client > 5246+21 140..140..141 dev1 ack [281474976710657]
        client > 5275+22 170..170..171 dev1 disconnect clean=true
        22 frames
    "#]],
    );
}

#[test]
fn frames_of_channels_that_take_turns() {
    let mut bench = client();
    hello(&mut bench);
    let one = publish_frames(1, "", "a", b"first body", 4);
    let two = publish_frames(2, "", "b", b"second", 3);
    // Method, header and body frames in turn, a call each.
    for (first, second) in one.iter().zip(two.iter()) {
        bench.put(first).put(second);
    }
    bench.put(&heartbeat()).put(&one[4]);
    bench.put(&publish(1, "", "c", b""));
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5175+108 110..170..171 dev1 publish b b"second" 6/6
        client > 5157+144 100..190..191 dev1 publish a b"first body" 10/10
        client > 5301+40 200..200..201 dev1 publish c b"" 0/0
        21 frames
    "#]],
    );
}

#[test]
fn confirms() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&confirm_select(1)).get(&method(1, 85, 11, &[]));
    for number in 1..=5 {
        bench.put(&publish(1, "", "q", format!("{number}").as_bytes()));
    }
    // Another channel has its own numbers, or none.
    bench.put(&publish(2, "", "q", b"plain"));
    bench.get(&ack(1, 2, false)).get(&ack(1, 3, true)).get(&nack(1, 5, true, false));
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5170+49 120..120..121 dev1 publish q id=281474976710657 settle b"1" 1/1
        client > 5219+49 130..130..131 dev1 publish q id=281474976710658 settle b"2" 1/1
        client > 5268+49 140..140..141 dev1 publish q id=281474976710659 settle b"3" 1/1
        client > 5317+49 150..150..151 dev1 publish q id=281474976710660 settle b"4" 1/1
        client > 5366+49 160..160..161 dev1 publish q id=281474976710661 settle b"5" 1/1
        client > 5415+53 170..170..171 dev1 publish q b"plain" 5/5
        client < 1097+21 180..180..181 dev1 settled 281474976710658
        client < 1118+21 190..190..191 dev1 settled 281474976710657
        client < 1118+21 190..190..191 dev1 settled 281474976710659
        client < 1139+21 200..200..201 dev1 settled 281474976710660 error=nack
        client < 1139+21 200..200..201 dev1 settled 281474976710661 error=nack
        32 frames
    "#]],
    );
}

#[test]
fn what_nobody_wants_comes_back() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&confirm_select(1));
    bench.put(&mandatory(1, "ex", "k", b"same")).put(&mandatory(1, "ex", "k", b"same"));
    bench.get(&returned(1, 312, "ex", "k", b"same")).get(&ack(1, 2, true));
    // Without confirms nothing tells which publish it was.
    bench.put(&mandatory(2, "ex", "k", b"x")).get(&returned(2, 312, "ex", "k", b"x"));
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5170+54 110..110..111 dev1 publish ex:k id=281474976710657 settle b"same" 4/4
        client > 5224+54 120..120..121 dev1 publish ex:k id=281474976710658 settle b"same" 4/4
        client < 1085+62 130..130..131 dev1 settled 281474976710657 error=NO_ROUTE
        client < 1147+21 140..140..141 dev1 settled 281474976710658
        client > 5278+51 150..150..151 dev1 publish ex:k b"x" 1/1
        client < 1168+59 160..160..161 dev1 error NO_ROUTE
        26 frames
    "#]],
    );
}

#[test]
fn settlements() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&consume(1, "q", "c1", false)).put(&consume(2, "p", "c1", true));
    for tag in 1..=6 {
        bench.get(&deliver(1, "c1", tag, tag == 6, "", "q", b"x"));
    }
    bench.get(&deliver(2, "c1", 1, false, "", "p", b"settled by itself"));
    bench.put(&ack(1, 3, false)).put(&ack(1, 4, true)).put(&reject(1, 5, true));
    bench.get(&deliver(1, "c1", 7, false, "", "q", b"y")).put(&nack(1, 0, true, false));
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5157+24 100..100..101 dev1 subscribe ["q"]
        client > 5181+24 110..110..111 dev1 subscribe ["p"]
        client < 1085+58 120..120..121 dev1 deliver q id=281474976710657 settle b"x" 1/1
        client < 1143+58 130..130..131 dev1 deliver q id=281474976710658 settle b"x" 1/1
        client < 1201+58 140..140..141 dev1 deliver q id=281474976710659 settle b"x" 1/1
        client < 1259+58 150..150..151 dev1 deliver q id=281474976710660 settle b"x" 1/1
        client < 1317+58 160..160..161 dev1 deliver q id=281474976710661 settle b"x" 1/1
        client < 1375+58 170..170..171 dev1 deliver q id=281474976710662 again settle b"x" 1/1
        client < 1433+74 180..180..181 dev1 deliver p id=562949953421313 b"settled by itsel" 17/17
        client > 5205+21 190..190..191 dev1 ack [281474976710659]
        client > 5226+21 200..200..201 dev1 ack [281474976710657, 281474976710658, 281474976710660]
        client > 5247+21 210..210..211 dev1 reject [281474976710661] error=requeued
        client < 1507+58 220..220..221 dev1 deliver q id=281474976710663 settle b"y" 1/1
        client > 5268+21 230..230..231 dev1 nack [281474976710662, 281474976710663] error=rejected
        39 frames
    "#]],
    );
}

#[test]
fn queues_have_names() {
    let mut bench = client();
    hello(&mut bench);
    // The last declared queue, named by the broker; a consumer tag given by the broker.
    bench.put(&queue_declare(1, "")).get(&queue_declare_ok(1, "amq.gen-1"));
    bench.put(&consume(1, "", "", false)).get(&consume_ok(1, "ctag-1"));
    bench.get(&deliver(1, "ctag-1", 1, false, "ex", "k", b"1"));
    bench.put(&get(1, "other", true)).put(&get(1, "third", false));
    bench.get(&get_ok(1, 2, "ex", "k", b"2")).get(&method(1, 60, 72, &short("")));
    bench.put(&get(1, "fourth", false)).get(&get_ok(1, 3, "ex", "", b"3"));
    // Nobody saw who this one is.
    bench.get(&deliver(1, "unknown", 4, true, "ex", "k", b"4"));
    // A cancelled consumer, its queue is gone.
    bench.get(&method(1, 60, 30, &[&short("ctag-1")[..], &[0]].concat()));
    check(
        &mut bench,
        expect![[r#"
            client > 5008+100 30..30..31 dev1 connect
            client < 1056+13 70..70..71 dev1 connected
            client > 5157+20 100..110..111 dev1 queue.declare amq.gen-1
            client > 5177+21 120..120..121 dev1 subscribe ["amq.gen-1"]
            client < 1134+64 140..140..141 dev1 deliver ex:k:amq.gen-1 id=281474976710657 as=ex:k settle b"1" 1/1
            client < 1198+61 170..170..171 dev1 deliver ex:k:other id=281474976710658 as=ex:k b"2" 1/1
            client < 1272+60 200..200..201 dev1 deliver ex:fourth id=281474976710659 as=ex settle b"3" 1/1
            client < 1332+65 210..210..211 dev1 deliver ex:k id=281474976710660 again settle perhaps b"4" 1/1
            client < 1397+20 220..220..221 dev1 error consumer_cancelled
            30 frames
        "#]],
    );
}

#[test]
fn destinations_are_named_as_the_conventions_say() {
    let mut amqp = super::Amqp::default();
    for (exchange, key, queue, expected) in [
        ("ex", "k", "", "ex:k"),
        ("ex", "", "", "ex"),
        ("", "k", "", "k"),
        ("", "", "", "amq.default"),
        ("ex", "k", "q", "ex:k:q"),
        ("ex", "q", "q", "ex:q"),
        ("", "q", "q", "q"),
        ("ex", "", "q", "ex:q"),
    ] {
        assert_eq!(&*amqp.destination(exchange, key, queue), expected);
    }
}

#[test]
fn errors_have_names() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&confirm_select(1)).put(&publish(1, "missing", "k", b"1")).put(&publish(1, "", "k", b"2"));
    bench.get(&channel_close(1, 404)).put(&method(1, 20, 41, &[]));
    // The channel begins anew.
    bench.put(&channel_open(1)).put(&publish(1, "", "k", b"3"));
    bench.get(&close(320)).put(&method(0, 10, 51, &[])).close();
    check(
        &mut bench,
        expect![[r#"
            client > 5008+100 30..30..31 dev1 connect
            client < 1056+13 70..70..71 dev1 connected
            client > 5170+56 110..110..111 dev1 publish missing:k id=281474976710657 settle b"1" 1/1
            client > 5226+49 120..120..121 dev1 publish k id=281474976710658 settle b"2" 1/1
            client < 1085+22 130..130..131 dev1 error NOT_FOUND
            client < 1085+22 130..130..131 dev1 settled 281474976710657 error=NOT_FOUND
            client < 1085+22 130..130..131 dev1 settled 281474976710658 error=NOT_FOUND
            client < 1085+22 130..130..131 dev1 basic.publish  error=NOT_FOUND (why)
            client > 5300+49 160..160..161 dev1 publish k b"3" 1/1
            client < 1107+22 170..170..171 dev1 error CONNECTION_FORCED
            client < 1107+22 170..170..171 dev1 basic.publish  error=CONNECTION_FORCED (why)
            client > 5361+0 190..190..190 dev1 disconnect clean=false
            24 frames
        "#]],
    );
}

#[test]
fn refusals() {
    let mut bench = client();
    bench.put(HEADER).get(&start()).put(&start_ok("dev1")).get(&close(403)).close();
    check(
        &mut bench,
        expect![[r#"
            client > 5008+100 30..30..31 dev1 connect
            client < 1036+22 40..40..41 dev1 connected error=ACCESS_REFUSED
            client < 1036+22 40..40..41 dev1 basic.publish  error=ACCESS_REFUSED (why)
            4 frames
        "#]],
    );
    // The server speaks another version.
    let mut bench = client();
    bench.put(b"AMQP\x01\x01\x08\x00").get(HEADER).close();
    check(
        &mut bench,
        expect![[r#"
        client < 1000+8 20..20..21 - connected error=unsupported_protocol_version
        2 frames
    "#]],
    );
    // AMQP 1.0.
    let mut bench = client();
    bench.put(b"AMQP\x00\x01\x00\x00").get(b"AMQP\x00\x01\x00\x00\x00\x00\x00\x10\x02\x00\x00\x00").close();
    assert!(bench.ops.is_empty());
}

#[test]
fn transactions() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&method(1, 90, 10, &[])).put(&publish(1, "", "q", b"1")).put(&publish(1, "", "q", b"2"));
    bench.put(&method(1, 90, 20, &[])).put(&publish(1, "", "q", b"3")).get(&method(1, 90, 21, &[]));
    bench.put(&method(1, 90, 30, &[])).get(&method(1, 90, 31, &[]));
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5169+49 110..110..111 dev1 publish q id=281474976710657 settle b"1" 1/1
        client > 5218+49 120..120..121 dev1 publish q id=281474976710658 settle b"2" 1/1
        client > 5279+49 140..140..141 dev1 publish q id=281474976710659 settle b"3" 1/1
        client < 1085+12 150..150..151 dev1 settled 281474976710657
        client < 1085+12 150..150..151 dev1 settled 281474976710658
        client < 1097+12 170..170..171 dev1 settled 281474976710659 error=ROLLED_BACK
        23 frames
    "#]],
    );
}

#[test]
fn a_connection_that_was_open_before() {
    // A deliver that fills its call, of a consumer that nobody saw begin.
    let mut bench = Bench::of(System::Rabbitmq, Some(Role::Client), true, false);
    bench.get(&deliver(1, "c", 70, false, "ex", "k", b"1")).put(&ack(1, 70, true));
    check(
        &mut bench,
        expect![[r#"
            client < 1000+59 10..10..11 - deliver ex:k id=281474976710726 settle perhaps b"1" 1/1
            client > 5000+21 20..20..21 - ack [281474976710726]
            4 frames
        "#]],
    );
    // From the middle of a call, and of a frame; without the port and the role.
    let mut bench = Bench::of(System::Rabbitmq, None, false, false);
    let mut call = b"the end of a body\xce".to_vec();
    call.extend(publish(3, "ex", "k", b"1"));
    bench.put(&call).put(&publish(3, "ex", "k", b"2"));
    check(
        &mut bench,
        expect![[r#"
        client > 5069+51 20..20..21 - publish ex:k b"2" 1/1
        3 frames, resyncs 1, skipped 69
    "#]],
    );
    // Sixteen deliveries that nobody settles are the patience.
    let mut bench = Bench::of(System::Rabbitmq, Some(Role::Client), true, false);
    for tag in 1..=17 {
        bench.get(&deliver(1, "c", tag, false, "ex", "k", b"1"));
    }
    assert!(bench.text().lines().nth(16).is_some_and(|line| !line.contains(" settle ")));
    // One is enough to know better.
    bench.put(&ack(1, 17, true)).get(&deliver(1, "c", 18, false, "ex", "k", b"1"));
    assert!(bench.text().lines().last().is_some_and(|line| line.contains(" settle ")));
}

#[test]
fn long_bodies_of_which_little_was_captured() {
    let body = vec![b'x'; 1 << 20];
    let whole: Vec<u8> = publish_frames(1, "ex", "k", &body, 131_064).concat();
    for size in [whole.len(), 65_536, 131_072, 10_000, 1448] {
        let mut bench = client();
        hello(&mut bench);
        bench.ops.clear();
        for part in whole.chunks(size) {
            bench.put(part);
        }
        bench.put(&publish(1, "ex", "k2", b"next")).wait();
        let text = text(&mut bench);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("publish ex:k b\"xxxxxxxxxxxxxxxx\""), "{size}: {text}");
        assert!(lines[0].ends_with("/1048576"), "{size}: {text}");
        assert!(lines[0].contains(&format!("+{} ", whole.len())), "{size}: {text}");
        assert!(lines[1].ends_with("publish ex:k2 b\"next\" 4/4"), "{size}: {text}");
        assert!(!lines[2].contains("skipped"), "{size}: {text}");
    }
}

#[test]
fn a_lost_frame_costs_its_message() {
    let frames = publish_frames(1, "ex", "k", &[b'x'; 10_000], 4088);
    for missing in 0..frames.len() {
        let mut bench = client();
        hello(&mut bench);
        bench.put(&publish(1, "ex", "before", b"1"));
        for (index, frame) in frames.iter().enumerate() {
            if index == missing {
                drop(bench.chunk(crate::model::net::Direction::Outward, frame));
            } else {
                bench.put(frame);
            }
        }
        bench.put(&publish(1, "ex", "after", b"1")).wait();
        let text = text(&mut bench);
        assert!(text.contains("publish ex:before") && text.contains("publish ex:after"), "{missing}: {text}");
        // A long body frame is known by what the header and the tuning told.
        let known = missing >= 2;
        assert_eq!(text.contains("publish ex:k "), known, "{missing}: {text}");
        assert!(!known || text.contains("/10000\n"), "{missing}: {text}");
    }
}

#[test]
fn what_was_missed_is_not_counted_on() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&confirm_select(1)).put(&publish(1, "", "q", b"1"));
    let _lost = bench.chunk(crate::model::net::Direction::Outward, &publish(1, "", "q", b"2"));
    bench.put(&publish(1, "", "q", b"3")).wait();
    bench.get(&ack(1, 3, true));
    check(
        &mut bench,
        expect![[r#"
        client > 5008+100 30..30..31 dev1 connect
        client < 1056+13 70..70..71 dev1 connected
        client > 5170+49 110..110..111 dev1 publish q id=281474976710657 settle b"1" 1/1
        client > 5268+49 130..130..131 dev1 publish q b"3" 1/1
        client < 1085+21 1140..1140..1141 dev1 settled 281474976710657
        client < 1085+21 1140..1140..1141 dev1 settled 281474976710659
        17 frames, resyncs 1, skipped 49
    "#]],
    );
}

#[test]
fn a_loss_of_unknown_length_ends_a_body() {
    let frames = publish_frames(1, "ex", "k", &[b'x'; 10_000], 4088);
    for missing in 2..frames.len() {
        let mut bench = client();
        bench.exact = false;
        hello(&mut bench);
        for frame in &frames[..missing] {
            bench.put(frame);
        }
        let Bench { connection, ops, .. } = &mut bench;
        connection.gap(crate::model::net::Direction::Outward, ops);
        // The rest of a frame that began in it: as if the loss were one byte, the frame would fit.
        bench.put(&[b'x'; 4095]);
        bench.put(&publish(1, "ex", "after", b"1")).wait();
        let text = text(&mut bench);
        assert!(text.contains("publish ex:after") && !text.contains("publish ex:k "), "{missing}: {text}");
    }
}

/// Consumers of one queue, on whatever channel and by whatever method, take from one copy; another queue has its own.
#[test]
fn a_delivery_tells_whose_copy_it_is() {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&consume(1, "q", "c1", false)).put(&consume(2, "q", "c2", false));
    bench.put(&consume(1, "r", "c3", false));
    bench.get(&deliver(1, "c1", 1, false, "ex", "", b"x")).get(&deliver(2, "c2", 1, false, "ex", "", b"x"));
    bench.get(&deliver(1, "c3", 2, false, "ex", "", b"x"));
    bench.put(&get(1, "r", true)).get(&get_ok(1, 3, "ex", "", b"x"));
    bench.get(&deliver(1, "unknown", 4, false, "ex", "", b"x"));
    let feed = |op: crate::model::op::Op| match op.kind {
        OpKind::Deliver(message) => Some(message.feed),
        _ => None,
    };
    let feeds: Vec<_> = bench.ops.drain(..).filter_map(feed).collect();
    let (q, r) = (Feed::shared(b"q"), Feed::shared(b"r"));
    assert_eq!(feeds, [q, q, r, r, Feed::Client]);
}
