//! What takes spans from a queue and brings them to their destination.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::health::Health;
use super::lines::{Lines, explain};
use super::otlp::Encoder;
use super::queue::Queue;
use super::send::{Backoff, Client, Delivery};
use super::tree::book::{Book, Trace};
use super::tree::{Look, render};

/// Requests that may be under way at once: over a slow line one at a time would not keep up.
const IN_FLIGHT: usize = 4;

/// Why spans did not arrive.
mod reason {
    /// The other side refused some spans of a batch.
    pub(super) const REJECTED: &str = "rejected";
    /// The other side refused the batch.
    pub(super) const REFUSED: &str = "refused";
    /// The other side could not be reached for too long.
    pub(super) const UNREACHABLE: &str = "unreachable";
    /// A file or stream could not be written.
    pub(super) const WRITE: &str = "write_failed";
    /// A trace had more spans than a tree shows.
    pub(super) const TOO_LONG: &str = "trace_too_long";
}

/// A running worker.
pub(crate) struct Worker {
    /// Resolves when everything is delivered after the queue was closed.
    pub(crate) done: oneshot::Receiver<()>,
    /// Stops it, if it is a task; a thread that hangs in a write ends with the program.
    pub(crate) abort: Option<AbortHandle>,
}

/// Sends batches over the network, [`IN_FLIGHT`] at once, as a task of `runtime`.
pub(crate) fn network(
    runtime: &Handle,
    queue: Arc<Queue>,
    health: Arc<Health>,
    client: Client,
    encoder: Encoder,
    json: bool,
    backoff: Backoff,
) -> Worker {
    let (finish, done) = oneshot::channel();
    let task = runtime.spawn(async move {
        let client = Arc::new(client);
        let slots = Arc::new(Semaphore::new(IN_FLIGHT));
        // Dropped, and with it all requests, when this task is aborted.
        let mut requests = JoinSet::new();
        loop {
            // A free slot first: what waits meanwhile is bounded by the queue.
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            let Some(spans) = queue.next().await else { break };
            let mut body = Vec::new();
            if json {
                encoder.json_line(&spans, &mut body);
            } else {
                body = encoder.protobuf(&spans);
            }
            let (body, count) = (client.body(body), spans.len());
            drop(spans);
            let (queue, health, client) = (Arc::clone(&queue), Arc::clone(&health), Arc::clone(&client));
            requests.spawn(async move {
                match client.deliver(body, backoff, &health).await {
                    Delivery::Taken { rejected } => {
                        let rejected = usize::try_from(rejected).unwrap_or(count).min(count);
                        queue.settle(count - rejected, &[(reason::REJECTED, rejected)]);
                    }
                    Delivery::Refused => queue.settle(0, &[(reason::REFUSED, count)]),
                    Delivery::Expired => queue.settle(0, &[(reason::UNREACHABLE, count)]),
                }
                drop(slot);
            });
            while requests.try_join_next().is_some() {}
        }
        while requests.join_next().await.is_some() {}
        // Nobody listens if shutdown is past its deadline.
        let _ = finish.send(());
    });
    Worker { done, abort: Some(task.abort_handle()) }
}

/// Writes batches to a file or stream.
pub(crate) fn lines(runtime: &Handle, queue: Arc<Queue>, health: Arc<Health>, mut lines: Lines) -> Worker {
    blocking(runtime, "lines", async move {
        while let Some(spans) = queue.next().await {
            match lines.write(&spans) {
                Ok(()) => {
                    health.succeed();
                    queue.settle(spans.len(), &[]);
                }
                Err((written, error)) => {
                    health.fail(explain(&error));
                    queue.settle(written, &[(reason::WRITE, spans.len() - written)]);
                }
            }
            queue.recycle(spans);
        }
    })
}

/// How often the tree's worker looks for complete traces.
const TREE_TICK: Duration = Duration::from_millis(100);

/// Prints traces to `out` as they complete.
pub(crate) fn tree(
    runtime: &Handle,
    queue: Arc<Queue>,
    health: Arc<Health>,
    mut out: Box<dyn Write + Send>,
    look: fn() -> Look,
) -> Worker {
    let mut print = move |queue: &Queue, trace: Trace| {
        // The window may have another size by now.
        let text = render(&trace.spans, trace.hidden, look());
        let count = trace.spans.len();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => {
                health.succeed();
                queue.settle(count, &[(reason::TOO_LONG, trace.hidden)]);
            }
            Err(error) => {
                health.fail(explain(&error));
                queue.settle(0, &[(reason::WRITE, count), (reason::TOO_LONG, trace.hidden)]);
            }
        }
    };
    blocking(runtime, "tree", async move {
        let mut book = Book::default();
        let mut tick = tokio::time::interval(TREE_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The queue first: once it has ended there may be no clock any more.
                biased;
                spans = queue.next() => {
                    let Some(spans) = spans else { break };
                    for span in spans {
                        if let Some(trace) = book.add(span, Instant::now()) {
                            print(&queue, trace);
                        }
                    }
                }
                _ = tick.tick() => {}
            }
            for trace in book.complete(Instant::now()) {
                print(&queue, trace);
            }
        }
        for trace in book.all() {
            print(&queue, trace);
        }
    })
}

/// Runs `work`, which may hang in a write for as long as a terminal or pipe takes, on a thread of its own.
fn blocking(runtime: &Handle, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Worker {
    let (finish, done) = oneshot::channel();
    let runtime = runtime.clone();
    let run = move || {
        runtime.block_on(work);
        // Nobody listens if shutdown is past its deadline.
        let _ = finish.send(());
    };
    if let Err(error) = thread::Builder::new().name(format!("export-{name}")).spawn(run) {
        // `finish` went with the closure: the destination counts as done, its queue fills and says so.
        tracing::error!(%error, "cannot start a thread for export");
    }
    Worker { done, abort: None }
}
