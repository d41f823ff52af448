//! From frames to ops: requests are remembered, responses are read with what their requests said.

use std::sync::Arc;

use super::api::{self, RequestHeader, key};
use super::asked::{Asked, What};
use super::transaction::end_response;
use super::wire::Reader;
use super::{Kafka, LENGTH, errors};
use crate::model::net::Role;
use crate::model::op::{Op, OpKind};
use crate::proto::memory::Member;
use crate::proto::{FrameView, Unusable};

/// Different errors of one frame that are told.
const ERRORS_A_FRAME: usize = 16;

/// What a fold works with.
pub(super) struct Frame<'f, 'v, 'o> {
    pub(super) view: &'f FrameView<'v>,
    pub(super) out: &'o mut Vec<Op>,
    pub(super) errors: Vec<i16>,
}

impl Frame<'_, '_, '_> {
    /// An op of the whole frame.
    pub(super) fn push(&mut self, client_id: Option<&Arc<str>>, kind: OpKind) {
        self.out.push(self.view.op(client_id, kind));
    }

    /// Remembers that the broker reported `code`, if it is an error.
    pub(super) fn error(&mut self, code: i16) {
        if code != errors::NONE && self.errors.len() < ERRORS_A_FRAME && !self.errors.contains(&code) {
            self.errors.push(code);
        }
    }
}

impl Kafka {
    pub(super) fn fold_frame(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let answered = self.fold_one(view, out);
        // Its answer was there before it.
        if view.to_server
            && let Some(response) = self.asked.newest().and_then(|correlation| self.early.take(correlation))
        {
            // What was wrong with the answer is no fault of the request's.
            let _ = self.fold_one(&response.view(view), out);
        }
        answered
    }

    fn fold_one(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let before = out.len();
        let mut frame = Frame { view, out, errors: Vec::new() };
        let end = usize::try_from(view.len).unwrap_or(usize::MAX);
        let reader = Reader::new(&view.bytes, LENGTH, end, false);
        let result =
            if view.to_server { self.request(&mut frame, reader) } else { self.response(&mut frame, reader) };
        for code in std::mem::take(&mut frame.errors) {
            if let Some(kind) = errors::name(code) {
                frame.push(self.client_id.as_ref(), OpKind::Error { kind });
            }
        }
        match result {
            // What was captured means something.
            Err(Unusable::Cut) if frame.out.len() > before => Ok(()),
            Err(error) => {
                frame.out.truncate(before);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn request(&mut self, frame: &mut Frame<'_, '_, '_>, mut reader: Reader<'_>) -> Result<(), Unusable> {
        let header = RequestHeader::read(&mut reader)?;
        if let Some(client_id) = header.client_id.filter(|client_id| !client_id.is_empty())
            && self.client_id.as_deref() != Some(client_id)
        {
            self.client_id = Some(client_id.into());
        }
        let RequestHeader { key, version, correlation, .. } = header;
        let remember = |this: &mut Self, what| {
            this.asked.push(correlation, Asked { key, version, what });
        };
        if !api::is_known(key, version) {
            remember(self, What::Plain);
            return Ok(());
        }
        let read = match key {
            key::PRODUCE => match self.produce_request(frame, &header, &mut reader) {
                // acks=0: there is no response.
                Ok(None) => return Ok(()),
                Ok(Some(what)) => Ok(what),
                Err(error) => Err(error),
            },
            key::FETCH => self.fetch_request(&header, &mut reader),
            key::OFFSET_COMMIT | key::TXN_OFFSET_COMMIT => self.commit_request(frame, &header, &mut reader),
            key::JOIN_GROUP => self.join_request(frame, &header, &mut reader),
            key::SYNC_GROUP | key::HEARTBEAT => self.member_request(frame, &mut reader),
            key::CONSUMER_GROUP_HEARTBEAT => self.consumer_heartbeat(frame, &header, &mut reader),
            key::END_TXN => self.end_request(&mut reader),
            key::SHARE_GROUP_HEARTBEAT => self.share_heartbeat(frame, &mut reader),
            key::SHARE_FETCH | key::SHARE_ACKNOWLEDGE => self.share_request(frame, &header, &mut reader),
            key::API_VERSIONS => {
                if !std::mem::replace(&mut self.greeted, true) {
                    frame.push(self.client_id.as_ref(), OpKind::Connect { will: None });
                }
                Ok(What::Plain)
            }
            key::SASL_HANDSHAKE => {
                self.raw |= version == 0;
                Ok(What::Plain)
            }
            _ => Ok(What::Plain),
        };
        match read {
            Ok(what) => remember(self, what),
            Err(error) => {
                remember(self, What::Plain);
                return Err(error);
            }
        }
        Ok(())
    }

    fn response(&mut self, frame: &mut Frame<'_, '_, '_>, mut reader: Reader<'_>) -> Result<(), Unusable> {
        let correlation = reader.i32()?;
        let Some(Asked { key, version, what }) = self.asked.take(correlation) else {
            self.early.push(correlation, frame.view);
            return Ok(());
        };
        if !api::is_known(key, version) {
            return Ok(());
        }
        reader.set_flexible(api::is_flexible(key, version));
        // ResponseHeader v1; ApiVersionsResponse has v0 always, for whoever asks does not know yet (KIP-511).
        if key != key::API_VERSIONS {
            reader.tags()?;
        }
        match what {
            What::Produce(produced) => {
                self.produce_response(frame, (correlation, version), &produced, &mut reader)
            }
            What::Fetch { committed } => self.fetch_response(frame, version, committed, &mut reader),
            What::Commit(commit) => self.commit_response(frame, (key, version), *commit, &mut reader),
            What::Share(share) => self.share_response(frame, (key, version), &share, &mut reader),
            What::EndTransaction { name, committed } => end_response(frame, name, committed, &mut reader),
            What::Plain => self.plain_response(frame, key, version, &mut reader),
        }
    }

    /// This connection's client is a member of `group`.
    pub(super) fn joined(&mut self, frame: &Frame<'_, '_, '_>, group: &str) {
        if group.is_empty() {
            return;
        }
        let group = self.names.share(group);
        if let Some(member) = self.member(frame.view) {
            frame.view.memory.join(member, &group);
        }
        self.group = Some(group);
    }

    /// The group through which this connection's client consumes: as told here, or on its other connections.
    pub(super) fn group_of(&self, view: &FrameView<'_>) -> Option<Arc<str>> {
        self.group.clone().or_else(|| view.memory.group(&self.member(view)?))
    }

    fn member(&self, view: &FrameView<'_>) -> Option<Member> {
        let at_broker = view.origin.viewpoint == Role::Server;
        Some(Member {
            process: view.origin.process,
            address: at_broker.then(|| view.origin.socket.remote.ip()),
            client_id: self.client_id.clone()?,
        })
    }
}
