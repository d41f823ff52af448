//! Kafka on rskafka: partition 0 of a topic; what is due while a batch is on its way is the next batch, up to a size.

use super::{DESTINATION, Protocol, Publisher, Subscriber};
use anyhow::{Context as _, Result};
use chrono::Utc;
use rskafka::{
    client::{
        ClientBuilder,
        error::{Error, ProtocolError},
        partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use std::collections::BTreeMap;

/// Bytes that a fetch may bring, and milliseconds that it may wait.
const FETCH: (std::ops::Range<i32>, i32) = (1..1 << 20, 500);
/// Milliseconds that the broker may take to create a topic.
const CREATE: i32 = 5000;

/// Bytes of the bodies of one request. The library's buffer has 8 KiB: a longer request leaves in two writes, of which the
/// kernel holds the second back until the first is acknowledged, for 40 ms.
const REQUEST: usize = 7 << 10;

/// Kafka.
pub(super) struct Kafka;

/// Who fetches from an offset on.
pub(super) struct Consumer {
    partition: PartitionClient,
    next: i64,
}

impl Protocol for Kafka {
    type Publisher = PartitionClient;
    type Subscriber = Consumer;

    async fn subscribe(port: u16) -> Result<Consumer> {
        let client = ClientBuilder::new(vec![format!("127.0.0.1:{port}")]).build().await?;
        match client.controller_client()?.create_topic(DESTINATION, 1, 1, CREATE).await {
            Ok(()) | Err(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {}
            Err(err) => return Err(err).context("cannot create the topic"),
        }
        let partition = Self::connect(port).await?;
        let next = partition.get_offset(OffsetAt::Latest).await.context("no offset")?;
        Ok(Consumer { partition, next })
    }

    async fn connect(port: u16) -> Result<PartitionClient> {
        let client = ClientBuilder::new(vec![format!("127.0.0.1:{port}")]).build().await?;
        client.partition_client(DESTINATION, 0, UnknownTopicHandling::Retry).await.context("no partition")
    }
}

impl Publisher for PartitionClient {
    async fn publish(&mut self, bodies: Vec<Vec<u8>>) -> Result<()> {
        let record = |body: &Vec<u8>| Record {
            key: None,
            value: Some(body.clone()),
            headers: BTreeMap::new(),
            timestamp: Utc::now(),
        };
        let longest = bodies.iter().map(Vec::len).max().unwrap_or(1);
        for some in bodies.chunks((REQUEST / longest).max(1)) {
            let records = some.iter().map(record).collect();
            self.produce(records, Compression::NoCompression).await.context("cannot produce")?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        // Every batch has been answered.
        Ok(())
    }
}

impl Subscriber for Consumer {
    async fn receive(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (records, _end) = self.partition.fetch_records(self.next, FETCH.0, FETCH.1).await?;
        for found in records {
            self.next = found.offset + 1;
            take(&found.record.value.unwrap_or_default())?;
        }
        Ok(())
    }
}
