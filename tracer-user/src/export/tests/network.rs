//! Collectors that work, are down, slow, overloaded, or picky.

use std::time::{Duration, Instant};

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::servers::{grpc, http, partial};
use super::*;
use crate::export::queue::{BATCH_SPANS, ERROR_QUEUE_SPANS, QUEUE_SPANS};
use crate::export::samples::trail;

#[tokio::test]
async fn http_with_everything() {
    for (protocol, kind) in
        [(Protocol::HttpProtobuf, "application/x-protobuf"), (Protocol::HttpJson, "application/json")]
    {
        for gzip in [false, true] {
            let collector = http(vec![]).await;
            let mut settings = settings(protocol, &format!("{}/v1/traces", collector.url));
            settings.otlp.gzip = gzip;
            let (exporters, telemetry) = open(Destination::Otlp, &settings);
            exporters.offer(&trail());
            exporters.shutdown(AMPLE).await;
            let received = collector.received.lock().unwrap();
            let (path, headers, request) = &received[0];
            assert_eq!(path, "/v1/traces");
            assert_eq!(
                (&headers["content-type"], &headers["x-tenant"]),
                (&kind.parse().unwrap(), &"plant".parse().unwrap())
            );
            assert_eq!(headers.contains_key("content-encoding"), gzip);
            assert_eq!(request.resource_spans.len(), 3);
            assert_eq!(numbers(&telemetry).passed, 5);
        }
    }
}

#[tokio::test]
async fn grpc_with_everything() {
    for gzip in [false, true] {
        let collector = grpc(vec![]).await;
        let mut settings = settings(Protocol::Grpc, &collector.url);
        settings.otlp.gzip = gzip;
        let (exporters, telemetry) = open(Destination::Otlp, &settings);
        exporters.offer(&trail());
        exporters.shutdown(AMPLE).await;
        let received = collector.received.lock().unwrap();
        let (_, headers, request) = &received[0];
        assert_eq!(headers["x-tenant"], "plant");
        assert_eq!(headers.contains_key("grpc-encoding"), gzip);
        assert_eq!(request.resource_spans.len(), 3);
        assert_eq!(numbers(&telemetry).passed, 5);
    }
}

#[tokio::test]
async fn http_is_repeated_where_the_specification_says_so() {
    for (status, repeated) in [
        (429, true),
        (502, true),
        (503, true),
        (504, true),
        (400, false),
        (404, false),
        (500, false),
        (301, false),
    ] {
        let collector = http(vec![(status, Some("0"), b"go away".to_vec())]).await;
        let settings = settings(Protocol::HttpProtobuf, &collector.url);
        let (exporters, telemetry) = open(Destination::Otlp, &settings);
        exporters.offer(&trail());
        // The failure can be seen once the other side has been asked.
        let health = std::sync::Arc::clone(&exporters.0[0].health);
        exporters.shutdown(AMPLE).await;
        let numbers = numbers(&telemetry);
        let lost = numbers.dropped.get("refused").copied().unwrap_or(0);
        assert_eq!((numbers.passed, lost), if repeated { (5, 0) } else { (0, 5) }, "{status}");
        assert_eq!(collector.sizes().len(), if repeated { 2 } else { 1 });
        let health = health.status();
        assert_eq!(health.failing, !repeated);
        let said = health.last_error.unwrap();
        assert!(said.contains(&status.to_string()) && said.ends_with("go away"), "{said}");
    }
}

#[tokio::test]
async fn grpc_is_repeated_where_the_specification_says_so() {
    let busy = ErrorDetails::with_retry_info(Some(Duration::from_millis(1)));
    let exhausted = Status::with_error_details(Code::ResourceExhausted, "full", busy);
    for (status, repeated) in [
        (Status::unavailable("x"), true),
        (Status::aborted("x"), true),
        (Status::cancelled("x"), true),
        (Status::deadline_exceeded("x"), true),
        (Status::data_loss("x"), true),
        (Status::out_of_range("x"), true),
        (exhausted, true),
        (Status::resource_exhausted("x"), false),
        (Status::invalid_argument("x"), false),
        (Status::unauthenticated("x"), false),
    ] {
        let collector = grpc(vec![Err(status.clone())]).await;
        let (exporters, telemetry) = open(Destination::Otlp, &settings(Protocol::Grpc, &collector.url));
        exporters.offer(&trail());
        exporters.shutdown(AMPLE).await;
        let numbers = numbers(&telemetry);
        let lost = numbers.dropped.get("refused").copied().unwrap_or(0);
        assert_eq!((numbers.passed, lost), if repeated { (5, 0) } else { (0, 5) }, "{status:?}");
    }
}

