//! Which requests there are, and what is in front of each: RequestHeader v0–v2, ResponseHeader v0–v1.

use super::wire::Reader;
use crate::proto::Unusable;

/// API keys of the requests whose content is read.
pub(super) mod key {
    pub(in super::super) const PRODUCE: i16 = 0;
    pub(in super::super) const FETCH: i16 = 1;
    pub(in super::super) const METADATA: i16 = 3;
    pub(in super::super) const OFFSET_COMMIT: i16 = 8;
    pub(in super::super) const OFFSET_FETCH: i16 = 9;
    pub(in super::super) const FIND_COORDINATOR: i16 = 10;
    pub(in super::super) const JOIN_GROUP: i16 = 11;
    pub(in super::super) const HEARTBEAT: i16 = 12;
    pub(in super::super) const LEAVE_GROUP: i16 = 13;
    pub(in super::super) const SYNC_GROUP: i16 = 14;
    pub(in super::super) const SASL_HANDSHAKE: i16 = 17;
    pub(in super::super) const API_VERSIONS: i16 = 18;
    pub(in super::super) const INIT_PRODUCER_ID: i16 = 22;
    pub(in super::super) const ADD_PARTITIONS_TO_TXN: i16 = 24;
    pub(in super::super) const ADD_OFFSETS_TO_TXN: i16 = 25;
    pub(in super::super) const END_TXN: i16 = 26;
    pub(in super::super) const TXN_OFFSET_COMMIT: i16 = 28;
    pub(in super::super) const SASL_AUTHENTICATE: i16 = 36;
    pub(in super::super) const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
    pub(in super::super) const SHARE_GROUP_HEARTBEAT: i16 = 76;
    pub(in super::super) const SHARE_FETCH: i16 = 78;
    pub(in super::super) const SHARE_ACKNOWLEDGE: i16 = 79;
}

/// A kind of request.
#[derive(Clone, Copy, Debug)]
struct Api {
    /// The newest version that Kafka 4.1 knows.
    newest: i16,
    /// The first one with compact types and tagged fields.
    flexible: i16,
}

/// Of requests without flexible versions.
const NEVER: i16 = i16::MAX;

const fn api(newest: i16, flexible: i16) -> Api {
    Api { newest, flexible }
}

/// By API key. Those that Kafka 4 has no more (4 to 7, between brokers) are as they last were.
static APIS: [Api; 93] = [
    api(13, 9),    // Produce
    api(18, 12),   // Fetch
    api(10, 6),    // ListOffsets
    api(13, 9),    // Metadata
    api(7, 4),     // LeaderAndIsr
    api(4, 2),     // StopReplica
    api(8, 6),     // UpdateMetadata
    api(3, 3),     // ControlledShutdown
    api(10, 8),    // OffsetCommit
    api(10, 6),    // OffsetFetch
    api(6, 3),     // FindCoordinator
    api(9, 6),     // JoinGroup
    api(4, 4),     // Heartbeat
    api(5, 4),     // LeaveGroup
    api(5, 4),     // SyncGroup
    api(6, 5),     // DescribeGroups
    api(5, 3),     // ListGroups
    api(1, NEVER), // SaslHandshake
    api(4, 3),     // ApiVersions
    api(7, 5),     // CreateTopics
    api(6, 4),     // DeleteTopics
    api(2, 2),     // DeleteRecords
    api(6, 2),     // InitProducerId
    api(4, 4),     // OffsetForLeaderEpoch
    api(5, 3),     // AddPartitionsToTxn
    api(4, 3),     // AddOffsetsToTxn
    api(5, 3),     // EndTxn
    api(1, 1),     // WriteTxnMarkers
    api(5, 3),     // TxnOffsetCommit
    api(3, 2),     // DescribeAcls
    api(3, 2),     // CreateAcls
    api(3, 2),     // DeleteAcls
    api(4, 4),     // DescribeConfigs
    api(2, 2),     // AlterConfigs
    api(2, 2),     // AlterReplicaLogDirs
    api(4, 2),     // DescribeLogDirs
    api(2, 2),     // SaslAuthenticate
    api(3, 2),     // CreatePartitions
    api(3, 2),     // CreateDelegationToken
    api(2, 2),     // RenewDelegationToken
    api(2, 2),     // ExpireDelegationToken
    api(3, 2),     // DescribeDelegationToken
    api(2, 2),     // DeleteGroups
    api(2, 2),     // ElectLeaders
    api(1, 1),     // IncrementalAlterConfigs
    api(1, 0),     // AlterPartitionReassignments
    api(0, 0),     // ListPartitionReassignments
    api(0, NEVER), // OffsetDelete
    api(1, 1),     // DescribeClientQuotas
    api(1, 1),     // AlterClientQuotas
    api(0, 0),     // DescribeUserScramCredentials
    api(0, 0),     // AlterUserScramCredentials
    api(2, 0),     // Vote
    api(1, 1),     // BeginQuorumEpoch
    api(1, 1),     // EndQuorumEpoch
    api(2, 0),     // DescribeQuorum
    api(3, 0),     // AlterPartition
    api(2, 0),     // UpdateFeatures
    api(0, 0),     // Envelope
    api(1, 0),     // FetchSnapshot
    api(2, 0),     // DescribeCluster
    api(0, 0),     // DescribeProducers
    api(4, 0),     // BrokerRegistration
    api(1, 0),     // BrokerHeartbeat
    api(0, 0),     // UnregisterBroker
    api(0, 0),     // DescribeTransactions
    api(2, 0),     // ListTransactions
    api(0, 0),     // AllocateProducerIds
    api(1, 0),     // ConsumerGroupHeartbeat
    api(1, 0),     // ConsumerGroupDescribe
    api(0, 0),     // ControllerRegistration
    api(0, 0),     // GetTelemetrySubscriptions
    api(0, 0),     // PushTelemetry
    api(0, 0),     // AssignReplicasToDirs
    api(1, 0),     // ListConfigResources
    api(0, 0),     // DescribeTopicPartitions
    api(1, 0),     // ShareGroupHeartbeat
    api(1, 0),     // ShareGroupDescribe
    api(2, 0),     // ShareFetch, of Kafka 4.2
    api(2, 0),     // ShareAcknowledge, of Kafka 4.2
    api(0, 0),     // AddRaftVoter
    api(0, 0),     // RemoveRaftVoter
    api(0, 0),     // UpdateRaftVoter
    api(0, 0),     // InitializeShareGroupState
    api(0, 0),     // ReadShareGroupState
    api(0, 0),     // WriteShareGroupState
    api(0, 0),     // DeleteShareGroupState
    api(0, 0),     // ReadShareGroupStateSummary
    api(0, 0),     // StreamsGroupHeartbeat
    api(0, 0),     // StreamsGroupDescribe
    api(0, 0),     // DescribeShareGroupOffsets
    api(0, 0),     // AlterShareGroupOffsets
    api(0, 0),     // DeleteShareGroupOffsets
];

