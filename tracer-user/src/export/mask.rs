//! Masks (`--mask PATTERN`): what they match of payloads, and of what is made out of payloads, leaves nowhere.
//!
//! Two places apply them. [`Masks::scrub`] runs before a span reaches metrics and exporters: it takes the matched text
//! out of what the decoders made of it (names of serial commands, words of refusals, `CloudEvents` attributes). The
//! payloads themselves stay whole until the exporter writes them ([`Masks::apply`]), because size and type are
//! judged by the real bytes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use crate::model::command::{Status, Value};
use crate::model::payload::Payload;
use crate::model::span::{MessageSubject, Span, SpanKind, Subject};
use crate::names::attribute;

/// What stands in the place of what a mask hides, however long that was.
pub const HIDDEN: &str = "***";

/// Most masks of one run; with [`PATTERN_BYTES`] and [`CACHE_BYTES`] they stay within some MB.
pub const MASKS: usize = 32;
/// Most different stretches of one span that are looked for in what was made of it; beyond that, all of that is hidden.
const LOOKED_FOR: usize = 64;
/// Most memory that one pattern may take, compiled.
const PATTERN_BYTES: usize = 256 << 10;
/// Most memory that matching one pattern may take, per thread.
const CACHE_BYTES: usize = 256 << 10;

/// A pattern of bytes to hide.
#[derive(Clone, Debug)]
pub struct Mask(Regex);

/// A mask that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unusable mask `{pattern}`: {why}; use a regular expression such as password=\\S+")]
pub struct MaskError {
    pattern: String,
    why: String,
}

impl FromStr for Mask {
    type Err = MaskError;

    /// Reads a regular expression over bytes: `.` and `\S` match bytes that are no text too, case is told apart unless
    /// `(?i)` says otherwise.
    fn from_str(pattern: &str) -> Result<Self, MaskError> {
        let error = |why: &str| MaskError { pattern: pattern.to_owned(), why: why.to_owned() };
        if pattern.is_empty() {
            return Err(error("it is empty"));
        }
        let built = RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(CACHE_BYTES)
            .build();
        built.map(Self).map_err(|why| match why {
            regex::Error::CompiledTooBig(_) => error("it is too large"),
            // The message shows the pattern with a mark below it; its last line says what is wrong.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                error(last.trim().trim_start_matches("error: "))
            }
        })
    }
}

/// All masks of a run. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Masks(Arc<[Mask]>);

/// A payload's bytes as they may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masked {
    /// The bytes, with [`HIDDEN`] in the place of each stretch that was hidden. As much is missing behind them as of the
    /// real payload.
    pub(crate) payload: Payload,
    /// How many stretches were hidden.
    pub(crate) count: usize,
}

impl Masks {
    /// These masks.
    ///
    /// # Errors
    /// If there are more than [`MASKS`].
    pub fn new(masks: &[Mask]) -> Result<Self, TooMany> {
        if masks.len() > MASKS { Err(TooMany(masks.len())) } else { Ok(Self(masks.into())) }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the masks match, in order; what touches or overlaps is one stretch.
    fn stretches(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        joined(self.matches(bytes).collect())
    }

    fn matches(&self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().flat_map(|Mask(regex)| regex.find_iter(bytes).map(|found| found.range()))
    }

    /// The payload without what the masks match; `None` if they match nothing.
    pub(crate) fn apply(&self, payload: &Payload) -> Option<Masked> {
        let bytes = payload.captured.as_ref();
        let stretches = self.stretches(bytes);
        if stretches.is_empty() {
            return None;
        }
        let shown = without(bytes, &stretches);
        let missing = payload.size.saturating_sub(bytes.len() as u64);
        let size = (shown.len() as u64).saturating_add(missing);
        Some(Masked { payload: Payload { captured: shown.into(), size }, count: stretches.len() })
    }

    /// The texts without what the masks match.
    pub(crate) fn texts<'a>(&self, texts: &'a [Arc<str>]) -> Cow<'a, [Arc<str>]> {
        if self.is_empty() {
            return texts.into();
        }
        let clean = |text: &Arc<str>| {
            let shown = without(text.as_bytes(), &self.stretches(text.as_bytes()));
            Arc::from(String::from_utf8_lossy(&shown))
        };
        texts.iter().map(clean).collect()
    }

    /// Takes what the masks match out of what was made of the span's payloads. The payloads stay.
    pub fn scrub(&self, span: &mut Span) {
        if self.is_empty() {
            return;
        }
        let scrub = Scrub { masks: self, hidden: self.hidden(span) };
        scrub.subject(span);
        if let Status::Error { kind, message } = &mut span.status {
            scrub.made(kind);
            if let Some(clean) = scrub.text(message) {
                *message = clean;
            }
        }
        if span.payload.is_none() {
            // The message's body is on other spans; what was hidden of it is not known here.
            span.attributes.retain(|(key, _)| !is_of_envelope(key));
        }
        for (key, value) in &mut span.attributes {
            if !comes_from_payload(key) {
                continue;
            }
            match value {
                Value::Text(text) => scrub.made(text),
                Value::Shared(text) => scrub.shared(text),
                Value::Texts(texts) => texts.iter_mut().for_each(|text| scrub.shared(text)),
                Value::Int(_) | Value::Float(_) | Value::Bool(_) => {}
            }
        }
    }
}

