//! Without BTF: what `/proc` says of a process's descriptors.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::host::sockets;

/// The path of a descriptor.
pub(super) fn descriptor_path((pid, fd): (u32, i32)) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/fd/{fd}"))
}

/// Whether a descriptor goes around the page cache: `Documentation/filesystems/proc.rst`, section 3.8, flags in octal.
pub(super) fn is_direct((pid, fd): (u32, i32)) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
    let flags =
        text.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_DIRECT != 0)
}

/// Addresses of a descriptor that is a TCP socket.
pub(super) fn addresses(key: (u32, i32)) -> Option<sockets::Addresses> {
    inode(&descriptor_path(key)).and_then(|inode| sockets::by_inode(key.0, inode))
}

/// Inode of a socket's descriptor.
fn inode(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    metadata.file_type().is_socket().then(|| metadata.ino())
}

/// The entries of a folder that are numbers.
pub(super) fn numbers(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
