//! Names, labels, exemplars and bounds.

mod devices;

use std::sync::Arc;

use expect_test::expect;

use super::*;
use crate::export::samples::{busy, device, edge, id, message, micros, process, remote, span, trace, trail};
use crate::model::span::{Evidence, SpanKind, Subject};

fn metrics() -> Metrics {
    Metrics::new(&Telemetry::default())
}

/// The lines that start with `prefix`, sorted.
fn lines(text: &str, prefix: &str) -> String {
    let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with(prefix)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// All samples but buckets, overflows that were none, and those of this very process, sorted.
fn samples(text: &str) -> String {
    let boring = |line: &str| {
        line.starts_with('#')
            || line.starts_with("process_")
            || line.contains("_bucket{")
            || (line.starts_with("iotrail_label_overflow") && line.ends_with(" 0"))
    };
    let mut lines: Vec<_> = text.lines().filter(|line| !boring(line)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn a_trail_in_the_classic_format() {
    let metrics = metrics();
    metrics.observe_all(trail().iter().map(Arc::as_ref));
    let text = metrics.render(Format::Classic);
    expect![[r#"
        event_dispatch_latency_seconds_count{system="mqtt",destination="plant/1/temperature"} 1
        event_dispatch_latency_seconds_sum{system="mqtt",destination="plant/1/temperature"} 0.000048
        event_processing_duration_seconds_count{event_type="plant/1/temperature",source="sensor",status="success"} 1
        event_processing_duration_seconds_sum{event_type="plant/1/temperature",source="sensor",status="success"} 0.00406
        events_processed_total{event_type="plant/1/temperature",source="sensor",status="success"} 1
        events_published_total{event_type="plant/1/temperature",destination="plant/1/temperature"} 1
        iotrail_events_total{stage="service_graph"} 1
        iotrail_lag_seconds 0.0
        iotrail_queue_depth{stage="service_graph"} 0
        message_broker_consume_duration_seconds_count{topic="plant/1/temperature"} 1
        message_broker_consume_duration_seconds_sum{topic="plant/1/temperature"} 0.00406
        message_broker_publish_duration_seconds_count{topic="plant/1/temperature"} 1
        message_broker_publish_duration_seconds_sum{topic="plant/1/temperature"} 0.000092
        message_broker_residence_seconds_count{system="mqtt",destination="plant/1/temperature"} 1
        message_broker_residence_seconds_sum{system="mqtt",destination="plant/1/temperature"} 0.000041
        messaging_client_consumed_messages_total{messaging_system="mqtt",messaging_operation_name="process",messaging_operation_type="process",messaging_destination_name="plant/1/temperature",server_address="127.0.0.1",server_port="1883"} 1
        messaging_client_operation_duration_seconds_count{messaging_system="mqtt",messaging_operation_name="publish",messaging_operation_type="send",messaging_destination_name="plant/1/temperature",server_address="127.0.0.1",server_port="1883"} 1
        messaging_client_operation_duration_seconds_sum{messaging_system="mqtt",messaging_operation_name="publish",messaging_operation_type="send",messaging_destination_name="plant/1/temperature",server_address="127.0.0.1",server_port="1883"} 0.000092
        messaging_client_sent_messages_total{messaging_system="mqtt",messaging_operation_name="publish",messaging_operation_type="send",messaging_destination_name="plant/1/temperature",server_address="127.0.0.1",server_port="1883"} 1
        messaging_process_duration_seconds_count{messaging_system="mqtt",messaging_operation_name="process",messaging_operation_type="process",messaging_destination_name="plant/1/temperature",server_address="127.0.0.1",server_port="1883"} 1
        messaging_process_duration_seconds_sum{messaging_system="mqtt",messaging_operation_name="process",messaging_operation_type="process",messaging_destination_name="plant/1/temperature",server_address="127.0.0.1",server_port="1883"} 0.00406
        peripheral_command_duration_seconds_count{device="/dev/pts/3",class="tty",command="MEAS:TEMP?",status="ok"} 1
        peripheral_command_duration_seconds_count{device="/dev/pts/5",class="tty",command="SET:VALVE",status="error"} 1
        peripheral_command_duration_seconds_sum{device="/dev/pts/3",class="tty",command="MEAS:TEMP?",status="ok"} 0.0081
        peripheral_command_duration_seconds_sum{device="/dev/pts/5",class="tty",command="SET:VALVE",status="error"} 0.0038
        peripheral_command_errors_total{device="/dev/pts/5",class="tty",command="SET:VALVE",error_type="EBUSY"} 1
        peripheral_command_total{device="/dev/pts/3",class="tty",command="MEAS:TEMP?",status="ok"} 1
        peripheral_command_total{device="/dev/pts/5",class="tty",command="SET:VALVE",status="error"} 1
        peripheral_last_command_timestamp_seconds{device="/dev/pts/3",class="tty",command="MEAS:TEMP?"} 1700000000.0081
        peripheral_last_command_timestamp_seconds{device="/dev/pts/5",class="tty",command="SET:VALVE"} 1700000000.0123
        peripheral_read_bytes_total{device="/dev/pts/3",class="tty",command="MEAS:TEMP?"} 6
        peripheral_read_bytes_total{device="/dev/pts/5",class="tty",command="SET:VALVE"} 9
        peripheral_written_bytes_total{device="/dev/pts/3",class="tty",command="MEAS:TEMP?"} 11
        peripheral_written_bytes_total{device="/dev/pts/5",class="tty",command="SET:VALVE"} 12
        traces_service_graph_request_client_seconds_count{client="sensor",server="actuator",connection_type="messaging_system"} 1
        traces_service_graph_request_client_seconds_sum{client="sensor",server="actuator",connection_type="messaging_system"} 0.000092
        traces_service_graph_request_messaging_system_seconds_count{client="sensor",server="actuator",connection_type="messaging_system"} 1
        traces_service_graph_request_messaging_system_seconds_sum{client="sensor",server="actuator",connection_type="messaging_system"} 0.000048
        traces_service_graph_request_server_seconds_count{client="sensor",server="actuator",connection_type="messaging_system"} 1
        traces_service_graph_request_server_seconds_sum{client="sensor",server="actuator",connection_type="messaging_system"} 0.00406
        traces_service_graph_request_total{client="sensor",server="actuator",connection_type="messaging_system"} 1
        traces_spanmetrics_calls_total{service="actuator",span_name="peripheral.execute SET:VALVE",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 1
        traces_spanmetrics_calls_total{service="actuator",span_name="process plant/1/temperature",span_kind="SPAN_KIND_CONSUMER",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_calls_total{service="mosquitto",span_name="broker plant/1/temperature",span_kind="SPAN_KIND_INTERNAL",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_calls_total{service="sensor",span_name="peripheral.execute MEAS:TEMP?",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_calls_total{service="sensor",span_name="publish plant/1/temperature",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_latency_count{service="actuator",span_name="peripheral.execute SET:VALVE",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 1
        traces_spanmetrics_latency_count{service="actuator",span_name="process plant/1/temperature",span_kind="SPAN_KIND_CONSUMER",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_latency_count{service="mosquitto",span_name="broker plant/1/temperature",span_kind="SPAN_KIND_INTERNAL",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_latency_count{service="sensor",span_name="peripheral.execute MEAS:TEMP?",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_latency_count{service="sensor",span_name="publish plant/1/temperature",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_UNSET"} 1
        traces_spanmetrics_latency_sum{service="actuator",span_name="peripheral.execute SET:VALVE",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 0.0038
        traces_spanmetrics_latency_sum{service="actuator",span_name="process plant/1/temperature",span_kind="SPAN_KIND_CONSUMER",status_code="STATUS_CODE_UNSET"} 0.00406
        traces_spanmetrics_latency_sum{service="mosquitto",span_name="broker plant/1/temperature",span_kind="SPAN_KIND_INTERNAL",status_code="STATUS_CODE_UNSET"} 0.000041
        traces_spanmetrics_latency_sum{service="sensor",span_name="peripheral.execute MEAS:TEMP?",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET"} 0.0081
        traces_spanmetrics_latency_sum{service="sensor",span_name="publish plant/1/temperature",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_UNSET"} 0.000092"#]].assert_eq(&samples(&text));
    assert!(!text.contains("trace_id") && !text.contains("# EOF") && text.ends_with('\n'));
    expect![[r#"
        # TYPE event_dispatch_latency_seconds histogram
        # TYPE event_processing_duration_seconds histogram
        # TYPE events_processed_total counter
        # TYPE events_published_total counter
        # TYPE iotrail_events_dropped_total counter
        # TYPE iotrail_events_total counter
        # TYPE iotrail_label_overflow_total counter
        # TYPE iotrail_lag_seconds gauge
        # TYPE iotrail_queue_depth gauge
        # TYPE message_broker_consume_duration_seconds histogram
        # TYPE message_broker_publish_duration_seconds histogram
        # TYPE message_broker_residence_seconds histogram
        # TYPE messaging_client_consumed_messages_total counter
        # TYPE messaging_client_operation_duration_seconds histogram
        # TYPE messaging_client_sent_messages_total counter
        # TYPE messaging_process_duration_seconds histogram
        # TYPE peripheral_command_duration_seconds histogram
        # TYPE peripheral_command_errors_total counter
        # TYPE peripheral_command_total counter
        # TYPE peripheral_last_command_timestamp_seconds gauge
        # TYPE peripheral_read_bytes_total counter
        # TYPE peripheral_written_bytes_total counter
        # TYPE process_cpu_seconds_total counter
        # TYPE process_resident_memory_bytes gauge
        # TYPE traces_service_graph_request_client_seconds histogram
        # TYPE traces_service_graph_request_messaging_system_seconds histogram
        # TYPE traces_service_graph_request_server_seconds histogram
        # TYPE traces_service_graph_request_total counter
        # TYPE traces_spanmetrics_calls_total counter
        # TYPE traces_spanmetrics_latency histogram"#]]
    .assert_eq(&lines(&text, "# TYPE"));
}

#[test]
fn exemplars_in_open_metrics() {
    let metrics = metrics();
    metrics.observe_all(trail().iter().map(Arc::as_ref));
    let text = metrics.render(Format::OpenMetrics);
    assert!(text.ends_with("# EOF\n"));
    let text: Vec<_> = text.lines().filter(|line| line.contains(" # {")).collect();
    let text = text.join("\n");
    expect![[r#"
        peripheral_command_duration_seconds_bucket{le="0.005",device="/dev/pts/5",class="tty",command="SET:VALVE",status="error"} 1 # {trace_id="01010101010101010101010101010101",span_id="0505050505050505"} 0.0038
        peripheral_command_duration_seconds_bucket{le="0.01",device="/dev/pts/3",class="tty",command="MEAS:TEMP?",status="ok"} 1 # {trace_id="01010101010101010101010101010101",span_id="0101010101010101"} 0.0081
        peripheral_command_errors_total{device="/dev/pts/5",class="tty",command="SET:VALVE",error_type="EBUSY"} 1 # {trace_id="01010101010101010101010101010101",span_id="0505050505050505"} 1.0
        peripheral_command_total{device="/dev/pts/3",class="tty",command="MEAS:TEMP?",status="ok"} 1 # {trace_id="01010101010101010101010101010101",span_id="0101010101010101"} 1.0
        peripheral_command_total{device="/dev/pts/5",class="tty",command="SET:VALVE",status="error"} 1 # {trace_id="01010101010101010101010101010101",span_id="0505050505050505"} 1.0"#]].assert_eq(&lines(&text, "peripheral_command"));
}

/// Upper bounds of a histogram's buckets.
fn bounds_of(text: &str, name: &str) -> String {
    text.lines()
        .filter(|line| line.starts_with(&format!("{name}_bucket")))
        .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn buckets() {
    let metrics = metrics();
    metrics.observe(&trail()[2]);
    let text = metrics.render(Format::Classic);
    let bounds = |name: &str| bounds_of(&text, name);
    expect!["0.00001 0.000025 0.00005 0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 +Inf"].assert_eq(&bounds("message_broker_residence_seconds"));
    let from_a_microsecond = expect![
        "0.000001 0.0000025 0.000005 0.00001 0.000025 0.00005 0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 +Inf"
    ];
    from_a_microsecond.assert_eq(&bounds("traces_spanmetrics_latency"));
    metrics.observe(&trail()[0]);
    let text = metrics.render(Format::Classic);
    let bounds = bounds_of(&text, "peripheral_command_duration_seconds");
    from_a_microsecond.assert_eq(&bounds);
}

#[test]
fn labels_are_bounded() {
    let metrics = Metrics::bounded(&Telemetry::default(), 3);
    let owner = process("a", 1);
    for number in 0..10 {
        let topic = format!("t/{number}");
        let mut one = span(
            1,
            &owner,
            &format!("publish {topic}"),
            SpanKind::Producer,
            Subject::Publish(message(&topic)),
        );
        if number % 2 == 1 {
            one.status = busy();
        }
        metrics.observe(&one);
        metrics.observe(&one);
    }
    let text = metrics.render(Format::Classic);
    expect![[r#"
        traces_spanmetrics_calls_total{service="__overflow__",span_name="__overflow__",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_ERROR"} 8
        traces_spanmetrics_calls_total{service="__overflow__",span_name="__overflow__",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_UNSET"} 6
        traces_spanmetrics_calls_total{service="a",span_name="publish t/0",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_UNSET"} 2
        traces_spanmetrics_calls_total{service="a",span_name="publish t/1",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_ERROR"} 2
        traces_spanmetrics_calls_total{service="a",span_name="publish t/2",span_kind="SPAN_KIND_PRODUCER",status_code="STATUS_CODE_UNSET"} 2"#]].assert_eq(&lines(&text, "traces_spanmetrics_calls"));
    expect![[r#"
        events_published_total{event_type="__overflow__",destination="__overflow__"} 14
        events_published_total{event_type="t/0",destination="t/0"} 2
        events_published_total{event_type="t/1",destination="t/1"} 2
        events_published_total{event_type="t/2",destination="t/2"} 2"#]]
    .assert_eq(&lines(&text, "events_published"));
    expect![[r#"
        iotrail_label_overflow_total{metric="events_published"} 7
        iotrail_label_overflow_total{metric="message_broker_publish_duration_seconds"} 7
        iotrail_label_overflow_total{metric="messaging_client_operation_duration_seconds"} 7
        iotrail_label_overflow_total{metric="messaging_client_sent_messages"} 7
        iotrail_label_overflow_total{metric="traces_spanmetrics_calls"} 7
        iotrail_label_overflow_total{metric="traces_spanmetrics_latency"} 7"#]]
    .assert_eq(&samples(&lines(&text, "iotrail_label_overflow")));
}

#[test]
fn what_is_no_command_is_not_counted_as_one() {
    let metrics = metrics();
    let owner = process("a", 1);
    let event = device("/dev/gpiochip0", "edge", true);
    metrics.observe(&span(1, &owner, "peripheral.event edge", SpanKind::Internal, event));
    let bus = device("/dev/i2c-1", "write", false);
    metrics.observe(&span(2, &owner, "bus i2c write", SpanKind::Internal, bus));
    let text = metrics.render(Format::Classic);
    assert_eq!(lines(&text, "peripheral_command"), "");
    assert_eq!(lines(&text, "traces_spanmetrics_calls").lines().count(), 2);
}

#[test]
fn service_graph_pairs_in_any_order_and_with_many_consumers() {
    let telemetry = Telemetry::default();
    let metrics = Metrics::new(&telemetry);
    let (from, to) = (remote("plc"), process("actuator", 2));
    let publish = span(1, &from, "publish x", SpanKind::Producer, Subject::Publish(message("x")));
    let delivery = |number: u8, parent: u8| {
        let mut one =
            span(number, &to, "process x", SpanKind::Consumer, Subject::Process(message("x"), None));
        one.parent = Some(edge(parent, &[Evidence::Fingerprint], 0.9));
        one.at = micros(8200, 8300);
        one
    };
    metrics.observe(&delivery(2, 1));
    assert_eq!(telemetry.stage("service_graph").numbers().held, 1);
    metrics.observe(&publish);
    let mut failed = delivery(3, 1);
    failed.status = busy();
    metrics.observe(&failed);
    // Its publish never comes; ten seconds later that is certain.
    metrics.observe(&delivery(4, 9));
    let mut later = publish.clone();
    (later.id, later.at) = (id(7), micros(20_000_000, 20_000_001));
    metrics.observe(&later);
    // A delivery whose parent lies in another trace is no edge of this graph.
    let mut elsewhere = delivery(5, 1);
    elsewhere.trace = trace(2);
    metrics.observe(&elsewhere);

    let text = metrics.render(Format::Classic);
    expect![[r#"
        traces_service_graph_request_client_seconds_count{client="plc",server="actuator",connection_type="messaging_system"} 2
        traces_service_graph_request_client_seconds_sum{client="plc",server="actuator",connection_type="messaging_system"} 0.0162
        traces_service_graph_request_failed_total{client="plc",server="actuator",connection_type="messaging_system"} 1
        traces_service_graph_request_messaging_system_seconds_count{client="plc",server="actuator",connection_type="messaging_system"} 2
        traces_service_graph_request_messaging_system_seconds_sum{client="plc",server="actuator",connection_type="messaging_system"} 0.0002
        traces_service_graph_request_server_seconds_count{client="plc",server="actuator",connection_type="messaging_system"} 2
        traces_service_graph_request_server_seconds_sum{client="plc",server="actuator",connection_type="messaging_system"} 0.0002
        traces_service_graph_request_total{client="plc",server="actuator",connection_type="messaging_system"} 2"#]].assert_eq(&samples(&lines(&text, "traces_service_graph")));
    let numbers = telemetry.stage("service_graph").numbers();
    assert_eq!((numbers.came, numbers.passed, numbers.held, numbers.dropped["unpaired"]), (3, 2, 0, 1));
}

#[test]
fn own_numbers() {
    let telemetry = Telemetry::default();
    let metrics = Metrics::new(&telemetry);
    let ring = telemetry.stage("ring:data");
    ring.set_in(10);
    ring.set_out(7);
    ring.set_dropped("full", 2);
    ring.set_held(1);
    telemetry.set_lag(1_500_000);
    metrics.connection_error("mqtt", "127.0.0.1:1883");
    let text = metrics.render(Format::Classic);
    expect![[r#"
        iotrail_events_dropped_total{stage="ring:data",reason="full"} 2
        iotrail_events_total{stage="ring:data"} 7
        iotrail_events_total{stage="service_graph"} 0
        iotrail_lag_seconds 0.0015
        iotrail_queue_depth{stage="ring:data"} 1
        iotrail_queue_depth{stage="service_graph"} 0
        message_broker_connection_errors_total{system="mqtt",server="127.0.0.1:1883"} 1"#]]
    .assert_eq(&samples(&text));
    assert!(lines(&text, "process_resident_memory_bytes ").len() > 30);
    assert!(lines(&text, "process_cpu_seconds_total ").len() > 25);
}
