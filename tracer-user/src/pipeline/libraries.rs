//! Looks for TLS libraries in the files of processes, on a thread of its own: symbol tables are read from disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracer_common::tls::Hook;

use crate::host::processes;
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

/// What came of it.
enum Told {
    Found(Found),
    /// Everything that was there at the start was looked into.
    Ready,
}

/// The thread's other end.
pub struct Libraries {
    asks: SyncSender<Ask>,
    told: Receiver<Told>,
    /// Kept open: their paths lead through this process's descriptors.
    hooked: Vec<Found>,
}

impl Libraries {
    /// Starts looking: at the libraries of the system first, then at what `processes` have mapped (`None`: every one),
    /// and at `program`, which is about to be started.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(processes: Option<Vec<u32>>, program: Option<PathBuf>) -> std::io::Result<Self> {
        let (asks, asked) = sync_channel(WAITING);
        let (tell, told) = sync_channel(HOOKED);
        thread::Builder::new().name("libraries".to_owned()).spawn(move || look(&asked, &tell))?;
        let libraries = Self { asks, told, hooked: Vec::new() };
        if let Some(program) = program {
            libraries.ask(Ask::Program(program));
        }
        libraries.ask(Ask::Start(processes.unwrap_or_else(processes::all)));
        Ok(libraries)
    }

    /// A process has started a program, or has a connection.
    pub fn look_into(&self, pid: u32) {
        self.ask(Ask::Process(pid));
    }

    fn ask(&self, ask: Ask) {
        if let Err(TrySendError::Full(ask)) = self.asks.try_send(ask) {
            tracing::debug!("too many programs at once to look for TLS libraries: {ask:?}");
        }
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

fn look(asked: &Receiver<Ask>, tell: &SyncSender<Told>) {
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
    for ask in asked {
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
