//! One process' end of one connection: two streams, one protocol.

use std::ops::Range;
use std::sync::Arc;

use super::counts::Counts;
use super::side::{Known, Side, Step};
use super::{Memory, Origin, Protocol, Row, Score, table};
use crate::model::capture::Position;
use crate::model::net::{ConnectionKey, Direction, Role, SocketEnd, Transport};
use crate::model::op::{Op, OpKind, Place, System};
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::time::{Interval, Timestamp};
use crate::track::stream::Chunk;

mod carrier;
#[cfg(test)]
mod tests;

use carrier::Carrier;

/// Strikes (chunks without a frame, broken frames) after which a protocol that the bytes have shown is given up: a
/// stretch of losses must not end it.
const PATIENCE_ESTABLISHED: u32 = 256;

/// The same where only the port speaks for the protocol: a great message may be under way.
const PATIENCE_HINTED: u32 = 64;

/// The same where nothing does.
const PATIENCE_UNKNOWN: u32 = 8;

/// The same where nothing does and the connection's first bytes were seen.
const PATIENCE_FIRST: u32 = 2;

/// Calls that are let pass after a protocol was given up that the bytes have shown before, or that the port tells, before
/// it is looked for again: a long loss, or a message longer than all patience, may have been the reason. Each time twice as many,
/// so that a connection that never speaks it costs next to nothing.
const REST: u32 = 64;

/// How often that doubles.
const REST_DOUBLED: u32 = 8;

/// Bytes that [`Row::detect`] is given.
const DETECT_HEAD: usize = 64;

/// Ports from here on are given out by the kernel to connecting sockets (`net.ipv4.ip_local_port_range`).
const EPHEMERAL: u16 = 32768;

/// Decodes what one process moves over one connection.
///
/// Bounded whatever comes: two streams and the protocol's state.
#[derive(Debug)]
pub struct Connection {
    process: ProcessKey,
    socket: SocketEnd,
    key: ConnectionKey,
    role: Option<Role>,
    hint: Option<System>,
    from_start: bool,
    /// Since when its bytes would have been seen, until there were some.
    watched: Option<Timestamp>,
    /// The same, while the first bytes are worked on and if they went to the server.
    rested: Option<Timestamp>,
    /// The protocol that is believed or tried.
    guess: Option<Guess>,
    /// Rows of the table that were tried in vain, one bit each.
    tried: u32,
    established: bool,
    /// Nothing more is decoded.
    over: bool,
    /// Calls that are still to be let pass before a protocol is looked for again.
    rest: u32,
    carrier: Carrier,
    inward: Side,
    outward: Side,
    counts: Counts,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Guess {
    row: &'static Row,
    index: u32,
    protocol: Box<dyn Protocol>,
}

impl Connection {
    /// A connection of which nothing was seen yet. `role`: what this process is in it, if known; else the bytes or
    /// the ports tell. `hint`: the protocol that belongs to the port. `from_start`: whether its first bytes will be seen.
    #[must_use]
    pub fn new(
        process: ProcessKey,
        socket: SocketEnd,
        role: Option<Role>,
        hint: Option<System>,
        from_start: bool,
    ) -> Self {
        Self {
            process,
            socket,
            key: socket.connection(),
            role,
            hint,
            from_start,
            watched: None,
            rested: None,
            guess: None,
            tried: 0,
            established: false,
            over: false,
            rest: 0,
            carrier: Carrier::Unknown,
            inward: Side::default(),
            outward: Side::default(),
            counts: Counts::default(),
            memory: Arc::default(),
        }
    }

