//! Java's own TLS, which cannot be hooked: Apache Kafka, with its own client and with one on OpenSSL.

use std::fs;
use std::process::Command;

use tracer_tests::broker::{jars, java};
use tracer_tests::otlp::Span;

use super::kafka::KAFKA;
use super::site::{Client, Site};
use crate::mqtt::check::of_kind;
use crate::support::Tracer;

/// Messages of each client.
const COUNT: usize = 5;
/// Where to.
const TOPIC: &str = "java";
/// A record of TLS that says that a connection ends is no longer: RFC 8446, sections 5.2 and 6.
const ALERT: u64 = 64;

/// A Kafka that speaks TLS. `None` where Maven could not be reached.
fn encrypted() -> Option<Site> {
    if jars().is_none() {
        // The rest of Kafka's tests say so too.
        eprintln!("Maven cannot be reached: Kafka over TLS is not tested");
        return None;
    }
    Some(Site::with_tls(&KAFKA))
}

fn trace(site: &Site) -> Tracer {
    Tracer::start(&["--hooks", "raw", "--broker", &site.selector(), "--payload", "full"])
}

/// Runs a client to its end, with these lines on its input.
fn run(site: &Site, name: &str, command: &mut Command, lines: &[String]) -> Client {
    let mut client = site.start(name, command);
    client.give(lines.join("\n").as_bytes());
    client.finish();
    client
}

fn address(site: &Site) -> String {
    format!("localhost:{}", site.port())
}

fn bodies() -> Vec<String> {
    (0..COUNT).map(|number| format!("java-{number}")).collect()
}

fn number(span: &Span, key: &str) -> u64 {
    span.attribute(key).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {key}: {span:#?}"))
}

/// Nobody can read it: what each end of each connection moved is told, and both ends say the same.
#[test]
fn at_both_ends_is_counted() {
    let Some(site) = encrypted() else { return };
    let config = site.path().join("client.properties");
    let authority = site.authority().display();
    fs::write(
        &config,
        format!("security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={authority}\n"),
    )
    .expect("the folder can be written");
    let tracer = trace(&site);
    let mut producer = java("128m").expect("there is Kafka");
    producer.args(["org.apache.kafka.tools.ConsoleProducer", "--topic", TOPIC, "--producer.config"]);
    producer.arg(&config).args(["--bootstrap-server", &address(&site)]);
    let client = run(&site, "producer", &mut producer, &bodies());
    let outcome = tracer.stop();
    let spans = of_kind(&outcome.spans, "encrypted ");
    let of =
        |pid: u32| -> Vec<&Span> { spans.iter().copied().filter(|span| span.pid() == Some(pid)).collect() };
    let ends = [of(client.pid()), of(site.broker.pid)];
    // One to learn who leads the topic, one to that.
    assert!(ends[0].len() >= 2 && ends[0].len() == ends[1].len(), "{spans:#?}");
    assert_eq!(spans.len(), 2 * ends[0].len(), "{spans:#?}");
    for span in &spans {
        assert_eq!(
            (span.name.as_str(), span.attribute("iotrail.tls.readable")),
            ("encrypted kafka", Some("false"))
        );
        assert_eq!(number(span, "server.port"), u64::from(site.port()));
        // A handshake takes more than one call each way.
        for key in ["iotrail.tls.read_calls", "iotrail.tls.write_calls"] {
            assert!(number(span, key) >= 2, "{span:#?}");
        }
        assert!(span.end > span.start, "{span:#?}");
    }
    let sum = |spans: &[&Span], key: &str| spans.iter().map(|span| number(span, key)).sum::<u64>();
    for (from, to) in [(0, 1), (1, 0)] {
        let wrote = sum(&ends[from], "iotrail.tls.write_bytes");
        let read = sum(&ends[to], "iotrail.tls.read_bytes");
        // Whoever ends a connection may say so to nobody.
        let unread = wrote.checked_sub(read).expect("nobody reads what was not written");
        assert!(unread <= ALERT * ends[0].len() as u64, "{wrote} bytes written, {read} read: {spans:#?}");
        assert!(wrote > 500, "{spans:#?}");
    }
    assert_eq!((outcome.count("publishes"), outcome.count("tls.readable")), (0, 0), "{}", outcome.log);
    assert_eq!(outcome.count("tls.connections"), spans.len() as u64);
}

/// The client's end is enough: each message is there once, and the broker's end is counted and makes no span.
#[test]
fn at_the_broker_is_read_at_the_client() {
    let Some(site) = encrypted() else { return };
    let tracer = trace(&site);
    let kcat = |way: &str| {
        let mut kcat = Command::new("kcat");
        kcat.args([way, "-b", &address(&site), "-t", TOPIC, "-X", "security.protocol=ssl"]);
        kcat.args(["-X", &format!("ssl.ca.location={}", site.authority().display())]);
        kcat
    };
    let producer = run(&site, "producer", kcat("-P").args(["-p", "0"]), &bodies());
    let mut consume = kcat("-C");
    consume.args(["-o", "beginning", "-c", &COUNT.to_string(), "-u"]);
    let consumer = run(&site, "consumer", &mut consume, &[]);
    assert_eq!(consumer.output().lines().collect::<Vec<_>>(), bodies());
    let outcome = tracer.stop();
    for (prefix, client) in [("publish ", &producer), ("process ", &consumer)] {
        let spans = of_kind(&outcome.spans, prefix);
        let mut seen: Vec<&str> =
            spans.iter().filter_map(|span| span.attribute("iotrail.payload.text")).collect();
        seen.sort_unstable();
        assert_eq!(seen, bodies(), "{prefix}: {:#?}", outcome.spans);
        assert!(spans.iter().all(|span| span.pid() == Some(client.pid())), "{spans:#?}");
    }
    assert!(of_kind(&outcome.spans, "encrypted ").is_empty(), "{:#?}", outcome.spans);
    // Of each connection one end.
    let (all, readable) = (outcome.count("tls.connections"), outcome.count("tls.readable"));
    assert!(readable >= 2 && all == 2 * readable, "{readable} of {all}: {}", outcome.log);
}