impl Masks {
    /// What is hidden in the span's payloads; `None` if it is too much to look for.
    fn hidden(&self, span: &Span) -> Option<BTreeSet<Vec<u8>>> {
        let mut hidden = BTreeSet::new();
        for payload in [&span.payload, &span.reply].into_iter().flatten() {
            let bytes = payload.captured.as_ref();
            for range in self.stretches(bytes) {
                hidden.insert(bytes.get(range).unwrap_or_default().to_ascii_lowercase());
                if hidden.len() > LOOKED_FOR {
                    return None;
                }
            }
        }
        Some(hidden)
    }
}

/// More masks than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} masks are too many: join some with `|`, at most {MASKS} fit")]
pub struct TooMany(usize);

/// Where the words of a text are: letters, digits and whatever is no ASCII.
fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.get(at..)?.iter().position(is_word)?;
        let rest = text.get(start..)?;
        at = start + rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        Some(start..at)
    })
}

/// The ranges in order, without empty ones; what touches or overlaps is one.
fn joined(mut all: Vec<Range<usize>>) -> Vec<Range<usize>> {
    all.retain(|range| !range.is_empty());
    all.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(all.len());
    for range in all {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// `bytes` with [`HIDDEN`] instead of each stretch.
fn without(bytes: &[u8], stretches: &[Range<usize>]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for range in stretches {
        shown.extend_from_slice(bytes.get(from..range.start).unwrap_or_default());
        shown.extend_from_slice(HIDDEN.as_bytes());
        from = range.end;
    }
    shown.extend_from_slice(bytes.get(from..).unwrap_or_default());
    shown
}

/// Whether an attribute may hold text of a payload.
fn comes_from_payload(key: &str) -> bool {
    key.starts_with(attribute::DEVICE_ARGS) || key == attribute::DEVICE_COMMAND || is_of_envelope(key)
}

/// Whether an attribute may hold text of a message's body or headers.
fn is_of_envelope(key: &str) -> bool {
    matches!(
        key,
        attribute::EVENT_ID
            | attribute::EVENT_TYPE
            | attribute::EVENT_SOURCE
            | attribute::EVENT_SUBJECT
            | attribute::CORRELATION_ID
    )
}

/// Takes hidden text out of one span.
struct Scrub<'a> {
    masks: &'a Masks,
    /// What was hidden in its payloads, in lower case: names are made in upper case of payloads in any. `None`: too much.
    hidden: Option<BTreeSet<Vec<u8>>>,
}

impl Scrub<'_> {
    /// The text without what is hidden, if something has to be.
    fn text(&self, text: &str) -> Option<String> {
        let Some(hidden) = &self.hidden else { return Some(HIDDEN.to_owned()) };
        let lower = text.to_ascii_lowercase().into_bytes();
        if lower.is_empty() {
            return None;
        }
        // Without its surroundings in the payload a pattern may not match it any more.
        let is_hidden =
            |part: &[u8]| hidden.iter().any(|hidden| memchr::memmem::find(hidden, part).is_some());
        if is_hidden(&lower) {
            return Some(HIDDEN.to_owned());
        }
        let mut found: Vec<Range<usize>> = self.masks.matches(text.as_bytes()).collect();
        for part in hidden {
            found.extend(memchr::memmem::find_iter(&lower, part).map(|at| at..at + part.len()));
        }
        // Nor is it whole where a decoder put words of its own around it.
        found.extend(words(&lower).filter(|word| lower.get(word.clone()).is_some_and(is_hidden)));
        let stretches = joined(found);
        // One may end within a character.
        let clean = || String::from_utf8_lossy(&without(text.as_bytes(), &stretches)).into_owned();
        (!stretches.is_empty()).then(clean)
    }

    /// A text that is a decoder's own word or was made from bytes.
    fn made(&self, text: &mut Cow<'static, str>) {
        if let Cow::Owned(owned) = text
            && let Some(clean) = self.text(owned)
        {
            *text = clean.into();
        }
    }

    fn shared(&self, text: &mut Arc<str>) {
        if let Some(clean) = self.text(text) {
            *text = clean.into();
        }
    }

    fn subject(&self, span: &mut Span) {
        match &mut span.subject {
            // A transaction on a bus is named by its driver.
            Subject::Device { unsolicited: false, .. } if span.kind == SpanKind::Internal => {}
            Subject::Encrypted { .. } => {}
            Subject::Device { command, unsolicited, .. } => {
                let before = command.clone();
                self.made(command);
                if *command != before {
                    let prefix = if *unsolicited { "peripheral.event " } else { "peripheral.execute " };
                    span.name = [prefix, command.as_ref()].concat();
                }
            }
            Subject::Publish(message)
            | Subject::Broker(message)
            | Subject::Process(message, _)
            | Subject::Receive(message)
            | Subject::Settle(message)
            | Subject::Request(message) => self.message(message),
        }
    }

    /// The destination is no payload.
    fn message(&self, message: &mut MessageSubject) {
        if message.event_type != message.destination {
            self.shared(&mut message.event_type);
        }
        self.shared(&mut message.source);
    }
}

#[cfg(test)]
mod tests;
