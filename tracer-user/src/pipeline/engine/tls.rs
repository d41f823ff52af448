//! The encrypted connections' side of the engine: which of them there are, and which plaintext is whose.
//!
//! A library's call that used one socket is that socket's. Where plaintext goes by way of memory the thread's next call
//! on a socket tells (before a read, the last one): the records that it moves have to hold exactly as many bytes. One
//! such match may be chance, so two are asked for, or one and the connection's end. Until then plaintext waits.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use tracer_common::tls::{Library, Tie};

use super::Engine;
use super::sockets::{End, Known};
use crate::model::capture::{Body, Capture, Position, Target};
use crate::model::net::{ConnectionKey, Direction, Role};
use crate::model::payload::Payload;
use crate::model::span::Span;
use crate::model::time::{Interval, Timestamp};
use crate::span::encrypted;
use crate::track::stream::Chunk;
use crate::track::tls::{self, Shape};

/// Sessions that are known: one or two for each connection that is kept.
const SESSIONS: usize = 32 * 1024;

/// Sessions whose connection is not known and whose plaintext waits: those of connections that have just begun.
const WAITING: usize = 1024;

/// Calls and captured bytes that wait for one session: more than a handshake and the first messages take.
const WAITING_CALLS: usize = 64;
const WAITING_BYTES: usize = 64 * 1024;

/// Threads whose last calls are remembered: those that move bytes by way of memory.
const THREADS: usize = 4096;

/// Sessions of one thread that may be meant by its next call.
const MEANT: usize = 16;

/// Connections that end unread between two ticks: as many as are kept.
const REPORTS: usize = 16 * 1024;

/// Matches that make a session a connection's.
const MATCHES: u32 = 2;

/// A library's object of a connection (rustls: of one direction), by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Session {
    pid: u32,
    address: u64,
}

/// What is seen of an encrypted connection without its plaintext.
#[derive(Clone, Debug, Default)]
pub(super) struct Encrypted {
    /// Whose plaintext it is, once there is some.
    pub(super) library: Option<Library>,
    /// Calls that moved bytes, and the bytes: inwards, outwards.
    pub(super) moved: [(u64, u64); 2],
    /// When the first was moved, and the last.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// Plaintext of a session whose connection is not known yet.
#[derive(Default)]
struct Held {
    calls: VecDeque<Capture>,
    bytes: usize,
    /// The connection that it may be, and how many calls say so.
    candidate: Option<(End, u32)>,
    last: Timestamp,
}

/// What a thread did last, as far as plaintext by way of memory is concerned.
#[derive(Default)]
struct Thread {
    /// Sessions that took plaintext since the thread's last write to a socket, and how much.
    written: Vec<(Session, u64)>,
    /// The last read from a socket.
    read: Option<(End, Shape)>,
    /// Sessions that gave plaintext since then, and how much.
    given: Vec<(Session, u64)>,
}

/// Counts of encrypted connections and their plaintext.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Connections that are encrypted.
    pub connections: u64,
    /// Those of them of which some plaintext was had.
    pub readable: u64,
    /// Calls and bytes of encrypted connections on their sockets.
    pub calls: u64,
    /// As above.
    pub bytes: u64,
    /// Calls of libraries that gave or took plaintext of a known connection.
    pub plain_calls: u64,
    /// The plaintext's bytes.
    pub plain_bytes: u64,
    /// Calls of libraries whose connection was not found.
    pub unplaced: u64,
}

/// Sessions and who they belong to.
#[derive(Default)]
pub(super) struct Sessions {
    bound: HashMap<Session, End>,
    held: HashMap<Session, Held>,
    threads: HashMap<u32, Thread>,
    /// Processes in whose files TLS libraries are to be looked for.
    wanted: Vec<u32>,
    pub(super) counts: Counts,
    /// Connections of which some plaintext was had, at one end or the other.
    readable: HashSet<ConnectionKey>,
    /// Connections that ended without.
    pub(super) reports: Vec<Span>,
}

impl Sessions {
    fn thread(&mut self, tid: u32) -> &mut Thread {
        if self.threads.len() >= THREADS && !self.threads.contains_key(&tid) {
            self.threads.clear();
        }
        self.threads.entry(tid).or_default()
    }
}

impl Engine {
    /// A TLS library took or gave plaintext.
    pub(super) fn plaintext(&mut self, capture: Capture) {
        let Body::Tls { session, tie, .. } = capture.body else { return };
        let session = Session { pid: capture.pid, address: session };
        match (tie, capture.target) {
            (Tie::Nested, Target::Socket(socket)) => {
                let end = End::of(capture.pid, socket.id, capture.fd);
                if self.connections.contains_key(&end) {
                    self.bind(session, end);
                    self.read_plaintext(end, capture);
                    return;
                }
                self.tls.counts.unplaced += 1;
            }
            _ => match self.tls.bound.get(&session).copied() {
                Some(end) => self.read_plaintext(end, capture),
                None => self.hold(session, capture),
            },
        }
    }

