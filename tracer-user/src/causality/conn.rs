//! Connections, brokers and subscribers: who is at which end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use super::hop::filter::covers;
use super::message::{Batches, Together};
use super::node::{Handle, View};
use super::table::Table;
use crate::model::net::{ConnectionKey, Role, SocketEnd, Transport};
use crate::model::op::{Feed, Message, Op, OpKind, System};
use crate::model::process::ProcessKey;
use crate::model::time::Timestamp;
use crate::span::message::Line;

/// Most connections that are followed: a broker's usual limit of open files is 1024, a large one's 16,384.
const MAX_CONNECTIONS: usize = 16_384;

/// Most subscribers (client ids) that are remembered over their connections.
const MAX_SUBSCRIBERS: usize = 16_384;

/// Most brokers; more addresses than these share nothing.
const MAX_BROKERS: usize = 1024;

/// Most subscriptions of one client that are remembered.
const MAX_FILTERS: usize = 64;

/// Most messages in one direction that wait for their other end where positions do not say which it is.
const MAX_WAITING: usize = 256;

/// Most deliveries of a connection that wait to be read or handled.
const MAX_OPEN: usize = 4096;

/// Most calls of a connection of which some bytes were not captured that are remembered: a client that writes faster
/// than its broker reads has some calls' bytes on the way.
const MAX_UNSEEN: usize = 16;

/// Which bytes, for joining two ends: connection, start, direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PlaceKey {
    connection: u32,
    pub(super) start: u32,
    to_server: bool,
    part: u32,
}

/// A connection.
pub(super) struct Conn {
    /// Never used again, unlike the slot.
    pub(super) serial: u32,
    pub(super) line: Arc<Line>,
    pub(super) broker: u32,
    /// The process at the client's end, if it is traced.
    pub(super) client: Option<ProcessKey>,
    /// Whether the broker's end is traced.
    pub(super) broker_seen: bool,
    pub(super) client_id: Option<Arc<str>>,
    /// Serial of the subscriber, and its slot.
    pub(super) subscriber: u32,
    subscriber_slot: Option<u32>,
    /// The client's last will, and the operation that carried it.
    pub(super) will: Option<(Box<Message>, Op)>,
    /// The client has said good-bye.
    pub(super) left: bool,
    pub(super) opened: Timestamp,
    /// Number of messages without absolute position so far, by direction.
    pub(super) ordinals: [u64; 2],
    /// Messages seen at one end only, by direction.
    pub(super) waiting: [VecDeque<Handle>; 2],
    /// Deliveries that the client read and has not come back from.
    pub(super) open: VecDeque<Handle>,
    /// Deliveries that the client was not seen to read yet.
    pub(super) unread: VecDeque<Handle>,
    /// Deliveries that came together, as the client and as the broker saw it.
    pub(super) batches: [Batches; 2],
    /// The last receives of several messages.
    pub(super) received: VecDeque<(Together, Handle)>,
    /// The last requests, and who saw them.
    pub(super) requests: VecDeque<(PlaceKey, Role, Handle)>,
    /// Calls of the client that sent bytes which were not captured.
    pub(super) unseen: VecDeque<(Op, View)>,
}

impl Conn {
    /// The key of the bytes at `op`'s place.
    pub(super) fn place(&self, op: &Op) -> PlaceKey {
        #[expect(clippy::cast_possible_truncation, reason = "TCP positions are modulo 2^32")]
        let start = op.place.start as u32;
        PlaceKey { connection: self.serial, start, to_server: op.place.to_server, part: op.place.part }
    }

    /// Adds to a bounded queue; what had to make room.
    pub(super) fn queue(queue: &mut VecDeque<Handle>, handle: Handle) -> Option<Handle> {
        let old = if queue.len() >= MAX_OPEN { queue.pop_front() } else { None };
        queue.push_back(handle);
        old
    }

    /// The client's call in which the message at `op`'s place was sent, if it was not captured.
    pub(super) fn sent_unseen(&self, op: &Op) -> Option<&(Op, View)> {
        let start = op.place.start as u32;
        let sent = |(call, _): &&(Op, View)| {
            u64::from(start.wrapping_sub(call.place.start as u32)) < call.place.length
        };
        if op.place.exact { self.unseen.iter().rev().find(sent) } else { None }
    }

    /// The client sent bytes which were not captured.
    pub(super) fn send_unseen(&mut self, op: Op, view: View) {
        if self.unseen.len() >= MAX_UNSEEN {
            self.unseen.pop_front();
        }
        self.unseen.push_back((op, view));
    }

    /// Adds a message that waits for its other end.
    pub(super) fn wait(&mut self, to_server: bool, handle: Handle, done: impl Fn(Handle) -> bool) {
        let [to_client, to_broker] = &mut self.waiting;
        let queue = if to_server { to_broker } else { to_client };
        while queue.front().is_some_and(|&front| done(front)) || queue.len() >= MAX_WAITING {
            queue.pop_front();
        }
        queue.push_back(handle);
    }
}

