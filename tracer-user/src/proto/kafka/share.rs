//! Share groups (KIP-932): ShareGroupHeartbeat v1, ShareFetch and ShareAcknowledge v1 and v2.
//!
//! The members of a group share the messages of a partition: the broker gives each to one of them (it is *acquired*), who accepts,
//! releases or rejects it, in a request of its own or along with the next fetch. Other records of an answer are not its.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::Kafka;
use super::api::{RequestHeader, key};
use super::asked::{Share, What};
use super::errors;
use super::fold::Frame;
use super::message::Partition;
use super::records::{self, Budget, Item};
use super::topics::Topic;
use super::wire::{Reader, Span};
use crate::model::command::Value;
use crate::model::op::{Feed, OpKind, Scope};
use crate::names::attribute::{KAFKA_DELIVERY_COUNT, MESSAGING_KAFKA_OFFSET};
use crate::proto::shared_names::SharedNames;
use crate::proto::{Stretch, Unusable};

/// Partitions that one answer has; a consumer has tens.
const PARTITIONS: usize = 4096;

/// Messages that one request settles: consumers get 500 at once by default (`max.poll.records`). Of more the rest stays unsettled.
pub(super) const SETTLED: usize = 16_384;

/// Offsets that an answer says were acquired, in ranges; a record each at worst.
const RANGES: usize = 16_384;

/// What a member does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    Accept,
    Release,
    Reject,
}

impl How {
    /// `AcknowledgeType`; none for gaps in the log (0) and for those who want more time (4, KIP-1222).
    fn of(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Accept),
            2 => Some(Self::Release),
            3 => Some(Self::Reject),
            _ => None,
        }
    }

    /// Its name, and that of what it means for the message if it is not well.
    fn told(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Accept => ("accept", None),
            Self::Release => ("release", Some("release")),
            Self::Reject => ("reject", Some("reject")),
        }
    }
}

/// A message that is settled.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    topic: Topic,
    partition: i32,
    offset: i64,
    how: How,
}

/// A message within its connection.
fn settle_id(topic: &Topic, partition: i32, offset: i64) -> u64 {
    let mut hasher = SipHasher13::new();
    match topic {
        Topic::Name(name) => hasher.write(name.as_bytes()),
        Topic::Id(id) => hasher.write(id),
    }
    hasher.write(&partition.to_be_bytes());
    hasher.write(&offset.to_be_bytes());
    hasher.finish()
}

/// What an answer has of a partition.
struct Answered {
    topic: Topic,
    index: i32,
    /// How the settling went.
    code: i16,
    records: Option<Span>,
    acquired: Vec<Acquired>,
}

/// Offsets from the first to the last, for the how manieth time.
#[derive(Clone, Copy, Debug)]
struct Acquired {
    first: i64,
    last: i64,
    times: i16,
}

impl Kafka {
    /// ShareGroupHeartbeatRequest, which also joins and subscribes.
    pub(super) fn share_heartbeat(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let group = reader.string()?;
        self.joined(frame, group);
        reader.string()?;
        reader.i32()?;
        reader.text()?;
        let mut filters = Vec::new();
        for _ in 0..reader.count()? {
            filters.push(reader.string()?);
        }
        // Left out where nothing has changed.
        if !filters.is_empty() {
            self.subscribe(frame, &filters);
        }
        Ok(What::Plain)
    }

    /// Remembers what is settled.
    pub(super) fn share_request(
        &mut self,
        frame: &Frame<'_, '_, '_>,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let group = reader.text()?.map(|name| self.names.share(name));
        reader.text()?;
        reader.i32()?;
        // How long to wait for how much; since v2 how to acquire it, or whether some want more time.
        reader.skip(if header.key == key::SHARE_FETCH { 20 } else { 0 })?;
        reader.skip(if header.version >= 2 { 1 } else { 0 })?;
        let (mut settled, mut left) = (Vec::new(), SETTLED);
        let mut read = || -> Result<(), Unusable> {
            for _ in 0..reader.count()? {
                let topic = Topic::read(reader, true, &mut self.names)?;
                for _ in 0..reader.count()? {
                    let partition = reader.i32()?;
                    for _ in 0..reader.count()? {
                        let (first, last) = (reader.i64()?, reader.i64()?);
                        let count = reader.count()?;
                        let kinds = reader.take(count)?;
                        reader.tags()?;
                        // One for all of them, or one for each.
                        let kind = |index: usize| kinds.get(index).or(kinds.first().filter(|_| count == 1));
                        for (index, offset) in (first..=last).take(left).enumerate() {
                            left -= 1;
                            if let Some(how) = kind(index).and_then(|code| How::of(code.cast_signed())) {
                                settled.push(Settled { topic: topic.clone(), partition, offset, how });
                            }
                        }
                    }
                    reader.tags()?;
                }
                reader.tags()?;
            }
            Ok(())
        };
        match read() {
            // What was captured is settled.
            Ok(()) | Err(Unusable::Cut) => {}
            Err(Unusable::Malformed) => return Err(Unusable::Malformed),
        }
        Ok(What::Share(Box::new(Share { group, settled, span: Stretch::of(frame.view) })))
    }

