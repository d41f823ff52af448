//! The processes' side of the engine: who a record belongs to, and what ends with a process.

use std::sync::Arc;

use super::sockets::End;
use super::{Engine, newcomers::Origin};
use crate::host;
use crate::model::capture::{Capture, Program};
use crate::model::process::ProcessKey;

/// Processes that are known. Those that were seen longest ago and have no connection are forgotten first.
const PROCESSES: usize = 32 * 1024;

impl Engine {
    /// The process of a record, described if it is new.
    pub(super) fn process(&mut self, capture: &Capture) -> ProcessKey {
        if let Some(process) = self.processes.get(&capture.pid) {
            return process.key;
        }
        if self.processes.len() >= PROCESSES {
            let used: hashbrown::HashSet<u32> = self.connections.keys().map(|end| end.pid).collect();
            self.processes.retain(|pid, _| used.contains(pid));
        }
        self.generation += 1;
        let key = ProcessKey { pid: capture.pid, generation: self.generation };
        let (comm, host_id) = (&capture.comm, &self.settings.host_id);
        let ancestors = self.newcomers.ancestors(capture.pid);
        let process = match self.newcomers.take(capture.pid) {
            Some(Origin::Like(parent)) => host::processes::like(&parent, key, host_id, capture.at.start),
            Some(Origin::Started(started)) => {
                host::processes::started(key, &started, &ancestors, host_id, capture.at.start)
            }
            Some(Origin::Unknown) | None => {
                host::processes::describe(key, comm, &ancestors, host_id, capture.at.start)
            }
        };
        let process = Arc::new(process);
        self.causality.learn(Arc::clone(&process));
        self.processes.insert(capture.pid, process);
        key
    }

    /// A process was born: it is what its parent is, until it starts a program.
    pub(super) fn fork(&mut self, parent: u32, child: u32) {
        self.totals.lifecycle += 1;
        self.newcomers.born(parent, child, self.processes.get(&parent));
    }

    /// A program begins.
    pub(super) fn exec(&mut self, capture: &Capture, program: &Program) {
        self.totals.lifecycle += 1;
        // The number stays, the program does not: what it had under way is over.
        if self.processes.contains_key(&capture.pid) {
            self.gone(capture);
        }
        if program.file.is_empty() {
            self.newcomers.begins(capture.pid, &capture.comm);
        } else {
            self.newcomers.starts(capture.pid, host::programs::Started::new(program));
        }
    }

    /// Without BTF: a program is asked for.
    pub(super) fn asked(&mut self, pid: u32, program: Program) {
        self.totals.lifecycle += 1;
        self.newcomers.asks(pid, program);
    }

    /// A thread ends.
    pub(super) fn exit(&mut self, capture: &Capture, whole_process: bool) {
        self.totals.lifecycle += 1;
        self.entries.remove(&capture.tid);
        // The first thread of a process may end before the others.
        if whole_process {
            self.newcomers.take(capture.pid);
            if self.processes.contains_key(&capture.pid) {
                self.gone(capture);
            }
        }
    }

    fn gone(&mut self, capture: &Capture) {
        let Some(process) = self.processes.get(&capture.pid).map(Arc::clone) else { return };
        let at = capture.at.end;
        self.commands.process_gone(process.key, at, &mut self.finished);
        self.pass_commands();
        let ends: Vec<End> = self.connections.keys().filter(|end| end.pid == capture.pid).copied().collect();
        for end in ends {
            self.close(end, at, capture.tid);
        }
        self.processes.remove(&capture.pid);
        self.forget_sessions(capture.pid);
        self.causality.process_gone(process.key, at);
        if let Some(follower) = &mut self.follower {
            follower.gone(capture.pid);
        }
    }
}
