//! What answers settle: publishes, and errors of what concerns messages.

use std::borrow::Cow;

use super::Redis;
use super::order::{Early, Expect};
use super::resp::Kind;
use crate::model::op::{Op, OpKind, Place};

/// Longest word that names an error.
const WORD: usize = 24;

impl Redis {
    /// The answer `text` to `expect`. `op`: where and when it came.
    pub(super) fn settle(&mut self, expect: &Expect, kind: Kind, text: &[u8], op: &Op, out: &mut Vec<Op>) {
        let refused = (kind == Kind::Error).then(|| error_word(text));
        let mut push = |part, kind| out.push(Op { kind, place: Place { part, ..op.place }, ..op.clone() });
        match (expect, refused) {
            (Expect::Publish { id, count, must }, refused) => {
                let error =
                    refused.or_else(|| (*must && text == b"0").then_some(Cow::Borrowed("no_such_list")));
                for part in 0..*count {
                    let id = id | u64::from(part);
                    push(part, OpKind::PublishSettled { id, error: error.clone(), given: None });
                }
            }
            (Expect::Add { id, stream }, refused) => {
                let error =
                    refused.or_else(|| (kind == Kind::Null).then_some(Cow::Borrowed("no_such_stream")));
                let given = str::from_utf8(text).ok().filter(|_| error.is_none());
                let given = given.map(|given| format!("{stream}:{given}").into());
                push(0, OpKind::PublishSettled { id: *id, error, given });
            }
            // Another client changed what was watched, or something could not be queued.
            (Expect::Exec(queued), refused) => {
                let error = refused.unwrap_or(Cow::Borrowed("aborted"));
                for (id, count) in queued.iter().filter_map(Expect::publishes) {
                    for part in 0..count {
                        let id = id | u64::from(part);
                        push(part, OpKind::PublishSettled { id, error: Some(error.clone()), given: None });
                    }
                }
            }
            (Expect::Login { hello: true }, Some(Cow::Borrowed("ERR"))) => {}
            (Expect::Login { .. }, error @ Some(_)) => push(0, OpKind::Connected { error }),
            (Expect::Any | Expect::Status | Expect::Queued, _) | (_, None) => {}
            (_, Some(kind)) => push(0, OpKind::Error { kind }),
        }
    }

    /// The answer to a request that was seen only now.
    pub(super) fn answer_early(&mut self, expect: &Expect, early: &Early, out: &mut Vec<Op>) {
        if expect.fits(early.kind) {
            let op = Op { client_id: self.client_id.clone(), ..early.op.clone() };
            self.settle(expect, early.kind, &early.text, &op, out);
        } else {
            self.order.lose();
        }
    }
}

/// The first word of an error, in capitals as Redis has them; what scripts say otherwise is `ERR`.
pub(super) fn error_word(text: &[u8]) -> Cow<'static, str> {
    let word = text.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or(&[]);
    let known = [
        "ERR",
        "WRONGTYPE",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "NOGROUP",
        "BUSYGROUP",
        "UNKILLABLE",
        "OOM",
        "MOVED",
        "ASK",
        "CLUSTERDOWN",
        "CROSSSLOT",
        "TRYAGAIN",
        "EXECABORT",
        "READONLY",
        "LOADING",
        "BUSY",
        "NOSCRIPT",
        "MISCONF",
        "MASTERDOWN",
        "NOREPLICAS",
        "NOPROTO",
        "DENIED",
        "UNBLOCKED",
        "NOTREADY",
        "INPROG",
        "BUSYKEY",
        "STALEREAD",
    ];
    if let Some(known) = known.iter().find(|known| known.as_bytes() == word) {
        return Cow::Borrowed(known);
    }
    let is_word = (3..=WORD).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase);
    match str::from_utf8(word) {
        Ok(word) if is_word => Cow::Owned(word.to_owned()),
        _ => Cow::Borrowed("ERR"),
    }
}
