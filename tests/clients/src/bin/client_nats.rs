//! NATS on the library async-nats: plain subjects, or JetStream in the way `jetstream`.
//!
//! The stream of a JetStream subject is named as its first word; a subscriber creates it, and pulls as a durable consumer
//! named by `--group`. Ids are sequence numbers in the stream.

use anyhow::{Context as _, Result};
use async_nats::{
    Client, ConnectOptions,
    jetstream::{self, consumer::pull},
};
use clap::Parser as _;
use futures_util::StreamExt as _;
use tracer_clients::{Options, Publish, Subscribe, What, log, ready};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Options { port, id, ca, way, what } = Options::parse();
    // Features of other clients leave rustls more than one to choose from.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ConnectOptions::new().name(&id);
    let options = match ca {
        None => options,
        Some(ca) => options.require_tls(true).add_root_certificates(ca),
    };
    let client = options.connect(format!("nats://localhost:{port}")).await.context("no connection")?;
    match (what, way.as_str()) {
        (What::Publish(what), "jetstream") => store(&client, &id, &what).await?,
        (What::Publish(what), _) => publish(&client, &id, &what).await?,
        (What::Subscribe(what), "jetstream") => pull(&client, &what).await?,
        (What::Subscribe(what), _) => subscribe(&client, &what).await?,
    }
    client.flush().await.context("the connection broke")
}

async fn publish(client: &Client, id: &str, what: &Publish) -> Result<()> {
    ready()?;
    let mut load = what.load(id);
    while let Some(body) = load.next().await? {
        log(&what.to, &body, "")?;
        client.publish(what.to.clone(), body.into()).await.context("cannot publish")?;
    }
    Ok(())
}

async fn subscribe(client: &Client, what: &Subscribe) -> Result<()> {
    let from = what.from.clone();
    let mut messages = if what.group.is_empty() {
        client.subscribe(from).await
    } else {
        client.queue_subscribe(from, what.group.clone()).await
    }?;
    client.flush().await?;
    ready()?;
    for _ in 0..what.count {
        let message = messages.next().await.context("the subscription ended")?;
        log(&message.subject, &message.payload, "")?;
    }
    messages.unsubscribe().await.context("cannot unsubscribe")
}

async fn store(client: &Client, id: &str, what: &Publish) -> Result<()> {
    let context = jetstream::new(client.clone());
    ready()?;
    let mut load = what.load(id);
    let mut sent: Vec<(bytes::Bytes, jetstream::context::PublishAckFuture)> = Vec::new();
    loop {
        let body = load.next().await?;
        // Several are on their way at a time, as many as the library's users have.
        if sent.len() >= 32 || body.is_none() {
            for (body, ack) in sent.drain(..) {
                log(&what.to, &body, &ack.await.context("not stored")?.sequence.to_string())?;
            }
        }
        let Some(body) = body else { return Ok(()) };
        let body = bytes::Bytes::from(body);
        let ack = context.publish(what.to.clone(), body.clone()).await.context("cannot publish")?;
        sent.push((body, ack));
    }
}

async fn pull(client: &Client, what: &Subscribe) -> Result<()> {
    let context = jetstream::new(client.clone());
    let name = what.from.split('.').next().unwrap_or_default();
    let config = jetstream::stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        ..jetstream::stream::Config::default()
    };
    let stream = context.get_or_create_stream(config).await.context("no stream")?;
    let config = pull::Config {
        durable_name: Some(what.group.clone()),
        filter_subject: what.from.clone(),
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer(&what.group, config).await.context("no consumer")?;
    let mut messages =
        consumer.stream().max_messages_per_batch(20).messages().await.context("no messages")?;
    ready()?;
    for _ in 0..what.count {
        let message = messages.next().await.context("the consumer ended")?.context("no message")?;
        let info = message.info().map_err(|err| anyhow::anyhow!("not of a stream: {err}"))?;
        log(&message.subject, &message.payload, &info.stream_sequence.to_string())?;
        message.ack().await.map_err(|err| anyhow::anyhow!("cannot acknowledge: {err}"))?;
    }
    Ok(())
}
