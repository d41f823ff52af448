//! What `/metrics` says of a run of which the truth is known.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use iotrail::names::metric;
use tracer_tests::{http, trail::trails};

use super::plant::{Plant, end};
use crate::support::{PATIENCE, Tracer};

fn page(tracer: &Tracer, accept: &str) -> String {
    let mut stream = TcpStream::connect(tracer.http()).expect("it serves");
    write!(stream, "GET /metrics HTTP/1.0\r\nAccept: {accept}\r\n\r\n").expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn sum(page: &str, name: &str, labels: &str) -> f64 {
    let samples = http::samples(page, name);
    samples.iter().filter(|(of, _)| of.contains(labels)).map(|(_, value)| value).sum()
}

#[test]
fn metrics_count_what_happened() {
    let mut plant = Plant::new();
    let mut number = 0;
    let near = plant.instrument(move |_| {
        number += 1;
        Some(format!("{:.2}", 30.0 + f64::from(number) * 1.01))
    });
    let mut commands = 0;
    let far = plant.instrument(move |request| {
        commands += 1;
        Some(if commands % 4 == 0 { "ERR busy".to_owned() } else { format!("OK {request}") })
    });
    let mut tracer = plant.trace(&[]);
    plant.actuator("actuator", 12, &far, &["--ack-late"]);
    plant.sensor("sensor", 12, &[&near], &[]);
    plant.finish();
    tracer.wait_for("twelve whole traces", |spans| trails(spans).len() == 12);
    let start = Instant::now();
    // Spans that are no part of a whole trace may still come.
    while sum(&page(&tracer, "text/plain"), "messaging_client_consumed_messages_total", "") < 12.0 {
        assert!(start.elapsed() < PATIENCE, "{}", page(&tracer, "text/plain"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let classic = page(&tracer, "text/plain");
    assert!(classic.contains("Content-Type: text/plain") || classic.contains("content-type: text/plain"));
    assert!(!classic.contains("trace_id="), "classic text has no exemplars");
    let is = |name: &str, labels: &str, expected: f64| {
        let value = sum(&classic, name, labels);
        assert!((value - expected).abs() < 0.1, "{name}{{{labels}}} is {value}, not {expected}: {classic}");
    };
    is("events_published_total", "", 12.0);
    is("events_processed_total", "", 12.0);
    is("messaging_client_sent_messages_total", "", 12.0);
    is("event_dispatch_latency_seconds_count", "", 12.0);
    is("message_broker_residence_seconds_count", "", 12.0);
    is("message_broker_publish_duration_seconds_count", "", 12.0);
    is("peripheral_command_total", "command=\"MEAS:TEMP?\"", 12.0);
    is("peripheral_command_total", "status=\"error\"", 3.0);
    is("event_errors_total", "", 0.0);
    is("message_broker_connection_errors_total", "", 0.0);
    is("iotrail_events_dropped_total", "", 0.0);

    let open = page(&tracer, "application/openmetrics-text; version=1.0.0");
    assert!(open.contains("application/openmetrics-text") && open.ends_with("# EOF\n"), "{open}");
    assert!(
        open.lines().any(|line| line.starts_with("peripheral_command_duration") && line.contains(" # {"))
    );
    for name in [
        metric::PERIPHERAL_COMMAND,
        metric::PERIPHERAL_COMMAND_DURATION,
        metric::EVENT_DISPATCH_LATENCY,
        metric::BROKER_RESIDENCE,
        metric::EVENTS_PUBLISHED,
        metric::EVENTS_PROCESSED,
        metric::EVENT_PROCESSING_DURATION,
        metric::BROKER_PUBLISH_DURATION,
        metric::BROKER_CONSUME_DURATION,
        metric::CLIENT_OPERATION_DURATION,
        metric::PROCESS_DURATION,
        metric::CLIENT_SENT_MESSAGES,
        metric::CLIENT_CONSUMED_MESSAGES,
        metric::SERVICE_GRAPH_REQUEST,
        metric::SERVICE_GRAPH_REQUEST_SERVER,
        metric::SERVICE_GRAPH_REQUEST_CLIENT,
        metric::SPANMETRICS_CALLS,
        metric::SPANMETRICS_LATENCY,
        metric::IOTRAIL_EVENTS,
        metric::IOTRAIL_QUEUE_DEPTH,
        metric::IOTRAIL_LAG,
        metric::PROCESS_CPU,
        metric::PROCESS_RESIDENT,
    ] {
        let sampled = |line: &str| line.starts_with(name) && !line.starts_with('#');
        assert!(open.lines().any(sampled), "no sample of {name}: {open}");
    }
    end(tracer);
}
