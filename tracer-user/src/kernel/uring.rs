//! Requests of io_uring: where their parts lie in this kernel, and the tracepoints that show them.

use aya::Ebpf;
use aya::programs::RawTracePoint;
use btf_rs::{Btf, Type};
use tracer_common::config::Uring;

use super::btf::offset;
use super::features::chain;
use super::load::{attach_raw, load_raw, typed_program};

/// Programs with their tracepoints, completions first; of several names of one the first that there is.
const HOOKS: &[(&str, &[&str])] = &[
    ("uring_complete", &["io_uring_complete"]),
    ("uring_later", &["io_uring_poll_arm"]),
    ("uring_later", &["io_uring_queue_async_work"]),
    ("uring_submit", &["io_uring_submit_req", "io_uring_submit_sqe"]),
];

/// Arguments of the tracepoint of a completion that has one, with the one that every tracepoint has.
const WHOLE: usize = 4;

/// Reads where things are. `None`: the kernel's structures are others (before 6.0), or it has no io_uring.
pub(super) fn layout(btf: &Btf) -> Option<Uring> {
    let at = |structure, member| offset(btf, structure, member);
    let nodes = at("io_ring_ctx", "file_table.data.nodes");
    Some(Uring {
        opcode: at("io_kiocb", "opcode")?,
        flags: at("io_kiocb", "flags")?,
        fd: at("io_kiocb", "cqe.fd")?,
        user_data: at("io_kiocb", "cqe.user_data")?,
        context: at("io_kiocb", "ctx")?,
        command: at("io_kiocb", "cmd")?,
        rw_address: at("io_rw", "addr")?,
        rw_length: at("io_rw", "len")?,
        rw_position: at("io_rw", "kiocb.ki_pos")?,
        message_address: at("io_sr_msg", "buf")?,
        message_length: at("io_sr_msg", "len")?,
        message_flags: at("io_sr_msg", "msg_flags")?,
        files: nodes.or_else(|| at("io_ring_ctx", "file_table.files"))?,
        file_in_node: u32::from(nodes.is_some()),
        node_file: nodes.map_or(Some(0), |_| at("io_rsrc_node", "file_ptr"))?,
        parts: u32::from(completion_arguments(btf)? != WHOLE),
    })
}

/// How many arguments a completion's tracepoint has: the kernel declares the type of its programs.
fn completion_arguments(btf: &Btf) -> Option<usize> {
    let mut types = btf.resolve_types_by_name("btf_trace_io_uring_complete").ok()?.into_iter();
    let Type::Typedef(name) = types.next()? else { return None };
    let Type::Ptr(pointer) = btf.resolve_chained_type(&name).ok()? else { return None };
    let Type::FuncProto(function) = btf.resolve_chained_type(&pointer).ok()? else { return None };
    Some(function.parameters.len())
}

/// Attaches the programs.
///
/// # Errors
/// What keeps requests from being seen, in words.
pub(super) fn attach(bpf: &mut Ebpf, layout: Option<Uring>) -> Result<(), String> {
    if layout.is_none() {
        return Err("this kernel's io_uring is another one, or it has none".to_owned());
    }
    let mut loaded = "";
    for (program, hooks) in HOOKS {
        if loaded != *program {
            load_raw(bpf, program).map_err(|error| chain(&error))?;
            loaded = program;
        }
        let attached = hooks.iter().map(|hook| attach_raw(bpf, program, hook));
        let mut failed = None;
        for outcome in attached {
            failed = outcome.err();
            if failed.is_none() {
                break;
            }
        }
        if let Some(error) = failed {
            return Err(chain(&error));
        }
    }
    Ok(())
}

/// Requests are not seen any more.
pub(super) fn mute(bpf: &mut Ebpf) {
    for program in ["uring_submit", "uring_complete"] {
        let found: Result<&mut RawTracePoint, _> = typed_program(bpf, program);
        // Records come a little longer, no more.
        if let Ok(Err(error)) = found.map(RawTracePoint::unload) {
            tracing::debug!("{program} stays: {error}");
        }
    }
}
