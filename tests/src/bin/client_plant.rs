//! Sensors and actuators in many ways of writing them, for tests and for measuring how often links are right.
//!
//! They know nothing of iotrail. The number in each message and the order of the commands on each line are the truth that links
//! are compared with; neither is said to the devices, so nobody who watches can use it.

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Parser, Subcommand};
use rumqttc::{Client, Connection, Event, MqttOptions, Outgoing, Packet, Publish, QoS};
use serialport::SerialPort;
use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _, stdin, stdout},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long an instrument may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// Plays a part of a plant.
#[derive(Parser)]
struct Options {
    /// Port of the MQTT broker on this machine.
    #[arg(long)]
    port: u16,
    /// Client id.
    #[arg(long)]
    id: String,
    /// 0, 1 or 2.
    #[arg(long, default_value_t = 1)]
    qos: u8,
    /// Messages to send or to handle, then it ends.
    #[arg(long)]
    count: u64,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Asks instruments in turn and publishes what they say: `{topic}/{index of the device}`.
    Sensor {
        /// Serial lines.
        #[arg(long, required = true)]
        device: Vec<String>,
        /// Topic.
        #[arg(long, default_value = "plant")]
        topic: String,
        /// Milliseconds between two readings.
        #[arg(long, default_value_t = 20)]
        period: u64,
        /// The MQTT connection is driven by the thread that reads.
        #[arg(long)]
        same_thread: bool,
        /// A thread for each device.
        #[arg(long, conflicts_with = "same_thread")]
        threads: bool,
        /// Readings that are taken before they are published one by one.
        #[arg(long, default_value_t = 1)]
        burst: u64,
        /// Nothing is asked: the instrument speaks by itself.
        #[arg(long)]
        listen: bool,
        /// After each reading's message, publish one that has nothing to do with it.
        #[arg(long)]
        heartbeat: bool,
        /// Before each publish, wait for a line on standard input.
        #[arg(long)]
        held: bool,
    },
    /// Commands an instrument as messages say.
    Actuator {
        /// Serial line.
        #[arg(long)]
        device: String,
        /// Topic filter.
        #[arg(long, default_value = "plant/#")]
        topic: String,
        /// Another thread commands the instrument.
        #[arg(long)]
        worker: bool,
        /// Acknowledged after the command rather than at once.
        #[arg(long)]
        ack_late: bool,
        /// The command says nothing of the message.
        #[arg(long)]
        mute: bool,
    },
}

fn main() -> Result<()> {
    let Options { port, id, qos, count, part } = Options::parse();
    let qos = match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    let mut options = MqttOptions::new(&id, "127.0.0.1", port);
    match part {
        Part::Sensor { device, topic, period, same_thread, threads, burst, listen, heartbeat, held } => {
            let (client, connection) = Client::new(options, 64);
            let lines = device.iter().map(|path| Line::open(path)).collect::<Result<Vec<_>>>()?;
            let sensor = Sensor {
                topic,
                period: Duration::from_millis(period),
                burst,
                listen,
                heartbeat,
                held,
                qos,
                count,
            };
            sensor.run(lines, client, connection, same_thread, threads)
        }
        Part::Actuator { device, topic, worker, ack_late, mute } => {
            options.set_manual_acks(ack_late);
            let (client, connection) = Client::new(options, 64);
            let line = Line::open(&device)?;
            actuate(line, &client, connection, &topic, qos, count, (worker, ack_late, mute))
        }
    }
}

/// A serial line.
struct Line {
    port: Box<dyn SerialPort>,
    answers: BufReader<Box<dyn SerialPort>>,
}

impl Line {
    fn open(path: &str) -> Result<Self> {
        let port = serialport::new(path, 115_200).timeout(PATIENCE).open();
        let port = port.with_context(|| format!("cannot open {path}"))?;
        let answers = BufReader::new(port.try_clone().context("cannot read from the line")?);
        Ok(Self { port, answers })
    }

    fn tell(&mut self, request: &str) -> Result<()> {
        self.port.write_all(format!("{request}\n").as_bytes()).context("cannot write to the line")
    }

    /// The next line; `None` if there is none in time.
    fn hear(&mut self) -> Result<Option<String>> {
        let mut answer = String::new();
        match self.answers.read_line(&mut answer) {
            Ok(0) => bail!("the line was hung up"),
            Ok(_) => Ok(Some(answer.trim().to_owned())),
            Err(err) if err.kind() == ErrorKind::TimedOut => Ok(None),
            Err(err) => Err(err).context("cannot read the line"),
        }
    }
}

/// What a sensor does.
#[derive(Clone)]
struct Sensor {
    topic: String,
    period: Duration,
    burst: u64,
    listen: bool,
    heartbeat: bool,
    held: bool,
    qos: QoS,
    count: u64,
}