    /// Plaintext of a connection.
    fn read_plaintext(&mut self, end: End, capture: Capture) {
        let Body::Tls { direction, library, ref payload, .. } = capture.body else { return };
        self.tls.counts.plain_calls += 1;
        self.tls.counts.plain_bytes += payload.size;
        let process = self.process(&capture);
        if !self.is_encrypted(end) {
            self.encrypt(end, process, capture.at.start);
        }
        if let Some(encrypted) = self.connections.get_mut(&end).and_then(|known| known.encrypted.as_mut())
            && encrypted.library.replace(library).is_none()
        {
            self.tls.counts.readable += 1;
            if self.tls.readable.len() >= SESSIONS {
                self.tls.readable.clear();
            }
            self.tls.readable.extend(self.connections.get(&end).map(|known| known.socket.connection()));
        }
        // Bytes are counted: the position on the wire is that of the records.
        let chunk =
            Chunk { position: Position::Unknown, at: capture.at, tid: capture.tid, payload: payload.clone() };
        self.data(end, process, &capture, direction, false, Some(chunk));
    }

    /// A call on the socket of a connection that is encrypted, or turns out to be. Returns whether it is.
    pub(super) fn ciphertext(
        &mut self,
        end: End,
        capture: &Capture,
        direction: Direction,
        payload: &Payload,
    ) -> bool {
        let Some(known) = self.connections.get_mut(&end) else { return false };
        if known.encrypted.is_none() {
            if payload.size == 0 || capture.result <= 0 {
                return false;
            }
            let untouched = &mut known.untouched[usize::from(direction == Direction::Outward)];
            let first = std::mem::replace(untouched, false);
            let is_plain = known.connection.system().is_some();
            let begins = match is_plain {
                // Some protocols say hello in the open.
                true => tls::is_client_hello(&payload.captured),
                false => tls::begins(&payload.captured, first),
            };
            if !begins {
                return false;
            }
            let process = self.process(capture);
            self.encrypt(end, process, capture.at.start);
        }
        let Some(known) = self.connections.get_mut(&end) else { return false };
        let Some(encrypted) = &mut known.encrypted else { return false };
        if capture.result <= 0 {
            return true;
        }
        let (calls, bytes) = &mut encrypted.moved[usize::from(direction == Direction::Outward)];
        let call = u64::from(!capture.goes_on());
        *calls += call;
        *bytes += payload.size;
        encrypted.last = capture.at.end;
        self.tls.counts.calls += call;
        self.tls.counts.bytes += payload.size;
        self.compare(end, capture, direction, payload);
        true
    }

    fn is_encrypted(&self, end: End) -> bool {
        self.connections.get(&end).is_some_and(|known| known.encrypted.is_some())
    }

    /// Looks whether a call on a socket moved what sessions without a connection have taken, and remembers it for those
    /// that will give.
    fn compare(&mut self, end: End, capture: &Capture, direction: Direction, payload: &Payload) {
        let thread = self.tls.thread(capture.tid);
        let shape = Shape::of(&payload.captured, payload.size);
        if direction == Direction::Inward {
            thread.given.clear();
            thread.read = shape.map(|shape| (end, shape));
            return;
        }
        let written = std::mem::take(&mut thread.written);
        let Some(shape) = shape else { return };
        let mut fitting = written.iter().filter(|(_, sum)| shape.holds(*sum));
        // Of several that fit it may be any.
        if let (Some((session, _)), None) = (fitting.next(), fitting.next()) {
            self.matched(*session, end);
        }
    }

    /// Plaintext of a session of which the connection is not known.
    fn hold(&mut self, session: Session, capture: Capture) {
        let Body::Tls { direction, tie, ref payload, .. } = capture.body else { return };
        let (tid, size, length) = (capture.tid, payload.size, payload.captured.len());
        if self.tls.held.len() >= WAITING && !self.tls.held.contains_key(&session) {
            let oldest = self.tls.held.iter().min_by_key(|(_, held)| held.last).map(|(session, _)| *session);
            if let Some(held) = oldest.and_then(|oldest| self.tls.held.remove(&oldest)) {
                self.tls.counts.unplaced += held.calls.len() as u64;
            }
        }
        let held = self.tls.held.entry(session).or_default();
        held.last = capture.at.end;
        held.bytes += length;
        held.calls.push_back(capture);
        while held.calls.len() > WAITING_CALLS || held.bytes > WAITING_BYTES {
            let Some(dropped) = held.calls.pop_front() else { break };
            if let Body::Tls { payload, .. } = dropped.body {
                held.bytes -= payload.captured.len();
            }
            self.tls.counts.unplaced += 1;
        }
        if tie != Tie::None {
            return;
        }
        let thread = self.tls.thread(tid);
        if direction == Direction::Outward {
            add(&mut thread.written, session, size);
            return;
        }
        let Some((end, shape)) = thread.read else { return };
        let sum = add(&mut thread.given, session, size);
        if shape.holds(sum) {
            self.matched(session, end);
        }
    }

