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

    /// Keeps no more than the first `most` bytes, and nothing of the memory that the others lie in.
    pub fn cut(&mut self, most: usize) {
        if let Some(beginning) = self.captured.get(..most).filter(|_| self.captured.len() > most) {
            self.captured = Bytes::copy_from_slice(beginning);
        }
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.captured.len() as u64 == self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_lies_in_memory_of_its_own() {
        let whole = Bytes::from(vec![7; 100]);
        let mut payload = Payload { captured: whole.slice(10..60), size: 500 };
        payload.cut(50);
        assert_eq!(payload.captured.as_ptr(), whole[10..].as_ptr(), "there was nothing to cut");
        payload.cut(20);
        assert_eq!(payload, Payload { captured: Bytes::from(vec![7; 20]), size: 500 });
        drop(payload);
        assert!(whole.is_unique());
    }
}
