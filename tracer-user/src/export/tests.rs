//! Destinations as a whole, against small servers that behave and misbehave.

mod files;
mod network;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::config::{OtlpConfig, Protocol};
use super::mask::Masks;
use super::metrics::{StageNumbers, Telemetry};
use super::otlp::Host;
use super::payload::{DigestKey, PayloadPolicy};
use super::samples::{busy, message, process, span};
use super::{Backoff, Destination, Exporters, Settings, start};
use crate::model::span::{Owner, Span, SpanKind, Subject};

/// Time for what has to succeed: long, since nothing waits for it if all is well.
const AMPLE: Duration = Duration::from_secs(30);

fn settings(protocol: Protocol, endpoint: &str) -> Settings {
    Settings {
        host: Host { name: "bench".into(), id: "m".into() },
        payload: PayloadPolicy::Digest,
        key: DigestKey::new([7; 32]),
        masks: Masks::default(),
        otlp: OtlpConfig {
            protocol,
            endpoint: endpoint.into(),
            headers: vec![("X-Tenant".into(), "plant".into())],
            timeout: AMPLE,
            gzip: false,
            certificate: None,
            client_certificate: None,
            client_key: None,
            resource: Vec::new(),
        },
        backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(2), limit: AMPLE },
    }
}

fn open(destination: Destination, settings: &Settings) -> (Exporters, Telemetry) {
    let telemetry = Telemetry::default();
    (start(&Handle::current(), &[destination], settings, &telemetry).unwrap(), telemetry)
}

/// The numbers of the only destination, which have to add up.
fn numbers(telemetry: &Telemetry) -> StageNumbers {
    let numbers = telemetry.snapshot().remove(0);
    assert_eq!(numbers.came, numbers.passed + numbers.lost() + numbers.held, "{numbers:?}");
    numbers
}

/// `count` publishes of one process, each `errors`th of them failed.
fn publishes(owner: &Owner, count: usize, errors: usize) -> Vec<Arc<Span>> {
    let good = Arc::new(span(1, owner, "publish x", SpanKind::Producer, Subject::Publish(message("x"))));
    let mut bad = good.as_ref().clone();
    bad.status = busy();
    let bad = Arc::new(bad);
    (1..=count).map(|number| Arc::clone(if number % errors == 0 { &bad } else { &good })).collect()
}

fn sensor() -> Owner {
    process("sensor", 4711)
}

#[test]
fn destinations_are_read_and_written() {
    for text in ["otlp", "-", "tree", "file:/tmp/a b.jsonl"] {
        assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
    }
    for text in ["", "file:", "otel", "/tmp/x"] {
        let error = text.parse::<Destination>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("unknown destination `{text}`: use otlp")), "{error}");
    }
}
