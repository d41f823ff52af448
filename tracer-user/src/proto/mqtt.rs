//! MQTT 3.1.1, by the OASIS standard of 29 October 2014; section numbers and `[MQTT-…]` statements refer to it.
//!
//! MQTT 3.1 (level 3) differs only in CONNECT. MQTT 5 (OASIS standard of 7 March 2019) is named where it is meant.
//!
//! Acknowledgements carry all that an op needs (the packet identifier), so none are kept outstanding here: a
//! connection's state is its client, its level, its subscriptions, its topic aliases and a bounded cache of topics.
//!
//! A PUBLISH whose topic alias was defined before anybody listened makes no op and is counted ([`Counts::undefined`](super::Counts::undefined)): a
//! message without a destination could not be followed through the broker. Each end of a connection knows what it saw
//! itself; where only one of them missed the definition, the message is known from the other. After a loss in one
//! direction, that direction's aliases are forgotten, for one of them may have been given another meaning.

mod aliases;
mod fold;
mod message;
mod packet;
mod reason;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::shared_names::SharedNames;
use super::{FrameView, Header, Outcome, Protocol, Row, Score, Trust, Unusable};
use crate::model::op::{Op, Scope, System};
use crate::track::stream::KEEP_BYTES;

use aliases::Aliases;
use packet::{Fixed, Level, Packet};
use subscriptions::Subscriptions;

/// MQTT's row of the table.
pub const ROW: Row = Row {
    system: System::Mqtt,
    ports: &[1883, 8883],
    // The fixed header; libmosquitto reads it byte by byte.
    apart: 5,
    keep: KEEP_BYTES,
    detect,
    resync,
    start: || Box::new(Mqtt::default()),
};

/// Bytes of a frame that tell its length and that they are no garbage: a fixed header of 5 (section 2.2) and the
/// protocol name of CONNECT, 8 with its length in version 3.1.
const HEAD: usize = 13;

/// What is known of a connection.
#[derive(Debug, Default)]
pub struct Mqtt {
    level: Level,
    client_id: Option<Arc<str>>,
    topics: SharedNames,
    /// Names of headers, response topics, content types: few, and the same in every message.
    names: SharedNames,
    /// Topic aliases from the client and to it.
    aliases_up: Aliases,
    aliases_down: Aliases,
    subscriptions: Subscriptions,
    /// Within what packet identifiers mean one message.
    scope: Scope,
    /// Something was exchanged.
    seen: bool,
    /// The client said good-bye, or was refused.
    gone: bool,
}

impl Protocol for Mqtt {
    fn head(&self) -> usize {
        HEAD
    }

    fn frame(&self, head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
        frame(head, self.level, to_server, trust)
    }

    fn fold(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        self.fold_packet(view, out)
    }

    fn client_id(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref()
    }

    fn is_connected(&self) -> bool {
        self.seen && !self.gone
    }
}

fn detect(head: &[u8], hint: bool) -> Score {
    match frame(head, Level::Unknown, None, Trust::Search) {
        Outcome::Frame(header) if header.weight >= Header::SIGNATURE => Score::Sure,
        Outcome::Frame(_) | Outcome::NeedMore => Score::Possible,
        _ if hint => Score::Hinted,
        _ => Score::No,
    }
}

fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|&index| {
        let rest = bytes.get(index..).unwrap_or(&[]);
        frame(rest, Level::Unknown, None, Trust::Search) != Outcome::Invalid
    })
}

/// The packet that begins with `head`.
fn frame(head: &[u8], level: Level, to_server: Option<bool>, trust: Trust) -> Outcome {
    let sure = level.sure();
    let fixed = match Fixed::read(head, sure) {
        Ok(fixed) => fixed,
        Err(Unusable::Cut) => return Outcome::NeedMore,
        Err(Unusable::Malformed) => return Outcome::Invalid,
    };
    let direction = fixed.direction(sure);
    if direction.is_some() && to_server.is_some() && direction != to_server {
        return Outcome::Invalid;
    }
    let opens = fixed.kind == packet::CONNECT;
    let mut header = Header { len: fixed.len(), weight: 0, to_server: direction, opens };
    match (trust, fixed.peek(head)) {
        (_, Err(Unusable::Malformed)) => Outcome::Invalid,
        (Trust::Follow, _) => Outcome::Frame(header),
        (Trust::Search, _) if !fixed.is_tidy() => Outcome::Invalid,
        (Trust::Search, looked) => {
            let packet = Packet::read(head, &fixed, level);
            header.weight = match &packet {
                Err(Unusable::Malformed) => return Outcome::Invalid,
                Ok((packet, _)) if !packet.is_tidy() => return Outcome::Invalid,
                // The name of the protocol is in it.
                _ if opens && looked.is_ok() => Header::SIGNATURE,
                // What only MQTT 5 would allow says little, but for an acknowledgement with its reason.
                Ok((packet, Level::MaybeFive))
                    if level == Level::Unknown
                        && fixed.remaining > 3
                        && !matches!(packet, Packet::Publish(_)) =>
                {
                    0
                }
                Err(Unusable::Cut) => 0,
                Ok((packet, _)) => packet.weight(),
            };
            Outcome::Frame(header)
        }
    }
}
