//! ProduceRequest v0–v13 and its response: an op for each record, settled each by the offset that the broker gave it.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Kafka;
use super::api::RequestHeader;
use super::asked::{Produced, What};
use super::errors::{self, DUPLICATE_SEQUENCE_NUMBER};
use super::fold::Frame;
use super::message::Partition;
use super::records::{self, Budget, Item};
use super::topics::Topic;
use super::wire::Reader;
use crate::model::command::Value;
use crate::model::op::OpKind;
use crate::names::attribute::KAFKA_TRANSACTION;
use crate::proto::Unusable;

/// First version that names topics by their ids.
const BY_ID: i16 = 13;

/// A message of a request within its connection: which request, and which of its messages.
fn settle_id(correlation: i32, part: u32) -> u64 {
    u64::from(correlation.cast_unsigned()) << 32 | u64::from(part)
}

impl Kafka {
    /// Publishes; `None` if there will be no response.
    pub(super) fn produce_request(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Option<What>, Unusable> {
        let transaction = if header.version >= 3 { reader.text()? } else { None };
        let transaction = transaction.map(|name| self.names.share(name));
        let acks = reader.i16()?;
        if !(-1..=1).contains(&acks) {
            return Err(Unusable::Malformed);
        }
        reader.i32()?;
        let mut produced = Vec::new();
        let mut budget = Budget::default();
        let published = (acks != 0).then_some(header.correlation);
        let result =
            self.publish(frame, (header.version, published, transaction), reader, &mut budget, &mut produced);
        frame.view.shortfall.add(budget.over, budget.cut);
        match result {
            Err(Unusable::Cut) if !produced.is_empty() => {}
            other => other?,
        }
        Ok((acks != 0).then_some(What::Produce(produced)))
    }

    /// `answered`: the request's number, if there will be a response; `transaction`: that which it is part of, if any.
    fn publish(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        (version, answered, transaction): (i16, Option<i32>, Option<Arc<str>>),
        reader: &mut Reader<'_>,
        budget: &mut Budget,
        produced: &mut Vec<Produced>,
    ) -> Result<(), Unusable> {
        // Those that are only counted have their numbers too.
        let mut part = 0u32;
        for _ in 0..reader.count()? {
            let topic = Topic::read(reader, version >= BY_ID, &mut self.names)?;
            let name = topic.name(frame.view.memory);
            for _ in 0..reader.count()? {
                let index = reader.i32()?;
                let records = reader.span()?;
                let Some(span) = records else {
                    reader.tags()?;
                    continue;
                };
                let partition = Partition::new(Arc::clone(&name), index, &mut self.names);
                let first = part;
                let (names, client_id) = (&mut self.names, self.client_id.as_ref());
                let (view, out) = (frame.view, &mut *frame.out);
                let mut publish = |item| {
                    // Clients send no markers.
                    let Item::Record(record) = item else { return };
                    let transaction = transaction.clone().filter(|_| record.producer.is_some());
                    let mut message = partition.message(record, names);
                    if let Some(name) = &transaction {
                        let value = Value::Shared(Arc::clone(name));
                        message.attributes.to_mut().push((KAFKA_TRANSACTION, value));
                    }
                    message.transaction = transaction;
                    message.settle_id = answered.map(|correlation| settle_id(correlation, part));
                    message.needs_settle = answered.is_some();
                    out.push(view.op_of_part(part, client_id, OpKind::Publish(Box::new(message))));
                    part = part.saturating_add(1);
                };
                let read = records::read(&frame.view.bytes, span, budget, &mut publish);
                let count = part.saturating_sub(first);
                if count > 0 {
                    let (topic, name) = (topic.clone(), Arc::clone(&name));
                    produced.push(Produced { topic, name, partition: index, first, count });
                }
                read?;
                reader.tags()?;
            }
            reader.tags()?;
        }
        Ok(())
    }

    /// Settles what the request published.
    pub(super) fn produce_response(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        (correlation, version): (i32, i16),
        produced: &[Produced],
        reader: &mut Reader<'_>,
    ) -> Result<(), Unusable> {
        let mut open: HashMap<_, Vec<&Produced>> = HashMap::new();
        for part in produced {
            open.entry((part.topic.clone(), part.partition)).or_default().push(part);
        }
        for _ in 0..reader.count()? {
            let topic = Topic::read(reader, version >= BY_ID, &mut self.names)?;
            for _ in 0..reader.count()? {
                let (index, code, base) = (reader.i32()?, reader.i16()?, reader.i64()?);
                let mut offset = base;
                // Once: what is answered again means nothing.
                for part in open.remove(&(topic.clone(), index)).unwrap_or_default() {
                    let partition = Partition::new(Arc::clone(&part.name), index, &mut self.names);
                    // Of a batch that it has already the broker may not know the offsets any more.
                    let error = if code == DUPLICATE_SEQUENCE_NUMBER { None } else { errors::name(code) };
                    for number in part.first..part.first.saturating_add(part.count) {
                        let given = (error.is_none() && base >= 0).then(|| partition.id(offset));
                        offset = offset.saturating_add(1);
                        let id = settle_id(correlation, number);
                        let kind = OpKind::PublishSettled { id, error: error.clone(), given };
                        let op = frame.view.op_of_part(number, self.client_id.as_ref(), kind);
                        frame.out.push(op);
                    }
                }
                rest_of_partition(version, reader)?;
            }
            reader.tags()?;
        }
        Ok(())
    }
}

/// Steps over what follows the base offset in PartitionProduceResponse.
fn rest_of_partition(version: i16, reader: &mut Reader<'_>) -> Result<(), Unusable> {
    if version >= 2 {
        reader.i64()?;
    }
    if version >= 5 {
        reader.i64()?;
    }
    if version >= 8 {
        for _ in 0..reader.count()? {
            reader.i32()?;
            reader.text()?;
            reader.tags()?;
        }
        reader.text()?;
    }
    reader.tags()
}
