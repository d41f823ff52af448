//! The ways of writing sensors and actuators.

use std::time::Duration;

use tracer_tests::otlp::Span;
use tracer_tests::truth::{Relation, message, on_device};

use super::plant::{Plant, Watch, all_right, complete_in_time, end};
use tracer_tests::trail::trails;

/// Longest time from the last event of a trace until it is complete.
const COMPLETE: Duration = Duration::from_secs(2);

/// Readings that all differ.
fn thermometer() -> impl FnMut(&str) -> Option<String> + Send {
    let mut number = 0;
    move |_| {
        number += 1;
        Some(format!("{:.3}", 20.0 + f64::from(number) * 0.137))
    }
}

fn valve(request: &str) -> Option<String> {
    Some(format!("OK {}", request.trim_start_matches("SET ")))
}

/// One sensor, one actuator, 12 messages: every trace whole, every link right, each complete in time.
fn one_to_one(sensor: &[&str], actuator: &[&str], options: &[&str], evidence: &[&str]) {
    let mut plant = Plant::new();
    let (near, far) = (plant.instrument(thermometer()), plant.instrument(valve));
    let mut tracer = plant.trace(options);
    let watch = Watch::new(&tracer);
    plant.actuator("actuator", 12, &far, actuator);
    plant.sensor("sensor", 12, &[&near], sensor);
    plant.finish();
    tracer.wait_for("twelve whole traces", |spans| trails(spans).len() == 12);
    let arrived = watch.stop();
    let outcome = end(tracer);
    all_right(&plant.verdicts(&outcome.spans), 36, evidence);
    complete_in_time(&arrived, COMPLETE);
    assert_eq!(trails(&outcome.spans).len(), 12);
    for span in &outcome.spans {
        assert_eq!(span.error, None, "{span:#?}");
    }
}

const EXACT: &str = "tcp-position+fingerprint";

#[test]
fn as_in_the_demo() {
    one_to_one(&[], &["--ack-late"], &[], &["containment", EXACT, "thread+containment"]);
}

#[test]
fn as_in_the_demo_without_btf() {
    one_to_one(&[], &["--ack-late"], &["--no-btf"], &["containment", "fingerprint", "thread+containment"]);
}

#[test]
fn one_thread_for_everything() {
    // Acknowledged by the library before the program sees the message: the thread is then done with it.
    one_to_one(&["--same-thread"], &[], &[], &["thread+containment", "containment", EXACT]);
}

#[test]
fn another_thread_commands() {
    one_to_one(&[], &["--worker"], &[], &["containment", EXACT]);
}

#[test]
fn another_thread_commands_and_acknowledges() {
    one_to_one(
        &["--same-thread"],
        &["--worker", "--ack-late"],
        &[],
        &["containment", EXACT, "thread+containment"],
    );
}

#[test]
fn a_command_that_says_nothing_of_the_message() {
    one_to_one(&["--same-thread"], &["--mute", "--ack-late"], &[], &["thread", EXACT, "thread+containment"]);
}

#[test]
fn two_instruments_of_one_program() {
    let mut plant = Plant::new();
    let mut colder = thermometer();
    let one = plant.instrument(thermometer());
    let two = plant.instrument(move |request| colder(request).map(|value| format!("-{value}")));
    let far = plant.instrument(valve);
    let tracer = plant.trace(&[]);
    plant.actuator("actuator", 24, &far, &["--ack-late"]);
    plant.sensor("sensor", 24, &[&one, &two], &[]);
    plant.finish();
    let outcome = end(tracer);
    all_right(&plant.verdicts(&outcome.spans), 72, &["containment", EXACT, "thread+containment"]);
}

#[test]
fn two_threads_with_an_instrument_each() {
    let mut plant = Plant::new();
    let mut colder = thermometer();
    let one = plant.instrument(thermometer());
    let two = plant.instrument(move |request| colder(request).map(|value| format!("-{value}")));
    let far = plant.instrument(valve);
    let tracer = plant.trace(&[]);
    plant.actuator("actuator", 24, &far, &["--ack-late"]);
    plant.sensor("sensor", 12, &[&one, &two], &["--threads"]);
    plant.finish();
    let outcome = end(tracer);
    all_right(&plant.verdicts(&outcome.spans), 72, &["containment", EXACT, "thread+containment"]);
}

#[test]
fn a_value_that_never_changes() {
    let mut plant = Plant::new();
    let (near, far) = (plant.instrument(|_| Some("21.500".to_owned())), plant.instrument(valve));
    let tracer = plant.trace(&[]);
    plant.actuator("actuator", 12, &far, &["--ack-late"]);
    plant.sensor("sensor", 12, &[&near], &[]);
    plant.finish();
    let outcome = end(tracer);
    let verdicts = plant.verdicts(&outcome.spans);
    assert_eq!(verdicts.len(), 36);
    // On a busy machine the next reading may be there before a message goes out: then nothing tells which of two equal
    // readings it is, and the link says that it is not sure.
    let readings = on_device(&outcome.spans, plant.client("sensor").pid(), &near);
    let late = |publish: &&Span| {
        let (_, number) = message(publish).expect("it has a number");
        let next = readings.get(usize::try_from(number).expect("small") + 1);
        next.is_some_and(|next| next.end <= publish.start)
    };
    let publishes = outcome.spans.iter().filter(|span| span.name.starts_with("publish "));
    let late = publishes.filter(late).count();
    let wrong: Vec<_> = verdicts.iter().filter(|verdict| !verdict.right).collect();
    assert!(
        wrong.len() <= late && wrong.iter().all(|verdict| verdict.confidence < 0.65),
        "{late} late, {wrong:?}"
    );
}

#[test]
fn an_instrument_that_speaks_by_itself() {
    let mut plant = Plant::new();
    let mut line = plant.line();
    let near = line.path.to_str().expect("it is text").to_owned();
    let far = plant.instrument(valve);
    let tracer = plant.trace(&[]);
    plant.actuator("actuator", 6, &far, &["--ack-late"]);
    let sensor = plant.sensor("sensor", 6, &[&near], &["--listen"]);
    for number in 0..6 {
        use std::io::Write as _;
        write!(line.far, "{:.3}\r\n", 20.0 + f64::from(number) * 1.25).expect("the line takes it");
        sensor.wait_for(number as usize + 1);
    }
    plant.finish();
    let outcome = end(tracer);
    let events: Vec<_> =
        outcome.spans.iter().filter(|span| span.name.starts_with("peripheral.event ")).collect();
    assert_eq!(events.len(), 6, "{events:#?}");
    let verdicts = plant.verdicts(&outcome.spans);
    all_right(&verdicts, 18, &["containment", EXACT, "thread+containment"]);
    assert!(verdicts.iter().any(|verdict| verdict.relation == Relation::ReadPublish));
}
