//! Exchanges, queues and bindings: what clients ask the broker to make, change and remove (sections 1.6 and 1.7), and what became
//! of it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use super::wire::Reader;
use super::{Amqp, reply};
use crate::model::command::Value;
use crate::model::op::{Message, Op, OpKind, Refusal};
use crate::model::time::Timestamp;
use crate::names::attribute::{
    RABBITMQ_EXCHANGE, RABBITMQ_EXCHANGE_TYPE, RABBITMQ_QUEUE, RABBITMQ_ROUTING_KEY,
};
use crate::proto::{FrameView, Stretch, Unusable};

/// Most requests, and answers seen before their request, that are remembered on all channels: clients wait for one before they make
/// the next.
const ASKED: usize = 256;
const EARLY: usize = 16;

/// Bytes of a reply text that are kept: the broker writes 255 at most (section 4.2.5.3).
const TEXT: usize = 255;

/// Class and method.
type Number = (u16, u16);

/// A request as it was read.
#[derive(Debug, PartialEq)]
struct Request<'a> {
    name: &'static str,
    /// What it is about: a queue, or the exchange that messages are sent to or get from another.
    subject: Cow<'a, str>,
    /// The exchange that messages come from, and the key, of a binding.
    from: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// Type of an exchange.
    kind: Option<Cow<'a, str>>,
    /// Nothing will be answered if it goes well.
    no_wait: bool,
}

/// A request that awaits its answer.
#[derive(Debug)]
struct Asked {
    channel: u16,
    number: Number,
    name: &'static str,
    message: Message,
    stretch: Stretch,
}

/// What is asked for on a connection.
#[derive(Debug, Default)]
pub(super) struct Topology {
    asked: VecDeque<Asked>,
    /// Answers whose request was not seen yet: channel and the request's number.
    early: VecDeque<(u16, Number, Answer)>,
}

/// What the broker says.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    /// The name that it gave a queue.
    queue: Option<Arc<str>>,
    error: Option<Refusal>,
    /// When it had come.
    at: Timestamp,
}

/// The name of a request about exchanges and queues.
fn name(number: Number) -> Option<&'static str> {
    Some(match number {
        (40, 10) => "exchange.declare",
        (40, 20) => "exchange.delete",
        (40, 30) => "exchange.bind",
        (40, 40) => "exchange.unbind",
        (50, 10) => "queue.declare",
        (50, 20) => "queue.bind",
        (50, 30) => "queue.purge",
        (50, 40) => "queue.delete",
        (50, 50) => "queue.unbind",
        // That somebody consumes is no span of its own; that it was refused is.
        (60, 20) => CONSUME,
        _ => return None,
    })
}

/// Named only if it fails.
const CONSUME: &str = "basic.consume";

/// The request that a method answers.
fn answers(number: Number) -> Option<Number> {
    match number {
        (40, 51) => Some((40, 40)),
        (40, 11 | 21 | 31) | (50, 11 | 21 | 31 | 41 | 51) | (60, 21) => Some((number.0, number.1 - 1)),
        _ => None,
    }
}

impl<'a> Request<'a> {
    fn read(number: Number, name: &'static str, reader: &mut Reader<'a>) -> Result<Self, Unusable> {
        reader.u16()?;
        let subject = reader.short()?;
        let (mut from, mut kind, mut bit) = (None, None, 0);
        match number {
            (40, 10) => (kind, bit) = (Some(reader.short()?), 4),
            (40, 30 | 40) | (50, 20) => from = Some((reader.short()?, reader.short()?)),
            // Without bits: it is always answered.
            (50, 50) => {
                let from = Some((reader.short()?, reader.short()?));
                return Ok(Self { name, subject, from, kind, no_wait: false });
            }
            (50, 10) => bit = 4,
            (40, 20) => bit = 1,
            (50, 40) => bit = 2,
            (60, 20) => {
                reader.short()?;
                bit = 3;
            }
            _ => {}
        }
        let no_wait = reader.u8()? & (1 << bit) != 0;
        Ok(Self { name, subject, from, kind, no_wait })
    }
}

impl Topology {
    /// Something from the broker was missed: answers may have been among it. Where requests may have been missed, the others' answers
    /// come all the same.
    pub(super) fn torn(&mut self) {
        self.asked.clear();
    }

    /// A channel begins or ends at `since`.
    pub(super) fn forget(&mut self, channel: u16, since: Timestamp) {
        self.asked.retain(|asked| asked.channel != channel);
        self.early.retain(|(answered, _, answer)| *answered != channel || answer.at >= since);
    }

    fn take(&mut self, channel: u16, number: Number) -> Option<Asked> {
        let is_it = |asked: &Asked| asked.channel == channel && asked.number == number;
        let index = self.asked.iter().position(is_it)?;
        self.asked.remove(index)
    }

    /// The answer to a request that began at `start`. What came before that answers one that was missed.
    fn take_early(&mut self, channel: u16, number: Number, start: Timestamp) -> Option<Answer> {
        self.early.retain(|(on, asked, answer)| *on != channel || *asked != number || answer.at >= start);
        let index = self.early.iter().position(|(on, asked, _)| *on == channel && *asked == number)?;
        self.early.remove(index).map(|(.., answer)| answer)
    }
}