    /// Settles what the request did, as the bytes of the request, and delivers.
    pub(super) fn share_response(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        (api, version): (i16, i16),
        share: &Share,
        reader: &mut Reader<'_>,
    ) -> Result<(), Unusable> {
        let fetches = api == key::SHARE_FETCH;
        reader.i32()?;
        let code = reader.i16()?;
        frame.error(code);
        reader.text()?;
        // For how long they are acquired; of the other one since v2.
        reader.skip(if fetches || version >= 2 { 4 } else { 0 })?;
        let mut answered = Vec::new();
        let read = partitions(frame, fetches, reader, &mut self.names, &mut answered);
        if read == Err(Unusable::Malformed) {
            return read;
        }
        self.settle(frame, share, code, &answered);
        let group = share.group.as_ref().or(self.group.as_ref()).cloned();
        let (mut budget, mut count) = (Budget::default(), 0);
        let mut delivered = Ok(());
        for part in &answered {
            delivered = delivered.and(self.acquire(frame, part, group.as_ref(), &mut budget, &mut count));
        }
        frame.view.shortfall.add(budget.over, budget.cut);
        // Behind its deliveries, which a malformed end takes back.
        if count > 1 && delivered != Err(Unusable::Malformed) {
            frame.push(self.client_id.as_ref(), OpKind::Received { count, batch: None });
        }
        delivered.and(read)
    }

    /// One op for each way and each reason why the broker did not take it.
    fn settle(&self, frame: &mut Frame<'_, '_, '_>, share: &Share, code: i16, answered: &[Answered]) {
        let codes: HashMap<(&Topic, i32), i16> =
            answered.iter().map(|part| ((&part.topic, part.index), part.code)).collect();
        let mut ways: BTreeMap<(How, i16), Vec<u64>> = BTreeMap::new();
        for Settled { topic, partition, offset, how } in &share.settled {
            let own = codes.get(&(topic, *partition)).copied().unwrap_or(errors::NONE);
            let code = if code == errors::NONE { own } else { code };
            ways.entry((*how, code)).or_default().push(settle_id(topic, *partition, *offset));
        }
        for (((how, code), ids), part) in ways.into_iter().zip(0..) {
            let (name, error) = how.told();
            let error = errors::name(code).or(error.map(Cow::Borrowed));
            let kind = OpKind::Settle { name, ids, scope: Scope::Connection, error };
            let mut op = frame.view.op_of(&share.span, self.client_id.as_ref(), kind);
            op.place.part = part;
            frame.out.push(op);
        }
    }

    /// Delivers what was acquired of a partition.
    fn acquire(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        part: &Answered,
        group: Option<&Arc<str>>,
        budget: &mut Budget,
        count: &mut u32,
    ) -> Result<(), Unusable> {
        let Some(span) = part.records.filter(|span| span.at < span.end) else { return Ok(()) };
        let name = part.topic.name(frame.view.memory);
        let partition = Partition::new(name, part.index, &mut self.names);
        let feed = group.map_or(Feed::Client, |group| Feed::shared(group.as_bytes()));
        let (names, client_id) = (&mut self.names, self.client_id.as_ref());
        let (view, out) = (frame.view, &mut *frame.out);
        let mut deliver = |item| {
            let Item::Record(record) = item else { return };
            let Some(offset) = record.offset else { return };
            // The last one that begins before it is the only one that may have it.
            let behind = part.acquired.partition_point(|range| range.first <= offset);
            let acquired = behind.checked_sub(1).and_then(|index| part.acquired.get(index));
            let Some(acquired) = acquired.filter(|range| offset <= range.last) else { return };
            let mut message = partition.message(record, names);
            message.group = group.cloned();
            message.feed = feed;
            message.id = Some(partition.id(offset));
            message.settle_id = Some(settle_id(&part.topic, part.index, offset));
            message.needs_settle = true;
            message.redelivered = acquired.times > 1;
            let attributes = message.attributes.to_mut();
            attributes.push((MESSAGING_KAFKA_OFFSET, Value::Int(offset)));
            attributes.push((KAFKA_DELIVERY_COUNT, Value::Int(acquired.times.into())));
            out.push(view.op_of_part(*count, client_id, OpKind::Deliver(Box::new(message))));
            *count = count.saturating_add(1);
        };
        records::read(&frame.view.bytes, span, budget, &mut deliver)
    }
}

/// Reads the partitions of a ShareFetchResponse or ShareAcknowledgeResponse.
fn partitions(
    frame: &mut Frame<'_, '_, '_>,
    fetches: bool,
    reader: &mut Reader<'_>,
    names: &mut SharedNames,
    answered: &mut Vec<Answered>,
) -> Result<(), Unusable> {
    let mut ranges = 0;
    for _ in 0..reader.count()? {
        let topic = Topic::read(reader, true, names)?;
        for _ in 0..reader.count()? {
            let index = reader.i32()?;
            let mut code = reader.i16()?;
            reader.text()?;
            if fetches {
                frame.error(code);
                code = reader.i16()?;
                reader.text()?;
            }
            // The leader and its epoch.
            reader.skip(8)?;
            reader.tags()?;
            let mut part =
                Answered { topic: topic.clone(), index, code, records: None, acquired: Vec::new() };
            if fetches {
                part.records = reader.span()?;
                for _ in 0..reader.count()? {
                    let (first, last, times) = (reader.i64()?, reader.i64()?, reader.i16()?);
                    reader.tags()?;
                    if ranges < RANGES {
                        ranges += 1;
                        part.acquired.push(Acquired { first, last, times });
                    }
                }
                part.acquired.sort_by_key(|range| range.first);
            }
            reader.tags()?;
            if answered.len() < PARTITIONS {
                answered.push(part);
            }
        }
        reader.tags()?;
    }
    Ok(())
}
