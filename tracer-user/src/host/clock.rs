//! The kernel's monotonic clock and its distance from the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// `CLOCK_MONOTONIC` in ns: the clock of the kernel side.
#[must_use]
#[allow(unsafe_code, reason = "std's Instant hides the number")]
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Wall clock minus monotonic clock, in ns: the tightest of a few readings.
#[must_use]
pub fn offset_ns() -> u64 {
    let reading = || {
        let before = monotonic_ns();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let after = monotonic_ns();
        (after - before, wall.wrapping_sub(before + (after - before) / 2))
    };
    (0..5).map(|_| reading()).min_by_key(|(width, _)| *width).map_or(0, |(_, offset)| offset)
}