impl Sensor {
    fn run(
        self,
        mut lines: Vec<Line>,
        client: Client,
        mut connection: Connection,
        same_thread: bool,
        threads: bool,
    ) -> Result<()> {
        wait_for(&mut connection, |event| matches!(event, Event::Incoming(Packet::ConnAck(_))))?;
        say("ready")?;
        if same_thread {
            let qos = self.qos;
            let publish = |topic: String, body: String| {
                client.publish(topic, qos, false, body).context("cannot publish")?;
                wait_for(&mut connection, |event| is_published(qos, event))
            };
            self.read(&mut lines, 0, publish)?;
            client.disconnect().context("cannot disconnect")?;
            return wait_for(&mut connection, |event| matches!(event, Event::Outgoing(Outgoing::Disconnect)));
        }
        let times = if threads { lines.len() as u64 } else { 1 } * if self.heartbeat { 2 } else { 1 };
        let (count, qos) = (self.count * times, self.qos);
        thread::scope(|scope| {
            let publish = |topic: String, body: String| {
                client.publish(topic, qos, false, body).context("cannot publish")
            };
            let reading: Vec<_> = if threads {
                let lines = lines.into_iter().enumerate();
                let start = |(index, line): (usize, Line)| {
                    let sensor = self.clone();
                    scope.spawn(move || sensor.read(&mut [line], index, publish))
                };
                lines.map(start).collect()
            } else {
                vec![scope.spawn(move || self.read(&mut lines, 0, publish))]
            };
            for _ in 0..count {
                wait_for(&mut connection, |event| is_published(qos, event))?;
            }
            client.disconnect().context("cannot disconnect")?;
            wait_for(&mut connection, |event| matches!(event, Event::Outgoing(Outgoing::Disconnect)))?;
            reading
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_panic| anyhow!("it stopped"))?)
        })
    }

    /// Reads `count` values in turn from the lines and publishes them with their numbers.
    fn read(
        &self,
        lines: &mut [Line],
        first: usize,
        mut publish: impl FnMut(String, String) -> Result<()>,
    ) -> Result<()> {
        let mut next = Instant::now();
        let mut numbers = vec![0u64; lines.len()];
        let mut left = self.count;
        while left > 0 {
            let mut taken = Vec::new();
            while (taken.len() as u64) < self.burst.min(left) {
                // Which line is next: all readings are counted, but only those that came are published.
                let index = usize::try_from(numbers.iter().sum::<u64>())? % lines.len();
                let line = &mut lines[index];
                if !self.listen {
                    line.tell("MEAS:TEMP?")?;
                }
                let number = numbers[index];
                numbers[index] += 1;
                match line.hear()? {
                    Some(value) => taken.push((index, number, value)),
                    None => say(&format!("silent {} {number}", first + index))?,
                }
                next += self.period;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            left -= taken.len() as u64;
            for (index, number, value) in taken {
                if self.held {
                    say("holding")?;
                    stdin().read_line(&mut String::new()).context("no standard input")?;
                }
                let index = first + index;
                let body = format!("{{\"celsius\":{value},\"number\":{number}}}");
                say(&format!("{}/{index} {} {number}", self.topic, body.len()))?;
                publish(format!("{}/{index}", self.topic), body)?;
                if self.heartbeat {
                    publish(
                        format!("heartbeat/{}", self.topic),
                        format!("{{\"uptime\":{}}}", 1000 + number),
                    )?;
                }
            }
        }
        Ok(())
    }
}

fn actuate(
    mut line: Line,
    client: &Client,
    mut connection: Connection,
    topic: &str,
    qos: QoS,
    count: u64,
    (worker, ack_late, mute): (bool, bool, bool),
) -> Result<()> {
    let (sender, receiver) = mpsc::channel::<Publish>();
    let acknowledge = |message: &Publish| match ack_late {
        true => client.ack(message).context("cannot acknowledge"),
        false => Ok(()),
    };
    let mut handle = move |message: &Publish| {
        let body: serde_json::Value = serde_json::from_slice(&message.payload).context("no JSON")?;
        let command = if mute { "OPEN".to_owned() } else { format!("SET {}", body["celsius"]) };
        line.tell(&command)?;
        let answer = line.hear()?.unwrap_or_else(|| "silence".to_owned());
        say(&format!("{} {} {} {answer}", message.topic, message.payload.len(), body["number"]))?;
        acknowledge(message)
    };
    thread::scope(|scope| {
        // With a worker the handler moves there; without, it stays here.
        let mut here = None;
        let working = if worker {
            Some(scope.spawn(move || receiver.iter().try_for_each(|message| handle(&message))))
        } else {
            here = Some(handle);
            None
        };
        let mut sender = Some(sender);
        let mut left = count;
        for event in connection.iter() {
            match event.context("the connection broke")? {
                Event::Incoming(Packet::ConnAck(_)) => {
                    client.subscribe(topic, qos).context("cannot subscribe")?
                }
                Event::Incoming(Packet::SubAck(_)) => say("ready")?,
                Event::Incoming(Packet::Publish(message)) => {
                    left -= 1;
                    match (&mut here, &sender) {
                        (Some(handle), _) => handle(&message)?,
                        (None, Some(sender)) => sender.send(message).context("the worker stopped")?,
                        (None, None) => {}
                    }
                    if left == 0 {
                        drop(sender.take());
                        if !worker {
                            client.disconnect().context("cannot disconnect")?;
                        }
                        break;
                    }
                }
                _ => {}
            }
        }
        if let Some(working) = working {
            working.join().map_err(|_panic| anyhow!("the worker stopped"))??;
            client.disconnect().context("cannot disconnect")?;
        }
        wait_for(&mut connection, |event| matches!(event, Event::Outgoing(Outgoing::Disconnect)))
    })
}

fn is_published(qos: QoS, event: &Event) -> bool {
    match event {
        Event::Outgoing(Outgoing::Publish(_)) => qos == QoS::AtMostOnce,
        Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => true,
        _ => false,
    }
}

fn wait_for(connection: &mut Connection, wanted: impl Fn(&Event) -> bool) -> Result<()> {
    for event in connection.iter() {
        if wanted(&event.context("the connection broke")?) {
            return Ok(());
        }
    }
    bail!("the connection ended")
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}").context("cannot write to standard output")?;
    out.flush().context("cannot write to standard output")
}
