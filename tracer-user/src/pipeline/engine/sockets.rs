//! The sockets' side of the engine: which connection a record belongs to, how long it lasts, and its bytes.

use super::Engine;
use super::tls::Encrypted;
use crate::model::capture::{Body, Capture};
use crate::model::net::{Direction, Role, SocketEnd};
use crate::model::op::System;
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::time::Timestamp;
use crate::proto::Connection;
use crate::track::stream::Chunk;

/// Connections that are kept. A broker with more clients than this loses those that were idle longest.
const CONNECTIONS: usize = 16 * 1024;

/// A connection of one process: by the socket's identity, or without BTF by the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) pid: u32,
    sock: u64,
    fd: i32,
}

pub(super) struct Known {
    pub(super) connection: Connection,
    pub(super) socket: SocketEnd,
    used: Timestamp,
    /// How many descriptors it is known to be open by: it lasts until the last is closed.
    descriptors: u32,
    /// It was being connected when the connecting call returned, and nothing has moved since.
    pending: bool,
    /// Its first bytes will be seen, or were.
    from_start: bool,
    /// By direction, inwards first: no byte was seen yet.
    pub(super) untouched: [bool; 2],
    /// What is seen of it from outside, if it is encrypted.
    pub(super) encrypted: Option<Encrypted>,
    /// The peer has ended it: nothing that comes yet is of its protocol.
    ended: bool,
}

impl End {
    /// The connection of a process behind a socket, or without its identity behind a descriptor.
    pub(super) fn of(pid: u32, sock: u64, fd: i32) -> Self {
        Self { pid, sock, fd: if sock == 0 { fd } else { -1 } }
    }
}

