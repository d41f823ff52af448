//! From a descriptor number to what it is, through the kernel's own structures.
//!
//! Offsets come from BTF. The walk takes no lock: each step is a checked read, so a table that is replaced meanwhile
//! gives a miss at worst. `include/linux/fdtable.h`, `include/linux/fs.h`, `include/net/sock.h`.

use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_kernel_str,
};
use tracer_common::record::SOCK_COMMON_BYTES;

use crate::maps::{ANONYMOUS, ANONYMOUS_INODE, Anonymous, InFlight, SockCommon, config};
use crate::read::kernel;
use crate::stage;

const S_IFMT: u16 = 0xf000;
const S_IFCHR: u16 = 0x2000;
const S_IFBLK: u16 = 0x6000;
const S_IFSOCK: u16 = 0xc000;
const S_IFREG: u16 = 0x8000;

/// What a descriptor is open on.
pub(crate) enum Node {
    /// A character device with this number.
    Char(u32),
    /// A descriptor without a node that the driver of a selected character device made: its number and family.
    Anonymous(u32, u8),
    /// A block device with this number.
    Block(u32),
    /// A socket: address of its `struct sock`.
    Socket(u64),
}

/// A descriptor's file.
pub(crate) struct File {
    pub(crate) file: u64,
    pub(crate) inode: u64,
    pub(crate) node: Node,
}

/// Address of the `struct file` behind a descriptor of the current task.
#[inline(always)]
pub(crate) fn file(fd: i32) -> Option<u64> {
    if fd < 0 {
        return None;
    }
    // SAFETY: typed pointers of the verifier, from the task on; it checks each offset against BTF, and a load through
    // one that has become invalid gives 0.
    let table = unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let files = *task.add(config!(offsets.task_files) as usize).cast::<*const u8>();
        let fdt = *files.add(config!(offsets.files_fdt) as usize).cast::<*const u8>();
        if fd as u32 >= *fdt.add(config!(offsets.fdt_max_fds) as usize).cast::<u32>() {
            return None;
        }
        *fdt.add(config!(offsets.fdt_fd) as usize).cast::<u64>()
    };
    let file: u64 = kernel(table + 8 * fd as u64)?;
    if file == 0 { None } else { Some(file) }
}

/// Looks a descriptor of the current task up. `None`: not open, neither device nor socket, or unreadable.
#[inline(always)]
pub(crate) fn descriptor(fd: i32) -> Option<File> {
    behind(file(fd)?)
}

/// What a file is. `None` as of [`descriptor`].
#[inline(always)]
pub(crate) fn behind(file: u64) -> Option<File> {
    let inode: u64 = kernel(file + u64::from(config!(offsets.file_inode)))?;
    let mode: u16 = kernel(inode + u64::from(config!(offsets.inode_mode)))?;
    let node = match mode & S_IFMT {
        S_IFCHR => Node::Char(kernel(inode + u64::from(config!(offsets.inode_rdev)))?),
        S_IFBLK => Node::Block(kernel(inode + u64::from(config!(offsets.inode_rdev)))?),
        S_IFSOCK => {
            let socket: u64 = kernel(file + u64::from(config!(offsets.file_private)))?;
            Node::Socket(kernel(socket + u64::from(config!(offsets.socket_sk)))?)
        }
        // All share one inode, whose mode has been that of a regular file since 6.16 and none before.
        0 | S_IFREG => {
            if *ANONYMOUS_INODE.get(0)? != inode {
                return None;
            }
            let (rdev, family) = anonymous(file)?;
            Node::Anonymous(rdev, family)
        }
        _ => return None,
    };
    Some(File { file, inode, node })
}

/// `O_DIRECT`: `include/uapi/asm-generic/fcntl.h`, `arch/arm64/include/uapi/asm/fcntl.h`.
#[inline(always)]
pub(crate) fn o_direct() -> u32 {
    if config!(arch) == crate::probes::AMD64 { 0o40_000 } else { 0o200_000 }
}

/// Whether a file goes around the page cache.
#[inline(always)]
pub(crate) fn is_direct(file: u64) -> bool {
    kernel::<u32>(file + u64::from(config!(offsets.file_flags))).is_some_and(|flags| flags & o_direct() != 0)
}

#[inline(always)]
fn anonymous(file: u64) -> Option<(u32, u8)> {
    // SAFETY: the value is copied at once.
    let known = unsafe { ANONYMOUS.get(file) }.copied()?;
    let private: u64 = kernel(file + u64::from(config!(offsets.file_private)))?;
    if private == known.private { Some((known.rdev, known.family as u8)) } else { None }
}

