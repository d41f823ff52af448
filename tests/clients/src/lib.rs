//! What all test clients have in common: one command line and one log.
//!
//! A line of the log is `destination size head id`: where the message went, its bytes, the first word of its body (its
//! name), and the id that the broker or the protocol gave it, `-` if none. `ready` comes before the first, when the
//! connection stands or the subscription does. The scripts in this folder, for libraries of other languages, keep to it too.

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use std::{
    io::Write as _,
    path::PathBuf,
    str::FromStr,
    time::{Duration, Instant},
};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tracer_tests::message;

/// Publishes or receives messages and says which.
#[derive(Parser, Debug)]
pub struct Options {
    /// The broker's port on 127.0.0.1.
    #[arg(long)]
    pub port: u16,
    /// Name of this client, and first part of each message's name.
    #[arg(long)]
    pub id: String,
    /// Speak TLS, and trust what this certificate signed.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// Which of the protocol's ways to pass messages on, where it has several.
    #[arg(long, default_value = "")]
    pub way: String,
    /// Publish or receive.
    #[command(subcommand)]
    pub what: What,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum What {
    /// Publish messages `{id}-{number}`, then disconnect.
    Publish(Publish),
    /// Receive messages, then disconnect.
    Subscribe(Subscribe),
}

/// What to publish.
#[derive(Args, Debug)]
pub struct Publish {
    /// Topic, subject, channel, stream, or `exchange:key`.
    #[arg(long)]
    pub to: String,
    /// How many messages of how many bytes, e.g. `10x20,3x5120`.
    #[arg(long, value_delimiter = ',')]
    pub messages: Vec<Batch>,
    /// Milliseconds between two messages.
    #[arg(long, default_value_t = 0)]
    pub period: u64,
    /// Wait for a line on standard input before the first message, and after half of them.
    #[arg(long)]
    pub held: bool,
}

/// What to receive.
#[derive(Args, Debug)]
pub struct Subscribe {
    /// Topic, subject, channel, stream, or `exchange:key:queue`.
    #[arg(long)]
    pub from: String,
    /// How many messages.
    #[arg(long)]
    pub count: u64,
    /// Consumer group, queue group or durable consumer.
    #[arg(long, default_value = "")]
    pub group: String,
}

/// Messages of one size.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    count: u64,
    size: usize,
}

impl FromStr for Batch {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (count, size) = text.split_once('x').context("not COUNTxSIZE")?;
        Ok(Self { count: count.parse().context("no count")?, size: size.parse().context("no size")? })
    }
}

/// The messages to publish, one after the other, at their time.
pub struct Load {
    id: String,
    sizes: Vec<usize>,
    next: usize,
    period: Duration,
    due: Instant,
    held: bool,
    input: Lines<BufReader<Stdin>>,
}

impl Publish {
    /// The messages of the client `id`.
    #[must_use]
    pub fn load(&self, id: &str) -> Load {
        let sizes = self.messages.iter().flat_map(|batch| (0..batch.count).map(|_| batch.size)).collect();
        Load {
            id: id.to_owned(),
            sizes,
            next: 0,
            period: Duration::from_millis(self.period),
            due: Instant::now(),
            held: self.held,
            input: BufReader::new(tokio::io::stdin()).lines(),
        }
    }
}

impl Load {
    /// The next body, when it is due; `None` when there is none left.
    ///
    /// # Errors
    /// When standard input ends while it is waited on.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(size) = self.sizes.get(self.next).copied() else { return Ok(None) };
        if self.held && (self.next == 0 || self.next == self.sizes.len() / 2) {
            self.input.next_line().await?.context("no standard input")?;
        }
        if !self.period.is_zero() {
            tokio::time::sleep_until(self.due.into()).await;
            self.due += self.period;
        }
        let body = message::body(&self.id, self.next as u64, size);
        self.next += 1;
        Ok(Some(body))
    }
}

/// Says that the connection or subscription stands.
///
/// # Errors
/// When standard output is closed.
pub fn ready() -> Result<()> {
    line("ready")
}

/// Logs a message.
///
/// # Errors
/// When standard output is closed.
pub fn log(destination: &str, body: &[u8], id: &str) -> Result<()> {
    let id = if id.is_empty() { "-" } else { id };
    line(&format!("{destination} {} {} {id}", body.len(), message::head(body)))
}

fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
}
