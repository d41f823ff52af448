//! AMQP 0-9-1 on the library lapin: publishes with or without confirms, acknowledges each delivery or many at once.
//!
//! `--to EXCHANGE:KEY`, `--from EXCHANGE:KEY:QUEUE`; an empty exchange is the default one, whose keys are names of queues. Ways:
//! `confirm` and `plain` to publish, `each`, `multiple` and `none` to acknowledge, `reject=DLX` to reject each, from a queue whose dead
//! letters go to that exchange; `expire=DLX` makes such a queue in which messages expire, and waits for its input to end. Ids are delivery tags.

use anyhow::{Context as _, Result};
use clap::Parser as _;
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, BasicRejectOptions,
        ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    tcp::OwnedTLSConfig,
    types::{AMQPValue, FieldTable},
};
use tracer_clients::{Options, Publish, Subscribe, What, log, ready};

/// Deliveries that the broker sends ahead.
const PREFETCH: u16 = 20;
/// Deliveries that one acknowledgement settles in the way `multiple`.
const AT_ONCE: u64 = 5;

/// How long messages live in the way `expire`.
const TTL_MS: i32 = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Options { port, id, ca, way, what } = Options::parse();
    let properties = ConnectionProperties::default().with_connection_name(id.as_str().into());
    // Features of other clients leave rustls more than one to choose from.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connection = match ca {
        None => Connection::connect(&format!("amqp://127.0.0.1:{port}/%2f"), properties).await,
        Some(ca) => {
            let cert_chain = Some(std::fs::read_to_string(ca).context("no certificate")?);
            let config = OwnedTLSConfig { identity: None, cert_chain };
            let runtime = lapin::runtime::default_runtime()?;
            let uri = format!("amqps://localhost:{port}/%2f");
            Connection::connect_with_config(&uri, properties, config, runtime).await
        }
    };
    let connection = connection.context("no connection")?;
    let channel = connection.create_channel().await?;
    match what {
        What::Publish(what) => publish(&channel, &id, &way, &what).await?,
        What::Subscribe(what) => subscribe(&channel, &way, &what).await?,
    }
    channel.close(200, "done".into()).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn publish(channel: &Channel, id: &str, way: &str, what: &Publish) -> Result<()> {
    let (exchange, key) = what.to.split_once(':').context("not EXCHANGE:KEY")?;
    if way != "plain" {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
    }
    ready()?;
    let (mut load, mut number) = (what.load(id), 0);
    while let Some(body) = load.next().await? {
        number += 1;
        log(&what.to, &body, &number.to_string())?;
        let properties =
            BasicProperties::default().with_message_id(tracer_tests::message::head(&body).into());
        let options = BasicPublishOptions::default();
        // The confirmation is awaited for all of them together, below.
        let _confirm = channel.basic_publish(exchange.into(), key.into(), options, &body, properties).await?;
    }
    if way != "plain" {
        let returned = channel.wait_for_confirms().await?;
        anyhow::ensure!(returned.is_empty(), "{} messages came back", returned.len());
    }
    Ok(())
}

async fn subscribe(channel: &Channel, way: &str, what: &Subscribe) -> Result<()> {
    let mut parts = what.from.split(':');
    let mut part = || parts.next().context("not EXCHANGE:KEY:QUEUE");
    let (exchange, key, queue) = (part()?, part()?, part()?);
    let (way, dead_letters) = way.split_once('=').unwrap_or((way, ""));
    let mut arguments = FieldTable::default();
    if !dead_letters.is_empty() {
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(dead_letters.into()));
    }
    if way == "expire" {
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(TTL_MS));
    }
    channel.queue_declare(queue.into(), QueueDeclareOptions::default(), arguments).await?;
    if !exchange.is_empty() {
        let options = ExchangeDeclareOptions::default();
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, options, FieldTable::default())
            .await?;
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await?;
    }
    if way == "expire" {
        ready()?;
        // An end that cannot be read is one too.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut Vec::new()).await;
        return Ok(());
    }
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let no_ack = way == "none";
    let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
    let mut consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    ready()?;
    let mut seen = 0;
    while seen < what.count {
        let delivery = consumer.next().await.context("the consumer was cancelled")??;
        seen += 1;
        let to = format!("{}:{}:{queue}", delivery.exchange, delivery.routing_key);
        log(&to, &delivery.data, &delivery.delivery_tag.to_string())?;
        if way == "reject" {
            let options = BasicRejectOptions { requeue: false };
            channel.basic_reject(delivery.delivery_tag, options).await?;
            continue;
        }
        let multiple = way == "multiple";
        if !no_ack && (!multiple || seen % AT_ONCE == 0 || seen == what.count) {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple }).await?;
        }
    }
    Ok(())
}
