//! Tracepoints of buses. A driver that is not loaded has none; they appear when it is.

use std::collections::{BTreeMap, BTreeSet};

use aya::Ebpf;
use aya::programs::RawTracePoint;
use tracer_common::bus::Bus;

use super::load::{LoadError, attach_raw, load_raw, typed_program};

/// The selected buses, and how many of each one's tracepoints are attached, in their order.
#[derive(Default)]
pub(super) struct Buses(BTreeMap<Bus, usize>);

impl Buses {
    /// Selects buses, and attaches what there is and was not attached before. Returns the buses that are seen from now on.
    ///
    /// What is not there costs the transactions of its bus and nothing else.
    pub(super) fn attach(&mut self, bpf: &mut Ebpf, buses: &BTreeSet<Bus>) -> Vec<Bus> {
        for bus in buses {
            self.0.entry(*bus).or_insert(0);
        }
        let mut seen = Vec::new();
        for (bus, attached) in self.0.iter_mut().filter(|(bus, attached)| **attached < bus.hooks().len()) {
            // All of its programs are loaded, so that the verifier is done with them when the driver comes.
            let programs = bus.hooks().iter().map(|(program, _)| load_once(bpf, program));
            if let Err(error) = programs.collect::<Result<(), _>>() {
                tracing::debug!("bus {}: {error}", bus.name());
                continue;
            }
            for (program, hook) in &bus.hooks()[*attached..] {
                if let Err(error) = attach_raw(bpf, program, hook) {
                    tracing::debug!("bus {}: {error}", bus.name());
                    break;
                }
                *attached += 1;
            }
            if *attached == bus.hooks().len() {
                seen.push(*bus);
            }
        }
        seen
    }

    /// The selected buses; what keeps one from being seen, if something does.
    pub(super) fn outcomes(&self) -> Vec<(Bus, Option<String>)> {
        let outcome = |(bus, attached): (&Bus, &usize)| {
            let missing = bus.hooks().get(*attached);
            let why = |(_, hook): &(&str, &str)| {
                format!("no tracepoint {hook}: its driver is not loaded, or tells nothing")
            };
            (*bus, missing.map(why))
        };
        self.0.iter().map(outcome).collect()
    }
}

/// One program may serve several tracepoints.
fn load_once(bpf: &mut Ebpf, program: &'static str) -> Result<(), LoadError> {
    let found: &mut RawTracePoint = typed_program(bpf, program)?;
    if found.fd().is_ok() { Ok(()) } else { load_raw(bpf, program) }
}
