//! What carries the protocol's bytes: the connection itself, or a WebSocket in it.

use super::{Connection, role, to_server};
use crate::model::net::Direction;
use crate::model::op::System;
use crate::proto::websocket::{Begin, Recognised};
use crate::proto::{Outcome, Trust, table};

/// What carries the protocol's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The connection, unless its bytes say something else.
    Unknown,
    /// The connection: what looked like a WebSocket's frames was none.
    Itself,
    /// A WebSocket, as its frames look.
    LooksLikeWebSocket,
    /// A WebSocket, as its HTTP exchange said.
    WebSocket,
}

impl Connection {
    /// Finds out what carries the protocol's bytes; `false` if that has to wait.
    pub(super) fn carry(&mut self, direction: Direction, closing: bool) -> bool {
        if self.established || self.carrier != Carrier::Unknown {
            return true;
        }
        let hint = self.hint;
        let is_frame = |head: &[u8], len: u64, to_server: bool| {
            let rows = table().iter().filter(|row| hint.is_none_or(|hint| hint == row.system));
            // The whole of it, or the first of several.
            rows.map(|row| (row.start)().frame(head, Some(to_server), Trust::Search)).any(|outcome| {
                matches!(outcome, Outcome::Frame(header) if header.len == len && header.weight > 0
                    || header.len < len && header.weight > 1)
            })
        };
        // The protocols that have a binding to WebSockets.
        let carried = hint.map(|hint| matches!(hint, System::Mqtt | System::Nats));
        let told = self.role.map(|role| to_server(role, direction));
        let from_start = self.from_start;
        let side = self.side(direction);
        let (offset, begin, reverse, to_server, carrier) =
            match side.recognise(told, from_start, carried, is_frame) {
                Recognised::No => return true,
                Recognised::Perhaps => return closing || side.stream.is_full(),
                Recognised::Upgrade { to_server } => {
                    (0, Begin::Upgrade, Begin::Upgrade, to_server, Carrier::WebSocket)
                }
                Recognised::Frame { offset, to_server } => {
                    (offset, Begin::Frame, Begin::Anywhere, to_server, Carrier::LooksLikeWebSocket)
                }
            };
        self.counts.skipped_bytes = self.counts.skipped_bytes.saturating_add(offset);
        self.side(direction).enter(offset, begin);
        self.side(direction.reverse()).enter(0, reverse);
        self.carrier = carrier;
        self.role = Some(role(to_server, direction));
        self.guess = None;
        true
    }
}
