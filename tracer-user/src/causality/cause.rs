//! What a publish or a device command came from: thread and content weighed against each other.

use super::Causality;
use super::confidence::Proof;
use super::containment::{Found, tokens};
use super::context::{Held, Input};
use super::hop::Print;
use super::node::{Cause, Detail, Handle, What};
use crate::model::command::Command;
use crate::model::payload::Payload;
use crate::model::process::ProcessKey;
use crate::model::span::Evidence;
use crate::model::time::Timestamp;
use crate::span::id;

/// The parent and the further causes of something.
#[derive(Debug, Default)]
pub(super) struct Causes {
    pub(super) parent: Option<Cause>,
    pub(super) links: Vec<Cause>,
}

/// A choice before it is turned into causes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    parent: Option<(Handle, Proof)>,
    links: Vec<(Handle, Proof)>,
    undecided: bool,
}

impl Choice {
    fn of(node: Handle, proof: Proof) -> Self {
        Self { parent: Some((node, proof)), ..Self::default() }
    }

    fn found(found: &[Found], by_thread: bool) -> Self {
        let mut found = found.iter();
        let contained = |found: &Found| Proof::of(&[Evidence::Containment]).ambiguous(found.ambiguous);
        let parent =
            found.next().map(|best| (best.node, contained(best).with_if(by_thread, Evidence::Thread)));
        Self { parent, links: found.map(|other| (other.node, contained(other))).collect(), undecided: false }
    }
}

fn thread() -> Proof {
    Proof::of(&[Evidence::Thread])
}

impl Causality {
    pub(super) fn handle_command(&mut self, command: Box<Command>) {
        let Some(proc) = self.processes.get_mut(command.process) else {
            self.counts.dropped_process += 1;
            return;
        };
        proc.has_devices = true;
        let process = proc.process.clone();
        let choice = if command.unsolicited {
            Choice::default()
        } else {
            self.choose_for_command(command.process, command.tid, command.at.start, &command.request)
        };
        let causes = self.causes(command.process, choice);

        let facts = id::command(&process, &command.device.id, command.serial, command.at.start);
        let input = if command.unsolicited { Some(&command.request) } else { command.reply.as_ref() };
        let input = input.filter(|input| !input.captured.is_empty()).cloned();
        let (key, at, tid, end_tid) = (command.process, command.at, command.tid, command.end_tid);
        let is_error = command.status.is_error();
        let detail = Detail {
            parent: causes.parent,
            remote_parent: None,
            links: causes.links,
            due: None,
            what: What::Command(command, process),
        };
        let handle = self.nodes.add(&facts, at.start, Print::default(), detail);
        self.schedule(handle, at.end.plus(self.settings.settle_ns));

        let Some(proc) = self.processes.get_mut(key) else { return };
        if let Some(input) = &input {
            proc.inputs.push(handle, at.end, input);
        }
        for tid in [tid, end_tid] {
            let thread = proc.thread(tid, at.end);
            if is_error {
                // What is published next may tell of the failure: the last good reading is no likely cause of it.
                thread.input = None;
            } else if input.is_some() {
                thread.input = (tid == end_tid).then_some(Input { node: handle, at: at.end });
            }
            // A command that brought nothing in (a lamp switched on) leaves the last input what it was.
        }
    }

    /// The cause of a device command: the message that its thread handled when it began, or whose content it carries.
    fn choose_for_command(
        &mut self,
        key: ProcessKey,
        tid: u32,
        start: Timestamp,
        request: &Payload,
    ) -> Choice {
        let Some(proc) = self.processes.get_mut(key) else { return Choice::default() };
        let held = proc.known_thread(tid).map_or(Held::Nothing, |thread| thread.at(start));
        let prefer: &[Handle] = match &held {
            Held::Nothing => &[],
            Held::One(node, _) => std::slice::from_ref(node),
            Held::Many(nodes) => nodes,
        };
        let found = match proc.deliveries.is_empty() {
            true => Vec::new(),
            false => proc.deliveries.find(&tokens(request), start, prefer),
        };
        let by_thread = found.first().is_some_and(|best| prefer.contains(&best.node));
        match (&held, found.first()) {
            // Content decides among what the thread has; and against the thread where a message fits that nothing came
            // of yet: an event loop runs one handler while another waits.
            (Held::One(node, _), Some(best)) if !by_thread && best.used => Choice::of(*node, thread()),
            (_, Some(_)) => Choice::found(found.get(..1).unwrap_or_default(), by_thread),
            (Held::One(node, _), None) => Choice::of(*node, thread()),
            (Held::Many(_), None) => Choice { undecided: true, ..Choice::default() },
            (Held::Nothing, None) => Choice::default(),
        }
    }

