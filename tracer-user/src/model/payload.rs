//! Bytes of which perhaps only the beginning was captured.

use bytes::Bytes;

/// Bytes that a program moved: what was captured of them, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The captured beginning, `captured.len() <= size`.
    pub captured: Bytes,
    /// How many bytes there were.
    pub size: u64,
}

impl Payload {
    /// A payload that was captured whole.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let captured = bytes.into();
        Self { size: captured.len() as u64, captured }
    }

    /// Sees to it that no more was captured than there was.
    pub fn limit(&mut self) {
        if self.captured.len() as u64 > self.size {
            self.captured.truncate(usize::try_from(self.size).unwrap_or(usize::MAX));
        }
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.captured.len() as u64 == self.size
    }
}
