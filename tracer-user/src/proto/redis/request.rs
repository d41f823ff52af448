//! From requests to ops, and to what their answers will be.

use std::hash::Hasher as _;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::Redis;
use super::entry::Arg;
use super::inline;
use super::names::{LONGEST, capitals};
use super::order::{Claim, Expect, Reading};
use super::resp::{Element, Kind, left_after};
use crate::model::net::Role;
use crate::model::op::{Feed, Message, Op, OpKind, Place, Scope};
use crate::model::payload::Payload;
use crate::proto::{FrameView, Stretch, Unusable};

/// Arguments of a command that are kept: a push of so many values is rare, and each is a message.
const ARGUMENTS: usize = 16_384;

/// Captured bytes kept of a command whose elements are frames of their own.
const KEPT: usize = 512 * 1024;

/// Messages of a transaction that are kept until its end is known.
const HELD: usize = 4096;

/// A request of which elements are still to come.
#[derive(Debug)]
pub(super) struct Half {
    span: Stretch,
    /// Elements to come.
    left: u64,
    /// Captured bytes kept.
    kept: usize,
}

/// A transaction that was begun.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// What the elements of its answer will be.
    answers: Vec<Expect>,
    /// What it will have done.
    ops: Vec<Op>,
}

/// Whether the server answers (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Replies {
    #[default]
    On,
    Off,
    /// Not to the next command.
    Skip,
}

impl Redis {
    /// A frame to the server.
    pub(super) fn fold_request(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let at_server = view.origin.viewpoint == Role::Server;
        self.order.listen(view.at.start, self.reply.is_idle(), at_server);
        let follows = self.requests.follows(view);
        if !follows {
            self.forget_requests();
        }
        match view.bytes.first() {
            Some(b'*' | b'$') => self.fold_elements(view, out),
            Some(_) if self.half.is_some() => {
                self.forget_requests();
                Err(Unusable::Malformed)
            }
            Some(b'\r' | b'\n') => Ok(()),
            Some(_) => {
                self.arguments.clear();
                inline::split(&view.bytes, &mut self.arguments);
                self.command(view, &Stretch::of(view), out);
                Ok(())
            }
            None => {
                self.forget_requests();
                Err(Unusable::Cut)
            }
        }
    }

    /// Something to the server was missed or was no request: what was begun is lost, and the order of answers with it.
    fn forget_requests(&mut self) {
        self.half = None;
        self.arguments.clear();
        self.transaction = None;
        self.order.lose();
    }

