//! A call begins: decide whether it matters, and remember what is known only now.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tracer_common::call::{Abi, Call, NUMBERS as NUMBERS_PER_ABI, traits};
use tracer_common::counter::Counter;
use tracer_common::record::{Target, flag};

use crate::calls::{self, Kind, is};
use crate::maps::{INTERRUPTED, InFlight, NUMBERS, RUNNING, config, count, slot_or_new};
use crate::select::{self, Who};
use crate::walk::{self, Node};
use crate::{egress, finish, follow, lifecycle, nested, tls, uring, wait};

/// `IPPROTO_TCP`, `include/uapi/linux/in.h`.
const TCP: u16 = 6;
/// `IPPROTO_MPTCP`: TCP over several ways; its positions are others.
const MPTCP: u16 = 262;

/// The call behind a number, if iotrail follows it, and the thread, if its process is selected.
#[inline(always)]
pub(crate) fn wanted(number: u32, abi: Abi) -> Option<(Kind, Who)> {
    if number >= NUMBERS_PER_ABI {
        return None;
    }
    let entry = *NUMBERS.get(abi as u32 * NUMBERS_PER_ABI + number)?;
    if entry == 0 {
        return None;
    }
    Some((Kind { call: entry as u16, traits: (entry >> 16) as u16 }, select::who()?))
}

/// A call of a selected process begins.
#[inline(always)]
pub(crate) fn call(mut kind: Kind, abi: Abi, who: Who, args: &mut [u64; 6]) -> Option<()> {
    if kind.has(traits::WAITS) {
        return wait::begins(kind, who, args);
    }
    if is!(kind, Socketcall) {
        kind = socketcall(args)?;
    }
    if is!(kind, Fcntl)
        && args[1] != calls::F_DUPFD
        && args[1] != calls::F_DUPFD_CLOEXEC
        && (config!(btf) != 0 || args[1] != calls::F_SETFL)
    {
        return None;
    }
    if kind.has(traits::NO_DESCRIPTOR) {
        if kind.has(traits::FOLLOWING) && config!(btf) != 0 {
            return None;
        }
        if is!(kind, Execve) {
            return lifecycle::asked(who, args[0], args[1], abi == Abi::Compat);
        }
        if is!(kind, Execveat) {
            return lifecycle::asked(who, args[1], args[2], abi == Abi::Compat);
        }
        let slot = slot_or_new(who.tid)?;
        return start(slot, who, kind, abi, -1, Target::None as u8, args);
    }
    // sendfile(out, in, …), splice(in, off_in, out, …): the end that bytes go to comes first.
    let splice = is!(kind, Splice);
    let first = if splice { args[2] } else { args[0] } as i32;
    if one(kind, abi, who, first, true, args) != 0 {
        return Some(());
    }
    if kind.has(traits::UNSEEN) {
        let second = if splice { args[0] } else { args[1] } as i32;
        one(kind, abi, who, second, false, args);
    }
    None
}

/// 1 if the descriptor is selected. A function of its own, so that the verifier need not look at two copies.
#[inline(always)]
fn one(kind: Kind, abi: Abi, who: Who, fd: i32, first: bool, args: &[u64; 6]) -> u64 {
    u64::from(descriptor(kind, abi, who, fd, first, args).is_some())
}

#[inline(always)]
fn descriptor(kind: Kind, abi: Abi, who: Who, fd: i32, first: bool, args: &[u64; 6]) -> Option<()> {
    if config!(btf) == 0 {
        return follow::descriptor(kind, abi, who, fd, first, args);
    }
    described::<false>(kind, abi, who, fd, first, args, walk::descriptor(fd)?)?;
    Some(())
}

/// If the file is selected, what is known of the call. `RING`: a request of io_uring, which is not yet the thread's own.
#[inline(always)]
pub(crate) fn described<const RING: bool>(
    kind: Kind,
    abi: Abi,
    who: Who,
    fd: i32,
    first: bool,
    args: &[u64; 6],
    file: walk::File,
) -> Option<*mut InFlight> {
    let place = || if RING { uring::scratch() } else { slot_or_new(who.tid) };
    let sock = match file.node {
        Node::Char(rdev) | Node::Block(rdev) | Node::Anonymous(rdev, _) => {
            let block = matches!(file.node, Node::Block(_));
            let target = if block { Target::Block } else { Target::Char } as u8;
            let family = match file.node {
                Node::Anonymous(_, family) => family,
                _ => select::device(u32::from(target), rdev)?,
            };
            // Through the page cache: that is the file system's business, not a command to the device.
            if block
                && kind.has(traits::INWARD | traits::OUTWARD | traits::UNSEEN)
                && !walk::is_direct(file.file)
            {
                return None;
            }
            let slot = place()?;
            start(slot, who, kind, abi, fd, target, args);
            // SAFETY: a map value that this thread alone writes.
            unsafe {
                (*slot).rdev = rdev;
                (*slot).family = family;
                (*slot).inode = walk::inode_number(file.inode);
                (*slot).flags |= outward(kind, first);
            }
            if !RING && kind.has(traits::IOCTL) {
                nested::at_entry(slot, who);
            }
            return Some(slot);
        }
        Node::Socket(sock) => sock,
    };
    // What programs ask of sockets by ioctl (FIONREAD, SIOC…) is no peripheral's command.
    if kind.has(traits::IOCTL) {
        return None;
    }
    let names = walk::names(sock)?;
    let server = match select::socket(sock, &names) {
        Some(server) => server,
        // Its address is not in the socket yet but in the arguments.
        None if kind.has(traits::ADDRESS) => address_selected(args)?,
        None => {
            tls::strange(who.tid);
            return None;
        }
    };
    // A port of UDP is another one.
    let family = names.family;
    let protocol = walk::protocol(sock);
    if family != select::AF_UNIX && protocol != TCP && protocol != MPTCP {
        return None;
    }
    let slot = place()?;
    start(slot, who, kind, abi, fd, Target::Socket as u8, args);
    let out = outward(kind, first);
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        (*slot).flags |= out;
        (*slot).server = u8::from(server);
        (*slot).sock = sock;
        (*slot).inode = walk::inode_number(file.inode);
        walk::sock_common(sock, slot);
        tls::used(slot, fd, sock);
        if family == select::AF_UNIX {
            (*slot).peer = walk::unix_peer(sock);
        } else if kind.has(traits::INWARD | traits::OUTWARD | traits::UNSEEN) && protocol == TCP {
            if let Some(sequence) = walk::sequence(sock, out != 0) {
                (*slot).position = u64::from(sequence);
                (*slot).flags |= flag::POSITION;
                if !RING && kind.has(traits::UNSEEN) && out != 0 {
                    egress::begins(slot, who);
                }
            }
        }
    }
    Some(slot)
}

