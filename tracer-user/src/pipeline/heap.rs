//! The C library's heap: what is free in it goes back to the kernel when it is much.
//!
//! Loading the kernel side takes some 25 MB for a moment, a burst of messages some hundred; the C library keeps what was
//! freed between what is still used. With another C library than GNU's there is nothing to do.

use std::time::{Duration, Instant};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Free bytes that are kept in any case: a steady load needs them again at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SPARE: usize = 8 << 20;

/// Looks after the heap.
pub(super) struct Heap {
    looked: Instant,
}

impl Heap {
    /// Gives back what the start took.
    pub(super) fn start() -> Self {
        give_back();
        Self { looked: Instant::now() }
    }

    /// Gives back what a burst left, now and then. To be called when nothing waits: all threads that allocate wait for
    /// the end of this, some milliseconds a hundred megabytes.
    pub(super) fn look(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if is_mostly_free() {
                give_back();
            }
        }
    }
}

/// Whether more is free than used, and more than [`SPARE`].
#[allow(unsafe_code, reason = "a question to the C library")]
fn is_mostly_free() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it has no preconditions.
        let heap = unsafe { libc::mallinfo2() };
        heap.fordblks > SPARE + heap.uordblks
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[allow(unsafe_code, reason = "a request to the C library")]
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
