//! From frames to ops.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::errors::{REFUSALS, error_name};
use super::headers::Headers;
use super::jetstream::{self, Delivered, Inward, PubAck, Pull};
use super::line::{Announced, Introduction, Line, Verb};
use super::pulls::Batch;
use super::{Asked, HEAD, MAX_ASKED, MAX_QUEUES, Nats};
use crate::model::command::Value;
use crate::model::op::{Feed, Message, Op, OpKind, Scope};
use crate::model::payload::Payload;
use crate::names::attribute::{
    MESSAGING_DESTINATION_TEMPORARY, MESSAGING_MESSAGE_ID, NATS_CONSUMER, NATS_DELIVERED, NATS_STREAM,
};
use crate::proto::{FrameView, Unusable};

/// What clients let the subjects of replies begin with.
const INBOX: &str = "_INBOX.";

/// What stands for such a subject in names.
const INBOXES: &str = "_INBOX.>";

/// Status of the server's answer if nobody subscribes to what a request was sent to, ADR-4.
const NO_RESPONDERS: u16 = 503;

/// Status that keeps a subscription alive and says nothing else, ADR-9.
const IDLE: u16 = 100;

/// Header under which a request names where the reply is to go.
const REPLY_TO: &str = "reply-to";

/// Header that a request and its reply share.
const CORRELATION: &str = "correlation-id";

#[derive(Deserialize)]
struct Connect<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    tls_available: bool,
}

impl Nats {
    pub(super) fn fold_frame(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let line = match Line::read(&view.bytes, HEAD) {
            Ok(line) if line.fits() => line,
            _ if self.pieces(view.to_server) > 0 => {
                self.go_on(view);
                return Ok(());
            }
            Err(why) => return self.begin_long(view, out).ok_or(why),
            Ok(_) => return Err(Unusable::Malformed),
        };
        *self.pieces_mut(view.to_server) = 0;
        let kind = match line.verb {
            Verb::Info if !view.to_server => {
                let info: Option<Info> = serde_json::from_slice(line.rest).ok();
                self.tls = info.is_none_or(|info| info.tls_required || info.tls_available);
                None
            }
            Verb::Connect if view.to_server => {
                let connect: Option<Connect<'_>> = serde_json::from_slice(line.rest).ok();
                let name = connect.and_then(|connect| connect.name).filter(|name| !name.is_empty());
                self.client_id = name.map(|name| Arc::from(&*name));
                Some(self.connect())
            }
            Verb::Pub | Verb::Hpub => self.published(view, &line)?,
            Verb::Msg | Verb::Hmsg => self.delivered(view, &line)?,
            Verb::Sub => self.subscribed(&line)?,
            Verb::Unsub => {
                if let Some(sid) = line.argument(0).map(jetstream::hash) {
                    // With a number of messages it goes on for so long.
                    let is_now = line.argument(1).is_none();
                    if is_now {
                        self.queues.remove(&sid);
                    }
                    self.pulls.unsubscribed(sid, is_now);
                }
                None
            }
            Verb::Err if !view.to_server => Some(self.refused(line.rest)),
            _ => None,
        };
        self.seen |= line.verb != Verb::Info;
        out.extend(kind.map(|kind| view.op(self.client_id.as_ref(), kind)));
        for (part, Batch { number, count, at, tid }) in (0..).zip(self.pulls.ended()) {
            let kind = OpKind::Received { count, batch: Some(number) };
            out.push(Op { at, tid, ..view.op_of_part(part, self.client_id.as_ref(), kind) });
        }
        Ok(())
    }

