//! Redis on the library redis: PUBLISH and SUBSCRIBE. What is due together is one pipeline.

use super::{DESTINATION, PATIENCE, Protocol, Publisher, Subscriber};
use anyhow::{Context as _, Result};
use redis::{Connection, PubSub};

/// Redis. The library's ordinary connections block, for which each end has its thread.
pub(super) struct Redis;

fn connection(port: u16) -> Result<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).context("no client")?;
    client.get_connection().context("no connection")
}

impl Protocol for Redis {
    type Publisher = Connection;
    type Subscriber = PubSub<'static>;

    async fn subscribe(port: u16) -> Result<PubSub<'static>> {
        // The library only lends a connection to a subscription; there is one, until the program ends.
        let connection: &'static mut Connection = Box::leak(Box::new(connection(port)?));
        let mut subscription = connection.as_pubsub();
        subscription.subscribe(DESTINATION)?;
        subscription.set_read_timeout(Some(PATIENCE))?;
        Ok(subscription)
    }

    async fn connect(port: u16) -> Result<Connection> {
        connection(port)
    }
}

impl Publisher for Connection {
    async fn publish(&mut self, bodies: Vec<Vec<u8>>) -> Result<()> {
        let mut pipeline = redis::pipe();
        for body in &bodies {
            pipeline.publish(DESTINATION, body).ignore();
        }
        let () = pipeline.query(self)?;
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        // Every pipeline has been answered.
        Ok(())
    }
}

impl Subscriber for PubSub<'static> {
    async fn receive(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.get_message() {
            Ok(message) => take(message.get_payload_bytes()),
            // Whoever waits for this looks at the time next.
            Err(err) if err.is_timeout() => std::future::pending().await,
            Err(err) => Err(err.into()),
        }
    }
}
