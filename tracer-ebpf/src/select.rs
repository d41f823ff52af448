//! Is it selected? Two sides: who (process) and what (device, port).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_probe_read_user_str;
use tracer_common::config::{DeviceKey, FAMILY_SHIFT, MINORS_MASK, SOME_MINORS, WHOLE_MAJOR};

use crate::maps::{DEVICES, MAJORS, PORTS, UNIX_PATHS, config, is_selected};
use crate::walk::{self, Names};

/// `AF_UNIX`.
pub(crate) const AF_UNIX: u16 = 1;
/// `AF_INET`.
pub(crate) const AF_INET: u16 = 2;
/// `AF_INET6`.
pub(crate) const AF_INET6: u16 = 10;

/// The current thread.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
}

/// The current thread, if its process is selected. iotrail itself never is.
#[inline(always)]
pub(crate) fn who() -> Option<Who> {
    let both = bpf_get_current_pid_tgid();
    let who = Who { tgid: (both >> 32) as u32, tid: both as u32 };
    if who.tgid == config!(own_tgid) {
        return None;
    }
    if config!(only_processes) != 0 && !is_selected(who.tgid) {
        return None;
    }
    Some(who)
}

/// If a device number is selected, the family of its `ioctl` commands. `kind`: 1 character, 2 block.
#[inline(always)]
pub(crate) fn device(kind: u32, rdev: u32) -> Option<u8> {
    // `dev_t` inside the kernel: 12 bits of major over 20 of minor, `include/linux/kdev_t.h`.
    let major = rdev >> 20;
    let mark = *MAJORS.get(DeviceKey::major_index(kind, major))?;
    match mark & MINORS_MASK {
        WHOLE_MAJOR => return Some(mark >> FAMILY_SHIFT),
        SOME_MINORS => {}
        _ => return None,
    }
    let exact = DeviceKey { kind, major, minor: rdev & 0xf_ffff };
    // SAFETY: the value is copied at once.
    unsafe { DEVICES.get(exact) }.copied()
}

/// Whether a port is selected.
#[inline(always)]
pub(crate) fn port(port: u16) -> bool {
    PORTS.get(u32::from(port)).is_some_and(|selected| *selected != 0)
}

/// Whether a socket is selected; `Some(true)` if by its own port or path, so that it is the server.
#[inline(always)]
pub(crate) fn socket(sock: u64, names: &Names) -> Option<bool> {
    if names.family == AF_INET || names.family == AF_INET6 {
        if port(names.own) {
            return Some(true);
        }
        if port(names.peer) {
            return Some(false);
        }
        return None;
    }
    if names.family == AF_UNIX && config!(unix_paths) != 0 {
        return unix(sock);
    }
    None
}

#[inline(never)]
fn unix_selected(sock: u64) -> u64 {
    let Some(path) = walk::unix_path(sock) else { return 0 };
    // SAFETY: only its presence is used.
    u64::from(unsafe { UNIX_PATHS.get(path) }.is_some())
}

#[inline(always)]
fn unix(sock: u64) -> Option<bool> {
    if unix_selected(sock) != 0 {
        return Some(true);
    }
    if unix_selected(walk::unix_peer(sock)) != 0 {
        return Some(false);
    }
    None
}

/// Whether a path in the program's memory (behind the family of a `struct sockaddr_un`), at most `length` bytes long,
/// is selected.
#[inline(always)]
pub(crate) fn unix_address(pointer: u64, length: u64) -> bool {
    let mut path = [0_u8; 108];
    let room = if length < 108 { length as u32 + 1 } else { 108 };
    // SAFETY: the helper writes at most the array; it checks the address itself.
    let copied = unsafe { bpf_probe_read_user_str(path.as_mut_ptr().cast(), room, pointer as *const _) };
    if copied <= 1 {
        return false;
    }
    // SAFETY: only its presence is used.
    unsafe { UNIX_PATHS.get(path) }.is_some()
}
