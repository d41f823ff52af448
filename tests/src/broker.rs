//! Brokers of our own, on free loopback ports, without files or rights that outlast them.

mod kafka;
mod nats;
mod rabbitmq;
mod redis;
mod tls;

pub use kafka::{Kafka, jars, java, optimising_java};
pub use nats::Nats;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use tls::Certificates;

use crate::process::Running;
use anyhow::{Context as _, Result, anyhow, bail};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long a broker may take to listen.
const START: Duration = Duration::from_secs(10);
/// How long one may take that runs on a virtual machine of its own, on a machine with much else to do.
const SLOW_START: Duration = Duration::from_secs(120);

/// A running Mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    /// The process.
    pub process: Running,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
}

impl Mosquitto {
    /// Starts one with its configuration and log in `folder`, and waits until it listens.
    ///
    /// # Errors
    /// When the program is missing or does not listen in time.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_on(folder, free_port()?)
    }

    /// As [`Mosquitto::start`], on a given port.
    ///
    /// # Errors
    /// When the program is missing or does not listen in time.
    pub fn start_on(folder: &Path, port: u16) -> Result<Self> {
        Self::start_with(folder, port, "")
    }

    /// As [`Mosquitto::start_on`], with further lines of configuration; `listener` lines go last.
    ///
    /// # Errors
    /// When the program is missing or does not listen in time.
    pub fn start_with(folder: &Path, port: u16, more: &str) -> Result<Self> {
        let config = folder.join("mosquitto.conf");
        // Without `user root` it would switch to an account that may not read this folder. A small message
        // rate is no reason to hold messages back, so there is no limit on those in flight or queued.
        let text = format!(
            "allow_anonymous true\npersistence false\nuser root\n\
             set_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\nlog_dest stderr\n\
             listener {port} 127.0.0.1\n{more}"
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let log = folder.join("mosquitto.log");
        let mut process =
            Running::start_logged("mosquitto", Command::new(program()).arg("-c").arg(&config), &log)?;
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            process.still_runs().with_context(|| format!("see {}", log.display()))?;
            if start.elapsed() > START {
                bail!(
                    "mosquitto does not listen on port {port} after {} s; see {}",
                    START.as_secs(),
                    log.display()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, port })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

/// A TCP port that nobody listens on now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port on 127.0.0.1")?;
    Ok(listener.local_addr().context("a listener without an address")?.port())
}

/// Waits until the broker's log says that it is ready.
fn wait_until_ready(process: &mut Running, log: &Path, words: &str) -> Result<()> {
    let start = Instant::now();
    while !fs::read_to_string(log).unwrap_or_default().contains(words) {
        let said = || fs::read_to_string(log).unwrap_or_default();
        process.still_runs().with_context(said)?;
        if start.elapsed() > SLOW_START {
            return Err(anyhow!("no `{words}` after {} s in {}", SLOW_START.as_secs(), log.display()))
                .with_context(said);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Debian puts it where an ordinary `PATH` does not look.
fn program() -> PathBuf {
    let system = PathBuf::from("/usr/sbin/mosquitto");
    if system.is_file() { system } else { "mosquitto".into() }
}
