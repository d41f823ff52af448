//! From answers and pushes to ops. Element by element, so that an answer of any length needs no room.

use std::sync::Arc;

use bytes::Bytes;

use super::Redis;
use super::answer::error_word;
use super::entry::Arg;
use super::order::{Early, Expect, Reading, Whose};
use super::request::settle_id;
use super::resp::{Element, HEAD, Kind, Without};
use crate::model::op::{Feed, Message, Op, OpKind, Place, Scope};
use crate::proto::{FrameView, Stretch, Unusable};

/// Aggregates in one another that are followed: a transaction's answer of streams has six.
const DEPTH: usize = 32;

/// Longest text that is kept of an answer that came early: an error or an id.
const TEXT: usize = 64;

/// Who pops a value from a list takes it from all others.
const LIST: Feed = Feed::Shared(0);

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Ignore,
    /// Stands before a value.
    Attribute,
    /// An answer, or one within that of EXEC.
    Answer,
    Exec,
    /// A push, or in RESP2 perhaps one.
    Push,
    Perhaps,
    Word,
    /// Of XREAD and XREADGROUP: in RESP3 a map, else pairs.
    Streams,
    StreamMap,
    Pair,
    Stream,
    Entries,
    Entry,
    Id,
    Fields,
    Field,
    AutoClaim,
    /// Of lists.
    Values,
    Value,
    KeyValue,
    KeyValues,
    Key,
}

/// An aggregate that is not complete.
#[derive(Clone, Copy, Debug)]
struct Level {
    meaning: Meaning,
    index: u64,
    /// Children to come, if that is known.
    left: Option<u64>,
}

/// The answer or push that is being read.
#[derive(Debug, Default)]
pub(super) struct Reply {
    stack: Vec<Level>,
    span: Option<Stretch>,
    /// The rest of a long line is to come.
    pub(super) line: bool,
    expect: Option<Expect>,
    /// What the elements of EXEC's answer will be.
    queued: std::vec::IntoIter<Expect>,
    reading: Option<Arc<Reading>>,
    /// Whether it is not sure to be the answer to what it seems to answer.
    supposed: bool,
    /// Lists of which it names one, if it is the answer to what it seems to answer.
    lists: Option<Arc<[Arc<str>]>>,
    /// Stream or list.
    key: Option<Arc<str>>,
    claimed: bool,
    id: Option<Arc<str>>,
    words: Vec<Arg>,
    delivered: u32,
}

impl Reply {
    /// Whether no answer is half here.
    pub(super) fn is_idle(&self) -> bool {
        self.stack.is_empty() && !self.line
    }
}

/// A text, number or error, or nothing.
struct Scalar<'a> {
    kind: Kind,
    arg: &'a Arg,
}

