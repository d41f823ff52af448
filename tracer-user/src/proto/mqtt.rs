//! MQTT 3.1.1, by the OASIS standard of 29 October 2014; section numbers and `[MQTT-…]` statements refer to it.
//!
//! MQTT 3.1 (level 3) differs only in CONNECT. MQTT 5 is recognised, and its properties are stepped over so that
//! topics, bodies and reasons come out right; what the properties say is not read.
//!
//! Acknowledgements carry all that an op needs (the packet identifier), so none are kept outstanding here: a
//! connection's state is its client, its level and a bounded cache of topics.

mod fold;
mod packet;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::shared_names::SharedNames;
use super::{FrameView, Header, Outcome, Protocol, Row, Score, Trust, Unusable};
use crate::model::op::{Op, System};
use crate::track::stream::KEEP_BYTES;

use packet::{Fixed, Level, Packet};

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
    let fixed = match Fixed::read(head, level) {
        Ok(fixed) => fixed,
        Err(Unusable::Cut) => return Outcome::NeedMore,
        Err(Unusable::Malformed) => return Outcome::Invalid,
    };
    let direction = fixed.direction(level);
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
                Ok((_, read)) if *read != level && fixed.remaining > 3 => 0,
                Err(Unusable::Cut) => 0,
                Ok((packet, _)) => packet.weight(),
            };
            Outcome::Frame(header)
        }
    }
}