impl Amqp {
    /// Requests about exchanges and queues, and their answers, among the methods.
    pub(super) fn topology(
        &mut self,
        view: &FrameView<'_>,
        channel: u16,
        payload: &[u8],
        size: u32,
        out: &mut Vec<Op>,
    ) {
        let mut reader = Reader::new(payload, size);
        let (Ok(class), Ok(method)) = (reader.u16(), reader.u16()) else { return };
        let number = (class, method);
        if view.to_server
            && let Some(name) = name(number)
            && let Ok(request) = Request::read(number, name, &mut reader)
        {
            let no_wait = request.no_wait;
            let asked = self.asked(view, channel, number, request);
            match self.topology.take_early(channel, number, view.at.start) {
                Some(answer) => self.answered(view, asked, answer, out),
                None if no_wait => {
                    self.answered(view, asked, Answer { queue: None, error: None, at: view.at.end }, out)
                }
                None => {
                    if self.topology.asked.len() >= ASKED {
                        self.topology.asked.pop_front();
                    }
                    self.topology.asked.push_back(asked);
                }
            }
        } else if !view.to_server
            && let Some(number) = answers(number)
        {
            // `queue.declare-ok` begins with the queue's name.
            let queue = (number == (50, 10)).then(|| reader.short().ok()).flatten();
            let queue = queue.map(|queue| self.names.share(&queue));
            self.answer(view, channel, number, Answer { queue, error: None, at: view.at.end }, out);
        }
    }

    /// The broker closes a channel or the connection because of a request: `payload` is what is there of the method.
    pub(super) fn refuses(&mut self, view: &FrameView<'_>, channel: u16, payload: &[u8], out: &mut Vec<Op>) {
        let mut reader = Reader::new(payload, u32::MAX);
        let read = reader.skip(4).and_then(|()| reader.u16()).and_then(|code| Ok((code, reader.short()?)));
        let Ok((code, text)) = read else { return };
        let (Ok(class), Ok(method)) = (reader.u16(), reader.u16()) else { return };
        let text: String = text.chars().take(TEXT).collect();
        let error = Some(Refusal { kind: Cow::Borrowed(reply::name(code)), text: text.into() });
        // The connection's own channel names no other one.
        let on = self.topology.asked.iter().find(|asked| asked.number == (class, method));
        let on = if channel == 0 { on.map_or(channel, |asked| asked.channel) } else { channel };
        if name((class, method)).is_some() {
            self.answer(view, on, (class, method), Answer { queue: None, error, at: view.at.end }, out);
        } else if let Some(name) = other(class, method) {
            let message = Message::default();
            let kind = OpKind::Request { name, message: Box::new(message), error };
            out.push(view.op_of_part(REFUSED, self.client_id.as_ref(), kind));
        }
    }

    fn asked(&mut self, view: &FrameView<'_>, channel: u16, number: Number, request: Request<'_>) -> Asked {
        let Request { name, subject, from, kind, no_wait: _ } = request;
        let is_queue = number.0 != 40;
        let mut subject = self.names.share(&subject);
        if is_queue && subject.is_empty() && number != (50, 10) {
            subject = self.channels.get(channel).last_declared().unwrap_or(subject);
        }
        let mut attributes = Vec::with_capacity(3);
        let about = if is_queue { RABBITMQ_QUEUE } else { RABBITMQ_EXCHANGE };
        let destination = match &from {
            Some((exchange, key)) => {
                if is_queue {
                    attributes.push((RABBITMQ_EXCHANGE, Value::Shared(self.names.share(exchange))));
                }
                if !key.is_empty() {
                    attributes.push((RABBITMQ_ROUTING_KEY, Value::Shared(self.names.share(key))));
                }
                self.destination(exchange, key, &subject)
            }
            None => Arc::clone(&subject),
        };
        if !subject.is_empty() {
            attributes.push((about, Value::Shared(subject)));
        }
        if let Some(kind) = kind.filter(|kind| !kind.is_empty()) {
            attributes.push((RABBITMQ_EXCHANGE_TYPE, Value::Shared(self.names.share(&kind))));
        }
        let message = Message { destination, attributes: attributes.into(), ..Message::default() };
        Asked { channel, number, name, message, stretch: Stretch::of(view) }
    }

    fn answer(
        &mut self,
        view: &FrameView<'_>,
        channel: u16,
        number: Number,
        answer: Answer,
        out: &mut Vec<Op>,
    ) {
        match self.topology.take(channel, number) {
            Some(asked) => self.answered(view, asked, answer, out),
            None => {
                if self.topology.early.len() >= EARLY {
                    self.topology.early.pop_front();
                }
                self.topology.early.push_back((channel, number, answer));
            }
        }
    }

    fn answered(&mut self, view: &FrameView<'_>, asked: Asked, answer: Answer, out: &mut Vec<Op>) {
        let Asked { name, mut message, stretch, .. } = asked;
        let Answer { queue, error, at: _ } = answer;
        if name == CONSUME && error.is_none() {
            return;
        }
        if let Some(queue) = queue.filter(|_| message.destination.is_empty()) {
            message.destination = Arc::clone(&queue);
            message.attributes.to_mut().push((RABBITMQ_QUEUE, Value::Shared(queue)));
        }
        let kind = OpKind::Request { name, message: Box::new(message), error };
        out.push(view.op_of(&stretch, self.client_id.as_ref(), kind));
    }
}

/// Which part of the bytes of a close is the request that it names: behind the errors that it is of itself.
const REFUSED: u32 = u32::MAX;

/// Another method for which brokers close channels.
fn other(class: u16, method: u16) -> Option<&'static str> {
    Some(match (class, method) {
        (20, 10) => "channel.open",
        (60, 10) => "basic.qos",
        (60, 30) => "basic.cancel",
        (60, 40) => "basic.publish",
        (60, 70) => "basic.get",
        (60, 80) => "basic.ack",
        (60, 90) => "basic.reject",
        (60, 110) => "basic.recover",
        (60, 120) => "basic.nack",
        (85, 10) => "confirm.select",
        (90, 10) => "tx.select",
        (90, 20) => "tx.commit",
        (90, 30) => "tx.rollback",
        (10, 40) => "connection.open",
        _ => return None,
    })
}
