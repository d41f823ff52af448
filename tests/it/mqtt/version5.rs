//! MQTT 5, and MQTT in WebSockets.

use std::process::Command;

use tracer_tests::broker::free_port;

use super::check::{Owner, Truth, of_kind};
use super::site::{Client, Site, trace};

/// A client on paho, once it is ready.
pub(super) fn paho(
    site: &Site,
    what: &str,
    transport: &str,
    port: u16,
    id: &str,
    topic: &str,
    more: &[&str],
) -> Client {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/client_paho5.py");
    let mut command = Command::new("/usr/bin/python3");
    command.args([program, what, transport, &port.to_string(), id, topic]).args(more);
    let mut client = site.start(id, topic, &mut command);
    client.wait_for_line("ready");
    client
}

#[test]
fn websockets_and_topic_aliases() {
    let port = free_port().expect("a port is free");
    let site = Site::with(&format!("listener {port} 127.0.0.1\nprotocol websockets\n"));
    let selector = format!("mqtt:{port}");
    let tracer = trace(&["--broker", &site.selector(), "--broker", &selector, "--payload", "full"]);
    let mut truth = Truth::whole(site.broker.process.pid());
    for qos in 0..3u8 {
        let (topic, level) = (format!("w/{qos}"), qos.to_string());
        let more = [level.as_str(), "20"];
        let mut near = paho(&site, "subscribe", "websockets", port, &format!("near{qos}"), &topic, &more);
        let mut far = site.subscriber_with(&format!("far{qos}"), &topic, qos, 20, &["-V", "mqttv5"]);
        let mut publisher = paho(&site, "publish", "websockets", port, &format!("pub{qos}"), &topic, &more);
        publisher.finish();
        near.finish();
        far.finish();
        truth = truth.sent(Owner::Process(publisher.pid()), &publisher.log());
        truth = truth.subscriber(&near, qos).subscriber(&far, qos);
        assert_eq!(publisher.log(), near.log());
    }
    let outcome = tracer.stop();
    truth.check(&outcome.spans);
    for name in ["proto.invalid", "proto.gave_up", "proto.undefined", "proto.skipped_bytes"] {
        assert_eq!(outcome.count(name), 0, "{name}");
    }
}

#[test]
fn user_properties_carry_the_trace() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let site = Site::new();
    let tracer = trace(&["--broker", &site.selector(), "--payload", "full"]);
    let port = site.broker.port;
    let mut subscriber = paho(&site, "subscribe", "tcp", port, "sub", "$share/workers/u", &["1", "10"]);
    let mut publisher = paho(&site, "publish", "tcp", port, "pub", "u", &["1", "10", TRACE]);
    publisher.finish();
    subscriber.finish();
    let spans = tracer.stop().spans;
    let publishes = of_kind(&spans, "publish ");
    let processes = of_kind(&spans, "process ");
    assert_eq!((publishes.len(), processes.len()), (10, 10));
    for (number, span) in publishes.iter().enumerate() {
        assert_eq!(span.name, "publish u");
        assert_eq!(span.trace, TRACE);
        assert_eq!(span.parent.as_deref(), Some(&*format!("{:016x}", number + 1)));
        assert_eq!(span.attribute("iotrail.correlation_id"), Some(&*format!("job-{number}")));
        assert_eq!(span.attribute("iotrail.mqtt.content_type"), Some("text/plain"));
    }
    for span in &processes {
        let parent = publishes.iter().find(|publish| Some(&publish.id) == span.parent.as_ref());
        assert_eq!(
            parent.expect("its publish").attribute("iotrail.correlation_id"),
            span.attribute("iotrail.correlation_id")
        );
        assert_eq!(span.trace, TRACE);
    }
}