/// Remembers a descriptor without a node that a device's driver just made.
#[inline(never)]
pub(crate) fn made(fd: i32, rdev: u32, family: u8) -> Option<()> {
    let file = file(fd)?;
    let inode: u64 = kernel(file + u64::from(config!(offsets.file_inode)))?;
    let mode: u16 = kernel(inode + u64::from(config!(offsets.inode_mode)))?;
    if mode & S_IFMT != 0 && mode & S_IFMT != S_IFREG {
        return None;
    }
    let private: u64 = kernel(file + u64::from(config!(offsets.file_private)))?;
    let shared = ANONYMOUS_INODE.get_ptr_mut(0)?;
    // SAFETY: a map value; who is first sets it, and all set the same.
    unsafe {
        if *shared == 0 {
            *shared = inode;
        }
    }
    let _ = ANONYMOUS.insert(file, Anonymous { private, rdev, family: u32::from(family) }, 0);
    Some(())
}

/// The inode's number, which is how `/proc` and `stat` name it.
#[inline(always)]
pub(crate) fn inode_number(inode: u64) -> u64 {
    kernel(inode + u64::from(config!(offsets.inode_ino))).unwrap_or(0)
}

/// What decides whether a socket is selected.
pub(crate) struct Names {
    pub(crate) family: u16,
    /// Its own port.
    pub(crate) own: u16,
    /// The peer's port.
    pub(crate) peer: u16,
}

/// Looks at a `struct sock`.
#[inline(always)]
pub(crate) fn names(sock: u64) -> Option<Names> {
    let [family, own, peer] = if config!(words_type) != 0 {
        [
            kernel(sock + u64::from(config!(offsets.skc_family)))?,
            kernel(sock + u64::from(config!(offsets.skc_num)))?,
            kernel(sock + u64::from(config!(offsets.skc_dport)))?,
        ]
    } else {
        // All at once, into this CPU's staging buffer: the stack has no room for it on older kernels, which count the
        // frames of every function that could be on it together.
        let stage = stage::own()?;
        // SAFETY: the stage is this CPU's own while the program runs.
        let common: *mut SockCommon = unsafe { (&raw mut (*stage).header.sock_common).cast() };
        if !copy_common(sock, common) {
            return None;
        }
        [
            field16(common, config!(offsets.skc_family)),
            field16(common, config!(offsets.skc_num)),
            field16(common, config!(offsets.skc_dport)),
        ]
    };
    Some(Names { family, own, peer: u16::from_be(peer) })
}

#[inline(always)]
pub(crate) fn field16(common: *const SockCommon, offset: u32) -> u16 {
    if offset > SOCK_COMMON_BYTES as u32 - 2 {
        return 0;
    }
    // SAFETY: two bytes from there are inside.
    unsafe { common.cast::<u8>().add(offset as usize).cast::<u16>().read_unaligned() }
}

/// Copies the beginning of a `struct sock` to where a call remembers it; zeros if it cannot be read.
#[inline(always)]
pub(crate) fn sock_common(sock: u64, slot: *mut InFlight) {
    // SAFETY: a map value that this thread alone writes.
    copy_common(sock, unsafe { &raw mut (*slot).sock_common });
}

#[inline(always)]
fn copy_common(sock: u64, to: *mut SockCommon) -> bool {
    // SAFETY: the helper writes exactly that many bytes, and checks the address itself.
    sock != 0 && unsafe { bpf_probe_read_kernel(to.cast(), SOCK_COMMON_BYTES as u32, sock as *const _) } == 0
}

/// `sk_protocol` of a socket: 6 is TCP.
#[inline(always)]
pub(crate) fn protocol(sock: u64) -> u16 {
    kernel(sock + u64::from(config!(offsets.sk_protocol))).unwrap_or(0)
}

/// The next sequence number that a TCP socket sends (`outward`) or hands to its reader.
#[inline(always)]
pub(crate) fn sequence(sock: u64, outward: bool) -> Option<u32> {
    let offset = if outward { config!(offsets.tcp_write_seq) } else { config!(offsets.tcp_copied_seq) };
    kernel(sock + u64::from(offset))
}

/// The peer's `struct sock` of a unix socket, 0 if none.
#[inline(always)]
pub(crate) fn unix_peer(sock: u64) -> u64 {
    kernel(sock + u64::from(config!(offsets.unix_peer))).unwrap_or(0)
}

/// The path that a unix socket is bound to, zero-padded; `None` if it has no name.
#[inline(always)]
pub(crate) fn unix_path(sock: u64) -> Option<[u8; 108]> {
    if sock == 0 {
        return None;
    }
    let address: u64 = kernel(sock + u64::from(config!(offsets.unix_addr)))?;
    if address == 0 {
        return None;
    }
    // The kernel keeps no more of the path than its length: what lies behind is not part of it.
    let mut path = [0; 108];
    let name = address + u64::from(config!(offsets.unix_address_name)) + 2;
    // SAFETY: the helper writes at most the array; it checks the address itself.
    let length = unsafe { bpf_probe_read_kernel_str(path.as_mut_ptr().cast(), 108, name as *const _) };
    if length > 1 { Some(path) } else { None }
}
