//! Requests that are not answered yet. A response says nothing of what it is but the number of its request.

use std::collections::VecDeque;
use std::sync::Arc;

use super::share::Settled;
use super::topics::Topic;
use crate::model::op::Committed;
use crate::proto::Stretch;

/// Requests remembered of a connection. Kafka's own clients have 5 under way; others pipeline some hundreds.
const REQUESTS: usize = 1024;

/// Partitions that they name together.
const PARTITIONS: usize = 65_536;

/// A request that awaits its response.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) what: What,
}

/// What its response has to be read with.
#[derive(Debug)]
pub(super) enum What {
    /// Nothing more.
    Plain,
    /// ProduceRequest: where its messages went.
    Produce(Vec<Produced>),
    /// FetchRequest of a consumer, not of a broker that replicates.
    Fetch {
        /// It wants what is committed only.
        committed: bool,
    },
    /// ShareFetchRequest and ShareAcknowledgeRequest.
    Share(Box<Share>),
    /// EndTxnRequest.
    EndTransaction { name: Arc<str>, committed: bool },
    /// OffsetCommitRequest and TxnOffsetCommitRequest.
    Commit(Box<Commit>),
}

/// What a member of a share group settles.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) group: Option<Arc<str>>,
    pub(super) settled: Vec<Settled>,
    /// The request's bytes and times.
    pub(super) span: Stretch,
}

/// What a group wants to be held.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) group: Arc<str>,
    pub(super) upto: Vec<(Topic, Committed)>,
    /// Of TxnOffsetCommitRequest: which one.
    pub(super) transaction: Option<Arc<str>>,
    /// The request's bytes and times.
    pub(super) span: Stretch,
}

/// Messages of a ProduceRequest that went to one partition.
#[derive(Clone, Debug)]
pub(super) struct Produced {
    pub(super) topic: Topic,
    pub(super) name: Arc<str>,
    pub(super) partition: i32,
    /// Which of the request's messages is the first.
    pub(super) first: u32,
    pub(super) count: u32,
}

impl What {
    fn partitions(&self) -> usize {
        match self {
            Self::Plain | Self::Fetch { .. } | Self::EndTransaction { .. } => 0,
            Self::Produce(produced) => produced.len(),
            Self::Commit(commit) => commit.upto.len(),
            Self::Share(share) => share.settled.len(),
        }
    }
}

/// The table, oldest first: brokers answer the requests of a connection one after the other.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    requests: VecDeque<(i32, Asked)>,
    partitions: usize,
}

impl Outstanding {
    pub(super) fn push(&mut self, correlation: i32, asked: Asked) {
        self.partitions += asked.what.partitions();
        self.requests.push_back((correlation, asked));
        while self.requests.len() > REQUESTS || self.partitions > PARTITIONS {
            if self.pop().is_none() {
                return;
            }
        }
    }

    /// The number of the request that was added last, if it still awaits its response.
    pub(super) fn newest(&self) -> Option<i32> {
        self.requests.back().map(|(number, _)| *number)
    }

    /// Whether a response with this number is awaited.
    pub(super) fn has(&self, correlation: i32) -> bool {
        self.requests.iter().any(|(number, _)| *number == correlation)
    }

    /// The request with this number. Those before it will not be answered any more.
    pub(super) fn take(&mut self, correlation: i32) -> Option<Asked> {
        let index = self.requests.iter().position(|(number, _)| *number == correlation)?;
        for _ in 0..index {
            self.pop();
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<Asked> {
        let (_, asked) = self.requests.pop_front()?;
        self.partitions = self.partitions.saturating_sub(asked.what.partitions());
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: i16) -> Asked {
        Asked { key: 0, version, what: What::Plain }
    }

    #[test]
    fn answers_come_in_order() {
        let mut table = Outstanding::default();
        for number in 0..5 {
            table.push(number, asked(number as i16));
        }
        assert_eq!(table.take(2).map(|asked| asked.version), Some(2));
        assert!(!table.has(1) && table.has(3), "what was passed over is not answered any more");
        assert!(table.take(1).is_none());
        assert!(table.has(4));
    }

    #[test]
    fn stays_bounded() {
        let mut table = Outstanding::default();
        for number in 0..5000 {
            table.push(number, asked(0));
        }
        assert_eq!(table.requests.len(), REQUESTS);
        let produced =
            Produced { topic: Topic::Id([0; 16]), name: "t".into(), partition: 0, first: 0, count: 0 };
        let what = What::Produce(vec![produced; PARTITIONS / 2]);
        for number in 0..3 {
            table.push(number, Asked { key: 0, version: 0, what: What::Produce(vec![]) });
        }
        table.push(7, Asked { key: 0, version: 0, what });
        assert!(table.has(7) && table.partitions == PARTITIONS / 2);
        while table.pop().is_some() {}
        assert_eq!(table.partitions, 0);
    }
}
