//! FetchRequest v0–v18 and its response: a delivery for each record that the consumer asked for.

use std::sync::Arc;

use hashbrown::HashSet;

use super::Kafka;
use super::api::RequestHeader;
use super::asked::What;
use super::fold::Frame;
use super::message::Partition;
use super::records::{self, Budget, Item, Record};
use super::topics::Topic;
use super::wire::Reader;
use crate::model::command::Value;
use crate::model::op::{OpKind, Position};
use crate::names::attribute::{KAFKA_LAG, MESSAGING_KAFKA_OFFSET};
use crate::proto::Unusable;

/// First version that names topics by their ids.
const BY_ID: i16 = 13;

/// Isolation level of a consumer that wants what is committed.
const READ_COMMITTED: i8 = 1;

/// Aborted transactions of one partition that are remembered while its records are read.
const ABORTED: usize = 4096;

impl Kafka {
    /// Remembers from where on the consumer wants messages.
    pub(super) fn fetch_request(
        &mut self,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<What, Unusable> {
        let version = header.version;
        // A broker that replicates says which it is: in front, since v15 in a tagged field behind the rest.
        let mut replica = if version <= 14 { reader.i32()? } else { -1 };
        reader.skip(8)?;
        if version >= 3 {
            reader.i32()?;
        }
        let committed = version >= 4 && reader.i8()? == READ_COMMITTED;
        let (_session, epoch) = if version >= 7 { (reader.i32()?, reader.i32()?) } else { (0, -1) };
        // 0 begins a session, -1 is outside of one: both name every partition (KIP-227).
        if epoch <= 0 {
            self.positions.clear();
        }
        let mut read = || -> Result<(), Unusable> {
            for _ in 0..reader.count()? {
                let topic = Topic::read(reader, version >= BY_ID, &mut self.names)?;
                for _ in 0..reader.count()? {
                    let partition = reader.i32()?;
                    if version >= 9 {
                        reader.i32()?;
                    }
                    let offset = reader.i64()?;
                    reader.skip(if version >= 12 { 4 } else { 0 })?;
                    reader.skip(if version >= 5 { 8 } else { 0 })?;
                    reader.i32()?;
                    reader.tags()?;
                    self.positions.set(&topic, partition, offset);
                }
                reader.tags()?;
            }
            if version >= 7 {
                for _ in 0..reader.count()? {
                    let topic = Topic::read(reader, version >= BY_ID, &mut self.names)?;
                    for _ in 0..reader.count()? {
                        self.positions.forget(&topic, reader.i32()?);
                    }
                    reader.tags()?;
                }
            }
            if version >= 11 {
                reader.text()?;
            }
            reader.tagged(|tag, field| {
                if tag == 1 {
                    replica = field.i32()?;
                }
                Ok(())
            })
        };
        match read() {
            // What was not captured is not known from where, and its response is read all the same.
            Ok(()) | Err(Unusable::Cut) => {}
            Err(Unusable::Malformed) => return Err(Unusable::Malformed),
        }
        Ok(if replica < 0 { What::Fetch { committed } } else { What::Plain })
    }

    /// Delivers.
    pub(super) fn fetch_response(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        version: i16,
        committed: bool,
        reader: &mut Reader<'_>,
    ) -> Result<(), Unusable> {
        if version >= 1 {
            reader.i32()?;
        }
        if version >= 7 {
            let code = reader.i16()?;
            frame.error(code);
            reader.i32()?;
        }
        let group = self.group_of(frame.view);
        let mut budget = Budget::default();
        let mut count = 0;
        let result =
            self.deliver(frame, (version, committed), group.as_ref(), reader, &mut budget, &mut count);
        frame.view.shortfall.add(budget.over, budget.cut);
        // Behind its deliveries, which a malformed end takes back.
        if count > 1 && result != Err(Unusable::Malformed) {
            frame.push(self.client_id.as_ref(), OpKind::Received { count, batch: None });
        }
        result
    }

    fn deliver(
        &mut self,
        frame: &mut Frame<'_, '_, '_>,
        (version, committed): (i16, bool),
        group: Option<&Arc<str>>,
        reader: &mut Reader<'_>,
        budget: &mut Budget,
        count: &mut u32,
    ) -> Result<(), Unusable> {
        for _ in 0..reader.count()? {
            let topic = Topic::read(reader, version >= BY_ID, &mut self.names)?;
            let name = topic.name(frame.view.memory);
            for _ in 0..reader.count()? {
                let index = reader.i32()?;
                let code = reader.i16()?;
                frame.error(code);
                let high_watermark = reader.i64()?;
                // The last stable offset is where the log ends for those who want what is committed.
                let stable = if version >= 4 { reader.i64()? } else { -1 };
                let end = if committed && stable >= 0 { stable } else { high_watermark };
                reader.skip(if version >= 5 { 8 } else { 0 })?;
                let mut aborted = Aborted::default();
                if version >= 4 {
                    aborted.read(reader)?;
                }
                reader.skip(if version >= 11 { 4 } else { 0 })?;
                let records = reader.span()?;
                if let Some(span) = records.filter(|span| span.at < span.end) {
                    let partition = Partition::new(Arc::clone(&name), index, &mut self.names);
                    let asked = self.positions.get(&topic, index);
                    let wanted = asked.max(self.positions.delivered(&topic, index)).unwrap_or(0);
                    let mut next = None;
                    let (names, client_id) = (&mut self.names, self.client_id.as_ref());
                    let (view, out) = (frame.view, &mut *frame.out);
                    let mut deliver = |item| {
                        let Some(record) = aborted.filter(item) else { return };
                        // A batch comes from its first record on, wherever the consumer is in it.
                        if record.offset.is_some_and(|offset| offset < wanted) {
                            return;
                        }
                        let offset = record.offset;
                        next = offset.map(|offset| offset.saturating_add(1));
                        let mut message = partition.message(record, names);
                        message.group = group.cloned();
                        if let Some(offset) = offset {
                            message.position = Some(Position { partition: index, offset });
                            message.id = Some(partition.id(offset));
                            let attributes = message.attributes.to_mut();
                            attributes.push((MESSAGING_KAFKA_OFFSET, Value::Int(offset)));
                            // The high watermark is the offset of the next message that consumers will see.
                            let lag = high_watermark.saturating_sub(offset.saturating_add(1));
                            if high_watermark >= 0 && lag >= 0 {
                                attributes.push((KAFKA_LAG, Value::Int(lag)));
                            }
                        }
                        out.push(view.op_of_part(*count, client_id, OpKind::Deliver(Box::new(message))));
                        *count = count.saturating_add(1);
                    };
                    let read = records::read(&frame.view.bytes, span, budget, &mut deliver);
                    // The broker looks where its log ends before it looks for records, and some may come between. librdkafka
                    // then takes the end for what it waited for, lets the records go and asks once more; others take them.
                    if let Some(next) = next.filter(|_| asked == Some(end)) {
                        self.positions.doubt(&topic, index, next);
                    }
                    read?;
                }
                reader.tags()?;
            }
            reader.tags()?;
        }
        Ok(())
    }
}

/// Transactions that were aborted: consumers that read what is committed pass over their records. Brokers tell them to nobody else.
#[derive(Debug, Default)]
struct Aborted {
    /// Producer and first offset, those with the greatest first.
    coming: Vec<(i64, i64)>,
    /// Producers whose records are passed over.
    active: HashSet<i64>,
}

impl Aborted {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Unusable> {
        for _ in 0..reader.count()? {
            let (producer, first) = (reader.i64()?, reader.i64()?);
            reader.tags()?;
            if self.coming.len() < ABORTED {
                self.coming.push((producer, first));
            }
        }
        self.coming.sort_by_key(|(_, first)| std::cmp::Reverse(*first));
        Ok(())
    }

    /// The record, if it is to be delivered.
    fn filter(&mut self, item: Item) -> Option<Record> {
        match item {
            Item::Marker { producer, abort } => {
                if abort {
                    self.active.remove(&producer);
                }
                None
            }
            Item::Record(record) => {
                if let (Some(producer), Some(offset)) = (record.producer, record.offset) {
                    while let Some((aborted, _)) = self.coming.pop_if(|(_, first)| *first <= offset) {
                        self.active.insert(aborted);
                    }
                    if self.active.contains(&producer) {
                        return None;
                    }
                }
                Some(record)
            }
        }
    }
}
