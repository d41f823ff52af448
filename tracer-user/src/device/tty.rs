//! Terminals, serial lines and pseudo-terminals (their slave side).
//!
//! Span rule. A request is every write up to the end of a line, or of bytes that are no text up to a pause. If the
//! program then reads the line, the answer is its own: the span runs from the first write's entry to the exit of the
//! read that brought the answer's last byte, and without an answer in time it is an error `timeout`. Where an answer
//! ends, its protocol knows ([`protocol`]), else silence tells. Several requests may be open where programs write
//! ahead of the answers ([`queue`]). A request that nobody waits on ends with its write. What is read with no request
//! open is an event, one per line ([`input`]). `poll` is not seen; how that is made up for is in
//! [`line::Line::is_awaited`]. What each protocol makes of it is a table in `docs/devices.md`.
//!
//! `ioctl`s are one command each, with their arguments ([`ioctls`]).

mod at;
mod exchange;
mod gcode;
mod input;
mod ioctls;
mod line;
mod modbus;
mod nmea;
mod plain;
mod protocol;
mod queue;
mod scpi;
mod termios;
mod waits;

#[cfg(test)]
mod tests;

use super::class::Class;

/// The class.
pub(crate) const CLASS: Class =
    Class { name: "tty", ioctls: ioctls::TABLE, session: || Box::new(line::Line::default()) };
