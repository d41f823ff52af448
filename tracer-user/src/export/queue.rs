//! The bounded queue in front of each destination.
//!
//! Two lines: errors and the rest. Each has its own bounds, so a flood of successes cannot push an error out.
//! Offering never waits; what does not fit is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::metrics::Stage;
use crate::model::command::{Status, Value};
use crate::model::span::Span;

/// Successes that wait for one destination. As many as the ring holds records of short calls: after the analysis had to
/// wait for a CPU, their spans come all at once. At the budget's 30,000 spans/s this bridges a second, at 100,000 commands/s
/// 0.3 s.
pub(crate) const QUEUE_SPANS: usize = 32 * 1024;
/// Bytes that they may take, at some 900 a span. Only a destination that does not keep up takes them.
pub(crate) const QUEUE_BYTES: usize = 26 * 1024 * 1024;
/// Failed spans that wait for one destination: errors are rarer, and their place is their own.
pub(crate) const ERROR_QUEUE_SPANS: usize = 4 * 1024;
/// Bytes that they may take.
pub(crate) const ERROR_QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Most spans in one request.
pub(crate) const BATCH_SPANS: usize = 2048;
/// Most bytes in one request, roughly: collectors refuse gRPC messages over 4 MiB by default, and a span is
/// somewhat longer encoded than [`weight`] has it.
pub(crate) const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// So many spans are sent at once, without waiting for more.
pub(crate) const BATCH_ENOUGH: usize = 512;
/// How long fewer spans wait for company.
pub(crate) const BATCH_LINGER: Duration = Duration::from_millis(200);

/// As [`BATCH_LINGER`], for the tree: somebody is looking.
pub(crate) const TREE_LINGER: Duration = Duration::from_millis(20);

/// Why spans were lost on the way into or out of the queue.
pub(crate) mod reason {
    /// The line of successes was full.
    pub(crate) const FULL: &str = "queue_full";
    /// The line of errors was full.
    pub(crate) const ERRORS_FULL: &str = "error_queue_full";
    /// The destination was already closed.
    pub(crate) const CLOSED: &str = "closed";
    /// They could not be sent before iotrail had to stop.
    pub(crate) const SHUTDOWN: &str = "shutdown";
}

/// One line with its bounds.
struct Line {
    /// With their weights: by the time a span is taken, its parts lie in another core's cache.
    spans: VecDeque<(Arc<Span>, usize)>,
    bytes: usize,
    most_spans: usize,
    most_bytes: usize,
}

impl Line {
    fn new(most_spans: usize, most_bytes: usize) -> Self {
        Self { spans: VecDeque::new(), bytes: 0, most_spans, most_bytes }
    }

    fn fits(&self, bytes: usize) -> bool {
        self.spans.len() < self.most_spans && self.bytes.saturating_add(bytes) <= self.most_bytes
    }

    fn push(&mut self, span: Arc<Span>) -> bool {
        let bytes = weight(&span);
        if !self.fits(bytes) {
            return false;
        }
        self.bytes += bytes;
        self.spans.push_back((span, bytes));
        true
    }

    fn take(&mut self, batch: &mut Vec<Arc<Span>>, bytes: &mut usize) {
        while batch.len() < BATCH_SPANS {
            let Some((_, weight)) = self.spans.front() else { return };
            let weight = *weight;
            if !batch.is_empty() && *bytes + weight > BATCH_BYTES {
                return;
            }
            *bytes += weight;
            self.bytes -= weight;
            batch.extend(self.spans.pop_front().map(|(span, _)| span));
        }
    }
}

struct Lines {
    errors: Line,
    rest: Line,
    /// Spans that were taken and are not yet settled.
    taken: usize,
    /// Room for the next batch: a new piece of this size each time would have the heap tidied up for it.
    spare: Vec<Arc<Span>>,
    closed: bool,
}

impl Lines {
    fn len(&self) -> usize {
        self.errors.spans.len() + self.rest.spans.len()
    }

    /// Whether a batch need not wait for company.
    fn are_enough(&self) -> bool {
        self.len() >= BATCH_ENOUGH || self.errors.bytes + self.rest.bytes >= BATCH_BYTES
    }
}

/// The queue of one destination.
pub(crate) struct Queue {
    lines: Mutex<Lines>,
    changed: Notify,
    linger: Duration,
    stage: Stage,
}

impl Queue {
    /// An empty queue whose spans are counted in `stage`. Fewer than [`BATCH_ENOUGH`] spans of fewer than [`BATCH_BYTES`] wait `linger`.
    pub(crate) fn new(stage: Stage, linger: Duration) -> Self {
        Self::bounded(stage, linger, QUEUE_SPANS, ERROR_QUEUE_SPANS)
    }

    /// As [`Self::new`] with other bounds on the number of spans.
    pub(crate) fn bounded(stage: Stage, linger: Duration, most: usize, most_errors: usize) -> Self {
        let lines = Lines {
            errors: Line::new(most_errors, ERROR_QUEUE_BYTES),
            rest: Line::new(most, QUEUE_BYTES),
            taken: 0,
            spare: Vec::new(),
            closed: false,
        };
        Self { lines: Mutex::new(lines), changed: Notify::new(), linger, stage }
    }

