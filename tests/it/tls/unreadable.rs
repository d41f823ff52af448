//! Encrypted connections whose plaintext nobody can have.

use std::fs;
use std::process::Command;

use super::certificates::Encrypted;
use crate::mqtt::check::of_kind;

/// A program with a library in it and no symbols: it is told how much moved, and when.
#[test]
fn a_stripped_program_is_counted() {
    let broker = Encrypted::new();
    let program = broker.site.path().join("stripped");
    fs::copy(env!("CARGO_BIN_EXE_client_mqtt"), &program).expect("it can be copied");
    let stripped = Command::new("strip").arg(&program).status().expect("strip is there: cargo xtask setup");
    assert!(stripped.success());
    let tracer = broker.trace(&["--comm", "stripped"]);
    let mut command = Command::new(&program);
    command.args(["--port", &broker.site.broker.port.to_string(), "--id", "s", "--qos", "1", "--count", "5"]);
    command.args(["--ca", &broker.authority().display().to_string(), "publish", "--topic", "tls/s"]);
    let mut client = broker.site.start("s", "", &mut command);
    client.finish();
    let outcome = tracer.stop();
    assert_eq!((outcome.count("publishes"), outcome.count("tls.readable")), (0, 0));
    assert_eq!(outcome.count("tls.connections"), 1);
    let spans = of_kind(&outcome.spans, "encrypted ");
    let [span] = spans[..] else { panic!("one connection: {spans:#?}") };
    assert_eq!((span.name.as_str(), span.pid()), ("encrypted mqtt", Some(client.pid())));
    let number =
        |key: &str| span.attribute(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    assert_eq!(span.attribute("iotrail.tls.readable"), Some("false"));
    assert_eq!(number("server.port"), u64::from(broker.site.broker.port));
    // A handshake and five messages of some 50 bytes, each with its acknowledgement.
    assert!(number("iotrail.tls.write_calls") >= 6 && number("iotrail.tls.read_calls") >= 6, "{span:#?}");
    assert!(number("iotrail.tls.write_bytes") > 500 && number("iotrail.tls.read_bytes") > 500, "{span:#?}");
    assert!(span.end > span.start);
}
