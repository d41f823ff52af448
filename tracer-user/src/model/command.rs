//! One command of a program to a peripheral, or one event that a peripheral sent unasked.

use std::borrow::Cow;
use std::sync::Arc;

pub use super::device::Device;
use super::payload::Payload;
use super::process::ProcessKey;
use super::time::Interval;
use tracer_common::bus::Bus;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It did what it should.
    Ok,
    /// It failed: `error.type` (an errno's name, `timeout`, `checksum`, `killed`, a protocol's own word) and a
    /// sentence for people.
    Error {
        /// Low-cardinality name.
        kind: Cow<'static, str>,
        /// What happened, for people; may be empty.
        message: String,
    },
}

impl Status {
    /// Whether it failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error { .. })
    }
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A shared text.
    Shared(Arc<str>),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Several texts.
    Texts(Vec<Arc<str>>),
}

/// What a driver did on its bus on behalf of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Which bus.
    pub bus: Bus,
    /// From the first message to the result.
    pub at: Interval,
    /// Messages (I2C) or bytes (block); else 1.
    pub amount: u64,
    /// How it ended.
    pub status: Status,
}

/// A device command, or an unsolicited event of a device, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Unsolicited input: becomes `peripheral.event {name}` instead of `peripheral.execute {name}`.
    pub unsolicited: bool,
    /// Name without arguments: `TCGETS`, `read`, `MEAS:VOLT?`, `request`.
    pub name: Cow<'static, str>,
    /// Which device.
    pub device: Arc<Device>,
    /// Who.
    pub process: ProcessKey,
    /// On which thread it was issued.
    pub tid: u32,
    /// On which thread it ended (the one that read the answer).
    pub end_tid: u32,
    /// From the call that issued it to the end of the call that completed it.
    pub at: Interval,
    /// Sequence number of the command in its process' stream to that device: part of its id.
    pub serial: u64,
    /// How it ended.
    pub status: Status,
    /// What the program sent, or for unsolicited input what the device sent.
    pub request: Payload,
    /// What the device answered; `None` if there was no answer to wait for.
    pub reply: Option<Payload>,
    /// What its driver did on the bus meanwhile.
    pub bus: Vec<Transaction>,
    /// Arguments: key without the prefix `iotrail.device.args.`, value.
    pub args: Vec<(&'static str, Value)>,
}
