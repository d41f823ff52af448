//! Finds whole trails, from device to device, among spans, and sums up what was seen.

use crate::{otlp::Span, stats::quantile};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Write as _},
};

/// Attribute that says what an edge rests on.
const EVIDENCE: &str = "iotrail.link.evidence";

/// The five spans of a whole trail, each the child of an earlier one in the same trace.
#[derive(Debug, Clone, Copy)]
pub struct Trail<'a> {
    /// The command that read the device; root of the trace.
    pub read: &'a Span,
    /// The publish of what was read.
    pub publish: &'a Span,
    /// The message's time in the broker.
    pub broker: &'a Span,
    /// The delivery and its handling.
    pub process: &'a Span,
    /// The command to the other device.
    pub command: &'a Span,
}

/// Whether a span is a device command.
pub fn is_command(span: &Span) -> bool {
    span.name.starts_with("peripheral.execute ")
}

/// Every whole trail, in the order of the commands at their ends.
pub fn trails(spans: &[Span]) -> Vec<Trail<'_>> {
    let by_id: HashMap<(&str, &str), &Span> =
        spans.iter().map(|span| ((span.trace.as_str(), span.id.as_str()), span)).collect();
    let parent = |span: &Span| by_id.get(&(span.trace.as_str(), span.parent.as_deref()?)).copied();
    let brokers: HashMap<(&str, &str), &Span> = spans
        .iter()
        .filter(|span| span.name.starts_with("broker "))
        .filter_map(|span| Some(((span.trace.as_str(), span.parent.as_deref()?), span)))
        .collect();
    spans
        .iter()
        .filter(|span| is_command(span))
        .filter_map(|command| {
            let process = parent(command).filter(|span| span.name.starts_with("process "))?;
            let publish = parent(process).filter(|span| span.name.starts_with("publish "))?;
            let read = parent(publish).filter(|span| is_command(span) && span.parent.is_none())?;
            let broker = brokers.get(&(publish.trace.as_str(), publish.id.as_str())).copied()?;
            Some(Trail { read, publish, broker, process, command })
        })
        .collect()
}

/// What was seen, for people.
#[derive(Debug)]
pub struct Summary {
    commands: usize,
    errors: BTreeMap<String, usize>,
    published: usize,
    delivered: usize,
    /// Whole trails.
    pub trails: usize,
    /// Durations in ns by hop, sorted, in the order of the way.
    hops: Vec<(&'static str, Vec<u64>)>,
    evidence: BTreeMap<String, usize>,
}

impl Summary {
    /// Sums up.
    pub fn new(spans: &[Span]) -> Self {
        let mut hops: Vec<(&'static str, Vec<u64>)> = [
            "device read",
            "read → publish",
            "broker residence",
            "publish → delivery",
            "delivery → command",
            "device command",
            "end to end",
        ]
        .map(|name| (name, Vec::new()))
        .into();
        let trails = trails(spans);
        for Trail { read, publish, broker, process, command } in &trails {
            let durations = [
                read.end.saturating_sub(read.start),
                publish.start.saturating_sub(read.end),
                broker.end.saturating_sub(broker.start),
                process.start.saturating_sub(publish.start),
                command.start.saturating_sub(process.start),
                command.end.saturating_sub(command.start),
                command.end.saturating_sub(read.start),
            ];
            for ((_, values), duration) in hops.iter_mut().zip(durations) {
                values.push(duration);
            }
        }
        for (_, values) in &mut hops {
            values.sort_unstable();
        }
        let mut errors = BTreeMap::new();
        let mut evidence = BTreeMap::new();
        for span in spans {
            if let Some(error) = &span.error {
                *errors.entry(error.clone()).or_default() += 1;
            }
            if let Some(what) = span.attribute(EVIDENCE) {
                *evidence.entry(what.to_owned()).or_default() += 1;
            }
        }
        let named = |prefix: &str| spans.iter().filter(|span| span.name.starts_with(prefix)).count();
        Self {
            commands: spans.iter().filter(|span| is_command(span)).count(),
            errors,
            published: named("publish "),
            delivered: named("process "),
            trails: trails.len(),
            hops,
            evidence,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, errors, published, delivered, trails, hops, evidence } = self;
        writeln!(f, "device commands  {commands}")?;
        writeln!(f, "errors           {}", counted(errors))?;
        writeln!(f, "messages         {published} published, {delivered} delivered")?;
        writeln!(f, "whole traces     {trails}, from device to device")?;
        writeln!(f, "evidence         {}", counted(evidence))?;
        if *trails > 0 {
            writeln!(f, "{:<20}{:>12}{:>12}{:>12}", "hop", "p50", "p95", "p99")?;
            for (name, values) in hops {
                write!(f, "{name:<20}")?;
                for q in [0.5, 0.95, 0.99] {
                    write!(f, "{:>12}", quantile(values, q).map_or_else(String::new, duration))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn counted(of: &BTreeMap<String, usize>) -> String {
    let mut text = String::new();
    for (name, count) in of {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _: fmt::Result = write!(text, "{comma}{name} ×{count}");
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

/// Nanoseconds in a unit that keeps the number short.
fn duration(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let ns = ns as f64;
    if ns < 1e6 { format!("{:.1} µs", ns / 1e3) } else { format!("{:.2} ms", ns / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, name: &str, start: u64, end: u64) -> Span {
        Span {
            trace: "t".to_owned(),
            id: id.to_owned(),
            parent: Some(parent.to_owned()).filter(|parent| !parent.is_empty()),
            name: name.to_owned(),
            start,
            end,
            ..Span::default()
        }
    }

    fn whole() -> Vec<Span> {
        vec![
            span("1", "", "peripheral.execute MEAS:TEMP?", 0, 2_000_000),
            span("2", "1", "publish sensors/t1", 2_100_000, 2_150_000),
            span("3", "2", "broker sensors/t1", 2_200_000, 2_300_000),
            span("4", "2", "process sensors/t1", 2_400_000, 8_000_000),
            span("5", "4", "peripheral.execute VALVE", 2_500_000, 6_500_000),
        ]
    }

    #[test]
    fn a_whole_trail_is_found_and_summed_up() {
        let mut spans = whole();
        spans[4].error = Some("busy".to_owned());
        spans[1].attributes.insert(EVIDENCE.to_owned(), "containment".to_owned());
        let text = Summary::new(&spans).to_string();
        for part in [
            "device commands  2\n",
            "errors           busy ×1\n",
            "messages         1 published, 1 delivered\n",
            "whole traces     1,",
            "evidence         containment ×1\n",
            "read → publish          100.0 µs",
            "end to end               6.50 ms",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }

    #[test]
    fn a_trail_that_lacks_a_link_is_not_whole() {
        for missing in 0..5 {
            let mut spans = whole();
            spans.remove(missing);
            assert_eq!(trails(&spans).len(), 0, "without span {missing}");
        }
        for (at, parent) in [(0, "9"), (1, "4"), (2, "1"), (3, "1"), (4, "2")] {
            let mut spans = whole();
            spans[at].parent = Some(parent.to_owned());
            assert_eq!(trails(&spans).len(), 0, "span {at} below {parent}");
        }
        let mut spans = whole();
        spans[3].trace = "other".to_owned();
        assert_eq!(trails(&spans).len(), 0, "in two traces");
    }

    #[test]
    fn nothing_seen_says_so() {
        let text = Summary::new(&[]).to_string();
        assert!(text.contains("whole traces     0") && text.contains("errors           none"), "{text}");
        assert!(!text.contains("p95"), "{text}");
    }
}
