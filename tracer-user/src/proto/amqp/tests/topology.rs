//! Exchanges, queues, bindings and dead letters.

use super::*;
use crate::model::command::Value;
use crate::model::op::Message;
use crate::names::attribute;

fn args(parts: &[&str], bits: u8) -> Vec<u8> {
    let names: Vec<u8> = parts.iter().flat_map(|part| short(part)).collect();
    [&[0, 0][..], &names, &[bits], &table(&[])].concat()
}

/// What a broker writes when it refuses class and method.
fn refuses(channel: u16, code: u16, text: &str, class: u16, of: u16) -> Vec<u8> {
    let arguments = [&code.to_be_bytes()[..], &short(text), &class.to_be_bytes(), &of.to_be_bytes()].concat();
    if channel == 0 { method(0, 10, 50, &arguments) } else { method(channel, 20, 40, &arguments) }
}

#[test]
fn requests_and_their_answers() {
    let mut bench = client();
    hello(&mut bench).text();
    bench.put(&method(1, 40, 10, &args(&["x", "topic"], 2))).get(&method(1, 40, 11, &[]));
    // The broker names it, and an empty name means it.
    bench.put(&queue_declare(1, "")).get(&queue_declare_ok(1, "amq.gen-1"));
    bench.put(&method(1, 50, 20, &args(&["", "x", "a.*"], 0))).get(&method(1, 50, 21, &[]));
    bench.put(&method(1, 40, 30, &args(&["y", "x", "b"], 0))).get(&method(1, 40, 31, &[]));
    bench.put(&method(1, 40, 40, &args(&["y", "x", "b"], 0))).get(&method(1, 40, 51, &[]));
    // One behind the other, on two channels.
    bench.put(&channel_open(2)).get(&channel_open_ok(2));
    let unbind: Vec<u8> = ["q", "x", "a.*"].iter().flat_map(|part| short(part)).collect();
    bench.put(&method(1, 50, 50, &[&[0, 0][..], &unbind, &table(&[])].concat()));
    bench.put(&method(2, 50, 30, &[&[0, 0][..], &short("q"), &[0]].concat()));
    bench.get(&method(2, 50, 31, &[0, 0, 0, 7])).get(&method(1, 50, 51, &[]));
    // Nothing is answered, nothing is awaited.
    bench.put(&method(1, 50, 40, &[&[0, 0][..], &short("q"), &[4]].concat()));
    bench.put(&method(1, 40, 20, &[&[0, 0][..], &short("x"), &[0]].concat()));
    bench.get(&method(1, 40, 21, &[]));
    check(
        &mut bench,
        expect![[r#"
        client > 5157+27 100..110..111 dev1 exchange.declare x
        client > 5184+20 120..130..131 dev1 queue.declare amq.gen-1
        client > 5204+26 140..150..151 dev1 queue.bind x:a.*:amq.gen-1
        client > 5230+25 160..170..171 dev1 exchange.bind x:b:y
        client > 5255+25 180..190..191 dev1 exchange.unbind x:b:y
        client > 5319+17 230..240..241 dev1 queue.purge q
        client > 5293+26 220..250..251 dev1 queue.unbind x:a.*:q
        client > 5336+17 260..260..261 dev1 queue.delete q
        client > 5353+17 270..280..281 dev1 exchange.delete x
        28 frames
    "#]],
    );
}

#[test]
fn what_is_refused_says_what_and_why() {
    let mut bench = client();
    hello(&mut bench).text();
    let text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/'";
    bench.put(&queue_declare(1, "q")).get(&refuses(1, 406, text, 50, 10));
    bench.put(&method(1, 20, 41, &[])).put(&channel_open(1)).get(&channel_open_ok(1));
    bench.put(&method(1, 50, 20, &args(&["q", "nowhere", "k"], 0)));
    bench.get(&refuses(1, 404, "NOT_FOUND - no exchange 'nowhere' in vhost '/'", 50, 20));
    bench.put(&channel_open(2)).get(&channel_open_ok(2));
    bench.put(&consume(2, "none", "c", false)).get(&refuses(2, 404, "NOT_FOUND - no queue", 60, 20));
    // Nobody was told of this publish; of a confirmed one the publish tells.
    bench.put(&channel_open(3)).get(&channel_open_ok(3)).put(&publish(3, "nowhere", "k", b"1"));
    bench.get(&refuses(3, 404, "NOT_FOUND - no exchange", 60, 40));
    bench.put(&channel_open(4)).get(&channel_open_ok(4)).put(&confirm_select(4));
    bench.put(&publish(4, "nowhere", "k", b"1")).get(&refuses(4, 404, "NOT_FOUND - no exchange", 60, 40));
    // The connection as a whole.
    bench.put(&channel_open(5)).get(&channel_open_ok(5)).put(&method(5, 40, 10, &args(&["x", "silly"], 0)));
    bench.get(&refuses(0, 503, "COMMAND_INVALID - unknown exchange type 'silly'", 40, 10));
    check(
        &mut bench,
        expect![[r#"
            client < 1085+94 110..110..111 dev1 error PRECONDITION_FAILED
            client > 5157+21 100..110..111 dev1 queue.declare q error=PRECONDITION_FAILED (PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/')
            client < 1195+65 160..160..161 dev1 error NOT_FOUND
            client > 5203+31 150..160..161 dev1 queue.bind nowhere:k:q error=NOT_FOUND (NOT_FOUND - no exchange 'nowhere' in vhost '/')
            client > 5247+26 190..190..191 dev1 subscribe ["none"]
            client < 1276+39 200..200..201 dev1 error NOT_FOUND
            client > 5247+26 190..200..201 dev1 basic.consume none error=NOT_FOUND (NOT_FOUND - no queue)
            client > 5286+56 230..230..231 dev1 publish nowhere:k b"1" 1/1
            client < 1331+42 240..240..241 dev1 error NOT_FOUND
            client < 1331+42 240..240..241 dev1 basic.publish  error=NOT_FOUND (NOT_FOUND - no exchange)
            client > 5368+56 280..280..281 dev1 publish nowhere:k id=1125899906842625 settle b"1" 1/1
            client < 1389+42 290..290..291 dev1 error NOT_FOUND
            client < 1389+42 290..290..291 dev1 settled 1125899906842625 error=NOT_FOUND
            client < 1389+42 290..290..291 dev1 basic.publish  error=NOT_FOUND (NOT_FOUND - no exchange)
            client < 1447+66 330..330..331 dev1 error COMMAND_INVALID
            client > 5437+27 320..330..331 dev1 exchange.declare x error=COMMAND_INVALID (COMMAND_INVALID - unknown exchange type 'silly')
            37 frames
        "#]],
    );
}

#[test]
fn threads_and_losses_swap_requests_and_answers() {
    let mut bench = client();
    hello(&mut bench).text();
    let mut late = bench.chunk(crate::model::net::Direction::Outward, &queue_declare(1, "q"));
    late.at.end.0 += 20_000_000;
    bench.get(&queue_declare_ok(1, "q"));
    bench.connection.feed(crate::model::net::Direction::Outward, late, &mut bench.ops);
    assert_eq!(bench.text(), "client > 5157+21 100..100..121 dev1 queue.declare q\n");
    // A lost answer is not the next one's.
    bench.put(&queue_declare(1, "r"));
    drop(bench.chunk(crate::model::net::Direction::Inward, &queue_declare_ok(1, "r")));
    bench.put(&method(1, 50, 30, &[&[0, 0][..], &short("q"), &[0]].concat()));
    bench.get(&method(1, 50, 31, &[0, 0, 0, 7])).wait();
    bench.put(&queue_declare(1, "s")).get(&queue_declare_ok(1, "s"));
    let text = bench.text();
    assert!(text.ends_with("queue.declare s\n") && !text.contains("declare r"), "{text}");
}

/// A field of `x-death`.
fn death(queue: &str, reason: &str, exchange: &str, key: &str, count: i64) -> Vec<u8> {
    let keys = [&b"A"[..], &long(&string(key))].concat();
    let count = [&b"l"[..], &count.to_be_bytes()].concat();
    let fields = [
        ("count", count),
        ("reason", string(reason)),
        ("queue", string(queue)),
        ("time", [&b"T"[..], &[0; 8]].concat()),
        ("exchange", string(exchange)),
        ("routing-keys", keys),
    ];
    [&b"F"[..], &table(&fields)].concat()
}

fn delivered(headers: &[(&str, Vec<u8>)]) -> Message {
    let mut bench = client();
    hello(&mut bench);
    bench.put(&consume(1, "dead", "c", false)).get(&consume_ok(1, "c"));
    let arguments = [&short("c")[..], &9u64.to_be_bytes(), &[0], &short("dlx"), &short("k")].concat();
    let frames = [method(1, 60, 60, &arguments), header(1, 1, 1 << 13, &table(headers)), frame(3, 1, b"x")];
    bench.get(&frames.concat());
    match bench.ops.pop().map(|op| op.kind) {
        Some(OpKind::Deliver(message)) => *message,
        other => panic!("{other:?}"),
    }
}

fn list(deaths: &[Vec<u8>]) -> Vec<u8> {
    [&b"A"[..], &long(&deaths.concat())].concat()
}

#[test]
fn a_dead_letter_says_where_it_came_from() {
    let once = [
        ("x-death", list(&[death("work", "rejected", "jobs", "a.b", 1)])),
        ("x-first-death-exchange", string("jobs")),
        ("x-first-death-queue", string("work")),
        ("x-first-death-reason", string("rejected")),
    ];
    let message = delivered(&once);
    assert_eq!(message.published_as.as_deref(), Some("dlx:k"));
    assert_eq!(message.published_first.as_deref(), Some("jobs:a.b"));
    let attributes: Vec<_> =
        message.attributes.iter().filter(|(key, _)| key.contains("rabbitmq.x_")).collect();
    assert_eq!(
        attributes,
        [
            &(attribute::RABBITMQ_DEATH_COUNT, Value::Int(1)),
            &(attribute::RABBITMQ_DEATH_REASON, Value::Shared("rejected".into())),
            &(attribute::RABBITMQ_DEATH_QUEUE, Value::Shared("work".into())),
            &(attribute::RABBITMQ_DEATH_EXCHANGE, Value::Shared("jobs".into())),
        ]
    );
    // Published straight to a queue, and by a broker that does not say which was the first.
    let message = delivered(&[("x-death", list(&[death("work", "expired", "", "work", 3)]))]);
    assert_eq!(message.published_first.as_deref(), Some("work"));
    // In a circle: the first is not the last of the list.
    let circle = [death("work", "rejected", "jobs", "a.b", 2), death("wait", "expired", "retry", "a.b", 1)];
    let mut headers = vec![("x-death", list(&circle))];
    assert_eq!(delivered(&headers).published_first, None, "either may be");
    headers.extend([("x-first-death-queue", string("work")), ("x-first-death-reason", string("rejected"))]);
    assert_eq!(delivered(&headers).published_first.as_deref(), Some("jobs:a.b"));
    // What is no list of deaths.
    for odd in [string("x"), list(&[]), list(&[string("x")]), list(&[b"F\xff\xff".to_vec()])] {
        assert_eq!(delivered(&[("x-death", odd)]).published_first, None);
    }
}

#[test]
fn what_is_asked_stays_bounded() {
    let mut amqp = client();
    hello(&mut amqp);
    for number in 0..1000 {
        amqp.put(&queue_declare(1, &number.to_string()));
    }
    amqp.get(&queue_declare_ok(1, "999"));
    assert_eq!(amqp.ops.iter().filter(|op| matches!(op.kind, OpKind::Request { .. })).count(), 1);
}
