//! Files, pipes and the terminal.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::*;
use crate::export::health::Health;
use crate::export::lines::{LINE_SPANS, Lines};
use crate::export::queue::{Queue, TREE_LINGER};
use crate::export::samples::{encoder, trail};
use crate::export::tree::Look;
use crate::export::worker;
use crate::model::payload::Payload;

/// Takes so many bytes, then fails.
struct Pipe {
    taken: Arc<Mutex<Vec<u8>>>,
    room: usize,
    error: io::ErrorKind,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = self.taken.lock().unwrap();
        let count = bytes.len().min(self.room - taken.len());
        if count == 0 {
            return Err(self.error.into());
        }
        taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pipe(room: usize) -> (Box<Pipe>, Arc<Mutex<Vec<u8>>>) {
    let taken = Arc::new(Mutex::default());
    (Box::new(Pipe { taken: Arc::clone(&taken), room, error: io::ErrorKind::BrokenPipe }), taken)
}

#[tokio::test]
async fn the_last_spans_of_a_run_may_be_more_than_the_queue_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.jsonl");
    let settings = settings(Protocol::HttpProtobuf, "http://localhost:4318");
    let (exporters, telemetry) = open(Destination::File(path.clone()), &settings);
    let spans = publishes(&sensor(), 2 * crate::export::queue::QUEUE_SPANS, 3);
    exporters.offer_last(&spans, std::time::Instant::now() + AMPLE);
    exporters.shutdown(AMPLE).await;
    let stage = &telemetry.snapshot()[0];
    assert_eq!((stage.passed, stage.lost()), (spans.len() as u64, 0));
}

#[tokio::test]
async fn a_file_holds_a_request_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.jsonl");
    std::fs::write(&path, "from an earlier run\n").unwrap();
    let settings = settings(Protocol::HttpProtobuf, "http://localhost:4318");
    let (exporters, telemetry) = open(Destination::File(path.clone()), &settings);
    exporters.offer(&publishes(&sensor(), 1000, 3));
    exporters.shutdown(AMPLE).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let spans: Vec<usize> = text
        .lines()
        .map(|line| {
            let request: ExportTraceServiceRequest = serde_json::from_str(line).unwrap();
            request.resource_spans[0].scope_spans[0].spans.len()
        })
        .collect();
    assert_eq!(spans.iter().sum::<usize>(), 1000);
    assert!(spans.iter().all(|count| *count <= LINE_SPANS), "{spans:?}");
    assert!(text.lines().all(|line| line.len() < 1 << 20));
    assert_eq!(numbers(&telemetry).passed, 1000);
}

#[test]
fn only_the_owner_reads_payloads() {
    let folder = tempfile::tempdir().unwrap();
    for (policy, others) in [(PayloadPolicy::Digest, true), (PayloadPolicy::Full, false)] {
        let path = folder.path().join(policy.to_string());
        Lines::create(&path, encoder(policy)).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o004 != 0, others, "{mode:o}");
    }
}

#[test]
fn big_payloads_make_short_lines() {
    let (stream, taken) = pipe(usize::MAX);
    let mut big = trail()[0].as_ref().clone();
    big.payload = Some(Payload::whole(vec![0xff; 64 * 1024]));
    let big = Arc::new(big);
    let spans = vec![big; 8];
    Lines::stream(stream, encoder(PayloadPolicy::Full)).write(&spans).unwrap();
    let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
    let longest = text.lines().map(str::len).max().unwrap();
    assert!(text.lines().count() >= 4 && longest < 1 << 20, "{longest}");
    // Without their bytes they fit in one.
    let (stream, taken) = pipe(usize::MAX);
    Lines::stream(stream, encoder(PayloadPolicy::Digest)).write(&spans).unwrap();
    assert_eq!(taken.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[tokio::test]
async fn a_full_disk_is_counted_and_said() {
    let settings = settings(Protocol::HttpProtobuf, "http://localhost:4318");
    let (exporters, telemetry) = open(Destination::File("/dev/full".into()), &settings);
    let health = Arc::clone(&exporters.0[0].health);
    exporters.offer(&trail());
    exporters.shutdown(AMPLE).await;
    assert_eq!(numbers(&telemetry).dropped["write_failed"], 5);
    assert_eq!(
        health.status().last_error.unwrap(),
        "cannot write: No space left on device (os error 28); free space on the disk"
    );
}

#[test]
fn a_closed_pipe_is_not_tried_again() {
    let (stream, taken) = pipe(10);
    let mut lines = Lines::stream(stream, encoder(PayloadPolicy::Off));
    for _ in 0..2 {
        let (written, error) = lines.write(&trail()).unwrap_err();
        assert_eq!((written, error.kind()), (0, io::ErrorKind::BrokenPipe));
    }
    assert_eq!(taken.lock().unwrap().len(), 10);
}

#[tokio::test]
async fn a_file_that_cannot_be_made() {
    let settings = settings(Protocol::HttpProtobuf, "http://localhost:4318");
    let nowhere = Destination::File("/does/not/exist/trace.jsonl".into());
    let Err(error) = start(&Handle::current(), &[nowhere], &settings, &Telemetry::default()) else {
        panic!("there is no such folder");
    };
    assert_eq!(
        error.to_string(),
        "cannot write /does/not/exist/trace.jsonl: No such file or directory (os error 2); \
         choose another path with --export file:PATH"
    );
}

#[tokio::test]
async fn the_tree_is_printed_when_a_trace_is_complete_or_all_ends() {
    let telemetry = Telemetry::default();
    let queue = Arc::new(Queue::new(telemetry.stage("tree"), TREE_LINGER));
    let (stream, taken) = pipe(usize::MAX);
    let health = Arc::new(Health::new("tree".into()));
    let worker = worker::tree(&Handle::current(), Arc::clone(&queue), health, stream, Look::default);
    queue.offer(&trail());
    let printed = || String::from_utf8(taken.lock().unwrap().clone()).unwrap();
    let start = std::time::Instant::now();
    while printed().is_empty() {
        assert!(start.elapsed() < AMPLE, "a quiet trace is printed by itself");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    queue.offer(&publishes(&sensor(), 1, 2));
    queue.close();
    worker.done.await.unwrap();
    let heads: Vec<_> =
        printed().lines().filter(|line| line.starts_with("trace ")).map(str::to_owned).collect();
    assert_eq!(
        heads,
        [
            "trace 01010101…  sensor → mosquitto → actuator  12.4 ms  1 error",
            "trace 01010101…  sensor  8.1 ms"
        ]
    );
    assert_eq!(numbers(&telemetry).passed, 6);
}