    /// A session's plaintext fits what moved on a connection.
    fn matched(&mut self, session: Session, end: End) {
        let Some(held) = self.tls.held.get_mut(&session) else { return };
        let matches = match held.candidate {
            Some((candidate, matches)) if candidate == end => matches + 1,
            _ => 1,
        };
        held.candidate = Some((end, matches));
        if matches >= MATCHES {
            self.settle(session, end);
        }
    }

    /// A session is a connection's: what waited is read.
    fn settle(&mut self, session: Session, end: End) {
        self.bind(session, end);
        let Some(held) = self.tls.held.remove(&session) else { return };
        for capture in held.calls {
            self.read_plaintext(end, capture);
        }
    }

    fn bind(&mut self, session: Session, end: End) {
        if self.tls.bound.get(&session) == Some(&end) {
            return;
        }
        if self.tls.bound.len() >= SESSIONS {
            let connections = &self.connections;
            self.tls.bound.retain(|_, end| connections.contains_key(end));
        }
        self.tls.bound.insert(session, end);
    }

    /// A connection is about to end: a session that fitted it once and nothing else is its own.
    pub(super) fn end_sessions(&mut self, end: End) {
        if !self.is_encrypted(end) {
            return;
        }
        let fits = |held: &Held| held.candidate.is_some_and(|(found, _)| found == end);
        let held = self.tls.held.iter().filter(|(_, held)| fits(held));
        // rustls has one for each direction.
        let sessions: Vec<Session> = held.map(|(session, _)| *session).take(2).collect();
        for session in sessions {
            self.settle(session, end);
        }
        self.tls.bound.retain(|_, bound| *bound != end);
    }

    /// A connection ends: if nobody could read it, at neither end, that is told.
    pub(super) fn report_encrypted(&mut self, known: &Known, pid: u32) {
        let Some(encrypted) = known.encrypted.as_ref().filter(|encrypted| encrypted.library.is_none()) else {
            return;
        };
        let key = known.socket.connection();
        let system = self.protocol(known.socket.local.port()).or(self.protocol(known.socket.remote.port()));
        let (Some(process), Some(system)) = (self.processes.get(&pid), system) else { return };
        if self.tls.readable.contains(&key) || self.tls.reports.len() >= REPORTS {
            return;
        }
        let is_server = known.connection.role() == Some(Role::Server);
        let server = if is_server { known.socket.local } else { known.socket.remote };
        let [read, written] = encrypted.moved;
        self.tls.reports.push(encrypted::encrypted(encrypted::Seen {
            process: Arc::clone(process),
            system: system.name(),
            server: server.to_string().into(),
            at: Interval { start: encrypted.first, end: encrypted.last.max(encrypted.first) },
            moved: [(Direction::Inward, read.0, read.1), (Direction::Outward, written.0, written.1)],
        }));
    }

    /// The run ends: all connections are told of that nobody could read.
    pub(super) fn report_all_encrypted(&mut self) {
        let ends: Vec<End> = self.connections.keys().copied().collect();
        for end in ends {
            self.end_sessions(end);
            if let Some(known) = self.connections.remove(&end) {
                self.report_encrypted(&known, end.pid);
                self.connections.insert(end, known);
            }
        }
    }

    /// A process is gone: so are its sessions.
    pub(super) fn forget_sessions(&mut self, pid: u32) {
        self.tls.bound.retain(|session, _| session.pid != pid);
        let held = self.tls.held.extract_if(|session, _| session.pid == pid);
        self.tls.counts.unplaced += held.map(|(_, held)| held.calls.len() as u64).sum::<u64>();
    }

    /// In the files of a process TLS libraries are to be looked for.
    pub(super) fn want_libraries(&mut self, pid: u32) {
        if self.settings.tls && self.tls.wanted.last() != Some(&pid) {
            self.tls.wanted.push(pid);
        }
    }

    /// Processes in whose files TLS libraries are to be looked for.
    pub fn take_wanted(&mut self) -> std::vec::Drain<'_, u32> {
        self.tls.wanted.drain(..)
    }
}

/// Adds to a session's sum; returns it.
fn add(sums: &mut Vec<(Session, u64)>, session: Session, size: u64) -> u64 {
    if let Some((_, sum)) = sums.iter_mut().find(|(known, _)| *known == session) {
        *sum += size;
        return *sum;
    }
    if sums.len() >= MEANT {
        sums.remove(0);
    }
    sums.push((session, size));
    size
}
