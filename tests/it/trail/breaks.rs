//! What goes wrong half-way: refusals, silence, programs that are killed.

use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tracer_tests::otlp::Span;
use tracer_tests::truth::on_device;

use super::plant::{Plant, Watch, all_right, complete_in_time, end};
use crate::support::PATIENCE;

const COMPLETE: Duration = Duration::from_secs(2);

fn errors(spans: &[Span]) -> Vec<(&str, &str)> {
    let mut errors: Vec<_> =
        spans.iter().filter_map(|span| Some((span.name.as_str(), span.error.as_deref()?))).collect();
    errors.sort_unstable();
    errors
}

/// Waits until a program waits for descriptors, though not for those of an event loop.
fn wait_until_it_polls(pid: u32) {
    let polls = [
        #[cfg(target_arch = "x86_64")]
        nix::libc::SYS_poll,
        nix::libc::SYS_ppoll,
    ];
    let start = std::time::Instant::now();
    loop {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        if call
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .is_some_and(|number| polls.contains(&number))
        {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it is in {call}");
    }
}

#[test]
fn an_actuator_that_refuses() {
    let mut plant = Plant::new();
    let (mut number, mut refused) = (0, 0);
    let near = plant.instrument(move |_| {
        number += 1;
        Some(format!("{:.2}", 30.0 + f64::from(number) * 1.01))
    });
    let far = plant.instrument(move |request| {
        refused += 1;
        Some(if refused % 3 == 0 { "ERR busy".to_owned() } else { format!("OK {request}") })
    });
    let tracer = plant.trace(&[]);
    plant.actuator("actuator", 9, &far, &["--ack-late"]);
    plant.sensor("sensor", 9, &[&near], &[]);
    plant.finish();
    let outcome = end(tracer);
    all_right(
        &plant.verdicts(&outcome.spans),
        27,
        &["containment", "tcp-position+fingerprint", "thread+containment"],
    );
    let errors = errors(&outcome.spans);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().all(|(name, _)| name.starts_with("peripheral.execute SET")), "{errors:?}");
}

#[test]
fn an_instrument_that_does_not_answer() {
    let mut plant = Plant::new();
    let mut number = 0;
    let near = plant.instrument(move |_| {
        number += 1;
        (number % 3 != 0).then(|| format!("{:.2}", 30.0 + f64::from(number) * 1.01))
    });
    let far = plant.instrument(|request| Some(format!("OK {request}")));
    let mut tracer = plant.trace(&["--reply-timeout", "200ms"]);
    let watch = Watch::new(&tracer);
    plant.actuator("actuator", 8, &far, &["--ack-late"]);
    plant.sensor("sensor", 8, &[&near], &[]);
    plant.finish();
    tracer.wait_for("eight whole traces", |spans| tracer_tests::trail::trails(spans).len() == 8);
    complete_in_time(&watch.stop(), COMPLETE);
    let outcome = end(tracer);
    all_right(
        &plant.verdicts(&outcome.spans),
        24,
        &["containment", "tcp-position+fingerprint", "thread+containment"],
    );
    assert_eq!(errors(&outcome.spans), [("peripheral.execute MEAS:TEMP?", "timeout"); 3]);
}

#[test]
fn a_sensor_that_is_killed_between_reading_and_publishing() {
    let mut plant = Plant::new();
    let near = plant.instrument(|_| Some("23.456".to_owned()));
    let mut tracer = plant.trace(&[]);
    let watch = Watch::new(&tracer);
    let sensor = plant.sensor("sensor", 3, &[&near], &["--held"]);
    sensor.wait_for_line("holding");
    sensor.process.stop(Signal::SIGKILL, PATIENCE).expect("it dies");
    let pid = sensor.pid();
    let read = |spans: &[Span]| on_device(spans, pid, &near).len() == 1;
    let spans = tracer.wait_for("the reading", read);
    assert_eq!(errors(&spans), []);
    assert!(!spans.iter().any(|span| span.name.starts_with("publish ")), "{spans:#?}");
    complete_in_time(&watch.stop(), COMPLETE);
    end(tracer);
}

#[test]
fn an_actuator_that_is_killed_inside_its_command() {
    let mut plant = Plant::new();
    let mut number = 0;
    let near = plant.instrument(move |_| {
        number += 1;
        Some(format!("{:.2}", 30.0 + f64::from(number) * 1.01))
    });
    // The second command is heard, but not answered.
    let (heard, hearing) = mpsc::channel();
    let mut commands = 0;
    let far = plant.instrument(move |request| {
        commands += 1;
        if commands == 1 {
            return Some(format!("OK {request}"));
        }
        // The test may be over.
        let _ = heard.send(());
        None
    });
    let mut tracer = plant.trace(&["--reply-timeout", "30s"]);
    let watch = Watch::new(&tracer);
    let actuator = plant.actuator("actuator", 9, &far, &["--ack-late"]);
    let pid = actuator.pid();
    plant.sensor("sensor", 2, &[&near], &[]);
    hearing.recv_timeout(PATIENCE).expect("the command arrives");
    wait_until_it_polls(pid);
    plant.client("actuator").process.stop(Signal::SIGKILL, PATIENCE).expect("it dies");
    plant.client("sensor").finish();
    let spans = tracer.wait_for("both commands", |spans| on_device(spans, pid, &far).len() == 2);
    let spans = if spans.iter().filter(|span| span.name.starts_with("process ")).count() == 2 {
        spans
    } else {
        tracer.wait_for("both deliveries", |spans| {
            spans.iter().filter(|span| span.name.starts_with("process ")).count() == 2
        })
    };
    complete_in_time(&watch.stop(), COMPLETE);
    let errors = errors(&spans);
    assert_eq!(
        errors.iter().map(|(_, error)| *error).collect::<Vec<_>>(),
        ["killed", "killed"],
        "{errors:?}"
    );
    assert!(errors[0].0.starts_with("peripheral.execute SET") && errors[1].0.starts_with("process plant/"));
    all_right(
        &plant.verdicts(&spans)[..5],
        5,
        &["containment", "tcp-position+fingerprint", "thread+containment"],
    );
    // The command that nobody logged hangs from its message all the same.
    let killed = on_device(&spans, pid, &far)[1];
    let process =
        spans.iter().find(|span| Some(&span.id) == killed.parent.as_ref()).expect("it has its message");
    assert!(process.name.starts_with("process plant/") && process.error.is_some(), "{process:#?}");
    end(tracer);
}
