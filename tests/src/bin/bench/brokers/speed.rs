//! Brokers at full speed: with the load that comes with them where there is one, else with ours.

use super::{
    Bench,
    drain::Drain,
    site::Broker,
    tools::{consume, produce, redis},
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Messages of the short run that tells how many a long one takes.
const SAMPLE: u64 = 20_000;
/// Seconds of a short run of our own load: Erlang is slower in its first.
const WARM_UP: u64 = 1;
/// Records that Kafka's consumer reads at most: some 270 MB of 256 B each.
const STORED: u64 = 1_000_000;
/// Entries that a stream of Redis keeps about, so that its memory does not grow.
const KEPT: &str = "10000";
/// Channel and stream of Redis.
const DESTINATION: &str = "load.messages";
/// Kafka's topics: what is produced, and what is consumed again and again.
const TOPICS: [&str; 2] = ["load.produced", "load.consumed"];

/// A load at full speed.
pub(super) struct Speed {
    load: Load,
    /// Messages of a run, where the load takes a number and not a time.
    messages: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Ours on a client library.
    Ours,
    /// redis-benchmark: PUBLISH with a subscriber, so many in a pipeline.
    Publish(u8),
    /// redis-benchmark: XADD, so many in a pipeline.
    Xadd(u8),
    /// Kafka's ProducerPerformance.
    Producer,
    /// Kafka's ConsumerPerformance.
    Consumer,
}

impl Speed {
    /// The loads of a broker. Each runs once before, shortly: what has to warm up has done so, and how much it does in a
    /// second is known; of Java's, whose first second tells little of the others, after a second run.
    pub(super) fn all(bench: &Bench<'_>) -> Result<Vec<Self>> {
        let loads: &[Load] = match bench.site.broker {
            Broker::Mosquitto | Broker::Rabbitmq | Broker::Nats => &[Load::Ours],
            Broker::Kafka => &[Load::Producer, Load::Consumer],
            Broker::Redis => &[Load::Publish(1), Load::Publish(16), Load::Xadd(1), Load::Xadd(16)],
        };
        loads.iter().map(|load| Self::prepare(bench, *load)).collect()
    }

    fn prepare(bench: &Bench<'_>, load: Load) -> Result<Self> {
        let mut speed = Self { load, messages: SAMPLE };
        eprintln!("bench: {}: {}: a short run before", bench.site.broker.name(), speed.name());
        match load {
            Load::Ours => {
                bench.ours_for(0, WARM_UP)?;
            }
            Load::Consumer => {
                let mut stored = 0;
                for _ in 0..2 {
                    produce(bench, TOPICS[1], speed.messages.saturating_sub(stored).max(1))?;
                    stored = stored.max(speed.messages);
                    speed.messages = of_a_run(bench, &speed.measure(bench)?)?.min(STORED);
                }
                produce(bench, TOPICS[1], speed.messages.saturating_sub(stored).max(1))?;
            }
            Load::Producer => {
                for _ in 0..2 {
                    speed.messages = of_a_run(bench, &speed.measure(bench)?)?;
                }
            }
            Load::Publish(_) | Load::Xadd(_) => {
                speed.messages = of_a_run(bench, &speed.measure(bench)?)?;
            }
        }
        Ok(speed)
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        match self.load {
            Load::Ours => "one publisher, one subscriber".to_owned(),
            Load::Publish(pipeline) => format!("redis-benchmark PUBLISH -P {pipeline}"),
            Load::Xadd(pipeline) => format!("redis-benchmark XADD -P {pipeline}"),
            Load::Producer => "ProducerPerformance".to_owned(),
            Load::Consumer => "ConsumerPerformance".to_owned(),
        }
    }

    /// Runs once; messages, their rate and the time they took.
    pub(super) fn measure(&self, bench: &Bench<'_>) -> Result<Value> {
        let messages = self.messages;
        let rate = match self.load {
            Load::Ours => return bench.ours(0),
            Load::Publish(pipeline) => {
                let drain = Drain::start(bench.site.port, DESTINATION, bench.options.size)?;
                let rate = redis(bench, messages, pipeline, &["PUBLISH", DESTINATION])?;
                let mut said = said(messages, rate);
                said["received"] = drain.stop(messages)?.into();
                return Ok(said);
            }
            Load::Xadd(pipeline) => {
                let command = ["XADD", DESTINATION, "MAXLEN", "~", KEPT, "*", "body"];
                redis(bench, messages, pipeline, &command)?
            }
            Load::Producer => produce(bench, TOPICS[0], messages)?,
            Load::Consumer => consume(bench, TOPICS[1], messages)?,
        };
        Ok(said(messages, rate))
    }
}

/// In the words of our own load.
fn said(messages: u64, rate: f64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "seconds need no more digits")]
    let seconds = messages as f64 / rate;
    json!({"sent": messages, "rate": rate, "seconds": seconds})
}

/// How many messages a load takes for the seconds that are asked for, after what a short run said.
fn of_a_run(bench: &Bench<'_>, short: &Value) -> Result<u64> {
    let rate = short["rate"].as_f64().context("a run without a rate")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of messages")]
    let a_second = rate as u64;
    Ok((a_second * bench.options.seconds).max(SAMPLE))
}
