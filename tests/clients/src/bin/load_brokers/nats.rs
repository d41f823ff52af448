//! NATS on async-nats: a plain subject.

use super::{DESTINATION, Protocol, Publisher, Subscriber};
use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;

/// NATS.
pub(super) struct Nats;

impl Protocol for Nats {
    type Publisher = async_nats::Client;
    type Subscriber = async_nats::Subscriber;

    async fn subscribe(port: u16) -> Result<async_nats::Subscriber> {
        let client = Self::connect(port).await?;
        let subscriber = client.subscribe(DESTINATION).await?;
        client.flush().await?;
        Ok(subscriber)
    }

    async fn connect(port: u16) -> Result<async_nats::Client> {
        Ok(async_nats::connect(format!("nats://127.0.0.1:{port}")).await?)
    }
}

impl Publisher for async_nats::Client {
    async fn publish(&mut self, bodies: Vec<Vec<u8>>) -> Result<()> {
        for body in bodies {
            async_nats::Client::publish(self, DESTINATION, body.into()).await?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        self.flush().await.context("the connection broke")
    }
}

impl Subscriber for async_nats::Subscriber {
    async fn receive(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let message = self.next().await.context("the subscription ended")?;
        take(&message.payload)
    }
}
