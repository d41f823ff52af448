//! Points and stretches of time.

/// Nanoseconds since the Unix epoch, from the kernel's monotonic clock moved onto the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to this, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This, `nanos` later.
    #[must_use]
    pub fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

/// From `start` to `end`, `start <= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// When it began.
    pub start: Timestamp,
    /// When it was over.
    pub end: Timestamp,
}

impl Interval {
    /// Length in nanoseconds.
    #[must_use]
    pub fn nanos(self) -> u64 {
        self.end.since(self.start)
    }
}
