//! Kafka on the library rskafka, which speaks the protocol itself and knows no groups.
//!
//! Partition 0 of a topic, which a subscriber creates. Ways: `gzip`, `lz4`, `snappy`, `zstd` (ten records a batch), else a record at a
//! time as it is. Ids are offsets.

use anyhow::{Context as _, Result};
use chrono::Utc;
use clap::Parser as _;
use rskafka::{
    client::{
        Client, ClientBuilder,
        error::{Error, ProtocolError},
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use std::collections::BTreeMap;
use tracer_clients::{Options, Publish, Subscribe, What, log, ready};

/// Records of a compressed batch.
const BATCH: usize = 10;
/// Bytes that a fetch may bring, and milliseconds that it may wait.
const FETCH: (std::ops::Range<i32>, i32) = (1..8 << 20, 500);
/// Milliseconds that the broker may take to create a topic.
const CREATE: i32 = 5000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Options { port, id, ca, way, what } = Options::parse();
    anyhow::ensure!(ca.is_none(), "this client has no TLS");
    let client = ClientBuilder::new(vec![format!("127.0.0.1:{port}")]).client_id(id.as_str());
    let client = client.build().await.context("no connection")?;
    match what {
        What::Publish(what) => publish(&client, &id, &way, &what).await,
        What::Subscribe(what) => subscribe(&client, &what).await,
    }
}

async fn partition(client: &Client, topic: &str) -> Result<PartitionClient> {
    client.partition_client(topic, 0, UnknownTopicHandling::Retry).await.context("no partition")
}

async fn publish(client: &Client, id: &str, way: &str, what: &Publish) -> Result<()> {
    let compression = match way {
        "gzip" => Compression::Gzip,
        "lz4" => Compression::Lz4,
        "snappy" => Compression::Snappy,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    };
    let at_once = if matches!(compression, Compression::NoCompression) { 1 } else { BATCH };
    let partition = partition(client, &what.to).await?;
    ready()?;
    let mut load = what.load(id);
    loop {
        let mut bodies = Vec::new();
        while bodies.len() < at_once
            && let Some(body) = load.next().await?
        {
            bodies.push(body);
        }
        if bodies.is_empty() {
            return Ok(());
        }
        let record = |body: &Vec<u8>| Record {
            key: None,
            value: Some(body.clone()),
            headers: BTreeMap::new(),
            timestamp: Utc::now(),
        };
        let records = bodies.iter().map(record).collect();
        let offsets = partition.produce(records, compression).await.context("cannot produce")?;
        for (body, offset) in bodies.iter().zip(offsets) {
            log(&what.to, body, &offset.to_string())?;
        }
    }
}

async fn subscribe(client: &Client, what: &Subscribe) -> Result<()> {
    let created = client.controller_client()?.create_topic(what.from.as_str(), 1, 1, CREATE).await;
    match created {
        Ok(()) | Err(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {}
        Err(err) => return Err(err).context("cannot create the topic"),
    }
    let partition = partition(client, &what.from).await?;
    ready()?;
    let (mut seen, mut next) = (0, 0);
    while seen < what.count {
        let (records, _end) =
            partition.fetch_records(next, FETCH.0, FETCH.1).await.context("cannot fetch")?;
        for found in records {
            next = found.offset + 1;
            seen += 1;
            log(&what.from, &found.record.value.unwrap_or_default(), &found.offset.to_string())?;
        }
    }
    Ok(())
}
