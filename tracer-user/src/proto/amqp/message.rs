//! From the frames of a message to its op.

use std::borrow::Cow;
use std::sync::Arc;

use super::content::{Open, What};
use super::death::Death;
use super::properties::Properties;
use super::{Amqp, ledger};
use crate::model::command::Value;
use crate::model::op::{Message, Op, OpKind};
use crate::model::payload::Payload;
use crate::names::attribute::{
    MESSAGING_CONVERSATION_ID, RABBITMQ_DEATH_COUNT, RABBITMQ_DEATH_EXCHANGE, RABBITMQ_DEATH_QUEUE,
    RABBITMQ_DEATH_REASON, RABBITMQ_DELIVERY_TAG, RABBITMQ_EXCHANGE, RABBITMQ_QUEUE, RABBITMQ_REDELIVERED,
    RABBITMQ_ROUTING_KEY,
};
use crate::proto::FrameView;

impl Amqp {
    /// A message got a frame; with its last one it is an op.
    pub(super) fn go_on(&mut self, view: &FrameView<'_>, open: Open, out: &mut Vec<Op>) {
        if !open.is_complete() {
            return self.contents.put(open);
        }
        let channel = open.channel;
        let (what, properties, body, stretch) = open.finish();
        let kind = match what {
            What::Publish { destination, key, id, mandatory } => {
                if let (Some(id), true) = (id, mandatory) {
                    self.ledger.mandatory(id, &destination, body.size);
                }
                let attributes = attributes(key, None, properties.correlation.as_ref());
                OpKind::Publish(Box::new(Message {
                    destination,
                    settle_id: id,
                    needs_settle: id.is_some(),
                    attributes,
                    ..message(properties, body)
                }))
            }
            What::Deliver {
                destination,
                published_as,
                exchange,
                queue,
                feed,
                key,
                tag,
                redelivered,
                needs_settle,
                settle_is_presumed,
            } => {
                let mut attributes =
                    attributes(key, Some((tag, redelivered)), properties.correlation.as_ref());
                came_through(exchange, queue, attributes.to_mut());
                let deaths = properties.deaths.as_deref();
                if let Some(deaths) = deaths {
                    died(&deaths.last, attributes.to_mut());
                }
                let first = deaths.and_then(|deaths| deaths.published());
                let first = first.map(|(exchange, key)| self.destination(exchange, key, ""));
                let published = published_as.as_ref().unwrap_or(&destination);
                OpKind::Deliver(Box::new(Message {
                    published_first: first.filter(|first| first != published),
                    destination,
                    published_as,
                    feed,
                    settle_id: Some(ledger::id(channel, tag)),
                    redelivered,
                    needs_settle,
                    settle_is_presumed,
                    attributes,
                    ..message(properties, body)
                }))
            }
            What::Return { destination, error } => {
                let error = Cow::Borrowed(error);
                match self.ledger.returned(channel, &destination, body.size) {
                    Some(id) => OpKind::PublishSettled { id, error: Some(error), given: None },
                    None => OpKind::Error { kind: error },
                }
            }
        };
        out.push(view.op_of(&stretch, self.client_id.as_ref(), kind));
    }
}

fn message(properties: Properties, body: Payload) -> Message {
    Message { id: properties.id, body, headers: properties.headers, ..Message::default() }
}

/// `delivery`: tag, and whether it comes again.
fn attributes(
    key: Arc<str>,
    delivery: Option<(u64, bool)>,
    correlation: Option<&Arc<str>>,
) -> Cow<'static, [(&'static str, Value)]> {
    let mut attributes = Vec::with_capacity(6);
    if !key.is_empty() {
        attributes.push((RABBITMQ_ROUTING_KEY, Value::Shared(key)));
    }
    if let Some((tag, redelivered)) = delivery {
        attributes.push((RABBITMQ_DELIVERY_TAG, Value::Int(i64::try_from(tag).unwrap_or(i64::MAX))));
        attributes.push((RABBITMQ_REDELIVERED, Value::Bool(redelivered)));
    }
    if let Some(id) = correlation {
        attributes.push((MESSAGING_CONVERSATION_ID, Value::Shared(Arc::clone(id))));
    }
    Cow::Owned(attributes)
}

/// The binding of a delivery: its exchange and, if it is known, its queue.
fn came_through(exchange: Arc<str>, queue: Option<Arc<str>>, attributes: &mut Vec<(&'static str, Value)>) {
    // Of the default exchange the name is empty.
    if !exchange.is_empty() {
        attributes.push((RABBITMQ_EXCHANGE, Value::Shared(exchange)));
    }
    if let Some(queue) = queue {
        attributes.push((RABBITMQ_QUEUE, Value::Shared(queue)));
    }
}

/// What a message says of its last death.
fn died(death: &Death, attributes: &mut Vec<(&'static str, Value)>) {
    if let Some(count) = death.count {
        attributes.push((RABBITMQ_DEATH_COUNT, Value::Int(count)));
    }
    let texts = [
        (RABBITMQ_DEATH_REASON, &death.reason),
        (RABBITMQ_DEATH_QUEUE, &death.queue),
        (RABBITMQ_DEATH_EXCHANGE, &death.exchange),
    ];
    for (name, text) in texts {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            attributes.push((name, Value::Shared(Arc::clone(text))));
        }
    }
}
