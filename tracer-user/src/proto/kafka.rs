//! Kafka, by the messages' definitions of Kafka 4.1 (`ProduceRequest.json`, …, named by their versions) and the protocol guide.
//!
//! A frame is a length of 4 bytes and one request or response. A response says only which request it answers, by its correlation
//! id; so requests are remembered until they are answered. A response to one that was not seen is passed over by its length, but kept for
//! a while, for its request may be seen later (`early`).
//! Names of topics and groups come over other connections of the same program: `memory` has them.

mod api;
mod asked;
mod cluster;
mod early;
mod errors;
mod fetch;
mod fold;
mod group;
mod inflate;
mod legacy;
mod message;
mod produce;
mod records;
mod share;
#[cfg(test)]
mod tests;
mod topics;
mod transaction;
mod wire;

use std::sync::Arc;

use super::shared_names::SharedNames;
use super::{FrameView, Header, Outcome, Protocol, Row, Score, Trust, Unusable};
use crate::model::op::{Op, System};

use api::Look;
use asked::Outstanding;
use early::Early;
use topics::Positions;

/// Kafka's row of the table.
pub const ROW: Row = Row {
    system: System::Kafka,
    ports: &[9092],
    // The length; Kafka's own clients and brokers read it on its own.
    apart: 4,
    // Consumers fetch up to a MiB of a partition, and what is not kept of it makes no messages.
    keep: 2 * 1024 * 1024,
    detect,
    resync,
    start: || Box::new(Kafka::default()),
};

/// Bytes of a frame that tell its length and what it is: the length, RequestHeader v1 up to the client id's length.
const HEAD: usize = 14;

/// Bytes of the length field.
const LENGTH: usize = 4;

/// Longest request: brokers accept 100 MiB (`socket.request.max.bytes`).
const REQUEST_MAX: usize = 100 * 1024 * 1024;

/// Shortest request behind its length: RequestHeader v0.
const REQUEST_MIN: usize = 8;

/// Longest response to an unseen request that is passed over by its length: consumers fetch 50 MiB (`fetch.max.bytes`).
const UNASKED_MAX: usize = 64 * 1024 * 1024;

/// What is known of a connection.
#[derive(Debug, Default)]
pub struct Kafka {
    client_id: Option<Arc<str>>,
    /// The group that was told on this connection.
    group: Option<Arc<str>>,
    /// Topics that the group's member was last seen to subscribe to.
    subscribed: Vec<Arc<str>>,
    names: SharedNames,
    asked: Outstanding,
    early: Early,
    positions: Positions,
    /// ApiVersionsRequest was seen.
    greeted: bool,
    /// SaslHandshake v0 was seen: what follows has a length and no header.
    raw: bool,
}

impl Protocol for Kafka {
    fn head(&self) -> usize {
        HEAD
    }

    fn frame(&self, head: &[u8], to_server: Option<bool>, trust: Trust) -> Outcome {
        let Some((length, rest)) = head.split_first_chunk::<LENGTH>() else { return Outcome::NeedMore };
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Outcome::Invalid };
        if to_server == Some(false) {
            self.answer(rest, length, trust)
        } else {
            request(rest, length, trust, self.raw)
        }
    }

    fn fold(&mut self, view: FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        self.fold_frame(&view, out)
    }

    fn client_id(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref()
    }

    /// Never: a client that leaves just closes its connections, and opens and closes some in passing.
    fn is_connected(&self) -> bool {
        false
    }
}

impl Kafka {
    /// The response of `length` bytes whose beginning is `rest`. Where it is not known that a frame begins here, only a number that
    /// was asked for tells one.
    fn answer(&self, rest: &[u8], length: usize, trust: Trust) -> Outcome {
        let len = (LENGTH as u64).saturating_add(length as u64);
        // A token of SASL may be that short.
        let is_token = self.raw && trust == Trust::Follow;
        if length < LENGTH {
            return if is_token { Outcome::Skip { len } } else { Outcome::Invalid };
        }
        let Some((correlation, _)) = rest.split_first_chunk::<4>() else { return Outcome::NeedMore };
        if self.asked.has(i32::from_be_bytes(*correlation)) {
            return Outcome::Frame(Header { len, weight: 2, to_server: Some(false), opens: false });
        }
        match trust {
            // Its request may still come.
            Trust::Follow if length <= UNASKED_MAX => {
                Outcome::Frame(Header { len, weight: 0, to_server: Some(false), opens: false })
            }
            _ => Outcome::Invalid,
        }
    }
}

/// The request of `length` bytes whose beginning is `rest`. `raw`: it may be a token of SASL.
fn request(rest: &[u8], length: usize, trust: Trust, raw: bool) -> Outcome {
    let len = (LENGTH as u64).saturating_add(length as u64);
    if length > REQUEST_MAX {
        return Outcome::Invalid;
    }
    let looked = if length < REQUEST_MIN { Look::Odd } else { api::look(rest, length) };
    let mut header = Header { len, weight: 0, to_server: Some(true), opens: false };
    match (looked, trust) {
        (Look::Tidy(tidy), _) => {
            header.opens = tidy.key == api::key::API_VERSIONS;
            header.weight = match (tidy.software, header.opens, tidy.named) {
                (true, ..) => Header::SIGNATURE,
                (_, true, _) => 3,
                (_, _, true) => 2,
                _ => 1,
            };
            Outcome::Frame(header)
        }
        // All that is looked at of a request whose name is longer than the head is there.
        (Look::Short, Trust::Follow) if rest.len() >= HEAD - LENGTH => Outcome::Frame(header),
        (Look::Short, _) => Outcome::NeedMore,
        (Look::Odd, Trust::Follow) if raw => Outcome::Skip { len },
        (Look::Odd, Trust::Follow) if length >= REQUEST_MIN => match rest.split_first_chunk::<2>() {
            // A request that came after this was written, or from a program that does not care.
            Some((key, _)) if (0..=KEY_MAX).contains(&i16::from_be_bytes(*key)) => Outcome::Frame(header),
            _ => Outcome::Invalid,
        },
        (Look::Odd, _) => Outcome::Invalid,
    }
}

/// Highest API key that is followed; those that are not known are passed over.
const KEY_MAX: i16 = 255;

fn detect(head: &[u8], hint: bool) -> Score {
    match Kafka::default().frame(head, Some(true), Trust::Search) {
        Outcome::Frame(header) if header.weight >= Header::SIGNATURE => Score::Sure,
        Outcome::Frame(_) => Score::Possible,
        // The length alone, of less than 16 MiB: how Kafka's broker reads it.
        Outcome::NeedMore if head.len() >= LENGTH && head.first() == Some(&0) => Score::Possible,
        _ if hint => Score::Hinted,
        _ => Score::No,
    }
}

/// Where a request begins, or where the length of a response could: those between two frames of which nothing is known are
/// found by the number behind it, which only the connection knows.
fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|&index| {
        let rest = bytes.get(index..).unwrap_or(&[]);
        match rest.split_first_chunk::<LENGTH>() {
            None => true,
            // At most 64 MiB, and a number that a program reaches within its first sixteen million requests.
            Some((length, behind)) => {
                let length = u32::from_be_bytes(*length);
                (4..=UNASKED_MAX as u32).contains(&length) && behind.first().is_none_or(|first| *first == 0)
            }
        }
    })
}
