//! What is known of each traced process: its threads, what it took in lately, what it asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::containment::Recents;
use super::context::{Held, Thread};
use super::table::Table;
use crate::model::op::Message;
use crate::model::process::{Process, ProcessKey};
use crate::model::time::Timestamp;
use crate::span::event::{correlation, reply_to};

/// Most processes that are followed at once.
const MAX_PROCESSES: usize = 8192;

/// Most threads of a process with a history; those that did nothing for [`IDLE_NS`] make room.
const MAX_THREADS: usize = 1024;

/// When a thread's history may be dropped.
const IDLE_NS: u64 = 5_000_000_000;

/// Most connections of a process as a client.
const MAX_CONNECTIONS: usize = 1024;

/// Most requests over messages that await their answer.
const MAX_REQUESTS: usize = 256;

/// A traced process.
pub(super) struct Proc {
    pub(super) process: Arc<Process>,
    threads: HashMap<u32, Thread>,
    /// Device input.
    pub(super) inputs: Recents,
    /// Messages.
    pub(super) deliveries: Recents,
    /// Slots of the connections on which it is the client.
    pub(super) connections: Vec<u32>,
    /// Requests it made over messages, and what it was handling then.
    requests: VecDeque<Request>,
    /// Whether it had to do with a device: else no content is kept for comparison.
    pub(super) has_devices: bool,
}

impl Proc {
    pub(super) fn thread(&mut self, tid: u32, now: Timestamp) -> &mut Thread {
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&tid) {
            self.threads.retain(|_, thread| now.since(thread.last) < IDLE_NS);
            if self.threads.len() >= MAX_THREADS {
                // All of them busy: their histories start anew, which loses links but makes no wrong ones.
                self.threads.clear();
            }
        }
        let thread = self.threads.entry(tid).or_default();
        thread.last = thread.last.max(now);
        thread
    }

    pub(super) fn known_thread(&self, tid: u32) -> Option<&Thread> {
        self.threads.get(&tid)
    }

    pub(super) fn known_thread_mut(&mut self, tid: u32) -> Option<&mut Thread> {
        self.threads.get_mut(&tid)
    }

    pub(super) fn connected(&mut self, slot: u32) {
        if self.connections.len() < MAX_CONNECTIONS && !self.connections.contains(&slot) {
            self.connections.push(slot);
        }
    }

    /// It published `message` while it was handling `context`.
    pub(super) fn asked(&mut self, message: &Message, context: &Held) {
        let key = request_key(message, &REQUEST_LEVELS);
        let reply = reply_to(message).cloned();
        if key.is_some() || reply.is_some() {
            if self.requests.len() >= MAX_REQUESTS {
                self.requests.pop_front();
            }
            self.requests.push_back(Request { key, reply, context: context.clone() });
        }
    }

    /// What it was handling when it asked for `message`, if it did.
    pub(super) fn answered(&mut self, message: &Message) -> Option<Held> {
        if self.requests.is_empty() {
            return None;
        }
        // What says where its own answer is to go is a request, which the process may have sent itself.
        if reply_to(message).is_some() {
            return None;
        }
        let key = request_key(message, &ANSWER_LEVELS);
        let is_keyed = |asked: &Request| key.is_some() && asked.key == key;
        // An answer with a correlation id that nobody gave is somebody else's.
        let is_there = |asked: &Request| {
            asked.reply.as_ref() == Some(&message.destination) && correlation(message).is_none()
        };
        let index = self.requests.iter().position(is_keyed);
        let index = index.or_else(|| self.requests.iter().position(is_there))?;
        self.requests.remove(index).map(|asked| asked.context)
    }

    pub(super) fn end(&mut self) {
        self.threads = HashMap::new();
        self.inputs = Recents::default();
        self.deliveries = Recents::default();
        self.requests = VecDeque::new();
        self.connections = Vec::new();
    }
}

/// A request over messages.
struct Request {
    /// What the answer has in common with it.
    key: Option<String>,
    /// Where the answer is to go.
    reply: Option<Arc<str>>,
    /// What the program was handling.
    context: Held,
}

/// Topic levels by which programs mark requests and the answers to them, where the protocol has no response topic.
const REQUEST_LEVELS: [&str; 3] = ["request", "req", "rpc"];
const ANSWER_LEVELS: [&str; 4] = ["response", "reply", "resp", "res"];

/// What a request and its answer have in common: a correlation id, else the topic without the level that says which of
/// the two it is.
fn request_key(message: &Message, levels: &[&str]) -> Option<String> {
    if let Some(id) = correlation(message) {
        return Some(["\0", id].concat());
    }
    if !message.destination.split('/').any(|level| levels.contains(&level)) {
        return None;
    }
    let mut key = String::with_capacity(message.destination.len());
    for level in message.destination.split('/') {
        key.push('/');
        key.push_str(if levels.contains(&level) { "\0" } else { level });
    }
    Some(key)
}

/// All processes.
pub(super) struct Processes(Table<ProcessKey, Proc>);

impl Default for Processes {
    fn default() -> Self {
        Self(Table::new(MAX_PROCESSES))
    }
}

impl Processes {
    pub(super) fn learn(&mut self, process: Arc<Process>, evicted: &mut u64) {
        if let Some(known) = self.get_mut(process.key) {
            known.process = process;
            return;
        }
        let key = process.key;
        let proc = Proc {
            process,
            threads: HashMap::new(),
            inputs: Recents::default(),
            deliveries: Recents::default(),
            connections: Vec::new(),
            requests: VecDeque::new(),
            has_devices: false,
        };
        *evicted += u64::from(self.0.insert(key, proc).1.is_some());
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Proc> {
        let slot = self.0.find(&key)?;
        self.0.get_mut(slot)
    }
}
