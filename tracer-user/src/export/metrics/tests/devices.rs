//! What devices' spans feed.

use super::*;
use crate::export::samples::START;
use crate::model::command::Status;
use crate::model::payload::Payload;

/// A span about the one device of these tests, in µs.
fn command(
    number: u8,
    command: &'static str,
    times: (u64, u64),
    bytes: (u64, Option<u64>),
    error: &'static str,
) -> crate::model::span::Span {
    let payload = |size| Payload { size, ..Payload::default() };
    let mut one = span(
        number,
        &process("a", 1),
        &format!("peripheral.execute {command}"),
        SpanKind::Client,
        device("/dev/i2c-1", command, false),
    );
    one.at = micros(times.0, times.1);
    one.payload = Some(payload(bytes.0));
    one.reply = bytes.1.map(payload);
    if !error.is_empty() {
        one.status = Status::Error { kind: error.into(), message: String::new() };
    }
    one
}

fn of(metrics: &Metrics, prefix: &str) -> String {
    samples(&lines(&metrics.render(Format::Classic), prefix))
}

#[test]
fn bytes_and_errors() {
    let metrics = metrics();
    for one in [
        command(1, "I2C_RDWR", (0, 10), (3, Some(6)), ""),
        command(2, "I2C_RDWR", (10, 20), (1, None), ""),
        // The kernel refused: nothing has moved.
        command(3, "I2C_RDWR", (20, 30), (100, None), "EREMOTEIO"),
        // The device did: both ways something has.
        command(4, "I2C_RDWR", (30, 40), (7, Some(9)), "checksum"),
        command(5, "read", (40, 50), (0, None), "timeout"),
    ] {
        metrics.observe(&one);
    }
    let mut event = command(6, "edge", (50, 50), (16, None), "");
    event.subject = device("/dev/i2c-1", "edge", true);
    event.kind = SpanKind::Internal;
    metrics.observe(&event);
    expect![[r#"
        peripheral_command_errors_total{device="/dev/i2c-1",class="tty",command="I2C_RDWR",error_type="EREMOTEIO"} 1
        peripheral_command_errors_total{device="/dev/i2c-1",class="tty",command="I2C_RDWR",error_type="checksum"} 1
        peripheral_command_errors_total{device="/dev/i2c-1",class="tty",command="read",error_type="timeout"} 1"#]].assert_eq(&of(&metrics, "peripheral_command_errors"));
    expect![[r#"
        peripheral_read_bytes_total{device="/dev/i2c-1",class="tty",command="I2C_RDWR"} 15
        peripheral_read_bytes_total{device="/dev/i2c-1",class="tty",command="edge"} 16
        peripheral_read_bytes_total{device="/dev/i2c-1",class="tty",command="read"} 0"#]]
    .assert_eq(&of(&metrics, "peripheral_read"));
    expect![[r#"
        peripheral_written_bytes_total{device="/dev/i2c-1",class="tty",command="I2C_RDWR"} 11
        peripheral_written_bytes_total{device="/dev/i2c-1",class="tty",command="edge"} 0
        peripheral_written_bytes_total{device="/dev/i2c-1",class="tty",command="read"} 0"#]]
    .assert_eq(&of(&metrics, "peripheral_written"));
    expect![[r#"peripheral_event_total{device="/dev/i2c-1",class="tty",event="edge",status="ok"} 1"#]]
        .assert_eq(&of(&metrics, "peripheral_event"));
}

#[test]
fn the_last_command_is_the_latest() {
    let metrics = metrics();
    for (number, end) in [(1, 1_000_000), (2, 3_000_000), (3, 2_000_000)] {
        metrics.observe(&command(number, "read", (0, end), (0, None), ""));
    }
    let expected = START / 1_000_000_000 + 3;
    let line = of(&metrics, "peripheral_last_command_timestamp_seconds");
    let labels = r#"{device="/dev/i2c-1",class="tty",command="read"}"#;
    assert_eq!(line, format!("peripheral_last_command_timestamp_seconds{labels} {expected}.0"));
}

#[test]
fn time_on_the_bus_is_no_command() {
    let metrics = metrics();
    for (number, nanos, error) in [(1, 800, ""), (2, 90_000, "EREMOTEIO")] {
        let mut one = command(number, "bus i2c transfer", (0, 0), (0, None), error);
        one.name = "bus i2c transfer".to_owned();
        one.kind = SpanKind::Internal;
        one.at.end.0 += nanos;
        metrics.observe(&one);
    }
    expect![[r#"
        peripheral_bus_duration_seconds_count{device="/dev/i2c-1",bus="i2c",status="error"} 1
        peripheral_bus_duration_seconds_count{device="/dev/i2c-1",bus="i2c",status="ok"} 1
        peripheral_bus_duration_seconds_sum{device="/dev/i2c-1",bus="i2c",status="error"} 0.00009
        peripheral_bus_duration_seconds_sum{device="/dev/i2c-1",bus="i2c",status="ok"} 8e-7"#]]
    .assert_eq(&of(&metrics, "peripheral_"));
    let text = metrics.render(Format::Classic);
    let first = lines(&text, "peripheral_bus_duration_seconds_bucket{le=\"0.000001\"");
    expect![[r#"
        peripheral_bus_duration_seconds_bucket{le="0.000001",device="/dev/i2c-1",bus="i2c",status="error"} 0
        peripheral_bus_duration_seconds_bucket{le="0.000001",device="/dev/i2c-1",bus="i2c",status="ok"} 1"#]]
    .assert_eq(&first);
}

#[test]
fn what_is_under_way_comes_and_goes() {
    let metrics = Metrics::bounded(&Telemetry::default(), 2);
    let paths: Vec<Arc<str>> = ["/dev/a", "/dev/b", "/dev/c", "/dev/d"].map(Arc::from).into();
    let set = |counts: &[(usize, usize)]| {
        metrics.in_flight(counts.iter().map(|(path, count)| (&paths[*path], "tty", *count)));
        of(&metrics, "peripheral_commands_in_flight")
    };
    expect![[r#"
        peripheral_commands_in_flight{device="/dev/a",class="tty"} 3.0
        peripheral_commands_in_flight{device="/dev/b",class="tty"} 0.0"#]]
    .assert_eq(&set(&[(0, 1), (1, 0), (0, 2)]));
    // Past the bound they share one.
    expect![[r#"
        peripheral_commands_in_flight{device="/dev/a",class="tty"} 0.0
        peripheral_commands_in_flight{device="/dev/b",class="tty"} 1.0
        peripheral_commands_in_flight{device="__overflow__",class="tty"} 9.0"#]]
    .assert_eq(&set(&[(1, 1), (2, 4), (3, 5)]));
    expect![[r#"
        peripheral_commands_in_flight{device="/dev/a",class="tty"} 0.0
        peripheral_commands_in_flight{device="/dev/b",class="tty"} 0.0
        peripheral_commands_in_flight{device="__overflow__",class="tty"} 0.0"#]]
    .assert_eq(&set(&[]));
    expect![[r#"iotrail_label_overflow_total{metric="peripheral_commands_in_flight"} 2"#]]
        .assert_eq(&of(&metrics, "iotrail_label_overflow"));
}
