//! Operations on messages, the same for every protocol: what causality understands.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::command::Value;
use super::net::{ConnectionKey, Role, SocketEnd};
use super::payload::Payload;
use super::process::ProcessKey;
use super::time::Interval;

/// A message broker's protocol as `messaging.system` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum System {
    Mqtt,
    Rabbitmq,
    Kafka,
    Nats,
    Redis,
}

impl System {
    /// The value of `messaging.system`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Rabbitmq => "rabbitmq",
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

/// Which bytes of a connection an operation is: the same from both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The connection.
    pub connection: ConnectionKey,
    /// Whether the bytes go from client to server.
    pub to_server: bool,
    /// Position of the first byte. With [`Self::exact`]: the absolute (TCP) position, modulo 2^32.
    pub start: u64,
    /// Number of bytes.
    pub length: u64,
    /// Whether [`Self::start`] is the kernel's number; else bytes were counted from the first one seen.
    pub exact: bool,
    /// Which of the messages that these bytes carry, from 0: a batch has many.
    pub part: u32,
}

/// Within what a settle id means one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The connection: MQTT packet ids, AMQP delivery tags.
    #[default]
    Connection,
    /// The client's session, which outlives its connections: MQTT packet ids where the broker keeps the session.
    Session,
    /// The broker: programs may acknowledge on another connection (NATS acks, Redis `XACK`).
    Broker,
}

/// Which of the copies that a broker makes of what is published a delivery is from: each has its messages in an order of
/// its own, that in which the broker took them, each once. Both ends of a connection give it the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Feed {
    /// The client's, of which it has one as far as is known: MQTT without subscription identifiers, Redis channels, logs.
    #[default]
    Client,
    /// That of one of the connection's subscriptions: NATS subscription ids, MQTT 5's identifiers, Redis patterns.
    Subscription(u64),
    /// That of a queue or group of the broker, from which each message goes to one of the consumers, on whatever connection:
    /// AMQP queues, Redis lists and groups, NATS queue groups and JetStream consumers, MQTT's shared subscriptions.
    Shared(u64),
}

impl Feed {
    /// The feed of the connection's subscription that is called so.
    #[must_use]
    pub fn of_subscription(name: &[u8]) -> Self {
        Self::Subscription(number(name))
    }

    /// The feed of the queue or group that is called so.
    #[must_use]
    pub fn shared(name: &[u8]) -> Self {
        Self::Shared(number(name))
    }
}

/// A number for a name: the same at both ends, always.
fn number(name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(name);
    hasher.finish()
}

/// Where a message lies in a partitioned log (Kafka).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Partition of the destination.
    pub partition: i32,
    /// Its number there.
    pub offset: i64,
}

/// How far a consumer group is with one partition: everything before the position is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// [`Message::destination`].
    pub destination: Arc<str>,
    /// Partition, and the offset of the first message that is not settled.
    pub next: Position,
}

/// One operation as one end of a connection saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Which protocol.
    pub system: System,
    /// Whether the client or the broker (server) saw it.
    pub viewpoint: Role,
    /// The socket of the process that saw it.
    pub socket: SocketEnd,
    /// The bytes that carried it.
    pub place: Place,
    /// The process that saw it.
    pub process: ProcessKey,
    /// The thread that completed it.
    pub tid: u32,
    /// From the entry of the call that moved its first byte to the exit of the call that moved its last.
    pub at: Interval,
    /// Entry of the call that moved the last byte.
    pub last_enter: super::time::Timestamp,
    /// `client.id` of the connection's client as the protocol has it, if known.
    pub client_id: Option<Arc<str>>,
    /// What it is.
    pub kind: OpKind,
}

