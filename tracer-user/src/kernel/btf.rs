//! Where things are in this kernel's structures, from its BTF.

use std::path::Path;

use btf_rs::{Btf, Type};
use tracer_common::config::{Offsets, SockLayout, Uring};

use super::uring;

/// Where the kernel shows its own BTF.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why the offsets could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file is not there or not readable.
    #[error("cannot read the kernel's type information {path}: {reason}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A member that iotrail needs does not exist in this kernel.
    #[error("the kernel's type information has no {structure}.{member}")]
    Missing {
        /// C structure.
        structure: &'static str,
        /// Dotted member.
        member: &'static str,
    },
}

/// What [`read`] finds.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// For the kernel side.
    pub offsets: Offsets,
    /// For decode.
    pub sock: SockLayout,
    /// For the kernel side, of io_uring; `None` where it is missing or another one.
    pub uring: Option<Uring>,
    /// The kernel's own way to read its memory with plain loads, since 6.2.
    pub rdonly_cast: Option<RdonlyCast>,
}

/// What a call of `bpf_rdonly_cast` needs, as numbers in the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RdonlyCast {
    /// The function.
    pub function: u32,
    /// `struct pt_regs`: more than a hundred bytes of words on every architecture, so that anything can be read as one.
    pub words: u32,
}

/// Reads the offsets from a BTF file.
///
/// # Errors
/// The file cannot be read, or a needed member is not in it. `task_struct.thread_info.status` may be missing: only x86
/// has it.
pub fn read(path: &Path) -> Result<Layout, BtfError> {
    let btf = Btf::from_file(path)
        .map_err(|error| BtfError::Read { path: path.display().to_string(), reason: error.to_string() })?;
    let at = |structure: &'static str, member: &'static str| {
        offset(&btf, structure, member).ok_or(BtfError::Missing { structure, member })
    };
    let offsets = Offsets {
        task_files: at("task_struct", "files")?,
        files_fdt: at("files_struct", "fdt")?,
        fdt_max_fds: at("fdtable", "max_fds")?,
        fdt_fd: at("fdtable", "fd")?,
        file_inode: at("file", "f_inode")?,
        file_private: at("file", "private_data")?,
        inode_mode: at("inode", "i_mode")?,
        inode_rdev: at("inode", "i_rdev")?,
        inode_ino: at("inode", "i_ino")?,
        socket_sk: at("socket", "sk")?,
        skc_family: at("sock_common", "skc_family")?,
        skc_dport: at("sock_common", "skc_dport")?,
        skc_num: at("sock_common", "skc_num")?,
        sk_protocol: at("sock", "sk_protocol")?,
        tcp_write_seq: at("tcp_sock", "write_seq")?,
        tcp_copied_seq: at("tcp_sock", "copied_seq")?,
        unix_peer: at("unix_sock", "peer")?,
        unix_addr: at("unix_sock", "addr")?,
        unix_address_name: at("unix_address", "name")?,
        task_tgid: at("task_struct", "tgid")?,
        task_pid: at("task_struct", "pid")?,
        task_status: if cfg!(target_arch = "x86_64") { at("task_struct", "thread_info.status")? } else { 0 },
        task_flags: at("task_struct", "thread_info.flags")?,
        file_flags: at("file", "f_flags")?,
        task_comm: at("task_struct", "comm")?,
        task_start: at("task_struct", "start_boottime")?,
        task_mm: at("task_struct", "mm")?,
        mm_arg_start: at("mm_struct", "arg_start")?,
        mm_arg_end: at("mm_struct", "arg_end")?,
        mm_env_end: at("mm_struct", "env_end")?,
        mm_exe_file: at("mm_struct", "exe_file")?,
        file_dentry: at("file", "f_path.dentry")?,
        dentry_name: at("dentry", "d_name.name")?,
        task_signal: at("task_struct", "signal")?,
        signal_live: at("signal_struct", "live")?,
    };
    let sock = SockLayout {
        daddr: at("sock_common", "skc_daddr")?,
        rcv_saddr: at("sock_common", "skc_rcv_saddr")?,
        dport: offsets.skc_dport,
        num: offsets.skc_num,
        family: offsets.skc_family,
        net: at("sock_common", "skc_net")?,
        v6_daddr: at("sock_common", "skc_v6_daddr")?,
        v6_rcv_saddr: at("sock_common", "skc_v6_rcv_saddr")?,
    };
    let numbered = |name: &str, wanted: fn(&Type) -> bool| {
        let ids = btf.resolve_ids_by_name(name).ok()?.into_iter();
        ids.into_iter().find(|id| btf.resolve_type_by_id(*id).is_ok_and(|found| wanted(&found)))
    };
    let function = numbered("bpf_rdonly_cast", |found| matches!(found, Type::Func(_)));
    let words = numbered("pt_regs", |found| matches!(found, Type::Struct(_)));
    let rdonly_cast = function.zip(words).map(|(function, words)| RdonlyCast { function, words });
    Ok(Layout { offsets, sock, uring: uring::layout(&btf), rdonly_cast })
}

/// Byte offset of a dotted member, looked for through unnamed structures and unions.
pub(super) fn offset(btf: &Btf, structure: &str, path: &str) -> Option<u32> {
    let mut types = btf.resolve_types_by_name(structure).ok()?.into_iter();
    let mut current = types.find(|found| matches!(found, Type::Struct(_)))?;
    let mut bits = 0;
    for name in path.split('.') {
        let (at, found) = member(btf, &current, name)?;
        bits += at;
        current = found;
    }
    Some(bits / 8)
}

/// The type behind qualifiers and other names.
fn plain(btf: &Btf, mut found: Type) -> Option<Type> {
    loop {
        let next = match &found {
            Type::Const(inner) => btf.resolve_chained_type(inner),
            Type::Volatile(inner) => btf.resolve_chained_type(inner),
            Type::Typedef(inner) => btf.resolve_chained_type(inner),
            _ => return Some(found),
        };
        found = next.ok()?;
    }
}

fn member(btf: &Btf, of: &Type, name: &str) -> Option<(u32, Type)> {
    let (Type::Struct(outer) | Type::Union(outer)) = of else { return None };
    for candidate in &outer.members {
        let called = btf.resolve_name(candidate).unwrap_or_default();
        let found = btf.resolve_chained_type(candidate).ok().and_then(|found| plain(btf, found));
        let Some(found) = found else { continue };
        if called == name {
            return Some((candidate.bit_offset(), found));
        }
        if called.is_empty()
            && let Some((at, deeper)) = member(btf, &found, name)
        {
            return Some((candidate.bit_offset() + at, deeper));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nowhere/vmlinux")).expect_err("there is no such file");
        assert!(error.to_string().contains("/nowhere/vmlinux"), "{error}");
    }

    #[test]
    fn this_kernels_layout_is_sane() {
        if !Path::new(VMLINUX).exists() {
            return;
        }
        let layout = read(Path::new(VMLINUX)).expect("this kernel has BTF");
        assert_eq!(layout.sock.dport, 12, "skc_dport has been at 12 since 3.7");
        assert_eq!(layout.sock.num, 14);
        assert!(layout.offsets.tcp_write_seq != layout.offsets.tcp_copied_seq);
        assert!(layout.offsets.task_files > 0 && layout.offsets.inode_rdev > 0);
    }
}
