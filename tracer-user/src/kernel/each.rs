//! One tracepoint for each system call: which of them a run needs.
//!
//! A call that is not hooked costs other programs less, and each tracepoint takes the kernel tens of milliseconds to leave.

use tracer_common::call::{Call, traits};

use super::load::Options;

/// Which end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `syscalls:sys_enter_*`.
    Entry,
    /// `syscalls:sys_exit_*`.
    Exit,
}

/// Whether this end of a call can show anything that is selected.
pub(super) fn is_needed(call: Call, end: End, options: &Options) -> bool {
    let has = |bits| traits::of(call) & bits != 0;
    let selection = &options.selection;
    let devices = !selection.devices.is_empty() || selection.awaits_devices;
    let sockets = !selection.ports.is_empty() || !selection.unix_paths.is_empty();
    // Of a call that waits, or asks for a program, only the beginning is looked at.
    let only_begins =
        end == End::Exit && (has(traits::WAITS) || matches!(call, Call::Execve | Call::Execveat));
    // Where descriptors are looked up they need not be followed, and births have a tracepoint of their own.
    let followed = options.btf && has(traits::FOLLOWING);
    let of_the_other_side = (!devices && is_of_files(call)) || (!sockets && is_of_sockets(call));
    !only_begins && !followed && !of_the_other_side
}

/// Whether it works on files only, or what it does to sockets shows nothing. `preadv2` and `pwritev2` can do without an
/// offset, and then work on sockets.
fn is_of_files(call: Call) -> bool {
    traits::of(call) & (traits::IOCTL | traits::OPENS) != 0
        || matches!(call, Call::Pread64 | Call::Preadv | Call::Pwrite64 | Call::Pwritev)
}

/// Whether it works on sockets only.
fn is_of_sockets(call: Call) -> bool {
    matches!(
        call,
        Call::Socket
            | Call::Socketpair
            | Call::Bind
            | Call::Connect
            | Call::Accept
            | Call::Accept4
            | Call::Sendto
            | Call::Sendmsg
            | Call::Sendmmsg
            | Call::Send
            | Call::Recvfrom
            | Call::Recvmsg
            | Call::Recvmmsg
            | Call::Recv
            | Call::Shutdown
    )
}

/// The kernel names its events after the function, which is not always the call's name.
pub(super) fn event_name(call: Call) -> &'static str {
    match call {
        Call::Sendfile => "sendfile64",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Hooks;
    use super::super::selection::Selection;
    use super::*;

    fn options(devices: bool, sockets: bool, btf: bool) -> Options {
        let mut selection = Selection::default();
        selection.devices.extend(devices.then_some((1, 4, None)));
        selection.ports.extend(sockets.then_some(1883));
        Options { selection, ..Options::new(Hooks::Each, btf) }
    }

    fn entry(call: Call, devices: bool, sockets: bool) -> bool {
        is_needed(call, End::Entry, &options(devices, sockets, true))
    }

    #[test]
    fn a_selection_of_one_side_hooks_only_calls_of_that_side() {
        for both in [Call::Read, Call::Writev, Call::Pwritev2, Call::Close, Call::Dup2, Call::Splice] {
            assert!(entry(both, true, false) && entry(both, false, true), "{both:?}");
        }
        for files in [Call::Ioctl, Call::Openat, Call::Pread64] {
            assert!(entry(files, true, false) && !entry(files, false, true), "{files:?}");
        }
        for sockets in [Call::Sendto, Call::Recvmsg, Call::Connect, Call::Shutdown] {
            assert!(!entry(sockets, true, false) && entry(sockets, false, true), "{sockets:?}");
        }
    }

    #[test]
    fn the_ends_of_waiting_calls_are_not_hooked() {
        let options = options(true, true, true);
        for call in [Call::Poll, Call::EpollWait, Call::Pselect6] {
            assert!(
                is_needed(call, End::Entry, &options) && !is_needed(call, End::Exit, &options),
                "{call:?}"
            );
        }
        assert!(is_needed(Call::Read, End::Exit, &options));
    }

    #[test]
    fn descriptors_and_births_are_followed_only_without_types() {
        for call in [Call::Socket, Call::Clone3, Call::Forks] {
            assert!(is_needed(call, End::Exit, &options(true, true, false)), "{call:?}");
            assert!(!is_needed(call, End::Exit, &options(true, true, true)), "{call:?}");
        }
        assert!(is_needed(Call::Clone, End::Entry, &options(true, false, false)));
    }
}