struct Filter {
    name: Arc<str>,
    feed: Feed,
    at: Timestamp,
}

#[derive(Default)]
struct Subscriber {
    serial: u32,
    filters: Vec<Filter>,
}

/// Address of a broker, with the network namespace where the address means nothing without it.
type BrokerKey = (u64, SocketAddr);

/// All connections.
pub(super) struct Conns {
    table: Table<ConnectionKey, Conn>,
    subscribers: Table<(u32, Arc<str>), Subscriber>,
    by_address: HashMap<BrokerKey, u32>,
    by_process: HashMap<ProcessKey, u32>,
    brokers: u32,
    serials: u32,
}

impl Default for Conns {
    fn default() -> Self {
        Self {
            table: Table::new(MAX_CONNECTIONS),
            subscribers: Table::new(MAX_SUBSCRIBERS),
            by_address: HashMap::new(),
            by_process: HashMap::new(),
            brokers: 0,
            serials: 0,
        }
    }
}

impl Conns {
    pub(super) fn get(&self, slot: u32) -> Option<&Conn> {
        self.table.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Conn> {
        self.table.get_mut(slot)
    }

    pub(super) fn find(&mut self, key: &ConnectionKey) -> Option<u32> {
        self.table.find(key)
    }

    fn serial(&mut self) -> u32 {
        self.serials = self.serials.wrapping_add(1);
        self.serials
    }

    /// The slot of the connection that `op` was seen on, brought up to date with what `op` tells of its ends.
    pub(super) fn enter(&mut self, op: &Op, evicted: &mut u64) -> u32 {
        let found = self.table.find(&op.place.connection);
        let is_server = op.viewpoint == Role::Server;
        // A connect is the first thing on a connection: the addresses are used again. The other end's view of the
        // same connect comes within moments and finds the connection new.
        let anew = |conn: &Conn| {
            matches!(op.kind, OpKind::Connect { .. })
                && op.last_enter.since(conn.opened) > 1_000_000_000
                && if is_server { conn.broker_seen } else { conn.client.is_some() }
        };
        let slot = match found {
            Some(slot) if !self.table.get(slot).is_some_and(anew) => slot,
            Some(slot) => {
                let conn = self.make(op);
                if let Some(place) = self.table.get_mut(slot) {
                    *place = conn;
                }
                slot
            }
            None => {
                let conn = self.make(op);
                let (slot, old) = self.table.insert(op.place.connection, conn);
                *evicted += u64::from(old.is_some());
                slot
            }
        };
        let broker = is_server.then(|| self.broker_of(op));
        if let Some(conn) = self.table.get_mut(slot) {
            if let Some(broker) = broker {
                conn.broker = broker;
                conn.broker_seen = true;
            } else {
                conn.client = Some(op.process);
            }
        }
        if let Some(id) = &op.client_id {
            // Only MQTT has its brokers see to it that no two clients have one name (3.1.1, section 3.1.4).
            if op.system == System::Mqtt {
                self.name(slot, id, evicted);
            } else if let Some(conn) = self.table.get_mut(slot) {
                conn.client_id.get_or_insert_with(|| id.clone());
            }
        }
        slot
    }

    fn make(&mut self, op: &Op) -> Conn {
        let (server, client) = match op.viewpoint {
            Role::Server => (op.socket.local, op.socket.remote),
            Role::Client => (op.socket.remote, op.socket.local),
        };
        let is_unix = op.socket.transport == Transport::Unix;
        let word = |address: SocketAddr| if is_unix { "unix".into() } else { address.to_string().into() };
        let line = Line { server: word(server), client: word(client) };
        let broker = self.broker_of(op);
        let serial = self.serial();
        Conn {
            serial,
            line: Arc::new(line),
            broker,
            client: None,
            broker_seen: false,
            client_id: None,
            subscriber: serial,
            subscriber_slot: None,
            will: None,
            left: false,
            opened: op.at.start,
            ordinals: [0; 2],
            waiting: [VecDeque::new(), VecDeque::new()],
            open: VecDeque::new(),
            unread: VecDeque::new(),
            batches: [Batches::default(), Batches::default()],
            received: VecDeque::new(),
            requests: VecDeque::new(),
            unseen: VecDeque::new(),
        }
    }

    /// The broker that `op` was exchanged with. One process is one broker, by whichever of its addresses it is
    /// reached; an address is one broker where its process is not seen.
    fn broker_of(&mut self, op: &Op) -> u32 {
        if op.viewpoint == Role::Server
            && let Some(&broker) = self.by_process.get(&op.process)
        {
            let key = broker_key(&op.socket, op.socket.local);
            if self.by_address.len() < MAX_BROKERS {
                self.by_address.insert(key, broker);
            }
            return broker;
        }
        let address = if op.viewpoint == Role::Server { op.socket.local } else { op.socket.remote };
        let key = broker_key(&op.socket, address);
        let broker = match self.by_address.get(&key) {
            Some(&broker) => broker,
            None => {
                self.brokers = self.brokers.wrapping_add(1);
                if self.by_address.len() < MAX_BROKERS {
                    self.by_address.insert(key, self.brokers);
                }
                self.brokers
            }
        };
        if op.viewpoint == Role::Server && self.by_process.len() < MAX_BROKERS {
            self.by_process.insert(op.process, broker);
        }
        broker
    }

    /// A broker's process is gone: the next one at its address is the same broker again, with nothing kept in order.
    pub(super) fn broker_gone(&mut self, process: ProcessKey) {
        self.by_process.remove(&process);
    }

    /// The client of the connection in `slot` calls itself `id`.
    fn name(&mut self, slot: u32, id: &Arc<str>, evicted: &mut u64) {
        let Some(conn) = self.table.get_mut(slot) else { return };
        if conn.client_id.as_ref() == Some(id) {
            return;
        }
        conn.client_id = Some(id.clone());
        let key = (conn.broker, id.clone());
        let subscriber_slot = match self.subscribers.find(&key) {
            Some(slot) => slot,
            None => {
                let subscriber = Subscriber { serial: conn.subscriber, filters: Vec::new() };
                let (slot, old) = self.subscribers.insert(key, subscriber);
                *evicted += u64::from(old.is_some());
                slot
            }
        };
        conn.subscriber_slot = Some(subscriber_slot);
        if let Some(subscriber) = self.subscribers.get(subscriber_slot) {
            conn.subscriber = subscriber.serial;
        }
    }

    fn subscriber(&self, conn: &Conn) -> Option<&Subscriber> {
        self.subscribers.get(conn.subscriber_slot?).filter(|subscriber| subscriber.serial == conn.subscriber)
    }

    /// The client of the connection in `slot` subscribed.
    pub(super) fn subscribed(
        &mut self,
        slot: u32,
        system: System,
        (filters, feed): (&[Arc<str>], Feed),
        at: Timestamp,
        evicted: &mut u64,
    ) {
        let Some(conn) = self.table.get(slot) else { return };
        if conn.subscriber_slot.is_none() {
            // Without a name the connection itself is the subscriber.
            let serial = conn.serial;
            let key = (conn.broker, Arc::from(format!("\0{serial}")));
            let (subscriber, old) = self.subscribers.insert(key, Subscriber { serial, filters: Vec::new() });
            *evicted += u64::from(old.is_some());
            if let Some(conn) = self.table.get_mut(slot) {
                conn.subscriber = serial;
                conn.subscriber_slot = Some(subscriber);
            }
        }
        let Some(conn) = self.table.get(slot) else { return };
        let (serial, subscriber_slot) = (conn.subscriber, conn.subscriber_slot);
        let Some(subscriber) = subscriber_slot.and_then(|slot| self.subscribers.get_mut(slot)) else {
            return;
        };
        if subscriber.serial != serial {
            return;
        }
        for filter in filters {
            // Of MQTT's, one with the same filter replaces the one before, with whatever identifier (MQTT 5, section 3.8.4).
            let replaces = system == System::Mqtt;
            let is_same = |known: &&mut Filter| known.name == *filter && (known.feed == feed || replaces);
            if let Some(known) = subscriber.filters.iter_mut().find(is_same) {
                (known.feed, known.at) = (feed, at);
                continue;
            }
            if subscriber.filters.len() >= MAX_FILTERS {
                // Programs that subscribe anew each time do it with another number.
                subscriber.filters.remove(0);
            }
            subscriber.filters.push(Filter { name: filter.clone(), feed, at });
        }
    }

    /// When the client of `conn` subscribed to `destination` for `feed`, and whether by several filters; `None` if not seen.
    pub(super) fn subscription(
        &self,
        conn: &Conn,
        system: System,
        destination: &str,
        feed: Feed,
    ) -> Option<(Timestamp, bool)> {
        let subscriber = self.subscriber(conn)?;
        let of = |feed: Feed| {
            // Where MQTT's deliveries name no subscription, any may be meant.
            let any = feed == Feed::Client && system == System::Mqtt;
            let is_of = move |known: &&Filter| known.feed == feed || any;
            subscriber.filters.iter().filter(is_of).filter(|known| covers(system, &known.name, destination))
        };
        // A subscription does not always say which copy it is.
        let feed = if of(feed).next().is_some() { feed } else { Feed::Client };
        let mut covering = of(feed);
        let first = covering.next()?;
        let (earliest, several) =
            covering.fold((first.at, false), |(earliest, _), known| (earliest.min(known.at), true));
        Some((earliest, several || subscriber.filters.len() >= MAX_FILTERS))
    }
}

fn broker_key(socket: &SocketEnd, address: SocketAddr) -> BrokerKey {
    let local = address.ip().is_loopback() || address.ip().is_unspecified();
    (if local { socket.namespace } else { 0 }, address)
}
