//! What the errno of a transfer means, `Documentation/driver-api/usb/error-codes.rst`.

use crate::device::class;
use crate::model::command::{Command, Status};

/// The status of a transfer that ended with `errno`.
pub(super) fn failed(errno: u32) -> Status {
    let mut status = class::failed(errno);
    explain(&mut status);
    status
}

/// Says what the errno of a command means.
pub(super) fn explain_command(command: &mut Command) {
    let specific = match (&*command.name, &command.status) {
        ("USBDEVFS_GETDRIVER", Status::Error { kind, .. }) if kind == "ENODATA" => "no driver is bound",
        ("USBDEVFS_DISCARDURB", Status::Error { kind, .. }) if kind == "EINVAL" => "it was over already",
        _ => return explain(&mut command.status),
    };
    if let Status::Error { message, .. } = &mut command.status {
        specific.clone_into(message);
    }
}

fn explain(status: &mut Status) {
    let Status::Error { kind, message } = status else { return };
    let meaning = match &**kind {
        "ENOENT" | "ECONNRESET" => "discarded",
        "EPIPE" => "stalled",
        "EPROTO" => "bit stuffing error, or no answer in time",
        "EILSEQ" => "wrong checksum, or no answer in time",
        "ETIME" => "no answer in time",
        "ETIMEDOUT" => "timed out",
        "EOVERFLOW" => "more came than was asked for (babble)",
        "ECOMM" => "data came faster than they could be written to memory",
        "ENOSR" => "data could not be read from memory fast enough",
        "EREMOTEIO" => "less came than was asked for",
        "ENODEV" | "ESHUTDOWN" => "the device was removed",
        "EXDEV" => "some packets failed",
        "ENOSPC" => "the bus has no bandwidth left for it",
        "EHOSTUNREACH" => "the device is suspended",
        "EBUSY" => "a driver or another program has claimed it",
        _ => return,
    };
    meaning.clone_into(message);
}
