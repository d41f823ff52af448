//! Destinations that are down, slow or full; and a collector that takes what comes, by both protocols.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::mqtt::check::{Truth, of_kind};
use crate::mqtt::site::Site;
use crate::support::{Outcome, Tracer};

/// What a run may take to end when a destination does not take anything: five seconds for those that are slow, and some.
const END: Duration = Duration::from_secs(9);

/// Ten messages under a tracer with one more destination; how it ended.
fn run(more: &[&str], endpoint: Option<String>, protocol: &str) -> (Outcome, Duration) {
    let site = Site::new();
    let selector = site.selector();
    let mut arguments = vec!["--hooks", "raw", "--broker", &selector, "--payload", "full"];
    arguments.extend(more);
    let tracer = Tracer::start_with(&arguments, |command| {
        if let Some(endpoint) = endpoint {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        }
    });
    let mut subscriber = site.subscriber("sub", "t", 1, 10);
    let mut publisher = site.publisher("pub", "t", 1);
    publisher.give_numbers(0..10, 30);
    publisher.finish();
    subscriber.finish();
    let start = Instant::now();
    let outcome = tracer.stop();
    // The other destination has everything.
    Truth::whole(site.broker.process.pid())
        .publisher(&publisher)
        .subscriber(&subscriber, 1)
        .check(&outcome.spans);
    (outcome, start.elapsed())
}

#[test]
fn a_collector_that_is_down() {
    for protocol in ["grpc", "http/protobuf"] {
        let port = tracer_tests::broker::free_port().expect("a port is free");
        let (outcome, took) = run(&["--export", "otlp"], Some(format!("http://127.0.0.1:{port}")), protocol);
        assert!(took < END, "{protocol}: it took {took:?} to end");
        let stage = outcome.stage("export:otlp");
        assert_eq!(stage.lost(), 40, "{protocol}: {stage:?}");
        assert_eq!(stage.came, 40, "{protocol}: {stage:?}");
    }
}

#[test]
fn a_collector_that_never_answers() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            kept.push(stream);
        }
    });
    let (outcome, took) =
        run(&["--export", "otlp"], Some(format!("http://127.0.0.1:{port}")), "http/protobuf");
    assert!(took < END, "it took {took:?} to end");
    let stage = outcome.stage("export:otlp");
    assert_eq!((stage.came, stage.lost()), (40, 40), "{stage:?}");
}

#[test]
fn a_disk_that_is_full() {
    let (outcome, took) = run(&["--export", "file:/dev/full"], None, "");
    assert!(took < END, "it took {took:?} to end");
    let stage = outcome.stage("export:file:/dev/full");
    assert_eq!((stage.came, stage.lost()), (40, 40), "{stage:?}");
    assert!(outcome.log.contains("cannot write") && outcome.log.contains("free space"), "{}", outcome.log);
}

/// A collector that counts the resources and spans of what it gets over HTTP.
#[test]
fn a_collector_gets_one_resource_for_each_process() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::sync::mpsc;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let mut length = 0;
                    let mut line = String::new();
                    loop {
                        line.clear();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().expect("a length");
                        }
                        if line == "\r\n" {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).expect("a body");
                    let request = ExportTraceServiceRequest::decode(&body[..]).expect("a request");
                    sender.send(request).expect("the test goes on");
                    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                    reader.get_mut().write_all(answer.as_bytes()).expect("an answer can be sent");
                }
            });
        }
    });
    let (outcome, _) = run(&["--export", "otlp"], Some(format!("http://127.0.0.1:{port}")), "http/protobuf");
    assert_eq!(outcome.stage("export:otlp").lost(), 0);
    let requests: Vec<ExportTraceServiceRequest> = received.try_iter().collect();
    check_resources(&requests, &outcome);
}

#[test]
fn a_collector_gets_the_same_over_grpc() {
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use std::sync::{Arc, Mutex};
    use tonic::{Request, Response, Status};

    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

    #[tonic::async_trait]
    impl TraceService for Collector {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            self.0.lock().expect("nobody panicked").push(request.into_inner());
            Ok(Response::new(ExportTraceServiceResponse::default()))
        }
    }

    let port = tracer_tests::broker::free_port().expect("a port is free");
    let collector = Collector::default();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    runtime.spawn(server.serve((Ipv4Addr::LOCALHOST, port).into()));
    let (outcome, _) = run(&["--export", "otlp"], Some(format!("http://127.0.0.1:{port}")), "grpc");
    assert_eq!(outcome.stage("export:otlp").lost(), 0, "{}", outcome.log);
    let requests = collector.0.lock().expect("nobody panicked");
    check_resources(&requests, &outcome);
}

/// In each request each process is one resource, and all spans are there.
fn check_resources(
    requests: &[opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest],
    outcome: &Outcome,
) {
    let mut spans = 0;
    for request in requests {
        let mut seen = std::collections::HashSet::new();
        for resource in &request.resource_spans {
            let attributes = &resource.resource.as_ref().expect("a resource").attributes;
            let instance =
                attributes.iter().find(|pair| pair.key == "service.instance.id").expect("an instance");
            assert!(seen.insert(format!("{:?}", instance.value)), "a resource twice in one request");
            spans += resource.scope_spans.iter().map(|scope| scope.spans.len()).sum::<usize>();
        }
    }
    assert_eq!(spans, outcome.spans.len());
    assert_eq!(of_kind(&outcome.spans, "process ").len(), 10);
}
