//! How many tests passed, failed and were left out.

use anyhow::{Result, ensure};
use std::fmt;

/// How tests ended.
#[derive(Default, Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// Adds what a test program closes with: `test result: ok. 3 passed; 0 failed; 1 ignored; …`; any other line is nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some((_, results)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in results.split("; ") {
            let Some((Ok(count), what)) =
                part.split_once(' ').map(|(count, what)| (count.parse::<u64>(), what))
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    /// Adds another count.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { passed, failed, ignored } = other;
        self.passed += passed;
        self.failed += failed;
        self.ignored += ignored;
    }

    /// # Errors
    /// When one failed.
    pub(crate) fn none_failed(self) -> Result<()> {
        ensure!(self.failed == 0, "{} of {} failed", self.failed, self.passed + self.failed);
        Ok(())
    }
}

/// The line that closes a run: in this form, alone on a line, it is understood by programs that watch test runs.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored } = self;
        write!(f, "{passed} passed, {failed} failed, {ignored} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_test_programs_close_with() {
        let mut counts = Counts::default();
        for line in [
            "test a ... ok",
            "test result: ok. 17 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "9 passed; 9 failed",
        ] {
            counts.add_line(line);
        }
        assert_eq!(counts, Counts { passed: 18, failed: 4, ignored: 2 });
    }
}
