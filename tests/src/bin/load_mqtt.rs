//! A load for an MQTT broker: one publisher, some subscribers, QoS 0, bodies that carry number and time.
//!
//! Prints one line of JSON: what was sent and received, the rate, and the latency from before the write to after the read.
//! The little of MQTT 3.1.1 that it takes is written here, so that a client library's own work is not measured.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Parser;
use std::{
    io::{BufReader, Read, Write as _},
    net::{Ipv4Addr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tracer_tests::load::{self, Bodies};

/// Topic of the load.
const TOPIC: &[u8] = b"load/messages";
/// How long a subscriber waits for more.
const PATIENCE: Duration = Duration::from_secs(3);

/// Loads an MQTT broker.
#[derive(Parser, Clone)]
struct Options {
    /// The broker's port on this machine.
    #[arg(long)]
    port: u16,
    /// Messages a second; 0 for as many as the broker takes.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// How long to publish.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Clients that receive every message.
    #[arg(long, default_value_t = 1)]
    subscribers: usize,
    /// Bytes of a body.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Messages on their way at most when there is no rate: the broker drops none for lack of room.
    #[arg(long, default_value_t = 500)]
    in_flight: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.size >= load::HEAD, "--size is at least {}", load::HEAD);
    let bodies = Bodies::new(options.size);
    let counters: Vec<Arc<AtomicU64>> = (0..options.subscribers).map(|_| Arc::default()).collect();
    let mut receivers = Vec::new();
    for (number, received) in counters.iter().enumerate() {
        let stream = connect(options.port, &format!("load-subscriber-{number}"))?;
        let mut reader = subscribe(stream)?;
        let received = Arc::clone(received);
        receivers.push(thread::spawn(move || receive(&mut reader, bodies, &received)));
    }
    let stream = connect(options.port, "load-publisher")?;
    let (sent, took) = publish(stream, &options, bodies, &counters)?;

    let mut latencies = Vec::new();
    for receiver in receivers {
        latencies.append(&mut receiver.join().map_err(|_panic| anyhow!("a subscriber stopped"))??);
    }
    println!("{}", load::outcome(sent, took, latencies));
    Ok(())
}

/// Connects with a clean session and without keep-alive.
fn connect(port: u16, id: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("no broker on port {port}"))?;
    stream.set_nodelay(true)?;
    let mut body = b"\x00\x04MQTT\x04\x02\x00\x00".to_vec();
    push_text(&mut body, id.as_bytes())?;
    stream.write_all(&packet(0x10, &body)?)?;
    let mut acknowledged = [0; 4];
    stream.read_exact(&mut acknowledged).context("the broker does not answer")?;
    ensure!(acknowledged == [0x20, 2, 0, 0], "the broker refuses: {acknowledged:?}");
    Ok(stream)
}

fn subscribe(mut stream: TcpStream) -> Result<BufReader<TcpStream>> {
    let mut body = b"\x00\x01".to_vec();
    push_text(&mut body, TOPIC)?;
    body.push(0);
    stream.write_all(&packet(0x82, &body)?)?;
    let mut acknowledged = [0; 5];
    stream.read_exact(&mut acknowledged).context("the broker does not answer")?;
    ensure!(acknowledged == [0x90, 3, 0, 1, 0], "the broker refuses the subscription: {acknowledged:?}");
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::with_capacity(1 << 16, stream))
}

/// Latencies in ns of all messages until the mark of the end, or until none has come for long.
fn receive(reader: &mut BufReader<TcpStream>, bodies: Bodies, received: &AtomicU64) -> Result<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut body = Vec::new();
    loop {
        match read_packet(reader, &mut body) {
            Ok(()) => {}
            Err(err) if err.is::<std::io::Error>() => return Ok(latencies),
            Err(err) => return Err(err),
        }
        // Behind the topic and its length; QoS 0 has no packet identifier.
        let Some(latency) = bodies.latency(body.get(2 + TOPIC.len()..).unwrap_or_default())? else {
            return Ok(latencies);
        };
        latencies.push(latency);
        received.fetch_add(1, Ordering::Relaxed);
    }
}

fn read_packet(reader: &mut impl Read, body: &mut Vec<u8>) -> Result<()> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    ensure!(byte[0] >> 4 == 3, "a packet that is no PUBLISH: {byte:?}");
    let mut length = 0usize;
    for shift in [0, 7, 14, 21] {
        reader.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            body.resize(length, 0);
            return Ok(reader.read_exact(body)?);
        }
    }
    bail!("a length of more than four bytes")
}

/// Publishes; how many, and how long that took.
fn publish(
    mut stream: TcpStream,
    options: &Options,
    bodies: Bodies,
    received: &[Arc<AtomicU64>],
) -> Result<(u64, Duration)> {
    let message = |body: &[u8]| {
        let mut packet_body = Vec::with_capacity(options.size + 32);
        push_text(&mut packet_body, TOPIC)?;
        packet_body.extend(body);
        packet(0x30, &packet_body)
    };
    let length = Duration::from_secs_f64(options.seconds);
    let began = Instant::now();
    let mut sent = 0u64;
    while began.elapsed() < length {
        // With a rate, the next message is due at its number's time; what is late is sent at once.
        if let Some(due) = sent.saturating_mul(1_000_000_000).checked_div(options.rate) {
            thread::sleep(Duration::from_nanos(due).saturating_sub(began.elapsed()));
        } else {
            let slowest = received.iter().map(|count| count.load(Ordering::Relaxed)).min().unwrap_or(sent);
            if sent.saturating_sub(slowest) >= options.in_flight {
                thread::sleep(Duration::from_micros(20));
                continue;
            }
        }
        stream.write_all(&message(&bodies.make(sent))?).context("the broker hung up")?;
        sent += 1;
    }
    let took = began.elapsed();
    stream.write_all(&message(&bodies.end())?)?;
    stream.write_all(&[0xe0, 0])?;
    Ok((sent, took))
}

fn packet(first: u8, body: &[u8]) -> Result<Vec<u8>> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128)?;
        length /= 128;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    Ok(packet)
}

fn push_text(to: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    to.extend(u16::try_from(text.len())?.to_be_bytes());
    to.extend(text);
    Ok(())
}
