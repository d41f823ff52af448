//! MQTT 3.1.1 on rumqttc, QoS 0.

use super::{DESTINATION, Protocol, Publisher, Subscriber};
use anyhow::{Context as _, Result};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS};
use tokio::task::JoinHandle;

/// Requests that wait for the library's own task.
const WAITING: usize = 500;

/// MQTT.
pub(super) struct Mqtt;

/// A client, and the task that moves its bytes until it has said goodbye.
pub(super) struct Sender {
    client: AsyncClient,
    moves: JoinHandle<Result<()>>,
}

fn client(port: u16, id: &str) -> (AsyncClient, EventLoop) {
    let (client, mut events) = AsyncClient::new(MqttOptions::new(id, "127.0.0.1", port), WAITING);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

impl Protocol for Mqtt {
    type Publisher = Sender;
    type Subscriber = EventLoop;

    async fn subscribe(port: u16) -> Result<EventLoop> {
        let (client, mut events) = client(port, "load-subscriber");
        client.subscribe(DESTINATION, QoS::AtMostOnce).await?;
        while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
        Ok(events)
    }

    async fn connect(port: u16) -> Result<Sender> {
        let (client, mut events) = client(port, "load-publisher");
        while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        let moves = tokio::spawn(async move {
            while !matches!(events.poll().await?, Event::Outgoing(Outgoing::Disconnect)) {}
            Ok(())
        });
        Ok(Sender { client, moves })
    }
}

impl Publisher for Sender {
    async fn publish(&mut self, bodies: Vec<Vec<u8>>) -> Result<()> {
        for body in bodies {
            self.client.publish(DESTINATION, QoS::AtMostOnce, false, body).await?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<()> {
        self.client.disconnect().await?;
        self.moves.await.context("the library's task stopped")?
    }
}

impl Subscriber for EventLoop {
    async fn receive(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            if let Event::Incoming(Packet::Publish(message)) = self.poll().await? {
                return take(&message.payload);
            }
        }
    }
}
