//! Looks for TLS libraries in the files of processes, on a thread of its own: symbol tables are read from disk.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracer_common::tls::Hook;

use crate::host::tls::{Candidate, FileId, Found, mapped, system_libraries};

/// Requests that wait: a burst of programs that start. Past it they are asked for again at their connection.
const WAITING: usize = 4096;

/// Files that are hooked at most: every process that maps one pays for its hooks.
const HOOKED: usize = 256;

/// Files that were looked into and hold nothing. When there are more, all are looked into again.
const KNOWN: usize = 16 * 1024;

/// How long tracing waits at its start for what is there already.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be looked into.
#[derive(Debug)]
enum Ask {
    /// The libraries of the system, and what these processes have mapped.
    Start(Vec<u32>),
    /// What a process has mapped.
    Process(u32),
    /// A program that is about to be started.
    Program(PathBuf),
}

/// What waits to be looked into.
#[derive(Default)]
struct Asks {
    /// Of processes that use a connection, and at the start.
    first: VecDeque<Ask>,
    /// Of processes that have started a program: few of them will ever use one.
    later: VecDeque<Ask>,
    /// The run is over.
    closed: bool,
}

/// The queue between the analysis and the thread.
#[derive(Default)]
struct Shared {
    asks: Mutex<Asks>,
    came: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Asks> {
        // Whoever panicked has left a queue that is a queue.
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, ask: Ask, first: bool) {
        let mut asks = self.lock();
        let queue = if first { &mut asks.first } else { &mut asks.later };
        if queue.len() >= WAITING {
            // Those that asked longest ago may be gone by now.
            queue.pop_front();
        }
        queue.push_back(ask);
        self.came.notify_one();
    }

    fn next(&self) -> Option<Ask> {
        let mut asks = self.lock();
        loop {
            if asks.closed {
                return None;
            }
            if let Some(ask) = asks.first.pop_front() {
                return Some(ask);
            }
            if let Some(ask) = asks.later.pop_front() {
                return Some(ask);
            }
            asks = self.came.wait(asks).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What came of it.
enum Told {
    Found(Found),
    /// Everything that was there at the start was looked into.
    Ready,
}

/// The thread's other end.
pub struct Libraries {
    shared: Arc<Shared>,
    told: Receiver<Told>,
    /// Kept open: their paths lead through this process's descriptors.
    hooked: Vec<Found>,
}

impl Libraries {
    /// Starts looking: at `program`, which is about to be started, at the libraries of the system, and at what
    /// `processes` have mapped. Of others it is looked at when they start a program or use a connection.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(processes: Vec<u32>, program: Option<PathBuf>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (tell, told) = sync_channel(HOOKED);
        let asked = Arc::clone(&shared);
        thread::Builder::new().name("libraries".to_owned()).spawn(move || look(&asked, &tell))?;
        if let Some(program) = program {
            shared.ask(Ask::Program(program), true);
        }
        shared.ask(Ask::Start(processes), true);
        Ok(Self { shared, told, hooked: Vec::new() })
    }

    /// A process has started a program.
    pub fn started(&self, pid: u32) {
        self.shared.ask(Ask::Process(pid), false);
    }

    /// A process uses a connection to a broker.
    pub fn connected(&self, pid: u32) {
        self.shared.ask(Ask::Process(pid), true);
    }

    /// Hands what was found since the last time to `hook`, which says whether the hooks are in place.
    pub fn hook(&mut self, mut hook: impl FnMut(&Found, &Path, &[Hook]) -> bool) {
        while let Ok(told) = self.told.try_recv() {
            if let Told::Found(found) = told
                && hook(&found, &found.way(), &found.hooks)
            {
                self.hooked.push(found);
            }
        }
    }

    /// As [`Self::hook`], until everything that was there at the start is hooked, or [`PATIENCE`] is over.
    pub fn hook_first(&mut self, mut hook: impl FnMut(&Found, &Path, &[Hook]) -> bool) {
        let end = Instant::now() + PATIENCE;
        while let Ok(Told::Found(found)) =
            self.told.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if hook(&found, &found.way(), &found.hooks) {
                self.hooked.push(found);
            }
        }
    }

    /// The files that are hooked.
    #[must_use]
    pub fn hooked(&self) -> &[Found] {
        &self.hooked
    }
}

impl Drop for Libraries {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.came.notify_one();
    }
}

fn look(asked: &Shared, tell: &SyncSender<Told>) {
    let mut known: HashSet<FileId> = HashSet::new();
    let mut hooked: HashSet<FileId> = HashSet::new();
    let mut into = |candidates: Vec<Candidate>| -> Option<()> {
        for candidate in candidates {
            let id = candidate.id;
            if hooked.contains(&id) || !known.insert(id) {
                continue;
            }
            if known.len() > KNOWN {
                known.clear();
            }
            if hooked.len() >= HOOKED {
                continue;
            }
            if let Some(found) = candidate.search() {
                hooked.insert(id);
                // Nobody listens any more: the run is over.
                tell.send(Told::Found(found)).ok()?;
            }
        }
        Some(())
    };
    while let Some(ask) = asked.next() {
        let done = match ask {
            Ask::Start(processes) => into(system_libraries())
                .and_then(|()| processes.into_iter().try_for_each(|pid| into(mapped(pid))))
                .and_then(|()| tell.send(Told::Ready).ok()),
            Ask::Process(pid) => into(mapped(pid)),
            Ask::Program(path) => into(Candidate::open(&path, &path).into_iter().collect()),
        };
        if done.is_none() {
            return;
        }
    }
}
