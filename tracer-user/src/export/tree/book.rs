//! Which traces are still growing, and which can be printed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use crate::model::ids::TraceId;
use crate::model::span::Span;

/// A trace is complete when it did not grow for this long and all parents are there.
const QUIET: Duration = Duration::from_millis(300);
/// As [`QUIET`], when a parent is missing: it has not ended yet, or was printed earlier. Below the two seconds
/// within which traces have to be complete.
const QUIET_WITH_GAPS: Duration = Duration::from_millis(1500);
/// Most traces that are held back; past it the oldest is printed as it is.
pub(crate) const OPEN_TRACES: usize = 1024;
/// Most spans of a trace that are shown: more fit on no screen.
pub(crate) const TRACE_SPANS: usize = 500;

/// The spans of one trace.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Those that are shown.
    pub(crate) spans: Vec<Arc<Span>>,
    /// How many more there were.
    pub(crate) hidden: usize,
}

struct Open {
    trace: Trace,
    last: Instant,
}

/// The traces that still grow.
#[derive(Default)]
pub(crate) struct Book {
    open: HashMap<TraceId, Open>,
    /// Their ids, oldest first.
    order: VecDeque<TraceId>,
}

impl Book {
    /// Adds a span. Returns a trace that had to make room.
    pub(crate) fn add(&mut self, span: Arc<Span>, now: Instant) -> Option<Trace> {
        let id = span.trace;
        let open = self.open.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Open { trace: Trace::default(), last: now }
        });
        open.last = now;
        if open.trace.spans.len() < TRACE_SPANS {
            open.trace.spans.push(span);
        } else {
            open.trace.hidden += 1;
        }
        if self.order.len() <= OPEN_TRACES {
            return None;
        }
        let oldest = self.order.pop_front()?;
        self.open.remove(&oldest).map(|open| open.trace)
    }

    /// Takes out the traces that are complete, oldest first.
    pub(crate) fn complete(&mut self, now: Instant) -> Vec<Trace> {
        let Self { open, order } = self;
        let mut complete = Vec::new();
        order.retain(|id| {
            let Some(trace) = open.get(id) else { return false };
            let quiet = now.saturating_duration_since(trace.last);
            if quiet < QUIET || (quiet < QUIET_WITH_GAPS && has_gaps(&trace.trace.spans)) {
                return true;
            }
            complete.extend(open.remove(id).map(|open| open.trace));
            false
        });
        complete
    }

    /// Takes out everything.
    pub(crate) fn all(&mut self) -> Vec<Trace> {
        let ids = std::mem::take(&mut self.order);
        ids.iter().filter_map(|id| self.open.remove(id)).map(|open| open.trace).collect()
    }
}

/// Whether a span's parent is missing.
fn has_gaps(spans: &[Arc<Span>]) -> bool {
    let mut parents =
        spans.iter().filter_map(|span| span.parent.as_ref().filter(|edge| edge.trace == span.trace));
    parents.any(|edge| !spans.iter().any(|span| span.id == edge.span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples::trail;

    #[test]
    fn a_trace_is_complete_when_it_is_quiet() {
        let mut book = Book::default();
        let start = Instant::now();
        for span in trail() {
            assert!(book.add(span, start).is_none());
        }
        assert!(book.complete(start + QUIET - Duration::from_millis(1)).is_empty());
        let done = book.complete(start + QUIET);
        assert_eq!(done.len(), 1);
        assert_eq!((done[0].spans.len(), done[0].hidden), (5, 0));
        assert!(book.complete(start + QUIET).is_empty() && book.all().is_empty());
    }

    #[test]
    fn a_missing_parent_is_waited_for() {
        let mut book = Book::default();
        let start = Instant::now();
        // The command ends before the processing that it belongs to.
        book.add(Arc::clone(&trail()[3]), start);
        assert!(book.complete(start + QUIET).is_empty());
        assert_eq!(book.complete(start + QUIET_WITH_GAPS).len(), 1);
    }

    #[test]
    fn both_bounds_hold() {
        let mut book = Book::default();
        let start = Instant::now();
        let sample = trail().remove(0);
        let mut early = 0;
        for number in 0..OPEN_TRACES + 10 {
            let mut span = sample.as_ref().clone();
            span.trace.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
            early += usize::from(book.add(Arc::new(span), start).is_some());
        }
        assert_eq!((early, book.all().len()), (10, OPEN_TRACES));
        for _ in 0..TRACE_SPANS + 7 {
            book.add(Arc::clone(&sample), start);
        }
        let trace = book.all().remove(0);
        assert_eq!((trace.spans.len(), trace.hidden), (TRACE_SPANS, 7));
    }
}
