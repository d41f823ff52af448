//! AMQP 0-9-1 on lapin: a queue of the default exchange, no confirms, every delivery acknowledged.

use super::{DESTINATION, Protocol, Publisher, Subscriber};
use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions,
        QueuePurgeOptions,
    },
    types::FieldTable,
};

/// Deliveries that the broker sends ahead.
const PREFETCH: u16 = 500;

/// AMQP.
pub(super) struct Amqp;

/// One end.
pub(super) struct End<T> {
    connection: Connection,
    channel: Channel,
    what: T,
}

impl Protocol for Amqp {
    type Publisher = End<()>;
    type Subscriber = End<Consumer>;

    async fn subscribe(port: u16) -> Result<End<Consumer>> {
        let End { connection, channel, what: () } = Self::connect(port).await?;
        channel
            .queue_declare(DESTINATION.into(), QueueDeclareOptions::default(), FieldTable::default())
            .await?;
        channel.queue_purge(DESTINATION.into(), QueuePurgeOptions::default()).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(DESTINATION.into(), "".into(), options, FieldTable::default()).await?;
        Ok(End { connection, channel, what: consumer })
    }

    async fn connect(port: u16) -> Result<End<()>> {
        let uri = format!("amqp://127.0.0.1:{port}/%2f");
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(End { connection, channel, what: () })
    }
}

impl Publisher for End<()> {
    async fn publish(&mut self, bodies: Vec<Vec<u8>>) -> Result<()> {
        for body in bodies {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let _confirm =
                self.channel.basic_publish("".into(), DESTINATION.into(), options, &body, properties).await?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        self.channel.close(200, "done".into()).await?;
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

impl Subscriber for End<Consumer> {
    async fn receive(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let delivery = self.what.next().await.context("the consumer was cancelled")??;
        take(&delivery.data)?;
        self.channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
        Ok(())
    }
}
