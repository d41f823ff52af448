//! An ordinary actuator program, for the demo: opens a valve on a serial line the further the warmer it gets, as MQTT messages tell it.
//!
//! It knows nothing of iotrail. A message is acknowledged after the valve was commanded, so that none is lost if the program dies in between.

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    thread,
    time::Duration,
};

/// Temperature that is to be kept, in °C.
const SET_POINT: f64 = 21.0;
/// Percent of opening per °C above it.
const GAIN: f64 = 20.0;
/// Percent of opening at the set point.
const REST: f64 = 40.0;

/// Commands a valve as MQTT messages tell it.
#[derive(Parser)]
struct Options {
    /// Serial line of the valve.
    #[arg(long)]
    device: String,
    /// Port of the MQTT broker on this machine.
    #[arg(long, default_value_t = 1883)]
    port: u16,
    /// Topics to listen to.
    #[arg(long, default_value = "sensors/#")]
    topic: String,
}

fn main() -> Result<()> {
    let Options { device, port, topic } = Options::parse();
    let mut valve = serialport::new(&device, 9600)
        .timeout(Duration::from_secs(1))
        .open()
        .with_context(|| format!("cannot open {device}"))?;
    let mut answers = BufReader::new(valve.try_clone().context("cannot read from the line")?);

    let mut options = MqttOptions::new("actuator", "127.0.0.1", port);
    options.set_manual_acks(true);
    let (client, mut connection) = Client::new(options, 16);
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                client.subscribe(&topic, QoS::AtLeastOnce).context("cannot subscribe")?;
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                match celsius(&message.payload) {
                    Some(celsius) => {
                        let percent = (REST + GAIN * (celsius - SET_POINT)).clamp(0.0, 100.0);
                        let answer = command(&mut valve, &mut answers, &format!("VALVE {percent:.1}"))?;
                        println!("{celsius:.3} °C: {percent:.1} %: {answer}");
                    }
                    None => eprintln!("{}: no temperature in {:?}", message.topic, message.payload),
                }
                client.ack(&message).context("cannot acknowledge")?;
            }
            Ok(_) => {}
            Err(err) => {
                eprintln!("broker: {err}; trying again");
                thread::sleep(Duration::from_millis(500));
            }
        }
    }
    Ok(())
}

fn celsius(body: &[u8]) -> Option<f64> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get("celsius")?.as_f64()
}

/// Sends a command; the device's answer, or a word for its silence.
fn command(line: &mut impl Write, answers: &mut impl BufRead, command: &str) -> Result<String> {
    line.write_all(format!("{command}\n").as_bytes()).context("cannot command the valve")?;
    let mut answer = String::new();
    match answers.read_line(&mut answer) {
        Ok(0) => bail!("the line to the valve was hung up"),
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(err) if err.kind() == ErrorKind::TimedOut => Ok("no answer".to_owned()),
        Err(err) => Err(err).context("cannot read the valve's answer"),
    }
}
