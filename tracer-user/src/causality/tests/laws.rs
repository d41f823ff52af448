//! What holds for all scenarios.

use proptest::prelude::*;

use super::world::{Input, World, acked, give, message, run, trees};
use crate::causality::Causality;
use crate::model::net::Role;
use crate::model::op::OpKind;
use crate::model::time::Timestamp;

/// A busy world: sensors, relays and actuators over 40 ms, several with equal values.
fn busy(steps: &[(u8, u16)]) -> World {
    let mut world = World::new();
    let mut at = 1000;
    world.subscribe("actuator", 500, "#");
    for (kind, gap) in steps {
        at += 100 + u64::from(*gap) % 400;
        let value = format!("{}.5", 20 + gap % 3);
        match kind % 5 {
            0 => world.command("sensor", 1, (at, at + 50), "A?", &value),
            1 => {
                world.publish("sensor", 2, at, "t", &value);
                world.deliver("actuator", 1, at + 50, "t", &value);
                world.back("actuator", 1, at + 90);
            }
            2 => {
                let id = at;
                world.op("other", 1, at, true, OpKind::Publish(Box::new(acked("t", &value, id))));
                world.op("other", 1, at + 30, false, OpKind::PublishSettled { id, error: None, given: None });
                world.op("actuator", 1, at + 50, false, OpKind::Deliver(Box::new(acked("t", &value, id))));
                world.command("actuator", 1, (at + 75, at + 80), &value, "OK");
                world.ack("actuator", 1, at + 85, &[id]);
            }
            3 => {
                world.publish("sensor", 1, at, "raw", &value);
                world.deliver("relay", 1, at + 30, "raw", &value);
                world.publish("relay", 1, at + 60, "t", "ok");
                world.back("relay", 1, at + 65);
                world.deliver("actuator", 1, at + 90, "t", "ok");
            }
            _ => world.deliver("third", 1, at, "nowhere", &value),
        }
    }
    world
}

/// `inputs` as they become known, each up to 5 ms late.
fn disordered(inputs: &[Input], delays: &[u64]) -> Vec<Input> {
    let mut keyed: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let delay = delays.get(index % delays.len().max(1)).copied().unwrap_or(0) % 4_900_000;
            (input.known() + delay, input.clone())
        })
        .collect();
    keyed.sort_by_key(|(known, _)| *known);
    keyed.into_iter().map(|(_, input)| input).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_of_arrival_changes_nothing(
        steps in prop::collection::vec((0u8..5, 0u16..1000), 1..60),
        delays in prop::collection::vec(0u64..5_000_000, 1..40),
        tick in 1_000_000u64..30_000_000,
    ) {
        let world = busy(&steps);
        let mut in_order = world.inputs.clone();
        in_order.sort_by_key(Input::known);
        let (expected, first) = run(&in_order, 10_000_000);
        let (spans, second) = run(&disordered(&world.inputs, &delays), tick);
        prop_assert_eq!(trees(&expected), trees(&spans));
        prop_assert_eq!(second.counts().late, 0);
        let by_id = |spans: &[crate::model::span::Span]| {
            let mut ids: Vec<_> = spans.iter().map(|span| (span.trace, span.id, span.name.clone())).collect();
            ids.sort();
            ids
        };
        prop_assert_eq!(by_id(&expected), by_id(&spans), "ids are reproducible");
        prop_assert_eq!(first.counts().spans, spans.len() as u64);
        prop_assert_eq!((second.counts().held, second.counts().queued), (0, 0));
    }

    /// Anything may arrive in any order with any content: nothing breaks, nothing is kept.
    #[test]
    fn takes_anything(
        steps in prop::collection::vec((0u8..5, 0u16..1000), 1..40),
        swaps in prop::collection::vec((0usize..400, 0usize..400, any::<u64>()), 0..80),
        exact: bool,
    ) {
        let mut world = busy(&steps);
        let count = world.inputs.len();
        for (a, b, noise) in swaps {
            world.inputs.swap(a % count, b % count);
            if let Input::Op(op) = &mut world.inputs[a % count] {
                op.place.start ^= noise;
                op.place.exact = exact;
                op.at.end.0 ^= noise & 0xffff_ffff;
                op.at.end = op.at.end.max(op.at.start);
            }
        }
        let (spans, engine) = run(&world.inputs, 3_000_000);
        let counts = engine.counts();
        prop_assert_eq!((counts.held, counts.queued), (0, 0));
        prop_assert_eq!(counts.spans, spans.len() as u64);
    }
}

/// Gives `world` to an engine that is not flushed.
fn unflushed(world: &World, after_ns: u64) -> (Vec<crate::model::span::Span>, Causality) {
    let mut inputs = world.inputs.clone();
    inputs.sort_by_key(Input::known);
    let (_, mut engine) = run(&[], u64::MAX);
    let mut out = Vec::new();
    let last = inputs.iter().map(Input::known).max().unwrap();
    for input in inputs {
        give(&mut engine, input);
    }
    engine.tick(Timestamp(last + after_ns), &mut out);
    (out, engine)
}

#[test]
fn trace_is_complete_within_two_seconds_of_its_last_event() {
    let mut world = World::new();
    world.command("sensor", 1, (500, 900), "A?", "21.53");
    world.op("sensor", 1, 1000, true, OpKind::Publish(Box::new(acked("t", "21.53", 1))));
    world.op("actuator", 1, 1300, false, OpKind::Deliver(Box::new(acked("t", "21.53", 1))));
    // No answer, no settlement, no return: all three end by time.
    let (spans, engine) = unflushed(&world, 2_000_000_000);
    assert_eq!((spans.len(), engine.counts().held), (4, 0));
    let (spans, _) = unflushed(&world, 100_000_000);
    assert_eq!(spans.len(), 0, "nothing goes out before its other end may have come");
}

#[test]
fn busy_stretch_is_joined_and_linked_throughout() {
    let mut world = World::new();
    for index in 0..2000u64 {
        let message = Box::new(message("t", &format!("{{\"n\":{index}}}")));
        world.op("sensor", 1, 1000 + index * 100, true, OpKind::Publish(message.clone()));
        world.op("actuator", 1, 1040 + index * 100, false, OpKind::Deliver(message));
        world.back("actuator", 1, 1080 + index * 100);
    }
    let (spans, engine) = world.run();
    let counts = engine.counts();
    assert_eq!(spans.len(), 6000);
    assert_eq!((counts.unmatched_deliveries, counts.joined, counts.evicted), (0, 4000, 0));
    let edges: Vec<_> = counts.edges().collect();
    assert_eq!(edges.iter().map(|(_, count)| count).sum::<u64>(), 4000, "{edges:?}");
    assert_eq!(counts.ambiguous_edges(), 0);
}

/// More is held than there is room for: the oldest go out early, each counted, and nothing is lost.
#[test]
fn flood_is_bounded_and_counted() {
    let mut world = World::new();
    let count = 70_000;
    for index in 0..count {
        // Never answered, all within a moment.
        world.op("sensor", 1, 1000 + index, true, OpKind::Publish(Box::new(acked("t", "x", index))));
    }
    world.broker = false;
    world.inputs.retain(|input| matches!(input, Input::Op(op) if op.viewpoint == Role::Client));
    let (spans, engine) = unflushed(&world, 200_000_000);
    let counts = engine.counts();
    assert_eq!(counts.held, 60_000);
    assert_eq!(counts.forced, count - 60_000);
    assert_eq!(spans.len() as u64 + counts.held, count);
    // They all came before the first tick, so not all of them could be put in order.
    assert!(counts.hurried > 0 || counts.queued == 0);
}
