//! Hooks in programs: where TLS libraries take and give plaintext.

use std::path::Path;

use aya::programs::UProbe;
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope};
use tracer_common::tls::{Hook, PROGRAMS, Program};

use super::load::{Attachment, LoadError, typed_program};

impl Attachment {
    /// The loaded programs that hooks run, with the instructions that the verifier walked, 0 if the kernel does not tell.
    #[must_use]
    pub fn tls_programs(&self) -> Vec<(String, u32)> {
        let walked = |program: &Program| {
            let info = self.bpf.program(program.name())?.info().ok()?;
            Some((program.name().to_owned(), info.verified_instruction_count().unwrap_or(0)))
        };
        PROGRAMS.iter().filter_map(walked).collect()
    }

    /// Hooks functions of the program or library at `path`, in every process that maps it, now or later. Returns how
    /// many hooks are in place.
    ///
    /// # Errors
    /// The kernel refuses a program or a hook; those before it stay.
    pub fn hook(&mut self, path: &Path, hooks: &[Hook]) -> Result<usize, LoadError> {
        // Ends before beginnings: a call whose end is not seen is told of to nobody.
        let mut hooks: Vec<Hook> = hooks.to_vec();
        hooks.sort_by_key(|hook| std::cmp::Reverse(hook.program));
        for hook in &hooks {
            let program = hook.program.name();
            let found: &mut UProbe = typed_program(&mut self.bpf, program)?;
            if found.fd().is_err() {
                found.load().map_err(|source| LoadError::Program { program, source })?;
            }
            let point = UProbeAttachPoint {
                location: UProbeAttachLocation::AbsoluteOffset(hook.offset),
                cookie: Some(hook.cookie),
            };
            found.attach(point, path, UProbeScope::AllProcesses).map_err(|source| LoadError::Attach {
                program,
                hook: format!("{}:{:#x}", path.display(), hook.offset),
                source,
            })?;
        }
        Ok(hooks.len())
    }
}
