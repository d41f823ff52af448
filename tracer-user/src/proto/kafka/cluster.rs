//! Responses that tell names or errors: ApiVersions v0–v4, SaslHandshake, SaslAuthenticate, Metadata v0–v13, FindCoordinator v0–v6,
//! OffsetFetch v0–v10, AddPartitionsToTxn v0–v5, and the rest of groups and of transactions.

use super::Kafka;
use super::api::key;
use super::errors::{self, MEMBER_ID_REQUIRED, NONE, REBALANCE_IN_PROGRESS, UNSUPPORTED_VERSION};
use super::fold::Frame;
use super::wire::Reader;
use crate::model::op::OpKind;
use crate::proto::Unusable;

impl Kafka {
    /// The response to a request that needs no more than its version.
    pub(super) fn plain_response(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        api: i16,
        version: i16,
        reader: &mut Reader<'_>,
    ) -> Result<(), Unusable> {
        match api {
            key::API_VERSIONS => {
                // An unknown version is answered as v0, and asked again in one that is known.
                let code = reader.i16()?;
                if code != UNSUPPORTED_VERSION {
                    self.connected(frame, code);
                }
            }
            key::SASL_HANDSHAKE | key::SASL_AUTHENTICATE => {
                let code = reader.i16()?;
                if code != NONE {
                    self.connected(frame, code);
                }
            }
            key::METADATA => self.metadata(frame, version, reader)?,
            key::FIND_COORDINATOR => coordinators(frame, version, reader)?,
            key::OFFSET_FETCH => offsets(frame, version, reader)?,
            key::ADD_PARTITIONS_TO_TXN => partitions_of_transaction(frame, version, reader)?,
            _ => {
                if let Some(since) = throttled(api) {
                    if version >= since {
                        reader.i32()?;
                    }
                    let code = reader.i16()?;
                    if !matches!(code, REBALANCE_IN_PROGRESS | MEMBER_ID_REQUIRED) {
                        frame.error(code);
                    }
                }
            }
        }
        Ok(())
    }

    fn connected(&mut self, frame: &mut Frame<'_, '_, '_>, code: i16) {
        frame.push(self.client_id.as_ref(), OpKind::Connected { error: errors::name(code) });
    }

    /// Learns the topics' ids.
    fn metadata(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        version: i16,
        reader: &mut Reader<'_>,
    ) -> Result<(), Unusable> {
        if version >= 3 {
            reader.i32()?;
        }
        for _ in 0..reader.count()? {
            reader.i32()?;
            reader.string()?;
            reader.i32()?;
            if version >= 1 {
                reader.text()?;
            }
            reader.tags()?;
        }
        if version >= 2 {
            reader.text()?;
        }
        if version >= 1 {
            reader.i32()?;
        }
        for _ in 0..reader.count()? {
            let code = reader.i16()?;
            frame.error(code);
            let name = reader.text()?;
            let id = if version >= 10 { Some(reader.uuid()?) } else { None };
            if let (Some(name), Some(id), NONE) = (name, id.filter(|id| *id != [0; 16]), code) {
                let name = self.names.share(name);
                frame.view.memory.name_topic(id, &name);
            }
            if version >= 1 {
                reader.i8()?;
            }
            for _ in 0..reader.count()? {
                reader.skip(if version >= 7 { 14 } else { 10 })?;
                reader.skip_array(4)?;
                reader.skip_array(4)?;
                if version >= 5 {
                    reader.skip_array(4)?;
                }
                reader.tags()?;
            }
            reader.skip(if version >= 8 { 4 } else { 0 })?;
            reader.tags()?;
        }
        Ok(())
    }
}

/// FindCoordinatorResponse; since v4 of several groups.
fn coordinators(
    frame: &mut Frame<'_, '_, '_>,
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<(), Unusable> {
    if version >= 1 {
        reader.i32()?;
    }
    if version <= 3 {
        frame.error(reader.i16()?);
        return Ok(());
    }
    for _ in 0..reader.count()? {
        reader.text()?;
        reader.i32()?;
        reader.text()?;
        reader.i32()?;
        frame.error(reader.i16()?);
        reader.text()?;
        reader.tags()?;
    }
    Ok(())
}

/// OffsetFetchResponse; since v8 of several groups, since v10 topics by id.
fn offsets(frame: &mut Frame<'_, '_, '_>, version: i16, reader: &mut Reader<'_>) -> Result<(), Unusable> {
    if version >= 3 {
        reader.i32()?;
    }
    if version <= 7 {
        topics_of_group(frame, version, reader)?;
        if version >= 2 {
            frame.error(reader.i16()?);
        }
        return Ok(());
    }
    for _ in 0..reader.count()? {
        reader.text()?;
        topics_of_group(frame, version, reader)?;
        frame.error(reader.i16()?);
        reader.tags()?;
    }
    Ok(())
}

fn topics_of_group(
    frame: &mut Frame<'_, '_, '_>,
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<(), Unusable> {
    for _ in 0..reader.count()? {
        if version >= 10 {
            reader.uuid()?;
        } else {
            reader.text()?;
        }
        for _ in 0..reader.count()? {
            reader.skip(if version >= 5 { 16 } else { 12 })?;
            reader.text()?;
            frame.error(reader.i16()?);
            reader.tags()?;
        }
        reader.tags()?;
    }
    Ok(())
}

/// AddPartitionsToTxnResponse; since v4 of several transactions.
fn partitions_of_transaction(
    frame: &mut Frame<'_, '_, '_>,
    version: i16,
    reader: &mut Reader<'_>,
) -> Result<(), Unusable> {
    reader.i32()?;
    let transactions = if version >= 4 {
        frame.error(reader.i16()?);
        reader.count()?
    } else {
        1
    };
    for _ in 0..transactions {
        if version >= 4 {
            reader.text()?;
        }
        for _ in 0..reader.count()? {
            reader.text()?;
            for _ in 0..reader.count()? {
                reader.i32()?;
                frame.error(reader.i16()?);
                reader.tags()?;
            }
            reader.tags()?;
        }
        if version >= 4 {
            reader.tags()?;
        }
    }
    Ok(())
}

/// Of the responses that begin with a throttle time, from a version on, and an error: that version.
fn throttled(api: i16) -> Option<i16> {
    match api {
        key::JOIN_GROUP => Some(2),
        key::SYNC_GROUP | key::HEARTBEAT | key::LEAVE_GROUP => Some(1),
        key::CONSUMER_GROUP_HEARTBEAT
        | key::SHARE_GROUP_HEARTBEAT
        | key::INIT_PRODUCER_ID
        | key::ADD_OFFSETS_TO_TXN => Some(0),
        _ => None,
    }
}
