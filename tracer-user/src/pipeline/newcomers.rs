//! Descriptions of programs that have just begun: `/proc` is asked while they are sure to be there, since many are gone
//! a few milliseconds after their first call of interest.

use hashbrown::HashMap;

use crate::model::process::Process;
use crate::model::time::Timestamp;

/// Descriptions a second: each costs some 0.1 ms, so that a machine that does nothing but start programs costs 2 % of
/// a CPU. Beyond it a program is described at its first call of interest.
const A_SECOND: u64 = 200;

/// Programs that are remembered until their first call of interest. When there are more, all are forgotten.
const REMEMBERED: usize = 1024;

/// Programs that have just begun.
#[derive(Default)]
pub(super) struct Newcomers {
    known: HashMap<u32, Process>,
    second: u64,
    described: u64,
}

impl Newcomers {
    /// Whether one that began at `at` may be described.
    pub(super) fn has_room(&mut self, at: Timestamp) -> bool {
        let second = at.0 / 1_000_000_000;
        if self.second != second {
            (self.second, self.described) = (second, 0);
        }
        self.described += 1;
        self.described <= A_SECOND
    }

    /// Remembers a description.
    pub(super) fn put(&mut self, process: Process) {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(process.key.pid, process);
    }

    /// The description of a process, if there is one.
    pub(super) fn take(&mut self, pid: u32) -> Option<Process> {
        self.known.remove(&pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_a_second() {
        let mut newcomers = Newcomers::default();
        let second = |second: u64| Timestamp(second * 1_000_000_000);
        assert_eq!((0..1000).filter(|_| newcomers.has_room(second(1))).count() as u64, A_SECOND);
        assert!(newcomers.has_room(second(2)));
    }
}
