//! Trace and span ids, derived from what was observed so that the same recording always gives the same ids.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// A trace id as OTLP has it. Never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span id as OTLP has it. Never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

/// Gathers the facts that an id is derived from.
///
/// Facts are length-prefixed, so `("ab", "c")` and `("a", "bc")` differ.
#[derive(Clone)]
pub struct IdBuilder(SipHasher13);

impl IdBuilder {
    /// Starts with what kind of thing the id names.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self(SipHasher13::new()).text(kind)
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, fact: u64) -> Self {
        self.0.write_u64(fact);
        self
    }

    /// Adds a text or other bytes.
    #[must_use]
    pub fn bytes(mut self, fact: &[u8]) -> Self {
        self.0.write_u64(fact.len() as u64);
        self.0.write(fact);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, fact: &str) -> Self {
        self.bytes(fact.as_bytes())
    }

    /// The span id of these facts.
    #[must_use]
    pub fn span(&self) -> SpanId {
        SpanId(self.0.finish128().h1.max(1).to_be_bytes())
    }

    /// The trace id of these facts.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        let hash = self.0.finish128();
        TraceId((u128::from(hash.h1) << 64 | u128::from(hash.h2)).max(1).to_be_bytes())
    }
}

macro_rules! hex {
    ($type:ty) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}
hex!(TraceId);
hex!(SpanId);