    /// The cause of a publish that began at `start` on thread `tid`.
    pub(super) fn causes_of_publish(
        &mut self,
        key: ProcessKey,
        tid: u32,
        start: Timestamp,
        body: &Payload,
    ) -> Causes {
        let choice = self.choose_for_publish(key, tid, start, body);
        self.causes(key, choice)
    }

    fn choose_for_publish(&mut self, key: ProcessKey, tid: u32, start: Timestamp, body: &Payload) -> Choice {
        let reach = self.settings.hold_ns;
        let Some(proc) = self.processes.get_mut(key) else { return Choice::default() };
        let known = proc.known_thread(tid);
        let held = known.map_or(Held::Nothing, |thread| thread.at(start));
        let input = known.and_then(|thread| thread.input);
        let input = input.filter(|input| input.at <= start && start.since(input.at) <= reach);
        if !proc.has_devices {
            return match held {
                Held::One(node, _) => Choice::of(node, thread()),
                Held::Many(_) => Choice { undecided: true, ..Choice::default() },
                Held::Nothing => Choice::default(),
            };
        }
        let body = tokens(body);
        let input_node = input.map(|input| input.node);
        let inputs = proc.inputs.find(&body, start, input_node.as_slice());
        let by_input = inputs.first().is_some_and(|best| Some(best.node) == input_node);
        match held {
            Held::One(context, since) => match inputs.first() {
                // What was read while handling the message, or read before and not published yet. A value
                // published before and again now is an answer from memory: the message is why it goes out.
                Some(best) if best.at >= since || !best.used => Choice::found(&inputs, by_input),
                Some(_) => {
                    let contained = Choice::found(&inputs, false);
                    let links = contained.parent.into_iter().chain(contained.links).collect();
                    Choice { parent: Some((context, thread())), links, undecided: false }
                }
                None => {
                    let relayed = proc.deliveries.find(&body, start, &[context]);
                    let relayed = relayed.first().is_some_and(|best| best.node == context);
                    Choice::of(context, thread().with_if(relayed, Evidence::Containment))
                }
            },
            Held::Many(_) | Held::Nothing if !inputs.is_empty() => Choice::found(&inputs, by_input),
            Held::Many(nodes) => {
                let relayed = proc.deliveries.find(&body, start, &nodes);
                match relayed.first().filter(|best| nodes.contains(&best.node)) {
                    Some(best) => Choice::found(std::slice::from_ref(best), true),
                    None => Choice { undecided: true, ..Choice::default() },
                }
            }
            Held::Nothing => match input {
                Some(input) => Choice::of(input.node, thread()),
                None => {
                    Choice::found(proc.deliveries.find(&body, start, &[]).get(..1).unwrap_or_default(), false)
                }
            },
        }
    }

    fn causes(&mut self, key: ProcessKey, choice: Choice) -> Causes {
        self.counts.undecided += u64::from(choice.undecided);
        let mut causes = Causes::default();
        let Some(proc) = self.processes.get_mut(key) else { return causes };
        for (is_parent, (node, proof)) in choice
            .parent
            .into_iter()
            .map(|parent| (true, parent))
            .chain(choice.links.into_iter().map(|link| (false, link)))
        {
            proc.inputs.mark(node);
            proc.deliveries.mark(node);
            match self.nodes.cause(node, proof) {
                Some(cause) if is_parent => causes.parent = Some(cause),
                Some(cause) => causes.links.push(cause),
                None => self.counts.forgotten_causes += 1,
            }
        }
        causes
    }
}
