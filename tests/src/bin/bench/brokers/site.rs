//! The brokers that are measured, each on a free port of its own.

use anyhow::{Context as _, Result};
use std::{any::Any, fs, path::Path};
use tracer_tests::broker::{Kafka, Mosquitto, Nats, RabbitMq, Redis};

/// A broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Broker {
    /// MQTT.
    Mosquitto,
    /// AMQP 0-9-1.
    Rabbitmq,
    /// Apache Kafka.
    Kafka,
    /// NATS.
    Nats,
    /// Redis.
    Redis,
}

impl Broker {
    /// As the command line and the load call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mosquitto => "mosquitto",
            Self::Rabbitmq => "rabbitmq",
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }

    /// As people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Mosquitto => "Mosquitto",
            Self::Rabbitmq => "RabbitMQ",
            Self::Kafka => "Apache Kafka",
            Self::Nats => "NATS",
            Self::Redis => "Redis",
        }
    }

    /// As `iotrail run --broker` calls what it speaks.
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Self::Mosquitto => "mqtt",
            Self::Rabbitmq => "amqp",
            Self::Kafka | Self::Nats | Self::Redis => self.name(),
        }
    }
}

/// A running broker; dropping it ends it.
pub(crate) struct Site {
    /// Which one.
    pub(super) broker: Broker,
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
    _running: Box<dyn Any>,
}

impl Site {
    /// Starts one with its log and configuration in `folder` and what it stores in `data` there.
    pub(super) fn start(broker: Broker, folder: &Path) -> Result<Self> {
        let data = folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let (port, running): (u16, Box<dyn Any>) = match broker {
            Broker::Mosquitto => {
                let broker = Mosquitto::start(&data)?;
                (broker.port, Box::new(broker))
            }
            Broker::Rabbitmq => {
                let broker = RabbitMq::start(&data, None)?;
                (broker.port, Box::new(broker))
            }
            Broker::Kafka => {
                let broker = Kafka::start_optimising(&data)?;
                (broker.port, Box::new(broker))
            }
            Broker::Nats => {
                let broker = Nats::start(&data, None)?;
                (broker.port, Box::new(broker))
            }
            Broker::Redis => {
                let broker = Redis::start(&data, None)?;
                (broker.port, Box::new(broker))
            }
        };
        Ok(Self { broker, port, _running: running })
    }
}
