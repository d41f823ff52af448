//! What the programs know to be true, beside what iotrail says: which links are right, which are wrong, which are missing.
//!
//! The truth rests on the numbers in the messages and on the order of the commands on each line, which each program knows by
//! itself. iotrail has neither: it sees the same bytes, but does not know what a number in a message means.

use crate::otlp::Span;
use std::collections::{BTreeMap, HashMap};

/// One program that reads devices and publishes: process id and lines, in the order of its topics `{topic}/{index}`.
#[derive(Debug, Clone)]
pub struct Sensor {
    /// Process id.
    pub pid: u32,
    /// Its topic.
    pub topic: String,
    /// Device nodes.
    pub devices: Vec<String>,
}

/// One program that commands a device as messages say.
#[derive(Debug, Clone)]
pub struct Actuator {
    /// Process id.
    pub pid: u32,
    /// Device node.
    pub device: String,
    /// Topic and number of the message that each command was for, in the order of the commands.
    pub handled: Vec<(String, u64)>,
}

/// Which two things a link joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// A device's answer and the message that carries it.
    ReadPublish,
    /// A publish and its delivery.
    PublishProcess,
    /// A delivery and the command that it led to.
    ProcessCommand,
}

/// A thing that truly has a cause, and what is said of it.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Which link.
    pub relation: Relation,
    /// What the link rests on; `None` if there is none.
    pub evidence: Option<String>,
    /// How sure it is said to be.
    pub confidence: f64,
    /// Whether it is the true one.
    pub right: bool,
}

/// Topic and number of a message.
pub fn message(span: &Span) -> Option<(String, u64)> {
    let body: serde_json::Value = serde_json::from_str(span.attribute("iotrail.payload.text")?).ok()?;
    let topic = span.attribute("messaging.destination.name")?;
    Some((topic.to_owned(), body.get("number")?.as_u64()?))
}

/// Commands and events of a process on a device, in order.
pub fn on_device<'a>(spans: &'a [Span], pid: u32, device: &str) -> Vec<&'a Span> {
    let is_device = |span: &&Span| {
        span.name.starts_with("peripheral.")
            && span.pid() == Some(pid)
            && span.attribute("iotrail.device.path") == Some(device)
            // Settings of the line are no readings.
            && !["TC", "TIOC"].iter().any(|prefix| span.name.starts_with(&format!("peripheral.execute {prefix}")))
    };
    let mut found: Vec<_> = spans.iter().filter(is_device).collect();
    found.sort_by_key(|span| span.start);
    found
}

/// Compares every link with the truth.
pub fn verdicts(spans: &[Span], sensors: &[Sensor], actuators: &[Actuator]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut judge = |relation, span: &Span, cause: Option<&&Span>| {
        let Some(cause) = cause else { return };
        verdicts.push(Verdict {
            relation,
            evidence: span.parent.as_ref().and(span.attribute("iotrail.link.evidence")).map(str::to_owned),
            confidence: span
                .attribute("iotrail.link.confidence")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0),
            right: span.parent.as_ref() == Some(&cause.id) && span.trace == cause.trace,
        });
    };
    let named = |prefix: &'static str| spans.iter().filter(move |span| span.name.starts_with(prefix));
    let mut causes: HashMap<(String, u64), &Span> = HashMap::new();
    for sensor in sensors {
        for (index, device) in sensor.devices.iter().enumerate() {
            for (number, read) in on_device(spans, sensor.pid, device).into_iter().enumerate() {
                causes.insert((format!("{}/{index}", sensor.topic), number as u64), read);
            }
        }
    }
    let mut published: HashMap<(String, u64), &Span> = HashMap::new();
    // What comes of no device's answer has no link from one.
    let is_heartbeat = |span: &&Span| span.name.starts_with("publish heartbeat/") && span.parent.is_some();
    for span in named("publish ").filter(is_heartbeat) {
        judge(Relation::ReadPublish, span, Some(&&Span::default()));
    }
    for span in named("publish ") {
        let Some(message) = message(span) else { continue };
        judge(Relation::ReadPublish, span, causes.get(&message));
        published.insert(message, span);
    }
    let mut delivered: HashMap<(u32, String, u64), &Span> = HashMap::new();
    for span in named("process ") {
        let (Some(message), Some(pid)) = (message(span), span.pid()) else { continue };
        judge(Relation::PublishProcess, span, published.get(&message));
        delivered.insert((pid, message.0, message.1), span);
    }
    for actuator in actuators {
        let commands = on_device(spans, actuator.pid, &actuator.device);
        for (command, (topic, number)) in commands.into_iter().zip(&actuator.handled) {
            let cause = delivered.get(&(actuator.pid, topic.clone(), *number));
            judge(Relation::ProcessCommand, command, cause);
        }
    }
    verdicts
}

/// How good links of one kind are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Right links.
    pub right: usize,
    /// Wrong links.
    pub wrong: usize,
}

impl Score {
    /// The part of the links that is right.
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub fn precision(self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }
}

/// Scores by relation, evidence and stated confidence in thousandths.
pub type Scores = BTreeMap<(Relation, String, u32), Score>;

/// By relation: the links that are right, and all that there should be.
pub type Found = BTreeMap<Relation, (usize, usize)>;

/// Scores of the links that were made, and how many of those that should have been were.
pub fn scores(verdicts: &[Verdict]) -> (Scores, Found) {
    let mut scores = Scores::new();
    let mut found = Found::new();
    for verdict in verdicts {
        let (right, all) = found.entry(verdict.relation).or_default();
        *all += 1;
        *right += usize::from(verdict.right);
        if let Some(evidence) = &verdict.evidence {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            let confidence = (verdict.confidence * 1000.0).round() as u32;
            let score = scores.entry((verdict.relation, evidence.clone(), confidence)).or_default();
            if verdict.right { score.right += 1 } else { score.wrong += 1 }
        }
    }
    (scores, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn span(id: &str, parent: Option<&str>, name: &str, start: u64, attributes: &[(&str, &str)]) -> Span {
        Span {
            trace: "t".to_owned(),
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            name: name.to_owned(),
            start,
            resource: Arc::new([("process.pid".to_owned(), "7".to_owned())].into()),
            attributes: attributes
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Span::default()
        }
    }

    #[test]
    fn right_wrong_and_missing_links_are_told_apart() {
        let read = |id, start| {
            let attributes = [("iotrail.device.path", "/dev/pts/1")];
            span(id, None, "peripheral.execute MEAS:TEMP?", start, &attributes)
        };
        let publish = |id, parent, number: &str| {
            let text = format!("{{\"number\":{number}}}");
            let attributes = [
                ("messaging.destination.name", "plant/0"),
                ("iotrail.payload.text", text.as_str()),
                ("iotrail.link.evidence", "thread"),
                ("iotrail.link.confidence", "0.9"),
            ];
            span(id, parent, "publish plant/0", 9, &attributes)
        };
        let spans = [
            read("b", 2),
            read("a", 1),
            read("c", 3),
            publish("0", Some("a"), "0"),
            publish("1", Some("a"), "1"),
            publish("2", None, "2"),
        ];
        let sensor = Sensor { pid: 7, topic: "plant".to_owned(), devices: vec!["/dev/pts/1".to_owned()] };
        let (scores, found) = scores(&verdicts(&spans, &[sensor], &[]));
        let score = scores[&(Relation::ReadPublish, "thread".to_owned(), 900)];
        assert_eq!((score.right, score.wrong), (1, 1));
        assert_eq!(found[&Relation::ReadPublish], (1, 3));
    }
}