#[inline(always)]
fn outward(kind: Kind, first: bool) -> u16 {
    if kind.has(traits::OUTWARD) || (kind.has(traits::UNSEEN) && first) { flag::OUTWARD } else { 0 }
}

/// Remembers the call.
#[inline(always)]
pub(crate) fn start(
    slot: *mut InFlight,
    who: Who,
    kind: Kind,
    abi: Abi,
    fd: i32,
    target: u8,
    args: &[u64; 6],
) -> Option<()> {
    // SAFETY: a map value that this thread alone writes; helpers without memory arguments.
    unsafe {
        let now = bpf_ktime_get_ns();
        if kind.has(traits::INWARD) {
            wait::reads(slot, who, fd, now);
        }
        if (*slot).state == INTERRUPTED {
            if same(slot, kind, args) {
                (*slot).state = RUNNING;
                (*slot).flags |= flag::RESTARTED;
                count(Counter::Restarted, 1);
                return Some(());
            }
            finish::interrupted(slot, who);
        }
        (*slot).enter_ns = now;
        (*slot).tgid = who.tgid;
        (*slot).args = *args;
        (*slot).fd = fd;
        (*slot).kind = kind;
        (*slot).abi = abi as u8;
        (*slot).target = target;
        (*slot).flags = 0;
        (*slot).rdev = 0;
        (*slot).family = 0;
        (*slot).nested = 0;
        (*slot).bus_ns = [0; 2];
        (*slot).inode = 0;
        (*slot).sock = 0;
        (*slot).peer = 0;
        (*slot).position = 0;
        (*slot).state = RUNNING;
    }
    Some(())
}

/// Whether the kernel starts the interrupted call again: the same call with the same arguments.
#[inline(always)]
fn same(slot: *mut InFlight, kind: Kind, args: &[u64; 6]) -> bool {
    // SAFETY: a map value that this thread alone writes.
    unsafe {
        (*slot).kind.call == kind.call
            && (*slot).args[0] == args[0]
            && (*slot).args[1] == args[1]
            && (*slot).args[2] == args[2]
    }
}

/// Whether the address that `bind` or `connect` hands over is selected; `Some(true)` for `bind`.
#[inline(never)]
fn address(pointer: u64, length: u64) -> u64 {
    let Some(family) = crate::read::user::<u16>(pointer) else { return 0 };
    if family == select::AF_INET || family == select::AF_INET6 {
        let Some(port) = crate::read::user::<u16>(pointer + 2) else { return 0 };
        return u64::from(select::port(u16::from_be(port)));
    }
    if family == select::AF_UNIX && config!(unix_paths) != 0 {
        return u64::from(select::unix_address(pointer + 2, length.saturating_sub(2)));
    }
    0
}

#[inline(always)]
pub(crate) fn address_selected(args: &[u64; 6]) -> Option<bool> {
    if address(args[1], args[2]) != 0 { Some(false) } else { None }
}

/// i386: the call is named by the first argument, its arguments lie in memory. `net/socket.c`, `SYSCALL_DEFINE2(socketcall`.
#[inline(always)]
fn socketcall(args: &mut [u64; 6]) -> Option<Kind> {
    let call = match args[0] {
        1 => Call::Socket,
        2 => Call::Bind,
        3 => Call::Connect,
        5 => Call::Accept,
        8 => Call::Socketpair,
        9 => Call::Send,
        10 => Call::Recv,
        11 => Call::Sendto,
        12 => Call::Recvfrom,
        13 => Call::Shutdown,
        16 => Call::Sendmsg,
        17 => Call::Recvmsg,
        18 => Call::Accept4,
        19 => Call::Recvmmsg,
        20 => Call::Sendmmsg,
        _ => return None,
    };
    let words: [u32; 4] = crate::read::user(args[1])?;
    *args = [u64::from(words[0]), u64::from(words[1]), u64::from(words[2]), u64::from(words[3]), 0, 0];
    Some(Kind { call: call as u16, traits: traits::of(call) })
}
