//! What AMQP has beside messages: dead letters, and requests about exchanges and queues.

use super::world::{World, message};
use crate::model::op::{Feed, Message, OpKind, Refusal, System};
use crate::model::span::{Owner, Span};

fn world() -> World {
    World { system: System::Rabbitmq, ..World::new() }
}

fn dead(first: &str) -> OpKind {
    OpKind::Deliver(Box::new(Message {
        published_as: Some("dlx:k".into()),
        published_first: Some(first.into()),
        feed: Feed::Shared(9),
        ..message("dlx:k:dead", "on")
    }))
}

/// The starts of the deliveries' publishes, in the order of the deliveries.
fn published(world: &World) -> Vec<Option<u64>> {
    let (spans, _) = world.run();
    let begun = |span: &Span| (span.at.start.0 - super::world::START) / 1000;
    let mut processes: Vec<_> = spans.iter().filter(|span| span.name.starts_with("process")).collect();
    processes.sort_by_key(|span| begun(span));
    let parent = |span: &&Span| {
        let id = span.parent.as_ref()?.span;
        spans.iter().find(|span| span.id == id).map(begun)
    };
    processes.iter().map(parent).collect()
}

#[test]
fn a_dead_letter_has_its_publish() {
    let mut world = world();
    for at in [1000, 1100] {
        world.publish("sensor", 1, at, "x:k", "on");
        let delivery =
            Message { published_as: Some("x:k".into()), feed: Feed::Shared(8), ..message("x:k:work", "on") };
        world.op("actuator", 1, at + 50, false, OpKind::Deliver(Box::new(delivery)));
        world.back("actuator", 1, at + 70);
    }
    world.op("other", 1, 1300, false, dead("x:k"));
    world.op("other", 1, 1350, false, dead("x:k"));
    world.back("other", 1, 1400);
    assert_eq!(published(&world), [Some(1000), Some(1100), Some(1000), Some(1100)]);
}

/// A program that publishes what it got with all its headers says in them where that once came from.
#[test]
fn what_was_published_again_has_its_own_publish() {
    let mut world = world();
    world.publish("sensor", 1, 1000, "x:k", "on");
    world.publish("relay", 1, 1200, "dlx:k", "on");
    world.op("other", 1, 1300, false, dead("x:k"));
    world.back("other", 1, 1400);
    assert_eq!(published(&world), [Some(1200)]);
}

#[test]
fn a_request_is_one_span_whoever_saw_it() {
    for exact in [true, false] {
        for (clients, broker) in [(true, true), (true, false), (false, true)] {
            let mut world = World { exact, clients, broker, ..world() };
            for (at, error) in [(1000, None), (1100, Some("PRECONDITION_FAILED"))] {
                let message = Box::new(message("q", ""));
                let error = error.map(|kind| Refusal { kind: kind.into(), text: "why".into() });
                let kind = OpKind::Request { name: "queue.declare", message, error };
                world.op("actuator", 1, at, true, kind);
            }
            world.back("actuator", 1, 1200);
            let (spans, _) = world.run();
            let names: Vec<_> =
                spans.iter().map(|span| (span.name.as_str(), span.status.is_error())).collect();
            assert_eq!(
                names,
                [("queue.declare q", false), ("queue.declare q", true)],
                "{exact} {clients} {broker}"
            );
            assert!(spans.iter().all(|span| matches!(span.owner, Owner::Process(_)) == clients));
        }
    }
}

/// What a program asks for while it handles a message comes of that.
#[test]
fn a_request_belongs_to_what_is_handled() {
    let mut world = world();
    world.publish("sensor", 1, 1000, "x", "on");
    world.deliver("actuator", 1, 1100, "x", "on");
    let kind = OpKind::Request { name: "queue.purge", message: Box::new(message("q", "")), error: None };
    world.op("actuator", 1, 1200, true, kind);
    world.back("actuator", 1, 1300);
    let (spans, _) = world.run();
    let find = |name: &str| spans.iter().find(|span| span.name.starts_with(name)).expect("it is there");
    let (purge, process) = (find("queue.purge q"), find("process x"));
    assert_eq!(purge.parent.as_ref().map(|edge| edge.span), Some(process.id));
}
