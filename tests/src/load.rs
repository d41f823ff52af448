//! What loads of brokers have in common: bodies that carry number and time, and what is said of a run.

use crate::stats::quantile;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Number and time at the start of every body, big-endian, 8 bytes each.
pub const HEAD: usize = 16;
/// The number of the message behind the last one, which nobody counts.
const END: u64 = u64::MAX;

/// Makes and reads bodies whose times, in ns, count from one instant.
#[derive(Debug, Clone, Copy)]
pub struct Bodies {
    start: Instant,
    size: usize,
}

impl Bodies {
    /// Bodies of `size` bytes, at least [`HEAD`].
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { start: Instant::now(), size: size.max(HEAD) }
    }

    /// The body of message `number`, sent now.
    #[must_use]
    pub fn make(&self, number: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.size);
        body.extend(number.to_be_bytes());
        body.extend(self.now().to_be_bytes());
        body.resize(self.size, b'x');
        body
    }

    /// The body that says that no more come.
    #[must_use]
    pub fn end(&self) -> Vec<u8> {
        self.make(END)
    }

    /// How many ns ago a body that arrives now was made; `None` if it is the end.
    ///
    /// # Errors
    /// When it is not one of these bodies.
    pub fn latency(&self, body: &[u8]) -> Result<Option<u64>> {
        let now = self.now();
        let head: &[u8; HEAD] = body.first_chunk().context("a message without number and time")?;
        let (number, sent) = head.split_at(HEAD / 2);
        if number == END.to_be_bytes() {
            return Ok(None);
        }
        let sent = u64::from_be_bytes(sent.try_into().context("eight bytes")?);
        Ok(Some(now.saturating_sub(sent)))
    }

    /// ns since the start: centuries fit.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What a load says at its end: `sent` messages in `took`, and the latencies in ns of those that were received.
#[must_use]
pub fn outcome(sent: u64, took: Duration, mut latencies: Vec<u64>) -> Value {
    latencies.sort_unstable();
    let micros = |q| quantile(&latencies, q).map(|ns: u64| ns / 1000);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
    let rate = sent as f64 / took.as_secs_f64();
    json!({
        "sent": sent,
        "received": latencies.len(),
        "seconds": took.as_secs_f64(),
        "rate": rate.round(),
        "latency_us": {"p50": micros(0.5), "p95": micros(0.95), "p99": micros(0.99)},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_its_latency_and_the_end() {
        let bodies = Bodies::new(256);
        let body = bodies.make(7);
        assert_eq!(body.len(), 256);
        std::thread::sleep(Duration::from_millis(2));
        let latency = bodies.latency(&body).unwrap().unwrap();
        assert!((2_000_000..2_000_000_000).contains(&latency), "{latency}");
        assert_eq!(bodies.latency(&bodies.end()).unwrap(), None);
        assert!(bodies.latency(b"other").is_err());
        assert_eq!(Bodies::new(0).make(1).len(), HEAD);
    }

    #[test]
    fn an_outcome_has_rate_and_quantiles() {
        let outcome = outcome(300, Duration::from_secs(3), vec![3000, 1000, 2000]);
        assert_eq!(outcome["rate"], 100.0);
        assert_eq!(outcome["received"], 3);
        assert_eq!(outcome["latency_us"]["p50"], 2);
    }
}
