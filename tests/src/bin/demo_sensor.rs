//! An ordinary sensor program, for the demo: asks a thermometer on a serial line and publishes what it says over MQTT.
//!
//! It knows nothing of iotrail. The MQTT connection has a thread of its own, as its library wants it.

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use rumqttc::{Client, MqttOptions, QoS};
use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    thread,
    time::{Duration, Instant},
};

/// Publishes a thermometer's readings over MQTT.
#[derive(Parser)]
struct Options {
    /// Serial line of the thermometer.
    #[arg(long)]
    device: String,
    /// Port of the MQTT broker on this machine.
    #[arg(long, default_value_t = 1883)]
    port: u16,
    /// Topic to publish on.
    #[arg(long, default_value = "sensors/t1")]
    topic: String,
    /// Milliseconds between two readings.
    #[arg(long, default_value_t = 200)]
    period: u64,
}

fn main() -> Result<()> {
    let Options { device, port, topic, period } = Options::parse();
    let mut thermometer = serialport::new(&device, 115_200)
        .timeout(Duration::from_secs(1))
        .open()
        .with_context(|| format!("cannot open {device}"))?;
    let mut answers = BufReader::new(thermometer.try_clone().context("cannot read from the line")?);

    let (client, mut connection) = Client::new(MqttOptions::new("sensor", "127.0.0.1", port), 16);
    thread::spawn(move || {
        for event in connection.iter() {
            if let Err(err) = event {
                eprintln!("broker: {err}; trying again");
                thread::sleep(Duration::from_millis(500));
            }
        }
    });

    let period = Duration::from_millis(period);
    let mut next = Instant::now();
    for seq in 1u64.. {
        thermometer.write_all(b"MEAS:TEMP?\n").context("cannot ask the thermometer")?;
        let mut answer = String::new();
        match answers.read_line(&mut answer) {
            Ok(0) => bail!("the line to the thermometer was hung up"),
            Ok(_) => match answer.trim().parse::<f64>() {
                Ok(celsius) => {
                    let body = format!("{{\"sensor\":\"t1\",\"celsius\":{celsius:.3},\"seq\":{seq}}}");
                    println!("{body}");
                    client.publish(&topic, QoS::AtLeastOnce, false, body).context("cannot publish")?;
                }
                Err(_) => eprintln!("the thermometer says {answer:?}"),
            },
            Err(err) if err.kind() == ErrorKind::TimedOut => eprintln!("the thermometer says nothing"),
            Err(err) => return Err(err).context("cannot read the thermometer"),
        }
        next += period;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
