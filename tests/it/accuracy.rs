//! How often links are right: workloads with a known truth, measured precision by evidence, and what is said of it.
//!
//! `cargo xtask test --live-only accuracy -- --nocapture` prints the tables. The figures of `causality::confidence::TABLE`
//! are these; the test fails where a link is said to be more than `TOLERANCE` surer than it was measured.

use std::collections::BTreeMap;

use tracer_tests::truth::{Relation, Score, Verdict, scores};

use crate::trail::plant::{Plant, end};

/// Messages of each workload.
const MESSAGES: usize = 150;
/// Fewer links than these say little about a kind of evidence.
const ENOUGH: usize = 40;
/// By how much a figure may exceed what was measured: machines differ, and 40 links are few.
const TOLERANCE: f64 = 0.05;

type Answer = Box<dyn FnMut(&str) -> Option<String> + Send>;

/// A way of writing programs.
struct Workload {
    name: &'static str,
    /// One instrument for each.
    readings: Vec<Answer>,
    sensor: &'static [&'static str],
    actuator: &'static [&'static str],
    tracer: &'static [&'static str],
}

/// A value that never comes twice.
fn unique(step: f64) -> Answer {
    let mut number = 0.0;
    Box::new(move |_| {
        number += 1.0;
        Some(format!("{:.3}", 20.0 + number * step))
    })
}

/// The same value for ever.
fn constant() -> Answer {
    Box::new(|_| Some("21.50".to_owned()))
}

/// A slow walk in steps of a tenth: values come again, often at once.
fn walk(seed: u32) -> Answer {
    let (mut noise, mut tenths) = (seed, 215);
    Box::new(move |_| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        tenths = (tenths + i32::try_from(noise % 3).expect("small") - 1).clamp(200, 230);
        Some(format!("{}.{}", tenths / 10, tenths % 10))
    })
}

fn workloads() -> Vec<Workload> {
    let one = |name, reading: Answer, sensor, actuator| Workload {
        name,
        readings: vec![reading],
        sensor,
        actuator,
        tracer: &[],
    };
    let two = |name, readings: [Answer; 2], sensor, actuator| Workload {
        name,
        readings: readings.into(),
        sensor,
        actuator,
        tracer: &[],
    };
    const FAST: &[&str] = &["--period", "4"];
    vec![
        one("another thread publishes", unique(0.137), FAST, &["--ack-late"]),
        one("the same thread publishes", unique(0.137), &["--same-thread", "--period", "1"], &[]),
        one("a walk, another thread", walk(7), FAST, &["--worker"]),
        one(
            "a walk, the same thread",
            walk(9),
            &["--same-thread", "--period", "1"],
            &["--worker", "--ack-late"],
        ),
        one("constant, another thread", constant(), FAST, &["--ack-late"]),
        one(
            "constant, the same thread",
            constant(),
            &["--same-thread", "--period", "1"],
            &["--mute", "--ack-late"],
        ),
        one("constant, not acknowledged late", constant(), FAST, &["--mute"]),
        one("bursts of 5", unique(0.137), &["--burst", "5", "--period", "2"], &["--worker"]),
        one("bursts of 5, a walk", walk(3), &["--burst", "5", "--period", "2"], &["--worker"]),
        one("heartbeats, another thread", unique(0.137), &["--heartbeat", "--period", "4"], &["--worker"]),
        one(
            "heartbeats, the same thread",
            unique(0.137),
            &["--heartbeat", "--same-thread", "--period", "1"],
            &["--worker"],
        ),
        two("two instruments", [unique(0.137), unique(0.211)], FAST, &["--ack-late"]),
        two("two instruments, equal values", [unique(0.137), unique(0.137)], FAST, &["--ack-late"]),
        two("two threads, walks", [walk(5), walk(11)], &["--threads", "--period", "8"], &["--worker"]),
        Workload {
            name: "another thread publishes, without BTF",
            readings: vec![walk(13)],
            sensor: FAST,
            actuator: &["--ack-late"],
            tracer: &["--no-btf"],
        },
    ]
}

fn run(workload: Workload) -> (&'static str, Vec<Verdict>) {
    let Workload { name, readings, sensor, actuator, tracer } = workload;
    let mut plant = Plant::new();
    let near: Vec<String> = readings.into_iter().map(|reading| plant.instrument(reading)).collect();
    let far = plant.instrument(|request| Some(format!("OK {request}")));
    let tracer = plant.trace(tracer);
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    let all = if sensor.contains(&"--threads") { MESSAGES * near.len() } else { MESSAGES };
    plant.actuator("actuator", all, &far, actuator);
    plant.sensor("sensor", MESSAGES, &near, sensor);
    plant.finish();
    let outcome = end(tracer);
    let verdicts = plant.verdicts(&outcome.spans);
    assert!(verdicts.len() >= 3 * all, "{name}: the truth is known of every link");
    (name, verdicts)
}

#[test]
fn links_are_as_sure_as_they_are_said_to_be() {
    let mut all = Vec::new();
    println!("{:<40}{:<18}{:>7}{:>7}{:>9}", "workload", "link", "links", "right", "recall");
    for (name, verdicts) in workloads().into_iter().map(run) {
        let (_, found) = scores(&verdicts);
        for (relation, (right, count)) in found {
            #[expect(clippy::cast_precision_loss, reason = "hundreds")]
            let recall = right as f64 / count as f64;
            println!("{name:<40}{:<18}{count:>7}{right:>7}{recall:>9.3}", format!("{relation:?}"));
        }
        all.extend(verdicts);
    }
    println!(
        "\n{:<18}{:<36}{:>7}{:>7}{:>11}{:>8}",
        "link", "evidence", "right", "wrong", "precision", "said"
    );
    let (by_relation, found) = scores(&all);
    let mut by_evidence: BTreeMap<(String, u32), Score> = BTreeMap::new();
    for ((relation, evidence, said), score) in by_relation {
        line(&format!("{relation:?}"), &evidence, score, said);
        let sum = by_evidence.entry((evidence, said)).or_default();
        (sum.right, sum.wrong) = (sum.right + score.right, sum.wrong + score.wrong);
    }
    let mut wrong = Vec::new();
    for ((evidence, said), score) in by_evidence {
        line("all", &evidence, score, said);
        if score.right + score.wrong >= ENOUGH && f64::from(said) / 1000.0 > score.precision() + TOLERANCE {
            wrong.push(format!(
                "{evidence}: said {}, measured {:.3}",
                f64::from(said) / 1000.0,
                score.precision()
            ));
        }
    }
    assert!(wrong.is_empty(), "surer than measured: {wrong:#?}");
    let (right, count) = found[&Relation::PublishProcess];
    assert_eq!(right, count, "the way through the broker is exact");
}

fn line(relation: &str, evidence: &str, score: Score, said: u32) {
    let (right, wrong, precision) = (score.right, score.wrong, score.precision());
    let said = f64::from(said) / 1000.0;
    println!("{relation:<18}{evidence:<36}{right:>7}{wrong:>7}{precision:>11.3}{said:>8.3}");
}
