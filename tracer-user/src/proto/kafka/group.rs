//! Consumer groups: JoinGroup v0–v9, SyncGroup v0–v5, Heartbeat v0–v4, ConsumerGroupHeartbeat v0–v1 (KIP-848), OffsetCommit v0–v10,
//! TxnOffsetCommit v0–v5.

use std::sync::Arc;

use hashbrown::HashSet;

use super::Kafka;
use super::api::{RequestHeader, key};
use super::asked::{Commit, What};
use super::errors;
use super::fold::Frame;
use super::topics::Topic;
use super::wire::Reader;
use crate::model::op::{Committed, Feed, OpKind, Position};
use crate::proto::{Stretch, Unusable};

/// First version of OffsetCommit that names topics by their ids.
const COMMIT_BY_ID: i16 = 10;

/// Topics of one subscription that are told.
const FILTERS: usize = 1024;

impl Kafka {
    /// JoinGroupRequest. Of consumers' metadata (ConsumerProtocolSubscription) the topics are told when they change.
    pub(super) fn join_request(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let version = header.version;
        let group = reader.string()?;
        reader.i32()?;
        if version >= 1 {
            reader.i32()?;
        }
        reader.text()?;
        if version >= 5 {
            reader.text()?;
        }
        let kind = reader.string()?;
        self.joined(frame, group);
        // Connect's workers and others have groups too.
        if kind != "consumer" || reader.count()? == 0 {
            return Ok(What::Plain);
        }
        reader.string()?;
        let metadata = reader.span()?.ok_or(Unusable::Malformed)?;
        let mut metadata = Reader::new(&frame.view.bytes, metadata.at, metadata.end, false);
        metadata.i16()?;
        let mut filters = Vec::new();
        for _ in 0..metadata.count()? {
            filters.push(metadata.string()?);
        }
        self.subscribe(frame, &filters);
        Ok(What::Plain)
    }

    /// SyncGroupRequest and HeartbeatRequest.
    pub(super) fn member_request(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let group = reader.string()?;
        self.joined(frame, group);
        Ok(What::Plain)
    }

    /// ConsumerGroupHeartbeatRequest, which also joins and subscribes.
    pub(super) fn consumer_heartbeat(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let group = reader.string()?;
        self.joined(frame, group);
        reader.string()?;
        reader.i32()?;
        reader.text()?;
        reader.text()?;
        reader.i32()?;
        let mut filters = Vec::new();
        for _ in 0..reader.count()? {
            filters.push(reader.string()?);
        }
        if header.version >= 1 {
            filters.extend(reader.text()?.filter(|regex| !regex.is_empty()));
        }
        // Left out where nothing has changed.
        if !filters.is_empty() {
            self.subscribe(frame, &filters);
        }
        Ok(What::Plain)
    }

    pub(super) fn subscribe(&mut self, frame: &mut Frame<'_, '_, '_>, filters: &[&str]) {
        let filters: Vec<Arc<str>> =
            filters.iter().take(FILTERS).map(|filter| self.names.share(filter)).collect();
        if filters == self.subscribed {
            return;
        }
        self.subscribed.clone_from(&filters);
        frame.push(self.client_id.as_ref(), OpKind::Subscribe { filters, feed: Feed::Client });
    }

    /// OffsetCommitRequest and TxnOffsetCommitRequest.
    pub(super) fn commit_request(
        &mut self,
        frame: &Frame<'_, '_, '_>,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let version = header.version;
        let in_transaction = header.key == key::TXN_OFFSET_COMMIT;
        let transaction = if in_transaction { Some(self.names.share(reader.string()?)) } else { None };
        let group = reader.string()?;
        self.joined(frame, group);
        // The producer's id and epoch.
        reader.skip(if in_transaction { 10 } else { 0 })?;
        if version >= if in_transaction { 3 } else { 1 } {
            reader.i32()?;
            reader.string()?;
        }
        if version >= if in_transaction { 3 } else { 7 } {
            reader.text()?;
        }
        // How long to keep them, for a while; a time for each partition in v1.
        reader.skip(if !in_transaction && (2..=4).contains(&version) { 8 } else { 0 })?;
        let epoch = version >= if in_transaction { 2 } else { 6 };
        let by_id = !in_transaction && version >= COMMIT_BY_ID;
        let mut upto = Vec::new();
        for _ in 0..reader.count()? {
            let topic = Topic::read(reader, by_id, &mut self.names)?;
            let destination = topic.name(frame.view.memory);
            for _ in 0..reader.count()? {
                let next = Position { partition: reader.i32()?, offset: reader.i64()? };
                reader.skip(if epoch { 4 } else { 0 })?;
                reader.skip(if !in_transaction && version == 1 { 8 } else { 0 })?;
                reader.text()?;
                reader.tags()?;
                upto.push((topic.clone(), Committed { destination: Arc::clone(&destination), next }));
            }
            reader.tags()?;
        }
        let (group, span) = (self.names.share(group), Stretch::of(frame.view));
        Ok(What::Commit(Box::new(Commit { group, upto, transaction, span })))
    }

    /// OffsetCommitResponse and TxnOffsetCommitResponse: tells the commit, as the bytes of its request. What was refused is told
    /// on its own.
    pub(super) fn commit_response(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        (api, version): (i16, i16),
        Commit { group, upto, transaction, span }: Commit,
        reader: &mut Reader<'_>,
    ) -> Result<(), Unusable> {
        let in_transaction = api == key::TXN_OFFSET_COMMIT;
        let by_id = !in_transaction && version >= COMMIT_BY_ID;
        if in_transaction || version >= 3 {
            reader.i32()?;
        }
        let mut refused = HashSet::new();
        let mut reason = errors::NONE;
        for _ in 0..reader.count()? {
            let topic = Topic::read(reader, by_id, &mut self.names)?;
            for _ in 0..reader.count()? {
                let (partition, code) = (reader.i32()?, reader.i16()?);
                reader.tags()?;
                if code != errors::NONE {
                    reason = code;
                    refused.insert((topic.clone(), partition));
                }
            }
            reader.tags()?;
        }
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        for (topic, committed) in upto {
            let is_lost = !refused.is_empty() && refused.contains(&(topic, committed.next.partition));
            if is_lost { &mut lost } else { &mut kept }.push(committed);
        }
        for (upto, code, part) in [(kept, errors::NONE, 0), (lost, reason, 1)] {
            if upto.is_empty() {
                continue;
            }
            let (group, transaction) = (Arc::clone(&group), transaction.clone());
            let kind = OpKind::Commit { group, upto, error: errors::name(code), transaction };
            let mut op = frame.view.op_of(&span, self.client_id.as_ref(), kind);
            op.place.part = part;
            frame.out.push(op);
        }
        Ok(())
    }
}