impl Redis {
    /// A frame from the server.
    pub(super) fn fold_reply(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let follows = self.answers.follows(view);
        if !follows {
            self.forget_reply();
        }
        if self.reply.line {
            self.reply.line = view.bytes.last() != Some(&b'\n');
            return Ok(());
        }
        let mut at = 0;
        while (at as u64) < view.len {
            let rest = view.bytes.get(at..).unwrap_or(&[]);
            let element = match Element::read(rest) {
                Ok(element) => element,
                // A line in pieces.
                Err(Without::More) if at == 0 && rest.len() == HEAD && view.is_whole() => {
                    self.reply.line = true;
                    let kind = if rest.first() == Some(&b'-') { Kind::Error } else { Kind::Line(b'+') };
                    Element { kind, from: 1, size: HEAD as u64 - 1, len: HEAD as u64 }
                }
                Err(_) => {
                    self.forget_reply();
                    return Err(if view.is_whole() { Unusable::Malformed } else { Unusable::Cut });
                }
            };
            let continues = self.reply.span.as_mut().is_some_and(|span| at > 0 || span.add(view));
            if !continues {
                self.reply.span = Some(Stretch::of(view));
            }
            let range = element.range(rest.len());
            let bytes = if range.is_empty() {
                Bytes::new()
            } else {
                view.bytes.slice(at + range.start..at + range.end)
            };
            let arg = Arg { bytes, size: element.size };
            if !self.element(view, element.kind, &arg, out) {
                self.forget_reply();
                return Err(Unusable::Malformed);
            }
            at = at.saturating_add(usize::try_from(element.len).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// Something from the server was missed: what was begun is lost, and the order of answers with it.
    fn forget_reply(&mut self) {
        self.reply = Reply { stack: std::mem::take(&mut self.reply.stack), ..Reply::default() };
        self.reply.stack.clear();
        self.fields.clear();
        self.order.lose_answers();
    }

    /// The next element; `false` if it breaks the rules.
    fn element(&mut self, view: &FrameView<'_>, kind: Kind, arg: &Arg, out: &mut Vec<Op>) -> bool {
        if kind == Kind::End {
            let open = self.reply.stack.pop_if(|level| level.left.is_none());
            if let Some(level) = &open {
                self.end(level.meaning, view, out);
                self.step(level.meaning, view, out);
            }
            return open.is_some();
        }
        let meaning = match self.reply.stack.last().copied() {
            _ if matches!(kind, Kind::Aggregate(b'|', _)) => Meaning::Attribute,
            None => self.begin(view, kind),
            Some(Level { meaning: Meaning::Perhaps, left, index: 0 }) => {
                let is_push = kind == Kind::Bulk(b'$') && is_push(&arg.bytes, left);
                let meaning =
                    if is_push { Meaning::Push } else { self.answer(view, Kind::Aggregate(b'*', left)) };
                if let Some(level) = self.reply.stack.last_mut() {
                    level.meaning = meaning;
                }
                self.child(meaning, 0, kind)
            }
            Some(level) => self.child(level.meaning, level.index, kind),
        };
        let Kind::Aggregate(_, left) = kind else {
            self.scalar(meaning, &Scalar { kind, arg }, view, out);
            self.step(Meaning::Ignore, view, out);
            return true;
        };
        if left == Some(0) {
            self.step(meaning, view, out);
            return true;
        }
        // What means nothing is counted only, so that it may be as deep as it likes.
        if let (
            Meaning::Ignore,
            Some(children),
            Some(Level { meaning: Meaning::Ignore, left: Some(more), .. }),
        ) = (meaning, left, self.reply.stack.last_mut())
        {
            *more = more.saturating_sub(1).saturating_add(children);
            return true;
        }
        let fits = self.reply.stack.len() < DEPTH;
        if fits {
            let meaning = if meaning == Meaning::Answer { self.opened(kind) } else { meaning };
            self.reply.stack.push(Level { meaning, index: 0, left });
        }
        fits
    }

    /// A value of this meaning is complete: the next one is awaited.
    fn step(&mut self, mut meaning: Meaning, view: &FrameView<'_>, out: &mut Vec<Op>) {
        loop {
            if meaning == Meaning::Attribute {
                // The value that it belongs to begins its own stretch.
                if self.reply.stack.is_empty() {
                    self.reply.span = None;
                }
                return;
            }
            let Some(level) = self.reply.stack.last_mut() else { return self.complete(view, out) };
            level.index += 1;
            let Some(left) = &mut level.left else { return };
            *left = left.saturating_sub(1);
            if *left > 0 {
                return;
            }
            meaning = level.meaning;
            self.reply.stack.pop();
            self.end(meaning, view, out);
        }
    }

    /// An answer or push is complete.
    fn complete(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) {
        let count = std::mem::take(&mut self.reply.delivered);
        if count > 1
            && let Some(span) = &self.reply.span
        {
            out.push(view.op_of(span, self.client_id.as_ref(), OpKind::Received { count, batch: None }));
        }
        if std::mem::take(&mut self.early) {
            let op = self.reply_op(view, 0, OpKind::Unseen);
            self.order.keep(Early { op, kind: Kind::Aggregate(b'*', Some(0)), text: Arc::default() });
        }
        self.reply.span = None;
        self.reply.reading = None;
        self.reply.expect = None;
        self.reply.lists = None;
        self.reply.supposed = false;
    }

    /// What a value from the server is that begins so.
    fn begin(&mut self, view: &FrameView<'_>, kind: Kind) -> Meaning {
        match kind {
            Kind::Aggregate(b'>', _) => Meaning::Push,
            Kind::Aggregate(b'*', left)
                if left != Some(0)
                    && (self.subscribed
                        || !self.order.is_known()
                        || self.order.next().is_none_or(|next| *next == Expect::Subscription)) =>
            {
                Meaning::Perhaps
            }
            Kind::Line(b'+') if self.monitoring && self.monitored => Meaning::Ignore,
            _ => self.answer(view, kind),
        }
    }

    /// Whose answer begins so; what it means.
    fn answer(&mut self, view: &FrameView<'_>, kind: Kind) -> Meaning {
        // A client may have begun to read long before; what comes in pieces came with the first.
        let came = if view.last_enter == view.at.start { view.at.end } else { view.at.start };
        match self.order.answered(kind, came) {
            Whose::Of(expect) => self.expect(expect, kind),
            Whose::Perhaps { expect, usual } => self.suppose(expect, usual, kind),
            Whose::Early => {
                self.reply.expect = None;
                self.early = true;
                self.unknown(kind)
            }
            Whose::Unknown => {
                self.reply.expect = None;
                self.reply.supposed = true;
                self.unknown(kind)
            }
        }
    }

    /// The answer to a request that is not known: that of XREAD tells itself.
    fn unknown(&mut self, kind: Kind) -> Meaning {
        // After a loss the group is what it was. If no request was ever seen there may be none.
        self.reply.reading = match &self.reading {
            Some(reading) => self.reads_on.then(|| Arc::clone(reading)),
            None => (!self.began).then(Arc::default),
        };
        self.reply.claimed = false;
        match kind {
            _ if self.reply.reading.is_none() => Meaning::Answer,
            Kind::Aggregate(b'*', _) => Meaning::Streams,
            Kind::Aggregate(b'%', _) => Meaning::StreamMap,
            _ => Meaning::Answer,
        }
    }

    /// What is perhaps the answer to a request, as far as the answer tells itself or does not differ from those to others.
    fn suppose(&mut self, expect: Expect, usual: bool, kind: Kind) -> Meaning {
        let pair = matches!(kind, Kind::Aggregate(b'*', Some(2)));
        let several = matches!(kind, Kind::Aggregate(..));
        let meaning = match (expect, usual) {
            (expect @ Expect::Pop(_), true) if several || matches!(kind, Kind::Bulk(_)) => {
                return self.expect(expect, kind);
            }
            (Expect::PopAny(lists), _) if pair => {
                self.reply.lists = Some(lists);
                Meaning::KeyValue
            }
            (Expect::PopSeveral(lists), _) if pair => {
                self.reply.lists = Some(lists);
                Meaning::KeyValues
            }
            (expect @ Expect::Read(_), _) if several => self.expect(expect, kind),
            _ => {
                self.reply.expect = None;
                self.unknown(kind)
            }
        };
        self.reply.supposed = true;
        meaning
    }

    /// Stream or list of an answer. Of one that is not sure to be the answer to what it seems to answer, only if that was asked for.
    fn key(&mut self, arg: &Arg) {
        let key = self.shared(arg);
        let Reply { supposed, lists, reading, .. } = &self.reply;
        let asked = |key: &Arc<str>| match (lists, reading) {
            (Some(lists), _) => lists.contains(key),
            (None, Some(reading)) => reading.streams.is_empty() || reading.streams.contains(key),
            (None, None) => true,
        };
        let named = key.as_ref().is_some_and(asked);
        match (*supposed, named) {
            (true, true) => self.order.named(),
            (true, false) => self.order.misnamed(),
            (false, _) => {}
        }
        self.reply.key = key.filter(|_| named || !self.reply.supposed);
    }

    /// The answer to a request.
    fn expect(&mut self, expect: Expect, kind: Kind) -> Meaning {
        self.reply.expect = Some(expect);
        if matches!(kind, Kind::Aggregate(..)) { self.opened(kind) } else { Meaning::Answer }
    }

    /// What an aggregate means that begins an answer.
    fn opened(&mut self, kind: Kind) -> Meaning {
        match self.reply.expect.take() {
            Some(Expect::Read(reading)) => {
                self.reply.reading = Some(reading);
                self.reply.claimed = false;
                if matches!(kind, Kind::Aggregate(b'%', _)) { Meaning::StreamMap } else { Meaning::Streams }
            }
            Some(Expect::Claim(claim)) => {
                self.claimed(&claim);
                Meaning::Entries
            }
            Some(Expect::AutoClaim(claim)) => {
                self.claimed(&claim);
                Meaning::AutoClaim
            }
            Some(Expect::Pop(key)) => {
                self.reply.key = Some(key);
                Meaning::Values
            }
            Some(Expect::PopAny(_)) => Meaning::KeyValue,
            Some(Expect::PopSeveral(_)) => Meaning::KeyValues,
            Some(Expect::Exec(queued)) => {
                self.reply.queued = queued.into_iter();
                Meaning::Exec
            }
            _ => Meaning::Ignore,
        }
    }

    fn claimed(&mut self, claim: &super::order::Claim) {
        self.reply.reading =
            Some(Arc::new(Reading { group: Some(Arc::clone(&claim.group)), ..Reading::default() }));
        self.reply.key = Some(Arc::clone(&claim.stream));
        self.reply.claimed = true;
    }

    /// What the child at `index` of such an aggregate means.
    fn child(&mut self, of: Meaning, index: u64, kind: Kind) -> Meaning {
        let pair = matches!(kind, Kind::Aggregate(b'*', Some(2)));
        let several = matches!(kind, Kind::Aggregate(b'*' | b'%', _));
        match (of, index) {
            (Meaning::Exec, _) => match self.reply.queued.next() {
                Some(expect) if expect.fits(kind) => self.expect(expect, kind),
                _ => Meaning::Ignore,
            },
            (Meaning::Push, _) => Meaning::Word,
            (Meaning::Streams, _) if pair => Meaning::Pair,
            (Meaning::Pair, 0) => Meaning::Stream,
            (Meaning::StreamMap, index) if index % 2 == 0 => Meaning::Stream,
            (Meaning::Pair | Meaning::StreamMap, _) if several => Meaning::Entries,
            (Meaning::Entries, _) if pair => Meaning::Entry,
            (Meaning::Entry, 0) => Meaning::Id,
            (Meaning::Entry, _) if several => Meaning::Fields,
            (Meaning::Fields, _) => Meaning::Field,
            (Meaning::AutoClaim, 1) => Meaning::Entries,
            (Meaning::KeyValue | Meaning::KeyValues, 0) => Meaning::Key,
            (Meaning::KeyValue, 1) | (Meaning::Values, _) => Meaning::Value,
            (Meaning::KeyValues, 1) if several => Meaning::Values,
            _ => Meaning::Ignore,
        }
    }

    fn scalar(&mut self, meaning: Meaning, scalar: &Scalar<'_>, view: &FrameView<'_>, out: &mut Vec<Op>) {
        let arg = scalar.arg;
        match meaning {
            Meaning::Answer => self.answer_scalar(scalar, view, out),
            Meaning::Stream | Meaning::Key => self.key(arg),
            Meaning::Id => {
                self.fields.clear();
                let id = str::from_utf8(&arg.bytes).ok().filter(|id| arg.is_whole() && is_entry_id(id));
                self.reply.id = id.map(Into::into);
            }
            Meaning::Field => self.fields.push(arg.clone()),
            Meaning::Value if matches!(scalar.kind, Kind::Bulk(_)) => self.popped(arg, view, out),
            Meaning::Word if self.reply.words.len() < 4 => self.reply.words.push(arg.clone()),
            _ => {}
        }
    }

    /// An aggregate is complete.
    fn end(&mut self, meaning: Meaning, view: &FrameView<'_>, out: &mut Vec<Op>) {
        match meaning {
            Meaning::Fields => self.entry(view, out),
            Meaning::Push => self.pushed(view, out),
            _ => {}
        }
    }

    /// The fields of an entry are complete.
    fn entry(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) {
        let (body, headers) = self.fields.take();
        let reply = &mut self.reply;
        let (Some(id), Some(stream), Some(reading)) = (reply.id.take(), &reply.key, &reply.reading) else {
            return;
        };
        let needs_settle = reading.group.is_some() && !reading.noack;
        let settle_id =
            reading.group.as_ref().filter(|_| needs_settle).map(|group| settle_id(stream, group, &id));
        let message = Message {
            destination: Arc::clone(stream),
            group: reading.group.clone(),
            feed: reading.group.as_ref().map_or(Feed::Client, |group| Feed::shared(group.as_bytes())),
            settle_id,
            scope: if needs_settle { Scope::Broker } else { Scope::Connection },
            needs_settle,
            redelivered: reply.claimed || reading.history.contains(stream),
            id: Some(format!("{stream}:{id}").into()),
            body,
            headers,
            ..Message::default()
        };
        self.deliver(message, view, out);
    }

    /// A value came out of a list.
    fn popped(&mut self, value: &Arg, view: &FrameView<'_>, out: &mut Vec<Op>) {
        if let Some(key) = &self.reply.key {
            let message = Message {
                destination: Arc::clone(key),
                feed: LIST,
                body: value.clone().payload(),
                ..Message::default()
            };
            self.deliver(message, view, out);
        }
    }

    /// What was pushed is complete.
    fn pushed(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) {
        let words = std::mem::take(&mut self.reply.words);
        let (channel, body, feed) = match words.as_slice() {
            [kind, channel, body] if matches!(&*kind.bytes, b"message" | b"smessage") => {
                (channel, body, Feed::Client)
            }
            [kind, pattern, channel, body] if *kind.bytes == *b"pmessage" => {
                (channel, body, Feed::of_subscription(&pattern.bytes))
            }
            [kind, ..] if kind.bytes.ends_with(b"subscribe") => return self.order.confirmed(),
            _ => return,
        };
        if let Some(destination) = self.shared(channel) {
            let message = Message { destination, feed, body: body.clone().payload(), ..Message::default() };
            self.deliver(message, view, out);
        }
    }

    fn deliver(&mut self, message: Message, view: &FrameView<'_>, out: &mut Vec<Op>) {
        let part = self.reply.delivered;
        out.push(self.reply_op(view, part, OpKind::Deliver(Box::new(message))));
        self.reply.delivered = part.saturating_add(1);
    }

    /// A text, a number, an error or nothing as an answer.
    fn answer_scalar(&mut self, scalar: &Scalar<'_>, view: &FrameView<'_>, out: &mut Vec<Op>) {
        let (kind, arg) = (scalar.kind, scalar.arg);
        let expect = self.reply.expect.take();
        if self.monitoring && kind == Kind::Line(b'+') {
            self.monitored = true;
        }
        if let Some(Expect::Pop(key)) = &expect
            && matches!(kind, Kind::Bulk(_))
        {
            self.reply.key = Some(Arc::clone(key));
            self.popped(arg, view, out);
        } else if let Some(expect) = expect {
            let op = self.reply_op(view, 0, OpKind::Unseen);
            self.settle(&expect, kind, &arg.bytes, &op, out);
        } else if std::mem::take(&mut self.early) {
            let text = arg.bytes.get(..TEXT).unwrap_or(&arg.bytes).into();
            self.order.keep(Early { op: self.reply_op(view, 0, OpKind::Unseen), kind, text });
        } else if kind == Kind::Error && !self.order.asked && is_refusal(&arg.bytes) {
            let error = Some(error_word(&arg.bytes));
            out.push(self.reply_op(view, 0, OpKind::Connected { error }));
        }
    }

    fn shared(&mut self, arg: &Arg) -> Option<Arc<str>> {
        arg.is_whole().then(|| self.names.share(&String::from_utf8_lossy(&arg.bytes)))
    }

    fn reply_op(&self, view: &FrameView<'_>, part: u32, kind: OpKind) -> Op {
        let op = match &self.reply.span {
            Some(span) => view.op_of(span, self.client_id.as_ref(), kind),
            None => view.op(self.client_id.as_ref(), kind),
        };
        Op { place: Place { part, ..op.place }, ..op }
    }
}

/// What a server says before anything was asked: it wants no strangers (protected mode), or has no room.
fn is_refusal(text: &[u8]) -> bool {
    text.starts_with(b"DENIED ") || text.starts_with(b"ERR max number of clients")
}

/// Whether an array of so many children that begins with this word is pushed (RESP2).
fn is_push(word: &[u8], children: Option<u64>) -> bool {
    match word {
        b"pmessage" => children == Some(4),
        b"message" | b"smessage" | b"subscribe" | b"psubscribe" | b"ssubscribe" | b"unsubscribe"
        | b"punsubscribe" | b"sunsubscribe" => children == Some(3),
        _ => false,
    }
}

/// Whether it is an entry's id: two numbers.
fn is_entry_id(id: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.split_once('-').is_some_and(|(time, number)| is_number(time) && is_number(number))
}
