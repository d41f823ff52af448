//! Evidence by content: what a device said is in what was published, what a message said is in what a device was told.
//!
//! Raw substring search would link `1` to everything. So bodies are cut into *tokens* and only telling ones count:
//!
//! * **Numbers** are compared as numbers, since programs reformat them (`+2.15300E+01` becomes `21.53`): rounded
//!   to the fewer shown decimals of the two. The coarser must show at least 3 significant digits or 4 characters; zero,
//!   powers of ten and integers below 10 never count: every status and counter has them.
//! * **Words** count if they hold a letter and a digit and are at least 4 bytes long (serial numbers, hex strings, ids), or are
//!   at least 8 bytes long and neither a JSON key nor one of [`token::COMMON`]: keys and common words are the same in every message.
//! * **Binary** content (not text on both sides): a run of 4 bytes with at least 3 different values. Runs with fewer
//!   are what lengths, zeros and small integers look like.
//!
//! Several candidates may hold a token. The one that shares the most wins, then the one whose turn it is in a program that
//! passes on all that it gets, then the latest; if another
//! one that explains as much has not been linked to anything yet, the choice is ambiguous. Candidates that explain
//! tokens which the winner does not (a message with the readings of two sensors) become links.

pub(super) mod token;

use std::collections::VecDeque;

use bytes::Bytes;

use self::token::Tokens;
use super::node::Handle;
use crate::model::payload::Payload;
use crate::model::time::Timestamp;

/// Most candidates of one kind that are kept per process: 32 × 2 KiB.
const MAX_RECENT: usize = 32;

/// Bytes of a content that are looked at.
const LOOKED_AT: usize = 2048;

/// How long a content can be found again: a program that publishes averages or batches takes seconds.
const REACH_NS: u64 = 10_000_000_000;

/// Most contents that wait to be passed on in a program that passes on all of them: more than a burst, fewer than an average
/// is made of.
const MAX_WAITING: usize = 8;

/// Most links beyond the parent.
const MAX_LINKS: usize = 8;

/// A content that may turn up again.
struct Recent {
    node: Handle,
    at: Timestamp,
    content: Bytes,
    /// Cut when first compared: most processes never compare any.
    tokens: Option<Tokens>,
    /// Whether it was found to be a cause already.
    used: bool,
}

/// A candidate that holds some of what was sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) node: Handle,
    pub(super) at: Timestamp,
    /// Whether it was a cause of something else already.
    pub(super) used: bool,
    /// Whether another candidate fits as well.
    pub(super) ambiguous: bool,
    shared: u64,
}

/// Recent contents of one kind of one process.
#[derive(Default)]
pub(super) struct Recents(VecDeque<Recent>);

impl Recents {
    /// Remembers `content`, complete at `at`.
    pub(super) fn push(&mut self, node: Handle, at: Timestamp, content: &Payload) {
        let length = content.captured.len().min(LOOKED_AT);
        if length == 0 {
            return;
        }
        if self.0.len() >= MAX_RECENT {
            self.0.pop_front();
        }
        self.0.push_back(Recent {
            node,
            at,
            content: content.captured.slice(..length),
            tokens: None,
            used: false,
        });
    }

    /// Whether there is nothing to compare with.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `node` was found to be a cause.
    pub(super) fn mark(&mut self, node: Handle) {
        if let Some(recent) = self.0.iter_mut().rev().find(|recent| recent.node == node) {
            recent.used = true;
        }
    }

    /// Of contents that were complete by `by`, the one whose turn it is in a program that passes on all that it gets: that
    /// after those which were passed on already, or `oldest` if none was. `None` if the program seems to pass on only some:
    /// it left one out, or [`MAX_WAITING`] are not enough for those that wait.
    fn next_in_step(&self, by: Timestamp, oldest: Handle) -> Option<Handle> {
        let there = || self.0.iter().filter(|recent| recent.at <= by);
        let begins_at_used = there().any(|recent| recent.used);
        let mut waiting = there()
            .skip_while(|recent| if begins_at_used { !recent.used } else { recent.node != oldest })
            .skip_while(|recent| recent.used);
        let next = waiting.next()?;
        let others = waiting.try_fold(0, |others, recent| (!recent.used).then_some(others + 1))?;
        (others < MAX_WAITING).then_some(next.node)
    }

    /// Which of the contents that were complete by `by` are in `sought`: the best first, then those that explain
    /// what it does not. `prefer`: candidates that other evidence points to, taken if they fit at all.
    pub(super) fn find(&mut self, sought: &Tokens, by: Timestamp, prefer: &[Handle]) -> Vec<Found> {
        if sought.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for recent in &mut self.0 {
            if recent.at > by || by.since(recent.at) > REACH_NS {
                continue;
            }
            let tokens = recent.tokens.get_or_insert_with(|| Tokens::of(&recent.content));
            let shared = sought.shared(tokens);
            if shared != 0 {
                let (node, at, used) = (recent.node, recent.at, recent.used);
                found.push(Found { node, at, used, ambiguous: false, shared });
            }
        }
        let most = found.iter().map(|found| found.shared.count_ones()).max();
        let best = found.iter().filter(|found| Some(found.shared.count_ones()) == most);
        let oldest = best.min_by_key(|found| found.at).map(|found| found.node);
        let next = oldest.and_then(|oldest| self.next_in_step(by, oldest));
        let rank = |found: &Found| {
            (prefer.contains(&found.node), found.shared.count_ones(), Some(found.node) == next, found.at)
        };
        found.sort_by_key(|candidate| std::cmp::Reverse(rank(candidate)));
        let Some(best) = found.first().copied() else { return found };
        let rival = |other: &&Found| {
            let as_good = other.shared & best.shared == best.shared;
            let preferred = prefer.contains(&best.node) && !prefer.contains(&other.node);
            as_good && !preferred && (best.used || !other.used)
        };
        let ambiguous = found.iter().skip(1).any(|other| rival(&other));
        let mut explained = 0;
        let mut first = true;
        found.retain_mut(|candidate| {
            let adds = candidate.shared & !explained != 0;
            explained |= candidate.shared;
            candidate.ambiguous = ambiguous && std::mem::take(&mut first);
            adds
        });
        found.truncate(1 + MAX_LINKS);
        found
    }
}

/// The tokens of `content`, as [`Recents::find`] wants them.
pub(super) fn tokens(content: &Payload) -> Tokens {
    Tokens::of(content.captured.get(..LOOKED_AT).unwrap_or(&content.captured))
}