#[tokio::test]
async fn partial_success_is_counted_and_not_repeated() {
    let body = partial(2).encode_to_vec();
    let collector = http(vec![(200, None, body)]).await;
    let (exporters, telemetry) = open(Destination::Otlp, &settings(Protocol::HttpProtobuf, &collector.url));
    exporters.offer(&trail());
    exporters.shutdown(AMPLE).await;
    assert_eq!((numbers(&telemetry).passed, numbers(&telemetry).dropped["rejected"]), (3, 2));
    assert_eq!(collector.sizes(), [5]);

    let collector = grpc(vec![Ok(partial(99))]).await;
    let (exporters, telemetry) = open(Destination::Otlp, &settings(Protocol::Grpc, &collector.url));
    exporters.offer(&trail());
    exporters.shutdown(AMPLE).await;
    // More than were sent cannot be rejected.
    assert_eq!((numbers(&telemetry).passed, numbers(&telemetry).dropped["rejected"]), (0, 5));
}

#[tokio::test]
async fn nobody_listens() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut settings = settings(protocol, &format!("http://{free}"));
        settings.backoff.limit = Duration::from_millis(20);
        let (exporters, telemetry) = open(Destination::Otlp, &settings);
        let health = std::sync::Arc::clone(&exporters.0[0].health);
        exporters.offer(&publishes(&sensor(), 1000, 10));
        exporters.shutdown(AMPLE).await;
        assert_eq!(numbers(&telemetry).dropped["unreachable"], 1000);
        let said = health.status().last_error.unwrap();
        assert!(said.contains("refused"), "{said}");
    }
}

#[tokio::test]
async fn a_hanging_collector_blocks_nobody_and_errors_outlive_successes() {
    let collector = http(vec![]).await;
    // It takes connections and never answers.
    collector.gate.forget_permits(1000);
    let (exporters, telemetry) = open(Destination::Otlp, &settings(Protocol::HttpProtobuf, &collector.url));
    let owner = sensor();
    let start = Instant::now();
    for _ in 0..100 {
        exporters.offer(&publishes(&owner, 1000, 50));
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "100,000 spans took {took:?}");
    let now = numbers(&telemetry);
    assert!(now.held <= (QUEUE_SPANS + ERROR_QUEUE_SPANS + 4 * BATCH_SPANS) as u64);
    // 2,000 errors among them: all have a place, though successes were turned away.
    assert!(now.dropped["queue_full"] > 50_000);
    assert!(!now.dropped.contains_key("error_queue_full"));

    // It comes back: what was held arrives.
    collector.gate.add_permits(1000);
    exporters.shutdown(AMPLE).await;
    let end = numbers(&telemetry);
    assert_eq!((end.passed, end.held), (now.held, 0));
    let received = collector.received.lock().unwrap();
    let spans = received.iter().flat_map(|(_, _, request)| &request.resource_spans);
    let spans = spans.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    assert_eq!(spans.filter(|span| span.status.is_some()).count(), 2000);
}

#[tokio::test]
async fn shutdown_keeps_its_deadline() {
    let collector = http(vec![]).await;
    collector.gate.forget_permits(1000);
    let (exporters, telemetry) = open(Destination::Otlp, &settings(Protocol::HttpProtobuf, &collector.url));
    exporters.offer(&publishes(&sensor(), 10_000, 7));
    let start = Instant::now();
    exporters.shutdown(Duration::from_millis(100)).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(numbers(&telemetry).dropped["shutdown"], 10_000);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_repeated() {
    let collector = http(vec![]).await;
    collector.gate.forget_permits(1000);
    let mut settings = settings(Protocol::HttpProtobuf, &collector.url);
    settings.otlp.timeout = Duration::from_millis(50);
    settings.backoff.limit = Duration::from_millis(300);
    let (exporters, telemetry) = open(Destination::Otlp, &settings);
    let health = std::sync::Arc::clone(&exporters.0[0].health);
    exporters.offer(&trail());
    exporters.shutdown(AMPLE).await;
    assert_eq!(numbers(&telemetry).dropped["unreachable"], 5);
    let said = health.status().last_error.unwrap();
    assert!(said.contains("timed out"), "{said}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_said() {
    let mut wrong = settings(Protocol::HttpProtobuf, "http://localhost:4318/v1/traces");
    wrong.otlp.certificate = Some("/does/not/exist.pem".into());
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        wrong.otlp.protocol = protocol;
        wrong.otlp.endpoint = "https://localhost:1".into();
        let Err(error) = start(&Handle::current(), &[Destination::Otlp], &wrong, &Telemetry::default())
        else {
            panic!("{protocol:?} has to read the certificate");
        };
        assert_eq!(
            error.to_string(),
            "cannot read /does/not/exist.pem: No such file or directory (os error 2); \
             check OTEL_EXPORTER_OTLP_CERTIFICATE and its kin"
        );
    }
    // Both take TLS without more settings.
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        open(Destination::Otlp, &settings(protocol, "https://localhost:1"));
    }
    let mut wrong = settings(Protocol::Grpc, "http://localhost:1");
    wrong.otlp.headers = vec![("a b".into(), "c".into())];
    assert!(start(&Handle::current(), &[Destination::Otlp], &wrong, &Telemetry::default()).is_err());
}