/// What a message says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// Topic, subject, `exchange:key`, stream, …
    pub destination: Arc<str>,
    /// Of a delivery: the destination under which it was published, where that has another name (AMQP's
    /// `exchange:key` of `exchange:key:queue`).
    pub published_as: Option<Arc<str>>,
    /// Of a delivery that the broker moved since (AMQP's dead letters): the destination under which it was published at first. It was
    /// published there unless it was under the other name.
    pub published_first: Option<Arc<str>>,
    /// What stands for the destination in names and metrics, if it is made for one exchange only (a reply's inbox).
    pub template: Option<Arc<str>>,
    /// Consumer group, queue group or shared subscription through which it was delivered.
    pub group: Option<Arc<str>>,
    /// Of a delivery: which copy it is from.
    pub feed: Feed,
    /// Identity of the message within its scope and direction until it is settled (MQTT packet id, delivery tag).
    pub settle_id: Option<u64>,
    /// Scope of the settle id.
    pub scope: Scope,
    /// Where it lies in a log, of deliveries.
    pub position: Option<Position>,
    /// Of a publish: the transaction that it is part of, by the name that its producer gives it. See [`OpKind::TransactionEnded`].
    pub transaction: Option<Arc<str>>,
    /// Of a delivery that came with others as the answer to one request, where they do not share their bytes (NATS's pulls): what
    /// [`OpKind::Received`] will call them, unless it turns out to have come alone.
    pub batch: Option<u64>,
    /// Identity that the protocol gives the message for good (message-id, offset, stream entry), if any.
    pub id: Option<Arc<str>>,
    /// The body.
    pub body: Payload,
    /// Whether the broker kept it from earlier (MQTT retained delivery).
    pub retained: bool,
    /// Whether the sender asked the broker to keep it (MQTT retain on publish).
    pub retain: bool,
    /// Whether it is (or may be) sent again.
    pub redelivered: bool,
    /// Whether the receiver has to settle it (QoS 1 and 2, acknowledged delivery).
    pub needs_settle: bool,
    /// Whether [`Self::needs_settle`] is only presumed, because what was agreed on was not seen: if nobody settles it, nothing is
    /// said to be wrong.
    pub settle_is_presumed: bool,
    /// Headers that carry context or identity: name, value.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Further span attributes.
    pub attributes: Cow<'static, [(&'static str, Value)]>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Low-cardinality name.
    pub kind: Cow<'static, str>,
    /// What the broker says, for people; may be empty.
    pub text: Arc<str>,
}

impl Message {
    /// Whether it is an error if the receiver does not settle it.
    #[must_use]
    pub fn must_be_settled(&self) -> bool {
        self.needs_settle && !self.settle_is_presumed
    }
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq)]
pub enum OpKind {
    /// A client asks for a connection; `will` is published for it if it vanishes.
    Connect {
        /// The last will, if it left one.
        will: Option<Box<Message>>,
    },
    /// The broker's answer to that; `error` if it refused.
    Connected {
        /// Low-cardinality name of the reason.
        error: Option<Cow<'static, str>>,
    },
    /// A client sends a message to the broker.
    Publish(Box<Message>),
    /// The broker has taken over the message with this settle id (PUBACK, PUBCOMP, confirm): the publish is over.
    PublishSettled {
        /// [`Message::settle_id`] of the publish, on the same connection.
        id: u64,
        /// Low-cardinality name of the reason, if the broker refused.
        error: Option<Cow<'static, str>>,
        /// [`Message::id`] that the broker gave it (offset, entry id, stream sequence): deliveries carry the same.
        given: Option<Arc<str>>,
    },
    /// The broker sends a message to a client.
    Deliver(Box<Message>),
    /// Deliveries came as the answer to one request of the client: those of these bytes (all with [`Op::place`]'s start), or
    /// those of a batch, from the first to the last of which [`Op::at`] goes.
    Received {
        /// How many, at least 1.
        count: u32,
        /// Their [`Message::batch`].
        batch: Option<u64>,
    },
    /// A client settles deliveries.
    Settle {
        /// `ack`, `nack`, `reject`: names the span.
        name: &'static str,
        /// [`Message::settle_id`]s.
        ids: Vec<u64>,
        /// Their scope.
        scope: Scope,
        /// Whether the message is thereby refused.
        error: Option<Cow<'static, str>>,
    },
    /// A client settles all deliveries of a group up to a position each, on whatever connection they came.
    Commit {
        /// Consumer group.
        group: Arc<str>,
        /// How far it is.
        upto: Vec<Committed>,
        /// Low-cardinality name of the reason, if the broker refused.
        error: Option<Cow<'static, str>>,
        /// The transaction that it is part of: it holds if that is committed.
        transaction: Option<Arc<str>>,
    },
    /// The broker has ended a producer's transaction: its publishes, on whatever connection, count from now on, or never will. The
    /// next one may have the same name.
    TransactionEnded {
        /// [`Message::transaction`].
        name: Arc<str>,
        /// Whether they count.
        committed: bool,
    },
    /// A client subscribes.
    Subscribe {
        /// Topic filters.
        filters: Vec<Arc<str>>,
        /// Through which [`Message::feed`] comes what they cover, if they have one of their own.
        feed: Feed,
    },
    /// A client asked the broker for something other than a message, and was answered: AMQP's exchanges, queues and bindings. [`Op::place`] is
    /// the request's, [`Op::at`] goes to the end of the answer.
    Request {
        /// As the protocol calls it (`queue.declare`): names the span.
        name: &'static str,
        /// Destination and attributes say what it was about; the rest is empty.
        message: Box<Message>,
        /// If the broker refused.
        error: Option<Refusal>,
    },
    /// A client leaves. `clean`: it said so, its will is void.
    Disconnect {
        /// Whether it said so.
        clean: bool,
    },
    /// Bytes moved in this call that were not captured: [`Op::place`] says which. Messages that begin in them are known
    /// from the other end only.
    Unseen,
    /// The broker or the client reports an error.
    Error {
        /// Low-cardinality name.
        kind: Cow<'static, str>,
    },
}
