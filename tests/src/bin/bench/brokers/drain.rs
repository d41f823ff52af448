//! A subscriber of Redis that only counts: no library is as fast as what redis-benchmark publishes.

use anyhow::{Context as _, Result, anyhow, ensure};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Bytes of one read, as in Redis' own client library.
const READ: usize = 16 << 10;
/// How long to wait for what is still on its way.
const PATIENCE: Duration = Duration::from_secs(3);

/// A subscription to one channel.
pub(super) struct Drain {
    stream: TcpStream,
    thread: JoinHandle<()>,
    bytes: Arc<AtomicU64>,
    /// Bytes of one message on the wire.
    message: u64,
}

impl Drain {
    /// Subscribes, to messages whose bodies have `size` bytes.
    pub(super) fn start(port: u16, channel: &str, size: u32) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("no connection to Redis")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // A subscriber that a busy machine holds up is not to be hung up on.
        command(&mut stream, &["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0"], "+OK\r\n")?;
        let length = channel.len();
        let answer = format!("*3\r\n$9\r\nsubscribe\r\n${length}\r\n{channel}\r\n:1\r\n");
        command(&mut stream, &["SUBSCRIBE", channel], &answer)?;
        stream.set_read_timeout(None)?;
        let head = format!("*3\r\n$7\r\nmessage\r\n${length}\r\n{channel}\r\n${size}\r\n");
        let message = u64::try_from(head.len())? + u64::from(size) + 2;
        let bytes = Arc::new(AtomicU64::new(0));
        let (mut reader, count) = (stream.try_clone()?, Arc::clone(&bytes));
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; READ];
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => drop(count.fetch_add(read as u64, Ordering::Relaxed)),
                    Err(err) if err.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        });
        Ok(Self { stream, thread, bytes, message })
    }

    /// Ends it when `expected` messages have arrived, or have not for long; how many have.
    pub(super) fn stop(self, expected: u64) -> Result<u64> {
        let start = Instant::now();
        let arrived = || self.bytes.load(Ordering::Relaxed) / self.message;
        while arrived() < expected && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let arrived = arrived();
        self.stream.shutdown(Shutdown::Both).context("Redis hung up on its subscriber")?;
        self.thread.join().map_err(|_panic| anyhow!("the subscriber stopped"))?;
        Ok(arrived)
    }
}

/// Gives a command and checks that the answer is as expected.
fn command(stream: &mut TcpStream, words: &[&str], expected: &str) -> Result<()> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(text.as_bytes())?;
    let mut answer = vec![0; expected.len()];
    stream.read_exact(&mut answer).with_context(|| format!("Redis does not answer {}", words[0]))?;
    ensure!(
        answer == expected.as_bytes(),
        "Redis answers {}: {:?}",
        words[0],
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