/// Newer clients may ask for versions that are not in the table: so many more are still taken for a request's where it is not
/// known that one begins there.
const NEWER: i16 = 4;

/// Longest `client.id` that is taken for one where it is not known that a request begins there.
const CLIENT_ID_BYTES: usize = 256;

/// What is in front of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestHeader<'a> {
    pub(super) key: i16,
    pub(super) version: i16,
    /// What its response is known by.
    pub(super) correlation: i32,
    pub(super) client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads it, and leaves the reader at the request's own fields.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Unusable> {
        reader.set_flexible(false);
        let (key, version, correlation) = (reader.i16()?, reader.i16()?, reader.i32()?);
        // RequestHeader v0, of this request only, ends here.
        let client_id = if key == 7 && version == 0 { None } else { reader.text()? };
        reader.set_flexible(is_flexible(key, version));
        reader.tags()?;
        Ok(Self { key, version, correlation, client_id })
    }
}

/// Whether such a version of such a request, and its response, can be read.
pub(super) fn is_known(key: i16, version: i16) -> bool {
    version_is(key, version, 0)
}

/// Whether structures of this version are flexible.
pub(super) fn is_flexible(key: i16, version: i16) -> bool {
    api_of(key).is_some_and(|api| version >= api.flexible)
}

fn api_of(key: i16) -> Option<&'static Api> {
    APIS.get(usize::try_from(key).ok()?)
}

fn version_is(key: i16, version: i16, newer: i16) -> bool {
    api_of(key).is_some_and(|api| (0..=api.newest.saturating_add(newer)).contains(&version))
}

/// What the first bytes behind a length say of being a request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A careful client's.
    Tidy(Tidy),
    /// Not; a broker may still accept it.
    Odd,
    /// Too few bytes.
    Short,
}

/// See [`Look::Tidy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tidy {
    pub(super) key: i16,
    /// The client has a name.
    pub(super) named: bool,
    /// ApiVersionsRequest v3+ that tells the client's software (KIP-511).
    pub(super) software: bool,
}

/// Looks at what may be a request of `length` bytes behind its length field. `bytes` may end early.
pub(super) fn look(bytes: &[u8], length: usize) -> Look {
    let mut reader = Reader::new(bytes, 0, length, false);
    let result = (|| {
        let (key, version, correlation) = (reader.i16()?, reader.i16()?, reader.i32()?);
        if !version_is(key, version, NEWER) || correlation < 0 {
            return Ok(Look::Odd);
        }
        let size = if key == 7 && version == 0 { -1 } else { reader.i16()? };
        let mut named = false;
        if let Ok(size) = usize::try_from(size) {
            let rest = bytes.get(reader.at()..).unwrap_or(&[]);
            let seen = rest.get(..size).unwrap_or(rest);
            if size > CLIENT_ID_BYTES
                || size > reader.left()
                || !seen.iter().all(|byte| matches!(byte, 0x20..0x7f))
            {
                return Ok(Look::Odd);
            }
            named = size > 0;
            reader.skip(size)?;
        } else if size != -1 {
            return Ok(Look::Odd);
        }
        let mut software = false;
        if key == key::API_VERSIONS && version >= 3 {
            reader.set_flexible(true);
            reader.tags()?;
            // `[a-zA-Z0-9](?:[a-zA-Z0-9\\-.]*[a-zA-Z0-9])?` (KIP-511).
            let word = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            };
            software = word(reader.string()?) && word(reader.string()?);
        }
        Ok(Look::Tidy(Tidy { key, named, software }))
    })();
    match result {
        Ok(look) => look,
        Err(Unusable::Cut) => Look::Short,
        Err(Unusable::Malformed) => Look::Odd,
    }
}
