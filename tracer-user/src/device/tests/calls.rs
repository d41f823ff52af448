//! Calls for tests of classes: `ioctl`s with what their arguments point to, in the order in which they end.

use super::{PROCESS, capture, device, render};
use crate::device::{Devices, Settings};
use crate::model::capture::{Body, Capture, Piece};
use crate::model::command::Command;
use crate::model::payload::Payload;
use bytes::Bytes;
use tracer_common::call::{Abi, Call};

/// An `ioctl` on descriptor 3 that takes 10 µs and returns 0, unless it is said otherwise.
#[derive(Clone)]
pub(in crate::device) struct Ioctl(Capture);

impl Ioctl {
    /// With no argument.
    pub(in crate::device) fn new(command: u32) -> Self {
        let body = Body::Ioctl {
            command,
            argument: 0,
            before: None,
            after: Bytes::new(),
            given: Vec::new(),
            answered: Vec::new(),
        };
        Self(capture(Call::Ioctl, (0, 10), 0, body))
    }

    /// With a number for an argument.
    pub(in crate::device) fn value(mut self, value: u64) -> Self {
        if let Body::Ioctl { argument, .. } = &mut self.0.body {
            *argument = value;
        }
        self
    }

    /// With this argument, before and after the call.
    pub(in crate::device) fn argument(mut self, bytes: &[u8]) -> Self {
        if let Body::Ioctl { after, .. } = &mut self.0.body {
            *after = Bytes::copy_from_slice(bytes);
        }
        self
    }

    /// With another argument before the call than after it.
    pub(in crate::device) fn was(mut self, bytes: &[u8]) -> Self {
        if let Body::Ioctl { before, .. } = &mut self.0.body {
            *before = Some(Bytes::copy_from_slice(bytes));
        }
        self
    }

    /// An element of the array that the argument points to, or (with `buffer`) what that points to, at entry.
    pub(in crate::device) fn given(mut self, element: u16, buffer: Option<u8>, bytes: &[u8]) -> Self {
        if let Body::Ioctl { given, .. } = &mut self.0.body {
            given.push(piece(element, buffer, bytes));
        }
        self
    }

    /// The same, at exit.
    pub(in crate::device) fn answered(mut self, element: u16, buffer: Option<u8>, bytes: &[u8]) -> Self {
        if let Body::Ioctl { answered, .. } = &mut self.0.body {
            answered.push(piece(element, buffer, bytes));
        }
        self
    }

    /// It returned something else.
    pub(in crate::device) fn returns(mut self, result: i64) -> Self {
        self.0.result = result;
        self
    }

    /// On another descriptor.
    pub(in crate::device) fn fd(mut self, fd: i32) -> Self {
        self.0.fd = fd;
        self
    }

    /// From a 32-bit program.
    pub(in crate::device) fn compat(mut self) -> Self {
        self.0.abi = Abi::Compat;
        self
    }
}

impl From<Ioctl> for Capture {
    fn from(Ioctl(capture): Ioctl) -> Self {
        capture
    }
}

fn piece(element: u16, buffer: Option<u8>, bytes: &[u8]) -> Piece {
    Piece { element, buffer, payload: Payload::whole(Bytes::copy_from_slice(bytes)) }
}

/// What comes out of these calls on a device of this class.
pub(in crate::device) fn commands(
    class: &'static str,
    calls: impl IntoIterator<Item = impl Into<Capture>>,
) -> Vec<Command> {
    let mut devices = Devices::new(Settings::default());
    let mut out = Vec::new();
    let device = device(class);
    for call in calls {
        devices.feed(&call.into(), PROCESS, &device, &mut out);
    }
    out
}

/// The same, as text.
pub(in crate::device) fn rendered(
    class: &'static str,
    calls: impl IntoIterator<Item = impl Into<Capture>>,
) -> String {
    render(&commands(class, calls))
}
