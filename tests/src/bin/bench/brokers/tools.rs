//! The loads that come with Redis and Kafka: how they are started, and the rate in what they say.

use super::Bench;
use anyhow::{Context as _, Result, ensure};
use std::process::Command;
use tracer_tests::broker::optimising_java;

/// Memory of Kafka's programs.
const JAVA: &str = "512m";
/// Behind the rate redis-benchmark has average, least, median, p95, p99 and greatest latency.
const RATE_FROM_THE_END: usize = 6;

/// Has redis-benchmark give a command, with a body as its last word; commands a second.
pub(super) fn redis(bench: &Bench<'_>, messages: u64, pipeline: u8, command: &[&str]) -> Result<f64> {
    let mut benchmark = Command::new("redis-benchmark");
    benchmark.args(["--csv", "-p", &bench.site.port.to_string(), "-n", &messages.to_string()]);
    benchmark.args(["-P", &pipeline.to_string()]).args(command);
    benchmark.arg("x".repeat(usize::try_from(bench.options.size)?));
    let said = bench.output("redis-benchmark", &mut benchmark, bench.options.seconds)?;
    commands(&said).with_context(|| format!("redis-benchmark says {said:?}"))
}

/// A line of headings, then the command in quotes, its rate and latencies.
fn commands(said: &str) -> Option<f64> {
    positive(said.lines().last()?.rsplit("\",\"").nth(RATE_FROM_THE_END)?)
}

/// Has ProducerPerformance produce records; records a second.
pub(super) fn produce(bench: &Bench<'_>, topic: &str, messages: u64) -> Result<f64> {
    let mut producer = optimising_java(JAVA)?;
    producer.args(["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--throughput", "-1"]);
    producer.args(["--num-records", &messages.to_string()]);
    producer.args(["--record-size", &bench.options.size.to_string(), "--producer-props"]);
    producer.arg(format!("bootstrap.servers=127.0.0.1:{}", bench.site.port));
    let said = bench.output("ProducerPerformance", &mut producer, bench.options.seconds)?;
    produced(&said).with_context(|| format!("ProducerPerformance says {said:?}"))
}

/// The last of such lines is of all records: `9 records sent, 8.0 records/sec (…`.
fn produced(said: &str) -> Option<f64> {
    let (before, _) = said.lines().rev().find_map(|line| line.split_once(" records/sec"))?;
    positive(before.rsplit(' ').next()?)
}

/// Has ConsumerPerformance read a topic from its beginning; records a second while it fetched.
pub(super) fn consume(bench: &Bench<'_>, topic: &str, messages: u64) -> Result<f64> {
    let mut consumer = optimising_java(JAVA)?;
    consumer.args(["org.apache.kafka.tools.ConsumerPerformance", "--topic", topic]);
    consumer.args(["--messages", &messages.to_string(), "--bootstrap-server"]);
    consumer.arg(format!("127.0.0.1:{}", bench.site.port));
    let said = bench.output("ConsumerPerformance", &mut consumer, bench.options.seconds)?;
    let (got, rate) = consumed(&said).with_context(|| format!("ConsumerPerformance says {said:?}"))?;
    ensure!(got >= messages, "ConsumerPerformance got {got} of {messages} records");
    Ok(rate)
}

/// How many, and at what rate: a line of headings and one of numbers, both with commas between.
fn consumed(said: &str) -> Option<(u64, f64)> {
    let mut lines = said.lines().skip_while(|line| !line.contains("fetch.nMsg.sec"));
    let names = lines.next()?;
    let numbers = lines.find(|line| line.matches(',').count() == names.matches(',').count())?;
    let cell = |name: &str| {
        let at = names.split(',').position(|cell| cell.trim() == name)?;
        numbers.split(',').nth(at).map(str::trim)
    };
    Some((cell("data.consumed.in.nMsg")?.parse().ok()?, positive(cell("fetch.nMsg.sec")?)?))
}

/// A rate is one by which can be divided.
fn positive(rate: &str) -> Option<f64> {
    rate.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_found_behind_a_command_with_commas() {
        let said = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\
                    \"p99_latency_ms\",\"max_latency_ms\"\n\
                    \"PUBLISH a,b x\",\"71684.59\",\"0.359\",\"0.096\",\"0.359\",\"0.455\",\"0.687\",\"1.327\"\n";
        assert_eq!(commands(said), Some(71684.59));
        assert_eq!(commands(&said.replace("71684.59", "inf")), None);
        assert_eq!(commands("Could not connect"), None);
    }

    #[test]
    fn the_last_line_of_a_producer_counts() {
        let said = "[main] INFO x - y\n5 records sent, 1.0 records/sec (0.10 MB/sec), 2.0 ms avg latency\n\
                    9 records sent, 8.5 records/sec (0.24 MB/sec), 2.0 ms avg latency, 9.00 ms max latency\n";
        assert_eq!(produced(said), Some(8.5));
        assert_eq!(produced("0 records sent, NaN records/sec"), None);
    }

    #[test]
    fn a_consumer_is_read_by_its_headings() {
        let said = "[main] INFO a, b\nstart.time, data.consumed.in.nMsg, nMsg.sec, fetch.nMsg.sec\n[x] INFO z\n\
                    2026-01-01 10:00:00:001, 500, 3.0, 77.5\n";
        assert_eq!(consumed(said), Some((500, 77.5)));
        assert_eq!(consumed("start.time, fetch.nMsg.sec\n"), None);
    }
}
