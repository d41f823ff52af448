//! What clients ask of a broker beside messages.

use super::super::Causality;
use super::super::cause::Causes;
use super::super::hop::Print;
use super::super::node::{Detail, Request, View, What};
use crate::model::command::Status;
use crate::model::net::Role;
use crate::model::op::{Message, Op, Refusal};

/// Last requests of a connection that may still be seen at the other end.
const MAX_REQUESTS: usize = 64;

impl Causality {
    /// A client asked, and was answered.
    pub(super) fn requested(
        &mut self,
        op: &Op,
        slot: u32,
        view: View,
        name: &'static str,
        message: Box<Message>,
        error: Option<Refusal>,
    ) {
        let is_client = op.viewpoint == Role::Client;
        let Some(conn) = self.conns.get(slot) else { return };
        let key = conn.place(op);
        let known = if op.place.exact {
            conn.requests.iter().rev().find(|(known, ..)| *known == key).copied()
        } else {
            None
        };
        if let Some((.., handle)) = known.filter(|(_, by, _)| *by != op.viewpoint) {
            // The client's view is the better one.
            if is_client && let Some(request) = self.nodes.request_mut(handle) {
                (request.view, request.from_broker) = (view, false);
            }
            return;
        }
        // Without positions one end's view is enough, and the client's the better one.
        if !op.place.exact && !is_client && conn.client.is_some() {
            self.counts.control += 1;
            return;
        }
        let causes = match is_client {
            true => self.causes_of_publish(op.process, op.tid, op.at.start, &message.body),
            false => Causes::default(),
        };
        let facts = self.facts("request", op, slot);
        let Some(conn) = self.conns.get(slot) else { return };
        let request = Request {
            name,
            system: op.system,
            message,
            line: conn.line.clone(),
            client_id: conn.client_id.clone(),
            view,
            from_broker: !is_client,
            error: error.map(|Refusal { kind, text }| Status::Error { kind, message: text.to_string() }),
        };
        let detail = Detail {
            parent: causes.parent,
            remote_parent: None,
            links: causes.links,
            due: None,
            what: What::Request(request),
        };
        let handle = self.nodes.add(&facts, op.at.start, Print::default(), detail);
        self.schedule(handle, op.at.end.plus(self.settings.settle_ns));
        if let Some(conn) = self.conns.get_mut(slot) {
            if conn.requests.len() >= MAX_REQUESTS {
                conn.requests.pop_front();
            }
            conn.requests.push_back((key, op.viewpoint, handle));
        }
    }
}
