//! Redis: RESP2 and RESP3 by the serialization protocol specification (redis.io, `develop/reference/protocol-spec`), commands
//! as Redis 7 has them.
//!
//! Three ways of sending messages: pub/sub, streams, and lists used as queues. Answers do not say which request they
//! belong to: [`order`] matches them, and says what happens where bytes are missing. A frame is a whole small command or
//! answer, or one element of a greater one ([`resp`]); requests are put together (`request`), answers are read as they come
//! (`reply`).

mod answer;
mod calm;
mod entry;
mod inline;
mod names;
mod order;
mod reply;
mod request;
mod resp;
mod search;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::shared_names::SharedNames;
use super::{FrameView, Outcome, Protocol, Row, Trust, Unusable};
use crate::model::op::{Op, System};
use crate::model::time::{Interval, Timestamp};
use crate::track::stream::KEEP_BYTES;

use entry::{Arg, Fields};
use order::{Order, Reading};
use reply::Reply;
use request::{Half, Replies, Transaction};

/// Redis' row of the table.
pub const ROW: Row = Row {
    system: System::Redis,
    ports: &[6379],
    // Clients and servers read whatever there is.
    apart: 0,
    detect: search::detect,
    resync: search::resync,
    keep: KEEP_BYTES,
    start: || Box::new(Redis::default()),
};

/// What is known of a connection.
#[derive(Debug, Default)]
pub struct Redis {
    client_id: Option<Arc<str>>,
    names: SharedNames,
    order: Order,
    /// Where the last frame of each direction ended.
    requests: Follows,
    answers: Follows,
    /// The request that was begun, and the arguments of it that are here.
    half: Option<Half>,
    arguments: Vec<Arg>,
    transaction: Option<Transaction>,
    replies: Replies,
    reply: Reply,
    fields: Fields,
    /// What was last read of streams, and whether it was the same before: who reads goes on reading so.
    reading: Option<Arc<Reading>>,
    reads_on: bool,
    /// The lists that were last popped from.
    lists: Option<Arc<[Arc<str>]>>,
    /// The client subscribed: an array may be a push.
    subscribed: bool,
    /// MONITOR was sent, and confirmed.
    monitoring: bool,
    monitored: bool,
    /// The answer that is being read came before its request was seen.
    early: bool,
    /// The first bytes were to be seen.
    began: bool,
    /// Another protocol follows: replication.
    over: bool,
}

impl Protocol for Redis {
    fn begin(&mut self) {
        self.began = true;
        self.order.begin();
    }

    fn rested(&mut self, since: Timestamp) {
        self.order.moved(Interval { start: since, end: since });
    }

    fn resynced(&mut self, to_server: bool) {
        let side = if to_server { &mut self.requests } else { &mut self.answers };
        side.passed_over = true;
    }

    fn head(&self) -> usize {
        resp::HEAD
    }

    fn frame(&self, head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
        match trust {
            _ if self.over => Outcome::End,
            Trust::Follow => search::follow(head, to_server, self.reply.line),
            Trust::Search => search::search(head, to_server),
        }
    }

    fn fold(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let done = if view.to_server { self.fold_request(&view, out) } else { self.fold_reply(&view, out) };
        self.order.moved(view.at);
        done
    }

    fn client_id(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref()
    }

    fn is_connected(&self) -> bool {
        // Clients of Redis leave by closing the connection.
        false
    }
}

/// Whether frames of one direction lie one behind the other.
#[derive(Debug, Default)]
struct Follows {
    /// Where the last one ended, and whether that is the kernel's number.
    end: Option<(u64, bool)>,
    /// Bytes before the next one were passed over.
    passed_over: bool,
}

impl Follows {
    /// Whether nothing is missing before this frame, as far as is known.
    fn follows(&mut self, view: &FrameView<'_>) -> bool {
        // TCP's positions are modulo 2^32.
        let position = |number: u64| if view.place.exact { number & u64::from(u32::MAX) } else { number };
        let follows = !std::mem::take(&mut self.passed_over)
            && self.end.is_none_or(|end| end == (position(view.place.start), view.place.exact));
        self.end = Some((position(view.place.start.wrapping_add(view.place.length)), view.place.exact));
        follows
    }
}
