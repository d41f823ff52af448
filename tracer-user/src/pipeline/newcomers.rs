//! Processes that were born or started a program since iotrail runs, until their first call of interest: many are gone
//! a few milliseconds later, so what their birth and their start told is kept.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::host::programs::Started;
use crate::model::capture::Program;
use crate::model::process::Process;

/// Newcomers that are remembered: as many programs as a busy machine keeps running. When there are more, the older half
/// is forgotten: who is still there can be asked.
const REMEMBERED: usize = 2048;

/// Generations that are looked back through for somebody who is still there.
const GENERATIONS: usize = 8;

/// What a process is.
pub(super) enum Origin {
    /// As the process that bore it.
    Like(Arc<Process>),
    /// This program.
    Started(Arc<Started>),
    /// Whatever the process that bore it was; nobody has asked yet.
    Unknown,
}

struct Newcomer {
    origin: Origin,
    parent: Option<u32>,
    /// Which newcomer it was.
    number: u64,
}

/// Newcomers by process id.
#[derive(Default)]
pub(super) struct Newcomers {
    known: HashMap<u32, Newcomer>,
    asked: HashMap<u32, Program>,
    came: u64,
}

impl Newcomers {
    /// `child` was born of `parent`; `known`: the parent's description, if it has one.
    pub(super) fn born(&mut self, parent: u32, child: u32, known: Option<&Arc<Process>>) {
        let origin = match (known, self.known.get(&parent).map(|newcomer| &newcomer.origin)) {
            (Some(process), _) | (None, Some(Origin::Like(process))) => Origin::Like(Arc::clone(process)),
            (None, Some(Origin::Started(started))) => Origin::Started(Arc::clone(started)),
            (None, Some(Origin::Unknown) | None) => Origin::Unknown,
        };
        self.put(child, origin, Some(parent));
    }

    /// A program begins in a process.
    pub(super) fn starts(&mut self, pid: u32, started: Started) {
        let parent = self.known.get(&pid).and_then(|newcomer| newcomer.parent);
        self.put(pid, Origin::Started(Arc::new(started)), parent);
    }

    /// A program is asked for in a process; which of them begins, [`Self::begins`] says.
    pub(super) fn asks(&mut self, pid: u32, program: Program) {
        if self.asked.len() >= REMEMBERED {
            // Those whose process ended, or whose call failed, and is not told of.
            self.asked.clear();
        }
        self.asked.insert(pid, program);
    }

    /// The program that was asked for last begins in a process.
    pub(super) fn begins(&mut self, pid: u32, comm: &[u8; 16]) {
        let asked = self.asked.remove(&pid).unwrap_or_default();
        self.starts(pid, Started::asked(&asked, comm));
    }

    /// The processes that a newcomer descends from, the closest first.
    pub(super) fn ancestors(&self, pid: u32) -> Vec<u32> {
        let parent = |pid: &u32| self.known.get(pid)?.parent;
        std::iter::successors(parent(&pid), parent).take(GENERATIONS).collect()
    }

    /// What a process is, if that is known; it is no newcomer any more.
    pub(super) fn take(&mut self, pid: u32) -> Option<Origin> {
        self.known.remove(&pid).map(|newcomer| newcomer.origin)
    }

    fn put(&mut self, pid: u32, origin: Origin, parent: Option<u32>) {
        if self.known.len() >= REMEMBERED {
            let mut numbers: Vec<u64> = self.known.values().map(|newcomer| newcomer.number).collect();
            let (_, middle, _) = numbers.select_nth_unstable(REMEMBERED / 2);
            let middle = *middle;
            self.known.retain(|_, newcomer| newcomer.number >= middle);
        }
        self.came += 1;
        self.known.insert(pid, Newcomer { origin, parent, number: self.came });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(name: &'static str) -> Started {
        let program = Program { file: name.as_bytes().into(), ..Program::default() };
        Started::new(&program)
    }

    fn name(origin: Option<Origin>) -> String {
        match origin {
            Some(Origin::Started(started)) => started.executable().to_owned(),
            Some(Origin::Like(process)) => process.executable.to_string(),
            Some(Origin::Unknown) => "unknown".to_owned(),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn a_child_is_what_its_parent_is_until_it_starts_a_program() {
        let mut newcomers = Newcomers::default();
        newcomers.born(1, 2, None);
        newcomers.starts(2, started("sh"));
        newcomers.born(2, 3, None);
        newcomers.born(2, 4, None);
        newcomers.starts(4, started("stty"));
        newcomers.born(9, 10, None);
        assert_eq!(newcomers.ancestors(4), [2, 1]);
        assert_eq!(name(newcomers.take(3)), "sh");
        assert_eq!(name(newcomers.take(4)), "stty");
        assert_eq!(name(newcomers.take(10)), "unknown");
        assert_eq!(name(newcomers.take(10)), "none");
    }

    #[test]
    fn the_older_half_is_forgotten_and_lineages_end() {
        let mut newcomers = Newcomers::default();
        let count = u32::try_from(REMEMBERED).expect("a small number");
        for pid in 0..=count {
            newcomers.starts(pid, started("a"));
        }
        assert_eq!(name(newcomers.take(0)), "none");
        assert_eq!(name(newcomers.take(count)), "a");
        assert!(newcomers.known.len() <= REMEMBERED);
        // Numbers are given away again: nobody is his own ancestor for ever.
        newcomers.born(7, 8, None);
        newcomers.born(8, 7, None);
        assert_eq!(newcomers.ancestors(7).len(), GENERATIONS);
    }
}