    fn fold_elements(&mut self, view: &FrameView<'_>, out: &mut Vec<Op>) -> Result<(), Unusable> {
        let mut at = 0;
        while (at as u64) < view.len {
            let rest = view.bytes.get(at..).unwrap_or(&[]);
            let Ok(element) = Element::read(rest) else {
                self.forget_requests();
                return Err(if view.is_whole() { Unusable::Malformed } else { Unusable::Cut });
            };
            match (element.kind, &mut self.half) {
                (Kind::Aggregate(b'*', Some(left)), half) => {
                    let lost = half.is_some();
                    if lost {
                        self.forget_requests();
                    }
                    self.arguments.clear();
                    self.half = (left > 0).then(|| Half { span: Stretch::of(view), left, kept: 0 });
                }
                (Kind::Bulk(b'$'), Some(half)) => {
                    if at == 0 && !half.span.add(view) {
                        self.forget_requests();
                        return Err(Unusable::Cut);
                    }
                    half.left = left_after(half.left, element.kind).unwrap_or(0);
                    let range = element.range(rest.len());
                    half.kept = half.kept.saturating_add(range.len());
                    let keep = half.kept <= KEPT;
                    let bytes = if keep && !range.is_empty() {
                        view.bytes.slice(at + range.start..at + range.end)
                    } else {
                        bytes::Bytes::new()
                    };
                    if self.arguments.len() < ARGUMENTS {
                        self.arguments.push(Arg { bytes, size: element.size });
                    }
                    if half.left == 0 {
                        let span = half.span;
                        self.half = None;
                        self.command(view, &span, out);
                    }
                }
                // `*0` and `*-1` are nothing.
                (Kind::Null, None) => {}
                _ => {
                    self.forget_requests();
                    return Err(Unusable::Malformed);
                }
            }
            at = at.saturating_add(usize::try_from(element.len).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// A whole command, in `self.arguments`.
    fn command(&mut self, view: &FrameView<'_>, span: &Stretch, out: &mut Vec<Op>) {
        let arguments = std::mem::take(&mut self.arguments);
        let mut buffer = [0; LONGEST];
        let name = arguments.first().and_then(|name| capitals(&name.bytes, &mut buffer)).unwrap_or(&[]);
        self.control(&Request { view, span, name, arguments: &arguments }, out);
        self.arguments = arguments;
        self.arguments.clear();
    }

    /// Commands about the connection itself; the others are for [`Self::understand`].
    fn control(&mut self, request: &Request<'_>, out: &mut Vec<Op>) {
        if request.name == b"CLIENT" && request.is(1, b"REPLY") {
            self.replies = match self.replies {
                _ if request.is(2, b"ON") => Replies::On,
                _ if request.is(2, b"OFF") => Replies::Off,
                Replies::On => Replies::Skip,
                replies => replies,
            };
            if self.replies == Replies::On {
                self.ask(request, Expect::Status, out);
            }
            return;
        }
        if request.name == b"RESET" {
            self.replies = Replies::On;
        }
        let answered = self.replies == Replies::On;
        if self.replies == Replies::Skip {
            self.replies = Replies::On;
        }
        let expect = match request.name {
            b"MULTI" => {
                self.transaction.get_or_insert_default();
                Expect::Status
            }
            b"EXEC" => match self.transaction.take() {
                Some(transaction) => {
                    // What was queued happens now.
                    let now = self.op(request, 0, OpKind::Unseen);
                    out.extend(transaction.ops.into_iter().map(|op| Op {
                        at: now.at,
                        last_enter: now.last_enter,
                        tid: now.tid,
                        ..op
                    }));
                    Expect::Exec(transaction.answers)
                }
                None => Expect::Any,
            },
            b"DISCARD" => {
                self.transaction = None;
                Expect::Status
            }
            b"RESET" => {
                (self.transaction, self.subscribed, self.monitoring) = (None, false, false);
                Expect::Status
            }
            b"QUIT" => {
                out.push(self.op(request, 0, OpKind::Disconnect { clean: true }));
                Expect::Status
            }
            b"MONITOR" => {
                self.monitoring = true;
                Expect::Status
            }
            b"PSYNC" | b"SYNC" => {
                self.over = true;
                return;
            }
            b"WATCH" => Expect::Status,
            _ if self.transaction.is_some() => {
                let mut ops = Vec::new();
                let answer = self.understand(request, answered, &mut ops);
                if let Some(transaction) = &mut self.transaction {
                    if transaction.answers.len() < HELD {
                        transaction.answers.push(answer);
                        transaction.ops.append(&mut ops);
                    } else {
                        self.order.lose();
                    }
                }
                // More than are kept: whatever becomes of them.
                out.append(&mut ops);
                Expect::Queued
            }
            _ => self.understand(request, answered, out),
        };
        if answered {
            self.ask(request, expect, out);
        }
    }

    fn ask(&mut self, request: &Request<'_>, expect: Expect, out: &mut Vec<Op>) {
        let view = request.view;
        // A server may have begun to read long before.
        let sent = if view.origin.viewpoint == Role::Server { view.at.end } else { view.at.start };
        if let Some((expect, early)) = self.order.ask(expect, sent) {
            self.answer_early(&expect, &early, out);
        }
    }

    /// What a command is about, and what its answer will be. `answered`: whether there will be one.
    fn understand(&mut self, request: &Request<'_>, answered: bool, out: &mut Vec<Op>) -> Expect {
        let told = match request.name {
            b"PUBLISH" | b"SPUBLISH" => self.publish(request, 1, answered, false, out),
            b"LPUSH" | b"RPUSH" => self.publish(request, usize::MAX, answered, false, out),
            b"LPUSHX" | b"RPUSHX" => self.publish(request, usize::MAX, answered, true, out),
            b"XADD" => self.add(request, answered, out),
            b"XREADGROUP" | b"XREAD" => self.read(request),
            b"XACK" | b"XACKDEL" => self.acknowledge(request, out),
            b"XCLAIM" | b"XAUTOCLAIM" => self.claim(request),
            b"LPOP" | b"RPOP" | b"LMOVE" | b"BLMOVE" | b"RPOPLPUSH" | b"BRPOPLPUSH" => {
                self.text(request, 1).map(Expect::Pop)
            }
            b"BLPOP" | b"BRPOP" => Some(Expect::PopAny(self.lists(request, 1))),
            b"LMPOP" => Some(Expect::PopSeveral(self.lists(request, 2))),
            b"BLMPOP" => Some(Expect::PopSeveral(self.lists(request, 3))),
            b"SUBSCRIBE" | b"SSUBSCRIBE" => {
                self.subscribed = true;
                let filters = (1..request.arguments.len()).filter_map(|at| self.text(request, at)).collect();
                out.push(self.op(request, 0, OpKind::Subscribe { filters, feed: Feed::Client }));
                Some(Expect::Subscription)
            }
            b"PSUBSCRIBE" => {
                self.subscribed = true;
                // What several of them cover comes several times.
                for (part, at) in (0..).zip(1..request.arguments.len()) {
                    if let Some(pattern) = self.text(request, at) {
                        let feed = Feed::of_subscription(pattern.as_bytes());
                        let kind = OpKind::Subscribe { filters: vec![pattern], feed };
                        out.push(self.op(request, part, kind));
                    }
                }
                Some(Expect::Subscription)
            }
            b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => Some(Expect::Subscription),
            b"HELLO" => {
                if let Some(at) = request.find(b"SETNAME") {
                    self.rename(request, at + 1);
                }
                Some(Expect::Login { hello: true })
            }
            b"AUTH" => Some(Expect::Login { hello: false }),
            b"CLIENT" if request.is(1, b"SETNAME") => {
                self.rename(request, 2);
                Some(Expect::Status)
            }
            b"CLIENT" if request.is(1, b"SETINFO") => Some(Expect::Status),
            b"SELECT" | b"UNWATCH" => Some(Expect::Status),
            b"XGROUP" | b"XPENDING" => Some(Expect::Told),
            _ => Some(Expect::Any),
        };
        // Of a message too little was captured.
        told.unwrap_or(Expect::Any)
    }

    /// PUBLISH channel message; LPUSH key value...
    fn publish(
        &mut self,
        request: &Request<'_>,
        most: usize,
        answered: bool,
        must: bool,
        out: &mut Vec<Op>,
    ) -> Option<Expect> {
        let destination = self.text(request, 1)?;
        let id = request.id();
        // While it is not known whose an answer is, none is waited for.
        let answered = answered && self.order.is_known();
        let mut count = 0;
        for value in request.arguments.get(2..)?.iter().take(most) {
            let body = value.clone().payload();
            let message = message(&destination, body, answered.then(|| id | u64::from(count)));
            out.push(self.op(request, count, OpKind::Publish(Box::new(message))));
            count += 1;
        }
        (count > 0).then_some(Expect::Publish { id, count, must })
    }

    /// XADD key \[NOMKSTREAM\] [MAXLEN|MINID [=|~] threshold [LIMIT count]] [KEEPREF|DELREF|ACKED] *|id field value...
    fn add(&mut self, request: &Request<'_>, answered: bool, out: &mut Vec<Op>) -> Option<Expect> {
        let stream = self.text(request, 1)?;
        let mut at = 2;
        loop {
            at += match request {
                _ if request.is(at, b"NOMKSTREAM") => 1,
                _ if [&b"KEEPREF"[..], b"DELREF", b"ACKED"].iter().any(|word| request.is(at, word)) => 1,
                _ if request.is(at, b"MAXLEN") || request.is(at, b"MINID") => {
                    2 + usize::from(request.is(at + 1, b"=") || request.is(at + 1, b"~"))
                }
                _ if request.is(at, b"LIMIT") => 2,
                _ => break,
            };
        }
        for argument in request.arguments.get(at + 1..)? {
            self.fields.push(argument.clone());
        }
        let (body, headers) = self.fields.take();
        let id = request.id();
        let answered = answered && self.order.is_known();
        let message = Message { headers, ..message(&stream, body, answered.then_some(id)) };
        out.push(self.op(request, 0, OpKind::Publish(Box::new(message))));
        Some(Expect::Add { id, stream })
    }

    /// XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] \[NOACK\] STREAMS key... id...; XREAD without group.
    fn read(&mut self, request: &Request<'_>) -> Option<Expect> {
        let grouped = request.name == b"XREADGROUP";
        let group = if grouped { Some(self.text(request, 2)?) } else { None };
        // The names of group and consumer may be any words.
        let from = if grouped { 4 } else { 1 };
        let at = (from..request.arguments.len()).find(|at| request.is(*at, b"STREAMS"))? + 1;
        let noack = (from..at).any(|at| request.is(at, b"NOACK"));
        let count = request.arguments.len().saturating_sub(at) / 2;
        let (mut streams, mut history) = (Vec::new(), Vec::new());
        for at in at..at + count {
            let stream = self.text(request, at);
            if grouped && !request.is(at + count, b">") {
                history.push(stream.clone()?);
            }
            streams.extend(stream);
        }
        if streams.len() < count {
            streams.clear();
        }
        let reading = Reading { group, noack, streams, history };
        self.reads_on = self.reading.as_deref() == Some(&reading);
        if !self.reads_on {
            self.reading = Some(Arc::new(reading));
        }
        self.reading.clone().map(Expect::Read)
    }

    /// The lists that a command names from its argument at `from` on; with its timeout, or what else may stand behind them.
    fn lists(&mut self, request: &Request<'_>, from: usize) -> Arc<[Arc<str>]> {
        let words = request.arguments.get(from..).unwrap_or(&[]);
        let same = |known: &Arc<[Arc<str>]>| {
            known.len() == words.len()
                && known.iter().zip(words).all(|(known, word)| known.as_bytes() == &*word.bytes)
        };
        if let Some(known) = self.lists.as_ref().filter(|known| same(known)) {
            return Arc::clone(known);
        }
        let names = (from..request.arguments.len()).filter_map(|at| self.text(request, at)).collect();
        Arc::clone(self.lists.insert(names))
    }

    /// XACK key group id...; XACKDEL key group [KEEPREF|DELREF|ACKED] IDS count id...
    fn acknowledge(&mut self, request: &Request<'_>, out: &mut Vec<Op>) -> Option<Expect> {
        let (stream, group) = (self.text(request, 1)?, self.text(request, 2)?);
        let from = if request.name == b"XACKDEL" { request.find(b"IDS")? + 2 } else { 3 };
        let ids: Vec<u64> = request
            .arguments
            .get(from..)?
            .iter()
            .filter_map(|id| str::from_utf8(&id.bytes).ok())
            .map(|id| settle_id(&stream, &group, id))
            .collect();
        if !ids.is_empty() {
            out.push(self.op(
                request,
                0,
                OpKind::Settle { name: "ack", ids, scope: Scope::Broker, error: None },
            ));
        }
        Some(Expect::Told)
    }

    /// XCLAIM key group consumer min-idle id... \[JUSTID\]; XAUTOCLAIM key group consumer min-idle start [COUNT n] \[JUSTID\]
    fn claim(&mut self, request: &Request<'_>) -> Option<Expect> {
        let (stream, group) = (self.text(request, 1)?, self.text(request, 2)?);
        // Without the entries nothing is delivered.
        if (5..request.arguments.len()).any(|at| request.is(at, b"JUSTID")) {
            return Some(Expect::Told);
        }
        let claim = Arc::new(Claim { stream, group });
        Some(if request.name == b"XCLAIM" { Expect::Claim(claim) } else { Expect::AutoClaim(claim) })
    }

    fn rename(&mut self, request: &Request<'_>, at: usize) {
        let name = request.arguments.get(at).filter(|name| name.is_whole());
        if let Some(name) = name.and_then(|name| str::from_utf8(&name.bytes).ok()) {
            self.client_id = (!name.is_empty()).then(|| name.into());
        }
    }

    fn text(&mut self, request: &Request<'_>, at: usize) -> Option<Arc<str>> {
        let argument = request.arguments.get(at).filter(|argument| argument.is_whole())?;
        Some(self.names.share(&String::from_utf8_lossy(&argument.bytes)))
    }

    fn op(&self, request: &Request<'_>, part: u32, kind: OpKind) -> Op {
        let op = request.view.op_of(request.span, self.client_id.as_ref(), kind);
        Op { place: Place { part, ..op.place }, ..op }
    }
}

/// A command, whole.
struct Request<'a> {
    view: &'a FrameView<'a>,
    span: &'a Stretch,
    /// In capitals.
    name: &'a [u8],
    /// Its name included.
    arguments: &'a [Arg],
}

impl Request<'_> {
    /// Whether the argument at `at` is this word.
    fn is(&self, at: usize, word: &[u8]) -> bool {
        self.arguments.get(at).is_some_and(|argument| argument.bytes.eq_ignore_ascii_case(word))
    }

    fn find(&self, word: &[u8]) -> Option<usize> {
        (1..self.arguments.len()).find(|at| self.is(*at, word))
    }

    /// Identity of the first message that it publishes; those of the next ones follow. Made of its position, so that both
    /// ends have the same.
    fn id(&self) -> u64 {
        (self.span.place().start & u64::from(u32::MAX)) << 24
    }
}

fn message(destination: &Arc<str>, body: Payload, settle_id: Option<u64>) -> Message {
    Message {
        destination: Arc::clone(destination),
        settle_id,
        needs_settle: settle_id.is_some(),
        body,
        ..Message::default()
    }
}

/// Identity of a delivery that a group's consumer acknowledges, on whatever connection.
pub(super) fn settle_id(stream: &str, group: &str, entry: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in [stream, group, entry] {
        hasher.write(part.as_bytes());
        // Occurs in no text.
        hasher.write_u8(0xff);
    }
    hasher.finish()
}
