//! An ordinary MQTT client on an ordinary library, for tests that know the truth: its output is a log of what it published or received.
//!
//! A line of the log is `topic size head`: the first word of the body names the message. `ready` comes before the first
//! when the subscription stands, or when the connection does.

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, Subcommand};
use rumqttc::{Client, Connection, Event, Incoming, MqttOptions, Outgoing, QoS, Transport};
use std::{
    fs,
    io::{Write as _, stdin, stdout},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};
use tracer_tests::message;

/// Larger than any message of the tests.
const LARGEST: usize = 4 << 20;

/// Publishes or receives messages and says which.
#[derive(Parser)]
struct Options {
    /// The broker's address.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The broker's port.
    #[arg(long)]
    port: u16,
    /// Certificate, in PEM, by which the broker is known: the connection is encrypted.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Client id, and first part of each message's name.
    #[arg(long)]
    id: String,
    /// 0, 1 or 2.
    #[arg(long, default_value_t = 0)]
    qos: u8,
    /// How many messages.
    #[arg(long)]
    count: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Publish messages `{id}-{number}`, then disconnect.
    Publish {
        /// Topic.
        #[arg(long)]
        topic: String,
        /// Bytes of a body; the name at least.
        #[arg(long, default_value_t = 20)]
        size: usize,
        /// Milliseconds between two messages.
        #[arg(long, default_value_t = 0)]
        period: u64,
        /// Wait for a line on standard input when connected, and after half of the messages.
        #[arg(long)]
        held: bool,
    },
    /// Receive messages, then disconnect.
    Subscribe {
        /// Topic filters.
        #[arg(long, required = true)]
        topic: Vec<String>,
    },
}

fn main() -> Result<()> {
    let Options { host, port, ca, id, qos, count, what } = Options::parse();
    let qos = match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        2 => QoS::ExactlyOnce,
        other => bail!("there is no QoS {other}"),
    };
    let mut options = MqttOptions::new(&id, host, port);
    options.set_max_packet_size(LARGEST, LARGEST);
    if let Some(ca) = ca {
        let provider = rustls::crypto::ring::default_provider().install_default();
        ensure!(provider.is_ok(), "there is a provider of cryptography already");
        let ca = fs::read(&ca).with_context(|| format!("cannot read {}", ca.display()))?;
        options.set_transport(Transport::tls(ca, None, None));
    }
    let (client, connection) = Client::new(options, 64);
    match what {
        What::Publish { topic, size, period, held } => {
            let period = Duration::from_millis(period);
            publish(client, connection, &Load { topic, id, qos, count, size, period, held })
        }
        What::Subscribe { topic } => subscribe(&client, connection, &topic, qos, count),
    }
}

/// What is to be published.
struct Load {
    topic: String,
    id: String,
    qos: QoS,
    count: u64,
    size: usize,
    period: Duration,
    held: bool,
}

fn publish(client: Client, mut connection: Connection, load: &Load) -> Result<()> {
    for event in connection.iter() {
        if let Event::Incoming(Incoming::ConnAck(_)) = event.context("no connection")? {
            say("ready")?;
            break;
        }
    }
    thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut next = Instant::now();
            for number in 0..load.count {
                if load.held && (number == 0 || number == load.count / 2) {
                    stdin().read_line(&mut String::new()).context("no standard input")?;
                }
                let body = message::body(&load.id, number, load.size);
                say(&format!("{} {} {}", load.topic, body.len(), message::head(&body)))?;
                client.publish(&load.topic, load.qos, false, body).context("cannot publish")?;
                if !load.period.is_zero() {
                    next += load.period;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            }
            anyhow::Ok(())
        });
        let mut left = load.count;
        for event in connection.iter() {
            let done = match event.context("the connection broke")? {
                Event::Outgoing(Outgoing::Publish(_)) => load.qos == QoS::AtMostOnce,
                Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_)) => true,
                Event::Outgoing(Outgoing::Disconnect) => break,
                _ => false,
            };
            left -= u64::from(done);
            if done && left == 0 {
                client.disconnect().context("cannot disconnect")?;
            }
        }
        publishing.join().map_err(|_panic| anyhow::anyhow!("publishing stopped"))?
    })
}

fn subscribe(
    client: &Client,
    mut connection: Connection,
    topics: &[String],
    qos: QoS,
    count: u64,
) -> Result<()> {
    let (mut left, mut acknowledged) = (count, topics.len());
    for event in connection.iter() {
        match event.context("the connection broke")? {
            Event::Incoming(Incoming::ConnAck(_)) => {
                for topic in topics {
                    client.subscribe(topic, qos).context("cannot subscribe")?;
                }
            }
            Event::Incoming(Incoming::SubAck(_)) => {
                acknowledged -= 1;
                if acknowledged == 0 {
                    say("ready")?;
                }
            }
            Event::Incoming(Incoming::Publish(message)) => {
                say(&format!(
                    "{} {} {}",
                    message.topic,
                    message.payload.len(),
                    message::head(&message.payload)
                ))?;
                // With QoS 2 the exchange goes on.
                left -= u64::from(qos != QoS::ExactlyOnce);
            }
            Event::Outgoing(Outgoing::PubComp(_)) => left -= 1,
            Event::Outgoing(Outgoing::Disconnect) => break,
            _ => {}
        }
        // What acknowledges the last message goes out before this.
        if left == 0 {
            left = u64::MAX;
            client.disconnect().context("cannot disconnect")?;
        }
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}").context("cannot write to standard output")?;
    out.flush().context("cannot write to standard output")
}