impl Engine {
    pub(super) fn socket(&mut self, capture: Capture, socket: SocketEnd) {
        self.totals.socket_records += 1;
        let end = End::of(capture.pid, socket.id, capture.fd);
        match capture.body {
            Body::Data { direction, position, peek, ref payload, .. } => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, false);
                let chunk = Chunk { position, at: capture.at, tid: capture.tid, payload: payload.clone() };
                let encrypted = !peek && self.ciphertext(end, &capture, direction, payload);
                let chunk = (!encrypted).then_some(chunk);
                self.data(end, process, &capture, direction, peek, chunk);
            }
            Body::Unseen { direction, position, length, follows } => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, false);
                let payload = Payload { size: length, captured: bytes::Bytes::new() };
                let encrypted = self.ciphertext(end, &capture, direction, &payload);
                if let Some(known) = self.connections.get_mut(&end).filter(|_| !encrypted) {
                    known.used = capture.at.end;
                    known.connection.unseen(
                        direction,
                        position,
                        capture.at,
                        capture.tid,
                        length,
                        follows,
                        &mut self.ops,
                    );
                }
                self.pass_ops();
            }
            Body::Packet { position, ref payload } => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, false);
                if let Some(known) = self.connections.get_mut(&end) {
                    known.used = capture.at.end;
                    let chunk =
                        Chunk { position, at: capture.at, tid: capture.tid, payload: payload.clone() };
                    known.connection.feed(Direction::Outward, chunk, &mut self.ops);
                }
                self.pass_ops();
            }
            Body::Waiting => {
                if let Some(known) = self.connections.get(&end)
                    && !known.connection.is_half(Direction::Inward)
                    && let Some(process) = self.processes.get(&capture.pid)
                {
                    let key = known.socket.connection();
                    self.causality.returned(process.key, capture.tid, key, capture.at.start);
                }
            }
            Body::Accept { .. } if capture.result >= 0 => {
                let process = self.process(&capture);
                self.ensure(end, socket, process, capture.at.start, true);
            }
            Body::Connect { ref address } => self.connect(&capture, end, socket, address),
            Body::Dup { new_fd, .. } if capture.result >= 0 && new_fd != capture.fd => {
                if let Some(known) = self.connections.get_mut(&end) {
                    known.descriptors = known.descriptors.saturating_add(1);
                }
            }
            Body::Close { .. } if capture.result >= 0 => {
                if let Some(known) = self.connections.get_mut(&end).filter(|known| known.descriptors > 1) {
                    known.descriptors -= 1;
                    return;
                }
                // Given up before anything moved: it was refused, or took too long.
                if let Some(known) = self.connections.get(&end).filter(|known| known.pending) {
                    let (server, system) = (known.socket.remote, self.protocol(known.socket.remote.port()));
                    self.totals.refuse(system.map_or("unknown", System::name), Some(server));
                }
                self.close(end, capture.at.start, capture.tid);
            }
            _ => {}
        }
    }

    fn connect(&mut self, capture: &Capture, end: End, socket: SocketEnd, address: &[u8]) {
        // A connection under way counts as one: what comes of it is seen by its first bytes or its end.
        if capture.result >= 0 || capture.result == -i64::from(libc::EINPROGRESS) {
            let process = self.process(capture);
            self.ensure(end, socket, process, capture.at.start, true);
            if let Some(known) = self.connections.get_mut(&end) {
                known.pending = capture.result < 0;
            }
            return;
        }
        let server = crate::decode::socket_address(address);
        let system = server.and_then(|server| self.protocol(server.port()));
        self.totals.refuse(system.map_or("unknown", System::name), server);
    }

    /// A call moved bytes, or failed to. `chunk`: what it moved, if that is no ciphertext.
    pub(super) fn data(
        &mut self,
        end: End,
        process: ProcessKey,
        capture: &Capture,
        direction: Direction,
        peek: bool,
        chunk: Option<Chunk>,
    ) {
        let Some(known) = self.connections.get_mut(&end) else { return };
        known.used = capture.at.end;
        if known.ended {
            return;
        }
        known.pending &= capture.result <= 0;
        // The broker's own reads end nobody's handling.
        let broker = known.connection.role() == Some(Role::Server);
        let asks = direction == Direction::Inward && !broker && !capture.goes_on();
        if asks && !known.connection.is_half(Direction::Inward) {
            let key = known.socket.connection();
            self.causality.returned(process, capture.tid, key, capture.at.start);
        }
        if peek {
            known.connection.peeked();
            return;
        }
        if capture.result == 0 && direction == Direction::Inward {
            // The peer is gone; so is what it had under way.
            if known.encrypted.is_some() {
                self.finish(end, capture.at.end, capture.tid);
            } else {
                self.close(end, capture.at.end, capture.tid);
            }
            return;
        }
        let Some(chunk) = chunk.filter(|_| capture.result > 0) else { return };
        if direction == Direction::Outward {
            self.commands.moved_on(process, capture.tid, &mut self.finished);
            self.pass_commands();
        }
        if let Some(known) = self.connections.get_mut(&end) {
            let captured = chunk.payload.captured.len() as u64;
            let (position, at, size) = (chunk.position, chunk.at, chunk.payload.size);
            known.connection.feed(direction, chunk, &mut self.ops);
            if captured < size {
                let cut = captured..size;
                self.ops.extend(known.connection.unseen_part(direction, position, at, capture.tid, cut));
            }
        }
        self.pass_ops();
    }

    fn ensure(&mut self, end: End, socket: SocketEnd, process: ProcessKey, at: Timestamp, from_start: bool) {
        let is_over =
            |known: &Known| known.ended && (from_start || known.socket.connection() != socket.connection());
        // Another connection has its place: its close was not seen.
        if self.connections.get(&end).is_some_and(is_over) {
            self.close(end, at, 0);
        }
        if let Some(known) = self.connections.get_mut(&end) {
            // A socket that was connected under our eyes learns its own address only now.
            let same =
                known.connection.system().is_some() || known.socket.connection() == socket.connection();
            if same && !from_start {
                return;
            }
            let from_start = from_start || !same;
            self.insert(end, socket, process, at, from_start);
            return;
        }
        self.insert(end, socket, process, at, from_start);
    }

    fn insert(&mut self, end: End, socket: SocketEnd, process: ProcessKey, at: Timestamp, from_start: bool) {
        if self.connections.len() >= CONNECTIONS {
            let oldest = self.connections.iter().min_by_key(|(_, known)| known.used).map(|(end, _)| *end);
            if let Some(oldest) = oldest {
                self.totals.evicted_connections += 1;
                self.close(oldest, at, 0);
            }
        }
        self.want_libraries(end.pid);
        let connection = self.decoder(process, socket, from_start);
        let connection = match self.watching {
            // What was let go had a past.
            Some(since) if !from_start && self.totals.evicted_connections == 0 => connection.watched(since),
            _ => connection,
        };
        let known = Known {
            connection,
            socket,
            used: at,
            descriptors: 1,
            pending: false,
            from_start,
            untouched: [from_start; 2],
            encrypted: None,
            ended: false,
        };
        if let Some(previous) = self.connections.insert(end, known) {
            self.totals.proto.add(&previous.connection.counts());
        }
    }

    fn decoder(&self, process: ProcessKey, socket: SocketEnd, from_start: bool) -> Connection {
        let here = self.protocol(socket.local.port());
        let there = self.protocol(socket.remote.port());
        let role = match (here, there) {
            (Some(_), _) => Some(Role::Server),
            (None, Some(_)) => Some(Role::Client),
            (None, None) => None,
        };
        Connection::new(process, socket, role, here.or(there), from_start).with_memory(&self.memory)
    }

    /// A connection is encrypted from here on. What was taken for its protocol until now was none, unless that stands.
    pub(super) fn encrypt(&mut self, end: End, process: ProcessKey, at: Timestamp) {
        let Some(known) = self.connections.get(&end) else { return };
        let fresh = known.connection.system().is_none();
        let decoder = fresh.then(|| self.decoder(process, known.socket, known.from_start));
        self.want_libraries(end.pid);
        self.tls.counts.connections += 1;
        if let Some(known) = self.connections.get_mut(&end) {
            known.encrypted = Some(Encrypted { first: at, last: at, ..Encrypted::default() });
            if let Some(decoder) = decoder {
                let previous = std::mem::replace(&mut known.connection, decoder);
                self.totals.proto.add(&previous.counts());
            }
        }
    }

    pub(super) fn protocol(&self, port: u16) -> Option<System> {
        self.settings.brokers.iter().find(|(known, _)| *known == port).map(|(_, system)| *system)
    }

    /// The peer has ended an encrypted connection. What the library says to that (`close_notify`) still belongs to it, and would
    /// be taken for a connection that is joined in the middle.
    fn finish(&mut self, end: End, at: Timestamp, tid: u32) {
        self.end_sessions(end);
        if let Some(known) = self.connections.get_mut(&end) {
            known.connection.close(at, tid, &mut self.ops);
            known.ended = true;
            self.pass_ops();
        }
    }

    pub(super) fn close(&mut self, end: End, at: Timestamp, tid: u32) {
        self.end_sessions(end);
        if let Some(mut known) = self.connections.remove(&end) {
            self.report_encrypted(&known, end.pid);
            if !known.ended {
                known.connection.close(at, tid, &mut self.ops);
            }
            self.totals.proto.add(&known.connection.counts());
            self.pass_ops();
        }
    }
}