    /// The same, and it learns from the other connections that were given this memory.
    #[must_use]
    pub fn with_memory(self, memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), ..self }
    }

    /// The same, of a connection that was there before: what moved on it from `since` on was seen, and nothing did.
    #[must_use]
    pub fn watched(self, since: Timestamp) -> Self {
        Self { watched: Some(since), ..self }
    }

    /// Takes in what one call moved and pushes the ops that are thereby complete.
    pub fn feed(&mut self, direction: Direction, chunk: Chunk, out: &mut Vec<Op>) {
        if self.over || self.rest > 0 {
            self.counts.ignored += 1;
            self.rest = self.rest.saturating_sub(1);
            return;
        }
        let now = chunk.at.end;
        let asks = self.role.is_some_and(|role| to_server(role, direction));
        self.rested = self.watched.take().filter(|_| asks);
        self.side(direction).push(chunk);
        self.run(direction, false, out);
        let reverse = direction.reverse();
        if self.side(reverse).is_waiting() {
            self.side(reverse).expire(now);
            self.run(reverse, false, out);
        }
    }

    /// `length` bytes moved that no system call shows (`sendfile`, `splice`). `follows`: they were fed before, or will be,
    /// as packets show them.
    #[expect(clippy::too_many_arguments, reason = "what a call tells")]
    pub fn unseen(
        &mut self,
        direction: Direction,
        position: Position,
        at: Interval,
        tid: u32,
        length: u64,
        follows: bool,
        out: &mut Vec<Op>,
    ) {
        let payload = Payload { captured: bytes::Bytes::new(), size: length };
        let chunk = Chunk { position, at, tid, payload };
        if follows && !self.over && self.rest == 0 {
            (self.watched, self.rested) = (None, None);
            self.side(direction).stream.promise(chunk);
            self.run(direction, false, out);
        } else {
            self.feed(direction, chunk, out);
        }
    }

    /// What to say of the bytes `part` (counted from `position`) that moved in a call without being captured, if the
    /// protocol is known and the position exact.
    #[must_use]
    pub fn unseen_part(
        &self,
        direction: Direction,
        position: Position,
        at: Interval,
        tid: u32,
        part: Range<u64>,
    ) -> Option<Op> {
        let (Some(guess), Some(viewpoint), true) = (&self.guess, self.role, self.established) else {
            return None;
        };
        let Position::Sequence(number) = position else { return None };
        let to_server = to_server(viewpoint, direction);
        let start = u64::from(number).wrapping_add(part.start);
        let length = part.end.saturating_sub(part.start);
        Some(Op {
            system: guess.row.system,
            viewpoint,
            socket: self.socket,
            place: Place { connection: self.key, to_server, start, length, exact: true, part: 0 },
            process: self.process,
            tid,
            at,
            last_enter: at.start,
            client_id: guess.protocol.client_id().cloned(),
            kind: OpKind::Unseen,
        })
    }

    /// A call looked at bytes without taking them: nothing moved.
    pub fn peeked(&mut self) {
        self.counts.peeked += 1;
    }

    /// An unknown number of events was lost that may have been this connection's.
    pub fn gap(&mut self, direction: Direction, out: &mut Vec<Op>) {
        if self.over {
            return;
        }
        (self.watched, self.rested) = (None, None);
        self.side(direction).gap();
        self.run(direction, false, out);
    }

    /// Time has come to `now`, and every event up to a little before it was fed: ends the wait for late chunks.
    /// Without a call of this, a chunk after a loss waits until the next one comes.
    pub fn expire(&mut self, now: Timestamp, out: &mut Vec<Op>) {
        for direction in [Direction::Inward, Direction::Outward] {
            if !self.over && self.side(direction).is_waiting() {
                self.side(direction).expire(now);
                self.run(direction, false, out);
            }
        }
    }

    /// Whether [`Self::expire`] may bring something to light.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.over && (self.inward.is_waiting() || self.outward.is_waiting())
    }

    /// The connection ended, or the process did. Pushes [`OpKind::Disconnect`] if a client was connected that did not
    /// say good-bye.
    pub fn close(&mut self, at: Timestamp, tid: u32, out: &mut Vec<Op>) {
        for direction in [Direction::Inward, Direction::Outward] {
            if !self.over {
                self.side(direction).flush();
                self.run(direction, true, out);
            }
        }
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let (Some(guess), Some(role), true) = (&self.guess, self.role, self.established) else { return };
        if !guess.protocol.is_connected() {
            return;
        }
        let (start, exact) = match role {
            Role::Client => self.outward.end(),
            Role::Server => self.inward.end(),
        };
        self.counts.ops += 1;
        out.push(Op {
            system: guess.row.system,
            viewpoint: role,
            socket: self.socket,
            place: Place { connection: self.key, to_server: true, start, length: 0, exact, part: 0 },
            process: self.process,
            tid,
            at: Interval { start: at, end: at },
            last_enter: at,
            client_id: guess.protocol.client_id().cloned(),
            kind: OpKind::Disconnect { clean: false },
        });
    }

    /// What became of the bytes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        self.inward.count(&mut counts);
        self.outward.count(&mut counts);
        counts
    }

    /// The protocol, once the bytes have shown it.
    #[must_use]
    pub fn system(&self) -> Option<System> {
        self.guess.as_ref().filter(|_| self.established).map(|guess| guess.row.system)
    }

    /// What this process is in the connection, once known.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// `client.id` of the connection's client, if the protocol told it.
    #[must_use]
    pub fn client_id(&self) -> Option<&Arc<str>> {
        self.guess.as_ref().and_then(|guess| guess.protocol.client_id())
    }

    /// Whether a frame is half here in that direction: a program that reads on is not yet back for the next message.
    #[must_use]
    pub fn is_half(&self, direction: Direction) -> bool {
        !self.over
            && match direction {
                Direction::Inward => self.inward.is_half(),
                Direction::Outward => self.outward.is_half(),
            }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Inward => &mut self.inward,
            Direction::Outward => &mut self.outward,
        }
    }

    /// Works on one side as far as its bytes go, and on the other one if this one brought news for it.
    fn run(&mut self, direction: Direction, closing: bool, out: &mut Vec<Op>) {
        let before = (self.established, self.role, self.carrier);
        self.work(direction, closing, out);
        if before != (self.established, self.role, self.carrier) {
            self.work(direction.reverse(), closing, out);
        }
    }

    fn work(&mut self, direction: Direction, closing: bool, out: &mut Vec<Op>) {
        while !self.over && self.carry(direction, closing) && self.guess(direction) {
            let hint = self.hint;
            let Some(guess) = &mut self.guess else { return };
            let known = Known {
                row: guess.row,
                to_server: self.role.map(|role| to_server(role, direction)),
                established: self.established,
                hinted: hint == Some(guess.row.system),
                closing,
                connection: self.key,
                origin: self.role.map(|viewpoint| Origin {
                    system: guess.row.system,
                    process: self.process,
                    socket: self.socket,
                    viewpoint,
                }),
                memory: &self.memory,
            };
            let side = match direction {
                Direction::Inward => &mut self.inward,
                Direction::Outward => &mut self.outward,
            };
            let step = side.advance(&known, &mut *guess.protocol, &mut self.counts, out);
            let strikes = side.strikes;
            match step {
                Step::Found { to_server: way, opens } => {
                    let told = way.map(|to_server| role(to_server, direction));
                    // Before the protocol is established, bytes know better than whoever told the role.
                    let role = if self.established { self.role.or(told) } else { told.or(self.role) };
                    match role.or_else(|| role_by_ports(&self.socket, guess.row)) {
                        Some(role) => {
                            let first = self.from_start && side.is_virgin();
                            if !side.is_virgin() {
                                guess.protocol.resynced(to_server(role, direction));
                            }
                            side.follow(&mut self.counts);
                            self.role = Some(role);
                            self.established = true;
                            if opens || first {
                                self.side(direction.reverse()).begin();
                            }
                        }
                        // Frames, but nobody knows from whom.
                        None if side.wait(&known, &mut self.counts) => {}
                        None => return,
                    }
                }
                Step::Wait if strikes > self.patience() => self.withdraw(),
                Step::Wait => return,
            }
        }
    }

    /// Makes a guess at the protocol if there is none; `false` if that has to wait.
    fn guess(&mut self, direction: Direction) -> bool {
        if self.guess.is_some() {
            return true;
        }
        let patience = self.patience();
        loop {
            let hint = self.hint;
            let tried = self.tried;
            let to_server = self.role.map(|role| to_server(role, direction));
            let side = self.side(direction);
            if side.stream.available() == 0 && !side.fill(to_server) {
                if side.strikes > patience {
                    self.give_up();
                }
                return false;
            }
            let front = side.stream.front();
            let head = front.get(..DETECT_HEAD).unwrap_or(front);
            let best = (0u32..)
                .zip(table())
                .filter(|(index, _)| tried & (1 << index) == 0)
                .map(|(index, row)| {
                    let hinted = hint == Some(row.system);
                    let score = (row.detect)(head, hinted);
                    // A signature is stronger than a port, and a port than what bytes may happen to look like.
                    ((score == Score::Sure, hinted, score), index, row)
                })
                .filter(|((.., score), ..)| *score > Score::No && !head.is_empty())
                // The first of the best.
                .reduce(|best, next| if next.0 > best.0 { next } else { best });
            if let Some((_, index, row)) = best {
                let mut protocol = (row.start)();
                match self.rested {
                    _ if self.from_start => protocol.begin(),
                    Some(since) => protocol.rested(since),
                    None => {}
                }
                self.guess = Some(Guess { row, index, protocol });
                return true;
            }
            let size = side.stream.front_size();
            side.strikes += u32::from(!head.is_empty());
            side.pass(size);
            let strikes = side.strikes;
            self.counts.skipped_bytes = self.counts.skipped_bytes.saturating_add(size);
            if strikes > patience {
                self.give_up();
                return false;
            }
        }
    }

    fn patience(&self) -> u32 {
        match (self.established, self.hint, self.from_start) {
            (true, ..) => PATIENCE_ESTABLISHED,
            (false, Some(_), _) if self.tried == 0 => PATIENCE_HINTED,
            // The hint was wrong, or there is none.
            (false, _, false) => PATIENCE_UNKNOWN,
            (false, _, true) => PATIENCE_FIRST,
        }
    }

    /// The guess was wrong.
    fn withdraw(&mut self) {
        if self.carrier == Carrier::LooksLikeWebSocket {
            self.carrier = Carrier::Itself;
            self.inward.leave();
            self.outward.leave();
            self.guess = None;
        }
        // The port told this protocol, and all patience went into it: nobody else spoke up in the meantime.
        let told = !self.established && self.hint.is_some();
        if let Some(guess) = self.guess.take() {
            if self.established {
                self.hint.get_or_insert(guess.row.system);
            }
            self.tried |= 1 << guess.index;
            if told && self.hint == Some(guess.row.system) {
                self.give_up();
                return;
            }
        }
        self.established = false;
        self.inward.restart();
        self.outward.restart();
        if self.tried.count_ones() as usize >= table().len() {
            self.give_up();
        }
    }

    /// Nothing explains the bytes: for now, if a protocol is expected, else for good.
    fn give_up(&mut self) {
        self.counts.gave_up += 1;
        for direction in [Direction::Inward, Direction::Outward] {
            let side = std::mem::take(self.side(direction));
            side.count(&mut self.counts);
        }
        if self.hint.is_none() {
            self.over = true;
            return;
        }
        let doubled = u32::try_from(self.counts.gave_up - 1).unwrap_or(u32::MAX).min(REST_DOUBLED);
        self.rest = REST << doubled;
        (self.guess, self.tried, self.established) = (None, 0, false);
        (self.carrier, self.from_start) = (Carrier::Unknown, false);
    }
}

fn to_server(role: Role, direction: Direction) -> bool {
    (role == Role::Client) == (direction == Direction::Outward)
}

fn role(to_server: bool, direction: Direction) -> Role {
    if to_server == (direction == Direction::Outward) { Role::Client } else { Role::Server }
}

/// Who listens, as far as the port numbers tell.
fn role_by_ports(socket: &SocketEnd, row: &Row) -> Option<Role> {
    if socket.transport != Transport::Tcp {
        return None;
    }
    let (local, remote) = (socket.local.port(), socket.remote.port());
    match (row.ports.contains(&local), row.ports.contains(&remote)) {
        (true, false) => return Some(Role::Server),
        (false, true) => return Some(Role::Client),
        _ => {}
    }
    match (local < EPHEMERAL, remote < EPHEMERAL) {
        (true, false) => Some(Role::Server),
        (false, true) => Some(Role::Client),
        _ => None,
    }
}
