//! How long a `read` waits, `termios(3)`: what it means that one brought nothing.

use crate::device::class::failed;
use crate::device::ioc::Args;
use crate::model::command::{Status, Value};
use crate::model::errno;
use crate::model::time::Interval;

/// A tenth of a second, the unit of `VTIME`.
const TENTH_NS: u64 = 100_000_000;

/// What ends a `read` that brings nothing, while lines are not edited: `VMIN` bytes and `VTIME` tenths of a second.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    least: i64,
    tenths: i64,
}

impl Waits {
    /// What the arguments of a command say of it: `None` if nothing, nothing if only a whole line ends a read.
    pub(super) fn said(args: &Args) -> Option<Option<Self>> {
        let find = |key| args.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
        let Some(Value::Bool(canonical)) = find("canonical") else { return None };
        Some(match (find("vmin"), find("vtime")) {
            (Some(Value::Int(least)), Some(Value::Int(tenths))) if !canonical => {
                Some(Self { least: *least, tenths: *tenths })
            }
            _ => None,
        })
    }

    /// Whether a read that took so long and found nothing would have gone on waiting. Half the time is near enough: clocks
    /// tick apart.
    pub(super) fn longer_than(self, at: Interval) -> bool {
        let tenths = u64::try_from(self.tenths).unwrap_or(0);
        self.least > 0 || at.end.since(at.start) < tenths * TENTH_NS / 2
    }
}

/// The status of what a hang-up cut off. The read that finds the end has no errno; every other call on such a line has
/// this one (`drivers/tty/tty_io.c`, `hung_up_tty_fops`).
pub(super) fn hung_up() -> Status {
    match failed(errno::EIO) {
        Status::Error { kind, .. } => Status::Error { kind, message: "the line was hung up".to_owned() },
        Status::Ok => Status::Ok,
    }
}
