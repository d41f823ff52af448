//! Loads of brokers on ordinary client libraries: one publisher and one subscriber, paced or as fast as the broker delivers.
//!
//! Prints one line of JSON: what was sent and received, the rate, and the latency from before the library's publish to after
//! its delivery. Each end has a thread and a connection of its own. What a protocol's own is, is in its file.

mod amqp;
mod kafka;
mod mqtt;
mod nats;
mod redis;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::{Parser, ValueEnum};
use std::{
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, sync::Semaphore, time::timeout};
use tracer_tests::load::{self, Bodies};

/// Topic, subject, queue or channel of the load.
const DESTINATION: &str = "load.messages";
/// How long a subscriber waits for more.
const PATIENCE: Duration = Duration::from_secs(3);
/// Messages that a publisher hands to the library at a time, if so many are due.
const AT_ONCE: usize = 64;
/// The pace is kept by waking up at most so often: what is due by then is sent at once.
const SHORTEST: Duration = Duration::from_micros(50);

/// Loads a broker: one publisher, one subscriber.
#[derive(Parser)]
struct Options {
    /// Which broker.
    broker: Broker,
    /// The broker's port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Messages a second; 0 for as many as the broker delivers.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// How long to publish.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Messages on their way at most when there is no rate: the broker drops none for lack of room.
    #[arg(long, default_value_t = 500)]
    in_flight: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Broker {
    Rabbitmq,
    Kafka,
    Mosquitto,
    Nats,
    Redis,
}

/// A broker's protocol, as its library speaks it.
trait Protocol {
    type Publisher: Publisher;
    type Subscriber: Subscriber;

    /// Connects and subscribes: what is published from now on arrives.
    async fn subscribe(port: u16) -> Result<Self::Subscriber>;

    /// Connects, when the subscription stands.
    async fn connect(port: u16) -> Result<Self::Publisher>;
}

trait Publisher {
    /// Hands messages to the library, in this order.
    async fn publish(&mut self, bodies: Vec<Vec<u8>>) -> Result<()>;

    /// Waits until all of them are on their way.
    async fn finish(self) -> Result<()>;
}

trait Subscriber {
    /// Waits for a message, or some that came together, and gives each to `take`.
    async fn receive(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()>;
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.size >= load::HEAD, "--size is at least {}", load::HEAD);
    ensure!(options.seconds > 0.0, "--seconds is more than nothing");
    ensure!(options.in_flight > 0, "--in-flight is at least 1");
    // Features of several clients leave rustls more than one to choose from.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match options.broker {
        Broker::Rabbitmq => run::<amqp::Amqp>(&options),
        Broker::Kafka => run::<kafka::Kafka>(&options),
        Broker::Mosquitto => run::<mqtt::Mqtt>(&options),
        Broker::Nats => run::<nats::Nats>(&options),
        Broker::Redis => run::<redis::Redis>(&options),
    }
}

/// One run; prints its outcome.
fn run<P: Protocol>(options: &Options) -> Result<()> {
    let Options { port, rate, seconds, size, in_flight, .. } = *options;
    let bodies = Bodies::new(size);
    // What may be sent now: what is due, or what has room because as much has arrived.
    let due = Arc::new(Semaphore::new(if rate == 0 { in_flight } else { 0 }));
    let arrived = (rate == 0).then(|| Arc::clone(&due));
    let (ready, stands) = mpsc::sync_channel(1);
    let receiver = thread::spawn(move || alone(receive::<P>(port, bodies, arrived.as_deref(), &ready)));
    if stands.recv_timeout(PATIENCE * 5).is_err() {
        // A subscriber that failed says why, one that hangs does not.
        ensure!(receiver.is_finished(), "no subscription after {} s", (PATIENCE * 5).as_secs());
        receiver.join().map_err(|_panic| anyhow!("the subscriber stopped"))??;
        return Err(anyhow!("the subscriber ended early"));
    }
    let length = Duration::from_secs_f64(seconds);
    let (sent, took) = alone(publish::<P>(port, bodies, &due, rate, length))?;
    let latencies = receiver.join().map_err(|_panic| anyhow!("the subscriber stopped"))??;
    println!("{}", load::outcome(sent, took, latencies));
    Ok(())
}

/// Runs one end on the thread that calls, so that the other one's work never waits for it.
fn alone<T>(end: impl Future<Output = Result<T>>) -> Result<T> {
    runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?.block_on(end)
}

/// Latencies in ns of all messages until the end's, or until none has come for long.
async fn receive<P: Protocol>(
    port: u16,
    bodies: Bodies,
    arrived: Option<&Semaphore>,
    ready: &SyncSender<()>,
) -> Result<Vec<u64>> {
    let mut subscriber = P::subscribe(port).await.context("cannot subscribe")?;
    ready.send(()).context("nobody waits for the subscription")?;
    let (mut latencies, mut ended) = (Vec::new(), false);
    while !ended {
        let before = latencies.len();
        let mut take = |body: &[u8]| {
            match bodies.latency(body)? {
                Some(latency) => latencies.push(latency),
                None => ended = true,
            }
            Ok(())
        };
        match timeout(PATIENCE, subscriber.receive(&mut take)).await {
            Ok(received) => received.context("cannot receive")?,
            Err(_nothing) => ended = true,
        }
        if let Some(room) = arrived {
            room.add_permits(latencies.len() - before);
        }
    }
    Ok(latencies)
}

/// Publishes what is due until the time is over; how many, and how long that took.
async fn publish<P: Protocol>(
    port: u16,
    bodies: Bodies,
    due: &Arc<Semaphore>,
    rate: u64,
    length: Duration,
) -> Result<(u64, Duration)> {
    let mut publisher = P::connect(port).await.context("cannot connect")?;
    let permits = Arc::clone(due);
    thread::spawn(move || pace(&permits, rate, length));
    let began = Instant::now();
    let mut sent = 0u64;
    while let Ok(permit) = due.acquire().await {
        permit.forget();
        let mut batch = vec![bodies.make(sent)];
        sent += 1;
        while batch.len() < AT_ONCE
            && let Ok(permit) = due.try_acquire()
        {
            permit.forget();
            batch.push(bodies.make(sent));
            sent += 1;
        }
        publisher.publish(batch).await.context("cannot publish")?;
    }
    let took = began.elapsed();
    publisher.publish(vec![bodies.end()]).await.context("cannot publish")?;
    publisher.finish().await.context("cannot finish")?;
    Ok((sent, took))
}

/// Lets messages become due at the rate, if there is one; closes when the time is over. What is late becomes due at once.
fn pace(due: &Semaphore, rate: u64, length: Duration) {
    let began = Instant::now();
    let mut given = 0u64;
    while rate > 0 && began.elapsed() < length {
        let by_now = u128::from(rate) * began.elapsed().as_nanos() / 1_000_000_000;
        // Of the message that is due at once, as load that starts at nothing would be one short.
        let missing = u64::try_from(by_now + 1).unwrap_or(u64::MAX).saturating_sub(given);
        due.add_permits(usize::try_from(missing).unwrap_or(AT_ONCE));
        given += missing;
        let next = Duration::from_nanos(given.saturating_mul(1_000_000_000) / rate);
        thread::sleep(next.saturating_sub(began.elapsed()).max(SHORTEST));
    }
    thread::sleep(length.saturating_sub(began.elapsed()));
    due.close();
}
