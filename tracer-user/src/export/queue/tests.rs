//! Bounds, priority and accounting.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::export::metrics::{StageNumbers, Telemetry};
use crate::export::samples::{busy, message, process, span};
use crate::model::payload::Payload;
use crate::model::span::{SpanKind, Subject};

fn success(number: u8) -> Arc<Span> {
    let owner = process("a", 1);
    Arc::new(span(number, &owner, "publish x", SpanKind::Producer, Subject::Publish(message("x"))))
}

fn failure(number: u8) -> Arc<Span> {
    let mut span = success(number).as_ref().clone();
    span.status = busy();
    Arc::new(span)
}

fn queue(most: usize, most_errors: usize) -> (Queue, Stage) {
    let stage = Telemetry::default().stage("export");
    (Queue::bounded(stage.clone(), Duration::from_millis(5), most, most_errors), stage)
}

fn balanced(numbers: &StageNumbers) -> bool {
    numbers.came == numbers.passed + numbers.held + numbers.lost()
}

fn numbers(batch: &[Arc<Span>]) -> Vec<u8> {
    batch.iter().map(|span| span.id.0[0]).collect()
}

#[tokio::test]
async fn errors_have_their_own_place_and_go_first() {
    let (queue, stage) = queue(3, 2);
    let successes: Vec<_> = (1..=5).map(success).collect();
    queue.offer(&successes);
    queue.offer(&[failure(11), failure(12), failure(13), success(6)]);
    let batch = queue.next().await.unwrap();
    assert_eq!(numbers(&batch), [11, 12, 1, 2, 3]);
    let now = stage.numbers();
    assert_eq!(
        now.dropped.clone().into_iter().collect::<Vec<_>>(),
        [("error_queue_full", 1), ("queue_full", 3)]
    );
    assert_eq!((now.came, now.held), (9, 5));
    queue.settle(4, &[("rejected", 1)]);
    let now = stage.numbers();
    assert_eq!((now.passed, now.held, now.lost()), (4, 0, 5));
    assert!(balanced(&now));
}

#[tokio::test]
async fn bytes_are_bounded() {
    let (queue, stage) = queue(QUEUE_SPANS, ERROR_QUEUE_SPANS);
    let mut big = success(1).as_ref().clone();
    big.payload = Some(Payload::whole(vec![0; 64 * 1024]));
    let big = Arc::new(big);
    let big = vec![big; 300];
    queue.offer(&big);
    let held = stage.numbers().held;
    assert!((150..=QUEUE_BYTES as u64 / (64 * 1024)).contains(&held), "{held}");
    assert_eq!(stage.numbers().lost(), 300 - held);
    // A request stays below what collectors take.
    let batch = queue.next().await.unwrap();
    assert!(batch.len() * 64 * 1024 <= BATCH_BYTES && batch.len() > 20, "{}", batch.len());
}

#[tokio::test]
async fn what_fills_a_request_waits_for_no_company() {
    let stage = Telemetry::default().stage("export");
    let queue = Queue::new(stage, Duration::from_secs(3600));
    let mut big = success(1).as_ref().clone();
    big.payload = Some(Payload::whole(vec![0; 64 * 1024]));
    let big = Arc::new(big);
    let limit = Duration::from_millis(50);
    queue.offer(&vec![Arc::clone(&big); 20]);
    assert!(tokio::time::timeout(limit, queue.next()).await.is_err(), "less than a request holds");
    queue.offer(&vec![big; 20]);
    let batch = tokio::time::timeout(limit, queue.next()).await.expect("a request's worth").unwrap();
    assert!(batch.len() > 20, "{}", batch.len());
}

#[tokio::test]
async fn a_few_spans_wait_for_company_but_not_for_long() {
    let (queue, _) = queue(100, 100);
    let queue = Arc::new(queue);
    let reader = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next().await.map(|batch| batch.len()) }
    });
    tokio::task::yield_now().await;
    queue.offer(&[success(1)]);
    queue.offer(&[success(2)]);
    assert_eq!(reader.await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn enough_spans_do_not_wait() {
    let stage = Telemetry::default().stage("export");
    let queue = Arc::new(Queue::new(stage, Duration::from_secs(3600)));
    let start = Instant::now();
    let reader = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next().await.map(|batch| batch.len()) }
    });
    queue.offer(&[success(1)]);
    tokio::task::yield_now().await;
    queue.offer(&vec![success(2); BATCH_SPANS + BATCH_ENOUGH]);
    assert_eq!(reader.await.unwrap(), Some(BATCH_SPANS));
    assert_eq!(queue.next().await.unwrap().len(), BATCH_ENOUGH + 1);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn closing_hands_out_the_rest_and_giving_up_counts_it() {
    let (queue, stage) = queue(100, 100);
    queue.offer(&[success(1), success(2)]);
    queue.close();
    queue.offer(&[success(3)]);
    assert_eq!(queue.next().await.unwrap().len(), 2);
    assert_eq!(queue.next().await, None);
    assert_eq!(stage.numbers().dropped["closed"], 1);
    queue.give_up();
    // Too late: it was counted as lost.
    queue.settle(2, &[]);
    let now = stage.numbers();
    assert_eq!((now.passed, now.dropped["shutdown"]), (0, 2));
    assert!(balanced(&now));
}