    /// How many of the spans, from the first, fit now.
    pub(crate) fn room(&self, spans: &[Arc<Span>]) -> usize {
        let lines = self.lines();
        if lines.closed {
            return spans.len();
        }
        // As if all were of the line that is fuller: errors are few.
        let (mut count, mut bytes) = (0, 0);
        for span in spans {
            bytes += weight(span);
            let line = if span.status.is_error() { &lines.errors } else { &lines.rest };
            if line.spans.len() + count >= line.most_spans || !line.fits(bytes) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Takes what fits, counts what does not, never waits.
    pub(crate) fn offer(&self, spans: &[Arc<Span>]) {
        let (mut full, mut errors_full) = (0, 0);
        let mut lines = self.lines();
        self.stage.add_in(spans.len() as u64);
        if lines.closed {
            drop(lines);
            return self.stage.add_dropped(reason::CLOSED, spans.len() as u64);
        }
        let (before, were_enough) = (lines.len(), lines.are_enough());
        for span in spans {
            if span.status.is_error() {
                errors_full += u64::from(!lines.errors.push(Arc::clone(span)));
            } else {
                full += u64::from(!lines.rest.push(Arc::clone(span)));
            }
        }
        let (after, are_enough) = (lines.len(), lines.are_enough());
        self.show(&lines);
        drop(lines);
        self.stage.add_dropped(reason::FULL, full);
        self.stage.add_dropped(reason::ERRORS_FULL, errors_full);
        // The worker cares about two moments only: the first span, and enough spans.
        if (before == 0 && after > 0) || (!were_enough && are_enough) {
            self.changed.notify_one();
        }
    }

    /// The next spans to send, errors first; `None` when the queue is closed and empty.
    pub(crate) async fn next(&self) -> Option<Vec<Arc<Span>>> {
        let mut until = None;
        loop {
            let waiting = {
                let mut lines = self.lines();
                let waiting = lines.len();
                let due = until.is_some_and(|until| Instant::now() >= until);
                if lines.are_enough() || (waiting > 0 && (due || lines.closed)) {
                    return Some(self.take(&mut lines));
                }
                if lines.closed {
                    return None;
                }
                waiting
            };
            if waiting == 0 {
                self.changed.notified().await;
            } else {
                let until = *until.get_or_insert_with(|| Instant::now() + self.linger);
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
        }
    }

    fn take(&self, lines: &mut Lines) -> Vec<Arc<Span>> {
        let (mut batch, mut bytes) = (std::mem::take(&mut lines.spare), 0);
        lines.errors.take(&mut batch, &mut bytes);
        lines.rest.take(&mut batch, &mut bytes);
        lines.taken += batch.len();
        self.show(lines);
        batch
    }

    /// Of the spans taken, `sent` arrived and the others were lost, by reason. All of a batch at once, or not.
    pub(crate) fn settle(&self, sent: usize, lost: &[(&'static str, usize)]) {
        let mut lines = self.lines();
        let all = sent + lost.iter().map(|(_, count)| count).sum::<usize>();
        // What shutdown has given up is counted already.
        if lines.taken < all {
            return;
        }
        lines.taken -= all;
        self.show(&lines);
        drop(lines);
        self.stage.add_out(sent as u64);
        for (reason, count) in lost {
            self.stage.add_dropped(reason, *count as u64);
        }
    }

    /// Gives back the room of a batch that was sent.
    pub(crate) fn recycle(&self, mut batch: Vec<Arc<Span>>) {
        batch.clear();
        self.lines().spare = batch;
    }

    /// No more spans: what waits is still handed out.
    pub(crate) fn close(&self) {
        self.lines().closed = true;
        self.changed.notify_one();
    }

    /// Counts everything that waits or is under way as lost.
    pub(crate) fn give_up(&self) {
        let mut lines = self.lines();
        lines.closed = true;
        let lost = lines.len() + std::mem::take(&mut lines.taken);
        lines.errors = Line::new(0, 0);
        lines.rest = Line::new(0, 0);
        self.show(&lines);
        drop(lines);
        self.stage.add_dropped(reason::SHUTDOWN, lost as u64);
        self.changed.notify_one();
    }

    fn show(&self, lines: &Lines) {
        self.stage.set_held((lines.len() + lines.taken) as u64);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Roughly how many bytes a span takes in memory.
fn weight(span: &Span) -> usize {
    /// An attribute or a link without its texts.
    const PIECE: usize = 64;
    let status = match &span.status {
        Status::Ok => 0,
        Status::Error { kind, message } => kind.len() + message.len(),
    };
    let texts: usize = span
        .attributes
        .iter()
        .map(|(_, value)| match value {
            Value::Text(text) => text.len(),
            Value::Shared(text) => text.len(),
            Value::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
        })
        .sum();
    let payloads = span.payload.iter().chain(&span.reply).map(|payload| payload.captured.len());
    size_of::<Span>()
        + span.name.len()
        + status
        + texts
        + (span.attributes.len() + span.links.len()) * PIECE
        + payloads.sum::<usize>()
}

#[cfg(test)]
mod tests;