    /// A line that is longer than what is looked at; `None` if it is something else.
    fn begin_long(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Option<()> {
        let what = Introduction::read(&view.bytes).ok().filter(|_| view.is_whole())?;
        *self.pieces_mut(view.to_server) = 1;
        if what.verb == Verb::Connect && view.to_server {
            self.client_id = None;
            let kind = self.connect();
            out.push(view.op(None, kind));
            self.seen = true;
        } else {
            self.tls = true;
        }
        Some(())
    }

    /// The next piece of such a line.
    fn go_on(&mut self, view: &FrameView<'_>) {
        let pieces = self.pieces_mut(view.to_server);
        let ended = view.bytes.last() == Some(&b'\n') || !view.is_whole();
        *pieces = if ended { 0 } else { pieces.saturating_add(1) };
    }

    fn connect(&mut self) -> OpKind {
        self.gone = false;
        OpKind::Connect { will: None }
    }

    /// To a CONNECT there is no other answer than a refusal.
    fn refused(&mut self, rest: &[u8]) -> OpKind {
        let kind = Cow::Borrowed(error_name(rest));
        if REFUSALS.contains(&&*kind) {
            self.gone = true;
            return OpKind::Connected { error: Some(kind) };
        }
        OpKind::Error { kind }
    }

    fn subscribed(&mut self, line: &Line<'_>) -> Result<Option<OpKind>, Unusable> {
        let filter = line.argument(0).ok_or(Unusable::Malformed)?;
        let (queue, sid) = if line.argument(2).is_some() { (line.argument(1), 2) } else { (None, 1) };
        let name = line.argument(sid).ok_or(Unusable::Malformed)?;
        let (sid, mut feed) = (jetstream::hash(name), Feed::of_subscription(name));
        if let Some(queue) = queue {
            feed = Feed::shared(queue);
            if self.queues.len() >= MAX_QUEUES && !self.queues.contains_key(&sid) {
                self.queues.clear();
            }
            let queue = self.names.share(&text(queue));
            self.queues.insert(sid, queue);
        } else {
            self.queues.remove(&sid);
        }
        self.pulls.subscribed(sid, filter);
        let filter = text(filter);
        if is_inbox(&filter) {
            // Replies say themselves what they answer, and what a consumer delivers there has its own subject.
            return Ok(None);
        }
        Ok(Some(OpKind::Subscribe { filters: vec![self.names.share(&filter)], feed }))
    }

    fn published(&mut self, view: &FrameView<'_>, line: &Line<'_>) -> Result<Option<OpKind>, Unusable> {
        let announced = line.announced().ok_or(Unusable::Malformed)?;
        let Parts { head, body } = Parts::of(view, line, &announced);
        let subject = text(announced.subject);
        match jetstream::inward(&subject) {
            Some(Inward::Settle) => {
                self.ask(announced.reply, Asked::Api);
                return Ok(self.settled(view, &subject, announced.reply, &body.captured));
            }
            Some(Inward::Request) => {
                self.ask(announced.reply, Asked::Api);
                return Ok(None);
            }
            // The messages that a pull brings have subjects of their own.
            Some(Inward::Pull { stream, consumer }) => {
                self.ask(announced.reply, Asked::Api);
                let consumer = jetstream::consumer_hash(stream, consumer);
                self.pull(view, consumer, announced.reply, &body.captured);
                return Ok(None);
            }
            Some(Inward::Flow) => return Ok(None),
            None => self.ask(announced.reply, Asked::Message),
        }
        let headers = Headers::read(&head, &mut self.names);
        let mut message = self.message(&subject, announced.reply, body);
        message.id = headers.message_id;
        message.settle_id = announced.reply.map(jetstream::hash);
        message.needs_settle = announced.reply.is_some() && headers.for_jetstream;
        message.headers.extend(headers.kept);
        Ok(Some(OpKind::Publish(Box::new(message))))
    }

    fn pull(&mut self, view: &FrameView<'_>, consumer: u64, reply: Option<&[u8]>, body: &[u8]) {
        if let Some(reply) = reply {
            self.pulls.asked(view, consumer, reply, Pull::read(body));
        }
    }

    /// A program publishes `body` to the acknowledgement's `subject`.
    fn settled(
        &mut self,
        view: &FrameView<'_>,
        subject: &str,
        reply: Option<&[u8]>,
        body: &[u8],
    ) -> Option<OpKind> {
        let (name, error) = jetstream::settlement(body)?;
        let id = jetstream::hash(subject.as_bytes());
        let ids = match Delivered::read(subject) {
            Some(Delivered { stream, consumer, sequence, .. }) => {
                let consumer = jetstream::consumer_hash(stream, consumer);
                // It may ask for more at once.
                if let Some(more) = body.strip_prefix(b"+NXT") {
                    self.pull(view, consumer, reply, more);
                }
                self.unsettled.settled(consumer, sequence, id, error.is_none())
            }
            None => vec![id],
        };
        Some(OpKind::Settle { name, ids, scope: Scope::Broker, error: error.map(Cow::Borrowed) })
    }

    fn delivered(&mut self, view: &FrameView<'_>, line: &Line<'_>) -> Result<Option<OpKind>, Unusable> {
        let announced = line.announced().ok_or(Unusable::Malformed)?;
        let Parts { head, body } = Parts::of(view, line, &announced);
        let headers = Headers::read(&head, &mut self.names);
        let key = jetstream::hash(announced.subject);
        let asked = self.asked.get(&key).copied();
        if let Some(status) = headers.status {
            if status != IDLE {
                self.pulls.end_of(jetstream::hash(announced.sid));
            }
            // Behind a loss the answer may be seen before the request.
            let asked = asked.or_else(|| is_inbox(&text(announced.subject)).then_some(Asked::Message));
            let unheard = status == NO_RESPONDERS && asked == Some(Asked::Message);
            if unheard {
                self.asked.remove(&key);
            }
            let error = Some(Cow::Borrowed("no_responders"));
            return Ok(unheard.then_some(OpKind::PublishSettled { id: key, error, given: None }));
        }
        let subject = text(announced.subject);
        if asked == Some(Asked::Api) {
            self.learn(&body.captured);
            return Ok(None);
        }
        let reply = announced.reply.map(text);
        if let Some(delivered) = reply.as_deref().and_then(Delivered::read) {
            let mut message = self.message(&subject, None, body);
            let id = announced.reply.map(jetstream::hash).unwrap_or_default();
            let consumer = self.describe(&mut message, &delivered, id);
            message.batch = self.pulls.delivered(view, consumer, jetstream::hash(announced.sid), id);
            message.headers.extend(headers.kept);
            return Ok(Some(OpKind::Deliver(Box::new(message))));
        }
        if asked.is_some() || is_inbox(&subject) {
            self.asked.remove(&key);
            if jetstream::is_answer(&body.captured) {
                self.learn(&body.captured);
                return Ok(None);
            }
            if let Some(PubAck { given, error }) = PubAck::read(&body.captured) {
                return Ok(Some(OpKind::PublishSettled { id: key, error, given: given.map(Arc::from) }));
            }
            if asked.is_none() && (body.size == 0 || headers.is_stored) {
                // So a settlement is confirmed, and a direct get answered. A program's empty answer looks the same, but its
                // request is remembered.
                return Ok(None);
            }
        }
        let mut message = self.message(&subject, announced.reply, body);
        if asked.is_some() {
            self.mark_as_reply(&mut message);
        }
        message.group = self.queues.get(&jetstream::hash(announced.sid)).cloned();
        message.feed = match &message.group {
            Some(queue) => Feed::shared(queue.as_bytes()),
            None => Feed::of_subscription(announced.sid),
        };
        if let Some(id) = headers.message_id {
            // The publisher's name for it. Under it nothing is found: where a stream keeps the message it has another one.
            message.attributes.to_mut().push((MESSAGING_MESSAGE_ID, Value::Shared(id)));
        }
        message.headers.extend(headers.kept);
        Ok(Some(OpKind::Deliver(Box::new(message))))
    }

    /// A message of a program, with what its line says. `reply`: where the answer is to go.
    fn message(&mut self, subject: &str, reply: Option<&[u8]>, body: Payload) -> Message {
        let is_reply = is_inbox(subject);
        // There is a new one for each request.
        let destination = if is_reply { Arc::from(subject) } else { self.names.share(subject) };
        let mut message = Message { destination, body, ..Message::default() };
        if is_reply {
            self.mark_as_reply(&mut message);
        }
        if let Some(reply) = reply {
            let reply: Arc<str> = Arc::from(&*text(reply));
            // A request is known by where its reply goes, also if it is a reply itself.
            message.headers.retain(|(name, _)| &**name != CORRELATION);
            message.headers.push((self.names.share(CORRELATION), reply.clone()));
            message.headers.push((self.names.share(REPLY_TO), reply));
        }
        message
    }

    /// Its subject was made for one reply.
    fn mark_as_reply(&mut self, message: &mut Message) {
        message.template = Some(self.names.share(INBOXES));
        message.attributes = Cow::Borrowed(&[(MESSAGING_DESTINATION_TEMPORARY, Value::Bool(true))]);
        if !message.headers.iter().any(|(name, _)| &**name == CORRELATION) {
            message.headers.push((self.names.share(CORRELATION), message.destination.clone()));
        }
    }

    /// JetStream delivers it, to be settled as `id`; returns the number of the consumer.
    fn describe(&mut self, message: &mut Message, delivered: &Delivered<'_>, id: u64) -> u64 {
        let &Delivered { stream, consumer, count, sequence } = delivered;
        let consumer_name = self.names.share(consumer);
        message.id = Some(Arc::from(jetstream::message_id(stream, sequence)));
        message.redelivered = count > 1;
        let hash = jetstream::consumer_hash(stream, consumer);
        message.settle_id = Some(id);
        message.needs_settle = self.unsettled.delivered(hash, sequence, id);
        message.scope = Scope::Broker;
        message.feed = Feed::Shared(hash);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        message.attributes = Cow::Owned(vec![
            (NATS_STREAM, Value::Shared(self.names.share(stream))),
            (NATS_CONSUMER, Value::Shared(consumer_name.clone())),
            (NATS_DELIVERED, Value::Int(count)),
        ]);
        message.group = Some(consumer_name);
        hash
    }

    /// What an answer of the API tells of a consumer.
    fn learn(&mut self, body: &[u8]) {
        if let Some((consumer, policy)) = jetstream::described(body) {
            self.unsettled.learn(consumer, policy);
        }
    }

    fn ask(&mut self, reply: Option<&[u8]>, asked: Asked) {
        let Some(reply) = reply else { return };
        if self.asked.len() >= MAX_ASKED {
            self.asked.clear();
        }
        self.asked.insert(jetstream::hash(reply), asked);
    }
}

/// What follows a message's line, as far as it was captured.
struct Parts {
    head: Bytes,
    body: Payload,
}

impl Parts {
    fn of(view: &FrameView<'_>, line: &Line<'_>, announced: &Announced<'_>) -> Self {
        let to = |length: u64| {
            let end = (line.len as u64).saturating_add(length);
            usize::try_from(end).unwrap_or(usize::MAX).min(view.bytes.len())
        };
        let (start, middle, end) = (to(0), to(announced.headers), to(announced.size));
        Self {
            head: view.bytes.slice(start..middle),
            body: Payload {
                captured: view.bytes.slice(middle..end),
                size: announced.size.saturating_sub(announced.headers),
            },
        }
    }
}

fn is_inbox(subject: &str) -> bool {
    subject.starts_with(INBOX)
}

/// Subjects are bytes to the server; programs use UTF-8.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
